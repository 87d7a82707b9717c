/**
 * CSV as RFC 4180 has it: fields in quotes may hold separators, line ends, and quotes written twice.
 *
 * `scanRecords` finds where records end without making them, so that a batch can be cut at such a place; `splitCsv` makes them. The
 * two agree on what is a record also where a text breaks the rules: a quote opens only at the start of a field.
 */
import { readSync } from 'node:fs'
import { unreadable } from '../rdd/text.ts'

const newline = 0x0a
const quoteByte = 0x22
const chunkBytes = 256 << 10

export interface ScanOptions {
  /** stop at the first record that ends here or behind it */
  readonly until: number
  /** stop behind so many records */
  readonly recordsMax: number
  /** of CSV: the byte between two fields; without it every line is a record */
  readonly separator?: number | undefined
  /** note the first record end in each so many bytes */
  readonly cutEvery?: number
}

export interface Scanned {
  /** the end of the last record that was looked at; where the scan began, when there was none */
  readonly end: number
  readonly records: number
  /** it stopped because it had enough */
  readonly isFull: boolean
  readonly cuts: readonly number[]
}

/** Looks for ends of records in the bytes `from` up to `to` of a file; a record begins at `from`. */
export function scanRecords(path: string, file: number, from: number, to: number, options: ScanOptions): Scanned {
  const { until, recordsMax, separator, cutEvery = Infinity } = options
  const buffer = Buffer.allocUnsafe(Math.min(chunkBytes, Math.max(1, to - from)))
  const cuts: number[] = []
  let cutAt = from + cutEvery
  let end = from
  let records = 0
  let isQuoted = false
  /** behind the quote that was the last to close: another one right there is a quote within the field */
  let closedAt = -1
  let before = newline
  for (let at = from; at < to;) {
    const chunk = buffer.subarray(0, readAt(path, file, buffer, Math.min(buffer.length, to - at), at))
    if (chunk.length === 0) break
    let quote = separator === undefined ? -1 : chunk.indexOf(quoteByte)
    for (let p = 0; ;) {
      if (isQuoted) {
        if (quote === -1) break
        isQuoted = false
        p = quote + 1
        closedAt = at + p
        quote = chunk.indexOf(quoteByte, p)
        continue
      }
      const lineEnd = chunk.indexOf(newline, p)
      if (quote !== -1 && (lineEnd === -1 || quote < lineEnd)) {
        const behind = quote === 0 ? before : chunk[quote - 1]
        isQuoted = at + quote === closedAt || behind === separator || behind === newline || at + quote === from
        p = quote + 1
        quote = chunk.indexOf(quoteByte, p)
        continue
      }
      if (lineEnd === -1) break
      p = lineEnd + 1
      end = at + p
      records++
      if (end >= until || records >= recordsMax) return { end, records, isFull: true, cuts }
      if (end >= cutAt) {
        cuts.push(end)
        cutAt = end + cutEvery
      }
    }
    before = chunk[chunk.length - 1] as number
    at += chunk.length
  }
  return { end, records, isFull: false, cuts }
}

function readAt(path: string, file: number, buffer: Buffer, bytes: number, at: number): number {
  try {
    return readSync(file, buffer, 0, bytes, at)
  } catch (error) {
    throw unreadable(path, error)
  }
}

/**
 * Gives each record of a text that begins with one: its fields, what is wrong with it (or nothing), and from where to where it is.
 * Empty lines are no records.
 */
export function splitCsv(
  text: string,
  separator: string,
  onRecord: (fields: readonly string[], problem: string | undefined, from: number, to: number) => void,
): void {
  for (let p = 0; p < text.length;) {
    const from = p
    const fields: string[] = []
    let problem: string | undefined
    for (;;) {
      let value = ''
      const isQuoted = text[p] === '"'
      while (text[p] === '"') {
        // once more where two quotes stand for one
        const close = text.indexOf('"', p + 1)
        if (close === -1) problem = 'a quote is opened and never closed'
        const stop = close === -1 ? text.length : close
        value += text.slice(p + 1, stop)
        p = stop + 1
        if (text[p] === '"') value += '"'
      }
      const end = fieldEnd(text, p, separator)
      const rest = text.slice(p, end)
      // the \r of a line end is none of the field's
      const plain = text[end] !== separator && rest.endsWith('\r') ? rest.slice(0, -1) : rest
      if (isQuoted && plain !== '') problem ??= `there is ${JSON.stringify(plain)} behind a closing quote`
      else if (plain.includes('"')) problem ??= 'there is a quote within a field that does not begin with one'
      fields.push(value + plain)
      p = end + 1
      if (text[end] !== separator) break
    }
    if (fields.length > 1 || fields[0] !== '' || text[from] === '"') onRecord(fields, problem, from, Math.min(p, text.length))
  }
}

/** Where a field ends that has no more quotes: at the separator, the line end or the end of the text. */
function fieldEnd(text: string, from: number, separator: string): number {
  const separatorCode = separator.charCodeAt(0)
  for (let p = from; p < text.length; p++) {
    const code = text.charCodeAt(p)
    if (code === separatorCode || code === newline) return p
  }
  return Math.max(from, text.length)
}
