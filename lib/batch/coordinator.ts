/**
 * The coordinator: the spout that issues batches, decides what each contains, and commits them in order (after Trident's
 * `MasterBatchCoordinator`). It emits no data, only orders to the batch bolt:
 *
 *     waiting --process--> processing --acked--> processed --commit--> committing --acked--> done
 *        ^                     |                                          |
 *        +------ failed -------+------------------ failed ----------------+      with all later ones
 *
 * Processing of several batches overlaps; commits are strictly in the order of their txids, one at a time.
 *
 * **Invariant.** What a batch contains is in the offset log before the batch is first emitted, and never changes: whoever
 * runs batch t again, in this process or in the next, gives the sources the same ranges and the operators the same time. Only opaque
 * sources are asked again what a batch takes that has failed, unless it is written down as committed.
 */
import { SquallError, placed } from '../errors.ts'
import { Histogram, histogramSize, record } from '../metrics/histogram.ts'
import type { Failure, SpoutContext, SpoutOutput } from '../topology/component.ts'
import { noBatchLog } from './batch-log.ts'
import type { BatchLog, BatchRecord } from './batch-log.ts'
import type { BatchReads, BatchStats, StreamStats } from './batch-stats.ts'
import { StreamRate } from './rate-control.ts'
import type { RateOptions } from './rate-control.ts'
import type { WatermarkPolicy } from './event-time.ts'
import type { BatchSource, Planner, Range } from './source.ts'

/** The orders of the coordinator; every task of the batch bolt gets each. */
export type Orders = { readonly process: ProcessOrder; readonly commit: CommitOrder }

export interface CommitOrder {
  readonly txid: number
  /** tells one try of a batch from another; the newest holds */
  readonly attempt: number
}

export interface ProcessOrder extends CommitOrder, BatchRecord {
  /** batches before this one are done: what is still under way of them was ordered by a coordinator that has died since */
  readonly oldest: number
  /** some tasks may be new, or not know the batches before it: the first order, and those after a failure */
  readonly isAnew: boolean
  /** the one that the topology began with */
  readonly watermarkPolicy: WatermarkPolicy
  /** batches before it that a task may have to make again: all that are remembered, when it is anew */
  readonly history: readonly BatchRecord[]
}

export interface CoordinatorOptions {
  readonly sources: ReadonlyMap<string, BatchSource<unknown>>
  /** 0 = a batch whenever there is something */
  readonly intervalMs: number
  /** batches under way */
  readonly pendingMax: number
  /** how often a batch is tried before the topology is given up */
  readonly attemptsMax: number
  /** records that a batch takes of one source */
  readonly recordsMax: number
  /** run a batch without data after one with data, so that what became due is given out; only without an interval */
  readonly noDataBatches: boolean
  readonly watermarkPolicy: WatermarkPolicy
  /** how far back the streams reach */
  readonly rememberMs: number
  readonly log: BatchLog
  /** how much batches take, by stream */
  readonly rates: ReadonlyMap<string, RateOptions>
  /** where the task of this executor leaves what batches have read */
  readonly reads: BatchReads
  readonly listeners: readonly ((stats: BatchStats) => void)[]
}

interface Active extends BatchRecord {
  attempt: number
  /** tasks may not have the batches before it */
  needsHistory: boolean
  tries: number
  phase: 'waiting' | 'processing' | 'processed' | 'committing'
  /** not emitted again before */
  dueMs: number
  /** it failed: opaque sources say anew what it takes */
  isOpen: boolean
  /** its commit had been ordered when it failed: it may be written down as committed */
  mayBeCommitted: boolean
  /** when it was emitted first */
  startedMs: number | undefined
  startedDate: number
}

/** Batches between two times that old ones are forgotten. */
const forgetEvery = 64
/** How long planners that answer later, and had nothing, are left alone. */
const askAgainMs = 2
/** How long a batch that failed waits, at first. */
const retryMs = 50

export class Coordinator {
  readonly #options: CoordinatorOptions
  readonly #context: SpoutContext
  readonly #planners = new Map<string, Planner>()
  readonly #rates = new Map<string, StreamRate>()
  /** by txid, the oldest first */
  #active: Active[] = []
  #last: BatchRecord | undefined
  /** batches that are done and may be needed again, the oldest first */
  #history: BatchRecord[] = []
  /** no batch of this coordinator's own was planned yet */
  #isFirst = true
  /** when a batch was committed last */
  #doneMs = -Infinity
  /** how long batches took */
  readonly #took = new Float64Array(histogramSize)
  /** what was last told of what goes up and down */
  readonly #told = new Map<string, number>()
  /** planners that took their time had nothing: they are not asked before this */
  #askAgainMs = -Infinity
  /** what batches that are committed took last of each source */
  readonly #committed = new Map<string, Range>()
  /** the time of the first batch, with an interval */
  readonly #firstMs: number
  #attempt: number

  private constructor(options: CoordinatorOptions, context: SpoutContext) {
    this.#options = options
    this.#context = context
    this.#firstMs = (Math.floor(context.date() / options.intervalMs) + 1) * options.intervalMs
    // whatever a coordinator before this one has under way has another number
    this.#attempt = context.random.below(1 << 20) * 4_096
  }

  /** Opens the sources and goes on after the last batch that was committed. */
  static async open(options: CoordinatorOptions, context: SpoutContext): Promise<Coordinator> {
    if (options.log === noBatchLog) {
      // its place in the cells outlives its executor: it has run before, and would begin anew beside tasks that go on
      const { topology, component, position } = context
      if (position !== undefined) throw new SquallError('batches-lost', {}, { topology, component })
      context.savePosition(0)
    }
    const coordinator = new Coordinator(options, context)
    const { topology, log, date, haveOthersEnded: haveSpoutsEnded } = context
    for (const [stream, source] of options.sources) {
      coordinator.#rates.set(stream, new StreamRate(options.rates.get(stream) ?? {}, options.intervalMs, context.now()))
      coordinator.#planners.set(
        stream,
        await coordinator.#of(stream, () =>
          source.planner({ topology, stream, tasks: context.tasksOf('batch').length, log, date, haveSpoutsEnded }),
        ),
      )
    }
    await coordinator.#recover()
    return coordinator
  }

  async #recover(): Promise<void> {
    for (const record of await this.#options.log.read()) {
      this.#last = record
      if (record.isCommitted) {
        this.#history.push(record)
        this.#noteCommitted(record.positions)
        this.#noteCommitted(record.ranges)
        // the driver may have written down meanwhile, or be about to, that it is committed
      } else this.#active.push({ ...this.#waiting(record, true), mayBeCommitted: true })
    }
  }

  /** Gives the next order there is; asked again and again. */
  nextTuple(out: SpoutOutput<Orders>): void | Promise<void> {
    const [head] = this.#active
    if (head?.phase === 'processed') {
      head.phase = 'committing'
      out.emitTo('commit', { txid: head.txid, attempt: head.attempt }, idOf(head))
      return
    }
    const waiting = this.#active.find(({ phase, dueMs }) => phase === 'waiting' && dueMs <= this.#context.now())
    if (waiting !== undefined) return waiting.isOpen ? this.#planAgain(waiting, out) : this.#process(waiting, out)
    if (this.#context.now() < this.#askAgainMs) return
    if (this.#active.length < this.#options.pendingMax && this.#isDue && !this.#active.some(({ isOpen }) => isOpen)) return this.#plan(out)
  }

  ack(id: unknown): Promise<void> | void {
    const batch = this.#find(id)
    if (batch === undefined) return
    if (batch.phase === 'processing') batch.phase = 'processed'
    else return this.#done(batch)
  }

  /** A batch failed: it and all later ones run again. */
  fail(id: unknown, failure: Failure): void {
    const batch = this.#find(id)
    if (batch === undefined) return
    const { attemptsMax } = this.#options
    if (++batch.tries >= attemptsMax) {
      const { topology, component } = this.#context
      const problem = `${failure.kind} in ${failure.component}: ${failure.message}`
      this.#context.reportError(new SquallError('batch-failed', { txid: batch.txid, times: attemptsMax, problem }, { topology, component }))
      return
    }
    const dueMs = this.#context.now() + retryMs * 2 ** (batch.tries - 1)
    for (const later of this.#active) {
      if (later.txid < batch.txid) continue
      later.mayBeCommitted ||= later.phase === 'committing'
      later.isOpen = this.#hasOpaque
      later.phase = 'waiting'
      later.attempt = ++this.#attempt
      later.needsHistory = true
      later.dueMs = dueMs
    }
  }

  async close(): Promise<void> {
    for (const planner of this.#planners.values()) await planner.close?.()
    await this.#options.log.close()
  }

  // ---------------------------------------------------------------------------------------------- new batches

  get #isDue(): boolean {
    return this.#options.intervalMs === 0 || this.#context.date() >= this.#nextTimeMs()
  }

  /** Decides what the next batch contains. Sources that know at once are not waited for: a spout that waits has something to do. */
  #plan(out: SpoutOutput<Orders>): void | Promise<void> {
    const nowMs = this.#context.now()
    const asked = [...this.#planners].map(([stream, planner]) => {
      const { records, recordsPerPartition } = (this.#rates.get(stream) as StreamRate).allowance(nowMs)
      const recordsMax = Math.min(records, this.#options.recordsMax)
      const next = (): ReturnType<Planner['next']> => planner.next(this.#rangeBefore(Infinity, stream), recordsMax, recordsPerPartition)
      return [stream, recordsMax === 0 ? undefined : this.#of(stream, next)] as const
    })
    if (asked.every(([, range]) => range === undefined)) return this.#planNothing(out)
    return this.#planAsked(asked, out)
  }

  async #planAsked(
    asked: readonly (readonly [stream: string, range: ReturnType<Planner['next']>])[],
    out: SpoutOutput<Orders>,
  ): Promise<void> {
    const ranges: Record<string, Range> = {}
    for (const [stream, promised] of asked) {
      const range = await this.#of(stream, () => promised)
      if (range !== undefined) ranges[stream] = range
    }
    if (Object.keys(ranges).length > 0) return this.#planBatch(ranges, out)
    // it would be asked again with its answer, without end
    this.#askAgainMs = this.#context.now() + askAgainMs
    return this.#planNothing(out)
  }

  /** What the planner of a stream says; what it throws says of which. */
  #of<R>(stream: string, ask: () => R | Promise<R>): R | Promise<R> {
    const where = { topology: this.#context.topology, stream }
    const known = (error: unknown): unknown => (error instanceof SquallError ? placed(error, where) : error)
    try {
      const said = ask()
      if (!(said instanceof Promise)) return said
      return said.catch((error: unknown) => {
        throw known(error)
      })
    } catch (error) {
      throw known(error)
    }
  }

  /**
   * Batches that failed are planned again, the oldest first, as far as sources are opaque. What is written down of later ones does not
   * hold any more; it is written anew.
   */
  async #planAgain(batch: Active, out: SpoutOutput<Orders>): Promise<void> {
    const { log } = this.#options
    batch.isOpen = false
    // a state may hold it as it was, and nothing would take it back after a restart
    if (batch.mayBeCommitted && (await log.isCommitted(batch.txid))) return this.#process(batch, out)
    const ranges: Record<string, Range> = { ...batch.ranges }
    for (const [stream, { kind }] of this.#options.sources) {
      if (kind !== 'opaque') continue
      const { records, recordsPerPartition } = (this.#rates.get(stream) as StreamRate).allowance(this.#context.now())
      const recordsMax = Math.max(1, Math.min(records, this.#options.recordsMax))
      const last = this.#rangeBefore(batch.txid, stream)
      const range = await this.#of(stream, () => this.#planners.get(stream)?.next(last, recordsMax, recordsPerPartition))
      delete ranges[stream]
      if (range !== undefined) ranges[stream] = range
    }
    const { txid, timeMs } = batch
    const record: BatchRecord = { txid, timeMs, ranges }
    await log.plannedAgain(record, this.#positionsBefore(txid))
    const again: Active = { ...batch, ranges }
    this.#active = this.#active.map((other) => (other === batch ? again : other))
    if (this.#last?.txid === txid) this.#last = record
    this.#process(again, out)
  }

  get #hasOpaque(): boolean {
    return [...this.#options.sources.values()].some(({ kind }) => kind === 'opaque')
  }

  /** What batches before this one took last of a source. */
  #rangeBefore(txid: number, stream: string): Range | undefined {
    const taker = this.#active.findLast((batch) => batch.txid < txid && batch.ranges[stream] !== undefined)
    return taker === undefined ? this.#committed.get(stream) : taker.ranges[stream]
  }

  /** Written with a batch behind which others are forgotten: sources may have given nothing for long. */
  #positionsBefore(txid: number): Record<string, Range> {
    if (txid % forgetEvery !== 0) return {}
    const streams = [...this.#planners.keys()].filter((stream) => this.#rangeBefore(txid, stream) !== undefined)
    return Object.fromEntries(streams.map((stream) => [stream, this.#rangeBefore(txid, stream) as Range]))
  }

  #noteCommitted(ranges: Readonly<Record<string, Range>>): void {
    for (const [stream, range] of Object.entries(ranges)) this.#committed.set(stream, range)
  }

  #planNothing(out: SpoutOutput<Orders>): void | Promise<void> {
    if (this.#isEmptyBatchDue) return this.#planBatch({}, out)
    if (this.#active.length === 0 && [...this.#planners.values()].every(({ hasEnded }) => hasEnded)) out.end()
  }

  async #planBatch(ranges: Record<string, Range>, out: SpoutOutput<Orders>): Promise<void> {
    const timeMs = this.#nextTimeMs()
    const record: BatchRecord = { txid: (this.#last?.txid ?? 0) + 1, timeMs, ranges }
    await this.#options.log.planned(record, this.#positionsBefore(record.txid))
    this.#last = record
    for (const [stream, rate] of this.#rates) if (this.#options.intervalMs > 0 || stream in ranges) rate.planned(this.#context.now())
    const batch = this.#waiting(record, this.#isFirst)
    this.#isFirst = false
    // one before it failed while it was planned
    batch.isOpen = this.#active.some(({ isOpen }) => isOpen)
    this.#active.push(batch)
    if (!batch.isOpen) this.#process(batch, out)
  }

  /** Batches are at multiples of the interval; none is left out when they come late. */
  #nextTimeMs(): number {
    const { intervalMs } = this.#options
    const nowMs = this.#context.date()
    const last = this.#last
    if (intervalMs === 0) return Math.max(Math.floor(nowMs), (last?.timeMs ?? 0) + 1)
    return last === undefined ? this.#firstMs : last.timeMs + intervalMs
  }

  /**
   * With an interval every batch runs, whether there is data or not, until all sources have ended and one more has run. Without
   * one, a batch without data follows the last one with data, once that is committed and its watermark known.
   */
  get #isEmptyBatchDue(): boolean {
    const { intervalMs, noDataBatches } = this.#options
    const hadData = this.#last !== undefined && Object.keys(this.#last.ranges).length > 0
    if (intervalMs === 0) return noDataBatches && hadData && this.#active.length === 0
    return hadData || ![...this.#planners.values()].every(({ hasEnded }) => hasEnded)
  }

  #waiting({ txid, timeMs, ranges }: BatchRecord, needsHistory: boolean): Active {
    return {
      txid,
      timeMs,
      ranges,
      needsHistory,
      attempt: ++this.#attempt,
      tries: 0,
      phase: 'waiting',
      dueMs: 0,
      isOpen: false,
      mayBeCommitted: false,
      startedMs: undefined,
      startedDate: 0,
    }
  }

  #process(batch: Active, out: SpoutOutput<Orders>): void {
    batch.phase = 'processing'
    if (batch.startedMs === undefined) {
      batch.startedMs = this.#context.now()
      batch.startedDate = this.#context.date()
    }
    const { txid, attempt, timeMs, ranges, needsHistory } = batch
    const history = needsHistory ? this.#history : []
    const { watermarkPolicy } = this.#options
    const oldest = (this.#active[0] ?? batch).txid
    out.emitTo('process', { txid, attempt, timeMs, ranges, oldest, isAnew: needsHistory, watermarkPolicy, history }, idOf(batch))
  }

  // ---------------------------------------------------------------------------------------------- the end of a batch

  async #done(batch: Active): Promise<void> {
    this.#active = this.#active.filter((other) => other !== batch)
    this.#noteCommitted(batch.ranges)
    this.#tell(batch)
    const { rememberMs, log } = this.#options
    const { txid, timeMs, ranges } = batch
    this.#history = [...this.#history, { txid, timeMs, ranges }].filter((other) => other.timeMs > timeMs - rememberMs)
    const [oldest] = this.#history
    if (txid % forgetEvery === 0) await log.forget(oldest?.txid ?? txid)
    for (const [stream, range] of Object.entries(batch.ranges)) await this.#planners.get(stream)?.committed?.(range)
  }

  /** How the batch went: to the rates of the streams, and to who wants to know. */
  #tell(batch: Active): void {
    const { txid, timeMs, tries, startedMs = 0, startedDate } = batch
    const { topology, log } = this.#context
    const endMs = this.#context.now()
    // while the batch before was not done, the run had not begun with this one
    const waitedMs = Math.max(0, this.#doneMs - startedMs)
    const schedulingDelayMs = Math.max(0, startedDate - timeMs) + waitedMs
    const processingDelayMs = endMs - startedMs - waitedMs
    this.#doneMs = endMs
    const reads = this.#options.reads.take(txid)
    const streams: Record<string, StreamStats> = {}
    for (const [stream, rate] of this.#rates) {
      const { records, badRecords } = reads[stream] ?? { records: 0, badRecords: 0 }
      rate.committed(records, { endMs, processingMs: processingDelayMs, schedulingMs: schedulingDelayMs })
      streams[stream] = { records, badRecords, rate: rate.rate }
      if (badRecords > 0) log.warn(`${badRecords} bad records of the stream ${stream} are left out of batch ${txid}`)
    }
    this.#count(processingDelayMs, schedulingDelayMs, sumOf(Object.values(streams).map(({ records }) => records)))
    for (const listener of this.#options.listeners)
      try {
        listener({ topology, txid, timeMs, schedulingDelayMs, processingDelayMs, attempts: tries + 1, streams })
      } catch (error) {
        this.#context.reportError(error)
      }
  }

  /** For the metrics: the counters that the live table shows of batches. */
  #count(processingMs: number, delayMs: number, records: number): void {
    const { count } = this.#context
    record(this.#took, 0, processingMs)
    const { p50: batchP50Ms, p99: batchP99Ms } = new Histogram().add(this.#took, 0).summary()
    count('batches')
    count('records', records)
    for (const [name, value] of Object.entries({ batchP50Ms, batchP99Ms, delayMs })) {
      count(name, value - (this.#told.get(name) ?? 0))
      this.#told.set(name, value)
    }
  }

  /** The batch of an order that is still the newest of its txid. */
  #find(id: unknown): Active | undefined {
    const { txid, attempt } = id as CommitOrder
    return this.#active.find((batch) => batch.txid === txid && batch.attempt === attempt)
  }
}

function idOf({ txid, attempt }: Active): CommitOrder {
  return { txid, attempt }
}

function sumOf(all: readonly number[]): number {
  return all.reduce((a, b) => a + b, 0)
}
