import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Histogram, histogramSize, record } from '../../lib/metrics/histogram.ts'
import type { Latency } from '../../lib/metrics/histogram.ts'

/** From a microsecond to an hour, each order of magnitude as likely. */
const latency = fc.double({ min: -3, max: Math.log10(3_600_000), noNaN: true }).map((exponent) => 10 ** exponent)
const latencies = fc.array(latency, { minLength: 1, maxLength: 300 })

function cellsOf(values: readonly number[], offset = 0): Float64Array {
  const cells = new Float64Array(offset + histogramSize)
  for (const ms of values) record(cells, offset, ms)
  return cells
}

const summaryOf = (values: readonly number[]): Latency => new Histogram().add(cellsOf(values), 0).summary()

describe('histogram', () => {
  test('percentiles are within 1/32 of the exact ones, or a microsecond; count, mean and maximum are exact', () => {
    fc.assert(
      fc.property(latencies, (values) => {
        const sorted = values.toSorted((a, b) => a - b)
        const summary = summaryOf(values)
        for (const [share, estimate] of [
          [0.5, summary.p50],
          [0.99, summary.p99],
          [0.999, summary.p999],
        ] as const) {
          const exact = sorted[Math.max(1, Math.ceil(sorted.length * share)) - 1] as number
          expect(Math.abs(estimate - exact)).toBeLessThanOrEqual(exact / 32 + 0.001)
        }
        expect(summary.count).toBe(values.length)
        expect(summary.max).toBeCloseTo(sorted.at(-1) as number, 6)
        expect(summary.mean / (values.reduce((sum, ms) => sum + ms, 0) / values.length)).toBeCloseTo(1, 6)
      }),
    )
  })

  test('merged histograms are the histogram of all values, whatever the order', () => {
    fc.assert(
      fc.property(latencies, latencies, latencies, (a, b, c) => {
        const merged = new Histogram().add(cellsOf(a), 0).add(cellsOf(b, 7), 7).add(cellsOf(c), 0).summary()
        const turned = new Histogram().add(cellsOf(c), 0).add(cellsOf(a), 0).add(cellsOf(b), 0).summary()
        const all = summaryOf([...a, ...b, ...c])
        for (const one of [merged, turned]) {
          expect({ ...one, mean: 0 }).toEqual({ ...all, mean: 0 })
          expect(one.mean / all.mean).toBeCloseTo(1, 9)
        }
      }),
    )
  })

  test('since: what came after, by difference', () => {
    fc.assert(
      fc.property(latencies, latencies, (before, after) => {
        const earlier = new Histogram().add(cellsOf(before), 0)
        const difference = new Histogram()
          .add(cellsOf([...before, ...after]), 0)
          .since(earlier)
          .summary()
        const { count, p50 } = summaryOf(after)
        expect(difference.count).toBe(count)
        // the largest value is that of all time, so only what lies below it is comparable
        expect(difference.p50).toBeGreaterThanOrEqual(p50)
        expect(difference.p50).toBeLessThanOrEqual(p50 * (1 + 1 / 32) + 0.001)
      }),
    )
  })

  test('many times at once is the same as one by one', () => {
    const [once, often] = [new Float64Array(histogramSize), new Float64Array(histogramSize)]
    record(once, 0, 0.25, 1_000)
    for (let i = 0; i < 1_000; i++) record(often, 0, 0.25)
    expect(once).toEqual(often)
  })

  test('what is out of range counts as the nearest that is in it', () => {
    expect(summaryOf([-5, 0])).toEqual({ count: 2, mean: 0, p50: 0, p99: 0, p999: 0, max: 0 })
    const { count, max, p50 } = summaryOf([1e12])
    expect(count).toBe(1)
    expect(max).toBeCloseTo(4_294_967.295, 3)
    expect(p50 / max).toBeCloseTo(1, 1)
    expect(summaryOf([])).toEqual({ count: 0, mean: 0, p50: 0, p99: 0, p999: 0, max: 0 })
  })

  test('stays in its slice', () => {
    const cells = new Float64Array(histogramSize + 2)
    for (const ms of [0, 0.001, 1, 1_000, 1e12]) record(cells, 1, ms)
    expect([cells[0], cells.at(-1)]).toEqual([0, 0])
  })
})
