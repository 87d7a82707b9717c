/**
 * The form of an append-only file: frames, one after the other, each of which is there whole or not at all.
 *
 *     frame:  magic u32 | size of the body u32 | checksum u32 | body
 *     body:   one record or more, each: size u32 | bytes          (numbers are little-endian)
 *
 * The checksum (CRC-32) covers the frame's offset in the file, its size and its body; so a frame that lies inside the data of another
 * one is none. One frame is written and made durable before the next is begun. Hence the verdicts on a file that ends wrong: when no
 * frame follows the broken place, it is a write that a crash cut short, whose writer was never told it was done; when one
 * follows, what is broken had been durable, and nobody may go on as if it had not been there. Nor with a file that begins as no write of ours does.
 */
import { crc32 } from 'node:zlib'
import { SquallError } from '../../errors.ts'
import type { FileSystem, OpenFile } from './file-system.ts'

const magic = 0x31_66_71_73 // "sqf1"
const magicBytes = Buffer.from('sqf1')
export const headBytes = 12
/** The largest body of a frame. */
export const frameBytesMax = 1 << 30
const chunkBytes = 4 << 20

/** What a file of frames turned out to be. */
export type Verdict =
  | { readonly kind: 'clean'; readonly sizeBytes: number }
  /** whole frames up to `sizeBytes`, then `lostBytes` of one that was cut short */
  | { readonly kind: 'cut'; readonly sizeBytes: number; readonly lostBytes: number }
  /** broken at `sizeBytes`, with at least one whole frame behind it; or no file of frames at all */
  | { readonly kind: 'corrupt'; readonly sizeBytes: number }

/** The bytes of a frame that will stand at byte `at` of its file. */
export function frameOf(records: readonly Uint8Array[], at: number): Buffer {
  const bodyBytes = records.reduce((sum, { length }) => sum + 4 + length, 0)
  if (bodyBytes > frameBytesMax)
    throw new SquallError('wire-limit', { what: 'one write to a log', size: bodyBytes, limit: 'frameBytesMax', max: frameBytesMax })
  const frame = Buffer.allocUnsafe(headBytes + bodyBytes)
  let p = headBytes
  for (const record of records) {
    frame.writeUInt32LE(record.length, p)
    frame.set(record, p + 4)
    p += 4 + record.length
  }
  frame.writeUInt32LE(magic, 0)
  frame.writeUInt32LE(bodyBytes, 4)
  frame.writeUInt32LE(checksum(frame, at), 8)
  return frame
}

/** Hands over every record of the whole frames of a file, in order, from the one at byte `from` on, and judges the rest. The views stay valid. */
export async function readFrames(file: OpenFile, onRecord: (record: Buffer) => void, from = 0): Promise<Verdict> {
  const bytes = new Bytes(file, await file.size())
  let at = from
  while (at < bytes.size) {
    const head = await bytes.at(at, headBytes)
    const frame = await bytes.at(at, headBytes + bodyBytesOf(head))
    if (!isFrame(frame, at)) return await verdictOn(bytes, at)
    for (let p = headBytes; p < frame.length;) {
      const next = p + 4 + frame.readUInt32LE(p)
      onRecord(frame.subarray(p + 4, next))
      p = next
    }
    at += frame.length
  }
  return { kind: 'clean', sizeBytes: at }
}

/** Whether a frame can be read, or written, from byte `at` of a file on: a whole one begins there, or the file ends there. */
export async function isFrameEdge(files: FileSystem, path: string, at: number): Promise<boolean> {
  const file = await files.open(path, 'read')
  if (file === undefined) return false
  try {
    const bytes = new Bytes(file, await file.size())
    if (at >= bytes.size) return at === bytes.size
    const head = await bytes.at(at, headBytes)
    return isFrame(await bytes.at(at, headBytes + bodyBytesOf(head)), at)
  } finally {
    await file.close()
  }
}

/** The error for a file that is broken in the middle. */
export function corruptError(file: string, offset: number): SquallError {
  return new SquallError('log-corrupt', { file, offset }, { file })
}

/** The verdict on a file that is not there is that of an empty one. */
export async function readFramesAt(files: FileSystem, path: string, onRecord: (record: Buffer) => void, from = 0): Promise<Verdict> {
  const file = await files.open(path, 'read')
  if (file === undefined) return { kind: 'clean', sizeBytes: 0 }
  try {
    return await readFrames(file, onRecord, from)
  } finally {
    await file.close()
  }
}

function checksum(frame: Buffer, at: number): number {
  const place = Buffer.allocUnsafe(8)
  place.writeDoubleLE(at, 0)
  return crc32(frame.subarray(headBytes), crc32(frame.subarray(0, 8), crc32(place)))
}

/** The size that a frame's head tells; 0 when it is none, so that nothing is read because of it. */
export function bodyBytesOf(head: Buffer): number {
  if (head.length < headBytes || head.readUInt32LE(0) !== magic) return 0
  const bytes = head.readUInt32LE(4)
  return bytes <= frameBytesMax ? bytes : 0
}

/** Whether these bytes, from byte `at` of a file on, are a whole frame. */
export function isFrame(bytes: Buffer, at: number): boolean {
  return (
    bytes.length >= headBytes &&
    bytes.readUInt32LE(0) === magic &&
    bytes.length === headBytes + bytes.readUInt32LE(4) &&
    checksum(bytes, at) === bytes.readUInt32LE(8)
  )
}

/** Looks for a whole frame behind the broken place. */
async function verdictOn(bytes: Bytes, brokenAt: number): Promise<Verdict> {
  for (let at = brokenAt + 1; at < bytes.size; at += chunkBytes) {
    const chunk = await bytes.at(at, chunkBytes + magicBytes.length - 1) // a magic may lie across two chunks
    for (let p = chunk.indexOf(magicBytes); p !== -1; p = chunk.indexOf(magicBytes, p + 1)) {
      const head = await bytes.at(at + p, headBytes)
      if (isFrame(await bytes.at(at + p, headBytes + bodyBytesOf(head)), at + p)) return { kind: 'corrupt', sizeBytes: brokenAt }
    }
  }
  // no crash leaves a file that was never one of frames: all of it would be thrown away
  if (brokenAt === 0 && !isBegun(await bytes.at(0, magicBytes.length))) return { kind: 'corrupt', sizeBytes: 0 }
  return { kind: 'cut', sizeBytes: brokenAt, lostBytes: bytes.size - brokenAt }
}

/** A write that was cut short begins as a frame does; after a power cut its first bytes may be missing, which are zeros then. */
function isBegun(start: Buffer): boolean {
  return start.every((byte, i) => byte === 0 || byte === magicBytes[i])
}

/** A file's bytes, read by the chunk. A chunk is never written again, so views of it stay valid. */
class Bytes {
  readonly size: number
  readonly #file: OpenFile
  #chunk = Buffer.alloc(0)
  #chunkAt = 0

  constructor(file: OpenFile, size: number) {
    this.#file = file
    this.size = size
  }

  /** `count` bytes from `at` on, or as many as there are. */
  async at(at: number, count: number): Promise<Buffer> {
    const wanted = Math.min(count, this.size - at)
    if (at < this.#chunkAt || at + wanted > this.#chunkAt + this.#chunk.length) {
      const buffer = Buffer.allocUnsafeSlow(Math.min(Math.max(wanted, chunkBytes), this.size - at))
      this.#chunk = buffer.subarray(0, await this.#file.read(buffer, at))
      this.#chunkAt = at
    }
    return this.#chunk.subarray(at - this.#chunkAt, at - this.#chunkAt + wanted)
  }
}
