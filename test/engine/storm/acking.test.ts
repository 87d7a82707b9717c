/** Storm's TopologyIntegrationTest, the part about acking: their cases with their counts, on one and on several executors. */
import { describe, expect, test } from 'vitest'
import { defineBolt, topology, z } from '../../../lib/index.ts'
import type { Tuple } from '../../../lib/index.ts'
import { LocalCluster, feeder } from '../../../lib/testing/index.ts'
import { Num, ack, aggregate, branch, identity } from './parts.ts'

describe.each([1, 2, 4])('on %d executors', (executors) => {
  test('testAcking: branches, aggregates and branches again, with exact counts after each feed', async () => {
    const [one, two, three] = [feeder(Num), feeder(Num), feeder(Num)]
    const wired = topology('acking', (t) => {
      const bolt4 = t.bolt('four', branch(2)).shuffle(t.spout('one', one.spout))
      const bolt5 = t.bolt('five', branch(4)).shuffle(t.spout('two', two.spout))
      const bolt6 = t.bolt('six', branch(1)).shuffle(t.spout('three', three.spout))
      const bolt7 = t.bolt('seven', aggregate(3)).shuffle(bolt4).shuffle(bolt5).shuffle(bolt6)
      t.bolt('nine', ack).shuffle(t.bolt('eight', branch(2)).shuffle(bolt7))
    })
    await using cluster = await LocalCluster.start({ seed: 1, executors })
    const running = await cluster.submit(wired)
    const fed = async (from: typeof one): Promise<number[]> => {
      from.feed({ num: 1 })
      await running.settle()
      return [one.takeAcked(), two.takeAcked(), three.takeAcked()]
    }
    expect(await fed(one)).toEqual([0, 0, 0])
    expect(await fed(two)).toEqual([1, 1, 0])
    expect(await fed(one)).toEqual([0, 0, 0])
    expect(await fed(one)).toEqual([1, 0, 0])
    expect(await fed(three)).toEqual([0, 0, 0])
    expect(await fed(two)).toEqual([1, 1, 1])
    expect(running.snapshot().pending).toBe(0)
  })

  test('testAckBranching: a diamond and an aggregate of four', async () => {
    const source = feeder(Num)
    const wired = topology('branching', (t) => {
      const one = t.spout('one', source.spout)
      t.bolt('four', aggregate(4)).shuffle(t.bolt('two', identity).shuffle(one)).shuffle(t.bolt('three', identity).shuffle(one))
    })
    await using cluster = await LocalCluster.start({ seed: 1, executors })
    const running = await cluster.submit(wired)
    source.feed({ num: 1 })
    await running.settle()
    expect(source.takeAcked()).toBe(0)
    source.feed({ num: 1 })
    await running.settle()
    expect(source.takeAcked()).toBe(2)
  })

  test('testAckingSelfAnchor: the same anchor twice is acked once', async () => {
    const source = feeder(Num)
    const twice = defineBolt({
      input: Num,
      output: Num,
      ack: 'manual',
      execute(values, out, tuple) {
        out.emit(values, { anchors: [tuple, tuple] })
        out.ack(tuple)
      },
    })
    await using cluster = await LocalCluster.start({ seed: 1, executors })
    const running = await cluster.submit(
      topology('self', (t) => void t.bolt('three', ack).shuffle(t.bolt('two', twice).shuffle(t.spout('one', source.spout)))),
    )
    source.feed({ num: 1 }, 'only')
    await running.settle()
    expect(source.acked).toEqual(['only'])
    expect(source.failed).toEqual([])
  })

  test('testTimeout: acked, acked, and the one between not failed at +9 s and failed by +21 s', async () => {
    const source = feeder(Num)
    const everyOther = defineBolt({
      input: Num,
      ack: 'manual',
      prepare() {
        let isOdd = false
        return (_values, out, tuple) => {
          isOdd = !isOdd
          if (isOdd) out.ack(tuple)
        }
      },
    })
    await using cluster = await LocalCluster.start({ seed: 1, executors })
    const running = await cluster.submit(
      topology('timeout', (t) => void t.bolt('two', everyOther).global(t.spout('one', source.spout))),
      {
        config: { messageTimeoutMs: '10s' },
      },
    )
    await running.advance('11s')
    for (const id of [1, 2, 3]) source.feed({ num: id }, id)
    await running.advance('9s')
    expect(source.acked).toEqual([1, 3])
    expect(source.failed).toEqual([])
    await running.advance('12s')
    expect(source.failed).toMatchObject([{ id: 2, failure: { kind: 'expired', component: 'two' } }])
    expect(source.acked).toEqual([1, 3])
  })

  test('testResetTimeout: a tuple kept alive beyond twice the timeout is acked in the end, its neighbour expires', async () => {
    const source = feeder(Num)
    // holds the first, forgets the second, and resets the first with each that follows; the fifth ends it
    const reset = defineBolt({
      input: Num,
      ack: 'manual',
      prepare() {
        let first: Tuple | undefined
        let count = 0
        return (_values, out, tuple) => {
          count++
          if (first === undefined) {
            first = tuple
            return
          }
          if (count === 5) out.ack(first)
          else out.resetTimeout(first)
          if (count > 2) out.ack(tuple)
        }
      },
    })
    await using cluster = await LocalCluster.start({ seed: 1, executors })
    const running = await cluster.submit(
      topology('reset', (t) => void t.bolt('two', reset).global(t.spout('one', source.spout))),
      {
        config: { messageTimeoutMs: '10s' },
      },
    )
    source.feed({ num: 1 }, 1)
    source.feed({ num: 2 }, 2)
    await running.advance('9s')
    expect([source.acked, source.failed]).toEqual([[], []])
    source.feed({ num: 3 }, 3)
    await running.advance('9s')
    expect(source.acked).toEqual([3])
    expect(source.failed.map(({ id }) => id)).toEqual([2])
    source.feed({ num: 4 }, 4)
    await running.advance('9s')
    expect(source.acked).toEqual([3, 4])
    source.feed({ num: 5 }, 5)
    await running.advance('1s')
    expect(new Set(source.acked)).toEqual(new Set([1, 3, 4, 5]))
    expect(source.failed.map(({ id }) => id)).toEqual([2])
  })

  test('testResetTimeout, the other side: without the reset the first expires as well', async () => {
    const source = feeder(Num)
    const hold = defineBolt({ input: Num, ack: 'manual', execute: () => undefined })
    await using cluster = await LocalCluster.start({ seed: 1, executors })
    const running = await cluster.submit(
      topology('hold', (t) => void t.bolt('two', hold).global(t.spout('one', source.spout))),
      { config: { messageTimeoutMs: '10s' } },
    )
    source.feed({ num: 1 }, 1)
    await running.advance('11s')
    expect(source.failed.map(({ id }) => id)).toEqual([1])
  })

  test('acking off: done as soon as emitted, whatever becomes of it', async () => {
    const source = feeder(Num)
    const hold = defineBolt({ input: Num, ack: 'manual', execute: () => undefined })
    await using cluster = await LocalCluster.start({ seed: 1, executors })
    const running = await cluster.submit(
      topology('off', (t) => void t.bolt('two', hold).global(t.spout('one', source.spout))),
      {
        config: { 'topology.acker.executors': 0, 'topology.message.timeout.secs': 10 },
      },
    )
    source.feed({ num: 1 }, 'a')
    await running.advance('30s')
    expect(source.acked).toEqual(['a'])
    expect(source.failed).toEqual([])
  })

  test('a stream that no one reads is done at once', async () => {
    const source = feeder(z.object({ num: z.int() }))
    await using cluster = await LocalCluster.start({ seed: 1, executors })
    const running = await cluster.submit(topology('alone', (t) => void t.spout('one', source.spout)))
    source.feed({ num: 1 }, 'a')
    await running.settle()
    expect(source.acked).toEqual(['a'])
  })
})
