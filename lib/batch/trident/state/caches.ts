/** Backing maps before backing maps, which spare trips. Keys are compared by content. */
import { assert } from '../../../std/assert.ts'
import { mapKeyOf } from '../../state/keys.ts'
import type { MapKey } from '../../state/keys.ts'
import type { BackingMap } from './state.ts'

/** Keeps the `max` values that were read or written last. Only for a store that nobody else writes to. */
export class CachedMap<K, V> implements BackingMap<K, V> {
  readonly #backing: BackingMap<K, V>
  readonly #max: number
  /** in the order of their last use */
  readonly #values = new Map<MapKey, V | null>()

  constructor(backing: BackingMap<K, V>, max = 5_000) {
    this.#backing = backing
    this.#max = max
  }

  async multiGet(keys: readonly K[]): Promise<readonly (V | null)[]> {
    const at = keys.map(mapKeyOf)
    const missing = keys.filter((_, i) => !this.#values.has(at[i] as MapKey))
    const found = new Map(at.map((key) => [key, this.#values.get(key) ?? null]))
    const read = missing.length === 0 ? [] : await this.#backing.multiGet(missing)
    assert(read.length === missing.length, `multiGet gives a value for each key: ${missing.length} keys, ${read.length} values`)
    for (const [i, key] of missing.entries()) found.set(mapKeyOf(key), read[i] ?? null)
    for (const [key, value] of found) this.#use(key, value)
    return at.map((key) => found.get(key) ?? null)
  }

  async multiPut(keys: readonly K[], values: readonly V[]): Promise<void> {
    // what could not be written must be read again
    for (const key of keys) this.#values.delete(mapKeyOf(key))
    await this.#backing.multiPut(keys, values)
    for (const [i, key] of keys.entries()) this.#use(mapKeyOf(key), values[i] as V)
  }

  #use(key: MapKey, value: V | null): void {
    this.#values.delete(key)
    this.#values.set(key, value)
    if (this.#values.size > this.#max) this.#values.delete(this.#values.keys().next().value as MapKey)
  }
}

/** A value, and whether this batch has put it. */
export interface BatchRead<V> {
  readonly value: V | null
  readonly isFromBatch: boolean
}

/** Knows what the batch at hand has put, so that a second update of a key goes on from the first. */
export class CachedBatchReadsMap<K, V> {
  readonly #backing: BackingMap<K, V>
  readonly #put = new Map<MapKey, V>()

  constructor(backing: BackingMap<K, V>) {
    this.#backing = backing
  }

  async multiGet(keys: readonly K[]): Promise<readonly BatchRead<V>[]> {
    const others = keys.filter((key) => !this.#put.has(mapKeyOf(key)))
    const read = others.length === 0 ? [] : await this.#backing.multiGet(others)
    assert(read.length === others.length, `multiGet gives a value for each key: ${others.length} keys, ${read.length} values`)
    let next = 0
    return keys.map((key) => {
      const value = this.#put.get(mapKeyOf(key))
      return value === undefined ? { value: read[next++] ?? null, isFromBatch: false } : { value, isFromBatch: true }
    })
  }

  async multiPut(keys: readonly K[], values: readonly V[]): Promise<void> {
    await this.#backing.multiPut(keys, values)
    for (const [i, key] of keys.entries()) this.#put.set(mapKeyOf(key), values[i] as V)
  }

  /** A batch begins or ends. */
  reset(): void {
    this.#put.clear()
  }
}
