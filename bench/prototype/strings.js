/**
 * Four ways to send a short string, each with `put(words, p, text)` -> next p and `take(words, p)` -> the text, `after` the next p.
 *
 *   table   length and characters packed four to a word; the reader looks the words up in a fixed table of strings it has seen
 *   codes   the same on the wire; the reader makes a new string of the character codes
 *   heap    all strings of a bundle in one stretch of bytes: one native call a bundle on either side, and a substring for each
 *   numbers the writer keeps a number for each text it has sent and sends only that; the reader keeps the texts (bounded and
 *           evicted in a real engine, not here)
 */

/** FNV-1a over the characters, finished so that the low bits are good. */
export function fnv(text) {
  let h = 0x811c9dc5
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193)
  return h ^ (h >>> 15)
}

/** MurmurHash3 (32 bits) of an ASCII text, four characters a round. */
export function murmur(text) {
  const length = text.length
  const whole = length & ~3
  let h = 0
  let i = 0
  for (; i < whole; i += 4) {
    let k = Math.imul(
      text.charCodeAt(i) | (text.charCodeAt(i + 1) << 8) | (text.charCodeAt(i + 2) << 16) | (text.charCodeAt(i + 3) << 24),
      0xcc9e2d51,
    )
    k = (k << 15) | (k >>> 17)
    h ^= Math.imul(k, 0x1b873593)
    h = (h << 13) | (h >>> 19)
    h = (Math.imul(h, 5) + 0xe6546b64) | 0
  }
  let k = 0
  for (let shift = 0; i < length; i++, shift += 8) k |= text.charCodeAt(i) << shift
  k = Math.imul(k, 0xcc9e2d51)
  k = (k << 15) | (k >>> 17)
  h ^= Math.imul(k, 0x1b873593) ^ length
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}

function pack(words, p, text) {
  const length = text.length
  let word = length
  let shift = 8
  for (let i = 0; i < length; i++) {
    word |= text.charCodeAt(i) << shift
    shift += 8
    if (shift === 32) {
      words[p++] = word
      word = 0
      shift = 0
    }
  }
  if (shift !== 0) words[p++] = word
  return p
}

export class Codes {
  after = 0
  put(words, p, text) {
    return pack(words, p, text)
  }
  take(words, p) {
    const a = words[p++]
    const length = a & 255
    const b = length > 3 ? words[p++] : 0
    const c = length > 7 ? words[p++] : 0
    this.after = p
    return made(length, a, b, c)
  }
}

function made(length, a, b, c) {
  switch (length) {
    case 1:
      return String.fromCharCode((a >>> 8) & 255)
    case 2:
      return String.fromCharCode((a >>> 8) & 255, (a >>> 16) & 255)
    case 3:
      return String.fromCharCode((a >>> 8) & 255, (a >>> 16) & 255, a >>> 24)
    case 4:
      return String.fromCharCode((a >>> 8) & 255, (a >>> 16) & 255, a >>> 24, b & 255)
    case 5:
      return String.fromCharCode((a >>> 8) & 255, (a >>> 16) & 255, a >>> 24, b & 255, (b >>> 8) & 255)
    case 6:
      return String.fromCharCode((a >>> 8) & 255, (a >>> 16) & 255, a >>> 24, b & 255, (b >>> 8) & 255, (b >>> 16) & 255)
    case 7:
      return String.fromCharCode((a >>> 8) & 255, (a >>> 16) & 255, a >>> 24, b & 255, (b >>> 8) & 255, (b >>> 16) & 255, b >>> 24)
    default:
      return String.fromCharCode(
        (a >>> 8) & 255,
        (a >>> 16) & 255,
        a >>> 24,
        b & 255,
        (b >>> 8) & 255,
        (b >>> 16) & 255,
        b >>> 24,
        c & 255,
        (c >>> 8) & 255,
        (c >>> 16) & 255,
        c >>> 24,
      ).substring(0, length)
  }
}

const slotBits = 13

export class Table {
  after = 0
  #words = new Int32Array(4 << slotBits)
  #strings = new Array(1 << slotBits).fill('')
  put(words, p, text) {
    return pack(words, p, text)
  }
  take(words, p) {
    const a = words[p++]
    const length = a & 255
    const b = length > 3 ? words[p++] : 0
    const c = length > 7 ? words[p++] : 0
    this.after = p
    const h = Math.imul(Math.imul(a, 0xcc9e2d51) ^ b, 0x1b873593) ^ Math.imul(c, 0x85ebca6b)
    const slot = (h ^ (h >>> 15)) >>> (32 - slotBits)
    const seen = this.#words
    const at = slot << 2
    if (seen[at] === a && seen[at + 1] === b && seen[at + 2] === c) return this.#strings[slot]
    seen[at] = a
    seen[at + 1] = b
    seen[at + 2] = c
    return (this.#strings[slot] = made(length, a, b, c))
  }
}

export class Heap {
  after = 0
  #written = ''
  #read = ''
  #at = 0
  put(words, p, text) {
    this.#written += text
    words[p] = text.length
    return p + 1
  }
  /** Writes the heap behind the tuples; returns the word after it. */
  close(bytes, p) {
    const size = bytes.latin1Write(this.#written, p * 4)
    this.#written = ''
    return p + ((size + 3) >> 2)
  }
  open(bytes, from, size) {
    this.#read = bytes.latin1Slice(from * 4, from * 4 + size)
    this.#at = 0
  }
  /** How many bytes are in the heap now. */
  get size() {
    return this.#written.length
  }
  take(words, p) {
    this.after = p + 1
    const from = this.#at
    return this.#read.substring(from, (this.#at = from + words[p]))
  }
}

export class Numbers {
  after = 0
  #sent = new Map()
  #seen = []
  put(words, p, text) {
    const number = this.#sent.get(text)
    if (number !== undefined) {
      words[p] = number
      return p + 1
    }
    this.#sent.set(text, this.#sent.size)
    words[p] = -1
    return pack(words, p + 1, text)
  }
  take(words, p) {
    const number = words[p++]
    if (number >= 0) {
      this.after = p
      return this.#seen[number]
    }
    const length = words[p] & 255
    const text = made(length, words[p], words[p + 1], words[p + 2])
    this.after = p + 1 + (length >> 2)
    this.#seen.push(text)
    return text
  }
}

export const stringCodecs = { table: Table, codes: Codes, heap: Heap, numbers: Numbers }
