/** Spark's ReceivedBlockTrackerSuite: commands to a tracker, with or without a log in a folder of the test's own. */
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ReceivedBlockTracker, nodeFileSystem } from '../../../lib/index.ts'
import type { BlockInfo, FileSystem, OpenFile, TrackerRecord } from '../../../lib/index.ts'
import { all, isRecord, same } from '../vectors.ts'
import type { Adapter, Verdict, VectorCase } from '../vectors.ts'

export const receivedBlockTracker: Adapter = {
  isFor: ({ suite, file, sources }) => /\bReceivedBlockTrackerSuite\b/.test([suite, file, ...sources].join(' ')),
  async run(one) {
    if (!/ReceivedBlockTracker/i.test(one.operation) || !Array.isArray(one.input)) return undefined
    const folder = await mkdtemp(join(tmpdir(), 'squall-blocks-'))
    try {
      return await verdict(one, folder)
    } finally {
      await rm(folder, { recursive: true })
    }
  },
}

async function verdict({ params, input, expected }: VectorCase, folder: string): Promise<Verdict> {
  const hasLog = params['checkpointDir'] === undefined ? params['wal'] !== false : params['checkpointDir'] !== null
  const seconds = Number(params['rollingIntervalSecs'] ?? params['rollingInterval'] ?? 60)
  const subject = new Subject(hasLog ? folder : undefined, JSON.stringify(params['streamId'] ?? 1), seconds * 1_000)
  await subject.open(true)
  try {
    if (isRecord(expected))
      return all(
        Object.entries(expected).map(([what, value]) => (what === 'walEnabled' ? same(what, subject.isLogEnabled, value) : undefined)),
      )
    if (!Array.isArray(expected)) return undefined
    const verdicts: Verdict[] = []
    for (const [i, command] of (input as readonly (readonly unknown[])[]).entries()) {
      const [name = '', ...args] = command
      const result = await subject.call(String(name), args)
      if (result === undefined) return undefined
      const wanted: unknown = expected[i]
      verdicts.push(wanted === null || same(`${i + 1}. ${JSON.stringify(command)}`, shaped(result, wanted), wanted))
    }
    return all(verdicts)
  } finally {
    await subject.close()
  }
}

/** What was asked for a whole batch is by stream; a case may want only the blocks. */
function shaped(result: unknown, wanted: unknown): unknown {
  return isRecord(result) && Array.isArray(wanted) ? Object.values(result).flat() : result
}

/** A tracker, the disk it writes to, and the time. */
class Subject {
  readonly #folder: string | undefined
  readonly #stream: string
  readonly #rollEveryMs: number
  #tracker: ReceivedBlockTracker | undefined
  #nowMs = 0
  #isFailing = false

  constructor(folder: string | undefined, stream: string, rollEveryMs: number) {
    this.#folder = folder
    this.#stream = stream
    this.#rollEveryMs = rollEveryMs
  }

  get isLogEnabled(): boolean {
    return this.#opened.isLogEnabled
  }

  async open(recover: boolean): Promise<void> {
    await this.close()
    this.#tracker = await ReceivedBlockTracker.open({
      streams: [this.#stream],
      clock: { now: () => this.#nowMs, date: () => this.#nowMs },
      folder: this.#folder,
      recover,
      rollEveryMs: this.#rollEveryMs,
      files: this.#files,
    })
  }

  async close(): Promise<void> {
    await this.#tracker?.close()
    this.#tracker = undefined
  }

  /** What a command gives, `null` for nothing, `"throws"`; `undefined` when there is no such command. */
  async call(name: string, args: readonly unknown[]): Promise<unknown> {
    const word = name
      .toLowerCase()
      .replace(/[^a-z]/g, '')
      .replace(/^get|^is/, '')
    const tracker = this.#opened
    if (/^(add|allocate|cleanup).*fail/.test(word)) {
      this.#isFailing = true
      try {
        return await this.call(/^add|^allocate|^cleanup/.exec(word)?.[0] ?? '', args)
      } catch {
        return 'throws'
      } finally {
        this.#isFailing = false
      }
    }
    const batch = Number(args[0])
    switch (word) {
      case 'add':
      case 'addblock':
      case 'addblocks':
        // as a receiver does: one after the other
        for (const id of [args[0]].flat())
          await tracker.addBlock({ blockId: String(id), stream: streamOf(args[1]) ?? this.#stream, records: 1 })
        return null
      case 'allocate':
      case 'allocateblockstobatch':
        await tracker.allocateBlocksToBatch(batch)
        return null
      case 'unallocated':
      case 'unallocatedblocks':
        return idsOf(tracker.unallocatedBlocks(streamOf(args[0]) ?? this.#stream))
      case 'hasunallocated':
      case 'hasunallocatedblocks':
      case 'hasunallocatedreceivedblocks':
        return tracker.hasUnallocatedBlocks
      case 'blocksof':
      case 'blocksofbatch':
      case 'blocksofbatchandstream': {
        if (args.length > 1 || word === 'blocksofbatchandstream')
          return idsOf(tracker.blocksOfBatchAndStream(batch, streamOf(args[1]) ?? this.#stream))
        return Object.fromEntries(Object.entries(tracker.blocksOfBatch(batch)).map(([stream, blocks]) => [stream, idsOf(blocks)]))
      }
      case 'cleanup':
      case 'cleanupoldbatches':
        await tracker.cleanupBatchesBefore(batch)
        return null
      case 'recover':
      case 'restart':
      case 'reopen':
        await this.open(args[0] !== false && args[0] !== 'withoutRecovery')
        return null
      case 'recoverwithoutflag':
      case 'restartwithoutrecovery':
      case 'openwithoutrecovery':
        await this.open(false)
        return null
      case 'advance':
      case 'advanceclock':
      case 'advancems':
        this.#nowMs += Number(args[0])
        return null
      case 'walenabled':
      case 'writeaheadlogenabled':
        return tracker.isLogEnabled
      case 'log':
      case 'logcontents':
      case 'writtenlog':
      case 'writtenlogdata':
        return this.#folder === undefined ? [] : (await ReceivedBlockTracker.readLog(this.#folder)).map(plain)
      case 'logfiles':
      case 'logfilecount':
      case 'walfiles':
        return this.#folder === undefined ? 0 : (await readdir(this.#folder)).length
      case 'stop':
      case 'close':
        return null // opening again closes it
      default:
        return undefined
    }
  }

  get #opened(): ReceivedBlockTracker {
    if (this.#tracker === undefined) throw new Error('the tracker is not open')
    return this.#tracker
  }

  /** This machine's disk, on which writing fails when the case says so. */
  get #files(): FileSystem {
    const open = async (path: string, mode: 'append' | 'read'): Promise<OpenFile | undefined> => {
      const file = mode === 'read' ? await nodeFileSystem.open(path, 'read') : await nodeFileSystem.open(path, 'append')
      if (file === undefined) return undefined
      const append: OpenFile['append'] = (bytes) => (this.#isFailing ? Promise.reject(new Error('the disk refuses')) : file.append(bytes))
      return { ...file, append }
    }
    return { ...nodeFileSystem, open: open as FileSystem['open'] }
  }
}

function streamOf(value: unknown): string | undefined {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : undefined
}

function idsOf(blocks: readonly BlockInfo[]): string[] {
  return blocks.map(({ blockId }) => blockId)
}

function plain(record: TrackerRecord): unknown[] {
  switch (record.type) {
    case 'BlockAddition':
      return [record.type, record.block.blockId]
    case 'BatchAllocation':
      return [record.type, record.batch, idsOf(Object.values(record.blocks).flat())]
    case 'BatchCleanup':
      return [record.type, record.batches]
  }
}
