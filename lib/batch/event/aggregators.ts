/** What is computed of the records of a group. */
import { natural } from '../rdd/ordering.ts'

/**
 * How records become a result, in parts: each executor adds its records to a state of its own, and states are merged.
 *
 * Invariant: `merge` changes neither of its arguments, for one of them may be what is kept of earlier batches; `add` may
 * change its state and return it. A state is plain data.
 */
export interface Aggregator<T, S, R> {
  readonly zero: () => S
  readonly add: (state: S, record: T) => S
  readonly merge: (a: S, b: S) => S
  readonly finish: (state: S) => R
}

/** Aggregators of any state, by the names of their results. */
// any: a state is its aggregator's own affair, and states of several kinds stand side by side
// oxlint-disable-next-line typescript/no-explicit-any
export type Aggregators<T> = Readonly<Record<string, Aggregator<T, any, unknown>>>

/** The results of aggregators. */
export type Results<A> = { readonly [N in keyof A]: A[N] extends Aggregator<never, infer _S, infer R> ? R : never }

/** The fields of a record that hold a `V`. */
export type FieldOf<T, V> = { [F in keyof T & string]-?: T[F] extends V ? F : never }[keyof T & string]

/** What is taken of a record: a field, or what a function says. `null` and `undefined` do not count, as in SQL. */
export type Of<T, V> = FieldOf<T, V | null | undefined> | ((record: T) => V | null | undefined)

/** An aggregator of one's own. */
export function aggregator<T, S, R>(of: Aggregator<T, S, R>): Aggregator<T, S, R> {
  return of
}

/** One of two records at a time; a group is never empty. */
export function reducer<T>(f: (a: T, b: T) => T): Aggregator<T, readonly T[], T> {
  const both = (a: readonly T[], b: readonly T[]): readonly T[] => (a.length === 0 ? b : b.length === 0 ? a : [f(a[0] as T, b[0] as T)])
  return { zero: () => [], add: (state, record) => both(state, [record]), merge: both, finish: ([result]) => result as T }
}

export function count(): Aggregator<unknown, number, number> {
  return { zero: () => 0, add: (n) => n + 1, merge: (a, b) => a + b, finish: (n) => n }
}

/** `null` where there is nothing to add. */
export function sum<T>(of: Of<T, number>): Aggregator<T, number | null, number | null> {
  const plus = (a: number | null, b: number | null | undefined): number | null => (b === null || b === undefined ? a : (a ?? 0) + b)
  const valueOf = getter(of)
  return { zero: () => null, add: (state, record) => plus(state, valueOf(record)), merge: plus, finish: (state) => state }
}

export function avg<T>(of: Of<T, number>): Aggregator<T, readonly [sum: number, n: number], number | null> {
  const valueOf = getter(of)
  return {
    zero: () => [0, 0],
    add: (state, record) => {
      const value = valueOf(record)
      return value === null || value === undefined ? state : [state[0] + value, state[1] + 1]
    },
    merge: (a, b) => [a[0] + b[0], a[1] + b[1]],
    finish: ([total, n]) => (n === 0 ? null : total / n),
  }
}

/** The least value in the natural order of numbers, texts, dates; `null` where there is none. */
export function min<T, V>(of: Of<T, V>): Aggregator<T, V | null, V | null> {
  return extreme(of, -1)
}

export function max<T, V>(of: Of<T, V>): Aggregator<T, V | null, V | null> {
  return extreme(of, 1)
}

/** All values, in no certain order; without `of` the records themselves. */
export function collect<T>(): Aggregator<T, readonly T[], readonly T[]>
export function collect<T, V>(of: Of<T, V>): Aggregator<T, readonly V[], readonly V[]>
export function collect<T, V>(of?: Of<T, V>): Aggregator<T, readonly V[], readonly V[]> {
  const valueOf = of === undefined ? (record: T): V => record as unknown as V : getter(of)
  return {
    zero: () => [],
    add: (state, record) => {
      const value = valueOf(record)
      if (value !== null && value !== undefined) (state as V[]).push(value)
      return state
    },
    merge: (a, b) => [...a, ...b],
    finish: (state) => state,
  }
}

function extreme<T, V>(of: Of<T, V>, sign: 1 | -1): Aggregator<T, V | null, V | null> {
  const valueOf = getter(of)
  const best = (a: V | null, b: V | null | undefined): V | null => {
    if (b === null || b === undefined) return a
    return a === null || natural(b, a) * sign > 0 ? b : a
  }
  return { zero: () => null, add: (state, record) => best(state, valueOf(record)), merge: best, finish: (state) => state }
}

function getter<T, V>(of: Of<T, V>): (record: T) => V | null | undefined {
  return typeof of === 'function' ? of : (record) => record[of as keyof T] as V
}
