/**
 * The state of a task from the files of its log store: the last snapshot, then the batches after it, in order.
 *
 * A snapshot is written a part at a time while batches go on, so its entries may be newer than its start. That does no harm: the batches
 * since its start are in the log, and each holds whole values, so what it brings is right in the end. Only the values
 * before a batch cannot be told from such a mixture; so the snapshot holds those of the last batch it may have seen.
 */
import { basename, join } from 'node:path'
import { SquallError } from '../../errors.ts'
import type { FileSystem } from '../log/file-system.ts'
import { corruptError, readFramesAt } from '../log/frames.ts'
import { readKey } from './keys.ts'
import type { MapKey } from './keys.ts'
import { decodeRecord, kinds } from './records.ts'
import type { LogRecord } from './records.ts'
import type { Changes } from './tables.ts'

/** What the tables are filled with; `Tables`, or what fills others. */
export interface Recovered {
  table(operator: string): {
    /** Sets, or deletes with `undefined`, outside of any batch, and says what was there. */
    restore(key: MapKey, value: unknown): unknown
  }
  /** There is no more: this was the last batch, and these were the values before it. */
  restored(txid: number | undefined, before: Undo): void
}

/** Up to where it has come that is in the tables already. */
export interface Known {
  readonly txid: number | undefined
  readonly undo: Undo
}

export type Undo = ReadonlyMap<string, Changes>
type Entries = LogRecord & readonly [typeof kinds.entries, ...unknown[]]

export class Recovery {
  readonly #tables: Recovered
  #txid: number | undefined
  /** of batch `#txid`, which is held back until it is known whether it is the last, or was run again */
  #held: Entries[] = []
  /** what the snapshot says of the last batch it may have seen */
  #end: { readonly txid: number | undefined; readonly undo: Map<string, Changes> } | undefined
  #entriesInto: 'state' | 'batch' | 'end' | 'nowhere' = 'state'
  readonly #upTo: number

  /** Batches after `upTo` are left out. With what is `known` it goes on from there, without a snapshot. */
  constructor(
    tables: Recovered,
    { upTo = Infinity, known }: { readonly upTo?: number | undefined; readonly known?: Known | undefined } = {},
  ) {
    this.#tables = tables
    this.#upTo = upTo
    this.#txid = known?.txid
    this.#end = known && { txid: known.txid, undo: new Map(known.undo) }
  }

  /** Takes one record of a snapshot or of a log of changes, in their order. */
  take(bytes: Buffer): void {
    const record = decodeRecord(bytes)
    switch (record[0]) {
      case kinds.entries:
        if (this.#entriesInto === 'batch') this.#held.push(record)
        else if (this.#entriesInto === 'state') this.#apply(record, undefined)
        else if (this.#entriesInto === 'end') note((this.#end as { undo: Map<string, Changes> }).undo, record)
        return
      case kinds.batch:
        if (record[1] <= this.#upTo) this.#batch(record[1])
        else this.#entriesInto = 'nowhere'
        return
      case kinds.snapshot:
        this.#txid = record[1] ?? undefined
        return
      case kinds.end:
        this.#end = { txid: record[1] ?? undefined, undo: new Map() }
        this.#entriesInto = 'end'
    }
  }

  /** The snapshot was read to its end. */
  get isWhole(): boolean {
    return this.#end !== undefined
  }

  finish(): void {
    const undo = new Map<string, Changes>()
    for (const record of this.#held) this.#apply(record, undo)
    this.#tables.restored(this.#txid, this.#isAtEnd ? (this.#end as Known).undo : undo)
  }

  /** The snapshot may hold what batch `#txid` has left. */
  get #isAtEnd(): boolean {
    return this.#end !== undefined && this.#end.txid === this.#txid
  }

  #batch(txid: number): void {
    const isAgain = txid === this.#txid
    // the first outcome of a batch that was run again has never been
    if (!isAgain || this.#isAtEnd) for (const record of this.#held) this.#apply(record, undefined)
    if (isAgain && this.#isAtEnd) this.#goBack()
    this.#txid = txid
    this.#held = []
    this.#entriesInto = 'batch'
  }

  #apply([, operator, flat, deleted]: Entries, undo: Map<string, Changes> | undefined): void {
    const table = this.#tables.table(operator)
    const old = undo === undefined ? undefined : changesOf(undo, operator)
    const set = (key: MapKey, value: unknown): void => {
      const was = table.restore(key, value)
      old?.set(key, was)
    }
    for (let i = 0; i < flat.length; i += 2) set(readKey(flat[i] as MapKey), flat[i + 1])
    for (const key of deleted) set(readKey(key), undefined)
  }

  #goBack(): void {
    for (const [operator, changes] of this.#end?.undo ?? []) {
      const table = this.#tables.table(operator)
      for (const [key, value] of changes) table.restore(key, value)
    }
    this.#end = { txid: NaN, undo: new Map() } // what follows is another run of that batch
  }
}

/** Adds the entries of a record to what is to be put back. */
export function note(undo: Map<string, Changes>, [, operator, flat, deleted]: Entries): void {
  const changes = changesOf(undo, operator)
  for (let i = 0; i < flat.length; i += 2) changes.set(readKey(flat[i] as MapKey), flat[i + 1])
  for (const key of deleted) changes.set(readKey(key), undefined)
}

/**
 * The number of the newest snapshot in a folder, which is that of the first log of changes it does not hold. Without one it is 1, unless
 * that log is missing where others are: then the state has lost a part.
 */
export async function newestSnapshot(
  files: FileSystem,
  folder: string,
): Promise<{ readonly number: number; readonly hasSnapshot: boolean }> {
  const names = await files.list(folder)
  const newest = Math.max(0, ...names.map((name) => Number(/^snapshot-(\d{8,})\.log$/.exec(name)?.[1] ?? 0)))
  const found = { number: Math.max(newest, 1), hasSnapshot: newest > 0 }
  const first = changesPath(folder, found.number)
  const hasParts = found.hasSnapshot || names.some((name) => /^changes-\d+\.log$/.test(name))
  if (hasParts && !names.includes(basename(first))) throw new SquallError('file-not-found', { file: first }, { file: folder })
  return found
}

export function changesPath(folder: string, number: number): string {
  return join(folder, `changes-${String(number).padStart(8, '0')}.log`)
}

export function snapshotPath(folder: string, number: number): string {
  return join(folder, `snapshot-${String(number).padStart(8, '0')}.log`)
}

/** Reads a snapshot; it was renamed when it was whole, so anything less is damage. Gives its size. */
export async function readSnapshot(files: FileSystem, path: string, recovery: Recovery): Promise<number> {
  const { kind, sizeBytes } = await readFramesAt(files, path, (record) => recovery.take(record))
  if (kind !== 'clean' || !recovery.isWhole) throw corruptError(path, sizeBytes)
  return sizeBytes
}

function changesOf(undo: Map<string, Changes>, operator: string): Changes {
  let changes = undo.get(operator)
  if (changes === undefined) undo.set(operator, (changes = new Map()))
  return changes
}
