/**
 * Values without a fixed type, as msgpack.
 *
 * msgpackr does the work; this file decides what may reach it. msgpack's extensions can build functions from names on
 * the wire, regular expressions, errors and cyclic references, and its decoder recurses as deep as the bytes say. So
 * the bytes are walked first, on both sides: what a receiver would refuse, its sender refuses, with the name of the field.
 *
 * What arrives: null, undefined, booleans, numbers, bigints, strings, arrays, plain objects, dates, sets, bytes and typed
 * arrays. As msgpack has it, -0 arrives as 0, a lone surrogate as U+FFFD, a `Map` and an instance of a class as a
 * plain object. Give a field a type where that matters.
 */
import { Packr, Unpackr } from 'msgpackr'
import { SquallError } from '../errors.ts'
import { corrupt, putBytes, takeBytes, type WordReader, type WordWriter } from './words.ts'

const packr = new Packr({ useRecords: false, moreTypes: true, writeFunction: refuseFunction })
const unpackr = new Unpackr({ useRecords: false, moreTypes: true, copyBuffers: true })

function refuseFunction(): never {
  throw corrupt('a function cannot travel')
}

/** Writes `value` at word `p` and returns the word after it, or throws what says why it cannot travel. */
export function putAny(out: WordWriter, p: number, value: unknown): number {
  const bytes = packr.pack(value)
  checkMsgpack(bytes, out.limits.depthMax)
  return putBytes(out, p, bytes)
}

export function takeAny(source: WordReader): unknown {
  const bytes = takeBytes(source)
  checkMsgpack(bytes, source.limits.depthMax)
  try {
    return unpackr.unpack(bytes)
  } catch (cause) {
    throw new SquallError('bundle-corrupt', { reason: 'a value without a type is not msgpack' }, {}, { cause })
  }
}

/** Throws unless `bytes` are one msgpack value of known types, no deeper than `depthMax`. */
function checkMsgpack(bytes: Uint8Array, depthMax: number): void {
  // the items still to come at each depth, below zero in an object; a flat loop, so the bytes cannot use up the stack
  const pending: number[] = [1]
  let at = 0
  while (pending.length > 0) {
    const left = pending.pop() as number
    if (left === 0) continue
    pending.push(left - Math.sign(left))
    if (left < 0 && left % 2 === 0) checkKey(bytes, at)
    const token = tokenAt(bytes, at)
    at = token.next
    if (at > bytes.length) throw corrupt('a value without a type is cut short')
    if (token.items === 0) continue
    if (Math.abs(token.items) > bytes.length - at) throw corrupt('a value without a type has more items than bytes')
    if (pending.length > depthMax) throw corrupt(`a value without a type is nested deeper than ${depthMax}`)
    pending.push(token.items)
  }
  if (at !== bytes.length) throw corrupt('a value without a type has bytes left over')
}

const proto = Buffer.from('__proto__')

/** A key arrives as text, so it is text already or a simple value: a `Map` may have others. */
function checkKey(bytes: Uint8Array, at: number): void {
  const head = bytes[at] as number
  const isText = (head >= 0xa0 && head < 0xc0) || (head >= 0xd9 && head < 0xdc)
  const isSimple = head < 0x80 || head >= 0xe0 || (head >= 0xc0 && head < 0xc4) || (head >= 0xca && head < 0xd4)
  // msgpackr gives it another name when it reads it
  if (head === 0xa9 && bytes[at + 1] === 0x5f && Buffer.from(bytes.buffer, bytes.byteOffset + at + 1, 9).equals(proto))
    throw corrupt('a value without a type has a field named __proto__')
  if (!isText && !isSimple) throw corrupt('a value without a type holds a Map with keys that are no text and no number')
}

interface Token {
  /** Where the next token starts. */
  next: number
  /** How many of the tokens that follow belong to this one; below zero for the keys and values of an object. */
  items: number
}

const token: Token = { next: 0, items: 0 }

function tokenAt(bytes: Uint8Array, at: number): Token {
  const head = bytes[at] as number
  if (head < 0x80 || head >= 0xe0) return tokenOf(at + 1, 0)
  if (head < 0x90) return tokenOf(at + 1, (head & 15) * -2)
  if (head < 0xa0) return tokenOf(at + 1, head & 15)
  if (head < 0xc0) return tokenOf(at + 1 + (head & 31), 0)
  switch (head) {
    case 0xc0: // null
    case 0xc2: // false
    case 0xc3: // true
      return tokenOf(at + 1, 0)
    case 0xc4: // bytes
    case 0xd9: // string
      return tokenOf(at + 2 + sizeAt(bytes, at, 1), 0)
    case 0xc5:
    case 0xda:
      return tokenOf(at + 3 + sizeAt(bytes, at, 2), 0)
    case 0xc6:
    case 0xdb:
      return tokenOf(at + 5 + sizeAt(bytes, at, 4), 0)
    case 0xcc: // numbers
    case 0xd0:
      return tokenOf(at + 2, 0)
    case 0xcd:
    case 0xd1:
      return tokenOf(at + 3, 0)
    case 0xca:
    case 0xce:
    case 0xd2:
      return tokenOf(at + 5, 0)
    case 0xcb:
    case 0xcf:
    case 0xd3:
      return tokenOf(at + 9, 0)
    case 0xdc: // arrays
      return tokenOf(at + 3, sizeAt(bytes, at, 2))
    case 0xdd:
      return tokenOf(at + 5, sizeAt(bytes, at, 4))
    case 0xde: // objects
      return tokenOf(at + 3, sizeAt(bytes, at, 2) * -2)
    case 0xdf:
      return tokenOf(at + 5, sizeAt(bytes, at, 4) * -2)
    case 0xd4: // extensions
      return extension(bytes, at + 1, 1)
    case 0xd5:
      return extension(bytes, at + 1, 2)
    case 0xd6:
      return extension(bytes, at + 1, 4)
    case 0xd7:
      return extension(bytes, at + 1, 8)
    case 0xd8:
      return extension(bytes, at + 1, 16)
    case 0xc7:
      return extension(bytes, at + 2, sizeAt(bytes, at, 1))
    case 0xc8:
      return extension(bytes, at + 3, sizeAt(bytes, at, 2))
    case 0xc9:
      return extension(bytes, at + 5, sizeAt(bytes, at, 4))
    default:
      throw corrupt('a value without a type is not msgpack')
  }
}

const undefinedType = 0x00
const bigintType = 0x42
const setType = 0x73
const typedArrayType = 0x74
const dateType = 0xff

function extension(bytes: Uint8Array, at: number, size: number): Token {
  switch (bytes[at]) {
    case undefinedType:
    case dateType:
    case typedArrayType:
      return tokenOf(at + 1 + size, 0)
    case bigintType:
      if (size === 0) break
      return tokenOf(at + 1 + size, 0)
    case setType: // one filler byte, then an array
      if (size !== 1) break
      return tokenOf(at + 2, 1)
    default:
  }
  throw corrupt('a value without a type holds what cannot travel, such as a function, an error or a regular expression')
}

function tokenOf(next: number, items: number): Token {
  token.next = next
  token.items = items
  return token
}

/** The big-endian size after the head at `at`; past the end it is whatever puts the next token past the end too. */
function sizeAt(bytes: Uint8Array, at: number, width: 1 | 2 | 4): number {
  let size = 0
  for (let i = 1; i <= width; i++) size = size * 256 + (bytes[at + i] ?? 255)
  return size
}
