/**
 * State in Trident's sense: what a user's own store has to offer so that batches can be applied to it exactly once.
 *
 * Every method may return a promise. `null` stands for a value that is not there.
 */

/** Now, or later. */
export type Awaitable<T> = T | Promise<T>

/** What is told of each batch. `null` as a number: outside of any batch. */
export interface State {
  /** Batch `txid` is about to be applied; the same number again is the same batch, once more. */
  beginCommit(txid: number | null): Awaitable<void>
  /** Batch `txid` was applied. */
  commit(txid: number | null): Awaitable<void>
  /** Its task ends. */
  close?(): Awaitable<void>
}

/** From the value that was there to the one that shall be. */
export type ValueUpdater<V> = (stored: V | null) => V

export interface ReadOnlyMapState<K, V> {
  multiGet(keys: readonly K[]): Awaitable<readonly (V | null)[]>
}

/** A state of values by key. */
export interface MapState<K, V> extends State, ReadOnlyMapState<K, V> {
  /** Gives the new values. */
  multiUpdate(keys: readonly K[], updaters: readonly ValueUpdater<V>[]): Awaitable<readonly V[]>
  multiPut(keys: readonly K[], values: readonly V[]): Awaitable<void>
}

/** A state whose keys can be removed. */
export interface RemovableMapState<K, V> extends MapState<K, V> {
  multiRemove(keys: readonly K[]): Awaitable<void>
}

/** A state that is read and never written by the topology. */
export type ReadOnlyState<K, V> = ReadOnlyMapState<K, V>

export interface ReadOnlySnapshottable<V> {
  get(): Awaitable<V | null>
}

/** A state of one value. */
export interface Snapshottable<V> extends State, ReadOnlySnapshottable<V> {
  /** Gives the new value. */
  update(updater: ValueUpdater<V>): Awaitable<V>
  set(value: V): Awaitable<void>
}

/** The user's own store: many keys at once, as one trip costs as much as another. */
export interface BackingMap<K, V> {
  /** A value for each key, in their order; `null` or `undefined` for those that are not there. */
  multiGet(keys: readonly K[]): Awaitable<readonly (V | null | undefined)[]>
  multiPut(keys: readonly K[], values: readonly V[]): Awaitable<void>
}
