/** How the bytes of a file become records: lines as they are, JSON values, or CSV; the latter two as a schema says. */
import { closeSync, openSync, readSync } from 'node:fs'
import type { z } from 'zod'
import { SquallError, reasonOf } from '../../errors.ts'
import { shown } from '../../std/words.ts'
import { readLines, shortened, unreadable } from '../rdd/text.ts'
import { scanRecords, splitCsv } from './csv.ts'

/** The bytes `from` up to `to` of a file. */
export interface FilePart {
  readonly file: string
  readonly from: number
  readonly to: number
}

export interface FileFormat<T> {
  /** of CSV: the byte between fields; elsewhere a record is a line, whatever is in it */
  readonly separator?: number
  /** Gives the records that begin in a part of a file; returns how many it left out because they were bad. */
  read(part: FilePart, push: (record: T) => void): number
}

/** A record that is not as its schema says. */
export interface BadRecord {
  readonly file: string
  /** its line, from 1; the file is read for it when it is asked for */
  readonly line: number
  readonly text: string
  readonly reason: string
}

/**
 * What becomes of bad records: the run fails with `bad-record`, they are left out and counted, or a function makes something else of
 * them (`undefined`: leave it out), for a stream of their own.
 */
export type OnBadRecord<B> = 'fail' | 'skip' | ((bad: BadRecord) => B | undefined)

export interface JsonOptions<B = never> {
  /** what becomes of records that are not as the schema says ('fail') */
  readonly onBadRecord?: OnBadRecord<B>
}

export interface CsvOptions<B = never> extends JsonOptions<B> {
  /** the names of the fields where the file does not begin with them (it does) */
  readonly header?: readonly string[]
  /** between two fields: one ASCII character (',') */
  readonly separator?: string
}

/** The longest record in quotes: one that was never closed would be as long as the file. */
const recordBytesMax = 64 << 20
/** CSV is split a piece at a time. */
const pieceBytes = 1 << 20

export const textFormat: FileFormat<string> = {
  read(part, push) {
    readLines(part, push)
    return 0
  },
}

/** A JSON value a line; empty lines are none. */
export function jsonFormat<T, B>(schema: z.ZodType<T>, { onBadRecord = 'fail' }: JsonOptions<B> = {}): FileFormat<T | B> {
  return {
    read(part, push) {
      let skipped = 0
      readLines(part, (line, at) => {
        const parsed = parsedJson(line, schema)
        if (parsed === undefined) return
        if (parsed.success) push(parsed.data)
        else skipped += takeBad(onBadRecord, new Bad(part.file, at, line, parsed.reason), push)
      })
      return skipped
    },
  }
}

/** Records as objects of texts by field, which the schema makes its values of. */
export function csvFormat<T, B>(of: string, schema: z.ZodType<T>, options: CsvOptions<B> = {}): FileFormat<T | B> {
  const { onBadRecord = 'fail', header, separator = ',' } = options
  if (!/^[ -~\t]$/.test(separator) || separator === '"')
    throw new SquallError('bad-option', { option: 'separator', of, value: separator, expected: "one ASCII character such as ';'" })
  const separatorByte = separator.charCodeAt(0)
  const headers = new Map<string, readonly string[]>()
  return {
    separator: separatorByte,
    read(part, push) {
      let skipped = 0
      withFile(part.file, (file) => {
        const names = header ?? headers.get(part.file) ?? headerOf(part, file, separator)
        if (part.from === 0) headers.clear() // another file, or this one anew
        headers.set(part.file, names)
        let isHeader = header === undefined && part.from === 0
        eachPiece(part, file, separatorByte, (text, pieceAt) =>
          splitCsv(text, separator, (fields, problem, from, to) => {
            if (isHeader) {
              isHeader = false
              return
            }
            const parsed = parsedCsv(fields, problem, names, schema)
            if (parsed.success) push(parsed.data)
            else {
              const at = pieceAt + Buffer.byteLength(text.slice(0, from))
              skipped += takeBad(onBadRecord, new Bad(part.file, at, text.slice(from, to).trimEnd(), parsed.reason), push)
            }
          }),
        )
      })
      return skipped
    },
  }
}

type Parsed<T> = { readonly success: true; readonly data: T } | { readonly success: false; readonly reason: string }

function parsedJson<T>(line: string, schema: z.ZodType<T>): Parsed<T> | undefined {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch (error) {
    return line.trim() === '' ? undefined : { success: false, reason: reasonOf(error) }
  }
  return judged(value, schema)
}

function parsedCsv<T>(fields: readonly string[], problem: string | undefined, names: readonly string[], schema: z.ZodType<T>): Parsed<T> {
  if (problem !== undefined) return { success: false, reason: problem }
  if (fields.length !== names.length) return { success: false, reason: `it has ${fields.length} fields, not ${names.length}` }
  return judged(Object.fromEntries(names.map((name, i) => [name, fields[i]])), schema)
}

function judged<T>(value: unknown, schema: z.ZodType<T>): Parsed<T> {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed
  const reason = parsed.error.issues.map(({ path, message }) => [...path.map(String), message].join(': ')).join('; ')
  return { success: false, reason }
}

/** How many are left out: 1 or 0. */
function takeBad<T, B>(onBadRecord: OnBadRecord<B>, bad: Bad, push: (record: T | B) => void): number {
  if (onBadRecord === 'fail')
    throw new SquallError('bad-record', { file: bad.file, reason: `${bad.reason}: ${shown(bad.text)}` }, { file: bad.file, line: bad.line })
  const instead = onBadRecord === 'skip' ? undefined : onBadRecord(bad)
  if (instead === undefined) return 1
  push(instead)
  return 0
}

class Bad implements BadRecord {
  readonly file: string
  readonly text: string
  readonly reason: string
  readonly #at: number

  constructor(file: string, at: number, text: string, reason: string) {
    this.file = file
    this.text = text
    this.reason = reason
    this.#at = at
  }

  get line(): number {
    return withFile(this.file, (file) => scanRecords(this.file, file, 0, this.#at, { until: Infinity, recordsMax: Infinity }).records + 1)
  }
}

/** The names that a CSV file begins with. */
function headerOf({ file: path, from, to }: FilePart, file: number, separator: string): readonly string[] {
  const limit = Math.min(from === 0 ? to : from, recordBytesMax)
  const { end, isFull } = scanRecords(path, file, 0, limit, { until: 1, recordsMax: 1, separator: separator.charCodeAt(0) })
  if (!isFull && limit === recordBytesMax) throw tooLong(path)
  let names: readonly string[] = []
  splitCsv(withoutMark(textAt(path, file, 0, isFull ? end : limit)), separator, (fields, problem) => {
    if (problem !== undefined)
      throw new SquallError('bad-record', { file: path, reason: `it should name the fields, but ${problem}` }, { file: path, line: 1 })
    names = fields
  })
  return names
}

/** Whole records in pieces of about a megabyte. */
function eachPiece({ file: path, from, to }: FilePart, file: number, separator: number, take: (text: string, at: number) => void): void {
  for (let at = from; at < to;) {
    const limit = Math.min(to, at + recordBytesMax)
    const { end, isFull } = scanRecords(path, file, at, limit, { until: at + pieceBytes, recordsMax: Infinity, separator })
    if (end === at && limit < to) throw tooLong(path)
    // the last record may have no line end
    const until = isFull || limit < to ? end : to
    const text = textAt(path, file, at, until)
    const plain = at === 0 ? withoutMark(text) : text
    take(plain, plain === text ? at : at + 3)
    at = until
  }
}

function tooLong(file: string): SquallError {
  return new SquallError('bad-record', { file, reason: `it is longer than ${recordBytesMax} bytes` }, { file })
}

function withoutMark(text: string): string {
  return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text
}

function textAt(path: string, file: number, from: number, to: number): string {
  const buffer = Buffer.allocUnsafe(to - from)
  let done = 0
  try {
    for (let bytes = 1; bytes > 0 && done < buffer.length; done += bytes)
      bytes = readSync(file, buffer, done, buffer.length - done, from + done)
  } catch (error) {
    throw unreadable(path, error)
  }
  if (done < buffer.length) throw shortened(path, to, from + done)
  return buffer.toString('utf8')
}

function withFile<R>(path: string, use: (file: number) => R): R {
  let file: number
  try {
    file = openSync(path, 'r')
  } catch (error) {
    throw unreadable(path, error)
  }
  try {
    return use(file)
  } finally {
    closeSync(file)
  }
}
