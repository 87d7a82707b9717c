/**
 * DStreams: a sequence of RDDs, one for each batch, and Spark's operators over it.
 *
 * Nearly every operator is the same operator of the RDD, applied to each batch (`#via`). What reaches back (windows) or
 * keeps state has a file of its own.
 */
import { SquallError } from '../../errors.ts'
import type { Duration } from '../../std/clock.ts'
import type { RDD } from '../rdd/rdd.ts'
import type { StreamGraph, StreamNode } from './graph.ts'
import type { BatchInfo, Scope } from './scope.ts'

export type Pair<K, V> = readonly [K, V]

/** How a stream is made from its parents' RDDs of the same batch; `undefined` where a parent has none at that time. */
type Make<T> = (scope: Scope) => RDD<T> | undefined

export interface StreamShape {
  readonly name: string
  readonly parents: readonly StreamNode<unknown>[]
  readonly slideMs?: number
  readonly lookBackMs?: number
  readonly isStateful?: boolean
}

export class DStream<T> implements StreamNode<T> {
  readonly graph: StreamGraph
  readonly number: number
  readonly name: string
  readonly parents: readonly StreamNode<unknown>[]
  readonly slideMs: number
  readonly lookBackMs: number
  readonly isStateful: boolean
  rememberMs: number
  persists = false
  readonly make: Make<T>

  constructor(graph: StreamGraph, shape: StreamShape, make: Make<T>) {
    this.graph = graph
    this.number = graph.streams.length
    this.name = shape.name
    this.parents = shape.parents
    this.slideMs = shape.slideMs ?? shape.parents[0]?.slideMs ?? graph.intervalMs
    this.lookBackMs = shape.lookBackMs ?? 0
    this.isStateful = shape.isStateful ?? false
    this.rememberMs = this.slideMs
    this.make = make
    graph.add(this)
  }

  // ---------------------------------------------------------------------------------------------- each batch by itself

  map<U>(f: (value: T) => U): DStream<U> {
    return this.#via('map', (rdd) => rdd.map(f))
  }

  flatMap<U>(f: (value: T) => Iterable<U>): DStream<U> {
    return this.#via('flatMap', (rdd) => rdd.flatMap(f))
  }

  filter(f: (value: T) => boolean): DStream<T> {
    return this.#via('filter', (rdd) => rdd.filter(f))
  }

  /** Each partition as one array. */
  glom(): DStream<readonly T[]> {
    return this.#via('glom', (rdd) => rdd.glom())
  }

  mapPartitions<U>(f: (values: Iterable<T>) => Iterable<U>): DStream<U> {
    return this.#via('mapPartitions', (rdd) => rdd.mapPartitions(f))
  }

  repartition(partitions: number): DStream<T> {
    return this.#via('repartition', (rdd) => rdd.repartition(partitions))
  }

  /** What all of these streams have in each batch; they must have the same slide. */
  union(...others: readonly DStream<T>[]): DStream<T> {
    const parents = [this, ...others]
    for (const other of others) this.#sameSlide('union', other)
    return new DStream(this.graph, { name: 'union', parents }, (scope) => {
      const rdds = parents.flatMap((parent) => scope.of(parent) ?? [])
      const [first, ...rest] = rdds
      return first?.union(...rest)
    })
  }

  /** Any function of RDDs; it runs in every task, at every batch, and must be the same in all of them. */
  transform<U>(f: (rdd: RDD<T>, info: BatchInfo) => RDD<U>): DStream<U> {
    return new DStream(this.graph, { name: 'transform', parents: [this] }, (scope) => {
      const rdd = scope.of(this)
      return rdd && this.#notNull('transform', f(rdd, scope))
    })
  }

  transformWith<U, V>(other: DStream<U>, f: (rdd: RDD<T>, other: RDD<U>, info: BatchInfo) => RDD<V>): DStream<V> {
    this.#sameSlide('transformWith', other)
    return new DStream(this.graph, { name: 'transformWith', parents: [this, other] }, (scope) => {
      const mine = scope.of(this)
      const theirs = scope.of(other)
      return mine && theirs && this.#notNull('transformWith', f(mine, theirs, scope))
    })
  }

  /** One value a batch; a batch without values gives none. */
  reduce(f: (a: T, b: T) => T): DStream<T> {
    return this.map((value) => [null, value] as const)
      .reduceByKey(f, 1)
      .map(([, value]) => value)
  }

  /** How many values each batch has, 0 included. */
  count(): DStream<number> {
    return this.#via('count', (rdd) =>
      rdd
        .mapPartitions((values) => [countOf(values)])
        .union(rdd.context.parallelize([0], 1))
        .map((n) => [null, n] as const)
        .reduceByKey((a, b) => a + b, 1)
        .map(([, n]) => n),
    )
  }

  countByValue(partitions?: number): DStream<Pair<T, number>> {
    return this.map((value) => [value, 1] as const).reduceByKey((a, b) => a + b, partitions)
  }

  // ---------------------------------------------------------------------------------------------- pairs, each batch by itself

  groupByKey<K, V>(this: DStream<Pair<K, V>>, partitions?: number): DStream<Pair<K, readonly V[]>> {
    return via(this, 'groupByKey', (rdd) => rdd.groupByKey(partitions))
  }

  reduceByKey<K, V>(this: DStream<Pair<K, V>>, f: (a: V, b: V) => V, partitions?: number): DStream<Pair<K, V>> {
    return via(this, 'reduceByKey', (rdd) => rdd.reduceByKey(f, partitions))
  }

  combineByKey<K, V, C>(
    this: DStream<Pair<K, V>>,
    create: (value: V) => C,
    add: (combined: C, value: V) => C,
    merge: (a: C, b: C) => C,
    partitions?: number,
  ): DStream<Pair<K, C>> {
    return via(this, 'combineByKey', (rdd) => rdd.combineByKey(create, add, merge, partitions))
  }

  mapValues<K, V, U>(this: DStream<Pair<K, V>>, f: (value: V) => U): DStream<Pair<K, U>> {
    return via(this, 'mapValues', (rdd) => rdd.mapValues(f))
  }

  flatMapValues<K, V, U>(this: DStream<Pair<K, V>>, f: (value: V) => Iterable<U>): DStream<Pair<K, U>> {
    return via(this, 'flatMapValues', (rdd) => rdd.flatMapValues(f))
  }

  cogroup<K, V, W>(this: DStream<Pair<K, V>>, other: DStream<Pair<K, W>>, partitions?: number): DStream<Pair<K, readonly [readonly V[], readonly W[]]>> {
    return both(this, other, 'cogroup', (a, b) => a.cogroup(b, partitions))
  }

  join<K, V, W>(this: DStream<Pair<K, V>>, other: DStream<Pair<K, W>>, partitions?: number): DStream<Pair<K, readonly [V, W]>> {
    return both(this, other, 'join', (a, b) => a.join(b, partitions))
  }

  leftOuterJoin<K, V, W>(this: DStream<Pair<K, V>>, other: DStream<Pair<K, W>>, partitions?: number): DStream<Pair<K, readonly [V, W | null]>> {
    return both(this, other, 'leftOuterJoin', (a, b) => a.leftOuterJoin(b, partitions))
  }

  rightOuterJoin<K, V, W>(this: DStream<Pair<K, V>>, other: DStream<Pair<K, W>>, partitions?: number): DStream<Pair<K, readonly [V | null, W]>> {
    return both(this, other, 'rightOuterJoin', (a, b) => a.rightOuterJoin(b, partitions))
  }

  fullOuterJoin<K, V, W>(this: DStream<Pair<K, V>>, other: DStream<Pair<K, W>>, partitions?: number): DStream<Pair<K, readonly [V | null, W | null]>> {
    return both(this, other, 'fullOuterJoin', (a, b) => a.fullOuterJoin(b, partitions))
  }

  // ---------------------------------------------------------------------------------------------- keeping and giving out

  /** Keeps each batch's RDD in memory as long as it is remembered. */
  persist(): this {
    this.persists = true
    return this
  }

  /** Keeps the RDDs of this stream at least so long. */
  remember(duration: Duration): this {
    this.rememberMs = Math.max(this.rememberMs, millis(duration, 'remember'))
    return this
  }

  // ---------------------------------------------------------------------------------------------- windows over batches

  /** What came in the last `length`, every `slide`; both are multiples of this stream's slide. */
  window(length: Duration, slide: Duration = this.slideMs): DStream<T> {
    return windowed(this, length, slide)
  }

  reduceByWindow(f: (a: T, b: T) => T, length: Duration, slide: Duration): DStream<T> {
    return this.reduce(f).window(length, slide).reduce(f)
  }

  groupByKeyAndWindow<K, V>(this: DStream<Pair<K, V>>, length: Duration, slide?: Duration): DStream<Pair<K, readonly V[]>> {
    return windowed(
      this.combineByKey<K, V, V[]>(
        (value) => [value],
        (all, value) => (all.push(value), all),
        (a, b) => [...a, ...b],
      ),
      length,
      slide ?? this.slideMs,
    ).reduceByKey((a, b) => [...a, ...b])
  }

  /** Each batch is reduced by itself first; a window then reduces what its batches have left. */
  reduceByKeyAndWindow<K, V>(this: DStream<Pair<K, V>>, f: (a: V, b: V) => V, length: Duration, slide?: Duration): DStream<Pair<K, V>> {
    return windowed(this.reduceByKey(f), length, slide ?? this.slideMs).reduceByKey(f)
  }

  countByValueAndWindow(length: Duration, slide: Duration): DStream<Pair<T, number>> {
    return this.map((value) => [value, 1] as const).reduceByKeyAndWindow((a, b) => a + b, length, slide)
  }

  countByWindow(length: Duration, slide: Duration): DStream<number> {
    return this.count().reduceByWindow((a, b) => a + b, length, slide)
  }

  // ---------------------------------------------------------------------------------------------- inside

  #via<U>(name: string, f: (rdd: RDD<T>) => RDD<U>): DStream<U> {
    return via(this, name, f)
  }

  #sameSlide(of: string, other: StreamNode<unknown>): void {
    if (other.slideMs !== this.slideMs)
      this.graph.fault(new SquallError('slides-differ', { of, slideMs: this.slideMs, other: other.slideMs }, this.graph.where(this.name)))
  }

  #notNull<U>(of: string, rdd: RDD<U> | null | undefined): RDD<U> {
    if (rdd === null || rdd === undefined) throw new SquallError('no-rdd', { of }, this.graph.where(this.name))
    return rdd
  }
}

/** A stream that is an operator of RDDs applied to each batch. */
function via<T, U>(stream: DStream<T>, name: string, f: (rdd: RDD<T>) => RDD<U>): DStream<U> {
  return new DStream(stream.graph, { name, parents: [stream] }, (scope) => {
    const rdd = scope.of(stream)
    return rdd && f(rdd)
  })
}

function both<T, U, R>(a: DStream<T>, b: DStream<U>, name: string, f: (a: RDD<T>, b: RDD<U>) => RDD<R>): DStream<R> {
  return a.transformWith(b, (mine, theirs) => f(mine, theirs)).named(name)
}

function windowed<T>(stream: DStream<T>, length: Duration, slide: Duration): DStream<T> {
  const lengthMs = wholeSlides(stream, 'the length', length)
  const slideMs = wholeSlides(stream, 'the slide', slide)
  stream.persist()
  return new DStream(stream.graph, { name: 'window', parents: [stream], slideMs, lookBackMs: lengthMs }, (scope) => {
    const rdds: RDD<T>[] = []
    for (let timeMs = scope.timeMs - lengthMs + stream.slideMs; timeMs <= scope.timeMs; timeMs += stream.slideMs) {
      const rdd = scope.of(stream, timeMs)
      if (rdd !== undefined) rdds.push(rdd)
    }
    const [first, ...rest] = rdds
    return first?.union(...rest)
  })
}
