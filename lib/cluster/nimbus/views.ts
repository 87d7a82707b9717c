/** What people see of a cluster: the answers of the API, made from the records. */
import { z } from 'zod'
import { Counts } from '../counts.ts'
import { Hints, ResultRecord, TopologyRecord, isOver } from '../records.ts'
import type { NimbusRecord } from '../records.ts'
import { stateIn } from './deployments.ts'
import type { Known } from './known.ts'
import { StateCopies, copiesOf } from './states.ts'

const States = z.enum(['waiting', 'starting', 'active', 'inactive', 'failing', 'finished', 'killing'])

export const TopologySummary = z.object({
  name: z.string(),
  state: States,
  /** those that it is placed on */
  workers: z.int(),
  uptimeS: z.int(),
  executors: z.int(),
  tasks: z.int(),
  /** what it lacks, or what its workers end with, if anything is wrong */
  problem: z.string().optional(),
})
export type TopologySummary = z.infer<typeof TopologySummary>

export const TopologyDescription = TopologySummary.extend({
  id: z.string(),
  workers: z.array(
    z.object({
      id: z.int(),
      supervisor: z.string(),
      host: z.string(),
      /** none: it does not run yet */
      pid: z.int().optional(),
      executors: z.array(z.int()),
      state: z.enum(['starting', 'running', 'waiting', 'failing', 'stopping', 'ended']),
      restarts: z.int(),
      /** executors of it that died and were started anew */
      executorRestarts: z.int(),
      /** names its log: GET /v1/logs/{log} */
      log: z.string().optional(),
      error: z.object({ code: z.string(), message: z.string(), atMs: z.number() }).optional(),
    }),
  ),
  components: z.array(
    z.object({
      id: z.string(),
      kind: z.enum(['spout', 'bolt']),
      tasks: z.int(),
      /** what each task asks for, if anything */
      hints: Hints.optional(),
      /** none: nobody could be asked */
      counts: Counts.optional(),
    }),
  ),
  file: z.string(),
  bundle: z.string(),
  params: z.record(z.string(), z.unknown()),
  config: TopologyRecord.shape.config,
  workersWanted: z.int(),
  isolatedHosts: z.int(),
  epoch: z.int().optional(),
  deployedAtMs: z.number(),
  /** where the copies are of what it keeps; none: it has kept nothing yet that has copies */
  keeps: StateCopies.optional(),
  result: ResultRecord.omit({ id: true, components: true }).optional(),
})
export type TopologyDescription = z.infer<typeof TopologyDescription>

export const ClusterSummary = z.object({
  version: z.string(),
  leader: z.object({ id: z.string(), url: z.string() }).optional(),
  nimbuses: z.array(z.object({ id: z.string(), url: z.string(), isLeading: z.boolean() })),
  supervisors: z.array(
    z.object({
      id: z.string(),
      host: z.string(),
      slots: z.int(),
      usedSlots: z.int(),
      cores: z.number(),
      memoryMb: z.number(),
      unhealthy: z.string().optional(),
      /** workers of several topologies fail there: it gets others last */
      isAvoided: z.boolean(),
      uptimeS: z.int(),
      version: z.string(),
    }),
  ),
  slots: z.int(),
  usedSlots: z.int(),
  topologies: z.int(),
})
export type ClusterSummary = z.infer<typeof ClusterSummary>

/** What is known besides the records. */
export interface Insight {
  readonly known: Known
  readonly problems: ReadonlyMap<string, string>
  readonly dateMs: number
}

export function summaryOf(topology: TopologyRecord, insight: Insight): TopologySummary {
  const { known, problems, dateMs } = insight
  const { name, executors, components, deployedAtMs } = topology
  const result = known.results.get(name)?.record
  const over = isOver(topology, result)
  const lack = over ? undefined : problems.get(name)
  const workers = workersOf(topology, known)
  const state = stateIn(known, topology)
  // all its hosts are away, and there are no others
  const isAway = lack !== undefined && workers.length > 0 && workers.every(({ supervisor }) => !known.supervisors.has(supervisor))
  const problem = lack ?? (state === 'starting' || state === 'failing' ? lastEnd(topology, known) : undefined)
  return {
    name,
    state: isAway && state !== 'killing' ? 'waiting' : state,
    workers: workers.length,
    uptimeS: seconds((over ? (result?.atMs ?? dateMs) : dateMs) - deployedAtMs),
    executors,
    tasks: components.reduce((sum, { tasks }) => sum + tasks, 0),
    ...(problem !== undefined && { problem }),
  }
}

export function descriptionOf(topology: TopologyRecord, insight: Insight, counts: ReadonlyMap<string, Counts>): TopologyDescription {
  const { known } = insight
  const { name, id, file, bundle, params, config, isolatedHosts, deployedAtMs } = topology
  const result = known.results.get(name)?.record
  const { id: _, components: counted, ...ended } = result ?? { id: undefined }
  // nobody can be asked any more when it is over: what it had counted is with its result
  const final = isOver(topology, result) ? new Map(counted?.map(({ id: of, counts: own }) => [of, own])) : counts
  const keeps = copiesOf(known, name)
  return {
    ...summaryOf(topology, insight),
    id,
    workers: isOver(topology, result)
      ? endedIn(topology, known)
      : workersOf(topology, known).map(({ worker, supervisor, incarnation, executors }) => {
          const record = known.workers.get(`${name}/${worker}`)?.record
          const current = record?.id === id && record.incarnation === incarnation ? record : undefined
          const host = known.supervisors.get(supervisor)?.record.host ?? record?.host ?? supervisor
          const { pid, state = 'starting', restarts = 0, executorRestarts = 0, log, error } = current ?? {}
          return {
            id: worker,
            supervisor,
            host,
            executors,
            state,
            restarts,
            executorRestarts,
            ...(pid !== undefined && { pid }),
            ...(log !== undefined && { log }),
            ...(error !== undefined && { error }),
          }
        }),
    components: topology.components.map((component) => {
      const own = final.get(component.id)
      return { ...component, ...(own !== undefined && { counts: own }) }
    }),
    file,
    bundle,
    params,
    config,
    workersWanted: topology.workers,
    isolatedHosts,
    ...(known.assignments.get(name)?.record.id === id && { epoch: known.assignments.get(name)?.record.epoch }),
    deployedAtMs,
    ...(keeps !== undefined && { keeps }),
    ...(isOver(topology, result) && { result: ended as Omit<ResultRecord, 'id' | 'components'> }),
  }
}

export function clusterOf(
  { known, dateMs }: Insight,
  { leader, blacklist }: { readonly leader: NimbusRecord | undefined; readonly blacklist: readonly string[] },
  version: string,
): ClusterSummary {
  const places = [...known.assignments.values()].flatMap(({ record }) => record.workers)
  const supervisors = [...known.supervisors.values()].map(({ record }) => {
    const { id, host, slots, cores, memoryMb, unhealthy, startedAtMs } = record
    return {
      id,
      host,
      slots,
      usedSlots: places.filter(({ supervisor }) => supervisor === id).length,
      cores,
      memoryMb,
      ...(unhealthy !== undefined && { unhealthy }),
      isAvoided: blacklist.includes(id),
      uptimeS: seconds(dateMs - startedAtMs),
      version: record.version,
    }
  })
  return {
    version,
    ...(leader !== undefined && { leader }),
    nimbuses: [...known.members.values()].map(({ record }) => ({ ...record, isLeading: record.id === leader?.id })),
    supervisors,
    slots: supervisors.reduce((sum, { slots }) => sum + slots, 0),
    usedSlots: supervisors.reduce((sum, { usedSlots }) => sum + usedSlots, 0),
    topologies: known.topologies.size,
  }
}

/** What the worker that ended last has ended with. */
function lastEnd({ name, id }: TopologyRecord, known: Known): string | undefined {
  const ends = [...known.workers.values()].flatMap(({ record: { error, ...record } }) =>
    record.name === name && record.id === id && record.state !== 'running' && error !== undefined ? [{ ...record, error }] : [],
  )
  const [last] = ends.toSorted((a, b) => b.error.atMs - a.error.atMs)
  return last === undefined ? undefined : `worker ${last.worker} on ${last.host} ended: ${last.error.message.split('\n', 1)[0]}`
}

/** Workers of a run that is over, for their logs. */
function endedIn({ name, id }: TopologyRecord, known: Known): TopologyDescription['workers'] {
  return [...known.workers.values()].flatMap(({ record }) => {
    const { worker, supervisor, host, restarts, executorRestarts = 0, log } = record
    if (record.name !== name || record.id !== id) return []
    const counts = { restarts, executorRestarts }
    return [{ id: worker, supervisor, host, executors: [], state: 'ended' as const, ...counts, ...(log !== undefined && { log }) }]
  })
}

function workersOf(
  { name, id }: TopologyRecord,
  known: Known,
): readonly { worker: number; supervisor: string; incarnation: number; executors: number[] }[] {
  const assignment = known.assignments.get(name)?.record
  return assignment?.id === id ? assignment.workers : []
}

/** Clocks of two hosts differ: never less than none. */
function seconds(ms: number): number {
  return Math.max(0, Math.floor(ms / 1_000))
}
