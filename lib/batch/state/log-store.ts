/**
 * The default store: the state in memory, and a log of what each batch changed.
 *
 * A commit is one write and one fsync, however many keys there are. When the log has become larger than the last snapshot, a new one is
 * begun in a log of its own and written a part a commit, so that no batch waits for it: its cost follows the batches too.
 */
import { reasonOf } from '../../errors.ts'
import { assert } from '../../std/assert.ts'
import type { FileSystem } from '../log/file-system.ts'
import { cutReport } from '../log/framed-log.ts'
import { readRollingLog, RollingLog } from '../log/rolling-log.ts'
import { encodeEntries, encodeHead, kinds } from './records.ts'
import { newestSnapshot, readSnapshot, Recovery, snapshotPath } from './recovery.ts'
import { SnapshotWriter } from './snapshot-writer.ts'
import type { StateReport, StateStore, StateTable } from './store.ts'
import { Tables } from './tables.ts'

export interface LogStoreOptions {
  /** exists, and is this store's alone */
  readonly folder: string
  readonly files: FileSystem
  /** values are frozen */
  readonly check?: boolean
  readonly report?: StateReport
  /** the log may always grow to this size before a snapshot is made (4 MiB) */
  readonly logBytesMin?: number
}

/** Entries that a commit adds to a snapshot under way: this many, or twice what it changed. */
const entriesPerCommit = 1_000
const entriesPerStep = 20_000

export class LogStore implements StateStore {
  readonly #options: LogStoreOptions
  readonly #tables: Tables
  readonly #log: RollingLog
  #snapshotBytes: number
  #logBytesMin: number
  #writer: SnapshotWriter | undefined
  #finishing: Promise<void> = Promise.resolve()

  private constructor(options: LogStoreOptions, tables: Tables, log: RollingLog, snapshotBytes: number) {
    this.#options = options
    this.#tables = tables
    this.#log = log
    this.#snapshotBytes = snapshotBytes
    this.#logBytesMin = options.logBytesMin ?? 4 << 20
  }

  static async open(options: LogStoreOptions): Promise<LogStore> {
    const { files, folder, report } = options
    const recovery = new Recovery(new Tables(options.check))
    const { number, hasSnapshot } = await newestSnapshot(files, folder)
    const snapshotBytes = hasSnapshot ? await readSnapshot(files, snapshotPath(folder, number), recovery) : 0
    const log = await RollingLog.open(files, folder, 'changes', (record) => recovery.take(record), number)
    if (log.cut !== undefined) report?.(cutReport(log.cut))
    await removeOlder(files, folder, number)
    return new LogStore(options, recovery.finish(), log, snapshotBytes)
  }

  get txid(): number | undefined {
    return this.#tables.txid
  }

  get operators(): readonly string[] {
    return this.#tables.operators
  }

  table<K, V>(operator: string): StateTable<K, V> {
    return this.#tables.table(operator) as StateTable as StateTable<K, V>
  }

  begin(txid: number): void {
    const isAgain = txid === this.#tables.txid
    this.#tables.begin(txid)
    // its parts hold what is undone now
    if (isAgain) this.#abandonSnapshot()
  }

  async commit(txid: number): Promise<void> {
    assert(txid === this.#tables.openTxid, `commit of batch ${txid}, open is ${this.#tables.openTxid}`)
    let changed = 0
    const entries = this.#tables.changed().flatMap((table) => {
      const { keys, values } = table.changed()
      changed += keys.length
      return encodeEntries(table.operator, keys, values)
    })
    await this.#log.append([encodeHead(kinds.batch, txid), ...entries])
    this.#tables.committed()
    await this.#goOnWithSnapshot(changed)
  }

  discard(): void {
    this.#tables.discard()
  }

  lastChanged(operator: string): Iterable<unknown> {
    return this.#tables.lastChanged(operator)
  }

  async snapshot(): Promise<void> {
    assert(this.#tables.openTxid === undefined, 'a snapshot while a batch is open')
    await this.#finishing
    this.#writer ??= await this.#startSnapshot()
    const writer = this.#writer
    try {
      while (!writer.take(entriesPerStep)) await writer.written()
    } catch (error) {
      this.#abandonSnapshot()
      throw error
    }
    await this.#finish(writer)
  }

  async close(): Promise<void> {
    this.#abandonSnapshot()
    await this.#finishing
    await this.#log.close()
  }

  async #goOnWithSnapshot(changed: number): Promise<void> {
    try {
      if (this.#writer === undefined) {
        if (this.#log.sizeBytes < Math.max(this.#snapshotBytes, this.#logBytesMin)) return
        await this.#finishing
        this.#writer = await this.#startSnapshot()
      }
      const writer = this.#writer
      await writer.written()
      if (writer.take(Math.max(entriesPerCommit, 2 * changed)))
        this.#finishing = this.#finish(writer).catch((error: unknown) => this.#failed(error))
    } catch (error) {
      this.#failed(error)
    }
  }

  /** The batch is committed all the same; the snapshot is tried again when the log is twice as large. */
  #failed(error: unknown): void {
    this.#options.report?.(`no snapshot could be written to ${this.#options.folder}: ${reasonOf(error)}`)
    this.#logBytesMin = 2 * this.#log.sizeBytes
    this.#abandonSnapshot()
  }

  async #startSnapshot(): Promise<SnapshotWriter> {
    const { files, folder } = this.#options
    const number = await this.#log.roll()
    return await SnapshotWriter.start(files, snapshotPath(folder, number), this.#tables, number)
  }

  async #finish(writer: SnapshotWriter): Promise<void> {
    const { files, folder, logBytesMin = 4 << 20 } = this.#options
    this.#writer = undefined
    await writer.finish()
    this.#snapshotBytes = writer.sizeBytes
    this.#logBytesMin = logBytesMin
    await this.#log.removeBefore(writer.number)
    await removeOlder(files, folder, writer.number)
  }

  #abandonSnapshot(): void {
    const writer = this.#writer
    this.#writer = undefined
    if (writer !== undefined) this.#finishing = this.#finishing.then(() => writer.abandon()).catch(() => undefined)
  }
}

/** The state of a log store as it was committed last, up to batch `upTo`, while nobody or somebody else has it open. Changes nothing. */
export async function readLogState(files: FileSystem, folder: string, upTo?: number): Promise<Tables> {
  const recovery = new Recovery(new Tables(), upTo)
  const { number, hasSnapshot } = await newestSnapshot(files, folder)
  if (hasSnapshot) await readSnapshot(files, snapshotPath(folder, number), recovery)
  await readRollingLog(files, folder, 'changes', (record) => recovery.take(record), number)
  return recovery.finish()
}

/** Removes what a snapshot has replaced, and snapshots that were never finished. */
async function removeOlder(files: FileSystem, folder: string, number: number): Promise<void> {
  for (const name of await files.list(folder)) {
    const [, kind, digits, aside] = /^(snapshot|changes)-(\d+)\.log(\.new)?$/.exec(name) ?? []
    if (kind !== undefined && (aside !== undefined || Number(digits) < number)) await files.remove(`${folder}/${name}`)
  }
}
