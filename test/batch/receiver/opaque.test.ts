/**
 * Receivers beside an opaque source, over a disk that crashes. A batch that fails is planned again, and what was written down of those behind it
 * is void; the blocks that they were given must be read all the same, also when the process ends before they are written down anew.
 */
import { describe, expect, test } from 'vitest'
import { addBatchComponents } from '../../../lib/batch/run/components.ts'
import { DStream } from '../../../lib/batch/dstream/dstream.ts'
import { StreamGraph } from '../../../lib/batch/dstream/graph.ts'
import type { BatchSource } from '../../../lib/batch/source.ts'
import { viewState } from '../../../lib/batch/state/inspect.ts'
import { received, stateSpec } from '../../../lib/index.ts'
import type { KeyState, TopologyDefinition } from '../../../lib/index.ts'
import { Random } from '../../../lib/std/random.ts'
import { LocalCluster } from '../../../lib/testing/index.ts'
import { topology } from '../../../lib/topology/builder.ts'
import { FaultDisk } from '../fault-disk.ts'
import { Client } from './client.ts'

const stateDir = '/disk'
const numbersMax = 10

interface Slice {
  readonly from: number
  readonly to: number
}

/** The numbers below `numbersMax`, one or two a batch, now and then none. */
function numbers(random: Random): BatchSource<number> {
  return {
    kind: 'opaque',
    planner: () => {
      let taken = 0
      return {
        next: (last) => {
          const from = (taken = last === undefined ? 0 : (last as Slice).to)
          if (from === numbersMax || random.below(3) === 0) return undefined
          taken = Math.min(numbersMax, from + 1 + random.below(2))
          return { from, to: taken }
        },
        get hasEnded() {
          return taken === numbersMax
        },
      }
    },
    reader: () => ({
      partitions: () => 1,
      read: (range, _, push) => {
        const { from, to } = range as Slice
        for (let n = from; n < to; n++) push(n)
      },
    }),
  }
}

const counting = stateSpec((_: string, n: number | undefined, state: KeyState<number>) => {
  state.update((state.getOption() ?? 0) + (n ?? 0))
  return state.get()
})

function counts(client: Client, disk: FaultDisk, random: Random): TopologyDefinition {
  return topology('counting', (t) => {
    const graph = new StreamGraph('counting', 0)
    graph.sources.set('numbers', numbers(random))
    graph.received.set('ids', received([client.receiver(disk), client.receiver(disk)]))
    const stream = (id: string): DStream<string> =>
      new DStream<number>(graph, { name: id, parents: [] }, (scope) => scope.source<number>(id)).map((n) => `${id} ${n}`)
    stream('numbers')
      .union(stream('ids'))
      .map((key) => [key, 1])
      .reduceByKey((a, b) => a + b)
      .mapWithState(counting, { name: 'counts' })
      .foreachRDD(() => {
        if (random.below(3) === 0) throw new Error('as the seed would have it')
      })
    graph.finish()
    addBatchComponents(t, graph, disk)
  })
}

/** Runs to the end, or to the crash of the disk; what else ends a run is an error of ours. */
async function run(client: Client, disk: FaultDisk, random: Random, executors: number): Promise<void> {
  const cluster = await LocalCluster.start({ seed: 3, executors, patienceMs: 0 })
  try {
    const config = { stateDir, batchAttemptsMax: 20, batchesPendingMax: 3 }
    await cluster.complete(counts(client, disk, random), { config, limitMs: '1m' })
  } catch (error) {
    if (!disk.isDown) throw error
  } finally {
    await cluster[Symbol.asyncDispose]().catch(() => undefined)
  }
}

async function check(client: Client, disk: FaultDisk): Promise<void> {
  const view = await viewState(stateDir, 'counting', disk)
  const counted = new Map(view.entries('counts') as Iterable<[string, number]>)
  await view.close()
  for (let n = 0; n < numbersMax; n++) expect(counted.get(`numbers ${n}`), `number ${n}`).toBe(1)
  expect(client.acknowledged.size).toBe(client.total)
  for (const [id, times] of client.sent) {
    const count = counted.get(`ids ${id}`) ?? 0
    expect(count, `id ${id}, sent ${times} times`).toBeGreaterThanOrEqual(1)
    expect(count, `id ${id}, sent ${times} times`).toBeLessThanOrEqual(times)
  }
}

describe.each([1, 2])('on %i executors', (executors) => {
  test.each(['killed', 'powerLost'] as const)('%s at any step of the disk, all is counted', async (how) => {
    let crashes = 0
    for (let crashAt = 20; crashAt < 140; crashAt += 5) {
      const random = new Random(crashAt)
      const client = new Client(12)
      let disk = new FaultDisk(random)
      for (const at of [crashAt, 1 + random.below(60), Infinity]) {
        disk.crashAt = at
        await run(client, disk, random, executors)
        if (disk.isDown) crashes++
        client.crashed()
        disk = disk.isDown ? disk[how]() : disk.killed()
      }
      await check(client, disk)
    }
    expect(crashes).toBeGreaterThan(20)
  })
})
