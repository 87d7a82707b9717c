/**
 * A run of a topology in local mode, from plan to result: starts the executors, notices the end, lets bolts finish, closes.
 *
 *   starting -> running <-> inactive        activate, deactivate
 *                  |
 *                  |  every source ended, every tree done, nothing under way      stop() or a fatal error
 *                  v                                                                     |
 *              finishing  (each bolt's `finish`, sources before readers)                 |
 *                  v                                                                     v
 *               closing  (each `close` and `cleanup`) -----------------------------> over: the result
 *
 * Where the executors are is not known here (`Crew`): one in the calling thread, or several in threads of their own.
 */
import { SquallError } from '../errors.ts'
import type { Snapshot } from '../metrics/snapshot.ts'
import { anySeed } from '../std/random.ts'
import { placeTasks, planTopology } from '../topology/plan.ts'
import type { Plan } from '../topology/plan.ts'
import { CellLayout, cell } from './cells.ts'
import { wrapped } from './faults.ts'
import { executorsMax } from './ledger.ts'
import type { ComponentError, Run, RunOptions, RunResult, Runnable } from './run-types.ts'

/** How long `stop` waits for trees under way, unless told. */
const patienceMs = 2_000

/** The executors of a run, wherever they are. */
export interface Crew {
  /** Makes every task. Rejects, with nothing left running, when one cannot start. */
  start(): Promise<void>
  setActive(isActive: boolean): Promise<void>
  /** Settles when every spout has ended, every tree is done, and nothing waits or is on its way. */
  quiet(): Promise<void>
  /** Runs the `finish` of a component's tasks. */
  finish(component: number): Promise<void>
  /** Closes every task and ends every thread. */
  close(): Promise<void>
  kill(executor: number): void
  readonly restarts: number
  readonly counters: ReadonlyMap<number, Readonly<Record<string, number>>>
}

/** What a crew is made from. */
export interface CrewOptions {
  readonly plan: Plan
  readonly runnable: Runnable
  readonly options: RunOptions
  readonly placement: readonly number[]
  readonly executors: number
  readonly seed: number
  readonly cells: Float64Array
  readonly onError: (error: ComponentError) => void
  readonly onFatal: (error: SquallError) => void
}

/** Makes the executors of a run; one executor needs neither rings nor threads, and what they import stays out of its start. */
export type CrewMaker = (options: CrewOptions) => Promise<Crew>

const localCrew: CrewMaker = async (options) =>
  options.executors === 1
    ? new (await import('./crew-here.ts')).CrewHere(options)
    : new (await import('./crew-of-threads.ts')).CrewOfThreads(options)

/** Plans and starts a topology. Rejects with all faults, and with nothing started, when it cannot. */
export async function startRun(runnable: Runnable, options: RunOptions = {}): Promise<Run> {
  if ((options.executors ?? 1) > 1 && runnable.module === undefined)
    throw new SquallError('threads-need-a-file', {}, { topology: runnable.definition.name })
  return startRunWith(localCrew, runnable, options)
}

/** As `startRun`, with executors of another kind: simulated ones, in tests. */
export async function startRunWith(makeCrew: CrewMaker, runnable: Runnable, options: RunOptions): Promise<Run> {
  const plan = planTopology(runnable.definition.draft(options.params ?? {}), options.config)
  const executors = options.executors ?? 1
  if (!Number.isSafeInteger(executors) || executors < 1 || executors > executorsMax)
    throw new SquallError('too-many-executors', { value: String(executors), max: executorsMax })
  const run = new LocalRun(plan, runnable, options, executors)
  await run.start(makeCrew)
  return run
}

class LocalRun implements Run {
  readonly done: Promise<RunResult>
  readonly #plan: Plan
  readonly #runnable: Runnable
  readonly #options: RunOptions
  readonly #executors: number
  readonly #layout: CellLayout
  readonly #cells: Float64Array
  readonly #placement: readonly number[]
  readonly #errors: ComponentError[] = []
  #crew: Crew | undefined
  #hasStarted = false
  #startedMs = performance.now()
  #endedMs: number | undefined
  #fatal: SquallError | undefined
  #isStopping = false
  #drainMs = patienceMs
  #interrupt: () => void = () => undefined
  readonly #interrupted: Promise<void>
  #settle: (result: RunResult) => void = () => undefined
  #reject: (error: unknown) => void = () => undefined

  constructor(plan: Plan, runnable: Runnable, options: RunOptions, executors: number) {
    this.#plan = plan
    this.#runnable = runnable
    this.#options = options
    this.#executors = executors
    this.#layout = new CellLayout(plan)
    this.#cells = this.#layout.allocate(executors > 1)
    this.#placement = placeTasks(plan, executors)
    this.done = new Promise((resolve, reject) => {
      this.#settle = resolve
      this.#reject = reject
    })
    this.#interrupted = new Promise((resolve) => (this.#interrupt = resolve))
  }

  async start(makeCrew: CrewMaker): Promise<void> {
    const { inactive, seed = anySeed() } = this.#options
    this.#crew = await makeCrew({
      plan: this.#plan,
      runnable: this.#runnable,
      options: this.#options,
      placement: this.#placement,
      executors: this.#executors,
      seed,
      cells: this.#cells,
      onError: (error) => this.#noteError(error),
      onFatal: (error) => this.#stopFor(error),
    })
    if (inactive !== true) await this.activate()
    void this.#live()
  }

  async activate(): Promise<void> {
    const crew = this.#crew as Crew
    if (!this.#hasStarted) {
      this.#startedMs = performance.now()
      await crew.start()
      this.#hasStarted = true
    }
    await crew.setActive(true)
  }

  async deactivate(): Promise<void> {
    if (this.#hasStarted) await this.#crew?.setActive(false)
  }

  stop(drainMs = patienceMs): Promise<RunResult> {
    this.#drainMs = drainMs
    this.#isStopping = true
    this.#interrupt()
    return this.done
  }

  killExecutor(index: number): void {
    this.#crew?.kill(index)
  }

  errors(): readonly ComponentError[] {
    return this.#errors
  }

  snapshot(): Snapshot {
    return this.#layout.snapshot(this.#cells, {
      uptimeMs: (this.#endedMs ?? performance.now()) - this.#startedMs,
      executorRestarts: this.#crew?.restarts ?? 0,
      placement: this.#placement,
      counters: this.#crew?.counters ?? new Map(),
    })
  }

  /** From running to the result. */
  async #live(): Promise<void> {
    const crew = this.#crew as Crew
    try {
      await Promise.race([crew.quiet(), this.#interrupted])
      if (this.#isStopping && this.#drainMs > 0 && this.#fatal === undefined && this.#hasStarted) await this.#drain(crew)
      for (const { index, definition } of this.#plan.components) {
        if (this.#isOver) break
        if (definition.kind !== 'bolt') continue
        await crew.finish(index)
        await Promise.race([crew.quiet(), this.#interrupted])
      }
    } catch (error) {
      this.#fatal ??= wrapped('finish-threw', error, '', -1)
    }
    try {
      await crew.close()
    } catch (error) {
      this.#fatal ??= wrapped('finish-threw', error, '', -1)
    }
    try {
      this.#settle(this.#result())
    } catch (error) {
      this.#reject(error)
    }
  }

  get #isOver(): boolean {
    return this.#isStopping || this.#fatal !== undefined
  }

  /** Stopped: what is under way may still be done, for a while. */
  async #drain(crew: Crew): Promise<void> {
    await crew.setActive(false)
    let timer: NodeJS.Timeout | undefined
    const patience = new Promise<void>((resolve) => (timer = setTimeout(resolve, this.#drainMs)))
    await Promise.race([this.#nothingPending(), patience])
    clearTimeout(timer)
  }

  async #nothingPending(): Promise<void> {
    const pending = (): boolean => this.#plan.tasks.some(({ task }) => (this.#cells[this.#layout.head(task) + cell.pending] as number) > 0)
    while (pending() && this.#fatal === undefined) await new Promise((resolve) => setTimeout(resolve, 5))
  }

  #result(): RunResult {
    this.#endedMs = performance.now()
    const lost = this.#plan.tasks.reduce((sum, { task }) => sum + (this.#cells[this.#layout.head(task) + cell.lost] as number), 0)
    if (lost > 0 && !this.#isStopping) this.#fatal ??= new SquallError('trees-lost', { count: lost }, { topology: this.#plan.name })
    return {
      state: this.#fatal !== undefined ? 'failed' : this.#isStopping ? 'stopped' : 'finished',
      ...this.#layout.totals(this.#cells),
      seconds: (this.#endedMs - this.#startedMs) / 1000,
      error: this.#fatal,
    }
  }

  #noteError(error: ComponentError): void {
    if (this.#errors.length < this.#plan.config.errorsKeptMax) this.#errors.push(error)
    this.#options.onError?.(error)
  }

  #stopFor(error: SquallError): void {
    this.#fatal ??= error
    this.#interrupt()
  }
}
