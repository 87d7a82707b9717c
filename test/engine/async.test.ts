/** Bolts whose `execute` returns a promise. */
import { describe, expect, test } from 'vitest'
import { SquallError } from '../../lib/errors.ts'
import { defineBolt, defineSpout, topology, z } from '../../lib/index.ts'
import type { BoltOutput } from '../../lib/index.ts'
import { LocalCluster, feeder } from '../../lib/testing/index.ts'

const Num = z.object({ num: z.int() })
type Num = z.infer<typeof Num>
const source = defineSpout({ output: Num, replay: true, open: () => (out) => out.end() })
const sink = defineBolt({ input: Num, execute: () => undefined })
const numbers = (count: number): Num[] => Array.from({ length: count }, (_, num) => ({ num }))
const numsOf = (tuples: readonly object[]): number[] => tuples.map((tuple) => (tuple as Num).num)

/** Waits longer the smaller the number, so that calls end in the reverse order; emits before and after it waited. */
const slow = (options: { readonly concurrency?: number; readonly ordered?: boolean }, seen: { inFlight: number; most: number }) =>
  defineBolt({
    input: Num,
    output: Num,
    ...options,
    prepare:
      ({ sleep }) =>
      async ({ num }, out) => {
        seen.most = Math.max(seen.most, ++seen.inFlight)
        out.emit({ num })
        await sleep(1_000 - num * 10)
        out.emit({ num })
        seen.inFlight--
      },
  })

describe.each([1, 2])('on %d executors', (executors) => {
  const complete = async (bolt: ReturnType<typeof slow>, count = 12) => {
    await using cluster = await LocalCluster.start({ seed: 13, executors })
    const wired = topology('async', (t) => void t.bolt('sink', sink).shuffle(t.bolt('slow', bolt).shuffle(t.spout('source', source))))
    return cluster.complete(wired, { sources: { source: numbers(count) } })
  }

  test.each([undefined, 1, 4, 100])('calls under way in a task are bounded by concurrency %s', async (concurrency) => {
    const seen = { inFlight: 0, most: 0 }
    const done = await complete(slow(concurrency === undefined ? {} : { concurrency }, seen))
    expect(seen).toEqual({ inFlight: 0, most: Math.min(concurrency ?? 1, 12) })
    expect(done.result).toMatchObject({ emitted: 12, acked: 12, failed: 0 })
    expect(numsOf(done.tuples('slow')).toSorted((a, b) => a - b)).toEqual(numbers(12).flatMap(({ num }) => [num, num]))
  })

  test('without `ordered` each emits when it does; with it all emits are in the order of the inputs, once', async () => {
    const free = await complete(slow({ concurrency: 12 }, { inFlight: 0, most: 0 }))
    expect(numsOf(free.executed('sink').map(({ values }) => values))).toEqual([...numsOf(numbers(12)), ...numsOf(numbers(12)).toReversed()])
    const ordered = await complete(slow({ concurrency: 12, ordered: true }, { inFlight: 0, most: 0 }))
    const inOrder = numbers(12).flatMap(({ num }) => [num, num])
    expect(numsOf(ordered.executed('sink').map(({ values }) => values))).toEqual(inOrder)
    expect(numsOf(ordered.tuples('slow'))).toEqual(inOrder)
  })

  test('ordered, with calls that return at once between those that wait', async () => {
    const mixed = defineBolt({
      input: Num,
      output: Num,
      concurrency: 5,
      ordered: true,
      prepare:
        ({ sleep }) =>
        ({ num }, out) => {
          if (num % 3 !== 0) {
            out.emit({ num })
            return undefined
          }
          return sleep(100 - num).then(() => out.emit({ num }))
        },
    })
    const done = await complete(mixed, 40)
    expect(numsOf(done.executed('sink').map(({ values }) => values))).toEqual(numsOf(numbers(40)))
    expect(done.result).toMatchObject({ acked: 40, failed: 0 })
  })

  test('a rejection fails the tuple and is reported; with `ordered` it loses its own emits and holds up no one', async () => {
    for (const ordered of [false, true]) {
      let calls = 0
      const rejects = defineBolt({
        input: Num,
        output: Num,
        concurrency: 6,
        ordered,
        prepare:
          ({ sleep }) =>
          async ({ num }, out) => {
            calls++
            await sleep(100 - num)
            out.emit({ num })
            if (num === 2 && calls <= 6) throw new Error('two, the first time')
          },
      })
      const done = await complete(rejects, 6)
      expect(done.result).toMatchObject({ emitted: 6, acked: 6, failed: 1, replayed: 1, deadLettered: 0 })
      expect(done.errors).toMatchObject([{ component: 'slow', message: 'two, the first time', tuple: '{"num":2}' }])
      const passed = numsOf(done.executed('sink').map(({ values }) => values))
      // its emit had left before it failed, unless it waited for its turn
      expect(passed.filter((num) => num === 2)).toHaveLength(ordered ? 1 : 2)
      expect(new Set(passed)).toEqual(new Set([0, 1, 2, 3, 4, 5]))
      const task = done.snapshot().components.find(({ id }) => id === 'slow')?.tasks[0]
      expect(task).toMatchObject({ acked: 6, failed: 1, pending: 0 })
    }
  })

  test('a tree is not done before its promise has settled', async () => {
    const fed = feeder(Num)
    const waits = defineBolt({
      input: Num,
      prepare:
        ({ sleep }) =>
        async () =>
          sleep(5_000),
    })
    await using cluster = await LocalCluster.start({ seed: 13, executors })
    const running = await cluster.submit(topology('waits', (t) => void t.bolt('waits', waits).shuffle(t.spout('source', fed.spout))))
    fed.feed({ num: 1 })
    await running.advance(4_999)
    expect(fed.acked).toEqual([])
    await running.advance(1)
    expect(fed.acked).toEqual([0])
  })

  test('manual acking in an async bolt: what it did not settle stays open, what it rejects fails', async () => {
    const fed = feeder(Num)
    const manual = defineBolt({
      input: Num,
      output: Num,
      ack: 'manual',
      concurrency: 3,
      prepare:
        ({ sleep }) =>
        async ({ num }, out, tuple) => {
          await sleep(100)
          if (num === 0) throw new Error('zero')
          out.emit({ num }, { anchors: tuple })
          if (num === 1) out.ack(tuple)
        },
    })
    await using cluster = await LocalCluster.start({ seed: 13, executors })
    const running = await cluster.submit(
      topology('manual', (t) => void t.bolt('sink', sink).shuffle(t.bolt('manual', manual).shuffle(t.spout('source', fed.spout)))),
      {
        config: { messageTimeoutMs: '10s' },
      },
    )
    for (const num of [0, 1, 2]) fed.feed({ num }, num)
    await running.advance('1s')
    expect(fed.acked).toEqual([1])
    expect(fed.failed).toMatchObject([{ id: 0, failure: { kind: 'failed', component: 'manual', message: 'zero' } }])
    await running.advance('11s')
    expect(fed.failed.map(({ id }) => id)).toEqual([0, 2])
  })
})

/* oxlint-disable unicorn/no-thenable -- what users may do by mistake */
test('what execute returns may be any object with a then: it settles once', async () => {
  const odd = [
    {
      // both, and both twice
      then(resolve: () => void, reject: (error: Error) => void) {
        resolve()
        reject(new Error('no'))
        resolve()
        reject(new Error('no'))
      },
    },
    {
      then(_resolve: () => void, reject: (error: Error) => void) {
        reject(new Error('rejected'))
        reject(new Error('no'))
      },
    },
    {
      then() {
        throw new Error('thrown')
      },
    },
    {
      get then() {
        throw new Error('got')
      },
    },
    // no promise at all
    { then: 5 },
    new Map(),
  ]
  for (const ack of ['auto', 'manual'] as const) {
    const fed = feeder(Num)
    const bolt = defineBolt({
      input: Num,
      ack: ack as 'manual',
      concurrency: 2,
      execute({ num }, out, tuple) {
        if (ack === 'manual' && [0, 4, 5].includes(num)) out.ack(tuple)
        return odd[num] as never
      },
    })
    await using cluster = await LocalCluster.start({ seed: 13 })
    const running = await cluster.submit(topology('odd', (t) => void t.bolt('odd', bolt).shuffle(t.spout('source', fed.spout))))
    odd.forEach((_, num) => fed.feed({ num }, num))
    fed.end()
    await running.complete()
    expect(fed.acked.toSorted()).toEqual([0, 4, 5])
    expect(fed.failed.map(({ id, failure }) => [id, failure.message]).toSorted()).toEqual([
      [1, 'rejected'],
      [2, 'thrown'],
      [3, 'got'],
    ])
    expect(running.snapshot().components.find(({ id }) => id === 'odd')?.tasks[0]).toMatchObject({ acked: 3, failed: 3, pending: 0 })
  }
})

/* oxlint-enable unicorn/no-thenable */
test('an emit after execute has returned is refused, in its promise or without one', async () => {
  const kept: BoltOutput<{ readonly default: Num }>[] = []
  const refused: unknown[] = []
  const emitLater = (): void => {
    for (const out of kept)
      try {
        out.emit({ num: -1 })
      } catch (error) {
        refused.push(error instanceof SquallError ? error.code : error)
      }
  }
  const keeps = defineBolt({
    input: Num,
    output: Num,
    concurrency: 3,
    prepare:
      ({ sleep }) =>
      ({ num }, out) => {
        kept.push(out)
        return num % 2 === 0 ? undefined : sleep(100)
      },
  })
  const fed = feeder(Num)
  await using cluster = await LocalCluster.start({ seed: 13 })
  const running = await cluster.submit(
    topology('late', (t) => void t.bolt('sink', sink).shuffle(t.bolt('keeps', keeps).shuffle(t.spout('source', fed.spout)))),
  )
  for (const num of [0, 1]) fed.feed({ num })
  await running.advance('1s')
  expect(fed.acked).toHaveLength(2)
  emitLater()
  expect(refused).toEqual(['emit-outside', 'emit-outside'])
  expect(running.executed('sink')).toEqual([])
})

test('a promise that settles outside a turn: the latency of its tree is the time until then', async () => {
  const fed = feeder(Num)
  const waits = defineBolt({
    input: Num,
    prepare:
      ({ sleep }) =>
      async () =>
        sleep(500),
  })
  await using cluster = await LocalCluster.start({ seed: 13 })
  const running = await cluster.submit(topology('latency', (t) => void t.bolt('waits', waits).shuffle(t.spout('source', fed.spout))))
  fed.feed({ num: 1 })
  await running.advance('1s')
  expect(running.snapshot().latencyMs).toMatchObject({ count: 1, max: 500 })
})
