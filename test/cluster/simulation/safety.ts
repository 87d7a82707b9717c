/**
 * What must never happen, looked at when each commit is done, when a worker does what it was told, and each second:
 *
 * - only who leads writes what the leader writes, and at most one nimbus that runs believes that it leads;
 * - epochs grow with every write of an assignment, also of one that was away; incarnations grow each time a worker is placed anew, and stay otherwise;
 * - an assignment deals out each executor once; nothing is moved without need; a slot that is given to a worker was free;
 * - a supervisor writes about workers that it is assigned, a result stays;
 * - one live process of a worker's incarnation; on one host one of a worker, and one deployment of a name; each goes by an assignment that was written,
 *   and runs the code and parameters of its time;
 * - positions never go back behind what was written down some time ago, where the supervisor could know it;
 * - what nobody wants ends within a bounded time wherever a supervisor is well.
 */
import { isDeepStrictEqual } from 'node:util'
import { isOver, keys } from '../../../lib/cluster/records.ts'
import type {
  AssignmentRecord,
  NimbusRecord,
  PositionsRecord,
  ResultRecord,
  SupervisorRecord,
  TopologyRecord,
  WorkerRecord,
} from '../../../lib/cluster/records.ts'
import type { Assignment } from '../../../lib/cluster/worker/assignment.ts'
import { tasksOf } from './processes.ts'
import type { SimProcess } from './processes.ts'
import type { Write } from '../../../lib/cluster/coordination/coordinator.ts'
import type { Committed, Node, World } from './world.ts'

/** What a leader has seen is no older, while it can write at all. */
const staleMs = 12_000
const lostMs = 2_000
/** A worker that nobody wants ends within this: three steps of its end, and a supervisor that has just begun. */
const strangeMs = 25_000
/** One that says nothing for ten seconds is killed; one that is being ended has three steps for it. */
const hungMs = 22_000
/** Positions are written each second. */
const positionsMs = 15_000

export interface Running {
  /** by host: its live processes, and the node of its supervisor */
  hosts(): readonly { readonly id: string; readonly alive: readonly SimProcess[]; readonly supervisor: Node | undefined }[]
  leaders(): readonly Node[]
}

type Place = AssignmentRecord['workers'][number]

interface Absence {
  readonly fromMs: number
  readonly untilMs: number
}

/** A write, in the trace. */
function described(write: Write): string {
  if (!('value' in write)) return `-${write.key}`
  const value = JSON.parse(write.value) as Partial<AssignmentRecord> & Partial<PositionsRecord> & { state?: string }
  const places = value.workers?.map?.(
    ({ worker, supervisor, incarnation, executors }) => `${worker}@${supervisor}.${incarnation}[${executors.join()}]`,
  )
  const more = [value.epoch, ...(places ?? []), value.state, JSON.stringify(value.positions)].filter((one) => one !== undefined)
  return [write.key, ...more].join(' ')
}

function sharesOf({ workers }: AssignmentRecord): unknown {
  return workers.map(({ worker, executors }) => [worker, executors])
}

export class Unsafe extends Error {}

export class Safety {
  readonly #world: World
  readonly #running: Running
  #leader: Node | undefined
  readonly #epochs = new Map<string, number>()
  readonly #incarnations = new Map<string, number>()
  readonly #assignments = new Map<string, AssignmentRecord>()
  readonly #topologies = new Map<string, TopologyRecord>()
  /** what an assignment was made for, by name */
  readonly #madeFor = new Map<string, TopologyRecord>()
  readonly #absences = new Map<string, Absence[]>()
  readonly #absentSince = new Map<string, number>()
  readonly #slots = new Map<string, number>()
  /** hosts that are not well now */
  readonly #unwellSince = new Map<string, number>()
  readonly #unhealthyMs = new Map<string, number>()
  readonly #failingMs = new Map<string, number>()
  /** when a worker was last said not to run */
  readonly #startingMs = new Map<string, number>()
  /** by id and task: what was written of it last, and when */
  readonly #positions = new Map<string, { readonly position: number; readonly atMs: number }[]>()
  #isolatedMs = -Infinity

  constructor(world: World, running: Running) {
    this.#world = world
    this.#running = running
  }

  /** What was ever written of a topology, by its bundle. */
  wasWritten(name: string, bundle: string): boolean {
    return [...this.#topologies.values()].some((topology) => topology.name === name && topology.bundle === bundle)
  }

  committed(commit: Committed): void {
    const { author, writes, before } = commit
    const changed = writes.filter((write) => 'value' in write || before.has(write.key))
    this.#world.say(`${author?.id ?? 'a lease that ends'} writes ${changed.map(described).join(' ')}`)
    // of what one commit does, topologies first
    for (const write of changed.toSorted((a, b) => Number(b.key.startsWith('top')) - Number(a.key.startsWith('top')))) {
      const old = before.get(write.key)
      const value: unknown = 'value' in write ? JSON.parse(write.value) : undefined
      this.#written(author, write.key, value, old === undefined ? undefined : (JSON.parse(old.value) as unknown))
    }
  }

  /** A worker does what an assignment says. */
  obeys(process: SimProcess, assignment: Assignment, positions: Readonly<Record<string, number>>): void {
    const { id, worker, incarnation, topology: name, module, params } = process.launch
    const record = this.#assignments.get(`${id}/${assignment.epoch}`)
    if (record === undefined) return this.#fail(`${process.name} goes by an assignment that nobody wrote: epoch ${assignment.epoch}`)
    const places = (of: Pick<Assignment, 'workers'>): unknown =>
      of.workers.map(({ worker: number, incarnation: its, executors }) => [number, its, executors])
    if (
      !isDeepStrictEqual(places(assignment), places(record)) ||
      assignment.isActive !== record.isActive ||
      assignment.executors !== record.executors
    )
      this.#fail(`${process.name} was told something else than epoch ${assignment.epoch}`)
    const place = record.workers.find((one) => one.worker === worker && one.incarnation === incarnation)
    if (place?.supervisor !== process.host) this.#fail(`${process.name} does what epoch ${assignment.epoch} gives to ${place?.supervisor}`)
    const topology = this.#topologies.get(`${id}/${record.changes}`)
    if (!module.includes(record.bundle) || topology?.bundle !== record.bundle || !isDeepStrictEqual(topology.params, params))
      this.#fail(`${process.name} runs ${module} with ${JSON.stringify(params)}, not what epoch ${assignment.epoch} is for`)
    this.#alone(process)
    if (process.assignment === undefined) this.#goesOn(process, name, tasksOf(record, place?.executors ?? []), positions)
  }

  /** Each second. */
  look(): void {
    const leaders = this.#running.leaders()
    if (leaders.length > 1) this.#fail(`${leaders.map(({ id }) => id).join(' and ')} lead at once`)
    const now = this.#world.nowMs
    const wanted = new Set(
      this.#world
        .readAll<AssignmentRecord>('assignments/')
        .flatMap(({ id, workers }) => workers.map((place) => `${id}/${place.worker}/${place.incarnation}@${place.supervisor}`)),
    )
    for (const { id: host, alive, supervisor } of this.#running.hosts())
      for (const process of alive) {
        const { id, worker, incarnation } = process.launch
        if (wanted.has(`${id}/${worker}/${incarnation}@${host}`)) process.strangeSinceMs = undefined
        else process.strangeSinceMs ??= now
        const sinceMs = Math.max(process.strangeSinceMs ?? now, now - (supervisor?.wellMs ?? 0))
        if (now - sinceMs > strangeMs) this.#fail(`nobody wants ${process.name}, and it lives on`)
        if (!process.time.isPaused) process.hungSinceMs = undefined
        else process.hungSinceMs ??= now
        const silentSinceMs = Math.max(process.hungSinceMs ?? now, now - (supervisor?.wellMs ?? 0))
        if (process.isNoted && now - silentSinceMs > hungMs) this.#fail(`${process.name} hangs, and nobody does anything about it`)
      }
    if (this.#isolating) this.#isolatedMs = now
  }

  get #isolating(): boolean {
    return this.#world.readAll<TopologyRecord>('topologies/').some(({ isolatedHosts }) => isolatedHosts > 0)
  }

  // ------------------------------------------------------------------------------------------------ records

  #written(author: Node | undefined, key: string, value: unknown, before: unknown): void {
    const [kind = '', id = ''] = key.split('/')
    switch (kind) {
      case 'nimbus':
        if (id === 'leader') this.#led(author, value as NimbusRecord | undefined)
        if (id === 'deployed') this.#mustLead(author, key)
        return
      case 'supervisors':
        return this.#host(author, id, value as SupervisorRecord | undefined)
      case 'topologies':
        return this.#topology(author, key, value as TopologyRecord | undefined, before as TopologyRecord | undefined)
      case 'assignments':
        this.#mustLead(author, key)
        if (value !== undefined) this.#assigned(value as AssignmentRecord, before as AssignmentRecord | undefined)
        return
      case 'workers':
      case 'positions':
        if (value === undefined) return this.#mustLead(author, key)
        return this.#said(author, key, kind, value as WorkerRecord & PositionsRecord)
      case 'results':
        return this.#result(author, key, value as ResultRecord | undefined, before as ResultRecord | undefined)
      default:
        this.#fail(`${key} is no record`)
    }
  }

  #led(author: Node | undefined, value: NimbusRecord | undefined): void {
    if (value !== undefined && this.#leader !== undefined) this.#fail(`${author?.id} takes the lead from ${this.#leader.id}`)
    if (value !== undefined) this.#world.count('leaders')
    this.#leader = value === undefined ? undefined : author
  }

  #mustLead(author: Node | undefined, key: string): void {
    if (author === undefined || author !== this.#leader)
      this.#fail(`${author?.id} writes ${key}, but ${this.#leader?.id ?? 'nobody'} leads`)
  }

  #host(author: Node | undefined, id: string, record: SupervisorRecord | undefined): void {
    const now = this.#world.nowMs
    if (record === undefined) {
      this.#absentSince.set(id, now)
      return
    }
    if (author?.id !== id) this.#fail(`${author?.id} writes the record of ${id}`)
    this.#slots.set(id, record.slots)
    if (record.unhealthy === undefined) this.#unwellSince.delete(id)
    else if (!this.#unwellSince.has(id)) this.#unwellSince.set(id, now)
    if (record.unhealthy !== undefined) this.#unhealthyMs.set(id, Infinity)
    else if (this.#unhealthyMs.get(id) === Infinity) this.#unhealthyMs.set(id, now)
    const fromMs = this.#absentSince.get(id)
    this.#absentSince.delete(id)
    if (fromMs !== undefined) this.#absences.set(id, [...(this.#absences.get(id) ?? []), { fromMs, untilMs: now }])
  }

  #topology(author: Node | undefined, key: string, value: TopologyRecord | undefined, before: TopologyRecord | undefined): void {
    this.#mustLead(author, key)
    if (before !== undefined && value === undefined && before.wanted !== 'killed') this.#fail(`${key} is gone, and nobody wanted that`)
    if (value === undefined) return
    if (before !== undefined && before.id === value.id && before.wanted === 'killed' && value.wanted !== 'killed')
      this.#fail(`${key} was killed, and lives`)
    if (before === undefined && [...this.#topologies.values()].some(({ id }) => id === value.id))
      this.#fail(`${value.id} is deployed twice`)
    this.#topologies.set(`${value.id}/${value.changes}`, value)
    if (value.isolatedHosts > 0 || (before?.isolatedHosts ?? 0) > 0) this.#isolatedMs = this.#world.nowMs
  }

  #assigned(now: AssignmentRecord, before: AssignmentRecord | undefined): void {
    const { name, id, epoch, workers } = now
    const newest = this.#epochs.get(id) ?? 0
    if (epoch <= newest) this.#fail(`the epoch of ${id} was ${newest} and becomes ${epoch}`)
    this.#epochs.set(id, epoch)
    this.#assignments.set(`${id}/${epoch}`, now)
    const dealt = workers.flatMap(({ executors }) => executors).toSorted((a, b) => a - b)
    if (
      workers.length > 0 &&
      !isDeepStrictEqual(
        dealt,
        Array.from({ length: now.executors }, (_, i) => i),
      )
    )
      this.#fail(`epoch ${epoch} of ${id} deals out executors ${dealt.join()} of ${now.executors}`)
    if (workers.some(({ executors }) => executors.length === 0)) this.#fail(`epoch ${epoch} of ${id} has a worker that does nothing`)
    const topology = this.#world.read<TopologyRecord>(keys.topology(name))
    if (topology?.id !== id) this.#fail(`epoch ${epoch} of ${id} is placed, which is not there`)
    const previous = before?.id === id ? before : undefined
    for (const place of workers) this.#placed(now, place, previous)
    const madeFor = this.#madeFor.get(name)
    if (topology !== undefined) this.#madeFor.set(name, topology)
    if (previous !== undefined && madeFor !== undefined && topology !== undefined) this.#needed(now, previous, madeFor, topology)
  }

  #placed({ name, id, epoch }: AssignmentRecord, { worker, supervisor, incarnation }: Place, previous: AssignmentRecord | undefined): void {
    const key = `${id}/${worker}`
    const newest = this.#incarnations.get(key) ?? 0
    const old = previous?.workers.find((place) => place.worker === worker)
    if (old?.incarnation === incarnation && old.supervisor === supervisor) return
    if (incarnation <= newest || incarnation !== epoch)
      this.#fail(`worker ${worker} of ${id} is placed anew as ${incarnation} in epoch ${epoch}, and was ${newest}`)
    this.#incarnations.set(key, incarnation)
    if (old?.supervisor === supervisor) return
    this.#world.count('placed')
    const unwellSince = this.#unwellSince.get(supervisor)
    if (unwellSince !== undefined && this.#world.nowMs - unwellSince > staleMs)
      this.#fail(`${name} is placed on ${supervisor}, which is not well`)
    if (this.#absentSince.get(supervisor) !== undefined && this.#absentMs(supervisor, this.#world.nowMs) > staleMs)
      this.#fail(`${name} is placed on ${supervisor}, which is away`)
    const used = this.#world
      .readAll<AssignmentRecord>('assignments/')
      .flatMap((assignment) => assignment.workers)
      .filter((place) => place.supervisor === supervisor).length
    const slots = this.#slots.get(supervisor) ?? 0
    if (used > slots && !this.#isUnsettled())
      this.#fail(`epoch ${epoch} of ${id} is the ${used}th worker on ${supervisor}, which has ${slots} slots`)
  }

  /** Isolated topologies change places with others. */
  #isUnsettled(): boolean {
    return this.#world.nowMs - this.#isolatedMs < staleMs || this.#isolating
  }

  /** A worker that works stays where it is and what it is, unless something has changed that concerns it. */
  #needed(now: AssignmentRecord, before: AssignmentRecord, madeFor: TopologyRecord, topology: TopologyRecord): void {
    const changes: readonly (keyof TopologyRecord)[] = ['workers', 'executors', 'changes', 'rebalances', 'isolatedHosts']
    if (this.#isUnsettled() || changes.some((key) => topology[key] !== madeFor[key])) return
    const leaderOf = ({ workers }: AssignmentRecord): number | undefined => workers.find(({ executors }) => executors.includes(0))?.worker
    // a lead that has not brought its workers together waits for those that it was started with
    const lead = before.workers.find(({ worker }) => worker === leaderOf(before))
    const startedMs = this.#startingMs.get(`${now.id}/${lead?.worker}/${lead?.incarnation}`) ?? -Infinity
    const isStarting = this.#world.nowMs - startedMs < staleMs && !isDeepStrictEqual(sharesOf(now), sharesOf(before))
    const beginsAnew = isStarting || leaderOf(now) !== leaderOf(before)
    for (const old of before.workers) {
      const place = now.workers.find(({ worker }) => worker === old.worker)
      if (place?.supervisor !== old.supervisor || (place.incarnation !== old.incarnation && !beginsAnew)) {
        this.#world.count('moved')
        if (!this.#isGone(before, old)) this.#fail(`epoch ${now.epoch} of ${now.id} moves worker ${old.worker} without need`)
      }
    }
    const isGone = before.workers.some((old) => this.#isGone(before, old))
    const hasMore = now.workers.length > before.workers.length
    if (isGone || hasMore) return
    if (!isDeepStrictEqual({ ...now, epoch: 0, isActive: true }, { ...before, epoch: 0, isActive: true }))
      this.#fail(`epoch ${now.epoch} of ${now.id} changes what works`)
  }

  /** Whether a leader could think that a worker has to go. */
  #isGone({ id }: AssignmentRecord, { worker, incarnation, supervisor }: Place): boolean {
    const since = this.#world.nowMs - staleMs
    if ((this.#unhealthyMs.get(supervisor) ?? -Infinity) > since) return true
    if ((this.#failingMs.get(`${id}/${worker}/${incarnation}`) ?? -Infinity) > -Infinity) return true
    if (this.#absentMs(supervisor, this.#world.nowMs) >= 0.9 * lostMs) return true
    return (this.#absences.get(supervisor) ?? []).some(({ fromMs, untilMs }) => untilMs > since && untilMs - fromMs >= 0)
  }

  #absentMs(host: string, nowMs: number): number {
    return nowMs - (this.#absentSince.get(host) ?? nowMs)
  }

  #said(author: Node | undefined, key: string, kind: string, record: WorkerRecord & PositionsRecord): void {
    const [, name = '', worker] = key.split('/')
    const assignment = this.#world.read<AssignmentRecord>(keys.assignment(name))
    const place = assignment?.workers.find((one) => one.worker === Number(worker))
    if (assignment?.id !== record.id || place?.supervisor !== author?.id)
      this.#fail(`${author?.id} writes ${key}, which is not its to write`)
    if (kind === 'workers') {
      if (place?.incarnation !== record.incarnation) this.#fail(`${author?.id} writes ${key} of incarnation ${record.incarnation}`)
      // the next record says otherwise
      this.#startingMs.set(`${record.id}/${worker}/${record.incarnation}`, record.state === 'running' ? this.#world.nowMs : Infinity)
      if (record.state === 'failing') this.#failingMs.set(`${record.id}/${worker}/${record.incarnation}`, this.#world.nowMs)
    } else
      for (const [task, [position]] of Object.entries(record.positions)) {
        const at = `${record.id}/${task}`
        this.#positions.set(at, [...(this.#positions.get(at) ?? []).slice(-20), { position, atMs: this.#world.nowMs }])
      }
  }

  #result(author: Node | undefined, key: string, value: ResultRecord | undefined, before: ResultRecord | undefined): void {
    const [, name = ''] = key.split('/')
    if (value === undefined) return this.#mustLead(author, key)
    if (before?.id === value.id) this.#fail(`${author?.id} writes ${key} over itself`)
    const assignment = this.#world.read<AssignmentRecord>(keys.assignment(name))
    const isOurs = assignment?.id === value.id && assignment.workers.some(({ supervisor }) => supervisor === author?.id)
    if (!isOurs) this.#fail(`${author?.id} writes ${key}, which is not its to write`)
    if (isOver({ id: value.id }, value)) this.#world.count('finished')
  }

  // -------------------------------------------------------------------------------------------------- workers

  #alone(process: SimProcess): void {
    const { id, worker, incarnation, topology: name } = process.launch
    for (const { alive } of this.#running.hosts())
      for (const other of alive) {
        if (other === process || other.assignment === undefined) continue
        const its = other.launch
        if (its.id === id && its.worker === worker && its.incarnation === incarnation)
          this.#fail(`${process.name} and ${other.name} are the same`)
        if (other.host === process.host && its.topology === name && (its.id !== id || its.worker === worker))
          this.#fail(`${process.name} begins while ${other.name} lives`)
      }
  }

  #goesOn(process: SimProcess, name: string, tasks: readonly number[], positions: Readonly<Record<string, number>>): void {
    const { id } = process.launch
    const since = this.#world.nowMs - positionsMs
    const supervisor = this.#running.hosts().find(({ id: host }) => host === process.host)?.supervisor
    if (supervisor === undefined || supervisor.wellMs < positionsMs) return
    for (const task of tasks) {
      // the least that was written since then, or what was the last before
      const all = this.#positions.get(`${id}/${task}`) ?? []
      const last = all.findLast(({ atMs }) => atMs <= since)
      const least = Math.min(...all.filter(({ atMs }) => atMs > since).map(({ position }) => position), last?.position ?? 0)
      if (last !== undefined && (positions[task] ?? 0) < least)
        this.#fail(`${process.name} of ${name} goes on with ${positions[task]} for task ${task}, and ${least} was written`)
    }
  }

  #fail(what: string): never {
    throw new Unsafe(what)
  }
}
