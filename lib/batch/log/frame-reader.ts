/** Reads a file of frames from one of them on, while somebody may be writing behind them. Blocks: for sources, whose readers do. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { unreadable } from '../rdd/text.ts'
import { bodyBytesOf, headBytes, isFrame } from './frames.ts'

const chunkBytes = 256 << 10

export class FrameReader {
  readonly path: string
  readonly #file: number
  /** where the next frame begins */
  byte: number
  #chunk: Buffer = Buffer.alloc(0)
  #chunkAt = 0

  /** Errors: `file-not-found`, `file-unreadable`. */
  constructor(path: string, byte: number) {
    this.path = path
    this.byte = byte
    try {
      this.#file = openSync(path, 'r')
    } catch (error) {
      throw unreadable(path, error)
    }
  }

  /** The records of the next frame; `undefined` when no whole one is there. */
  next(): readonly Buffer[] | undefined {
    const at = this.byte
    const bytes = bodyBytesOf(this.#bytes(at, headBytes))
    const frame = this.#bytes(at, headBytes + bytes)
    if (!isFrame(frame, at)) return undefined
    this.byte += frame.length
    const records: Buffer[] = []
    for (let p = headBytes; p < frame.length;) {
      const end = p + 4 + frame.readUInt32LE(p)
      records.push(frame.subarray(p + 4, end))
      p = end
    }
    return records
  }

  get sizeBytes(): number {
    return fstatSync(this.#file).size
  }

  close(): void {
    closeSync(this.#file)
  }

  /** What there is of these bytes. A chunk is never written again: views of it stay valid. */
  #bytes(at: number, count: number): Buffer {
    if (at < this.#chunkAt || at + count > this.#chunkAt + this.#chunk.length) {
      const buffer = Buffer.allocUnsafeSlow(Math.max(count, Math.min(chunkBytes, Math.max(0, this.sizeBytes - at))))
      let done = 0
      try {
        for (let bytes = 1; bytes > 0 && done < buffer.length; done += bytes)
          bytes = readSync(this.#file, buffer, done, buffer.length - done, at + done)
      } catch (error) {
        throw unreadable(this.path, error)
      }
      this.#chunk = buffer.subarray(0, done)
      this.#chunkAt = at
    }
    return this.#chunk.subarray(at - this.#chunkAt, at - this.#chunkAt + count)
  }
}
