/** Named streams, several inputs, and trees that bolts put together by hand. */
import { describe, expect, test } from 'vitest'
import { defineBolt, defineSpout, topology, z } from '../../lib/index.ts'
import type { ManualOutput, Tuple } from '../../lib/index.ts'
import { LocalCluster, feeder } from '../../lib/testing/index.ts'
import type { LocalTopology } from '../../lib/testing/index.ts'

const Num = z.object({ num: z.int() })
type Num = z.infer<typeof Num>
type NumOut = ManualOutput<{ readonly default: Num }>

const sink = defineBolt({ input: Num, execute: () => undefined })
const numbers = (of: LocalTopology, bolt: string): number[] => of.executed(bolt).map(({ values }) => (values as Num).num)

describe.each([1, 2, 4])('on %d executors', (executors) => {
  const start = () => LocalCluster.start({ seed: 11, executors })

  test('named streams go to their readers, and all of them belong to the tree', async () => {
    const source = feeder(Num)
    const sort = defineBolt({
      input: Num,
      output: Num,
      outputs: { odd: Num, even: Num, unread: Num },
      execute({ num }, out) {
        out.emit({ num })
        out.emitTo(num % 2 === 0 ? 'even' : 'odd', { num })
        out.emitTo('unread', { num })
      },
    })
    const failsFour = defineBolt({
      input: Num,
      execute({ num }) {
        if (num === 4) throw new Error('four')
      },
    })
    await using cluster = await start()
    const running = await cluster.submit(
      topology('streams', (t) => {
        const sorted = t.bolt('sort', sort).shuffle(t.spout('source', source.spout))
        t.bolt('all', sink).shuffle(sorted)
        t.bolt('odd', sink).shuffle(sorted.stream('odd'))
        t.bolt('even', failsFour).shuffle(sorted.stream('even'))
      }),
    )
    for (const num of [1, 2, 3, 4]) source.feed({ num }, num)
    await running.settle()
    expect([numbers(running, 'all'), numbers(running, 'odd'), numbers(running, 'even')]).toEqual([
      [1, 2, 3, 4],
      [1, 3],
      [2, 4],
    ])
    expect(running.tuples('sort', 'unread')).toHaveLength(4)
    expect([...source.acked].toSorted()).toEqual([1, 2, 3])
    expect(source.failed.map(({ id }) => id)).toEqual([4])
  })

  test('several inputs: each stream comes to its own function', async () => {
    const [left, right] = [feeder(Num), feeder(z.object({ text: z.string() }))]
    const join = defineBolt({
      inputs: { numbers: Num, texts: z.object({ text: z.string() }) },
      output: z.object({ from: z.string() }),
      execute: {
        numbers: ({ num }, out) => out.emit({ from: `number ${num}` }),
        texts: ({ text }, out) => out.emit({ from: `text ${text}` }),
      },
    })
    await using cluster = await start()
    const running = await cluster.submit(
      topology('inputs', (t) => {
        const joined = t.bolt('join', join)
        joined.input('numbers').shuffle(t.spout('left', left.spout))
        joined.input('texts').shuffle(t.spout('right', right.spout))
      }),
    )
    left.feed({ num: 1 })
    right.feed({ text: 'a' })
    await running.settle()
    expect(
      running
        .tuples('join')
        .map((tuple) => (tuple as { from: string }).from)
        .toSorted(),
    ).toEqual(['number 1', 'text a'])
    expect(
      running
        .executed('join')
        .map(({ input }) => input)
        .toSorted(),
    ).toEqual(['numbers', 'texts'])
    expect(running.snapshot().components.find(({ id }) => id === 'join')?.tasks[0]?.executed).toEqual({
      'left.default': 1,
      'right.default': 1,
    })
  })

  describe('one tuple anchored to trees of several spouts', () => {
    /** Holds what comes, and emits one tuple for two, anchored to both; what becomes of it is up to `last`. */
    async function pairs(last: (tuple: Tuple, out: NumOut) => void) {
      const [one, two] = [feeder(Num), feeder(Num)]
      const pair = defineBolt({
        input: Num,
        output: Num,
        ack: 'manual',
        prepare() {
          const held: Tuple<Num>[] = []
          return (_values, out, tuple) => {
            held.push(tuple)
            if (held.length < 2) return
            out.emit({ num: held.reduce((sum, { values }) => sum + values.num, 0) }, { anchors: held })
            for (const anchor of held.splice(0)) out.ack(anchor)
          }
        },
      })
      const lastBolt = defineBolt({ input: Num, output: Num, ack: 'manual', execute: (_values, out, tuple) => last(tuple, out) })
      const cluster = await start()
      const running = await cluster.submit(
        topology('pairs', (t) => {
          const paired = t.bolt('pair', pair).shuffle(t.spout('one', one.spout)).shuffle(t.spout('two', two.spout))
          // through another bolt, with automatic acking, so that what has several roots travels on
          const passed = t.bolt('pass', defineBolt({ input: Num, output: Num, execute: (values, out) => out.emit(values) })).shuffle(paired)
          t.bolt('last', lastBolt).shuffle(passed)
        }),
        { config: { messageTimeoutMs: '10s' } },
      )
      one.feed({ num: 1 }, 'a')
      two.feed({ num: 2 }, 'b')
      await running.settle()
      return { one, two, running, cluster }
    }

    test('acked: both are done, and not before', async () => {
      const held: (() => void)[] = []
      const { one, two, running, cluster } = await pairs((tuple, out) => void held.push(() => out.ack(tuple)))
      await using _ = cluster
      expect(running.executed('last').map(({ values }) => values)).toEqual([{ num: 3 }])
      expect([one.acked, two.acked]).toEqual([[], []])
      for (const ack of held) ack()
      await running.settle()
      expect([one.acked, two.acked]).toEqual([['a'], ['b']])
    })

    test('failed: both fail, with who failed them and why', async () => {
      const { one, two, cluster } = await pairs((tuple, out) => out.fail(tuple, new Error('no good')))
      await using _ = cluster
      const failure = { kind: 'failed', component: 'last', message: 'no good' }
      expect([one.failed, two.failed]).toMatchObject([[{ id: 'a', failure }], [{ id: 'b', failure }]])
      expect([one.acked, two.acked]).toEqual([[], []])
    })

    test('neither: both expire, and resetTimeout keeps both', async () => {
      let reset: (() => void) | undefined
      const { one, two, running, cluster } = await pairs((tuple, out) => (reset = () => out.resetTimeout(tuple)))
      await using _ = cluster
      await running.advance('8s')
      reset?.()
      await running.advance('9s')
      expect([one.failed, two.failed]).toEqual([[], []])
      await running.advance('2s')
      expect([one.failed, two.failed]).toMatchObject([
        [{ id: 'a', failure: { kind: 'expired' } }],
        [{ id: 'b', failure: { kind: 'expired' } }],
      ])
    })
  })

  test('an emit without anchors is in no tree', async () => {
    const source = feeder(Num)
    const cut = defineBolt({
      input: Num,
      output: Num,
      ack: 'manual',
      execute(values, out, tuple) {
        out.emit(values)
        out.ack(tuple)
      },
    })
    const failing = defineBolt({ input: Num, ack: 'manual', execute: (_values, out, tuple) => out.fail(tuple) })
    await using cluster = await start()
    const running = await cluster.submit(
      topology('cut', (t) => void t.bolt('failing', failing).shuffle(t.bolt('cut', cut).shuffle(t.spout('source', source.spout)))),
    )
    source.feed({ num: 1 }, 'a')
    await running.settle()
    expect(running.executed('failing')).toHaveLength(1)
    expect([source.acked, source.failed]).toEqual([['a'], []])
  })

  test('a tuple to many tasks and many readers is done when every one of them is', async () => {
    const source = feeder(Num)
    const held: (() => void)[] = []
    const hold = defineBolt({ input: Num, ack: 'manual', execute: (_values, out, tuple) => void held.push(() => out.ack(tuple)) })
    await using cluster = await start()
    const running = await cluster.submit(
      topology('many', (t) => {
        const one = t.spout('source', source.spout)
        t.bolt('all', hold, { parallelism: 3 }).all(one)
        t.bolt('two', hold, { parallelism: 2 }).shuffle(one).global(one)
      }),
    )
    source.feed({ num: 1 }, 'a')
    await running.settle()
    expect(held).toHaveLength(5)
    for (const ack of held) {
      expect(source.acked).toEqual([])
      ack()
      await running.settle()
    }
    expect(source.acked).toEqual(['a'])
  })

  test('cycles with feedback: a tuple goes round until it is done, and its tree with it', async () => {
    const source = feeder(Num)
    const Loop = z.object({ num: z.int() })
    const countDown = defineBolt({
      inputs: { fresh: Num, again: Loop },
      outputs: { again: Loop, done: Num },
      execute: {
        fresh: ({ num }, out) => out.emitTo('again', { num }),
        again: ({ num }, out) => (num > 0 ? out.emitTo('again', { num: num - 1 }) : out.emitTo('done', { num })),
      },
    })
    await using cluster = await start()
    const running = await cluster.submit(
      topology('cycle', (t) => {
        const counting = t.bolt('count', countDown, { parallelism: 3 })
        counting.input('fresh').shuffle(t.spout('source', source.spout))
        counting.input('again').shuffle(t.later('count', Loop, 'again'))
        t.bolt('sink', sink).shuffle(counting.stream('done'))
      }),
      { config: { inboxTuplesMax: 1 } },
    )
    for (let i = 0; i < 20; i++) source.feed({ num: 50 })
    source.end()
    const result = await running.complete()
    expect(result).toMatchObject({ state: 'finished', emitted: 20, acked: 20 })
    expect(running.executed('sink')).toHaveLength(20)
    expect(running.executed('count')).toHaveLength(20 * 52)
  })

  test('tracked: false and ack: false: done when emitted, nothing is replayed, nothing is lost', async () => {
    const source = (tracked: boolean) =>
      defineSpout({
        output: Num,
        tracked,
        replay: true,
        open() {
          let num = 0
          return (out) => (num < 10 ? out.emit({ num: num++ }) : out.end())
        },
      })
    const failing = defineBolt({
      input: Num,
      execute({ num }) {
        if (num === 3) throw new Error('three')
      },
    })
    await using cluster = await start()
    for (const [tracked, ack] of [
      [false, true],
      [true, false],
      [false, false],
    ] as const) {
      const done = await cluster.complete(
        topology('untracked', (t) => void t.bolt('sink', failing).shuffle(t.spout('source', source(tracked)))),
        { config: { ack } },
      )
      expect(done.result).toMatchObject({ state: 'finished', emitted: 10, acked: 10, failed: 0, replayed: 0 })
      expect(done.executed('sink')).toHaveLength(10)
      expect(done.errors.map(({ message }) => message)).toEqual(['three'])
    }
  })
})

test('a tuple is settled once: the second time is a coded error, which stops the run', async () => {
  const source = feeder(Num)
  for (const second of ['ack', 'fail'] as const) {
    const twice = defineBolt({
      input: Num,
      ack: 'manual',
      execute(_values, out, tuple) {
        out.ack(tuple)
        out[second](tuple)
      },
    })
    await using cluster = await LocalCluster.start({ seed: 11 })
    source.feed({ num: 1 })
    await expect(
      cluster.complete(topology('twice', (t) => void t.bolt('twice', twice).shuffle(t.spout('source', source.spout)))),
    ).rejects.toMatchObject({
      code: 'already-settled',
      where: { component: 'twice', task: 1 },
    })
  }
})
