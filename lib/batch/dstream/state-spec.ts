/** `mapWithState`: a function called for each record with its key's state. */
import { SquallError } from '../../errors.ts'
import { durationMs } from '../../std/clock.ts'
import type { Duration } from '../../std/clock.ts'
import type { StateStore, StateTable } from '../state/store.ts'
import type { Pair } from './dstream.ts'

/**
 * What `mapWithState` does: for each record of the batch `f` gets its key, its value and the key's state, and returns what the
 * stream gives (nothing, if it is `undefined`). With a timeout, a key that had no record for so long is given once more, without a
 * value, while its state `isTimingOut`; then the state is gone.
 *
 * ```ts
 * const running = stateSpec((word: string, n: number | undefined, state: State<number>) => {
 *   const sum = (state.getOption() ?? 0) + (n ?? 0)
 *   if (!state.isTimingOut) state.update(sum)
 *   return [word, sum] as const
 * }, { timeout: '10m' })
 * ```
 */
export interface StateSpec<K, V, S, R> {
  readonly f: (key: K, value: V | undefined, state: State<S>, timeMs: number) => R | undefined
  readonly timeoutMs: number | undefined
  readonly initialState: readonly Pair<K, S>[] | undefined
}

export function stateSpec<K, V, S, R>(
  f: StateSpec<K, V, S, R>['f'],
  options: { readonly timeout?: Duration; readonly initialState?: readonly Pair<K, S>[] } = {},
): StateSpec<K, V, S, R> {
  const { timeout, initialState } = options
  const timeoutMs = timeout === undefined ? undefined : durationMs(timeout)
  if (timeout !== undefined && (timeoutMs === undefined || timeoutMs <= 0))
    throw new SquallError('bad-option', {
      option: 'timeout',
      of: 'stateSpec',
      value: String(timeout),
      expected: "a duration such as '10m'",
    })
  return { f, timeoutMs, initialState }
}

/** The state of one key, for the length of a call. */
export class State<S> {
  #value: S | undefined
  #wasUpdated = false
  #wasRemoved = false
  #isTimingOut = false

  /** For a test of a function by itself. */
  constructor(value?: S) {
    this.wrap(value)
  }

  /** Starts anew with what is kept of a key. */
  wrap(value: S | undefined): void {
    this.#value = value
    this.#wasUpdated = this.#wasRemoved = this.#isTimingOut = false
  }

  /** Starts anew with what is kept of a key that times out. */
  wrapTimingOut(value: S): void {
    this.wrap(value)
    this.#isTimingOut = true
  }

  get exists(): boolean {
    return this.#value !== undefined
  }

  /** Throws `no-state` where there is none. */
  get(): S {
    if (this.#value === undefined) throw new SquallError('no-state', {})
    return this.#value
  }

  getOption(): S | undefined {
    return this.#value
  }

  /** Throws `state-misuse` after `remove`, and while the state is timing out. */
  update(value: S): void {
    if (this.#wasRemoved || this.#isTimingOut)
      throw new SquallError('state-misuse', { what: 'update', when: this.#isTimingOut ? 'while it is timing out' : 'after it was removed' })
    this.#value = value
    this.#wasUpdated = true
  }

  /** Throws `state-misuse` after `remove`, and while the state is timing out. */
  remove(): void {
    if (this.#wasRemoved || this.#isTimingOut)
      throw new SquallError('state-misuse', { what: 'remove', when: this.#isTimingOut ? 'while it is timing out' : 'after it was removed' })
    this.#value = undefined
    this.#wasRemoved = true
  }

  get wasUpdated(): boolean {
    return this.#wasUpdated
  }

  get wasRemoved(): boolean {
    return this.#wasRemoved
  }

  get isTimingOut(): boolean {
    return this.#isTimingOut
  }
}

/** A key's state with the time of the last batch that had it (0 where nothing times out). */
export type Kept<S> = readonly [value: S, atMs: number]

/** The states of a task's keys. */
export interface KeptTable<K, S> {
  get(key: K): Kept<S> | undefined
  put(key: K, kept: Kept<S>): void
  delete(key: K): void
  entries(): Iterable<readonly [K, S]>
  /** the keys that had their last record in a batch, by its time; none where nothing times out */
  readonly due: StateTable<number, readonly K[]> | undefined
}

/** Where nothing times out, the store has the states as they are. */
export function keptTable<K, S>(store: StateStore, name: string, isTimed: boolean): KeptTable<K, S> {
  if (isTimed) {
    const timed = store.table<K, Kept<S>>(name)
    return {
      get: (key) => timed.get(key),
      put: (key, kept) => timed.put(key, kept),
      delete: (key) => timed.delete(key),
      *entries() {
        for (const [key, [state]] of timed.entries()) yield [key, state]
      },
      due: store.table<number, readonly K[]>(`${name}.due`),
    }
  }
  const plain = store.table<K, S>(name)
  return {
    get(key) {
      const state = plain.get(key)
      return state === undefined ? undefined : [state, 0]
    },
    put: (key, [state]) => plain.put(key, state),
    delete: (key) => plain.delete(key),
    entries: () => plain.entries(),
    due: undefined,
  }
}

/**
 * Runs a spec over the records of a task's batch. With a timeout, keys are also listed by the batch of their last record (`due`), so
 * that the cost of a batch follows its records and not the state.
 */
export function runSpec<K, V, S, R>(
  { f, timeoutMs = Infinity }: StateSpec<K, V, S, R>,
  timeMs: number,
  kept: KeptTable<K, S>,
  read: (push: (record: Pair<K, V>) => void) => void,
  push: (result: R) => void,
): void {
  const { due } = kept
  const state = new State<S>()
  const touched: K[] = []
  read(([key, value]) => {
    const before = kept.get(key)
    state.wrap(before?.[0])
    const result = f(key, value, state, timeMs)
    if (result !== undefined) push(result)
    if (state.wasRemoved) kept.delete(key)
    else if (state.wasUpdated || (before !== undefined && due !== undefined)) {
      kept.put(key, [state.get(), timeMs])
      if (before?.[1] !== timeMs) touched.push(key)
    }
  })
  if (due === undefined) return
  if (touched.length > 0) due.put(timeMs, [...(due.get(timeMs) ?? []), ...touched])
  for (const [atMs, keys] of Array.from(due.entries())) {
    // strictly before, as in Spark: a key that was seen at t is there until the batch after t + timeout
    if (atMs >= timeMs - timeoutMs) continue
    for (const key of keys) {
      const entry = kept.get(key)
      if (entry === undefined || entry[1] !== atMs) continue // seen again since
      state.wrapTimingOut(entry[0])
      const result = f(key, undefined, state, timeMs)
      if (result !== undefined) push(result)
      kept.delete(key)
    }
    due.delete(atMs)
  }
}
