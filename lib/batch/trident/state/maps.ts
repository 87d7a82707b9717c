/** Trident's three map states over a store of the user's own. They differ in what they store and in how a batch that comes again counts. */
import { mapKeyOf } from '../../state/keys.ts'
import { CachedBatchReadsMap } from './caches.ts'
import type { BackingMap, MapState, Snapshottable, ValueUpdater } from './state.ts'
import { OpaqueValue, TransactionalValue } from './values.ts'

/** Stores plain values: a batch that comes again counts again. */
export class NonTransactionalMap<K, V> implements MapState<K, V> {
  readonly #backing: BackingMap<K, V>

  constructor(backing: BackingMap<K, V>) {
    this.#backing = backing
  }

  beginCommit(_txid: number | null): void {
    // batches make no difference
  }

  commit(_txid: number | null): void {
    // batches make no difference
  }

  async multiGet(keys: readonly K[]): Promise<readonly (V | null)[]> {
    return (await this.#backing.multiGet(keys)).map((value) => value ?? null)
  }

  multiUpdate(keys: readonly K[], updaters: readonly ValueUpdater<V>[]): Promise<readonly V[]> {
    return eachOnce(keys, updaters, async (some, by) => {
      const values = (await this.multiGet(some)).map((value, i) => (by[i] as ValueUpdater<V>)(value))
      await this.multiPut(some, values)
      return values
    })
  }

  async multiPut(keys: readonly K[], values: readonly V[]): Promise<void> {
    await this.#backing.multiPut(keys, values)
  }
}

/**
 * Stores `TransactionalValue`s: exactly once, if a batch that comes again holds the same tuples (a transactional spout).
 *
 * ```ts
 * const counts = new TransactionalMap<string, number>(new CachedMap(myStore))
 * await counts.beginCommit(7)
 * await counts.multiUpdate(['a'], [(n) => (n ?? 0) + 1])
 * await counts.commit(7)
 * ```
 */
export class TransactionalMap<K, V> implements MapState<K, V> {
  readonly #backing: CachedBatchReadsMap<K, TransactionalValue<V>>
  #txid: number | null = null

  constructor(backing: BackingMap<K, TransactionalValue<V>>) {
    this.#backing = new CachedBatchReadsMap(backing)
  }

  beginCommit(txid: number | null): void {
    this.#txid = txid
    this.#backing.reset()
  }

  commit(_txid: number | null): void {
    this.#txid = null
    this.#backing.reset()
  }

  async multiGet(keys: readonly K[]): Promise<readonly (V | null)[]> {
    return (await this.#backing.multiGet(keys)).map(({ value }) => value?.value ?? null)
  }

  multiUpdate(keys: readonly K[], updaters: readonly ValueUpdater<V>[]): Promise<readonly V[]> {
    return eachOnce(keys, updaters, async (some, by) => {
      const reads = await this.#backing.multiGet(some)
      const values = reads.map(({ value, isFromBatch }, i) => {
        // this batch has been applied to this key before
        if (value !== null && this.#txid !== null && value.txid === this.#txid && !isFromBatch) return value
        return new TransactionalValue(this.#txid, (by[i] as ValueUpdater<V>)(value?.value ?? null))
      })
      const isNew = values.map((value, i) => value !== reads[i]?.value)
      if (isNew.includes(true))
        await this.#backing.multiPut(
          some.filter((_, i) => isNew[i]),
          values.filter((_, i) => isNew[i]),
        )
      return values.map(({ value }) => value)
    })
  }

  multiPut(keys: readonly K[], values: readonly V[]): Promise<void> {
    return this.#backing.multiPut(
      keys,
      values.map((value) => new TransactionalValue(this.#txid, value)),
    )
  }
}

/** Stores `OpaqueValue`s: exactly once, even if a batch that comes again holds other tuples (an opaque spout). */
export class OpaqueMap<K, V> implements MapState<K, V> {
  readonly #backing: CachedBatchReadsMap<K, OpaqueValue<V>>
  #txid: number | null = null

  constructor(backing: BackingMap<K, OpaqueValue<V>>) {
    this.#backing = new CachedBatchReadsMap(backing)
  }

  beginCommit(txid: number | null): void {
    this.#txid = txid
    this.#backing.reset()
  }

  commit(_txid: number | null): void {
    this.#txid = null
    this.#backing.reset()
  }

  async multiGet(keys: readonly K[]): Promise<readonly (V | null)[]> {
    return (await this.#backing.multiGet(keys)).map(({ value, isFromBatch }) => {
      if (value === null) return null
      return isFromBatch ? value.curr : value.get(this.#txid)
    })
  }

  multiUpdate(keys: readonly K[], updaters: readonly ValueUpdater<V>[]): Promise<readonly V[]> {
    return this.#update(keys, updaters)
  }

  async multiPut(keys: readonly K[], values: readonly V[]): Promise<void> {
    await this.#update(
      keys,
      values.map((value) => () => value),
    )
  }

  #update(keys: readonly K[], updaters: readonly ValueUpdater<V>[]): Promise<readonly V[]> {
    return eachOnce(keys, updaters, async (some, by) => {
      const reads = await this.#backing.multiGet(some)
      const results: V[] = []
      const values = reads.map(({ value, isFromBatch }, i) => {
        const before = value === null ? null : isFromBatch ? value.curr : value.get(this.#txid)
        const result = (by[i] as ValueUpdater<V>)(before)
        results.push(result)
        return value === null ? new OpaqueValue<V>(this.#txid, result) : value.update(this.#txid, result)
      })
      await this.#backing.multiPut(some, values)
      return results
    })
  }
}

/** A map state that is used for one value, under one key. */
export class SnapshottableMap<K, V> implements Snapshottable<V> {
  readonly #map: MapState<K, V>
  readonly #key: K

  constructor(map: MapState<K, V>, key: K) {
    this.#map = map
    this.#key = key
  }

  async beginCommit(txid: number | null): Promise<void> {
    await this.#map.beginCommit(txid)
  }

  async commit(txid: number | null): Promise<void> {
    await this.#map.commit(txid)
  }

  async get(): Promise<V | null> {
    return (await this.#map.multiGet([this.#key]))[0] ?? null
  }

  async update(updater: ValueUpdater<V>): Promise<V> {
    return (await this.#map.multiUpdate([this.#key], [updater]))[0] as V
  }

  async set(value: V): Promise<void> {
    await this.#map.multiPut([this.#key], [value])
  }
}

/** Updates in rounds in which no key occurs twice, so that a second update of a key goes on from the first. The results are in the order of the keys. */
async function eachOnce<K, U, R>(
  keys: readonly K[],
  updaters: readonly U[],
  update: (keys: readonly K[], updaters: readonly U[]) => Promise<readonly R[]>,
): Promise<readonly R[]> {
  const results: R[] = []
  for (let rest = keys.map((_, i) => i); rest.length > 0;) {
    const seen = new Set<unknown>()
    const later: number[] = []
    const round = rest.filter((i) => {
      const key = mapKeyOf(keys[i])
      if (seen.has(key)) return later.push(i) === 0
      return seen.add(key)
    })
    const some = await update(
      round.map((i) => keys[i] as K),
      round.map((i) => updaters[i] as U),
    )
    for (const [n, i] of round.entries()) results[i] = some[n] as R
    rest = later
  }
  return results
}
