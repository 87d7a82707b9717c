/** What adapters understand beyond the cases there are: other settings, other calls, other columns, and that what is wrong fails. */
import { expect, test } from 'vitest'
import { adapters } from './adapters.ts'
import { runVectors } from './vectors.ts'
import type { VectorCase } from './vectors.ts'
import { holds, valueOf } from './expressions.ts'

async function okOf(suite: string, one: Partial<VectorCase>): Promise<boolean | null | undefined> {
  const empty = { name: '', operation: '', params: {}, input: undefined, expected: undefined, expectError: undefined, notes: '' }
  for await (const { ok } of runVectors([{ suite, file: suite, sources: [], cases: [{ ...empty, ...one }] }], adapters)) return ok
  return undefined
}

const pid = 'PIDRateEstimator.compute(time, numElements, processingDelayMs, schedulingDelayMs)'
const generated = { generate: '50 calls, time=i*20, numElements=1, processingDelay=20, schedulingDelay=100' }
const late = { batchIntervalMs: 20, proportional: 1, integral: 1, derivative: 0, minRate: 5 }
const march = (time: string): string => `2016-03-27 ${time}`
const sliding = { size: '10 seconds', slide: '3 seconds', startTime: '0 second' }
const five = { fields: ['a', 'b', 'c', 'd', 'e'] }
const two = [
  [1, 2, 3, 4, 5],
  [9, 8, 7, 6, 10],
]

const right: readonly (readonly [suite: string, Partial<VectorCase>])[] = [
  [
    'PIDRateEstimatorSuite',
    { operation: 'RateEstimator.create', params: { rateEstimator: 'pid' }, expected: { class: 'PIDRateEstimator' } },
  ],
  ['PIDRateEstimatorSuite', { operation: pid, params: { ...late, derivative: -1 }, input: [], expectError: 'IllegalArgument' }],
  [
    'PIDRateEstimatorSuite',
    { operation: pid, params: late, input: generated, expected: { property: 'first is none; for i>=1 rate = minRate' } },
  ],
  ['PIDRateEstimatorSuite', { operation: pid, params: late, input: generated, expected: [null, ...Array.from({ length: 49 }, () => 5)] }],
  [
    'ReceivedBlockTrackerSuite',
    {
      operation: 'ReceivedBlockTracker recovery and cleanup',
      params: { wal: true, streamId: 1, rollingIntervalSecs: 1 },
      input: [
        ['add', ['a', 'b']],
        ['restartWithoutRecovery'],
        ['hasUnallocated'],
        ['advance', 2000],
        ['recover'],
        ['allocate', 2000],
        ['advance', 2000],
        ['add', ['c']],
        ['allocate', 4000],
        ['writtenLog'],
        ['logFiles'],
        ['advance', 2000],
        ['cleanup', 4000],
        ['logFiles'],
        ['recover'],
        ['blocksOf', 2000],
        ['blocksOf', 4000],
        ['walEnabled'],
      ],
      expected: [
        null,
        null,
        false,
        null,
        null,
        null,
        null,
        null,
        null,
        [
          ['BlockAddition', 'a'],
          ['BlockAddition', 'b'],
          ['BatchAllocation', 2000, ['a', 'b']],
          ['BlockAddition', 'c'],
          ['BatchAllocation', 4000, ['c']],
        ],
        2,
        null,
        null,
        2,
        null,
        [],
        ['c'],
        true,
      ],
    },
  ],
  [
    'OffsetSeqLogSuite',
    {
      operation: 'OffsetSeqLog: serialization and deserialization',
      input: [['add', 0, [0, 1]], ['add', 1, ['one']], ['get', 0], ['getLatest'], ['get', null, 1], ['add', 1, [3]], ['get', 1]],
      expected: [
        true,
        true,
        [0, 1],
        [1, ['one']],
        [
          [0, [0, 1]],
          [1, ['one']],
        ],
        false,
        ['one'],
      ],
    },
  ],
  [
    'OffsetSeqLogSuite',
    {
      operation: 'read entry in the format of Spark 2.1.0',
      input: ['v1\n{"batchWatermarkMs":0,"batchTimestampMs":1480981499528}\n{"logOffset":345}\n-'],
      expected: { offsets: [{ logOffset: 345 }, null], metadata: [0, 1480981499528, {}] },
    },
  ],
  [
    'CommitLogSuite',
    {
      operation: 'commit log entry version 2',
      params: { version: 2 },
      input: [{ nextBatchWatermarkMs: 233, stateUniqueIds: { 0: [['x', 'y']] } }],
      expected: { nextBatchWatermarkMs: 233, stateUniqueIds: { 0: [['x', 'y']] } },
    },
  ],
  [
    'CommitLogSuite',
    {
      operation: 'read a v2 entry with the reader configured for v1',
      params: { readerVersion: 1 },
      input: ['v2\n{"nextBatchWatermarkMs":233}'],
      expectError: 'only supported log version',
    },
  ],
  [
    'TridentTupleViewTest',
    {
      operation: 'project (d,a)',
      params: five,
      input: two,
      expected: [
        [4, 1],
        [6, 9],
      ],
    },
  ],
  [
    'TridentTupleViewTest',
    {
      operation: 'project (d,a)',
      params: five,
      input: two,
      expected: {
        values: [
          [4, 1],
          [6, 9],
        ],
        byField: { d: [4, 6], a: [1, 9] },
      },
    },
  ],
  ['TridentTupleViewTest', { operation: 'append (a)', params: five, input: [two[0], [6]], expectError: 'IllegalArgument' }],
  [
    'DataFrameTimeWindowingSuite',
    {
      operation: 'select window,value -> [value] ordered by start, value desc',
      params: sliding,
      input: [
        [march('19:39:34'), 1, 'a'],
        [march('19:39:27'), 4, 'b'],
      ],
      expected: [[4], [4], [4], [4], [1], [1], [1]],
    },
  ],
  [
    'DataFrameTimeWindowingSuite',
    {
      operation: 'assign window -> [value]',
      params: { size: '10 seconds' },
      input: [
        [march('09:00:05'), 1],
        [null, 3],
      ],
      expected: [[1]],
    },
  ],
  [
    'DataFrameTimeWindowingSuite',
    {
      operation: 'window(time,"10 seconds",10000000,"5 seconds")',
      input: [['1970-01-01 00:00:02', 1]],
      expected: [['1969-12-31 23:59:55', '1970-01-01 00:00:05', 1]],
    },
  ],
  [
    'DataFrameTimeWindowingSuite',
    {
      operation: 'window_time(window) -> [end, window_time]',
      params: { size: '10 seconds' },
      input: [[march('19:38:18')]],
      expected: [[march('19:38:20'), march('19:38:19.999999')]],
    },
  ],
  [
    'EventTimeWatermarkSuite',
    {
      operation: 'EventTimeStats merge',
      input: [
        ['init', { max: 9, min: 1, avg: 5, count: 3 }],
        ['merge', 'zero'],
      ],
      expected: [null, { avg: 5, count: 3 }],
    },
  ],
  ['EventTimeWatermarkSuite', { operation: 'parse delay threshold to ms', input: ['1 year 2 months'], expected: [37497600000] }],
  ['EventTimeWatermarkSuite', { operation: 'set policy', params: { policy: 'random' }, input: [], expectError: 'min or max' }],
]

test.each(right)('%s: %o', async (suite, one) => expect(await okOf(suite, one)).toBe(true))

const wrong: readonly (readonly [suite: string, Partial<VectorCase>])[] = [
  [
    'PIDRateEstimatorSuite',
    { operation: pid, params: late, input: generated, expected: { property: 'first is none; for i>=1 rate > minRate' } },
  ],
  ['PIDRateEstimatorSuite', { operation: pid, params: late, input: [[0, 10, 10, 0]], expected: [1000] }],
  ['ReceivedBlockTrackerSuite', { operation: 'ReceivedBlockTracker', input: [['add', ['a']], ['unallocated']], expected: [null, []] }],
  [
    'OffsetSeqLogSuite',
    {
      operation: 'OffsetSeqLog',
      input: [
        ['add', 0, [1]],
        ['get', 0],
      ],
      expected: [true, [2]],
    },
  ],
  [
    'TridentTupleViewTest',
    {
      operation: 'project (d,a)',
      params: five,
      input: two,
      expected: [
        [4, 1],
        [9, 6],
      ],
    },
  ],
  [
    'DataFrameTimeWindowingSuite',
    { operation: 'groupBy(window) count -> [count]', params: sliding, input: [[march('19:39:34'), 1]], expected: [[1]] },
  ],
  ['EventTimeWatermarkSuite', { operation: 'parse delay threshold to ms', input: ['1 foo', '1 day'], expectError: 'each' }],
  [
    'EventTimeWatermarkSuite',
    {
      operation: 'EventTimeStats',
      input: [
        ['init', { max: 1, min: 1, avg: 1, count: 1 }],
        ['add', 3],
      ],
      expected: [null, { avg: 3 }],
    },
  ],
]

test.each(wrong)('wrong: %s: %o', async (suite, one) => expect(await okOf(suite, one)).toBe(false))

test('expressions', () => {
  expect(valueOf('(50-i)*20 / -2', { i: 10 })).toBe(-400)
  expect(valueOf('2 + 3 * 4 % 5', {})).toBe(4)
  expect(valueOf('n + unknown', { n: 1 })).toBeUndefined()
  expect(valueOf('1 $ 2', {})).toBeUndefined()
  expect([holds('a <= 2', { a: 2 }), holds('a < 2', { a: 2 }), holds('a', { a: 2 })]).toEqual([true, false, undefined])
})
