/** Tuples into batches and out again in real threads, from the built package. */
import { expect, test } from 'vitest'
import type { TopologyDefinition } from '../../lib/topology/draft.ts'
import { built } from '../fixtures/built.ts'

const { startRun } = await built<typeof import('../../lib/engine/run.ts')>('engine/run.js')
const module = new URL('../fixtures/threads/bridges.mjs', import.meta.url).href
const { default: definition } = (await import(module)) as { default: TopologyDefinition }

test.each([1, 2])('%d executors sum up every number, and end by themselves', { timeout: 60_000 }, async (executors) => {
  const shared = new SharedArrayBuffer(40)
  const params = { shared, total: 5_000 }
  const run = await startRun({ definition, module }, { seed: 3, executors, log: { level: 'silent' }, params })
  const result = await run.done
  expect(result).toMatchObject({ state: 'finished', error: undefined })
  // the sum of key, key + 10, ... key + 4990
  expect([...new Int32Array(shared)]).toEqual(Array.from({ length: 10 }, (_, key) => 500 * key + 10 * (499 * 250)))
})
