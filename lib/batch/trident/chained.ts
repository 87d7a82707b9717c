/** What aggregators are called with, and several of them in a chain. */
import type { AnyAggregator, CombinerAggregator, Link, ReducerAggregator } from './aggregates.ts'
import type { TridentStream } from './stream.ts'

export type AggregateArgs<F extends string, N extends string> =
  | readonly [fields: readonly F[], aggregator: AnyAggregator, newFields: readonly N[]]
  | readonly [aggregator: AnyAggregator, newFields: readonly N[]]

export type PersistArgs<F extends string, V, N extends string> =
  | readonly [fields: readonly F[], aggregator: CombinerAggregator<V> | ReducerAggregator<V>, newFields: readonly N[]]
  | readonly [aggregator: CombinerAggregator<V> | ReducerAggregator<V>, newFields: readonly N[]]

/** Aggregators that are collected until `chainEnd`. */
export class ChainedAggregators<F extends string, N extends string = never> {
  readonly #stream: TridentStream<F>
  readonly #links: readonly (readonly [operator: 'aggregate' | 'partitionAggregate', link: Link])[]

  constructor(stream: TridentStream<F>, links: readonly (readonly ['aggregate' | 'partitionAggregate', Link])[]) {
    this.#stream = stream
    this.#links = links
  }

  aggregate<M extends string>(...args: AggregateArgs<F, M>): ChainedAggregators<F, N | M> {
    return new ChainedAggregators<F, N | M>(this.#stream, [...this.#links, ['aggregate', this.#stream.link('aggregate', args)]])
  }

  partitionAggregate<M extends string>(...args: AggregateArgs<F, M>): ChainedAggregators<F, N | M> {
    const link = this.#stream.link('partitionAggregate', args)
    return new ChainedAggregators<F, N | M>(this.#stream, [...this.#links, ['partitionAggregate', link]])
  }

  chainEnd(): TridentStream<N> {
    const links = this.#links.map(([, link]) => link)
    const kinds = new Set(this.#links.map(([kind]) => kind))
    if (kinds.size !== 1)
      this.#stream.layout.fault(
        'chainedAgg',
        kinds.size === 0 ? 'there is nothing in the chain' : 'it mixes aggregate and partitionAggregate',
        'chain aggregators of one of the two',
      )
    const stream = kinds.has('partitionAggregate')
      ? this.#stream.partitionChain('chainedAgg', links)
      : this.#stream.wholeChain('chainedAgg', links)
    return stream as TridentStream<N>
  }
}
