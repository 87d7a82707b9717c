/**
 * Values as bytes, for another task or for a file: msgpack, in which maps stay maps and objects objects. (Objects are records, which each
 * pack describes anew, so that the other side needs no tables.)
 *
 * Text is UTF-8 there, which cannot hold half of a surrogate pair: `'😀'.split('')` would come back as two texts that are the same. Such a text
 * goes as UTF-16.
 *
 * Budget: a search for bytes of which such a text leaves some; only where they are found, which also happens by chance, a look at all values.
 */
import { addExtension, Packr } from 'msgpackr'

const packr = new Packr({ useRecords: true, mapsAsObjects: false, moreTypes: true, writeFunction: refuseFunction })

class IllFormed {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

// msgpackr keeps these for all of its packers; no other gives it an `IllFormed`
addExtension({
  Class: IllFormed,
  type: 1,
  pack: ({ text }: IllFormed) => Buffer.from(text, 'utf16le'),
  unpack: (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf16le'),
})

// it would be written as an object without fields: what an async function was to return would be lost in silence
addExtension({
  Class: Promise,
  type: 2,
  pack: () => {
    throw new TypeError('a promise cannot be kept: await it, or let the function that gave it not be async')
  },
})

/** Throws a `TypeError` for what cannot be packed. */
export function packed(value: unknown): Buffer {
  const bytes = packr.pack(value)
  // msgpackr gives it another name when it reads it
  if (bytes.includes('__proto__') && hasProtoField(value)) throw new TypeError('a field named __proto__ cannot be kept')
  if (!mayHaveLost(bytes)) return bytes
  const kept = withIllFormed(value)
  return kept === value ? bytes : packr.pack(kept)
}

export function unpacked(bytes: Uint8Array): unknown {
  return packr.unpack(bytes) as unknown
}

export function refuseFunction(): never {
  throw new TypeError('a function cannot be kept')
}

/** Whether there is what becomes of a lone surrogate: U+FFFD, or the surrogate by itself in three bytes. */
function mayHaveLost(bytes: Buffer): boolean {
  if (bytes.includes('\ufffd')) return true
  for (let at = bytes.indexOf(0xed); at !== -1; at = bytes.indexOf(0xed, at + 1))
    if (((bytes[at + 1] ?? 0) & 0xe0) === 0xa0 && ((bytes[at + 2] ?? 0) & 0xc0) === 0x80) return true
  return false
}

function hasProtoField(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  if (Array.isArray(value) || value instanceof Set) return [...value].some(hasProtoField)
  if (value instanceof Map) return [...value].flat().some(hasProtoField)
  return Object.hasOwn(value, '__proto__') || Object.values(value).some(hasProtoField)
}

/** The same value if all its texts are well-formed. */
function withIllFormed(value: unknown): unknown {
  if (typeof value === 'string') return value.isWellFormed() ? value : new IllFormed(value)
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return itemsWithIllFormed(value)
  if (value instanceof Map) return rebuilt(value, [...value], (entries) => new Map(entries as [unknown, unknown][]))
  if (value instanceof Set) return rebuilt(value, [...value], (items) => new Set(items))
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) return value
  return rebuilt(value, Object.entries(value), (entries) => Object.fromEntries(entries as [string, unknown][]))
}

function rebuilt(value: unknown, items: readonly unknown[], from: (items: readonly unknown[]) => unknown): unknown {
  const kept = itemsWithIllFormed(items)
  return kept === items ? value : from(kept)
}

function itemsWithIllFormed(items: readonly unknown[]): readonly unknown[] {
  let copy: unknown[] | undefined
  for (let i = 0; i < items.length; i++) {
    const item = items[i]
    const kept = withIllFormed(item)
    if (!Object.is(kept, item)) (copy ??= items.slice())[i] = kept
  }
  return copy ?? items
}
