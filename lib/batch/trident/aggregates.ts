/**
 * Trident's three kinds of aggregators, and how several of them run over the same tuples in one pass (`Chain`).
 *
 *     combiner     init(tuple), combine(a, b), zero()            partial results are combined: little is traded
 *     reducer      init(), reduce(value, tuple)                  one value
 *     aggregator   init(txid, emit), aggregate, complete         any number of tuples
 */
import { SquallError } from '../../errors.ts'
import type { TupleView } from './tuple-view.ts'

/** The values of a tuple as they are traded and kept. */
export type Row = readonly unknown[]

/** Gives a tuple: a value for each new field. */
export type Emit = (...values: readonly unknown[]) => void

/** `combine` is associative; `zero()` stands for no tuples at all. */
export interface CombinerAggregator<V = unknown> {
  init(tuple: TupleView): V
  combine(a: V, b: V): V
  zero(): V
}

export interface ReducerAggregator<V = unknown> {
  init(): V
  reduce(value: V, tuple: TupleView): V
}

/** `aggregate` returns the state to go on with. */
export interface Aggregator<S = unknown> {
  init(txid: number, emit: Emit): S
  aggregate(state: S, tuple: TupleView, emit: Emit): S
  complete(state: S, emit: Emit): void
}

export type AnyAggregator = CombinerAggregator | ReducerAggregator | Aggregator

/** An aggregator, what it sees of a row, and the fields of what it gives. */
export interface Link {
  readonly view: (row: Row) => TupleView
  readonly aggregator: AnyAggregator
  readonly fields: readonly string[]
}

export function isCombiner(aggregator: AnyAggregator): aggregator is CombinerAggregator {
  return 'combine' in aggregator
}

/** One pass of one aggregator over tuples. */
interface Pass {
  add(row: Row): void
  finish(): readonly Row[]
}

/** Several aggregators over the same rows. A row of the result has the fields of all; where they give several, each with each. */
export class Chain {
  readonly fields: readonly string[]
  readonly #links: readonly Link[]
  readonly #combiners: readonly CombinerAggregator[]

  constructor(links: readonly Link[]) {
    this.#links = links
    this.fields = links.flatMap(({ fields }) => fields)
    this.#combiners = links.flatMap(({ aggregator }) => (isCombiner(aggregator) ? [aggregator] : []))
  }

  /** All are combiners: results of parts can be combined. */
  get isCombiner(): boolean {
    return this.#combiners.length === this.#links.length
  }

  run(rows: Iterable<Row>, txid: number): readonly Row[] {
    const passes = this.#links.map((link) => passOf(link, txid))
    for (const row of rows) for (const pass of passes) pass.add(row)
    return passes.reduce<readonly Row[]>(
      (all, pass) => {
        const results = pass.finish()
        return all.flatMap((left) => results.map((right) => [...left, ...right]))
      },
      [[]],
    )
  }

  /** For combiners: the values of one row, of two results, of none. */
  init(row: Row): Row {
    return this.#combiners.map((combiner, i) => combiner.init((this.#links[i] as Link).view(row)))
  }

  combine(a: Row, b: Row): Row {
    return this.#combiners.map((combiner, i) => combiner.combine(a[i], b[i]))
  }

  zero(): Row {
    return this.#combiners.map((combiner) => combiner.zero())
  }
}

function passOf({ view, aggregator, fields }: Link, txid: number): Pass {
  if (isCombiner(aggregator)) {
    let found: { readonly value: unknown } | undefined
    return {
      add(row) {
        const value = aggregator.init(view(row))
        found = { value: found === undefined ? value : aggregator.combine(found.value, value) }
      },
      finish: () => [[found === undefined ? aggregator.zero() : found.value]],
    }
  }
  if ('reduce' in aggregator) {
    let value = aggregator.init()
    return { add: (row) => (value = aggregator.reduce(value, view(row))), finish: () => [[value]] }
  }
  const rows: Row[] = []
  const emit = collector(fields, (values) => rows.push(values))
  let state = aggregator.init(txid, emit)
  return {
    add: (row) => (state = aggregator.aggregate(state, view(row), emit)),
    finish() {
      aggregator.complete(state, emit)
      return rows
    },
  }
}

/** What functions emit through: a value for each field, or else `tuple-size`. */
export function collector(fields: readonly string[], take: (values: Row) => void): Emit {
  return (...values) => {
    if (values.length !== fields.length)
      throw new SquallError('tuple-size', { given: values.length, count: fields.length, fields: fields.join(', ') })
    take(values)
  }
}
