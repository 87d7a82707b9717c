/**
 * The lines of a text file as a transactional source: a batch takes a range of bytes, which ends at the end of a line, and every
 * task reads its share of it.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { SquallError } from '../../errors.ts'
import { readLines, unreadable } from '../rdd/text.ts'
import type { BatchSource, Planner, Reader } from '../source.ts'

export interface TextLinesOptions {
  /** bytes that a batch takes, about (16 MiB) */
  readonly batchBytes?: number
  /** partitions of a batch (one for each task) */
  readonly partitions?: number
}

interface ByteRange {
  readonly from: number
  readonly to: number
}

const newline = 0x0a
/** How far a batch may reach beyond `batchBytes` for the end of its last line, at a time. */
const lookBytes = 64 << 10

/**
 * The lines of a file, without their ends. The stream ends with the file.
 *
 * Errors: `file-not-found`, `file-unreadable`; `source-changed` when the file is shorter than what was read of it before.
 *
 * ```ts
 * const words = t.stream('lines', textLines('book.txt')).flatMap((line) => line.split(' '))
 * ```
 */
export function textLines(path: string, { batchBytes = 16 << 20, partitions }: TextLinesOptions = {}): BatchSource<string> {
  for (const [option, value] of Object.entries({ batchBytes, partitions: partitions ?? 1 }))
    if (!Number.isSafeInteger(value) || value < 1)
      throw new SquallError('bad-option', { option, of: 'textLines', value, expected: 'a whole number from 1' })
  return {
    kind: 'transactional',
    planner: () => new FilePlanner(path, batchBytes),
    reader: ({ tasks }): Reader<string> => {
      const parts = partitions ?? tasks
      return {
        partitions: () => parts,
        read(range, partition, push) {
          const { from, to } = range as ByteRange
          const at = (part: number): number => from + Math.floor(((to - from) * part) / parts)
          readLines({ file: path, from: at(partition), to: at(partition + 1) }, push)
        },
      }
    },
  }
}

class FilePlanner implements Planner {
  readonly #path: string
  readonly #batchBytes: number
  readonly #file: number
  readonly #size: number
  #taken = 0

  constructor(path: string, batchBytes: number) {
    this.#path = path
    this.#batchBytes = batchBytes
    try {
      this.#file = openSync(path, 'r')
      this.#size = fstatSync(this.#file).size
    } catch (error) {
      throw unreadable(path, error)
    }
  }

  next(last: unknown): ByteRange | undefined {
    const from = last === undefined ? 0 : (last as ByteRange).to
    this.#taken = from
    if (from > this.#size)
      throw new SquallError('source-changed', { source: this.#path, reason: `${from} bytes of it were read, it has ${this.#size}` })
    if (from === this.#size) return undefined
    this.#taken = this.#lineEnd(Math.min(this.#size, from + this.#batchBytes))
    return { from, to: this.#taken }
  }

  get hasEnded(): boolean {
    return this.#taken >= this.#size
  }

  close(): void {
    closeSync(this.#file)
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
