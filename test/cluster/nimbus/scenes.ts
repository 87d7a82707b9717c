/** Records made up for tests. */
import type { AssignmentRecord, SupervisorRecord, TopologyRecord, WorkerRecord } from '../../../lib/cluster/records.ts'
import type { Scheduled } from '../../../lib/cluster/nimbus/schedule.ts'

export function topologyOf(name: string, more: Partial<TopologyRecord> = {}): TopologyRecord {
  const executors = more.executors ?? 4
  return {
    name,
    id: `${name}-1`,
    bundle: '0'.repeat(64),
    file: `${name}.ts`,
    params: {},
    config: {},
    workers: 2,
    executors,
    components: [{ id: 'source', kind: 'spout', tasks: executors }],
    isolatedHosts: 0,
    wanted: 'active',
    changes: 0,
    deployedAtMs: 0,
    ...more,
  }
}

export function supervisorOf(id: string, more: Partial<SupervisorRecord> = {}): SupervisorRecord {
  return { id, host: id, url: `http://${id}:7000`, slots: 4, cores: 4, memoryMb: 4_096, version: '0.2.0', startedAtMs: 0, ...more }
}

export function workerOf(
  assignment: AssignmentRecord,
  worker: number,
  state: WorkerRecord['state'],
  more: Partial<WorkerRecord> = {},
): WorkerRecord {
  const { name, id, workers } = assignment
  const { supervisor, incarnation } = workers.find((place) => place.worker === worker) as AssignmentRecord['workers'][number]
  return { name, id, worker, incarnation, supervisor, host: supervisor, state, restarts: 0, startedAtMs: 0, ...more }
}

export function assignmentsOf(scheduled: ReadonlyMap<string, Scheduled>): readonly AssignmentRecord[] {
  return [...scheduled.values()].flatMap(({ assignment }) => assignment ?? [])
}
