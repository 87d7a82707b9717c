import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { openHome, tokenFrom, urlIn } from '../../../lib/cluster/home/home.ts'
import type { Home } from '../../../lib/cluster/home/home.ts'
import { folderOf } from '../../fixtures/files.ts'

function opened(folder: string): Home {
  const home = openHome(folder)
  onTestFinished(() => home.release())
  return home
}

const modeOf = (path: string): number => statSync(path).mode & 0o777

test('is made on first use, for its owner alone', () => {
  const folder = join(folderOf({}), 'a/b')
  const { token } = opened(folder)
  expect([modeOf(folder), modeOf(join(folder, 'token'))]).toEqual([0o700, 0o600])
  expect(token).toMatch(/^[0-9a-f]{64}$/)
  expect(tokenFrom(join(folder, 'token'))).toBe(token)
})

test('with a token file that no verb could use is told at once, and can be opened when that is repaired', () => {
  const folder = folderOf({ token: 'two words\n' })
  expect(() => openHome(folder)).toThrow('it holds no token')
  writeFileSync(join(folder, 'token'), 'one\n')
  expect(opened(folder).token).toBe('one')
})

test('has the same token from then on, and another one elsewhere', () => {
  const folder = folderOf({})
  const first = openHome(folder)
  first.release()
  expect(opened(folder).token).toBe(first.token)
  expect(opened(folderOf({})).token).not.toBe(first.token)
})

test('tells where the API is, once that is known', () => {
  const folder = folderOf({})
  expect(urlIn(folder)).toBeUndefined()
  opened(folder).announce('http://127.0.0.1:6688')
  expect(urlIn(folder)).toBe('http://127.0.0.1:6688')
  expect(urlIn(join(folder, 'nowhere'))).toBeUndefined()
})

test('is one process at a time', () => {
  const folder = folderOf({})
  const first = openHome(folder)
  writeFileSync(join(folder, 'lock'), readFileSync(join(folder, 'lock'), 'utf8').replace('"run":"up"', '"run":"another"'))
  expect(() => openHome(folder)).toThrow(
    expect.objectContaining({ code: 'state-in-use', what: `the folder ${folder} is in use by the process ${process.pid}` }),
  )
  first.release()
})

test('of another version is left alone', () => {
  const folder = folderOf({ format: '99\n' })
  expect(() => openHome(folder)).toThrow(expect.objectContaining({ code: 'state-format' }))
  expect(() => statSync(join(folder, 'token'))).toThrow('ENOENT')
})

test('that cannot be written or read is told', () => {
  expect(() => openHome(join(folderOf({ file: '' }), 'file'))).toThrow(expect.objectContaining({ code: 'file-unwritable' }))
  const folder = folderOf({})
  mkdirSync(join(folder, 'token'))
  expect(() => openHome(folder)).toThrow(expect.objectContaining({ code: 'file-unreadable' }))
  expect(() => tokenFrom(join(folder, 'nowhere'))).toThrow(expect.objectContaining({ code: 'token-missing' }))
  for (const content of ['{\n  "name": "squall"\n}', 'zwei Wörter', 'x'.repeat(2_000)]) {
    writeFileSync(join(folder, 'another'), content)
    expect(() => tokenFrom(join(folder, 'another'))).toThrow(expect.objectContaining({ code: 'file-unreadable' }))
  }
})

test('that others may look into keeps its token to itself', () => {
  const folder = folderOf({})
  chmodSync(folder, 0o755)
  opened(folder)
  expect([modeOf(folder), modeOf(join(folder, 'token'))]).toEqual([0o755, 0o600])
})
