/** Executors of this worker that died: what is said of them, and when there are too many for a process that is well. */
import { SquallError } from '../../errors.ts'
import type { Clock } from '../../std/clock.ts'
import type { FromWorker } from './assignment.ts'

/** As many as a supervisor lets a worker end before it gives it up. */
const deathsMax = 5
const withinMs = 60_000
const messageMax = 2_000

export type SaidOfExecutors = NonNullable<(FromWorker & { kind: 'beat' })['executors']>

export class ExecutorDeaths {
  readonly #clock: Clock
  readonly #failed: (error: SquallError) => void
  #times: readonly number[] = []
  #said: SaidOfExecutors = { deaths: 0 }

  /** `failed`: the worker is to end. */
  constructor(clock: Clock, failed: (error: SquallError) => void) {
    this.#clock = clock
    this.#failed = failed
  }

  get said(): SaidOfExecutors {
    return this.#said
  }

  /** The thread of an executor died; whoever leads the run starts it anew. */
  note(executor: number, reason: string): void {
    const now = this.#clock.now()
    const { code, what } = new SquallError('executor-died', { executor, reason })
    this.#said = { deaths: this.#said.deaths + 1, last: { code, message: what.slice(0, messageMax), atMs: this.#clock.date() } }
    this.#times = [...this.#times.filter((ms) => now - ms < withinMs), now]
    if (this.#times.length === deathsMax)
      this.#failed(new SquallError('executors-die', { times: deathsMax, executor, reason: reason.slice(0, messageMax) }))
  }
}
