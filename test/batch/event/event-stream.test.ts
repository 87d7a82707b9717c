/** Streams over event time, against what can be said of them without streams. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { aggregators, memorySource, sessionWindow, slidingWindow, topology, tumblingWindow } from '../../../lib/index.ts'
import type { StreamTopologyBuilder } from '../../../lib/index.ts'
import { LocalCluster } from '../../../lib/testing/index.ts'
import { ranOf, rowsOf } from './event-runs.ts'

interface Click {
  readonly user: string
  readonly at: number
}

function clicks(...all: readonly (readonly [user: string, seconds: number])[]): Click[] {
  return all.map(([user, seconds]) => ({ user, at: seconds * 1000 }))
}

describe.each([1, 2, 3])('on %i executors', (executors) => {
  test('windows are given out once they have passed, equality included, and then forgotten', async () => {
    const ran = await ranOf<Click, { user: string; count: number }>(
      [clicks(['a', 1], ['a', 4], ['b', 3]), clicks(['a', 15]), clicks(['a', 2], ['b', 16])],
      (s) => s.withWatermark('at', '10s').groupBy('user', tumblingWindow('5s')).count().records,
      { executors },
    )
    expect(rowsOf(ran, ({ user, count }) => [user, count])).toEqual([[], ['["a",2]', '["b",1]'], []])
    expect(ran.map((batches) => batches.at(-1)?.operators[0]?.rows)).toEqual([2, 1, 2])
    expect(ran[2]?.map(({ operators }) => operators[0]?.dropped)).toEqual([1, 0])
  })

  test('what is late for all of its windows goes to the side stream, once', async () => {
    const late = await ranOf<Click, Click>(
      [clicks(['a', 20]), clicks(['late', 1], ['a', 6])],
      (s) => {
        const counts = s.withWatermark('at', '10s').groupBy(slidingWindow('10s', '5s')).count()
        counts.foreachRDD(() => undefined)
        return counts.late()
      },
      { executors },
    )
    // 6 s is late for [0, 10) only; its window [5, 15) is open
    expect(rowsOf(late, ({ user }) => user)).toEqual([[], ['"late"']])
  })

  test('sessions of a key merge across batches', async () => {
    const ran = await ranOf<Click, { user: string; window: { start: number; end: number }; count: number }>(
      [clicks(['a', 10], ['a', 20], ['b', 1]), clicks(['a', 15]), clicks(['c', 100])],
      (s) => s.withWatermark('at', '20s').groupBy('user', sessionWindow('6s')).count().records,
      { executors },
    )
    const text = ({
      user,
      window: { start, end },
      count,
    }: {
      user: string
      window: { start: number; end: number }
      count: number
    }): unknown => [user, start / 1000, end / 1000, count]
    expect(rowsOf(ran, text)).toEqual([[], [], ['["a",10,26,3]', '["b",1,7,1]']])
  })

  test('windows over windows take the time at which a window has passed', async () => {
    const ran = await ranOf<Click, { n: number | null; window: { end: number } }>(
      [clicks(['a', 1], ['a', 6], ['b', 7]), clicks(['a', 30])],
      (s) =>
        s
          .withWatermark('at', '10s')
          .groupBy('user', tumblingWindow('5s'))
          .count()
          .groupBy(tumblingWindow('10s'))
          .aggregate({ n: aggregators.sum('count') }).records,
      { executors },
    )
    expect(rowsOf(ran, ({ n, window }) => [n, window.end])).toEqual([[], ['[3,10000]']])
  })

  test('the first record of a key is let through', async () => {
    const ran = await ranOf<Click, Click>(
      [clicks(['a', 1], ['a', 2], ['b', 1]), clicks(['a', 3], ['c', 3])],
      (s) => s.dropDuplicates('user').records,
      { executors },
    )
    expect(rowsOf(ran, ({ user, at }) => [user, at])).toEqual([['["a",1000]', '["b",1000]'], ['["c",3000]']])
  })
})

interface Counted {
  readonly user: string
  readonly window: { readonly start: number; readonly end: number }
  readonly count: number
}

/** What a batch does to windows, told group by group: each window of each key by itself. */
class ByGroup {
  readonly #counts = new Map<string, number>()
  readonly #windows = slidingWindow('10s', '4s', { startTime: '1s' })
  readonly #mode: 'append' | 'update' | 'complete'

  constructor(mode: 'append' | 'update' | 'complete') {
    this.#mode = mode
  }

  batch(records: readonly Click[], lateMs: number, watermarkMs: number): { rows: string[]; metrics: Record<string, number> } {
    const updated = new Set<string>()
    let [dropped, removed] = [0, 0]
    for (const { user, at } of records)
      for (const { start, end } of this.#windows.of(at)) {
        const group = JSON.stringify([user, start, end])
        if (this.#mode !== 'complete' && end <= lateMs) dropped++
        else {
          updated.add(group)
          this.#counts.set(group, (this.#counts.get(group) ?? 0) + 1)
        }
      }
    const text = (group: string): string => `${group}=${this.#counts.get(group)}`
    const rows = this.#mode === 'update' ? [...updated].map(text) : this.#mode === 'complete' ? [...this.#counts.keys()].map(text) : []
    if (this.#mode !== 'complete')
      for (const group of this.#counts.keys()) {
        if ((JSON.parse(group) as [string, number, number])[2] > watermarkMs) continue
        if (this.#mode === 'append') rows.push(text(group))
        this.#counts.delete(group)
        removed++
      }
    return { rows: rows.toSorted(), metrics: { rows: this.#counts.size, updated: updated.size, removed, dropped } }
  }
}

test.each(['append', 'update', 'complete'] as const)('windows by pane are those that one would count by group, mode %s', async (mode) => {
  const click = fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.integer({ min: -5, max: 60 }))
  const batches = fc.array(fc.array(click, { minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 6 })
  await fc.assert(
    fc.asyncProperty(batches, fc.integer({ min: 1, max: 3 }), fc.integer({ min: 0, max: 20 }), async (chunks, executors, delay) => {
      const ran = await ranOf<Click, Counted>(
        chunks.map((chunk) => clicks(...chunk)),
        (s) =>
          s
            .withWatermark('at', delay * 1000)
            .groupBy('user', slidingWindow('10s', '4s', { startTime: '1s' }))
            .count({ mode }).records,
        { executors },
      )
      const model = new ByGroup(mode)
      let [lateMs, watermarkMs, latest] = [0, 0, -Infinity]
      for (const [i, chunk] of chunks.entries())
        for (const [n, { rows, operators, watermarkMs: at }] of (ran[i] ?? []).entries()) {
          expect(at).toBe(watermarkMs)
          const expected = model.batch(n === 0 ? clicks(...chunk) : [], lateMs, watermarkMs)
          expect(rows.map(({ user, window, count }) => `${JSON.stringify([user, window.start, window.end])}=${count}`).toSorted()).toEqual(
            expected.rows,
          )
          expect(operators[0]).toMatchObject(expected.metrics)
          if (n === 0) latest = Math.max(latest, ...chunk.map(([, seconds]) => seconds))
          lateMs = watermarkMs
          watermarkMs = Math.max(watermarkMs, (latest - delay) * 1000)
        }
    }),
    { numRuns: 25 },
  )
})

test.each(['append', 'complete'] as const)('sessions are those that one would merge record by record, mode %s', async (mode) => {
  const click = fc.tuple(fc.constantFrom('a', 'b'), fc.integer({ min: 0, max: 60 }))
  const batches = fc.array(fc.array(click, { minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 6 })
  const gapMs = 5_000
  await fc.assert(
    fc.asyncProperty(batches, fc.integer({ min: 1, max: 3 }), fc.integer({ min: 0, max: 20 }), async (chunks, executors, delay) => {
      const ran = await ranOf<Click, Counted>(
        chunks.map((chunk) => clicks(...chunk)),
        (s) =>
          s
            .withWatermark('at', delay * 1000)
            .groupBy('user', sessionWindow(gapMs))
            .count({ mode }).records,
        { executors },
      )
      // all moments that records have, one by one: a session is a run of them without a gap
      let open: Click[] = []
      let [lateMs, watermarkMs, latest] = [0, 0, -Infinity]
      for (const [i, chunk] of chunks.entries())
        for (const [n, { rows, operators }] of (ran[i] ?? []).entries()) {
          const fresh = n === 0 ? clicks(...chunk) : []
          const late = mode === 'complete' ? [] : fresh.filter(({ at }) => at + gapMs <= lateMs)
          open.push(...fresh.filter((one) => !late.includes(one)))
          const all = ['a', 'b'].flatMap((user) =>
            runsOf(open.filter((one) => one.user === user).map(({ at }) => at)).map((at) => ({ user, at })),
          )
          const given = all.filter(({ at }) => mode === 'complete' || (at.at(-1) as number) + gapMs <= watermarkMs)
          const text = (user: string, times: readonly number[]): string =>
            `${user} ${times[0]}-${(times.at(-1) as number) + gapMs}: ${times.length}`
          expect(rows.map(({ user, window, count }) => `${user} ${window.start}-${window.end}: ${count}`).toSorted()).toEqual(
            given.map(({ user, at }) => text(user, at)).toSorted(),
          )
          const kept = mode === 'complete' ? all : all.filter((one) => !given.includes(one))
          expect(operators[0]).toMatchObject({ rows: kept.length, dropped: late.length, removed: all.length - kept.length })
          open = kept.flatMap(({ user, at }) => at.map((time) => ({ user, at: time })))
          if (n === 0) latest = Math.max(latest, ...chunk.map(([, seconds]) => seconds))
          lateMs = watermarkMs
          watermarkMs = Math.max(watermarkMs, (latest - delay) * 1000)
        }
    }),
    { numRuns: 25 },
  )

  function runsOf(times: readonly number[]): number[][] {
    const runs: number[][] = []
    for (const time of times.toSorted((a, b) => a - b)) {
      const run = runs.at(-1)
      if (run === undefined || time > (run.at(-1) as number) + gapMs) runs.push([time])
      else run.push(time)
    }
    return runs
  }
})

test('counts of windows are those of the records that were not late', async () => {
  const seconds = fc.integer({ min: 0, max: 60 })
  const batches = fc.array(fc.array(seconds, { minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 6 })
  await fc.assert(
    fc.asyncProperty(batches, fc.integer({ min: 1, max: 3 }), fc.integer({ min: 0, max: 20 }), async (chunks, executors, delay) => {
      const windows = slidingWindow('10s', '4s')
      const ran = await ranOf<Click, { window: { start: number }; count: number }>(
        [...chunks, [1_000]].map((chunk) => clicks(...chunk.map((at) => ['u', at] as const))),
        (s) =>
          s
            .withWatermark('at', delay * 1000)
            .groupBy('user', windows)
            .count().records,
        { executors },
      )
      const counts = new Map<number, number>()
      let [watermark, latest] = [0, -Infinity]
      for (const chunk of chunks) {
        for (const at of chunk)
          for (const { start, end } of windows.of(at * 1000)) if (end > watermark) counts.set(start, (counts.get(start) ?? 0) + 1)
        latest = Math.max(latest, ...chunk)
        watermark = Math.max(watermark, (latest - delay) * 1000)
      }
      const expected = [...counts].map(([start, count]) => JSON.stringify([start, count])).toSorted()
      expect(
        rowsOf(ran, ({ window, count }) => [window.start, count])
          .flat()
          .toSorted(),
      ).toEqual(expected)
    }),
    { numRuns: 25 },
  )
})

describe('what cannot be is refused when the topology is planned', () => {
  const source = memorySource<Click>()
  const cases: readonly (readonly [code: string, build: (t: StreamTopologyBuilder) => { print(): void }])[] = [
    ['output-mode', (t) => t.stream('s', source).groupBy('user').count({ mode: 'append' })],
    ['output-mode', (t) => t.stream('s', source).withWatermark('at', '1s').groupBy('user', sessionWindow('1s')).count({ mode: 'update' })],
    ['output-mode', (t) => t.stream('s', source).withWatermark('at', '1s').groupBy(sessionWindow('1s')).count()],
    ['output-mode', (t) => t.stream('s', source).groupBy('user').count().groupBy('count').count()],
    ['output-mode', (t) => t.stream('s', source).groupBy('user').count().orderBy('count')],
    ['no-watermark', (t) => t.stream('s', source).withEventTime('at').dropDuplicatesWithinWatermark()],
    ['several-watermarks', (t) => t.stream('s', source).withWatermark('at', '1s').records.withWatermark('at', '2s').dropDuplicates()],
    ['bad-option', (t) => t.stream('s', source).withWatermark('at', '-1s').dropDuplicates()],
  ]
  test.each(cases)('%s', async (code, build) => {
    await using cluster = await LocalCluster.start({ seed: 1 })
    const planned = Promise.resolve().then(() => cluster.submit(topology('refused', (t) => build(t).print())))
    await expect(planned).rejects.toMatchObject({ code })
  })

  test.each([
    ['noon', '"noon"'],
    [NaN, 'NaN'],
    [1e17, '100000000000000000'], // nanoseconds, say: the watermark would be in the year 3170843
  ])('a value that is no time fails its batch: %s', async (at, shown) => {
    const run = ranOf([[{ at: at as unknown as number }]], (s) => s.withWatermark('at', '1s').groupBy(tumblingWindow('1s')).count().records)
    await expect(run).rejects.toThrow(`the field at of a record is ${shown}, which is no time`)
  })
})
