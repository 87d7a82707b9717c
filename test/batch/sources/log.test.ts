/** The log on disk: what is appended, what a stream reads of it, and each record in one committed batch, whatever fails. */
import { appendFileSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { HashPartitioner, generatorSource, logSource, openLog, topology } from '../../../lib/index.ts'
import type { LogOptions, LogSourceOptions, LogWriter, StreamOptions } from '../../../lib/index.ts'
import { Random } from '../../../lib/std/random.ts'
import { LocalCluster } from '../../../lib/testing/index.ts'
import { FaultDisk } from '../fault-disk.ts'

let root = ''
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'squall-log-'))
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

const newFolder = (): string => mkdtempSync(join(root, 'log-'))
const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i)
const ascending = (numbers: readonly number[]): number[] => numbers.toSorted((a, b) => a - b)
const segmentsIn = (folder: string, partition: number): string[] => readdirSync(join(folder, `partition-${partition}`)).sort()

/** Appends numbers, a few at a time. */
async function write(folder: string, numbers: readonly number[], options: LogOptions = {}): Promise<void> {
  const log = await openLog<number>(folder, options)
  for (let i = 0; i < numbers.length; i += 7) await log.appendAll(numbers.slice(i, i + 7), (n) => n)
  await log.close()
}

interface Read {
  readonly executors?: number
  readonly source?: LogSourceOptions
  readonly stream?: StreamOptions
  readonly config?: Readonly<Record<string, unknown>>
}

/** What the batches of a log hold, until its end. */
async function read(folder: string, { executors = 1, source = {}, stream = {}, config = {} }: Read = {}): Promise<number[][]> {
  const batches: number[][] = []
  const graph = topology('reads', (t) => {
    t.stream('log', logSource<number>(folder, { follow: false, ...source }), stream).foreachRDD(async (rdd) => {
      const records = await rdd.collect()
      if (records.length > 0) batches.push(records)
    })
  })
  await using cluster = await LocalCluster.start({ seed: 1, executors })
  await cluster.complete(graph, { config })
  return batches
}

describe('writing', () => {
  test('keeps the order of a partition, and equal keys together', async () => {
    const folder = newFolder()
    const log = await openLog<string>(folder, { partitions: 3 })
    const places = await Promise.all(['a', 'b', 'a', 'c', 'a'].map((key, i) => log.append(`${key}${i}`, { key })))
    const partition = places[0]?.partition
    expect(places.filter((_, i) => [0, 2, 4].includes(i)).map((place) => place.partition)).toEqual([partition, partition, partition])
    expect(log.offsets.reduce((a, b) => a + b, 0)).toBe(5)
    await log.close()
    const again = await openLog<string>(folder)
    expect([again.partitions, again.offsets]).toEqual([3, log.offsets])
    await expect(again.append('x')).resolves.toEqual({ partition: 0, offset: log.offsets[0] })
    await again.close()
    await expect(again.append('y')).rejects.toMatchObject({ code: 'log-closed' })
  })

  test('several writers of a process are one; the last one closes', async () => {
    const folder = newFolder()
    const [a, b] = await Promise.all([openLog<number>(folder), openLog<number>(folder)])
    const places = await Promise.all(range(0, 20).map((n) => (n % 2 === 0 ? a : b).append(n)))
    expect(places.map(({ offset }) => offset)).toEqual(range(0, 20))
    await a.close()
    await b.append(20)
    await b.close()
    expect(await read(folder)).toEqual([range(0, 21)])
    await expect(openLog(folder, { partitions: 2 })).rejects.toMatchObject({ code: 'bad-option' })
    await expect(openLog(folder, { segmentBytes: 0 })).rejects.toMatchObject({ code: 'bad-option' })
    // what was refused holds nothing
    await (await openLog(folder, { partitions: 1 })).close()
  })

  test('a log that another process writes to is refused', async () => {
    const folder = newFolder()
    writeFileSync(join(folder, 'lock'), JSON.stringify({ pid: process.ppid, started: startOf(process.ppid), run: 'other' }))
    await expect(openLog(folder)).rejects.toMatchObject({ code: 'log-in-use' })
  })

  test('segments: they follow each other, and the oldest go', async () => {
    const folder = newFolder()
    await write(folder, range(0, 300), { segmentBytes: 100 })
    expect(segmentsIn(folder, 0).length).toBeGreaterThan(3)
    expect((await read(folder)).flat()).toEqual(range(0, 300))
    await write(folder, range(300, 400), { segmentBytes: 100, retainBytes: 300 })
    const [oldest = ''] = segmentsIn(folder, 0)
    expect(Number.parseInt(oldest, 10)).toBeGreaterThan(300)
    expect((await read(folder)).flat()).toEqual(range(Number.parseInt(oldest, 10), 400))
  })

  test.each(['killed', 'powerLost'] as const)('%s at any step: what was acknowledged is there, once and in order', async (how) => {
    for (let crashAt = 1, isOver = false; !isOver; crashAt++) {
      const random = new Random(crashAt)
      let disk = new FaultDisk(random)
      const folder = join(root, `crash-${how}-${crashAt}`)
      disk.crashAt = crashAt
      const acknowledged: number[] = []
      let writer: LogWriter<number> | undefined
      try {
        writer = await openLog<number>(folder, { segmentBytes: 60 }, disk)
        for (const n of range(0, 12)) acknowledged[(await writer.append(n)).offset] = n
      } catch (error) {
        if (!disk.isDown) throw error
      }
      await writer?.close()
      isOver = !disk.isDown
      disk = disk[how]()
      const offsets = range(0, acknowledged.length)
      expect(offsets.map((offset) => acknowledged[offset])).toEqual(offsets)
      const log = await openLog<number>(folder, { segmentBytes: 60 }, disk)
      expect(log.offsets[0]).toBeGreaterThanOrEqual(acknowledged.length)
      expect(log.offsets[0]).toBeLessThanOrEqual(acknowledged.length + 1)
      await log.close()
    }
  })
})

describe('reading', () => {
  test.each([1, 2, 3])('each record once, on %i executors, in batches of any size', async (executors) => {
    const folder = newFolder()
    await write(folder, range(0, 200), { partitions: 3, segmentBytes: 150 })
    for (const batchRecordsMax of [5, 40, 1_000]) {
      const batches = await read(folder, { executors, config: { batchRecordsMax } })
      expect(ascending(batches.flat())).toEqual(range(0, 200))
      expect(Math.max(...batches.map(({ length }) => length))).toBeLessThanOrEqual(Math.max(batchRecordsMax, 3))
    }
  })

  test('a limit of a partition, and of all divided by what waits', async () => {
    const folder = newFolder()
    const log = await openLog<number>(folder, { partitions: 2 })
    const [a, b] = [range(0, 100).find((n) => place(n) === 0), range(0, 100).find((n) => place(n) === 1)] as [number, number]
    await log.appendAll([...new Array<number>(30).fill(a), ...new Array<number>(10).fill(b)], (n) => n)
    await log.close()
    const count = (batch: readonly number[] = [], n: number): number => batch.filter((one) => one === n).length
    const shared = await read(folder, { stream: { batchInterval: '1s', maxRate: 8 } })
    expect([count(shared[0], a), count(shared[0], b)]).toEqual([6, 2])
    const bounded = await read(folder, { stream: { batchInterval: '1s', maxRatePerPartition: 7 } })
    expect(bounded.map((batch) => [count(batch, a), count(batch, b)])).toEqual([
      [7, 7],
      [7, 3],
      [7, 0],
      [7, 0],
      [2, 0],
    ])
  })

  test('goes on behind what was committed, and follows what is written meanwhile', async () => {
    const folder = newFolder()
    const stateDir = newFolder()
    const found: number[] = []
    const graph = topology('follows', (t) => {
      t.stream('log', logSource<number>(folder)).foreachRDD(async (rdd) => void found.push(...(await rdd.collect())))
    })
    let written = 0
    for (let i = 0; i < 3; i++) {
      await using cluster = await LocalCluster.start({ seed: i, executors: 1 + i })
      await write(folder, range(written, (written += 20)), { partitions: 2, segmentBytes: 200 })
      const running = await cluster.submit(graph, { config: { stateDir } })
      await running.advance('1s')
      await write(folder, range(written, (written += 20)), { segmentBytes: 200 })
      await running.advance('1s')
      expect(ascending(found)).toEqual(range(0, written))
    }
  })

  test('a write that a crash cut short is not there; a log that is broken in the middle is refused', async () => {
    const folder = newFolder()
    await write(folder, range(0, 20))
    const segment = join(folder, 'partition-0', segmentsIn(folder, 0)[0] as string)
    const { size } = statSync(segment)
    appendFileSync(segment, Buffer.from('sqf1 the beginning of a frame'))
    expect(await read(folder)).toEqual([range(0, 20)])
    truncateSync(segment, size)
    const bytes = readFileSync(segment)
    bytes[20] = 255 - (bytes[20] as number)
    writeFileSync(segment, bytes)
    await expect(read(folder)).rejects.toMatchObject({ code: 'log-corrupt', where: { stream: 'log' } })
  })

  test('no log, and records that are not kept any more', async () => {
    await expect(read(join(root, 'nowhere'))).rejects.toMatchObject({ code: 'file-not-found', where: { stream: 'log' } })
    const folder = newFolder()
    const stateDir = newFolder()
    await write(folder, range(0, 50), { segmentBytes: 60 })
    const config = { stateDir, batchRecordsMax: 10 }
    const graph = topology('late', (t) => t.stream('log', logSource<number>(folder)).foreachRDD(() => undefined))
    {
      await using cluster = await LocalCluster.start({ seed: 1 })
      const running = await cluster.submit(graph, { config })
      await running.advance(5)
    }
    await write(folder, range(50, 400), { segmentBytes: 60, retainBytes: 60 })
    await using cluster = await LocalCluster.start({ seed: 1 })
    await expect(cluster.complete(graph, { config })).rejects.toMatchObject({ code: 'source-changed', where: { stream: 'log' } })
  })
})

describe('a partition that is away for a while', () => {
  test.each([
    ['transactional', 1],
    ['opaque', 1],
    ['opaque', 3],
  ] as const)('%s: new batches go on without it, and take its records later, on %i executors', async (kind, executors) => {
    const folder = newFolder()
    await write(folder, range(0, 60), { partitions: 2 })
    const found: number[] = []
    const graph = topology('away', (t) => {
      t.stream('log', logSource<number>(folder, { kind })).foreachRDD(async (rdd) => void found.push(...(await rdd.collect())))
    })
    const partition = join(folder, 'partition-1')
    renameSync(partition, `${partition}.away`)
    await using cluster = await LocalCluster.start({ seed: 4, executors })
    const running = await cluster.submit(graph, { config: { batchRecordsMax: 20 } })
    await running.advance('1s')
    expect(ascending(found)).toEqual(range(0, 60).filter((n) => place(n) === 0))
    renameSync(`${partition}.away`, partition)
    await running.advance('1s')
    expect(ascending(found)).toEqual(range(0, 60))
  })

  /** A batch is planned with both partitions; one goes while it is committed and is back later. It is tried after 50, 150 and 350 ms. */
  async function goneInABatch(kind: 'transactional' | 'opaque', backMs: number): Promise<{ held: [number, number[]][]; sums: number[] }> {
    const folder = newFolder()
    await write(folder, range(0, 60), { partitions: 2 })
    const partition = join(folder, 'partition-1')
    const held = new Map<number, number[]>()
    let sums: number[] = []
    let isGone = false
    const graph = topology('gone', (t) => {
      const numbers = t.stream('log', logSource<number>(folder, { kind }))
      t.stream(
        'first',
        generatorSource((i) => i, { count: 3 }),
      ).foreachRDD((_, { txid }) => {
        if (txid !== 2 || isGone) return
        isGone = true
        renameSync(partition, `${partition}.away`)
      })
      numbers.foreachRDD(async (rdd, { txid }) => void held.set(txid, await rdd.collect()))
      numbers
        .map((n) => [n, 1])
        .updateStateByKey<number, number, number>((ones, sum = 0) => sum + ones.length, { name: 'counts' })
        .foreachRDD(async (rdd) => {
          sums = await rdd.values().collect()
        })
    })
    await using cluster = await LocalCluster.start({ seed: 4, executors: 2 })
    const running = await cluster.submit(graph, { config: { batchRecordsMax: 20, stateDir: newFolder() } })
    await running.advance(backMs)
    renameSync(`${partition}.away`, partition)
    await running.advance('5s')
    return { held: [...held], sums }
  }

  test('opaque: the batch runs again without it, and its records come later, once', async () => {
    const { held, sums } = await goneInABatch('opaque', 120)
    const second = held.find(([txid]) => txid === 2)?.[1] ?? []
    expect(second.length).toBeGreaterThan(0)
    expect(second.filter((n) => place(n) === 1)).toEqual([])
    expect(ascending(held.flatMap(([, numbers]) => numbers))).toEqual(range(0, 60))
    expect(sums).toEqual(new Array(60).fill(1))
  })

  test('transactional: the batch waits for it', async () => {
    const { held, sums } = await goneInABatch('transactional', 120)
    expect(held.find(([txid]) => txid === 2)?.[1].some((n) => place(n) === 1)).toBe(true)
    expect(ascending(held.flatMap(([, numbers]) => numbers))).toEqual(range(0, 60))
    expect(sums).toEqual(new Array(60).fill(1))
    await expect(goneInABatch('transactional', 1_000)).rejects.toMatchObject({
      code: 'batch-failed',
      what: expect.stringContaining('partition-1') as string,
    })
  })
})

/** The partition of a number in a log of two. */
function place(n: number): number {
  return new HashPartitioner(2).partitionOf(n)
}

function startOf(pid: number): string {
  return (
    readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')[19] ?? ''
  )
}
