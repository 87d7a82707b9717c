/**
 * The material a bundle is made of: 32-bit little-endian words in a growing scratch buffer, and the values that need
 * more than one line to write or read. The generated codecs (`codec.ts`) and the bundle framing (`bundle.ts`) both
 * work on a `WordWriter` and a `WordReader`.
 *
 * Everything starts at a word: no unaligned loads, no byte loop for numbers, and a short string is one to four words
 * that can be compared at once. That pays for the receiver's *string table*: strings of up to 15 latin-1 characters
 * are looked up by their words in a fixed table, so a repeated word is the same string object each time, nothing is
 * allocated and its hash (for the `Map.get` that follows) is already there. The table belongs to the thread, is
 * bounded, needs no word from the sender, and a lookup compares all words, so a string is never mistaken.
 *
 * Measured, ns to read one word of a Zipf text of 10,000, alone and with the `Map` counting that follows (prototypes, same run):
 *
 *                                                           Zipf        all different
 *     the string table                                    14 / 61         36 / 103
 *     all strings of a bundle in one heap, substring      17 / 81         14 / 79
 *     String.fromCharCode                                 41 / 91         26 / 91
 *
 * On the sending side (characters one by one 26, a heap 28 to 37) a dictionary loses: finding a fresh string in a `Map` costs 50 to 70.
 *
 * A string on the wire:
 *
 *     length 0..15, all characters below 256   length | c0 << 8 | c1 << 16 | c2 << 24, then four characters a word
 *     longer, ASCII                            0xff | length << 8, then the characters, padded to a word
 *     anything else                            0xfe | length << 8, then UTF-16 code units, padded to a word
 *
 * UTF-16 is exact: lone surrogates arrive as they left.
 *
 * No string is a slice of the bundle it came in: a slice would keep the whole bundle alive for as long as one key of
 * it stays in somebody's state.
 */
import { SquallError } from '../errors.ts'
import { assert } from '../std/assert.ts'
import type { WireLimits } from './limits.ts'

assert(new Uint8Array(Int32Array.of(1).buffer)[0] === 1, 'the wire is little-endian and so is this machine')

const shortLengthMax = 15
const asciiMark = 0xff
const utf16Mark = 0xfe

// -- writing

/** A scratch buffer seen as words and as bytes; `position` counts the words that are final. */
export class WordWriter {
  readonly limits: WireLimits
  words: Int32Array
  bytes: Buffer
  position = 0

  constructor(limits: WireLimits, capacityWords = 4096) {
    this.limits = limits
    const buffer = new ArrayBuffer(capacityWords * 4)
    this.words = new Int32Array(buffer)
    this.bytes = Buffer.from(buffer)
  }

  /** Makes room for `more` words after `position` and keeps what was written; returns the words, which may be new ones. */
  grow(position: number, more: number): Int32Array {
    if (position + more <= this.words.length) return this.words
    let capacity = this.words.length * 2
    while (capacity < position + more) capacity *= 2
    const buffer = new ArrayBuffer(capacity * 4)
    const words = new Int32Array(buffer)
    words.set(this.words)
    this.words = words
    this.bytes = Buffer.from(buffer)
    return words
  }
}

/** Writes `text` at word `p` and returns the word after it. Four words of room are the caller's business; more is made here. */
export function putString(out: WordWriter, p: number, text: string): number {
  const length = text.length
  if (length > shortLengthMax) return putLongString(out, p, text)
  const bytes = out.bytes
  const end = p + 1 + (length >> 2)
  out.words[end - 1] = 0
  let at = p * 4
  bytes[at] = length
  let all = 0
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i)
    all |= code
    bytes[++at] = code
  }
  return all > 255 ? putUtf16(out, p, text) : end
}

function putLongString(out: WordWriter, p: number, text: string): number {
  const length = text.length
  if (length > out.limits.stringBytesMax) throw tooLarge('a string', length, 'stringBytesMax', out.limits.stringBytesMax)
  // ASCII if and only if UTF-8 takes as many bytes as there are characters; four spare bytes so that one character
  // that takes more shows, wherever the room ends
  out.grow(p, (length + 11) >> 2)
  const at = (p + 1) * 4
  if (out.bytes.write(text, at, length + 4, 'utf8') !== length) return putUtf16(out, p, text)
  out.words[p] = asciiMark | (length << 8)
  return padded(out, at + length)
}

function putUtf16(out: WordWriter, p: number, text: string): number {
  const size = text.length * 2
  if (size > out.limits.stringBytesMax) throw tooLarge('a string', size, 'stringBytesMax', out.limits.stringBytesMax)
  const words = out.grow(p, 2 + (size >> 2))
  const at = (p + 1) * 4
  out.bytes.write(text, at, size, 'utf16le')
  words[p] = utf16Mark | (text.length << 8)
  return padded(out, at + size)
}

/** Writes the length of `bytes` and `bytes` at word `p`, with the room made, and returns the word after them. */
export function putBytes(out: WordWriter, p: number, bytes: Uint8Array): number {
  const size = bytes.length
  if (size > out.limits.stringBytesMax) throw tooLarge('a value', size, 'stringBytesMax', out.limits.stringBytesMax)
  const words = out.grow(p, 2 + (size >> 2))
  words[p] = size
  out.bytes.set(bytes, (p + 1) * 4)
  return padded(out, (p + 1) * 4 + size)
}

/** Zeroes up to the next word, so that a bundle is a function of its tuples and of nothing that was there before. */
function padded(out: WordWriter, end: number): number {
  let at = end
  while ((at & 3) !== 0) out.bytes[at++] = 0
  return at >> 2
}

/** An integer beyond 31 bits: 1 | its high half << 1, then its low half. */
export function putWideInt(words: Int32Array, p: number, value: number): number {
  words[p] = (Math.floor(value / 0x1_0000_0000) << 1) | 1
  words[p + 1] = value | 0
  return p + 2
}

const float = new Float64Array(1)
const floatWords = new Int32Array(float.buffer)

export function putFloat(words: Int32Array, p: number, value: number): number {
  float[0] = value
  words[p] = floatWords[0] as number
  words[p + 1] = floatWords[1] as number
  return p + 2
}

/** Hexadecimal with its sign, as a string: exact at any size. */
export function putBigInt(out: WordWriter, p: number, value: bigint): number {
  return putString(out, p, value.toString(16))
}

// -- reading

/**
 * The words of one bundle, copied out of wherever they arrived: aligned, private to this thread, and without a new view per bundle.
 * Reading past `end` gives rubbish and no fault, on purpose: the bundle checks the position after each tuple, and whoever allocates
 * by a length from the wire checks that length first.
 */
export class WordReader {
  readonly limits: WireLimits
  words: Int32Array
  bytes: Buffer
  position = 0
  end = 0

  constructor(limits: WireLimits, capacityWords = 4096) {
    this.limits = limits
    const buffer = new ArrayBuffer(capacityWords * 4)
    this.words = new Int32Array(buffer)
    this.bytes = Buffer.from(buffer)
  }

  /** Takes a copy of `bytes`, whose size is a whole number of words. */
  load(bytes: Uint8Array): void {
    if (bytes.length > this.bytes.length) {
      let size = this.bytes.length * 2
      while (size < bytes.length) size *= 2
      const buffer = new ArrayBuffer(size)
      this.words = new Int32Array(buffer)
      this.bytes = Buffer.from(buffer)
    }
    this.bytes.set(bytes)
    this.position = 0
    this.end = bytes.length >> 2
  }
}

// The string table: four words and a string for each slot, one string a slot, the newest wins. 8,192 slots keep nine
// of ten words of a Zipf text of 10,000; more slots cost more in cache misses than they save.
const slotBits = 13
const slotWords = new Int32Array(4 << slotBits)
const slotStrings = new Array<string>(1 << slotBits).fill('')

export function takeString(source: WordReader): string {
  const words = source.words
  const p = source.position
  const a = words[p] as number
  const length = a & 0xff
  if (length > shortLengthMax) return takeLongString(source, a)
  const b = length > 3 ? (words[p + 1] as number) : 0
  if (length < 8) {
    source.position = p + 1 + (length >> 2)
    const slot = slotOf(a, b)
    const at = slot << 2
    if (slotWords[at] === a && slotWords[at + 1] === b) return slotStrings[slot] as string
    slotWords[at] = a
    slotWords[at + 1] = b
    return (slotStrings[slot] = shortString(length, a, b))
  }
  const c = words[p + 2] as number
  const d = length > 11 ? (words[p + 3] as number) : 0
  source.position = p + 1 + (length >> 2)
  const slot = slotOf(a ^ Math.imul(c, 0x85ebca6b), b ^ Math.imul(d, 0xc2b2ae35))
  const at = slot << 2
  if (slotWords[at] === a && slotWords[at + 1] === b && slotWords[at + 2] === c && slotWords[at + 3] === d)
    return slotStrings[slot] as string
  slotWords[at] = a
  slotWords[at + 1] = b
  slotWords[at + 2] = c
  slotWords[at + 3] = d
  return (slotStrings[slot] = middleString(length, a, b, c, d))
}

function slotOf(a: number, b: number): number {
  const h = Math.imul(Math.imul(a, 0xcc9e2d51) ^ b, 0x1b873593)
  return (h ^ (h >>> 15)) >>> (32 - slotBits)
}

function shortString(length: number, a: number, b: number): string {
  const whole = String.fromCharCode((a >>> 8) & 255, (a >>> 16) & 255, a >>> 24, b & 255, (b >>> 8) & 255, (b >>> 16) & 255, b >>> 24)
  return length === 7 ? whole : whole.substring(0, length)
}

// prettier-ignore
function middleString(length: number, a: number, b: number, c: number, d: number): string {
  const whole = String.fromCharCode(
    (a >>> 8) & 255, (a >>> 16) & 255, a >>> 24, b & 255, (b >>> 8) & 255, (b >>> 16) & 255, b >>> 24,
    c & 255, (c >>> 8) & 255, (c >>> 16) & 255, c >>> 24, d & 255, (d >>> 8) & 255, (d >>> 16) & 255, d >>> 24,
  )
  return length === 15 ? whole : whole.substring(0, length)
}

function takeLongString(source: WordReader, head: number): string {
  const mark = head & 0xff
  const length = head >>> 8
  const from = (source.position + 1) * 4
  if (mark === asciiMark) {
    skip(source, length)
    return source.bytes.toString('latin1', from, from + length)
  }
  if (mark !== utf16Mark) throw corrupt('a string has a length that does not exist')
  skip(source, length * 2)
  return source.bytes.toString('utf16le', from, from + length * 2)
}

export function takeBytes(source: WordReader): Uint8Array {
  const size = source.words[source.position] as number
  const from = (source.position + 1) * 4
  skip(source, size >>> 0)
  return new Uint8Array(source.bytes.buffer.slice(from, from + size) as ArrayBuffer)
}

/** Moves past a head word and `size` bytes, if they are there. */
function skip(source: WordReader, size: number): void {
  if (size > source.limits.stringBytesMax) throw tooLarge('a value in a bundle', size, 'stringBytesMax', source.limits.stringBytesMax)
  const next = source.position + 1 + ((size + 3) >> 2)
  if (next > source.end) throw corrupt('a value is longer than the bundle')
  source.position = next
}

/** The count of an array's items; each takes at least a word, so a count the bundle cannot hold is refused before anything is allocated. */
export function takeCount(source: WordReader): number {
  const count = (source.words[source.position++] as number) >>> 0
  if (count > source.limits.arrayItemsMax) throw tooLarge('an array in a bundle', count, 'arrayItemsMax', source.limits.arrayItemsMax)
  if (count > source.end - source.position) throw corrupt('an array is longer than the bundle')
  return count
}

export function takeInt(source: WordReader): number {
  const word = source.words[source.position++] as number
  return (word & 1) === 0 ? word >> 1 : takeWideInt(source, word)
}

function takeWideInt(source: WordReader, head: number): number {
  const value = (head >> 1) * 0x1_0000_0000 + ((source.words[source.position++] as number) >>> 0)
  if (!Number.isSafeInteger(value)) throw corrupt('an integer is not a safe one')
  return value
}

export function takeFloat(source: WordReader): number {
  floatWords[0] = source.words[source.position] as number
  floatWords[1] = source.words[source.position + 1] as number
  source.position += 2
  return float[0] as number
}

/** A word that is 0 or 1: a boolean, or whether a value is there. */
export function takeFlag(source: WordReader): boolean {
  const word = source.words[source.position++] as number
  if ((word & ~1) !== 0) throw corrupt('a flag is neither 0 nor 1')
  return word === 1
}

export function takeBigInt(source: WordReader): bigint {
  const text = takeString(source)
  if (!/^-?[0-9a-f]+$/.test(text)) throw corrupt('a bigint is not a hexadecimal number')
  return text.startsWith('-') ? -BigInt(`0x${text.slice(1)}`) : BigInt(`0x${text}`)
}

// -- faults

export function corrupt(reason: string): SquallError {
  return new SquallError('bundle-corrupt', { reason })
}

export function tooLarge(what: string, size: number, limit: keyof WireLimits, max: number): SquallError {
  return new SquallError('wire-limit', { what, size, limit, max })
}
