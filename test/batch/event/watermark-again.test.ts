/** The watermark when batches run again, and when a topology starts again: nothing is late that was not. */
import { expect, test } from 'vitest'
import { openBatchLog } from '../../../lib/batch/run/batch-log.ts'
import { addBatchComponents } from '../../../lib/batch/run/components.ts'
import { DStream } from '../../../lib/batch/dstream/dstream.ts'
import { StreamGraph } from '../../../lib/batch/dstream/graph.ts'
import type { FileSystem } from '../../../lib/batch/log/file-system.ts'
import { memorySource, tumblingWindow } from '../../../lib/index.ts'
import type { TopologyDefinition, WatermarkPolicy } from '../../../lib/index.ts'
import { Random } from '../../../lib/std/random.ts'
import { LocalCluster } from '../../../lib/testing/index.ts'
import { topology } from '../../../lib/topology/builder.ts'
import { FaultDisk } from '../fault-disk.ts'

interface Event {
  readonly user: string
  readonly at: number
}

/** What the batches gave, by txid: the last try of each. */
type Found = Map<number, { readonly rows: readonly string[]; readonly dropped: number; readonly watermarkMs: number }>

const seconds = [[1, 4], [11], [8, 15], [2, 22], [14, 19], [31], [24, 9]] as const

/** Each batch moves the watermark on, and the next has records that are just in time and others that are late. */
function counted(files: FileSystem, found: Found, fails: (txid: number) => boolean): TopologyDefinition {
  const source = memorySource<Event>({ partitions: 2, oneAtATime: true })
  for (const chunk of seconds) source.add(...chunk.map((at) => ({ user: at % 2 === 0 ? 'a' : 'b', at: at * 1000 })))
  source.end()
  return topology('counted', (t) => {
    const graph = new StreamGraph('counted', 0)
    graph.sources.set('events', source)
    new DStream<Event>(graph, { name: 'events', parents: [] }, (scope) => scope.source<Event>('events'))
      .withWatermark('at', '5s')
      .groupBy('user', tumblingWindow('5s'))
      .count()
      .foreachRDD(async (rdd, { txid, watermarkMs, operators }) => {
        if (fails(txid)) throw new Error('once')
        const rows = (await rdd.collect()).map((row) => JSON.stringify(row)).toSorted()
        found.set(txid, { rows, dropped: operators[0]?.dropped ?? 0, watermarkMs })
      })
    graph.finish()
    addBatchComponents(t, graph, files)
  })
}

interface Faults {
  readonly fails?: (txid: number) => boolean
  readonly files?: FileSystem
}

async function run(executors: number, { fails = () => false, files = new FaultDisk(new Random(1)) }: Faults = {}): Promise<Found> {
  const found: Found = new Map()
  await using cluster = await LocalCluster.start({ seed: 11, executors })
  await cluster.complete(counted(files, found, fails), { config: { stateDir: '/disk' }, limitMs: '10m' })
  return found
}

/** A disk on which every fifth sync of a file fails, of those whose path ends so. */
function flaky(disk: FileSystem, end: RegExp): { readonly files: FileSystem; failures: number } {
  let syncs = 0
  const flawed = {
    failures: 0,
    files: {
      ...methodsOf(disk),
      async open(path: string, mode: 'append' | 'read') {
        const file = await (mode === 'read' ? disk.open(path, mode) : disk.open(path, mode))
        if (file === undefined || mode === 'read' || !end.test(path)) return file
        return {
          ...methodsOf(file),
          async sync() {
            if (syncs++ % 5 === 4) {
              flawed.failures++
              throw new Error('the disk did not')
            }
            await file.sync()
          },
        }
      },
    } as FileSystem,
  }
  return flawed
}

/** Its methods, those of its class too, bound. */
function methodsOf<T extends object>(of: T): T {
  const names = [of, Object.getPrototypeOf(of) as object].flatMap((one) => Object.getOwnPropertyNames(one))
  const methods = names.flatMap((name): [string, unknown][] => {
    const value: unknown = name === 'constructor' ? undefined : of[name as keyof T]
    return typeof value === 'function' ? [[name, (value as () => unknown).bind(of)]] : []
  })
  return Object.fromEntries(methods) as T
}

test('a batch that fails at its output runs again with the same watermarks', async () => {
  const expected = await run(1)
  expect([...expected.values()].map(({ dropped }) => dropped).filter((n) => n > 0)).toEqual([1, 1])
  for (const executors of [1, 2, 3]) {
    const thrown = new Set<number>()
    const found = await run(executors, { fails: (txid) => !thrown.has(txid) && thrown.add(txid).has(txid) })
    expect(thrown.size).toBe(expected.size)
    expect(found).toEqual(expected)
  }
})

test('so does one that a task could not write down, when others had seen its event times', async () => {
  const expected = await run(1)
  const disk = flaky(new FaultDisk(new Random(1)), /task-1.changes-\d+\.log$/)
  const found = await run(2, { files: disk.files })
  expect(disk.failures).toBeGreaterThan(1)
  expect(found).toEqual(expected)
})

test('a topology keeps the watermark policy that it began with, and says so', async () => {
  const found: number[] = []
  const disk = new FaultDisk(new Random(1))
  const graph = (policy: WatermarkPolicy, chunks: number): TopologyDefinition =>
    topology('pinned', (t) => {
      const streams = new StreamGraph('pinned', 0)
      streams.watermarkPolicy = policy
      const [fast, slow] = ['fast', 'slow'].map((id, i) => {
        const source = memorySource<Event>({ oneAtATime: true })
        for (const at of [20, 40, 60, 80].slice(0, chunks)) source.add({ user: 'a', at: at * (i === 0 ? 1000 : 100) })
        source.end()
        streams.sources.set(id, source)
        return new DStream<Event>(streams, { name: id, parents: [] }, (scope) => scope.source<Event>(id)).withWatermark('at', '5s')
      })
      fast?.union(slow as typeof fast).foreachRDD((_, { watermarkMs }) => void found.push(watermarkMs))
      streams.finish()
      addBatchComponents(t, streams, disk)
    })
  const again = async (policy: WatermarkPolicy, chunks: number): Promise<number[]> => {
    found.length = 0
    await using cluster = await LocalCluster.start({ seed: 11, executors: 2 })
    await cluster.complete(graph(policy, chunks), { config: { stateDir: '/disk' } })
    return [...found]
  }
  expect(await again('max', 2)).toEqual([0, 15_000, 35_000])
  expect(await again('min', 4)).toEqual([35_000, 55_000, 75_000])
  const warnings: string[] = []
  await openBatchLog('/disk', disk, 'max', (warning) => void warnings.push(warning))
  expect(warnings).toEqual([])
  await openBatchLog('/disk', disk, 'min', (warning) => void warnings.push(warning))
  expect(warnings).toEqual([expect.stringContaining("policy stays 'max'")])
})
