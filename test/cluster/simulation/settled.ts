/** What a cluster that is well has come to, some time after: what is not so yet, for people. */
import { isDeepStrictEqual } from 'node:util'
import { isOver, keys, stateOf } from '../../../lib/cluster/records.ts'
import type {
  AssignmentRecord,
  PositionsRecord,
  ResultRecord,
  SupervisorRecord,
  TopologyRecord,
  WorkerRecord,
} from '../../../lib/cluster/records.ts'
import { workerKey } from '../../../lib/cluster/supervisor/sync.ts'
import type { SimProcess } from './processes.ts'
import type { SimCluster } from './simulate.ts'

export function troublesOf(cluster: SimCluster): readonly string[] {
  return [...new Settled(cluster).troubles()]
}

class Settled {
  readonly #cluster: SimCluster
  readonly #topologies: readonly TopologyRecord[]
  readonly #assignments: readonly AssignmentRecord[]
  readonly #workers: readonly WorkerRecord[]
  readonly #processes: readonly SimProcess[]
  /** the deployments that have ended by themselves: their logs stay */
  readonly #over: readonly string[]

  constructor(cluster: SimCluster) {
    const { world } = cluster
    this.#cluster = cluster
    this.#topologies = world.readAll('topologies/')
    this.#assignments = world.readAll('assignments/')
    this.#workers = world.readAll('workers/')
    this.#processes = cluster.hosts.flatMap(({ machine }) => machine.alive)
    this.#over = this.#topologies.filter((one) => isOver(one, world.read(keys.result(one.name)))).map(({ id }) => id)
  }

  *troubles(): Generator<string, void> {
    yield* this.#members()
    for (const topology of this.#topologies) yield* this.#topology(topology)
    yield* this.#leftovers()
    yield* this.#hosts()
  }

  *#members(): Generator<string, void> {
    const { nimbuses, hosts, world } = this.#cluster
    const leading = nimbuses.filter(({ nimbus }) => nimbus?.isLeading === true)
    if (leading.length !== 1) yield `${leading.length} lead`
    for (const { id } of nimbuses) if (world.read(keys.nimbus(id)) === undefined) yield `${id} has no record`
    for (const { id, host } of hosts) {
      const record = world.read<SupervisorRecord>(keys.supervisor(id))
      if (record === undefined || record.unhealthy !== undefined || host?.isKnown !== true) yield `${id} is not there, or not well`
    }
  }

  *#topology(topology: TopologyRecord): Generator<string, void> {
    const { name, id, wanted, changes } = topology
    const { world } = this.#cluster
    if (wanted === 'killed') {
      yield `${name} is not gone`
      return
    }
    const result = world.read<ResultRecord>(keys.result(name))
    const assignment = this.#assignments.find((one) => one.name === name)
    if (isOver({ id }, result)) {
      if (assignment !== undefined) yield `${name} is over, and assigned`
      return
    }
    const size = Math.min(topology.workers, topology.executors)
    const problem = this.#cluster.nimbuses.find(({ nimbus }) => nimbus?.isLeading === true)?.nimbus?.problems.get(name)
    const placed = assignment?.workers.length ?? 0
    if (placed !== size) {
      if (problem === undefined) yield `${name} has ${placed} workers of ${size}, and nobody says why`
      if (this.#hasRoomFor(topology)) yield `${name} has ${placed} workers of ${size}, and there are free slots`
    }
    if (assignment === undefined || placed === 0) return
    if (assignment.id !== id || assignment.changes !== changes) yield `${name} is assigned as it was`
    if (assignment.isActive !== (wanted === 'active')) yield `${name} is not ${wanted}`
    const state = stateOf(topology, assignment, this.#workers, result)
    if (state !== wanted) yield `${name} is ${state}`
    for (const place of assignment.workers) yield* this.#worker(topology, assignment, place)
  }

  *#worker(
    { params, name }: TopologyRecord,
    assignment: AssignmentRecord,
    place: AssignmentRecord['workers'][number],
  ): Generator<string, void> {
    const key = workerKey(assignment.id, place)
    const all = this.#processes.filter(({ launch }) => workerKey(launch.id, launch) === key)
    const [process] = all
    if (all.length !== 1 || process === undefined) {
      yield `${key} has ${all.length} processes`
      return
    }
    if (process.host !== place.supervisor) yield `${process.name} belongs on ${place.supervisor}`
    if (process.state !== 'running') yield `${process.name} is ${process.state}`
    // it is ended soon
    if (process.time.isPaused) yield `${process.name} hangs`
    if (!isDeepStrictEqual(process.launch.params, params) || !process.launch.module.includes(assignment.bundle))
      yield `${process.name} runs other code`
    const record = this.#workers.find((one) => one.name === name && one.worker === place.worker)
    if (record?.pid !== process.pid || record.url !== process.url || record.incarnation !== place.incarnation)
      yield `the record of ${process.name} is not so: ${JSON.stringify(record)}`
    const told = process.assignment
    if (told?.epoch !== assignment.epoch) yield `${process.name} knows epoch ${told?.epoch} of ${assignment.epoch}`
    for (const other of told?.workers ?? []) {
      const url = this.#workers.find((one) => one.name === name && one.worker === other.worker)?.url
      if (other.url === undefined || other.url !== url)
        yield `${process.name} thinks that worker ${other.worker} is at ${other.url}, not ${url}`
    }
  }

  #hasRoomFor({ isolatedHosts, components }: TopologyRecord): boolean {
    // what asks for hosts of its own, or for memory, may lack that
    if (isolatedHosts > 0 || components.some(({ hints }) => hints !== undefined)) return false
    const isolated = this.#topologies.filter((one) => one.isolatedHosts > 0).map(({ name }) => name)
    return this.#cluster.hosts.some(({ id, slots }) => {
      const here = this.#assignments.flatMap(({ name, workers }) => workers.filter(({ supervisor }) => supervisor === id).map(() => name))
      return here.length < slots && !here.some((name) => isolated.includes(name))
    })
  }

  *#leftovers(): Generator<string, void> {
    const { world } = this.#cluster
    const placed = new Map<string, string>(
      this.#assignments.flatMap(({ name, id, workers }) => workers.map(({ worker }) => [`${name}/${worker}`, id] as const)),
    )
    const living = new Set(this.#assignments.map(({ id }) => id))
    for (const { name, worker, id } of this.#workers)
      if (placed.get(`${name}/${worker}`) !== id && !this.#over.includes(id)) yield `there is a record of worker ${worker} of ${id}`
    for (const { key, value } of world.ledger.store.list('positions/').entries)
      // who has an executor now may not have said anything of it
      if (!living.has((JSON.parse(value) as PositionsRecord).id)) yield `there is ${key}`
    for (const { key } of [...world.ledger.store.list('results/').entries, ...world.ledger.store.list('assignments/').entries])
      if (!this.#topologies.some(({ name }) => key.endsWith(`/${name}`))) yield `there is ${key}`
    for (const process of this.#processes) {
      const { launch, host } = process
      const isWanted = this.#assignments.some(
        ({ id, workers }) =>
          id === launch.id &&
          workers.some(
            ({ worker, incarnation, supervisor }) => worker === launch.worker && incarnation === launch.incarnation && supervisor === host,
          ),
      )
      if (!isWanted) yield `nobody wants ${process.name}`
    }
  }

  *#hosts(): Generator<string, void> {
    for (const { id, slots, folders, bundles, host } of this.#cluster.hosts) {
      const here = this.#assignments.flatMap((assignment) =>
        assignment.workers.filter(({ supervisor }) => supervisor === id).map((place) => ({ assignment, place })),
      )
      if (here.length > slots) yield `${id} has ${here.length} workers in ${slots} slots`
      const wanted = here.map(({ assignment, place }) => workerKey(assignment.id, place)).toSorted()
      const kept = [...folders.keys()].filter((key) => !this.#over.some((one) => key.startsWith(`${one}-w`)))
      if (!isDeepStrictEqual(kept.toSorted(), wanted)) yield `${id} has the folders ${[...folders.keys()].join(' ')}`
      if (host?.supervisor.workers !== here.length) yield `${id} looks after ${host?.supervisor.workers} workers of ${here.length}`
      const code = new Set(here.map(({ assignment }) => assignment.bundle))
      if (!isDeepStrictEqual(new Set(bundles), code)) yield `${id} keeps ${bundles.size} bundles of ${code.size}`
      const owners = here.filter(({ assignment: { name } }) => this.#topologies.some((one) => one.name === name && one.isolatedHosts > 0))
      if (owners.length > 0 && new Set(here.map(({ assignment }) => assignment.name)).size > 1) yield `${id} is shared, and should not be`
    }
  }
}
