/**
 * `LocalCluster`: topologies in a test, with the engine that runs them elsewhere. Under virtual time nothing waits and
 * nothing is left to chance: time moves only when the test moves it or, in `complete`, when nothing else can happen.
 */
import type { ConfigInput } from '../config.ts'
import { startRun, startRunWith } from '../engine/run.ts'
import type { ComponentError, Run, RunOptions, RunResult, Tap } from '../engine/run-types.ts'
import { SquallError } from '../errors.ts'
import type { Snapshot } from '../metrics/snapshot.ts'
import { VirtualClock, durationMs } from '../std/clock.ts'
import type { Duration } from '../std/clock.ts'
import { anySeed } from '../std/random.ts'
import { hintFor, shown } from '../std/words.ts'
import { deadLetterStream } from '../topology/component.ts'
import type { TopologyDefinition, TopologyDraft } from '../topology/draft.ts'
import { SimulatedCrew } from './simulated-crew.ts'
import { withSources } from './sources.ts'
import type { MockedSource } from './sources.ts'

export interface LocalClusterOptions {
  /** `virtual` (the default): simulated clock; `real`: the wall clock and the calling thread */
  readonly time?: 'virtual' | 'real'
  /** decides everything that chance decides; the same seed gives the same run (any) */
  readonly seed?: number
  /** executors that share the tasks (1); more than one only under virtual time */
  readonly executors?: number
  /** milliseconds of real time that virtual time waits for a promise that is under way: for a file, a socket, a timer of Node's (2000) */
  readonly patienceMs?: number
}

export interface SubmitOptions {
  readonly params?: Readonly<Record<string, unknown>>
  readonly config?: ConfigInput
  /** nothing is opened or prepared before `activate` */
  readonly inactive?: boolean
  /** fixed tuples in the place of spouts, by spout */
  readonly sources?: Readonly<Record<string, MockedSource>>
}

export interface CompleteOptions extends SubmitOptions {
  /** give up after this much time of the topology (1 hour) */
  readonly limitMs?: Duration
}

/** A tuple that a task executed. */
export interface ExecutedTuple {
  readonly values: object
  readonly task: number
  readonly taskIndex: number
  readonly input: string
}

/** What a test sees of a topology that runs or ran. */
export interface Observed {
  /** the values that a component emitted on a stream (`default`), in order, as `T` if that is told; throws `unknown-component` or `unknown-stream` */
  tuples<T extends object = Record<string, unknown>>(component: string, stream?: string): readonly T[]
  /** what the tasks of a bolt executed, in order */
  executed(component: string): readonly ExecutedTuple[]
  readonly errors: readonly ComponentError[]
  snapshot(): Snapshot
}

/** A topology that ran to its end. */
export interface Completed extends Observed {
  readonly result: RunResult
}

export class LocalCluster implements AsyncDisposable {
  readonly seed: number
  readonly #isVirtual: boolean
  readonly #executors: number
  readonly #patienceMs: number
  readonly #running = new Set<LocalTopology>()

  /** A cluster in this process. With `await using` it stops what still runs in it. */
  static async start(options: LocalClusterOptions = {}): Promise<LocalCluster> {
    return new LocalCluster(options)
  }

  private constructor({ time = 'virtual', seed = anySeed(), executors = 1, patienceMs = 2_000 }: LocalClusterOptions) {
    if (!['virtual', 'real'].includes(time)) throw badOption('time', 'LocalCluster.start', time, "'virtual' or 'real'")
    this.seed = seed
    this.#isVirtual = time === 'virtual'
    this.#executors = executors
    this.#patienceMs = patienceMs
  }

  /**
   * Runs a topology until its sources have ended and every tree is done, lets its bolts finish, and returns what was
   * emitted. Throws the error that ended it, if one did.
   *
   * ```ts
   * await using local = await LocalCluster.start({ seed: 7 })
   * const result = await local.complete(wordCount, { sources: { lines: [{ line: 'a b a' }] } })
   * expect(result.tuples('count')).toEqual([{ word: 'a', count: 1 }, { word: 'b', count: 1 }, { word: 'a', count: 2 }])
   * ```
   */
  async complete(definition: TopologyDefinition, options: CompleteOptions = {}): Promise<Completed> {
    const limitMs = limitOf(options.limitMs ?? '1h')
    const topology = await this.submit(definition, options)
    const result = await topology.complete(limitMs)
    return Object.assign(topology, { result })
  }

  /** Starts a topology that the test drives. */
  async submit(definition: TopologyDefinition, options: SubmitOptions = {}): Promise<LocalTopology> {
    const { sources, ...others } = options
    const record = new Recording()
    const runOptions: RunOptions = {
      config: { check: true, ...options.config },
      executors: this.#executors,
      seed: this.seed,
      log: { level: 'silent' },
      tap: record,
      ...(others.params && { params: others.params }),
      ...(others.inactive === true && { inactive: true }),
    }
    const streams = new Map<string, readonly string[]>()
    const wired = sources === undefined ? definition : withSources(definition, sources)
    const runnable = {
      definition: { ...wired, draft: (params: Readonly<Record<string, unknown>>) => noting(wired.draft(params), streams) },
    }
    let crew: SimulatedCrew | undefined
    const clock = new VirtualClock()
    const run = this.#isVirtual
      ? await startRunWith(
          (given) => Promise.resolve((crew = new SimulatedCrew(given, clock, this.#patienceMs))),
          runnable,
          runOptions,
          clock,
        )
      : await startRun(runnable, runOptions)
    const topology = new LocalTopology(definition.name, run, crew, record, streams, this.#executors)
    this.#running.add(topology)
    void run.done.finally(() => this.#running.delete(topology))
    return topology
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const topology of this.#running) await topology.kill()
  }
}

export class LocalTopology implements Observed {
  readonly name: string
  readonly #run: Run
  readonly #crew: SimulatedCrew | undefined
  readonly #record: Recording
  /** of each component */
  readonly #streams: ReadonlyMap<string, readonly string[]>
  readonly #executors: number

  constructor(
    name: string,
    run: Run,
    crew: SimulatedCrew | undefined,
    record: Recording,
    streams: ReadonlyMap<string, readonly string[]>,
    executors: number,
  ) {
    this.name = name
    this.#run = run
    this.#crew = crew
    this.#record = record
    this.#streams = streams
    this.#executors = executors
  }

  get errors(): readonly ComponentError[] {
    const { failure } = this.#run
    return failure === undefined ? this.#run.errors() : [...this.#run.errors(), this.#noted(failure)]
  }

  /** What ended the run, as one of its errors. */
  #noted({ message, stack = '', where: { component = '', task = -1 } }: SquallError): ComponentError {
    return { component, task, executor: -1, atMs: this.nowMs, message, stack, tuple: undefined }
  }

  /** Milliseconds of the topology's time since it was submitted. */
  get nowMs(): number {
    return this.#crew?.clock.now() ?? this.#run.snapshot().uptimeMs
  }

  tuples<T extends object = Record<string, unknown>>(component: string, stream = 'default'): readonly T[] {
    const streams = this.#streamsOf(component)
    if (!streams.includes(stream))
      throw new SquallError('unknown-stream', { component, stream, hint: hintFor(stream, streams) }, { topology: this.name })
    return this.#record.emittedTuples
      .filter((tuple) => tuple.component === component && tuple.stream === stream)
      .map(({ values }) => values as T) // the caller knows the topology
  }

  executed(component: string): readonly ExecutedTuple[] {
    this.#streamsOf(component)
    return this.#record.executedTuples.filter((tuple) => tuple.component === component)
  }

  /** A misspelt name would have emitted nothing, and a test might be glad of it. */
  #streamsOf(component: string): readonly string[] {
    const streams = this.#streams.get(component)
    if (streams !== undefined) return streams
    throw new SquallError('unknown-component', { component, hint: hintFor(component, [...this.#streams.keys()]) }, { topology: this.name })
  }

  snapshot(): Snapshot {
    return this.#run.snapshot()
  }

  async activate(): Promise<void> {
    await this.#run.activate()
    await this.#settled()
  }

  async deactivate(): Promise<void> {
    await this.#run.deactivate()
    await this.#settled()
  }

  /**
   * Fault injection: executor `index` dies before anything else happens, as in a crash, and another starts in its place. Nothing of its
   * tasks is closed, what they had under way is lost, and their trees fail.
   */
  killExecutor(index: number): void {
    if (!Number.isSafeInteger(index) || index < 0 || index >= this.#executors)
      throw badOption('index', 'killExecutor', index, `an executor, from 0 to ${this.#executors - 1}`)
    this.#run.killExecutor(index)
  }

  /** Lets everything happen that can happen now; virtual time stands still. Throws the error of the run once it has failed. */
  async settle(): Promise<void> {
    this.#simulated('settle')
    await this.#settled()
  }

  async #settled(): Promise<void> {
    await this.#crew?.settle()
    await this.#throwFailure()
  }

  /**
   * Moves virtual time on by a duration, else `bad-option`; everything due in between happens in its order. Throws the error of
   * the run once it has failed.
   */
  async advance(duration: Duration): Promise<void> {
    const crew = this.#simulated('advance')
    const until = crew.clock.now() + msOf(duration, 'duration', 'advance')
    await crew.settle()
    while (crew.clock.now() < until && this.#run.failure === undefined) await crew.step(until)
    await this.#throwFailure()
  }

  #simulated(method: string): SimulatedCrew {
    if (this.#crew === undefined) throw new RangeError(`only virtual time can be waited for by ${method}(): use complete()`)
    return this.#crew
  }

  /** A test that goes on after a failure would compare what never happened. */
  async #throwFailure(): Promise<void> {
    if (this.#run.failure !== undefined) throw (await this.#over()).error ?? this.#run.failure
  }

  /** The result, once all is closed. */
  async #over(): Promise<RunResult> {
    const over = { isOver: false }
    const done = this.#run.done.finally(() => (over.isOver = true))
    const until = this.nowMs + 1
    while (this.#crew !== undefined && !over.isOver) await this.#crew.step(until)
    return done
  }

  /** Runs until all is done, but for no longer than `limit` of the topology's time (without end). Throws the error of the run if it failed. */
  async complete(limit: Duration = Infinity): Promise<RunResult> {
    const limitMs = limitOf(limit)
    const crew = this.#crew
    if (crew !== undefined) await this.#drive(crew, limitMs)
    const result = await this.#run.done
    if (result.error !== undefined) throw result.error
    return result
  }

  async #drive(crew: SimulatedCrew, limitMs: number): Promise<void> {
    const over = { isOver: false }
    void this.#run.done.finally(() => (over.isOver = true))
    await crew.settle()
    while (!over.isOver) {
      if (crew.clock.now() > limitMs || crew.isStuck) {
        const ms = Math.min(limitMs, crew.clock.now())
        await this.kill()
        throw new SquallError('not-done-in-time', { topology: this.name, ms }, { topology: this.name })
      }
      await crew.step()
    }
  }

  /** Stops it, whatever is under way. */
  async kill(): Promise<RunResult> {
    await this.#run.deactivate() // a source without an end would never let go of the moment
    void this.#run.stop(0)
    return this.#over()
  }
}

function limitOf(limit: Duration): number {
  return limit === Infinity ? limit : msOf(limit, 'limitMs', 'complete')
}

function msOf(given: Duration, option: string, of: string): number {
  const ms = typeof given === 'number' || typeof given === 'string' ? durationMs(given) : undefined
  if (ms === undefined) throw badOption(option, of, given, "milliseconds from 0, or a duration such as '5s'")
  return ms
}

function badOption(option: string, of: string, value: unknown, expected: string): SquallError {
  return new SquallError('bad-option', { option, of, value: shown(value), expected })
}

/** The draft; the streams of its components go to `streams`. */
function noting(draft: TopologyDraft, streams: Map<string, readonly string[]>): TopologyDraft {
  for (const { id, definition } of draft.components)
    streams.set(id, [...Object.keys(definition.outputs), ...(definition.kind === 'spout' && definition.replay ? [deadLetterStream] : [])])
  return draft
}

/** What passed, copied: components may change their tuples later. */
class Recording implements Tap {
  readonly emittedTuples: { readonly component: string; readonly stream: string; readonly values: object }[] = []
  readonly executedTuples: (ExecutedTuple & { readonly component: string })[] = []

  emitted(tuple: Parameters<Tap['emitted']>[0]): void {
    this.emittedTuples.push({ ...tuple, values: { ...tuple.values } })
  }

  executed(tuple: Parameters<Tap['executed']>[0]): void {
    this.executedTuples.push({ ...tuple, values: { ...tuple.values } })
  }
}
