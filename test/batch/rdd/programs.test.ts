/** Random programs on random data, in any number of partitions and tasks, give what plain arrays give. */
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { HashPartitioner } from '../../../lib/index.ts'
import type { RDD, RddContext } from '../../../lib/index.ts'
import { inTasks } from './tasks.ts'

type Pair = readonly [key: string, value: number]

/** An operation on RDDs, and the same on arrays, whose order counts only if it is `ordered`. */
interface Operation {
  readonly name: string
  readonly onRdd: (rdd: RDD<number>, sc: RddContext) => RDD<number>
  readonly onArray: (values: readonly number[]) => number[]
  /** keeps the order of values, or makes one */
  readonly order: 'kept' | 'made' | 'lost'
}

const count = fc.integer({ min: 1, max: 5 })

const operations: fc.Arbitrary<Operation> = fc.oneof(
  fc.constantFrom<Operation>(
    { name: 'map', onRdd: (rdd) => rdd.map((x) => x + 1), onArray: (all) => all.map((x) => x + 1), order: 'kept' },
    { name: 'filter', onRdd: (rdd) => rdd.filter((x) => x % 3 > 0), onArray: (all) => all.filter((x) => x % 3 > 0), order: 'kept' },
    { name: 'flatMap', onRdd: (rdd) => rdd.flatMap((x) => [x, -x]), onArray: (all) => all.flatMap((x) => [x, -x]), order: 'kept' },
    { name: 'mapPartitions', onRdd: (rdd) => rdd.mapPartitions((all) => all.map((x) => x * 2)), onArray: (all) => all.map((x) => x * 2), order: 'kept' },
    { name: 'glom', onRdd: (rdd) => rdd.glom().flatMap((all) => all), onArray: (all) => [...all], order: 'kept' },
    { name: 'persist', onRdd: (rdd) => rdd.persist(), onArray: (all) => [...all], order: 'kept' },
    { name: 'union', onRdd: (rdd) => rdd.union(rdd), onArray: (all) => [...all, ...all], order: 'kept' },
    { name: 'zip', onRdd: (rdd) => rdd.zip(rdd.map((x) => x + 1)).map(([a, b]) => a + b), onArray: (all) => all.map((x) => 2 * x + 1), order: 'kept' },
    { name: 'zipWithIndex', onRdd: (rdd) => rdd.zipWithIndex().map(([x, i]) => x * 100 + i), onArray: (all) => all.map((x, i) => x * 100 + i), order: 'kept' },
    { name: 'distinct', onRdd: (rdd) => rdd.distinct(), onArray: (all) => [...new Set(all)], order: 'lost' },
    { name: 'sortBy', onRdd: (rdd) => rdd.sortBy((x) => x), onArray: (all) => all.toSorted((a, b) => a - b), order: 'made' },
    { name: 'sortBy, descending', onRdd: (rdd) => rdd.sortBy((x) => -x, { ascending: false }), onArray: (all) => all.toSorted((a, b) => a - b), order: 'made' },
    { name: 'subtract', onRdd: (rdd, sc) => rdd.subtract(sc.range(0, 4)), onArray: (all) => all.filter((x) => ![0, 1, 2, 3].includes(x)), order: 'lost' },
    { name: 'intersection', onRdd: (rdd, sc) => rdd.intersection(sc.range(0, 4)), onArray: (all) => [0, 1, 2, 3].filter((x) => all.includes(x)), order: 'lost' },
    { name: 'cartesian', onRdd: (rdd, sc) => rdd.cartesian(sc.parallelize([1, 2], 2)).map(([a, b]) => a + b), onArray: (all) => all.flatMap((x) => [x + 1, x + 2]), order: 'lost' },
    { name: 'groupBy', onRdd: (rdd) => rdd.groupBy((x) => x % 2).map(([, all]) => all.length), onArray: (all) => [0, 1, -1].map((r) => all.filter((x) => x % 2 === r).length).filter((n) => n > 0), order: 'lost' },
  ),
  count.map((n): Operation => ({ name: `coalesce(${n})`, onRdd: (rdd) => rdd.coalesce(n), onArray: (all) => [...all], order: 'kept' })),
  count.map((n): Operation => ({ name: `repartition(${n})`, onRdd: (rdd) => rdd.repartition(n), onArray: (all) => [...all], order: 'lost' })),
) // prettier-ignore

const isOrderCounted = (program: readonly Operation[]): boolean => program.findLast(({ order }) => order !== 'kept')?.order !== 'lost'
const usesOrder = (program: readonly Operation[]): boolean =>
  program.some(({ name }, i) => name === 'zipWithIndex' && !isOrderCounted(program.slice(0, i)))

test('programs on values', async () => {
  const data = fc.array(fc.integer({ min: -5, max: 9 }), { maxLength: 20 })
  const programs = fc.array(operations, { maxLength: 5 }).filter((program) => !usesOrder(program))
  await fc.assert(
    fc.asyncProperty(data, count, programs, fc.integer({ min: 1, max: 3 }), async (values, partitions, program, tasks) => {
      const expected = program.reduce<readonly number[]>((all, { onArray }) => onArray(all), values)
      const results = await inTasks(tasks, async (sc) => {
        const rdd = program.reduce((made, { onRdd }) => onRdd(made, sc), sc.parallelize(values, partitions))
        return [await rdd.collect(), await rdd.count(), await rdd.fold(0, (a, b) => a + b), await rdd.take(3), await rdd.takeOrdered(2), await rdd.countByValue()] as const
      }) // prettier-ignore
      const sum = expected.reduce((a, b) => a + b, 0)
      const sort = (all: readonly number[]): number[] => all.toSorted((a, b) => a - b)
      for (const [all, size, total, first, least, counts] of results) {
        const ordered = (values: readonly number[]): number[] => (isOrderCounted(program) ? [...values] : sort(values)).map(plus0)
        expect(ordered(all)).toEqual(ordered(expected))
        expect([size, plus0(total)]).toEqual([expected.length, plus0(sum)])
        expect(first).toEqual(all.slice(0, 3))
        expect(least.map(plus0)).toEqual(sort(expected).slice(0, 2).map(plus0))
        expect([...counts.values()].reduce((a, b) => a + b, 0)).toBe(expected.length)
      }
    }),
    { numRuns: 300 },
  )
})

/** -0 and 0 are one key. */
function plus0(x: number): number {
  return x + 0
}

const pairs = fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c', 'd'), fc.integer({ min: 0, max: 9 })), { maxLength: 12 })

/** What plain arrays give, and the operation; both sorted by who compares. */
const byKey: Readonly<Record<string, readonly [(a: RDD<Pair>, b: RDD<Pair>, n: number | undefined) => RDD<unknown>, (a: readonly Pair[], b: readonly Pair[]) => unknown[]]>> = {
  reduceByKey: [(a, _, n) => a.reduceByKey((x, y) => x + y, n), (a) => keysOf(a).map((k) => [k, of(a, k).reduce((x, y) => x + y)])],
  groupByKey: [(a, _, n) => a.groupByKey(n), (a) => keysOf(a).map((k) => [k, of(a, k)])],
  foldByKey: [(a, _, n) => a.foldByKey(-Infinity, (x, y) => Math.max(x, y), n), (a) => keysOf(a).map((k) => [k, Math.max(...of(a, k))])],
  aggregateByKey: [(a, _, n) => a.aggregateByKey<string, number, number[]>([], (sum, x) => (sum.push(x), sum), (x, y) => [...x, ...y], n).mapValues((all) => all.toSorted()), (a) => keysOf(a).map((k) => [k, of(a, k).toSorted()])],
  join: [(a, b, n) => a.join(b, n), (a, b) => a.flatMap(([k, v]) => of(b, k).map((w) => [k, [v, w]]))],
  leftOuterJoin: [(a, b, n) => a.leftOuterJoin(b, n), (a, b) => a.flatMap(([k, v]) => orNull(of(b, k)).map((w) => [k, [v, w]]))],
  rightOuterJoin: [(a, b, n) => a.rightOuterJoin(b, n), (a, b) => b.flatMap(([k, w]) => orNull(of(a, k)).map((v) => [k, [v, w]]))],
  fullOuterJoin: [(a, b, n) => a.fullOuterJoin(b, n), (a, b) => keysOf([...a, ...b]).flatMap((k) => orNull(of(a, k)).flatMap((v) => orNull(of(b, k)).map((w) => [k, [v, w]])))],
  cogroup: [(a, b, n) => a.cogroup(b, n), (a, b) => keysOf([...a, ...b]).map((k) => [k, [of(a, k), of(b, k)]])],
  subtractByKey: [(a, b, n) => a.subtractByKey(b, n), (a, b) => a.filter(([k]) => of(b, k).length === 0)],
  sortByKey: [(a, _, n) => a.sortByKey({ partitions: n }), (a) => a.toSorted(([x], [y]) => (x < y ? -1 : x > y ? 1 : 0))],
  partitionBy: [(a, _, n) => a.partitionBy(new HashPartitioner(n ?? 2)), (a) => [...a]],
} // prettier-ignore

function keysOf(all: readonly Pair[]): string[] {
  return [...new Set(all.map(([key]) => key))]
}

function of(all: readonly Pair[], key: string): number[] {
  return all.flatMap(([other, value]) => (other === key ? [value] : []))
}

function orNull(values: readonly number[]): (number | null)[] {
  return values.length === 0 ? [null] : [...values]
}

test.each(Object.keys(byKey))('%s', async (name) => {
  const [onRdd, onArrays] = byKey[name] as (typeof byKey)[string]
  const placings = fc.constantFrom<(rdd: RDD<Pair>, n: number) => RDD<Pair>>(
    (rdd) => rdd,
    (rdd, n) => rdd.partitionBy(new HashPartitioner(n)),
    (rdd, n) => rdd.partitionBy(new HashPartitioner(n)).filter(() => true),
    (rdd) => rdd.sortByKey(),
    (rdd, n) => rdd.coalesce(n).persist(),
  )
  const shape = fc.record({ n: fc.option(count, { nil: undefined }), left: count, right: count, tasks: fc.integer({ min: 1, max: 3 }) })
  await fc.assert(
    fc.asyncProperty(pairs, pairs, placings, placings, shape, async (a, b, placeA, placeB, { n, left, right, tasks }) => {
      const results = await inTasks(tasks, async (sc) => {
        const rdd = onRdd(placeA(sc.parallelize<Pair>(a, left), left), placeB(sc.parallelize<Pair>(b, right), right), n)
        return [await rdd.collect(), await rdd.count()] as const
      })
      const sorted = (all: readonly unknown[]): string[] => all.map((one) => JSON.stringify(one)).sort()
      for (const [all, size] of results) {
        expect(sorted(all)).toEqual(sorted(onArrays(a, b)))
        expect(size).toBe(all.length)
        const keys = (values: readonly unknown[]): string[] => values.map((pair) => (pair as Pair)[0])
        expect(name !== 'sortByKey' || isDeepStrictEqual(keys(all), keys(onArrays(a, b)))).toBe(true)
      }
    }),
    { numRuns: 60 },
  )
})
