/** Forms of operations that the adapters of Spark's RDD suites know, besides those of the cases. */
import { expect, test } from 'vitest'
import { adapters } from './adapters.ts'
import { runVectors } from './vectors.ts'
import type { VectorCase } from './vectors.ts'

const nums = { params: { partitions: 2 }, input: [1, 2, 3, 4], notes: 'ordered' }
const left = [[1, 1], [1, 2], [2, 1], [3, 1]] // prettier-ignore
const right = [[1, 'x'], [2, 'y'], [2, 'z'], [4, 'w']] // prettier-ignore

type Short = Partial<VectorCase> & { readonly operation: string }

const rdd: readonly Short[] = [
  { ...nums, operation: 'collect', expected: [1, 2, 3, 4] },
  { ...nums, operation: 'reduce(+)', expected: 10 },
  { ...nums, operation: 'reduce(_ + _)', expected: 10 },
  { ...nums, operation: 'map(toString).collect', expected: ['1', '2', '3', '4'] },
  { ...nums, operation: 'map(_.toString).collect()', expected: ['1', '2', '3', '4'] },
  { ...nums, operation: 'flatMap(x -> 1..x).collect', expected: [1, 1, 2, 1, 2, 3, 1, 2, 3, 4] },
  { ...nums, operation: 'flatMap(x => 1 to x).collect', expected: [1, 1, 2, 1, 2, 3, 1, 2, 3, 4] },
  { ...nums, operation: 'glom.collect', expected: [[1, 2], [3, 4]] }, // prettier-ignore
  { ...nums, operation: 'keyBy(toString).collect', expected: [['1', 1], ['2', 2], ['3', 3], ['4', 4]] }, // prettier-ignore
  { ...nums, operation: 'max', expected: 4 },
  { ...nums, operation: 'first', expected: 1 },
  { ...nums, operation: 'sum', expected: 10 },
  { ...nums, operation: 'mapPartitions(sum).collect', expected: [3, 7] },
  { ...nums, operation: 'mapPartitions([sum]).collect', expected: [3, 7] },
  { ...nums, operation: 'mapPartitions(iter -> [iter.sum]).collect', expected: [3, 7] },
  { ...nums, operation: 'filter(x -> x % 2 == 0).count', expected: 2 },
  { ...nums, operation: 'filter(% 2 == 0).count', expected: 2 },
  { ...nums, operation: 'filter(>5).first', expectError: 'empty collection' },
  { ...nums, operation: 'collect', expected: [1, 2, 3] , notes: 'wrong' }, // prettier-ignore
  { operation: 'distinct.count', params: { partitions: 2 }, input: [1, 1, 2, 2, 3, 3, 4, 4], expected: 4 },
  { operation: 'distinct(2).collect', params: { partitions: 2 }, input: [1, 1, 2, 2, 3, 3, 4, 4], expected: [1, 2, 3, 4] },
  { operation: 'aggregate({}, add by key, merge)', params: { partitions: 2 }, input: [['a', 1], ['b', 2], ['a', 2], ['c', 5], ['a', 3]], expected: { a: 6, b: 2, c: 5 } }, // prettier-ignore
  { operation: 'treeReduce(+,depth) for depth 1..9', params: { partitions: 10 }, input: { range: [-1000, 999] }, expected: -1000 },
  { operation: 'coalesce(2).glom', params: { partitions: 10 }, input: { range: [1, 10] }, expected: [[1, 2, 3, 4, 5], [6, 7, 8, 9, 10]] }, // prettier-ignore
  { operation: 'coalesce(2)', params: { partitions: 10 }, input: { range: [1, 10] }, expected: { partitions: 2, parents: [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]] } }, // prettier-ignore
  {
    operation: 'repartition',
    params: { partitions: 20, to: 100 },
    input: '10000 x 1',
    expected: { partitions: 100, each: 'non-empty and size <= floor(n/to)+from' },
  },
  {
    operation: 'repartition(2001).collect.toSet',
    params: { partitions: 1000 },
    input: { range: [0, 9] },
    expected: { set: { range: [0, 9] } },
  },
  { operation: 'partitionPruning(split > 8).collect', params: { partitions: 10 }, input: { range: [1, 10] }, expected: [10] },
  { operation: 'top(5)', params: { partitions: 2 }, input: { range: [1, 100] }, expected: [100, 99, 98, 97, 96] },
  { operation: 'takeOrdered(5)', params: { partitions: 2 }, input: { range: [1, 10] }, expected: [1, 2, 3, 4, 5] },
  { operation: 'takeOrdered(5) with reversed ordering', params: { partitions: 2 }, input: { range: [1, 10] }, expected: [10, 9, 8, 7, 6] },
  { operation: 'takeOrdered(5)', input: [], expected: [] },
  { operation: 'partitionBy(hash(10)).sample(true, 0.1).partitioner', input: [[1, 1], [2, 2]], expected: 'hash(10)' }, // prettier-ignore
  { operation: 'takeSample from an empty RDD', input: [[false, 1], [true, 1]], expected: [0, 0] }, // prettier-ignore
  { operation: 'runJob on partitions [0,1,2]', params: { partitions: 2 }, input: { range: [1, 10] }, expectError: 'IllegalArgument' },
  { operation: 'sortBy(x -> x)', input: [], expected: [] },
  { operation: 'sortBy(x)', input: [3, 1, 2], expected: [1, 2, 3] },
  { operation: 'sortBy(split("|")[1])', input: ['5|50|A', '4|60|C', '6|40|B'], expected: ['6|40|B', '5|50|A', '4|60|C'], notes: 'ordered' },
  { operation: 'sortBy(split("|")[0], false)', input: ['5|50|A', '4|60|C', '6|40|B'], expected: ['6|40|B', '5|50|A', '4|60|C'] },
  {
    operation: 'sortBy(person, by name, 2 partitions)',
    input: ['Bob|Smith|50', 'Jane|Smith|40', 'Thomas|Williams|30', 'Karen|Williams|60'],
    expected: ['Bob|Smith|50', 'Jane|Smith|40', 'Karen|Williams|60', 'Thomas|Williams|30'],
  },
  { operation: 'cartesian', input: [[[], []], [[], [1, 2, 3]], [[1, 2, 3], []]], expected: [[], [], []] }, // prettier-ignore
  { operation: 'intersection both ways', input: [{ range: [1, 10] }, [2, 4, 6, 8, 10]], expected: [2, 4, 6, 8, 10] },
  {
    operation: 'zipWithIndex of 0..9 in 3 partitions',
    params: { partitions: 3 },
    input: { range: [0, 9] },
    expected: 'index equals element',
  },
  { operation: 'zipWithIndex', params: { partitions: 3 }, input: [5, 6], expected: [[5, 0], [6, 1]] }, // prettier-ignore
  {
    operation:
      'rdd1=parallelize, rdd2=rdd1.filter.map, rdd3=rdd2.map.filter.map, rdd4=rdd3.reduceByKey, rdd5=rdd4.mapValues.mapValues.mapValues',
    input: ['rdd1', 'rdd2', 'rdd3', 'rdd4', 'rdd5'],
    expected: [0, 2, 5, 0, 3],
  },
  { operation: 'union kind', input: ['hash(1)', null], expected: 'plain union' },
  { operation: 'union kind', input: ['empty', 'hash(1)'], expected: 'partitioner-aware union' },
  { operation: 'actions performed inside of a transformation', expectError: 'SparkException' },
  { operation: 'nested RDDs', expectError: 'SparkException' },
  { operation: 'partitions with incorrect indices', input: [], expectError: 'IllegalArgument' },
  { operation: 'stop then parallelize', input: [], expectError: 'IllegalState' },
  {
    operation: 'take(n)',
    params: { partitions: 2, data: { range: [1, 999] } },
    input: [0, 1, 1000],
    expected: [[], [1], { range: [1, 999] }],
  },
  { operation: 'histogram(2)', input: [1, 2, 3, 4], expected: [[1, 2.5, 4], [2, 2]] }, // prettier-ignore
  {
    operation: 'map(x->[x % 10, x % 10]).sortByKey.distinct.partitioner',
    params: { partitions: 10 },
    input: { range: [1, 100] },
    expected: 'p',
  },
]

const pairs: readonly Short[] = [
  { operation: 'groupByKey', input: [[1, 1], [1, 2], [1, 3], [2, 1]], expected: [[1, [1, 2, 3]], [2, [1]]] }, // prettier-ignore
  { operation: 'groupByKey', input: [[-1, 1], [-1, 2], [-1, 3], [2, 1]], expected: [[-1, [1, 2, 3]], [2, [1]]] }, // prettier-ignore
  { operation: 'reduceByKey(+)', input: [[1, 1], [1, 2], [1, 3], [1, 1], [2, 1]], expected: [[1, 7], [2, 1]] }, // prettier-ignore
  { operation: 'reduceByKey(+, 10)', input: [[1, 1], [1, 2], [2, 1]], expected: { set: [[1, 3], [2, 1]], partitions: 10 } }, // prettier-ignore
  { operation: 'join', input: [left, right], expected: [[1, [1, 'x']], [1, [2, 'x']], [2, [1, 'y']], [2, [1, 'z']]] }, // prettier-ignore
  { operation: 'join(10)', input: [left, right], expected: [[1, [1, 'x']], [1, [2, 'x']], [2, [1, 'y']], [2, [1, 'z']]] }, // prettier-ignore
  { operation: 'leftOuterJoin', input: [left, right], expected: [[1, [1, 'x']], [1, [2, 'x']], [2, [1, 'y']], [2, [1, 'z']], [3, [1, null]]] }, // prettier-ignore
  { operation: 'fullOuterJoin', input: [left, right], expected: [[1, [1, 'x']], [1, [2, 'x']], [2, [1, 'y']], [2, [1, 'z']], [3, [1, null]], [4, [null, 'w']]] }, // prettier-ignore
  { operation: 'groupWith', input: [left, right, [[1, 'a'], [3, 'b'], [4, 'c'], [4, 'd']]], expected: [[1, [[1, 2], ['x'], ['a']]], [2, [[1], ['y', 'z'], []]], [3, [[1], [], ['b']]], [4, [[], ['w'], ['c', 'd']]]] }, // prettier-ignore
  { operation: 'cogroup', input: [[[1, 1], [1, 2]], []], expected: [[1, [[1, 2], []]]] }, // prettier-ignore
  { operation: 'foldByKey(0, +)', input: [[1, 1], [1, 2], [2, 1]], expected: [[1, 3], [2, 1]] }, // prettier-ignore
  { operation: 'subtract', input: [[1, 2, 3], [2, 3, 4]], expected: [1] }, // prettier-ignore
  { operation: 'subtractByKey', input: [[[1, 'a'], [1, 'a'], [2, 'b'], [3, 'c']], [[2, 20], [3, 30], [4, 40]]], expected: [[1, 'a'], [1, 'a']] }, // prettier-ignore
  { operation: 'lookup(k)', input: [[1, 2], [3, 4], [5, 6], [5, 7]], expected: { 1: [2], 5: [6, 7], '-1': [] } }, // prettier-ignore
  { operation: 'lookup(-1) after partitionBy(key % 2)', input: [[1, 2], [3, 4]], expectError: 'IllegalArgument' }, // prettier-ignore
  { operation: 'groupByKey', params: { partitions: 2000 }, input: [[1, 2], [3, 4]], expected: { partitions: 2000 } }, // prettier-ignore
  { operation: 'combineByKey(v->[v], (c,v)->c+[v], +)', input: [[1, 1], [1, 2]], expected: [[1, [1, 2]]] }, // prettier-ignore
  { operation: 'countByKey', input: [[1, 1], [1, 2], [2, 1]], expected: { 1: 2, 2: 1 } }, // prettier-ignore
]

const partitioning: readonly Short[] = [
  { operation: 'RangePartitioner equality over [1,1,1,1]', input: [[2, 2], [2, 4], ['range(2, descending)', 'range(4, descending)'], ['range(2)', 'range(2, descending)']], expected: [true, false, false, false] }, // prettier-ignore
  { operation: 'equality', input: ['hash(2)', 'range(2)'], expected: false },
  { operation: 'determineBounds(3)', input: [[0.7, 2], [0.1, 1], [0.4, 1], [0.3, 1], [0.2, 1], [0.5, 1], [1, 3]], expected: [0.4, 0.7] }, // prettier-ignore
  { operation: 'default partitioner', input: [[2, 2000], ['hash(10)', 99], ['hash(10)', 100], ['hash(10)', 'hash(20)', 1]], expected: ['hash(2000)', 'hash(10)', 'hash(100)', 20] }, // prettier-ignore
  { operation: 'RangePartitioner(22).numPartitions', input: { range: [1, 3] }, expected: 3 },
  { operation: 'RangePartitioner(22).numPartitions of an empty RDD', input: [], expected: 1 },
]

const suites = { RDDSuite: rdd, PairRDDFunctionsSuite: pairs, PartitioningSuite: partitioning }

test.each(Object.entries(suites).flatMap(([suite, cases]) => cases.map((one): [string, string, Short] => [suite, one.operation, one])))(
  '%s: %s',
  async (suite, _, one) => {
    const whole: VectorCase = {
      name: 'made up',
      params: {},
      input: undefined,
      expected: undefined,
      expectError: undefined,
      notes: '',
      ...one,
    }
    for await (const { ok, reason } of runVectors([{ suite, file: suite, sources: [], cases: [whole] }], adapters))
      expect({ ok, reason: one.notes === 'wrong' ? null : reason }).toEqual({ ok: one.notes !== 'wrong', reason: null })
  },
)

test('keys of arrays are meant to differ', async () => {
  const one: VectorCase = {
    name: 'made up',
    operation: 'partitionBy with arrays as keys',
    params: {},
    input: [],
    expected: undefined,
    expectError: 'SparkException',
    notes: '',
  }
  for await (const { ok, reason } of runVectors([{ suite: 'PartitioningSuite', file: '', sources: [], cases: [one] }], adapters))
    expect({ ok, reason }).toEqual({ ok: null, reason: 'meant to differ: keys are compared by content, arrays as well' })
})
