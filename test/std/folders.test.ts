import { existsSync, mkdtempSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { makeFolders } from '../../lib/std/folders.ts'

const within = mkdtempSync(join(tmpdir(), 'squall-folders-'))

test('makes a folder and those above it, and says which', () => {
  const folder = join(within, 'a', 'b', 'c')
  expect(makeFolders(folder)).toEqual([join(within, 'a'), join(within, 'a', 'b'), folder])
  expect(makeFolders(folder)).toEqual([])
})

test('what is no folder, and what leads nowhere, is an error', () => {
  writeFileSync(join(within, 'file'), '')
  symlinkSync('/nowhere/at/all', join(within, 'link'))
  for (const name of ['file', 'file/x', 'link', 'link/x'])
    expect(() => makeFolders(join(within, name)), name).toThrow(/E(EXIST|NOENT|NOTDIR)/)
})

test.runIf(existsSync('/proc/self'))('where no folder can be made it ends with an error', () => {
  expect(() => makeFolders('/proc/squall/x')).toThrow('ENOENT')
})
