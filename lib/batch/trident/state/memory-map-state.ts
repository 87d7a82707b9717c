/** An opaque map state in memory, for tests and for state that may start anew with its process. */
import { mapKeyOf } from '../../state/keys.ts'
import type { MapKey } from '../../state/keys.ts'
import { OpaqueMap, SnapshottableMap } from './maps.ts'
import type { BackingMap, RemovableMapState, Snapshottable, ValueUpdater } from './state.ts'
import type { OpaqueValue } from './values.ts'

/** The key of the one value when it is used as a `Snapshottable`. */
const snapshotKey = '$MEMORY-MAP-STATE-GLOBAL$'

export class MemoryMapState<K = unknown, V = unknown> implements RemovableMapState<K, V>, Snapshottable<V> {
  readonly #backing = new MemoryBackingMap<K | typeof snapshotKey, OpaqueValue<V>>()
  readonly #map = new OpaqueMap<K | typeof snapshotKey, V>(this.#backing)
  readonly #one = new SnapshottableMap<K | typeof snapshotKey, V>(this.#map, snapshotKey)
  #removed: K[] = []
  #txid: number | null = null

  beginCommit(txid: number | null): void {
    this.#map.beginCommit(txid)
    // only now is it certain that the batch that removed them will not come again
    if (txid !== this.#txid) this.#backing.remove(this.#removed)
    this.#removed = []
    this.#txid = txid
  }

  commit(txid: number | null): void {
    this.#map.commit(txid)
  }

  multiGet(keys: readonly K[]): Promise<readonly (V | null)[]> {
    return this.#map.multiGet(keys)
  }

  multiUpdate(keys: readonly K[], updaters: readonly ValueUpdater<V>[]): Promise<readonly V[]> {
    return this.#map.multiUpdate(keys, updaters)
  }

  multiPut(keys: readonly K[], values: readonly V[]): Promise<void> {
    return this.#map.multiPut(keys, values)
  }

  async multiRemove(keys: readonly K[]): Promise<void> {
    await this.#map.multiPut(
      keys,
      keys.map(() => null as V), // stored as an opaque value whose current one is not there
    )
    this.#removed.push(...keys)
  }

  get(): Promise<V | null> {
    return this.#one.get()
  }

  update(updater: ValueUpdater<V>): Promise<V> {
    return this.#one.update(updater)
  }

  set(value: V): Promise<void> {
    return this.#one.set(value)
  }

  /** All keys with their current values. */
  *entries(): Iterable<readonly [K, V]> {
    for (const [key, { curr }] of this.#backing.entries()) if (curr !== null && key !== snapshotKey) yield [key as K, curr]
  }
}

/** A backing map in memory. */
class MemoryBackingMap<K, V> implements BackingMap<K, V> {
  readonly #values = new Map<MapKey, readonly [K, V]>()

  multiGet(keys: readonly K[]): readonly (V | undefined)[] {
    return keys.map((key) => this.#values.get(mapKeyOf(key))?.[1])
  }

  multiPut(keys: readonly K[], values: readonly V[]): void {
    for (const [i, key] of keys.entries()) this.#values.set(mapKeyOf(key), [key, values[i] as V])
  }

  remove(keys: readonly K[]): void {
    for (const key of keys) this.#values.delete(mapKeyOf(key))
  }

  entries(): Iterable<readonly [K, V]> {
    return this.#values.values()
  }
}
