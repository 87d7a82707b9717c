/**
 * What a store keeps for good: a log of what each batch changed, and now and then a snapshot of all that there is.
 *
 * A commit is one write and one fsync, however many keys there are. When the log has become larger than the last snapshot, a new one is
 * begun in a log of its own and written a part a commit, so that no batch waits for it: its cost follows the batches too.
 */
import { reasonOf } from '../../errors.ts'
import type { FileSystem } from '../log/file-system.ts'
import { cutReport } from '../log/framed-log.ts'
import { readRollingLog, RollingLog } from '../log/rolling-log.ts'
import type { LogPlace } from '../log/rolling-log.ts'
import { sizeOf } from '../log/whole-file.ts'
import { encodeEntries, encodeHead, kinds } from './records.ts'
import { newestSnapshot, readSnapshot, snapshotPath } from './recovery.ts'
import type { Recovery } from './recovery.ts'
import { SnapshotWriter } from './snapshot-writer.ts'
import type { Snapshotted } from './snapshot-writer.ts'
import type { StateReport } from './store.ts'
import type { KeysAndValues } from './tables.ts'

export interface ChangeLogOptions {
  /** exists, and is this store's alone */
  readonly folder: string
  readonly files: FileSystem
  readonly report?: StateReport
  /** the log may always grow to this size before a snapshot is made (4 MiB) */
  readonly logBytesMin?: number
}

/** What a batch leaves changed of an operator. */
export interface Changed extends KeysAndValues {
  readonly operator: string
}

/** Entries that a commit adds to a snapshot under way: this many, or twice what it changed. */
const entriesPerCommit = 1_000
const entriesPerStep = 20_000
const name = 'changes'

export class ChangeLog {
  readonly #options: ChangeLogOptions
  readonly #tables: Snapshotted
  readonly #log: RollingLog
  #snapshotBytes: number
  #logBytesMin: number
  #writer: SnapshotWriter | undefined
  #finishing: Promise<void> = Promise.resolve()

  private constructor(options: ChangeLogOptions, tables: Snapshotted, log: RollingLog, snapshotBytes: number) {
    this.#options = options
    this.#tables = tables
    this.#log = log
    this.#snapshotBytes = snapshotBytes
    this.#logBytesMin = options.logBytesMin ?? 4 << 20
  }

  /** Of these tables, which the recovery fills: with all that there is, or with what is behind `known`. */
  static async open(options: ChangeLogOptions, tables: Snapshotted, recovery: Recovery, known?: LogPlace): Promise<ChangeLog> {
    const { files, folder, report } = options
    const { number, hasSnapshot } = await newestSnapshot(files, folder)
    const path = snapshotPath(folder, number)
    const snapshotBytes = !hasSnapshot
      ? 0
      : known === undefined
        ? await readSnapshot(files, path, recovery)
        : ((await sizeOf(files, path)) ?? 0)
    const log = await RollingLog.open(files, folder, name, (record) => recovery.take(record), number, known)
    if (log.cut !== undefined) report?.(cutReport(log.cut))
    await removeOlder(files, folder, number)
    recovery.finish()
    return new ChangeLog(options, tables, log, snapshotBytes)
  }

  /** Up to where there is something. */
  get end(): LogPlace {
    return this.#log.end
  }

  /** Resolves when the changes of a batch are durable; rejects when they are not there. The tables have them then, and `goOn` is called. */
  async append(txid: number, changes: readonly Changed[]): Promise<void> {
    const entries = changes.flatMap(({ operator, keys, values }) => encodeEntries(operator, keys, values))
    await this.#log.append([encodeHead(kinds.batch, txid), ...entries])
  }

  /** Goes on with the snapshot that is under way, or begins one, after a batch with so many changes. */
  async goOn(changes: readonly Changed[]): Promise<void> {
    try {
      if (this.#writer === undefined) {
        if (this.#log.sizeBytes < Math.max(this.#snapshotBytes, this.#logBytesMin)) return
        await this.#finishing
        this.#writer = await this.#startSnapshot()
      }
      const writer = this.#writer
      await writer.written()
      const changed = changes.reduce((sum, { keys }) => sum + keys.length, 0)
      if (writer.take(Math.max(entriesPerCommit, 2 * changed)))
        this.#finishing = this.#finish(writer).catch((error: unknown) => this.#failed(error))
    } catch (error) {
      this.#failed(error)
    }
  }

  /** All at once, while no batch is open. */
  async snapshot(): Promise<void> {
    await this.#finishing
    this.#writer ??= await this.#startSnapshot()
    const writer = this.#writer
    try {
      while (!writer.take(entriesPerStep)) await writer.written()
    } catch (error) {
      this.abandonSnapshot()
      throw error
    }
    await this.#finish(writer)
  }

  /** A batch is undone that the snapshot under way may hold. */
  abandonSnapshot(): void {
    const writer = this.#writer
    this.#writer = undefined
    if (writer !== undefined) this.#finishing = this.#finishing.then(() => writer.abandon()).catch(() => undefined)
  }

  async close(): Promise<void> {
    this.abandonSnapshot()
    await this.#finishing
    await this.#log.close()
  }

  /** The batch is committed all the same; the snapshot is tried again when the log is twice as large. */
  #failed(error: unknown): void {
    this.#options.report?.(`no snapshot could be written to ${this.#options.folder}: ${reasonOf(error)}`)
    this.#logBytesMin = 2 * this.#log.sizeBytes
    this.abandonSnapshot()
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
}

/** Fills a recovery with what was committed last, while nobody or somebody else has it open. Changes nothing. */
export async function readChanges(files: FileSystem, folder: string, recovery: Recovery): Promise<void> {
  const { number, hasSnapshot } = await newestSnapshot(files, folder)
  if (hasSnapshot) await readSnapshot(files, snapshotPath(folder, number), recovery)
  await readRollingLog(files, folder, name, (record) => recovery.take(record), number)
  recovery.finish()
}

/** Removes what a snapshot has replaced, and snapshots that were never finished. */
async function removeOlder(files: FileSystem, folder: string, number: number): Promise<void> {
  for (const one of await files.list(folder)) {
    const [, kind, digits, aside] = /^(snapshot|changes)-(\d+)\.log(\.new)?$/.exec(one) ?? []
    if (kind !== undefined && (aside !== undefined || Number(digits) < number)) await files.remove(`${folder}/${one}`)
  }
}
