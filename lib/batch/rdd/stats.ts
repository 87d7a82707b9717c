/** Statistics of numbers, in one pass, and histograms. */
import { SquallError } from '../../errors.ts'

/** Count, sum, spread and bounds of numbers, kept up as they come (Welford; merged after Chan et al.). */
export class Stats {
  count = 0
  mean = 0
  min = Infinity
  max = -Infinity
  /** sum of the squares of the distances from the mean */
  #squares = 0

  static of(values: Iterable<number>): Stats {
    const stats = new Stats()
    for (const value of values) stats.add(value)
    return stats
  }

  add(value: number): this {
    const delta = value - this.mean
    this.count++
    this.mean += delta / this.count
    this.#squares += delta * (value - this.mean)
    this.min = Math.min(this.min, value)
    this.max = Math.max(this.max, value)
    return this
  }

  merge({ count, mean, squares, min, max }: StatsData): this {
    if (count === 0) return this
    const delta = mean - this.mean
    const all = this.count + count
    this.#squares += squares + (delta * delta * this.count * count) / all
    this.mean += (delta * count) / all
    this.count = all
    this.min = Math.min(this.min, min)
    this.max = Math.max(this.max, max)
    return this
  }

  get data(): StatsData {
    return { count: this.count, mean: this.mean, squares: this.#squares, min: this.min, max: this.max }
  }

  get sum(): number {
    return this.mean * this.count
  }

  /** of the whole population */
  get variance(): number {
    return this.count === 0 ? NaN : this.#squares / this.count
  }

  get stdev(): number {
    return Math.sqrt(this.variance)
  }

  /** of a population that these are a sample of */
  get sampleVariance(): number {
    return this.count <= 1 ? NaN : this.#squares / (this.count - 1)
  }

  get sampleStdev(): number {
    return Math.sqrt(this.sampleVariance)
  }
}

/** `Stats` as plain data, to be sent. */
export interface StatsData {
  readonly count: number
  readonly mean: number
  readonly squares: number
  readonly min: number
  readonly max: number
}

/** `n` buckets of the same width from `min` to `max`, as their n + 1 bounds. One of no width if all values are the same. */
export function evenBuckets(n: number, min: number, max: number): readonly number[] {
  if (!Number.isFinite(min) || !Number.isFinite(max))
    throw new SquallError('bad-buckets', { reason: 'without finite values there are no buckets of the same width' })
  if (min === max) return [min, min]
  return Array.from({ length: n + 1 }, (_, i) => (i === n ? max : min + ((max - min) * i) / n))
}

export function checkBuckets(bounds: readonly number[]): void {
  if (bounds.length < 2) throw new SquallError('bad-buckets', { reason: 'there are fewer than two bounds' })
  if (bounds.some((bound, i) => !(bound >= (bounds[i - 1] ?? -Infinity))))
    throw new SquallError('bad-buckets', { reason: 'the bounds are not ascending' })
}

/** The bucket of a value: [bound, next bound), the last one with its upper bound; -1 for what is outside, and for NaN. */
export function bucketOf(bounds: readonly number[], value: number): number {
  const last = bounds.length - 1
  if (!(value >= (bounds[0] as number) && value <= (bounds[last] as number))) return -1
  let low = 0
  let high = last
  // the last bound that is not above the value
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if ((bounds[middle] as number) <= value) low = middle
    else high = middle - 1
  }
  return Math.min(low, last - 1)
}
