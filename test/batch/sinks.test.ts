/** What outputs write of batches that fail, and of processes that die: each batch counts once. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { addBatchComponents } from '../../lib/batch/run/components.ts'
import { DStream } from '../../lib/batch/dstream/dstream.ts'
import { StreamGraph } from '../../lib/batch/dstream/graph.ts'
import type { Output } from '../../lib/batch/dstream/graph.ts'
import { onceFiles } from '../../lib/batch/dstream/outputs.ts'
import { growingFile } from '../../lib/batch/dstream/sinks.ts'
import { generatorSource, topology } from '../../lib/index.ts'
import type { PartitionInfo, SinkContext, TopologyDefinition } from '../../lib/index.ts'
import { Random } from '../../lib/std/random.ts'
import { LocalCluster } from '../../lib/testing/index.ts'
import { topology as topologyOfBolts } from '../../lib/topology/builder.ts'
import { FaultDisk } from './fault-disk.ts'

const range = (to: number): number[] => Array.from({ length: to }, (_, i) => i)

test.each([1, 2, 3])('a sink by txid and partition has each batch once, whatever fails, on %i executors', async (executors) => {
  const table = new Map<string, readonly number[]>()
  const opened: SinkContext[] = []
  const closed: number[] = []
  const committed: number[] = []
  const random = new Random(executors)
  let fails = 0
  const maybeFail = (): void => {
    if (random.below(5) > 0) return
    fails++
    throw new Error('now and then')
  }
  const graph = topology('sinking', (t) => {
    const numbers = t.stream(
      'numbers',
      generatorSource((i) => i, { count: 90, partitions: 4 }),
    )
    numbers.saveTo((context) => {
      opened.push(context)
      return {
        write(values, { topology: name, txid, partition }: PartitionInfo) {
          table.set(`${name} ${txid} ${partition}`, values)
          maybeFail()
        },
        commit({ txid }) {
          maybeFail()
          if (context.taskIndex === 0) committed.push(txid)
        },
        close: () => void closed.push(context.taskIndex),
      }
    })
  })
  await using cluster = await LocalCluster.start({ seed: 2, executors })
  await cluster.complete(graph, { config: { batchRecordsMax: 10, batchAttemptsMax: 100 } })
  expect(fails).toBeGreaterThan(3)
  expect([...table.values()].flat().sort((a, b) => a - b)).toEqual(range(90))
  expect(opened.map(({ taskIndex }) => taskIndex).sort()).toEqual(range(executors))
  expect(opened.every(({ topology: name, taskCount }) => name === 'sinking' && taskCount === executors)).toBe(true)
  expect(closed.sort()).toEqual(range(executors))
  expect(committed).toEqual(committed.toSorted((a, b) => a - b))
})

/** Numbers to an output on this disk; batches throw by chance, after it was written. */
function writing(disk: FaultDisk, mayFail: () => boolean, output: (stream: DStream<number>) => Output): TopologyDefinition {
  return topologyOfBolts('growing', (t) => {
    const graph = new StreamGraph('growing', 0)
    graph.sources.set(
      'numbers',
      generatorSource((i) => i, { count: 12, partitions: 3 }),
    )
    const numbers = new DStream<number>(graph, { name: 'numbers', parents: [] }, (scope) => scope.source<number>('numbers'))
    graph.addOutput(output(numbers))
    numbers.foreachRDD(() => {
      if (mayFail()) throw new Error('now and then')
    })
    graph.finish()
    addBatchComponents(t, graph, disk)
  })
}

test.each([
  ['killed', 1],
  ['powerLost', 2],
] as const)('one file that grows: %s at any step of the disk, on %i executors, it has each record once', async (how, executors) => {
  let crashes = 0
  for (let crashAt = 1, isOver = false; !isOver; crashAt += 2) {
    const random = new Random(crashAt)
    let disk = new FaultDisk(random)
    for (const at of [crashAt, Infinity]) {
      disk.crashAt = at
      const cluster = await LocalCluster.start({ seed: 3, executors })
      try {
        const oneFile = (stream: DStream<number>): Output =>
          growingFile(
            stream.map((n) => [n, 'x']),
            '/disk/out/all.tsv',
            disk,
          ) as Output
        await cluster.complete(
          writing(disk, () => random.below(4) === 0, oneFile),
          {
            config: { stateDir: '/disk', batchRecordsMax: 4, batchAttemptsMax: 6 },
            limitMs: '10m',
          },
        )
      } catch (error) {
        if (!disk.isDown) throw error
      }
      await cluster[Symbol.asyncDispose]().catch(() => undefined)
      isOver = at === crashAt && !disk.isDown
      if (isOver) break
      if (disk.isDown) {
        crashes++
        disk = disk[how]()
      }
    }
    const lines = disk.bytesOf(join('/disk/out', 'all.tsv')).toString().trimEnd().split('\n')
    expect(lines.toSorted((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10))).toEqual(range(12).map((n) => `${n}\tx`))
  }
  expect(crashes).toBeGreaterThan(20)
})

test('files of batches: those that are left of a batch to come go, and the folder is not looked at for each batch', async () => {
  const looks: string[] = []
  class Watched extends FaultDisk {
    override list(path: string): Promise<readonly string[]> {
      if (path === '/disk/out') looks.push(path)
      return super.list(path)
    }
  }
  const disk = new Watched(new Random(1))
  for (const name of ['batch-3.part-7', 'batch-12.part-0.new', 'notes.txt']) await disk.open(`/disk/out/${name}`, 'append')
  let runs = 0
  const definition = writing(
    disk,
    () => ++runs === 5,
    (stream) => onceFiles(stream, '/disk/out') as Output,
  )
  await using cluster = await LocalCluster.start({ seed: 3, executors: 2 })
  await cluster.complete(definition, { config: { stateDir: '/disk', batchRecordsMax: 1 } })
  // at the start, and for the batch that failed
  expect(looks).toHaveLength(2)
  const names = disk.paths.filter((path) => path.startsWith('/disk/out/')).map((path) => path.slice('/disk/out/'.length))
  expect(names).toHaveLength(13)
  expect(names).toContain('notes.txt')
  const lines = names.filter((name) => name !== 'notes.txt').map((name) => Number(disk.bytesOf(`/disk/out/${name}`).toString()))
  expect(lines.sort((a, b) => a - b)).toEqual(range(12))
})
