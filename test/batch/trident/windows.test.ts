/** Trident's windows: of tuples and of time, over batches, after failures and restarts. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { viewState } from '../../../lib/batch/state/inspect.ts'
import { builtIns, memorySource, topology, trident } from '../../../lib/index.ts'
import type { TridentAggregator, TridentStream } from '../../../lib/index.ts'
import { LocalCluster } from '../../../lib/testing/index.ts'
import { faultsOf, rowsOf } from './trident-runs.ts'

/** All values of a window, in their order. */
const listed: TridentAggregator<unknown[]> = {
  init: () => [],
  aggregate: (all, tuple) => [...all, tuple.get('n')],
  complete: (all, emit) => emit(all.join(' ')),
}

describe.each([1, 3])('on %i executors', (executors) => {
  const on = { executors, partitions: 1 }

  test('tumbling, of tuples: they span batches, and a batch may end several', async () => {
    const rows = await rowsOf(['n'], [[1, 2], [3, 4, 5, 6, 7], [], [8, 9]], (s) => s.tumblingWindow(3, ['n'], listed, ['w']), on)
    expect(rows).toEqual([[], [['1 2 3'], ['4 5 6']], [], [['7 8 9']]])
  })

  test('sliding, of tuples: the first windows have fewer; those further apart than they are long leave tuples out', async () => {
    const chunks = [
      [1, 2, 3],
      [4, 5],
      [6, 7, 8],
    ]
    expect(await rowsOf(['n'], chunks, (s) => s.slidingWindow(4, 2, ['n'], listed, ['w']), on)).toEqual([
      [['1 2']],
      [['1 2 3 4']],
      [['3 4 5 6'], ['5 6 7 8']],
    ])
    expect(await rowsOf(['n'], chunks, (s) => s.slidingWindow(1, 3, ['n'], listed, ['w']), on)).toEqual([[['3']], [], [['6']]])
  })

  test('of time: the batches after the start of a window up to its end; a window without tuples is none', async () => {
    // a batch a second, from 1 s on
    const chunks = [[1], [2, 3], [4], [], [], [], [5], [6]]
    expect(await rowsOf(['n'], chunks, (s) => s.tumblingWindow('2s', ['n'], listed, ['w']), on)).toEqual([
      [],
      [['1 2 3']],
      [],
      [['4']],
      [],
      [],
      [],
      [['5 6']],
    ])
    expect(await rowsOf(['n'], chunks.slice(0, 5), (s) => s.slidingWindow('3s', '1s', ['n'], builtIns.count(), ['c']), on)).toEqual([
      [[1]],
      [[3]],
      [[4]],
      [[3]],
      [[1]],
    ])
  })

  test('a batch that fails and runs again is in a window once', async () => {
    let tries = 0
    const build = (s: TridentStream<'n'>): TridentStream => {
      const windows = s.slidingWindow(4, 2, ['n'], listed, ['w'])
      windows.stream.foreachPartition((found) => {
        if (found.some((row) => row[0] === '1 2 3 4') && tries++ === 0) throw new Error('once')
      })
      return windows
    }
    const rows = await rowsOf(
      ['n'],
      [
        [1, 2],
        [3, 4],
        [5, 6],
      ],
      build,
      { ...on, mayFail: true },
    )
    expect(tries).toBe(2)
    expect(rows).toEqual([[['1 2']], [['1 2 3 4']], [['3 4 5 6']]])
  })
})

test('windows go on after a restart, on another number of executors', async () => {
  const stateDir = mkdtempSync(join(tmpdir(), 'squall-trident-windows-'))
  const source = memorySource<number>({ oneAtATime: true })
  const found: unknown[] = []
  const graph = topology('windows', (t) => {
    const numbers = trident(t.stream('numbers', source, { batchInterval: '1s' }), ['n'])
    const windows = numbers.slidingWindow(5, 2, ['n'], listed, ['w'], { name: 'last-five' })
    windows.stream.foreachRDD(async (rdd) => void found.push(...(await rdd.collect()).flat()))
  })
  let batches = 0
  const run = async (executors: number, ...chunks: readonly number[][]): Promise<void> => {
    await using cluster = await LocalCluster.start({ seed: 3, executors })
    const running = await cluster.submit(graph, { config: { stateDir } })
    for (const chunk of chunks) source.add(...chunk)
    // virtual time begins anew with each cluster
    batches += chunks.length
    await running.advance(batches * 1_000 + 500)
    expect(running.errors).toEqual([])
  }
  try {
    await run(1, [1], [2, 3], [4])
    expect(found).toEqual(['1 2', '1 2 3 4'])
    await run(3, [5], [6])
    await run(2, [7, 8, 9])
    expect(found).toEqual(['1 2', '1 2 3 4', '2 3 4 5 6', '4 5 6 7 8'])
    // the next window is of 6 to 10: what is kept is the batch of the 6, and that of the 7, 8 and 9
    const view = await viewState(stateDir, 'windows')
    expect(view.operators.find(({ operator }) => operator === 'last-five')?.keys).toBe(2)
    await view.close()
  } finally {
    rmSync(stateDir, { recursive: true })
  }
})

test('what is no window is a fault of the plan', async () => {
  const build = (f: (stream: TridentStream<'n'>) => unknown): Promise<string> =>
    faultsOf('test', (t) => void f(trident(t.stream('source', memorySource<number>()), ['n'])))
  expect(await build((s) => s.tumblingWindow(0, ['n'], listed, ['w']))).toContain('is no window')
  expect(await build((s) => s.slidingWindow('10s', 5, ['n'], listed, ['w']))).toContain('a length of 10s with a slide of 5')
  expect(await build((s) => s.tumblingWindow('soon', ['n'], listed, ['w']))).toContain('is no window')
  expect(await build((s) => s.tumblingWindow(3, ['no' as 'n'], listed, ['w']))).toContain('no field no')
  expect(
    await build((s) => {
      s.tumblingWindow(3, ['n'], listed, ['w'])
      s.tumblingWindow(4, ['n'], listed, ['w'])
    }),
  ).toContain('two operators keep their state')
})
