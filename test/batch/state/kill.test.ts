/** Real processes, killed while they count into a store on this disk. */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { viewState } from '../../../lib/batch/state/inspect.ts'
import { Random } from '../../../lib/std/random.ts'
import { repository } from '../../house/repository.ts'

const batches = 300
const kills = 6
let folder: string

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'squall-kill-'))
  symlinkSync(join(repository, 'node_modules'), join(folder, 'node_modules'), 'junction')
  await build({
    entryPoints: [fileURLToPath(new URL('../../fixtures/batch/counting.ts', import.meta.url))],
    outfile: join(folder, 'counting.mjs'),
    bundle: true,
    format: 'esm',
    platform: 'node',
    packages: 'external',
  })
})

afterAll(() => rmSync(folder, { recursive: true }))

/** Runs until it ends, or is killed at its `killAt`-th batch. Gives the last batch it told of. */
function count(store: string, killAt: number): Promise<{ readonly last: number; readonly isDone: boolean; readonly stderr: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [join(folder, 'counting.mjs'), store, join(folder, store), String(batches)])
    let told = ''
    let stderr = ''
    child.stderr.on('data', (text) => void (stderr += String(text)))
    child.stdout.on('data', (text) => {
      told += String(text)
      if (told.split('\n').length > killAt) child.kill('SIGKILL')
    })
    child.on('close', (code) => resolve({ last: Number(told.trim().split('\n').at(-1)), isDone: code === 0, stderr }))
  })
}

test.each(['log', 'lmdb', 'cached'])('a count into %s is exact, however often it is killed', async (store) => {
  const random = new Random(11)
  let last = 0
  for (let i = 0; i < kills; i++) {
    const run = await count(store, 1 + random.below((2 * batches) / kills))
    expect(run.stderr).toBe('')
    expect(run.last).toBeGreaterThanOrEqual(last)
    last = run.last
  }
  const run = await count(store, Infinity)
  expect(run).toEqual({ last: batches, isDone: true, stderr: '' })
  const expected: Record<string, number> = {}
  for (let t = 1; t <= batches; t++) for (const key of [`a${t % 7}`, `b${t % 11}`, `c${t % 13}`]) expected[key] = (expected[key] ?? 0) + 1
  const view = await viewState(join(folder, store), 'counting')
  expect(view.txid).toBe(batches)
  expect(Object.fromEntries(view.entries('counts') as Iterable<[string, number]>)).toEqual(expected)
  await view.close()
})
