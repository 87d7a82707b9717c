/**
 * The offset log and the commit log, by batch, and where a run goes on that finds them.
 *
 * A log is a few numbered files of appended records, not a file a batch: that takes one fsync a record, where the name of a new
 * file would need a second one. Before each entry stands a line with its batch, so that people can read the files as well.
 */
import { join } from 'node:path'
import { SquallError } from '../../errors.ts'
import type { Place } from '../../errors.ts'
import { nodeFileSystem } from '../log/file-system.ts'
import type { FileSystem } from '../log/file-system.ts'
import { cutReport } from '../log/framed-log.ts'
import { RollingLog, readRollingLog } from '../log/rolling-log.ts'
import { decodeEntry, encodeEntry, versionOf } from './metadata.ts'
import type { CommitEntry, EntryFormat, OffsetEntry } from './metadata.ts'

export interface MetadataLogOptions<T> {
  /** made when it is not there */
  readonly folder: string
  /** `offsetFormat` or `commitFormat` */
  readonly format: EntryFormat<T>
  /** the version of a new log (the latest); a log that is there keeps its own */
  readonly version?: number
  /** entries of one file (1000) */
  readonly entriesPerFile?: number
  /** the disk (this machine's) */
  readonly files?: FileSystem
  /** is told of an end that a crash had cut short */
  readonly report?: (message: string) => void
}

/** An entry as it was read, and the number of its file. */
interface Kept {
  readonly text: string
  readonly file: number
}

/**
 * The entries of batches, each durable when its promise has resolved.
 *
 * ```ts
 * const offsets = await MetadataLog.open({ folder: 'state/words', format: offsetFormat })
 * await offsets.add(1, { batchWatermarkMs: 0, batchTimestampMs: Date.now(), conf: {}, offsets: { lines: 1200 } })
 * offsets.latest // { batch: 1, entry: { ... } }
 * ```
 */
export class MetadataLog<T> {
  /** that this log is written in */
  readonly version: number
  readonly #format: EntryFormat<T>
  readonly #entriesPerFile: number
  readonly #log: RollingLog
  readonly #entries: Map<number, Kept>
  /** entries in the current file */
  #inFile = 0
  /** one write after the other */
  #writing: Promise<unknown> = Promise.resolve()

  private constructor(log: RollingLog, entries: Map<number, Kept>, { format, version, entriesPerFile = 1_000 }: MetadataLogOptions<T>) {
    this.#log = log
    this.#format = format
    this.#entriesPerFile = entriesPerFile
    this.#entries = entries
    this.version = version ?? format.versionMax
    for (const { text, file } of entries.values()) {
      this.version = versionOf(format, firstLine(text))
      if (file === log.number) this.#inFile++
    }
  }

  /** Errors: `metadata-version`, `metadata-broken`, `log-corrupt`, `file-unreadable`, `file-unwritable`, `disk-full`. */
  static async open<T>(options: MetadataLogOptions<T>): Promise<MetadataLog<T>> {
    const { folder, format, files = nodeFileSystem } = options
    await files.makeFolder(folder)
    await files.claim(join(folder, `${format.name}-`))
    const entries = new Map<number, Kept>()
    const log = await RollingLog.open(files, folder, format.name, (record, file) => {
      const [batch, text] = unframed(format, record)
      forgetFrom(entries, batch)
      entries.set(batch, { text, file })
    })
    if (log.cut !== undefined) options.report?.(cutReport(log.cut))
    return new MetadataLog(log, entries, options)
  }

  /** What a log holds, for people. Somebody else may be writing to it. */
  static async read<T>({ folder, format, files = nodeFileSystem }: MetadataLogOptions<T>): Promise<readonly { batch: number; entry: T }[]> {
    const entries = new Map<number, T>()
    await readRollingLog(files, folder, format.name, (record) => {
      const [batch, text] = unframed(format, record)
      forgetFrom(entries, batch)
      entries.set(batch, decodeEntry(format, text))
    })
    return [...entries].map(([batch, entry]) => ({ batch, entry }))
  }

  /** Writes the entry of a batch. `false`, and nothing is written, when there is one already. */
  add(batch: number, entry: T): Promise<boolean> {
    const text = encodeEntry(this.#format, entry, this.version)
    const added = this.#writing.then(async () => {
      if (this.#entries.has(batch)) return false
      await this.#append(batch, text)
      return true
    })
    this.#writing = added.catch(() => undefined)
    return added
  }

  /** Writes the entry of a batch in the place of the one that it has; entries of later batches, which came after that, are forgotten. */
  replace(batch: number, entry: T): Promise<void> {
    const text = encodeEntry(this.#format, entry, this.version)
    const replaced = this.#writing.then(() => this.#append(batch, text))
    this.#writing = replaced.catch(() => undefined)
    return replaced
  }

  async #append(batch: number, text: string): Promise<void> {
    if (this.#inFile >= this.#entriesPerFile) {
      await this.#log.roll()
      this.#inFile = 0
    }
    await this.#log.append([Buffer.from(`batch ${batch}\n${text}\n`)])
    this.#inFile++
    forgetFrom(this.#entries, batch)
    this.#entries.set(batch, { text, file: this.#log.number })
  }

  get(batch: number): T | undefined {
    const kept = this.#entries.get(batch)
    return kept === undefined ? undefined : decodeEntry(this.#format, kept.text)
  }

  /** The batches there are from `from` up to and with `to`, in order. */
  batches(from = -Infinity, to = Infinity): readonly number[] {
    return [...this.#entries.keys()].filter((batch) => batch >= from && batch <= to).sort((a, b) => a - b)
  }

  /** The entry of the latest batch. */
  get latest(): { readonly batch: number; readonly entry: T } | undefined {
    const batch = this.batches().at(-1)
    return batch === undefined ? undefined : { batch, entry: this.get(batch) as T }
  }

  /** Forgets the batches before `batch`, but never the latest; files go when all their batches are forgotten. */
  async purge(batch: number): Promise<void> {
    const purged = this.#writing.then(async () => {
      for (const one of this.batches(undefined, batch - 1)) if (this.#entries.size > 1) this.#entries.delete(one)
      let oldest = Infinity
      for (const { file } of this.#entries.values()) oldest = Math.min(oldest, file)
      await this.#log.removeBefore(oldest)
    })
    this.#writing = purged.catch(() => undefined)
    return await purged
  }

  /** After what is under way. */
  async close(): Promise<void> {
    await this.#writing
    await this.#log.close()
  }
}

/** Where a run goes on. */
export interface Resumption {
  /** the batch to run next */
  readonly batch: number
  /** what it consists of, when it was begun before: it runs again with the same offsets, time, watermark and settings */
  readonly again: OffsetEntry | undefined
  /** what the batch before was, when there was one */
  readonly previous: OffsetEntry | undefined
  /** the watermark to run it with */
  readonly watermarkMs: number
}

/**
 * Where a run goes on that finds these logs: with the batch that was begun and not committed, or with the next one. Throws
 * `metadata-broken` for a commit of a batch that was never begun.
 */
export function resumption(offsets: MetadataLog<OffsetEntry>, commits: MetadataLog<CommitEntry>, firstBatch = 1): Resumption {
  const begun = offsets.latest
  const done = commits.latest
  if (done !== undefined) checkBegun(done.batch, begun?.batch)
  if (begun === undefined) return { batch: firstBatch, again: undefined, previous: undefined, watermarkMs: 0 }
  if (done?.batch === begun.batch) {
    // a commit that tells no watermark holds 0; the watermark never goes back
    const watermarkMs = Math.max(done.entry.nextBatchWatermarkMs, begun.entry.batchWatermarkMs)
    return { batch: begun.batch + 1, again: undefined, previous: begun.entry, watermarkMs }
  }
  const { batch, entry } = begun
  return { batch, again: entry, previous: offsets.get(batch - 1), watermarkMs: entry.batchWatermarkMs }
}

/** Nothing is committed that was not begun, so offsets that end before have lost a part; what a batch takes is not to be made up anew. */
export function checkBegun(committed: number, begun: number | undefined, where: Place = {}): void {
  if (begun !== undefined && begun >= committed) return
  const reason = `batch ${committed} is committed, but the last one with offsets is ${begun ?? 'none'}`
  throw new SquallError('metadata-broken', { log: 'offsets', reason }, where)
}

/** An entry for a batch that is there takes its place, and what came after it is void. */
function forgetFrom(entries: Map<number, unknown>, batch: number): void {
  if (entries.has(batch)) for (const known of entries.keys()) if (known >= batch) entries.delete(known)
}

/** `batch 17`, then the entry. */
function unframed({ name }: Pick<EntryFormat<unknown>, 'name'>, record: Buffer): readonly [batch: number, text: string] {
  const whole = record.toString()
  const batch = Number(/^batch (-?\d+)$/.exec(firstLine(whole))?.[1])
  if (Number.isNaN(batch)) throw new SquallError('metadata-broken', { log: name, reason: `${firstLine(whole)} names no batch` })
  return [batch, whole.slice(whole.indexOf('\n') + 1, -1)]
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] as string
}
