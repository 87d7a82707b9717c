/**
 * DStreams: a sequence of RDDs, one for each batch, and Spark's operators over it.
 *
 * Nearly every operator is the same operator of the RDD, applied to each batch (`#via`). What reaches back (windows) or
 * keeps state has a file of its own.
 */
import type { z } from 'zod'
import { SquallError } from '../../errors.ts'
import { durationMs } from '../../std/clock.ts'
import type { Duration } from '../../std/clock.ts'
import { onOneLine } from '../../std/words.ts'
import type { StreamHandle } from '../../topology/builder.ts'
import type { StorageLevel } from '../blocks.ts'
import { timed, timeless, watermarked } from '../event/event-stream.ts'
import type { EventStream, Groups, StatefulStream } from '../event/event-stream.ts'
import type { TimeOf } from '../event/rows.ts'
import { asCallback } from '../rdd/attempts.ts'
import type { Partitions } from '../rdd/by-key.ts'
import { RDD } from '../rdd/rdd.ts'
import type { StreamGraph, StreamNode } from './graph.ts'
import { eachPartition, foldersOf, foreachRdd, onceFiles, tuplesOf } from './outputs.ts'
import type { PartitionInfo } from './outputs.ts'
import type { BatchInfo, BatchReport, Scope, TransformInfo } from './scope.ts'
import { growingFile, toSink } from './sinks.ts'
import type { OpenSink } from './sinks.ts'
import { KeyGroupPartitioner, partitionerOf } from './state-rdd.ts'
import type { Past } from './state-rdd.ts'
import type { StateSpec } from './state-spec.ts'
import { mapStates, updateStates } from './stateful.ts'
import type { UpdateStates } from './stateful.ts'
import { inverseWindow, wholeSlides, windowOf } from './windows.ts'

export type Pair<K, V> = readonly [K, V]

/** How a stream is made from its parents' RDDs of the same batch; `undefined` where a parent has none at that time. */
type Make<T> = (scope: Scope) => RDD<T> | undefined

export interface StreamShape<T> {
  readonly name: string
  readonly parents: readonly StreamNode<unknown>[]
  readonly slideMs?: number
  readonly lookBackMs?: number
  readonly isStateful?: boolean
  /** of a stream with state: what the state is called in the store */
  readonly state?: string | undefined
  /** how its operator is drawn, where the name alone says little */
  readonly label?: string
  /** of a stream with state: where its earlier batches are kept */
  readonly past?: Past<T>
}

/** What a stream is, before it is one of the graph. */
export interface Planned<T> {
  readonly shape: StreamShape<T>
  readonly make: Make<T>
}

export interface StateOptions {
  /** what its state is called in the store: needed where two operators would have the same name (the operator and its input) */
  readonly name?: string
}

export interface InitialState<K, S> extends StateOptions {
  /** the states of the very first batch; the same in every task */
  readonly initialState?: readonly Pair<K, S>[]
}

/** How a window is made from the one before. */
export interface InverseOptions<V> extends StateOptions {
  /** Takes away what `f` has added: `inverse(f(a, b), b)` is `a`. */
  inverse?(this: void, a: V, b: V): V
}

export interface KeyedInverseOptions<K, V> extends InverseOptions<V> {
  /** A key that it is false for is forgotten; without it keys stay at whatever is left of them. */
  isKept?(this: void, key: K, value: V): boolean
}

/** A stream of `mapWithState`: what the function returned. */
export type MapWithStateStream<K, S, R> = DStream<R> & {
  /** The state of all keys, at each batch. */
  stateSnapshots(): DStream<Pair<K, S>>
}

/** Streams of any types, as values of these types. */
type StreamsOf<T extends readonly unknown[]> = { readonly [I in keyof T]: DStream<T[I]> }
type RddsOf<T extends readonly unknown[]> = { readonly [I in keyof T]: RDD<T[I]> }

/** Stateful streams are checkpointed about so often where nothing is said. */
const checkpointMs = 10_000

export class DStream<out T> implements StreamNode<T> {
  readonly graph: StreamGraph
  readonly number: number
  readonly name: string
  readonly parents: readonly StreamNode<unknown>[]
  readonly slideMs: number
  readonly lookBackMs: number
  readonly isStateful: boolean
  readonly state: string | undefined
  readonly label: string
  rememberMs: number
  reachMs = 0
  persists = false
  level: StorageLevel = 'memory'
  snapshotMs: number | undefined
  readonly make: Make<T>
  readonly makeAgain?: (scope: Scope) => RDD<T>

  constructor(graph: StreamGraph, shape: StreamShape<T>, make: Make<T>) {
    const { name, parents, slideMs = parents[0]?.slideMs ?? graph.intervalMs, lookBackMs = 0, past } = shape
    this.graph = graph
    this.number = graph.streams.length
    this.name = name
    this.parents = parents
    this.slideMs = slideMs
    this.lookBackMs = lookBackMs
    this.isStateful = shape.isStateful ?? past !== undefined
    this.state = shape.state
    this.label = shape.label ?? name
    this.rememberMs = this.slideMs
    this.make = make
    if (past !== undefined) {
      past.of(this)
      this.makeAgain = (scope) => past.again(scope)
    }
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

  mapPartitions<U>(f: (values: readonly T[]) => Iterable<U>): DStream<U> {
    return this.#via('mapPartitions', (rdd) => rdd.mapPartitions(f))
  }

  mapPartitionsWithIndex<U>(f: (partition: number, values: readonly T[]) => Iterable<U>): DStream<U> {
    return this.#via('mapPartitionsWithIndex', (rdd) => rdd.mapPartitionsWithIndex(f))
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

  /**
   * Any function of RDDs; it runs in every task, at every batch, and must make the same RDDs in all of them. It starts no actions.
   *
   * ```ts
   * const clean = words.transform((rdd) => rdd.subtract(rdd.context.parallelize(stopWords)))
   * ```
   */
  transform<U>(f: (rdd: RDD<T>, info: TransformInfo) => RDD<U>): DStream<U> {
    return DStream.transform([this], ([rdd], info) => f(rdd, info))
  }

  transformWith<U, V>(other: DStream<U>, f: (rdd: RDD<T>, other: RDD<U>, info: TransformInfo) => RDD<V>): DStream<V> {
    return DStream.transform([this, other], ([mine, theirs], info) => f(mine, theirs, info))
  }

  /**
   * The same of any number of streams with the same slide.
   *
   * ```ts
   * DStream.transform([orders, returns], ([bought, sent]) => bought.subtractByKey(sent))
   * ```
   */
  static transform<const T extends readonly unknown[], U>(
    streams: StreamsOf<T>,
    f: (rdds: RddsOf<T>, info: TransformInfo) => RDD<U>,
  ): DStream<U> {
    const parents = streams as readonly DStream<unknown>[]
    const [first, ...others] = parents
    if (first === undefined)
      throw new SquallError('bad-option', { option: 'streams', of: 'transform', value: '[]', expected: 'one stream at least' })
    for (const other of others) checkSlides(first, other, 'transform')
    return new DStream(first.graph, { name: 'transform', parents }, (scope) => {
      const rdds = parents.flatMap((parent) => scope.of(parent) ?? [])
      if (rdds.length < parents.length) return undefined
      // an action in there would trade blocks in the midst of others
      const made: unknown = asCallback(scope.sc, () => f(rdds as RddsOf<T>, scope))
      if (!(made instanceof RDD)) throw new SquallError('no-rdd', { of: 'transform' }, first.graph.where(first.name))
      return made as RDD<U>
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
        .mapPartitions((values) => [values.length])
        .union(rdd.context.parallelize([0], 1))
        .map((n) => [null, n] as const)
        .reduceByKey((a, b) => a + b, 1)
        .map(([, n]) => n),
    )
  }

  countByValue(partitions?: Partitions): DStream<Pair<T, number>> {
    return this.map((value): Pair<T, number> => [value, 1]).reduceByKey((a, b) => a + b, partitions)
  }

  // ---------------------------------------------------------------------------------------------- pairs, each batch by itself

  groupByKey<K, V>(this: DStream<Pair<K, V>>, partitions?: Partitions): DStream<Pair<K, readonly V[]>> {
    return via(this, 'groupByKey', (rdd) => rdd.groupByKey(dividedBy(partitions, rdd)))
  }

  reduceByKey<K, V>(this: DStream<Pair<K, V>>, f: (a: V, b: V) => V, partitions?: Partitions): DStream<Pair<K, V>> {
    return via(this, 'reduceByKey', (rdd) => rdd.reduceByKey(f, dividedBy(partitions, rdd)))
  }

  combineByKey<K, V, C>(
    this: DStream<Pair<K, V>>,
    create: (value: V) => C,
    add: (combined: C, value: V) => C,
    merge: (a: C, b: C) => C,
    partitions?: Partitions,
  ): DStream<Pair<K, C>> {
    return via(this, 'combineByKey', (rdd) => rdd.combineByKey(create, add, merge, dividedBy(partitions, rdd)))
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
    partitions?: Partitions,
  ): DStream<Pair<K, readonly [readonly V[], readonly W[]]>> {
    return both(this, other, 'cogroup', (a, b) => a.cogroup(b, dividedBy(partitions, a, b)))
  }

  join<K, V, W>(this: DStream<Pair<K, V>>, other: DStream<Pair<K, W>>, partitions?: Partitions): DStream<Pair<K, readonly [V, W]>> {
    return both(this, other, 'join', (a, b) => a.join(b, dividedBy(partitions, a, b)))
  }

  leftOuterJoin<K, V, W>(
    this: DStream<Pair<K, V>>,
    other: DStream<Pair<K, W>>,
    partitions?: Partitions,
  ): DStream<Pair<K, readonly [V, W | null]>> {
    return both(this, other, 'leftOuterJoin', (a, b) => a.leftOuterJoin(b, dividedBy(partitions, a, b)))
  }

  rightOuterJoin<K, V, W>(
    this: DStream<Pair<K, V>>,
    other: DStream<Pair<K, W>>,
    partitions?: Partitions,
  ): DStream<Pair<K, readonly [V | null, W]>> {
    return both(this, other, 'rightOuterJoin', (a, b) => a.rightOuterJoin(b, dividedBy(partitions, a, b)))
  }

  fullOuterJoin<K, V, W>(
    this: DStream<Pair<K, V>>,
    other: DStream<Pair<K, W>>,
    partitions?: Partitions,
  ): DStream<Pair<K, readonly [V | null, W | null]>> {
    return both(this, other, 'fullOuterJoin', (a, b) => a.fullOuterJoin(b, dividedBy(partitions, a, b)))
  }

  // ---------------------------------------------------------------------------------------------- keeping and giving out

  /** Keeps each batch's RDD as long as it is remembered. Streams that windows look at are kept without being asked to. */
  persist(level: StorageLevel = 'memory'): this {
    this.persists = true
    this.level = level
    return this
  }

  /** `persist('memory')`. */
  cache(): this {
    return this.persist()
  }

  /**
   * Keeps the RDDs of this stream at least so long, for who reaches back to them with `slice`; what it is made of is kept
   * accordingly. Windows need no such word.
   */
  remember(duration: Duration): this {
    this.rememberMs = Math.max(this.rememberMs, positiveMs(this, 'the time to remember', duration))
    return this
  }

  /**
   * Writes the state down whole so often, a multiple of the slide. Never needed: every batch's changes are durable when it is
   * committed, and stores write the whole state by themselves when that makes a restart quicker. The stream is remembered twice as long.
   */
  checkpoint(interval: Duration): this {
    this.snapshotMs = wholeSlides(this, 'the checkpoint interval', interval)
    this.rememberMs = Math.max(this.rememberMs, 2 * this.snapshotMs)
    return this
  }

  /** The interval of `checkpoint`, and where there is none of a stream with state, Spark's: the batches of about 10 seconds. */
  get checkpointMs(): number | undefined {
    if (this.snapshotMs !== undefined || !this.isStateful) return this.snapshotMs
    return this.slideMs * (this.name === 'mapWithState' ? 10 : Math.ceil(checkpointMs / this.slideMs))
  }

  // ---------------------------------------------------------------------------------------------- windows over batches

  /**
   * What came in the last `length`, every `slide`; both are multiples of this stream's slide.
   *
   * ```ts
   * words.window('30s', '10s').countByValue().print()
   * ```
   */
  window(length: Duration, slide: Duration = this.slideMs): DStream<T> {
    return this.#planned(windowOf(this, length, slide))
  }

  /**
   * One value a window; none where there is nothing in it. With an `inverse`, each is made from the one before, and the value stays
   * when nothing is left in the window.
   */
  reduceByWindow(f: (a: T, b: T) => T, length: Duration, slide: Duration = this.slideMs, options: InverseOptions<T> = {}): DStream<T> {
    const { inverse } = options
    if (inverse === undefined) return this.reduce(f).window(length, slide).reduce(f)
    const reduced = this.map((value): Pair<null, T> => [null, value]).#inverse('reduceByWindow', this.name, f, length, slide, {
      ...options,
      inverse,
    })
    return reduced.map(([, value]) => value)
  }

  groupByKeyAndWindow<K, V>(
    this: DStream<Pair<K, V>>,
    length: Duration,
    slide?: Duration,
    partitions?: Partitions,
  ): DStream<Pair<K, readonly V[]>> {
    return this.groupByKey(partitions)
      .window(length, slide)
      .groupByKey(partitions)
      .mapValues((lists) => lists.flat() as readonly V[])
  }

  /**
   * Each batch is reduced by itself first; a window then reduces what its batches have left. With an `inverse`, each window is made
   * from the one before: what enters is added, what leaves is taken away. That costs what enters and leaves, not the window, and a
   * state. A key stays, at whatever is left of it, unless `isKept` lets it go.
   *
   * ```ts
   * pairs.reduceByKeyAndWindow((a, b) => a + b, '10m', '10s', { inverse: (a, b) => a - b, isKept: (_, n) => n > 0 })
   * ```
   */
  reduceByKeyAndWindow<K, V>(
    this: DStream<Pair<K, V>>,
    f: (a: V, b: V) => V,
    length: Duration,
    slide: Duration = this.slideMs,
    options: KeyedInverseOptions<K, V> & { readonly partitions?: Partitions } = {},
  ): DStream<Pair<K, V>> {
    const { inverse, partitions } = options
    if (inverse === undefined) return this.reduceByKey(f, partitions).window(length, slide).reduceByKey(f, partitions)
    return this.#inverse('reduceByKeyAndWindow', this.name, f, length, slide, { ...options, inverse })
  }

  /** How often each value is in the window. It is counted by what enters and leaves, which takes a state. */
  countByValueAndWindow(length: Duration, slide: Duration = this.slideMs, { name }: StateOptions = {}): DStream<Pair<T, number>> {
    const ones = this.map((value): Pair<T, number> => [value, 1])
    return ones.#inverse('countByValueAndWindow', this.name, plus, length, slide, {
      inverse: minus,
      isKept: (_, n) => n !== 0,
      ...(name !== undefined && { name }),
    })
  }

  /** How many values the window has, 0 included. It is counted by what enters and leaves, which takes a state. */
  countByWindow(length: Duration, slide: Duration = this.slideMs, { name }: StateOptions = {}): DStream<number> {
    const counts = this.count().map((n): Pair<null, number> => [null, n])
    const counted = counts.#inverse('countByWindow', this.name, plus, length, slide, {
      inverse: minus,
      ...(name !== undefined && { name }),
    })
    return counted.map(([, n]) => n)
  }

  // ---------------------------------------------------------------------------------------------- state

  /**
   * A state for each key, kept exactly once: `f` gets the values of a batch and the state, and returns the new one, or `undefined` to
   * forget the key. It is called at every batch for every key there is. The stream gives the state of all keys.
   *
   * ```ts
   * const totals = sales.updateStateByKey((amounts, sum: number = 0) => amounts.reduce((a, b) => a + b, sum))
   * ```
   */
  updateStateByKey<K, V, S>(
    this: DStream<Pair<K, V>>,
    f: (values: readonly V[], state: S | undefined, key: K, timeMs: number) => S | undefined,
    options: InitialState<K, S> = {},
  ): DStream<Pair<K, S>> {
    return this.updateStates<K, V, S>(function* (keys, timeMs) {
      for (const [key, values, state] of keys) {
        const next = f(values, state, key, timeMs)
        if (next !== undefined) yield [key, next]
      }
    }, options)
  }

  /**
   * The same for all keys of a task at once: `f` gets them one after the other with their values and states, and returns the
   * states there are from now on. Keys that are not returned are forgotten.
   */
  updateStates<K, V, S>(
    this: DStream<Pair<K, V>>,
    f: UpdateStates<K, V, S>,
    { name, initialState }: InitialState<K, S> = {},
  ): DStream<Pair<K, S>> {
    return this.#planned(updateStates(this, f, { name, initialState }))
  }

  /** Calls a function for each record with its key's state; see `stateSpec`. Its cost follows the batch and not the state. */
  mapWithState<K, V, S, R>(
    this: DStream<Pair<K, V>>,
    spec: StateSpec<K, V, S, R>,
    { name }: StateOptions = {},
  ): MapWithStateStream<K, S, R> {
    const states = mapStates(this, spec, name)
    const stream = this.#planned(states.mapped)
    let snapshot: DStream<Pair<K, S>> | undefined
    return Object.assign(stream, { stateSnapshots: () => (snapshot ??= this.#planned(states.snapshots(stream))) })
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

  /**
   * The records as tuples that bolts read: a stream of the bolt `batch`, with a name and a schema. A batch is done when all that its tuples
   * lead to is acked; if any of it fails, the batch runs again and gives them again, with the same txid. `toTuple` makes a tuple of a record.
   *
   * ```ts
   * const Total = z.object({ txid: z.int(), word: z.string(), n: z.int() })
   * const totals = counts.toTuples('totals', Total, ([word, n], { txid }) => ({ txid, word, n }))
   * t.bolt('alarm', alarm).fields(totals, ['word'])
   * ```
   */
  toTuples<U extends object>(name: string, schema: z.ZodType<U>, toTuple: (record: T, info: PartitionInfo) => U): StreamHandle<U> {
    if (this.graph.tuples.has(name)) this.graph.fault(new SquallError('duplicate-id', { id: name }, this.graph.where(this.name)))
    this.graph.tuples.set(name, schema)
    this.graph.addOutput(tuplesOf(this, name, toTuple))
    return { component: 'batch', streamName: name, feedback: false }
  }

  /** Prints the first values of each batch, one a line. */
  print(n = 10): void {
    const output = foreachRdd(this, async (rdd, { timeMs }) => {
      const first = await rdd.take(n + 1)
      const line = '-------------------------------------------'
      const more = first.length > n ? ['...'] : []
      process.stdout.write(`${[line, `Time: ${timeMs} ms`, line, ...first.slice(0, n).map(onOneLine), ...more, ''].join('\n')}\n`)
    })
    this.graph.addOutput({ ...output, name: 'print' })
  }

  /**
   * Writes each batch once, whatever happens, as files `batch-TXID.part-PARTITION` with a value a line: objects as JSON, pairs
   * as `key<TAB>value`. A batch that is run again replaces its files, so the folder holds the records of every batch exactly once.
   */
  saveOnce(folder: string): void {
    this.graph.addOutput(onceFiles(this, folder))
  }

  /**
   * Adds each batch to one file, a value a line as `saveOnce` writes them, whatever happens: a batch that is run again replaces what it had written. The index
   * beside the file, `.NAME.index`, belongs to it. One executor writes; for much data take `saveOnce`.
   */
  appendOnce(file: string): void {
    this.graph.addOutput(growingFile(this, file))
  }

  /**
   * Gives each batch to a sink of your own, which each executor opens once. It is told topology, txid and partition: what it writes
   * under those replaces what a failed attempt has left.
   *
   * ```ts
   * counts.saveTo(() => ({
   *   write: (rows, { txid, partition }) => table.replace(`${txid}.${partition}`, rows),
   * }))
   * ```
   */
  saveTo(open: OpenSink<T>): void {
    this.graph.addOutput(toSink(this, open))
  }

  /** Writes each batch as a folder of text files, `prefix-TIME_MS[.suffix]`; a batch that is run again replaces its folder. */
  saveAsTextFiles(prefix: string, suffix?: string): void {
    this.graph.addOutput(foldersOf(this, 'saveAsTextFile', prefix, suffix))
  }

  /** The same as files of objects, which must be plain data: `rdd.objectFile(folder)` reads them. */
  saveAsObjectFiles(prefix: string, suffix?: string): void {
    this.graph.addOutput(foldersOf(this, 'saveAsObjectFile', prefix, suffix))
  }

  // ---------------------------------------------------------------------------------------------- inside

  #via<U>(name: string, f: (rdd: RDD<T>) => RDD<U>): DStream<U> {
    return via(this, name, f)
  }

  /** A stream made from others of the same graph. */
  derive<U>(shape: StreamShape<U>, make: Make<U>): DStream<U> {
    return new DStream(this.graph, shape, make)
  }

  #planned<U>({ shape, make }: Planned<U>): DStream<U> {
    return new DStream(this.graph, shape, make)
  }

  #inverse<K, V>(
    this: DStream<Pair<K, V>>,
    operator: string,
    of: string,
    f: (a: V, b: V) => V,
    length: Duration,
    slide: Duration,
    { inverse, isKept, name }: KeyedInverseOptions<K, V> & Required<Pick<InverseOptions<V>, 'inverse'>>,
  ): DStream<Pair<K, V>> {
    // divided as the state is, so that nothing is traded again
    const slices = new DStream<Pair<K, V>>(this.graph, { name: 'reduceByKey', parents: [this] }, (scope) =>
      scope.of(this)?.reduceByKey(f, partitionerOf(scope)),
    )
    return this.#planned(inverseWindow(slices, length, slide, { f, inverse, isKept, name, operator, of }))
  }
}

function plus(a: number, b: number): number {
  return a + b
}

function minus(a: number, b: number): number {
  return a - b
}

/** A stream that is an operator of RDDs applied to each batch. */
function via<T, U>(stream: DStream<T>, name: string, f: (rdd: RDD<T>) => RDD<U>): DStream<U> {
  return new DStream<U>(stream.graph, { name, parents: [stream] }, (scope) => {
    const rdd = scope.of(stream)
    return rdd && f(rdd)
  })
}

function both<T, U, R>(a: DStream<T>, b: DStream<U>, name: string, f: (a: RDD<T>, b: RDD<U>) => RDD<R>): DStream<R> {
  checkSlides(a, b, name)
  return new DStream<R>(a.graph, { name, parents: [a, b] }, (scope) => {
    const mine = scope.of(a)
    const theirs = scope.of(b)
    return mine && theirs && f(mine, theirs)
  })
}

/**
 * How an operation by key divides: as asked, as its input lies, or else as states are divided, so that one of these behind it trades
 * nothing again.
 */
function dividedBy(asked: Partitions, ...inputs: readonly [RDD<unknown>, ...RDD<unknown>[]]): Partitions {
  if (asked !== undefined || inputs.some(({ partitioner }) => partitioner !== undefined)) return asked
  return new KeyGroupPartitioner(inputs[0].context.count, { isStrict: true })
}

/** What is looked at of a stream, whatever its values are. */
type Timed = Pick<DStream<unknown>, 'slideMs' | 'graph' | 'name'>

function checkSlides(a: Timed, b: Timed, of: string): void {
  if (b.slideMs !== a.slideMs)
    a.graph.fault(new SquallError('slides-differ', { of, slideMs: a.slideMs, other: b.slideMs }, a.graph.where(a.name)))
}

function positiveMs({ graph, name }: Timed, what: string, duration: Duration): number {
  const ms = durationMs(duration)
  if (ms !== undefined && ms > 0) return ms
  graph.fault(
    new SquallError(
      'bad-option',
      { option: 'duration', of: what, value: String(duration), expected: "a duration such as '10s'" },
      graph.where(name),
    ),
  )
  return 0
}
