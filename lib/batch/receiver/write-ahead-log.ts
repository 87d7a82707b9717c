/**
 * Records that are durable before anyone is told of them, in files that roll: what is old goes a file at a time.
 *
 * Whoever writes a record learns the number of its file, and says with `removeBefore` from which file on records are still
 * needed. Records that are appended together, or while a write is under way, share one fsync.
 */
import type { FileSystem } from '../log/file-system.ts'
import { RollingLog } from '../log/rolling-log.ts'
import type { CutTail } from '../log/framed-log.ts'
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
  #sizeAtRoll: number
  /** appends under way; a file is only left when there are none */
  readonly #writing = new Set<Promise<void>>()
  #rolling: Promise<void> = Promise.resolve()

  private constructor(log: RollingLog, clock: Clock, rollEveryMs: number) {
    this.#log = log
    this.#clock = clock
    this.#rollEveryMs = rollEveryMs
    this.#rolledAtMs = clock.now()
    this.#sizeAtRoll = 0
  }

  static async open({ files, folder, name, clock, rollEveryMs = 60_000, onRecord }: WriteAheadLogOptions): Promise<WriteAheadLog> {
    await files.makeFolder(folder)
    return new WriteAheadLog(await RollingLog.open(files, folder, name, onRecord), clock, rollEveryMs)
  }

  /** What a crash had cut short, and opening took away: nobody was told that it was written. */
  get cut(): CutTail | undefined {
    return this.#log.cut
  }

  /** Resolves with the number of their file when all of the records are durable. Rejects when none of them is there. */
  async append(records: readonly Uint8Array[]): Promise<number> {
    if (this.#isDue) this.#startRolling()
    await this.#rolling
    const file = this.#log.number
    const written = this.#log.append(records)
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
    await this.#rolling.catch(() => undefined)
    await this.#log.close()
  }

  get #isDue(): boolean {
    return this.#clock.now() - this.#rolledAtMs >= this.#rollEveryMs && this.#log.sizeBytes > this.#sizeAtRoll
  }

  #startRolling(): void {
    this.#rolledAtMs = this.#clock.now()
    this.#rolling = Promise.allSettled(this.#writing)
      .then(() => this.#log.roll())
      .then(() => void (this.#sizeAtRoll = this.#log.sizeBytes))
      // the old file is as good as a new one: the next time that is due tries again, and an append says what is wrong
      .catch(() => undefined)
  }
}
