/**
 * State in LMDB where files have copies: what is kept for good is a log of changes with its snapshots, as the log store's, and the data file of LMDB, on this host's
 * own disk, a cache of it.
 *
 *     commit:  changes ──▶ log, in all copies ──▶ cache, here         so the cache is never ahead
 *     open:    log from where the cache is ──▶ cache                  or all of it, where the cache is of something else, damaged or not there
 *
 * A task that comes back to a host finds the cache it had there, and takes what was written meanwhile.
 */
import { rm } from 'node:fs/promises'
import { z } from 'zod'
import { SquallError } from '../../errors.ts'
import { assert } from '../../std/assert.ts'
import { makeFolders } from '../../std/folders.ts'
import { bootId } from '../../std/processes.ts'
import { isFrameEdge } from '../log/frames.ts'
import type { LogPlace } from '../log/rolling-log.ts'
import { ChangeLog } from './change-log.ts'
import type { ChangeLogOptions } from './change-log.ts'
import { keyOf } from './keys.ts'
import type { MapKey } from './keys.ts'
import { LmdbStore } from './lmdb-store.ts'
import { Lives } from './lives.ts'
import { Recovery, changesPath, newestSnapshot } from './recovery.ts'
import type { Recovered, Undo } from './recovery.ts'
import type { StateStore, StateTable } from './store.ts'

export interface CachedStoreOptions extends ChangeLogOptions {
  /** on this host's own disk; what is there already is used if it fits */
  readonly cacheFolder: string
  readonly check?: boolean
  /** entries of each operator that may stay in memory between batches, about (200,000) */
  readonly cachedMax?: number
  /** entries that one transaction fills in where the cache is made anew (20,000) */
  readonly entriesPerFill?: number
}

/** What a cache is of: this life's log, up to there. */
const Mark = z.object({ life: z.string(), boot: z.string().min(1), number: z.int().min(1), at: z.int().min(0) })
type Mark = z.infer<typeof Mark>

export class CachedStore implements StateStore {
  readonly #cache: LmdbStore
  readonly #log: ChangeLog
  readonly #life: string

  private constructor(cache: LmdbStore, log: ChangeLog, life: string) {
    this.#cache = cache
    this.#log = log
    this.#life = life
  }

  static async open(options: CachedStoreOptions): Promise<CachedStore> {
    const { files, folder, cacheFolder, report } = options
    const lives = await Lives.open(files, folder)
    let cache = await openedCache(options, lives.id)
    try {
      const known = cache && (await placeOf(cache, options, lives))
      if (cache === undefined || known === undefined) {
        if (cache?.mark !== undefined) report?.(`the cache ${cacheFolder} cannot be used for the state in ${folder}, and is made anew`)
        await cache?.close()
        await rm(cacheFolder, { recursive: true, force: true })
        cache = await openCache(options, lives.id)
      }
      const recovery = new Recovery(new Filling(cache, options.entriesPerFill), {
        known: known && { txid: cache.txid, undo: cache.undo() },
      })
      const log = await ChangeLog.open(options, cache, recovery, known)
      const store = new CachedStore(cache, log, lives.id)
      await lives.begin(log.end)
      cache.setMark(store.#mark)
      return store
    } catch (error) {
      await cache?.close()
      throw error
    }
  }

  get txid(): number | undefined {
    return this.#cache.txid
  }

  get operators(): readonly string[] {
    return this.#cache.operators
  }

  table<K, V>(operator: string): StateTable<K, V> {
    return this.#cache.table(operator)
  }

  begin(txid: number): void {
    const isAgain = txid === this.#cache.txid
    this.#cache.begin(txid)
    // its parts hold what is undone now
    if (isAgain) this.#log.abandonSnapshot()
  }

  async commit(txid: number): Promise<void> {
    assert(txid === this.#cache.openTxid, `commit of batch ${txid}, open is ${this.#cache.openTxid}`)
    const changes = this.#cache.changed()
    await this.#log.append(txid, changes)
    this.#apply(txid)
    await this.#log.goOn(changes)
    this.#follow()
  }

  discard(): void {
    this.#cache.discard()
  }

  lastChanged(operator: string): Iterable<unknown> {
    return this.#cache.lastChanged(operator)
  }

  async snapshot(): Promise<void> {
    assert(this.#cache.openTxid === undefined, 'a snapshot while a batch is open')
    await this.#log.snapshot()
    this.#follow()
  }

  async close(): Promise<void> {
    await this.#log.close()
    await this.#cache.close()
  }

  /** When that fails the batch is run again, and is in the log twice: a snapshot must not lie across both. */
  #apply(txid: number): void {
    try {
      this.#cache.apply(txid, this.#mark)
    } catch (error) {
      this.#log.abandonSnapshot()
      throw error
    }
  }

  get #mark(): Mark {
    return { life: this.#life, boot: bootId(), ...this.#log.end }
  }

  /** A snapshot has begun, and with it another file of the log: the one before it will go. */
  #follow(): void {
    if ((this.#cache.mark as Mark).number !== this.#log.end.number) this.#cache.setMark(this.#mark)
  }
}

function openCache({ cacheFolder, check, cachedMax }: CachedStoreOptions, owner: string): Promise<LmdbStore> {
  makeFolders(cacheFolder)
  return LmdbStore.open({
    folder: cacheFolder,
    owner,
    ...(check !== undefined && { check }),
    ...(cachedMax !== undefined && { cachedMax }),
  })
}

/** `undefined`: what is there cannot be read. */
async function openedCache(options: CachedStoreOptions, owner: string): Promise<LmdbStore | undefined> {
  try {
    return await openCache(options, owner)
  } catch (error) {
    if (!(error instanceof SquallError && ['lmdb-corrupt', 'file-unreadable'].includes(error.code))) throw error
    options.report?.(`the cache of ${options.folder} is made anew: ${error.message}`)
    return undefined
  }
}

/** Up to where a cache has the log; `undefined` when it is of another one, or was not finished, or may have lost a part with the power. */
async function placeOf(cache: LmdbStore, { files, folder }: CachedStoreOptions, lives: Lives): Promise<LogPlace | undefined> {
  const { data: mark } = Mark.safeParse(cache.mark)
  if (mark?.boot !== bootId() || !lives.has(mark.life, mark)) return undefined
  const { number } = await newestSnapshot(files, folder)
  const isThere = mark.number >= number && (await isFrameEdge(files, changesPath(folder, mark.number), mark.at))
  return isThere ? mark : undefined
}

/** Fills a cache, which is not whole until it is marked. */
class Filling implements Recovered {
  readonly #cache: LmdbStore
  readonly #entriesPerFill: number
  /** before any of a batch */
  #txid = Number.MIN_SAFE_INTEGER
  #count = 0

  constructor(cache: LmdbStore, entriesPerFill = 20_000) {
    this.#cache = cache
    this.#entriesPerFill = entriesPerFill
  }

  table(operator: string): { restore(key: MapKey, value: unknown): unknown } {
    return { restore: (key, value) => this.#restore(operator, key, value) }
  }

  restored(txid: number | undefined, before: Undo): void {
    if (this.#count === 0 && txid === this.#cache.txid) return
    // all is as it was before the last batch, and then as it is: so that can be undone
    const after: (readonly [string, MapKey, unknown])[] = []
    for (const [operator, changes] of before)
      for (const [key, value] of changes) after.push([operator, key, this.#restore(operator, key, value)])
    this.#begin()
    this.#apply()
    if (txid === undefined) return
    this.#cache.begin(txid)
    for (const [operator, key, value] of after) this.#cache.table(operator).put(keyOf(key), value)
    this.#cache.apply(txid)
  }

  #restore(operator: string, key: MapKey, value: unknown): unknown {
    this.#begin()
    const table = this.#cache.table(operator)
    const own = keyOf(key)
    const old = table.get(own)
    table.put(own, value)
    if (++this.#count % this.#entriesPerFill === 0) this.#apply()
    return old
  }

  #begin(): void {
    if (this.#cache.openTxid !== undefined) return
    if (this.#count === 0) this.#cache.setMark(undefined)
    this.#cache.begin(this.#txid)
  }

  #apply(): void {
    this.#cache.apply(this.#txid++)
  }
}
