/** What RDDs accept, and what must not compile. Checked by the compiler; nothing here runs. */
import { expectTypeOf, test } from 'vitest'
import { HashPartitioner, rdd } from 'squall'
import type { RDD } from 'squall'

const lines = rdd.textFile('book.txt')

test('functions that return pairs make RDDs of pairs', () => {
  expectTypeOf(lines.map((line) => [line, line.length])).toEqualTypeOf<RDD<[string, number]>>()
  expectTypeOf(lines.map((line) => line.length)).toEqualTypeOf<RDD<number>>()
  expectTypeOf(lines.map((line) => line.split(' '))).toEqualTypeOf<RDD<string[]>>()
  expectTypeOf(lines.flatMap((line) => line.split(' ').map((word) => [word, 1]))).toEqualTypeOf<RDD<[string, number]>>()
  expectTypeOf(lines.flatMap((line) => line)).toEqualTypeOf<RDD<string>>()
  expectTypeOf(lines.keyBy((line) => line.length)).toEqualTypeOf<RDD<[number, string]>>()
})

test('operations by key know the types of key and value', () => {
  const counts = lines.map((line) => [line, 1]).reduceByKey((a, b) => a + b)
  expectTypeOf(counts).toEqualTypeOf<RDD<[string, number]>>()
  expectTypeOf(counts.join(lines.keyBy((line) => line))).toEqualTypeOf<RDD<[string, [number, string]]>>()
  expectTypeOf(counts.leftOuterJoin(counts)).toEqualTypeOf<RDD<[string, [number, number | null]]>>()
  expectTypeOf(counts.cogroup(counts, counts)).toEqualTypeOf<RDD<[string, [number[], number[], number[]]]>>()
  expectTypeOf(counts.groupByKey(new HashPartitioner(2)).collect()).resolves.toEqualTypeOf<[string, number[]][]>()
  expectTypeOf(counts.values().sum()).resolves.toEqualTypeOf<number>()
  expectTypeOf(counts.aggregateByKey(() => new Set<number>(), (set, n) => set.add(n), (a) => a)).toEqualTypeOf<RDD<[string, Set<number>]>>() // prettier-ignore
  expectTypeOf(counts.collectAsMap()).resolves.toEqualTypeOf<Map<string, number>>()
})

test('operations by key are for pairs only, those of numbers for numbers', () => {
  expectTypeOf(lines).not.toExtend<RDD<readonly [unknown, unknown]>>()
  // @ts-expect-error no pairs
  lines.reduceByKey((a: string) => a)
  // @ts-expect-error no pairs
  void lines.lookup('a')
  // @ts-expect-error no numbers
  void lines.sum()
  // @ts-expect-error keys of another type
  lines.keyBy((line) => line).join(lines.keyBy((line) => line.length)) // prettier-ignore
  // @ts-expect-error values of another type
  lines.union(rdd.range(0, 3))
})
