import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { PidRateEstimator, TokenBucket, partitionLimits } from '../../lib/index.ts'
import { VirtualClock } from '../../lib/std/clock.ts'

describe('the PID rate estimator', () => {
  test('gives nothing for the first batch, then follows the speed of processing', () => {
    const pid = new PidRateEstimator({ batchIntervalMs: 20, proportional: 1, integral: 0, minRate: 10 })
    expect(pid.compute(0, 10, 10, 0)).toBeUndefined()
    expect(pid.compute(10, 10, 10, 0)).toBe(1000)
    expect(pid.compute(20, 40, 10, 0)).toBe(4000)
  })

  test('says nothing about batches that say nothing', () => {
    const pid = new PidRateEstimator({ batchIntervalMs: 20 })
    pid.compute(0, 10, 10, 0)
    expect(pid.compute(0, 10, 10, 0)).toBeUndefined()
    expect(pid.compute(10, 0, 10, 0)).toBeUndefined()
    expect(pid.compute(10, 10, 0, 0)).toBeUndefined()
    expect(pid.compute(10, 10, 10, 0)).toBe(1000)
  })

  test('a delay of scheduling lowers the rate, a growing error too', () => {
    const late = new PidRateEstimator({ batchIntervalMs: 1000, integral: 0.2 })
    late.compute(1000, 1000, 1000, 0)
    expect(late.compute(2000, 1000, 1000, 500)).toBe(1000 - 0.2 * 500)
    const derivative = new PidRateEstimator({ batchIntervalMs: 1000, proportional: 1, integral: 0, derivative: 0.5 })
    derivative.compute(1000, 1000, 1000, 0)
    // error 1000 - 500 = 500 after 0, a second later: 1000 - 500 - 0.5 * 500
    expect(derivative.compute(2000, 500, 1000, 0)).toBe(250)
  })

  test('never gives less than the least rate', () => {
    const batch = fc.tuple(fc.integer({ min: 1, max: 1000 }), fc.integer({ min: 1, max: 100 }), fc.integer({ min: 0, max: 500 }))
    fc.assert(
      fc.property(fc.array(batch), (batches) => {
        const pid = new PidRateEstimator({ batchIntervalMs: 20, integral: 1, derivative: 0.1, minRate: 5 })
        for (const [i, [records, processing, scheduling]] of batches.entries())
          expect(pid.compute(i * 20, records, processing, scheduling) ?? 5).toBeGreaterThanOrEqual(5)
      }),
    )
  })

  test.each([
    { batchIntervalMs: 0 },
    { proportional: -1 },
    { integral: -1 },
    { derivative: -1 },
    { minRate: 0 },
    { minRate: -10 },
    { integral: Number.NaN },
  ])('%o is refused', (options) =>
    expect(() => new PidRateEstimator({ batchIntervalMs: 100, ...options })).toThrow(expect.objectContaining({ code: 'bad-option' })),
  )
})

describe('the token bucket', () => {
  test('lets as many through as the rate says, and says how long to wait', () => {
    const clock = new VirtualClock()
    const bucket = new TokenBucket({ clock, rate: 10 })
    expect(bucket.take()).toBe(false)
    expect(bucket.waitMs()).toBe(100)
    clock.moveTo(100)
    expect(bucket.take()).toBe(true)
    expect(bucket.take()).toBe(false)
  })

  test('never lets more through than the greatest rate, plus one bucket, whatever the rate is set to', () => {
    const step = fc.record({ ms: fc.integer({ min: 0, max: 300 }), rate: fc.integer({ min: -5, max: 500 }), tries: fc.nat({ max: 100 }) })
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        const clock = new VirtualClock()
        const bucket = new TokenBucket({ clock, maxRate: 100, burstMs: 200 })
        let taken = 0
        for (const { ms, rate, tries } of steps) {
          clock.moveTo(clock.now() + ms)
          bucket.update(rate)
          for (let i = 0; i < tries; i++) if (bucket.take()) taken++
          expect(taken).toBeLessThanOrEqual((clock.now() / 1000) * 100 + 20 + 1e-6)
        }
      }),
    )
  })

  test('what is more than a bucket holds passes when it is full, and what comes next waits for it', () => {
    const clock = new VirtualClock()
    const bucket = new TokenBucket({ clock, rate: 100, burstMs: 100 })
    clock.moveTo(1_000)
    expect(bucket.take(50)).toBe(true)
    expect(bucket.waitMs(1)).toBe(410)
  })

  test('without a rate lets everything through, until it gets one', () => {
    const clock = new VirtualClock()
    const bucket = new TokenBucket({ clock })
    for (let i = 0; i < 1000; i++) expect(bucket.take(1000)).toBe(true)
    bucket.update(10)
    expect(bucket.take()).toBe(false)
    expect(bucket.rate).toBe(10)
  })

  test('a rate of nothing is refused', () =>
    expect(() => new TokenBucket({ clock: new VirtualClock(), maxRate: 0 })).toThrow(expect.objectContaining({ code: 'bad-option' })))
})

describe('limits by partition', () => {
  test('a rate is divided by what waits, at least one record for each', () => {
    expect(partitionLimits({ lags: [300, 100, 0], rate: 400, batchIntervalMs: 500 })).toEqual([150, 50, 1])
  })

  test('no partition gets more than its greatest rate', () => {
    expect(partitionLimits({ lags: [300, 100], rate: 400, maxRatePerPartition: 200, batchIntervalMs: 1000 })).toEqual([200, 100])
    expect(partitionLimits({ lags: [3, 1], maxRatePerPartition: 10, batchIntervalMs: 200 })).toEqual([2, 2])
  })

  test('without a rate there is no limit', () =>
    expect(partitionLimits({ lags: [5, 5], batchIntervalMs: 100 })).toEqual([Infinity, Infinity]))
})
