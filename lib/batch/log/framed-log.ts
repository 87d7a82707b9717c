/**
 * An append-only log in one file: whole records or none, durable before the promise of `append` resolves.
 *
 * Records that are appended while a write is under way go out together as the next one, with one fsync for all. A write
 * that fails is taken back, so the next one finds the file as if it had not been tried; if that fails as well, the log is broken and
 * says so from then on.
 */
import { dirname } from 'node:path'
import { SquallError } from '../../errors.ts'
import type { FileSystem, OpenFile } from './file-system.ts'
import { corruptError, frameOf, readFrames } from './frames.ts'

/** What the end of a log lost when it was opened: the start of a write that a crash had cut short. */
export interface CutTail {
  readonly file: string
  readonly offset: number
  readonly lostBytes: number
}

/** For people. */
export function cutReport({ file, offset, lostBytes }: CutTail): string {
  return `${file}: the last ${lostBytes} bytes, from byte ${offset} on, were of a write that was cut short; they are cut off`
}

interface Group {
  readonly records: Uint8Array[]
  readonly written: Promise<void>
}

export class FramedLog {
  readonly path: string
  /** what was cut off when this log was opened */
  readonly cut: CutTail | undefined
  readonly #file: OpenFile
  #sizeBytes: number
  #broken: Error | undefined
  #last: Promise<void> = Promise.resolve()
  #waiting: Group | undefined

  private constructor(path: string, file: OpenFile, sizeBytes: number, cut: CutTail | undefined) {
    this.path = path
    this.cut = cut
    this.#file = file
    this.#sizeBytes = sizeBytes
  }

  /**
   * Opens the log, makes it when it is not there, and hands over all of its records in order; the views stay valid. A tail that a crash cut
   * short is cut off and told in `cut`. A file that is broken in the middle is the error `log-corrupt`, and is left as it is. What is before
   * byte `from` is not looked at.
   *
   * ```ts
   * const log = await FramedLog.open(nodeFileSystem, 'dir/blocks.log', (record) => blocks.push(decode(record)))
   * await log.append([encode(block)])
   * ```
   */
  static async open(files: FileSystem, path: string, onRecord: (record: Buffer) => void = () => undefined, from = 0): Promise<FramedLog> {
    const file = await files.open(path, 'append')
    try {
      const verdict = await readFrames(file, onRecord, from)
      if (verdict.kind === 'corrupt') throw corruptError(path, verdict.sizeBytes)
      if (verdict.kind === 'cut') await file.truncate(verdict.sizeBytes)
      // what was read may have been written and not made durable by a process that was killed; from now on it counts
      await file.sync()
      await files.syncFolder(dirname(path))
      const cut = verdict.kind === 'cut' ? { file: path, offset: verdict.sizeBytes, lostBytes: verdict.lostBytes } : undefined
      return new FramedLog(path, file, verdict.sizeBytes, cut)
    } catch (error) {
      await file.close()
      throw error
    }
  }

  get sizeBytes(): number {
    return this.#sizeBytes
  }

  /** Resolves when the records are durable, all of them; rejects when none of them is in the log. Their bytes must not change meanwhile. */
  append(records: readonly Uint8Array[]): Promise<void> {
    if (this.#waiting !== undefined) {
      this.#waiting.records.push(...records)
      return this.#waiting.written
    }
    const group: Group = { records: [...records], written: this.#last.then(() => this.#write(group)) }
    this.#waiting = group
    this.#last = group.written.catch(() => undefined)
    return group.written
  }

  /** After the writes under way. */
  async close(): Promise<void> {
    await this.#last
    this.#broken ??= new SquallError('file-unwritable', { file: this.path, reason: 'it is closed' })
    await this.#file.close()
  }

  async #write(group: Group): Promise<void> {
    this.#waiting = undefined
    if (this.#broken !== undefined) throw this.#broken
    const frame = frameOf(group.records, this.#sizeBytes)
    try {
      await this.#file.append(frame)
      await this.#file.sync()
    } catch (error) {
      await this.#takeBack(error as Error)
      throw error
    }
    this.#sizeBytes += frame.length
  }

  async #takeBack(error: Error): Promise<void> {
    try {
      await this.#file.truncate(this.#sizeBytes)
      await this.#file.sync()
    } catch {
      this.#broken = error
    }
  }
}
