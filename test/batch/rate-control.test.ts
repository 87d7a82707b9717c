/** How much batches take, by what is allowed and by what the run keeps up with; under virtual time. */
import { describe, expect, test } from 'vitest'
import { defineSpout, generatorSource, topology, z } from '../../lib/index.ts'
import type { BatchSource, BatchStats, GeneratorOptions, StreamOptions, TopologyDefinition } from '../../lib/index.ts'
import { LocalCluster } from '../../lib/testing/index.ts'

interface Shape {
  readonly stream: StreamOptions
  readonly generator?: GeneratorOptions
  /** how long a batch of so many records takes */
  readonly costMs?: (records: number, txid: number) => number
  readonly fails?: (txid: number) => boolean
}

/** Numbers through an output that takes its time; what was told of the batches. */
function paced({ stream, generator = {}, costMs, fails }: Shape, told: BatchStats[]): TopologyDefinition {
  return topology('paced', (t) => {
    let sleep: (ms: number) => Promise<void> = () => Promise.resolve()
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
    t.stream(
      'numbers',
      generatorSource((i) => i, { partitions: 2, ...generator }),
      stream,
    ).foreachRDD(async (rdd, { txid }) => {
      const records = await rdd.count()
      if (costMs !== undefined) await sleep(costMs(records, txid))
      if (fails?.(txid) === true) throw new Error('once')
    })
    t.onBatch((stats) => told.push(stats))
  })
}

async function run(shape: Shape, duration: string, executors = 1): Promise<BatchStats[]> {
  const told: BatchStats[] = []
  await using cluster = await LocalCluster.start({ seed: 5, executors })
  const running = await cluster.submit(paced(shape, told))
  await running.advance(duration)
  return told
}

const recordsOf = (told: readonly BatchStats[]): number[] => told.map(({ streams }) => streams['numbers']?.records ?? NaN)

describe('maxRate', () => {
  test.each([1, 2, 3])('holds in every batch, on %i executors', async (executors) => {
    const told = await run({ stream: { batchInterval: '1s', maxRate: 30 } }, '5s', executors)
    expect(recordsOf(told).slice(0, 5)).toEqual([30, 30, 30, 30, 30])
    expect(told[0]).toMatchObject({ topology: 'paced', txid: 1, attempts: 1, streams: { numbers: { rate: 30, badRecords: 0 } } })
  })

  test('of less than a record a batch: a record now and then', async () => {
    const told = await run({ stream: { batchInterval: '1s', maxRate: 0.4 } }, '10s')
    expect(recordsOf(told)).toEqual([0, 0, 1, 0, 1, 0, 0, 1, 0, 1])
  })

  test('without an interval: not more than the time that has passed allows', async () => {
    const told = await run({ stream: { maxRate: 50 } }, '10s')
    const records = recordsOf(told).reduce((a, b) => a + b, 0)
    expect(records).toBeGreaterThan(450)
    expect(records).toBeLessThanOrEqual(500)
  })

  test('of a partition', async () => {
    const told = await run({ stream: { batchInterval: '2s', maxRatePerPartition: 10 } }, '6s')
    expect(recordsOf(told)).toEqual([40, 40, 40])
    const all = recordsOf(await run({ stream: { maxRatePerPartition: 10 } }, '6s')).reduce((a, b) => a + b, 0)
    expect(all).toBeGreaterThan(100)
    expect(all).toBeLessThanOrEqual(120)
  })

  test.each([
    [{ maxRate: 0 }, 'maxRate'],
    [{ maxRatePerPartition: -1 }, 'maxRatePerPartition'],
    [{ batchInterval: '1s', backpressure: { initialRate: 0 } }, 'initialRate'],
    [{ batchInterval: '1s', backpressure: { minRate: 0 } }, 'minRate'],
    [{ backpressure: true }, 'backpressure'],
  ] satisfies [StreamOptions, string][])('%j is refused', async (stream, option) => {
    await using cluster = await LocalCluster.start({ seed: 1 })
    await expect(cluster.complete(paced({ stream }, []))).rejects.toMatchObject({
      code: 'bad-option',
      what: expect.stringContaining(option) as string,
    })
  })
})

describe('backpressure', () => {
  const stream: StreamOptions = { batchInterval: '1s', backpressure: { initialRate: 1_000 } }

  test('takes what a slow operator can do, and more when it is quick again', async () => {
    // 200 records a second for a while, then 2,000
    const costMs = (records: number, txid: number): number => records * (txid <= 10 ? 5 : 0.5)
    const told = await run({ stream, generator: { rate: 800 }, costMs }, '60s')
    const early = told.slice(7, 10)
    for (const { processingDelayMs, streams } of early) {
      expect(streams['numbers']?.rate).toBeGreaterThanOrEqual(100)
      expect(streams['numbers']?.rate).toBeLessThan(210)
      expect(processingDelayMs).toBeLessThan(1_100)
    }
    // all that has piled up is worked off, and the batches are in time
    const late = told.slice(-10)
    expect(late.map(({ streams }) => streams['numbers']?.records)).toEqual(late.map(() => 800))
    expect(Math.max(...late.map(({ schedulingDelayMs }) => schedulingDelayMs))).toBeLessThan(5)
  })

  test('never gives more than maxRate, nor less than minRate', async () => {
    const bounded: StreamOptions = { batchInterval: '1s', maxRate: 300, backpressure: { minRate: 250 } }
    const told = await run({ stream: bounded, costMs: (records, txid) => records * (txid < 5 ? 10 : 0.1) }, '60s')
    const rates = told.map(({ streams }) => streams['numbers']?.rate ?? NaN)
    expect(Math.max(...rates)).toBe(300)
    expect(Math.min(...rates)).toBe(250)
    expect(Math.max(...recordsOf(told))).toBe(300)
  })

  test('tells of delays and attempts', async () => {
    const thrown = new Set<number>()
    const fails = (txid: number): boolean => txid === 2 && thrown.size < 2 && thrown.add(thrown.size).size > 0
    const told = await run({ stream: { batchInterval: '1s', maxRate: 10 }, costMs: () => 1_500, fails }, '12s')
    expect(told.slice(0, 3).map(({ attempts }) => attempts)).toEqual([1, 3, 1])
    expect(told[0]?.processingDelayMs).toBeCloseTo(1_500, -2)
    // 1.5 s too late after the first batch, and two attempts more
    expect(told[1]?.schedulingDelayMs).toBeCloseTo(500, -2)
    expect(told[1]?.processingDelayMs).toBeCloseTo(4_650, -2)
    expect(told[2]?.schedulingDelayMs).toBeCloseTo(4_150, -2)
  })
})

test('a generator gives the same records however they are divided', async () => {
  const records: number[][] = []
  for (const [partitions, executors] of [
    [1, 1],
    [3, 2],
  ] as const) {
    const found: number[] = []
    const source: BatchSource<number> = generatorSource((i, random) => 1_000 * i + random.below(1_000), { count: 100, partitions, seed: 7 })
    const graph = topology('made', (t) => {
      t.stream('in', source).foreachRDD(async (rdd) => void found.push(...(await rdd.collect())))
    })
    await using cluster = await LocalCluster.start({ seed: 1, executors })
    await cluster.complete(graph, { config: { batchRecordsMax: partitions * 9 } })
    records.push(found.sort((a, b) => a - b))
  }
  expect(records[0]?.map((n) => Math.floor(n / 1_000))).toEqual(Array.from({ length: 100 }, (_, i) => i))
  expect(records[1]).toEqual(records[0])
  expect(new Set(records[0]?.map((n) => n % 1_000)).size).toBeGreaterThan(80)
})

test('a listener that throws is reported, and the batches go on', async () => {
  const told: BatchStats[] = []
  const graph = topology('told', (t) => {
    t.stream(
      'in',
      generatorSource((i) => i, { count: 20 }),
    ).foreachRDD(() => undefined)
    t.onBatch(() => {
      throw new Error('not now')
    })
    t.onBatch((stats) => told.push(stats))
  })
  await using cluster = await LocalCluster.start({ seed: 1 })
  const { errors } = await cluster.complete(graph, { config: { batchRecordsMax: 10 } })
  expect(errors.map(({ message }) => message)).toContain('not now')
  expect(told.map(({ txid }) => txid)).toEqual(told.map((_, i) => i + 1))
})
