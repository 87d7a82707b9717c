/**
 * What a cluster asks of its coordinator: commits, records written and leases renewed a second, by what goes on. Nimbus, supervisors and a coordinator
 * in memory under virtual time; the workers are none, but beat as workers do.
 *
 *     npm run build && node dist/bench/micro/writes.js [topologies supervisors]
 *
 * `deploy`: all topologies at once, until they run. `rest`: they run, as almost always. `positions`: besides, each worker says every second that its
 * spouts have gone on (`savePosition`). `host lost`: one host is gone, until its workers run elsewhere. Seconds are those of the cluster.
 */
import type { Blobs } from '../../lib/cluster/blobstore/blobs.ts'
import { MemoryCluster } from '../../lib/cluster/coordination/memory.ts'
import { deploy } from '../../lib/cluster/nimbus/deployments.ts'
import { Nimbus } from '../../lib/cluster/nimbus/nimbus.ts'
import { Host } from '../../lib/cluster/supervisor/host.ts'
import type { Processes } from '../../lib/cluster/supervisor/processes.ts'
import { VirtualSchedule } from '../../lib/std/schedule.ts'

const [topologyCount = 100, supervisorCount = 50] = process.argv.slice(2).map(Number)
const bundle = '0'.repeat(64)
const restS = 20
const beatMs = 1_000
const startMs = 500

const schedule = new VirtualSchedule()
const cluster = new MemoryCluster(schedule)
const counts = { commits: 0, records: 0, renewals: 0 }
const commit = cluster.commit.bind(cluster)
cluster.commit = (guards, writes) => {
  counts.commits++
  counts.records += writes.length
  return commit(guards, writes)
}
const renew = cluster.renew.bind(cluster)
cluster.renew = (id, ttlMs) => {
  counts.renewals++
  return renew(id, ttlMs)
}

const blobs: Blobs = {
  has: () => Promise.resolve(true),
  get: () => Promise.resolve(new Uint8Array()),
  put: () => Promise.resolve(bundle),
  list: () => Promise.resolve([bundle]),
  delete: () => Promise.resolve(),
}
let running = 0
let arePositionsSaid = false

/** Workers of a host that is there until `isLost`. */
function processesOf(host: { isLost: boolean }): Processes {
  return {
    async start({ launch }, ears) {
      await new Promise<void>((resolve) => void schedule.after(startMs, resolve))
      let position = 0
      let isOver = false
      const beat = (): void => {
        if (isOver || host.isLost) return
        const positions = arePositionsSaid ? { [launch.worker]: ++position } : {}
        ears.said({ kind: 'beat', pid: 1, epoch: 1, state: 'running', positions, rssBytes: 1 << 27 })
        schedule.after(beatMs, beat)
      }
      running++
      beat()
      const end = (): void => {
        if (isOver) return
        isOver = true
        running--
        queueMicrotask(() => ears.ended('it was told to'))
      }
      return { pid: 1, url: 'ws://worker', tell: ({ kind }) => kind === 'stop' && end(), signal: end, release: () => undefined }
    },
    find: () => undefined,
  }
}

const hosts = Array.from({ length: supervisorCount }, (_, i) => {
  const state = { isLost: false }
  const coordinator = cluster.client()
  const host = new Host({
    record: {
      id: `host-${i}`,
      host: `host-${i}`,
      url: `http://host-${i}`,
      slots: 32,
      cores: 16,
      memoryMb: 65_536,
      version: '0',
      startedAtMs: 0,
    },
    coordinator,
    schedule,
    processes: processesOf(state),
    bundles: { module: () => Promise.resolve('/module.mjs'), keep: () => undefined },
    folders: {
      list: () => [],
      pathOf: (key) => key,
      make: () => undefined,
      remove: () => undefined,
      record: () => undefined,
      keep: () => undefined,
    },
    stateFolder: '/state',
    token: 'bench',
    check: () => Promise.resolve(undefined),
    report: () => undefined,
  })
  return { host, state, coordinator }
})
const nimbus = new Nimbus({
  id: 'nimbus',
  url: 'http://nimbus',
  coordinator: cluster.client(),
  schedule,
  blobs,
  blobsOf: () => blobs,
})

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await schedule.advance(10)
}

async function counted(what: string, act: () => Promise<void>): Promise<void> {
  const before = { ...counts, ms: schedule.now() }
  await act()
  const seconds = (schedule.now() - before.ms) / 1_000
  const each = (n: number): string => `${String(n).padStart(7)} (${(n / seconds).toFixed(1)} a second)`
  const [commits, records, renewals] = (['commits', 'records', 'renewals'] as const).map((key) => each(counts[key] - before[key]))
  console.log(`${what.padEnd(12)}${seconds.toFixed(2).padStart(6)} s  commits ${commits}  records ${records}  renewals ${renewals}`)
}

async function deployAll(): Promise<void> {
  for (const [i, n] of sizes.entries())
    await nimbus.change((known) =>
      deploy(
        known,
        {
          name: `topology-${i}`,
          bundle,
          file: 'topology.ts',
          params: {},
          config: {},
          workers: n,
          executors: n,
          components: [{ id: 'source', kind: 'spout', tasks: n }],
          isolatedHosts: 0,
          wanted: 'active',
        },
        schedule.date(),
      ),
    )
}

await Promise.all(hosts.map(({ host }) => host.start()))
nimbus.start()
await until(() => nimbus.isLeading && nimbus.known.supervisors.size === supervisorCount)

const sizes = Array.from({ length: topologyCount }, (_, i) => 1 + (i % 12))
const workers = sizes.reduce((sum, n) => sum + n, 0)
console.log(`${topologyCount} topologies, ${supervisorCount} supervisors, ${workers} workers`)
await counted('deploy', async () => {
  const deploying = deployAll()
  await until(() => running === workers)
  await deploying
})
await schedule.advance(restS * 1_000)
await counted('rest', () => schedule.advance(restS * 1_000))
arePositionsSaid = true
await schedule.advance(restS * 1_000)
await counted('positions', () => schedule.advance(restS * 1_000))
arePositionsSaid = false
await schedule.advance(restS * 1_000)
await counted('host lost', async () => {
  const [lost] = hosts
  if (lost === undefined) return
  const there = running
  lost.state.isLost = true
  lost.coordinator.cut()
  await until(() => running > there)
  await until(() => [...nimbus.known.workers.values()].every(({ record }) => record.state === 'running' && record.supervisor !== 'host-0'))
})
process.exit(0)
