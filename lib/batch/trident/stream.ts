/**
 * Trident's streams: batches of tuples with named fields, over a `DStream` of their values. Which fields there are is known while the topology
 * is built, so an operator that names another one is a fault of the plan.
 */
import { SquallError } from '../../errors.ts'
import { DStream } from '../dstream/dstream.ts'
import type { Scope } from '../dstream/scope.ts'
import { natural } from '../rdd/ordering.ts'
import type { RDD } from '../rdd/rdd.ts'
import { Chain, collector } from './aggregates.ts'
import type { AnyAggregator, Emit, Link, Row } from './aggregates.ts'
import { ChainedAggregators } from './chained.ts'
import type { AggregateArgs, PersistArgs } from './chained.ts'
import { Fields } from './fields.ts'
import { GroupedTridentStream, aggregated, persisted } from './grouped.ts'
import { joined, sidesOf } from './join.ts'
import type { JoinOptions } from './join.ts'
import { applied, inTask, openerInPlace } from './persist.ts'
import type { StateHandle, StateSource } from './persist.ts'
import { asked } from './query.ts'
import type { QueryFunction } from './query.ts'
import { planOf } from './plan.ts'
import { byFunction, byKeyOf, toAll, toOne } from './routes.ts'
import type { Awaitable, MapState, Snapshottable, State } from './state/state.ts'
import type { TupleView } from './tuple-view.ts'
import { shapeOf, windowed } from './windows.ts'
import type { WindowOptions, WindowSize } from './windows.ts'

/** Gives any number of tuples for one: the values of the new fields. */
export type TridentFunction = (tuple: TupleView, emit: Emit) => void
export type TridentFilter = (tuple: TupleView) => boolean

/** Applies a batch's tuples of one part to a state. */
export type StateUpdater<S> = (state: S, tuples: readonly TupleView[], emit: Emit) => Awaitable<void>

/** A state with the stream that updates it. */
export interface TridentState<S, F extends string> extends StateHandle<S> {
  /** What each batch has put into the state. */
  newValuesStream(): TridentStream<F>
}

/** Less than 0: `a` goes first. */
export type CompareValues = (a: unknown, b: unknown) => number

export class TridentStream<F extends string = string> {
  readonly stream: DStream<Row>
  readonly layout: Fields

  /** Made by `trident` and by operators. */
  constructor(stream: DStream<Row>, layout: Fields) {
    this.stream = stream
    this.layout = layout
    planOf(stream.graph).add(stream)
  }

  get fields(): readonly F[] {
    return this.layout.names as readonly F[]
  }

  // ---------------------------------------------------------------------------------------------- tuple by tuple

  /** With new fields: a function, whose values are appended to the tuple. Without: a filter. */
  each<N extends string>(fields: readonly F[], f: TridentFunction, newFields: readonly N[]): TridentStream<F | N>
  each(fields: readonly F[], filter: TridentFilter): TridentStream<F>
  each<N extends string>(fields: readonly F[], f: TridentFunction | TridentFilter, newFields?: readonly N[]): TridentStream<F | N> {
    const view = this.layout.view('each', fields)
    if (newFields === undefined) return this.#via('each', this.layout, (rdd) => rdd.filter((row) => (f as TridentFilter)(view(row))))
    const layout = this.layout.append('each', newFields)
    return this.#via('each', layout, (rdd) =>
      rdd.flatMap((row) => {
        const rows: Row[] = []
        f(
          view(row),
          collector(newFields, (values) => rows.push([...row, ...values])),
        )
        return rows
      }),
    )
  }

  filter(filter: TridentFilter): TridentStream<F>
  filter(fields: readonly F[], filter: TridentFilter): TridentStream<F>
  filter(fields: readonly F[] | TridentFilter, filter?: TridentFilter): TridentStream<F> {
    return filter === undefined ? this.each(this.fields, fields as TridentFilter) : this.each(fields as readonly F[], filter)
  }

  /** Replaces each tuple by another; its fields are named the same if none are given. */
  map<N extends string = F>(f: (tuple: TupleView) => Row, newFields: readonly N[] = this.#sameFields<N>()): TridentStream<N> {
    return this.flatMap((tuple) => [f(tuple)], newFields)
  }

  flatMap<N extends string = F>(f: (tuple: TupleView) => Iterable<Row>, newFields: readonly N[] = this.#sameFields<N>()): TridentStream<N> {
    const view = this.layout.view('flatMap', this.fields)
    const layout = this.layout.replace('flatMap', newFields)
    return this.#via('flatMap', layout, (rdd) =>
      rdd.flatMap((row) => {
        const rows: Row[] = []
        const emit = collector(newFields, (values) => rows.push(values))
        for (const values of f(view(row))) emit(...values)
        return rows
      }),
    )
  }

  /** Looks at each tuple. */
  peek(f: (tuple: TupleView) => void): TridentStream<F> {
    return this.filter((tuple) => {
      f(tuple)
      return true
    })
  }

  /** Only these fields, in this order. */
  project<N extends F>(fields: readonly N[]): TridentStream<N> {
    const select = this.layout.selector('project', fields)
    return this.#via('project', this.layout.replace('project', fields), (rdd) => rdd.map(select))
  }

  /** What errors call it, and the name of the state of operators behind it that are given none. */
  name(name: string): TridentStream<F> {
    return new TridentStream<F>(
      this.made(name, false, (rdd) => rdd),
      this.layout,
    )
  }

  /** A function of streams, to be used again. */
  applyAssembly<R>(assembly: (stream: TridentStream<F>) => R): R {
    return assembly(this)
  }

  // ---------------------------------------------------------------------------------------------- partition by partition

  /** What an aggregator makes of each partition of a batch replaces it. */
  partitionAggregate<N extends string>(fields: readonly F[], aggregator: AnyAggregator, newFields: readonly N[]): TridentStream<N>
  partitionAggregate<N extends string>(aggregator: AnyAggregator, newFields: readonly N[]): TridentStream<N>
  partitionAggregate<N extends string>(...args: AggregateArgs<F, N>): TridentStream<N> {
    const link = this.link('partitionAggregate', args)
    return this.partitionChain('partitionAggregate', [link]) as TridentStream<N>
  }

  /** The tuple of each partition whose field is smallest; the first of several. */
  minBy(field: F, compare: CompareValues = natural): TridentStream<F> {
    const [at] = this.layout.places('minBy', [field])
    return this.#best('minBy', (a, b) => compare(a[at as number], b[at as number]))
  }

  maxBy(field: F, compare: CompareValues = natural): TridentStream<F> {
    const [at] = this.layout.places('maxBy', [field])
    return this.#best('maxBy', (a, b) => compare(b[at as number], a[at as number]))
  }

  /** The smallest tuple of each partition. */
  min(compare: (a: TupleView, b: TupleView) => number): TridentStream<F> {
    const view = this.layout.view('min', this.fields)
    return this.#best('min', (a, b) => compare(view(a), view(b)))
  }

  max(compare: (a: TupleView, b: TupleView) => number): TridentStream<F> {
    const view = this.layout.view('max', this.fields)
    return this.#best('max', (a, b) => compare(view(b), view(a)))
  }

  #best(name: string, compare: (a: Row, b: Row) => number): TridentStream<F> {
    return this.#via(name, this.layout, (rdd) =>
      rdd.mapPartitions(([first, ...rest]) =>
        first === undefined ? [] : [rest.reduce((best, row) => (compare(row, best) < 0 ? row : best), first)],
      ),
    )
  }

  // ---------------------------------------------------------------------------------------------- the whole batch

  /** What an aggregator makes of the whole batch; a combiner gives its zero for one without tuples. */
  aggregate<N extends string>(fields: readonly F[], aggregator: AnyAggregator, newFields: readonly N[]): TridentStream<N>
  aggregate<N extends string>(aggregator: AnyAggregator, newFields: readonly N[]): TridentStream<N>
  aggregate<N extends string>(...args: AggregateArgs<F, N>): TridentStream<N> {
    return this.wholeChain('aggregate', [this.link('aggregate', args)]) as TridentStream<N>
  }

  /** Several aggregators in one pass. */
  chainedAgg(): ChainedAggregators<F> {
    return new ChainedAggregators(this, [])
  }

  groupBy<G extends F>(fields: readonly G[]): GroupedTridentStream<F, G> {
    return new GroupedTridentStream(this, fields)
  }

  // ---------------------------------------------------------------------------------------------- windows

  /** What an aggregator makes of every `size` tuples, or of the tuples of every `size` of time. */
  tumblingWindow<N extends string>(
    size: WindowSize,
    fields: readonly F[],
    aggregator: AnyAggregator,
    newFields: readonly N[],
    options: WindowOptions = {},
  ): TridentStream<N> {
    return this.slidingWindow(size, size, fields, aggregator, newFields, options)
  }

  /** What an aggregator makes, after every `slide`, of the last `length`: tuples, or time. The first windows may have fewer. */
  slidingWindow<N extends string>(
    length: WindowSize,
    slide: WindowSize,
    fields: readonly F[],
    aggregator: AnyAggregator,
    newFields: readonly N[],
    { name }: WindowOptions = {},
  ): TridentStream<N> {
    const select = this.layout.selector('window', fields)
    const view = this.layout.replace('window', fields).view('window', fields)
    const chain = new Chain([{ view, aggregator, fields: newFields }])
    const stateName = this.stream.graph.stateName(name, 'window', this.stream.name)
    const shape = shapeOf(this.layout, length, slide)
    const made = this.made('window', true, (rdd, scope) => windowed(rdd.map(select), scope, stateName, shape, chain), stateName)
    return new TridentStream<N>(made, this.layout.replace('window', newFields))
  }

  // ---------------------------------------------------------------------------------------------- state

  /** One value, updated with every batch; `TridentState.newValuesStream` has it after each. */
  persistentAggregate<V, N extends string>(
    source: StateSource<Snapshottable<V> | MapState<unknown, V>>,
    ...args: PersistArgs<F, V, N>
  ): TridentState<Snapshottable<V>, N> {
    const { open, updates, names } = persisted(this, [], source, args)
    return this.handle('one', updates, names as readonly N[], open as (scope: Scope) => Awaitable<Snapshottable<V>>)
  }

  /** Each task has a part of a state and applies to it what it has of each batch, as it lies. */
  partitionPersist<S extends State, N extends string = never>(
    source: StateSource<S>,
    fields: readonly F[],
    updater: StateUpdater<S>,
    newFields: readonly N[] = [],
  ): TridentState<S, N> {
    const view = this.layout.view('partitionPersist', fields)
    const storeName = this.storeName(source, 'partitionPersist')
    const open = openerInPlace(source, storeName)
    const updates = this.made(
      'partitionPersist',
      true,
      (rdd, scope) =>
        inTask(rdd, 'partitionPersist', async (rows) => {
          const of = await open(scope)
          const results: Row[] = []
          const emit = collector(newFields, (values) => results.push(values))
          return applied(of, scope, rows.length > 0, async () => {
            await updater(of, rows.map(view), emit)
            return results
          })
        }),
      storeName,
    )
    return this.handle('parts', updates, newFields, open)
  }

  /** Asks a state about the tuples of a batch; what a query emits is appended to the tuple. */
  stateQuery<S, R, N extends string>(
    from: StateHandle<S>,
    fields: readonly F[],
    query: QueryFunction<S, R>,
    newFields: readonly N[],
  ): TridentStream<F | N> {
    return new TridentStream<F | N>(...asked(this, from, fields, query, newFields))
  }

  // ---------------------------------------------------------------------------------------------- several streams

  /** All tuples of several streams; fields go by their place and have the names of the first. */
  merge(...others: readonly TridentStream[]): TridentStream<F> {
    for (const { fields } of others)
      if (fields.length !== this.fields.length)
        this.layout.fault(
          'merge',
          `${fields.length} fields (${fields.join(', ')}) cannot be merged with ${this.fields.length} (${this.fields.join(', ')})`,
          'project the streams to the same number of fields first',
        )
    return new TridentStream<F>(this.stream.union(...others.map(({ stream }) => stream)), this.layout)
  }

  /**
   * Pairs tuples of two streams whose keys are equal, within a batch. The result has the keys once, then the other fields of both
   * (`output: 'preserve'`: all fields of both); `null` stands for what a side does not have.
   */
  join<G extends string, N extends string>(
    keys: readonly F[],
    other: TridentStream<G>,
    otherKeys: readonly G[],
    newFields: readonly N[],
    options: JoinOptions = {},
  ): TridentStream<N> {
    const sides = sidesOf({ stream: this, keys }, { stream: other, keys: otherKeys }, options.type)
    return new TridentStream<N>(...joined(sides, newFields, options.output))
  }

  // ---------------------------------------------------------------------------------------------- repartitioning

  /** Tuples with equal fields to the same partition. */
  partitionBy(fields: readonly F[]): TridentStream<F> {
    const keyOf = this.layout.key('partitionBy', fields)
    return this.#via('partitionBy', this.layout, (rdd) => byKeyOf(rdd, 'partitionBy', keyOf))
  }

  /** Dealt out evenly, a partition a task. */
  shuffle(): TridentStream<F> {
    return this.#via('shuffle', this.layout, (rdd) => rdd.repartition(rdd.context.count))
  }

  /** Every task is here: tuples stay where they are. */
  localOrShuffle(): TridentStream<F> {
    return this.identityPartition()
  }

  identityPartition(): TridentStream<F> {
    return this.#via('identityPartition', this.layout, (rdd) => rdd)
  }

  /** All to the first partition. */
  global(): TridentStream<F> {
    return this.#via('global', this.layout, (rdd) => toOne(rdd, 'global', 0))
  }

  /** All to one partition, in another task with each batch. */
  batchGlobal(): TridentStream<F> {
    return this.#via('batchGlobal', this.layout, (rdd, { txid }) => toOne(rdd, 'batchGlobal', txid % rdd.context.count))
  }

  /** Every tuple to every partition. */
  broadcast(): TridentStream<F> {
    return this.#via('broadcast', this.layout, toAll)
  }

  /** A partitioning of one's own. */
  partition(partitionOf: (tuple: TupleView, partitions: number) => number): TridentStream<F> {
    const view = this.layout.view('partition', this.fields)
    return this.#via('partition', this.layout, (rdd) => byFunction(rdd, (row, partitions) => partitionOf(view(row), partitions)))
  }

  // ---------------------------------------------------------------------------------------------- for operators

  derived<N extends string>(stream: DStream<Row>, layout: Fields): TridentStream<N> {
    return new TridentStream<N>(stream, layout)
  }

  /** The stream of what `f` makes of each batch. */
  made(name: string, isStateful: boolean, f: (rdd: RDD<Row>, scope: Scope) => RDD<Row>, state?: string): DStream<Row> {
    return new DStream<Row>(this.stream.graph, { name, parents: [this.stream], isStateful, state }, (scope) => {
      const rdd = scope.of(this.stream)
      return rdd && f(rdd, scope)
    })
  }

  handle<S, N extends string>(
    kind: StateHandle<S>['kind'],
    updates: DStream<Row>,
    fields: readonly N[],
    open: StateHandle<S>['open'],
  ): TridentState<S, N> {
    // also without a reader of its values, it runs
    const values = new TridentStream<N>(updates, this.layout.replace('newValuesStream', fields))
    return { kind, updates, open, newValuesStream: () => values }
  }

  storeName(source: unknown, operator: string): string | undefined {
    const name = source !== null && typeof source === 'object' && 'name' in source ? String(source.name) : undefined
    return name === undefined ? undefined : this.stream.graph.stateName(name, operator, this.stream.name)
  }

  link<N extends string>(operator: string, args: AggregateArgs<F, N>): Link {
    const [fields, aggregator, newFields] = args.length === 3 ? args : [this.fields, ...args]
    return { view: this.layout.view(operator, fields), aggregator, fields: newFields }
  }

  wholeChain(name: string, links: readonly Link[]): TridentStream {
    const chain = new Chain(links)
    const layout = this.layout.replace(name, chain.fields)
    return this.#via(name, layout, (rdd, { txid }) => aggregated(rdd, chain, txid))
  }

  partitionChain(name: string, links: readonly Link[]): TridentStream {
    const chain = new Chain(links)
    const layout = this.layout.replace(name, chain.fields)
    return this.#via(name, layout, (rdd, { txid }) => rdd.mapPartitions((rows) => chain.run(rows, txid)))
  }

  #via<N extends string>(name: string, layout: Fields, f: (rdd: RDD<Row>, info: Scope) => RDD<Row>): TridentStream<N> {
    return new TridentStream<N>(this.made(name, false, f), layout)
  }

  #sameFields<N extends string>(): readonly N[] {
    return this.layout.names as readonly N[]
  }
}

/**
 * A stream of records as Trident's tuples. With one field a record is its value; with several it is a list of values or a plain object.
 *
 * ```ts
 * const sentences = trident(t.stream('sentences', textLines('book.txt')), ['sentence'])
 * const words = sentences.each(['sentence'], (tuple, emit) => String(tuple.get('sentence')).split(' ').forEach((word) => emit(word)), ['word'])
 * words.groupBy(['word']).persistentAggregate(state('counts'), builtIns.count(), ['count'])
 * ```
 */
export function trident<F extends string>(stream: DStream<unknown>, fields: readonly F[]): TridentStream<F> {
  const layout = Fields.of(stream.graph, stream.name, fields)
  const rows = stream.map((record) => rowOf(record, fields))
  stream.graph.inner.add(rows)
  return new TridentStream<F>(rows, layout)
}

function rowOf(record: unknown, fields: readonly string[]): Row {
  if (fields.length === 1) return [record]
  const isObject = typeof record === 'object' && record !== null
  const row = Array.isArray(record)
    ? (record as Row)
    : isObject
      ? fields.map((field) => (record as Record<string, unknown>)[field])
      : [record]
  if (row.length !== fields.length)
    throw new SquallError('tuple-size', { given: row.length, count: fields.length, fields: fields.join(', ') })
  return row
}
