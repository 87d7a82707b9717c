/** Keys divided into ranges of about as many records each, by a sample of them. */
import { SquallError } from '../../errors.ts'
import { Random } from '../../std/random.ts'
import { inOrder, prepare } from './job.ts'
import type { Node } from './node.ts'
import { natural } from './ordering.ts'
import type { Compare } from './ordering.ts'
import { checkPartitions } from './partitioners.ts'
import type { Partitioner } from './partitioners.ts'
import { computed } from './trade.ts'

export interface RangeOptions<K> {
  readonly ascending?: boolean | undefined
  readonly compare?: Compare<K> | undefined
}

/** An RDD of pairs, as far as it is looked at here. */
interface KeyedRdd<K> {
  readonly node: Node<readonly [K, unknown]>
}

/** A key of the sample, and how many keys it stands for. */
export type Candidate<K> = readonly [key: K, weight: number]

/** Keys sampled for each partition there will be, and how many more than its share a partition of the input may give. */
const keysPerPartition = 20
const oversampling = 3
const keysMax = 1_000_000

interface Sample<K> {
  readonly count: number
  readonly keys: readonly K[]
}

/**
 * Divides keys into ranges. Two of them are equal when their bounds and their direction are.
 *
 * ```ts
 * const partitioner = await RangePartitioner.of(pairs, 10)
 * const ranges = pairs.partitionBy(partitioner)
 * ```
 */
export class RangePartitioner<K = unknown> implements Partitioner {
  readonly partitions: number
  readonly ascending: boolean
  /** the ranges that were asked for, of which there may be fewer: another number is another partitioner */
  readonly asked: number
  readonly #compare: Compare<K>
  #source: Node<readonly [K, unknown]> | undefined
  #bounds: readonly K[] = []

  /** Use `of`. */
  constructor(
    partitions: number,
    source: Node<readonly [K, unknown]> | readonly K[],
    options: RangeOptions<K> = {},
    asked: number = partitions,
  ) {
    checkPartitions(partitions, 'RangePartitioner')
    this.partitions = partitions
    this.asked = asked
    this.ascending = options.ascending ?? true
    this.#compare = options.compare ?? natural
    if (Array.isArray(source)) this.#bounds = source as readonly K[]
    else this.#source = source as Node<readonly [K, unknown]>
  }

  /**
   * Samples the keys of `rdd` for about `partitions` ranges: as many as the sample has different keys for, at least one.
   * Runs a job.
   */
  static async of<K>(rdd: KeyedRdd<K>, partitions: number, options: RangeOptions<K> = {}): Promise<RangePartitioner<K>> {
    const { node } = rdd
    const lazy = new RangePartitioner(partitions, node, options)
    await inOrder(node.context, 'RangePartitioner.of', async () => {
      await prepare(node)
      await lazy.sample()
    })
    return new RangePartitioner(lazy.bounds.length + 1, lazy.bounds, options, partitions)
  }

  /** Bounds that divide weighted keys into at most `partitions` ranges of about the same weight. */
  static boundsOf<K>(candidates: readonly Candidate<K>[], partitions: number, compare: Compare<K> = natural): readonly K[] {
    const sorted = candidates.toSorted(([a], [b]) => compare(a, b))
    const step = sorted.reduce((sum, [, weight]) => sum + weight, 0) / partitions
    const bounds: K[] = []
    let sum = 0
    let target = step
    for (const [key, weight] of sorted) {
      if (bounds.length === partitions - 1) break
      sum += weight
      if (sum < target || (bounds.length > 0 && compare(key, bounds.at(-1) as K) <= 0)) continue
      bounds.push(key)
      target += step
    }
    return bounds
  }

  /** The largest key of each range but the last, ascending. */
  get bounds(): readonly K[] {
    return this.#bounds
  }

  /** What is still to be sampled. */
  get unsampled(): Node<unknown> | undefined {
    return this.#source
  }

  /** Finds the bounds, if that is still to be done. Part of a job; the source is prepared. */
  async sample(): Promise<void> {
    const source = this.#source
    if (source === undefined) return
    if (this.partitions > 1) {
      const candidates = await this.#candidates(source)
      this.#bounds = RangePartitioner.boundsOf(candidates, Math.min(this.partitions, candidates.length), this.#compare)
    }
    this.#source = undefined
  }

  partitionOf(key: unknown): number {
    if (this.#source !== undefined) throw new SquallError('no-bounds')
    // the first range whose bound is not below the key
    let low = 0
    let high = this.#bounds.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#compare(this.#bounds[middle] as K, key as K) < 0) low = middle + 1
      else high = middle
    }
    return this.ascending ? low : this.#bounds.length - low
  }

  equals(other: Partitioner): boolean {
    if (other === this) return true
    return (
      other instanceof RangePartitioner &&
      this.#source === undefined &&
      other.unsampled === undefined &&
      other.ascending === this.ascending &&
      other.partitions === this.partitions &&
      other.asked === this.asked &&
      other.bounds.length === this.#bounds.length &&
      this.#bounds.every((bound, i) => this.#compare(bound, other.bounds[i] as K) === 0)
    )
  }

  async #candidates(source: Node<readonly [K, unknown]>): Promise<readonly Candidate<K>[]> {
    const wanted = Math.min(keysPerPartition * this.partitions, keysMax)
    const keysEach = Math.ceil((oversampling * wanted) / Math.max(1, source.partitions))
    const all = Array.from({ length: source.partitions }, (_, partition) => partition)
    const samples = await computed(source, `sample of ${source.title}`, all, (read, partition) =>
      reservoir<K>((push) => read((pair) => push(pair[0])), keysEach, new Random(source.id * 31 + partition)),
    )
    return samples.flatMap(({ count, keys }) => keys.map((key): Candidate<K> => [key, count / keys.length]))
  }
}

/** `max` of the keys, each as likely (Vitter's algorithm R), and how many there were. */
function reservoir<K>(read: (push: (key: K) => void) => void, max: number, random: Random): Sample<K> {
  const keys: K[] = []
  let count = 0
  read((key) => {
    count++
    if (keys.length < max) keys.push(key)
    else {
      const at = random.below(count)
      if (at < max) keys[at] = key
    }
  })
  return { count, keys }
}
