/**
 * State in LMDB: for more than fits in memory. The package `lmdb` is only loaded when this store is used.
 *
 * The changes of a batch stay in memory until its commit, which writes them, what is needed to undo them, and the batch's number in one
 * transaction, the keys in order. What was read or written lately stays in memory too, up to a bound.
 *
 * As a cache of a log (`cached-store.ts`) it waits for no disk: what it was made of is kept for good.
 *
 * One database; a key's first byte says what it is:
 *
 *     0                        the number of the last batch; operators and their sizes; of a cache, its mark
 *     0, 1                     of a cache: who has opened it last
 *     1, number                values before the last batch, in the records of the log store
 *     2, operator u16, key     one entry; the key is 1 and UTF-8, or 2 and msgpack, or, when it is long, 3 and its SHA-256
 */
import { createHash } from 'node:crypto'
import type { RootDatabase, Transaction } from 'lmdb'
import { SquallError, reasonOf } from '../../errors.ts'
import { assert } from '../../std/assert.ts'
import type { Changed } from './change-log.ts'
import { keyOf, readKey, writtenKey } from './keys.ts'
import type { MapKey } from './keys.ts'
import { note } from './recovery.ts'
import { checkLmdbFile } from './lmdb-file.ts'
import { LmdbTable } from './lmdb-table.ts'
import type { Reader } from './lmdb-table.ts'
import { decodeRecord, decodeValue, encodeEntries, encodeValue, kinds } from './records.ts'
import type { StateStore, StateTable } from './store.ts'
import type { Snapshotted } from './snapshot-writer.ts'
import { checkTxid } from './tables.ts'
import type { Changes, KeysAndValues } from './tables.ts'

export interface LmdbStoreOptions {
  /** exists, and is this store's alone */
  readonly folder: string
  readonly check?: boolean
  /** entries of each operator that may stay in memory between batches, about (200,000) */
  readonly cachedMax?: number
  /** nothing is written, another process may have it open (`false`) */
  readonly isReadOnly?: boolean
  /** it is a cache, from now on of this one alone: whoever has it open meanwhile is refused (`state-fenced`) when he writes to it */
  readonly owner?: string | undefined
}

interface Meta {
  /** of a cache: up to where it is what it was made of; `undefined` while it is being made */
  mark?: unknown
  txid: number | undefined
  /** in the order of their numbers */
  readonly operators: { readonly name: string; size: number; sizeBefore: number }[]
}

type Database = RootDatabase<Buffer, Buffer>

const metaKey = Buffer.of(0)
const ownerKey = Buffer.of(0, 1)
const undoStart = Buffer.of(1)
const undoEnd = Buffer.of(2)
const operatorsMax = 1 << 16
/** LMDB takes keys of up to 1,978 bytes */
const keyBytesMax = 1_900
/** Entries that are read at a time: between two reads others may write. */
const entriesPerRead = 256

export class LmdbStore implements StateStore, Snapshotted, Reader {
  readonly check: boolean
  readonly cachedMax: number
  readonly #folder: string
  readonly #owner: Buffer | undefined
  readonly #db: Database
  readonly #meta: Meta
  /** of a reader only: the moment it looks at, whatever a writer does meanwhile */
  readonly #moment: { readonly transaction: Transaction } | undefined
  readonly #tables = new Map<string, LmdbTable>()
  #open: number | undefined
  #isBack = false

  private constructor(
    db: Database,
    moment: { readonly transaction: Transaction } | undefined,
    meta: Meta,
    { folder, check = false, cachedMax = 200_000, owner }: LmdbStoreOptions,
  ) {
    this.#folder = folder
    this.#owner = owner === undefined ? undefined : Buffer.from(owner)
    this.#db = db
    this.#moment = moment
    this.#meta = meta
    this.check = check
    this.cachedMax = cachedMax
    for (const { name, size } of meta.operators) this.#tables.set(name, new LmdbTable(this, name, size))
  }

  static async open(options: LmdbStoreOptions): Promise<LmdbStore> {
    const { open } = await loadLmdb()
    checkLmdbFile(options.folder)
    try {
      const db = open<Buffer, Buffer>({
        path: options.folder,
        encoding: 'binary',
        keyEncoding: 'binary',
        readOnly: options.isReadOnly ?? false,
        noSubdir: false,
        ...(options.owner !== undefined && { noSync: true, overlappingSync: false }),
      })
      if (options.owner !== undefined) db.putSync(ownerKey, Buffer.from(options.owner))
      const moment = options.isReadOnly === true ? { transaction: db.useReadTransaction() } : undefined
      const bytes = moment === undefined ? db.get(metaKey) : db.get(metaKey, moment)
      const meta = bytes === undefined ? { txid: undefined, operators: [] } : (decodeValue(bytes) as Meta)
      return new LmdbStore(db, moment, meta, options)
    } catch (error) {
      throw new SquallError('file-unreadable', { file: options.folder, reason: reasonOf(error) }, {}, { cause: error })
    }
  }

  get txid(): number | undefined {
    return this.#meta.txid
  }

  get openTxid(): number | undefined {
    return this.#open
  }

  get mark(): unknown {
    return this.#meta.mark
  }

  get operators(): readonly string[] {
    return [...this.#tables.keys()].sort()
  }

  table<K, V>(operator: string): StateTable<K, V> {
    return this.#table(operator) as StateTable as StateTable<K, V>
  }

  begin(txid: number): void {
    assert(this.#open === undefined, `batch ${txid} begins while batch ${this.#open} is open`)
    checkTxid(txid, this.#meta.txid)
    if (txid === this.#meta.txid) {
      const undo = this.undo()
      for (const { name, sizeBefore } of this.#meta.operators) this.#table(name).goBack(undo.get(name) ?? new Map(), sizeBefore)
      this.#isBack = true
    }
    this.#open = txid
  }

  async commit(txid: number): Promise<void> {
    const meta = this.#write(txid)
    try {
      await this.#db.flushed
    } catch (error) {
      throw this.#writeError(error as Error)
    }
    this.#written(meta)
  }

  /** As `commit`, at once, and without waiting for the disk. */
  apply(txid: number, mark?: unknown): void {
    this.#written(this.#write(txid, mark))
  }

  /** Outside of a batch: it is as what it was made of up to there, or, without a mark, it is being made: of no batch yet. */
  setMark(mark: unknown): void {
    const meta = { ...this.#meta, mark, ...(mark === undefined && { txid: undefined }) }
    this.#transaction(() => this.#put(metaKey, encodeValue('', null, meta)))
    Object.assign(this.#meta, meta)
  }

  #write(txid: number, mark?: unknown): Meta {
    assert(txid === this.#open, `commit of batch ${txid}, open is ${this.#open}`)
    const meta = { ...this.#metaAfter(txid), ...(mark !== undefined && { mark }) }
    const changes = [...this.#tables.values()].map((table) => this.#encoded(table))
    const undo = [...this.#tables.values()].flatMap((table) => {
      const { keys, values } = table.old()
      return encodeEntries(table.operator, keys, values)
    })
    this.#transaction(() => {
      for (const entries of changes) for (const [key, value] of entries) this.#put(key, value)
      const old = [...this.#db.getKeys({ start: undoStart, end: undoEnd })]
      for (const key of old) this.#put(key, undefined)
      for (const [i, record] of undo.entries()) this.#put(undoKey(i), record)
      this.#put(metaKey, encodeValue('', null, meta))
    })
    return meta
  }

  #written(meta: Meta): void {
    Object.assign(this.#meta, meta)
    for (const table of this.#tables.values()) table.committed()
    this.#open = undefined
    this.#isBack = false
  }

  discard(): void {
    if (this.#open === undefined) return
    for (const table of this.#tables.values()) table.discard(this.#meta.operators.find(({ name }) => name === table.operator)?.size ?? 0)
    this.#open = undefined
    this.#isBack = false
  }

  *lastChanged(operator: string): Iterable<unknown> {
    for (const key of this.undo().get(operator)?.keys() ?? []) yield keyOf(key)
  }

  async snapshot(): Promise<void> {
    // the database is its own
  }

  async close(): Promise<void> {
    this.#moment?.transaction.done()
    await this.#db.close()
  }

  // -- for a log of what it has

  /** What the batch at hand leaves changed. */
  changed(): Changed[] {
    return [...this.#tables.values()].flatMap((table) => {
      const changed = table.changed()
      if (changed.length === 0) return []
      return [{ operator: table.operator, keys: changed.map(({ key }) => key), values: changed.map(({ value }) => value) }]
    })
  }

  kept(operator: string): Iterable<readonly [MapKey, unknown]> {
    return this.readAll(operator)
  }

  before(operator: string): KeysAndValues {
    const changes = this.undo().get(operator) ?? new Map<MapKey, unknown>()
    return { keys: [...changes.keys()], values: [...changes.values()] }
  }

  /** The values before the batch committed last. */
  undo(): ReadonlyMap<string, Changes> {
    const undo = new Map<string, Changes>()
    for (const { value } of this.#db.getRange({ start: undoStart, end: undoEnd, ...this.#moment })) {
      const record = decodeRecord(value)
      assert(record[0] === kinds.entries, 'a record of entries')
      note(undo, record)
    }
    return undo
  }

  // -- for the tables

  read(operator: string, key: MapKey): unknown {
    const [bytes, isHashed] = this.#keyBytes(operator, key)
    const value = this.#moment === undefined ? this.#db.getBinaryFast(bytes) : this.#db.get(bytes, this.#moment)
    if (value === undefined) return undefined
    return isHashed ? (decodeValue(value) as [MapKey, unknown])[1] : decodeValue(value)
  }

  *readAll(operator: string): Iterable<readonly [MapKey, unknown]> {
    const number = this.#numberOf(operator)
    const end = entryStart(number + 1)
    for (let start: Buffer | undefined = entryStart(number); start !== undefined;) {
      const part: (readonly [MapKey, unknown])[] = []
      let last: Buffer = start
      for (const { key, value } of this.#db.getRange({ start, end, limit: entriesPerRead, ...this.#moment })) {
        part.push(entryOf(key, value))
        last = key
      }
      yield* part
      // the next key there can be
      start = part.length < entriesPerRead ? undefined : Buffer.concat([last, Buffer.of(0)])
    }
  }

  #table(operator: string): LmdbTable {
    let table = this.#tables.get(operator)
    if (table === undefined) this.#tables.set(operator, (table = new LmdbTable(this, operator, 0)))
    return table
  }

  #metaAfter(txid: number): Meta {
    for (const { operator } of this.#tables.values()) this.#numberOf(operator)
    const operators = this.#meta.operators.map(({ name, size, sizeBefore }) => ({
      name,
      size: this.#table(name).size,
      sizeBefore: this.#isBack ? sizeBefore : size,
    }))
    return { txid, operators }
  }

  /** What is to be written of a table, in the order of the keys, or nearly: LMDB is quicker that way. */
  #encoded(table: LmdbTable): (readonly [Buffer, Buffer | undefined])[] {
    const inOrder = table.changed().sort((a, b) => ((a.key as string) < (b.key as string) ? -1 : 1))
    return inOrder.map(({ key, value }) => {
      const [bytes, isHashed] = this.#keyBytes(table.operator, key)
      if (value === undefined) return [bytes, undefined]
      return [bytes, encodeValue(table.operator, key, isHashed ? [writtenKey(key), value] : value)]
    })
  }

  #transaction(work: () => void): void {
    try {
      this.#db.transactionSync(() => {
        if (this.#owner !== undefined && this.#db.get(ownerKey)?.equals(this.#owner) !== true)
          throw new SquallError('state-fenced', { key: this.#folder })
        work()
      })
    } catch (error) {
      if (error instanceof SquallError) throw error
      throw this.#writeError(error as Error)
    }
  }

  #put(key: Buffer, value: Buffer | undefined): void {
    if (value === undefined) this.#db.removeSync(key)
    else this.#db.putSync(key, value)
  }

  #numberOf(operator: string): number {
    const number = this.#meta.operators.findIndex(({ name }) => name === operator)
    if (number !== -1) return number
    assert(this.#meta.operators.length < operatorsMax, `more than ${operatorsMax} operators`)
    return this.#meta.operators.push({ name: operator, size: 0, sizeBefore: 0 }) - 1
  }

  /** The key in the database, and whether it does not hold the key itself. */
  #keyBytes(operator: string, key: MapKey): readonly [Buffer, boolean] {
    const written = writtenKey(key)
    const isText = typeof written === 'string'
    const bytes = isText ? Buffer.from(`\0\0\0\0${written}`) : Buffer.concat([Buffer.alloc(4), encodeValue(operator, key, written)])
    bytes[0] = 2
    bytes.writeUInt16BE(this.#numberOf(operator), 1)
    bytes[3] = isText ? 1 : 2
    if (bytes.length <= keyBytesMax) return [bytes, false]
    const hash = createHash('sha256').update(bytes).digest()
    bytes[3] = 3
    return [Buffer.concat([bytes.subarray(0, 4), hash]), true]
  }

  #writeError(error: Error): SquallError {
    const isFull = /ENOSPC|EDQUOT|no space|MDB_MAP_FULL/i.test(error.message)
    const params = { file: this.#folder, reason: error.message }
    return new SquallError(isFull ? 'disk-full' : 'file-unwritable', params, {}, { cause: error })
  }
}

async function loadLmdb(): Promise<typeof import('lmdb')> {
  try {
    return await import('lmdb')
  } catch (error) {
    throw new SquallError('lmdb-missing', { reason: reasonOf(error).split('\n')[0] }, {}, { cause: error })
  }
}

function undoKey(number: number): Buffer {
  const key = Buffer.alloc(5)
  key[0] = 1
  key.writeUInt32BE(number, 1)
  return key
}

function entryOf(key: Buffer, value: Buffer): readonly [MapKey, unknown] {
  if (key[3] !== 3) return [readKey(key[3] === 1 ? key.toString('utf8', 4) : (decodeValue(key.subarray(4)) as MapKey)), decodeValue(value)]
  const [own, of] = decodeValue(value) as [MapKey, unknown]
  return [readKey(own), of]
}

function entryStart(number: number): Buffer {
  const key = Buffer.alloc(4)
  key[0] = 2
  if (number === operatorsMax) return Buffer.of(3)
  key.writeUInt16BE(number, 1)
  return key
}
