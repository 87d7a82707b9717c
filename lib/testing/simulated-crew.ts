/**
 * Executors under virtual time, all in the calling thread: their turns in an order that the seed decides, their bundles over
 * lanes that are late and full as the seed decides. The code that runs is the engine's own; only clock, chance and
 * transport differ. So a run from one seed is the same run each time.
 *
 * An executor that is killed is no more from then on: what it held and what was on its way to and from it is lost, nothing of it is
 * closed, and another starts in its place, as with threads.
 */
import { CellLayout } from '../engine/cells.ts'
import { Deaths } from '../engine/deaths.ts'
import { Executor } from '../engine/executor.ts'
import type { Lanes } from '../engine/link.ts'
import type { Crew, CrewOptions } from '../engine/run.ts'
import { executorFailed } from '../engine/strays.ts'
import { SquallError } from '../errors.ts'
import type { VirtualClock } from '../std/clock.ts'
import { createLogger } from '../std/log.ts'
import { Random } from '../std/random.ts'
import { MemoryLane } from './memory-lane.ts'

/** A spout that has nothing now is asked again after this long. */
const askAgainMs = 1
/** Rounds of the event loop that promises of components get before time moves on. */
const roundsMax = 3
/** Of the times that it stands still for something outside, so many are a round of the event loop only, and the others a millisecond of real time. */
const roundsAtOnce = 16
/** Rounds after which a frame that is still in its lane is not late by chance: its executor takes no more before time moves on. */
const idleMax = 64
/** Of moments in which spouts are only asked, the event loop sees one in so many. */
const passEvery = 64
/** Trees that spouts may start while time stands still; one that starts more will not stop by itself. */
const rootsAtOnceMax = 1_000_000
/** How often, in rounds of turns, that is looked at. */
const lookEvery = 256

interface TwoLanes {
  readonly data: MemoryLane
  readonly system: MemoryLane
}

export class SimulatedCrew implements Crew {
  /** this thread runs what asks, so nothing here can fail to answer */
  readonly silent = []
  /** time that is virtual does not pass while a promise does not settle: `limitMs` is what ends such a run */
  readonly heldUp = undefined
  readonly clock: VirtualClock
  readonly #name: string
  readonly #layout: CellLayout
  readonly #cells: Float64Array
  readonly #random: Random
  readonly #options: CrewOptions
  readonly #patienceMs: number
  readonly #deaths: Deaths
  readonly #pressure: Int32Array
  readonly #executors: Executor[] = []
  /** from i to j at i * n + j */
  readonly #lanes: TwoLanes[] = []
  /** executors that die before the next turn */
  readonly #killed = new Set<number>()
  #hasStarted = false
  #isActive = false
  #isClosing = false
  /** the run is to end: it does so between two moments, even if spouts would go on for ever in this one */
  #hasFailed = false
  /** `finish` and `close` hooks that have not settled */
  #hooks = 0
  /** rounds that time has stood still for something outside since anything outside happened */
  #waited = 0
  #wasWoken = false
  #passed = 0
  #whenQuiet: (() => void) | undefined

  /** `patienceMs`: real time that virtual time stands still at most, before it moves on without what it waited for. */
  constructor(options: CrewOptions, clock: VirtualClock, patienceMs: number) {
    const { plan, executors: n, seed, cells } = options
    this.clock = clock
    this.#patienceMs = patienceMs
    this.#options = options
    this.#deaths = new Deaths(options)
    this.#name = plan.name
    this.#layout = new CellLayout(plan)
    this.#cells = cells
    this.#random = new Random(seed)
    this.#pressure = new Int32Array(n)
    for (let at = 0; at < n * n; at++) this.#lanes.push(this.#newLanes())
    for (let index = 0; index < n; index++) this.#executors.push(this.#newExecutor(index))
  }

  #newLanes(): TwoLanes {
    return { data: new MemoryLane(this.#random.fork()), system: new MemoryLane(this.#random.fork()) }
  }

  #newExecutor(index: number): Executor {
    const { plan, placement, executors: n, seed, cells, options, onError, onFatal } = this.#options
    const others = <T>(of: (other: number) => T): (T | undefined)[] =>
      Array.from({ length: n }, (_, other) => (other === index ? undefined : of(other)))
    const executor: Executor = new Executor({
      plan,
      index,
      placement,
      seed: seed + this.restarts,
      clock: this.clock,
      cells,
      lanes: others((other) => this.#lanesTo(index, other)),
      ends: others((other) => this.#between(other, index)),
      pressure: this.#pressure,
      log: createLogger(options.log),
      tap: options.tap,
      onError: (error) => {
        if (!executor.isDead) onError(error)
      },
      onFatal: (error) => {
        if (executor.isDead) return
        this.#hasFailed = true
        onFatal(error)
      },
    })
    executor.onWake = () => {
      if (!executor.isDead) this.#wasWoken = true
    }
    return executor
  }

  #between(from: number, to: number): TwoLanes {
    return this.#lanes[from * this.#options.executors + to] as TwoLanes
  }

  #lanesTo(from: number, to: number): Lanes {
    return { ...this.#between(from, to), notify: () => undefined }
  }

  get restarts(): number {
    return this.#deaths.restarts
  }

  get counters(): Deaths['counters'] {
    for (const { counters } of this.#executors) this.#deaths.count(counters)
    return this.#deaths.counters
  }

  /** Hooks that wait for the clock get it: nobody else moves it before the start is over. */
  async start(): Promise<void> {
    const state = { isOver: false }
    const starting = this.#hook(async () => {
      for (const executor of this.#executors) await executor.start()
    })
    const over = (): void => void (state.isOver = true)
    starting.then(over, over)
    while (!state.isOver) {
      await new Promise((resolve) => setImmediate(resolve))
      if (!state.isOver) await this.step()
    }
    await starting
    this.#hasStarted = true
  }

  setActive(isActive: boolean): Promise<void> {
    this.#isActive = isActive
    for (const executor of this.#executors) executor.setActive(isActive)
    return Promise.resolve()
  }

  /** Settles while `settle` or `step` drive the executors; nothing moves by itself. */
  quiet(): Promise<void> {
    return new Promise((resolve) => (this.#whenQuiet = resolve))
  }

  async finish(component: number): Promise<void> {
    this.#deaths.isFinishing = true
    await this.#hook(async () => {
      for (const executor of this.#executors) await executor.finish(component)
    })
  }

  async close(): Promise<void> {
    this.#isClosing = true
    await this.#hook(async () => {
      const closed = await Promise.allSettled(this.#executors.map((executor) => executor.close()))
      for (const one of closed) if (one.status === 'rejected') throw one.reason
    })
  }

  async #hook(act: () => Promise<void>): Promise<void> {
    this.#hooks++
    try {
      await act()
    } finally {
      this.#hooks--
    }
  }

  end(): Promise<void> {
    return Promise.resolve()
  }

  /** Takes effect before the next turn. */
  kill(executor: number): void {
    if (this.#executors[executor] === undefined) return
    this.#killed.add(executor)
    this.#wasWoken = true
  }

  /** Promises of the dead cannot be stopped, for they are of this thread: those under way come to their next wait first. */
  async #reviveKilled(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve))
    if (!this.#hasStarted || this.#isClosing) return
    const killed = [...this.#killed]
    // what starts anew may be killed while it does
    this.#killed.clear()
    for (const index of killed) this.#revive(index)
  }

  #revive(index: number): void {
    this.#executors[index]?.die()
    const error = this.#deaths.note(index, 'killed')
    if (error !== undefined) {
      this.#fail(error)
      return
    }
    this.#deaths.count((this.#executors[index] as Executor).counters)
    this.#deaths.forget(index)
    this.#pressure[index] = 0
    const others = this.#executors.filter((executor) => executor.index !== index)
    const { executors: n } = this.#options
    for (const { index: other } of others) {
      this.#lanes[index * n + other] = this.#newLanes()
      this.#lanes[other * n + index] = this.#newLanes()
    }
    for (const other of others) other.reconnect(index, this.#lanesTo(other.index, index), this.#between(index, other.index))
    for (const other of others) other.loseTrees(index)
    const executor = this.#newExecutor(index)
    this.#executors[index] = executor
    this.#hook(async () => {
      await executor.start()
      if (this.#isActive && !executor.isDead) executor.setActive(true)
    }).catch((thrown: unknown) => {
      if (!executor.isDead) this.#fail(executorFailed(thrown))
    })
  }

  #fail(error: SquallError): void {
    this.#hasFailed = true
    this.#options.onFatal(error)
  }

  /** Runs turns until nothing more happens at this moment of virtual time. */
  settle(): Promise<void> {
    return this.#settle(false)
  }

  /** `isPassing`: time only passes until a spout has something; such moments are many, and the event loop need not see each. */
  async #settle(isPassing: boolean): Promise<void> {
    const before = this.#roots
    for (let rounds = 0, turns = 1, idle = 0; rounds < roundsMax; turns++) {
      if (turns % lookEvery === 0 && this.#roots - before > rootsAtOnceMax)
        throw new SquallError('not-done-in-time', { topology: this.#name, ms: this.clock.now() }, { topology: this.#name })
      this.#wasWoken = false
      if (this.#killed.size > 0) await this.#reviveKilled()
      let worked = false
      for (const executor of this.#random.shuffle([...this.#executors])) worked = executor.turn() || worked
      idle = worked ? 0 : idle + 1
      if (isPassing && idle === turns && this.#isOnlyAsking() && ++this.#passed % passEvery !== 0) return
      if (!this.#hasFailed && (worked || (!this.#areLanesEmpty && idle < idleMax))) {
        rounds = 0
        continue
      }
      // promises of components may settle now
      await new Promise((resolve) => setImmediate(resolve))
      if (this.#wasWoken) this.#waited = 0
      rounds = this.#wasWoken && !this.#hasFailed ? 0 : rounds + 1
      if (this.#isQuiet()) {
        this.#whenQuiet?.()
        this.#whenQuiet = undefined
      }
    }
  }

  /** Nothing is due, ever, and real time brought nothing either. */
  get isStuck(): boolean {
    return this.#nextMs === Infinity && this.#waited >= this.#patienceMs + roundsAtOnce
  }

  /** Moves time to when something may happen next, but not past `untilMs`, and settles there. */
  async step(untilMs = Infinity): Promise<void> {
    const to = Math.min(this.#nextMs, untilMs)
    if (to === Infinity || (this.#isWaitingOutside() && this.#waited < this.#patienceMs + roundsAtOnce)) {
      this.#waited++
      await new Promise((resolve) => (this.#waited > roundsAtOnce ? setTimeout(resolve, 1) : setImmediate(resolve)))
    } else this.clock.moveTo(to)
    await this.#settle(true)
  }

  /** Spouts are asked and have nothing, and no one else waits for anything. */
  #isOnlyAsking(): boolean {
    return (
      this.#hooks === 0 &&
      !this.#hasFailed &&
      this.#areLanesEmpty &&
      this.#executors.every(({ isWaitingForPromises, sleeping }) => !isWaitingForPromises && sleeping === 0) &&
      this.#executors.some(({ isPolling }) => isPolling)
    )
  }

  /** Someone waits for what the virtual clock does not move: a file, a socket, a real timer. Time stands still meanwhile. */
  #isWaitingOutside(): boolean {
    const isHookWaiting = this.#hooks > 0 && this.#executors.every(({ sleeping }) => sleeping === 0)
    return isHookWaiting || this.#executors.some((executor) => executor.isWaitingForPromises && executor.sleeping === 0)
  }

  /** When something may happen next. */
  get #nextMs(): number {
    const askMs = this.clock.now() + askAgainMs
    return Math.min(...this.#executors.map(({ timers, isPolling }) => Math.min(timers.nextMs, isPolling ? askMs : Infinity)))
  }

  /** Trees started so far. */
  get #roots(): number {
    const { emitted, replayed } = this.#layout.totals(this.#cells)
    return emitted + replayed
  }

  #isQuiet(): boolean {
    return this.#areLanesEmpty && this.#executors.every((executor) => executor.areSpoutsDone && executor.isQuiet && !executor.isPolling)
  }

  get #areLanesEmpty(): boolean {
    return this.#lanes.every(({ data, system }) => data.isEmpty && system.isEmpty)
  }
}
