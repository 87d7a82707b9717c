import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { mergeSessions, sessionWindow, slidingWindow, tumblingWindow, windowTime } from '../../../lib/index.ts'
import type { TimeWindow } from '../../../lib/index.ts'

describe('windows of event time', () => {
  test('a record at the start of a window is in it, one at its end is not', () => {
    const windows = tumblingWindow('10 seconds')
    expect(windows.of(30_000)).toEqual([{ start: 30_000, end: 40_000 }])
    expect(windows.of(39_999)).toEqual([{ start: 30_000, end: 40_000 }])
    expect(windows.of(40_000)).toEqual([{ start: 40_000, end: 50_000 }])
  })

  test('windows start at multiples of the slide, moved by startTime, before 1970 too', () => {
    expect(tumblingWindow(10_000, { startTime: '5 seconds' }).of(2_000)).toEqual([{ start: -5_000, end: 5_000 }])
    expect(tumblingWindow('10s', { startTime: '-5 seconds' }).of(34_000)).toEqual([{ start: 25_000, end: 35_000 }])
    expect(slidingWindow(10, 5).of(-1)).toEqual([
      { start: -10, end: 0 },
      { start: -5, end: 5 },
    ])
  })

  test('what has no time is in no window', () => {
    expect(tumblingWindow(10).of(null)).toEqual([])
    expect(tumblingWindow(10).of(Number.NaN)).toEqual([])
    expect(sessionWindow(10).of(undefined, {})).toBeUndefined()
  })

  test('the windows of a time are exactly those that hold it', () => {
    const shape = fc.integer({ min: 1, max: 100 }).chain((slide) =>
      fc.record({
        slide: fc.constant(slide),
        size: fc.integer({ min: slide, max: 500 }),
        startTime: fc.integer({ min: 1 - slide, max: slide - 1 }),
      }),
    )
    fc.assert(
      fc.property(shape, fc.integer({ min: -10_000, max: 10_000 }), ({ slide, size, startTime }, ms) => {
        const all = Array.from({ length: 1 + Math.ceil(21_000 / slide) }, (_, i) => startTime + (i - Math.ceil(10_500 / slide)) * slide)
        const expected = all.filter((start) => start <= ms && ms < start + size).map((start) => ({ start, end: start + size }))
        const windows = slidingWindow(size, slide, { startTime })
        expect(windows.of(ms)).toEqual(expected)
        expect(windows.countAt(ms)).toBe(expected.length)
      }),
    )
  })

  test.each([
    ['a size of nothing', () => tumblingWindow(0)],
    ['a negative size', () => tumblingWindow('-10 seconds')],
    ['months', () => tumblingWindow('1 month')],
    ['no duration', () => tumblingWindow('ten seconds')],
    ['a slide longer than the size', () => slidingWindow('1s', '2s')],
    ['a slide of nothing', () => slidingWindow('1s', 0)],
    ['more than a million windows at a time', () => slidingWindow('1d', '80ms')],
    ['a start as far away as the slide is long', () => slidingWindow('10s', '5s', { startTime: '-5s' })],
    ['a gap of nothing', () => sessionWindow('0s')],
    ['a gap that is none', () => sessionWindow(() => 'soon').of(1, {})],
  ])('refused: %s', (_, make) => expect(make).toThrow(expect.objectContaining({ code: 'bad-option' })))

  test("a result's time is the last moment of its window", () => {
    const [window] = tumblingWindow('5s').of(12_000)
    expect(tumblingWindow('10s').of(windowTime(window as TimeWindow))).toEqual([{ start: 10_000, end: 20_000 }])
    expect(windowTime({ start: 0, end: 5_000 })).toBe(4_999.999)
  })
})

describe('sessions', () => {
  interface Session extends TimeWindow {
    readonly n: number
  }
  const add = (a: Session, b: Session): Session => ({ ...a, n: a.n + b.n })

  test('the gap is fixed or of the record; records with a gap of 0 or less are in none', () => {
    expect(sessionWindow('10 seconds').of(5, {})).toEqual({ start: 5, end: 10_005 })
    const dynamic = sessionWindow((word: string) => ({ hello: '1 second', structured: 0, world: '-10 seconds' })[word] ?? '10 seconds')
    expect(dynamic.of(0, 'hello')).toEqual({ start: 0, end: 1_000 })
    expect(dynamic.of(0, 'structured')).toBeUndefined()
    expect(dynamic.of(0, 'world')).toBeUndefined()
    expect(dynamic.of(0, 'spark')).toEqual({ start: 0, end: 10_000 })
  })

  test('sessions that overlap or touch are one, in whatever order they come', () => {
    const sessions = [
      { start: 30, end: 40, n: 1 },
      { start: 0, end: 10, n: 1 },
      { start: 10, end: 12, n: 1 },
      { start: 4, end: 5, n: 1 },
      { start: 13, end: 23, n: 1 },
    ]
    expect(mergeSessions(sessions, add)).toEqual([
      { start: 0, end: 12, n: 3 },
      { start: 13, end: 23, n: 1 },
      { start: 30, end: 40, n: 1 },
    ])
  })

  test('merging is the same all at once and bit by bit', () => {
    const session = fc
      .record({ start: fc.integer({ min: 0, max: 200 }), length: fc.integer({ min: 1, max: 20 }) })
      .map(({ start, length }) => ({ start, end: start + length, n: 1 }))
    fc.assert(
      fc.property(fc.array(session, { maxLength: 30 }), (sessions) => {
        const atOnce = mergeSessions(sessions, add)
        let bitByBit: Session[] = []
        for (const one of sessions) bitByBit = mergeSessions([one, ...bitByBit], add)
        expect(bitByBit).toEqual(atOnce)
        expect(atOnce.slice(1).every(({ start }, i) => start > (atOnce[i] as Session).end)).toBe(true)
        expect(atOnce.reduce((sum, { n }) => sum + n, 0)).toBe(sessions.length)
      }),
    )
  })
})
