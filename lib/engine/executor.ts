/**
 * One executor: the tasks placed on it and the one loop that runs them.
 *
 * A **turn** is synchronous and short (about a millisecond at most):
 *
 *   timers -> what arrived from other executors -> bolts -> spouts -> bolts -> send what gathered
 *
 * **Fairness.** Bolts run in the order from sinks to sources, so what is under way is finished before more begins; each runs at
 * most 256 tuples or about 0.2 ms in a row, then the next one; a round is repeated until all inboxes are empty or the turn's time is
 * over. Spouts are asked once a turn. After 2 ms of turns the event loop gets its chance (sockets, promises, timers of users).
 *
 * **Back-pressure.** Nothing is dropped and nothing blocks. Spouts are not asked while (a) as many trees as allowed are
 * pending, (b) more than `inboxTuplesMax` tuples wait in this executor, or (c) any executor has frames that a full lane
 * did not take. While (b) holds, data from other executors stays in their lanes too, so that they come to (c); acks are
 * always taken. A bolt always runs when it can, so whatever is full empties: cycles cannot deadlock, and what waits is
 * bounded by what was under way when the pressure began, times its fan-out.
 *
 * Time, chance and transport are arguments: the same turn runs under a virtual clock and a seeded schedule.
 */
import { record } from '../metrics/histogram.ts'
import { assert } from '../std/assert.ts'
import { Random } from '../std/random.ts'
import { systemStream } from '../topology/plan.ts'
import type { PlannedComponent, PlannedTask } from '../topology/plan.ts'
import { BundleReader } from '../wire/bundle.ts'
import type { BundleSink } from '../wire/bundle.ts'
import { BoltTask } from './bolt-task.ts'
import { cell, hookNumber } from './cells.ts'
import type { Hook } from './cells.ts'
import { wrapped } from './faults.ts'
import { TaskHost } from './host.ts'
import type { ExecutorOptions } from './host.ts'
import { Inbox } from './inbox.ts'
import { Link } from './link.ts'
import type { LaneEnd, LaneEnds, Lanes } from './link.ts'
import type { Outlet } from './outlet.ts'
import { SpoutTask } from './spout-task.ts'
import { spoutContext, taskContext } from './task-context.ts'
import { Trees } from './trees.ts'
import { Wiring, codecsOf, routesOf } from './wiring.ts'
import type { StreamRoute } from './wiring.ts'

/** A turn ends when it has taken this long and its tasks have had their run. */
const turnMs = 1

export class Executor extends TaskHost implements BundleSink {
  readonly trees: Trees
  /** frames taken from each other executor */
  readonly received: number[]

  readonly #options: ExecutorOptions
  readonly #random: Random
  /** readers before their sources */
  readonly #bolts: readonly BoltTask[]
  readonly #spouts: readonly SpoutTask[]
  readonly #inboxes: ReadonlyMap<number, Inbox>
  readonly #links: readonly (Link | undefined)[]
  readonly #ends: (LaneEnds | undefined)[]
  readonly #reader: BundleReader
  readonly #routes: readonly StreamRoute[]
  readonly #wiring: Wiring
  /** everything is open and prepared, and not yet being closed; before and after, turns only fire timers */
  #isRunning = false
  /** hooks under way */
  #hooks = 0
  /** the cells say whose promises are under way */
  #areCallsNoted = false
  /** the last to fill the inboxes were the spouts of this executor, and not its lanes */
  #haveSpoutsFed = false
  /** when the inboxes were full after spouts had fed, the lanes come first */
  #areLanesOwed = false

  constructor(options: ExecutorOptions) {
    const { plan, index, placement, lanes, seed } = options
    super(options)
    this.#options = options
    this.#random = new Random(seed ^ Math.imul(index + 1, 0x9e3779b1))
    const firstGeneration = this.#random.int32()
    this.received = lanes.map(() => 0)
    this.#ends = [...options.ends]
    this.#routes = routesOf(plan)
    const codecs = codecsOf(plan, this.#routes)
    this.#reader = new BundleReader(codecs)
    this.#links = lanes.map((to) => to && new Link(to, codecs, plan.config.bundleBytes))
    const mine = plan.tasks.filter(({ task }) => placement[task] === index)
    const component = (task: PlannedTask): PlannedComponent => plan.components[task.component] as PlannedComponent
    const bolts = mine.filter((task) => component(task).definition.kind === 'bolt').reverse()
    const spouts = mine.filter((task) => component(task).definition.kind === 'spout')
    this.#inboxes = new Map(bolts.map(({ task }) => [task, new Inbox()]))
    this.#wiring = new Wiring(options, this.layout, this.#routes, this.#inboxes, this.#links, this.#random)
    const outlets = (task: PlannedTask): ReadonlyMap<string, Outlet> => this.#wiring.outletsOf(component(task), task.task)
    const trees = new Trees(this, this.#links, firstGeneration)
    this.trees = trees
    this.#spouts = spouts.map((task, place) => new SpoutTask(this, trees, component(task), task.task, place, outlets(task)))
    trees.owners = this.#spouts
    const inbox = ({ task }: PlannedTask): Inbox => this.#inboxes.get(task) as Inbox
    this.#bolts = bolts.map((task) => new BoltTask(this, trees, component(task), task.task, inbox(task), outlets(task)))
  }

  // ---------------------------------------------------------------------------------------------- a turn

  /** Runs one turn; true if anything was done. */
  turn(): boolean {
    const start = this.readClock()
    if (!this.#isRunning) return this.timers.fire(start)
    this.isInTurn = true
    let worked = this.timers.nextMs <= start && this.timers.fire(start)
    worked = this.#receive() || worked
    worked = this.#runBolts(start) || worked
    if (this.#maySpout()) {
      let emitted = false
      for (const spout of this.#spouts) {
        const before = this.nowMs
        if (!spout.pump()) continue
        emitted = true
        this.#haveSpoutsFed = true
        this.cells[this.layout.head(spout.task) + cell.busyMs]! += this.readClock() - before
      }
      if (emitted) {
        worked = true
        this.#runBolts(start)
      }
    }
    // what was emitted or acked between two turns leaves now: that is work, too
    worked = this.#flush() || worked
    this.isInTurn = false
    return worked
  }

  #maySpout(): boolean {
    if (this.#spouts.length === 0) return false
    const { pressure } = this.#options
    this.isUnderPressure = this.backlog > this.plan.config.inboxTuplesMax
    for (let i = 0; i < pressure.length; i++) if (pressure[i] !== 0) this.isUnderPressure = true
    return !this.isUnderPressure && !this.#areLanesOwed
  }

  #runBolts(startMs: number): boolean {
    let worked = false
    for (;;) {
      let ranAny = false
      for (const bolt of this.#bolts) {
        if (!bolt.canRun) continue
        ranAny = true
        const before = this.nowMs
        const ran = bolt.run()
        const ms = this.readClock() - before
        this.#time(bolt, ran, ms)
      }
      if (!ranAny) return worked
      worked = true
      if (this.nowMs - startMs > turnMs) return true
    }
  }

  /** A run took `ms`: each of its tuples counts as having taken its share. */
  #time(bolt: BoltTask, ran: number, ms: number): void {
    bolt.pace(ran, ms)
    if (ran === 0) return
    const busy = this.layout.head(bolt.task) + cell.busyMs
    this.cells[busy]! += ms
    record(this.cells, this.layout.latency(bolt.task), ms / ran, ran)
  }

  /** Acks are always taken; data while few enough tuples wait, in turns with the spouts of this executor when they are many. */
  #receive(): boolean {
    const { inboxTuplesMax } = this.plan.config
    const isFull = this.backlog > inboxTuplesMax
    if (isFull && this.#haveSpoutsFed && this.#ends.length > 1) this.#areLanesOwed = true
    if (!isFull) this.#areLanesOwed = false
    let worked = false
    for (let from = 0; from < this.#ends.length; from++) {
      const ends = this.#ends[from]
      if (ends === undefined) continue
      while (this.#take(from, ends.system)) worked = true
      while (this.backlog <= inboxTuplesMax && this.#take(from, ends.data)) {
        this.#haveSpoutsFed = false
        worked = true
      }
    }
    return worked
  }

  #take(from: number, end: LaneEnd): boolean {
    const frame = end.read()
    if (frame === undefined) return false
    this.#reader.read(frame, this)
    end.release()
    this.received[from]! += 1
    return true
  }

  /** Sends what gathered; true if anything did. */
  #flush(): boolean {
    const { pressure } = this.#options
    let parked = 0
    let hasSent = false
    for (const link of this.#links) {
      if (link === undefined) continue
      const before = link.sent
      if (link.flush()) parked++
      if (link.sent !== before) hasSent = true
    }
    if (pressure[this.index] !== parked) {
      pressure[this.index] = parked
      this.#options.onPressure?.()
    }
    for (const spout of this.#spouts) {
      const head = this.layout.head(spout.task)
      this.cells[head + cell.pending] = spout.pending
      // after what is pending: whoever sees the end sees that as well
      this.cells[head + cell.ended] = spout.hasEnded ? 1 : 0
    }
    for (const bolt of this.#bolts) this.cells[this.layout.head(bolt.task) + cell.pending] = bolt.pending
    return hasSent
  }

  // ---------------------------------------------------------------------------------------------- for whoever drives it

  /** Tuples that wait in this executor. */
  get backlog(): number {
    let tuples = 0
    for (const bolt of this.#bolts) tuples += bolt.inbox.size
    return tuples
  }

  /** A spout may have something any moment and has to be asked. */
  get isPolling(): boolean {
    return !this.isClosing && this.#spouts.some((spout) => spout.isPolled)
  }

  /** Frames wait for room in a lane; the other side does not tell when there is some. */
  get isParked(): boolean {
    return this.#options.pressure[this.index] !== 0
  }

  /** A promise of a component may settle at any moment. */
  get isWaitingForPromises(): boolean {
    return this.#bolts.some((bolt) => bolt.inFlight > 0) || this.#spouts.some((spout) => spout.isWaiting)
  }

  /** Nothing here can go on but promises of components, and none of those waits for the run's clock; the cells then say whose. */
  noteCalls(): 'none' | 'some' | 'other' {
    const isHeldUp =
      this.#isRunning &&
      this.#hooks === 0 &&
      this.sleeping === 0 &&
      this.#spouts.every((spout) => spout.hasEnded && spout.pending === 0) &&
      !this.#bolts.some((bolt) => bolt.canRun) &&
      this.#links.every((link) => link?.isParked !== true)
    const isNoted = isHeldUp && this.isWaitingForPromises
    if (isNoted || (this.#areCallsNoted && this.#hooks === 0)) {
      for (const { task, inFlight } of this.#bolts) this.#noteCall(task, 'execute', isNoted && inFlight > 0)
      for (const { task, isWaiting } of this.#spouts) this.#noteCall(task, 'nextTuple', isNoted && isWaiting)
    }
    this.#areCallsNoted = isNoted
    return isNoted ? 'some' : isHeldUp ? 'none' : 'other'
  }

  #noteCall(task: number, hook: Hook, isUnderWay: boolean): void {
    this.cells[this.layout.head(task) + cell.hook] = isUnderWay ? hookNumber(hook) : 0
  }

  /** All spouts here have ended and every tree is done. */
  get areSpoutsDone(): boolean {
    return this.#spouts.every((spout) => spout.isDone)
  }

  /** Nothing is waiting, running or parked here. */
  get isQuiet(): boolean {
    return (
      this.#isRunning &&
      this.#hooks === 0 &&
      this.#bolts.every((bolt) => bolt.pending === 0) &&
      this.#links.every((link) => link?.isParked !== true)
    )
  }

  /** Frames given to each other executor. */
  get sent(): readonly number[] {
    return this.#links.map((link) => link?.sent ?? 0)
  }

  /** Makes and prepares every task here: bolts first, so that no tuple meets a bolt that is not ready. */
  async start(): Promise<void> {
    for (const bolt of this.#bolts.toReversed()) {
      const { definition } = bolt.component
      if (definition.kind !== 'bolt') continue
      const made = definition.create()
      await this.#starting(bolt, 'prepare', async () => {
        await made.prepare(taskContext(this, this.#options, bolt.component, bolt.task, this.#random.fork()))
        if (!this.isClosing) bolt.begin(made.instance(), this.#options.tap)
      })
      if (this.isClosing) return
      const { tickMs } = bolt.component.config
      if (tickMs > 0)
        this.timers.every(
          this.#options.clock.now(),
          tickMs,
          () => this.#isRunning && bolt.tick(),
          () => this.#options.clock.now(),
        )
    }
    for (const spout of this.#spouts) {
      const { definition } = spout.component
      if (definition.kind !== 'spout') continue
      const made = definition.create()
      await this.#starting(spout, 'open', async () => {
        await made.open(spoutContext(this, this.#options, spout.component, spout.task, this.#random.fork()))
        if (!this.isClosing) spout.begin(made.instance())
      })
      if (this.isClosing) return
    }
    const { ack, messageTimeouts, messageTimeoutMs } = this.plan.config
    if (ack && messageTimeouts && this.#spouts.length > 0)
      this.timers.every(
        this.#options.clock.now(),
        messageTimeoutMs / 10,
        () => this.#isRunning && this.trees.expire(),
        () => this.#options.clock.now(),
      )
    this.#isRunning = true
    this.#announce()
  }

  setActive(isActive: boolean): void {
    for (const spout of this.#spouts) {
      const at = this.layout.head(spout.task) + cell.hook
      this.cells[at] = hookNumber(isActive ? 'activate' : 'deactivate')
      spout.setActive(isActive)
      this.cells[at] = 0
    }
    this.wake()
  }

  /** The last word of a component's tasks here, once every source has ended. */
  async finish(component: number): Promise<void> {
    for (const bolt of this.#bolts) if (bolt.component.index === component) await this.#hook(bolt.task, 'finish', () => bolt.finish())
    this.wake()
  }

  /** Closes spouts and cleans up bolts, all at once so that none waits for another; the first fault is thrown when all are done. */
  async close(): Promise<void> {
    if (this.isClosing) return
    this.isClosing = true
    this.#isRunning = false
    const closed = await Promise.allSettled([
      ...this.#spouts.map((spout) => this.#hook(spout.task, 'close', () => spout.close())),
      ...this.#bolts.map((bolt) => this.#hook(bolt.task, 'cleanup', () => bolt.close())),
    ])
    for (const one of closed) if (one.status === 'rejected') throw one.reason
  }

  /** Calls a hook of a task; while it is under way, a cell says so. */
  async #hook(task: number, hook: Hook, act: () => unknown): Promise<void> {
    const at = this.layout.head(task) + cell.hook
    this.cells[at] = hookNumber(hook)
    this.#hooks++
    try {
      await act()
    } finally {
      this.cells[at] = 0
      this.#hooks--
    }
  }

  /** As if its thread had died: what its components' promises still bring is counted nowhere, and they may emit no more. */
  die(): void {
    this.isDead = true
    this.isClosing = true
    this.#isRunning = false
    this.cells = this.cells.slice()
  }

  /** Executor `other` was started anew: what we meant for the old one goes nowhere. `loseTrees` has to follow. */
  reconnect(other: number, lanes: Lanes, ends: LaneEnds): void {
    this.#links[other]?.reconnect(lanes)
    this.#ends[other] = ends
    this.received[other] = 0
    this.wake()
  }

  /** Executor `other` died, and no one writes to it any more: each of our trees may have had a part in it. */
  loseTrees(other: number): void {
    this.trees.lose(other)
    this.wake()
  }

  // ---------------------------------------------------------------------------------------------- what bundles carry

  tuple(route: number, source: number, target: number, rootA: number, rootB: number, edgeA: number, edgeB: number, values: object): void {
    this.#inboxOf(target).put(values, rootA, rootB, edgeA, edgeB, (this.#routes[route] as StreamRoute).input, source)
  }

  tupleAnchored(route: number, source: number, target: number, anchors: Int32Array, count: number, values: object): void {
    this.#inboxOf(target).putAnchored(values, [...anchors.subarray(0, count * 4)], (this.#routes[route] as StreamRoute).input, source)
  }

  ack(rootA: number, rootB: number, a: number, b: number): void {
    this.trees.ack(rootA, rootB, a, b, -1)
  }

  fail(rootA: number, rootB: number, task: number, message: string): void {
    this.trees.fail(rootA, rootB, task, message)
  }

  resetTimeout(rootA: number, rootB: number): void {
    this.trees.resetTimeout(rootA, rootB)
  }

  #inboxOf(task: number): Inbox {
    const inbox = this.#inboxes.get(task)
    assert(inbox !== undefined, 'a bundle is for tasks of this executor')
    return inbox
  }

  // ---------------------------------------------------------------------------------------------- starting

  async #starting({ component, task }: BoltTask | SpoutTask, hook: Hook, act: () => unknown): Promise<void> {
    try {
      await this.#hook(task, hook, act)
    } catch (error) {
      throw wrapped('component-start', error, component.id, task)
    }
  }

  /** Every task says once that it is there, to whom it may concern. */
  #announce(): void {
    const nobody = { xorA: 0, xorB: 0, holder: -1 }
    for (const { task, component } of this.plan.tasks) {
      if (this.#options.placement[task] !== this.index) continue
      const outlet = this.#wiring.outletsOf(this.plan.components[component] as PlannedComponent, task).get(systemStream)
      if (outlet?.hasReaders === true) outlet.deliver({ event: 'startup' }, 0, 0, nobody)
    }
  }
}
