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
import { SquallError, allFaults } from '../errors.ts'
import type { Snapshot } from '../metrics/snapshot.ts'
import { realClock } from '../std/clock.ts'
import type { Clock } from '../std/clock.ts'
import { anySeed } from '../std/random.ts'
import { timeoutMaxMs } from '../std/timers.ts'
import { draftOf, isTopologyDefinition } from '../topology/draft.ts'
import { placeTasks, planTopology, taskName } from '../topology/plan.ts'
import type { Plan, PlannedComponent } from '../topology/plan.ts'
import { CellLayout, cell } from './cells.ts'
import { messageOf } from './faults.ts'
import { executorsMax } from './ledger.ts'
import type { ComponentError, Run, RunOptions, RunResult, Runnable } from './run-types.ts'
import { executorFailed } from './strays.ts'

/** How long `stop` waits for trees under way, unless told. */
const drainMs = 2_000
/** How often it looks at them. */
const lookMs = 5
/** How often in `messageTimeoutMs` it is seen whether promises that hold the end up settle. */
const watchLooks = 10

/** The executors of a run, wherever they are. */
export interface Crew {
  /** Makes every task. Whether it could or not, `close` and `end` follow some day. */
  start(): Promise<void>
  setActive(isActive: boolean): Promise<void>
  /** Settles when every spout has ended, every tree is done, and nothing waits or is on its way. */
  quiet(): Promise<void>
  /** Runs the `finish` of a component's tasks. */
  finish(component: number): Promise<void>
  /** Closes every task, also while others still start or finish. */
  close(): Promise<void>
  /** Lets go of everything at once, whatever is under way. */
  end(): Promise<void>
  kill(executor: number): void
  /** executors that have not answered what they were asked */
  readonly silent: readonly number[]
  /**
   * When nothing is left but promises of components (an `execute`, a `nextTuple`) that have not settled: how many have
   * settled so far. `undefined` whenever anything else may still go on.
   */
  readonly heldUp: number | undefined
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
  readonly clock: Clock
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
    throw new SquallError('threads-need-a-file', {}, { topology: runnable.definition?.name })
  return startRunWith(localCrew, runnable, options)
}

/** As `startRun`, with executors of another kind: simulated ones, in tests, on a clock of theirs. */
export async function startRunWith(makeCrew: CrewMaker, runnable: Runnable, options: RunOptions, clock = realClock): Promise<Run> {
  const { definition } = runnable
  if (!isTopologyDefinition(definition))
    throw new SquallError('bad-option', {
      option: 'definition',
      of: 'a run',
      value: typeof definition,
      expected: 'what topology() returns',
    })
  const { seed } = options
  if (seed !== undefined && !Number.isSafeInteger(seed))
    throw new SquallError('bad-option', { option: 'seed', of: 'a run', value: String(seed), expected: 'a whole number' })
  const executors = options.executors ?? 1
  if (!Number.isSafeInteger(executors) || executors < 1 || executors > executorsMax)
    throw new SquallError('too-many-executors', { value: String(executors), max: executorsMax })
  const plan = planTopology(draftOf(runnable, options.params ?? {}), options.config, executors)
  // the only executor of a run on a cluster has a thread of its own too
  const isShared = executors > 1 || makeCrew !== localCrew
  const run = new LocalRun(plan, runnable, options, { executors, isShared }, clock)
  await run.start(makeCrew)
  return run
}

class LocalRun implements Run {
  readonly done: Promise<RunResult>
  readonly #plan: Plan
  readonly #runnable: Runnable
  readonly #options: RunOptions
  readonly #executors: number
  readonly #clock: Clock
  readonly #layout: CellLayout
  readonly #cells: Float64Array
  readonly #placement: readonly number[]
  readonly #errors: ComponentError[] = []
  #crew: Crew | undefined
  #starting: Promise<void> | undefined
  #startedMs: number
  #endedMs: number | undefined
  #fatal: SquallError | undefined
  #isStopping = false
  #drainMs = drainMs
  #interrupt: () => void = () => undefined
  readonly #interrupted: Promise<void>
  #settle: (result: RunResult) => void = () => undefined
  #reject: (error: unknown) => void = () => undefined

  constructor(
    plan: Plan,
    runnable: Runnable,
    options: RunOptions,
    { executors, isShared }: { readonly executors: number; readonly isShared: boolean },
    clock: Clock,
  ) {
    this.#plan = plan
    this.#runnable = runnable
    this.#options = options
    this.#executors = executors
    this.#clock = clock
    this.#startedMs = clock.now()
    this.#layout = new CellLayout(plan)
    this.#cells = this.#layout.allocate(isShared)
    this.#placement = placeTasks(plan, executors)
    for (const { task } of plan.tasks) {
      const position = options.positions?.[taskName(plan, task)]
      if (position !== undefined) this.#cells[this.#layout.head(task) + cell.position] = position
    }
    this.done = new Promise((resolve, reject) => {
      this.#settle = resolve
      this.#reject = reject
    })
    this.#interrupted = new Promise((resolve) => (this.#interrupt = resolve))
  }

  async start(makeCrew: CrewMaker): Promise<void> {
    const { inactive, signal, seed = anySeed() } = this.#options
    this.#crew = await makeCrew({
      plan: this.#plan,
      runnable: this.#runnable,
      options: this.#options,
      placement: this.#placement,
      executors: this.#executors,
      seed,
      clock: this.#clock,
      cells: this.#cells,
      onError: (error) => this.#noteError(error),
      onFatal: (error) => this.#stopFor(error),
    })
    void this.#live()
    signal?.addEventListener('abort', () => this.#heed(signal))
    if (signal?.aborted === true) this.#heed(signal)
    if (inactive !== true) await this.activate()
  }

  async activate(): Promise<void> {
    if (this.#isOver) return
    const crew = this.#crew as Crew
    if (this.#starting === undefined) {
      // what threads take to start is no part of it: rates would be those of the start
      this.#starting = crew.start().then(() => void (this.#startedMs = this.#clock.now()))
    }
    await this.#attempt(() => this.#patiently(this.#starting))
    if (this.#fatal !== undefined) {
      await this.done
      throw this.#fatal
    }
    if (!this.#isOver) await this.#attempt(() => this.#patiently(crew.setActive(true)))
  }

  async deactivate(): Promise<void> {
    if (this.#starting !== undefined) await this.#crew?.setActive(false)
  }

  stop(patienceMs = drainMs): Promise<RunResult> {
    this.#drainMs = patienceMs
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

  get failure(): SquallError | undefined {
    return this.#fatal
  }

  snapshot(): Snapshot {
    return this.#layout.snapshot(this.#cells, {
      uptimeMs: (this.#endedMs ?? this.#clock.now()) - this.#startedMs,
      executorRestarts: this.#crew?.restarts ?? 0,
      placement: this.#placement,
      counters: this.#crew?.counters ?? new Map(),
    })
  }

  /** From running to the result. */
  async #live(): Promise<void> {
    const crew = this.#crew as Crew
    const watch = this.#watch(crew)
    await this.#attempt(async () => {
      let lives: number
      do {
        await Promise.race([crew.quiet(), this.#interrupted])
        await this.#patiently(this.#starting)
        if (this.#isStopping && this.#fatal === undefined && this.#starting !== undefined) await this.#drain(crew)
        lives = crew.restarts
        await this.#finish(crew)
        // what an executor has begun anew since has to be done first, and said again
      } while (!this.#isOver && crew.restarts !== lives)
    })
    clearInterval(watch)
    await this.#attempt(() => this.#patiently(crew.close()))
    await this.#attempt(() => crew.end())
    try {
      this.#settle(this.#result())
    } catch (error) {
      this.#reject(error)
    }
  }

  async #finish(crew: Crew): Promise<void> {
    for (const { index, definition } of this.#plan.components) {
      if (this.#isOver) break
      if (definition.kind !== 'bolt') continue
      await this.#patiently(crew.finish(index))
      await Promise.race([crew.quiet(), this.#interrupted])
    }
  }

  /**
   * Promises of components that keep an otherwise finished run from ending, and of which none settles for `messageTimeoutMs`, never
   * will: a tuple that is tracked would have expired by then.
   */
  #watch(crew: Crew): NodeJS.Timeout {
    const ms = Math.min(this.#plan.config.messageTimeoutMs, timeoutMaxMs)
    let before: number | undefined
    let looks = 0
    return setInterval(() => {
      const { heldUp } = crew
      looks = heldUp !== undefined && heldUp === before ? looks + 1 : 0
      before = heldUp
      if (looks >= watchLooks && !this.#isOver) {
        const hanging = this.#hooksUnderWay('messageTimeoutMs', 'when nothing else was left to do')
        if (hanging.length > 0) this.#stopFor(allFaults(hanging))
      }
    }, ms / watchLooks).unref()
  }

  get #isOver(): boolean {
    return this.#isStopping || this.#fatal !== undefined
  }

  async #attempt(act: () => Promise<void>): Promise<void> {
    try {
      await act()
    } catch (error) {
      this.#stopFor(executorFailed(error))
    }
  }

  /** Waits as long as it takes; but once the run has to end, no longer than `closeTimeoutMs`. */
  async #patiently(act: Promise<void> | undefined): Promise<void> {
    const { closeTimeoutMs } = this.#plan.config
    let isDone = false
    let timer: NodeJS.Timeout | undefined
    const outOfPatience = new Promise<never>((_, reject) => {
      const wait = (): NodeJS.Timeout => setTimeout(() => reject(this.#hanging()), Math.min(closeTimeoutMs, timeoutMaxMs))
      void this.#interrupted.then(() => isDone || (timer = wait()))
    })
    try {
      await Promise.race([act, outOfPatience])
    } finally {
      isDone = true
      clearTimeout(timer)
    }
  }

  /** What is under way and keeps the run from ending. */
  #hanging(): SquallError {
    const hooks = this.#hooksUnderWay('closeTimeoutMs', 'when the run had to end')
    // an executor is only to blame when no component of its own is: others may wait for it
    if (hooks.length > 0) return allFaults(hooks)
    const { closeTimeoutMs: ms } = this.#plan.config
    const executors = (this.#crew?.silent ?? []).map((executor) => {
      const tasks = this.#plan.tasks.filter(({ task }) => this.#placement[task] === executor)
      const components = [...new Set(tasks.map(({ task }) => this.#componentOf(task)))].join(', ')
      return new SquallError('executor-hangs', { executor, components, ms }, { topology: this.#plan.name })
    })
    return allFaults(executors)
  }

  #hooksUnderWay(setting: 'closeTimeoutMs' | 'messageTimeoutMs', when: string): SquallError[] {
    const ms = this.#plan.config[setting]
    return [...this.#layout.hooks(this.#cells)].map(([task, hook]) => {
      const component = this.#componentOf(task)
      return new SquallError('hook-hangs', { hook, component, ms, when, setting }, { component, task })
    })
  }

  #componentOf(task: number): string {
    return (this.#plan.components[this.#plan.tasks[task]?.component as number] as PlannedComponent).id
  }

  /** Stopped: what is under way may still be done, for a while. */
  async #drain(crew: Crew): Promise<void> {
    const startedMs = this.#clock.now()
    const pending = (): boolean => this.#plan.tasks.some(({ task }) => (this.#cells[this.#layout.head(task) + cell.pending] as number) > 0)
    const crewState = { isTold: false }
    const told = (): void => void (crewState.isTold = true)
    crew.setActive(false).then(told, told)
    while ((!crewState.isTold || pending()) && this.#fatal === undefined && this.#clock.now() - startedMs < this.#drainMs)
      await new Promise((resolve) => setTimeout(resolve, lookMs))
  }

  #result(): RunResult {
    this.#endedMs = this.#clock.now()
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
    try {
      this.#options.onError?.(error)
    } catch (thrown) {
      this.#stopFor(new SquallError('listener-threw', { reason: messageOf(thrown) }, { topology: this.#plan.name }, { cause: thrown }))
    }
  }

  #heed({ reason }: AbortSignal): void {
    if (reason instanceof SquallError) this.#stopFor(reason)
    else void this.stop()
  }

  #stopFor(error: SquallError): void {
    this.#fatal ??= error
    this.#interrupt()
  }
}
