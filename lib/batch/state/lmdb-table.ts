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

/** What is known of one key. */
interface Cell {
  readonly key: MapKey
  /** as the batch at hand sees it; `undefined` = not there */
  value: unknown
  /** before the batch at hand, if that has put it */
  old: unknown
  isPut: boolean
}

/** A cell that was undone for the batch at hand, and what is committed. */
interface Undone {
  readonly cell: Cell
  readonly committed: unknown
}

export class LmdbTable implements StateTable {
  readonly operator: string
  size: number
  readonly #reader: Reader
  /** In two generations: what is not asked for while one fills up is forgotten, unless the batch at hand has put it. */
  #young = new Map<MapKey, Cell>()
  #aged = new Map<MapKey, Cell>()
  #put: Cell[] = []
  #undone: Undone[] = []

  constructor(reader: Reader, operator: string, size: number) {
    this.#reader = reader
    this.operator = operator
    this.size = size
  }

  get(key: unknown): unknown {
    return this.#cell(mapKeyOf(key)).value
  }

  put(key: unknown, value: unknown): void {
    assert(this.#reader.openTxid !== undefined, 'state is changed outside of a batch')
    if (value !== undefined && this.#reader.check) freeze(value)
    const cell = this.#cell(mapKeyOf(key))
    if (!cell.isPut) {
      cell.isPut = true
      cell.old = cell.value
      this.#put.push(cell)
    }
    if (cell.value === undefined && value !== undefined) this.size++
    if (cell.value !== undefined && value === undefined) this.size--
    cell.value = value
  }

  delete(key: unknown): void {
    this.put(key, undefined)
  }

  *entries(): Iterable<readonly [unknown, unknown]> {
    const changes = new Map(this.changed().map(({ key, value }) => [key, value]))
    for (const [key, value] of this.#reader.readAll(this.operator)) if (!changes.has(key)) yield [keyOf(key), value]
    for (const [key, value] of changes) if (value !== undefined) yield [keyOf(key), value]
  }

  /** What the batch at hand leaves changed, against what is committed; each key once. */
  changed(): { readonly key: MapKey; readonly value: unknown }[] {
    const undone = this.#undone.flatMap(({ cell }) => (cell.isPut ? [] : [cell]))
    return [...undone, ...this.#put]
  }

  /** Keys that the batch at hand has put and their values before it, in step; `undefined` = there was none. */
  old(): { readonly keys: readonly MapKey[]; readonly values: readonly unknown[] } {
    return { keys: this.#put.map(({ key }) => key), values: this.#put.map(({ old }) => old) }
  }

  goBack(undo: Changes, size: number): void {
    for (const [key, value] of undo) {
      const cell = this.#cell(key)
      this.#undone.push({ cell, committed: cell.value })
      cell.value = value
    }
    this.size = size
  }

  committed(): void {
    this.#release()
  }

  discard(size: number): void {
    for (const cell of this.#put) cell.value = cell.old
    for (const { cell, committed } of this.#undone) cell.value = committed
    this.size = size
    this.#release()
  }

  #release(): void {
    for (const cell of this.#put) {
      cell.isPut = false
      cell.old = undefined
    }
    this.#put = []
    this.#undone = []
  }

  #cell(key: MapKey): Cell {
    const known = this.#young.get(key)
    if (known !== undefined) return known
    const cell = this.#aged.get(key) ?? { key, value: this.#reader.read(this.operator, key), old: undefined, isPut: false }
    if (this.#young.size - this.#put.length - this.#undone.length >= this.#reader.cachedMax / 2) this.#forget()
    this.#young.set(key, cell)
    return cell
  }

  /** The cells of the batch at hand stay: the database does not know of them. */
  #forget(): void {
    this.#aged = this.#young
    this.#young = new Map(this.#put.map((cell) => [cell.key, cell]))
    for (const { cell } of this.#undone) this.#young.set(cell.key, cell)
  }
}
