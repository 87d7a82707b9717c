/**
 * What workers print: a file each, known to others by a name that says nothing. A file that has become large is put aside, in the place of the one
 * that was put aside before, and begins anew; the worker goes on appending.
 */
import { createHmac } from 'node:crypto'
import { copyFile, truncate } from 'node:fs/promises'
import { reasonOf } from '../../errors.ts'
import type { LogPart } from '../http/log-part.ts'
import { readPart, sizeOf } from './files.ts'

/** A file is put aside when it is larger. */
export const logBytesMax: number = 64 << 20
/** Of one answer. */
export const partBytesMax: number = 1 << 20
const partBytes = 64 << 10

export class Logs {
  readonly #token: string
  readonly #bytesMax: number
  readonly #report: (message: string) => void
  readonly #files = new Map<string, string>()
  #cutting: Promise<void> | undefined

  constructor(token: string, report: (message: string) => void, bytesMax: number = logBytesMax) {
    this.#token = token
    this.#report = report
    this.#bytesMax = bytesMax
  }

  /** The name of a worker's log: the same for every supervisor of this host, and nobody else can make it up. */
  add(key: string, file: string): string {
    const name = createHmac('sha256', this.#token).update(`log ${key}`).digest('hex').slice(0, 32)
    this.#files.set(name, file)
    return name
  }

  remove(name: string): void {
    this.#files.delete(name)
  }

  /** A part of a log, whole characters; without `from` its end. `undefined`: there is no such log. */
  read(name: string, from?: number, max: number = partBytes): LogPart | undefined {
    const file = this.#files.get(name)
    if (file === undefined) return undefined
    const size = sizeOf(file)
    const wanted = Math.min(max, partBytesMax)
    const at = from === undefined ? Math.max(0, size - wanted) : from > size ? 0 : from
    const bytes = readPart(file, at, wanted)
    // one that begins or ends within a character
    const first = from === undefined && at > 0 ? bytes.findIndex((byte) => (byte & 0xc0) !== 0x80) : 0
    const whole = bytes.subarray(Math.max(0, first), wholeCharacters(bytes))
    return { from: at + Math.max(0, first), next: at + Math.max(0, first) + whole.length, size, text: whole.toString() }
  }

  /** Puts aside what has become too large. What is printed meanwhile, for a moment, is lost. */
  async cut(): Promise<void> {
    await (this.#cutting ??= this.#cut().finally(() => (this.#cutting = undefined)))
  }

  async #cut(): Promise<void> {
    for (const file of this.#files.values())
      try {
        if (sizeOf(file) <= this.#bytesMax) continue
        await copyFile(file, `${file}.1`)
        await truncate(file, 0)
      } catch (error) {
        this.#report(`the log ${file} cannot be cut: ${reasonOf(error)}`)
      }
  }
}

/** The length without a last character that is not whole, if it may yet become so. */
function wholeCharacters(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(4, bytes.length); back++) {
    const byte = bytes[bytes.length - back] as number
    if ((byte & 0xc0) === 0x80) continue
    const length = byte < 0x80 ? 1 : byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1
    // a part that is nothing but a broken character is handed over as it is: one would never get past it
    return length > back && bytes.length > back ? bytes.length - back : bytes.length
  }
  return bytes.length
}
