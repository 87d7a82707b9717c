/**
 * One task of the batch bolt: runs its partitions of every batch. There is one in each executor, and all run the same graph.
 *
 *     process(t)   makes the RDDs of batch t, and does all the work that needs no state: sources, narrow operators, exchanges
 *     commit(t)    in the order of the txids: operators with state and what is behind them, the outputs one after the other;
 *                  when every task has come so far, each commits its state of t; when all have, batch t is written down as committed,
 *                  in a second step if it gives tuples to bolts: when all that these lead to is done
 *
 * Orders are carried out one at a time, in the order in which the coordinator gave them, which is the same in every task.
 *
 * **Invariant.** No state of batch t is committed before all outputs of t have run in all tasks; t is not written down as
 * committed before all state of t is. So a crash leaves a batch that is run again whole, and a state that holds it is rolled
 * back first (`StateStore.begin`).
 */
import { SquallError } from '../../errors.ts'
import type { ManualOutput, Streams, TaskContext, Tuple } from '../../topology/component.ts'
import type { CommitLog, Committed } from './batch-log.ts'
import { sumOfReads } from './batch-stats.ts'
import type { BatchReads } from './batch-stats.ts'
import { RddContext } from '../context.ts'
import { behind } from './committed-state.ts'
import type { CommitOrder, CommitStep, ProcessOrder } from './orders.ts'
import { prepareAhead } from '../dstream/ahead.ts'
import type { Act, StreamGraph } from '../dstream/graph.ts'
import { together, toldTogether } from '../dstream/outputs.ts'
import { StreamRuns } from '../dstream/runs.ts'
import type { Scope } from '../dstream/scope.ts'
import { WatermarkTracker } from '../event-time.ts'
import type { EventTimeStats } from '../event-time.ts'
import type { Exchange } from '../exchange.ts'
import type { FileSystem } from '../log/file-system.ts'
import type { IntakeReader } from './intake.ts'
import { prepare } from '../rdd/job.ts'
import { trade } from '../rdd/trade.ts'
import type { BlockKeeper } from '../receiver/block-keeper.ts'
import type { KeeperStreams } from '../receiver/streams.ts'
import type { Range, Reader } from '../source.ts'
import type { StateStore } from '../state/store.ts'
import { StreamExchange } from './stream-exchange.ts'
import type { BlockPart } from './stream-exchange.ts'

/** A part of a block, and the attempt that it belongs to. */
export type BlockTuple = BlockPart & CommitOrder

export type BatchStreams = { readonly blocks: BlockTuple } & KeeperStreams

export interface BatchTaskOptions {
  readonly graph: StreamGraph
  /** Opens this task's part of the state. The driver has prepared its directory by then. */
  readonly openState: () => Promise<StateStore>
  /** Throws when the state of all tasks is not whole; they have not opened it. */
  readonly checkState: () => Promise<void>
  readonly commits: CommitLog
  /** where the coordinator of this executor, if it has one, finds what batches have read */
  readonly reads: BatchReads
  /** where outputs write */
  readonly files: FileSystem
  /** what receivers get */
  readonly keeper: BlockKeeper | undefined
}

/** What a task has from its first order on. */
interface Running {
  readonly state: StateStore
  readonly runs: StreamRuns
  readonly watermark: WatermarkTracker
}

/** What a task tells the others when an order is anew. */
interface Begun {
  readonly isNew: boolean
  /** the driver's word counts */
  readonly committed: Committed
  /** the batch that its state is at */
  readonly txid: number | undefined
}

/** Attempts that are over and whose blocks may still come. */
const overMax = 1_024

export class BatchTask {
  readonly #graph: StreamGraph
  readonly #context: TaskContext
  readonly #openState: () => Promise<StateStore>
  readonly #checkWhole: () => Promise<void>
  readonly #commits: CommitLog
  readonly #reads: BatchReads
  readonly #files: FileSystem
  readonly #keeper: BlockKeeper | undefined
  #sc: RddContext
  readonly #peers: readonly number[]
  readonly #readers = new Map<string, Reader<unknown>>()
  readonly #exchanges = new Map<string, StreamExchange>()
  /** the newest attempt of each batch under way */
  readonly #newest = new Map<number, { readonly attempt: number; readonly scope: () => Scope; isDone: boolean }>()
  readonly #over = new Set<string>()
  readonly #current: { exchange: Exchange | undefined; emit: ((stream: string, values: object) => void) | undefined } = {
    exchange: undefined,
    emit: undefined,
  }
  #running: Running | undefined
  /** what the batch took that this task has committed last: whether all have, the next commit will say */
  #taken: { readonly txid: number; readonly ranges: Readonly<Record<string, Range>> } | undefined
  /** the batch whose event times the watermark knows last */
  #endedTxid: number | undefined
  #orders: Promise<void> = Promise.resolve()

  constructor({ graph, openState, checkState, commits, reads, files, keeper }: BatchTaskOptions, context: TaskContext) {
    this.#graph = graph
    this.#context = context
    this.#openState = openState
    this.#checkWhole = checkState
    this.#commits = commits
    this.#reads = reads
    this.#files = files
    this.#keeper = keeper
    this.#peers = context.tasksOf(context.component)
    const { taskCount: count, topology, log, date } = context
    this.#sc = this.#newContext()
    for (const [stream, source] of graph.sources) this.#readers.set(stream, source.reader({ topology, stream, tasks: count, log, date }))
    if (keeper !== undefined) for (const stream of graph.received.keys()) this.#readers.set(stream, keeper.reader(stream))
  }

  process(order: ProcessOrder, out: ManualOutput<BatchStreams>, tuple: Tuple): Promise<void> {
    this.#keeper?.expect(order)
    for (const [txid, { attempt }] of this.#newest) if (txid >= order.txid || txid < order.oldest) this.#end(txid, attempt)
    let scope: Scope | undefined
    const newest = { attempt: order.attempt, scope: () => scope as Scope, isDone: false }
    this.#newest.set(order.txid, newest)
    return this.#inOrder(order, out, tuple, async () => {
      // the others would not wait for one that is new: all of them have to begin anew
      if (this.#running === undefined && !order.isAnew) throw superseded(order)
      if (order.isAnew) newest.isDone = await this.#begin(order)
      const { runs, watermark } = this.#running as Running
      for (const [stream, range] of Object.entries(order.ranges)) this.#readers.get(stream)?.begin?.(range)
      await this.#keeper?.assign(order, this.#sc)
      scope = runs.begin(order, watermark)
      // batches behind it that are processed now reach back to it as to one that is committed
      if (newest.isDone) return runs.committed(order.timeMs)
      const { stateful, outputs } = this.#graph
      for (const stream of [...stateful, ...outputs.map((output) => output.stream)]) {
        const rdd = scope.of(stream)
        if (rdd !== undefined) await prepareAhead(rdd.node)
      }
    })
  }

  commit(order: CommitStep, out: ManualOutput<BatchStreams>, tuple: Tuple): Promise<void> {
    return this.#inOrder(order, out, tuple, async () => {
      const { txid, attempt, step } = order
      const { isDone, scope: scopeOf } = this.#newest.get(txid) as { isDone: boolean; scope: () => Scope }
      const scope = scopeOf()
      this.#tellReaders(txid)
      const { state } = this.#running as Running
      try {
        if (!isDone && step !== 'log') await this.#commitState(txid, scope)
        // it may have been taken for lost, and an opaque source have given it other records
        if (this.#newest.get(txid)?.attempt !== attempt) throw superseded(order)
        if (step === 'state') return
        if (!isDone && this.#context.taskIndex === 0) await this.#commits.committed(txid, (this.#running as Running).watermark.watermarkMs)
      } catch (error) {
        state.discard()
        throw error
      }
      await this.#committed(order, scope)
    })
  }

  /** The outputs run; then the state has the batch, in all tasks. */
  async #commitState(txid: number, scope: Scope): Promise<void> {
    const { state, watermark } = this.#running as Running
    this.#endedTxid = undefined
    state.begin(txid)
    // state goes on at every batch, also where a window looks at it only now and then
    for (const stream of this.#graph.stateful) {
      const rdd = scope.of(stream)
      if (rdd !== undefined) await prepare(rdd.node)
    }
    // how an output ends, all tasks are told before the next one begins; of the last one, with the end of the batch
    let ending: { readonly name: string; readonly act: Act } | undefined
    for (const { name, stream, run } of this.#graph.outputs) {
      const rdd = scope.of(stream)
      if (rdd === undefined) continue
      if (ending !== undefined) await together(scope, ending.name, ending.act)
      const act = await run(rdd, scope)
      ending = act && { name, act }
    }
    const seen = await toldTogether(
      scope,
      'the end of the batch',
      () => ending?.act(),
      () => ({ eventTimes: scope.eventTimes(), reads: scope.reads() }),
    )
    await state.commit(txid)
    if (this.#graph.isSnapshotDue(scope.timeMs)) await state.snapshot()
    watermark.endBatch(merged(seen.map(({ eventTimes }) => eventTimes)))
    this.#endedTxid = txid
    await this.#share('the commit of the batch', null)
    this.#reads.put(txid, sumOfReads(seen.map(({ reads }) => reads)))
  }

  async #committed({ txid, attempt }: CommitOrder, { timeMs, ranges }: Scope): Promise<void> {
    this.#running?.runs.committed(timeMs)
    await this.#keeper?.committed(txid, timeMs)
    this.#taken = { txid, ranges }
    this.#newest.delete(txid)
    this.#end(txid, attempt)
  }

  /** A part of a block has come; it may be for an attempt that has not begun here. */
  block(block: BlockTuple): void {
    if (!this.#over.has(keyOf(block))) this.#exchangeOf(block).take(block)
  }

  /** A tuple has come for a stream that is made of tuples. */
  tuple(stream: string, values: object, out: ManualOutput<Streams>, tuple: Tuple): void {
    const reader = this.#readers.get(stream) as IntakeReader<object>
    reader.add(values, out, tuple)
  }

  /** All batches are committed and no more will come. */
  async finish(): Promise<void> {
    if (this.#context.taskIndex !== 0) return
    // nothing was left to do, so nobody has looked at the state yet
    if (this.#running === undefined) await this.#checkWhole()
    for (const end of this.#graph.endings) await end()
  }

  async close(): Promise<void> {
    for (const reader of this.#readers.values()) await reader.close?.()
    for (const output of this.#graph.outputs) await output.close?.(this.#context.taskIndex)
    await this.#running?.state.close()
    await this.#commits.close()
    await this.#keeper?.close()
    await this.#sc.close()
  }

  // ---------------------------------------------------------------------------------------------- orders

  async #inOrder(order: CommitOrder, out: ManualOutput<BatchStreams>, tuple: Tuple, run: () => Promise<void>): Promise<void> {
    const before = this.#orders
    let done: () => void = () => undefined
    this.#orders = new Promise((resolve) => (done = resolve))
    try {
      await before
      if (this.#newest.get(order.txid)?.attempt !== order.attempt) throw superseded(order)
      const exchange = this.#exchangeOf(order)
      exchange.begin((to, block) => {
        const { txid, attempt } = order
        out.emitDirect(this.#peers[to] as number, 'blocks', { txid, attempt, ...block }, { anchors: tuple })
      })
      this.#current.exchange = exchange
      const tuples = out as ManualOutput<Streams>
      this.#current.emit = (stream, values) => tuples.emitTo(stream, values, { anchors: tuple })
      await run()
      out.ack(tuple)
    } catch (error) {
      if (!(error instanceof SquallError && error.code === 'batch-superseded')) this.#context.reportError(asPlain(error))
      out.fail(tuple, error)
    } finally {
      this.#current.exchange = undefined
      this.#current.emit = undefined
      done()
    }
  }

  #exchangeOf(order: CommitOrder): StreamExchange {
    const key = keyOf(order)
    let exchange = this.#exchanges.get(key)
    if (exchange === undefined) {
      exchange = new StreamExchange(this.#context.taskIndex, this.#context.taskCount)
      this.#exchanges.set(key, exchange)
    }
    return exchange
  }

  /** A batch is being committed: the one before it is written down as committed, and its readers may let go of it. */
  #tellReaders(txid: number): void {
    if (this.#taken === undefined || this.#taken.txid >= txid) return
    for (const [stream, range] of Object.entries(this.#taken.ranges)) this.#readers.get(stream)?.committed?.(range)
    this.#taken = undefined
  }

  #end(txid: number, attempt: number): void {
    const key = keyOf({ txid, attempt })
    this.#exchanges.get(key)?.abandon(() => superseded({ txid, attempt }))
    this.#exchanges.delete(key)
    this.#over.add(key)
    if (this.#over.size > overMax) for (const old of this.#over) if (this.#over.size > overMax) this.#over.delete(old)
  }

  /**
   * All tasks together: whoever is new opens its state, which the driver has prepared by now. If anyone is, all of them forget what
   * they had of the streams, as after a restart of them all: made anew, it is the same everywhere.
   *
   * True when the batch is written down as committed, of which the coordinator has not heard. It must not run again then: with other records
   * of an opaque source, a crash in the midst of it would leave a state of which a part is of the one outcome, and a part of the other.
   */
  async #begin({ txid, watermarkPolicy: policy }: ProcessOrder): Promise<boolean> {
    const before = this.#running
    const begun = await this.#share('the start', this.#begun(before))
    const { txid: committed, watermarkMs, lateMs } = (begun[0] as Begun).committed
    const isDone = committed !== undefined && committed >= txid
    // another task may not have come as far with the attempt before
    if (txid === this.#endedTxid && !isDone) before?.watermark.undo()
    this.#endedTxid = undefined
    if (before !== undefined && begun.every(({ isNew }) => !isNew)) return isDone
    this.#sc.blocks.close()
    this.#sc = this.#newContext()
    for (const prepare of this.#graph.preparations) await together({ sc: this.#sc }, 'prepare', () => prepare(this.#sc))
    const state = before?.state ?? (await this.#openedState(committed, begun))
    if (before !== undefined) await this.#share('the state', null)
    const inputs = Object.fromEntries(this.#graph.watermarks)
    this.#running = {
      state,
      runs: new StreamRuns(this.#graph, this.#sc, state, this.#readers, this.#files, (stream, values) =>
        this.#current.emit?.(stream, values),
      ),
      watermark: new WatermarkTracker({ inputs, policy, watermarkMs, lateMs }),
    }
    return isDone
  }

  #begun(before: Running | undefined): Begun {
    const { last: committed } = this.#commits
    if (before === undefined) return { isNew: true, committed, txid: undefined }
    const { watermarkMs, lateMs } = before.watermark
    const isKept = committed.txid !== undefined
    return { isNew: false, committed: isKept ? committed : { txid: undefined, watermarkMs, lateMs }, txid: before.state.txid }
  }

  #newContext(): RddContext {
    const { taskIndex: index, taskCount: count } = this.#context
    const current = this.#current
    const exchange: Exchange = {
      all(blocks, place) {
        if (current.exchange === undefined) throw new SquallError('rdd-stopped', { what: place })
        return current.exchange.all(blocks, place)
      },
    }
    return new RddContext({ index, count, exchange, seed: 0 })
  }

  /** The state of all tasks that are new, or of none. */
  async #openedState(committed: number | undefined, begun: readonly Begun[]): Promise<StateStore> {
    let state: StateStore | undefined
    try {
      await together({ sc: this.#sc }, 'the state', async () => {
        state = await this.#openState()
        if (committed !== undefined) this.#checkState(state.txid ?? 0, committed)
        else this.#checkKept(begun)
      })
    } catch (error) {
      await state?.close()
      throw error
    }
    return state as unknown as StateStore
  }

  /** State in memory goes with its executor. */
  #checkKept(begun: readonly Begun[]): void {
    const { topology, component, task } = this.#context
    const [txid] = begun.flatMap((one) => one.txid ?? [])
    if (txid !== undefined && this.#graph.stateNames.length > 0)
      throw new SquallError('state-lost', { txid }, { topology, component, task })
  }

  /** A crash leaves a state at the batch that was committed last, or at the one after it; any other comes from another copy. */
  #checkState(found: number, committed: number): void {
    const { topology, component, task } = this.#context
    const where = { topology, component, task }
    if (found > committed + 1) throw new SquallError('state-ahead', { txid: committed + 1, found }, where)
    if (found < committed) throw behind(committed, found, where)
  }

  /** What every task says, by task. */
  async #share<R>(place: string, mine: R): Promise<R[]> {
    return (await trade(this.#sc, place, () => new Array<R>(this.#sc.count).fill(mine))) as R[]
  }
}

function superseded({ txid, attempt }: CommitOrder): SquallError {
  return new SquallError('batch-superseded', { txid, attempt })
}

function keyOf({ txid, attempt }: CommitOrder): string {
  return `${txid}.${attempt}`
}

/** The event times that all tasks have seen, by input. */
function merged(seen: readonly Readonly<Record<string, EventTimeStats>>[]): Record<string, { max: number; count: number }> {
  const all: Record<string, { max: number; count: number }> = {}
  for (const stats of seen)
    for (const [input, { max, count }] of Object.entries(stats)) {
      const known = all[input]
      all[input] = known === undefined ? { max, count } : { max: Math.max(known.max, max), count: known.count + count }
    }
  return all
}

/** No try can mend these. */
const finalCodes: ReadonlySet<string> = new Set([
  'state-ahead',
  'state-behind',
  'state-lost',
  'log-corrupt',
  'lmdb-corrupt',
  'lmdb-missing',
  'batches-lost',
  'block-lost',
  'bad-record',
  'source-changed',
])

/** A coded error of the user's code would end the topology at once; a batch has its tries first. */
function asPlain(error: unknown): unknown {
  if (!(error instanceof SquallError) || finalCodes.has(error.code)) return error
  return Object.assign(new Error(error.message, { cause: error }), { stack: error.stack })
}
