/** Tuples that batches give to bolts, with a state directory: none is lost, and the state behind them counts once. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { viewState } from '../../lib/batch/state/inspect.ts'
import { nodeFileSystem } from '../../lib/batch/log/file-system.ts'
import { defineBolt, memorySource, stateSpec, topology, z } from '../../lib/index.ts'
import type { KeyState, TopologyDefinition } from '../../lib/index.ts'
import { LocalCluster } from '../../lib/testing/index.ts'

const numbers = Array.from({ length: 12 }, (_, n) => n)
const Count = z.object({ txid: z.int(), n: z.int(), count: z.int() })
type Given = z.infer<typeof Count>

const counting = stateSpec((n: number, one: number | undefined, state: KeyState<number>) => {
  state.update((state.getOption() ?? 0) + (one ?? 0))
  return [n, state.get()] as const
})

let stateDir: string
beforeEach(() => (stateDir = mkdtempSync(join(tmpdir(), 'squall-tuples-'))))
afterEach(() => rmSync(stateDir, { recursive: true, force: true }))

/** Counts each number; the bolt takes its time, and may fail. `got`: what it has done. */
function counts(got: Given[], fails: (n: number) => boolean = () => false): TopologyDefinition {
  const source = memorySource<number>({ oneAtATime: true })
  for (const n of numbers) source.add(n)
  source.end()
  return topology('counts', (t) => {
    const out = t
      .stream('numbers', source)
      .map((n) => [n, 1] as const)
      .mapWithState(counting, { name: 'counts' })
      .toTuples('counts', Count, ([n, count], { txid }) => ({ txid, n, count }))
    const last = defineBolt({
      input: Count,
      prepare:
        ({ sleep }) =>
        async (given) => {
          await sleep(4)
          if (fails(given.n)) throw new Error('not this one')
          got.push(given)
        },
    })
    t.bolt('last', last, { parallelism: 2 }).fields(out, ['n'])
  })
}

async function expectAll(got: readonly Given[]): Promise<void> {
  expect([...new Set(got.map(({ n }) => n))].sort((a, b) => a - b)).toEqual(numbers)
  expect(new Set(got.map(({ count }) => count))).toEqual(new Set([1]))
  const txids = new Map(got.map(({ n, txid }) => [n, txid]))
  for (const { n, txid } of got) expect(txids.get(n)).toBe(txid)
  const view = await viewState(stateDir, 'counts', nodeFileSystem)
  expect(new Map(view.entries('counts') as Iterable<[number, number]>)).toEqual(new Map(numbers.map((n) => [n, 1])))
  await view.close()
}

describe.each([1, 2])('on %d executors', (executors) => {
  test('one that fails comes again with its batch', async () => {
    const [got, failed]: [Given[], Set<number>] = [[], new Set()]
    await using local = await LocalCluster.start({ seed: 21, executors })
    const definition = counts(got, (n) => n % 3 === 1 && !failed.has(n) && failed.add(n) !== undefined)
    await local.complete(definition, { config: { stateDir, batchesPendingMax: 3 }, limitMs: '1m' })
    expect(failed.size).toBe(4)
    await expectAll(got)
  })

  test.each([5, 8, 11, 14, 17, 20, 23, 26, 29])('the process ends after %d ms: those that were under way come again', async (ms) => {
    const got: Given[] = []
    {
      await using local = await LocalCluster.start({ seed: 22, executors })
      const run = await local.submit(counts(got), { config: { stateDir } })
      await run.advance(ms)
    }
    expect(got.length).toBeLessThan(numbers.length)
    await using local = await LocalCluster.start({ seed: 23, executors })
    await local.complete(counts(got), { config: { stateDir }, limitMs: '1m' })
    await expectAll(got)
  })
})

test.each([0, 1])('executor %d dies now and then', async (victim) => {
  const got: Given[] = []
  await using local = await LocalCluster.start({ seed: 24, executors: 2 })
  const run = await local.submit(counts(got), {
    config: { stateDir, batchesPendingMax: 2, batchAttemptsMax: 20, executorRestartsMax: 100 },
  })
  for (let times = 0; times < 4; times++) {
    await run.advance(9)
    run.killExecutor(victim)
  }
  await run.complete('1m')
  expect(got.length).toBeGreaterThanOrEqual(numbers.length)
  await expectAll(got)
})
