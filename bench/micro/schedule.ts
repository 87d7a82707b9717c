/**
 * What one decision of nimbus costs: ms for all topologies of a cluster, by how much there is to decide.
 *
 *     npm run build && node dist/bench/micro/schedule.js [topologies supervisors]
 *
 * `fresh`: nothing is placed yet. `unchanged`: all is, as almost always. `host lost`: the workers of one host go elsewhere. `hints`: as `fresh`, with
 * components that ask for memory. Medians of 50.
 */
import { schedule } from '../../lib/cluster/nimbus/schedule.ts'
import type { Scene } from '../../lib/cluster/nimbus/schedule.ts'
import type { SupervisorRecord, TopologyRecord } from '../../lib/cluster/records.ts'

const [topologyCount = 100, supervisorCount = 50] = process.argv.slice(2).map(Number)

const supervisors = Array.from({ length: supervisorCount }, (_, i): SupervisorRecord => ({
  id: `host-${i}`,
  host: `host-${i}`,
  url: `http://host-${i}:7000`,
  slots: 16,
  cores: 16,
  memoryMb: 65_536,
  version: '0',
  startedAtMs: 0,
}))

const topologiesOf = (hints?: { readonly cpu: number; readonly memoryMb: number }): readonly TopologyRecord[] =>
  Array.from({ length: topologyCount }, (_, i) => ({
    name: `topology-${i}`,
    id: `topology-${i}-${i}`,
    bundle: '0'.repeat(64),
    file: 'topology.ts',
    params: {},
    config: {},
    workers: 1 + (i % 12),
    executors: 4 * (1 + (i % 12)),
    components: ['source', 'split', 'count'].map((id) => ({ id, kind: 'bolt' as const, tasks: 8, ...(hints && { hints }) })),
    isolatedHosts: 0,
    wanted: 'active',
    changes: 0,
    deployedAtMs: i,
  }))

function medianMs(scene: Scene): number {
  const times = Array.from({ length: 50 }, () => {
    const startMs = performance.now()
    schedule(scene)
    return performance.now() - startMs
  })
  return times.toSorted((a, b) => a - b)[25] as number
}

const fresh: Scene = { topologies: topologiesOf(), supervisors, assignments: [], workers: [] }
const assignments = [...schedule(fresh).values()].flatMap(({ assignment }) => assignment ?? [])
const unchanged = { ...fresh, assignments }
const scenes: readonly (readonly [string, Scene])[] = [
  ['fresh', fresh],
  ['unchanged', unchanged],
  ['host lost', { ...unchanged, supervisors: supervisors.slice(1) }],
  ['hints', { ...fresh, topologies: topologiesOf({ cpu: 0.1, memoryMb: 128 }) }],
]
console.log(`${topologyCount} topologies, ${supervisorCount} supervisors, ${assignments.flatMap(({ workers }) => workers).length} workers`)
for (const [name, scene] of scenes) console.log(`${name.padEnd(12)}${medianMs(scene).toFixed(2).padStart(8)} ms`)
