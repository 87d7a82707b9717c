/**
 * Which block belongs to which batch (Spark's `ReceivedBlockTracker`), kept by the coordinator.
 *
 * A block that is reported waits in the queue of its stream; a batch takes all that wait. Each of these is written to the log
 * before it is true here, so a coordinator that starts again finds every block where it was: a batch that had its blocks
 * has the same ones, and the others still wait. When the log cannot be written, nothing has changed and the caller hears of it.
 */
import { SquallError, reasonOf } from '../../errors.ts'
import type { Clock } from '../../std/clock.ts'
import { nodeFileSystem } from '../log/file-system.ts'
import type { FileSystem } from '../log/file-system.ts'
import { readRollingLog } from '../log/rolling-log.ts'
import type { BlockInfo } from './block.ts'
import { WriteAheadLog } from './write-ahead-log.ts'

/** The blocks of a batch, by stream. */
export type BlocksByStream = Readonly<Record<string, readonly BlockInfo[]>>

/** A record of the log. */
export type TrackerRecord =
  | { readonly type: 'BlockAddition'; readonly block: BlockInfo }
  | { readonly type: 'BatchAllocation'; readonly batch: number; readonly blocks: BlocksByStream }
  /** `last` = the last batch that blocks were allocated to */
  | { readonly type: 'BatchCleanup'; readonly batches: readonly number[]; readonly last: number | undefined }

export interface ReceivedBlockTrackerOptions {
  /** the streams that have receivers */
  readonly streams: readonly string[]
  readonly clock: Clock
  /** where the log is; without it nothing outlives the process */
  readonly folder?: string | undefined
  /** whether to go on from what the log holds (`true`) */
  readonly recover?: boolean
  /** how long one file of the log is written to (60,000) */
  readonly rollEveryMs?: number
  /** the disk (this machine's) */
  readonly files?: FileSystem
}

const logName = 'received'

/**
 * ```ts
 * const tracker = await ReceivedBlockTracker.open({ streams: ['clicks'], clock, folder: 'state/blocks' })
 * await tracker.addBlock({ blockId: 'clicks-1000', stream: 'clicks', records: 17 })
 * await tracker.allocateBlocksToBatch(1)
 * tracker.blocksOfBatch(1) // { clicks: [{ blockId: 'clicks-1000', ... }] }
 * ```
 */
export class ReceivedBlockTracker {
  readonly #waiting = new Map<string, BlockInfo[]>()
  readonly #batches = new Map<number, BlocksByStream>()
  #last: number | undefined
  #log: WriteAheadLog | undefined
  /** the files of the log that hold what is still needed */
  readonly #fileOfBlock = new Map<string, number>()
  readonly #fileOfBatch = new Map<number, number>()
  #fileOfLast = Infinity
  #allocating: Promise<void> = Promise.resolve()

  private constructor(streams: readonly string[]) {
    for (const stream of streams) this.#waiting.set(stream, [])
  }

  /** Errors: `log-corrupt`, `file-unwritable`, `disk-full`. */
  static async open(options: ReceivedBlockTrackerOptions): Promise<ReceivedBlockTracker> {
    const { streams, clock, folder, recover = true, rollEveryMs, files = nodeFileSystem } = options
    const tracker = new ReceivedBlockTracker(streams)
    if (folder !== undefined) {
      const onRecord = (record: Buffer, file: number): void => {
        if (recover) tracker.#apply(decode(record), file)
      }
      tracker.#log = await WriteAheadLog.open({ files, folder, name: logName, clock, rollEveryMs, onRecord })
    }
    return tracker
  }

  /** What a log holds, for people. Somebody else may be writing to it. */
  static async readLog(folder: string, files: FileSystem = nodeFileSystem): Promise<readonly TrackerRecord[]> {
    const records: TrackerRecord[] = []
    await readRollingLog(files, folder, logName, (record) => records.push(decode(record)))
    return records
  }

  get isLogEnabled(): boolean {
    return this.#log !== undefined
  }

  /** The last batch that blocks were allocated to. */
  get lastAllocatedBatch(): number | undefined {
    return this.#last
  }

  /** Takes a block into the queue of its stream. Rejects, and the block is not known, when the log cannot be written. */
  addBlock(block: BlockInfo): Promise<void> {
    this.#queueOf(block.stream)
    return this.#record({ type: 'BlockAddition', block })
  }

  /**
   * Gives all blocks that wait to a batch; to one that is not later than the last that got its blocks, nothing: it has them.
   * Rejects, and the blocks wait on, when the log cannot be written.
   */
  allocateBlocksToBatch(batch: number): Promise<void> {
    const allocated = this.#allocating.then(async () => {
      if (this.#last !== undefined && batch <= this.#last) return
      const blocks = Object.fromEntries([...this.#waiting].map(([stream, waiting]) => [stream, [...waiting]]))
      await this.#record({ type: 'BatchAllocation', batch, blocks })
    })
    this.#allocating = allocated.catch(() => undefined)
    return allocated
  }

  /** The blocks of a batch, by stream; empty when it has none (any more). */
  blocksOfBatch(batch: number): BlocksByStream {
    return this.#batches.get(batch) ?? {}
  }

  blocksOfBatchAndStream(batch: number, stream: string): readonly BlockInfo[] {
    return this.blocksOfBatch(batch)[stream] ?? []
  }

  /** The blocks that wait for a batch. */
  unallocatedBlocks(stream: string): readonly BlockInfo[] {
    return [...this.#queueOf(stream)]
  }

  get hasUnallocatedBlocks(): boolean {
    return [...this.#waiting.values()].some((waiting) => waiting.length > 0)
  }

  /** The ids of all blocks that a batch has or will have: a block store may drop every other one after a restart. */
  get knownBlockIds(): ReadonlySet<string> {
    const allocated = [...this.#batches.values()].flatMap((blocks) => Object.values(blocks).flat())
    return new Set([...allocated, ...[...this.#waiting.values()].flat()].map(({ blockId }) => blockId))
  }

  /** Forgets the batches before `batch` and the files that only they needed. The result is the blocks that are done with. */
  async cleanupBatchesBefore(batch: number): Promise<readonly BlockInfo[]> {
    const batches = [...this.#batches.keys()].filter((one) => one < batch)
    const blocks = batches.flatMap((one) => Object.values(this.blocksOfBatch(one)).flat())
    if (batches.length > 0) await this.#record({ type: 'BatchCleanup', batches, last: this.#last })
    await this.#log?.removeBefore(this.#oldestFile())
    return blocks
  }

  /** After what is under way. */
  async close(): Promise<void> {
    await this.#allocating
    await this.#log?.close()
  }

  async #record(record: TrackerRecord): Promise<void> {
    const file = await this.#log?.append([encode(record)])
    this.#apply(record, file ?? 0)
  }

  /** Makes true what a record says; the same for what happens now and for what is read back. */
  #apply(record: TrackerRecord, file: number): void {
    switch (record.type) {
      case 'BlockAddition': {
        const { block } = record
        // of a stream that is no more, the blocks wait on: its receiver may come back
        const waiting = this.#waiting.get(block.stream)
        if (waiting === undefined) this.#waiting.set(block.stream, [block])
        else waiting.push(block)
        this.#fileOfBlock.set(block.blockId, file)
        break
      }
      case 'BatchAllocation': {
        const { batch, blocks } = record
        for (const [stream, allocated] of Object.entries(blocks)) {
          const ids = new Set(allocated.map(({ blockId }) => blockId))
          this.#waiting.set(
            stream,
            (this.#waiting.get(stream) ?? []).filter(({ blockId }) => !ids.has(blockId)),
          )
          for (const id of ids) this.#fileOfBlock.delete(id)
        }
        this.#batches.set(batch, blocks)
        this.#fileOfBatch.set(batch, file)
        this.#setLast(batch, file)
        break
      }
      case 'BatchCleanup':
        for (const batch of record.batches) {
          this.#batches.delete(batch)
          this.#fileOfBatch.delete(batch)
        }
        this.#setLast(record.last, file)
    }
  }

  #setLast(batch: number | undefined, file: number): void {
    this.#last = batch
    this.#fileOfLast = file
  }

  #oldestFile(): number {
    let oldest = this.#fileOfLast
    for (const file of this.#fileOfBlock.values()) oldest = Math.min(oldest, file)
    for (const file of this.#fileOfBatch.values()) oldest = Math.min(oldest, file)
    return oldest
  }

  #queueOf(stream: string): BlockInfo[] {
    const waiting = this.#waiting.get(stream)
    if (waiting === undefined) throw new SquallError('unknown-receiver', { stream, known: [...this.#waiting.keys()].join(', ') })
    return waiting
  }
}

function encode(record: TrackerRecord): Buffer {
  try {
    return Buffer.from(JSON.stringify(record))
  } catch (error) {
    const block = record.type === 'BlockAddition' ? record.block.blockId : record.type
    throw new SquallError('block-unwritable', { block, reason: reasonOf(error) }, {}, { cause: error })
  }
}

function decode(record: Buffer): TrackerRecord {
  return JSON.parse(record.toString()) as TrackerRecord // its checksum was right: we wrote it
}
