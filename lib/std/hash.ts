/**
 * MurmurHash3 (x86, 32 bits) by Austin Appleby, over the UTF-8 bytes of a string or over bytes, and a deep hash of
 * any value built on it. Fields grouping rests on it: the same key gives the same task in every process.
 *
 * Budget: about 1 ns a character; ASCII strings are hashed from their char codes, without a copy.
 */
const c1 = 0xcc9e2d51
const c2 = 0x1b873593

const encoder = new TextEncoder()

export function murmur3(text: string, seed = 0): number {
  const length = text.length
  const whole = length & ~3
  let h = seed
  let i = 0
  for (; i < whole; i += 4) {
    const a = text.charCodeAt(i)
    const b = text.charCodeAt(i + 1)
    const c = text.charCodeAt(i + 2)
    const d = text.charCodeAt(i + 3)
    if ((a | b | c | d) > 127) return murmur3Bytes(encoder.encode(text), seed)
    let k = Math.imul(a | (b << 8) | (c << 16) | (d << 24), c1)
    k = (k << 15) | (k >>> 17)
    h ^= Math.imul(k, c2)
    h = (h << 13) | (h >>> 19)
    h = (Math.imul(h, 5) + 0xe6546b64) | 0
  }
  let k = 0
  for (let shift = 0; i < length; i++, shift += 8) {
    const c = text.charCodeAt(i)
    if (c > 127) return murmur3Bytes(encoder.encode(text), seed)
    k |= c << shift
  }
  return finish(h, k, length)
}

export function murmur3Bytes(bytes: Uint8Array, seed = 0): number {
  const length = bytes.length
  const whole = length & ~3
  let h = seed
  let i = 0
  for (; i < whole; i += 4) {
    let k = Math.imul(
      (bytes[i] as number) | ((bytes[i + 1] as number) << 8) | ((bytes[i + 2] as number) << 16) | ((bytes[i + 3] as number) << 24),
      c1,
    )
    k = (k << 15) | (k >>> 17)
    h ^= Math.imul(k, c2)
    h = (h << 13) | (h >>> 19)
    h = (Math.imul(h, 5) + 0xe6546b64) | 0
  }
  let k = 0
  for (let shift = 0; i < length; i++, shift += 8) k |= (bytes[i] as number) << shift
  return finish(h, k, length)
}

function finish(h: number, tail: number, length: number): number {
  let k = Math.imul(tail, c1)
  k = (k << 15) | (k >>> 17)
  h ^= Math.imul(k, c2)
  h ^= length
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}

const scratch = new DataView(new ArrayBuffer(8))

/**
 * A hash of any value by content: equal values (numbers by value, bytes and dates by content, arrays and plain objects
 * by their items) have equal hashes; the order of an object's keys does not count.
 */
export function hashValue(value: unknown, seed = 0): number {
  switch (typeof value) {
    case 'string':
      return murmur3(value, seed)
    case 'number':
      return hashNumber(value, seed)
    case 'boolean':
      return mix(seed, value ? 1 : 2)
    case 'bigint':
      return murmur3(value.toString(36), seed ^ 3)
    case 'object':
      return hashObject(value, seed)
    default:
      return mix(seed, 4)
  }
}

function hashNumber(value: number, seed: number): number {
  if ((value | 0) === value) return mix(seed, value | 0) // also turns -0 into 0
  scratch.setFloat64(0, value)
  return mix(mix(seed, scratch.getInt32(0)), scratch.getInt32(4))
}

function hashObject(value: object | null, seed: number): number {
  if (value === null) return mix(seed, 5)
  if (value instanceof Uint8Array) return murmur3Bytes(value, seed)
  if (value instanceof Date) return hashNumber(value.getTime(), seed ^ 6)
  if (Array.isArray(value)) return value.reduce<number>((h, item) => hashValue(item, h), mix(seed, value.length))
  let sum = 0
  for (const [key, item] of Object.entries(value))
    // a key that is absent here may be there, undefined, in another executor
    if (item !== undefined) sum = (sum + hashValue(item, murmur3(key, seed))) | 0
  return mix(seed, sum)
}

function mix(h: number, k: number): number {
  return finish(h, k, 4)
}

/** `hash` modulo `n`, never negative. */
export function floorMod(hash: number, n: number): number {
  const m = (hash % n) | 0 // the remainder of a negative hash may be -0, which is no small integer to the engine below us
  return m < 0 ? m + n : m
}
