/** Nothing is dropped and what waits is bounded, whoever is slow. */
import { describe, expect, test } from 'vitest'
import { defineBolt, defineSpout, topology, z } from '../../lib/index.ts'
import { LocalCluster } from '../../lib/testing/index.ts'

const Num = z.object({ num: z.int(), text: z.string() })
/** A spout's turn, at most: two times the calls that it gets in a row. */
const turnMax = 256
const total = 3_000

describe.each([1, 2, 4])('on %d executors', (executors) => {
  test.each([true, false])('a slow bolt pauses the spout, with acking %s', async (ack) => {
    const spout = defineSpout({
      output: Num,
      open() {
        let num = 0
        return (out) => (num < total ? out.emit({ num: num++, text: 'x'.repeat(100) }) : out.end())
      },
    })
    const slow = defineBolt({
      input: Num,
      concurrency: 10,
      prepare:
        ({ sleep }) =>
        async () =>
          sleep(10),
    })
    await using cluster = await LocalCluster.start({ seed: 29, executors })
    const running = await cluster.submit(
      topology('slow', (t) => void t.bolt('slow', slow).shuffle(t.spout('source', spout))),
      {
        config: { ack, inboxTuplesMax: 50, bundleBytes: 1_024, spoutPendingMax: 100_000, check: false, messageTimeouts: false },
      },
    )
    let [most, mostWaiting] = [0, 0]
    while (running.executed('slow').length < total) {
      await running.advance(10)
      const [source, bolt] = running.snapshot().components
      mostWaiting = Math.max(mostWaiting, bolt?.tasks[0]?.pending ?? 0)
      most = Math.max(most, (source?.tasks[0]?.emitted['default'] ?? 0) - running.executed('slow').length)
    }
    expect(await running.complete()).toMatchObject({ state: 'finished', emitted: total, acked: total, failed: 0 })
    expect(running.executed('slow').map(({ values }) => (values as { num: number }).num)).toEqual(
      Array.from({ length: total }, (_, i) => i),
    )
    // in the inbox: its bound, what is being executed, and one turn of the spout or one bundle
    expect(mostWaiting).toBeGreaterThan(10)
    expect(mostWaiting).toBeLessThanOrEqual(50 + 10 + turnMax)
    // and on the way, in lanes of at most 8 frames with some ten tuples each, and parked for one turn
    expect(most).toBeLessThanOrEqual(50 + 10 + turnMax + (executors === 1 ? 0 : 8 * 12 + turnMax))
  })

  test('a cycle under pressure does not lock up', async () => {
    const spout = defineSpout({
      output: Num,
      open() {
        let num = 0
        return (out) => (num < 300 ? out.emit({ num: num++, text: '' }) : out.end())
      },
    })
    const Round = z.object({ left: z.int(), text: z.string() })
    const rounds = defineBolt({
      inputs: { fresh: Num, again: Round },
      outputs: { again: Round },
      execute: {
        fresh(_values, out) {
          for (let i = 0; i < 3; i++) out.emitTo('again', { left: 5, text: 'y'.repeat(200) })
        },
        again: ({ left, text }, out) => (left > 0 ? out.emitTo('again', { left: left - 1, text }) : undefined),
      },
    })
    await using cluster = await LocalCluster.start({ seed: 29, executors })
    const done = await cluster.complete(
      topology('cycle', (t) => {
        const round = t.bolt('rounds', rounds, { parallelism: 4 })
        round.input('fresh').shuffle(t.spout('source', spout, { parallelism: 2 }))
        round.input('again').shuffle(t.later('rounds', Round, 'again'))
      }),
      { config: { inboxTuplesMax: 2, bundleBytes: 1_024, check: false } },
    )
    expect(done.result).toMatchObject({ state: 'finished', emitted: 600, acked: 600 })
    expect(done.executed('rounds')).toHaveLength(600 + 600 * 3 * 6)
  })
})
