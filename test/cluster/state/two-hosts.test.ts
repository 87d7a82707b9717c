/** Real workers on two hosts, each with a folder of its own: state follows the tasks that move, and outlives the host that is lost. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { viewCommittedState } from '../../../lib/batch/run/committed-state.ts'
import { ClusterClient } from '../../../lib/cluster/client.ts'
import { MemoryCluster } from '../../../lib/cluster/coordination/memory.ts'
import type { MemoryCoordinator } from '../../../lib/cluster/coordination/memory.ts'
import { startNimbus } from '../../../lib/cluster/nimbus/start.ts'
import type { RunningNimbus } from '../../../lib/cluster/nimbus/start.ts'
import { keys } from '../../../lib/cluster/records.ts'
import type { AssignmentRecord, ResultRecord, StateRecord, WorkerRecord } from '../../../lib/cluster/records.ts'
import type { HostSupervisor } from '../../../lib/cluster/supervisor/host-supervisor.ts'
import { realSchedule } from '../../../lib/std/schedule.ts'
import { built } from '../../fixtures/built.ts'
import { deploymentOf } from '../nimbus/cluster.ts'

const { HostSupervisor: BuiltHost } = await built<typeof import('../../../lib/cluster/supervisor/host-supervisor.ts')>(
  'cluster/supervisor/host-supervisor.js',
)
const { loadTopology } = await built<typeof import('../../../lib/topology/load/load.ts')>('topology/load/load.js')

const token = 'a token'
const name = 'exact-count'
/** about 600 batches, one every 20 ms: it does not end before the host is lost */
const lines = 20_000
const counting = (store: string): string => `
import { stateSpec, textLines, topology, z } from 'squall'
const spec = stateSpec((word, n, state) => {
  const sum = (state.getOption() ?? 0) + (n ?? 0)
  state.update(sum)
  return [word, sum]
})
export default topology('${name}', (t) => {
  t.config({ stateStore: '${store}' })
  t.stream('lines', textLines(t.param('input', z.string()), { batchBytes: 400 }), { batchInterval: '20ms' })
    .flatMap((line) => line.split(' '))
    .map((word) => [word, 1])
    .reduceByKey((a, b) => a + b)
    .mapWithState(spec, { name: 'counts' })
    .foreachPartition(() => undefined)
})
`

let folder: string
let cluster: MemoryCluster
let coordinator: MemoryCoordinator
let nimbus: RunningNimbus
let client: ClusterClient
const hosts = new Map<string, { readonly host: HostSupervisor; readonly line: MemoryCoordinator; readonly state: string }>()
const said: string[] = []

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'squall-two-hosts-'))
  cluster = new MemoryCluster(realSchedule)
  coordinator = cluster.client()
  const common = { host: '127.0.0.1', port: 0, token, version: '1', schedule: realSchedule, report: (text: string) => void said.push(text) }
  nimbus = await startNimbus({ ...common, coordinator, folder: join(folder, 'nimbus') })
  client = new ClusterClient({ urls: [nimbus.url], token, patienceMs: 10_000 })
  for (const one of ['a', 'b']) {
    const at = join(folder, one)
    const line = cluster.client()
    const host = new BuiltHost({
      ...common,
      coordinator: line,
      folder: at,
      slots: 2,
      diskFreeMinMb: 1,
      blob: (sha256) => nimbus.blobs.get(sha256),
    })
    await host.start()
    hosts.set(readFileSync(join(at, 'id'), 'utf8').trim(), { host, line, state: join(at, 'state', name) })
  }
})

afterEach(async () => {
  for (const { host, line } of hosts.values()) {
    await host.stop({ andWorkers: true })
    await line.close()
  }
  hosts.clear()
  client.close()
  await nimbus.stop()
  await coordinator.close()
  rmSync(folder, { recursive: true, force: true })
})

async function read<T>(key: string): Promise<T | undefined> {
  const entry = await coordinator.get(key)
  return entry && (JSON.parse(entry.value) as T)
}

const patience = { timeout: 90_000, interval: 50 }

/** The last batch that is committed, as a host has it on its disk. */
async function committed(host: string | undefined): Promise<number> {
  try {
    const view = await viewCommittedState(hosts.get(host ?? '')?.state ?? '', name)
    await view.close()
    return view.txid ?? 0
  } catch {
    return 0
  }
}

const membersOf = async (): Promise<readonly string[]> => (await read<StateRecord>(keys.state(name)))?.members ?? []
const hostsOf = async (): Promise<readonly string[]> =>
  ((await read<AssignmentRecord>(keys.assignment(name)))?.workers ?? []).map(({ supervisor }) => supervisor)

test.each(['log', 'lmdb'])(
  'counts in %s are exact after executors have moved to another host, and after the first host is lost',
  { timeout: 240_000 },
  async (store) => {
    const words = Array.from({ length: lines }, (_, i) => `w${i % 7} w${i % 101} w${(i * i) % 1_009}`)
    writeFileSync(join(folder, 'text.txt'), `${words.join('\n')}\n`)
    writeFileSync(join(folder, 'topology.ts'), counting(store))
    const loaded = await loadTopology(join(folder, 'topology.ts'))
    const bundle = await client.blobs.put(Buffer.from(loaded.text))
    loaded.dispose()
    const params = { input: join(folder, 'text.txt') }
    await client.deploy(deploymentOf({ name, bundle, params, workers: 1, executors: 2 }))
    // the first who writes has the first copy, and the other host gets one
    await expect.poll(membersOf, patience).toHaveLength(2)
    const [first] = await hostsOf()
    const [second] = [...hosts.keys()].filter((id) => id !== first)
    await expect.poll(() => committed(second), patience).toBeGreaterThan(5)

    await client.rebalance(name, { workers: 2 })
    await expect.poll(async () => new Set(await hostsOf()).size, patience).toBe(2)
    const moved = await committed(second)
    await expect.poll(() => committed(second), patience).toBeGreaterThan(moved + 5)

    // nobody there says goodbye
    const workers = await coordinator.list(`workers/${name}/`)
    const pids = workers.entries
      .map(({ value }) => JSON.parse(value) as WorkerRecord)
      .flatMap(({ supervisor, pid }) => (supervisor === first ? (pid ?? []) : []))
    hosts.get(first as string)?.line.cut()
    for (const pid of pids) process.kill(pid, 'SIGKILL')
    await hosts.get(first as string)?.host.stop()
    const lost = await committed(second)
    const lostMs = realSchedule.now()
    await expect.poll(() => committed(second), patience).toBeGreaterThan(lost + 1)
    process.stdout.write(`batches go on ${Math.round(realSchedule.now() - lostMs)} ms after their host was lost\n`)
    await expect.poll(() => read<ResultRecord>(keys.result(name)), patience).toMatchObject({ state: 'finished' })
    expect(await membersOf()).toEqual([second])

    const counts: Record<string, number> = {}
    for (const word of words.flatMap((line) => line.split(' '))) counts[word] = (counts[word] ?? 0) + 1
    // what LMDB has of a log lies beside the copies, and goes with the topology
    const cache = join(dirname(hosts.get(second as string)?.state as string), '.caches', name)
    expect(existsSync(join(cache, '1', 'task-0', 'data.mdb'))).toBe(store === 'lmdb')
    await client.kill(name)
    await expect.poll(() => existsSync(cache), patience).toBe(false)
    const view = await viewCommittedState(hosts.get(second as string)?.state as string, name)
    expect(Object.fromEntries(view.entries('counts'))).toEqual(counts)
    await view.close()
  },
)
