/**
 * The records of a cluster: what they hold, under which keys, and who writes them. Everything that nimbus and supervisors know of each other is here;
 * nothing else passes between them but bundles and logs.
 *
 * What was read is checked: a record that cannot be understood is reported and left alone, as written by another version.
 */
import { z } from 'zod'
import { workersMax } from '../config.ts'
import type { ConfigInput } from '../config.ts'
import { Counts } from './counts.ts'

const Name = z.string().regex(/^[A-Za-z$][\w.$-]{0,127}$/)
const Id = z.string().regex(/^[\w.$-]{1,160}$/)
const Sha256 = z.string().regex(/^[0-9a-f]{64}$/)
const Url = z.url().max(1_000)
const Count = z.int().min(0).max(1_000_000)
/** Hosts that have copies of a state. */
const copiesMax = 9
/** Components whose counts are kept with a result. */
export const countedMax = 1_000
const Executors = z.array(z.int().min(0).max(4_095)).max(4_096)

export const keys = {
  leader: 'nimbus/leader',
  /** how many topologies were ever deployed */
  deployed: 'nimbus/deployed',
  nimbus: (id: string) => `nimbus/members/${id}`,
  supervisor: (id: string) => `supervisors/${id}`,
  topology: (name: string) => `topologies/${name}`,
  assignment: (name: string) => `assignments/${name}`,
  worker: (name: string, worker: number) => `workers/${name}/${worker}`,
  positions: (name: string, worker: number) => `positions/${name}/${worker}`,
  result: (name: string) => `results/${name}`,
  state: (name: string) => `state/${name}`,
  token: 'cluster/token',
} as const

/** `nimbus/leader` and `nimbus/members/ID`, both with a lease: a nimbus that runs, and the one that leads. */
export const NimbusRecord = z.object({ id: Id, url: Url })
export type NimbusRecord = z.infer<typeof NimbusRecord>

/** `nimbus/deployed`, by the leader: numbers deployments. */
export const DeployedRecord = z.object({ count: z.int().min(0) })
export type DeployedRecord = z.infer<typeof DeployedRecord>

/** `cluster/token`, by whoever is there first: the token of the cluster, hashed; not of `squall up`, which nobody joins. */
export const TokenRecord = z.object({ salt: z.string().regex(/^[0-9a-f]{32}$/), digest: Sha256 })
export type TokenRecord = z.infer<typeof TokenRecord>

/** `supervisors/ID`, with a lease, by the supervisor: a host that workers can run on. */
export const SupervisorRecord = z.object({
  id: Id,
  /** where its workers listen, and what people know it by */
  host: z.string().min(1).max(255),
  /** its own API: logs, bundles */
  url: Url,
  slots: Count,
  cores: z.number().min(0),
  memoryMb: z.number().min(0),
  /** why it takes no workers now, if it does not */
  unhealthy: z.string().max(1_000).optional(),
  version: z.string().max(50),
  startedAtMs: z.number(),
})
export type SupervisorRecord = z.infer<typeof SupervisorRecord>

/** What a component asks of where it runs, for each of its tasks: cores (0.5 is half of one), and memory. */
export const Hints = z.object({ cpu: z.number().min(0), memoryMb: z.number().min(0) })

/** `topologies/NAME`, by the leader: what somebody deployed and wants of it. */
export const TopologyRecord = z.object({
  name: Name,
  /** of this deployment: name, and a number that is not used again */
  id: Id,
  /** the code, by its digest, and the file that it came from */
  bundle: Sha256,
  file: z.string().max(1_000),
  /** where it was deployed from: its workers start there, so that paths mean the same, on hosts that have such a folder */
  folder: z.string().max(4_096).optional(),
  params: z.record(z.string(), z.unknown()),
  config: z.custom<ConfigInput>((value) => typeof value === 'object' && value !== null),
  workers: z.int().min(1).max(workersMax),
  /** over all workers */
  executors: z.int().min(1).max(4_096),
  /** as planned where it was deployed: nimbus runs no code of users */
  components: z.array(z.object({ id: Name, kind: z.enum(['spout', 'bolt']), tasks: Count, hints: Hints.optional() })).max(10_000),
  /** what it keeps from one run to the next, as planned where it was deployed */
  states: z
    .array(z.object({ name: z.string().max(500), operator: z.string().max(100) }))
    .max(10_000)
    .optional(),
  /** of states that were given up: how often */
  stateGenerations: z.record(z.string(), z.int().min(1)).optional(),
  /** whole hosts of its own, this many; 0 = it shares them */
  isolatedHosts: Count,
  wanted: z.enum(['active', 'inactive', 'killed']),
  /** of a topology that is to be killed: how long its spouts rest before */
  killWaitMs: z.number().min(0).optional(),
  /** what was changed since it was deployed and makes all its workers begin anew, counted: code, params, settings, executors */
  changes: Count,
  /** how often somebody wanted it spread over the hosts anew */
  rebalances: Count.optional(),
  deployedAtMs: z.number(),
  /** names the request that brought its code, which may be sent twice and is done once */
  request: Id.optional(),
})
export type TopologyRecord = z.infer<typeof TopologyRecord>

/** `assignments/NAME`, by the leader: who runs what. */
export const AssignmentRecord = z.object({
  name: Name,
  id: Id,
  /** grows with every write */
  epoch: z.int().min(1),
  /** `changes` of the topology that it is for */
  changes: Count,
  /** `rebalances` of the topology that were done */
  rebalances: Count.optional(),
  bundle: Sha256,
  executors: z.int().min(1).max(4_096),
  isActive: z.boolean(),
  workers: z
    .array(
      z.object({
        worker: z.int().min(0).max(9_999),
        supervisor: Id,
        /** the epoch in which the worker was placed, so it grows each time: what has an older one is refused */
        incarnation: z.int().min(1),
        executors: Executors,
      }),
    )
    .max(workersMax),
})
export type AssignmentRecord = z.infer<typeof AssignmentRecord>

/** `workers/NAME/K`, by its supervisor, when it changes: how the process is. */
export const WorkerRecord = z.object({
  name: Name,
  id: Id,
  worker: z.int().min(0).max(9_999),
  incarnation: z.int().min(1),
  supervisor: Id,
  host: z.string().max(255),
  /** `failing`: it ends again and again, and the supervisor gives it up until it is placed anew */
  state: z.enum(['starting', 'running', 'waiting', 'failing', 'stopping']),
  pid: z.int().min(1).optional(),
  /** where its links are */
  url: z.string().max(1_000).optional(),
  /** names its log to the supervisor's API; says nothing else */
  log: Id.optional(),
  restarts: Count,
  /** executors of it that died and were started anew, over all its processes */
  executorRestarts: Count.optional(),
  /** what ended it last, or an executor of it */
  error: z.object({ code: z.string().max(100), message: z.string().max(4_000), atMs: z.number() }).optional(),
  startedAtMs: z.number(),
})
export type WorkerRecord = z.infer<typeof WorkerRecord>

/**
 * `positions/NAME/K`, by its supervisor, at most once a second: where the spout tasks of a worker would go on, by the name of the task, and in which epoch it has said so.
 */
export const PositionsRecord = z.object({ id: Id, positions: z.record(z.string(), z.tuple([z.number(), z.int().min(0)]).readonly()) })
export type PositionsRecord = z.infer<typeof PositionsRecord>

/** `results/NAME`, by the supervisor of the lead: how a run has ended that finished. */
export const ResultRecord = z.object({
  id: Id,
  state: z.enum(['finished', 'failed', 'stopped']),
  seconds: z.number(),
  emitted: z.number(),
  acked: z.number(),
  failed: z.number(),
  expired: z.number(),
  replayed: z.number(),
  deadLettered: z.number(),
  error: z.object({ code: z.string(), message: z.string() }).optional(),
  /** what they had counted in the end; of a topology that has more, the first so many */
  components: z
    .array(z.object({ id: Name, counts: Counts }))
    .max(countedMax)
    .optional(),
  atMs: z.number(),
})
export type ResultRecord = z.infer<typeof ResultRecord>

/** `state/NAME`, by supervisors and the leader: which hosts have all that a topology keeps. Every version of the record is one of the set. */
export const StateRecord = z.object({
  /** the in-sync set: each has everything that was acknowledged; none: all was removed, and hosts that are back learn of it here */
  members: z.array(Id).max(copiesMax),
  /** shall be brought in by the first member */
  joining: Id.optional(),
  /** how many members there should be */
  copies: z.int().min(1).max(copiesMax),
  /** the version in which all that was kept before was removed, if it ever was */
  removed: z.int().min(1).optional(),
})
export type StateRecord = z.infer<typeof StateRecord>

/** How long spouts may rest before their topology is killed: a day. */
export const killWaitMaxMs = 86_400_000

/** What is of before this version of the record was removed. */
export function removedBefore({ version, record }: { readonly version: number; readonly record: StateRecord }): number {
  return record.members.length === 0 ? version : (record.removed ?? 0)
}

export type TopologyState = 'waiting' | 'starting' | 'active' | 'inactive' | 'failing' | 'finished' | 'killing'

/** Whether it has ended by itself: one that is stopped is so because somebody wanted that, perhaps to start it anew. */
export function isOver({ id }: Pick<TopologyRecord, 'id'>, result: ResultRecord | undefined): boolean {
  return result?.id === id && result.state !== 'stopped'
}

/** How a topology is, in a word for people, from what is known of it. */
export function stateOf(
  topology: TopologyRecord,
  assignment: AssignmentRecord | undefined,
  workers: readonly WorkerRecord[],
  result: ResultRecord | undefined,
): TopologyState {
  if (topology.wanted === 'killed') return 'killing'
  if (isOver(topology, result)) return 'finished'
  if (assignment === undefined || assignment.workers.length === 0) return 'waiting'
  const current = assignment.workers.map(({ worker, incarnation }) =>
    workers.find((record) => record.id === topology.id && record.worker === worker && record.incarnation === incarnation),
  )
  if (current.some((worker) => worker?.state === 'failing' || worker?.state === 'waiting')) return 'failing'
  if (!current.every((worker) => worker?.state === 'running')) return 'starting'
  return assignment.isActive ? 'active' : 'inactive'
}
