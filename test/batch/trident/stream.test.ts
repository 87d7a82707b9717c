/** Trident's operators under virtual time, on one and on two executors. */
import { describe, expect, test } from 'vitest'
import {
  FileState,
  LocalDrpc,
  MemoryMapState,
  builtIns,
  memorySource,
  newStaticState,
  state,
  topology,
  trident,
} from '../../../lib/index.ts'
import type { TridentAggregator as Aggregator, MapState, ReducerAggregator, StateUpdater, TridentStream } from '../../../lib/index.ts'
import { LocalCluster } from '../../../lib/testing/index.ts'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { called, faultsOf, options, rowsOf, split } from './trident-runs.ts'

describe.each([1, 2])('on %i executors', (executors) => {
  const on = { executors }

  test('each appends, map replaces, project and filter select', async () => {
    const rows = await rowsOf(
      ['sentence'],
      [['a bb', 'ccc']],
      (s) =>
        s
          .each(['sentence'], split, ['word'])
          .each(['word'], (tuple, emit) => emit(String(tuple.get('word')).length), ['length'])
          .filter(['length'], (tuple) => Number(tuple.get('length')) > 1)
          .project(['length', 'word'])
          .map((tuple) => [tuple.get('word'), Number(tuple.get('length')) * 10], ['w', 'n']),
      on,
    )
    expect(rows).toEqual([
      [
        ['bb', 20],
        ['ccc', 30],
      ],
    ])
  })

  test('aggregate: a combiner gives its zero for an empty batch, a chain one row', async () => {
    const most: ReducerAggregator<number> = { init: () => -1, reduce: (value, tuple) => Math.max(value, Number(tuple.get('n'))) }
    const rows = await rowsOf(
      ['n'],
      [[1, 2, 3, 4], []],
      (s) =>
        s
          .chainedAgg()
          .aggregate(builtIns.count(), ['count'])
          .aggregate(['n'], builtIns.sum(), ['sum'])
          .aggregate(['n'], most, ['most'])
          .chainEnd(),
      on,
    )
    expect(rows).toEqual([[[4, 10, 4]], [[0, 0, -1]]])
    expect(await rowsOf(['n'], [[5], []], (s) => s.aggregate(builtIns.count(), ['count']), on)).toEqual([[[1]], [[0]]])
  })

  test('groupBy aggregates by key, with each kind of aggregator', async () => {
    const list: Aggregator<unknown[]> = {
      init: () => [],
      aggregate: (all, tuple) => [...all, tuple.get('n')],
      complete: (all, emit) => all.forEach((n) => emit(n)),
    }
    const pairs = [
      ['a', 1],
      ['b', 2],
      ['a', 3],
    ]
    expect(await rowsOf(['k', 'n'], [pairs], (s) => s.groupBy(['k']).aggregate(['n'], builtIns.sum(), ['sum']), on)).toEqual([
      [
        ['a', 4],
        ['b', 2],
      ],
    ])
    expect(await rowsOf(['k', 'n'], [pairs], (s) => s.groupBy(['k']).aggregate(['n'], list, ['m']), on)).toEqual([
      [
        ['a', 1],
        ['a', 3],
        ['b', 2],
      ],
    ])
  })

  test('partitionAggregate and minBy see a partition; first n sees the batch', async () => {
    expect(await rowsOf(['n'], [[4, 1, 3, 2]], (s) => s.partitionAggregate(['n'], builtIns.sum(), ['sum']), on)).toEqual([[[5], [5]]])
    expect(await rowsOf(['n'], [[4, 1, 3, 2]], (s) => s.minBy('n'), on)).toEqual([[[1], [2]]])
    expect(await rowsOf(['n'], [[4, 1, 3, 2]], (s) => s.applyAssembly(builtIns.firstN(2, 'n', { reverse: true })), on)).toEqual([
      [[3], [4]],
    ])
  })

  test('repartitioning keeps tuples; broadcast copies them to every task', async () => {
    const numbers = [[1, 2, 3, 4, 5]]
    const all = [[[1], [2], [3], [4], [5]]]
    for (const by of ['shuffle', 'localOrShuffle', 'global', 'batchGlobal', 'identityPartition'] as const)
      expect(await rowsOf(['n'], numbers, (s) => s[by](), on), by).toEqual(all)
    expect(await rowsOf(['n'], numbers, (s) => s.partition((tuple) => Number(tuple.get('n'))), on)).toEqual(all)
    expect(await rowsOf(['n'], numbers, (s) => s.partitionBy(['n']), on)).toEqual(all)
    expect(await rowsOf(['n'], numbers, (s) => s.broadcast().aggregate(builtIns.count(), ['c']), on)).toEqual([[[5 * executors]]])
  })

  test('join within a batch: inner, outer, compact and preserve', async () => {
    const pairs = [
      ['a', 1],
      ['b', 2],
    ]
    const doubled = (s: TridentStream<'k' | 'n'>): TridentStream<'x' | 'y'> =>
      s.filter(['n'], (tuple) => tuple.get('n') === 1).map((tuple) => [tuple.get('k'), Number(tuple.get('n')) * 2], ['x', 'y'])
    expect(await rowsOf(['k', 'n'], [pairs], (s) => s.join(['k'], doubled(s), ['x'], ['k', 'n', 'm']), on)).toEqual([[['a', 1, 2]]])
    expect(await rowsOf(['k', 'n'], [pairs], (s) => s.join(['k'], doubled(s), ['x'], ['k', 'n', 'm'], { type: 'left' }), on)).toEqual([
      [
        ['a', 1, 2],
        ['b', 2, null],
      ],
    ])
    expect(
      await rowsOf(['k', 'n'], [pairs], (s) => s.join(['k'], doubled(s), ['x'], ['k', 'n', 'x', 'm'], { output: 'preserve' }), on),
    ).toEqual([[['a', 1, 'a', 2]]])
  })

  test('persistentAggregate in the engine’s store: new values, one value, a reducer', async () => {
    const chunks = [['a b', 'a'], ['b'], []]
    const counted = await rowsOf(
      ['sentence'],
      chunks,
      (s) =>
        s
          .each(['sentence'], split, ['word'])
          .groupBy(['word'])
          .persistentAggregate(state('counts'), builtIns.count(), ['count'])
          .newValuesStream(),
      on,
    )
    expect(counted).toEqual([
      [
        ['a', 2],
        ['b', 1],
      ],
      [['b', 2]],
      [],
    ])
    const total = await rowsOf(['s'], chunks, (s) => s.persistentAggregate(state('total'), builtIns.count(), ['n']).newValuesStream(), on)
    expect(total).toEqual([[[2]], [[3]], [[3]]])
    const text: ReducerAggregator<string> = { init: () => '', reduce: (all, tuple) => all + String(tuple.get('s')) }
    const joined = await rowsOf(
      ['s'],
      [['x'], ['y'], []],
      (s) => s.persistentAggregate(state('text'), ['s'], text, ['t']).newValuesStream(),
      on,
    )
    expect(joined).toEqual([[['x']], [['xy']], []])
  })

  test('a state of one’s own is told of each batch when it is committed', async () => {
    const calls: string[] = []
    class Told extends MemoryMapState<unknown, number> implements MapState<unknown, number> {
      override async beginCommit(txid: number | null): Promise<void> {
        calls.push(`begin ${txid}`)
        await super.beginCommit(txid)
      }
      override async commit(txid: number | null): Promise<void> {
        calls.push(`commit ${txid}`)
        await super.commit(txid)
      }
    }
    const rows = await rowsOf(
      ['w'],
      [['a'], ['a'], []],
      (s) =>
        s
          .groupBy(['w'])
          .persistentAggregate(() => new Told(), builtIns.count(), ['n'])
          .newValuesStream(),
      on,
    )
    expect(rows).toEqual([[['a', 1]], [['a', 2]], []])
    expect(calls).toEqual(['begin 1', 'commit 1', 'begin 2', 'commit 2'])
  })

  test('partitionPersist into the engine’s store: a key goes where it belongs, or is refused', async () => {
    const persist: StateUpdater<MapState<string, number>> = async (kept, tuples, emit) => {
      const sums = await kept.multiUpdate(
        tuples.map((tuple) => String(tuple.get('w'))),
        tuples.map(() => (n) => (n ?? 0) + 1),
      )
      for (const [i, tuple] of tuples.entries()) emit(tuple.get('w'), sums[i])
    }
    const words = ['a', 'b', 'c', 'd', 'e', 'f']
    const rows = await rowsOf(
      ['w'],
      [words, ['a']],
      (s) => s.partitionBy(['w']).partitionPersist(state('kept'), ['w'], persist, ['w', 'n']).newValuesStream(),
      on,
    )
    expect(rows[0]?.toSorted()).toEqual(words.map((word) => [word, 1]))
    expect(rows[1]).toEqual([['a', 2]])
    const inPlace = await rowsOf(
      ['w'],
      [words],
      (s) => s.shuffle().partitionPersist(state('kept'), ['w'], persist, ['w', 'n']).newValuesStream(),
      on,
    ).then(
      ([first]) => first?.length,
      (error: unknown) => /in a task that it does not belong to/.test(String(error)),
    )
    expect(inPlace).toBe(executors === 1 ? words.length : true)
  })

  test('partitionPersist: each task applies what it has', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'squall-trident-'))
    const made: FileState<number>[] = []
    try {
      const rows = await rowsOf(
        ['n'],
        [[1, 2], [3]],
        (s) =>
          s
            .global()
            .partitionPersist(
              ({ partition }) => {
                const file = new FileState<number>({ file: join(folder, `${partition}.txt`) })
                made.push(file)
                return file
              },
              ['n'],
              async (file, tuples, emit) => {
                await file.update(tuples.map((tuple) => Number(tuple.get('n'))))
                emit(tuples.length)
              },
              ['written'],
            )
            .newValuesStream(),
        on,
      )
      expect(rows).toEqual([[[2]], [[1]]])
      expect(readFileSync(join(folder, '0.txt'), 'utf8')).toBe('1\n2\n3\n')
    } finally {
      for (const file of made) await file.close()
      rmSync(folder, { recursive: true })
    }
  })

  test('calls are answered from the state', async () => {
    const drpc = new LocalDrpc()
    const source = memorySource<string>({ partitions: 2 })
    const graph = topology('words', (t) => {
      const words = trident(t.stream('sentences', source, options), ['sentence']).each(['sentence'], split, ['word'])
      const counts = words.groupBy(['word']).persistentAggregate(state('counts'), builtIns.count(), ['count'])
      const total = words.persistentAggregate(state('total'), builtIns.count(), ['count'])
      drpc
        .newDRPCStream(t, 'sum', options)
        .each(['args'], split, ['word'])
        .groupBy(['word'])
        .stateQuery(counts, ['word'], builtIns.mapGet(), ['count'])
        .aggregate(['count'], builtIns.sum(), ['sum'])
      drpc
        .newDRPCStream(t, 'all', options)
        .broadcast()
        .stateQuery(counts, ['args'], builtIns.tupleCollectionGet(), ['word', 'count'])
        .project(['word', 'count'])
      drpc.newDRPCStream(t, 'total', options).stateQuery(total, [], builtIns.snapshotGet(), ['n']).project(['n'])
      const names = newStaticState(() => ({ multiGet: (keys: readonly unknown[]) => keys.map((key) => `<${String(key)}>`) }))
      drpc.newDRPCStream(t, 'name', options).stateQuery(names, ['args'], builtIns.mapGet(), ['name'])
    })
    await using cluster = await LocalCluster.start({ seed: 7, executors })
    const running = await cluster.submit(graph)
    expect(await called(running, drpc, 'sum', 'the')).toEqual([[0]])
    source.add('hello the man said', 'the')
    await running.advance(2_000)
    expect(await called(running, drpc, 'sum', 'the man')).toEqual([[3]])
    expect(await called(running, drpc, 'all', '')).toEqual([
      ['hello', 1],
      ['man', 1],
      ['said', 1],
      ['the', 2],
    ])
    expect(await called(running, drpc, 'total', '')).toEqual([[5]])
    expect(await called(running, drpc, 'name', 'x')).toEqual([['x', '<x>']])
  })

  test('merge, and what two streams read runs once', async () => {
    const seen: unknown[] = []
    const rows = await rowsOf(
      ['s'],
      [['a b']],
      (s) => {
        const peeked = s.peek((tuple) => seen.push(tuple.get('s')))
        return peeked
          .each(['s'], split, ['w'])
          .project(['w'])
          .merge(peeked.map((tuple) => [String(tuple.get('s')).length], ['n']))
      },
      { executors, partitions: 1 },
    )
    expect(rows).toEqual([[[3], ['a'], ['b']]])
    expect(seen).toEqual(['a b'])
  })
})

test('a batch that fails is run again, and state counts it once', async () => {
  let tries = 0
  const rows = await rowsOf(
    ['w'],
    [['a', 'a'], ['a']],
    (s) => {
      const counts = s.groupBy(['w']).persistentAggregate(state('counts'), builtIns.count(), ['n']).newValuesStream()
      counts.stream.foreachPartition((found) => {
        if (found.length > 0 && tries++ === 0) throw new Error('once')
      })
      return counts
    },
    { executors: 1, mayFail: true },
  )
  expect(tries).toBe(3)
  expect(rows).toEqual([[['a', 2]], [['a', 3]]])
})

test('unknown and duplicate fields are faults of the plan, all at once, with the fields there are', async () => {
  const build = (f: (stream: TridentStream) => unknown): Promise<string> =>
    faultsOf('test', (t) => void f(trident(t.stream('source', memorySource<string>()), ['sentence', 'word'] as string[])))
  const wrong: Record<string, (stream: TridentStream) => unknown> = {
    each: (s) => s.each(['no'], split, ['x']),
    filter: (s) => s.filter(['no'], () => true),
    project: (s) => s.project(['no']),
    groupBy: (s) => s.groupBy(['no']).aggregate(builtIns.count(), ['n']),
    partitionAggregate: (s) => s.partitionAggregate(['no'], builtIns.sum(), ['n']),
    aggregate: (s) => s.aggregate(['no'], builtIns.sum(), ['n']),
    persistentAggregate: (s) => s.persistentAggregate(state('s'), ['no'], builtIns.sum(), ['n']),
    partitionPersist: (s) => s.partitionPersist(state('s'), ['no'], () => undefined),
    stateQuery: (s) =>
      s.stateQuery(
        newStaticState(() => ({ multiGet: () => [] })),
        ['no'],
        builtIns.mapGet(),
        ['n'],
      ),
    partitionBy: (s) => s.partitionBy(['no']),
    minBy: (s) => s.minBy('no'),
    join: (s) => s.join(['no'], s, ['word'], ['a', 'b', 'c']),
  }
  for (const [operator, f] of Object.entries(wrong))
    expect(await build(f), operator).toMatch(/a tuple has no field no[\s\S]*sentence, word/)
  expect(await build((s) => s.each(['word'], split, ['sentence']))).toContain('the field sentence twice')
  expect(await build((s) => s.project(['a']).merge(s.project(['b'])))).toMatch(/no field a[\s\S]*no field b/)
  expect(await build((s) => s.merge(s.project(['word'])))).toContain('cannot be merged')
  expect(await build((s) => s.join(['word'], s, ['word'], ['a']))).toContain('3 values and 1 names')
})

test('a call that nobody can answer is refused', async () => {
  const drpc = new LocalDrpc()
  await expect(drpc.execute('no', '')).rejects.toThrow('no topology answers the function no')
  const build = (): Promise<string> =>
    faultsOf('test', (t) => {
      const calls = drpc.newDRPCStream(t, 'two')
      calls.map(() => [1], ['a'])
      calls.map(() => [2], ['a'])
    })
  expect(await build()).toContain('2 streams could be its answer')
  const graph = topology('test', (t) => void drpc.newDRPCStream(t, 'ends').map(() => [1], ['a']))
  let answer: Promise<unknown>
  {
    await using cluster = await LocalCluster.start({ seed: 7 })
    await cluster.submit(graph)
    answer = drpc.execute('ends', '')
    answer.catch(() => undefined)
  }
  await expect(answer).rejects.toThrow('the topology that answers it has ended')
})
