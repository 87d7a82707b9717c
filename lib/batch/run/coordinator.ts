/**
 * The coordinator: the spout that issues batches, decides what each contains, and commits them in order (after Trident's
 * `MasterBatchCoordinator`). It emits no data, only orders to the batch bolt:
 *
 *     waiting --process--> processing --acked--> processed --commit--> committing --acked--> done
 *        ^                     |                                          |
 *        +------ failed -------+------------------ failed ----------------+      with all later ones
 *
 * Where batches give tuples to bolts, these are done when `committing` is acked; then comes `writing`, in which that is written down.
 *
 * Processing of several batches overlaps; commits are strictly in the order of their txids, one at a time.
 *
 * **Invariant.** What a batch contains is in the offset log before the batch is first emitted, and never changes: whoever
 * runs batch t again, in this process or in the next, gives the sources the same ranges and the operators the same time. Only opaque
 * sources are asked again what a batch takes that has failed, unless it is written down as committed.
 */
import { SquallError, placed } from '../../errors.ts'
import type { Failure, SpoutContext, SpoutOutput } from '../../topology/component.ts'
import { idOf, waiting } from './active-batch.ts'
import type { ActiveBatch } from './active-batch.ts'
import { noBatchLog } from './batch-log.ts'
import type { Around, BatchLog, BatchRecord } from './batch-log.ts'
import type { BatchReads, BatchStats } from './batch-stats.ts'
import { BatchTally } from './batch-tally.ts'
import type { CommitOrder, Orders } from './orders.ts'
import { StreamRate } from '../rate-control.ts'
import type { RateOptions } from '../rate-control.ts'
import type { WatermarkPolicy } from '../event-time.ts'
import { Reception, Watch } from '../receiver/reception.ts'
import type { BatchSource, Planner, Range } from '../source.ts'

export interface CoordinatorOptions {
  readonly sources: ReadonlyMap<string, BatchSource<unknown>>
  /** the streams that receivers make */
  readonly received: readonly string[]
  /** batches give tuples to bolts */
  readonly givesTuples: boolean
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

/** Batches between two times that old ones are forgotten. */
const forgetEvery = 64
/** How long planners that answer later, and had nothing, are left alone. */
const askAgainMs = 2
/** How long a batch that failed waits, at first. */
const retryMs = 50
/** How often a coordinator that is not asked any more looks what is to be done. */
const drainMs = 1

export class Coordinator {
  readonly #options: CoordinatorOptions
  readonly #context: SpoutContext
  readonly #planners = new Map<string, Planner>()
  readonly #rates = new Map<string, StreamRate>()
  /** by txid, the oldest first */
  #active: ActiveBatch[] = []
  #last: BatchRecord | undefined
  /** up to here batches were ordered at some time, in this process or before: they may have been given blocks */
  #orderedTxid = 0
  /** batches that are done and may be needed again, the oldest first */
  #history: BatchRecord[] = []
  /** no batch of this coordinator's own was planned yet */
  #isFirst = true
  readonly #tally: BatchTally
  /** planners that took their time had nothing: they are not asked before this */
  #askAgainMs = -Infinity
  /** what batches that are committed took last of each source */
  readonly #committed = new Map<string, Range>()
  /** the time of the first batch, with an interval */
  readonly #firstMs: number
  #attempt: number
  readonly #reception: Reception | undefined
  #out: SpoutOutput<Orders> | undefined
  /** the run ends or pauses, and what was received is still to be processed */
  #isDraining = false
  /** a call of `nextTuple` has not settled: the run may end or pause meanwhile */
  #isPlanning = false

  private constructor(options: CoordinatorOptions, context: SpoutContext) {
    this.#options = options
    this.#context = context
    this.#tally = new BatchTally({ ...options, rates: this.#rates }, context)
    this.#firstMs = (Math.floor(context.date() / options.intervalMs) + 1) * options.intervalMs
    // whatever a coordinator before this one has under way has another number
    this.#attempt = context.random.below(1 << 20) * 4_096
    if (options.received.length === 0) return
    const { tasksOf, hasEnded } = context
    const [driver = 0] = tasksOf('batch')
    this.#reception = new Reception({ streams: options.received, driver, tasks: tasksOf('receivers'), hasEnded })
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
    for (const stream of [...options.sources.keys(), ...options.received])
      coordinator.#rates.set(stream, new StreamRate(options.rates.get(stream) ?? {}, options.intervalMs, context.now()))
    for (const [stream, source] of options.sources) {
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
      this.#orderedTxid = Math.max(this.#orderedTxid, record.orderedTxid)
      if (record.isCommitted) {
        this.#history.push(record)
        this.#noteCommitted(record.positions)
        this.#noteCommitted(record.ranges)
        // the driver may have written down meanwhile, or be about to, that it is committed
      } else this.#active.push({ ...waiting(record, true, ++this.#attempt), mayBeCommitted: true })
    }
  }

  /** Gives the next order there is; asked again and again. One call at a time: two would plan the same batch. */
  nextTuple(out: SpoutOutput<Orders>): void | Promise<void> {
    this.#out = out
    if (this.#isPlanning) return
    const planned = this.#next(out)
    if (planned === undefined) return
    this.#isPlanning = true
    return planned.finally(() => (this.#isPlanning = false))
  }

  #next(out: SpoutOutput<Orders>): void | Promise<void> {
    this.#reception?.watch(out, !this.#isDraining)
    const [head] = this.#active
    if (head?.phase === 'processed') {
      head.phase = 'committing'
      out.emitTo('commit', { ...idOf(head), step: this.#options.givesTuples ? 'state' : 'all' }, idOf(head))
      return
    }
    // in the order of their txids: what a later one takes of an opaque source depends on those before it
    const next = this.#active.find(({ phase }) => phase === 'waiting')
    if (next !== undefined && next.dueMs <= this.#context.now()) return next.isOpen ? this.#planAgain(next, out) : this.#process(next, out)
    if (this.#context.now() < this.#askAgainMs) return
    if (this.#active.length < this.#options.pendingMax && this.#isDue && !this.#active.some(({ isOpen }) => isOpen)) return this.#plan(out)
  }

  activate(): void {
    this.#isDraining = false
    this.#reception?.revive()
  }

  /** Nobody asks for orders now. What was received must still be processed, so that its receivers can stop in peace. */
  deactivate(): void {
    if (this.#reception === undefined) return
    this.#isDraining = true
    this.#drain()
  }

  #drain(): void {
    if (!this.#isDraining) return
    if (this.#out !== undefined) Promise.resolve(this.nextTuple(this.#out)).catch(this.#context.reportError)
    if (this.#reception?.hasEnded !== true || this.#active.length > 0 || this.#isNextGiven)
      this.#context.after(drainMs, () => this.#drain())
  }

  ack(id: unknown): Promise<void> | void {
    if (id instanceof Watch) return this.#reception?.acked(id)
    const batch = this.#find(id)
    if (batch === undefined) return
    if (batch.phase === 'processing') batch.phase = 'processed'
    else if (batch.phase === 'committing' && this.#options.givesTuples) {
      batch.phase = 'writing'
      this.#out?.emitTo('commit', { ...idOf(batch), step: 'log' }, idOf(batch))
    } else return this.#done(batch)
  }

  /** A batch failed: it and all later ones run again. */
  fail(id: unknown, failure: Failure): void {
    if (id instanceof Watch) return this.#reception?.failed(id)
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
    const [head = batch] = this.#active
    // the state has it and the log perhaps not: who starts anew behind it would not know its watermark
    const isBetween = this.#options.givesTuples && (head.phase === 'committing' || head.phase === 'writing')
    for (const later of this.#active) {
      if (later.txid < (isBetween ? head : batch).txid) continue
      later.mayBeCommitted ||= later.phase === 'committing' || later.phase === 'writing'
      later.isOpen = this.#hasOpaque
      later.phase = 'waiting'
      later.attempt = ++this.#attempt
      later.needsHistory = true
      later.dueMs = dueMs
    }
  }

  async close(): Promise<void> {
    this.#isDraining = false
    for (const planner of this.#planners.values()) await planner.close?.()
    await this.#options.log.close()
  }

  // ---------------------------------------------------------------------------------------------- new batches

  get #isDue(): boolean {
    // the last batch does not wait for its time
    if (this.#isDraining) return this.#reception?.hasData === true || this.#isNextGiven
    return this.#options.intervalMs === 0 || this.#context.date() >= this.#nextTimeMs()
  }

  get #nextTxid(): number {
    return (this.#last?.txid ?? 0) + 1
  }

  /** The next batch was ordered before a crash, and may have been given blocks then: it has to read them. */
  get #isNextGiven(): boolean {
    return this.#reception !== undefined && this.#nextTxid <= this.#orderedTxid
  }

  /** Decides what the next batch contains. Sources that know at once are not waited for: a spout that waits has something to do. */
  #plan(out: SpoutOutput<Orders>): void | Promise<void> {
    const received = this.#reception?.take(this.#nextTxid, this.#isNextGiven, (stream) => this.#rates.get(stream)?.rate) ?? {}
    if (this.#isDraining) return this.#planBatch(received, out)
    const nowMs = this.#context.now()
    const asked = [...this.#planners].map(([stream, planner]) => {
      const { records, recordsPerPartition } = (this.#rates.get(stream) as StreamRate).allowance(nowMs)
      const recordsMax = Math.min(records, this.#options.recordsMax)
      const next = (): ReturnType<Planner['next']> => planner.next(this.#rangeBefore(Infinity, stream), recordsMax, recordsPerPartition)
      return [stream, recordsMax === 0 ? undefined : this.#of(stream, next)] as const
    })
    if (asked.every(([, range]) => range === undefined)) return this.#planFound(received, out)
    return this.#planAsked(asked, received, out)
  }

  async #planAsked(
    asked: readonly (readonly [stream: string, range: ReturnType<Planner['next']>])[],
    received: Readonly<Record<string, Range>>,
    out: SpoutOutput<Orders>,
  ): Promise<void> {
    const ranges: Record<string, Range> = { ...received }
    for (const [stream, promised] of asked) {
      const range = await this.#of(stream, () => promised)
      if (range !== undefined) ranges[stream] = range
    }
    // it would be asked again with its answer, without end
    if (Object.keys(ranges).length === 0) this.#askAgainMs = this.#context.now() + askAgainMs
    return this.#planFound(ranges, out)
  }

  #planFound(ranges: Readonly<Record<string, Range>>, out: SpoutOutput<Orders>): void | Promise<void> {
    return Object.keys(ranges).length > 0 ? this.#planBatch(ranges, out) : this.#planNothing(out)
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
  async #planAgain(batch: ActiveBatch, out: SpoutOutput<Orders>): Promise<void> {
    const { log } = this.#options
    batch.isOpen = false
    // a state may hold it as it was, and nothing would take it back after a restart
    if (batch.mayBeCommitted && (await log.isCommitted(batch.txid))) return batch.isOpen ? undefined : this.#process(batch, out)
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
    await log.plannedAgain(record, this.#around(txid))
    const again: ActiveBatch = { ...batch, ranges }
    this.#active = this.#active.map((other) => (other === batch ? again : other))
    if (this.#last?.txid === txid) this.#last = record
    // one before it failed meanwhile
    if (!again.isOpen) this.#process(again, out)
  }

  get #hasOpaque(): boolean {
    return [...this.#options.sources.values()].some(({ kind }) => kind === 'opaque')
  }

  /** What batches before this one took last of a source. */
  #rangeBefore(txid: number, stream: string): Range | undefined {
    const taker = this.#active.findLast((batch) => batch.txid < txid && batch.ranges[stream] !== undefined)
    return taker === undefined ? this.#committed.get(stream) : taker.ranges[stream]
  }

  #around(txid: number): Around {
    this.#orderedTxid = Math.max(this.#orderedTxid, txid)
    return { positions: this.#positionsBefore(txid), orderedTxid: this.#orderedTxid }
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
    if (this.#active.length === 0 && this.#haveEnded) out.end()
  }

  /** Nothing will come any more. */
  get #haveEnded(): boolean {
    return this.#reception?.hasEnded !== false && [...this.#planners.values()].every(({ hasEnded }) => hasEnded)
  }

  async #planBatch(ranges: Readonly<Record<string, Range>>, out: SpoutOutput<Orders>): Promise<void> {
    const timeMs = this.#nextTimeMs()
    const record: BatchRecord = { txid: this.#nextTxid, timeMs, ranges }
    await this.#options.log.planned(record, this.#around(record.txid))
    this.#last = record
    for (const [stream, rate] of this.#rates) if (this.#options.intervalMs > 0 || stream in ranges) rate.planned(this.#context.now())
    const batch = waiting(record, this.#isFirst, ++this.#attempt)
    this.#isFirst = false
    // one before it failed while it was planned, or waits to be tried again
    const mustWait = this.#active.some(({ phase }) => phase === 'waiting')
    batch.isOpen = mustWait && this.#hasOpaque
    this.#active.push(batch)
    if (!mustWait) this.#process(batch, out)
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
    return hadData || !this.#haveEnded
  }

  #process(batch: ActiveBatch, out: SpoutOutput<Orders>): void {
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

  async #done(batch: ActiveBatch): Promise<void> {
    this.#active = this.#active.filter((other) => other !== batch)
    this.#noteCommitted(batch.ranges)
    this.#tally.done(batch)
    const { rememberMs, log } = this.#options
    const { txid, timeMs, ranges } = batch
    this.#history = [...this.#history, { txid, timeMs, ranges }].filter((other) => other.timeMs > timeMs - rememberMs)
    const [oldest] = this.#history
    if (txid % forgetEvery === 0) await log.forget(oldest?.txid ?? txid)
    for (const [stream, range] of Object.entries(batch.ranges)) await this.#planners.get(stream)?.committed?.(range)
  }

  /** The batch of an order that is still the newest of its txid. */
  #find(id: unknown): ActiveBatch | undefined {
    const { txid, attempt } = id as CommitOrder
    return this.#active.find((batch) => batch.txid === txid && batch.attempt === attempt)
  }
}
