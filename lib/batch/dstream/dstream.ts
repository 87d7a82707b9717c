/**
 * DStreams: a sequence of RDDs, one for each batch, and Spark's operators over it.
 *
 * Nearly every operator is the same operator of the RDD, applied to each batch (`#via`). What reaches back (windows) or
 * keeps state has a file of its own.
 */
import { SquallError } from '../../errors.ts'
import { durationMs } from '../../std/clock.ts'
import type { Duration } from '../../std/clock.ts'
import { shown } from '../../std/words.ts'
import { timeless, timed, watermarked } from '../event/event-stream.ts'
import type { EventStream, Groups, StatefulStream } from '../event/event-stream.ts'
import type { TimeOf } from '../event/rows.ts'
import { KeyMap } from '../keyed.ts'
import type { RDD } from '../rdd/rdd.ts'
import type { StreamGraph, StreamNode } from './graph.ts'
import { eachPartition, foreachRdd, onceFiles, textFiles } from './outputs.ts'
import type { PartitionInfo } from './outputs.ts'
import type { BatchInfo, BatchReport, Scope } from './scope.ts'
import { KeyGroupPartitioner, partitionerOf, snapshotOf, updated } from './state-rdd.ts'
import { keptTable, runSpec } from './state-spec.ts'
import type { KeptTable, StateSpec } from './state-spec.ts'

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

export interface StateOptions {
  /** what its state is called in the store: needed where two operators would have the same name (the operator and its input) */
  readonly name?: string
}

/** A stream of `mapWithState`: what the function returned. */
export type MapWithStateStream<K, S, R> = DStream<R> & {
  /** The state of all keys, at each batch. */
  stateSnapshots(): DStream<Pair<K, S>>
}

/** A value that enters a window, or leaves it. */
type Slice<V> = readonly [isEntering: boolean, value: V]

export class DStream<out T> implements StreamNode<T> {
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

  /** Where `f` returns pairs, the result has the operators by key. */
  map<K, V>(f: (value: T) => readonly [K, V]): DStream<Pair<K, V>>
  map<U>(f: (value: T) => U): DStream<U>
  map<U>(f: (value: T) => U): DStream<U> {
    return this.#via('map', (rdd) => rdd.map(f))
  }

  flatMap<K, V>(f: (value: T) => Iterable<readonly [K, V]>): DStream<Pair<K, V>>
  flatMap<U>(f: (value: T) => Iterable<U>): DStream<U>
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
    for (const other of others) checkSlides(this, other, 'union')
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
    checkSlides(this, other, 'transformWith')
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
    return this.map((value): Pair<T, number> => [value, 1]).reduceByKey((a, b) => a + b, partitions)
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

  cogroup<K, V, W>(
    this: DStream<Pair<K, V>>,
    other: DStream<Pair<K, W>>,
    partitions?: number,
  ): DStream<Pair<K, readonly [readonly V[], readonly W[]]>> {
    return both(this, other, 'cogroup', (a, b) => a.cogroup(b, partitions))
  }

  join<K, V, W>(this: DStream<Pair<K, V>>, other: DStream<Pair<K, W>>, partitions?: number): DStream<Pair<K, readonly [V, W]>> {
    return both(this, other, 'join', (a, b) => a.join(b, partitions))
  }

  leftOuterJoin<K, V, W>(
    this: DStream<Pair<K, V>>,
    other: DStream<Pair<K, W>>,
    partitions?: number,
  ): DStream<Pair<K, readonly [V, W | null]>> {
    return both(this, other, 'leftOuterJoin', (a, b) => a.leftOuterJoin(b, partitions))
  }

  rightOuterJoin<K, V, W>(
    this: DStream<Pair<K, V>>,
    other: DStream<Pair<K, W>>,
    partitions?: number,
  ): DStream<Pair<K, readonly [V | null, W]>> {
    return both(this, other, 'rightOuterJoin', (a, b) => a.rightOuterJoin(b, partitions))
  }

  fullOuterJoin<K, V, W>(
    this: DStream<Pair<K, V>>,
    other: DStream<Pair<K, W>>,
    partitions?: number,
  ): DStream<Pair<K, readonly [V | null, W | null]>> {
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
    this.rememberMs = Math.max(this.rememberMs, wholeSlides(this, 'the time to remember', duration))
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
    return this.map((value): Pair<T, number> => [value, 1]).reduceByKeyAndWindow((a, b) => a + b, length, slide)
  }

  countByWindow(length: Duration, slide: Duration): DStream<number> {
    return this.count().reduceByWindow((a, b) => a + b, length, slide)
  }

  /**
   * As above, but each window is made from the one before: what enters is added, what leaves is taken away with `inverse`. The cost
   * follows what enters and leaves, not the window. A key stays, at whatever is left of it, unless `isKept` lets it go.
   */
  reduceByKeyAndWindowInverse<K, V>(
    this: DStream<Pair<K, V>>,
    f: (a: V, b: V) => V,
    inverse: (a: V, b: V) => V,
    length: Duration,
    slide: Duration = this.slideMs,
    { name, isKept }: StateOptions & { readonly isKept?: (key: K, value: V) => boolean } = {},
  ): DStream<Pair<K, V>> {
    const lengthMs = wholeSlides(this, 'the length', length)
    const slideMs = wholeSlides(this, 'the slide', slide)
    const stateName = this.graph.stateName(name, 'reduceByKeyAndWindow', this.name)
    const slices = new DStream(this.graph, { name: 'reduceByKey', parents: [this] }, (scope) =>
      scope.of(this)?.reduceByKey(f, partitionerOf(scope)),
    ).persist()
    const shape = { name: 'window', parents: [slices], slideMs, lookBackMs: lengthMs + slideMs, isStateful: true }
    return new DStream(this.graph, shape, (scope) => {
      const { timeMs } = scope
      const between = (afterMs: number, untilMs: number, isEntering: boolean): RDD<Pair<K, Slice<V>>>[] => {
        const rdds: RDD<Pair<K, Slice<V>>>[] = []
        for (let at = afterMs + this.slideMs; at <= untilMs; at += this.slideMs) {
          const rdd = scope.of(slices, at)
          if (rdd !== undefined) rdds.push(rdd.mapValues((value): Slice<V> => [isEntering, value]))
        }
        return rdds
      }
      const leaving = between(timeMs - slideMs - lengthMs, timeMs - lengthMs, false)
      const changes = scope.sc.union([...leaving, ...between(timeMs - slideMs, timeMs, true)]).partitionBy(partitionerOf(scope))
      return updated<K, Slice<V>, Pair<K, V>>(
        changes,
        'window',
        (read, push) => {
          const table = scope.state.table<K, V>(stateName)
          read(([key, [isEntering, value]]) => {
            const before = table.get(key)
            if (isEntering) table.put(key, before === undefined ? value : f(before, value))
            else if (before !== undefined) table.put(key, inverse(before, value))
          })
          for (const [key, value] of [...table.entries()]) {
            if (isKept === undefined || isKept(key, value)) push([key, value])
            else table.delete(key)
          }
        },
        true,
      )
    })
  }

  // ---------------------------------------------------------------------------------------------- state

  /**
   * A state for each key, kept exactly once: `f` gets the values of a batch and the state, and returns the new one, or `undefined` to
   * forget the key. It is called at every batch for every key there is. The stream gives the state of all keys.
   */
  updateStateByKey<K, V, S>(
    this: DStream<Pair<K, V>>,
    f: (values: readonly V[], state: S | undefined, key: K, timeMs: number) => S | undefined,
    { name, initialState = [] }: StateOptions & { readonly initialState?: readonly Pair<K, S>[] } = {},
  ): DStream<Pair<K, S>> {
    const stateName = this.graph.stateName(name, 'updateStateByKey', this.name)
    return new DStream(this.graph, { name: 'updateStateByKey', parents: [this], isStateful: true }, (scope) => {
      const input = scope.of(this)?.groupByKey(partitionerOf(scope))
      return (
        input &&
        updated<K, readonly V[], Pair<K, S>>(
          input,
          'updateStateByKey',
          (read, push) => {
            const table = scope.state.table<K, S>(stateName)
            if (isFirst(scope)) for (const [key, state] of ownOf(scope, initialState)) table.put(key, state)
            const seen = new KeyMap<K, true>()
            const step = (key: K, values: readonly V[]): void => {
              const state = f(values, table.get(key), key, scope.timeMs)
              if (state === undefined) table.delete(key)
              else table.put(key, state)
            }
            read(([key, values]) => {
              seen.set(key, true)
              step(key, values)
            })
            for (const [key] of [...table.entries()]) if (!seen.has(key)) step(key, [])
            for (const entry of table.entries()) push(entry)
          },
          true,
        )
      )
    })
  }

  /** Calls a function for each record with its key's state; see `stateSpec`. Its cost follows the batch and not the state. */
  mapWithState<K, V, S, R>(
    this: DStream<Pair<K, V>>,
    spec: StateSpec<K, V, S, R>,
    { name }: StateOptions = {},
  ): MapWithStateStream<K, S, R> {
    const stateName = this.graph.stateName(name, 'mapWithState', this.name)
    const table = (scope: Scope): KeptTable<K, S> => keptTable(scope.state, stateName, spec.timeoutMs !== undefined)
    const mapped = new DStream<R>(this.graph, { name: 'mapWithState', parents: [this], isStateful: true }, (scope) => {
      const input = scope.of(this)?.partitionBy(partitionerOf(scope))
      return (
        input &&
        updated<K, V, R>(
          input,
          'mapWithState',
          (read, push) => {
            const kept = table(scope)
            if (isFirst(scope)) for (const [key, state] of ownOf(scope, spec.initialState)) kept.put(key, [state, scope.timeMs])
            runSpec(spec, scope.timeMs, kept, read, push)
          },
          false,
        )
      )
    })
    return Object.assign(mapped, {
      stateSnapshots: () =>
        new DStream<Pair<K, S>>(this.graph, { name: 'stateSnapshots', parents: [mapped], isStateful: true }, (scope) => {
          const after = scope.of(mapped)
          return after && snapshotOf(after, () => table(scope).entries())
        }),
    })
  }

  // ---------------------------------------------------------------------------------------------- event time

  /**
   * The records with the time at which they happened, and a watermark behind the latest of them: `delay` is how late a record may
   * come. The time is a `Date` or milliseconds since 1970; `null` for a record without one.
   *
   * ```ts
   * tweets.withWatermark('at', '1m').groupBy('tag', slidingWindow('10m', '10s')).count()
   * ```
   */
  withWatermark<R>(this: DStream<R>, time: TimeOf<R>, delay: Duration): EventStream<R> {
    return watermarked(this, time, delay)
  }

  /** The records with the time at which they happened, for windows whose results are not waited for (`update`, `complete`). */
  withEventTime<R>(this: DStream<R>, time: TimeOf<R>): EventStream<R> {
    return timed(this, time)
  }

  /** Groups by fields, over all batches; see `withWatermark` for groups in windows. */
  groupBy<K extends keyof T & string>(...fields: readonly K[]): Groups<T, Pick<T, K>> {
    return timeless(this).groupBy(...fields)
  }

  /** Leaves out what was there before, in this batch or any other: records with the same fields (all of them). Its state grows. */
  dropDuplicates(...fields: readonly (keyof T & string)[]): StatefulStream<T, T> {
    return timeless(this).dropDuplicates(...fields)
  }

  // ---------------------------------------------------------------------------------------------- outputs

  /**
   * Does something with each batch, once, in the order of the batches. The RDD has been brought to one executor; `f` may use its
   * actions. When the batch is run again after a failure, `f` is called again with the same txid: what it writes should go by that.
   */
  foreachRDD(f: (rdd: RDD<T>, info: BatchInfo & BatchReport) => void | Promise<void>): void {
    this.graph.addOutput(foreachRdd(this, f))
  }

  /** Does something with each partition of each batch, in the executor where it is; otherwise as `foreachRDD`. */
  foreachPartition(f: (values: readonly T[], info: PartitionInfo) => void | Promise<void>): void {
    this.graph.addOutput(eachPartition(this, f))
  }

  /** Prints the first values of each batch. */
  print(n = 10): void {
    this.foreachRDD(async (rdd, { timeMs }) => {
      const first = await rdd.take(n + 1)
      const line = '-------------------------------------------'
      const more = first.length > n ? ['...'] : []
      process.stdout.write(`${[line, `Time: ${timeMs} ms`, line, ...first.slice(0, n).map(shown), ...more, ''].join('\n')}\n`)
    })
  }

  /**
   * Writes each batch once, whatever happens, as files `batch-TXID.part-PARTITION` with a value a line; pairs are written
   * `key<TAB>value`. A batch that is run again replaces its files, so the folder holds the records of every batch exactly once.
   */
  saveOnce(folder: string): void {
    this.graph.addOutput(onceFiles(this, folder))
  }

  /** Writes each batch as a folder of text files, `prefix-TIME_MS[.suffix]`; a batch that is run again replaces its folder. */
  saveAsTextFiles(prefix: string, suffix?: string): void {
    this.graph.addOutput(textFiles(this, prefix, suffix))
  }

  // ---------------------------------------------------------------------------------------------- inside

  #via<U>(name: string, f: (rdd: RDD<T>) => RDD<U>): DStream<U> {
    return via(this, name, f)
  }

  /** A stream made from others of the same graph. */
  derive<U>(shape: StreamShape, make: Make<U>): DStream<U> {
    return new DStream(this.graph, shape, make)
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
  checkSlides(a, b, name)
  return new DStream(a.graph, { name, parents: [a, b] }, (scope) => {
    const mine = scope.of(a)
    const theirs = scope.of(b)
    return mine && theirs && f(mine, theirs)
  })
}

/** What is looked at of a stream, whatever its values are. */
type Timed = Pick<DStream<unknown>, 'slideMs' | 'graph' | 'name'>

function checkSlides(a: Timed, b: Timed, of: string): void {
  if (b.slideMs !== a.slideMs)
    a.graph.fault(new SquallError('slides-differ', { of, slideMs: a.slideMs, other: b.slideMs }, a.graph.where(a.name)))
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

/** A duration that must be a multiple of a stream's slide. */
function wholeSlides(stream: Timed, what: string, duration: Duration): number {
  const ms = durationMs(duration)
  const { slideMs, graph, name } = stream
  if (ms !== undefined && ms > 0 && slideMs > 0 && ms % slideMs === 0) return ms
  graph.fault(new SquallError('bad-window', { what, duration: String(duration), slideMs }, graph.where(name)))
  return slideMs
}

/** States that operators begin with are there before the very first batch. */
function isFirst({ txid }: Scope): boolean {
  return txid === 1
}

/** The pairs whose keys this task owns. */
function ownOf<K, S>({ sc }: Scope, pairs: readonly Pair<K, S>[] = []): readonly Pair<K, S>[] {
  const partitioner = new KeyGroupPartitioner(sc.count)
  return pairs.filter(([key]) => partitioner.partitionOf(key) === sc.index)
}

function countOf(values: Iterable<unknown>): number {
  let n = 0
  for (const _ of values) n++
  return n
}
