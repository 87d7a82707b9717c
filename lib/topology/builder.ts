/**
 * `topology(name, build)`: wiring spouts and bolts by plain calls that the compiler checks.
 *
 * The builder only writes down (`TopologyDraft`); `plan.ts` judges. So every fault can be reported at once.
 */
import { z } from 'zod'
import { soundSettings } from '../config.ts'
import type { ConfigInput } from '../config.ts'
import { SquallError, allFaults, reasonOf } from '../errors.ts'
import type { Place } from '../errors.ts'
import { calledFrom, displayPath, frameOf } from '../std/stack.ts'
import { hintFor, shown } from '../std/words.ts'
import { boltOf, isDefinition, spoutOf, standIn } from './component.ts'
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
import { isRecord } from './flaws.ts'
import type { Flaw } from './flaws.ts'
import type { CustomGrouping, Grouping } from './grouping.ts'
import { Params } from './params.ts'

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
  // the compiler explains a mistake by the last overload: by the one that most people use
  /** Adds a spout by its class, whose static members say its streams. */
  spout<C extends SpoutClass<OutputsOfClass<C>>>(id: string, spout: C, options?: ComponentOptions): ComponentHandle<SpoutOutputsOfClass<C>>
  /** Adds a spout. */
  spout<O extends Streams>(id: string, spout: SpoutDefinition<O>, options?: ComponentOptions): ComponentHandle<O>
  /** Adds a bolt by its class, whose static members say its streams. */
  bolt<C extends BoltClass<InputsOfClass<C>, OutputsOfClass<C>>>(
    id: string,
    bolt: C,
    options?: ComponentOptions,
  ): BoltDeclarer<InputsOfClass<C>, OutputsOfClass<C>>
  /** Adds a bolt; say what it reads on the result: `.shuffle(lines)`. */
  bolt<I extends Streams, O extends Streams>(id: string, bolt: BoltDefinition<I, O>, options?: ComponentOptions): BoltDeclarer<I, O>
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
  const where = Object.assign(calledFrom(), { topology: name })
  return Object.freeze({
    kind: 'topology' as const,
    name,
    draft(params: Readonly<Record<string, unknown>>): TopologyDraft {
      const builder = new Builder(name, new Params(params), where)
      builder.run(build)
      return builder.draft()
    },
  })
}

const optionKeys = ['parallelism', 'tasks', 'config']

class Builder implements TopologyBuilder {
  readonly #name: string
  readonly #params: Params
  readonly #where: Place
  readonly #components: DraftComponent[] = []
  readonly #faults: SquallError[] = []
  #config: ConfigInput = {}
  #isBroken = false
  /** a parameter has no value, and why is a fault */
  #lacksParam = false
  readonly #schemas = new Map<string, z.ZodType>()

  constructor(name: string, params: Params, where: Place) {
    this.#name = name
    this.#params = params
    this.#where = where
  }

  run(build: (t: TopologyBuilder) => unknown): void {
    try {
      const result: unknown = build(this)
      if (!(result instanceof Promise)) return
      // what it throws later has the same cause
      result.catch(() => undefined)
      this.#breaks('an async function', 'a function that is not async: await what it needs before, at the top of the file')
    } catch (error) {
      if (typeof build !== 'function') this.#breaks(shown(build), "a function: topology('name', (t) => { ... })")
      // a parameter that is missing or wrong may well be what made the function throw
      else if (!this.#lacksParam) throw allFaults([...this.#faults, error instanceof SquallError ? error : threw(this.#name, error)])
    }
  }

  #breaks(value: string, expected: string): void {
    this.#isBroken = true
    const what = { what: 'the second argument', component: 'topology(name, build)', value, expected }
    this.#faults.push(new SquallError('bad-definition', what, this.#where))
  }

  spout(id: string, spout: unknown, options: ComponentOptions = {}): never {
    this.#add('spout', id, spout, options, [], this.#here(id))
    return handle(id) as never // the interface knows its type
  }

  bolt(id: string, bolt: unknown, options: ComponentOptions = {}): never {
    const subscriptions: DraftSubscription[] = []
    this.#add('bolt', id, bolt, options, subscriptions, this.#here(id))
    const self: object = handle(id)
    const into = (input: string): Groupings<object, object> => groupings(self, input, id, subscriptions, this.#faults, () => this.#here(id))
    Object.assign(self, into('default'), { input: into })
    return self as never
  }

  #here(component: string): Place {
    return Object.assign(calledFrom(), { topology: this.#name, component })
  }

  #add(
    kind: 'spout' | 'bolt',
    id: string,
    given: unknown,
    options: ComponentOptions,
    subscriptions: readonly DraftSubscription[],
    where: Place,
  ): void {
    const definition = definitionOf(kind, given)
    if (definition === undefined) {
      const value = isDefinition(given, kind === 'spout' ? 'bolt' : 'spout') ? `a ${given.kind}` : shown(given)
      const define = kind === 'spout' ? 'defineSpout' : 'defineBolt'
      this.#faults.push(new SquallError('not-a-component', { component: shown(id), value, what: kind, define }, where))
    }
    if (!isRecord(options)) this.#bad('the options', id, options, '{ parallelism: 2 }, or nothing', where)
    const own = isRecord(options) ? options : {}
    for (const key of Object.keys(own))
      if (!optionKeys.includes(key))
        this.#faults.push(
          new SquallError('unknown-key', { place: `the options of t.${kind}()`, key, hint: hintFor(key, optionKeys) }, where),
        )
    this.#components.push({
      id,
      definition: definition ?? standIn[kind],
      ...(definition === undefined && { broken: true }),
      options: own,
      subscriptions,
      where,
    })
  }

  #bad(what: string, component: string, value: unknown, expected: string, where: Place): void {
    this.#faults.push(new SquallError('bad-definition', { what, component, value: shown(value), expected }, where))
  }

  param<S extends z.ZodType>(name: string, schema: S): z.output<S> {
    const given = this.#params.ask(name)
    const read = typeof given === 'string' ? json(given) : undefined
    const flaw = this.#schemaFlaw(name, schema)
    const parsed = flaw ?? parse(schema, given)
    if ('success' in parsed && parsed.success) return parsed.data
    const again = read === undefined || !('success' in parsed) ? parsed : parse(schema, read)
    if ('success' in again && again.success) return again.data
    this.#lacksParam = true
    const where = Object.assign(calledFrom(), { topology: this.#name })
    if (!('success' in again))
      this.#faults.push(new SquallError('bad-definition', { component: `t.param(${shown(name)})`, ...again }, where))
    else if (given === undefined) this.#params.miss(name, new SquallError('missing-param', { name }, where))
    else {
      const reason = again.error.issues[0]?.message ?? 'invalid'
      this.#faults.push(new SquallError('bad-param', { name, value: shown(read ?? given), reason }, where))
    }
    return undefined as z.output<S>
  }

  /** What is wrong with the schema of a parameter, also beside the one with which it was asked for before. */
  #schemaFlaw(name: string, schema: unknown): Flaw | undefined {
    if (!(schema instanceof z.ZodType))
      return { what: 'the schema', value: shown(schema), expected: 'a zod schema, of the zod that squall exports: z.int().default(1)' }
    const before = this.#schemas.get(name) ?? schema
    this.#schemas.set(name, before)
    if (before === schema || shapeOf(before) === shapeOf(schema)) return undefined
    return { what: 'the schema', value: 'another one than before', expected: 'the same one each time, or ask once and keep the value' }
  }

  config(config: ConfigInput): void {
    const where = Object.assign(calledFrom(), { topology: this.#name })
    if (!isRecord(config)) return this.#bad('the argument', 't.config()', config, 'settings: { spoutPendingMax: 100 }', where)
    const entries = Object.entries(config).map(([key, value]) => [key, value, where] as const)
    this.#config = { ...this.#config, ...soundSettings(entries, this.#faults) }
  }

  later<T extends object>(id: string, _schema: z.ZodType<T>, stream = 'default'): StreamHandle<T> {
    return { component: id, streamName: stream, feedback: true }
  }

  draft(): TopologyDraft {
    return {
      name: this.#name,
      config: this.#config,
      components: this.#components,
      faults: [...this.#faults, ...this.#params.faults(this.#name, this.#where)],
      asked: this.#params.asked,
      ...(this.#isBroken && { broken: true }),
      where: this.#where,
    }
  }
}

function definitionOf(kind: 'spout' | 'bolt', given: unknown): SpoutDefinition | BoltDefinition | undefined {
  if (isDefinition(given, kind)) return given
  if (typeof given !== 'function') return undefined
  return kind === 'spout' ? spoutOf(given as SpoutClass) : boltOf(given as BoltClass)
}

function threw(topology: string, error: unknown): SquallError {
  const frame = frameOf(error)
  const place = frame === undefined ? {} : { ...frame, file: displayPath(frame.file) }
  return new SquallError('definition-threw', { reason: reasonOf(error) }, { ...place, topology }, { cause: error })
}

function handle(id: string): { component: string; streamName: string; feedback: boolean; stream(name: string): StreamHandle<object> } {
  return { component: id, streamName: 'default', feedback: false, stream: (name) => ({ component: id, streamName: name, feedback: false }) }
}

function groupings(
  self: object,
  input: string,
  component: string,
  subscriptions: DraftSubscription[],
  faults: SquallError[],
  here: () => Place,
): Groupings<object, object> {
  const read = (source: StreamHandle<object>, grouping: Grouping): object => {
    const where = here()
    const flaw = sourceFlaw(source) ?? groupingFlaw(grouping)
    if (flaw !== undefined) faults.push(new SquallError('bad-definition', { component: `${component}.${grouping.type}()`, ...flaw }, where))
    const broken = flaw === undefined ? {} : { broken: true }
    const { component: from = '', streamName: stream = '', feedback = false } = isRecord(source) ? source : {}
    subscriptions.push({ input, component: from, stream, grouping, feedback, where, ...broken })
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

function sourceFlaw(source: unknown): Flaw | undefined {
  if (isRecord(source) && typeof source['component'] === 'string' && typeof source['streamName'] === 'string') return undefined
  return { what: 'the source', value: shown(source), expected: 'what t.spout or t.bolt returned, or its stream(name)' }
}

function groupingFlaw(grouping: Grouping): Flaw | undefined {
  if (grouping.type === 'custom' && typeof (grouping.custom as CustomGrouping | undefined)?.prepare !== 'function')
    return {
      what: 'the grouping',
      value: shown(grouping.custom),
      expected: 'an object with prepare(context), which returns the function that chooses tasks',
    }
  if ('fields' in grouping && !(Array.isArray(grouping.fields) && grouping.fields.every((field) => typeof field === 'string')))
    return { what: 'the fields', value: shown(grouping.fields), expected: "a list of field names: ['word']" }
  return undefined
}

/** What a schema says of a value; or that it would have to wait before it can. */
function parse<S extends z.ZodType>(schema: S, value: unknown): z.ZodSafeParseResult<z.output<S>> | Flaw {
  try {
    return schema.safeParse(value)
  } catch (error) {
    if (!(error instanceof z.core.$ZodAsyncError)) throw error
    return { what: 'the schema', value: 'one with async checks', expected: 'checks that are not async' }
  }
}

/** To compare schemas by: each call of `z.int()` makes a new one. */
function shapeOf(schema: z.ZodType): string {
  return JSON.stringify(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }))
}

/** `undefined` when `text` is not JSON: then no default may step in for it. */
function json(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}
