/** Streams of tuples into batches, and batches out to bolts. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { defineBolt, defineSpout, topology, z } from '../../lib/index.ts'
import type { DStream, StreamTopologyBuilder } from '../../lib/index.ts'
import { LocalCluster } from '../../lib/testing/index.ts'

const Num = z.object({ n: z.int() })
const total = 200

/** The numbers below `total`, a few at a time, each again until it is done. */
const numbers = (pauseMs = 3) =>
  defineSpout({
    output: Num,
    replay: true,
    open({ now, taskIndex, taskCount }) {
      let n = taskIndex
      let dueMs = 0
      return (out) => {
        if (n >= total) return out.end()
        if (now() < dueMs) return
        dueMs = now() + pauseMs
        for (let i = 0; i < 5 && n < total; i++, n += taskCount) out.emit({ n })
      }
    },
  })

const even = defineBolt({ input: Num, output: Num, execute: ({ n }, out) => void (n % 2 === 0 && out.emit({ n })) })

interface Found {
  readonly txid: number
  readonly values: readonly number[]
}

/** What each batch of a stream of numbers had. */
function noting(found: Found[]): (stream: DStream<number>) => void {
  return (stream) =>
    stream.foreachRDD(async (rdd, { txid }) => {
      found.push({ txid, values: await rdd.collect() })
    })
}

const valuesOf = (found: readonly Found[]): number[] => found.flatMap(({ values }) => values).sort((a, b) => a - b)
const all = Array.from({ length: total }, (_, n) => n)

describe.each([1, 2, 3])('on %d executors', (executors) => {
  test.each([
    ['an interval', '20ms'],
    ['no interval', 0],
  ])('tuples become records of batches, each once, and the run ends by itself: %s', async (_, batchInterval) => {
    const found: Found[] = []
    const definition = topology('into', (t) => {
      const source = t.spout('numbers', numbers(), { parallelism: 2 })
      const evens = t.bolt('even', even, { parallelism: 3 }).shuffle(source)
      noting(found)(t.stream('all', source, { batchInterval }).map(({ n }) => n))
      noting(found)(t.stream('evens', evens, { batchInterval }).map(({ n }) => n + 1_000))
    })
    await using local = await LocalCluster.start({ seed: 11, executors })
    const { result } = await local.complete(definition, { limitMs: '1m' })
    expect(valuesOf(found)).toEqual([...all, ...all.filter((n) => n % 2 === 0).map((n) => n + 1_000)])
    expect(found.filter(({ values }) => values.length > 0).length).toBeGreaterThan(5)
    expect(result).toMatchObject({ state: 'finished', failed: 0, replayed: 0 })
    expect(result.acked).toBe(result.emitted)
  })

  test('a batch that fails runs again with the same records', async () => {
    const found: Found[] = []
    const failed: Found[] = []
    const definition = topology('again', (t) => {
      const records = t.stream('all', t.spout('numbers', numbers()), { batchInterval: '10ms' }).map(({ n }) => n)
      records.foreachRDD(async (rdd, { txid }) => {
        const values = await rdd.collect()
        if (txid % 3 === 0 && !failed.some((one) => one.txid === txid)) {
          failed.push({ txid, values })
          throw new Error('once')
        }
        found.push({ txid, values })
      })
    })
    await using local = await LocalCluster.start({ seed: 12, executors })
    const { result } = await local.complete(definition, { limitMs: '1m' })
    expect(valuesOf(found)).toEqual(all)
    expect(failed.flatMap(({ values }) => values).length).toBeGreaterThan(0)
    for (const { txid, values } of failed) expect(found.find((one) => one.txid === txid)?.values).toEqual(values)
    expect(result).toMatchObject({ state: 'finished', replayed: 0 })
  })

  test('windows over tuples are made again after a failure', async () => {
    const batches = new Map<number, number>()
    const windows = new Map<number, number>()
    const failedAt = new Set<number>()
    const definition = topology('windows', (t) => {
      const records = t.stream('all', t.spout('numbers', numbers(5)), { batchInterval: '10ms' })
      records.count().foreachRDD(async (rdd, { timeMs }) => void batches.set(timeMs, await rdd.first()))
      records
        .window('40ms', '20ms')
        .count()
        .foreachRDD(async (rdd, { timeMs }) => {
          if (failedAt.size < 4 && !failedAt.has(timeMs)) {
            failedAt.add(timeMs)
            throw new Error('once')
          }
          windows.set(timeMs, await rdd.first())
        })
    })
    await using local = await LocalCluster.start({ seed: 13, executors })
    await local.complete(definition, { limitMs: '1m' })
    expect([...batches.values()].reduce((sum, n) => sum + n, 0)).toBe(total)
    expect(failedAt.size).toBe(4)
    expect(windows.size).toBeGreaterThan(4)
    for (const [timeMs, n] of windows) {
      const inside = [...batches].filter(([time]) => time > timeMs - 40 && time <= timeMs)
      expect(n).toBe(inside.reduce((sum, [, count]) => sum + count, 0))
    }
  })

  test('records become tuples of bolts, by key', async () => {
    const definition = topology('out', (t) => outOf(t, 'sink', sink()))
    await using local = await LocalCluster.start({ seed: 14, executors })
    const completed = await local.complete(definition, { limitMs: '1m' })
    const got = completed.executed('sink').map(({ values, task }) => ({ ...(values as { txid: number; n: number; key: string }), task }))
    expect(got.map(({ n }) => n).sort((a, b) => a - b)).toEqual(all)
    const tasks = new Map(got.map(({ key, task }) => [key, task]))
    for (const { key, task } of got) expect(tasks.get(key)).toBe(task)
    // a batch's tuples are done before the next one's come
    const txids = got.map(({ txid }) => txid)
    expect(txids).toEqual(txids.toSorted((a, b) => a - b))
    expect(completed.result.state).toBe('finished')
  })

  test('a bolt that fails a tuple makes its batch come again, with the same txid', async () => {
    const failed = new Set<number>()
    const definition = topology('fails', (t) =>
      outOf(
        t,
        'sink',
        sink((n) => n % 50 === 7 && !failed.has(n) && failed.add(n) !== undefined),
      ),
    )
    await using local = await LocalCluster.start({ seed: 15, executors })
    const completed = await local.complete(definition, { limitMs: '1m' })
    const txids = new Map<number, Set<number>>()
    for (const { values } of completed.executed('sink')) {
      const { n, txid } = values as { n: number; txid: number }
      txids.set(n, (txids.get(n) ?? new Set()).add(txid))
    }
    expect([...txids.keys()].sort((a, b) => a - b)).toEqual(all)
    for (const of of txids.values()) expect(of.size).toBe(1)
    expect(completed.executed('sink').length).toBeGreaterThan(total)
    expect([...failed].sort((a, b) => a - b)).toEqual([7, 57, 107, 157])
  })

  test('batches count a state exactly once between tuples and tuples', async () => {
    const sums = new Map<string, number>()
    const failed = new Set<number>()
    const definition = topology('through', (t) => {
      const counted = t
        .stream('all', t.spout('numbers', numbers()), { batchInterval: '10ms' })
        .map(({ n }) => [`key ${n % 5}`, n])
        .updateStateByKey<string, number, number>((values, sum = 0) => values.reduce((a, b) => a + b, sum))
      const Sum = z.object({ key: z.string(), sum: z.int() })
      const out = counted.toTuples('sums', Sum, ([key, sum]) => ({ key, sum }))
      const last = defineBolt({
        input: Sum,
        execute({ key, sum }) {
          if (sum > 300 && !failed.has(sum)) {
            failed.add(sum)
            if (failed.size < 4) throw new Error('once')
          }
          sums.set(key, sum)
        },
      })
      t.bolt('last', last, { parallelism: 2 }).fields(out, ['key'])
    })
    await using local = await LocalCluster.start({ seed: 16, executors })
    await local.complete(definition, { limitMs: '1m' })
    for (let key = 0; key < 5; key++) expect(sums.get(`key ${key}`)).toBe(all.filter((n) => n % 5 === key).reduce((a, b) => a + b, 0))
  })
})

const Out = z.object({ txid: z.int(), n: z.int(), key: z.string() })

const sink = (fails: (n: number) => boolean = () => false) =>
  defineBolt({
    input: Out,
    execute({ n }) {
      if (fails(n)) throw new Error('not this one')
    },
  })

function outOf(t: StreamTopologyBuilder, id: string, bolt: ReturnType<typeof sink>): void {
  const records = t.stream('all', t.spout('numbers', numbers()), { batchInterval: '10ms' })
  const out = records.toTuples('out', Out, ({ n }, { txid }) => ({ txid, n, key: `key ${n % 4}` }))
  t.bolt(id, bolt, { parallelism: 2 }).fields(out, ['key'])
}

test.each([0, 1, 2])('executor %d of 3 dies: every tuple is in a batch at least once', async (victim) => {
  const found: Found[] = []
  const stateDir = mkdtempSync(join(tmpdir(), 'squall-bridges-'))
  const definition = topology('dies', (t) => {
    noting(found)(t.stream('all', t.spout('numbers', numbers(), { parallelism: 3 }), { batchInterval: '10ms' }).map(({ n }) => n))
  })
  try {
    await using local = await LocalCluster.start({ seed: 17, executors: 3 })
    const running = await local.submit(definition, { config: { stateDir } })
    await running.advance(55)
    running.killExecutor(victim)
    const result = await running.complete('1m')
    expect(result.state).toBe('finished')
    expect([...new Set(valuesOf(found))]).toEqual(all)
  } finally {
    rmSync(stateDir, { recursive: true, force: true })
  }
})

describe('what is refused', () => {
  test.each([
    ['intake-unbounded', { ack: false }],
    ['intake-expires', { messageTimeoutMs: 1_500 }],
  ])('%s', async (code, config) => {
    await using local = await LocalCluster.start()
    const definition = topology('refused', (t) => {
      t.stream('all', t.spout('numbers', numbers()), { batchInterval: '1s' }).print()
    })
    await expect(local.complete(definition, { config })).rejects.toMatchObject({ code })
  })

  test('two streams of tuples with one name', async () => {
    await using local = await LocalCluster.start()
    const definition = topology('twice', (t) => {
      const records = t.stream('all', t.spout('numbers', numbers()))
      for (let i = 0; i < 2; i++) records.toTuples('out', Num, ({ n }) => ({ n }))
    })
    await expect(local.complete(definition)).rejects.toMatchObject({ code: 'duplicate-id' })
  })
})
