/** Where blocks are kept: in memory, in a write-ahead log as well, or in several stores at once. */
import { Packr } from 'msgpackr'
import { SquallError, reasonOf } from '../../errors.ts'
import type { Clock } from '../../std/clock.ts'
import { nodeFileSystem } from '../log/file-system.ts'
import type { FileSystem } from '../log/file-system.ts'
import type { BlockStore } from './block.ts'
import { WriteAheadLog } from './write-ahead-log.ts'

/** Blocks in this process's memory: gone with it. */
export class MemoryBlocks implements BlockStore {
  readonly #blocks = new Map<string, readonly unknown[]>()

  async store(blockId: string, items: readonly unknown[]): Promise<void> {
    this.#blocks.set(blockId, items)
  }

  async read(blockId: string): Promise<readonly unknown[] | undefined> {
    return this.#blocks.get(blockId)
  }

  async remove(blockIds: Iterable<string>): Promise<void> {
    for (const blockId of blockIds) this.#blocks.delete(blockId)
  }

  async close(): Promise<void> {
    this.#blocks.clear()
  }
}

/** A block in several stores, written to all of them at once: it is stored when all have it, and read from the first that has it. */
export class ReplicatedBlocks implements BlockStore {
  readonly #stores: readonly BlockStore[]

  constructor(stores: readonly BlockStore[]) {
    this.#stores = stores
  }

  async store(blockId: string, items: readonly unknown[]): Promise<void> {
    await Promise.all(this.#stores.map((one) => one.store(blockId, items)))
  }

  async read(blockId: string): Promise<readonly unknown[] | undefined> {
    for (const one of this.#stores) {
      const items = await one.read(blockId)
      if (items !== undefined) return items
    }
    return undefined
  }

  async remove(blockIds: Iterable<string>): Promise<void> {
    const ids = [...blockIds]
    await Promise.all(this.#stores.map((one) => one.remove(ids)))
  }

  async close(): Promise<void> {
    await Promise.all(this.#stores.map((one) => one.close()))
  }
}

interface LoggedBlock {
  /** the number of its file */
  readonly file: number
  readonly items: () => readonly unknown[]
}

export interface LoggedBlocksOptions {
  /** made when it is not there */
  readonly folder: string
  /** what the files of the log are called, if there are several logs in the folder ('blocks') */
  readonly name?: string
  readonly clock: Clock
  /** how long one file of the log is written to (60,000) */
  readonly rollEveryMs?: number
  /** the disk (this machine's) */
  readonly files?: FileSystem
}

const packr = new Packr({ useRecords: false, moreTypes: true, writeFunction: refuseFunction })

function refuseFunction(): never {
  throw new TypeError('a function cannot be stored')
}

/**
 * Blocks in a write-ahead log: stored when they are durable. What a log left behind by a crash holds is read back when it is
 * opened. A copy of each block stays in memory until it is removed; a file goes when every block in it, and in those before, was removed.
 */
export class LoggedBlocks implements BlockStore {
  readonly #log: WriteAheadLog
  readonly #blocks: Map<string, LoggedBlock>

  private constructor(log: WriteAheadLog, blocks: Map<string, LoggedBlock>) {
    this.#log = log
    this.#blocks = blocks
  }

  /** Errors: `log-corrupt`, `file-unwritable`, `disk-full`. */
  static async open({ folder, name = 'blocks', clock, rollEveryMs, files = nodeFileSystem }: LoggedBlocksOptions): Promise<LoggedBlocks> {
    const blocks = new Map<string, LoggedBlock>()
    const onRecord = (record: Buffer, file: number): void => {
      const [blockId] = packr.unpack(record) as readonly [string]
      // unpacked again when it is asked for: most of what a log holds is done with
      blocks.set(blockId, { file, items: () => (packr.unpack(record) as readonly [string, readonly unknown[]])[1] })
    }
    const log = await WriteAheadLog.open({ files, folder, name, clock, rollEveryMs, onRecord })
    return new LoggedBlocks(log, blocks)
  }

  get blockIds(): readonly string[] {
    return [...this.#blocks.keys()]
  }

  async store(blockId: string, items: readonly unknown[]): Promise<void> {
    const file = await this.#log.append([packed(blockId, items)])
    this.#blocks.set(blockId, { file, items: () => items })
  }

  async read(blockId: string): Promise<readonly unknown[] | undefined> {
    return this.#blocks.get(blockId)?.items()
  }

  async remove(blockIds: Iterable<string>): Promise<void> {
    for (const blockId of blockIds) this.#blocks.delete(blockId)
    let oldest = Infinity
    for (const { file } of this.#blocks.values()) oldest = Math.min(oldest, file)
    await this.#log.removeBefore(oldest)
  }

  close(): Promise<void> {
    return this.#log.close()
  }
}

function packed(blockId: string, items: readonly unknown[]): Buffer {
  try {
    return packr.pack([blockId, items])
  } catch (error) {
    throw new SquallError('block-unwritable', { block: blockId, reason: reasonOf(error) }, {}, { cause: error })
  }
}
