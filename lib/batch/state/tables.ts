/**
 * Tables in memory that can go back: the changes of the batch at hand, and those of the one committed last.
 *
 * A change is made in place; the value that was there before is kept. So reading costs one look-up, a batch costs what it touches, and
 * undoing is putting the old values back.
 */
import { SquallError } from '../../errors.ts'
import { assert } from '../../std/assert.ts'
import { keyOf, mapKeyOf } from './keys.ts'
import type { MapKey } from './keys.ts'
import type { StateTable } from './store.ts'

/** Old values by key; `undefined` = there was none. */
export type Changes = Map<MapKey, unknown>

/** In step; `undefined` = there is none. */
export interface KeysAndValues {
  readonly keys: readonly MapKey[]
  readonly values: readonly unknown[]
}

/** A `Map` of V8 ends at 2^24 keys, with an error that says nothing. */
const keysMax = 16_700_000

export class Tables {
  readonly check: boolean
  readonly #tables = new Map<string, Table>()
  #txid: number | undefined
  #open: number | undefined
  /** the batch committed last is undone, until the batch at hand is committed or discarded */
  #isBack = false

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
  }

  discard(): void {
    if (this.#open === undefined) return
    for (const table of this.#tables.values()) table.discard(this.#isBack)
    this.#open = undefined
    this.#isBack = false
  }

  *lastChanged(operator: string): Iterable<unknown> {
    for (const key of this.#tables.get(operator)?.before.keys ?? []) yield keyOf(key)
  }

  /** For a snapshot: what an operator has, committed. */
  kept(operator: string): Iterable<readonly [MapKey, unknown]> {
    return this.table(operator).kept()
  }

  /** What the batch committed last has changed: keys and their values before it. */
  before(operator: string): KeysAndValues {
    return this.table(operator).before
  }

  /** For recovery: the state is that of this batch, and these were the values before it. */
  restored(txid: number | undefined, before: ReadonlyMap<string, Changes>): void {
    this.#txid = txid
    for (const operator of before.keys()) this.table(operator)
    for (const [operator, table] of this.#tables) table.restoreBefore(before.get(operator) ?? new Map())
  }
}

/** Whether batch `txid` may begin after `last`. */
export function checkTxid(txid: number, last: number | undefined): void {
  assert(Number.isSafeInteger(txid), `${txid} is no batch number`)
  if (last !== undefined && txid < last) throw new SquallError('state-ahead', { txid, found: last })
}

/** What is kept of a key. */
interface Cell {
  /** `undefined`: deleted by the batch at hand; such a cell goes when that ends */
  value: unknown
  /** the round of the table in which it was changed last */
  round: number
}

/** Keys with what they had before they were changed; `undefined` = nothing. Three lists in step: nothing is allocated for a change. */
class Before {
  readonly keys: MapKey[] = []
  readonly cells: Cell[] = []
  readonly values: unknown[] = []

  add(key: MapKey, cell: Cell): void {
    this.keys.push(key)
    this.cells.push(cell)
    this.values.push(cell.value)
  }
}

/**
 * Budget: a `get` and a `put` of a key in a batch are one look-up, in a map that is large and not in the processor's cache; a commit and an
 * undo are none, but for keys that come and go.
 */
export class Table implements StateTable {
  readonly operator: string
  readonly #tables: Tables
  readonly #cells = new Map<MapKey, Cell>()
  #size = 0
  /** counts the batches, tries included */
  #round = 1
  /** of the batch committed last */
  #before = new Before()
  /** of the batch at hand */
  #changes = new Before()
  /** while the last batch is undone: what it had left */
  #undone = new Before()
  /** what was asked for last */
  #lastKey: MapKey | undefined
  #lastCell: Cell | undefined

  constructor(tables: Tables, operator: string) {
    this.#tables = tables
    this.operator = operator
  }

  get size(): number {
    return this.#size
  }

  get(key: unknown): unknown {
    return this.#find(mapKeyOf(key))?.value
  }

  put(key: unknown, value: unknown): void {
    if (value === undefined) return this.delete(key)
    this.#checkOpen()
    const at = mapKeyOf(key)
    if (this.#tables.check) freeze(value)
    const cell = this.#find(at) ?? this.#added(at)
    this.#remember(at, cell)
    if (cell.value === undefined) this.#size++
    cell.value = value
  }

  delete(key: unknown): void {
    this.#checkOpen()
    const at = mapKeyOf(key)
    const cell = this.#find(at)
    if (cell?.value === undefined) return
    this.#remember(at, cell)
    this.#size--
    cell.value = undefined
  }

  *entries(): Iterable<readonly [unknown, unknown]> {
    for (const [key, value] of this.kept()) yield [keyOf(key), value]
  }

  /** Entries with their keys as they are kept; what comes while they are walked may be among them. */
  *kept(): Iterable<readonly [MapKey, unknown]> {
    for (const [key, { value }] of this.#cells) if (value !== undefined) yield [key, value]
  }

  get hasChanges(): boolean {
    return this.#changes.keys.length > 0 || this.#undone.keys.length > 0
  }

  /** What the batch at hand leaves changed: keys and their new values; `undefined` = deleted. */
  changed(): KeysAndValues {
    const { keys, cells } = this.#changes
    const undone = this.#undone
    const all = { keys: undone.keys.length > 0 ? [...keys] : keys, values: cells.map(({ value }) => value) }
    undone.cells.forEach((cell, i) => {
      if (cell.round === this.#round) return // it was changed again
      all.keys.push(undone.keys[i] as MapKey)
      all.values.push(cell.value)
    })
    return all
  }

  /** What the batch committed last has changed: keys and their values before it. */
  get before(): KeysAndValues {
    return this.#before
  }

  /** Puts the values before the last batch back. */
  goBack(): void {
    this.#undone = this.#swap(this.#before)
    this.#forgetLast()
  }

  committed(): void {
    this.#sweep(this.#changes)
    this.#sweep(this.#undone)
    this.#before = this.#changes
    this.#endRound()
  }

  discard(isBack: boolean): void {
    this.#swap(this.#changes)
    if (isBack) this.#swap(this.#undone)
    this.#sweep(this.#changes)
    this.#sweep(this.#undone)
    this.#endRound()
  }

  /** For recovery: sets or deletes outside of any batch, and says what was there. */
  restore(key: MapKey, value: unknown): unknown {
    const cell = this.#cells.get(key)
    const old = cell?.value
    if (value === undefined) this.#cells.delete(key)
    else if (cell === undefined) this.#cells.set(key, { value, round: 0 })
    else cell.value = value
    this.#size = this.#cells.size
    return old
  }

  /** For recovery: what the last batch has changed. */
  restoreBefore(changes: Changes): void {
    this.#before = new Before()
    for (const [key, value] of changes) {
      this.#before.keys.push(key)
      this.#before.cells.push(this.#cells.get(key) ?? { value: undefined, round: 0 })
      this.#before.values.push(value)
    }
  }

  #checkOpen(): void {
    assert(this.#tables.openTxid !== undefined, 'state is changed outside of a batch')
  }

  #find(key: MapKey): Cell | undefined {
    if (key === this.#lastKey) return this.#lastCell
    this.#lastKey = key
    return (this.#lastCell = this.#cells.get(key))
  }

  #added(key: MapKey): Cell {
    if (this.#cells.size >= keysMax) throw new SquallError('state-too-large', { operator: this.operator, max: keysMax })
    const cell: Cell = { value: undefined, round: 0 }
    this.#cells.set(key, cell)
    return (this.#lastCell = cell)
  }

  #remember(key: MapKey, cell: Cell): void {
    if (cell.round === this.#round) return
    cell.round = this.#round
    this.#changes.add(key, cell)
  }

  /** Puts these values in place and gives back those that were there. */
  #swap({ keys, cells, values }: Before): Before {
    const were = new Before()
    for (let i = 0; i < keys.length; i++) {
      const [key, cell, value] = [keys[i] as MapKey, cells[i] as Cell, values[i]]
      were.add(key, cell)
      if (cell.value === undefined) this.#cells.set(key, cell) // it went with the batch that had deleted it
      this.#size += Number(value !== undefined) - Number(cell.value !== undefined)
      cell.value = value
    }
    return were
  }

  /** Lets go of cells without a value. */
  #sweep({ keys, cells }: Before): void {
    for (let i = 0; i < cells.length; i++) if ((cells[i] as Cell).value === undefined) this.#cells.delete(keys[i] as MapKey)
  }

  #endRound(): void {
    this.#changes = new Before()
    this.#undone = new Before()
    this.#round++
    this.#forgetLast()
  }

  #forgetLast(): void {
    this.#lastKey = undefined
    this.#lastCell = undefined
  }
}

export function freeze(value: unknown): void {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value) || ArrayBuffer.isView(value)) return
  Object.freeze(value)
  for (const item of Object.values(value)) freeze(item)
}
