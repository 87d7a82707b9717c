/**
 * A log in numbered files, so that what is old can be dropped a file at a time: `NAME-00000001.log`, `NAME-00000002.log`, ...
 *
 * Only the last file may end in the middle of a write: the others were durable to their end before the next was begun.
 */
import { join } from 'node:path'
import { SquallError } from '../../errors.ts'
import type { FileSystem } from './file-system.ts'
import { corruptError, readFramesAt } from './frames.ts'
import { FramedLog } from './framed-log.ts'
import type { CutTail } from './framed-log.ts'
import { sizeOf } from './whole-file.ts'

/** Byte `at` of the file of that number. */
export interface LogPlace {
  readonly number: number
  readonly at: number
}

interface OlderFile {
  readonly number: number
  readonly sizeBytes: number
}

export class RollingLog {
  readonly #files: FileSystem
  readonly #folder: string
  readonly #name: string
  /** oldest first */
  #older: readonly OlderFile[]
  #number: number
  #current: FramedLog

  private constructor(files: FileSystem, folder: string, name: string, older: readonly OlderFile[], number: number, current: FramedLog) {
    this.#files = files
    this.#folder = folder
    this.#name = name
    this.#older = older
    this.#number = number
    this.#current = current
  }

  /**
   * Opens the files of this name in a folder that exists, from number `from` on, and hands over their records with the file's number. What is before
   * `unread` is there, and not looked at.
   */
  static async open(
    files: FileSystem,
    folder: string,
    name: string,
    onRecord: (record: Buffer, number: number) => void = () => undefined,
    from = 1,
    unread: LogPlace = { number: from, at: 0 },
  ): Promise<RollingLog> {
    const numbers = await numbersOf(files, folder, name, from)
    const last = numbers.at(-1) ?? from
    const older: OlderFile[] = []
    for (const number of numbers.slice(0, -1)) {
      const path = pathOf(folder, name, number)
      const isRead = number >= unread.number
      const sizeBytes = isRead
        ? await readWhole(files, path, (record) => onRecord(record, number), number === unread.number ? unread.at : 0)
        : ((await sizeOf(files, path)) ?? 0)
      older.push({ number, sizeBytes })
    }
    const at = last === unread.number ? unread.at : 0
    const current = await FramedLog.open(files, pathOf(folder, name, last), (record) => onRecord(record, last), at)
    return new RollingLog(files, folder, name, older, last, current)
  }

  /** The number of the file that is written to. */
  get number(): number {
    return this.#number
  }

  /** Where what is appended next will be. */
  get end(): LogPlace {
    return { number: this.#number, at: this.#current.sizeBytes }
  }

  get sizeBytes(): number {
    return this.#older.reduce((sum, { sizeBytes }) => sum + sizeBytes, this.#current.sizeBytes)
  }

  /** What was cut off the end when this log was opened. */
  get cut(): CutTail | undefined {
    return this.#current.cut
  }

  /** As `FramedLog.append`. */
  append(records: readonly Uint8Array[]): Promise<void> {
    return this.#current.append(records)
  }

  /** Goes on in a new file, whose number is the result. Not while an `append` is under way. */
  async roll(): Promise<number> {
    const before = this.#current
    this.#current = await FramedLog.open(this.#files, pathOf(this.#folder, this.#name, this.#number + 1))
    this.#older = [...this.#older, { number: this.#number, sizeBytes: before.sizeBytes }]
    this.#number++
    await before.close()
    return this.#number
  }

  /** Removes the files with lower numbers than this, but never the current one. */
  async removeBefore(number: number): Promise<void> {
    const old = this.#older.filter((one) => one.number < number)
    this.#older = this.#older.filter((one) => one.number >= number)
    // the oldest first: what a crash leaves has no gap
    for (const one of old) await this.#files.remove(pathOf(this.#folder, this.#name, one.number))
  }

  close(): Promise<void> {
    return this.#current.close()
  }
}

/** The records of a rolling log that someone else may be writing to. */
export async function readRollingLog(
  files: FileSystem,
  folder: string,
  name: string,
  onRecord: (record: Buffer) => void,
  from = 1,
): Promise<void> {
  const numbers = await numbersOf(files, folder, name, from)
  for (const number of numbers) {
    const path = pathOf(folder, name, number)
    if (number !== numbers.at(-1)) await readWhole(files, path, onRecord)
    else {
      const { kind, sizeBytes } = await readFramesAt(files, path, onRecord)
      if (kind === 'corrupt') throw corruptError(path, sizeBytes)
    }
  }
}

async function readWhole(files: FileSystem, path: string, onRecord: (record: Buffer) => void, from = 0): Promise<number> {
  const { kind, sizeBytes } = await readFramesAt(files, path, onRecord, from)
  if (kind !== 'clean') throw corruptError(path, sizeBytes)
  return sizeBytes
}

/** The file of a number. */
export function pathOf(folder: string, name: string, number: number): string {
  return join(folder, `${name}-${String(number).padStart(8, '0')}.log`)
}

/**
 * The numbers of the files there are, in order; one that is missing between two others is an error. Empty files at the end do not
 * count: a roll that failed may have left one, and the log went on in the file before it.
 */
async function numbersOf(files: FileSystem, folder: string, name: string, from: number): Promise<number[]> {
  const numbers = (await files.list(folder))
    .filter((one) => one.startsWith(`${name}-`))
    .map((one) => Number(/^(\d+)\.log$/.exec(one.slice(name.length + 1))?.[1] ?? 0))
    .filter((number) => number >= from)
    .sort((a, b) => a - b)
  const after = numbers.findIndex((number, i) => i > 0 && number !== (numbers[i - 1] as number) + 1)
  if (after !== -1) throw new SquallError('file-not-found', { file: pathOf(folder, name, (numbers[after] as number) - 1) })
  while (numbers.length > 1 && ((await sizeOf(files, pathOf(folder, name, numbers.at(-1) as number))) ?? 0) === 0) numbers.pop()
  return numbers
}
