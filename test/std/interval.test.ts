import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { durationMs, signedDurationMs } from '../../lib/std/clock.ts'
import { intervalMs, monthMs, parseInterval } from '../../lib/std/interval.ts'

const day = 86_400_000

describe('one reader for lengths of time', () => {
  test.each([
    ['10m', 600_000],
    ['5 seconds', 5_000],
    ['100 microseconds', 0.1],
    ['1 month', 31 * day],
    ['2 weeks', 14 * day],
    ['-5 seconds', -5_000],
    ['1 year -13 months', -31 * day],
    ['1 day 2 hours 3 minutes 4 seconds', 93_784_000],
    ['1d2h', day + 7_200_000],
    ['10 seconds', 10_000],
    ['Interval 10 second', 10_000],
    ["\tinTerval '10' seconds", 10_000],
    ["interval '1' day '-2' hours", day - 7_200_000],
    ["interval '1-2' year to month", 14 * 31 * day],
    ["interval '-1 2:3:4.5' day to second", -93_784_500],
    ["interval '2:3' minute to second", 123_000],
    ["interval '1 2' day to hour", day + 7_200_000],
  ])('%s', (text, ms) => expect(signedDurationMs(text)).toBe(ms))

  test.each([
    '1 foo',
    'interva 2 day',
    "intrval '3' day",
    "interval '5' foo",
    "interval '1 2:3:4' day to hour",
    "interval '1 2' year to month",
    'interval',
    'interval 10',
    '10',
    '1.5 months',
    "'10 seconds",
    "interval '1' constructor",
  ])('refuses %s', (text) => expect(parseInterval(text)).toBeUndefined())

  test('months are kept apart', () => {
    expect(parseInterval('1 year 1 day')).toEqual({ months: 12, ms: day })
    expect(intervalMs({ months: 2, ms: 1 })).toBe(2 * monthMs + 1)
  })

  test('what is written out is read back, in any number of parts', () => {
    const units = { day, hour: 3_600_000, minute: 60_000, second: 1_000, millisecond: 1 }
    const part = fc.tuple(fc.integer({ min: -1000, max: 1000 }), fc.constantFrom(...(Object.keys(units) as (keyof typeof units)[])))
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 6 }), fc.boolean(), (parts, isQuoted) => {
        const quote = isQuoted ? "'" : ''
        const text = parts.map(([n, unit]) => `${quote}${n}${quote} ${unit}s`).join(' ')
        const ms = parts.reduce((sum, [n, unit]) => sum + n * units[unit], 0)
        expect(signedDurationMs(`interval ${text}`)).toBe(ms)
        expect(durationMs(text)).toBe(ms < 0 ? undefined : ms)
      }),
    )
  })
})
