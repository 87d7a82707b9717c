/** Chains of calls on streams, as the operations of Spark Streaming's suites have them, run through the public API. */
import { DStream, stateSpec } from '../../../../lib/index.ts'
import type { MapWithStateStream, RDD, StreamTopologyBuilder } from '../../../../lib/index.ts'
import { chainOf, splitAtCommas } from '../rdd/chain.ts'
import type { Step } from '../rdd/chain.ts'
import { evaluate, functionOf, parse } from '../rdd/language.ts'
import type { Tree } from '../rdd/language.ts'
import { mappingOf, updateOf } from './functions.ts'
import { Unknown } from '../../vectors.ts'

export type Streams = Readonly<Record<string, DStream<unknown>>>
type Any = (...args: unknown[]) => never
type Pairs = DStream<readonly [unknown, unknown]>

export interface Program {
  readonly inputs: Streams
  readonly params: Readonly<Record<string, unknown>>
  readonly notes: string
  readonly batchMs: number
  readonly t: StreamTopologyBuilder
  /** every stream that a step made, in order, with the name of the step */
  readonly made: { readonly step: string; readonly stream: DStream<unknown> }[]
}

/** Names of the context, whose methods take their streams as arguments. */
const contexts = /^(ssc|StreamingContext|context|sc)$/

/** The chain of a text, with words around it left out and steps written with spaces between. */
export function stepsOf(text: string): { readonly steps: readonly Step[]; readonly rest: string } {
  return chainOf(text.replaceAll(/\s+\.\s+/g, '.').trim())
}

/** The stream that an operation makes. */
export function streamOf(text: string, program: Program): DStream<unknown> {
  const { steps, rest } = stepsOf(text)
  const [first] = steps
  if (first === undefined) throw new Unknown(text)
  const names = Object.keys(program.inputs)
  let at = program.inputs[names[0] as string] as DStream<unknown>
  let from = 0
  if (first.args.length === 0 && steps.length > 1) {
    if (contexts.test(first.name)) from = 1
    else if (Object.hasOwn(program.inputs, first.name)) {
      at = program.inputs[first.name] as DStream<unknown>
      from = 1
    } else if (/^(s|stream|input|lines)$/.test(first.name)) from = 1
  } else if (first.args.length === 0 && Object.hasOwn(program.inputs, first.name)) return program.inputs[first.name] as DStream<unknown>
  else if (first.args.length === 0 && /^(s|stream|input)$/.test(first.name)) return at
  for (let i = from; i < steps.length; i++) {
    const step = steps[i] as Step
    // settings that follow a step belong to it
    const settings = steps.slice(i + 1).filter(({ name }) => isSetting(name))
    if (isSetting(step.name)) continue
    at = new Call(at, step, settings, program, steps[i + 1]).run()
    program.made.push({ step: step.name, stream: at })
  }
  for (const { name, args } of steps) if (name === 'checkpoint') at.checkpoint(msOf(args[0], program))
  const [, remember] = /\bremember\(([^)]*)\)/.exec(rest) ?? []
  if (remember !== undefined) program.t.remember(msOf(remember, program))
  return at
}

function isSetting(name: string): boolean {
  return /^(timeout|initialState|numPartitions|partitioner|checkpoint)$/.test(name)
}

/** `2s`, `2000`, `500ms`, `2 batches`, `Seconds(2)`. */
export function msOf(text: string | undefined, { batchMs }: Pick<Program, 'batchMs'>): number {
  const [, wrapped, inner] = /^(Seconds|Milliseconds|Minutes)\((\d+)\)$/.exec(text ?? '') ?? []
  const units: Record<string, number> = { Seconds: 1_000, Milliseconds: 1, Minutes: 60_000, ms: 1, s: 1_000, m: 60_000, batch: batchMs }
  if (wrapped !== undefined) return Number(inner) * (units[wrapped] as number)
  const [, number, unit = 'ms'] =
    /^(?:(?:window|length|slide)\s*[=:]?\s*)?(\d+(?:\.\d+)?)\s*(ms|s|m|batch)?(?:es|ec|in)?$/.exec((text ?? '').trim()) ?? []
  if (number === undefined) throw new Unknown(String(text))
  return Number(number) * (units[unit] as number)
}

/** One step on a stream. */
class Call {
  readonly #stream: DStream<unknown>
  readonly #pairs: Pairs
  readonly #step: Step
  readonly #settings: readonly Step[]
  readonly #program: Program
  readonly #next: Step | undefined

  constructor(stream: DStream<unknown>, step: Step, settings: readonly Step[], program: Program, next?: Step) {
    this.#next = next
    this.#stream = stream
    this.#pairs = stream as Pairs
    this.#step = step
    this.#settings = settings
    this.#program = program
  }

  run(): DStream<unknown> {
    const made = this.#each() ?? this.#byKey() ?? this.#several() ?? this.#windows() ?? this.#state()
    if (made === undefined) throw new Unknown(this.#step.name)
    return made
  }

  #each(): DStream<unknown> | undefined {
    const stream = this.#stream
    switch (this.#step.name) {
      case 'map':
        // without a function: what the next step needs
        if (/ByKey|mapWithState/.test(this.#next?.name ?? '') && this.#step.args.length === 0 && this.#program.params['fn'] === undefined)
          return stream.map((x) => [x, 1])
        return stream.map(this.#f('x'))
      case 'flatMap':
        return stream.flatMap(this.#f('x'))
      case 'filter':
        return stream.filter(this.#f('x'))
      case 'glom':
        return stream.glom()
      case 'mapPartitions': {
        const f = this.#f('it')
        return stream.mapPartitions((values) => listed(f(values)))
      }
      case 'mapPartitionsWithIndex': {
        const f = this.#f('it')
        return stream.mapPartitionsWithIndex((i, values) => listed(f(i, values)))
      }
      case 'repartition':
        return stream.repartition(this.#number(0, 'numPartitions'))
      case 'count':
        return stream.count()
      case 'countByValue':
        return stream.countByValue(this.#partitions())
      case 'reduce':
        return stream.reduce(this.#f('+'))
      case 'persist':
      case 'cache':
        return stream.persist()
      default:
        return undefined
    }
  }

  #byKey(): DStream<unknown> | undefined {
    const pairs = this.#pairs
    switch (this.#step.name) {
      case 'groupByKey':
        return pairs.groupByKey(this.#partitions())
      case 'reduceByKey':
        return pairs.reduceByKey(this.#f('+'), this.#partitions())
      case 'combineByKey':
        return pairs.combineByKey(this.#f('x', 0), this.#f('+', 1), this.#f('+', 2))
      case 'mapValues':
        return pairs.mapValues(this.#f('v'))
      case 'flatMapValues':
        return pairs.flatMapValues(this.#f('v'))
      case 'join':
        return pairs.join(this.#other() as Pairs)
      case 'cogroup':
        return pairs.cogroup(this.#other() as Pairs)
      case 'leftOuterJoin':
        return pairs.leftOuterJoin(this.#other() as Pairs)
      case 'rightOuterJoin':
        return pairs.rightOuterJoin(this.#other() as Pairs)
      case 'fullOuterJoin':
        return pairs.fullOuterJoin(this.#other() as Pairs)
      default:
        return undefined
    }
  }

  #several(): DStream<unknown> | undefined {
    const { args, name } = this.#step
    switch (name) {
      case 'union': {
        const streams = this.#streams(args)
        const [first, ...others] =
          streams.length > 1 ? streams : [this.#stream, ...streams, ...(streams.length === 0 ? [this.#other()] : [])]
        return first?.union(...others)
      }
      case 'transform': {
        const [list = String(this.#program.params['fn']), text] = args
        if (list.startsWith('[') && text !== undefined) return DStream.transform(this.#streams([list]), rddFunction(text))
        const f = rddFunction(text ?? list)
        return DStream.transform([this.#stream], f)
      }
      case 'transformWith':
        return DStream.transform([this.#stream, this.#other()], rddFunction(args.at(-1) as string))
      default:
        return undefined
    }
  }

  #windows(): DStream<unknown> | undefined {
    const { name, args } = this.#step
    if (!/window/i.test(name)) return undefined
    const [length, slide] = this.#lengths()
    const functions = args.filter((arg) => !isLength(arg))
    const [f, inverse, kept] = [
      functionIn(functions[0] ?? '+'),
      functions[1] && functionIn(functions[1]),
      functions[2] && keptIn(functions[2]),
    ]
    const both = { ...(inverse !== undefined && inverse !== '' && { inverse }), ...(kept !== undefined && kept !== '' && { isKept: kept }) }
    switch (name) {
      case 'window':
        return this.#stream.window(length, slide)
      case 'reduceByWindow':
        return this.#stream.reduceByWindow(f, length, slide, both)
      case 'countByWindow':
        return this.#stream.countByWindow(length, slide)
      case 'countByValueAndWindow':
        return this.#stream.countByValueAndWindow(length, slide)
      case 'groupByKeyAndWindow':
        return this.#pairs.groupByKeyAndWindow(length, slide)
      case 'reduceByKeyAndWindow':
        return this.#pairs.reduceByKeyAndWindow(f, length, slide, both)
      default:
        return undefined
    }
  }

  #state(): DStream<unknown> | undefined {
    const { name, args } = this.#step
    const { params, notes } = this.#program
    const initialState = (params['initialState'] ?? params['initial']) as [unknown, unknown][] | undefined
    switch (name) {
      case 'updateStateByKey': {
        const said = [args.join(', '), params['fn'], params['updateFn'], params['updateFunc'], notes]
          .filter((one) => typeof one === 'string')
          .join('; ')
        const { f, shown } = updateOf(said)
        const options = initialState === undefined ? {} : { initialState }
        const states = /\biterator\b/.test(said)
          ? this.#pairs.updateStates<unknown, unknown, unknown>(function* (keys, timeMs) {
              for (const [key, values, state] of keys) {
                const next = f(values, state, key, timeMs)
                if (next !== undefined) yield [key, next]
              }
            }, options)
          : this.#pairs.updateStateByKey<unknown, unknown, unknown>(f, options)
        const isShown = this.#next?.name === 'mapValues' && /\bcount(er)?\b/.test(this.#next.args[0] ?? '')
        return shown === undefined || isShown ? states : states.mapValues(shown)
      }
      case 'mapWithState': {
        const said = [params['mappingFn'], params['fn'], args.join(', ')].find((one) => typeof one === 'string' && one !== '')
        const [timeout] = this.#settings.find((one) => one.name === 'timeout')?.args ?? []
        const timeoutMs = params['timeoutMs'] ?? (timeout === undefined ? undefined : msOf(timeout, this.#program))
        return this.#pairs.mapWithState<unknown, unknown, unknown, unknown>(
          stateSpec(mappingOf(typeof said === 'string' ? said : ''), {
            ...(typeof timeoutMs === 'number' && { timeout: timeoutMs }),
            ...(initialState !== undefined && { initialState }),
          }),
        )
      }
      case 'stateSnapshots':
        return 'stateSnapshots' in this.#stream
          ? (this.#stream as MapWithStateStream<unknown, unknown, unknown>).stateSnapshots()
          : undefined
      default:
        return undefined
    }
  }

  // ---------------------------------------------------------------------------------------------- arguments

  #f(byDefault: string, i = 0): Any {
    const { args } = this.#step
    const { params } = this.#program
    const text = args[i] ?? (i === 0 ? (params['fn'] ?? params['f'] ?? params['function']) : undefined)
    if (typeof text === 'string') return functionIn(text)
    return byDefault === '+' ? functionIn('+') : (((x: unknown) => x) as Any)
  }

  #number(i: number, name: string): number {
    const value = this.#step.args[i] === undefined ? this.#program.params[name] : evaluate(parse(this.#step.args[i]), {})
    if (typeof value !== 'number') throw new Unknown(name)
    return value
  }

  #partitions(): number | undefined {
    const n = this.#program.params['numPartitions']
    return typeof n === 'number' ? n : undefined
  }

  #lengths(): [number, number] {
    const { params } = this.#program
    const [length, slide] = this.#step.args.filter(isLength).map((arg) => msOf(arg, this.#program))
    const param = (...names: string[]): number | undefined => names.map((one) => params[one]).find((one) => typeof one === 'number')
    const batches = (name: string): number | undefined => {
      const n = param(name)
      return n === undefined ? undefined : n * this.#program.batchMs
    }
    const lengthMs = length ?? param('windowMs', 'lengthMs', 'windowDurationMs') ?? batches('windowBatches')
    if (lengthMs === undefined) throw new Unknown('a window without a length')
    return [lengthMs, slide ?? param('slideMs', 'slideDurationMs') ?? batches('slideBatches') ?? this.#stream.slideMs]
  }

  /** The stream that an operation takes besides: its first argument, or the second input. */
  #other(): DStream<unknown> {
    const [text] = this.#step.args
    const isStream = text !== undefined && /^[A-Za-z]\w*(\.|$)/.test(text)
    if (isStream) return streamOf(text, this.#program)
    const second = Object.values(this.#program.inputs)[1]
    if (second === undefined) throw new Unknown('a second stream')
    return second
  }

  #streams(args: readonly string[]): DStream<unknown>[] {
    return args.flatMap((arg) => (arg.startsWith('[') ? splitAtCommas(arg.slice(1, -1)) : [arg])).map((one) => streamOf(one, this.#program))
  }
}

function isLength(arg: string): boolean {
  return /^(?:(?:window|length|slide)\s*[=:]?\s*)?(\d+(\.\d+)?\s*(ms|s|m|sec|min|batch(es)?)?|(Seconds|Milliseconds|Minutes)\(\d+\))$/.test(
    arg,
  )
}

export function functionIn(text: string): Any {
  return functionOf(treeOf(text)) as Any
}

function treeOf(text: string): Tree {
  try {
    return parse(text)
  } catch (error) {
    if (!(error instanceof Unknown)) throw error
    return { kind: 'words', text }
  }
}

/** `filter v!=0`, `(k, v) -> v != 0`, `x -> x._2 != 0`. */
function keptIn(text: string): (key: unknown, value: unknown) => boolean {
  const tree = treeOf(text.replace(/^filter\s*[:=]?\s*/, ''))
  if (tree.kind === 'function' && tree.parameters.length === 1 && tree.parameters[0] !== 'v' && tree.parameters[0] !== 'it') {
    const f = functionOf(tree)
    return (key, value) => f([key, value]) === true
  }
  const f = functionOf(tree.kind === 'function' ? tree : { kind: 'function', parameters: ['k', 'v'], body: tree })
  return (key, value) => (tree.kind === 'function' && tree.parameters.length === 1 ? f(value) : f(key, value)) === true
}

function listed(made: unknown): unknown[] {
  return Array.isArray(made) ? (made as unknown[]) : [made]
}

/** `(r1, r2) -> r1.join(r2)`, `(rdds, time) -> union(rdds)`, `rdd -> null`. */
function rddFunction(text: string): (rdds: readonly RDD<unknown>[]) => RDD<unknown> {
  const [, names = '', body = ''] = /^\(?([^()]*?)\)?\s*(?:->|=>)\s*(.+)$/s.exec(text) ?? []
  if (body === '') throw new Unknown(text)
  const parameters = names.split(',').map((name) => name.trim())
  if (body.trim() === 'null') return () => null as unknown as RDD<unknown>
  const union = /^(\w+\.)?union\((\w+)\)$/.exec(body.trim())
  return (rdds) => {
    if (union !== null && (union[1] === undefined || !parameters.includes(union[1].slice(0, -1)) || rdds.length > 2))
      return (rdds[0] as RDD<unknown>).union(...rdds.slice(1))
    return rddChain(body, Object.fromEntries(parameters.map((name, i) => [name, rdds[i]])))
  }
}

function rddChain(text: string, names: Readonly<Record<string, RDD<unknown> | undefined>>): RDD<unknown> {
  const { steps } = chainOf(text)
  const [first, ...others] = steps
  let at = names[first?.name ?? '']
  if (at === undefined) throw new Unknown(text)
  for (const { name, args } of others) {
    const given = args.map((arg) => (Object.hasOwn(names, arg) ? names[arg] : functionOf(treeOf(arg))))
    const method: unknown = (at as unknown as Record<string, unknown>)[name]
    if (typeof method !== 'function') throw new Unknown(name)
    at = (method as (...args: unknown[]) => RDD<unknown>).apply(at, given)
  }
  return at
}
