/** Several of Trident's streams together, and the lives of states of one's own. */
import { describe, expect, test } from 'vitest'
import {
  LocalDrpc,
  MemoryMapState,
  builtIns,
  memorySource,
  multiReduce,
  newStaticState,
  topology,
  trident,
  tridentJoin,
} from '../../../lib/index.ts'
import type { MultiReducer, TridentStream } from '../../../lib/index.ts'
import { LocalCluster } from '../../../lib/testing/index.ts'
import { faultsOf, options, rowsOf } from './trident-runs.ts'

const pairs = [
  ['a', 1],
  ['b', 2],
  ['c', 3],
  ['a', 4],
]

/** The tuples with these keys, under other names. */
const only = <K extends string, V extends string>(
  s: TridentStream<'k' | 'n'>,
  keys: string,
  names: readonly [K, V],
): TridentStream<K | V> => s.filter(['k'], (tuple) => keys.includes(String(tuple.get('k')))).map((tuple) => tuple.values(), names)

/** How many tuples there are of each stream, and the sum of all. */
const counted: MultiReducer<{ readonly counts: readonly number[]; readonly sum: number }> = {
  init: () => ({ counts: [0, 0], sum: 0 }),
  reduce: ({ counts, sum }, index, tuple) => ({ counts: counts.map((n, i) => (i === index ? n + 1 : n)), sum: sum + Number(tuple.at(-1)) }),
  complete: ({ counts, sum }, emit) => emit(counts.join('+'), sum),
}

describe.each([1, 3])('on %i executors', (executors) => {
  const on = { executors, partitions: 4 }

  test('a join of three streams: an optional one leaves nulls, one that is not leaves tuples out', async () => {
    const build = (s: TridentStream<'k' | 'n'>, isOptional: boolean): TridentStream =>
      tridentJoin(
        [
          { stream: s, keys: ['k'] },
          { stream: only(s, 'ab', ['x', 'm']), keys: ['x'] },
          { stream: only(s, 'bc', ['y', 'o']), keys: ['y'], isOptional },
        ],
        ['k', 'n', 'm', 'o'],
      )
    expect(await rowsOf(['k', 'n'], [pairs], (s) => build(s, false), on)).toEqual([[['b', 2, 2, 2]]])
    expect(await rowsOf(['k', 'n'], [pairs], (s) => build(s, true), on)).toEqual([
      [
        ['a', 1, 1, null],
        ['a', 1, 4, null],
        ['a', 4, 1, null],
        ['a', 4, 4, null],
        ['b', 2, 2, 2],
      ],
    ])
  })

  test('a join of three streams that are all optional, with all fields of all', async () => {
    const rows = await rowsOf(
      ['k', 'n'],
      [pairs.slice(0, 3)],
      (s) =>
        tridentJoin(
          [
            { stream: only(s, 'a', ['k', 'n']), keys: ['k'], isOptional: true },
            { stream: only(s, 'ab', ['x', 'm']), keys: ['x'], isOptional: true },
            { stream: only(s, 'c', ['y', 'o']), keys: ['y'], isOptional: true },
          ],
          ['k', 'n', 'x', 'm', 'y', 'o'],
          { output: 'preserve' },
        ),
      on,
    )
    expect(rows).toEqual([
      [
        ['a', 1, 'a', 1, null, null],
        [null, null, 'b', 2, null, null],
        [null, null, null, null, 'c', 3],
      ].toSorted(),
    ])
  })

  test('multiReduce: of groups, each group of all streams; without, what each task has', async () => {
    const grouped = await rowsOf(
      ['k', 'n'],
      [pairs, []],
      (s) => multiReduce([s.groupBy(['k']), only(s, 'ab', ['x', 'm']).groupBy(['x'])], counted, ['counts', 'sum']),
      on,
    )
    expect(grouped).toEqual([
      [
        ['a', '2+2', 10],
        ['b', '1+1', 4],
        ['c', '1+0', 3],
      ],
      [],
    ])
    const [parts = []] = await rowsOf(
      ['k', 'n'],
      [pairs],
      (s) => multiReduce([s, only(s, 'ab', ['x', 'm'])], counted, ['counts', 'sum']),
      on,
    )
    expect(parts).toHaveLength(executors)
    expect((parts as [string, number][]).map(([, sum]) => sum).reduce((a, b) => a + b)).toBe(17)
  })

  test('states of one’s own are closed when their task ends', async () => {
    const open = new Set<object>()
    let made = 0
    class Closed extends MemoryMapState<unknown, number> {
      constructor() {
        super()
        open.add(this)
        made++
      }
      close(): void {
        open.delete(this)
      }
    }
    const source = memorySource<string>({ partitions: 3 })
    const drpc = new LocalDrpc()
    source.add('a', 'b', 'c', 'd', 'e')
    const graph = topology('closing', (t) => {
      trident(t.stream('words', source, options), ['w'])
        .groupBy(['w'])
        .persistentAggregate(() => new Closed(), builtIns.count(), ['n'])
      drpc.newDRPCStream(t, 'known', options).stateQuery(
        newStaticState(() => new Closed()),
        ['args'],
        builtIns.mapGet<number>(),
        ['n'],
      )
    })
    {
      await using cluster = await LocalCluster.start({ seed: 1, executors })
      const running = await cluster.submit(graph)
      const answer = drpc.execute('known', 'a')
      await running.advance('3s')
      expect(await answer).toEqual([['a', null]])
      expect(open.size).toBe(made)
    }
    expect(made).toBe(executors + 1)
    expect(open.size).toBe(0)
  })
})

test('a name is that of the errors and of the states behind it', async () => {
  const faults = await faultsOf('test', (t) => {
    const s = trident(t.stream('source', memorySource<number>()), ['n']).name('numbers')
    s.tumblingWindow(3, ['n'], builtIns.count(), ['c'])
    s.tumblingWindow(4, ['n'], builtIns.count(), ['c'])
  })
  expect(faults).toContain('numbers.window')
})

test('streams that do not fit are faults of the plan', async () => {
  const faults = await faultsOf('test', (t) => {
    const s = trident(t.stream('source', memorySource<unknown>()), ['k', 'n'])
    multiReduce([s.groupBy(['k']), s.groupBy(['k', 'n'])], counted, ['counts', 'sum'])
    tridentJoin(
      [
        { stream: s, keys: ['k'] },
        { stream: s, keys: ['k'] },
        { stream: s, keys: ['k', 'n'] },
      ],
      ['k'],
    )
  })
  expect(faults).toContain('the groups have different numbers of fields')
  expect(faults).toContain('1 keys cannot be equal to 2')
})
