/** When batches run: their times, how many at a time, and planners that take theirs; under virtual time. */
import { describe, expect, test } from 'vitest'
import { defineSpout, generatorSource, memorySource, topology, z } from '../../lib/index.ts'
import type { BatchSource, ConfigInput, StreamTopologyBuilder, TopologyDefinition } from '../../lib/index.ts'
import { LocalCluster } from '../../lib/testing/index.ts'

type Sleep = (ms: number) => Promise<void>

/** Functions of a stream have no clock of the run: a spout lends them its own. */
function withSleep(name: string, build: (t: StreamTopologyBuilder, sleep: Sleep) => void): TopologyDefinition {
  return topology(name, (t) => {
    let sleep: Sleep = () => Promise.resolve()
    t.spout(
      'clock',
      defineSpout({
        output: z.object({ n: z.int() }),
        open(context) {
          sleep = context.sleep
          return { nextTuple: (out) => out.end() }
        },
      }),
    )
    build(t, (ms) => sleep(ms))
  })
}

/** Numbers, one a batch, from a planner that always takes its time; with `sleep`, of the run's clock. */
function slowNumbers(count: number, wait: () => Promise<void>): BatchSource<number> {
  return {
    kind: 'transactional',
    planner: () => {
      let taken = 0
      return {
        async next(last) {
          await wait()
          const from = (taken = last === undefined ? 0 : (last as { to: number }).to)
          if (from === count) return undefined
          return { from, to: (taken = from + 1) }
        },
        get hasEnded() {
          return taken === count
        },
      }
    },
    reader: () => ({ partitions: () => 1, read: (range, _, push) => push((range as { from: number }).from) }),
  }
}

describe('a planner that always answers later', () => {
  const waits: readonly (readonly [string, (sleep: Sleep) => () => Promise<void>])[] = [
    ['at once', () => () => Promise.resolve()],
    ['after a turn of the event loop', () => () => new Promise((resolve) => setImmediate(resolve))],
    ['after a while', (sleep) => () => sleep(25)],
  ]

  // a clock that is borrowed from another executor is none for the simulation: only where there is one
  test.each(
    waits.flatMap(([how, wait]) => (how === 'after a while' ? [1] : [1, 2, 3]).map((executors) => [how, executors, wait] as const)),
  )('%s, on %i executors: the run comes to its end', async (_, executors, wait) => {
    for (const stream of [{}, { batchInterval: '100ms' }]) {
      const found: number[] = []
      const graph = withSleep('slow', (t, sleep) => {
        t.stream('numbers', slowNumbers(5, wait(sleep)), stream).foreachRDD(async (rdd) => void found.push(...(await rdd.collect())))
      })
      await using cluster = await LocalCluster.start({ seed: 3, executors })
      const { result } = await cluster.complete(graph, { limitMs: '1m' })
      expect(result.state).toBe('finished')
      expect(found).toEqual([0, 1, 2, 3, 4])
    }
  })

  test('and never has anything: time goes on', async () => {
    const graph = topology('idle', (t) => {
      t.stream('never', {
        ...slowNumbers(0, () => Promise.resolve()),
        planner: () => ({ next: () => Promise.resolve(undefined), hasEnded: false }),
      }).print()
    })
    await using cluster = await LocalCluster.start({ seed: 3 })
    const running = await cluster.submit(graph)
    await running.advance('2s')
    expect(running.nowMs).toBe(2_000)
  })
})

interface Timed {
  readonly txid: number
  readonly timeMs: number
  readonly atMs: number
}

/** When batches were given out; a batch takes `costMs`. */
async function timesOf(
  stream: { batchInterval: string },
  costMs: (txid: number) => number,
  duration: string,
  config: ConfigInput = {},
): Promise<Timed[]> {
  const times: Timed[] = []
  const clock = { now: () => 0 }
  const graph = withSleep('timed', (t, sleep) => {
    t.stream(
      'numbers',
      generatorSource((i) => i),
      { ...stream, maxRate: 100 },
    ).foreachRDD(async (_, { txid, timeMs }) => {
      await sleep(costMs(txid))
      times.push({ txid, timeMs, atMs: clock.now() })
    })
  })
  await using cluster = await LocalCluster.start({ seed: 3 })
  const running = await cluster.submit(graph, { config })
  clock.now = () => running.nowMs
  await running.advance(duration)
  return times
}

describe('batchInterval', () => {
  test('a batch at every multiple, those that come late as well', async () => {
    const times = await timesOf({ batchInterval: '500ms' }, (txid) => (txid === 2 ? 1_800 : 1), '5s')
    expect(times.map(({ timeMs }) => timeMs)).toEqual([500, 1_000, 1_500, 2_000, 2_500, 3_000, 3_500, 4_000, 4_500, 5_000])
    expect(times.map(({ txid }) => txid)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    // batch 2 is 1.8 s late; those behind it come at once, and from 3 s on they are in time again
    expect(times.filter(({ txid, timeMs, atMs }) => (txid === 1 || txid > 5) && atMs - timeMs > 20)).toEqual([])
    expect(times.slice(1, 5).every(({ atMs }) => atMs >= 2_800 && atMs < 2_850)).toBe(true)
  })
})

describe('batchesPendingMax', () => {
  /** Which batches were processed and given out, in that order: what is computed by key is computed when a batch is processed. */
  async function orderOf(batchesPendingMax: number, failsOnce: boolean, executors: number): Promise<string[]> {
    const order: string[] = []
    let hasFailed = false
    const graph = withSleep('overlapping', (t, sleep) => {
      t.stream(
        'numbers',
        generatorSource((i) => i, { count: 4, partitions: 1 }),
      )
        .map((n) => (order.push(`process ${n}`), [n, n]))
        .reduceByKey((a) => a)
        .foreachRDD(async (rdd) => {
          const [[n] = []] = await rdd.collect()
          if (n === undefined) return
          await sleep(100)
          if (failsOnce && n === 1 && !hasFailed) {
            hasFailed = true
            throw new Error('once')
          }
          order.push(`commit ${n}`)
        })
    })
    await using cluster = await LocalCluster.start({ seed: 3, executors })
    await cluster.complete(graph, { config: { batchesPendingMax, batchRecordsMax: 1 } })
    return order
  }

  test('of 1: a batch begins when the one before is committed', async () => {
    expect(await orderOf(1, false, 1)).toEqual([0, 1, 2, 3].flatMap((n) => [`process ${n}`, `commit ${n}`]))
  })

  test.each([false, true])(
    'of more: the next ones are processed meanwhile, and all are committed in order; one fails: %s',
    async (fails) => {
      const order = await orderOf(3, fails, 1)
      expect(order.filter((step) => step.startsWith('commit'))).toEqual([0, 1, 2, 3].map((n) => `commit ${n}`))
      expect(order.indexOf('process 1')).toBeLessThan(order.indexOf('commit 0'))
      // what was processed of those behind it is thrown away with a batch that fails
      expect(order.filter((step) => step === 'process 2').length > 1).toBe(fails)
    },
  )
})

test('with an interval, one batch without data follows the last one with data', async () => {
  const source = memorySource<number>({ oneAtATime: true })
  for (const n of [1, 2]) source.add(n)
  source.end()
  const found: number[][] = []
  const graph = topology('ends', (t) => {
    t.stream('numbers', source, { batchInterval: '100ms' }).foreachRDD(async (rdd) => void found.push(await rdd.collect()))
  })
  await using cluster = await LocalCluster.start({ seed: 3 })
  await cluster.complete(graph)
  expect(found).toEqual([[1], [2], []])
})

test('a batch that fails is tried again after a wait that doubles', async () => {
  const source = memorySource<number>()
  source.add(1)
  source.end()
  const triedMs: number[] = []
  const clock = { now: () => 0 }
  const graph = topology('fails', (t) => {
    t.stream('numbers', source).foreachRDD((_, { txid }) => {
      if (txid > 1) return
      triedMs.push(clock.now())
      if (triedMs.length < 4) throw new Error('not yet')
    })
  })
  await using cluster = await LocalCluster.start({ seed: 3 })
  const running = await cluster.submit(graph)
  clock.now = () => running.nowMs
  await running.complete()
  const waits = triedMs.slice(1).map((at, i) => at - (triedMs[i] as number))
  expect(waits.map((ms) => Math.round(ms / 50))).toEqual([1, 2, 4])
})

test.each(['__proto__', 'constructor', 'toString', ''])('a stream cannot be called %j', async (name) => {
  const words = memorySource<string>()
  const graph = topology('named', (t) => t.stream(name, words).print())
  await using cluster = await LocalCluster.start({ seed: 1 })
  await expect(Promise.resolve().then(() => cluster.submit(graph))).rejects.toMatchObject({ code: 'bad-name' })
})
