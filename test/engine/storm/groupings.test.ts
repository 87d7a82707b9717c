/** Storm's GroupingIntegrationTest, ShuffleGroupingTest and partialKeyGrouping, and every other grouping by its definition. */
import { describe, expect, test } from 'vitest'
import { grouperOf } from '../../../lib/engine/groupers.ts'
import type { Grouper } from '../../../lib/engine/groupers.ts'
import { defineBolt, defineSpout, topology, z } from '../../../lib/index.ts'
import { Random } from '../../../lib/std/random.ts'
import { LocalCluster, feeder } from '../../../lib/testing/index.ts'
import type { Completed, LocalTopology } from '../../../lib/testing/index.ts'
import type { Grouping } from '../../../lib/topology/grouping.ts'
import { Num, Word } from './parts.ts'

const source = defineSpout({ output: Num, open: () => (out) => out.end() })
const wordSource = defineSpout({ output: Word, open: () => (out) => out.end() })
const sink = defineBolt({ input: Num, execute: () => undefined })
const wordSink = defineBolt({ input: Word, execute: () => undefined })

const numbers = (n: number): { num: number }[] => Array.from({ length: n }, (_, num) => ({ num }))

/** How many tuples each task of the sink executed, by index. */
function perTask(done: Completed | LocalTopology, tasks: number, of = 'sink'): number[] {
  const counts = new Array<number>(tasks).fill(0)
  for (const { taskIndex } of done.executed(of)) counts[taskIndex] = (counts[taskIndex] as number) + 1
  return counts
}

function grouper(grouping: Grouping, count: number, local: readonly number[] = [], seed = 1): Grouper {
  const targets = Array.from({ length: count }, (_, i) => 100 + i)
  return grouperOf(grouping, { component: 'source', stream: 'default', targets, local, reader: 'reader' }, new Random(seed))
}

/** The one place that a grouping chooses for each of `tuples`. */
function places(of: Grouper, tuples: readonly Readonly<Record<string, unknown>>[]): number[] {
  if (!of.one) throw new TypeError('a grouping to one task')
  return tuples.map((tuple) => of.choose(tuple))
}

function counts(of: readonly number[], count: number): number[] {
  const all = new Array<number>(count).fill(0)
  for (const place of of) all[place] = (all[place] as number) + 1
  return all
}

describe('shuffle', () => {
  test('testShuffle: 49 to 51 % of 100,000 on each of two tasks', () => {
    const [a, b] = counts(places(grouper({ type: 'shuffle' }, 2), numbers(100_000)), 2) as [number, number]
    expect(a + b).toBe(100_000)
    for (const share of [a, b]) {
      expect(share).toBeGreaterThanOrEqual(49_000)
      expect(share).toBeLessThanOrEqual(51_000)
    }
  })

  test.each([1, 2, 4])('testShuffle as a topology on %d executors: 4 senders, 2 tasks, 49 to 51 %', async (executors) => {
    await using cluster = await LocalCluster.start({ seed: 9, executors })
    const wired = topology(
      'shuffle',
      (t) => void t.bolt('sink', sink, { parallelism: 2 }).shuffle(t.spout('source', source, { parallelism: 4 })),
    )
    const done = await cluster.complete(wired, { sources: { source: numbers(10_000) }, config: { check: false } })
    const [a, b] = perTask(done, 2) as [number, number]
    expect(a + b).toBe(10_000)
    expect(Math.abs(a - b)).toBeLessThanOrEqual(200)
  })

  test('in turn: after k rounds each of n tasks had k, in an order of the sender\u2019s own', () => {
    const orders = new Set<string>()
    for (let seed = 0; seed < 20; seed++) {
      const chosen = places(grouper({ type: 'shuffle' }, 5, [], seed), numbers(35))
      expect(counts(chosen, 5)).toEqual([7, 7, 7, 7, 7])
      expect(chosen.slice(5, 10)).toEqual(chosen.slice(0, 5))
      orders.add(chosen.slice(0, 5).join())
    }
    expect(orders.size).toBeGreaterThan(10)
  })
})

describe('fields', () => {
  test.each([1, 2, 4])('testFieldGrouping on %d executors: byte-array keys are counted 1..n on one task each', async (executors) => {
    const Key = z.object({ key: z.instanceof(Uint8Array) })
    const keys = defineSpout({ output: Key, open: () => (out) => out.end() })
    const count = defineBolt({
      input: Key,
      output: z.object({ key: z.string(), n: z.int(), task: z.int() }),
      prepare({ task }) {
        const seen = new Map<string, number>()
        return ({ key }, out) => {
          const text = Buffer.from(key).toString('hex')
          const n = (seen.get(text) ?? 0) + 1
          seen.set(text, n)
          out.emit({ key: text, n, task })
        }
      },
    })
    await using cluster = await LocalCluster.start({ seed: 9, executors })
    const wired = topology(
      'bytes',
      (t) => void t.bolt('count', count, { parallelism: 6 }).fields(t.spout('keys', keys, { parallelism: 4 }), ['key']),
    )
    const fed = Array.from({ length: 600 }, (_, i) => ({ key: Uint8Array.of(i % 50, 255 - (i % 50), 0) }))
    const done = await cluster.complete(wired, { sources: { keys: fed } })
    const counted = done.tuples('count') as { key: string; n: number; task: number }[]
    const keys50 = [...new Set(counted.map(({ key }) => key))]
    expect(keys50).toHaveLength(50)
    for (const of of keys50) {
      const all = counted.filter(({ key }) => key === of)
      expect(all.map(({ n }) => n)).toEqual(Array.from({ length: 12 }, (_, i) => i + 1))
      expect(new Set(all.map(({ task }) => task)).size).toBe(1)
    }
    expect(new Set(counted.map(({ task }) => task)).size).toBe(6)
  })

  test('equal values of any kind go to one task, and two fields are taken together', () => {
    const of = grouper({ type: 'fields', fields: ['a', 'b'] }, 16)
    const pairs = [
      [
        { a: 1, b: 'x' },
        { a: 1, b: 'x', c: 'not a key' },
      ],
      [
        { a: [1, 'two', null], b: 0 },
        { a: [1, 'two', null], b: -0 },
      ],
      [
        { a: { x: 1, y: 2 }, b: null },
        { a: { y: 2, x: 1 }, b: null },
      ],
      [
        { a: new Date(5), b: 7n },
        { a: new Date(5), b: 7n },
      ],
      [
        { a: new Uint8Array([1, 2]), b: true },
        { a: Buffer.from([1, 2]), b: true },
      ],
      [
        { a: 'straße', b: 1.5 },
        { a: 'stra\u00dfe', b: 3 / 2 },
      ],
    ]
    for (const [left, right] of pairs) expect(places(of, [left as object as never])).toEqual(places(of, [right as object as never]))
    // both fields count: over many values each alone spreads the tuples
    const many = (tuple: (i: number) => object): number =>
      new Set(
        places(
          of,
          Array.from({ length: 200 }, (_, i) => tuple(i) as never),
        ),
      ).size
    expect(many((i) => ({ a: i, b: 0 }))).toBe(16)
    expect(many((i) => ({ a: 0, b: i }))).toBe(16)
  })

  test('the same key chooses the same task for every sender and every seed', () => {
    const keys = Array.from({ length: 100 }, (_, i) => ({ word: `key ${i}` }))
    const chosen = [1, 2, 3].map((seed) => places(grouper({ type: 'fields', fields: ['word'] }, 7, [], seed), keys))
    expect(chosen[1]).toEqual(chosen[0])
    expect(chosen[2]).toEqual(chosen[0])
  })
})

describe('partialKey', () => {
  const partial: Grouping = { type: 'partialKey', fields: ['key'] }

  test('one key goes to exactly two tasks, evenly, and the two are the same for every sender', () => {
    for (const key of ['a', 'sensor-7', 42, ['list', 1], null, new Uint8Array([1])]) {
      const tuples = Array.from({ length: 100 }, () => ({ key }))
      const [one, two] = [1, 2].map((seed) => counts(places(grouper(partial, 6, [], seed), tuples), 6)) as [number[], number[]]
      expect(one.filter((n) => n > 0)).toEqual([50, 50])
      expect(two).toEqual(one)
    }
  })

  test('skewed keys are balanced better than by fields', () => {
    // half of all tuples have one key
    const tuples = Array.from({ length: 10_000 }, (_, i) => ({ key: i % 2 === 0 ? 'hot' : `key ${i}` }))
    const spread = (grouping: Grouping): number => Math.max(...counts(places(grouper(grouping, 5), tuples), 5))
    expect(spread(partial)).toBeLessThanOrEqual(3_000)
    expect(spread({ type: 'fields', fields: ['key'] })).toBeGreaterThanOrEqual(5_000)
  })

  test('two tasks share one key; one task gets it alone', () => {
    const tuples = Array.from({ length: 10 }, () => ({ key: 'only' }))
    expect(counts(places(grouper(partial, 2), tuples), 2)).toEqual([5, 5])
    expect(counts(places(grouper(partial, 1), tuples), 1)).toEqual([10])
  })
})

describe('localOrShuffle', () => {
  test('only local tasks if there are any, evenly', () => {
    const of = grouper({ type: 'localOrShuffle' }, 4, [1, 3])
    expect(counts(places(of, numbers(100)), 4)).toEqual([0, 50, 0, 50])
  })

  test('without local tasks it shuffles', () => {
    expect(counts(places(grouper({ type: 'localOrShuffle' }, 4), numbers(100)), 4)).toEqual([25, 25, 25, 25])
  })

  test.each([1, 2, 4])('in a topology on %d executors nothing leaves an executor that has a task', async (executors) => {
    await using cluster = await LocalCluster.start({ seed: 9, executors })
    const tag = defineBolt({
      input: Num,
      output: z.object({ by: z.int() }),
      prepare:
        ({ task }) =>
        (_values, out) =>
          out.emit({ by: task }),
    })
    const tell = defineBolt({
      input: z.object({ by: z.int() }),
      output: z.object({ by: z.int(), at: z.int() }),
      prepare:
        ({ task }) =>
        ({ by }, out) =>
          out.emit({ by, at: task }),
    })
    const wired = topology('local', (t) => {
      const tagged = t.bolt('tag', tag, { parallelism: 4 }).shuffle(t.spout('source', source))
      t.bolt('tell', tell, { parallelism: 4 }).localOrShuffle(tagged)
    })
    const done = await cluster.complete(wired, { sources: { source: numbers(100) } })
    const tasks = done.snapshot().components.flatMap((component) => component.tasks)
    const executorOf = (task: number): number | undefined => tasks.find((one) => one.task === task)?.executor
    const pairs = done.tuples('tell') as { by: number; at: number }[]
    expect(pairs).toHaveLength(100)
    for (const { by, at } of pairs) expect(executorOf(at)).toBe(executorOf(by))
  })
})

describe.each([1, 2, 4])('on %d executors', (executors) => {
  test('testCustomGroupings: as many copies as the grouping names tasks', async () => {
    const seen: unknown[] = []
    await using cluster = await LocalCluster.start({ seed: 9, executors })
    const wired = topology('custom', (t) => {
      const words = t.spout('words', wordSource)
      t.bolt('sink', wordSink, { parallelism: 4 }).custom(words, {
        prepare(context) {
          seen.push({ component: context.component, stream: context.stream, targets: [...context.targets] })
          return ({ word }) => context.targets.slice(0, word.length)
        },
      })
    })
    const done = await cluster.complete(wired, { sources: { words: [{ word: 'a' }, { word: 'bb' }, { word: '' }, { word: 'cccc' }] } })
    expect(perTask(done, 4)).toEqual([3, 2, 1, 1])
    expect(done.result).toMatchObject({ emitted: 4, acked: 4 })
    // once for the one task that sends
    expect(seen).toEqual([{ component: 'words', stream: 'default', targets: [1, 2, 3, 4] }])
  })

  test('a custom grouping may name one task; a task that does not read the stream is a coded error', async () => {
    await using cluster = await LocalCluster.start({ seed: 9, executors })
    const by = (task: (targets: readonly number[]) => number) =>
      topology(
        'custom',
        (t) =>
          void t.bolt('sink', sink, { parallelism: 2 }).custom(t.spout('source', source), {
            prepare:
              ({ targets }) =>
              () =>
                task(targets),
          }),
      )
    const done = await cluster.complete(
      by((targets) => targets[1] as number),
      { sources: { source: numbers(10) } },
    )
    expect(perTask(done, 2)).toEqual([0, 10])
    await expect(
      cluster.complete(
        by(() => 0),
        { sources: { source: numbers(10) } },
      ),
    ).rejects.toMatchObject({ code: 'bad-task', where: { component: 'source' } })
  })

  test('all: every task gets every tuple', async () => {
    await using cluster = await LocalCluster.start({ seed: 9, executors })
    const done = await cluster.complete(
      topology('all', (t) => void t.bolt('sink', sink, { parallelism: 5 }).all(t.spout('source', source))),
      { sources: { source: numbers(20) } },
    )
    expect(perTask(done, 5)).toEqual([20, 20, 20, 20, 20])
    expect(done.result).toMatchObject({ emitted: 20, acked: 20 })
  })

  test('global: the task with the lowest number gets all of it', async () => {
    await using cluster = await LocalCluster.start({ seed: 9, executors })
    const done = await cluster.complete(
      topology('global', (t) => void t.bolt('sink', sink, { parallelism: 5 }).global(t.spout('source', source, { parallelism: 3 }))),
      { sources: { source: numbers(20) } },
    )
    expect(perTask(done, 5)).toEqual([20, 0, 0, 0, 0])
  })

  test('none: every tuple to one task, by chance', async () => {
    await using cluster = await LocalCluster.start({ seed: 9, executors })
    const done = await cluster.complete(
      topology('none', (t) => void t.bolt('sink', sink, { parallelism: 4 }).none(t.spout('source', source))),
      { sources: { source: numbers(4_000) } },
    )
    const spread = perTask(done, 4)
    expect(spread.reduce((sum, n) => sum + n)).toBe(4_000)
    // 10 standard deviations around 1,000
    for (const n of spread) expect(Math.abs(n - 1_000)).toBeLessThan(280)
  })

  test('direct: the sender names the task, which it knows from tasksOf', async () => {
    const router = defineBolt({
      input: Num,
      outputs: { routed: { schema: Num, direct: true } },
      prepare({ tasksOf }) {
        const tasks = tasksOf('sink')
        return (values, out) => out.emitDirect(tasks[values.num % tasks.length] as number, 'routed', values)
      },
    })
    await using cluster = await LocalCluster.start({ seed: 9, executors })
    const wired = topology('direct', (t) => {
      const routed = t.bolt('router', router, { parallelism: 2 }).shuffle(t.spout('source', source))
      t.bolt('sink', sink, { parallelism: 3 }).direct(routed.stream('routed'))
    })
    const done = await cluster.complete(wired, { sources: { source: numbers(30) } })
    expect(done.executed('sink').every(({ taskIndex, values }) => taskIndex === (values as { num: number }).num % 3)).toBe(true)
    expect(perTask(done, 3)).toEqual([10, 10, 10])
    expect(done.result).toMatchObject({ emitted: 30, acked: 30 })
  })

  test('direct from a spout: and again to the same task when it is replayed', async () => {
    const direct = defineSpout({
      outputs: { routed: { schema: Num, direct: true } },
      replay: true,
      open({ tasksOf }) {
        return (out) => {
          out.emitDirect(tasksOf('sink')[1] as number, 'routed', { num: 1 })
          out.end()
        }
      },
    })
    const failsOnce = defineBolt({
      input: Num,
      prepare() {
        let calls = 0
        return () => {
          if (calls++ === 0) throw new Error('the first time')
        }
      },
    })
    await using cluster = await LocalCluster.start({ seed: 9, executors })
    const done = await cluster.complete(
      topology('direct', (t) => void t.bolt('sink', failsOnce, { parallelism: 3 }).direct(t.spout('source', direct).stream('routed'))),
    )
    expect(perTask(done, 3)).toEqual([0, 2, 0])
    expect(done.result).toMatchObject({ emitted: 1, acked: 1, failed: 1, replayed: 1 })
  })

  test('one stream read twice by one bolt, and by two bolts, each by its own grouping', async () => {
    await using cluster = await LocalCluster.start({ seed: 9, executors })
    const wired = topology('twice', (t) => {
      const one = t.spout('source', source)
      t.bolt('sink', sink, { parallelism: 2 }).all(one).global(one)
      t.bolt('other', sink, { parallelism: 2 }).shuffle(one)
    })
    const done = await cluster.complete(wired, { sources: { source: numbers(10) } })
    expect(perTask(done, 2)).toEqual([20, 10])
    expect(perTask(done, 2, 'other')).toEqual([5, 5])
    expect(done.result).toMatchObject({ emitted: 10, acked: 10 })
  })
})

test('emitDirect on a stream that is not direct, emit on one that is, and a task that does not read it are coded errors', async () => {
  const spout = (emit: 'plain' | 'direct' | 'wrong task') =>
    defineSpout({
      output: Num,
      outputs: { routed: { schema: Num, direct: true } },
      open: () => (out) => {
        if (emit === 'plain') out.emitTo('routed', { num: 1 })
        else if (emit === 'direct') out.emitDirect(1, 'default', { num: 1 })
        else out.emitDirect(0, 'routed', { num: 1 })
        out.end()
      },
    })
  await using cluster = await LocalCluster.start({ seed: 9 })
  for (const [emit, code] of [
    ['plain', 'bad-emit'],
    ['direct', 'bad-emit'],
    ['wrong task', 'bad-task'],
  ] as const) {
    const wired = topology('misused', (t) => {
      const one = t.spout('source', spout(emit))
      t.bolt('sink', sink).direct(one.stream('routed'))
      t.bolt('other', sink).shuffle(one)
    })
    await expect(cluster.complete(wired)).rejects.toMatchObject({ code, where: { component: 'source' } })
  }
})

test('a feeder can be read by any grouping', async () => {
  const fed = feeder(Num)
  await using cluster = await LocalCluster.start({ seed: 9 })
  const running = await cluster.submit(
    topology('fed', (t) => void t.bolt('sink', sink, { parallelism: 2 }).all(t.spout('source', fed.spout))),
  )
  fed.feed({ num: 1 })
  await running.settle()
  expect(perTask(running, 2)).toEqual([1, 1])
  expect(fed.acked).toHaveLength(1)
})
