/**
 * A ring of frames in shared memory, from one thread to one other.
 *
 *     0     position of the writer, in bytes since the start, modulo 2^32
 *     128   position of the reader
 *     256   the ring: frames of [size in bytes, unused word | bytes, padded to 8]; a size of -1 says "go on at the start"
 *
 * Frames start at a multiple of 8 because V8 copies shared memory byte by byte unless both sides lie at the same place
 * modulo 8: measured, 3,600 bytes take 140 ns aligned and 1,000 ns not.
 *
 * A frame never wraps, so that both sides can work on one view of it. Each side owns one position, keeps a copy of the
 * other's, and looks at the real one only when the copy says full (or empty): an `Atomics.load` of a line the other
 * thread writes is the expensive part. The positions lie two cache lines apart for the same reason.
 *
 * Waking a thread that sleeps is not the ring's business.
 */
import { SquallError } from '../errors.ts'
import { assert } from '../std/assert.ts'
import { frameBytesMaxOf, ringFrameHeaderBytes } from './limits.ts'

const writePosition = 0
const readPosition = 32
const dataStart = 256
const wrapMark = -1
/**
 * A writer past this place that finds its ring drained goes back to the start, so that a ring no one fills stays small in memory.
 * Until the reader has followed, what it skipped counts as used and only this much is free: so it is not small.
 */
const residentBytes = 1 << 20

/** A ring of `capacityBytes`, a power of two from 64 bytes to 1 GiB. */
export function createRing(capacityBytes: number): SharedArrayBuffer {
  assert(isCapacity(capacityBytes), 'the capacity of a ring is a power of two from 64 bytes to 1 GiB')
  return new SharedArrayBuffer(dataStart + capacityBytes)
}

function isCapacity(bytes: number): boolean {
  return Number.isInteger(bytes) && bytes >= 64 && bytes <= 2 ** 30 && (bytes & (bytes - 1)) === 0
}

function capacityOf(ring: SharedArrayBuffer): number {
  const capacity = ring.byteLength - dataStart
  if (!isCapacity(capacity)) throw new SquallError('ring-corrupt', { reason: `it has ${ring.byteLength} bytes` })
  return capacity
}

/** What a frame of `size` bytes takes. */
function roomOf(size: number): number {
  return ringFrameHeaderBytes + ((size + 7) & ~7)
}

/** The one writer of a ring. */
export class RingWriter {
  /** The largest frame this ring takes. */
  readonly frameBytesMax: number
  readonly #words: Int32Array
  readonly #bytes: Uint8Array
  readonly #capacity: number
  #position: number
  /** The reader was at least this far. */
  #reader: number

  constructor(ring: SharedArrayBuffer) {
    this.#capacity = capacityOf(ring)
    this.frameBytesMax = frameBytesMaxOf(this.#capacity)
    this.#words = new Int32Array(ring)
    this.#bytes = new Uint8Array(ring)
    this.#position = Atomics.load(this.#words, writePosition)
    this.#reader = Atomics.load(this.#words, readPosition)
  }

  /**
   * Appends a copy of `frame`; false, and nothing done, when there is no room for it now.
   * @throws SquallError `wire-limit` for a frame that will never fit
   */
  tryWrite(frame: Uint8Array): boolean {
    if (frame.length > this.frameBytesMax)
      throw new SquallError('wire-limit', { what: 'a frame', size: frame.length, limit: 'frameBytesMax', max: this.frameBytesMax })
    const size = roomOf(frame.length)
    let offset = this.#position & (this.#capacity - 1)
    const toEnd = this.#capacity - offset
    const skipped = size > toEnd || (offset >= residentBytes && offset >= size && this.#isDrained()) ? toEnd : 0
    if (!this.#hasRoom(skipped + size)) return false
    if (skipped > 0) {
      this.#words[(dataStart + offset) >> 2] = wrapMark
      offset = 0
    }
    this.#words[(dataStart + offset) >> 2] = frame.length
    this.#bytes.set(frame, dataStart + offset + ringFrameHeaderBytes)
    this.#position = (this.#position + skipped + size) | 0
    Atomics.store(this.#words, writePosition, this.#position)
    return true
  }

  #isDrained(): boolean {
    this.#reader = Atomics.load(this.#words, readPosition)
    return this.#reader === this.#position
  }

  #hasRoom(size: number): boolean {
    if (this.#capacity - ((this.#position - this.#reader) >>> 0) >= size) return true
    this.#reader = Atomics.load(this.#words, readPosition)
    return this.#capacity - ((this.#position - this.#reader) >>> 0) >= size
  }
}

/** The one reader of a ring. */
export class RingReader {
  readonly #ring: SharedArrayBuffer
  readonly #words: Int32Array
  readonly #capacity: number
  readonly #frameBytesMax: number
  #position: number
  /** The writer was at least this far. */
  #writer: number

  constructor(ring: SharedArrayBuffer) {
    this.#ring = ring
    this.#capacity = capacityOf(ring)
    this.#frameBytesMax = frameBytesMaxOf(this.#capacity)
    this.#words = new Int32Array(ring)
    this.#position = Atomics.load(this.#words, readPosition)
    this.#writer = this.#position
  }

  /** Whether there is nothing to read now. */
  get isEmpty(): boolean {
    return this.#position === this.#writer && this.#position === this.#refresh()
  }

  /**
   * The next frame, or undefined: a view of the ring itself, valid until `release()`. Several frames may be read before one release.
   * @throws SquallError `ring-corrupt`
   */
  read(): Uint8Array | undefined {
    if (this.isEmpty) return undefined
    let offset = this.#position & (this.#capacity - 1)
    let size = this.#words[(dataStart + offset) >> 2] as number
    if (size === wrapMark) {
      this.#advance(this.#capacity - offset)
      offset = 0
      size = this.#words[dataStart >> 2] as number
    }
    if (size < 0 || size > this.#frameBytesMax) throw new SquallError('ring-corrupt', { reason: `a frame has ${size} bytes` })
    this.#advance(roomOf(size))
    const from = dataStart + offset + ringFrameHeaderBytes
    return new Uint8Array(this.#ring, from, size)
  }

  /** Gives the room of all frames read so far back to the writer. */
  release(): void {
    Atomics.store(this.#words, readPosition, this.#position)
  }

  #refresh(): number {
    this.#writer = Atomics.load(this.#words, writePosition)
    const ahead = (this.#writer - this.#position) >>> 0
    if (ahead > this.#capacity || (ahead & 7) !== 0) throw new SquallError('ring-corrupt', { reason: `the writer is ${ahead} bytes ahead` })
    return this.#writer
  }

  #advance(bytes: number): void {
    const ahead = (this.#writer - this.#position) >>> 0
    if (bytes > ahead) throw new SquallError('ring-corrupt', { reason: 'a frame is longer than what was written' })
    this.#position = (this.#position + bytes) | 0
  }
}
