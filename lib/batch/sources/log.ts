/**
 * A log of records on disk, in partitions: what is appended keeps its order within its partition and gets an offset there, which
 * never changes. `logSource` reads it, from another process too, as often as it likes.
 *
 *     FOLDER/log.json                               how many partitions there are
 *     FOLDER/partition-0/0000000000000000.log       a segment: the records from this offset on, in frames (`log/frames.ts`)
 *     FOLDER/partition-0/0000000000048211.log       the next one, which is written to
 *
 * What is appended while a write is under way goes out together as the next frame, with one fsync for all.
 */
import { join, resolve } from 'node:path'
import { threadId } from 'node:worker_threads'
import { Packr } from 'msgpackr'
import { z } from 'zod'
import { SquallError } from '../../errors.ts'
import { nodeFileSystem } from '../log/file-system.ts'
import type { FileSystem } from '../log/file-system.ts'
import { FramedLog } from '../log/framed-log.ts'
import { readWholeFile, replaceFile } from '../log/whole-file.ts'
import { HashPartitioner } from '../rdd/partitioners.ts'
import { lockFolder } from '../state/lock.ts'
import type { FolderLock } from '../state/lock.ts'

export interface LogOptions {
  /** of a new log; one that is there keeps its own (1) */
  readonly partitions?: number
  /** a segment that is larger is followed by a new one (16 MiB) */
  readonly segmentBytes?: number
  /** what a partition keeps at least; older segments are removed (all) */
  readonly retainBytes?: number
}

export interface AppendOptions {
  /** records with equal keys come to the same partition; without a key they go round */
  readonly key?: unknown
}

/** Where a record is. */
export interface LogPlace {
  readonly partition: number
  readonly offset: number
}

const Header = z.object({ format: z.literal(1), partitions: z.int().min(1) })

/** Records that may wait for a partition's disk: whoever appends without waiting for the promises is stopped here. */
const waitingMax = 1 << 17
/** Bytes of one frame, about: a reader reads it whole. */
const frameBytes = 1 << 20

const packr = new Packr({ useRecords: false, moreTypes: true })

/** As the log keeps it. */
export function packedRecord(value: unknown): Buffer {
  return packr.pack(value)
}

export function unpackedRecord(bytes: Buffer): unknown {
  return packr.unpack(bytes)
}

export function partitionFolder(folder: string, partition: number): string {
  return join(folder, `partition-${partition}`)
}

export function segmentName(offset: number): string {
  return `${String(offset).padStart(16, '0')}.log`
}

/** The first offsets of segments, by the names of a folder, in order. */
export function segmentsOf(names: readonly string[]): readonly number[] {
  return names
    .filter((name) => /^\d{16}\.log$/.test(name))
    .map((name) => Number.parseInt(name, 10))
    .sort((a, b) => a - b)
}

/** How many partitions a log has; `undefined` when there is none. */
export function partitionsOf(folder: string, header: Buffer | undefined): number | undefined {
  if (header === undefined) return undefined
  try {
    return Header.parse(JSON.parse(header.toString())).partitions
  } catch (cause) {
    throw new SquallError('file-unreadable', { file: headerPath(folder), reason: 'it is not the head of a log' }, {}, { cause })
  }
}

export function headerPath(folder: string): string {
  return join(folder, 'log.json')
}

/** The logs that are open in this thread, by folder: several writers are one. */
const open = new Map<string, Promise<OpenLog>>()

interface OpenLog {
  readonly partitions: readonly PartitionWriter[]
  readonly partitioner: HashPartitioner
  readonly lock: FolderLock | undefined
  writers: number
  turn: number
}

/**
 * Opens a log to append to it, and makes it when it is not there; several writers of one process may.
 *
 * Errors: `log-in-use` when another process writes to it, `log-corrupt`, `file-unreadable`, `file-unwritable`, `disk-full`.
 *
 * ```ts
 * const clicks = await openLog<{ user: string }>('clicks', { partitions: 4 })
 * await clicks.append({ user: 'ada' }, { key: 'ada' })
 * await clicks.close()
 * ```
 */
export async function openLog<T>(folder: string, options: LogOptions = {}, files: FileSystem = nodeFileSystem): Promise<LogWriter<T>> {
  const { partitions, segmentBytes = 16 << 20, retainBytes = Infinity } = options
  for (const [option, value] of Object.entries({ partitions: partitions ?? 1, segmentBytes, retainBytes }))
    if (!(value >= 1) || (value !== Infinity && !Number.isSafeInteger(value)))
      throw new SquallError('bad-option', { option, of: 'openLog', value, expected: 'a whole number from 1' })
  const path = resolve(folder)
  const opening = open.get(path) ?? opened(path, { partitions: partitions ?? 1, segmentBytes, retainBytes }, files)
  open.set(path, opening)
  opening.catch(() => open.get(path) === opening && open.delete(path))
  const log = await opening
  log.writers++
  const found = log.partitions.length
  if (partitions !== undefined && partitions !== found) {
    await left(path, log)
    const expected = `what it has: ${found}`
    throw new SquallError('bad-option', { option: 'partitions', of: `the log ${folder}`, value: partitions, expected })
  }
  return new LogWriter<T>(log, () => left(path, log))
}

async function opened(folder: string, options: Required<LogOptions>, files: FileSystem): Promise<OpenLog> {
  await files.makeFolder(folder)
  const lock = files === nodeFileSystem ? locked(folder) : undefined
  try {
    const found = partitionsOf(folder, await readWholeFile(files, headerPath(folder)))
    const partitions = found ?? options.partitions
    const writers: PartitionWriter[] = []
    for (let partition = 0; partition < partitions; partition++)
      writers.push(await PartitionWriter.open(files, partitionFolder(folder, partition), options))
    // the head comes last: who finds it finds the partitions
    if (found === undefined) await replaceFile(files, headerPath(folder), Buffer.from(`${JSON.stringify({ format: 1, partitions })}\n`))
    return { partitions: writers, partitioner: new HashPartitioner(partitions), lock, writers: 0, turn: 0 }
  } catch (error) {
    lock?.release()
    throw error
  }
}

function locked(folder: string): FolderLock {
  try {
    return lockFolder(folder, `log-${process.pid}-${threadId}`)
  } catch (error) {
    if (!(error instanceof SquallError) || error.code !== 'state-in-use') throw error
    throw new SquallError('log-in-use', { folder }, {}, { cause: error })
  }
}

/** The last writer closes the log. */
async function left(path: string, log: OpenLog): Promise<void> {
  if (--log.writers > 0) return
  open.delete(path)
  try {
    for (const partition of log.partitions) await partition.close()
  } finally {
    log.lock?.release()
  }
}

/** Appends to a log; see `openLog`. */
export class LogWriter<T> {
  readonly #log: OpenLog
  readonly #leave: () => Promise<void>
  #isClosed = false

  constructor(log: OpenLog, leave: () => Promise<void>) {
    this.#log = log
    this.#leave = leave
  }

  get partitions(): number {
    return this.#log.partitions.length
  }

  /** The offset that the next record of each partition gets. */
  get offsets(): readonly number[] {
    return this.#log.partitions.map(({ next }) => next)
  }

  /** Resolves when the record is durable; rejects when it is not in the log. */
  async append(value: T, options: AppendOptions = {}): Promise<LogPlace> {
    const { partitions, partitioner } = this.#log
    const partition = 'key' in options ? partitioner.partitionOf(options.key) : this.#log.turn++ % partitions.length
    const offset = await this.#writer(partition).append([packedRecord(value)])
    return { partition, offset }
  }

  /** Several, each to the partition of its key, or in turn. Those of one partition are there together or not at all. */
  async appendAll(values: readonly T[], keyOf?: (value: T) => unknown): Promise<void> {
    const { partitions, partitioner } = this.#log
    const parts = partitions.map((): Buffer[] => [])
    for (const value of values) {
      const partition = keyOf === undefined ? this.#log.turn++ % partitions.length : partitioner.partitionOf(keyOf(value))
      parts[partition]?.push(packedRecord(value))
    }
    await Promise.all(parts.flatMap((records, partition) => (records.length > 0 ? [this.#writer(partition).append(records)] : [])))
  }

  /** After what is under way. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    await this.#leave()
  }

  #writer(partition: number): PartitionWriter {
    if (this.#isClosed) throw new SquallError('log-closed')
    return this.#log.partitions[partition] as PartitionWriter
  }
}

interface Waiting {
  readonly records: readonly Buffer[]
  readonly bytes: number
  readonly done: (offset: number) => void
  readonly failed: (error: unknown) => void
}

interface Segment {
  readonly offset: number
  readonly bytes: number
}

class PartitionWriter {
  /** the offset of the next record */
  next: number
  readonly #files: FileSystem
  readonly #folder: string
  readonly #options: Required<LogOptions>
  /** oldest first, without the current one */
  #older: readonly Segment[]
  #offset: number
  #current: FramedLog
  #waiting: Waiting[] = []
  #waitingRecords = 0
  #writing: Promise<void> | undefined

  private constructor(
    files: FileSystem,
    folder: string,
    options: Required<LogOptions>,
    older: readonly Segment[],
    offset: number,
    next: number,
    current: FramedLog,
  ) {
    this.#files = files
    this.#folder = folder
    this.#options = options
    this.#older = older
    this.#offset = offset
    this.next = next
    this.#current = current
  }

  static async open(files: FileSystem, folder: string, options: Required<LogOptions>): Promise<PartitionWriter> {
    await files.makeFolder(folder)
    const offsets = segmentsOf(await files.list(folder))
    const older: Segment[] = []
    for (const offset of offsets.slice(0, -1)) {
      const file = await files.open(join(folder, segmentName(offset)), 'read')
      older.push({ offset, bytes: (await file?.size()) ?? 0 })
      await file?.close()
    }
    const offset = offsets.at(-1) ?? 0
    let next = offset
    const current = await FramedLog.open(files, join(folder, segmentName(offset)), () => void next++)
    return new PartitionWriter(files, folder, options, older, offset, next, current)
  }

  /** The offset of the first of them. */
  append(records: readonly Buffer[]): Promise<number> {
    if (this.#waitingRecords + records.length > waitingMax && this.#waitingRecords > 0)
      return Promise.reject(new SquallError('log-flooded', { folder: this.#folder, max: waitingMax }))
    return new Promise((done, failed) => {
      this.#waiting.push({ records, bytes: records.reduce((sum, { length }) => sum + length, 0), done, failed })
      this.#waitingRecords += records.length
      this.#writing ??= this.#writeAll()
    })
  }

  async close(): Promise<void> {
    await this.#writing
    await this.#current.close()
  }

  async #writeAll(): Promise<void> {
    // whoever appends in the same turn goes out together
    await Promise.resolve()
    while (this.#waiting.length > 0) {
      const group = this.#nextGroup()
      try {
        if (this.#current.sizeBytes >= this.#options.segmentBytes) await this.#roll()
        await this.#current.append(group.flatMap(({ records }) => records))
        for (const { records, done } of group) {
          done(this.next)
          this.next += records.length
        }
      } catch (error) {
        for (const { failed } of group) failed(error)
      }
    }
    this.#writing = undefined
  }

  /** What fits one frame, but one at least. */
  #nextGroup(): readonly Waiting[] {
    let bytes = 0
    const end = this.#waiting.findIndex((one, i) => (bytes += one.bytes) > frameBytes && i > 0)
    const group = this.#waiting.splice(0, end === -1 ? this.#waiting.length : end)
    for (const { records } of group) this.#waitingRecords -= records.length
    return group
  }

  async #roll(): Promise<void> {
    const before = this.#current
    this.#current = await FramedLog.open(this.#files, join(this.#folder, segmentName(this.next)))
    this.#older = [...this.#older, { offset: this.#offset, bytes: before.sizeBytes }]
    this.#offset = this.next
    await before.close()
    let kept = 0
    const { retainBytes } = this.#options
    const isNeeded = this.#older.toReversed().map(({ bytes }) => (kept += bytes) - bytes < retainBytes)
    const removed = this.#older.filter((_, i) => isNeeded[isNeeded.length - 1 - i] === false)
    this.#older = this.#older.slice(removed.length)
    for (const { offset } of removed) await this.#files.remove(join(this.#folder, segmentName(offset)))
  }
}
