import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { EventTimeStats, WatermarkTracker, watermarkDelayMs, watermarkPolicy } from '../../lib/index.ts'

function statsOf(times: readonly number[]): EventTimeStats {
  const stats = new EventTimeStats()
  for (const ms of times) stats.add(ms)
  return stats
}

describe('statistics of event time', () => {
  test('adding and merging come to the same, however the times are divided', () => {
    const times = fc.array(fc.integer({ min: -1e6, max: 1e6 }), { maxLength: 20 })
    fc.assert(
      fc.property(times, times, (some, others) => {
        const merged = statsOf(some)
        merged.merge(statsOf(others))
        const all = statsOf([...some, ...others])
        expect(merged).toMatchObject({ min: all.min, max: all.max, count: all.count })
        expect(merged.avg).toBeCloseTo(all.avg, 5)
      }),
    )
  })

  test('an average of large times is not summed up first', () => {
    const large = 10_000_000_000
    const stats = new EventTimeStats({ max: large, min: large, avg: large, count: large - 1 })
    stats.add(large)
    expect(stats.avg).toBeCloseTo(large, 5)
    stats.merge({ max: large + 1, min: large, avg: large + 1, count: large })
    expect(stats.avg).toBeCloseTo(large + 0.5, 5)
  })
})

describe('the watermark', () => {
  test('is the latest time less the delay, and never goes back', () => {
    const tracker = new WatermarkTracker({ inputs: { clicks: '10 seconds' } })
    expect(tracker.endBatch({ clicks: statsOf([15_000]) })).toBe(true)
    expect(tracker.watermarkMs).toBe(5_000)
    expect(tracker.endBatch({ clicks: statsOf([12_000]) })).toBe(false)
    expect(tracker.endBatch({})).toBe(false)
    expect(tracker.watermarkMs).toBe(5_000)
  })

  test('is 0 until a time is later than the delay', () => {
    const tracker = new WatermarkTracker({ inputs: { clicks: '10 seconds' } })
    expect(tracker.endBatch({ clicks: statsOf([3_000]) })).toBe(false)
    expect(tracker.watermarkMs).toBe(0)
  })

  test('of several inputs is the least; one without data holds it, and is named', () => {
    const tracker = new WatermarkTracker({ inputs: { first: '10s', second: '5s' } })
    expect(tracker.endBatch({ first: statsOf([100_000]) })).toBe(false)
    expect(tracker.inputs.filter(({ holds }) => holds).map(({ name }) => name)).toEqual(['second'])
    expect(tracker.endBatch({ second: statsOf([50_000]) })).toBe(true)
    expect(tracker.watermarkMs).toBe(45_000)
  })

  test('by the policy max is the greatest', () => {
    const tracker = new WatermarkTracker({ inputs: { first: '10s', second: '5s' }, policy: 'max' })
    tracker.endBatch({ first: statsOf([100_000]) })
    expect(tracker.watermarkMs).toBe(90_000)
  })

  test("goes on after a restart where it was, although the inputs' own are forgotten", () => {
    const tracker = new WatermarkTracker({ inputs: { first: '10s', second: '5s' }, watermarkMs: 185_000 })
    expect(tracker.endBatch({ second: statsOf([200_000]) })).toBe(false)
    expect(tracker.watermarkMs).toBe(185_000)
    expect(tracker.endBatch({ first: statsOf([200_000]) })).toBe(true)
    expect(tracker.watermarkMs).toBe(190_000)
  })

  test('never goes back, whatever comes', () => {
    const batch = fc.record({ a: fc.array(fc.integer({ min: -100, max: 1_000 })), b: fc.array(fc.integer({ min: -100, max: 1_000 })) })
    fc.assert(
      fc.property(fc.array(batch), fc.constantFrom('min' as const, 'max' as const), (batches, policy) => {
        const tracker = new WatermarkTracker({ inputs: { a: 10, b: 50 }, policy })
        let [a, b, expected] = [0, 0, 0]
        let seen = { a: false, b: false }
        for (const batchTimes of batches) {
          const before = tracker.watermarkMs
          const moved = tracker.endBatch({ a: statsOf(batchTimes.a), b: statsOf(batchTimes.b) })
          if (batchTimes.a.length > 0) a = Math.max(seen.a ? a : -Infinity, Math.max(...batchTimes.a) - 10)
          if (batchTimes.b.length > 0) b = Math.max(seen.b ? b : -Infinity, Math.max(...batchTimes.b) - 50)
          seen = { a: seen.a || batchTimes.a.length > 0, b: seen.b || batchTimes.b.length > 0 }
          expected = Math.max(expected, policy === 'min' ? Math.min(a, b) : Math.max(a, b))
          expect(tracker.watermarkMs).toBe(expected)
          expect(moved).toBe(tracker.watermarkMs > before)
        }
      }),
    )
  })

  test.each([['-10 seconds'], ['1 year -13 months'], [-1], ['soon'], ['1 foo']])('a delay of %s is refused', (delay) =>
    expect(() => watermarkDelayMs(delay)).toThrow(expect.objectContaining({ code: 'bad-option' })),
  )

  test('a month of delay is 31 days', () => expect(watermarkDelayMs('1 month')).toBe(31 * 86_400_000))

  test('policies are min and max, in any case', () => {
    expect(watermarkPolicy('MAX')).toBe('max')
    for (const value of ['', 'avg']) expect(() => watermarkPolicy(value)).toThrow(/policy of the watermark/)
  })
})
