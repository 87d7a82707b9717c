/**
 * The laws of watermarks at their edges: what is exactly as late as the watermark is late, whatever operator asks; what is known of times is
 * known of a union as far as of all its parts.
 */
import { describe, expect, test } from 'vitest'
import { memorySource, sessionWindow, topology, tumblingWindow } from '../../../lib/index.ts'
import type { DStream } from '../../../lib/index.ts'
import { ranOf, rowsOf } from './event-runs.ts'

interface Click {
  readonly user: string
  readonly at: number | null
}

function clicks(...all: readonly (readonly [user: string, seconds: number | null])[]): Click[] {
  return all.map(([user, seconds]) => ({ user, at: seconds === null ? null : seconds * 1000 }))
}

/** The watermark that all of these are late by: 10 s. */
const first = clicks(['first', 20])
const delay = '10s'

describe.each([1, 2])('what is as late as the watermark is late, on %i executors', (executors) => {
  const on = { executors }

  test('without windows, by its own time', async () => {
    const byTime = await ranOf([first, clicks(['late', 10], ['in time', 10.001])], (s) => s.withWatermark('at', delay).dropDuplicates('user', 'at').records, on) // prettier-ignore
    expect(rowsOf(byTime, ({ user }) => user)[1]).toEqual(['"in time"'])
    expect(byTime[1]?.[0]?.operators[0]).toMatchObject({ dropped: 1, duplicates: 0 })

    const grouped = await ranOf([first, clicks(['late', 10], ['in time', 10.001]), clicks(['next', 40])], (s) => s.withWatermark('at', delay).groupBy('at').count().records, on) // prettier-ignore
    expect(rowsOf(grouped, ({ at, count }) => [at, count])).toEqual([[], [], ['[10001,1]', '[20000,1]']])
    expect(grouped[1]?.[0]?.operators[0]).toMatchObject({ dropped: 1, rows: 2 })
  })

  test('in a window, by its end', async () => {
    const ran = await ranOf([first, clicks(['late', 9.999], ['in time', 10])], (s) => s.withWatermark('at', delay).groupBy(tumblingWindow('5s')).count().late(), on) // prettier-ignore
    expect(rowsOf(ran, ({ user }) => user)).toEqual([[], ['"late"']])
  })

  test('in a session, by its end', async () => {
    const counts = (s: DStream<Click>) => s.withWatermark('at', delay).groupBy('user', sessionWindow('5s')).count() // prettier-ignore
    const ran = await ranOf([first, clicks(['late', 5], ['in time', 5.001]), clicks(['next', 40])], (s) => counts(s).records, on)
    expect(rowsOf(ran, ({ user }) => user)).toEqual([[], [], ['"first"', '"in time"']])
    expect(ran[1]?.[0]?.operators[0]).toMatchObject({ dropped: 1 })
  })

  test('all late records of a key come out, from whatever task they are', async () => {
    // four records in two partitions, which lie in two executors where there are two
    const late = clicks(['a', 3], ['b', 3], ['c', 3], ['d', 3])
    for (const of of [
      (s: DStream<Click>) => s.withWatermark('at', delay).groupBy('at').count(),
      (s: DStream<Click>) => s.withWatermark('at', delay).groupBy(tumblingWindow('5s')).count(),
      (s: DStream<Click>) => s.map(({ user, at }) => ({ user: 'all', name: user, at })).withWatermark('at', delay).groupBy('user', sessionWindow('1s')).count(), // prettier-ignore
    ]) {
      let dropped = 0
      const ran = await ranOf(
        [first, late],
        (s) => {
          const counts = of(s)
          counts.foreachRDD((_, { operators }) => void (dropped += operators[0]?.dropped ?? 0))
          return counts.late()
        },
        on,
      )
      expect(rowsOf(ran, ({ user, name = user }: Click & { readonly name?: string }) => name)[1]).toEqual(['"a"', '"b"', '"c"', '"d"'])
      expect(dropped).toBe(4)
    }
  })
})

test('a record without a time is remembered from the watermark on', async () => {
  const ran = await ranOf(
    [first, clicks(['n', null]), clicks(['x', 25]), clicks(['n', null]), clicks(['y', 45]), clicks(['n', null])],
    (s) => s.withWatermark('at', delay).dropDuplicatesWithinWatermark('user').records,
  )
  // seen at 10 s, kept until the watermark has come to 20 s, which it does with the record of 45 s
  expect(rowsOf(ran, ({ user }) => user)).toEqual([['"first"'], ['"n"'], ['"x"'], [], ['"y"'], ['"n"']])
})

describe('a union', () => {
  test('has the longest delay of its parts', async () => {
    const ran = await ranOf(
      [clicks(['a', 20]), clicks(['z', 35]), clicks(['a', 35])],
      (s) => s.withWatermark('at', delay).union(s.withWatermark('at', '2s')).dropDuplicatesWithinWatermark('user').records,
    )
    // the watermark is 25 s by then: 'a' is remembered until 30 s
    expect(rowsOf(ran, ({ user }) => user)).toEqual([['"a"'], ['"z"'], []])
  })

  test.each<[string, (s: DStream<Click>) => unknown]>([
    ['a watermark only if all have one', (s) => s.withWatermark('at', delay).union(s.withEventTime('at')).groupBy(tumblingWindow('5s')).count({ mode: 'append' })],
    ['a field of the time only if all have the same', (s) => s.withWatermark('at', delay).union(s.withWatermark(({ at }) => at, delay)).groupBy('at').count({ mode: 'append' })],
  ])('has %s', (_, build) => {
    const graph = topology('test', (t) => void build(t.stream('s', memorySource<Click>())))
    expect(() => graph.draft({})).toThrow('nothing says when a group is complete')
  }) // prettier-ignore
})

test('two watermarks on the way to an operator with state are refused', () => {
  const twice = topology('test', (t) => {
    const once = t.stream('s', memorySource<Click>()).withWatermark('at', delay)
    once.records.withWatermark('at', '1s').groupBy(tumblingWindow('5s')).count().print()
  })
  expect(() => twice.draft({})).toThrow(expect.objectContaining({ code: 'several-watermarks' }))
})

test('what is not there counts for nothing in an aggregate', async () => {
  const sales = [{ shop: 'a', n: null }, { shop: 'b', n: 4 }, { shop: 'b', n: null }, { shop: 'b', n: 2 }] // prettier-ignore
  // as texts: JSON would make NaN null
  const of = async (build: (s: DStream<(typeof sales)[number]>) => DStream<object>): Promise<unknown> =>
    (await ranOf([sales], build)).flat().flatMap(({ rows }) => rows.map((row) => Object.values(row).map(String).join(' ')).sort())
  expect(await of((s) => s.groupBy('shop').avg('n').records)).toEqual(['a null', 'b 3'])
  expect(await of((s) => s.groupBy('shop').sum('n').records)).toEqual(['a null', 'b 6'])
  expect(await of((s) => s.groupBy('shop').min('n').records)).toEqual(['a null', 'b 2'])
  expect(await of((s) => s.groupBy('shop').max('n').records)).toEqual(['a null', 'b 4'])
})
