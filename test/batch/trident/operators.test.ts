/** Trident's operators one by one: to which task each way to repartition sends tuples, and what the built-in functions make of them. */
import { describe, expect, test } from 'vitest'
import { MemoryMapState, builtIns, memorySource, newStaticState, state, topology, trident } from '../../../lib/index.ts'
import type { QueryFunction, State, TridentStream } from '../../../lib/index.ts'
import { LocalCluster } from '../../../lib/testing/index.ts'
import { failed, options, rowsOf } from './trident-runs.ts'

const one = { executors: 1 }
const tasks = 3
const numbers = [1, 2, 3, 4, 5, 6]

/** What each of three tasks has of each batch behind an operator. Before it the first two tasks have a half each. */
async function placesOf(
  chunks: readonly (readonly number[])[],
  build: (stream: TridentStream<'n'>) => TridentStream<'n'>,
): Promise<readonly (readonly (readonly unknown[])[])[]> {
  const source = memorySource<number>({ partitions: 2, oneAtATime: true })
  for (const chunk of chunks) source.add(...chunk)
  const places = chunks.map(() => Array.from({ length: tasks }, (): readonly unknown[] => []))
  class Place implements State {
    readonly task: number
    txid = 0
    constructor(task: number) {
      this.task = task
    }
    beginCommit(txid: number): void {
      this.txid = txid
    }
    commit(): void {
      // nothing is kept
    }
  }
  const graph = topology('places', (t) => {
    build(trident(t.stream('source', source, options), ['n'])).partitionPersist(
      ({ partition }) => new Place(partition),
      ['n'],
      ({ task, txid }, tuples) => {
        const batch = places[txid - 1]
        if (batch !== undefined) batch[task] = tuples.map((tuple) => tuple.get('n'))
      },
    )
  })
  await using cluster = await LocalCluster.start({ seed: 7, executors: tasks })
  const running = await cluster.submit(graph)
  await running.advance(chunks.length * 1_000 + 500)
  failed(running)
  return places
}

describe('where tuples go', () => {
  test('localOrShuffle and identityPartition leave them where they are', async () => {
    const asTheyWere = [[[1, 2, 3], [4, 5, 6], []]]
    expect(await placesOf([numbers], (s) => s.localOrShuffle())).toEqual(asTheyWere)
    expect(await placesOf([numbers], (s) => s.identityPartition())).toEqual(asTheyWere)
  })

  test('shuffle deals them out evenly', async () => {
    const [places = []] = await placesOf([numbers], (s) => s.shuffle())
    expect(places.map(({ length }) => length)).toEqual([2, 2, 2])
    expect(places.flat().sort()).toEqual(numbers)
  })

  test('global sends all to the first task, batchGlobal to another with each batch', async () => {
    expect(await placesOf([numbers, [7]], (s) => s.global())).toEqual([[numbers, [], []], [[7], [], []]]) // prettier-ignore
    expect(await placesOf([numbers, [7], [8]], (s) => s.batchGlobal())).toEqual([
      [[], numbers, []],
      [[], [], [7]],
      [[8], [], []],
    ])
  })

  test('broadcast sends each to all', async () => {
    expect(await placesOf([numbers], (s) => s.broadcast())).toEqual([[numbers, numbers, numbers]])
  })

  test('partitionBy sends equal values to one task, in every batch', async () => {
    const [first = [], second = []] = await placesOf([[...numbers, ...numbers], numbers], (s) => s.partitionBy(['n']))
    expect(first.flat().sort()).toEqual([...numbers, ...numbers].sort())
    for (const n of numbers) {
      expect(first.filter((values) => values.includes(n))).toHaveLength(1)
      expect(second.findIndex((values) => values.includes(n))).toBe(first.findIndex((values) => values.includes(n)))
    }
    expect(first.filter((values) => values.length > 0).length).toBeGreaterThan(1)
  })

  test('partition goes by what its function says, modulo the number of tasks', async () => {
    expect(await placesOf([numbers], (s) => s.partition((tuple) => Number(tuple.get('n'))))).toEqual([[[3, 6], [1, 4], [2, 5]]]) // prettier-ignore
    expect(await placesOf([numbers], (s) => s.partition((_, partitions) => -partitions - 1))).toEqual([[[], [], numbers]])
    expect(await placesOf([numbers], (s) => s.partition(() => 1.9))).toEqual([[[], numbers, []]])
    expect(await placesOf([numbers], (s) => s.partition(() => NaN))).toEqual([[numbers, [], []]])
  })
})

describe('the smallest and the greatest', () => {
  const pairs = [['a', 2], ['b', 1], ['c', 2], ['d', 1]] // prettier-ignore
  const of = (build: (stream: TridentStream<'k' | 'n'>) => TridentStream): Promise<unknown[][]> =>
    rowsOf(['k', 'n'], [pairs, []], build, one)

  test('of each partition, by a field or an order: the first of several', async () => {
    expect(await of((s) => s.global().minBy('n'))).toEqual([[['b', 1]], []])
    expect(await of((s) => s.global().maxBy('n'))).toEqual([[['a', 2]], []])
    expect(await of((s) => s.maxBy('k'))).toEqual([[['b', 1], ['d', 1]], []]) // prettier-ignore
    expect(await of((s) => s.global().minBy('n', (a, b) => Number(b) - Number(a)))).toEqual([[['a', 2]], []])
    const byBoth = (a: Iterable<unknown>, b: Iterable<unknown>): number => ([...a].reverse().join() < [...b].reverse().join() ? -1 : 1)
    expect(await of((s) => s.global().min(byBoth))).toEqual([[['b', 1]], []])
    expect(await of((s) => s.global().max(byBoth))).toEqual([[['c', 2]], []])
  })

  test('of the batch, by the aggregators that come with it', async () => {
    expect(await of((s) => s.aggregate(builtIns.min('n'), ['k', 'n']))).toEqual([[['b', 1]], []])
    expect(await of((s) => s.aggregate(builtIns.max('k'), ['k', 'n']))).toEqual([[['d', 1]], []])
    expect(
      await of((s) =>
        s.aggregate(
          builtIns.max('n', (a, b) => Number(b) - Number(a)),
          ['k', 'n'],
        ),
      ),
    ).toEqual([[['b', 1]], []])
  })

  test('the first n of a batch: as they come, or in the order of a field', async () => {
    expect(await rowsOf(['n'], [[5, 1, 4, 2]], (s) => s.applyAssembly(builtIns.firstN(3)), one)).toEqual([[[1], [4], [5]]])
    expect(await rowsOf(['n'], [[5, 1, 4, 2]], (s) => s.applyAssembly(builtIns.firstN(2, 'n')), one)).toEqual([[[1], [2]]])
    expect(await rowsOf(['n'], [[5, 1, 4, 2]], (s) => s.applyAssembly(builtIns.firstN(2, 'n', { reverse: true })), one)).toEqual([
      [[4], [5]],
    ])
  })
})

test('filters that come with it', async () => {
  const pairs = [[1, 1], [1, 2], [null, null], [3, undefined]] // prettier-ignore
  const of = (build: (stream: TridentStream<'a' | 'b'>) => TridentStream): Promise<unknown[][]> => rowsOf(['a', 'b'], [pairs], build, one)
  expect(await of((s) => s.filter(['a', 'b'], builtIns.equals()))).toEqual([[[null, null], [1, 1]]]) // prettier-ignore
  expect(await of((s) => s.filter(['a'], builtIns.equals(1)))).toEqual([[[1, 1], [1, 2]]]) // prettier-ignore
  expect(await of((s) => s.filter(builtIns.equals(1)))).toEqual([[[1, 1]]])
  expect(await of((s) => s.filter(['a'], builtIns.negate(builtIns.equals(1))))).toEqual([[[null, null], [3, undefined]]]) // prettier-ignore
  expect(await of((s) => s.filter(builtIns.filterNull()))).toEqual([[[1, 1], [1, 2]]]) // prettier-ignore
})

test('what is not there counts for nothing in a sum', async () => {
  const records = [{ k: 'a', n: 2 }, { k: 'a' }, { k: 'b', n: null }, { k: 'a', n: '3' }]
  expect(await rowsOf(['k', 'n'], [records], (s) => s.groupBy(['k']).aggregate(['n'], builtIns.sum(), ['sum']), one)).toEqual([[['a', 5], ['b', 0]]]) // prettier-ignore
})

test.each([1, 2])('joins keep the tuples of the sides that their type says, on %i executors', async (executors) => {
  const pairs = [['a', 1], ['b', 2]] // prettier-ignore
  const joined = (type: 'inner' | 'left' | 'right' | 'full'): Promise<unknown[][]> =>
    rowsOf(
      ['k', 'n'],
      [pairs],
      (s) => {
        const others = s.map((tuple) => [tuple.get('k') === 'a' ? 'a' : 'c', Number(tuple.get('n')) * 10], ['x', 'm'])
        return s.join(['k'], others, ['x'], ['k', 'n', 'm'], { type })
      },
      { executors },
    )
  const both = ['a', 1, 10]
  expect(await joined('inner')).toEqual([[both]])
  expect(await joined('left')).toEqual([[both, ['b', 2, null]]])
  expect(await joined('right')).toEqual([[both, ['c', null, 20]]])
  expect(await joined('full')).toEqual([[both, ['b', 2, null], ['c', null, 20]]]) // prettier-ignore
})

test.each([1, 2])('groups of several fields have their list as key, for states and questions, on %i executors', async (executors) => {
  const records = [['x', 1, 5], ['x', 2, 6], ['x', 1, 7]] // prettier-ignore
  const rows = await rowsOf(
    ['a', 'b', 'n'],
    [records],
    (s) => {
      const sums = s.groupBy(['a', 'b']).persistentAggregate(state('sums'), ['n'], builtIns.sum(), ['sum'])
      return s.project(['b', 'a']).groupBy(['a', 'b']).stateQuery(sums, ['a', 'b'], builtIns.mapGet(), ['sum'])
    },
    { executors },
  )
  expect(rows).toEqual([[[1, 'x', 12], [1, 'x', 12], [2, 'x', 6]]]) // prettier-ignore
})

test('a state that could not be made is asked for again when its batch is tried again', async () => {
  let asked = 0
  const rows = await rowsOf(
    ['w'],
    [['a', 'a'], ['a']],
    (s) =>
      s
        .groupBy(['w'])
        .persistentAggregate(
          () => (++asked < 3 ? Promise.reject(new Error('the store is away')) : Promise.resolve(new MemoryMapState<unknown, number>())),
          builtIns.count(),
          ['n'],
        )
        .newValuesStream(),
    { executors: 1, mayFail: true },
  )
  expect(rows).toEqual([[['a', 2]], [['a', 3]]])
  expect(asked).toBe(3)
})

test('a query that has no result for some of its tuples is at fault', async () => {
  const short: QueryFunction = { batchRetrieve: () => [1], execute: (_, result, emit) => emit(result) }
  const asked = rowsOf(
    ['n'],
    [[1, 2]],
    (s) =>
      s.stateQuery(
        newStaticState(() => ({})),
        ['n'],
        short,
        ['m'],
      ),
    one,
  )
  await expect(asked).rejects.toThrow('batchRetrieve gave 1 results for 2 tuples')
})
