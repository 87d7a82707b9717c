import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { adapters } from './adapters.ts'
import { readVectors, runVectors } from './vectors.ts'
import type { CaseResult, VectorCase, VectorFile } from './vectors.ts'

const cases = fileURLToPath(new URL('./cases', import.meta.url))

const inPart: readonly string[] = [
  'DataFrameTimeWindowingSuite',
  'EventTimeWatermarkSuite',
  'StreamingAggregationSuite',
  'TridentIntegrationTest',
]

async function resultsOf(files: readonly VectorFile[]): Promise<CaseResult[]> {
  const results: CaseResult[] = []
  for await (const result of runVectors(files, adapters)) results.push(result)
  return results
}

/** One made-up case of a suite. */
function fileOf(suite: string, one: Partial<VectorCase>): VectorFile {
  const whole = {
    name: 'made up',
    operation: '',
    params: {},
    input: undefined,
    expected: undefined,
    expectError: undefined,
    notes: '',
    ...one,
  }
  return { suite, file: suite, sources: [], cases: [whole] }
}

async function okOf(suite: string, one: Partial<VectorCase>): Promise<boolean | null | undefined> {
  const [result] = await resultsOf([fileOf(suite, one)])
  return result?.ok
}

test('every case that has an adapter passes, and the adapters know all of their suites', async () => {
  const files = readVectors(cases)
  expect(files.length).toBeGreaterThan(30)
  const results = await resultsOf(files)
  expect(results.filter(({ ok }) => ok === false)).toEqual([])
  const mine = files.filter((file) => adapters.some(({ isFor }) => isFor(file))).map(({ suite }) => suite)
  expect(mine).toHaveLength(adapters.length)
  expect(results.filter(({ suite, ok }) => mine.includes(suite) && !inPart.includes(suite) && ok === null)).toEqual([])
})

test('what has no adapter is neither right nor wrong', async () => {
  expect(await okOf('SomeOtherSuite', { input: [], expected: [] })).toBeNull()
  expect(
    await okOf('RankingsTest', { operation: 'rankings, read backwards through a mirror, merged', input: 'x', expected: [] }),
  ).toBeNull()
  expect(
    await okOf('SlotBasedCounterTest', { operation: 'slot based counter', params: { slots: 1 }, input: [['dance', 1]], expected: {} }),
  ).toBeNull()
  expect(
    await okOf('PartialKeyGroupingTest', { operation: 'some other grouping', params: { tasks: [0] }, input: [], expected: {} }),
  ).toBeNull()
})

test('what is wrong fails', async () => {
  const counter = { operation: 'sliding window counter of one object', params: { slots: 2 }, input: [1, 0, 0] }
  expect(await okOf('SlidingWindowCounterTest', { ...counter, expected: [1, 1, 0] })).toBe(true)
  expect(await okOf('SlidingWindowCounterTest', { ...counter, expected: [1, 1, 1] })).toBe(false)
  expect(
    await okOf('RankingsTest', {
      operation: 'rankings of size n',
      input: [
        ['a', 1],
        ['b', 2],
      ],
      expected: [
        ['a', 1],
        ['b', 2],
      ],
    }),
  ).toBe(false)
  const grouping = { operation: 'partial key grouping', params: { tasks: [4, 5, 6] }, input: [['k'], ['k'], null, null] }
  expect(
    await okOf('PartialKeyGroupingTest', {
      ...grouping,
      expected: { choice2: 'differs from choice1', choice4: 'differs from choice3', sizeEach: 1 },
    }),
  ).toBe(true)
  expect(await okOf('PartialKeyGroupingTest', { ...grouping, expected: { choice2: 'choice1' } })).toBe(false)
  expect(await okOf('PartialKeyGroupingTest', { ...grouping, expected: { distinctTasks: 1 } })).toBe(false)
})

test('an expected error is a coded one', async () => {
  const operation = 'sliding window counter'
  expect(
    await okOf('SlidingWindowCounterTest', { operation, params: { slots: 1 }, input: [], expectError: 'IllegalArgumentException' }),
  ).toBe(true)
  expect(
    await okOf('SlidingWindowCounterTest', { operation, params: { slots: 2 }, input: [], expectError: 'IllegalArgumentException' }),
  ).toBe(false)
  expect(await okOf('RankingsTest', { operation: 'rankings', params: { topN: 0 }, expectError: 'IllegalArgumentException' })).toBe(true)
  expect(
    await okOf('SlotBasedCounterTest', { operation: 'slot based counter', params: { slots: -1 }, expectError: 'IllegalArgumentException' }),
  ).toBe(true)
})

test('several objects, merges and reads are understood', async () => {
  expect(
    await okOf('SlidingWindowCounterTest', {
      operation: 'sliding window counter',
      params: { slots: 2 },
      input: [{ a: 2, b: 1 }, { a: 1 }, {}],
      expected: [
        { a: 2, b: 1 },
        { a: 3, b: 1 },
        { a: 1, b: 0 },
      ],
    }),
  ).toBe(true)
  expect(
    await okOf('SlotBasedCounterTest', {
      operation: 'slot based counter',
      params: { slots: 2 },
      input: [['inc', 'x', 1], ['getCount', 'x', 1], ['wipeSlot', 1], ['wipeZeros'], ['counts']],
      expected: [null, 1, null, null, {}],
    }),
  ).toBe(true)
  expect(
    await okOf('RankingsTest', {
      operation: 'merge two rankings',
      input: [
        [['a', 1]],
        [
          ['a', 4],
          ['b', 2],
        ],
        [['c', 3]],
      ],
      expected: [
        ['a', 4],
        ['c', 3],
        ['b', 2],
      ],
    }),
  ).toBe(true)
  expect(
    await okOf('RankingsTest', {
      operation: 'rankings of top 1',
      params: { topN: 1 },
      input: [
        ['a', 1],
        ['b', 2],
      ],
      expected: [['b', 2]],
    }),
  ).toBe(true)
  expect(await okOf('RankingsTest', { operation: 'rankings: default size', input: [], expected: 10 })).toBe(true)
})

test("Trident's states are built from the operation", async () => {
  const opaque = {
    operation: 'opaque map, combiner = sum',
    input: [
      ['beginCommit', 1],
      ['update', 'a', 1],
      ['commit', 1],
      ['beginCommit', 1],
      ['get', 'a'],
      ['update', 'a', 5],
      ['update', 'a', 2],
    ],
    expected: [null, 1, null, null, null, 5, 7],
  }
  expect(await okOf('StateTest', opaque)).toBe(true)
  expect(await okOf('StateTest', { ...opaque, operation: 'transactional map' })).toBe(false)
  expect(await okOf('StateTest', { ...opaque, operation: 'a map of some other kind' })).toBeNull()
  expect(await okOf('StateTest', { ...opaque, operation: 'non-transactional map', expected: [null, 1, null, null, 1, 6, 8] })).toBe(true)
  const removing = [
    ['beginCommit', 1],
    ['put', 'a', 1],
    ['beginCommit', 2],
    ['remove', 'a'],
    ['get', 'a'],
    ['beginCommit', 2],
    ['get', 'a'],
  ]
  expect(
    await okOf('StateTest', { operation: 'memory map state', input: removing, expected: [null, null, null, null, null, null, 1] }),
  ).toBe(true)
  expect(
    await okOf('StateTest', {
      operation: "opaque value {txid: 3, curr: 'x', prev: null}",
      input: [['get', 2]],
      expected: [{ throws: true }],
    }),
  ).toBe(true)
  const again = [
    ['beginCommit', 1],
    ['update', 25],
    ['beginCommit', 1],
    ['update', 50],
    ['commit', 1],
  ]
  expect(await okOf('HdfsStateTest', { operation: 'file state', input: again, expected: { lines: 50, files: 1, indexFile: true } })).toBe(
    true,
  )
  expect(await okOf('HdfsStateTest', { operation: 'file state', input: again, expected: { lines: 75 } })).toBe(false)
  expect(await okOf('HdfsStateTest', { operation: 'file state', input: [['rotate']], expected: { lines: 0 } })).toBeNull()
})

test('files that are no vectors are coded errors', () => {
  expect(() => readVectors('no/such/folder')).toThrow(expect.objectContaining({ code: 'file-not-found' }))
  expect(() => readVectors(fileURLToPath(import.meta.url))).toThrow(expect.objectContaining({ code: 'file-unreadable' }))
})
