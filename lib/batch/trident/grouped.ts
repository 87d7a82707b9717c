/** Streams in groups: aggregators, states and queries by key. */
import type { DStream } from '../dstream/dstream.ts'
import type { Scope } from '../dstream/scope.ts'
import { partitionerOf } from '../dstream/state-rdd.ts'
import type { KeyGroupPartitioner } from '../dstream/state-rdd.ts'
import type { RDD } from '../rdd/rdd.ts'
import { Chain, isCombiner } from './aggregates.ts'
import type { Link, Row } from './aggregates.ts'
import { keyRow } from './fields.ts'
import { applied, asOne, inTask, oneKey, opener } from './persist.ts'
import type { StateHandle, StateSource } from './persist.ts'
import type { QueryFunction } from './query.ts'
import { toOne } from './routes.ts'
import type { Awaitable, MapState, Snapshottable, State, ValueUpdater } from './state/state.ts'
import type { AggregateArgs, PersistArgs } from './chained.ts'
import type { TridentState, TridentStream } from './stream.ts'

/** Tuples in groups of equal fields. What is made of a group has these fields and the new ones. */
export class GroupedTridentStream<F extends string, G extends F> {
  /** the stream whose tuples are in groups */
  readonly source: TridentStream<F>
  readonly groupFields: readonly G[]

  constructor(stream: TridentStream<F>, fields: readonly G[]) {
    this.source = stream
    this.groupFields = fields
    stream.layout.places('groupBy', fields)
  }

  aggregate<N extends string>(...args: AggregateArgs<F, N>): TridentStream<G | N> {
    return this.#chain([this.source.link('aggregate', args)]) as TridentStream<G | N>
  }

  /** Several aggregators in one pass. */
  chainedAgg(): ChainedGroups<F, G> {
    return new ChainedGroups<F, G>(this.source, (links) => this.#chain(links), [])
  }

  /** A value for each group, updated with every batch. */
  persistentAggregate<V, N extends string>(
    source: StateSource<MapState<unknown, V>>,
    ...args: PersistArgs<F, V, N>
  ): TridentState<MapState<unknown, V>, G | N> {
    const { open, updates, names } = persisted(this.source, this.groupFields, source, args)
    return this.source.handle('map', updates, names as readonly (G | N)[], open as (scope: Scope) => Awaitable<MapState<unknown, V>>)
  }

  /** As that of a stream, once tuples are where their group is. */
  stateQuery<S, R, N extends string>(
    from: StateHandle<S>,
    fields: readonly F[],
    query: QueryFunction<S, R>,
    newFields: readonly N[],
  ): TridentStream<F | N> {
    return this.source.partitionBy(this.groupFields).stateQuery(from, fields, query, newFields)
  }

  #chain(links: readonly Link[]): TridentStream {
    const stream = this.source as unknown as TridentStream
    const chain = new Chain(links)
    const keyOf = stream.layout.key('groupBy', this.groupFields)
    const rowOf = keyRow(this.groupFields.length)
    const made = stream.made('aggregate', false, (rdd, scope) => {
      if (chain.isCombiner)
        return combinedBy(rdd, chain, keyOf, partitionerOf(scope)).map(([key, values]): Row => [...rowOf(key), ...values])
      return rdd
        .map((row) => [keyOf(row), row] as const)
        .groupByKey(partitionerOf(scope))
        .flatMap(([key, rows]) => chain.run(rows, scope.txid).map((values): Row => [...rowOf(key), ...values]))
    })
    return stream.derived(made, stream.layout.replace('aggregate', [...this.groupFields, ...chain.fields]))
  }
}

/** Aggregators of groups that are collected until `chainEnd`. */
class ChainedGroups<F extends string, G extends F, N extends string = never> {
  readonly #stream: TridentStream<F>
  readonly #end: (links: readonly Link[]) => TridentStream
  readonly #links: readonly Link[]

  constructor(stream: TridentStream<F>, end: (links: readonly Link[]) => TridentStream, links: readonly Link[]) {
    this.#stream = stream
    this.#end = end
    this.#links = links
  }

  aggregate<M extends string>(...args: AggregateArgs<F, M>): ChainedGroups<F, G, N | M> {
    return new ChainedGroups<F, G, N | M>(this.#stream, this.#end, [...this.#links, this.#stream.link('aggregate', args)])
  }

  chainEnd(): TridentStream<G | N> {
    return this.#end(this.#links) as unknown as TridentStream<G | N>
  }
}

/** What a chain makes of the whole of a batch, in one partition. */
export function aggregated(rdd: RDD<Row>, chain: Chain, txid: number): RDD<Row> {
  const task = txid % rdd.context.count
  if (!chain.isCombiner) return toOne(rdd, 'aggregate', task).mapPartitions((rows) => chain.run(rows, txid))
  return toOne(parts(rdd, chain), 'aggregate', task).mapPartitions(([first = chain.zero(), ...rest]) => [
    rest.reduce((a, b) => chain.combine(a, b), first),
  ])
}

/** What combiners make of each partition that has any rows. */
function parts(rdd: RDD<Row>, chain: Chain): RDD<Row> {
  return rdd.mapPartitions((rows) => {
    let found: Row | undefined
    for (const row of rows) found = found === undefined ? chain.init(row) : chain.combine(found, chain.init(row))
    return found === undefined ? [] : [found]
  })
}

function combinedBy(rdd: RDD<Row>, chain: Chain, keyOf: (row: Row) => unknown, partitioner: KeyGroupPartitioner): RDD<[unknown, Row]> {
  return rdd
    .map((row) => [keyOf(row), row] as const)
    .combineByKey<unknown, Row, Row>(
      (row) => chain.init(row),
      (sum, row) => chain.combine(sum, chain.init(row)),
      (a, b) => chain.combine(a, b),
      partitioner,
    )
}

interface Persisted {
  readonly open: (scope: Scope) => Awaitable<State>
  readonly updates: DStream<Row>
  /** the fields of the updates */
  readonly names: readonly string[]
}

/** `persistentAggregate` of groups; without fields there is one group, which is there in every batch. */
export function persisted<F extends string, V, N extends string>(
  of: TridentStream<F>,
  groupFields: readonly F[],
  source: StateSource<State>,
  args: PersistArgs<F, V, N>,
): Persisted {
  const operator = 'persistentAggregate'
  const stream = of as unknown as TridentStream
  const [fields, aggregator, newFields] = args.length === 3 ? args : [[], ...args]
  const isOne = groupFields.length === 0
  const keyOf = isOne ? () => oneKey : stream.layout.key(operator, groupFields)
  const rowOf = isOne ? (): Row => [] : keyRow(groupFields.length)
  const view = stream.layout.view(operator, fields)
  const chain = new Chain([{ view, aggregator, fields: newFields }])
  const storeName = stream.storeName(source, operator)
  const opened = opener(source, storeName)
  const open = async (scope: Scope): Promise<State> => {
    const made = await opened(scope)
    return isOne ? asOne(made as Snapshottable<unknown>) : made
  }
  if (newFields.length !== 1) stream.layout.fault(operator, `${newFields.length} fields for one value`, 'name one new field')
  /** What a group's tuples of a batch make of its value: of a combiner they are combined by then. */
  const updaterOf = (change: unknown): ValueUpdater<unknown> => {
    if (isCombiner(aggregator)) return (stored) => (stored === null ? change : aggregator.combine(stored as V, change as V))
    const rows = change as readonly Row[]
    return (stored) => rows.reduce<V>((value, row) => aggregator.reduce(value, view(row)), (stored as V | null) ?? aggregator.init())
  }
  const update = (rdd: RDD<Row>, scope: Scope): RDD<Row> => {
    const partitioner = partitionerOf(scope)
    const ownsOne = partitioner.partitionOf(oneKey) === scope.sc.index
    let changes: RDD<readonly [unknown, unknown]>
    if (isCombiner(aggregator)) changes = combinedBy(rdd, chain, keyOf, partitioner).mapValues(([value]) => value)
    else changes = rdd.map((row) => [keyOf(row), row] as const).groupByKey(partitioner)
    return inTask(changes, operator, async (found) => {
      // the one value of a combiner is there in every batch
      const all = isOne && ownsOne && found.length === 0 && isCombiner(aggregator) ? [[oneKey, aggregator.zero()] as const] : found
      const state = await open(scope)
      const keys = all.map(([key]) => key)
      return applied(state, scope, all.length > 0, async () => {
        const updaters = all.map(([, change]) => updaterOf(change))
        const values = isOne
          ? [await (state as Snapshottable<unknown>).update(updaters[0] as ValueUpdater<unknown>)]
          : await (state as MapState<unknown, unknown>).multiUpdate(keys, updaters)
        return keys.map((key, i): Row => [...rowOf(key), values[i]])
      })
    })
  }
  return { open, updates: stream.made(operator, true, update, storeName), names: [...groupFields, ...newFields] }
}
