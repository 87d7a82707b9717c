/**
 * Receivers over a disk in memory that crashes between every two of its steps: block logs, the tracker's log, offsets, commits, state. What was acknowledged must be
 * counted, and nothing twice that was sent once; the next run finds what was written, or what was synced.
 */
import { describe, expect, test } from 'vitest'
import { addBatchComponents } from '../../../lib/batch/run/components.ts'
import { DStream } from '../../../lib/batch/dstream/dstream.ts'
import { StreamGraph } from '../../../lib/batch/dstream/graph.ts'
import { viewState } from '../../../lib/batch/state/inspect.ts'
import { received, stateSpec } from '../../../lib/index.ts'
import type { KeyState, TopologyDefinition } from '../../../lib/index.ts'
import { Random } from '../../../lib/std/random.ts'
import { LocalCluster } from '../../../lib/testing/index.ts'
import { topology } from '../../../lib/topology/builder.ts'
import { FaultDisk } from '../fault-disk.ts'
import { Client } from './client.ts'

const stateDir = '/disk'
const counting = stateSpec((_: number, n: number | undefined, state: KeyState<number>) => {
  state.update((state.getOption() ?? 0) + (n ?? 0))
  return state.get()
})

function counts(client: Client, disk: FaultDisk): TopologyDefinition {
  return topology('counting', (t) => {
    const graph = new StreamGraph('counting', 0)
    graph.received.set('ids', received([client.receiver(disk), client.receiver(disk)]))
    new DStream<number>(graph, { name: 'ids', parents: [] }, (scope) => scope.source<number>('ids'))
      .map((id) => [id, 1])
      .reduceByKey((a, b) => a + b)
      .mapWithState(counting, { name: 'counts' })
      .foreachPartition(() => undefined)
    graph.finish()
    addBatchComponents(t, graph, disk)
  })
}

/** Runs to the end, or to the crash of the disk; what else ends a run is an error of ours. */
async function run(client: Client, disk: FaultDisk, executors: number): Promise<void> {
  const cluster = await LocalCluster.start({ seed: 3, executors })
  try {
    await cluster.complete(counts(client, disk), { config: { stateDir, batchAttemptsMax: 1 }, limitMs: '1m' })
  } catch (error) {
    if (!disk.isDown) throw error
  } finally {
    await cluster[Symbol.asyncDispose]().catch(() => undefined)
  }
}

async function check(client: Client, disk: FaultDisk): Promise<void> {
  const view = await viewState(stateDir, 'counting', disk)
  const counted = new Map(view.entries('counts') as Iterable<[number, number]>)
  await view.close()
  expect(client.acknowledged.size).toBe(client.total)
  for (const [id, times] of client.sent) {
    const count = counted.get(id) ?? 0
    expect(count, `id ${id}, sent ${times} times`).toBeGreaterThanOrEqual(1)
    expect(count, `id ${id}, sent ${times} times`).toBeLessThanOrEqual(times)
  }
}

describe.each([1, 2])('on %i executors', (executors) => {
  test.each(['killed', 'powerLost'] as const)('%s at any step of the disk, nothing that was acknowledged is lost', async (how) => {
    let crashes = 0
    for (let crashAt = 1, isOver = false; !isOver; crashAt++) {
      const random = new Random(crashAt)
      const client = new Client(12)
      let disk = new FaultDisk(random)
      // the second crash comes somewhere in what the first one has left to do, with another number of executors
      for (const [at, tasks] of [
        [crashAt, executors],
        [1 + random.below(100), 1 + random.below(3)],
        [Infinity, executors],
      ] as const) {
        disk.crashAt = at
        await run(client, disk, tasks)
        isOver = at === crashAt && !disk.isDown
        if (isOver) break
        if (disk.isDown) crashes++
        client.crashed()
        disk = disk.isDown ? disk[how]() : disk.killed()
      }
      await check(client, disk.killed())
    }
    expect(crashes).toBeGreaterThan(60)
  })
})
