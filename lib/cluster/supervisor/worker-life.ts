/**
 * One worker that its host was assigned, from the bundle to its end.
 *
 *     fetching ──▶ starting ──▶ running ──▶ stopping ──▶ gone
 *        ▲            │            │            ▲
 *        │            ▼            ▼            │ from anywhere; by itself when its run is over and its process ends
 *        └───────── waiting ◀──── ended         │
 *                     │                         │
 *                     ▼ five ends within a minute
 *                  failing ─────────────────────┘ stays until the worker is placed anew
 *
 * A worker that ends is started again at once, then after 1, 2, 4 ... 30 s; one whose code cannot be had is tried again after such times, without
 * end. One that says nothing for ten seconds hangs, and is killed. `starting` is also a process whose executors do not run yet.
 */
import { SquallError, reasonOf } from '../../errors.ts'
import { assert } from '../../std/assert.ts'
import type { Schedule } from '../../std/schedule.ts'
import type { WorkerRecord } from '../records.ts'
import type { Assignment, FromWorker, Outcome, Positions } from '../worker/assignment.ts'
import type { Said } from './positions.ts'
import type { FoundWorker, Processes, RunningWorker, WorkerSpec } from './processes.ts'
import type { Placed } from './sync.ts'

/** Times of a worker's life, in milliseconds; see the drawing. */
export interface LifeTimes {
  readonly beatTimeoutMs: number
  readonly backOffMs: readonly number[]
  /** ends within this time that make it `failing` */
  readonly endsMax: number
  readonly endsWithinMs: number
  /** asked, then SIGTERM after this, then SIGKILL after this again */
  readonly stopStepMs: number
}

export const lifeTimes: LifeTimes = {
  beatTimeoutMs: 10_000,
  backOffMs: [0, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000],
  endsMax: 5,
  endsWithinMs: 60_000,
  stopStepMs: 3_000,
}

/** Silence is counted in steps of this process: time in which it did not run itself is nobody's silence. */
const silentStepsMax = 10
/** Beats in a row that say more memory than there may be: one may be a moment. */
const largeBeatsMax = 3
const snapshotMs = 5_000
const snapshotsMax = 16
const messageMax = 4_000
/** What a record has room for. */
const restartsMax = 1_000_000

type State = 'fetching' | 'starting' | 'running' | 'waiting' | 'failing' | 'stopping' | 'gone'

const edges: Readonly<Record<State, readonly State[]>> = {
  fetching: ['starting', 'waiting', 'stopping'],
  starting: ['running', 'waiting', 'failing', 'stopping'],
  running: ['waiting', 'failing', 'stopping'],
  waiting: ['fetching', 'stopping'],
  failing: ['stopping'],
  stopping: ['gone'],
  gone: [],
}

export interface LifeOptions {
  readonly name: string
  readonly id: string
  readonly place: Placed
  readonly supervisor: string
  readonly host: string
  /** names its log */
  readonly log: string
  /** what an earlier supervisor of the host knew of it */
  readonly before?: WorkerRecord | undefined
  readonly schedule: Schedule
  readonly processes: Processes
  /** what the process is started with; rejects when its bundle cannot be had */
  readonly spec: () => Promise<WorkerSpec>
  /** where the spouts of the whole topology would go on, as far as is known */
  readonly positions: () => Positions
  /** a process that has more for some beats is killed */
  readonly rssMaxMb?: number | undefined
  readonly times?: Partial<LifeTimes> | undefined
  readonly changed: () => void
  /** what ends it, for people */
  readonly report: (message: string) => void
  /** Its run has finished; may be said more than once. */
  readonly finished: (outcome: Outcome) => void
}

type Failure = NonNullable<WorkerRecord['error']>

export class WorkerLife {
  readonly place: Placed
  readonly name: string
  readonly id: string
  readonly log: string
  /** Settles when its process is no more. */
  readonly gone: Promise<void>
  readonly #options: LifeOptions
  readonly #times: LifeTimes
  #state: State = 'fetching'
  #process: RunningWorker | undefined
  #launching: Promise<RunningWorker> | undefined
  #isReleased = false
  #isFinished = false
  #assignment: Assignment | undefined
  #ends: number[] = []
  /** starts that failed for want of code, in a row */
  #misses = 0
  #restarts: number
  #executorRestarts: number
  /** deaths of executors that its process has told of, if it has; what it had before an earlier supervisor ended is counted already */
  #toldDeaths: number | undefined
  #error: Failure | undefined
  /** why we ended its process, if we did */
  #verdict: Failure | undefined
  #startedMs: number
  #positions: Said | undefined
  /** this process has said where its spouts are */
  #knowsPositions = false
  #silentSteps = 0
  #largeBeats = 0
  #cancelTimer: () => void = () => undefined
  #cancelWatch: () => void = () => undefined
  #snapshots = 0
  readonly #asking = new Map<number, (snapshot: unknown) => void>()
  #tellGone: () => void = () => undefined

  constructor(options: LifeOptions) {
    const { name, id, place, log, before, schedule, times } = options
    this.#options = options
    this.#times = { ...lifeTimes, ...times }
    this.name = name
    this.id = id
    this.place = place
    this.log = log
    this.#restarts = before?.restarts ?? 0
    this.#executorRestarts = before?.executorRestarts ?? 0
    this.#error = before?.error
    this.#startedMs = before?.startedAtMs ?? schedule.date()
    this.gone = new Promise((resolve) => (this.#tellGone = resolve))
  }

  get state(): State {
    return this.#state
  }

  /** Where its spouts are, as it said last, also if its process has ended since; `undefined`: it has not said. */
  get positions(): Said | undefined {
    return this.#positions
  }

  /** Where its links are, while it has a process. */
  get url(): string | undefined {
    return this.#process?.url
  }

  get record(): WorkerRecord {
    const { name, id, place, supervisor, host, log } = this.#options
    const state = this.#state === 'fetching' ? 'starting' : this.#state === 'gone' ? 'stopping' : this.#state
    return {
      name,
      id,
      worker: place.worker,
      incarnation: place.incarnation,
      supervisor,
      host,
      state,
      ...(this.#process !== undefined && { pid: this.#process.pid, url: this.#process.url }),
      log,
      restarts: this.#restarts,
      ...(this.#executorRestarts > 0 && { executorRestarts: this.#executorRestarts }),
      ...(this.#error !== undefined && { error: this.#error }),
      startedAtMs: this.#startedMs,
    }
  }

  begin(): void {
    if (this.#options.before !== undefined) this.#restarts++
    void this.#start()
  }

  /** Goes on with a worker that an earlier supervisor of this host has started. */
  takeOver(found: FoundWorker): void {
    this.#become('starting')
    this.#meet(found.take({ said: (words) => this.#said(words), ended: (reason) => this.#ended(reason) }))
  }

  /** What it is told now and whenever it starts. */
  assign(assignment: Assignment): void {
    if (JSON.stringify(assignment) === JSON.stringify(this.#assignment)) return
    this.#assignment = assignment
    this.#tellAssignment()
  }

  /** Asks it to end, then makes it. */
  async stop(drainMs: number): Promise<void> {
    if (this.#state !== 'gone' && this.#state !== 'stopping') {
      // one that is on its way is met, and ended then
      const isOnItsWay = this.#state === 'starting' && this.#process === undefined
      this.#cancelTimers()
      this.#become('stopping')
      if (this.#process !== undefined) this.#end(drainMs)
      else if (!isOnItsWay) this.#leave()
    }
    await this.gone
  }

  /** Leaves it alone: another supervisor of this host will find it, once this has settled. */
  async release(): Promise<void> {
    this.#isReleased = true
    this.#cancelTimers()
    this.#process?.release()
    await this.#launching?.catch(() => undefined)
  }

  /** What the run says of itself, where this is the worker that leads it; `null` elsewhere. Errors: `worker-silent`. */
  async snapshot(): Promise<unknown> {
    const process = this.#process
    const silent = (reason: string): SquallError => new SquallError('worker-silent', { reason })
    // one that starts may not be connected yet, and what it is asked would be lost
    if (process === undefined || this.#state !== 'running') throw silent(`it does not run now: it is ${this.record.state}`)
    if (this.#asking.size >= snapshotsMax) throw silent(`${snapshotsMax} have asked it already`)
    const id = ++this.#snapshots
    return await new Promise((resolve, reject) => {
      const cancel = this.#options.schedule.after(snapshotMs, () => {
        this.#asking.delete(id)
        reject(silent(`no answer within ${snapshotMs} ms`))
      })
      this.#asking.set(id, (snapshot) => {
        cancel()
        this.#asking.delete(id)
        resolve(snapshot)
      })
      process.tell({ kind: 'snapshot', id })
    })
  }

  async #start(): Promise<void> {
    const { processes, spec, schedule } = this.#options
    try {
      const what = await spec()
      if (this.#state !== 'fetching' || this.#isReleased) return
      this.#misses = 0
      this.#startedMs = schedule.date()
      this.#become('starting')
      this.#toldDeaths = 0
      const early = { isHere: false, end: undefined as string | undefined }
      this.#launching = processes.start(what, {
        said: (words) => this.#said(words),
        ended: (reason) => (early.isHere ? this.#ended(reason) : (early.end = reason)),
      })
      const process = await this.#launching
      if (early.end !== undefined) throw new SquallError('worker-ended', { reason: early.end })
      early.isHere = true
      this.#meet(process)
    } catch (error) {
      if (this.#isReleased) return
      const failure = failureOf(error, schedule.date())
      if (this.#state === 'stopping') this.#leave()
      else if (this.#state === 'fetching') this.#again(failure, this.#misses++)
      else if (this.#state === 'starting') this.#died(failure)
    }
  }

  /** There is a process. */
  #meet(process: RunningWorker): void {
    this.#process = process
    this.#knowsPositions = false
    if (this.#isReleased) process.release()
    else if (this.#state === 'stopping')
      process.signal('SIGKILL') // it was given nothing yet
    else {
      this.#options.changed()
      this.#tellAssignment()
      this.#watch()
    }
  }

  #tellAssignment(): void {
    const assignment = this.#assignment
    if (this.#state !== 'stopping' && assignment !== undefined)
      this.#process?.tell({ kind: 'assignment', assignment, positions: this.#options.positions() })
  }

  #said(words: FromWorker): void {
    this.#silentSteps = 0
    switch (words.kind) {
      case 'beat':
        return this.#beat(words)
      case 'snapshot':
        return this.#asking.get(words.id)?.(words.snapshot)
      case 'over':
        return this.#over(words.outcome)
    }
  }

  #beat({ state, positions, epoch, rssBytes, executors = { deaths: 0 } }: FromWorker & { kind: 'beat' }): void {
    const deaths = executors.deaths - (this.#toldDeaths ?? executors.deaths)
    this.#toldDeaths = executors.deaths
    if (deaths > 0) {
      this.#executorRestarts = Math.min(this.#executorRestarts + deaths, restartsMax)
      if (executors.last !== undefined) this.#error = executors.last
      this.#options.changed()
    }
    if (state === 'running' && this.#state === 'starting' && this.#process !== undefined) this.#become('running')
    // until its executors have started they say nothing of where they are, and what was known before holds
    if (Object.keys(positions).length > 0) this.#knowsPositions = true
    if (this.#knowsPositions) this.#positions = { positions, epoch, saidMs: this.#options.schedule.now() }
    const { rssMaxMb: max = Infinity, schedule } = this.#options
    const used = Math.ceil(rssBytes / (1 << 20))
    this.#largeBeats = used > max ? this.#largeBeats + 1 : 0
    if (this.#largeBeats >= largeBeatsMax) this.#kill(new SquallError('worker-memory', { used, max }))
    // by an earlier supervisor, which did not live to see it
    if (state === 'stopping') this.#endsFor(failureOf(new SquallError('worker-ended', { reason: 'it was told to stop' }), schedule.date()))
  }

  /** Kills it when it has said nothing for too long. */
  #watch(): void {
    const { schedule } = this.#options
    const { beatTimeoutMs } = this.#times
    this.#silentSteps = 0
    const step = (): void => {
      if (++this.#silentSteps > silentStepsMax)
        this.#kill(new SquallError('worker-ended', { reason: `it said nothing for ${beatTimeoutMs} ms, and was killed` }))
      else this.#cancelWatch = schedule.after(beatTimeoutMs / silentStepsMax, step)
    }
    step()
  }

  #kill(error: SquallError): void {
    if (this.#state === 'stopping' || this.#process === undefined) return
    this.#verdict = failureOf(error, this.#options.schedule.date())
    this.#process.signal('SIGKILL')
  }

  #over(outcome: Outcome): void {
    if (outcome.state === 'finished') {
      this.#isFinished = true
      this.#options.finished(outcome)
    } else {
      // its run has ended, which is not what it is there for: it begins anew, in a process that knows nothing of it
      const { code, message } = outcome.error ?? { code: 'worker-ended', message: `its run is over: ${outcome.state}` }
      this.#endsFor({ code: code.slice(0, 100), message: message.slice(0, messageMax), atMs: this.#options.schedule.date() })
    }
  }

  /** Ends a process that is to be started anew, unless it is being ended already. */
  #endsFor(failure: Failure): void {
    if (this.#state === 'stopping' || this.#verdict !== undefined || this.#process === undefined) return
    this.#verdict = failure
    this.#end(0)
  }

  #end(drainMs: number): void {
    const { schedule } = this.#options
    const { stopStepMs } = this.#times
    this.#process?.tell({ kind: 'stop', drainMs })
    this.#cancelTimer = schedule.after(drainMs + stopStepMs, () => {
      this.#process?.signal('SIGTERM')
      this.#cancelTimer = schedule.after(stopStepMs, () => this.#process?.signal('SIGKILL'))
    })
  }

  #ended(reason: string): void {
    this.#cancelTimers()
    this.#process = undefined
    const failure = this.#verdict ?? failureOf(new SquallError('worker-ended', { reason }), this.#options.schedule.date())
    this.#verdict = undefined
    this.#largeBeats = 0
    if (this.#state === 'stopping') this.#leave()
    else if (this.#isFinished) {
      this.#become('stopping')
      this.#leave()
    } else this.#died(failure)
  }

  #died(failure: Failure): void {
    const { endsMax, endsWithinMs } = this.#times
    const now = this.#options.schedule.now()
    this.#ends = [...this.#ends.filter((ms) => now - ms < endsWithinMs), now]
    if (this.#ends.length < endsMax) {
      this.#restarts++
      this.#again(failure, this.#ends.length - 1)
    } else {
      this.#error = failure
      this.#tell(failure, `has ended ${endsMax} times within ${endsWithinMs / 1_000} s, and is given up here`)
      this.#become('failing')
    }
  }

  #again(failure: Failure, tries: number): void {
    const { backOffMs } = this.#times
    this.#error = failure
    this.#tell(failure, 'is started again')
    this.#become('waiting')
    this.#cancelTimer = this.#options.schedule.after(backOffMs[Math.min(tries, backOffMs.length - 1)] as number, () => {
      this.#become('fetching')
      void this.#start()
    })
  }

  #tell({ message }: Failure, what: string): void {
    this.#options.report(`worker ${this.place.worker} of ${this.name} ${what}: ${message.split('\n', 1)[0]}`)
  }

  #leave(): void {
    this.#cancelTimers()
    this.#become('gone')
    this.#tellGone()
  }

  #cancelTimers(): void {
    this.#cancelTimer()
    this.#cancelWatch()
  }

  #become(state: State): void {
    assert(edges[this.#state].includes(state), `a worker that is ${this.#state} becomes ${state}`)
    this.#state = state
    this.#options.changed()
  }
}

function failureOf(error: unknown, atMs: number): Failure {
  const { code, what } = error instanceof SquallError ? error : { code: 'worker-ended', what: reasonOf(error) }
  return { code, message: what.slice(0, messageMax), atMs }
}
