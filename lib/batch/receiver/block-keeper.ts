/**
 * What a task of the batch bolt does with what is received: it keeps the blocks of the receivers beside it and copies of another task's, and
 * reads those that fall to it when their batch runs.
 *
 * Before a batch runs, all tasks agree on its blocks. The driver says which they are, each task which of them it has, and a block is read by that one
 * of those that have it which has the fewest records of the stream to read. So a block whose task has died is read from its copy.
 *
 * Bound: when the blocks of batches that are not committed take `receivedBytesMax`, those that come wait, and so do their sources.
 */
import { Packr } from 'msgpackr'
import { SquallError, reasonOf } from '../../errors.ts'
import type { ManualOutput, TaskContext, Tuple } from '../../topology/component.ts'
import type { BatchRecord } from '../run/batch-log.ts'
import { bytesOf } from '../blocks.ts'
import type { RddContext } from '../context.ts'
import type { ProcessOrder } from '../run/orders.ts'
import { TokenBucket } from '../rate.ts'
import { share } from '../rdd/trade.ts'
import type { Reader } from '../source.ts'
import type { BlockInfo } from './block.ts'
import type { BlockDriver } from './block-driver.ts'
import type { BlockShelf } from './block-shelf.ts'
import { receiversOf } from './received.ts'
import type { ReceivedSource } from './received.ts'
import type { KeeperStreams, ReceivedRange, ReceivedTuple, ReplicaTuple, ReportTuple } from './streams.ts'

type Out = ManualOutput<KeeperStreams>

/** Well below what a tuple may take on its way. */
const partBytesMax = 256 << 10
/** Batches between two looks for blocks that nobody knows. */
const strayEvery = 64
/** How often it is looked whether there is room. */
const lookMs = 2

const packr = new Packr({ useRecords: false, moreTypes: true })

export interface BlockKeeperOptions {
  readonly streams: ReadonlyMap<string, ReceivedSource>
  /** records a second of a stream, until batches have told */
  readonly rateOf: (stream: string) => number | undefined
  readonly rememberMs: number
  readonly hasStateFolder: boolean
  /** in the first task */
  readonly driver: BlockDriver | undefined
  /** Opens what this task keeps. The run has the state directory by then. */
  readonly openShelf: () => Promise<BlockShelf>
}

/** What the rate of a stream lets in at this task. */
interface Limit {
  /** the part that falls to the receivers beside it */
  readonly share: number
  readonly bucket: TokenBucket
  /** settles when those who wait have been let in */
  last: Promise<void>
}

/** A copy on its way here. */
interface Copy {
  readonly parts: Uint8Array[]
  readonly tuples: Tuple[]
  readonly atMs: number
}

/** The blocks of a batch, as all tasks have agreed. */
interface Assigned {
  readonly timeMs: number
  readonly ids: readonly string[]
  /** what this task reads, by stream */
  readonly mine: ReadonlyMap<string, readonly (readonly unknown[])[]>
}

/** What the driver says of batches. */
interface Word {
  readonly batches: readonly (readonly [txid: number, blocks: readonly BlockInfo[]])[]
  /** all the blocks that are needed, when tasks may have others */
  readonly needed: readonly string[] | undefined
}

export class BlockKeeper {
  readonly #options: BlockKeeperOptions
  readonly #context: TaskContext
  readonly #tasks: readonly number[]
  #opening: Promise<BlockShelf> | undefined
  /** bytes of the blocks that came in here and are in no batch that is committed */
  readonly #bytesOf = new Map<string, number>()
  #bytes = 0
  /** settles when those who wait for room have it */
  #entering: Promise<void> = Promise.resolve()
  readonly #limits = new Map<string, Limit>()
  readonly #held = new Map<Tuple, Out>()
  readonly #copies = new Map<string, Copy>()
  readonly #batches = new Map<number, Assigned>()
  #hasBegun = false

  constructor(options: BlockKeeperOptions, context: TaskContext) {
    this.#options = options
    this.#context = context
    this.#tasks = context.tasksOf(context.component)
    const { taskIndex, taskCount } = context
    for (const { stream, source } of receiversOf(options.streams, taskIndex, taskCount)) {
      const share = (this.#limits.get(stream)?.share ?? 0) + 1 / source.receivers.length
      const rate = (options.rateOf(stream) ?? Infinity) * share
      this.#limits.set(stream, { share, bucket: new TokenBucket({ clock: context, rate }), last: Promise.resolve() })
    }
  }

  // ---------------------------------------------------------------------------------------------- blocks that come

  /** From the receivers beside this task. */
  take({ blockId, stream, records, metadata, items }: ReceivedTuple, out: Out, tuple: Tuple): Promise<void> {
    return this.#guarded(out, tuple, async () => {
      const shelf = await this.#shelf()
      const id = shelf.prefix + blockId
      const bytes = bytesOf(items)
      if (!shelf.has(id)) {
        this.#held.set(tuple, out)
        await this.#allowed(stream, records)
        await this.#room(bytes)
        this.#held.delete(tuple)
        this.#free(id) // it was on its way twice
        this.#bytesOf.set(id, bytes)
      }
      try {
        await shelf.put(id, items, this.#isLogged(stream))
      } catch (error) {
        this.#free(id)
        throw error
      }
      const report: ReportTuple = { blockId: id, stream, records, metadata: metadata as unknown }
      if (this.#tasks.length > 1 && this.#copiesOf(stream) > 1) this.#copy(report, items, out, tuple)
      else this.#report(report, out, tuple)
      this.#context.count('received', records)
      out.ack(tuple)
    })
  }

  /** A part of a copy, from another task. */
  takeCopy({ blockId, stream, records, metadata, part, parts, bytes }: ReplicaTuple, out: Out, tuple: Tuple): Promise<void> {
    return this.#guarded(out, tuple, async () => {
      const copy: Copy = this.#copies.get(blockId) ?? { parts: [], tuples: [], atMs: this.#context.now() }
      this.#copies.set(blockId, copy)
      copy.parts[part] = bytes
      copy.tuples[part] = tuple
      if (Object.keys(copy.parts).length < parts) return
      this.#copies.delete(blockId)
      const shelf = await this.#shelf()
      await shelf.put(blockId, packr.unpack(Buffer.concat(copy.parts)) as readonly unknown[], false)
      this.#report({ blockId, stream, records, metadata: metadata as unknown }, out, tuple)
      for (const one of copy.tuples) out.ack(one)
    })
  }

  /** A block is kept, here or in another task; this is the driver. */
  report(report: ReportTuple, out: Out, tuple: Tuple): Promise<void> {
    return this.#guarded(out, tuple, async () => await this.#options.driver?.report(report, out, tuple))
  }

  /** To the next task, in parts. */
  #copy(report: ReportTuple, items: readonly unknown[], out: Out, tuple: Tuple): void {
    const bytes = packr.pack(items)
    const to = this.#tasks[(this.#context.taskIndex + 1) % this.#tasks.length] as number
    const parts = Math.max(1, Math.ceil(bytes.length / partBytesMax))
    for (let part = 0; part < parts; part++)
      out.emitDirect(
        to,
        'replica',
        { ...report, part, parts, bytes: bytes.subarray(part * partBytesMax, (part + 1) * partBytesMax) },
        { anchors: tuple },
      )
  }

  #report(report: ReportTuple, out: Out, tuple: Tuple): void {
    out.emitDirect(this.#tasks[0] as number, 'report', report, { anchors: tuple })
  }

  /** When a block cannot be kept its receiver is told, and the run goes on. */
  async #guarded(out: Out, tuple: Tuple, act: () => Promise<void>): Promise<void> {
    try {
      await act()
    } catch (error) {
      this.#context.reportError(`a block was not stored: ${reasonOf(error)}`)
      out.fail(tuple, error)
    }
  }

  /** Settles when the rate of the stream allows so many records, in the order of those who ask. */
  #allowed(stream: string, records: number): Promise<void> {
    const limit = this.#limits.get(stream) as Limit
    limit.last = limit.last.then(async () => {
      const { bucket } = limit
      while (!bucket.take(records)) await this.#context.sleep(Math.max(1, bucket.waitMs(records)))
    })
    return limit.last
  }

  /** Settles when there is room for so many bytes, in the order of those who ask; for a block that is too large by itself, when there is nothing else. */
  #room(bytes: number): Promise<void> {
    const { receivedBytesMax } = this.#context.config
    this.#entering = this.#entering.then(async () => {
      while (this.#bytes > 0 && this.#bytes + bytes > receivedBytesMax) await this.#context.sleep(lookMs)
      this.#bytes += bytes
    })
    return this.#entering
  }

  #isLogged(stream: string): boolean {
    const { streams, hasStateFolder } = this.#options
    return streams.get(stream)?.writeAheadLog ?? hasStateFolder
  }

  #copiesOf(stream: string): number {
    return this.#options.streams.get(stream)?.replication ?? (this.#isLogged(stream) ? 1 : 2)
  }

  #shelf(): Promise<BlockShelf> {
    this.#opening ??= this.#options.openShelf().catch((error: unknown) => {
      this.#opening = undefined // the next may find room on the disk
      throw error
    })
    return this.#opening
  }

  // ---------------------------------------------------------------------------------------------- batches

  /** An order has come; it is not carried out yet. */
  expect(order: ProcessOrder): void {
    if (!takesBlocks(order, this.#options.streams)) return
    this.#options.driver?.expect(order.txid)
    for (const [stream, { share, bucket }] of this.#limits)
      bucket.update(((order.ranges[stream] as ReceivedRange | undefined)?.rate ?? Infinity) * share)
  }

  /** All tasks together: what each reads of the batch, and of those before it if they may have to be made again. */
  async assign(order: ProcessOrder, sc: RddContext): Promise<void> {
    const { streams, rememberMs } = this.#options
    const reach = order.timeMs - rememberMs
    const batches = [...order.history.filter(({ timeMs }) => timeMs > reach), order].filter((one) => takesBlocks(one, streams))
    if (batches.length === 0 && !order.isAnew) return
    const word = await this.#wordOf(order, batches, sc)
    const shelf = await this.#opened(sc)
    if (word.needed !== undefined) await this.#forgetStrays(new Set(word.needed))
    const ids = word.batches.flatMap(([, blocks]) => blocks.map(({ blockId }) => blockId))
    const has = await share(sc, 'the blocks that are here', () => Uint8Array.from(ids, (id) => (shelf.has(id) ? 1 : 0)))
    let at = 0
    for (const [i, [txid, blocks]] of word.batches.entries()) {
      const { timeMs } = batches[i] as BatchRecord
      const from = at
      at += blocks.length
      const holders = blocks.map((_, block) => has.flatMap((one, task) => (one[from + block] === 1 ? [task] : [])))
      await this.#assignOne(txid, timeMs, blocks, holders, shelf)
    }
  }

  /** What the driver says, or why it cannot. */
  async #wordOf(order: ProcessOrder, batches: readonly BatchRecord[], sc: RddContext): Promise<Word> {
    const { driver, hasStateFolder } = this.#options
    const [word] = await outcomes(sc, 'the blocks of the batch', async () => {
      if (driver === undefined) return undefined
      if (!hasStateFolder && !this.#hasBegun && order.txid > 1) throw new SquallError('batches-lost')
      if (batches.at(-1)?.txid === order.txid) await driver.allocate(order.txid)
      const mayHaveStrays = order.isAnew || order.txid % strayEvery === 0
      const oldest = Math.min(order.txid, batches[0]?.txid ?? order.txid, ...(order.isAnew ? [] : this.#batches.keys()))
      const needed = mayHaveStrays ? await driver.neededFrom(oldest) : undefined
      const blocks = batches.map(({ txid }) => [txid, driver.blocksOf(txid)] as const)
      return { batches: blocks, needed: needed && [...needed] }
    })
    this.#hasBegun = true
    return word as Word
  }

  async #opened(sc: RddContext): Promise<BlockShelf> {
    await outcomes(sc, 'the blocks', async () => void (await this.#shelf()))
    return await this.#shelf()
  }

  async #assignOne(
    txid: number,
    timeMs: number,
    blocks: readonly BlockInfo[],
    holders: readonly (readonly number[])[],
    shelf: BlockShelf,
  ): Promise<void> {
    const { taskIndex } = this.#context
    const loads = new Map<string, number[]>()
    const mine = new Map<string, (readonly unknown[])[]>()
    for (const [i, { blockId, stream, records }] of blocks.entries()) {
      const those = holders[i] as readonly number[]
      if (those.length === 0) {
        this.#lost(blockId, stream, records)
        continue
      }
      const load = loads.get(stream) ?? this.#tasks.map(() => 0)
      loads.set(stream, load)
      const reader = those.reduce((least, task) => ((load[task] as number) < (load[least] as number) ? task : least))
      load[reader]! += records
      if (reader !== taskIndex) continue
      const items = (await shelf.read(blockId)) ?? []
      const known = mine.get(stream)
      if (known === undefined) mine.set(stream, [items])
      else known.push(items)
    }
    this.#batches.set(txid, { timeMs, ids: blocks.map(({ blockId }) => blockId), mine })
  }

  /** Without a log, what only a dead task had is gone. What a log had must be there. */
  #lost(block: string, stream: string, records: number): void {
    const { topology, component, taskIndex, reportError, count } = this.#context
    if (this.#isLogged(stream)) throw new SquallError('block-lost', { block, stream, records }, { topology, component, stream })
    if (taskIndex > 0) return
    count('lost', records)
    reportError(`block ${block} of stream ${stream} is lost with the executor that had it, and with it ${records} records`)
  }

  /** The records of a stream: each task reads the partition of its own. */
  reader(stream: string): Reader<unknown> {
    const { taskCount } = this.#context
    return {
      partitions: () => taskCount,
      read: (range, _, push) => {
        for (const items of this.#batches.get((range as ReceivedRange).batch)?.mine.get(stream) ?? []) for (const item of items) push(item)
      },
    }
  }

  /** Batch `txid` is committed. It may have to run again all the same, until the next one is. */
  async committed(txid: number, timeMs: number): Promise<void> {
    const { rememberMs, driver } = this.#options
    for (const id of this.#batches.get(txid)?.ids ?? []) this.#free(id)
    const gone: string[] = []
    for (const [other, batch] of this.#batches) {
      if (other >= txid || batch.timeMs > timeMs - rememberMs) continue
      this.#batches.delete(other)
      for (const id of batch.ids) gone.push(id)
    }
    if (gone.length > 0) await (await this.#shelf()).remove(gone)
    await driver?.committed(txid, Math.min(txid, ...this.#batches.keys()))
  }

  #free(id: string): void {
    const bytes = this.#bytesOf.get(id)
    if (bytes === undefined) return
    this.#bytesOf.delete(id)
    this.#bytes -= bytes
  }

  // ---------------------------------------------------------------------------------------------- besides

  /** Now and then: what waits does not expire. */
  tick(): void {
    this.#options.driver?.resetTimeouts()
    for (const [tuple, out] of this.#held) out.resetTimeout(tuple)
  }

  async close(): Promise<void> {
    await this.#options.driver?.close()
    await (await this.#opening?.catch(() => undefined))?.close()
  }

  /** Blocks from before this process that are in no batch, and blocks whose trees were given up long ago. */
  async #forgetStrays(needed: ReadonlySet<string>): Promise<void> {
    const { messageTimeoutMs } = this.#context.config
    const longAgo = this.#context.now() - 2 * messageTimeoutMs
    const strays = (await this.#shelf()).strays(needed, longAgo)
    for (const id of strays) this.#free(id)
    await (await this.#shelf()).remove(strays)
    for (const [id, { atMs }] of this.#copies) if (atMs < longAgo) this.#copies.delete(id)
  }
}

function takesBlocks({ ranges }: BatchRecord, streams: ReadonlyMap<string, ReceivedSource>): boolean {
  for (const stream of streams.keys()) if (ranges[stream] !== undefined) return true
  return false
}

/** What `act` comes to in each task; a fault of one is a fault of all. */
async function outcomes<R>(sc: RddContext, place: string, act: () => Promise<R>): Promise<R[]> {
  let make: () => R
  try {
    const result = await act()
    make = () => result
  } catch (error) {
    make = () => {
      throw error as Error
    }
  }
  return await share(sc, place, make)
}
