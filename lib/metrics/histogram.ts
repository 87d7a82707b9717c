/**
 * A histogram of latencies with a bounded relative error, in the manner of HdrHistogram (Gil Tene): 32 buckets an
 * octave, so a value is known to about 3 %. It lives in a slice of a `Float64Array`, which may be shared memory: an
 * executor counts, any other thread reads or adds two of them up, and no message is needed.
 *
 * Budget: about 3 ns a value.
 */
const subBits = 5
const sub = 1 << subBits
/** Values are whole microseconds, up to 2^32 (71 minutes); larger ones count as the largest. */
const octaves = 32 - subBits
export const histogramSize: number = (octaves + 1) * sub + 2
/** After the buckets: the sum, in microseconds, and the largest value. */
const sumAt = histogramSize - 2
const maxAt = histogramSize - 1

/** Counts `ms` (at `offset` in `cells`) `times` times. */
export function record(cells: Float64Array, offset: number, ms: number, times = 1): void {
  const us = ms <= 0 ? 0 : ms >= 4_294_967 ? 4_294_967_295 : ms * 1000
  const at = offset + bucketOf(us >>> 0)
  cells[at] = (cells[at] as number) + times
  cells[offset + sumAt] = (cells[offset + sumAt] as number) + us * times
  if (us > (cells[offset + maxAt] as number)) cells[offset + maxAt] = us
}

function bucketOf(us: number): number {
  const octave = 31 - subBits - Math.clz32(us | sub) // 0 for values below 2 * sub
  return octave <= 0 ? us : octave * sub + (us >>> octave)
}

/** The middle of a bucket, in microseconds. */
function valueOf(bucket: number): number {
  if (bucket < 2 * sub) return bucket
  const octave = Math.floor(bucket / sub) - 1
  return (bucket - octave * sub) * 2 ** octave + 2 ** octave / 2
}

/** Milliseconds. */
export interface Latency {
  readonly count: number
  readonly mean: number
  readonly p50: number
  readonly p99: number
  readonly p999: number
  readonly max: number
}

/** Many histograms as one. */
export class Histogram {
  readonly #cells = new Float64Array(histogramSize)

  add(cells: Float64Array, offset: number): this {
    for (let i = 0; i < maxAt; i++) this.#cells[i] = (this.#cells[i] as number) + (cells[offset + i] as number)
    this.#cells[maxAt] = Math.max(this.#cells[maxAt] as number, cells[offset + maxAt] as number)
    return this
  }

  /** What came after `earlier`, a histogram of the same values. The largest value is that of all time. */
  since(earlier: Histogram): Histogram {
    const difference = new Histogram()
    for (let i = 0; i < maxAt; i++) difference.#cells[i] = (this.#cells[i] as number) - (earlier.#cells[i] as number)
    difference.#cells[maxAt] = this.#cells[maxAt] as number
    return difference
  }

  summary(): Latency {
    let count = 0
    for (let i = 0; i < sumAt; i++) count += this.#cells[i] as number
    const max = (this.#cells[maxAt] as number) / 1000
    const at = (share: number): number => {
      let left = Math.max(1, Math.ceil(count * share))
      for (let i = 0; i < sumAt; i++) if ((left -= this.#cells[i] as number) <= 0) return Math.min(valueOf(i) / 1000, max)
      return 0
    }
    if (count === 0) return { count: 0, mean: 0, p50: 0, p99: 0, p999: 0, max: 0 }
    return { count, mean: (this.#cells[sumAt] as number) / count / 1000, p50: at(0.5), p99: at(0.99), p999: at(0.999), max }
  }
}
