/** Figures of a cluster in the text format of Prometheus: https://prometheus.io/docs/instrumenting/exposition_formats/ */
import type { Counts } from '../counts.ts'
import type { NimbusCounts } from './nimbus.ts'
import type { ClusterSummary, TopologyDescription, TopologySummary } from './views.ts'

type Sample = readonly [labels: Readonly<Record<string, string>>, value: number]

export interface Figures {
  readonly isLeading: boolean
  readonly counts: NimbusCounts
  readonly cluster: ClusterSummary
  readonly topologies: readonly TopologySummary[]
  /** by topology */
  readonly workers: ReadonlyMap<string, TopologyDescription['workers']>
  /** by topology, then by component */
  readonly components: ReadonlyMap<string, ReadonlyMap<string, Counts>>
}

/** What is not of one nimbus alone only the leader gives: whoever asks all of them has it once. */
export function metricsOf({ isLeading, counts, cluster, topologies, workers, components }: Figures): string {
  const byTopology = (value: (topology: TopologySummary) => number): readonly Sample[] =>
    topologies.map((topology) => [{ topology: topology.name }, value(topology)])
  const byHost = (value: (host: ClusterSummary['supervisors'][number]) => number): readonly Sample[] =>
    cluster.supervisors.map((host) => [{ supervisor: host.id, host: host.host }, value(host)])
  const byWorker = (value: (worker: TopologyDescription['workers'][number]) => number): readonly Sample[] =>
    [...workers].flatMap(([topology, all]) => all.map((worker): Sample => [{ topology, worker: String(worker.id) }, value(worker)]))
  const byComponent = (key: keyof Counts): readonly Sample[] =>
    [...components].flatMap(([topology, all]) => [...all].map(([component, one]): Sample => [{ topology, component }, one[key]]))
  const once = (value: number): readonly Sample[] => [[{}, value]]
  const counters = ['emitted', 'executed', 'acked', 'failed', 'expired', 'replayed', 'deadLettered', 'errors'] as const
  const own = [
    metric('squall_nimbus_leading', 'gauge', 'whether this nimbus leads', once(Number(isLeading))),
    metric('squall_nimbus_elections_total', 'counter', 'how often it was elected', once(counts.elections)),
    metric('squall_nimbus_decisions_total', 'counter', 'schedules that were made', once(counts.decisions)),
    metric('squall_nimbus_decision_seconds_total', 'counter', 'time that took', once(counts.decisionMs / 1_000)),
    metric('squall_nimbus_commits_total', 'counter', 'writes to the coordinator', once(counts.commits)),
    metric('squall_nimbus_conflicts_total', 'counter', 'writes that came too late', once(counts.conflicts)),
  ]
  if (!isLeading) return own.join('')
  return [
    ...own,
    metric(
      'squall_supervisor_slots',
      'gauge',
      'slots of a host',
      byHost(({ slots }) => slots),
    ),
    metric(
      'squall_supervisor_slots_used',
      'gauge',
      'those that are used',
      byHost(({ usedSlots }) => usedSlots),
    ),
    metric(
      'squall_supervisor_healthy',
      'gauge',
      'whether the host takes workers',
      byHost(({ unhealthy }) => Number(unhealthy === undefined)),
    ),
    metric(
      'squall_topology_state',
      'gauge',
      'one, with its state',
      topologies.map(({ name, state }): Sample => [{ topology: name, state }, 1]),
    ),
    metric(
      'squall_topology_workers',
      'gauge',
      'workers it is placed on',
      byTopology(({ workers }) => workers),
    ),
    metric(
      'squall_topology_executors',
      'gauge',
      'executors over all workers',
      byTopology(({ executors }) => executors),
    ),
    metric(
      'squall_topology_tasks',
      'gauge',
      'tasks over all executors',
      byTopology(({ tasks }) => tasks),
    ),
    metric(
      'squall_topology_uptime_seconds',
      'gauge',
      'since it was deployed',
      byTopology(({ uptimeS }) => uptimeS),
    ),
    metric(
      'squall_worker_restarts_total',
      'counter',
      'how often a worker was started again where it is',
      byWorker(({ restarts }) => restarts),
    ),
    metric(
      'squall_worker_executor_restarts_total',
      'counter',
      'executors of a worker that died and were started anew',
      byWorker(({ executorRestarts }) => executorRestarts),
    ),
    ...counters.map((key) =>
      metric(
        `squall_component_${key === 'deadLettered' ? 'dead_lettered' : key}_total`,
        'counter',
        `${key}, in this run`,
        byComponent(key),
      ),
    ),
    metric('squall_component_pending', 'gauge', 'under way', byComponent('pending')),
  ].join('')
}

function metric(name: string, kind: 'counter' | 'gauge', help: string, samples: readonly Sample[]): string {
  if (samples.length === 0) return ''
  const lines = samples.map(([labels, value]) => `${name}${labelsOf(labels)} ${value}\n`)
  return `# HELP ${name} ${help}\n# TYPE ${name} ${kind}\n${lines.join('')}`
}

function labelsOf(labels: Readonly<Record<string, string>>): string {
  const all = Object.entries(labels).map(
    ([name, value]) => `${name}="${value.replace(/[\\"\n]/g, (one) => (one === '\n' ? '\\n' : `\\${one}`))}"`,
  )
  return all.length === 0 ? '' : `{${all.join(',')}}`
}
