/**
 * Random chains of operators of streams over random batches, on one to three executors of which some die while functions throw, give what plain
 * arrays give. `SQUALL_RUNS=2000 npx vitest run test/batch/dstream/programs.test.ts` tries more of them.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { DStream } from '../../../lib/batch/dstream/dstream.ts'
import { StreamGraph } from '../../../lib/batch/dstream/graph.ts'
import { addBatchComponents } from '../../../lib/batch/run/components.ts'
import { memorySource, stateSpec } from '../../../lib/index.ts'
import type { KeyState } from '../../../lib/index.ts'
import { Random } from '../../../lib/std/random.ts'
import { LocalCluster } from '../../../lib/testing/index.ts'
import { topology } from '../../../lib/topology/builder.ts'
import { FaultDisk } from '../fault-disk.ts'

const intervalMs = 10

/** The values of a stream at a time, and how far its times are from each other. */
interface Model {
  readonly slideMs: number
  readonly at: (timeMs: number) => readonly number[]
}

interface Both {
  readonly stream: DStream<number>
  readonly model: Model
}

interface Operator {
  readonly name: string
  /** `other`: another stream, with batches at the same times; `firstMs`: no batch is before that */
  readonly apply: (one: Both, other: Both, firstMs: () => number) => Both
}

type Keyed = readonly [key: number, value: number]
const plus = (a: number, b: number): number => a + b
const sum = (all: readonly number[]): number => all.reduce(plus, 0)
const keyed = (x: number): Keyed => [x % 3, x]
const code = ([key, value]: Keyed): number => (key * 31 + value) % 97

/** An operator that looks at each batch by itself. */
function each(
  name: string,
  onStream: (s: DStream<number>) => DStream<number>,
  onArray: (all: readonly number[]) => readonly number[],
): Operator {
  return {
    name,
    apply: ({ stream, model: { slideMs, at } }) => ({ stream: onStream(stream), model: { slideMs, at: (timeMs) => onArray(at(timeMs)) } }),
  }
}

/** An operator on two streams. */
function both(
  name: string,
  onStreams: (a: DStream<number>, b: DStream<number>) => DStream<number>,
  onArrays: (a: readonly number[], b: readonly number[]) => readonly number[],
): Operator {
  return {
    name,
    apply: ({ stream, model: { slideMs, at } }, other) => ({
      stream: onStreams(stream, other.stream),
      model: { slideMs, at: (timeMs) => onArrays(at(timeMs), other.model.at(timeMs)) },
    }),
  }
}

/** An operator on windows of `length` slides, one every `slide` of them. */
function windowed(
  name: string,
  length: number,
  slide: number,
  onStream: (s: DStream<number>, lengthMs: number, slideMs: number) => DStream<number>,
  onArray: (all: readonly number[]) => readonly number[],
): Operator {
  return {
    name: `${name}(${length}, ${slide})`,
    apply: ({ stream, model }, _, firstMs) => {
      const [lengthMs, slideMs] = [length * model.slideMs, slide * model.slideMs]
      const at = (timeMs: number): readonly number[] => {
        const times: number[] = []
        for (let t = timeMs; t > timeMs - lengthMs && t >= firstMs(); t -= model.slideMs) times.push(t)
        return onArray(times.flatMap((t) => model.at(t)))
      }
      return { stream: onStream(stream, lengthMs, slideMs), model: { slideMs, at } }
    },
  }
}

/** An operator that remembers: `onArrays` has all batches up to one. */
function remembering(
  name: string,
  onStream: (s: DStream<number>) => DStream<number>,
  onArrays: (all: readonly (readonly number[])[]) => readonly number[],
): Operator {
  return {
    name,
    apply: ({ stream, model: { slideMs, at } }, _, firstMs) => ({
      stream: onStream(stream),
      model: {
        slideMs,
        at: (timeMs) => {
          const all: (readonly number[])[] = []
          for (let t = Math.ceil(firstMs() / slideMs) * slideMs; t <= timeMs; t += slideMs) all.push(at(t))
          return onArrays(all)
        },
      },
    }),
  }
}

const keysOf = (...all: (readonly number[])[]): number[] => [...new Set(all.flat().map((x) => x % 3))]
const of = (all: readonly number[], key: number): number[] => all.filter((x) => x % 3 === key)

const counting = stateSpec((key: number, value: number | undefined, state: KeyState<number>) => {
  state.update((state.getOption() ?? 0) + (value ?? 0))
  return [key, state.get()] as const
})

const windows = [
  [2, 1],
  [3, 2],
  [2, 2],
] as const

const operators: readonly Operator[] = [
  each('map', (s) => s.map((x) => (x + 5) % 40), (all) => all.map((x) => (x + 5) % 40)),
  each('filter', (s) => s.filter((x) => x % 4 > 0), (all) => all.filter((x) => x % 4 > 0)),
  each('flatMap', (s) => s.flatMap((x) => [x, x + 1]), (all) => all.flatMap((x) => [x, x + 1])),
  each('glom', (s) => s.glom().flatMap((all) => all), (all) => all),
  each('mapPartitions', (s) => s.mapPartitions((all) => all.map((x) => x + 2)), (all) => all.map((x) => x + 2)),
  each('repartition', (s) => s.repartition(4), (all) => all),
  each('persist', (s) => s.map((x) => x).persist(), (all) => all),
  each('transform', (s) => s.transform((rdd) => rdd.distinct().map((x) => x + 3)), (all) => [...new Set(all)].map((x) => x + 3)),
  each('count', (s) => s.count(), (all) => [all.length]),
  each('reduce', (s) => s.reduce(plus), (all) => (all.length === 0 ? [] : [sum(all)])),
  each('countByValue', (s) => s.countByValue().map(code), (all) => [...new Set(all)].map((x) => code([x, all.filter((y) => x === y).length]))),
  each('reduceByKey', (s) => s.map(keyed).reduceByKey(plus).map(code), (all) => keysOf(all).map((key) => code([key, sum(of(all, key))]))),
  each('groupByKey', (s) => s.map(keyed).groupByKey().mapValues((all) => all.length).map(code), (all) => keysOf(all).map((key) => code([key, of(all, key).length]))),
  each('union with itself', (s) => s.union(s), (all) => [...all, ...all]),
  both('union', (a, b) => a.union(b), (a, b) => [...a, ...b]),
  both('join', (a, b) => a.map(keyed).join(b.map(keyed)).map(([key, [x, y]]) => code([key, x + 2 * y])), (a, b) => a.flatMap((x) => of(b, x % 3).map((y) => code([x % 3, x + 2 * y])))),
  both('leftOuterJoin', (a, b) => a.map(keyed).leftOuterJoin(b.map(keyed)).map(([key, [x, y]]) => code([key, x + (y ?? 7)])), (a, b) => a.flatMap((x) => (of(b, x % 3).length === 0 ? [7] : of(b, x % 3)).map((y) => code([x % 3, x + y])))),
  both('cogroup', (a, b) => a.map(keyed).cogroup(b.map(keyed)).map(([key, [x, y]]) => code([key, x.length + 5 * y.length])), (a, b) => keysOf(a, b).map((key) => code([key, of(a, key).length + 5 * of(b, key).length]))),
  both('transformWith', (a, b) => a.transformWith(b, (x, y) => x.subtract(y)), (a, b) => a.filter((x) => !b.includes(x))),
  ...windows.flatMap(([length, slide]) => [
    windowed('window', length, slide, (s, l, d) => s.window(l, d), (all) => all),
    windowed('reduceByWindow', length, slide, (s, l, d) => s.reduceByWindow(plus, l, d), (all) => (all.length === 0 ? [] : [sum(all)])),
    windowed('reduceByKeyAndWindow', length, slide, (s, l, d) => s.map(keyed).reduceByKeyAndWindow(plus, l, d).map(code), (all) => keysOf(all).map((key) => code([key, sum(of(all, key))]))),
    windowed('countByValueAndWindow', length, slide, (s, l, d) => s.countByValueAndWindow(l, d).map(code), (all) => [...new Set(all)].map((x) => code([x, all.filter((y) => x === y).length]))),
    windowed('with an inverse', length, slide, (s, l, d) => s.map((x): Keyed => [x % 3, 1]).reduceByKeyAndWindow(plus, l, d, { inverse: (a, b) => a - b, isKept: (_, n) => n > 0 }).map(code), (all) => keysOf(all).map((key) => code([key, of(all, key).length]))),
  ]),
  remembering('updateStateByKey', (s) => s.map(keyed).updateStateByKey<number, number, number>((values, before = 0) => before + sum(values)).map(code), (all) => keysOf(all.flat()).map((key) => code([key, sum(of(all.flat(), key))]))),
  remembering('mapWithState', (s) => s.map(keyed).reduceByKey(plus).mapWithState(counting).map(code), (all) => keysOf(all.at(-1) ?? []).map((key) => code([key, sum(of(all.flat(), key))]))),
] // prettier-ignore

const chunks = fc.array(fc.array(fc.integer({ min: 0, max: 30 }), { maxLength: 4 }), { minLength: 1, maxLength: 8 })
const cases = fc.record({
  one: chunks,
  two: chunks,
  // two operators that remember under one name are refused: no program has the same one twice
  program: fc.uniqueArray(fc.constantFrom(...operators), {
    minLength: 1,
    maxLength: 4,
    selector: (operator) => (/inverse|State/.test(operator.name) ? operator.name : Symbol(operator.name)),
  }),
  executors: fc.integer({ min: 1, max: 3 }),
  partitions: fc.integer({ min: 1, max: 3 }),
  /** calls of a function until it throws */
  throwsAfter: fc.array(fc.integer({ min: 0, max: 12 }), { maxLength: 2 }),
  /** after how many ms which executor dies */
  deaths: fc.array(fc.tuple(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 0, max: 2 })), { maxLength: 2 }),
  pendingMax: fc.integer({ min: 1, max: 3 }),
  seed: fc.integer(),
})

test('what operators give in each batch', { timeout: 600_000 }, async () => {
  const numRuns = Number(process.env['SQUALL_RUNS'] ?? 60)
  await fc.assert(
    fc.asyncProperty(cases, async ({ one, two, program, executors, partitions, throwsAfter, deaths, pendingMax, seed }) => {
      let firstMs = Infinity
      const found = new Map<number, readonly number[]>()
      const fuses = [...throwsAfter]
      let model: Model | undefined
      const definition = topology('program', (t) => {
        const graph = new StreamGraph('program', intervalMs)
        const [a, b] = [one, two].map((all, n): Both => {
          const source = memorySource<number>({ partitions, oneAtATime: true })
          for (const chunk of all) source.add(...chunk)
          source.end()
          const id = `s${n}`
          graph.sources.set(id, source)
          const stream = new DStream<number>(graph, { name: id, parents: [] }, (scope) => scope.source<number>(id))
          return { stream, model: { slideMs: intervalMs, at: (timeMs) => all[(timeMs - firstMs) / intervalMs] ?? [] } }
        }) as [Both, Both]
        a.stream.foreachRDD((_, { timeMs }) => void (firstMs = Math.min(firstMs, timeMs)))
        const failing = a.stream.map((x) => {
          if (fuses.length === 0 || (fuses[0] as number)-- > 0) return x
          fuses.shift()
          throw new Error('as the seed would have it')
        })
        let last: Both = { ...a, stream: failing }
        for (const { apply } of program) {
          const { slideMs } = last.model
          const window = windowed(
            'window',
            slideMs / intervalMs,
            slideMs / intervalMs,
            (s, l, d) => s.window(l, d),
            (all) => all,
          )
          last = apply(last, slideMs === intervalMs ? b : window.apply(b, b, () => firstMs), () => firstMs)
        }
        model = last.model
        last.stream.foreachRDD(async (rdd, { timeMs }) => void found.set(timeMs, await rdd.collect()))
        graph.finish()
        expect(graph.faults).toEqual([])
        addBatchComponents(t, graph, new FaultDisk(new Random(seed)))
      })
      await using cluster = await LocalCluster.start({ seed, executors, patienceMs: 0 })
      const config = { stateDir: '/disk', batchAttemptsMax: 20, batchesPendingMax: pendingMax, executorRestartsMax: 100 }
      const running = await cluster.submit(definition, { config })
      let nowMs = 0
      for (const [afterMs, victim] of deaths.toSorted(([x], [y]) => x - y)) {
        await running.advance(afterMs - nowMs)
        nowMs = afterMs
        running.killExecutor(victim % executors)
      }
      await running.complete('1m')
      const { slideMs, at } = model as unknown as Model
      for (let n = 0; n < one.length; n++) {
        const timeMs = firstMs + n * intervalMs
        const text = found
          .get(timeMs)
          ?.toSorted((x, y) => x - y)
          .join(' ')
        expect(text, `batch ${n}`).toBe(timeMs % slideMs === 0 ? [...at(timeMs)].sort((x, y) => x - y).join(' ') : undefined)
      }
    }),
    { numRuns, ...(process.env['SQUALL_SEED'] !== undefined && { seed: Number(process.env['SQUALL_SEED']) }) },
  )
})
