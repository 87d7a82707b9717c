/**
 * Records that are durable before anyone is told of them, in files that roll: what is old goes a file at a time.
 *
 * Whoever writes a record learns the number of its file, and says with `removeBefore` from which file on records are still
 * needed. Records that are appended together, or while a write is under way, share one fsync.
 */
import { join } from 'node:path'
import type { FileSystem } from '../log/file-system.ts'
import { RollingLog } from '../log/rolling-log.ts'
import type { Clock } from '../../std/clock.ts'

export interface WriteAheadLogOptions {
  readonly files: FileSystem
  /** made when it is not there */
  readonly folder: string
  readonly name: string
  readonly clock: Clock
  /** how long one file is written to (60,000) */
  readonly rollEveryMs?: number | undefined
  /** called for every record there is, in order */
  readonly onRecord: (record: Buffer, file: number) => void
}

export class WriteAheadLog {
  readonly #log: RollingLog
  readonly #clock: Clock
  readonly #rollEveryMs: number
  #rolledAtMs: number
  /** whether the current file holds anything: an empty one is not left behind */
  #isFresh: boolean
  /** appends under way; a file is only left when there are none */
  readonly #writing = new Set<Promise<void>>()
  #rolling: Promise<void> | undefined

  private constructor(log: RollingLog, { clock, rollEveryMs = 60_000 }: WriteAheadLogOptions, isFresh: boolean) {
    this.#log = log
    this.#clock = clock
    this.#rollEveryMs = rollEveryMs
    this.#rolledAtMs = clock.now()
    this.#isFresh = isFresh
  }

  /** Errors: `log-corrupt`, `file-unreadable`, `file-unwritable`, `disk-full`. */
  static async open(options: WriteAheadLogOptions): Promise<WriteAheadLog> {
    const { files, folder, name, onRecord } = options
    await files.makeFolder(folder)
    await files.claim(join(folder, `${name}-`))
    let lastFile = 0
    const log = await RollingLog.open(files, folder, name, (record, file) => {
      lastFile = file
      onRecord(record, file)
    })
    return new WriteAheadLog(log, options, lastFile !== log.number)
  }

  /** Resolves with the number of their file when all of the records are durable. Rejects when none of them is there. */
  async append(records: readonly Uint8Array[]): Promise<number> {
    // when rolling fails, the next append tries again: the old file is not written to once there may be a new one
    while (this.#isDue) await (this.#rolling ??= this.#roll().finally(() => (this.#rolling = undefined)))
    const file = this.#log.number
    const written = this.#log.append(records)
    this.#isFresh = false
    this.#writing.add(written)
    try {
      await written
    } finally {
      this.#writing.delete(written)
    }
    return file
  }

  /** Removes the files before this one; never the one that is written to. */
  removeBefore(file: number): Promise<void> {
    return this.#log.removeBefore(file)
  }

  async close(): Promise<void> {
    await this.#rolling?.catch(() => undefined)
    await this.#log.close()
  }

  get #isDue(): boolean {
    return !this.#isFresh && this.#clock.now() - this.#rolledAtMs >= this.#rollEveryMs
  }

  async #roll(): Promise<void> {
    await Promise.allSettled(this.#writing)
    await this.#log.roll()
    this.#rolledAtMs = this.#clock.now()
    this.#isFresh = true
  }
}
