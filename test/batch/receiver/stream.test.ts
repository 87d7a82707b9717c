/** Streams that receivers make, under virtual time. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { defineSpout, memorySource, received, stateSpec, topology, z } from '../../../lib/index.ts'
import type {
  BatchSource,
  KeyState,
  ReceivedOptions,
  Receiver,
  ReceiverOutput,
  StreamOptions,
  TaskContext,
  TopologyDefinition,
} from '../../../lib/index.ts'
import { LocalCluster } from '../../../lib/testing/index.ts'

vi.setConfig({ testTimeout: 20_000 })

/** A receiver that gets what the test gives it. */
class Hand implements Receiver<string> {
  output: ReceiverOutput<string> | undefined
  starts = 0
  stops = 0

  onStart(output: ReceiverOutput<string>): void {
    this.output = output
    this.starts++
  }

  onStop(): void {
    this.stops++
  }

  /** As a reliable receiver: says which texts were stored. */
  give(stored: string[], ...texts: readonly string[]): void {
    this.output?.storeMany(texts).then(
      () => stored.push(...texts),
      () => undefined,
    )
  }
}

const counting = stateSpec((word: string, n: number | undefined, state: KeyState<number>) => {
  state.update((state.getOption() ?? 0) + (n ?? 0))
  return [word, state.get()] as const
})

type Counts = Map<string, number>

/** Counts what is received; `counts` has the newest count of each word. */
function counter(
  hands: readonly Hand[],
  counts: Counts,
  options: ReceivedOptions = {},
  batchInterval: string | number = 0,
): TopologyDefinition {
  return topology('counter', (t) => {
    t.stream('words', received(hands, options), { batchInterval })
      .map((word) => [word, 1])
      .reduceByKey((a, b) => a + b)
      .mapWithState(counting, { name: 'counts' })
      .foreachRDD(async (rdd) => {
        for (const [word, count] of await rdd.collect()) counts.set(word, count)
      })
  })
}

const sorted = (counts: Counts): string[] => [...counts].map(String).sort()

describe.each([1, 2, 3])('%i executors', (executors) => {
  test.each(['0ms', '1s'])('blocks become batches, and a receiver is told when they are stored (interval %s)', async (interval) => {
    const [a, b, counts, stored] = [new Hand(), new Hand(), new Map<string, number>(), [] as string[]]
    await using cluster = await LocalCluster.start({ seed: 4, executors })
    const run = await cluster.submit(counter([a, b], counts, {}, interval))
    await run.advance(100)
    expect([a.starts, b.starts]).toEqual([1, 1])
    a.give(stored, 'x', 'y')
    b.give(stored, 'x')
    void a.output?.store('z')
    await run.advance(50)
    expect(stored.sort()).toEqual(['x', 'x', 'y'])
    await run.advance(3_000)
    expect(sorted(counts)).toEqual(['x,2', 'y,1', 'z,1'])
    b.give(stored, 'x')
    await run.advance(3_000)
    expect(sorted(counts)).toEqual(['x,3', 'y,1', 'z,1'])
    expect(run.errors).toEqual([])
  })

  test('a run whose receivers have stopped ends when all they stored is counted', async () => {
    const [hand, counts, stored] = [new Hand(), new Map<string, number>(), [] as string[]]
    await using cluster = await LocalCluster.start({ seed: 5, executors })
    const run = await cluster.submit(counter([hand], counts))
    await run.advance(100)
    hand.give(stored, 'x')
    void hand.output?.store('y')
    hand.output?.stop('no more')
    const result = await run.complete()
    expect(result.state).toBe('finished')
    expect(sorted(counts)).toEqual(['x,1', 'y,1'])
    expect(stored).toEqual(['x'])
  })

  test('a pause: receivers stop, what they stored is counted, though no batch is due; then they go on', async () => {
    const [hand, counts, stored] = [new Hand(), new Map<string, number>(), [] as string[]]
    await using cluster = await LocalCluster.start({ seed: 6, executors })
    const run = await cluster.submit(counter([hand], counts, {}, '10s'))
    await run.advance(100)
    hand.give(stored, 'x')
    void hand.output?.store('y')
    await run.deactivate()
    await run.advance(500)
    expect([hand.stops, sorted(counts)]).toEqual([1, ['x,1', 'y,1']])
    expect(run.snapshot().pending).toBe(0)
    await run.activate()
    await run.advance(100)
    expect(hand.starts).toBe(2)
    hand.give(stored, 'x')
    await run.advance('20s')
    expect(sorted(counts)).toEqual(['x,2', 'y,1'])
  })
})

test('a pause while a batch is being planned: it is planned once, and nothing is counted twice', async () => {
  const [hand, counts, stored] = [new Hand(), new Map<string, number>(), [] as string[]]
  let answer: (() => void) | undefined
  const slow: BatchSource<string> = {
    kind: 'transactional',
    planner: () => ({ hasEnded: false, next: () => new Promise((resolve) => (answer = () => resolve(undefined))) }),
    reader: () => ({ partitions: () => 1, read: () => undefined }),
  }
  await using cluster = await LocalCluster.start({ seed: 8 })
  const run = await cluster.submit(
    topology('slow', (t) => {
      t.stream('slow', slow).foreachRDD(() => undefined)
      const words = t.stream('words', received([hand])).map((word) => [word, 1])
      words
        .reduceByKey((a, b) => a + b)
        .mapWithState(counting, { name: 'counts' })
        .foreachRDD(async (rdd) => {
          for (const [word, count] of await rdd.collect()) counts.set(word, count)
        })
    }),
  )
  await run.advance(100)
  answer?.()
  hand.give(stored, 'x')
  await run.advance(20)
  await run.deactivate()
  await run.advance(100)
  answer?.()
  await run.advance(100)
  await run.activate()
  await run.advance(500)
  expect(run.errors).toEqual([])
  expect([stored, sorted(counts)]).toEqual([['x'], ['x,1']])
})

describe('the rate of the stream', () => {
  /** Gives 40 records, some at a time; how many were stored after each second. */
  async function storedBySecond(rate: StreamOptions, executors: number, atOnce: number): Promise<readonly number[]> {
    const [hands, stored] = [[new Hand(), new Hand()], [] as string[]]
    await using cluster = await LocalCluster.start({ seed: 12, executors })
    const run = await cluster.submit(
      topology('rated', (t) => {
        let sleep: TaskContext['sleep'] = () => Promise.resolve()
        t.spout('clock', defineSpout({ output: z.object({}), open: (context) => ((sleep = context.sleep), (out) => out.end()) }))
        // a batch takes its time
        t.stream('words', received(hands), { batchInterval: '500ms', ...rate }).foreachRDD(async (rdd) => {
          await rdd.count()
          if (rate.backpressure !== undefined) await sleep(10)
        })
      }),
    )
    await run.advance(100)
    for (let i = 0; i < 40 / atOnce; i++) (hands[i % 2] as Hand).give(stored, ...new Array<string>(atOnce).fill('x'))
    const counts: number[] = []
    for (let second = 0; second < 4; second++) {
      await run.advance('1s')
      counts.push(stored.length)
    }
    return counts
  }

  test.each([1, 2])('maxRate holds, divided among the receivers (%i executors)', async (executors) => {
    const counts = await storedBySecond({ maxRate: 10 }, executors, 5)
    // a block goes in when the ones before are paid for
    counts.forEach((count, i) => expect(count, `after ${i + 1} s`).toBeLessThanOrEqual(10 * (i + 1) + 10))
    expect(counts.at(-1)).toBeGreaterThanOrEqual(35)
  })

  test('what batches tell goes before what it began with', async () => {
    // four records a second would take ten
    expect((await storedBySecond({ backpressure: { initialRate: 4 } }, 1, 1)).at(-1)).toBe(40)
  })
})

test.each([1, 2])('blocks wait while those before them take all the room (%i executors)', async (executors) => {
  const [hand, counts, stored] = [new Hand(), new Map<string, number>(), [] as string[]]
  await using cluster = await LocalCluster.start({ seed: 13, executors })
  const run = await cluster.submit(counter([hand], counts, {}, '1s'), { config: { receivedBytesMax: 100 } })
  await run.advance(100)
  for (let i = 0; i < 5; i++) hand.give(stored, `a long word ${i}`, `another word ${i}`)
  await run.advance(500)
  expect(stored).toHaveLength(2)
  await run.advance('3s')
  expect(stored.length).toBeLessThan(10)
  await run.advance('3s')
  expect(stored).toHaveLength(10)
  expect([...counts.values()]).toEqual(new Array(10).fill(1))
})

describe('an executor that dies', () => {
  test.each([
    ['what is in memory is read from its copy', { writeAheadLog: false, replication: 2 }],
    ['what is in the log is read from there', {}],
  ] as const)('%s', async (_, options) => {
    const [first, second, counts, stored] = [new Hand(), new Hand(), new Map<string, number>(), [] as string[]]
    const stateDir = mkdtempSync(join(tmpdir(), 'squall-received-'))
    try {
      await using cluster = await LocalCluster.start({ seed: 7, executors: 2 })
      const run = await cluster.submit(counter([first, second], counts, options, '10s'), { config: { stateDir } })
      await run.advance(100)
      second.give(stored, 'x', 'y')
      await run.advance(500)
      expect(stored).toEqual(['x', 'y'])
      // the second receiver's, which is started again with its executor
      run.killExecutor(1)
      await run.advance(500)
      expect(second.starts).toBe(2)
      second.give(stored, 'x')
      await run.advance('11s')
      expect(sorted(counts)).toEqual(['x,2', 'y,1'])
      // the driver's and the coordinator's
      second.give(stored, 'z')
      await run.advance(500)
      run.killExecutor(0)
      await run.advance('21s')
      expect(sorted(counts)).toEqual(['x,2', 'y,1', 'z,1'])
    } finally {
      rmSync(stateDir, { recursive: true, force: true })
    }
  })

  test('with one copy only, its blocks are lost, and that is told', async () => {
    const [first, second, counts, stored] = [new Hand(), new Hand(), new Map<string, number>(), [] as string[]]
    const stateDir = mkdtempSync(join(tmpdir(), 'squall-received-'))
    try {
      await using cluster = await LocalCluster.start({ seed: 8, executors: 2 })
      const run = await cluster.submit(counter([first, second], counts, { writeAheadLog: false, replication: 1 }, '10s'), {
        config: { stateDir },
      })
      await run.advance(100)
      first.give(stored, 'x')
      second.give(stored, 'y')
      await run.advance(500)
      run.killExecutor(1)
      await run.advance('11s')
      expect(sorted(counts)).toEqual(['x,1'])
      expect(run.errors.map(({ message }) => message)).toContainEqual(
        expect.stringMatching(/^block .* of stream words is lost .* 1 records$/),
      )
    } finally {
      rmSync(stateDir, { recursive: true, force: true })
    }
  })
})

test.each([0, 1])(
  'executor %i dies when all receivers have stopped, and another source goes on: none starts again, and the run ends',
  async (victim) => {
    const [first, second, counts, stored] = [new Hand(), new Hand(), new Map<string, number>(), [] as string[]]
    const numbers = memorySource<number>()
    const seen: number[] = []
    const stateDir = mkdtempSync(join(tmpdir(), 'squall-received-'))
    try {
      await using cluster = await LocalCluster.start({ seed: 14, executors: 2 })
      const run = await cluster.submit(
        topology('ending', (t) => {
          t.stream('numbers', numbers).foreachRDD(async (rdd) => void seen.push(...(await rdd.collect())))
          t.stream('words', received([first, second]))
            .map((word) => [word, 1])
            .reduceByKey((a, b) => a + b)
            .foreachRDD(async (rdd) => {
              for (const [word, count] of await rdd.collect()) counts.set(word, count)
            })
        }),
        { config: { stateDir } },
      )
      await run.advance(100)
      first.give(stored, 'x')
      for (const { output } of [first, second]) output?.stop('no more')
      numbers.add(1)
      await run.advance(500)
      run.killExecutor(victim)
      await run.advance(500)
      numbers.add(2)
      numbers.end()
      expect((await run.complete('1m')).state).toBe('finished')
      expect([first.starts, second.starts, sorted(counts), seen]).toEqual([1, 1, ['x,1'], [1, 2]])
    } finally {
      rmSync(stateDir, { recursive: true, force: true })
    }
  },
)

describe('what cannot be', () => {
  test('a write-ahead log without a state directory', async () => {
    await using cluster = await LocalCluster.start({ seed: 9 })
    const run = cluster.submit(counter([new Hand()], new Map(), { writeAheadLog: true }))
    await expect(run).rejects.toMatchObject({ code: 'receiver-log', where: { stream: 'words' } })
  })

  test('a receiver that does not start ends the run with its reason', async () => {
    await using cluster = await LocalCluster.start({ seed: 10 })
    const receiver: Receiver<string> = {
      onStart: () => Promise.reject(new Error('listen EADDRINUSE')),
      onStop: () => undefined,
    }
    const run = await cluster.submit(topology('broken', (t) => t.stream('words', received(receiver)).print()))
    await expect(run.advance('1s')).rejects.toMatchObject({
      code: 'receiver-failed',
      message: expect.stringContaining('EADDRINUSE') as string,
    })
  })

  test.each([
    ['replication', { replication: 3 as 2 }],
    ['blockInterval', { blockInterval: 'soon' }],
  ])('the option %s', (option, options: ReceivedOptions) => {
    expect(() => received(new Hand(), options)).toThrow(new RegExp(`option ${option} of received`))
  })
})
