/** A source that gives nothing for a long time goes on where it was after a restart, though the batches that it was in are forgotten. */
import { expect, test } from 'vitest'
import { addBatchComponents } from '../../lib/batch/run/components.ts'
import { DStream } from '../../lib/batch/dstream/dstream.ts'
import { StreamGraph } from '../../lib/batch/dstream/graph.ts'
import { memorySource, topology } from '../../lib/index.ts'
import type { MemorySource, TopologyDefinition } from '../../lib/index.ts'
import { LocalCluster } from '../../lib/testing/index.ts'
import { Random } from '../../lib/std/random.ts'
import { FaultDisk } from './fault-disk.ts'

/** Each file of the log has a thousand batches: these fill more than one. */
const batches = 1_100

test('the offsets of an idle source are kept when old batches are forgotten', async () => {
  const disk = new FaultDisk(new Random(1))
  const idle = memorySource<string>()
  const busy = memorySource<number>({ oneAtATime: true })
  const sources: Readonly<Record<string, MemorySource<unknown>>> = {
    idle,
    busy,
  }
  const found: unknown[] = []
  const graph: TopologyDefinition = topology('idle', (t) => {
    const streams = new StreamGraph('idle', 0)
    for (const [id, source] of Object.entries(sources)) {
      streams.sources.set(id, source)
      new DStream<unknown>(streams, { name: id, parents: [] }, (scope) => scope.source<unknown>(id)).foreachRDD(async (rdd) => {
        if (id === 'idle') found.push(...(await rdd.collect()))
      })
    }
    streams.finish()
    addBatchComponents(t, streams, disk)
  })
  const run = async (): Promise<void> => {
    await using cluster = await LocalCluster.start({ seed: 3 })
    await cluster.complete(graph, { config: { stateDir: '/disk' } })
  }
  idle.add('once')
  for (let i = 0; i < batches; i++) busy.add(i)
  idle.end()
  busy.end()
  await run()
  idle.add('later')
  await run()
  expect(found).toEqual(['once', 'later'])
})
