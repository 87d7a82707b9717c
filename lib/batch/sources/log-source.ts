/**
 * A log of `openLog` as a source, transactional or opaque; see there for its files. It may be written to at the same time.
 *
 * A range says for each partition which offsets a batch takes, and in which frame of which segment they begin, so that nothing is read to
 * find them. What a batch takes is made durable first: a writer may not have come so far.
 */
import { readFileSync, readdirSync, statSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { SquallError } from '../../errors.ts'
import { nodeFileSystem } from '../log/file-system.ts'
import { FrameReader } from '../log/frame-reader.ts'
import { corruptError, readFramesAt } from '../log/frames.ts'
import { partitionLimits } from '../rate.ts'
import { unreadable } from '../rdd/text.ts'
import type { BatchSource, Planner, Reader, SourceContext } from '../source.ts'
import { headerPath, partitionFolder, partitionsOf, segmentName, segmentsOf, unpackedRecord } from './log.ts'

export interface LogSourceOptions {
  /**
   * what a batch that runs again holds: the same (`transactional`), or what there is by then (`opaque`: a partition that cannot be read
   * is left out and taken later) ('transactional')
   */
  readonly kind?: 'transactional' | 'opaque'
  /** wait for more at the end; otherwise the stream ends with the log (true) */
  readonly follow?: boolean
}

/** A frame: it begins at a byte of the segment, with the record `offset`. */
interface Position {
  readonly segment: number
  readonly byte: number
  readonly offset: number
}

/** The records `from` up to and without `to`; the frames that they begin in. */
interface Slice {
  readonly from: number
  readonly to: number
  readonly start: Position
  readonly end: Position
}

interface LogRange {
  readonly partitions: readonly Slice[]
}

/** So long after a look that found nothing it is looked again. */
const lookMs = 10

/**
 * The records of a log, each partition of which is a partition of the batch.
 *
 * Errors: `file-not-found`, `log-corrupt`; `source-changed` when records that are needed are not kept any more.
 *
 * ```ts
 * const clicks = t.stream('clicks', logSource<{ user: string }>('clicks'), { batchInterval: '1s', maxRatePerPartition: 10_000 })
 * ```
 */
export function logSource<T>(folder: string, { kind = 'transactional', follow = true }: LogSourceOptions = {}): BatchSource<T> {
  if (kind !== 'transactional' && kind !== 'opaque')
    throw new SquallError('bad-option', { option: 'kind', of: 'logSource', value: String(kind), expected: "'transactional' or 'opaque'" })
  return {
    kind,
    planner: (context) => new LogPlanner(folder, follow, context),
    reader: (): Reader<T> => ({
      partitions: (range) => (range as LogRange).partitions.length,
      read: (range, partition, push) => {
        const slice = (range as LogRange).partitions[partition] as Slice
        readSlice(partitionFolder(folder, partition), slice, (record) => push(unpackedRecord(record) as T))
      },
    }),
  }
}

function readSlice(folder: string, { from, to, start }: Slice, push: (record: Buffer) => void): void {
  if (from === to) return
  let { segment, byte, offset } = start
  for (;;) {
    const reader = new FrameReader(join(folder, segmentName(segment)), byte)
    try {
      for (let records = reader.next(); records !== undefined; records = reader.next()) {
        const first = offset
        offset += records.length
        for (let i = Math.max(0, from - first); i < records.length && first + i < to; i++) push(records[i] as Buffer)
        if (offset >= to) return
      }
      // they were there, whole: only a new segment may begin here
      if (reader.byte < reader.sizeBytes) throw corruptError(reader.path, reader.byte)
      if (offset === segment)
        throw new SquallError('source-changed', { source: reader.path, reason: `the records from ${offset} on are gone` })
    } finally {
      reader.close()
    }
    segment = offset
    byte = 0
  }
}

class LogPlanner implements Planner {
  readonly #folder: string
  readonly #follow: boolean
  readonly #context: SourceContext
  readonly #partitions: Tail[]
  #lookedMs = -Infinity
  #isAtEnd = false

  constructor(folder: string, follow: boolean, context: SourceContext) {
    this.#folder = folder
    this.#follow = follow
    this.#context = context
    const partitions = partitionsOf(folder, readHeader(folder)) as number
    this.#partitions = Array.from({ length: partitions }, (_, partition) => new Tail(partitionFolder(folder, partition)))
  }

  get hasEnded(): boolean {
    return !this.#follow && this.#isAtEnd
  }

  next(last: unknown, recordsMax: number, partitionMax = Infinity): LogRange | undefined | Promise<LogRange | undefined> {
    const nowMs = this.#context.date()
    if (nowMs - this.#lookedMs < lookMs) return undefined
    const starts = (last as LogRange | undefined)?.partitions
    const lags = this.#partitions.map((tail, partition) => this.#lag(tail, starts?.[partition], Math.min(recordsMax, partitionMax)))
    this.#isAtEnd = lags.every((lag) => lag === 0)
    if (this.#isAtEnd) {
      this.#lookedMs = nowMs
      return this.#broken()
    }
    // what there is to take is divided among the partitions as a rate would be
    const limits = partitionLimits({ lags, batchIntervalMs: 1_000, rate: recordsMax, maxRatePerPartition: partitionMax })
    const partitions = this.#partitions.map((tail, partition) =>
      tail.isAway ? afterNothing(starts?.[partition]) : tail.take(Math.min(lags[partition] as number, limits[partition] as number)),
    )
    return this.#durable({ partitions })
  }

  /** How many records a partition has, of so many that are asked for. One that cannot be read has none now. */
  #lag(tail: Tail, last: Slice | undefined, recordsMax: number): number {
    try {
      const lag = tail.look(last, recordsMax)
      if (tail.isAway) this.#context.log.warn(`${tail.folder} can be read again`)
      tail.isAway = false
      return lag
    } catch (error) {
      if (!(error instanceof SquallError) || !['file-not-found', 'file-unreadable'].includes(error.code)) throw error
      if (!tail.isAway) this.#context.log.warn(`the stream ${this.#context.stream} goes on without ${tail.folder}: ${error.what}`)
      tail.isAway = true
      return 0
    }
  }

  /** A frame that is not whole is being written; unless whole ones are behind it. */
  #broken(): undefined | Promise<undefined> {
    const suspects = this.#partitions.flatMap((tail) => tail.suspect ?? [])
    if (suspects.length === 0) return undefined
    return Promise.all(
      suspects.map(async (path) => {
        const { kind, sizeBytes } = await readFramesAt(nodeFileSystem, path, () => undefined)
        if (kind === 'corrupt') throw corruptError(path, sizeBytes)
      }),
    ).then(() => undefined)
  }

  async #durable(range: LogRange): Promise<LogRange> {
    const paths = range.partitions.flatMap(({ from, to, start, end }, partition) => {
      if (from === to) return []
      const folder = partitionFolder(this.#folder, partition)
      return segmentsOf(readdirSync(folder))
        .filter((segment) => segment >= start.segment && segment <= end.segment)
        .map((segment) => join(folder, segmentName(segment)))
    })
    await Promise.all(paths.map(syncFile))
    return range
  }
}

/** Windows syncs no file that is open for reading only. */
async function syncFile(path: string): Promise<void> {
  if (process.platform === 'win32') return
  const file = await open(path, 'r')
  try {
    await file.datasync()
  } finally {
    await file.close()
  }
}

function readHeader(folder: string): Buffer {
  try {
    return readFileSync(headerPath(folder))
  } catch (error) {
    throw unreadable(headerPath(folder), error)
  }
}

interface Frame extends Position {
  readonly records: number
}

/** The end of a partition, as far as it has been looked at. */
class Tail {
  readonly folder: string
  isAway = false
  /** a file whose last frame is not whole */
  suspect: string | undefined
  /** the next record to take */
  #from = 0
  /** frames that are not taken, or in part */
  #frames: Frame[] = []
  /** behind them */
  #end: Position | undefined

  constructor(folder: string) {
    this.folder = folder
  }

  /** How many records there are behind what was taken `last`, of so many that are asked for. */
  look(last: Slice | undefined, recordsMax: number): number {
    // a partition of which nothing was taken may have lost its first segments since
    const start = last === undefined || last.to === 0 ? this.#first() : last.end
    const from = Math.max(last?.to ?? 0, start.offset)
    const known = this.#frames[0] ?? this.#end
    if (from !== this.#from || known === undefined || known.segment !== start.segment || known.byte !== start.byte) {
      this.#frames = []
      this.#end = start
      this.#from = from
    }
    this.#checkKept(start)
    this.#lookOn(from, recordsMax)
    return (this.#end as Position).offset - from
  }

  /** Takes so many records. */
  take(records: number): Slice {
    const from = this.#from
    const to = from + records
    const start = this.#frames[0] ?? (this.#end as Position)
    while (this.#frames[0] !== undefined && this.#frames[0].offset + this.#frames[0].records <= to) this.#frames.shift()
    this.#from = to
    return { from, to, start: positionOf(start), end: positionOf(this.#frames[0] ?? (this.#end as Position)) }
  }

  #first(): Position {
    const [segment] = segmentsOf(this.#names())
    if (segment === undefined) throw new SquallError('file-not-found', { file: join(this.folder, segmentName(0)) })
    return { segment, byte: 0, offset: segment }
  }

  #names(): readonly string[] {
    try {
      return readdirSync(this.folder)
    } catch (error) {
      throw unreadable(this.folder, error)
    }
  }

  /** What is to be taken may not be there any more, for the moment or for good. */
  #checkKept({ segment, offset }: Position): void {
    try {
      statSync(join(this.folder, segmentName(segment)))
    } catch (error) {
      const oldest = segmentsOf(this.#names())[0] ?? 0
      if (oldest > offset)
        throw new SquallError('source-changed', {
          source: this.folder,
          reason: `its records from ${offset} to ${oldest - 1} are not kept any more`,
        })
      throw unreadable(join(this.folder, segmentName(segment)), error)
    }
  }

  #lookOn(from: number, recordsMax: number): void {
    let end = this.#end as Position
    let triedAgain = -1
    this.suspect = undefined
    while (end.offset - from < recordsMax) {
      const reader = new FrameReader(join(this.folder, segmentName(end.segment)), end.byte)
      try {
        for (let frame = reader.next(); frame !== undefined; frame = end.offset - from < recordsMax ? reader.next() : undefined) {
          this.#frames.push({ ...end, records: frame.length })
          this.#end = end = { segment: end.segment, byte: reader.byte, offset: end.offset + frame.length }
        }
        if (end.offset - from >= recordsMax) return
        const isBroken = reader.byte < reader.sizeBytes
        if (isBroken) this.suspect = reader.path
        const hasNext = end.offset !== end.segment && this.#names().includes(segmentName(end.offset))
        if (!hasNext) return
        // the segment before was whole when this one was begun
        if (isBroken && triedAgain === reader.byte) throw corruptError(reader.path, reader.byte)
        if (isBroken) {
          // it may have been written just now
          triedAgain = reader.byte
          continue
        }
        this.#end = end = { segment: end.offset, byte: 0, offset: end.offset }
      } finally {
        reader.close()
      }
    }
  }
}

/** Of a partition that cannot be read: what comes next is what came next before. */
function afterNothing(last: Slice | undefined): Slice {
  const { to, end }: Pick<Slice, 'to' | 'end'> = last ?? { to: 0, end: { segment: 0, byte: 0, offset: 0 } }
  return { from: to, to, start: end, end }
}

function positionOf({ segment, byte, offset }: Position): Position {
  return { segment, byte, offset }
}
