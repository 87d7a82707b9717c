/** `mapWithState`: a function called for each record with its key's state. */
import { SquallError } from '../../errors.ts'
import { durationMs } from '../../std/clock.ts'
import type { Duration } from '../../std/clock.ts'
import type { StateStore, StateTable } from '../state/store.ts'
import type { Pair } from './dstream.ts'
import type { Scope } from './scope.ts'

/**
 * What `mapWithState` does: for each record of the batch `f` gets its key, its value and the key's state, and returns what the
 * stream gives (nothing, if it is `undefined`). With a timeout, a key that had no record for so long is given once more, without a
 * value, while its state `isTimingOut`; then the state is gone.
 *
 * ```ts
 * const running = stateSpec((word: string, n: number | undefined, state: KeyState<number>) => {
 *   const sum = (state.getOption() ?? 0) + (n ?? 0)
 *   if (!state.isTimingOut) state.update(sum)
 *   return [word, sum] as const
 * }, { timeout: '10m' })
 * ```
 */
export interface StateSpec<K, V, S, R> {
  readonly f: (key: K, value: V | undefined, state: KeyState<S>, timeMs: number) => R | undefined
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
export class KeyState<S> {
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
    this.#wasUpdated = false
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

/** The states of a task's keys in a batch. */
export interface KeptTable<K, S> {
  get(key: K): S | undefined
  put(key: K, state: S): void
  delete(key: K): void
  /** The key had a record in this batch; its state was not changed. */
  touch(key: K, state: S): void
  /** The keys whose last record was before a time; they are told once. None where nothing times out. */
  timedOut(beforeMs: number): Iterable<readonly [K, S]>
}

/** A state with the time of the last batch that had its key. */
type Timed<S> = readonly [state: S, atMs: number]

/** Keys by the time of the last batch that had them, the oldest first; a key that came again later is there more than once. */
interface Due<K> {
  readonly byTime: Map<number, K[]>
  /** the batch that it was made for or changed by last */
  atMs: number
}

/**
 * The states of an operator. Where nothing times out, the store has them as they are. Where something does, it has the time with
 * each, and every task has its keys by time in memory, so that the cost of a batch follows its records and not the state: made from
 * the state when a task begins, and when a batch is run again.
 */
export class KeptStates<K, S> {
  readonly #name: string
  readonly #isTimed: boolean
  readonly #due = new WeakMap<StateStore, Due<K>>()

  constructor(name: string, timeoutMs: number | undefined) {
    this.#name = name
    this.#isTimed = timeoutMs !== undefined
  }

  at(scope: Scope): KeptTable<K, S> {
    if (!this.#isTimed) {
      const table = scope.state.table<K, S>(this.#name)
      return {
        get: (key) => table.get(key),
        put: (key, state) => table.put(key, state),
        delete: (key) => table.delete(key),
        touch: () => undefined,
        timedOut: () => [],
      }
    }
    const { timeMs } = scope
    const table = this.#timed(scope)
    const { byTime } = this.#dueAt(scope)
    const touch = (key: K, state: S): void => {
      if (table.get(key)?.[1] !== timeMs) add(byTime, timeMs, key)
      table.put(key, [state, timeMs])
    }
    return {
      get: (key) => table.get(key)?.[0],
      put: touch,
      delete: (key) => table.delete(key),
      touch,
      *timedOut(beforeMs) {
        for (const [atMs, keys] of byTime) {
          if (atMs >= beforeMs) return
          byTime.delete(atMs)
          for (const key of keys) {
            const kept = table.get(key)
            if (kept?.[1] === atMs) yield [key, kept[0]] // else it is gone, or was seen again since
          }
        }
      },
    }
  }

  *entries(scope: Scope): Iterable<readonly [K, S]> {
    if (!this.#isTimed) yield* scope.state.table<K, S>(this.#name).entries()
    else for (const [key, [state]] of this.#timed(scope).entries()) yield [key, state]
  }

  #timed({ state }: Scope): StateTable<K, Timed<S>> {
    return state.table<K, Timed<S>>(this.#name)
  }

  #dueAt(scope: Scope): Due<K> {
    const known = this.#due.get(scope.state)
    if (known !== undefined && known.atMs < scope.timeMs) {
      known.atMs = scope.timeMs
      return known
    }
    const found = new Map<number, K[]>()
    for (const [key, [, atMs]] of this.#timed(scope).entries()) add(found, atMs, key)
    const due = { byTime: new Map([...found].sort(([a], [b]) => a - b)), atMs: scope.timeMs }
    this.#due.set(scope.state, due)
    return due
  }
}

function add<K>(byTime: Map<number, K[]>, timeMs: number, key: K): void {
  const keys = byTime.get(timeMs)
  if (keys === undefined) byTime.set(timeMs, [key])
  else keys.push(key)
}

/** Runs a spec over the records of a task's batch, then over the keys that time out with it. */
export function runSpec<K, V, S, R>(
  { f, timeoutMs = Infinity }: StateSpec<K, V, S, R>,
  timeMs: number,
  kept: KeptTable<K, S>,
  read: (push: (record: Pair<K, V>) => void) => void,
  push: (result: R) => void,
): void {
  const state = new KeyState<S>()
  read(([key, value]) => {
    const before = kept.get(key)
    state.wrap(before)
    const result = f(key, value, state, timeMs)
    if (result !== undefined) push(result)
    if (state.wasRemoved) kept.delete(key)
    else if (state.wasUpdated) kept.put(key, state.get())
    else if (before !== undefined) kept.touch(key, before)
  })
  // strictly before, as in Spark: a key that was seen at t is there until the batch after t + timeout
  for (const [key, value] of kept.timedOut(timeMs - timeoutMs)) {
    state.wrapTimingOut(value)
    const result = f(key, undefined, state, timeMs)
    if (result !== undefined) push(result)
    kept.delete(key)
  }
}
