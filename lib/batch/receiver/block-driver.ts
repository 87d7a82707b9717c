/**
 * The driver's side of what is received: which blocks wait for a batch and which have one (the tracker), who still receives, and the
 * watches by which the coordinator hears of it.
 */
import type { ManualOutput, Tuple } from '../../topology/component.ts'
import type { BlockInfo } from './block.ts'
import type { ReceivedBlockTracker } from './block-tracker.ts'
import type { KeeperStreams, ReportTuple, StateTuple, WatchTuple } from './streams.ts'

type Out = ManualOutput<KeeperStreams>

/** A tuple that is acked when there is news. */
interface Held {
  readonly tuple: Tuple
  readonly out: Out
}

/** Batches that are done, between two times that they are cleaned out of the log. */
const cleanEvery = 16

export class BlockDriver {
  readonly #tracker: ReceivedBlockTracker
  /** tasks with receivers */
  readonly #receiverTasks: number
  readonly #watches = new Map<WatchTuple['for'], Held>()
  /** by task, until all are still */
  readonly #states = new Map<number, StateTuple['state']>()
  readonly #heldStates = new Map<number, Held>()
  /** tasks that do not receive any more, as the coordinator knows */
  #over: readonly number[] = []
  /** batches that are to get the blocks that wait */
  readonly #awaiting = new Set<number>()
  /** batches that have blocks and are not committed */
  readonly #open = new Set<number>()

  /** blocks that the tracker has: a report may come twice */
  readonly #added = new Map<string, Promise<void>>()

  constructor(tracker: ReceivedBlockTracker, receiverTasks: number) {
    this.#tracker = tracker
    this.#receiverTasks = receiverTasks
    for (const blockId of tracker.knownBlockIds) this.#added.set(blockId, Promise.resolve())
  }

  /** Takes the place of the tuple before it, which its sender has given up. */
  watch({ for: what, over }: WatchTuple, out: Out, tuple: Tuple): void {
    const before = this.#watches.get(what)
    this.#watches.set(what, { tuple, out })
    before?.out.ack(before.tuple)
    if (what === 'end') this.#over = over
    this.#look()
  }

  state({ task, state }: StateTuple, out: Out, tuple: Tuple): void {
    if (state === 'starting') {
      out.ack(tuple)
      return
    }
    const before = this.#heldStates.get(task)
    this.#states.set(task, state)
    this.#heldStates.set(task, { tuple, out })
    before?.out.ack(before.tuple)
    this.#look()
  }

  /** A block is kept: its batch will be the next. */
  async report({ blockId, stream, records, metadata }: ReportTuple, out: Out, tuple: Tuple): Promise<void> {
    const block: BlockInfo = { blockId, stream, records, ...(metadata !== null && { metadata: metadata as unknown }) }
    const added = this.#added.get(blockId) ?? this.#tracker.addBlock(block)
    this.#added.set(blockId, added)
    try {
      await added
    } catch (error) {
      this.#added.delete(blockId)
      throw error
    }
    out.ack(tuple)
    this.#look()
  }

  /** An order has come for a batch that takes blocks. */
  expect(txid: number): void {
    this.#awaiting.add(txid)
  }

  /** Gives a batch the blocks that wait, if it has none yet. */
  async allocate(txid: number): Promise<void> {
    await this.#tracker.allocateBlocksToBatch(txid)
    this.#awaiting.delete(txid)
    this.#open.add(txid)
    this.#look()
  }

  blocksOf(txid: number): readonly BlockInfo[] {
    return Object.values(this.#tracker.blocksOfBatch(txid)).flat()
  }

  /** The blocks that are needed, when of the batches that are committed none before `txid` is. */
  async neededFrom(txid: number): Promise<ReadonlySet<string>> {
    await this.#clean(Math.min(txid, ...this.#open))
    return this.#tracker.knownBlockIds
  }

  /** Batch `txid` is committed; those before `oldest` are not needed any more. */
  async committed(txid: number, oldest: number): Promise<void> {
    this.#awaiting.delete(txid)
    this.#open.delete(txid)
    this.#look()
    if (txid % cleanEvery === 0) await this.#clean(oldest)
  }

  async #clean(before: number): Promise<void> {
    for (const { blockId } of await this.#tracker.cleanupBatchesBefore(before)) this.#added.delete(blockId)
  }

  /** What waits for news does not expire meanwhile. */
  resetTimeouts(): void {
    for (const { tuple, out } of [...this.#watches.values(), ...this.#heldStates.values()]) out.resetTimeout(tuple)
  }

  close(): Promise<void> {
    return this.#tracker.close()
  }

  #look(): void {
    if (this.#awaiting.size > 0) return
    if (this.#tracker.hasUnallocatedBlocks) this.#tell('data')
    else if (this.#open.size === 0 && this.#areAllStill) {
      for (const { tuple, out } of this.#heldStates.values()) out.ack(tuple)
      this.#heldStates.clear()
      this.#tell('end')
      this.#tell('data') // it would wait for ever
      // a task that has heard of it is over, as the coordinator will say, or paused; one that dies before will tell anew
      this.#states.clear()
    }
  }

  get #areAllStill(): boolean {
    const known = new Set([...this.#over, ...this.#states.keys()])
    return known.size === this.#receiverTasks && [...this.#states.values()].every((state) => state !== 'receiving')
  }

  #tell(what: WatchTuple['for']): void {
    const held = this.#watches.get(what)
    this.#watches.delete(what)
    held?.out.ack(held.tuple)
  }
}
