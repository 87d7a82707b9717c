/**
 * Bundles: what one executor sends another at once, tuples or acks.
 *
 * Layout, in 32-bit little-endian words (values: `codec.ts`):
 *
 *     bundle     'S' 'Q' version 0 | entries | entry ...
 *     tuple      1 | codec << 8 | source task | target task << 16 | values
 *     anchored   2 | codec << 8 | source task | target task << 16 | root a, root b, edge a, edge b | values
 *     several    3 | codec << 8 | source task | target task << 16 | k | (root a, root b, edge a, edge b) * k | values
 *     ack        4              | root a, root b | xor a, xor b
 *     fail       5 | kind << 8  | root a, root b | task | reason, a string
 *     reset      6              | root a, root b
 *
 * System entries (ack, fail, reset) go into bundles of their own, on a lane of their own: the owner keeps one writer for each lane.
 *
 * Budget: 80 ns for one word with its ids (35 bytes), or a small tuple {word, n}, both sides together in bundles of 100, ring included;
 * nothing is allocated but the tuple that arrives. `bench/micro/codec.ts` on two busy cores: medians 73 to 80 without the ring, 80 with
 * it; the best runs of a quiet machine 58 to 62 and 63 to 69, of which writing is 31 to 37 and reading 25.
 */
import { SquallError } from '../errors.ts'
import { assert } from '../std/assert.ts'
import type { TupleCodec, Values } from './codec.ts'
import { bundleHeaderBytes, limitsWith, type WireLimits } from './limits.ts'
import { corrupt, putString, takeString, tooLarge, WordReader, WordWriter } from './words.ts'

const version = 1
const magic = 0x5153 // 'SQ'
const headerWords = bundleHeaderBytes >> 2

/** Words of a tuple with one anchor before its values. */
export const tupleHeadWords = 6

const tupleTag = 1
const anchoredTag = 2
const severalTag = 3
const ackTag = 4
const failTag = 5
const resetTag = 6

/** A reason is for people to read; a longer one is cut. */
const reasonLengthMax = 1000

/** Anchors of a tuple with several roots, flat: root a, root b, edge a, edge b, and again. */
export type Anchors = Int32Array | readonly number[]

/** Collects entries into one bundle. Its buffer is used again after `reset()` and grows as needed. */
export class BundleWriter {
  readonly #codecs: readonly TupleCodec[]
  readonly #limits: WireLimits
  readonly #out: WordWriter
  #entries = 0

  constructor(codecs: readonly TupleCodec[], limits: Partial<WireLimits> = {}) {
    assert(codecs.length < 2 ** 24, 'the index of a codec has 24 bits')
    this.#codecs = codecs
    this.#limits = limitsWith(limits)
    this.#out = new WordWriter(this.#limits)
    this.#out.position = headerWords
  }

  /** Entries since `reset()`. */
  get tuples(): number {
    return this.#entries
  }

  /** Bytes that `finish()` would return. */
  get bytes(): number {
    return this.#out.position * 4
  }

  /**
   * Appends one tuple. Ids are 64 bits as two int32; a root of 0, 0 is no root, and neither id is sent.
   * @throws SquallError `value-mismatch`, `wire-limit`; the bundle is then as it was before
   */
  tuple(
    codecIndex: number,
    sourceTask: number,
    targetTask: number,
    rootA: number,
    rootB: number,
    edgeA: number,
    edgeB: number,
    values: Values,
  ): void {
    const out = this.#out
    const start = out.position
    const words = out.grow(start, tupleHeadWords)
    const anchored = (rootA | rootB) !== 0
    words[start] = (anchored ? anchoredTag : tupleTag) | (codecIndex << 8)
    words[start + 1] = tasksWord(sourceTask, targetTask)
    if (anchored) {
      words[start + 2] = rootA
      words[start + 3] = rootB
      words[start + 4] = edgeA
      words[start + 5] = edgeB
    }
    const codec = this.#codecs[codecIndex] as TupleCodec
    this.#commit(start, codec.encode(out, start + (anchored ? tupleHeadWords : 2), values))
  }

  /** Appends one tuple with `count` anchors, at least 2; otherwise as `tuple`. */
  tupleAnchored(codecIndex: number, sourceTask: number, targetTask: number, anchors: Anchors, count: number, values: Values): void {
    const { anchorsMax } = this.#limits
    if (count > anchorsMax) throw tooLarge('the anchors of a tuple', count, 'anchorsMax', anchorsMax)
    const out = this.#out
    const start = out.position
    const words = out.grow(start, 3 + 4 * count)
    words[start] = severalTag | (codecIndex << 8)
    words[start + 1] = tasksWord(sourceTask, targetTask)
    words[start + 2] = count
    for (let i = 0; i < 4 * count; i++) words[start + 3 + i] = anchors[i] as number
    const codec = this.#codecs[codecIndex] as TupleCodec
    this.#commit(start, codec.encode(out, start + 3 + 4 * count, values))
  }

  /** Appends that the edges of a root whose ids XOR to `xorA`, `xorB` are done. */
  ack(rootA: number, rootB: number, xorA: number, xorB: number): void {
    const start = this.#out.position
    const words = this.#out.grow(start, 5)
    words[start] = ackTag
    words[start + 1] = rootA
    words[start + 2] = rootB
    words[start + 3] = xorA
    words[start + 4] = xorB
    this.#commit(start, start + 5)
  }

  /** Appends that `task` failed a root, and why. `kind` is the caller's own small number, 0 to 255. */
  fail(rootA: number, rootB: number, task: number, reason: string, kind: number): void {
    const out = this.#out
    const start = out.position
    const words = out.grow(start, 8)
    words[start] = failTag | (kind << 8)
    words[start + 1] = rootA
    words[start + 2] = rootB
    words[start + 3] = task
    this.#commit(start, putString(out, start + 4, reason.length > reasonLengthMax ? reason.slice(0, reasonLengthMax) : reason))
  }

  /** Appends that the time of a root starts anew. */
  resetTimeout(rootA: number, rootB: number): void {
    const start = this.#out.position
    const words = this.#out.grow(start, 3)
    words[start] = resetTag
    words[start + 1] = rootA
    words[start + 2] = rootB
    this.#commit(start, start + 3)
  }

  /** The bundle: a view of the writer's own buffer, valid until `reset()`. */
  finish(): Uint8Array {
    const out = this.#out
    out.words[0] = magic | (version << 16)
    out.words[1] = this.#entries
    return new Uint8Array(out.words.buffer, 0, out.position * 4) // not a Buffer, whose slice() would not copy
  }

  reset(): void {
    this.#out.position = headerWords
    this.#entries = 0
  }

  /** Nothing before this call moved the position: an entry that threw was never there. */
  #commit(start: number, end: number): void {
    const { tupleBytesMax, bundleBytesMax } = this.#limits
    if ((end - start) * 4 > tupleBytesMax) throw tooLarge('a tuple', (end - start) * 4, 'tupleBytesMax', tupleBytesMax)
    if (end * 4 > bundleBytesMax) throw tooLarge('a bundle', end * 4, 'bundleBytesMax', bundleBytesMax)
    this.#out.position = end
    this.#entries++
  }
}

/** A task id that does not fit would arrive as another task's. */
function tasksWord(sourceTask: number, targetTask: number): number {
  assert((sourceTask | targetTask) >>> 16 === 0, 'a task id has 16 bits')
  return sourceTask | (targetTask << 16)
}

/** What a bundle's entries are handed to, in order. It must not throw: the entries after would be lost. */
export interface BundleSink {
  tuple(
    codecIndex: number,
    sourceTask: number,
    targetTask: number,
    rootA: number,
    rootB: number,
    edgeA: number,
    edgeB: number,
    values: Values,
  ): void
  /** `anchors` holds 4 * `count` words and is valid during the call. */
  tupleAnchored(codecIndex: number, sourceTask: number, targetTask: number, anchors: Int32Array, count: number, values: Values): void
  ack(rootA: number, rootB: number, xorA: number, xorB: number): void
  fail(rootA: number, rootB: number, task: number, reason: string, kind: number): void
  resetTimeout(rootA: number, rootB: number): void
}

/** Takes bundles apart. One reader serves any number of bundles, one at a time. */
export class BundleReader {
  readonly #codecs: readonly TupleCodec[]
  readonly #limits: WireLimits
  readonly #source: WordReader

  constructor(codecs: readonly TupleCodec[], limits: Partial<WireLimits> = {}) {
    this.#codecs = codecs
    this.#limits = limitsWith(limits)
    this.#source = new WordReader(this.#limits)
  }

  /**
   * Hands each entry of `bytes` to `sink`. The bytes are copied first, so they may be overwritten meanwhile.
   * @returns how many entries there were
   * @throws SquallError `bundle-corrupt`, `bundle-version`, `wire-limit`; the entries before the fault were handed over
   */
  read(bytes: Uint8Array, sink: BundleSink): number {
    const entries = this.#open(bytes)
    const source = this.#source
    const words = source.words
    const { tasksMax, tupleBytesMax } = this.#limits
    for (let i = 0; i < entries; i++) {
      const p = source.position
      const head = words[p] as number
      const tag = head & 0xff
      if (tag > severalTag || tag === 0) {
        readSystemEntry(source, head, sink)
        continue
      }
      const codecIndex = head >>> 8
      const codec = this.#codecs[codecIndex]
      if (codec === undefined) throw corrupt(`there is no codec ${codecIndex}`)
      const sourceTask = (words[p + 1] as number) & 0xffff
      const targetTask = (words[p + 1] as number) >>> 16
      if (sourceTask >= tasksMax || targetTask >= tasksMax) throw corrupt(`there is no task ${Math.max(sourceTask, targetTask)}`)
      const anchors = tag === anchoredTag ? 1 : tag === tupleTag ? 0 : anchorsAt(source, p)
      source.position = p + 2 + (tag === severalTag ? 1 : 0) + 4 * anchors
      const values = codec.decode(source)
      if (source.position > source.end) throw corrupt('a tuple is cut short')
      const size = (source.position - p) * 4
      if (size > tupleBytesMax) throw tooLarge('a tuple in a bundle', size, 'tupleBytesMax', tupleBytesMax)
      if (tag === anchoredTag)
        sink.tuple(
          codecIndex,
          sourceTask,
          targetTask,
          words[p + 2] as number,
          words[p + 3] as number,
          words[p + 4] as number,
          words[p + 5] as number,
          values,
        )
      else if (tag === tupleTag) sink.tuple(codecIndex, sourceTask, targetTask, 0, 0, 0, 0, values)
      else sink.tupleAnchored(codecIndex, sourceTask, targetTask, words.subarray(p + 3, p + 3 + 4 * anchors), anchors, values)
    }
    if (source.position !== source.end) throw corrupt('bytes are left over after the last entry')
    return entries
  }

  /** Checks the header and returns the number of entries. */
  #open(bytes: Uint8Array): number {
    const { bundleBytesMax } = this.#limits
    if (bytes.length > bundleBytesMax) throw tooLarge('a bundle', bytes.length, 'bundleBytesMax', bundleBytesMax)
    if (bytes.length < bundleHeaderBytes || (bytes.length & 3) !== 0) throw corrupt('it is cut short')
    const source = this.#source
    source.load(bytes)
    const head = source.words[0] as number
    if ((head & 0xffff) !== magic) throw corrupt('it does not start like one')
    if (head >>> 16 !== version) throw new SquallError('bundle-version', { version: head >>> 16, known: version })
    source.position = headerWords
    return (source.words[1] as number) >>> 0
  }
}

/** How many anchors the tuple at `p` has; there are as many in the bundle. */
function anchorsAt(source: WordReader, p: number): number {
  const count = source.words[p + 2] as number
  if (count < 1 || count > source.limits.anchorsMax) throw corrupt(`a tuple has ${count} anchors`)
  if (p + 3 + 4 * count > source.end) throw corrupt('the anchors of a tuple are cut short')
  return count
}

function readSystemEntry(source: WordReader, head: number, sink: BundleSink): void {
  const { words, position: p } = source
  const rootA = words[p + 1] as number
  const rootB = words[p + 2] as number
  switch (head & 0xff) {
    case ackTag:
      advance(source, p + 5)
      sink.ack(rootA, rootB, words[p + 3] as number, words[p + 4] as number)
      return
    case failTag: {
      advance(source, p + 4)
      const task = words[p + 3] as number
      if (task >>> 0 >= source.limits.tasksMax) throw corrupt(`there is no task ${task}`)
      const reason = takeString(source)
      advance(source, source.position)
      sink.fail(rootA, rootB, task, reason, head >>> 8)
      return
    }
    case resetTag:
      advance(source, p + 3)
      sink.resetTimeout(rootA, rootB)
      return
    default:
      throw corrupt(`there is no entry ${head & 0xff}`)
  }
}

function advance(source: WordReader, position: number): void {
  if (position > source.end) throw corrupt('an entry is cut short')
  source.position = position
}

/** Takes one bundle apart; who reads many keeps a `BundleReader`. */
export function readBundle(bytes: Uint8Array, codecs: readonly TupleCodec[], limits: Partial<WireLimits>, sink: BundleSink): number {
  return new BundleReader(codecs, limits).read(bytes, sink)
}

assert(bundleHeaderBytes === 8, 'the header is the two words that finish() writes')
