/** The same operations in other words: what adapters take for granted of the given cases is only one way to say it. */
import { expect, test } from 'vitest'
import { adapters } from './adapters.ts'
import { runVectors } from './vectors.ts'
import type { VectorCase } from './vectors.ts'

type Short = Partial<VectorCase> & { readonly operation: string }

async function resultOf(suite: string, one: Short) {
  const empty = { name: '', params: {}, input: undefined, expected: undefined, expectError: undefined, notes: '' }
  for await (const { ok, reason } of runVectors([{ suite, file: '', sources: [], cases: [{ ...empty, ...one }] }], adapters))
    return { ok, reason }
  return undefined
}

const pairs = [['k', 2], ['l', 5]] // prettier-ignore
const letters = [['x', 'y'], [], ['x', 'z', 'x'], ['z'], [], []] // prettier-ignore
const counted = 'groupBy(value) -> count, output [value,count]'
const day = 86_400_000

const right: readonly (readonly [suite: string, one: Short])[] = [
  ['RDDSuite', { operation: 'fold(0)(+)', input: [4, -1, 7], expected: 10 }],
  ['RDDSuite', { operation: 'distinct().collect()', input: [7, 7, -3], expected: [-3, 7], notes: 'ordered' }],
  ['RDDSuite', { operation: 'flatMap(x->[1..x]).collect', input: [2, 1], expected: [1, 2, 1] }],
  ['RDDSuite', { operation: 'zipWithIndex . repartition(3) . count', input: { range: [1, 7] }, expected: 7 }],
  ['RDDSuite', { operation: 'leftOuterJoin(emptyRDD).count', input: pairs, expected: 2 }],
  ['RDDSuite', { operation: 'cogroup with an empty RDD, size', input: pairs, expected: 2 }],
  ['RDDSuite', { operation: 'sc.union', input: [[1], [2, 3]], expected: [1, 2, 3] }], // prettier-ignore
  ['RDDSuite', { operation: 'repartition', params: { partitions: 4, to: 2 }, input: '30 x 1, 30 x 2', expected: { partitions: 2, each: '|size - 30| <= 4' } }], // prettier-ignore
  ['RDDSuite', { operation: 'coalesce(2) parents', params: { partitions: 4 }, input: { range: [1, 4] }, expected: [[0, 1], [2, 3]] }], // prettier-ignore
  ['RDDSuite', { operation: 'coalesce(2, shuffle)', params: { partitions: 4 }, input: [1, 2], expected: { partitions: 2, shuffle: true } }],
  ['RDDSuite', { operation: 'keep only partitions with index > 1', params: { partitions: 3 }, input: [1, 2, 3], expected: { partitions: 1, set: [3] } }], // prettier-ignore
  ['RDDSuite', { operation: 'map(x->[x,x]).sortByKey.distinct(n) partitioner kept', params: { data: [3, 1, 3], partitions: 2 }, input: [null, 5], expected: [true, false] }], // prettier-ignore
  ['RDDSuite', { operation: 'sortBy(x, ascending)', params: { data: [2, 9, 4] }, input: [true, false], expected: [[2, 4, 9], [9, 4, 2]] }], // prettier-ignore
  ['RDDSuite', { operation: 'cartesian', input: [['empty', { range: [1, 2] }], [{ range: [1, 2] }, [5]]], expected: [[], [[1, 5], [2, 5]]] }], // prettier-ignore
  ['RDDSuite', { operation: 'persist an RDD whose partitions fail', expectError: 'injected' }],
  ['RDDSuite', { operation: 'rdd1=parallelize, rdd2=rdd1.map, rdd3=union(1,2)', input: ['rdd3.parent(1)', 'rdd3.parent(0)'], expected: ['rdd2', 'rdd1'] }], // prettier-ignore
  ['PairRDDFunctionsSuite', { operation: 'subtract', params: { partitions: [3, 1] }, input: [[1, 2], [2]], expected: { set: [1], partitions: 'same as left' } }], // prettier-ignore
  ['PairRDDFunctionsSuite', { operation: 'textFile of an empty directory', expected: { partitions: 0, collect: [] } }],
  ['PairRDDFunctionsSuite', { operation: 'countApproxDistinctByKey', params: { p: 14 }, input: '[i,j] for i in 1..9, j in 1..i', expected: { maxRelativeError: 0.01 } }], // prettier-ignore
  ['PartitioningSuite', { operation: 'equality', params: { data: [6, 6] }, input: [['asc 3', 'asc 3'], ['asc 3', 'asc 5'], ['asc 3', 'desc 3']], expected: [true, false, false] }], // prettier-ignore
  ['BasicOperationsSuite', { operation: 'transform', params: { fn: 'rdd -> rdd.map(x -> x * 2)' }, input: [[1], [2, 3]], expected: [[2], [4, 6]] }], // prettier-ignore
  ['BasicOperationsSuite', { operation: 'union(s, s.map(x->x+1))', input: [[1], null], expectError: 'no RDD' }], // prettier-ignore
  ['BasicOperationsSuite', { operation: 'map(x->[x,1]) . updateStateByKey((time,key,values,state) -> values nonempty ? time + state : state)', input: [['x'], ['x']], expected: [[['x', 1000]], [['x', 3000]]] }], // prettier-ignore
  ['BasicOperationsSuite', { operation: 'map(x->[x,1]) . updateStateByKey(removed after two batches without values) . mapValues(s->s.counter)', input: letters, expected: [[['x', 1], ['y', 1]], [['x', 1], ['y', 1]], [['x', 3], ['z', 1]], [['x', 3], ['z', 2]], [['z', 2]], []] }], // prettier-ignore
  ['WindowOperationsSuite', { operation: 'groupByKeyAndWindow . mapValues(toSet)', params: { windowMs: 2000, slideMs: 1000 }, input: [[['x', 4]], [['x', 4]]], expected: [[['x', [4]]], [['x', [4]]]] }], // prettier-ignore
  ['CheckpointSuite', { operation: 'map(x->[x,1]) . reduceByKeyAndWindow(+,-, window 2 batches, slide 1 batch)', params: { restartAfterBatches: 2 }, input: [['x'], ['x'], ['x']], expected: [[['x', 1]], [['x', 2]], [['x', 2]]] }], // prettier-ignore
  ['CheckpointSuite', { operation: 'map(x->[x,1]) . reduceByKey(+) . saveAsTextFiles', params: { restartAfterBatches: 1 }, input: [['x', 'x'], ['y']], expected: [[['x', 2]], [['y', 1]]] }], // prettier-ignore
  ['MapWithStateSuite', { operation: 'map(x->[x,1]) . mapWithState . stateSnapshots', params: { mappingFn: '(key,value?,state)-> update running sum and return it', restartAfterBatches: 1 }, input: [['x'], ['x', 'y']], expected: [[['x', 1]], [['x', 2], ['y', 1]]] }], // prettier-ignore
  ['MapWithStateRDDSuite', { operation: 'updateRecordWithData', params: { priorStates: [8], priorUpdateTime: 1000, batchTime: 2000, timeoutThreshold: 1200, removeTimedOut: true }, input: ['get-state'], expected: { states: [[8, 2000]], mapped: [8], timingOut: [] } }], // prettier-ignore
  ['MapWithStateRDDSuite', { operation: 'createFromPairRDD', params: { time: 7 }, input: [['k', 1]], expected: { states: [['k', 1, 7]], mapped: [] } }], // prettier-ignore
  ['InputStreamsSuite', { operation: 'queueStream(queue, oneAtATime=false)', params: { enqueueFirst: 2 }, input: ['x', 'y', 'z'], expected: [['x', 'y'], ['z']] }], // prettier-ignore
  ['InputStreamsSuite', { operation: 'binaryRecordsStream(dir, 1)', params: { copies: 2 }, input: [7, 9], expected: [[7, 9], [8, 10]] }], // prettier-ignore
  ['InputStreamsSuite', { operation: 'socketTextStream', input: ['to be', 'or not'], expected: ['to be', 'or not'] }],
  ['InputStreamsSuite', { operation: 'receiver with 3 threads x 5 records . count', expected: 15 }],
  ['StreamingAggregationSuite', { operation: 'groupBy(value, value+1) -> count, output [value,value+1,count]', params: { mode: 'update' }, input: [{ in: [4, -1, 4] }], expected: [{ check: 'last', rows: [[4, 5, 2], [-1, 0, 1]] }] }], // prettier-ignore
  ['StreamingAggregationSuite', { operation: 'explode(_2) . groupBy(_1) -> size(collect_set(value)), output [_1,count]', params: { mode: 'update' }, input: [{ in: [['k', [3, 3, 4]]] }], expected: [{ check: 'last', rows: [['k', 2]] }] }], // prettier-ignore
  ['StreamingAggregationSuite', { operation: 'agg(last(value))', params: { mode: 'complete' }, input: [{ in: [9, 2, 5] }, { in: [] }, { in: [1] }], expected: [{ check: 'last', rows: [[5]] }, { check: 'last', rows: [5] }, { check: 'last', rows: [1] }] }], // prettier-ignore
  ['StreamingAggregationSuite', { operation: `${counted} . where(value >= current_date-3)`, params: { mode: 'complete', trigger: 'processingTime 2 days', manualClock: true }, input: [{ in: [0, 1], advanceClockMs: 2 * day }, { in: [8], advanceClockMs: 2 * day }], expected: [{ check: 'last', rows: [[0, 1], [1, 1]] }, { check: 'last', rows: [[1, 1], [8, 1]] }] }], // prettier-ignore
  ['StreamingDeduplicationSuite', { operation: 'union(a, b . dropDuplicates(value))', params: { mode: 'append' }, input: [{ a: [1, 1], b: [5, 5] }, { a: [1], b: [5, 6], restartBefore: true }], expected: [{ check: 'new', rows: [1, 1, 5] }, { check: 'new', rows: [1, 6] }] }], // prettier-ignore
  ['StreamingSessionWindowSuite', { operation: 'sessionWindow gap 5s per word; output [word,start,end,min_by(eventTime),max_by(eventTime)]', params: { watermarkDelay: '1 second', gap: '5 seconds', mode: 'append' }, input: [{ in: [['x', 12], ['x', 10]] }, { in: [['y', 40]] }], expected: [{ check: 'new', rows: [] }, { check: 'new', rows: [['x', 10, 17, 10, 12]] }] }], // prettier-ignore
  ['EventTimeWatermarkSuite', { operation: 'withWatermark(first, 1 minute) . withWatermark(second, 2 minutes) . window(second) -> count', input: [{ in: [[1, 2]] }], expectError: 'one watermark' }], // prettier-ignore
]

test.each(right)('%s: %o', async (suite, one) => expect(await resultOf(suite, one)).toEqual({ ok: true, reason: null }), 20_000)

test('what nobody understands is unsupported, also where it shows within a graph or a function', async () => {
  const words: readonly (readonly [string, Short])[] = [
    ['RDDSuite', { operation: 'map(sideways).collect', input: [1] }],
    ['BasicOperationsSuite', { operation: 'map(x->[x,1]) . spin(3)', input: [[1]], expected: [[]] }],
    ['BasicOperationsSuite', { operation: 'map(sideways)', input: [[1]], expected: [[]] }],
    ['StreamingAggregationSuite', { operation: 'groupBy(value) -> mode(value)', input: [{ in: [1] }], expected: [{}] }],
  ]
  for (const [suite, one] of words) expect((await resultOf(suite, one))?.ok).toBeNull()
})

test('what is meant to differ says why', async () => {
  const differing: readonly (readonly [string, Short])[] = [
    ['RDDSuite', { operation: 'coalesce(3) with locality', input: [1], expected: [[1]] }],
    ['RDDSuite', { operation: 'new partitioner-aware union', input: ['none', 'hash(1)'], expectError: 'IllegalArgument' }],
    [
      'EventTimeWatermarkSuite',
      { operation: 'withWatermark', params: { column: 'absent', delay: '1 minute' }, input: [], expectError: 'absent' },
    ],
  ]
  for (const [suite, one] of differing) expect((await resultOf(suite, one))?.reason).toMatch(/^meant to differ: /)
})
