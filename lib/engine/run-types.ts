/** What a run of a topology looks like from outside: the CLI, `LocalCluster` and the benchmarks drive this and no more. */
import type { ConfigInput } from '../config.ts'
import type { SquallError } from '../errors.ts'
import type { Snapshot, Totals } from '../metrics/snapshot.ts'
import type { LogOptions } from '../std/log.ts'
import type { TopologyDefinition } from '../topology/draft.ts'

export interface RunOptions {
  /** what `--set` gives: texts, or values */
  readonly params?: Readonly<Record<string, unknown>>
  /** settings over the topology's own */
  readonly config?: ConfigInput
  /** threads; 1 = the calling thread (1) */
  readonly executors?: number
  readonly seed?: number
  /** start with the spouts inactive: nothing is opened or prepared before `activate` */
  readonly inactive?: boolean
  /** ends the run, also while it starts: as `stop`, or, with a `SquallError` as its reason, as failed */
  readonly signal?: AbortSignal
  /** where spout tasks go on that said so in an earlier run (`savePosition`), by the name of the task (`taskName`) */
  readonly positions?: Readonly<Record<string, number>>
  /** how executors log; threads make their own logger of it */
  readonly log?: LogOptions
  /** called for each error of a component, as it happens */
  readonly onError?: (error: ComponentError) => void
  /** sees every tuple that is emitted or executed; only where executors run in the calling thread */
  readonly tap?: Tap
}

/** What a test sees of a run, tuple by tuple. */
export interface Tap {
  emitted(tuple: { readonly component: string; readonly stream: string; readonly task: number; readonly values: object }): void
  executed(tuple: {
    readonly component: string
    readonly task: number
    readonly taskIndex: number
    readonly input: string
    readonly values: object
  }): void
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

/** A topology and, where threads shall run it, the module that each of them imports again. */
export interface Runnable {
  readonly definition: TopologyDefinition
  /** an ES module that exports the definition by default: what `loadTopology` made */
  readonly module?: string
  /** under which it was deployed, instead of its own */
  readonly name?: string
}

export interface Run {
  snapshot(): Snapshot
  /** the errors kept, oldest first */
  errors(): readonly ComponentError[]
  /** what has ended it, or is about to */
  readonly failure: SquallError | undefined
  activate(): Promise<void>
  deactivate(): Promise<void>
  /**
   * Stops spouts, lets what is under way be done for up to `drainMs` (2 s), closes everything. A hook, or a thread, that is not done
   * `closeTimeoutMs` later is left behind, and the result is `failed` and says so.
   */
  stop(drainMs?: number): Promise<RunResult>
  /** Fault injection: ends an executor's thread at once, as a crash would. */
  killExecutor(index: number): void
  /** Settles when the run is over; rejects only for a mistake of ours. */
  readonly done: Promise<RunResult>
}
