/**
 * Text files as partitions of lines. A partition is a range of bytes; it has the lines that start in it, so that every line is
 * read once and nobody looks for line ends first.
 *
 * Budget: finding the line end and decoding the line; one string a line. A line is decoded by itself, not sliced from a decoded
 * chunk: a word of it that is kept would keep the whole chunk.
 */
import { isAscii } from 'node:buffer'
import { closeSync, openSync, readSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { SquallError } from '../../errors.ts'
import type { Push } from './node.ts'

/** The lines that start in these bytes of a file. */
interface LineRange {
  readonly index: number
  readonly file: string
  readonly from: number
  readonly to: number
}

interface Lines {
  readonly name: string
  readonly partitions: readonly LineRange[]
  read(range: LineRange, push: Push<string>): void
}

const chunkBytes = 256 << 10
/** The longest line: one of twice as much would be no string of JavaScript's. */
const lineBytesMax = 256 << 20
const newline = 0x0a
const carriageReturn = 0x0d

/** The lines of a file, or of the files of a folder. */
export function linesOf(path: string, minPartitions: number): Lines {
  const files = filesOf(path)
  const total = files.reduce((sum, { bytes }) => sum + bytes, 0)
  const target = Math.max(1, total / minPartitions)
  const partitions: LineRange[] = []
  for (const { file, bytes } of files) {
    const parts = Math.max(1, Math.round(bytes / target))
    for (let i = 0; i < parts; i++)
      partitions.push({
        index: partitions.length,
        file,
        from: Math.floor((i * bytes) / parts),
        to: Math.floor(((i + 1) * bytes) / parts),
      })
  }
  return { name: 'textFile', partitions, read: readLines }
}

function filesOf(path: string): readonly { file: string; bytes: number }[] {
  try {
    const stat = statSync(path)
    if (stat.isFile()) return [{ file: path, bytes: stat.size }]
    // a pipe has no length, and would give nothing
    if (!stat.isDirectory()) throw new Error('it is neither a regular file nor a folder')
    const names = readdirSync(path).filter((name) => !/^[._]/.test(name))
    return names.sort().flatMap((name) => {
      const file = join(path, name)
      const found = statSync(file)
      return found.isFile() ? [{ file, bytes: found.size }] : []
    })
  } catch (error) {
    throw unreadable(path, error)
  }
}

/** Is given a line, and the byte at which it begins. */
export type PushLine = (line: string, at: number) => void

/** Gives the lines that start in bytes `from` up to `to` of a file, without their ends. A file that ends before `to` is the error `source-changed`. */
export function readLines({ file, from, to }: Pick<LineRange, 'file' | 'from' | 'to'>, push: PushLine): void {
  if (from >= to) return
  const fd = open(file)
  try {
    scan(file, fd, from, to, push)
  } finally {
    closeSync(fd)
  }
}

/**
 *     buffer:  | lineStart .. filled | free |
 *     file:    ^ bufferAt
 */
function scan(file: string, fd: number, from: number, to: number, push: PushLine): void {
  let buffer: Buffer = Buffer.allocUnsafeSlow(chunkBytes)
  // the range starts within a line, unless the byte before it is a line end
  let bufferAt = Math.max(0, from - 1)
  let isSkipping = from > 0
  let lineStart = 0
  let filled = 0
  for (;;) {
    // what is left of a line goes to the front; a line that fills the buffer gets a larger one
    buffer = roomFor(file, buffer, lineStart, filled)
    bufferAt += lineStart
    filled -= lineStart
    lineStart = 0
    const scanned = filled
    const bytes = readAt(file, fd, buffer, filled, bufferAt + filled)
    filled += bytes
    const text = buffer.subarray(0, filled)
    const encoding = isAscii(text) ? 'latin1' : 'utf8' // several times faster, and the same for ASCII
    if (bufferAt === 0 && scanned === 0 && text[0] === 0xef && text[1] === 0xbb && text[2] === 0xbf) lineStart = 3
    for (let end = text.indexOf(newline, Math.max(scanned, lineStart)); end >= 0; end = text.indexOf(newline, lineStart)) {
      if (isSkipping) isSkipping = false
      else
        push(
          buffer.toString(encoding, lineStart, end > lineStart && text[end - 1] === carriageReturn ? end - 1 : end),
          bufferAt + lineStart,
        )
      lineStart = end + 1
      if (bufferAt + lineStart >= to) return
    }
    if (isSkipping) lineStart = filled
    if (bytes > 0) continue
    if (bufferAt + filled < to) throw shortened(file, to, bufferAt + filled)
    if (!isSkipping && filled > lineStart) push(buffer.toString(encoding, lineStart, filled), bufferAt + lineStart)
    return
  }
}

function roomFor(file: string, buffer: Buffer, lineStart: number, filled: number): Buffer {
  if (lineStart > 0) {
    buffer.copyWithin(0, lineStart, filled)
    return buffer
  }
  if (filled < buffer.length) return buffer
  if (buffer.length >= lineBytesMax)
    throw new SquallError('bad-record', { file, reason: `a line is longer than ${lineBytesMax} bytes` }, { file })
  const larger = Buffer.allocUnsafeSlow(2 * buffer.length)
  buffer.copy(larger, 0, 0, filled)
  return larger
}

function open(file: string): number {
  try {
    return openSync(file, 'r')
  } catch (error) {
    throw unreadable(file, error)
  }
}

function readAt(file: string, fd: number, buffer: Buffer, at: number, position: number): number {
  try {
    return readSync(fd, buffer, at, buffer.length - at, position)
  } catch (error) {
    throw unreadable(file, error)
  }
}

/** A file that has lost its end. */
export function shortened(file: string, known: number, bytes: number): SquallError {
  return new SquallError('source-changed', { source: file, reason: `it had ${known} bytes, it has ${bytes}` })
}

export function unreadable(file: string, cause: unknown): SquallError {
  const { code, message } = cause as NodeJS.ErrnoException
  if (code === 'ENOENT' || code === 'ENOTDIR') return new SquallError('file-not-found', { file }, {}, { cause })
  return new SquallError('file-unreadable', { file, reason: code ?? message }, {}, { cause })
}
