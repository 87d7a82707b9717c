/** Writes a snapshot of tables a part at a time, into a file aside that is renamed when it is whole. */
import { dirname } from 'node:path'
import type { FileSystem, OpenFile } from '../log/file-system.ts'
import { frameOf } from '../log/frames.ts'
import { writtenKey } from './keys.ts'
import type { MapKey } from './keys.ts'
import { encodeEntries, encodeFlat, encodeHead, kinds } from './records.ts'
import type { KeysAndValues } from './tables.ts'

/** What is written down. */
export interface Snapshotted {
  readonly txid: number | undefined
  readonly operators: readonly string[]
  /** What an operator has, committed. It may change while it is walked: what comes to it meanwhile is in the log of changes as well. */
  kept(operator: string): Iterable<readonly [MapKey, unknown]>
  /** What the batch committed last has changed: keys and their values before it. */
  before(operator: string): KeysAndValues
}

export class SnapshotWriter {
  /** of the first log of changes that the snapshot will not hold */
  readonly number: number
  sizeBytes = 0
  readonly #files: FileSystem
  readonly #path: string
  readonly #file: OpenFile
  readonly #tables: Snapshotted
  readonly #rest: Iterator<readonly [string, MapKey, unknown]>
  #writes: Promise<void> = Promise.resolve()

  private constructor(files: FileSystem, path: string, file: OpenFile, tables: Snapshotted, number: number) {
    this.number = number
    this.#files = files
    this.#path = path
    this.#file = file
    this.#tables = tables
    this.#rest = allEntries(tables)
    this.#writes = this.#append([encodeHead(kinds.snapshot, tables.txid)])
  }

  static async start(files: FileSystem, path: string, tables: Snapshotted, number: number): Promise<SnapshotWriter> {
    await files.remove(asidePath(path))
    return new SnapshotWriter(files, path, await files.open(asidePath(path), 'append'), tables, number)
  }

  /** Takes the next so many entries, at once; they must be committed ones. `true`: there are no more, and the snapshot's end was taken too. */
  take(count: number): boolean {
    let operator: string | undefined
    let flat: unknown[] = []
    const records: Buffer[] = []
    const encode = (): void => {
      if (operator !== undefined && flat.length > 0) records.push(encodeFlat(operator, flat, []))
      flat = []
    }
    let isEnd = false
    for (let n = 0; n < count; n++) {
      const next = this.#rest.next()
      if (next.done === true) {
        isEnd = true
        break
      }
      const [of, key, value] = next.value
      if (of !== operator) {
        encode()
        operator = of
      }
      flat.push(writtenKey(key), value)
    }
    encode()
    if (records.length > 0) this.#writes = this.#append(records)
    if (isEnd) this.#writes = this.#append(this.#endRecords())
    return isEnd
  }

  /** Resolves when all that was taken is written. */
  written(): Promise<void> {
    return this.#writes
  }

  /** After the end was taken: makes the file durable and gives it its name. */
  async finish(): Promise<void> {
    await this.#writes
    await this.#file.sync()
    await this.#file.close()
    await this.#files.rename(asidePath(this.#path), this.#path)
    await this.#files.syncFolder(dirname(this.#path))
  }

  async abandon(): Promise<void> {
    await this.#writes.catch(() => undefined)
    await this.#file.close()
    await this.#files.remove(asidePath(this.#path))
  }

  #endRecords(): Buffer[] {
    const { txid, operators } = this.#tables
    const undo = operators.flatMap((operator) => {
      const { keys, values } = this.#tables.before(operator)
      return encodeEntries(operator, keys, values)
    })
    return [encodeHead(kinds.end, txid), ...undo]
  }

  #append(records: readonly Buffer[]): Promise<void> {
    const frame = frameOf(records, this.sizeBytes)
    this.sizeBytes += frame.length
    const written = this.#writes.then(() => this.#file.append(frame))
    written.catch(() => undefined) // whoever waits for the writes hears of it
    return written
  }
}

/** What an unfinished snapshot of this name is called. */
export function asidePath(path: string): string {
  return `${path}.new`
}

function* allEntries(tables: Snapshotted): Iterator<readonly [string, MapKey, unknown]> {
  for (const operator of tables.operators) for (const [key, value] of tables.kept(operator)) yield [operator, key, value]
}
