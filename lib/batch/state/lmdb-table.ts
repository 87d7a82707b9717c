/** One operator's table over a database: the changes of the batch at hand, what was undone for it, and a cache, in memory. */
import { assert } from '../../std/assert.ts'
import { keyOf, mapKeyOf } from './keys.ts'
import type { MapKey } from './keys.ts'
import type { StateTable } from './store.ts'
import { freeze } from './tables.ts'
import type { Changes } from './tables.ts'

/** The database, to its tables. */
export interface Reader {
  readonly openTxid: number | undefined
  readonly check: boolean
  readonly cachedMax: number
  read(operator: string, key: MapKey): unknown
  readAll(operator: string): Iterable<readonly [MapKey, unknown]>
}

const absent = Symbol('absent')

export class LmdbTable implements StateTable {
  readonly operator: string
  /** values before the batch at hand of what it changes; `undefined` = there was none */
  old: Changes = new Map()
  size: number
  readonly #reader: Reader
  /** what the batch at hand has put; `undefined` = deleted */
  #staged: Changes = new Map()
  /** the last batch is undone: what was there before it */
  #undone: Changes = new Map()
  /** committed values, in two generations: what is not asked for while one fills up is forgotten */
  #young = new Map<MapKey, unknown>()
  #aged = new Map<MapKey, unknown>()

  constructor(reader: Reader, operator: string, size: number) {
    this.#reader = reader
    this.operator = operator
    this.size = size
  }

  get(key: unknown): unknown {
    return this.#get(mapKeyOf(key))
  }

  put(key: unknown, value: unknown): void {
    if (value !== undefined && this.#reader.check) freeze(value)
    this.#set(mapKeyOf(key), value)
  }

  delete(key: unknown): void {
    this.#set(mapKeyOf(key), undefined)
  }

  *entries(): Iterable<readonly [unknown, unknown]> {
    const changes = this.changes()
    for (const [key, value] of this.#reader.readAll(this.operator)) if (!changes.has(key)) yield [keyOf(key), value]
    for (const [key, value] of changes) if (value !== undefined) yield [keyOf(key), value]
  }

  /** What the batch at hand leaves changed, against what is committed. */
  changes(): Changes {
    return this.#undone.size === 0 ? this.#staged : new Map([...this.#undone, ...this.#staged])
  }

  goBack(undo: Changes, size: number): void {
    this.#undone = undo
    this.size = size
  }

  committed(): void {
    for (const [key, value] of this.changes()) this.#cache(key, value)
    this.#forget()
  }

  discard(size: number): void {
    this.size = size
    this.#forget()
  }

  #forget(): void {
    this.#staged = new Map()
    this.#undone = new Map()
    this.old = new Map()
  }

  #get(key: MapKey): unknown {
    const staged = this.#staged.get(key)
    if (staged !== undefined || this.#staged.has(key)) return staged
    return this.#before(key)
  }

  #set(key: MapKey, value: unknown): void {
    assert(this.#reader.openTxid !== undefined, 'state is changed outside of a batch')
    const isNew = !this.#staged.has(key)
    const now = isNew ? this.#before(key) : this.#staged.get(key)
    if (isNew) this.old.set(key, now)
    if (now === undefined && value !== undefined) this.size++
    if (now !== undefined && value === undefined) this.size--
    this.#staged.set(key, value)
  }

  /** The value before the batch at hand. */
  #before(key: MapKey): unknown {
    if (this.#undone.size > 0 && this.#undone.has(key)) return this.#undone.get(key)
    let value = this.#young.get(key)
    if (value === undefined) {
      value = this.#aged.get(key)
      if (value === undefined) value = this.#reader.read(this.operator, key)
      this.#cache(key, value)
    }
    return value === absent ? undefined : value
  }

  #cache(key: MapKey, value: unknown): void {
    if (this.#young.size >= this.#reader.cachedMax / 2) {
      this.#aged = this.#young
      this.#young = new Map()
    }
    this.#young.set(key, value === undefined ? absent : value)
  }
}
