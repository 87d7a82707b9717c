/**
 * Tables in memory that can go back: the changes of the batch at hand, and those of the one committed last.
 *
 * A change is made in place; the value that was there before is kept with its key. So reading costs one look-up, a batch
 * costs what it touches, and undoing is putting the old values back.
 */
import { SquallError } from '../../errors.ts'
import { assert } from '../../std/assert.ts'
import { keyOf, mapKeyOf } from './keys.ts'
import type { MapKey } from './keys.ts'
import type { StateTable } from './store.ts'

/** Old values by key; `undefined` = there was none. */
export type Changes = Map<MapKey, unknown>

/** A `Map` of V8 ends at 2^24 keys, with an error that says nothing. */
const keysMax = 16_700_000

export class Tables {
  readonly check: boolean
  readonly #tables = new Map<string, Table>()
  #txid: number | undefined
  #open: number | undefined
  /** the batch committed last is undone, until the batch at hand is committed or discarded */
  #isBack = false
  #canUndo = true

  /** With `check`, values are frozen, so that a change in place shows. */
  constructor(check = false) {
    this.check = check
  }

  get txid(): number | undefined {
    return this.#txid
  }

  get openTxid(): number | undefined {
    return this.#open
  }

  get operators(): readonly string[] {
    return [...this.#tables.keys()].sort()
  }

  table(operator: string): Table {
    let table = this.#tables.get(operator)
    if (table === undefined) this.#tables.set(operator, (table = new Table(this, operator)))
    return table
  }

  begin(txid: number): void {
    assert(this.#open === undefined, `batch ${txid} begins while batch ${this.#open} is open`)
    checkTxid(txid, this.#txid)
    if (txid === this.#txid) {
      if (!this.#canUndo) throw new SquallError('state-ahead', { txid, found: this.#txid })
      for (const table of this.#tables.values()) table.goBack()
      this.#isBack = true
    }
    this.#open = txid
  }

  /** The tables that the batch at hand leaves changed, against what is committed: keys undone and not changed again are among them. */
  changed(): Table[] {
    return [...this.#tables.values()].filter((table) => table.hasChanges)
  }

  committed(): void {
    for (const table of this.#tables.values()) table.committed()
    this.#txid = this.#open
    this.#open = undefined
    this.#isBack = false
    this.#canUndo = true
  }

  discard(): void {
    if (this.#open === undefined) return
    for (const table of this.#tables.values()) table.discard(this.#isBack)
    this.#open = undefined
    this.#isBack = false
  }

  *lastChanged(operator: string): Iterable<unknown> {
    for (const key of this.#tables.get(operator)?.before.keys() ?? []) yield keyOf(key)
  }

  /** For recovery: the state is that of this batch, which cannot be undone any more unless `changes` say how. */
  restored(txid: number | undefined, changes: ReadonlyMap<string, Changes> | undefined): void {
    this.#txid = txid
    this.#canUndo = changes !== undefined
    for (const operator of changes?.keys() ?? []) this.table(operator)
    for (const [operator, table] of this.#tables) table.before = changes?.get(operator) ?? new Map()
  }
}

/** Whether batch `txid` may begin after `last`. */
export function checkTxid(txid: number, last: number | undefined): void {
  assert(Number.isSafeInteger(txid), `${txid} is no batch number`)
  if (last !== undefined && txid < last) throw new SquallError('state-ahead', { txid, found: last })
}

export class Table implements StateTable {
  readonly operator: string
  readonly entriesByKey = new Map<MapKey, unknown>()
  /** old values of what the batch committed last has changed */
  before: Changes = new Map()
  readonly #tables: Tables
  #changes: Changes = new Map()
  /** while the last batch is undone: what it had left */
  #undone: Changes = new Map()

  constructor(tables: Tables, operator: string) {
    this.#tables = tables
    this.operator = operator
  }

  get size(): number {
    return this.entriesByKey.size
  }

  get(key: unknown): unknown {
    return this.entriesByKey.get(mapKeyOf(key))
  }

  put(key: unknown, value: unknown): void {
    if (value === undefined) return this.delete(key)
    const at = mapKeyOf(key)
    this.#remember(at)
    if (this.#tables.check) freeze(value)
    this.entriesByKey.set(at, value)
  }

  delete(key: unknown): void {
    const at = mapKeyOf(key)
    this.#remember(at)
    this.entriesByKey.delete(at)
  }

  *entries(): Iterable<readonly [unknown, unknown]> {
    for (const [key, value] of this.entriesByKey) yield [keyOf(key), value]
  }

  get hasChanges(): boolean {
    return this.#changes.size > 0 || this.#undone.size > 0
  }

  /** The keys that the batch at hand leaves changed. */
  changedKeys(): Iterable<MapKey> {
    if (this.#undone.size === 0) return this.#changes.keys()
    return new Set([...this.#changes.keys(), ...this.#undone.keys()])
  }

  /** Puts the values before the last batch back. */
  goBack(): void {
    this.#undone = this.#swap(this.before)
  }

  committed(): void {
    this.before = this.#changes
    this.#changes = new Map()
    this.#undone = new Map()
  }

  discard(isBack: boolean): void {
    this.#swap(this.#changes)
    if (isBack) this.#swap(this.#undone)
    this.#changes = new Map()
    this.#undone = new Map()
  }

  #remember(key: MapKey): void {
    assert(this.#tables.openTxid !== undefined, 'state is changed outside of a batch')
    if (this.#changes.has(key)) return
    const old = this.entriesByKey.get(key)
    if (old === undefined && this.entriesByKey.size >= keysMax)
      throw new SquallError('state-too-large', { operator: this.operator, max: keysMax })
    this.#changes.set(key, old)
  }

  /** Puts these values in place and gives back those that were there. */
  #swap(values: Changes): Changes {
    const were: Changes = new Map()
    for (const [key, value] of values) {
      were.set(key, this.entriesByKey.get(key))
      if (value === undefined) this.entriesByKey.delete(key)
      else this.entriesByKey.set(key, value)
    }
    return were
  }
}

export function freeze(value: unknown): void {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value) || ArrayBuffer.isView(value)) return
  Object.freeze(value)
  for (const item of Object.values(value)) freeze(item)
}
