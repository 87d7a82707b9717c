/**
 * RDD: a collection in partitions, computed from others when an action asks, and never changed. This file is its vocabulary, which is
 * Spark's; what is behind each word is in the files beside it.
 *
 * Every task of a run makes the same RDDs in the same order and computes the partitions that it owns.
 */
import { SquallError } from '../../errors.ts'
import { shown } from '../../std/words.ts'
import type { StorageLevel } from '../blocks.ts'
import type { RddContext } from '../context.ts'
import { KeyMap, isSameKey } from '../keyed.ts'
import { countOf, concatenated, foreachPartition, take, takeOrdered, takeSample, zeroOf } from './actions.ts'
import { guarded } from './attempts.ts'
import { cogrouped, combined, grouped, partitioned, partitionerFor, valuesOf, withoutKeys } from './by-key.ts'
import type { PairNode, Partitions } from './by-key.ts'
import { debugString } from './debug-string.ts'
import { DistinctCount, precisionFor } from './distinct-count.ts'
import { gathered } from './exchanges.ts'
import type { Combiner } from './exchanges.ts'
import { inOrder, prepare, runJob } from './job.ts'
import { filtered, flatMapped, mapped, mappedPartitions } from './narrow.ts'
import type { Node } from './node.ts'
import { natural } from './ordering.ts'
import type { Compare } from './ordering.ts'
import { isSamePartitioner, partitionOf } from './partitioners.ts'
import type { Partitioner } from './partitioners.ts'
import { RangePartitioner } from './range-partitioner.ts'
import { cellOf, sampled, samplerOf, stratified } from './sampling.ts'
import { saveAsObjectFile, saveAsTextFile } from './saved.ts'
import { coalesced, indexed, numbered, product, pruned, repartitioned, unionOf, zippedPartitions } from './several.ts'
import { Stats, bucketOf, checkBuckets, evenBuckets } from './stats.ts'
import type { StatsData } from './stats.ts'
import { computed } from './trade.ts'

/** A zero value, which is copied for each who needs one, or a function that makes one. */
export type Zero<U> = U | (() => U)

export interface RddDependency {
  /** `wide`: a partition needs all partitions of the parent */
  readonly kind: 'narrow' | 'wide'
  readonly rdd: RDD<unknown>
}

export class RDD<T> {
  /** its place in the lineage graph */
  readonly node: Node<T>

  constructor(node: Node<T>) {
    this.node = node
  }

  // ---------------------------------------------------------------------------------------------- what it is

  get id(): number {
    return this.node.id
  }

  get context(): RddContext {
    return this.node.context
  }

  /** How many partitions it has. */
  get partitions(): number {
    return this.node.partitions
  }

  /** How its keys are divided, where that is known. */
  get partitioner(): Partitioner | undefined {
    return this.node.partitioner
  }

  /** What it is computed from. */
  get dependencies(): readonly RddDependency[] {
    return this.node.dependencies.map(({ kind, node }) => ({ kind, rdd: new RDD(node) }))
  }

  /** The operation that made it, or the name it was given. */
  get name(): string {
    return this.node.name
  }

  setName(name: string): this {
    this.node.name = name
    return this
  }

  toString(): string {
    return this.node.title
  }

  /** Its lineage as a tree, a line an RDD; stages are indented, with the number of their partitions. */
  toDebugString(): string {
    return debugString(this.node)
  }

  // ---------------------------------------------------------------------------------------------- value by value

  /** Each value as `f` makes it. Where `f` returns pairs, the result has the operations by key. */
  map<K, V>(f: (value: T) => readonly [K, V]): RDD<[K, V]>
  map<U>(f: (value: T) => U): RDD<U>
  map<U>(f: (value: T) => U): RDD<U> {
    return new RDD(mapped(this.node, 'map', f))
  }

  /** All that `f` makes of each value. */
  flatMap<K, V>(f: (value: T) => Iterable<readonly [K, V]>): RDD<[K, V]>
  flatMap<U>(f: (value: T) => Iterable<U>): RDD<U>
  flatMap<U>(f: (value: T) => Iterable<U>): RDD<U> {
    return new RDD(flatMapped(this.node, 'flatMap', f))
  }

  /** The values of which `isWanted` is true. Keeps the partitioner. */
  filter<S extends T>(isWanted: (value: T) => value is S): RDD<S>
  filter(isWanted: (value: T) => boolean): RDD<T>
  filter(isWanted: (value: T) => boolean): RDD<T> {
    return new RDD(filtered(this.node, 'filter', isWanted))
  }

  /** Each value with a key before it. */
  keyBy<K>(keyOf: (value: T) => K): RDD<[K, T]> {
    return new RDD(mapped(this.node, 'keyBy', (value): [K, T] => [keyOf(value), value]))
  }

  // ---------------------------------------------------------------------------------------------- partition by partition

  /** What `f` makes of the values of each partition. With `keepsPartitioner` it promises not to change keys. */
  mapPartitions<U>(f: (values: readonly T[]) => Iterable<U>, keepsPartitioner = false): RDD<U> {
    return new RDD(mappedPartitions(this.node, 'mapPartitions', f, { keepsPartitioner }))
  }

  mapPartitionsWithIndex<U>(f: (partition: number, values: readonly T[]) => Iterable<U>, keepsPartitioner = false): RDD<U> {
    const flipped = (values: readonly T[], partition: number): Iterable<U> => f(partition, values)
    return new RDD(mappedPartitions(this.node, 'mapPartitionsWithIndex', flipped, { keepsPartitioner }))
  }

  /** Each partition as one array. */
  glom(): RDD<T[]> {
    return new RDD(mappedPartitions(this.node, 'glom', (values) => [[...values]]))
  }

  /** Only the partitions of which `isWanted` is true; the others are not computed. */
  prunePartitions(isWanted: (partition: number) => boolean): RDD<T> {
    return new RDD(pruned(this.node, isWanted))
  }

  /** The same values in fewer partitions: neighbours become one. With `shuffle` they are dealt out anew, and it may be more. */
  coalesce(partitions: number, shuffle = false): RDD<T> {
    return shuffle ? this.repartition(partitions) : new RDD(coalesced(this.node, partitions))
  }

  /** The same values dealt out evenly to so many partitions. */
  repartition(partitions: number): RDD<T> {
    return new RDD(repartitioned(this.node, partitions, 'repartition'))
  }

  /** A share of the values; with replacement a value may come several times. The same for the same seed. */
  sample(withReplacement: boolean, fraction: number, seed: number = this.#seed()): RDD<T> {
    return new RDD(sampled(this.node, 'sample', samplerOf(withReplacement, fraction, seed)))
  }

  /** Divides the values at random, in about the proportions of `weights`; every value is in one of the results. */
  randomSplit(weights: readonly number[], seed: number = this.#seed()): RDD<T>[] {
    const sum = weights.reduce((a, b) => a + b, 0)
    if (!(sum > 0 && weights.every((weight) => weight >= 0)))
      throw new SquallError('bad-option', {
        option: 'weights',
        of: 'randomSplit',
        value: `[${weights.join(', ')}]`,
        expected: 'numbers from 0, not all 0',
      })
    let from = 0
    return weights.map((weight, i) => {
      const to = i === weights.length - 1 ? 1 : from + weight / sum
      const split = new RDD(sampled(this.node, 'randomSplit', cellOf(from, to, seed)))
      from = to
      return split
    })
  }

  // ---------------------------------------------------------------------------------------------- with other RDDs

  /** The values of this and then of the others. Partitions come one after the other, or side by side if all have the same partitioner. */
  union(...others: readonly RDD<T>[]): RDD<T> {
    return new RDD(unionOf([this.node, ...others.map(({ node }) => node)]))
  }

  /** First with first, second with second: both must have as many partitions, and as many values in each. */
  zip<U>(other: RDD<U>): RDD<[T, U]> {
    return this.zipPartitions(other, zipped, 'zip')
  }

  /** What `f` makes of one partition of each. */
  zipPartitions<U, R>(
    other: RDD<U>,
    f: (values: readonly T[], others: readonly U[], partition: number) => Iterable<R>,
    name = 'zipPartitions',
  ): RDD<R> {
    return new RDD(zippedPartitions([this.node, other.node], name, ([a, b], partition) => f(a as T[], b as U[], partition)))
  }

  /** Each value with its place in the whole. Counts the partitions first, in the first action, if there is more than one. */
  zipWithIndex(): RDD<[T, number]> {
    return new RDD(indexed(this.node))
  }

  /** Each value with a number that no other has; nothing is counted first. */
  zipWithUniqueId(): RDD<[T, number]> {
    return new RDD(numbered(this.node))
  }

  /** Every value with every value of the other. */
  cartesian<U>(other: RDD<U>): RDD<[T, U]> {
    return new RDD(product(this.node, other.node))
  }

  /** Each value once. With as many partitions as it has, an RDD that has a partitioner stays where it is. */
  distinct(partitions?: Partitions): RDD<T> {
    const asked = partitions ?? this.partitions
    if (this.partitioner !== undefined && asked === this.partitions)
      return new RDD(mappedPartitions(this.node, 'distinct', differentOf, { keepsPartitioner: true }))
    const pairs = mapped(this.node, 'map', (value): [T, null] => [value, null])
    return new RDD(combined(pairs, 'distinct', partitionerFor(asked, [pairs]), nothing)).keys()
  }

  /** The values that are in both, each once. */
  intersection(other: RDD<T>, partitions?: Partitions): RDD<T> {
    return this.map((value): [T, null] => [value, null])
      .cogroup(
        other.map((value): [T, null] => [value, null]),
        partitions,
      )
      .filter(([, [a, b]]) => a.length > 0 && b.length > 0)
      .keys()
  }

  /** The values that are not in the other. */
  subtract(other: RDD<T>, partitions?: Partitions): RDD<T> {
    return this.map((value): [T, null] => [value, null])
      .subtractByKey(
        other.map((value): [T, null] => [value, null]),
        partitions,
      )
      .keys()
  }

  /** In the order of what `keyOf` says of each value. */
  sortBy<K>(keyOf: (value: T) => K, options?: SortOptions<K>): RDD<T> {
    return this.keyBy(keyOf).sortByKey(options).values()
  }

  /** The values by what `keyOf` says of each. */
  groupBy<K>(keyOf: (value: T) => K, partitions?: Partitions): RDD<[K, T[]]> {
    return this.keyBy(keyOf).groupByKey(partitions)
  }

  // ---------------------------------------------------------------------------------------------- pairs, value by value

  /** Each value of a pair as `f` makes it. Keeps the partitioner. */
  mapValues<K, V, W>(this: RDD<readonly [K, V]>, f: (value: V) => W): RDD<[K, W]> {
    return new RDD(mapped(this.node, 'mapValues', ([key, value]): [K, W] => [key, f(value)], { keepsPartitioner: true }))
  }

  /** For each pair its key with all that `f` makes of its value. Keeps the partitioner. */
  flatMapValues<K, V, W>(this: RDD<readonly [K, V]>, f: (value: V) => Iterable<W>): RDD<[K, W]> {
    const each = function* ([key, value]: readonly [K, V]): Iterable<[K, W]> {
      for (const one of f(value)) yield [key, one]
    }
    return new RDD(flatMapped(this.node, 'flatMapValues', each, { keepsPartitioner: true }))
  }

  keys<K>(this: RDD<readonly [K, unknown]>): RDD<K> {
    return new RDD(mapped(this.node, 'keys', (pair) => pair[0]))
  }

  values<V>(this: RDD<readonly [unknown, V]>): RDD<V> {
    return new RDD(mapped(this.node, 'values', (pair) => pair[1]))
  }

  // ---------------------------------------------------------------------------------------------- pairs, by key

  /** One pair for each key: its values combined by `f`, which must not care for their order. Combined before anything is traded. */
  reduceByKey<K, V>(this: RDD<readonly [K, V]>, f: (a: V, b: V) => V, partitions?: Partitions): RDD<[K, V]> {
    return this.#combined('reduceByKey', { create: (value: V) => value, mergeValue: f, mergeCombined: f }, partitions)
  }

  /** As `reduceByKey`, from a zero value for each key. */
  foldByKey<K, V>(this: RDD<readonly [K, V]>, zero: Zero<V>, f: (a: V, b: V) => V, partitions?: Partitions): RDD<[K, V]> {
    return this.#combined('foldByKey', { create: (value: V) => f(zeroOf(zero), value), mergeValue: f, mergeCombined: f }, partitions)
  }

  /** For each key, its values added to a zero value by `add`; what several tasks have is put together by `merge`. */
  aggregateByKey<K, V, U>(
    this: RDD<readonly [K, V]>,
    zero: Zero<U>,
    add: (sum: U, value: V) => U,
    merge: (a: U, b: U) => U,
    partitions?: Partitions,
  ): RDD<[K, U]> {
    return this.#combined(
      'aggregateByKey',
      { create: (value: V) => add(zeroOf(zero), value), mergeValue: add, mergeCombined: merge },
      partitions,
    )
  }

  /** The general form of these. */
  combineByKey<K, V, C>(
    this: RDD<readonly [K, V]>,
    create: (value: V) => C,
    mergeValue: (combined: C, value: V) => C,
    mergeCombined: (a: C, b: C) => C,
    partitions?: Partitions,
  ): RDD<[K, C]> {
    return this.#combined('combineByKey', { create, mergeValue, mergeCombined }, partitions)
  }

  /** All values of each key, in the order of this RDD. To combine them, `reduceByKey` trades less. */
  groupByKey<K, V>(this: RDD<readonly [K, V]>, partitions?: Partitions): RDD<[K, V[]]> {
    return new RDD(grouped(this.node, partitionerFor(partitions, [this.node])))
  }

  /** The pairs where a partitioner says. */
  partitionBy<K, V>(this: RDD<readonly [K, V]>, partitioner: Partitioner): RDD<[K, V]> {
    const node = isSamePartitioner(this.partitioner, partitioner) ? this.node : partitioned(this.node, 'partitionBy', partitioner)
    return new RDD(node as Node<[K, V]>)
  }

  /** The pairs where a partitioner says, each partition in the order of its keys. */
  repartitionAndSortWithinPartitions<K, V>(
    this: RDD<readonly [K, V]>,
    partitioner: Partitioner,
    compare: Compare<K> = natural,
  ): RDD<[K, V]> {
    return new RDD(partitioned(this.node, 'repartitionAndSortWithinPartitions', partitioner, compare) as Node<[K, V]>)
  }

  /** The pairs in the order of their keys, in ranges of about the same size; equal keys keep their order. */
  sortByKey<K, V>(this: RDD<readonly [K, V]>, options: SortOptions<K> = {}): RDD<[K, V]> {
    // in Spark the order is given as a boolean
    if (typeof options !== 'object')
      throw new SquallError('bad-option', { option: 'order', of: 'sortByKey', value: shown(options), expected: '{ ascending: false }' })
    const { ascending = true, compare = natural, partitions = this.partitions } = options
    const partitioner = new RangePartitioner<K>(Math.max(1, partitions), this.node, { ascending, compare })
    const order: Compare<K> = ascending ? compare : (a, b) => compare(b, a)
    return new RDD(partitioned(this.node, 'sortByKey', partitioner as Partitioner, order) as Node<[K, V]>)
  }

  /** For each key of any, its values in each. */
  cogroup<K, V, W>(this: RDD<readonly [K, V]>, other: RDD<readonly [K, W]>, partitions?: Partitions): RDD<[K, [V[], W[]]]>
  cogroup<K, V, W, X>(
    this: RDD<readonly [K, V]>,
    other: RDD<readonly [K, W]>,
    third: RDD<readonly [K, X]>,
    partitions?: Partitions,
  ): RDD<[K, [V[], W[], X[]]]>
  cogroup<K, V, W, X, Y>(
    this: RDD<readonly [K, V]>,
    other: RDD<readonly [K, W]>,
    third: RDD<readonly [K, X]>,
    fourth: RDD<readonly [K, Y]>,
    partitions?: Partitions,
  ): RDD<[K, [V[], W[], X[], Y[]]]>
  cogroup<K>(this: RDD<readonly [K, unknown]>, ...args: readonly (RDD<readonly [K, unknown]> | Partitions)[]): RDD<[K, unknown[][]]> {
    const others = args.filter((arg) => arg instanceof RDD)
    const partitions = args.find((arg) => arg !== undefined && !(arg instanceof RDD))
    const nodes = [this, ...others].map(({ node }) => node)
    return new RDD(cogrouped(nodes, partitionerFor(partitions as Partitions, nodes)))
  }

  /** The same as `cogroup`. */
  groupWith<K, V, W>(this: RDD<readonly [K, V]>, other: RDD<readonly [K, W]>): RDD<[K, [V[], W[]]]> {
    return this.cogroup(other)
  }

  /** Each two values of a key that both have. */
  join<K, V, W>(this: RDD<readonly [K, V]>, other: RDD<readonly [K, W]>, partitions?: Partitions): RDD<[K, [V, W]]> {
    return this.cogroup(other, partitions)
      .filter(([, [a, b]]) => a.length > 0 && b.length > 0)
      .flatMapValues(([a, b]) => pairsOf(a, b))
  }

  /** As `join`, with every value of this one: the other is `null` where it lacks the key. */
  leftOuterJoin<K, V, W>(this: RDD<readonly [K, V]>, other: RDD<readonly [K, W]>, partitions?: Partitions): RDD<[K, [V, W | null]]> {
    return this.cogroup(other, partitions).flatMapValues(([a, b]) => pairsOf(a, orNull(b)))
  }

  /** As `join`, with every value of the other. */
  rightOuterJoin<K, V, W>(this: RDD<readonly [K, V]>, other: RDD<readonly [K, W]>, partitions?: Partitions): RDD<[K, [V | null, W]]> {
    return this.cogroup(other, partitions).flatMapValues(([a, b]) => pairsOf(orNull(a), b))
  }

  /** As `join`, with every value of both. */
  fullOuterJoin<K, V, W>(this: RDD<readonly [K, V]>, other: RDD<readonly [K, W]>, partitions?: Partitions): RDD<[K, [V | null, W | null]]> {
    return this.cogroup(other, partitions).flatMapValues(([a, b]) => pairsOf(orNull(a), orNull(b)))
  }

  /** The pairs whose keys the other does not have. Keeps the partitioner. */
  subtractByKey<K, V>(this: RDD<readonly [K, V]>, other: RDD<readonly [K, unknown]>, partitions?: Partitions): RDD<[K, V]> {
    // one without partitions gives the keys of the other no place
    const partitioner = partitionerFor(partitions ?? this.partitioner ?? Math.max(1, this.partitions), [this.node])
    return new RDD(withoutKeys(this.node, other.node, partitioner) as Node<[K, V]>)
  }

  /** A share of the pairs of each key: `fractions` says which. The same for the same seed. */
  sampleByKey<K, V>(
    this: RDD<readonly [K, V]>,
    withReplacement: boolean,
    fractions: ReadonlyMap<K, number>,
    seed: number = this.#seed(),
  ): RDD<[K, V]> {
    const byKey = new KeyMap<K, number>()
    for (const [key, fraction] of fractions) byKey.set(key, fraction)
    return new RDD(stratified(this.node, withReplacement, (pair) => byKey.get(pair[0]) ?? 0, seed) as Node<[K, V]>)
  }

  /** For each key, about how many different values it has; see `countApproxDistinct`. */
  countApproxDistinctByKey<K>(this: RDD<readonly [K, unknown]>, deviation = 0.05, partitions?: Partitions): RDD<[K, number]> {
    const precision = precisionFor(deviation)
    const add = (registers: Uint8Array, value: unknown): Uint8Array => new DistinctCount(precision, registers).add(value).registers
    const merge = (a: Uint8Array, b: Uint8Array): Uint8Array => new DistinctCount(precision, a).merge(b).registers
    return this.aggregateByKey(() => new DistinctCount(precision).registers, add, merge, partitions).mapValues(
      (registers) => new DistinctCount(precision, registers).count,
    )
  }

  // ---------------------------------------------------------------------------------------------- kept

  /** Keeps its partitions once they are computed: in memory (what does not fit is computed again), on disk, or both. */
  persist(level: StorageLevel = 'memory'): this {
    this.node.persist(level)
    return this
  }

  /** `persist('memory')`. */
  cache(): this {
    return this.persist('memory')
  }

  unpersist(): this {
    this.node.unpersist()
    return this
  }

  get storageLevel(): StorageLevel | undefined {
    return this.node.level
  }

  /** Writes it to the context's `checkpointFolder` after the next action, and forgets what it was computed from. Persist it before, or it is computed twice. */
  checkpoint(): this {
    if (this.context.checkpointFolder === undefined) throw new SquallError('no-checkpoint-folder', { rdd: this.toString() })
    this.context.hasCheckpoints = true
    this.node.markForCheckpoint()
    return this
  }

  get isCheckpointed(): boolean {
    return this.node.checkpointState === 'done'
  }

  // ---------------------------------------------------------------------------------------------- actions

  /** All values, in the order of the partitions. */
  collect(): Promise<T[]> {
    return runJob<T, T[]>(this.node, 'collect', gathered).then(concatenated)
  }

  /** The values of some partitions, an array each. */
  collectPartitions(partitions: readonly number[]): Promise<T[][]> {
    const wrong = partitions.find((partition) => !(Number.isInteger(partition) && partition >= 0 && partition < this.partitions))
    if (wrong !== undefined) {
      const expected = `numbers of partitions, from 0 to ${this.partitions - 1}`
      throw new SquallError('bad-option', { option: 'partitions', of: 'collectPartitions', value: wrong, expected })
    }
    return runJob(this.node, 'collectPartitions', gathered, partitions)
  }

  count(): Promise<number> {
    return runJob(this.node, 'count', countOf).then((counts) => counts.reduce((a, b) => a + b, 0))
  }

  /** The first value. Without any: `rdd-empty`. */
  first(): Promise<T> {
    return take(this.node, 1, 'first').then((values) => {
      if (values.length === 0) throw new SquallError('rdd-empty', { action: 'first' })
      return values[0] as T
    })
  }

  /** The first values, as many as there are up to `num`; no more partitions are computed than that takes. */
  take(num: number): Promise<T[]> {
    return take(this.node, num)
  }

  isEmpty(): Promise<boolean> {
    return take(this.node, 1, 'isEmpty').then((values) => values.length === 0)
  }

  /** The `num` largest values, the largest first. */
  top(num: number, compare: Compare<T> = natural): Promise<T[]> {
    return takeOrdered(this.node, num, (a, b) => compare(b, a), 'top')
  }

  /** The `num` smallest values, in order. */
  takeOrdered(num: number, compare: Compare<T> = natural): Promise<T[]> {
    return takeOrdered(this.node, num, compare, 'takeOrdered')
  }

  /** `num` values at random, in random order: fewer without replacement, if there are fewer. */
  takeSample(withReplacement: boolean, num: number, seed: number = this.#seed()): Promise<T[]> {
    return takeSample(this.node, withReplacement, num, seed)
  }

  /** All values combined by `f`, which must not care for their order. Without any: `rdd-empty`. */
  reduce(f: (a: T, b: T) => T): Promise<T> {
    return this.#reduced('reduce', f)
  }

  /** As `reduce`, here first in each task. */
  treeReduce(f: (a: T, b: T) => T, depth = 2): Promise<T> {
    checkDepth(depth, 'treeReduce')
    return this.#reduced('treeReduce', f)
  }

  /** As `reduce`, from a zero value for each partition and one for all. */
  fold(zero: Zero<T>, f: (a: T, b: T) => T): Promise<T> {
    return this.#aggregated('fold', zero, f, f)
  }

  /** The values of each partition added to a zero value by `add`, and these put together by `merge`. */
  aggregate<U>(zero: Zero<U>, add: (sum: U, value: T) => U, merge: (a: U, b: U) => U): Promise<U> {
    return this.#aggregated('aggregate', zero, add, merge)
  }

  /** As `aggregate`; `depth` is how often partial results may be put together in Spark, here once in any case. */
  treeAggregate<U>(zero: Zero<U>, add: (sum: U, value: T) => U, merge: (a: U, b: U) => U, depth = 2): Promise<U> {
    checkDepth(depth, 'treeAggregate')
    return this.#aggregated('treeAggregate', zero, add, merge)
  }

  /** How often each value is there. Composite values are compared by content, and each is in the map once. */
  countByValue(): Promise<Map<T, number>> {
    return this.#countedBy('countByValue', (value) => value)
  }

  /** How often each key is there. */
  countByKey<K>(this: RDD<readonly [K, unknown]>): Promise<Map<K, number>> {
    return this.#countedBy('countByKey', (pair) => pair[0])
  }

  /** About how many different values there are: `deviation` is the standard deviation of the error, as a part of the result. */
  countApproxDistinct(deviation = 0.05): Promise<number> {
    const precision = precisionFor(deviation)
    return runJob(this.node, 'countApproxDistinct', (read) => {
      const counted = new DistinctCount(precision)
      read((value) => void counted.add(value))
      return counted.registers
    }).then((parts) => parts.reduce((sum, registers) => sum.merge(registers), new DistinctCount(precision)).count)
  }

  /** Runs `f` for each value, in the task that has it. */
  foreach(f: (value: T) => void): Promise<void> {
    return runJob(this.node, 'foreach', (read) => read(f)).then(() => undefined)
  }

  /** Runs `f` for the values of each partition, in the task that owns it; awaits it. */
  foreachPartition(f: (values: readonly T[], partition: number) => void | Promise<void>): Promise<void> {
    return foreachPartition(this.node, f)
  }

  /** Writes a line a value (objects as JSON) into part files of a new folder. Errors: `output-exists`, `file-unwritable`. */
  saveAsTextFile(folder: string): Promise<void> {
    return saveAsTextFile(this.node, folder)
  }

  /** Writes the values, which must be plain data, into part files of a new folder; `objectFile` of a context reads them. Errors: `output-exists`, `file-unwritable`. */
  saveAsObjectFile(folder: string): Promise<void> {
    return saveAsObjectFile(this.node, folder)
  }

  /** The values, one partition at a time: the next one is computed when it is asked for. */
  async *toLocalIterator(): AsyncGenerator<T, void, undefined> {
    for (let partition = 0; partition < this.partitions; partition++)
      for (const values of await runJob<T, T[]>(this.node, 'toLocalIterator', gathered, [partition])) yield* values
  }

  /** The smallest value. Without any: `rdd-empty`. */
  min(compare: Compare<T> = natural): Promise<T> {
    return this.#reduced('min', (a, b) => (compare(a, b) <= 0 ? a : b))
  }

  /** The largest value. Without any: `rdd-empty`. */
  max(compare: Compare<T> = natural): Promise<T> {
    return this.#reduced('max', (a, b) => (compare(a, b) >= 0 ? a : b))
  }

  // ---------------------------------------------------------------------------------------------- actions on pairs

  /** The values of one key. With a partitioner, only the partition of that key is computed. */
  lookup<K, V>(this: RDD<readonly [K, V]>, key: K): Promise<V[]> {
    const { node, partitioner } = this
    return inOrder(this.context, 'lookup', async () => {
      await prepare(node)
      const wanted = partitioner === undefined ? Array.from({ length: node.partitions }, (_, p) => p) : [partitionOf(partitioner, key)]
      return (
        await computed(node, `lookup in ${node.title}`, wanted, (read) => valuesOf<K, V>(read, (other) => isSameKey(key, other)))
      ).flat()
    })
  }

  /** The pairs as a map; of several values of a key the last. */
  collectAsMap<K, V>(this: RDD<readonly [K, V]>): Promise<Map<K, V>> {
    return this.collect().then((pairs) => {
      const cells = new KeyMap<K, V>()
      for (const [key, value] of pairs) cells.set(key, value)
      return mapOf(cells)
    })
  }

  /** `reduceByKey`, and the result as a map. */
  reduceByKeyLocally<K, V>(this: RDD<readonly [K, V]>, f: (a: V, b: V) => V): Promise<Map<K, V>> {
    return this.reduceByKey(f).collectAsMap()
  }

  // ---------------------------------------------------------------------------------------------- actions on numbers

  sum(this: RDD<number>): Promise<number> {
    return this.#aggregated<number>(
      'sum',
      0,
      (a, b) => a + b,
      (a, b) => a + b,
    )
  }

  mean(this: RDD<number>): Promise<number> {
    return this.stats().then(({ mean }) => mean)
  }

  /** Count, mean, sum, variance, standard deviation, min and max, in one pass. */
  stats(this: RDD<number>): Promise<Stats> {
    return runJob(this.node, 'stats', (read): StatsData => {
      const stats = new Stats()
      read((value) => void stats.add(value))
      return stats.data
    }).then((parts) => parts.reduce((sum, part) => sum.merge(part), new Stats()))
  }

  /** How many values are in each bucket: `buckets` of the same width between min and max, or with these bounds (the last one included). */
  histogram(this: RDD<number>, buckets: number): Promise<[bounds: readonly number[], counts: number[]]>
  histogram(this: RDD<number>, bounds: readonly number[]): Promise<number[]>
  histogram(this: RDD<number>, buckets: number | readonly number[]): Promise<number[] | [readonly number[], number[]]> {
    if (typeof buckets !== 'number') {
      checkBuckets(buckets)
      return this.#inBuckets(buckets)
    }
    if (!Number.isSafeInteger(buckets) || buckets < 1) throw new SquallError('bad-buckets', { reason: `${buckets} buckets` })
    return this.stats().then(async ({ count, min, max }) => {
      if (count === 0) throw new SquallError('rdd-empty', { action: 'histogram' })
      const bounds = evenBuckets(buckets, min, max)
      return [bounds, await this.#inBuckets(bounds)]
    })
  }

  // ---------------------------------------------------------------------------------------------- helpers

  /** A seed that all tasks agree on. */
  #seed(): number {
    return (this.context.seed + Math.imul(this.id + 1, 0x9e3779b1)) | 0
  }

  #combined<K, V, C>(this: RDD<readonly [K, V]>, name: string, combiner: Combiner<V, C>, partitions: Partitions): RDD<[K, C]> {
    const node: PairNode<K, V> = this.node
    return new RDD(combined(node, name, partitionerFor(partitions, [node]), combiner))
  }

  #reduced(name: string, f: (a: T, b: T) => T): Promise<T> {
    const reduced = (values: Iterable<readonly [T]>): readonly [T] | undefined => {
      let sum: [T] | undefined
      for (const [value] of values) {
        if (sum === undefined) sum = [value]
        else sum[0] = f(sum[0], value)
      }
      return sum
    }
    return runJob(this.node, name, (read) => {
      let sum: T | undefined
      let isEmpty = true
      read((value) => {
        sum = isEmpty ? value : f(sum as T, value)
        isEmpty = false
      })
      return isEmpty ? null : ([sum as T] as const)
    }).then((parts) => {
      const sum = guarded(() => reduced(parts.filter((part) => part !== null)))
      if (sum === undefined) throw new SquallError('rdd-empty', { action: name })
      return sum[0]
    })
  }

  #aggregated<U>(name: string, zero: Zero<U>, add: (sum: U, value: T) => U, merge: (a: U, b: U) => U): Promise<U> {
    return runJob(this.node, name, (read) => {
      let sum = zeroOf(zero)
      read((value) => {
        sum = add(sum, value)
      })
      return sum
    }).then((parts) => guarded(() => parts.reduce(merge, zeroOf(zero))))
  }

  #countedBy<K>(name: string, keyOf: (value: T) => K): Promise<Map<K, number>> {
    return runJob(this.node, name, (read) => {
      const cells = new KeyMap<K, number>()
      read((value) => {
        const key = keyOf(value)
        const cell = cells.find(key)
        if (cell === undefined) cells.add(key, 1)
        else cell.value++
      })
      return Array.from(cells.cells(), ({ key, value }): [K, number] => [key, value])
    }).then((parts) => {
      const sums = new KeyMap<K, number>()
      for (const [key, count] of parts.flat()) sums.set(key, (sums.get(key) ?? 0) + count)
      return mapOf(sums)
    })
  }

  #inBuckets(this: RDD<number>, bounds: readonly number[]): Promise<number[]> {
    return runJob(this.node, 'histogram', (read) => {
      const counts = new Array<number>(bounds.length - 1).fill(0)
      read((value) => {
        const bucket = bucketOf(bounds, value)
        if (bucket >= 0) counts[bucket]!++
      })
      return counts
    }).then((parts) => bounds.slice(1).map((_, i) => parts.reduce((sum, counts) => sum + (counts[i] as number), 0)))
  }
}

export interface SortOptions<K> {
  /** smallest first (yes) */
  readonly ascending?: boolean | undefined
  /** the order of keys (numbers by value, strings by code units, arrays item by item) */
  readonly compare?: Compare<K> | undefined
  /** how many partitions the result has (as many as the input) */
  readonly partitions?: number | undefined
}

/** Of values that count only as keys. */
const nothing: Combiner<null, null> = { create: () => null, mergeValue: () => null, mergeCombined: () => null }

function differentOf<T>(values: readonly T[]): Iterable<T> {
  const cells = new KeyMap<T, null>()
  for (const value of values) cells.set(value, null)
  return Array.from(cells.cells(), ({ key }) => key)
}

function zipped<T, U>(values: readonly T[], others: readonly U[], partition: number): [T, U][] {
  if (values.length !== others.length) throw new SquallError('zip-values', { m: values.length, n: others.length, partition })
  return values.map((value, i) => [value, others[i] as U])
}

function* pairsOf<V, W>(a: readonly V[], b: readonly W[]): Iterable<[V, W]> {
  for (const v of a) for (const w of b) yield [v, w]
}

function orNull<V>(values: readonly V[]): readonly (V | null)[] {
  return values.length === 0 ? [null] : values
}

function mapOf<K, V>(cells: KeyMap<K, V>): Map<K, V> {
  return new Map(Array.from(cells.cells(), ({ key, value }) => [key, value]))
}

function checkDepth(depth: number, of: string): void {
  if (!Number.isSafeInteger(depth) || depth < 1)
    throw new SquallError('bad-option', { option: 'depth', of, value: depth, expected: 'a whole number from 1' })
}
