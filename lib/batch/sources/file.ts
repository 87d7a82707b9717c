/**
 * The records of one file as a transactional source: a batch takes a range of bytes, which ends at the end of a record, and every task
 * reads its share of it.
 */
import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs'
import type { Stats } from 'node:fs'
import type { z } from 'zod'
import { SquallError } from '../../errors.ts'
import { shortened, unreadable } from '../rdd/text.ts'
import type { BatchSource, Planner, Reader } from '../source.ts'
import { scanRecords } from './csv.ts'
import { csvFormat, jsonFormat, textFormat } from './formats.ts'
import type { CsvOptions, FileFormat, JsonOptions } from './formats.ts'

export interface FileOptions {
  /** bytes that a batch takes, about (16 MiB) */
  readonly batchBytes?: number
  /** partitions of a batch (one for each task) */
  readonly partitions?: number
  /** the file grows: take what is added to it, a record when its line end is there; the stream never ends (false) */
  readonly follow?: boolean
}

interface ByteRange {
  readonly from: number
  readonly to: number
  /** where the partitions but the first begin; without them the range is divided by bytes */
  readonly cuts?: readonly number[]
}

const newline = 0x0a
/** How far is looked at a time for the end of a line, and for how long lines are. */
const lookBytes = 64 << 10

/**
 * The lines of a file, without their ends. The stream ends with the file, unless it is to `follow` it.
 *
 * Errors: `file-not-found`, `file-unreadable`; `source-changed` when the file is shorter than what was read of it before, or another one.
 *
 * ```ts
 * const words = t.stream('lines', textLines('book.txt')).flatMap((line) => line.split(' '))
 * ```
 */
export function textLines(path: string, options: FileOptions = {}): BatchSource<string> {
  return fileSource('textLines', path, options, textFormat)
}

/**
 * A file of a JSON value a line, each as the schema says; otherwise as `textLines`. A line that is not: `bad-record`, with its place,
 * unless `onBadRecord` says what becomes of it.
 *
 * ```ts
 * const Tweet = z.object({ text: z.string(), at: z.number() })
 * const tweets = t.stream('tweets', jsonLines('tweets.jsonl', Tweet, { onBadRecord: 'skip' }))
 * ```
 */
export function jsonLines<T, B = never>(
  path: string,
  schema: z.ZodType<T>,
  options: FileOptions & JsonOptions<B> = {},
): BatchSource<T | B> {
  return fileSource('jsonLines', path, options, jsonFormat(schema, options))
}

/**
 * The records of a CSV file (RFC 4180), as objects by the names that the file begins with; the schema makes its types of their texts.
 *
 * ```ts
 * const Sale = z.object({ shop: z.string(), cents: z.coerce.number() })
 * const sales = t.stream('sales', csvRecords('sales.csv', Sale, { separator: ';' }))
 * ```
 */
export function csvRecords<T, B = never>(
  path: string,
  schema: z.ZodType<T>,
  options: FileOptions & CsvOptions<B> = {},
): BatchSource<T | B> {
  return fileSource('csvRecords', path, options, csvFormat('csvRecords', schema, options))
}

function fileSource<T>(
  of: string,
  path: string,
  { batchBytes = 16 << 20, partitions, follow = false }: FileOptions,
  format: FileFormat<T>,
): BatchSource<T> {
  for (const [option, value] of Object.entries({ batchBytes, partitions: partitions ?? 1 }))
    if (!Number.isSafeInteger(value) || value < 1)
      throw new SquallError('bad-option', { option, of, value, expected: 'a whole number from 1' })
  return {
    kind: 'transactional',
    planner: ({ tasks }) => new FilePlanner(path, { batchBytes, parts: partitions ?? tasks, follow, separator: format.separator }),
    reader: ({ tasks }): Reader<T> => ({
      partitions: (range) => startsOf(range as ByteRange, partitions ?? tasks).length,
      read(range, partition, push) {
        const { to } = range as ByteRange
        const starts = startsOf(range as ByteRange, partitions ?? tasks)
        return format.read({ file: path, from: starts[partition] as number, to: starts[partition + 1] ?? to }, push)
      },
    }),
  }
}

/** Where the partitions of a range begin. A range of lines may be divided anywhere: a line belongs to where it begins. */
function startsOf({ from, to, cuts }: ByteRange, parts: number): readonly number[] {
  if (cuts !== undefined) return [from, ...cuts]
  return Array.from({ length: parts }, (_, part) => from + Math.floor(((to - from) * part) / parts))
}

interface PlannerOptions {
  readonly batchBytes: number
  readonly parts: number
  readonly follow: boolean
  readonly separator: number | undefined
}

class FilePlanner implements Planner {
  readonly #path: string
  readonly #options: PlannerOptions
  readonly #file: number
  readonly #inode: number
  #size: number
  #taken = 0

  constructor(path: string, options: PlannerOptions) {
    this.#path = path
    this.#options = options
    try {
      // before it is opened: a pipe would hold up the thread until somebody writes to it
      if (!statSync(path).isFile()) throw new Error('it is no regular file')
      this.#file = openSync(path, 'r')
      const found = fstatSync(this.#file)
      this.#size = found.size
      this.#inode = found.ino
    } catch (error) {
      throw unreadable(path, error)
    }
  }

  next(last: unknown, recordsMax: number): ByteRange | undefined {
    const from = last === undefined ? 0 : (last as ByteRange).to
    this.#look(from)
    if (from !== this.#taken) this.#checkEnd(from)
    this.#taken = from
    const range = from < this.#size ? this.#rangeFrom(from, recordsMax) : undefined
    if (range !== undefined) this.#taken = range.to
    return range
  }

  get hasEnded(): boolean {
    return !this.#options.follow && this.#taken >= this.#size
  }

  close(): void {
    closeSync(this.#file)
  }

  /** Whether the file is still the one that it was, and how long it is by now. */
  #look(from: number): void {
    let found: Stats
    try {
      found = statSync(this.#path)
    } catch (error) {
      throw unreadable(this.#path, error)
    }
    const known = this.#options.follow ? from : Math.max(from, this.#size)
    if (found.ino !== this.#inode)
      throw new SquallError('source-changed', { source: this.#path, reason: 'there is another file in its place' })
    if (found.size < known) throw shortened(this.#path, known, found.size)
    if (this.#options.follow) this.#size = found.size
  }

  /** What a run before this one has taken ends with a record. If none ends there, the last one was added to, or it is another file. */
  #checkEnd(from: number): void {
    if (from === this.#size) return
    const before = Buffer.alloc(1)
    readSync(this.#file, before, 0, 1, from - 1)
    if (before[0] !== newline)
      throw new SquallError('source-changed', { source: this.#path, reason: `it was taken up to byte ${from}, and no record ends there` })
  }

  #rangeFrom(from: number, recordsMax: number): ByteRange | undefined {
    const { batchBytes, parts, follow, separator } = this.#options
    const until = Math.min(from + batchBytes, this.#size)
    if (separator === undefined && !follow && !this.#mayHold(recordsMax, from)) return { from, to: this.#lineEnd(until) }
    const cutEvery = Math.ceil((until - from) / parts)
    const options = { until, recordsMax, separator, cutEvery }
    const { end, isFull, cuts } = scanRecords(this.#path, this.#file, from, this.#size, options)
    // the last record of a file that is whole may have no line end
    const to = isFull || follow ? end : this.#size
    if (to === from) return undefined
    return separator === undefined ? { from, to } : { from, to, cuts: cuts.filter((cut) => cut < to).slice(0, parts - 1) }
  }

  /** A batch of `batchBytes` may be more than so many lines: then they are counted, which is not for nothing. */
  #mayHold(recordsMax: number, from: number): boolean {
    const { batchBytes } = this.#options
    if (recordsMax >= batchBytes) return false
    const to = Math.min(from + lookBytes, this.#size)
    const { records } = scanRecords(this.#path, this.#file, from, to, { until: Infinity, recordsMax: Infinity })
    return recordsMax * ((to - from) / Math.max(1, records)) < 2 * batchBytes
  }

  /** The first place from `at` on that a line ends before. */
  #lineEnd(at: number): number {
    const buffer = Buffer.allocUnsafe(lookBytes)
    // a batch that ends with a line ends there
    for (let from = at - 1; from < this.#size; from += lookBytes) {
      const bytes = readSync(this.#file, buffer, 0, lookBytes, from)
      const end = buffer.subarray(0, bytes).indexOf(newline)
      if (end >= 0) return from + end + 1
      if (bytes === 0) break
    }
    return this.#size
  }
}
