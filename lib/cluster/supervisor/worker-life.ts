/**
 * One worker that its host was assigned, from the bundle to its end.
 *
 *     fetching ──▶ starting ──▶ running ──▶ stopping ──▶ gone
 *        ▲            │  ▲         │            ▲
 *        │            ▼  │         ▼            │ from anywhere
 *        └── ─ ─ ─  waiting ◀── ended ──────────┘
 *                     │
 *                     ▼ five ends within a minute
 *                  failing       stays until the worker is placed anew
 *
 * A worker that ends is started again at once, then after 1, 2, 4 ... 30 s. One that says nothing for ten seconds hangs, and is ended.
 */
import { SquallError } from '../../errors.ts'
import { assert } from '../../std/assert.ts'
import type { Schedule } from '../../std/schedule.ts'
import type { AssignmentRecord, WorkerRecord } from '../records.ts'
import type { Assignment, FromWorker, Outcome, Positions } from '../worker/assignment.ts'
import type { Processes, RunningWorker, WorkerSpec } from './processes.ts'

/** Times of a worker's life, in milliseconds; see the drawing. */
export const lifeTimes = {
  beatTimeoutMs: 10_000,
  /** from the start of its process until it listens */
  startTimeoutMs: 30_000,
  backOffMs: [0, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000],
  /** ends within this time that make it `failing` */
  endsMax: 5,
  endsWithinMs: 60_000,
  /** asked, then SIGTERM after this, then SIGKILL after this again */
  stopStepMs: 3_000,
} as const

type State = 'fetching' | 'starting' | 'running' | 'waiting' | 'failing' | 'stopping' | 'gone'

const edges: Readonly<Record<State, readonly State[]>> = {
  fetching: ['starting', 'waiting', 'failing', 'stopping', 'gone'],
  starting: ['running', 'waiting', 'failing', 'stopping'],
  running: ['waiting', 'failing', 'starting', 'stopping'],
  waiting: ['fetching', 'starting', 'stopping', 'gone'],
  failing: ['stopping', 'gone'],
  stopping: ['gone'],
  gone: [],
}

export type Placed = AssignmentRecord['workers'][number]

export interface LifeOptions {
  readonly name: string
  readonly id: string
  readonly place: Placed
  readonly supervisor: string
  readonly host: string
  /** names its log */
  readonly log: string
  readonly schedule: Schedule
  readonly processes: Processes
  /** what the process is started with; rejects when its bundle cannot be had */
  readonly spec: () => Promise<WorkerSpec>
  /** where the spouts of the whole topology would go on, as far as is known */
  readonly positions: () => Positions
  readonly changed: () => void
  readonly over: (outcome: Outcome) => void
}

type Failure = NonNullable<WorkerRecord['error']>

export class WorkerLife {
  readonly place: Placed
  readonly id: string
  readonly #options: LifeOptions
  #state: State = 'fetching'
  #process: RunningWorker | undefined
  #assignment: Assignment | undefined
  #beatMs = 0
  #ends: number[] = []
  #restarts = 0
  #error: Failure | undefined
  #startedMs: number
  #positions: Positions = {}
  #cancelTimer: () => void = () => undefined
  readonly #gone: Promise<void>
  #tellGone: () => void = () => undefined

  constructor(options: LifeOptions) {
    this.#options = options
    this.place = options.place
    this.id = options.id
    this.#startedMs = options.schedule.date()
    this.#gone = new Promise((resolve) => (this.#tellGone = resolve))
  }

  get state(): State {
    return this.#state
  }

  /** Settles when its process is no more. */
  get gone(): Promise<void> {
    return this.#gone
  }

  get positions(): Positions {
    return this.#positions
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
      ...(this.#error !== undefined && { error: this.#error }),
      startedAtMs: this.#startedMs,
    }
  }

  begin(): void {
    void this.#start()
  }

  /** Goes on with a worker that an earlier supervisor of this host has started. */
  takeOver(process: RunningWorker): void {
    this.#process = process
    this.#become('starting')
    this.#become('running')
    this.#hear()
  }

  /** What it is told now and whenever it starts. */
  assign(assignment: Assignment): void {
    if (JSON.stringify(assignment) === JSON.stringify(this.#assignment)) return
    this.#assignment = assignment
    this.#tellAssignment()
  }

  said(words: FromWorker): void {
    this.#beatMs = this.#options.schedule.now()
    if (words.kind === 'beat') this.#positions = words.positions
    else if (words.kind === 'over') this.#over(words.outcome)
  }

  ended(reason: string): void {
    this.#process = undefined
    if (this.#state === 'stopping') this.#leave()
    else if (this.#state !== 'gone') this.#again({ code: 'worker-ended', message: reason, atMs: this.#options.schedule.date() })
  }

  /** Asks it to end, then makes it. */
  async stop(drainMs: number): Promise<void> {
    if (this.#state === 'gone' || this.#state === 'stopping') return this.#gone
    const { schedule } = this.#options
    const isStarting = this.#state === 'starting' && this.#process === undefined
    this.#become('stopping')
    if (this.#process === undefined && !isStarting) this.#leave()
    this.#process?.tell({ kind: 'stop', drainMs })
    const step = lifeTimes.stopStepMs
    this.#cancelTimer()
    this.#cancelTimer = schedule.after(drainMs + step, () => {
      this.#process?.signal('SIGTERM')
      this.#cancelTimer = schedule.after(step, () => this.#process?.signal('SIGKILL'))
    })
    return this.#gone
  }

  /** Leaves it alone: another supervisor of this host will find it. */
  release(): void {
    this.#cancelTimer()
    this.#process?.release()
  }

  async #start(): Promise<void> {
    const { processes, spec } = this.#options
    try {
      const with_ = await spec()
      if (this.#state !== 'fetching') return
      this.#become('starting')
      const process = await processes.start(with_, { said: (words) => this.said(words), ended: (reason) => this.ended(reason) })
      this.#process = process
      if (this.#isStopping) {
        process.tell({ kind: 'stop', drainMs: 0 })
        return
      }
      this.#become('running')
      this.#hear()
    } catch (error) {
      if (this.#isStopping) this.#leave()
      else this.#again(failureOf(error, this.#options.schedule.date()))
    }
  }

  get #isStopping(): boolean {
    return this.#state === 'stopping'
  }

  #hear(): void {
    this.#beatMs = this.#options.schedule.now()
    this.#tellAssignment()
    this.#watch()
  }

  #tellAssignment(): void {
    const assignment = this.#assignment
    if (assignment !== undefined) this.#process?.tell({ kind: 'assignment', assignment, positions: this.#options.positions() })
  }

  #watch(): void {
    const { schedule } = this.#options
    this.#cancelTimer = schedule.after(this.#beatMs + lifeTimes.beatTimeoutMs - schedule.now(), () => {
      if (this.#state !== 'running') return
      if (schedule.now() - this.#beatMs < lifeTimes.beatTimeoutMs) this.#watch()
      else this.#process?.signal('SIGKILL')
    })
  }

  #over(outcome: Outcome): void {
    if (outcome.state === 'finished') this.#options.over(outcome)
    else if (outcome.error !== undefined && !this.#isStopping) {
      // its run has failed: it begins anew, in a process that knows nothing of it
      this.#error = { ...outcome.error, atMs: this.#options.schedule.date() }
      this.#process?.tell({ kind: 'stop', drainMs: 0 })
    }
  }

  #again(error: Failure): void {
    this.#cancelTimer()
    const { schedule } = this.#options
    const now = schedule.now()
    // what the run itself has said tells more than how its process ended
    const isOfRun =
      this.#error !== undefined &&
      this.#error.code !== 'worker-ended' &&
      error.code === 'worker-ended' &&
      error.atMs - this.#error.atMs < lifeTimes.stopStepMs
    if (!isOfRun) this.#error = error
    this.#ends = [...this.#ends.filter((ms) => now - ms < lifeTimes.endsWithinMs), now]
    if (this.#ends.length >= lifeTimes.endsMax) {
      this.#become('failing')
      return
    }
    this.#restarts++
    this.#become('waiting')
    const delay = lifeTimes.backOffMs[Math.min(this.#ends.length - 1, lifeTimes.backOffMs.length - 1)] as number
    this.#cancelTimer = schedule.after(delay, () => {
      if (this.#state !== 'waiting') return
      this.#become('fetching')
      void this.#start()
    })
  }

  #leave(): void {
    this.#cancelTimer()
    this.#become('gone')
    this.#tellGone()
  }

  #become(state: State): void {
    assert(edges[this.#state].includes(state), `a worker that is ${this.#state} becomes ${state}`)
    this.#state = state
    this.#options.changed()
  }
}

function failureOf(error: unknown, atMs: number): Failure {
  const message = error instanceof Error ? error.message : String(error)
  return { code: error instanceof SquallError ? error.code : 'worker-ended', message: message.slice(0, 4_000), atMs }
}
