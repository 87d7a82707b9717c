/**
 * What workers print: a file each, known to others by a name that says nothing. A file that has become large is put aside, in the place of the one
 * that was put aside before, and begins anew; the worker goes on appending. Positions count from the beginning of all that was ever printed.
 *
 *     worker.log              from where the one that was put aside ends
 *     worker.log.67108864     what was put aside: it begins at this position
 */
import { createHmac } from 'node:crypto'
import { readdirSync, rmSync } from 'node:fs'
import { copyFile, truncate } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
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
    const name = this.#nameOf(key)
    this.#files.set(name, file)
    return name
  }

  remove(key: string): void {
    this.#files.delete(this.#nameOf(key))
  }

  /** A part of a log, whole characters; without `from` its end. `undefined`: there is no such log. */
  read(name: string, from?: number, max: number = partBytes): LogPart | undefined {
    const file = this.#files.get(name)
    if (file === undefined) return undefined
    const aside = asideOf(file)
    const begin = aside?.from ?? 0
    const cut = begin + sizeOf(aside?.path ?? '')
    const size = cut + sizeOf(file)
    const wanted = Math.min(max, partBytesMax)
    const at = from === undefined ? Math.max(begin, size - wanted) : from > size ? begin : Math.max(begin, from)
    const older = at < cut && aside !== undefined ? readPart(aside.path, at - begin, Math.min(wanted, cut - at)) : Buffer.alloc(0)
    const newer = readPart(file, Math.max(0, at - cut), wanted - older.length)
    const bytes = Buffer.concat([older, newer])
    // one that begins or ends within a character
    const first = from === undefined && at > begin ? bytes.findIndex((byte) => (byte & 0xc0) !== 0x80) : 0
    const whole = bytes.subarray(Math.max(0, first), wholeCharacters(bytes))
    return { from: at + Math.max(0, first), next: at + Math.max(0, first) + whole.length, size, text: whole.toString() }
  }

  /** Puts aside what has become too large. What is printed meanwhile, for a moment, is lost. */
  async cut(): Promise<void> {
    await (this.#cutting ??= this.#cut().finally(() => (this.#cutting = undefined)))
  }

  #nameOf(key: string): string {
    return createHmac('sha256', this.#token).update(`log ${key}`).digest('hex').slice(0, 32)
  }

  async #cut(): Promise<void> {
    for (const file of this.#files.values())
      try {
        if (sizeOf(file) <= this.#bytesMax) continue
        const before = asideOf(file)
        await copyFile(file, `${file}.${before === undefined ? 0 : before.from + sizeOf(before.path)}`)
        await truncate(file, 0)
        if (before !== undefined) rmSync(before.path, { force: true })
      } catch (error) {
        this.#report(`the log ${file} cannot be cut: ${reasonOf(error)}`)
      }
  }
}

/** What was put aside last of this file, and where it begins. */
function asideOf(file: string): { readonly path: string; readonly from: number } | undefined {
  const [name, folder] = [`${basename(file)}.`, dirname(file)]
  try {
    const numbers = readdirSync(folder).flatMap((one) =>
      one.startsWith(name) && /^\d+$/.test(one.slice(name.length)) ? [one.slice(name.length)] : [],
    )
    const from = Math.max(...numbers.map(Number))
    return from >= 0 ? { path: join(folder, `${name}${from}`), from } : undefined
  } catch {
    return undefined // there is no such folder
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
