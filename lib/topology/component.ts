/**
 * Spouts and bolts as users declare them: frozen data around the functions that the engine will call.
 *
 * `defineSpout` and `defineBolt` are the plain way. Classes that implement `Spout` or `Bolt` and carry their streams as
 * static members work as well (`SpoutClass`, `BoltClass`). Nothing here runs anything.
 */
import type { z } from 'zod'
import type { Logger } from 'pino'
import type { Config, ConfigInput } from '../config.ts'
import type { Duration } from '../std/clock.ts'
import type { Random } from '../std/random.ts'
import { boltFlaws, isRecord, spoutFlaws } from './flaws.ts'
import type { Flaw } from './flaws.ts'

/** The schema of a stream's tuples: a zod object. */
export type TupleSchema = z.ZodObject

/** The streams that a component takes or gives: the tuple type of each, by name. */
export type Streams = Readonly<Record<string, object>>

/** One output stream. A `direct` stream lets the sender name the receiving task. */
export interface StreamDeclaration<T extends object = object> {
  readonly schema: z.ZodType<T>
  readonly direct?: boolean
}

type SchemaMap = Readonly<Record<string, TupleSchema | StreamDeclaration>>
/** The tuple types of a map of schemas. */
export type TuplesOf<M> = {
  readonly [K in keyof M]: M[K] extends z.ZodType<infer T>
    ? T extends object
      ? T
      : never
    : M[K] extends StreamDeclaration<infer T>
      ? T
      : never
}
type One<S> = S extends z.ZodType<infer T> ? (T extends object ? { readonly default: T } : never) : Record<never, never>
type Default<O extends Streams> = O extends { readonly default: infer T extends object } ? T : never

// ------------------------------------------------------------------------------------------------ what components see

/** What a component is told when it starts. */
export interface TaskContext {
  readonly topology: string
  readonly component: string
  /** this task's number in the topology */
  readonly task: number
  /** this task's number among the tasks of its component, from 0 */
  readonly taskIndex: number
  /** how many tasks its component has */
  readonly taskCount: number
  /** the settings that hold for this component, and the user's own keys */
  readonly config: Config
  readonly log: Logger
  /** seeded: the same in each run from one seed */
  readonly random: Random
  /** milliseconds on the run's clock (virtual in tests) */
  readonly now: () => number
  /** milliseconds since 1970 on the run's clock */
  readonly date: () => number
  /** settles after `ms` on the run's clock */
  readonly sleep: (ms: number) => Promise<void>
  /** calls `fire` after `ms` on the run's clock, unless what this returns is called before; what `fire` throws is reported */
  readonly after: (ms: number, fire: () => void) => () => void
  /** the tasks of a component of this topology, for direct streams */
  readonly tasksOf: (component: string) => readonly number[]
  /** reports an error without failing anything */
  readonly reportError: (error: unknown) => void
  /** a counter of the user's own, shown with the component's metrics */
  readonly count: (name: string, by?: number) => void
}

/** What a spout is told besides: its own place in the source, kept across a restart of its executor. */
export interface SpoutContext extends TaskContext {
  /** what this task last gave to `savePosition`, or `undefined` */
  readonly position: number | undefined
  /** keeps a number (an offset, a line) from which this task would go on after its executor died */
  readonly savePosition: (position: number) => void
  /** all other spouts have ended, and all that they emitted is done */
  readonly haveOthersEnded: () => boolean
  /** that task of a spout has ended, and all that it emitted is done; its executor may die, and it begin again */
  readonly hasEnded: (task: number) => boolean
}

/** Why a tuple tree was not completed. */
export interface Failure {
  /** `failed`: a bolt failed it; `expired`: not done in time; `lost`: an executor that held a part of it died */
  readonly kind: 'failed' | 'expired' | 'lost'
  /** the component that failed it, or the last one that a part of it is known to have gone to */
  readonly component: string
  /** -1 when not known */
  readonly task: number
  readonly message: string
}

/** A tuple as bolts with `ack: 'manual'` hold it until they ack or fail it. */
export interface Tuple<T extends object = object> {
  readonly values: T
  readonly component: string
  readonly stream: string
  readonly task: number
}

export interface SpoutOutput<O extends Streams> {
  /** Emits on the default stream. `id` comes back in `ack` or `fail`. */
  emit(values: Default<O>, id?: unknown): void
  /** Emits on a named stream. */
  emitTo<S extends keyof O & string>(stream: S, values: O[S], id?: unknown): void
  /** Emits on a direct stream to one task. */
  emitDirect<S extends keyof O & string>(task: number, stream: S, values: O[S], id?: unknown): void
  /** Says that the source has no more. After a `fail` the spout is asked again, and says so again. */
  end(): void
}

export interface BoltOutput<O extends Streams> {
  /** Emits on the default stream, anchored to the tuple at hand unless acking is manual. */
  emit(values: Default<O>): void
  /** Emits on a named stream. */
  emitTo<S extends keyof O & string>(stream: S, values: O[S]): void
  /** Emits on a direct stream to one task. */
  emitDirect<S extends keyof O & string>(task: number, stream: S, values: O[S]): void
}

export interface EmitOptions {
  /** the tuples whose trees this one joins; none = not tracked */
  readonly anchors?: Tuple | readonly Tuple[]
}

/** What a bolt with `ack: 'manual'` can do: it says what its tuples are anchored to, and acks and fails by itself. */
export interface ManualOutput<O extends Streams> extends BoltOutput<O> {
  emit(values: Default<O>, options?: EmitOptions): void
  emitTo<S extends keyof O & string>(stream: S, values: O[S], options?: EmitOptions): void
  emitDirect<S extends keyof O & string>(task: number, stream: S, values: O[S], options?: EmitOptions): void
  ack(tuple: Tuple): void
  fail(tuple: Tuple, error?: unknown): void
  /** Starts the message timeout of the tuple's trees anew. */
  resetTimeout(tuple: Tuple): void
}

// ------------------------------------------------------------------------------------------------ instances: one a task

/** A running spout. Every method but `nextTuple` may be left out. Nothing here may block. */
export interface Spout<O extends Streams = Streams> {
  open?(context: SpoutContext): void | Promise<void>
  /** Emits what there is, a little at a time; emitting nothing means: nothing now, ask again soon. */
  nextTuple(out: SpoutOutput<O>): void | Promise<void>
  ack?(id: unknown): void
  fail?(id: unknown, failure: Failure): void
  activate?(): void
  deactivate?(): void
  close?(): void | Promise<void>
}

/** A running bolt. `execute` takes the values, the output and, with manual acking, the tuple itself. */
export interface Bolt<I extends Streams = Streams, O extends Streams = Streams> {
  prepare?(context: TaskContext): void | Promise<void>
  execute: Execute<I, O> | ExecuteByInput<I, O>
  /** called every `tick` */
  onTick?(out: ManualOutput<O>): void
  /** called once when all sources have ended and every tree is done; may emit a last time */
  finish?(out: ManualOutput<O>): void | Promise<void>
  cleanup?(): void | Promise<void>
}

export type Execute<I extends Streams, O extends Streams> = (
  values: I[keyof I],
  out: ManualOutput<O>,
  tuple: Tuple<I[keyof I]>,
) => void | Promise<void>
export type ExecuteByInput<I extends Streams, O extends Streams> = {
  readonly [K in keyof I]: (values: I[K], out: ManualOutput<O>, tuple: Tuple<I[K]>) => void | Promise<void>
}

type AutoExecute<T, O extends Streams> = (values: T, out: BoltOutput<O>) => void | Promise<void>
type ManualExecute<T extends object, O extends Streams> = (values: T, out: ManualOutput<O>, tuple: Tuple<T>) => void | Promise<void>
type ExecuteIn<T extends object, O extends Streams, A> = A extends 'manual' ? ManualExecute<T, O> : AutoExecute<T, O>
type ExecuteOf<I extends Streams, O extends Streams, A> = I extends { readonly default: infer T extends object }
  ? ExecuteIn<T, O, A>
  : { readonly [K in keyof I]: ExecuteIn<I[K], O, A> }
type HooksOut<O extends Streams, A> = A extends 'manual' ? ManualOutput<O> : BoltOutput<O>

// ------------------------------------------------------------------------------------------------ declarations

/** A spout as data: what it gives, and how to make the one that runs in a task. */
export interface SpoutDefinition<O extends Streams = Streams> {
  readonly kind: 'spout'
  readonly outputs: Readonly<Record<string, StreamDeclaration>>
  readonly replay: boolean
  readonly tracked: boolean
  readonly config: ConfigInput
  readonly create: () => AnySpout
  /** what the plan has to tell */
  readonly flaws?: readonly Flaw[]
  /** only for the compiler */
  readonly _outputs?: O
}

/** A bolt as data: what it takes and gives, and how to make the one that runs in a task. */
export interface BoltDefinition<I extends Streams = Streams, O extends Streams = Streams> {
  readonly kind: 'bolt'
  readonly inputs: Readonly<Record<string, z.ZodType>>
  readonly outputs: Readonly<Record<string, StreamDeclaration>>
  readonly manual: boolean
  readonly concurrency: number
  readonly ordered: boolean
  readonly tick: Duration | undefined
  readonly config: ConfigInput
  readonly create: () => AnyBolt
  /** what the plan has to tell */
  readonly flaws?: readonly Flaw[]
  /** only for the compiler */
  readonly _inputs?: (inputs: I) => void
  readonly _outputs?: O
}

/** What the engine drives: a spout whose tuples it does not know, or a source that is an iterable. */
export interface AnySpout {
  open(context: SpoutContext): void | Promise<void>
  /** what `open` returned, a function as `nextTuple` of a spout; the engine looks at what it is */
  instance(): unknown
}

/** What the engine drives: a bolt whose tuples it does not know. */
export interface AnyBolt {
  prepare(context: TaskContext): void | Promise<void>
  /** known after `prepare` */
  instance(): Bolt
}

interface OutputsOf<S extends TupleSchema | undefined, M extends SchemaMap | undefined> {
  /** the default stream */
  readonly output?: S
  /** named streams; `default` is the default stream */
  readonly outputs?: M
}
type Outputs<S, M> = (M extends SchemaMap ? TuplesOf<M> : Record<never, never>) & One<S>

interface ReplayOptions {
  /** keep what was emitted until its tree is done, and emit it again when that fails; after the limit it goes to the stream `dead-letter` */
  readonly replay?: boolean
  /** `false` = tuples of this spout are never tracked */
  readonly tracked?: boolean
  readonly config?: ConfigInput
}

/** The tuple on a spout's stream `dead-letter`: what was given up, and why. */
export interface DeadLetter<T = unknown> {
  readonly values: T
  readonly stream: string
  readonly attempts: number
  readonly kind: string
  readonly component: string
  readonly task: number
  readonly message: string
}

type WithDeadLetters<O extends Streams, R> = R extends true ? O & { readonly 'dead-letter': DeadLetter<O[keyof O]> } : O

/** The name of the stream of what a spout with `replay` gave up. */
export const deadLetterStream = 'dead-letter'

type SpoutSource<O extends Streams> =
  Spout<O> | ((out: SpoutOutput<O>) => void | Promise<void>) | AsyncIterable<Default<O>> | Iterable<Default<O>>

/**
 * Declares a spout. `open` runs once a task and returns what runs: a `nextTuple` function, an object with `nextTuple` and
 * any of `ack`, `fail`, `activate`, `deactivate`, `close`, or an iterable, async or not.
 *
 * ```ts
 * const Tick = z.object({ n: z.int() })
 * const ticks = defineSpout({
 *   output: Tick,
 *   open() {
 *     let n = 0
 *     return (out) => (n < 10 ? out.emit({ n: n++ }) : out.end())
 *   },
 * })
 * ```
 */
export function defineSpout<
  S extends TupleSchema | undefined = undefined,
  M extends SchemaMap | undefined = undefined,
  R extends boolean = false,
>(
  spout: OutputsOf<S, M> &
    ReplayOptions & { readonly replay?: R; open(context: SpoutContext): SpoutSource<Outputs<S, M>> | Promise<SpoutSource<Outputs<S, M>>> },
): SpoutDefinition<WithDeadLetters<Outputs<S, M>, R>> {
  return Object.freeze({
    kind: 'spout' as const,
    outputs: declarations(spout),
    replay: spout.replay ?? false,
    tracked: spout.tracked ?? true,
    config: spout.config ?? {},
    flaws: spoutFlaws(spout as unknown as Readonly<Record<string, unknown>>),
    create: (): AnySpout => {
      let source: SpoutSource<never>
      return {
        async open(context) {
          source = (await spout.open(context)) as SpoutSource<never>
          if (typeof source === 'object' && source !== null && 'open' in source) await source.open?.(context)
        },
        // the engine checks tuples by schema; their static type ends here
        instance: () => (typeof source === 'function' ? { nextTuple: source } : source),
      }
    },
  })
}

interface BoltOptions<A> {
  /** `manual`: the bolt acks, fails and anchors by itself */
  readonly ack?: A
  /** calls of an async `execute` that may be under way in a task (1) */
  readonly concurrency?: number
  /** with `concurrency`: emit in the order of the inputs */
  readonly ordered?: boolean
  readonly config?: ConfigInput
  readonly tick?: Duration
}

interface BoltHooks<O extends Streams, A> {
  onTick?(out: HooksOut<O, A>): void
  finish?(out: HooksOut<O, A>): void | Promise<void>
  cleanup?(): void | Promise<void>
}

type Prepared<I extends Streams, O extends Streams, A> = ExecuteOf<I, O, A> | ({ readonly execute: ExecuteOf<I, O, A> } & BoltHooks<O, A>)

type BoltBody<I extends Streams, O extends Streams, A> = BoltHooks<O, A> &
  (
    | { readonly execute: ExecuteOf<I, O, A>; readonly prepare?: undefined }
    | { readonly execute?: undefined; prepare(context: TaskContext): Prepared<I, O, A> | Promise<Prepared<I, O, A>> }
  )

/**
 * Declares a bolt. Either `execute` itself (no state), or `prepare`, which runs once a task and returns `execute` or an
 * object with `execute` and any of `onTick`, `finish`, `cleanup`. With `inputs` instead of `input`, `execute` is an
 * object with one function an input.
 *
 * ```ts
 * const count = defineBolt({
 *   input: z.object({ word: z.string() }),
 *   output: z.object({ word: z.string(), count: z.int() }),
 *   prepare() {
 *     const counts = new Map<string, number>()
 *     return ({ word }, out) => {
 *       const n = (counts.get(word) ?? 0) + 1
 *       counts.set(word, n)
 *       out.emit({ word, count: n })
 *     }
 *   },
 * })
 * ```
 */
export function defineBolt<
  const SI extends TupleSchema,
  S extends TupleSchema | undefined = undefined,
  M extends SchemaMap | undefined = undefined,
  A extends 'auto' | 'manual' = 'auto',
>(
  bolt: { readonly input: SI; readonly inputs?: undefined } & OutputsOf<S, M> &
    BoltOptions<A> &
    BoltBody<One<SI> & Streams, Outputs<S, M>, A>,
): BoltDefinition<One<SI> & Streams, Outputs<S, M>>
export function defineBolt<
  MI extends Readonly<Record<string, TupleSchema>>,
  S extends TupleSchema | undefined = undefined,
  M extends SchemaMap | undefined = undefined,
  A extends 'auto' | 'manual' = 'auto',
>(
  bolt: { readonly inputs: MI; readonly input?: undefined } & OutputsOf<S, M> & BoltOptions<A> & BoltBody<TuplesOf<MI>, Outputs<S, M>, A>,
): BoltDefinition<TuplesOf<MI>, Outputs<S, M>>
export function defineBolt(bolt: unknown): BoltDefinition {
  return declareBolt(bolt as LooseBolt)
}

function declareBolt(bolt: LooseBolt): BoltDefinition {
  return Object.freeze({
    kind: 'bolt' as const,
    inputs: Object.freeze(bolt.input === undefined ? { ...bolt.inputs } : { default: bolt.input }),
    outputs: declarations(bolt),
    manual: bolt.ack === 'manual',
    concurrency: bolt.concurrency ?? 1,
    ordered: bolt.ordered ?? false,
    tick: bolt.tick,
    config: bolt.config ?? {},
    flaws: boltFlaws(bolt as unknown as Readonly<Record<string, unknown>>),
    create: (): AnyBolt => {
      let running: Bolt
      return {
        async prepare(context) {
          // a bolt without `prepare` keeps no state, so the declaration itself is what runs
          const made = bolt.prepare === undefined ? bolt : await bolt.prepare(context)
          running = isBolt(made) ? made : { execute: made as Bolt['execute'] }
          if (running !== bolt) await running.prepare?.(context)
        },
        instance: () => running,
      }
    },
  })
}

function isBolt(made: unknown): made is Bolt {
  return typeof made === 'object' && made !== null && 'execute' in made
}

/** A bolt as `declareBolt` sees it: without the types of its tuples. */
interface LooseBolt extends Omit<Bolt, 'prepare'> {
  readonly input?: z.ZodType | undefined
  readonly inputs?: Readonly<Record<string, z.ZodType>> | undefined
  readonly output?: TupleSchema | undefined
  readonly outputs?: SchemaMap | undefined
  readonly ack?: 'auto' | 'manual'
  readonly concurrency?: number
  readonly ordered?: boolean
  readonly tick?: Duration | undefined
  readonly config?: ConfigInput
  prepare?(context: TaskContext): unknown
}

/** A class of spouts: its streams are static, an instance is made for every task. */
export interface SpoutClass<O extends Streams = Streams> {
  new (): Spout<O>
  readonly output?: TupleSchema
  readonly outputs?: SchemaMap
  readonly replay?: boolean
  readonly tracked?: boolean
  readonly config?: ConfigInput
}

/** A class of bolts: its streams are static, an instance is made for every task. */
export interface BoltClass<I extends Streams = Streams, O extends Streams = Streams> {
  new (): Bolt<I, O>
  readonly input?: TupleSchema
  readonly inputs?: Readonly<Record<string, TupleSchema>>
  readonly output?: TupleSchema
  readonly outputs?: SchemaMap
  readonly ack?: 'auto' | 'manual'
  readonly concurrency?: number
  readonly ordered?: boolean
  readonly tick?: Duration
  readonly config?: ConfigInput
}

/** What a class of bolts takes, by its static members. */
export type InputsOfClass<C> = C extends { readonly input: infer S extends TupleSchema }
  ? One<S>
  : C extends { readonly inputs: infer M extends SchemaMap }
    ? TuplesOf<M>
    : Record<never, never>

/** What a class of spouts or bolts gives, by its static members. */
export type OutputsOfClass<C> = (C extends { readonly output: infer S } ? One<S> : Record<never, never>) &
  (C extends { readonly outputs: infer M extends SchemaMap } ? TuplesOf<M> : Record<never, never>)

/** With its dead letters, for a class of spouts with `static readonly replay = true`. */
export type SpoutOutputsOfClass<C> = WithDeadLetters<OutputsOfClass<C>, C extends { readonly replay: true } ? true : false>

/** The declaration behind a spout class. */
export function spoutOf<O extends Streams>(spout: SpoutDefinition<O> | SpoutClass<O>): SpoutDefinition<O> {
  if (typeof spout !== 'function') return spout
  return defineSpout({ ...statics(spout), open: () => new spout() }) as SpoutDefinition<O>
}

/** The declaration behind a bolt class. */
export function boltOf<I extends Streams, O extends Streams>(bolt: BoltDefinition<I, O> | BoltClass<I, O>): BoltDefinition<I, O> {
  if (typeof bolt !== 'function') return bolt
  const loose = { ...statics(bolt), prepare: () => new bolt() }
  return declareBolt(loose as unknown as LooseBolt) as unknown as BoltDefinition<I, O>
}

const staticNames = [
  'tick',
  'input',
  'inputs',
  'output',
  'outputs',
  'replay',
  'tracked',
  'ack',
  'concurrency',
  'ordered',
  'config',
] as const

function statics(of: object): object {
  const from = of as Readonly<Record<string, unknown>>
  return Object.fromEntries(staticNames.filter((name) => from[name] !== undefined).map((name) => [name, from[name]]))
}

function declarations(of: {
  output?: TupleSchema | undefined
  outputs?: SchemaMap | undefined
}): Readonly<Record<string, StreamDeclaration>> {
  const all: Record<string, StreamDeclaration> = {}
  if (of.output !== undefined) all['default'] = Object.freeze({ schema: of.output })
  for (const [name, stream] of Object.entries(of.outputs ?? {}))
    all[name] = Object.freeze(isDeclaration(stream) ? stream : { schema: stream })
  return Object.freeze(all)
}

/** What is neither a schema nor a declaration is a flaw already. */
function isDeclaration(stream: TupleSchema | StreamDeclaration): stream is StreamDeclaration {
  return isRecord(stream) && 'schema' in stream
}

export function isDefinition(value: unknown, kind: 'spout' | 'bolt'): value is SpoutDefinition | BoltDefinition {
  return isRecord(value) && value['kind'] === kind && typeof value['create'] === 'function'
}

/** Stands where a component could not be made, so that the rest of the plan is still checked. */
export const standIn = {
  spout: defineSpout({ open: () => () => undefined }) as SpoutDefinition,
  bolt: declareBolt({ inputs: {}, execute: {} }),
} as const
