/** Backing maps before backing maps: caches, which spare trips, and trips of a bounded size. Keys are compared by content. */
import { SquallError } from '../../../errors.ts'
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
    checkRead(missing, read)
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
    checkRead(others, read)
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

export interface SplitMapOptions {
  /** keys that are read in one trip (no limit) */
  readonly getMax?: number
  /** keys that are written in one trip (no limit) */
  readonly putMax?: number
}

/**
 * Reads and writes no more keys in one trip than a store takes, one trip after the other (Storm's `MicroBatchIBackingMap`). Throws `bad-option`.
 *
 * ```ts
 * const counts = new OpaqueMap(new SplitMap(myStore, { getMax: 100, putMax: 25 }))
 * ```
 */
export class SplitMap<K, V> implements BackingMap<K, V> {
  readonly #backing: BackingMap<K, V>
  readonly #getMax: number
  readonly #putMax: number

  constructor(backing: BackingMap<K, V>, { getMax = Infinity, putMax = Infinity }: SplitMapOptions = {}) {
    for (const [option, value] of Object.entries({ getMax, putMax }))
      if (!(value === Infinity || (Number.isSafeInteger(value) && value >= 1)))
        throw new SquallError('bad-option', { option, of: 'SplitMap', value, expected: 'a whole number from 1' })
    this.#backing = backing
    this.#getMax = getMax
    this.#putMax = putMax
  }

  async multiGet(keys: readonly K[]): Promise<readonly (V | null | undefined)[]> {
    const values: (V | null | undefined)[] = []
    for (let at = 0; at < keys.length; at += this.#getMax) {
      const some = keys.slice(at, at + this.#getMax)
      const read = await this.#backing.multiGet(some)
      checkRead(some, read)
      values.push(...read)
    }
    return values
  }

  async multiPut(keys: readonly K[], values: readonly V[]): Promise<void> {
    for (let at = 0; at < keys.length; at += this.#putMax)
      await this.#backing.multiPut(keys.slice(at, at + this.#putMax), values.slice(at, at + this.#putMax))
  }
}

/** A backing map is the user's. */
function checkRead(keys: readonly unknown[], values: readonly unknown[]): void {
  if (values.length !== keys.length) throw new SquallError('multi-get', { values: values.length, keys: keys.length })
}
