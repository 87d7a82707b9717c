/**
 * Local files as sources.
 *
 * `files.lines` reads a file in chunks and emits its lines. Several tasks divide the file by bytes: a task reads the lines
 * that start in its range, so every line is read once and nobody counts lines first. Each line knows the byte offset after
 * it; the offset below which every line is done is kept as the task's position, and a task that is started again goes on there.
 *
 * Budget: about 80 ns a line of 55 bytes (finding the line end and decoding it; one string and one tuple are allocated).
 * A line is decoded by itself and not sliced from a decoded chunk, which would be 40 ns faster: any word of it that a bolt
 * keeps would then keep the whole chunk in memory.
 */
import { isAscii } from 'node:buffer'
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { z } from 'zod'
import { SquallError } from '../errors.ts'
import type { Place } from '../errors.ts'
import { defineSpout } from '../topology/component.ts'
import type { DeadLetter, SpoutContext, SpoutDefinition } from '../topology/component.ts'

export interface LinesOptions {
  /** bytes read at once (128 KiB) */
  readonly chunkBytes?: number
  /** the longest line allowed, in bytes without its line end; a longer one is the error `line-too-long` (1,000,000) */
  readonly lineBytesMax?: number
  /** how often the file is read from start to end; `Infinity` = until the run is stopped (1) */
  readonly repeat?: number
}

/** A spout of the lines of files. */
export type LinesSpout = SpoutDefinition<{ readonly default: { line: string }; readonly 'dead-letter': DeadLetter<{ line: string }> }>

const Line = z.object({ line: z.string() })

/** Lines emitted in one call of `nextTuple`: enough to make the call cheap, few enough to stop soon. */
const linesPerCall = 32
/** Lines that may lie between the oldest one not done and the newest; at the limit the spout waits. */
const spanLinesMax = 1 << 18

const newline = 0x0a
const carriageReturn = 0x0d

/** Connectors for local files. */
export const files = Object.freeze({
  /**
   * The lines of a UTF-8 text file, as tuples `{ line }`, each emitted again until it is done (`replay`). Ends with the file.
   *
   * Line ends are `\n` or `\r\n`, the last line may have none; a byte order mark is left out; bytes that are not UTF-8
   * become U+FFFD. The file must not change while it is read.
   *
   * Errors when the topology starts: `file-not-found`, `file-unreadable`; while it runs: `line-too-long`, `file-unreadable`.
   *
   * ```ts
   * const lines = t.spout('lines', files.lines('book.txt'), { parallelism: 2 })
   * t.bolt('split', split).shuffle(lines)
   * ```
   */
  lines(path: string, options: LinesOptions = {}): LinesSpout {
    const { chunkBytes = 128 * 1024, lineBytesMax = 1_000_000, repeat = 1 } = options
    checkWhole('chunkBytes', chunkBytes)
    checkWhole('lineBytesMax', lineBytesMax)
    if (repeat !== Infinity) checkWhole('repeat', repeat)
    return defineSpout({
      output: Line,
      replay: true,
      open(context) {
        const reader = new LineReader(path, { chunkBytes, lineBytesMax, repeat, context })
        const span = new Span()
        let saved = context.position ?? 0
        return {
          nextTuple(out) {
            if (span.position > saved) {
              saved = span.position
              context.savePosition(saved)
            }
            for (let i = 0; i < linesPerCall && !span.isFull; i++) {
              const line = reader.next()
              if (line === undefined) {
                out.end()
                return
              }
              out.emit({ line }, span.add(reader.position))
            }
          },
          // a line that was given up is done as well: it is on the stream of dead letters
          ack: (id) => span.done(id as number),
          fail: (id) => span.done(id as number),
          close: () => reader.close(),
        }
      },
    })
  },
})

interface ReaderOptions extends Required<LinesOptions> {
  readonly context: SpoutContext
}

/**
 * One task's share of a file, line by line, `repeat` times over.
 *
 *     buffer:  | given out | lineStart .. to | free |
 *     file:                                  ^ fileOffset
 */
class LineReader {
  readonly #path: string
  readonly #where: Place
  readonly #options: ReaderOptions
  readonly #file: number
  readonly #sizeBytes: number
  /** this task reads the lines that start in [#rangeStart, #rangeEnd) */
  readonly #rangeStart: number
  #rangeEnd: number
  #buffer: Buffer
  #filled: Buffer
  #lineStart = 0
  /** no line end in the filled part before this place */
  #scanned = 0
  #fileOffset = 0
  #isAscii = false
  #lap = 0
  /** this task's range is known to hold lines; without any, a lap would be followed by others without one */
  #hasLines: boolean

  constructor(path: string, options: ReaderOptions) {
    const { context, chunkBytes } = options
    this.#path = path
    this.#options = options
    this.#where = { topology: context.topology, component: context.component, task: context.task }
    this.#file = this.#open()
    this.#sizeBytes = this.#size()
    this.#rangeStart = Math.floor((this.#sizeBytes * context.taskIndex) / context.taskCount)
    this.#rangeEnd = Math.floor((this.#sizeBytes * (context.taskIndex + 1)) / context.taskCount)
    this.#buffer = Buffer.allocUnsafeSlow(chunkBytes)
    this.#filled = this.#buffer.subarray(0, 0)
    this.#hasLines = context.position !== undefined
    this.#goOnFrom(context.position ?? 0)
  }

  /** Where the next line starts: its byte offset, and the size of the file for each time it was read before. */
  get position(): number {
    return this.#lap * this.#sizeBytes + this.#offset
  }

  /** The next line without its end, or `undefined` after the last one. */
  next(): string | undefined {
    while (this.#lap < this.#options.repeat) {
      const line = this.#offset < this.#rangeEnd ? this.#nextInFile() : undefined
      if (line !== undefined) {
        this.#hasLines = true
        return line
      }
      if (!this.#hasLines || this.#lap + 1 === this.#options.repeat) return undefined
      this.#goOnFrom((this.#lap + 1) * this.#sizeBytes)
    }
    return undefined
  }

  close(): void {
    closeSync(this.#file)
  }

  get #offset(): number {
    return this.#fileOffset - this.#filled.length + this.#lineStart
  }

  #nextInFile(): string | undefined {
    for (;;) {
      const end = this.#findLineEnd()
      if (end >= 0) {
        const start = this.#lineStart
        this.#checkLength(end - start)
        this.#lineStart = this.#scanned = end + 1
        return this.#decode(start, end > start && this.#filled[end - 1] === carriageReturn ? end - 1 : end)
      }
      this.#checkLength(this.#filled.length - this.#lineStart)
      if (!this.#readMore()) {
        const start = this.#lineStart
        const rest = this.#filled.length
        this.#lineStart = this.#scanned = rest
        return rest > start ? this.#decode(start, rest) : undefined
      }
    }
  }

  #decode(start: number, end: number): string {
    // several times faster than UTF-8, and the same for ASCII
    return this.#filled.toString(this.#isAscii ? 'latin1' : 'utf8', start, end)
  }

  #findLineEnd(): number {
    const end = this.#filled.indexOf(newline, this.#scanned)
    if (end < 0) this.#scanned = this.#filled.length
    return end
  }

  /** Reads up to a chunk behind what is there; `false` at the end of the file. */
  #readMore(): boolean {
    const { chunkBytes } = this.#options
    const kept = this.#filled.length - this.#lineStart
    if (kept + chunkBytes > this.#buffer.length) {
      const grown = Buffer.allocUnsafeSlow(2 * (kept + chunkBytes))
      this.#filled.copy(grown, 0, this.#lineStart)
      this.#buffer = grown
    } else {
      this.#buffer.copyWithin(0, this.#lineStart, this.#filled.length)
    }
    const read = this.#read(kept, Math.min(chunkBytes, this.#sizeBytes - this.#fileOffset))
    this.#fileOffset += read
    this.#scanned -= this.#lineStart
    this.#lineStart = 0
    this.#filled = this.#buffer.subarray(0, kept + read)
    this.#isAscii = isAscii(this.#filled)
    return read > 0
  }

  #goOnFrom(position: number): void {
    this.#lap = this.#sizeBytes === 0 ? 0 : Math.floor(position / this.#sizeBytes)
    const offset = this.#sizeBytes === 0 ? 0 : position % this.#sizeBytes
    if (offset > this.#rangeStart) {
      this.#seek(offset)
    } else if (this.#rangeStart === 0) {
      this.#seek(0)
      this.#skipMark()
    } else {
      // the range starts within a line, unless the byte before it is a line end
      this.#seek(this.#rangeStart - 1)
      this.#skipLine()
    }
  }

  #seek(offset: number): void {
    this.#fileOffset = offset
    this.#filled = this.#buffer.subarray(0, 0)
    this.#lineStart = this.#scanned = 0
  }

  #skipMark(): void {
    while (this.#filled.length < 3 && this.#readMore());
    if (this.#filled[0] !== 0xef || this.#filled[1] !== 0xbb || this.#filled[2] !== 0xbf) return
    this.#lineStart = this.#scanned = 3
    // the first line belongs to the task of byte 0, even if that task's range ends within the mark
    if (this.#rangeEnd > 0) this.#rangeEnd = Math.max(this.#rangeEnd, 4)
  }

  #skipLine(): void {
    let end = this.#findLineEnd()
    while (end < 0 && this.#offset < this.#rangeEnd) {
      this.#lineStart = this.#filled.length
      if (!this.#readMore()) return
      end = this.#findLineEnd()
    }
    this.#lineStart = this.#scanned = end < 0 ? this.#filled.length : end + 1
  }

  #checkLength(bytes: number): void {
    const max = this.#options.lineBytesMax
    if (bytes > max + 1 || (bytes === max + 1 && this.#filled[this.#lineStart + max] !== carriageReturn))
      throw new SquallError('line-too-long', { file: this.#path, offset: this.#offset, max }, this.#where)
  }

  #open(): number {
    try {
      return openSync(this.#path, 'r')
    } catch (error) {
      throw this.#unreadable(error)
    }
  }

  #size(): number {
    try {
      const stat = fstatSync(this.#file)
      if (stat.isFile()) return stat.size
      throw new Error(stat.isDirectory() ? 'it is a folder' : 'it is not a regular file')
    } catch (error) {
      closeSync(this.#file)
      throw this.#unreadable(error)
    }
  }

  #read(at: number, bytes: number): number {
    if (bytes <= 0) return 0
    try {
      return readSync(this.#file, this.#buffer, at, bytes, this.#fileOffset)
    } catch (error) {
      throw this.#unreadable(error)
    }
  }

  #unreadable(cause: unknown): SquallError {
    const { code, message } = cause as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return new SquallError('file-not-found', { file: this.#path }, this.#where, { cause })
    return new SquallError('file-unreadable', { file: this.#path, reason: code ?? message }, this.#where, { cause })
  }
}

/**
 * The lines that were emitted, from the oldest one that is not done: for each the position after it. Lines get
 * consecutive numbers, which are their message ids, so that a ring of numbers is all that is needed.
 */
class Span {
  #positions = new Float64Array(1024)
  #isDone = new Uint8Array(1024)
  #oldest = 0
  #next = 0
  /** every line before it is done */
  position = 0

  get isFull(): boolean {
    return this.#next - this.#oldest === spanLinesMax
  }

  /** Notes a line that ends before `position`; returns its id. */
  add(position: number): number {
    const id = this.#next++
    if (id - this.#oldest === this.#positions.length) this.#grow(id)
    const at = id & (this.#positions.length - 1)
    this.#positions[at] = position
    this.#isDone[at] = 0
    return id
  }

  done(id: number): void {
    const mask = this.#positions.length - 1
    if (id < this.#oldest || id >= this.#next) return
    this.#isDone[id & mask] = 1
    while (this.#oldest < this.#next && this.#isDone[this.#oldest & mask] === 1) {
      this.position = this.#positions[this.#oldest & mask] as number
      this.#oldest++
    }
  }

  #grow(next: number): void {
    const [positions, isDone] = [this.#positions, this.#isDone]
    this.#positions = new Float64Array(2 * positions.length)
    this.#isDone = new Uint8Array(2 * positions.length)
    for (let id = this.#oldest; id < next; id++) {
      const [from, to] = [id & (positions.length - 1), id & (this.#positions.length - 1)]
      this.#positions[to] = positions[from] as number
      this.#isDone[to] = isDone[from] as number
    }
  }
}

function checkWhole(option: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 1)
    throw new SquallError('bad-option', { option, of: 'files.lines', value, expected: 'a whole number from 1' })
}
