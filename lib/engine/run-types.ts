/** What a run of a topology looks like from outside: the CLI, `LocalCluster` and the benchmarks drive this and no more. */
import type { SquallError } from '../errors.ts'
import type { Snapshot, Totals } from '../metrics/snapshot.ts'

export interface RunOptions {
  /** threads; 1 = the calling thread (1) */
  readonly executors?: number
  readonly seed?: number
  /** start with the spouts inactive */
  readonly inactive?: boolean
  /** called for each error of a component, as it happens */
  readonly onError?: (error: ComponentError) => void
}

/** An error that a component threw or reported. */
export interface ComponentError {
  readonly component: string
  readonly task: number
  readonly executor: number
  readonly atMs: number
  readonly message: string
  readonly stack: string
  /** the tuple at hand, shortened, if there was one */
  readonly tuple: string | undefined
}

export interface RunResult extends Totals {
  /** `finished`: every source ended and every tree was done or became a dead letter */
  readonly state: 'finished' | 'failed' | 'stopped'
  readonly seconds: number
  /** what ended a run that failed */
  readonly error?: SquallError | undefined
}

export interface Run {
  snapshot(): Snapshot
  /** the errors kept, oldest first */
  errors(): readonly ComponentError[]
  activate(): void
  deactivate(): void
  /** Stops spouts, lets nothing more begin, closes everything; `done` then tells the rest. */
  stop(): Promise<RunResult>
  /** Settles when the run is over; rejects only for a mistake of ours. */
  readonly done: Promise<RunResult>
}
