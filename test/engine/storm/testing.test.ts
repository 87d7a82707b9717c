/** Storm's TestingTest, SpoutExecutorTest, TickTupleTest and the parts of MessagingTest that need no network. */
import { describe, expect, test } from 'vitest'
import { defineBolt, defineSpout, topology, z } from '../../../lib/index.ts'
import { LocalCluster, VirtualClock, feeder } from '../../../lib/testing/index.ts'
import { Num, Word, basicTopology, wordCount } from './parts.ts'

const fed = [{ word: 'nathan' }, { word: 'bob' }, { word: 'joey' }, { word: 'nathan' }]

describe('TestingTest', () => {
  const modes = [
    { time: 'virtual', executors: 1 },
    { time: 'virtual', executors: 2 },
    { time: 'virtual', executors: 4 },
    { time: 'real', executors: 1 },
  ] as const

  test.each(modes)('testCompleteTopology in $time time on $executors executors', async (mode) => {
    await using cluster = await LocalCluster.start({ seed: 5, ...mode })
    const done = await cluster.complete(basicTopology, { sources: { one: fed } })
    const words = done.tuples('one').map((tuple) => (tuple as { word: string }).word)
    expect(words.toSorted()).toEqual(['bob', 'joey', 'nathan', 'nathan'])
    const counts = done.tuples('two').map((tuple) => Object.values(tuple).join(' '))
    expect(counts.toSorted()).toEqual(['bob 1', 'joey 1', 'nathan 1', 'nathan 2'])
    expect(done.tuples('three')).toEqual([{ count: 1 }, { count: 2 }, { count: 3 }, { count: 4 }])
    expect(done.result).toMatchObject({ state: 'finished', emitted: 4, acked: 4, failed: 0, expired: 0 })
  })

  test('testCompleteTopology again on the same cluster, and two at once', async () => {
    await using cluster = await LocalCluster.start({ seed: 5 })
    const run = async (): Promise<number> => (await cluster.complete(basicTopology, { sources: { one: fed } })).tuples('two').length
    expect(await run()).toBe(4)
    expect(await Promise.all([run(), run()])).toEqual([4, 4])
  })

  test('testWithSimulatedTime: the clock moves when it is told to, and only then', async () => {
    const clock = new VirtualClock(1_000)
    expect([clock.now(), clock.date()]).toEqual([0, 1_000])
    clock.moveTo(60_000)
    expect([clock.now(), clock.date()]).toEqual([60_000, 61_000])
    clock.moveTo(10)
    expect(clock.now()).toBe(60_000)
    await using cluster = await LocalCluster.start({ seed: 5 })
    const running = await cluster.submit(topology('time', (t) => void t.spout('one', feeder(Word).spout)))
    expect(running.nowMs).toBe(0)
    await running.settle()
    expect(running.nowMs).toBe(0)
    await running.advance('1m')
    expect(running.nowMs).toBe(60_000)
  })

  test('testWithTrackedCluster: the tracker counts trees between two looks', async () => {
    const source = feeder(Num)
    const pass = defineBolt({ input: Num, output: Num, execute: (values, out) => out.emit(values) })
    const sink = defineBolt({ input: Num, execute: () => undefined })
    await using cluster = await LocalCluster.start({ seed: 5 })
    const running = await cluster.submit(
      topology('tracked', (t) => void t.bolt('sink', sink).shuffle(t.bolt('pass', pass).shuffle(t.spout('one', source.spout)))),
    )
    source.feed({ num: 1 })
    await running.settle()
    expect(source.takeAcked()).toBe(1)
    expect(source.takeAcked()).toBe(0)
    for (const num of [2, 3, 4]) source.feed({ num })
    await running.settle()
    expect(source.takeAcked()).toBe(3)
    expect(running.executed('sink').map(({ values }) => values)).toEqual([{ num: 1 }, { num: 2 }, { num: 3 }, { num: 4 }])
  })

  test('testAdvanceClusterTime: held until time has moved far enough', async () => {
    const source = feeder(Num)
    const hold = defineBolt({ input: Num, ack: 'manual', execute: () => undefined })
    await using cluster = await LocalCluster.start({ seed: 5 })
    const running = await cluster.submit(
      topology('advance', (t) => void t.bolt('hold', hold).shuffle(t.spout('one', source.spout))),
      {
        config: { 'topology.message.timeout.secs': 100 },
      },
    )
    source.feed({ num: 1 }, 'a')
    source.feed({ num: 2 }, 'b')
    await running.advance('20s')
    expect(source.failed).toEqual([])
    await running.advance('79s')
    expect(source.failed).toEqual([])
    await running.advance('22s')
    expect(source.failed.map(({ id }) => id)).toEqual(['a', 'b'])
  })

  test('testDisableTupleTimeout: nothing expires', async () => {
    const source = feeder(Num)
    const hold = defineBolt({ input: Num, ack: 'manual', execute: () => undefined })
    await using cluster = await LocalCluster.start({ seed: 5 })
    const running = await cluster.submit(
      topology('no-timeout', (t) => void t.bolt('hold', hold).shuffle(t.spout('one', source.spout))),
      {
        config: { 'topology.message.timeout.secs': 10, 'topology.enable.message.timeouts': false },
      },
    )
    source.feed({ num: 1 })
    await running.advance('5m')
    expect([source.acked, source.failed]).toEqual([[], []])
    expect(running.snapshot().pending).toBe(1)
  })

  test('testTestTuple: a bolt sees values, component, stream and task of what it holds', async () => {
    const seen: unknown[] = []
    const look = defineBolt({
      input: Word,
      ack: 'manual',
      execute(values, out, tuple) {
        seen.push({ values, ...tuple.values, component: tuple.component, stream: tuple.stream, task: tuple.task })
        out.ack(tuple)
      },
    })
    const source = defineSpout({
      outputs: { other: Word },
      open({ task }) {
        return (out) => {
          out.emitTo('other', { word: `from ${task}` })
          out.end()
        }
      },
    })
    await using cluster = await LocalCluster.start({ seed: 5, executors: 2 })
    const done = await cluster.complete(
      topology('test-tuple', (t) => void t.bolt('look', look).shuffle(t.spout('source', source).stream('other'))),
    )
    expect(done.result.acked).toBe(1)
    expect(seen).toEqual([{ values: { word: 'from 0' }, word: 'from 0', component: 'source', stream: 'other', task: 0 }])
  })
})

describe('SpoutExecutorTest', () => {
  test.each([1, 2, 4])('every tree of several tasks expires once, after T and by T + T/10, on %d executors', async (executors) => {
    const expired: { readonly task: number; readonly id: unknown; readonly at: number }[] = []
    const spout = defineSpout({
      output: Num,
      open({ task, now }) {
        let n = 0
        return {
          nextTuple(out) {
            if (n < 3) out.emit({ num: n }, n++)
          },
          fail: (id) => void expired.push({ task, id, at: now() }),
        }
      },
    })
    const hold = defineBolt({ input: Num, ack: 'manual', execute: () => undefined })
    await using cluster = await LocalCluster.start({ seed: 5, executors })
    const running = await cluster.submit(
      topology('expiry', (t) => void t.bolt('hold', hold).shuffle(t.spout('spout', spout, { parallelism: 4 }))),
      {
        config: { messageTimeoutMs: '10s' },
      },
    )
    await running.advance('30s')
    const each = [0, 1, 2, 3].flatMap((task) => [0, 1, 2].map((id) => `${task} ${id}`))
    expect(expired.map(({ task, id }) => `${task} ${String(id)}`).toSorted()).toEqual(each)
    for (const { at } of expired) {
      expect(at).toBeGreaterThanOrEqual(10_000)
      expect(at).toBeLessThanOrEqual(11_000)
    }
    expect(running.snapshot().totals).toMatchObject({ emitted: 12, expired: 12, acked: 0 })
  })
})

describe('TickTupleTest', () => {
  test.each([1, 2, 4])('one tick an interval, exactly spaced and none extra, on %d executors', async (executors) => {
    const at: number[] = []
    const ticked = defineBolt({
      input: Num,
      config: { 'topology.tick.tuple.freq.secs': 30 },
      prepare: ({ now }) => ({ execute: () => undefined, onTick: () => void at.push(now()) }),
    })
    await using cluster = await LocalCluster.start({ seed: 5, executors })
    const running = await cluster.submit(topology('ticks', (t) => void t.bolt('ticked', ticked).shuffle(t.spout('one', feeder(Num).spout))))
    await running.settle()
    expect(at).toEqual([])
    await running.advance(29_999)
    expect(at).toEqual([])
    await running.advance(1)
    expect(at).toEqual([30_000])
    for (let ticks = 2; ticks <= 6; ticks++) {
      await running.advance('30s')
      expect(at.length).toBe(ticks)
    }
    expect(at).toEqual([30_000, 60_000, 90_000, 120_000, 150_000, 180_000])
  })

  test('each task gets its own, and `tick` of the declaration is the same setting', async () => {
    const ticks: number[] = []
    const ticked = defineBolt({
      input: Num,
      tick: '1s',
      prepare: ({ taskIndex }) => ({ execute: () => undefined, onTick: () => void ticks.push(taskIndex) }),
    })
    await using cluster = await LocalCluster.start({ seed: 5 })
    const running = await cluster.submit(
      topology('ticks', (t) => void t.bolt('ticked', ticked, { parallelism: 3 }).shuffle(t.spout('one', feeder(Num).spout))),
    )
    await running.advance('2s')
    expect(ticks.toSorted()).toEqual([0, 0, 1, 1, 2, 2])
  })
})

describe('MessagingTest', () => {
  /** spout tasks, bolt tasks, executors: all in one executor, one task in each, and mixed */
  const shapes = [
    [1, 1, 1],
    [6, 6, 1],
    [1, 1, 2],
    [2, 5, 2],
    [4, 4, 4],
    [7, 9, 4],
    [1, 16, 4],
  ] as const

  test.each(shapes)('%d spout tasks to %d bolt tasks on %d executors: everything arrives once', async (spouts, bolts, executors) => {
    const total = 600
    const numbers = Array.from({ length: total }, (_, num) => ({ num }))
    const source = defineSpout({ output: Num, open: () => (out) => out.end() })
    const pass = defineBolt({ input: Num, output: Num, execute: (values, out) => out.emit(values) })
    const sink = defineBolt({ input: Num, execute: () => undefined })
    await using cluster = await LocalCluster.start({ seed: 5, executors })
    const wired = topology('messaging', (t) => {
      const passed = t.bolt('pass', pass, { parallelism: bolts }).shuffle(t.spout('source', source, { parallelism: spouts }))
      t.bolt('sink', sink, { parallelism: bolts }).shuffle(passed)
    })
    const done = await cluster.complete(wired, { sources: { source: numbers } })
    const arrived = done.executed('sink').map(({ values }) => (values as { num: number }).num)
    expect(arrived.toSorted((a, b) => a - b)).toEqual(numbers.map(({ num }) => num))
    expect(done.result).toMatchObject({ emitted: total, acked: total, failed: 0, expired: 0, replayed: 0 })
  })

  test.each([1, 2, 4])('between two tasks the order is kept, whatever the lanes do, on %d executors', async (executors) => {
    const Keyed = z.object({ num: z.int(), n: z.int() })
    const source = defineSpout({ output: Keyed, open: () => (out) => out.end() })
    const sink = defineBolt({ input: Keyed, execute: () => undefined })
    const wired = topology('order', (t) => void t.bolt('sink', sink, { parallelism: 3 }).fields(t.spout('source', source), ['num']))
    // 20 keys a hundred times, in bundles of a kilobyte
    const tuples = Array.from({ length: 2_000 }, (_, n) => ({ num: n % 20, n }))
    await using cluster = await LocalCluster.start({ seed: 5, executors })
    const done = await cluster.complete(wired, { sources: { source: tuples }, config: { bundleBytes: 1_024 } })
    for (let num = 0; num < 20; num++) {
      const of = done.executed('sink').filter(({ values }) => (values as { num: number }).num === num)
      expect(of.map(({ values }) => (values as { n: number }).n)).toEqual(Array.from({ length: 100 }, (_, i) => i * 20 + num))
      expect(new Set(of.map(({ task }) => task)).size).toBe(1)
    }
  })

  test('a word count is the same on one and on several executors', async () => {
    const source = defineSpout({ output: Word, open: () => (out) => out.end() })
    const wired = topology(
      'count',
      (t) => void t.bolt('count', wordCount, { parallelism: 5 }).fields(t.spout('source', source, { parallelism: 3 }), ['word']),
    )
    const many = Array.from({ length: 500 }, (_, i) => ({ word: `w${(i * 7) % 23}` }))
    const results: string[][] = []
    for (const executors of [1, 2, 4]) {
      await using cluster = await LocalCluster.start({ seed: 5, executors })
      const done = await cluster.complete(wired, { sources: { source: many } })
      results.push(
        done
          .tuples('count')
          .map((tuple) => JSON.stringify(tuple))
          .toSorted(),
      )
    }
    expect(results[0]).toHaveLength(500)
    expect(results[1]).toEqual(results[0])
    expect(results[2]).toEqual(results[0])
  })
})
