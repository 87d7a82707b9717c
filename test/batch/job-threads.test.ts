/** A job in real threads, from the built package: one of them dies, the job is stopped. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Worker } from 'node:worker_threads'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import type { Run } from '../../lib/engine/run-types.ts'
import type { TopologyDefinition } from '../../lib/topology/draft.ts'
import { built } from '../fixtures/built.ts'

// threads start slowly on a busy machine
vi.setConfig({ testTimeout: 60_000 })

const { startRun } = await built<typeof import('../../lib/engine/run.ts')>('engine/run.js')
const module = new URL('../fixtures/threads/job.mjs', import.meta.url).href
const { default: definition } = (await import(module)) as { default: TopologyDefinition }

let workers: Worker[] = []
const note = (worker: Worker): void => void workers.push(worker)
beforeAll(() => void process.on('worker', note))
afterAll(() => void process.off('worker', note))
beforeEach(() => (workers = []))
// a worker that has ended has no id any more
afterEach(() => {
  const left = workers.filter(({ threadId }) => threadId !== -1).length
  if (left > 0) throw new Error(`${left} threads are left`)
})

async function start(executors: number): Promise<{ readonly run: Run; readonly words: Int32Array }> {
  const shared = new SharedArrayBuffer(64)
  const run = await startRun({ definition, module }, { seed: 5, executors, log: { level: 'silent' }, params: { shared } })
  return { run, words: new Int32Array(shared) }
}

async function until(run: Run, isSo: () => boolean): Promise<void> {
  for (let looks = 0; looks < 20_000; looks++) {
    if (isSo()) return
    await delay(1)
  }
  throw new Error(`not seen: ${JSON.stringify(run.errors())}`)
}

/** The sum of 0 to 999, seven remainders, and 8,000 values in groups. */
const found = 499_500 + 7 + 8_000

test.each([1, 2, 3])('%d executors find the same, and nothing is left running', async (executors) => {
  const { run, words } = await start(executors)
  Atomics.store(words, 1, 1)
  expect(await run.done).toMatchObject({ state: 'finished', emitted: 1, acked: 1, failed: 0 })
  expect([...words.subarray(2)]).toEqual([...new Array<number>(executors).fill(found), ...new Array<number>(14 - executors).fill(0)])
})

test.each([0, 1])('executor %d of 2 dies: the program begins again in both', async (victim) => {
  const { run, words } = await start(2)
  await until(run, () => Atomics.load(words, 0) === 2)
  run.killExecutor(victim)
  await until(run, () => Atomics.load(words, 0) === 4)
  Atomics.store(words, 1, 1)
  expect(await run.done).toMatchObject({ state: 'finished', acked: 1 })
  expect(run.snapshot().executorRestarts).toBe(1)
  expect([...words.subarray(2, 4)]).toEqual([found, found])
  expect(run.errors()).toMatchObject([{ executor: victim }])
})

test('stopped half way, it ends', async () => {
  const { run, words } = await start(2)
  await until(run, () => Atomics.load(words, 0) === 2)
  expect(await run.stop(0)).toMatchObject({ state: 'stopped', error: undefined })
  expect(words[2]).toBe(0)
})
