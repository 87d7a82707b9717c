import { expect, onTestFinished, test, vi } from 'vitest'
import { ClusterClient } from '../../../lib/cluster/client.ts'
import { MemoryCluster } from '../../../lib/cluster/coordination/memory.ts'
import { startNimbus } from '../../../lib/cluster/nimbus/start.ts'
import type { RunningNimbus } from '../../../lib/cluster/nimbus/start.ts'
import { VirtualSchedule } from '../../../lib/std/schedule.ts'
import { folderOf } from '../../fixtures/files.ts'
import { deploymentOf } from './cluster.ts'

const token = 'a token'

test('two of them: each answers, one leads, and a bundle goes to both; what was deployed is there after a change of leaders', async () => {
  const schedule = new VirtualSchedule()
  const memory = new MemoryCluster(schedule)
  const start = async (): Promise<RunningNimbus> => {
    const running = await startNimbus({
      host: '127.0.0.1',
      port: 0,
      folder: folderOf({}),
      token,
      version: '1.2.3',
      coordinator: memory.client(),
      schedule,
      report: () => undefined,
    })
    onTestFinished(() => running.stop())
    await schedule.advance(0)
    return running
  }
  const first = await start()
  const second = await start()
  const client = new ClusterClient({ urls: [second.url, first.url], token })
  const bundle = await client.blobs.put(Buffer.from('code'))
  // it is done once the other one has the code: over a real connection, so virtual time cannot tell when
  let isDone = false
  const deployed = client.deploy(deploymentOf({ name: 't', bundle })).then(() => (isDone = true))
  await vi.waitUntil(() => schedule.advance(10).then(() => isDone), { timeout: 60_000 })
  await deployed
  expect(await readBundles(second.url)).toEqual([bundle])
  expect(await client.cluster()).toMatchObject({ leader: { url: first.url }, nimbuses: { length: 2 } })

  const other = new ClusterClient({ urls: [second.url], token })
  await first.stop()
  await schedule.advance(0)
  expect(second.nimbus.isLeading).toBe(true)
  expect(await other.list()).toMatchObject([{ name: 't', state: 'waiting' }])
  await first.stop()
})

async function readBundles(url: string): Promise<unknown> {
  const response = await fetch(`${url}/v1/blobs`, { headers: { authorization: `Bearer ${token}` } })
  return ((await response.json()) as { blobs: unknown }).blobs
}
