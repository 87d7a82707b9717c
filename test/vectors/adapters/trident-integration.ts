/**
 * Storm's TridentIntegrationTest: streams and DRPC functions that an operation's text describes.
 *
 *     stream(FIELDS) . STEP . STEP ; drpc NAME: STEP . merge(STEP . STEP -> FIELD, STEP)
 *
 * `input` is a list of steps: `["feed", tuples]` (one batch), `["drpc", args]` or `["drpc", name, args]`, `["waitMs", n]`.
 */
import { LocalDrpc, MemoryMapState, builtIns, memorySource, newStaticState, state, topology, trident } from '../../../lib/index.ts'
import type {
  TridentAggregator as Aggregator,
  AnyAggregator,
  CombinerAggregator,
  Emit,
  GroupedTridentStream,
  MapState,
  ReducerAggregator,
  StreamTopologyBuilder,
  TridentFilter,
  TridentState,
  TridentStream,
  TupleView,
} from '../../../lib/index.ts'
import { LocalCluster } from '../../../lib/testing/index.ts'
import { Unknown, all, same } from '../vectors.ts'
import type { Adapter, Verdict, VectorCase } from '../vectors.ts'

export const tridentIntegration: Adapter = {
  isFor: ({ suite, file, sources }) => /\bTridentIntegrationTest\b/.test([suite, file, ...sources].join(' ')),
  run(one) {
    if (/\b(cpu|memory)\b/i.test(one.operation) && /\bdeclare\b/i.test(one.operation))
      return { differs: 'all operators of a topology run in one bolt, and there are no resource requests' }
    const [, refused] = /^(.*?)\s+on a stream without/.exec(one.operation) ?? []
    return refused === undefined ? called(one) : onFields(one, refused)
  },
}

type Grouped = GroupedTridentStream<string, string>

const functions: Readonly<Record<string, readonly [field: string, f: (tuple: TupleView, emit: Emit) => void]>> = {
  split: [
    'word',
    (tuple, emit) =>
      String(tuple.at(0))
        .split(/\s+/)
        .forEach((word) => word !== '' && emit(word)),
  ],
  length: ['len', (tuple, emit) => emit(String(tuple.at(0)).length)],
  stringlength: ['len', (tuple, emit) => emit(String(tuple.at(0)).length)],
  addbang: ['bang', (tuple, emit) => emit(`${String(tuple.at(0))}!`)],
}

const countReducer: ReducerAggregator<number> = { init: () => 0, reduce: (n) => n + 1 }
const countAggregator: Aggregator<number> = { init: () => 0, aggregate: (n) => n + 1, complete: (n, emit) => emit(n) }

function aggregatorOf(text: string): readonly [field: string, aggregator: AnyAggregator] {
  const name = text.toLowerCase()
  if (name.includes('sum')) return ['sum', builtIns.sum()]
  if (!name.includes('count')) throw new Unknown(text)
  if (name.includes('as aggregator') || name.includes('asaggregator')) return ['count', countAggregator]
  return ['count', name.includes('reduc') ? countReducer : builtIns.count()]
}

// ------------------------------------------------------------------------------------------------ texts

/** The parts of a text between separators that are not in brackets. */
function parts(text: string, separator: RegExp): string[] {
  const found: string[] = []
  let depth = 0
  let part = ''
  for (let i = 0; i < text.length; i++) {
    const [match] = depth === 0 ? (separator.exec(text.slice(i)) ?? []) : []
    if (match !== undefined) {
      found.push(part.trim())
      part = ''
      i += match.length - 1
      continue
    }
    depth += text[i] === '(' ? 1 : text[i] === ')' ? -1 : 0
    part += text[i]
  }
  return [...found, part.trim()].filter((one) => one !== '')
}

const bySemicolon = /^;/
const byDot = /^\s*\.\s*/
const byComma = /^\s*,\s*/

const filters: Readonly<Record<string, TridentFilter>> = {
  true: () => true,
  false: () => false,
  null: builtIns.filterNull(),
  filternull: builtIns.filterNull(),
}

const queries = {
  get: builtIns.mapGet<unknown>(),
  mapget: builtIns.mapGet<unknown>(),
  snapshotget: builtIns.snapshotGet<unknown>(),
  all: builtIns.tupleCollectionGet(),
  tuplecollectionget: builtIns.tupleCollectionGet(),
}

/** What a name stands for, however it is written: `MapGet`, `map get`, `true filter`, `TrueFilter`. */
function named<T>(table: Readonly<Record<string, T>>, text: string): T | undefined {
  const name = text.toLowerCase().replace(/[^a-z]/g, '')
  return table[name] ?? table[name.replace(/(filter|function)$/, '')]
}

/** A step: its name, what is in its brackets, the fields that it is told to give. */
function stepOf(text: string): { name: string; args: string[]; as: string[] } {
  const [, name, inside = '', behind] = /^([\w-]+)\s*(?:\((.*)\))?\s*(?:->\s*\(?([\w\s,-]+?)\)?)?$/s.exec(text) ?? []
  if (name === undefined) throw new Unknown(text)
  // the fields may be named within the brackets, but for the branches of a merge, which name their own
  const [, before = inside, within] = name === 'merge' ? [] : (/^(.*?)\s*->\s*\(?([\w\s,-]+?)\)?$/s.exec(inside) ?? [])
  const as = behind ?? within
  return { name, args: parts(before, byComma), as: as === undefined ? [] : parts(as, byComma) }
}

// ------------------------------------------------------------------------------------------------ pipelines

interface Built {
  state?: TridentState<MapState<unknown, unknown>, string>
}

function pipeline(start: TridentStream, steps: readonly string[], built: Built): TridentStream {
  let at: TridentStream | Grouped = start
  for (const step of steps) at = applied(at, step, built)
  if (!('fields' in at)) throw new Unknown('a group at the end')
  return at
}

function applied(at: TridentStream | Grouped, text: string, built: Built): TridentStream | Grouped {
  const { name, args, as } = stepOf(text)
  const of = at as TridentStream
  switch (name) {
    case 'filter':
    case 'each':
    case 'flatMap': {
      const filter = named(filters, args.at(-1) ?? '')
      if (filter !== undefined) return of.filter(args.length > 1 ? args.slice(0, -1) : of.fields, filter)
      const [field, f] = named(functions, args.at(-1) ?? '') ?? []
      if (field === undefined || f === undefined) throw new Unknown(text)
      const fields = as.length > 0 ? as : [field]
      const input = args.length > 1 ? args.slice(0, -1) : [of.fields.at(-1) as string]
      const made = of.each(input, f, fields)
      return as.length > 0 || name === 'flatMap' ? made.project(fields) : made
    }
    case 'groupBy':
      return of.groupBy(args)
    case 'name':
      return of.name(args[0] ?? '')
    case 'project':
      return of.project(args)
    case 'partitionBy':
      return of.partitionBy(args)
    case 'shuffle':
    case 'localOrShuffle':
    case 'global':
    case 'batchGlobal':
    case 'broadcast':
    case 'identityPartition':
      return of[name]()
    case 'aggregate':
    case 'partitionAggregate': {
      const [field, aggregator] = aggregatorOf(args.at(-1) ?? '')
      const fields = as.length > 0 ? as : [field]
      const input = args.length > 1 ? args.slice(0, -1) : 'fields' in at && at.fields.includes('count') ? ['count'] : []
      return name === 'aggregate' ? at.aggregate(input, aggregator, fields) : of.partitionAggregate(input, aggregator, fields)
    }
    case 'stateQuery': {
      const query = named<(typeof queries)[keyof typeof queries]>(queries, args.at(-1) ?? '')
      if (query === undefined || built.state === undefined) throw new Unknown(text)
      const isAll = /all|tuple/i.test(args.at(-1) ?? '')
      const fields = as.length > 0 ? as : isAll ? ['word', 'count'] : ['count']
      const input = args.length > 1 ? args.slice(0, -1) : 'fields' in at ? [at.fields.at(-1) as string] : ['word']
      return at.stateQuery(built.state, input, query, fields)
    }
    case 'persistentAggregate': {
      const [field, aggregator] = aggregatorOf(args.at(-1) ?? '')
      const source = /memory/i.test(args[0] ?? '') ? () => new MemoryMapState() : state('counts')
      built.state = (at as Grouped).persistentAggregate(source, [], aggregator as CombinerAggregator, [field])
      return built.state.newValuesStream()
    }
    case 'merge': {
      const [first, ...others] = args.map((branch) => pipeline(of, parts(branch, byDot), built))
      if (first === undefined) throw new Unknown(text)
      return first.merge(...others)
    }
    default:
      throw new Unknown(text)
  }
}

/** Declares what the text describes; the names of the functions. */
function declare(t: StreamTopologyBuilder, text: string, source: ReturnType<typeof memorySource<unknown>>, drpc: LocalDrpc): string[] {
  const built: Built = {}
  const options = { batchInterval: 500 }
  return parts(text, bySemicolon).flatMap((section) => {
    const [, name, rest] = /^drpc\s+([\w-]+)\s*:\s*(.*)$/s.exec(section) ?? []
    if (name !== undefined) {
      pipeline(drpc.newDRPCStream(t, name, options), parts(rest ?? '', byDot), built)
      return [name]
    }
    const [first = '', ...steps] = parts(section, byDot)
    const stream = stepOf(first)
    if (stream.name !== 'stream') throw new Unknown(section)
    pipeline(trident(t.stream('stream', source, options), stream.args), steps, built)
    return []
  })
}

// ------------------------------------------------------------------------------------------------ cases

async function called({ operation, params, input, expected, notes }: VectorCase): Promise<Verdict> {
  if (!Array.isArray(input) || !Array.isArray(expected) || !input.every(Array.isArray)) return undefined
  const parallelism = Number(params['parallelism'] ?? 1)
  const source = memorySource<unknown>({ partitions: parallelism })
  const drpc = new LocalDrpc()
  let names: string[] = []
  const graph = topology('case', (t) => {
    names = declare(t, operation, source, drpc)
  })
  await using cluster = await LocalCluster.start({ seed: 1, executors: Math.min(2, parallelism) })
  const verdicts: Verdict[] = []
  const running = await cluster.submit(graph)
  for (const [i, [step, ...args]] of (input as readonly (readonly unknown[])[]).entries()) {
    if (step === 'feed') source.add(...(args[0] as readonly unknown[]))
    else if (step !== 'drpc' && step !== 'waitMs') return undefined
    const answer = step === 'drpc' ? drpc.execute(args.length > 1 ? String(args[0]) : (names[0] as string), String(args.at(-1))) : undefined
    answer?.catch(() => undefined) // looked at below
    await running.advance(step === 'waitMs' ? Number(args[0]) : 1_500)
    if (running.errors.length > 0) return running.errors[0]?.message
    if (answer !== undefined && expected[i] !== null)
      verdicts.push(same(`call ${i + 1}`, sorted(await answer, notes), sorted(expected[i] as readonly unknown[], notes)))
  }
  return all(verdicts)
}

function sorted(rows: readonly unknown[], notes: string): string[] {
  const texts = rows.map((row) => JSON.stringify(row)).sort()
  return notes.trim() === 'set' ? [...new Set(texts)] : texts
}

/** An operator on a stream of `params.streamFields`; whether it is refused is for whoever asked. */
async function onFields({ params }: VectorCase, operation: string): Promise<Verdict> {
  const fields =
    JSON.stringify(params['streamFields'] ?? '')
      .match(/[\w-]+/g)
      ?.filter((word) => word !== 'or' && word !== 'and') ?? []
  const counted = [builtIns.count(), ['n']] as const
  const operators: Readonly<Record<string, (s: TridentStream | Grouped, args: readonly string[]) => TridentStream | Grouped>> = {
    each: (s, args) => (s as TridentStream).each(args, () => undefined, ['n']),
    filter: (s, args) => (s as TridentStream).filter(args, () => true),
    project: (s, args) => (s as TridentStream).project(args),
    groupBy: (s, args) => (s as TridentStream).groupBy(args),
    partitionBy: (s, args) => (s as TridentStream).partitionBy(args),
    aggregate: (s, args) => s.aggregate(args, ...counted),
    partitionAggregate: (s, args) => (s as TridentStream).partitionAggregate(args, ...counted),
    persistentAggregate: (s, args) => (s as TridentStream).persistentAggregate(state('s'), args, ...counted).newValuesStream(),
    partitionPersist: (s, args) =>
      (s as TridentStream)
        .partitionPersist<MemoryMapState, string>(
          () => new MemoryMapState(),
          args,
          () => undefined,
        )
        .newValuesStream(),
    minBy: (s, args) => (s as TridentStream).minBy(args[0] as string),
    maxBy: (s, args) => (s as TridentStream).maxBy(args[0] as string),
    stateQuery: (s, args) =>
      s.stateQuery(
        newStaticState(() => new MemoryMapState()),
        args,
        builtIns.mapGet<unknown>(),
        ['n'],
      ),
  }
  const steps = parts(operation, byDot).map(stepOf)
  if (steps.some(({ name }) => operators[name] === undefined)) return undefined
  // what is no field is what is done with the fields
  const isDone = (arg: string): boolean => named(functions, arg) !== undefined || /^(count|sum|get|map ?get|memory.*)$/i.test(arg)
  const graph = topology('case', (t) => {
    let at: TridentStream | Grouped = trident(t.stream('stream', memorySource<unknown>()), fields)
    for (const { name, args } of steps)
      at = (operators[name] as (typeof operators)[string])(
        at,
        args.filter((arg) => fields.includes(arg) || !isDone(arg)),
      )
    if ('groupFields' in at) at.aggregate(...counted)
  })
  await using cluster = await LocalCluster.start({ seed: 1 })
  await cluster.submit(graph)
  return true
}
