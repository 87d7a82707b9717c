/** What simulated topologies do with their records, and what should come of it: plain loops over the committed batches. */
import type { DStream } from '../../lib/batch/dstream/dstream.ts'
import { builtIns, state, stateSpec, trident, tumblingWindow } from '../../lib/index.ts'
import type { KeyState, MapState, StateUpdater } from '../../lib/index.ts'
import type { Batch, Case, Rec } from './simulated.ts'

export interface Pipeline {
  readonly name: string
  readonly fits: (of: Pick<Case, 'intervalMs' | 'isOpaque' | 'sources'>) => boolean
  readonly build: (streams: readonly DStream<Rec>[]) => DStream<unknown>
  /** what it gives in each batch; `undefined` where it has no batch */
  readonly model: (batches: readonly Batch[]) => readonly (readonly unknown[] | undefined)[]
  /** what it has kept in the end */
  readonly state?: { readonly name: string; readonly model: (batches: readonly Batch[]) => ReadonlyMap<unknown, unknown> }
}

type Streams = readonly DStream<Rec>[]
const always = (): boolean => true
/** Windows make earlier batches again, which an opaque source gives otherwise. */
const canReachBack = ({ intervalMs, isOpaque }: Parameters<Pipeline['fits']>[0]): boolean => intervalMs > 0 && !isOpaque
const hasTwo = ({ sources }: Parameters<Pipeline['fits']>[0]): boolean => sources === 2

const first = (streams: Streams): DStream<Rec> => streams[0] as DStream<Rec>
const second = (streams: Streams): DStream<Rec> => streams[1] as DStream<Rec>
const weights = (stream: DStream<Rec>) => stream.map((one) => [one.key, one.weight] as const).reduceByKey(plus)
const plus = (a: number, b: number): number => a + b

/** The weights of each key. */
function sums(records: readonly Rec[]): Map<string, number> {
  const all = new Map<string, number>()
  for (const { key, weight } of records) all.set(key, (all.get(key) ?? 0) + weight)
  return all
}

const recordsOf = (batch: Batch | undefined, source = 0): readonly Rec[] => batch?.records[source] ?? []

/** The records of the batches in `(fromMs, untilMs]`. */
function between(batches: readonly Batch[], fromMs: number, untilMs: number, source = 0): Rec[] {
  return batches.filter(({ timeMs }) => timeMs > fromMs && timeMs <= untilMs).flatMap((batch) => recordsOf(batch, source))
}

/** Goes through the batches with something that is kept. */
function* kept<S, R>(batches: readonly Batch[], from: S, step: (kept: S, batch: Batch) => R): Generator<R> {
  for (const batch of batches) yield step(from, batch)
}

const counting = stateSpec((key: string, n: number | undefined, sum: KeyState<number>) => {
  const next = (sum.getOption() ?? 0) + (n ?? 0)
  sum.update(next)
  return [key, next] as const
})

function count(all: Map<string, number>, batch: Batch): [string, number][] {
  const now = sums(recordsOf(batch))
  for (const [key, n] of now) all.set(key, (all.get(key) ?? 0) + n)
  return [...now.keys()].map((key) => [key, all.get(key) as number])
}

/** All counts after the batches. */
function counts(batches: readonly Batch[]): Map<string, number> {
  const all = new Map<string, number>()
  for (const batch of batches) count(all, batch)
  return all
}

const timeoutMs = 20
const passing = stateSpec(
  (key: string, n: number | undefined, sum: KeyState<number>) => {
    if (sum.isTimingOut) return [key, 'out', sum.get()] as const
    const next = (sum.getOption() ?? 0) + (n ?? 0)
    if (next % 3 === 0) {
      if (sum.exists) sum.remove()
      return [key, 'gone', next] as const
    }
    sum.update(next)
    return [key, 'in', next] as const
  },
  { timeout: timeoutMs },
)

function pass(all: Map<string, { n: number; atMs: number }>, batch: Batch): unknown[] {
  const given: unknown[] = []
  for (const [key, n] of sums(recordsOf(batch))) {
    const next = (all.get(key)?.n ?? 0) + n
    if (next % 3 === 0) all.delete(key)
    else all.set(key, { n: next, atMs: batch.timeMs })
    given.push([key, next % 3 === 0 ? 'gone' : 'in', next])
  }
  for (const [key, { n, atMs }] of all)
    if (atMs < batch.timeMs - timeoutMs) {
      all.delete(key)
      given.push([key, 'out', n])
    }
  return given
}

/** Sums that are forgotten when they are multiples of 7. */
function update(all: Map<string, number>, batch: Batch): [string, number][] {
  for (const [key, n] of sums(recordsOf(batch))) {
    const next = (all.get(key) ?? 0) + n
    if (next % 7 === 0) all.delete(key)
    else all.set(key, next)
  }
  return [...all]
}

const updating = (stream: DStream<Rec>, name: string) =>
  weights(stream).updateStateByKey(
    (values: readonly number[], sum: number | undefined) => {
      if (values.length === 0) return sum
      const next = values.reduce(plus, sum ?? 0)
      return next % 7 === 0 ? undefined : next
    },
    { name },
  )

const sizeMs = 10

/** Windows of event time that the watermark has passed. */
function group(open: Map<string, { end: number; n: number }>, { records: [records = []], lateMs, watermarkMs }: Batch): unknown[] {
  for (const { key, at } of records) {
    const end = (Math.floor(at / sizeMs) + 1) * sizeMs
    if (end <= lateMs) continue
    const id = `${key} ${end}`
    open.set(id, { end, n: (open.get(id)?.n ?? 0) + 1 })
  }
  const passed = [...open].filter(([, { end }]) => end <= watermarkMs)
  for (const [id] of passed) open.delete(id)
  return passed.map(([id, { n }]) => `${id} ${n}`)
}

function joined(left: readonly Rec[], right: readonly Rec[]): unknown[] {
  return left.flatMap((a) => right.filter(({ key }) => key === a.key).map((b) => [a.key, [a.n, b.n]]))
}

const persist: StateUpdater<MapState<string, number>> = async (totals, tuples, emit) => {
  const keys = tuples.map((tuple) => String(tuple.get('key')))
  const updaters = tuples.map((tuple) => (total: number | null) => (total ?? 0) + Number(tuple.get('weight')))
  const sums = await totals.multiUpdate(keys, updaters)
  for (const [i, key] of keys.entries()) emit(key, sums[i])
}

const numbers = (stream: DStream<Rec>) => stream.map((one) => [one.key, one.n] as const)

export const pipelines: readonly Pipeline[] = [
  {
    name: 'reduceByKey',
    fits: always,
    build: (streams) => weights(first(streams)),
    model: (batches) => batches.map((batch) => [...sums(recordsOf(batch))]),
  },
  {
    name: 'mapWithState',
    fits: always,
    build: (streams) => weights(first(streams)).mapWithState(counting, { name: 'counted' }),
    model: (batches) => [...kept(batches, new Map<string, number>(), count)],
    state: { name: 'counted', model: counts },
  },
  {
    name: 'stateSnapshots',
    fits: always,
    build: (streams) => weights(first(streams)).mapWithState(counting, { name: 'snapped' }).stateSnapshots(),
    model: (batches) =>
      [...kept(batches, new Map<string, number>(), (all, batch) => [count(all, batch), [...all]] as const)].map(([, all]) => all),
  },
  {
    name: 'mapWithState with a timeout',
    fits: always,
    build: (streams) => weights(first(streams)).mapWithState(passing, { name: 'passing' }),
    model: (batches) => [...kept(batches, new Map<string, { n: number; atMs: number }>(), pass)],
  },
  {
    name: 'updateStateByKey',
    fits: always,
    build: (streams) => updating(first(streams), 'updated'),
    model: (batches) => [...kept(batches, new Map<string, number>(), update)],
  },
  {
    name: 'a window of states',
    fits: ({ intervalMs }) => intervalMs > 0,
    build: (streams) =>
      updating(first(streams), 'inWindow')
        .window(20)
        .map(([key, sum]) => `${key} ${sum}`)
        .countByValue(),
    model: (batches) => {
      const all = [...kept(batches, new Map<string, number>(), update)]
      return batches.map((_, i) => {
        const seen = new Map<string, number>()
        for (const [key, sum] of [...(all[i - 1] ?? []), ...(all[i] ?? [])]) seen.set(`${key} ${sum}`, (seen.get(`${key} ${sum}`) ?? 0) + 1)
        return [...seen]
      })
    },
  },
  {
    name: 'window',
    fits: canReachBack,
    build: (streams) =>
      first(streams)
        .map((one) => [one.key, one.weight] as const)
        .window(30, 20)
        .reduceByKey(plus),
    model: (batches) => batches.map(({ timeMs }) => (timeMs % 20 === 0 ? [...sums(between(batches, timeMs - 30, timeMs))] : undefined)),
  },
  {
    name: 'window with an inverse',
    fits: canReachBack,
    build: (streams) =>
      weights(first(streams)).reduceByKeyAndWindow(plus, 30, 10, { inverse: (a, b) => a - b, isKept: (_, n) => n > 0, name: 'sliding' }),
    model: (batches) => batches.map(({ timeMs }) => [...sums(between(batches, timeMs - 30, timeMs))]),
  },
  {
    name: 'groups of event time',
    fits: always,
    build: (streams) =>
      first(streams)
        .withWatermark('at', 8)
        .groupBy('key', tumblingWindow(sizeMs))
        .count()
        .records.map(({ key, window, count: n }) => `${key} ${Number(window.end)} ${n}`),
    model: (batches) => [...kept(batches, new Map<string, { end: number; n: number }>(), group)],
  },
  {
    name: 'dropDuplicates',
    fits: always,
    build: (streams) =>
      first(streams)
        .map(({ key, version }) => ({ key, version }))
        .dropDuplicates().records,
    model: (batches) => [
      ...kept(batches, new Set<string>(), (seen, batch) => {
        const all = new Set(recordsOf(batch).map(({ key, version }) => JSON.stringify({ key, version })))
        const fresh = [...all].filter((one) => !seen.has(one))
        for (const one of fresh) seen.add(one)
        return fresh
      }),
    ],
  },
  {
    name: 'join',
    fits: hasTwo,
    build: (streams) => numbers(first(streams)).join(numbers(second(streams))),
    model: (batches) => batches.map((batch) => joined(recordsOf(batch), recordsOf(batch, 1))),
  },
  {
    name: 'join of windows',
    fits: (of) => hasTwo(of) && canReachBack(of),
    build: (streams) =>
      numbers(first(streams))
        .window(20)
        .join(numbers(second(streams)).window(30, 10)),
    model: (batches) =>
      batches.map(({ timeMs }) => joined(between(batches, timeMs - 20, timeMs), between(batches, timeMs - 30, timeMs, 1))),
  },
  {
    name: 'persistentAggregate',
    fits: always,
    build: (streams) => {
      const rows = trident(
        first(streams).map(({ key, weight }) => [key, weight]),
        ['key', 'weight'],
      )
      const total = rows.groupBy(['key']).persistentAggregate(state('totals'), ['weight'], builtIns.sum(), ['total'])
      return total.newValuesStream().stream
    },
    model: (batches) => [...kept(batches, new Map<string, number>(), count)],
    state: { name: 'totals', model: counts },
  },
  {
    name: 'partitionPersist',
    fits: always,
    build: (streams) =>
      trident(
        weights(first(streams)).map(([key, weight]) => [key, weight]),
        ['key', 'weight'],
      )
        .partitionBy(['key'])
        .partitionPersist(state('persisted'), ['key', 'weight'], persist, ['key', 'total'])
        .newValuesStream().stream,
    model: (batches) => [...kept(batches, new Map<string, number>(), count)],
    state: { name: 'persisted', model: counts },
  },
]
