/**
 * The text of the word-count scenarios, once in memory however many threads read it: bytes in a `SharedArrayBuffer`, and
 * for each spout a reader that decodes 64 KB at a time and cuts lines from it when they are asked for. A million lines as
 * strings of their own would take four times the room, and that in every thread.
 */
import { isAscii } from 'node:buffer'
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { z } from '../lib/index.ts'
import { SquallError } from '../lib/errors.ts'

export interface Text {
  /** whole lines, each with its line feed; in shared memory */
  readonly bytes: Uint8Array
  /** decoding is several times cheaper then, and strings take half the room */
  readonly isAscii: boolean
}

export const textParam: z.ZodType<Text> = z.custom<Text>((value) => (value as Text | undefined)?.bytes instanceof Uint8Array)

/** Small enough for the young generation: larger strings get pages of their own, which cost a page fault for every 4 KB. */
const chunkBytes = 64 << 10
const lineFeed = 10

/** The lines of one spout task: from its share of the text on, and from the start again when the text is over. */
export class Lines {
  readonly #bytes: Buffer
  readonly #encoding: BufferEncoding
  #next: number
  #chunk = ''
  #at = 0

  constructor(text: Text, taskIndex: number, taskCount: number) {
    this.#bytes = Buffer.from(text.bytes.buffer, text.bytes.byteOffset, text.bytes.byteLength)
    this.#encoding = text.isAscii ? 'latin1' : 'utf8'
    const share = Math.floor((this.#bytes.length / taskCount) * taskIndex)
    this.#next = share === 0 ? 0 : this.#bytes.indexOf(lineFeed, share) + 1
  }

  next(): string {
    if (this.#at === this.#chunk.length) this.#refill()
    const end = this.#chunk.indexOf('\n', this.#at)
    const line = this.#chunk.slice(this.#at, end)
    this.#at = end + 1
    return line
  }

  #refill(): void {
    const bytes = this.#bytes
    const from = this.#next === bytes.length ? 0 : this.#next
    let to = Math.min(from + chunkBytes, bytes.length)
    const whole = bytes.lastIndexOf(lineFeed, to - 1) + 1
    to = whole > from ? whole : bytes.indexOf(lineFeed, from) + 1
    this.#chunk = bytes.toString(this.#encoding, from, to)
    this.#at = 0
    this.#next = to
  }
}

/** The text of a file. */
export function readText(file: string): Text {
  try {
    const fd = openSync(file, 'r')
    try {
      const { size } = fstatSync(fd)
      if (size === 0) throw new SquallError('file-unreadable', { file, reason: 'it is empty' })
      const memory = new Uint8Array(new SharedArrayBuffer(size + 1))
      let length = 0
      for (let read = -1; read !== 0 && length < size; length += read) read = readSync(fd, memory, length, size - length, null)
      if (memory[length - 1] !== lineFeed) memory[length++] = lineFeed
      return textOf(memory.subarray(0, length))
    } finally {
      closeSync(fd)
    }
  } catch (error) {
    if (error instanceof SquallError) throw error
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') throw new SquallError('file-not-found', { file }, {}, { cause: error })
    throw new SquallError('file-unreadable', { file, reason: message }, {}, { cause: error })
  }
}

function textOf(bytes: Uint8Array): Text {
  // in parts and by way of a copy, because `isAscii` takes no shared memory
  const part = new Uint8Array(chunkBytes)
  let ascii = true
  for (let at = 0; ascii && at < bytes.length; at += chunkBytes) {
    const length = Math.min(chunkBytes, bytes.length - at)
    part.set(bytes.subarray(at, at + length))
    ascii = isAscii(part.subarray(0, length))
  }
  return { bytes, isAscii: ascii }
}

const sample = { vocabulary: 10_000, wordsPerLine: 6, bytesPerLineMax: 6 * 11 }

/**
 * `lines` sentences of six words, always the same: words of 2 to 10 small letters, 10,000 of them, drawn by Zipf's law
 * (exponent 1) with a seeded generator (mulberry32).
 */
export function sampleText(lines: number): Text {
  const random = mulberry32(1)
  const words = new Set<string>()
  while (words.size < sample.vocabulary) {
    const letters = 2 + Math.floor(random() * 9)
    words.add(String.fromCharCode(...Array.from({ length: letters }, () => 97 + Math.floor(random() * 26))))
  }
  const vocabulary = [...words].map((word) => Buffer.from(word, 'latin1'))
  const weights = new Float64Array(sample.vocabulary)
  let total = 0
  for (let rank = 0; rank < weights.length; rank++) weights[rank] = total += 1 / (rank + 1)
  const draw = (): Buffer => vocabulary[firstAtLeast(weights, random() * total)] as Buffer

  const memory = new Uint8Array(new SharedArrayBuffer(lines * sample.bytesPerLineMax))
  let length = 0
  for (let line = 0; line < lines; line++)
    for (let k = 1; k <= sample.wordsPerLine; k++) {
      const word = draw()
      memory.set(word, length)
      length += word.length
      memory[length++] = k === sample.wordsPerLine ? lineFeed : 32
    }
  return { bytes: memory.subarray(0, length), isAscii: true }
}

function mulberry32(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** The place of the first of `sorted` that is not below `wanted`. */
function firstAtLeast(sorted: Float64Array, wanted: number): number {
  let low = 0
  let high = sorted.length - 1
  while (low < high) {
    const middle = (low + high) >> 1
    if ((sorted[middle] as number) < wanted) low = middle + 1
    else high = middle
  }
  return low
}
