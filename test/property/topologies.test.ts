/** What holds for every topology, whatever its shape, its failures, its executors and its seed. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { LocalCluster } from '../../lib/testing/index.ts'
import type { Completed } from '../../lib/testing/index.ts'
import { amplification, build, expectedOf, harmless, noneSeen, rootsOf, shape } from './random-topology.ts'
import type { Seen, Shape } from './random-topology.ts'

async function run(given: Shape): Promise<{ readonly seen: Seen; readonly done: Completed }> {
  await using cluster = await LocalCluster.start({ seed: given.seed, executors: given.executors })
  const seen = noneSeen()
  return { seen, done: await cluster.complete(build(given, seen)) }
}

const bounded = shape.filter((given) => amplification(given) <= 40)

test('every input is processed in full at least once, or becomes a dead letter', { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(bounded, async (given) => {
      const { seen, done } = await run(given)
      const { result } = done
      const roots = rootsOf(given).flat()
      expect(result.state).toBe('finished')
      expect(result.emitted).toBe(roots.length)
      expect(result.acked + result.deadLettered).toBe(result.emitted)
      // each failure is replayed or is the last
      expect(result.failed + result.expired).toBe(result.replayed + result.deadLettered)
      expect(done.snapshot().pending).toBe(0)
      for (const { tasks } of done.snapshot().components) for (const { pending } of tasks) expect(pending).toBe(0)
      // async iterables have no ids
      const named = rootsOf(given).flatMap((of, spout) => (given.spouts[spout]?.kind === 'iterable' ? [] : of))
      expect([...seen.acked, ...seen.dead].toSorted((a, b) => a - b)).toEqual(named)
      const expected = expectedOf(given)
      const processed = result.deadLettered === 0 ? roots : seen.acked
      for (const root of processed) for (const one of expected.get(root) ?? []) expect(seen.succeeded).toContain(one)
    }),
    { numRuns: 150 },
  )
})

test('the same seed gives the same run: every tuple, task and time, in the same order', { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(bounded, async (given) => {
      const [first, second] = [await run(given), await run(given)]
      expect(second.seen).toEqual(first.seen)
      expect(second.done.result).toEqual(first.done.result)
      expect(second.done.snapshot()).toEqual(first.done.snapshot())
    }),
    { numRuns: 60 },
  )
})

test('without failures the results are the same, tuple for tuple, on 1, 2 and 4 executors', { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(bounded.map(harmless), async (given) => {
      const expected = [...expectedOf(given).values()].flat().toSorted()
      for (const executors of [1, 2, 4]) {
        const { seen, done } = await run({ ...given, executors })
        const all = seen.executed.map(({ bolt, path }) => `${bolt} ${path}`)
        expect(all.toSorted()).toEqual(expected.map((one) => one.replace(/ @\d+$/, '')).toSorted())
        expect(done.result).toMatchObject({ acked: done.result.emitted, failed: 0, expired: 0, replayed: 0, deadLettered: 0 })
      }
    }),
    { numRuns: 40 },
  )
})
