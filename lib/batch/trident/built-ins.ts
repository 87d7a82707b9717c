/** The functions, filters, aggregators and queries that come with Trident. */
import { SquallError } from '../../errors.ts'
import { onOneLine } from '../../std/words.ts'
import { natural } from '../rdd/ordering.ts'
import type { Aggregator, CombinerAggregator, Row } from './aggregates.ts'
import type { QueryFunction } from './query.ts'
import type { ReadOnlyMapState, ReadOnlySnapshottable } from './state/state.ts'
import type { TridentFilter, TridentStream } from './stream.ts'
import type { TupleView } from './tuple-view.ts'

/** States that can list what they hold. */
interface Listed {
  entries(): Iterable<readonly [unknown, unknown]>
}

/**
 * ```ts
 * words.aggregate(builtIns.count(), ['count'])
 * words.filter(builtIns.negate(builtIns.equals('the')))
 * ```
 */
export const builtIns = Object.freeze({
  /** How many tuples. */
  count: (): CombinerAggregator<number> => ({ init: () => 1, combine: (a, b) => a + b, zero: () => 0 }),

  /** The sum of the first input field; `null` counts for nothing. */
  sum: (): CombinerAggregator<number> => ({ init: (tuple) => Number(tuple.at(0) ?? 0), combine: (a, b) => a + b, zero: () => 0 }),

  /** Gives the whole tuple whose field is smallest; nothing when there are none. */
  min: (field: string, compare = natural): Aggregator<TupleView | undefined> => best(field, compare),

  max: (field: string, compare = natural): Aggregator<TupleView | undefined> => best(field, (a, b) => compare(b, a)),

  /** For `applyAssembly`: the first `n` tuples of a batch, in the order of a field if one is named. */
  firstN:
    <F extends string>(n: number, field?: F, { reverse = false } = {}) =>
    (stream: TridentStream<F>): TridentStream<F> => {
      const first: Aggregator<TupleView[]> = {
        init: () => [],
        aggregate: (tuples, tuple) => {
          if (field === undefined && tuples.length === n) return tuples
          tuples.push(tuple)
          return tuples
        },
        complete(tuples, emit) {
          const sign = reverse ? -1 : 1
          if (field !== undefined) tuples.sort((a, b) => sign * natural(a.get(field), b.get(field)))
          for (const tuple of tuples.slice(0, n)) emit(...tuple)
        },
      }
      return stream.partitionAggregate(first, stream.fields).global().partitionAggregate(first, stream.fields)
    },

  /** Prints each tuple. */
  debug:
    (name = 'DEBUG'): TridentFilter =>
    (tuple) => {
      process.stdout.write(`${name}: ${onOneLine(tuple.values())}\n`)
      return true
    },

  /** All input fields have the same value, or the one that is given. */
  equals:
    (...wanted: readonly [value?: unknown]): TridentFilter =>
    (tuple) => {
      const first = wanted.length === 1 ? wanted[0] : tuple.at(0)
      return tuple.values().every((value) => value === first)
    },

  /** Drops tuples that have a field without a value. */
  filterNull: (): TridentFilter => (tuple) => tuple.values().every((value) => value !== null && value !== undefined),

  negate:
    (filter: TridentFilter): TridentFilter =>
    (tuple) =>
      !filter(tuple),

  /** The value of a key: the input field, or the list of them. */
  mapGet: <V>(): QueryFunction<ReadOnlyMapState<unknown, V>, V | null> => ({
    isByKey: true,
    batchRetrieve: (state, tuples) => state.multiGet(tuples.map((tuple) => (tuple.length === 1 ? tuple.at(0) : tuple.values()))),
    execute: (_, value, emit) => emit(value),
  }),

  /** The value of a state that has one. */
  snapshotGet: <V>(): QueryFunction<ReadOnlySnapshottable<V>, V | null> => ({
    async batchRetrieve(state, tuples) {
      const value = await state.get()
      return tuples.map(() => value)
    },
    execute: (_, value, emit) => emit(value),
  }),

  /** All keys of the task's part of a state, with their values: `broadcast` before it for those of all parts. */
  tupleCollectionGet: (): QueryFunction<unknown, readonly Row[]> => ({
    batchRetrieve(state, tuples) {
      if (typeof state !== 'object' || state === null || !('entries' in state))
        throw new SquallError('trident-operator', {
          operator: 'tupleCollectionGet',
          problem: 'the state cannot list its keys',
          hint: 'give it a method entries(), or ask by key with mapGet',
        })
      const rows = Array.from((state as Listed).entries(), ([key, value]): Row => [...(Array.isArray(key) ? (key as Row) : [key]), value])
      return tuples.map(() => rows)
    },
    execute(_, rows, emit) {
      for (const row of rows) emit(...row)
    },
  }),
})

function best(field: string, compare: (a: unknown, b: unknown) => number): Aggregator<TupleView | undefined> {
  return {
    init: () => undefined,
    aggregate: (found, tuple) => (found === undefined || compare(tuple.get(field), found.get(field)) < 0 ? tuple : found),
    complete(found, emit) {
      if (found !== undefined) emit(...found)
    },
  }
}
