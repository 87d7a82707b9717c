/** Batches in real threads, one of which dies: between two batches, and while they run. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import type { Run } from '../../lib/engine/run-types.ts'
import type { TopologyDefinition } from '../../lib/topology/draft.ts'
import { built } from '../fixtures/built.ts'

vi.setConfig({ testTimeout: 60_000 })

const { startRun } = await built<typeof import('../../lib/engine/run.ts')>('engine/run.js')
const module = new URL('../fixtures/threads/batches.mjs', import.meta.url).href
const { default: definition, keys } = (await import(module)) as { default: TopologyDefinition; keys: number }

let folder: string
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), 'squall-death-'))))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function start(config: Readonly<Record<string, unknown>>): Promise<{ run: Run; words: Int32Array; counted: () => number }> {
  const shared = new SharedArrayBuffer((2 + keys) * 4)
  const words = new Int32Array(shared)
  const run = await startRun({ definition, module }, { executors: 2, seed: 5, log: { level: 'silent' }, config, params: { shared } })
  return { run, words, counted: () => words.subarray(2).reduce((sum, count) => sum + count, 0) }
}

/** Settles when `isSo`, or with the end of the run. */
async function until(run: Run, isSo: () => boolean): Promise<void> {
  const over = { isOver: false }
  void run.done.then(() => (over.isOver = true))
  while (!over.isOver && !isSo()) await delay(1)
}

/** Lets `total` numbers be counted. An executor dies when half of them are: at work on the others, or before those are there. */
async function countWith(victim: number, isAtWork: boolean, total: number, config: Readonly<Record<string, unknown>>) {
  const { run, words, counted } = await start(config)
  Atomics.store(words, 0, isAtWork ? total : total / 2)
  await until(run, () => counted() >= total / 2)
  if (!isAtWork) await until(run, () => run.snapshot().pending === 0)
  run.killExecutor(victim)
  Atomics.store(words, 0, total)
  await until(run, () => counted() === total)
  Atomics.store(words, 1, 1)
  return { result: await run.done, run, counts: [...words.subarray(2)] }
}

describe('with a state directory, all is counted once', () => {
  test.each([
    [0, 'at rest', 100],
    [1, 'at rest', 100],
    [0, 'at work', 600],
    [1, 'at work', 600],
  ])('when executor %d dies %s', async (victim, when, total) => {
    const stateDir = join(folder, `${victim}-${total}`)
    const { result, run, counts } = await countWith(victim, when === 'at work', total, { stateDir })
    expect([result.state, result.error]).toEqual(['finished', undefined])
    expect(counts).toEqual(new Array(keys).fill(total / keys))
    expect(run.snapshot().executorRestarts).toBe(1)
  })
})

describe('without one', () => {
  test.each([
    [0, 'batches-lost'],
    [1, 'state-lost'],
  ])('a run whose executor %d dies ends: what it knew is gone', async (victim, code) => {
    const { result } = await countWith(victim, false, 100, {})
    expect([result.state, result.error?.code]).toEqual(['failed', code])
  })
})
