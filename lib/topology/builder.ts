/**
 * `topology(name, build)`: wiring spouts and bolts by plain calls that the compiler checks.
 *
 * The builder only writes down (`TopologyDraft`); `plan.ts` judges. So every fault can be reported at once.
 */
import type { z } from 'zod'
import type { ConfigInput } from '../config.ts'
import { SquallError } from '../errors.ts'
import { displayPath, frameOf } from '../std/stack.ts'
import { boltOf, spoutOf } from './component.ts'
import type {
  BoltClass,
  BoltDefinition,
  InputsOfClass,
  OutputsOfClass,
  SpoutClass,
  SpoutDefinition,
  SpoutOutputsOfClass,
  Streams,
} from './component.ts'
import type { ComponentOptions, DraftComponent, DraftSubscription, TopologyDefinition, TopologyDraft } from './draft.ts'
import type { CustomGrouping, Grouping } from './grouping.ts'

/** A stream that bolts can read: the tuples `T` of one component. */
export interface StreamHandle<T extends object> {
  readonly component: string
  readonly streamName: string
  readonly feedback: boolean
  /** only for the compiler */
  readonly _tuple?: T
}

/** A component in a topology; where it has a default stream it stands for that stream. */
export type ComponentHandle<O extends Streams> = {
  readonly component: string
  /** one of its named streams */
  stream<S extends keyof O & string>(name: S): StreamHandle<O[S]>
} & (O extends { readonly default: infer T extends object } ? StreamHandle<T> : unknown)

/** The ways to read a stream. `Self` is what the call returns, to read more streams. */
export interface Groupings<T extends object, Self> {
  shuffle(source: StreamHandle<T>): Self
  localOrShuffle(source: StreamHandle<T>): Self
  fields<U extends T>(source: StreamHandle<U>, fields: readonly (keyof U & string)[]): Self
  partialKey<U extends T>(source: StreamHandle<U>, fields: readonly (keyof U & string)[]): Self
  all(source: StreamHandle<T>): Self
  global(source: StreamHandle<T>): Self
  none(source: StreamHandle<T>): Self
  direct(source: StreamHandle<T>): Self
  custom<U extends T>(source: StreamHandle<U>, grouping: CustomGrouping<U>): Self
}

/** A bolt being wired. With one input it is read into directly, with several through `input(name)`. */
export type BoltDeclarer<I extends Streams, O extends Streams> = ComponentHandle<O> &
  (I extends { readonly default: infer T extends object }
    ? Groupings<T, BoltDeclarer<I, O>>
    : { input<K extends keyof I & string>(name: K): Groupings<I[K], BoltDeclarer<I, O>> })

export interface TopologyBuilder {
  /** Adds a spout. */
  spout<O extends Streams>(id: string, spout: SpoutDefinition<O>, options?: ComponentOptions): ComponentHandle<O>
  /** Adds a spout by its class, whose static members say its streams. */
  spout<C extends SpoutClass<OutputsOfClass<C>>>(id: string, spout: C, options?: ComponentOptions): ComponentHandle<SpoutOutputsOfClass<C>>
  /** Adds a bolt; say what it reads on the result: `.shuffle(lines)`. */
  bolt<I extends Streams, O extends Streams>(id: string, bolt: BoltDefinition<I, O>, options?: ComponentOptions): BoltDeclarer<I, O>
  /** Adds a bolt by its class, whose static members say its streams. */
  bolt<C extends BoltClass<InputsOfClass<C>, OutputsOfClass<C>>>(
    id: string,
    bolt: C,
    options?: ComponentOptions,
  ): BoltDeclarer<InputsOfClass<C>, OutputsOfClass<C>>
  /** A parameter of this topology, given by `--set name=value`; texts are read as JSON where the schema wants it. */
  param<S extends z.ZodType>(name: string, schema: S): z.output<S>
  /** Settings of the whole topology; later calls win key by key. */
  config(config: ConfigInput): void
  /** A stream of a bolt that is added later: reading it closes a cycle on purpose. */
  later<T extends object>(id: string, schema: z.ZodType<T>, stream?: string): StreamHandle<T>
}

/**
 * A topology: what a definition file exports by default.
 *
 * ```ts
 * export default topology('word-count', (t) => {
 *   const lines = t.spout('lines', files.lines(t.param('input', z.string())))
 *   const words = t.bolt('split', split, { parallelism: 2 }).shuffle(lines)
 *   t.bolt('count', count, { parallelism: 2 }).fields(words, ['word'])
 * })
 * ```
 */
export function topology(name: string, build: (t: TopologyBuilder) => void): TopologyDefinition {
  return Object.freeze({
    kind: 'topology' as const,
    name,
    draft(params: Readonly<Record<string, unknown>>): TopologyDraft {
      const builder = new Builder(name, params)
      try {
        build(builder)
      } catch (error) {
        // a parameter that is missing or wrong may well be what made the function throw
        if (!builder.hasFaults) throw error instanceof SquallError ? error : threw(name, error)
      }
      return builder.draft()
    },
  })
}

class Builder implements TopologyBuilder {
  readonly #name: string
  readonly #params: Readonly<Record<string, unknown>>
  readonly #asked = new Set<string>()
  readonly #components: DraftComponent[] = []
  readonly #faults: SquallError[] = []
  #config: ConfigInput = {}

  constructor(name: string, params: Readonly<Record<string, unknown>>) {
    this.#name = name
    this.#params = params
  }

  get hasFaults(): boolean {
    return this.#faults.length > 0
  }

  spout(id: string, spout: SpoutDefinition | SpoutClass, options: ComponentOptions = {}): never {
    this.#components.push({ id, definition: spoutOf(spout), options, subscriptions: [], where: { topology: this.#name, component: id } })
    return handle(id) as never // the interface knows its type
  }

  bolt(id: string, bolt: unknown, options: ComponentOptions = {}): never {
    const subscriptions: DraftSubscription[] = []
    const where = { topology: this.#name, component: id }
    this.#components.push({ id, definition: boltOf(bolt as BoltDefinition | BoltClass), options, subscriptions, where })
    const self: object = handle(id)
    Object.assign(self, groupings(self, 'default', subscriptions, where), {
      input: (name: string) => groupings(self, name, subscriptions, where),
    })
    return self as never
  }

  param<S extends z.ZodType>(name: string, schema: S): z.output<S> {
    this.#asked.add(name)
    const given = Object.hasOwn(this.#params, name) ? this.#params[name] : undefined
    const parsed = schema.safeParse(given)
    if (parsed.success) return parsed.data
    const read = typeof given === 'string' ? json(given) : undefined
    const again = read === undefined ? parsed : schema.safeParse(read)
    if (again.success) return again.data
    const where = { topology: this.#name }
    this.#faults.push(
      given === undefined
        ? new SquallError('missing-param', { name }, where)
        : new SquallError('bad-param', { name, value: JSON.stringify(given), reason: parsed.error.issues[0]?.message ?? 'invalid' }, where),
    )
    return undefined as z.output<S>
  }

  config(config: ConfigInput): void {
    this.#config = { ...this.#config, ...config }
  }

  later<T extends object>(id: string, _schema: z.ZodType<T>, stream = 'default'): StreamHandle<T> {
    return { component: id, streamName: stream, feedback: true }
  }

  draft(): TopologyDraft {
    for (const name of Object.keys(this.#params)) {
      if (this.#asked.has(name)) continue
      const known = [...this.#asked].join(', ') || 'none'
      this.#faults.push(new SquallError('unknown-param', { topology: this.#name, name, known }, { topology: this.#name }))
    }
    return {
      name: this.#name,
      config: this.#config,
      components: this.#components,
      faults: this.#faults,
      asked: [...this.#asked],
      where: { topology: this.#name },
    }
  }
}

function threw(topology: string, error: unknown): SquallError {
  const frame = frameOf(error)
  const place = frame === undefined ? {} : { ...frame, file: displayPath(frame.file) }
  const reason = error instanceof Error ? error.message || error.name : String(error)
  return new SquallError('definition-threw', { reason }, { ...place, topology }, { cause: error })
}

function handle(id: string): { component: string; streamName: string; feedback: boolean; stream(name: string): StreamHandle<object> } {
  return { component: id, streamName: 'default', feedback: false, stream: (name) => ({ component: id, streamName: name, feedback: false }) }
}

function groupings(
  self: object,
  input: string,
  subscriptions: DraftSubscription[],
  where: DraftComponent['where'],
): Groupings<object, object> {
  const read = (source: StreamHandle<object>, grouping: Grouping): object => {
    subscriptions.push({ input, component: source.component, stream: source.streamName, grouping, feedback: source.feedback, where })
    return self
  }
  return {
    shuffle: (source) => read(source, { type: 'shuffle' }),
    localOrShuffle: (source) => read(source, { type: 'localOrShuffle' }),
    fields: (source, fields) => read(source, { type: 'fields', fields }),
    partialKey: (source, fields) => read(source, { type: 'partialKey', fields }),
    all: (source) => read(source, { type: 'all' }),
    global: (source) => read(source, { type: 'global' }),
    none: (source) => read(source, { type: 'none' }),
    direct: (source) => read(source, { type: 'direct' }),
    custom: (source, custom) => read(source, { type: 'custom', custom: custom }),
  }
}

/** `undefined` when `text` is not JSON: then no default may step in for it. */
function json(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}
