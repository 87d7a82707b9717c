/** Records as nimbus would write them. */
import type { AssignmentRecord, TopologyRecord } from '../../../lib/cluster/records.ts'

type Place = Partial<AssignmentRecord['workers'][number]> & { worker: number }

export const bundle = 'b'.repeat(64)

export function assignmentOf(name: string, places: readonly Place[], more: Partial<AssignmentRecord> = {}): AssignmentRecord {
  const workers = places.map((place) => ({ supervisor: 'here', incarnation: 1, executors: [place.worker], ...place }))
  const all = { name, id: `${name}-1`, epoch: 1, changes: 0, bundle, executors: 4, isActive: true, workers }
  return { ...all, ...more }
}

export function topologyOf(name: string, more: Partial<TopologyRecord> = {}): TopologyRecord {
  return {
    name,
    id: `${name}-1`,
    bundle,
    file: `${name}.ts`,
    params: {},
    config: {},
    workers: 1,
    executors: 4,
    components: [],
    isolatedHosts: 0,
    wanted: 'active',
    changes: 0,
    deployedAtMs: 0,
    ...more,
  }
}
