/**
 * Who runs what: from the records to the assignments, as a pure function. What works stays as it is: a worker keeps its supervisor, executors keep their
 * worker, and an assignment that need not change is returned as it was. In this order:
 *
 * 1. workers stay where they are unless they fail, or their host is gone, unhealthy or out of slots;
 * 2. topologies that want hosts for themselves get them, whoever else was there has to go;
 * 3. free slots are dealt out: one to each topology that has none, then to those that lost workers, then to those that want more; older ones first;
 * 4. each topology divides its executors over its workers and places those that have no host;
 * 5. one that somebody wants rebalanced is spread over the hosts, once.
 *
 * Where slots are short a topology runs on fewer workers. One that would find none stays where it was if its hosts are away: they may come back.
 */
import { isDeepStrictEqual } from 'node:util'
import { assert } from '../../std/assert.ts'
import { hintsText } from '../../topology/hints.ts'
import type { AssignmentRecord, TopologyRecord, WorkerRecord } from '../records.ts'
import { askAnew, balance } from './balance.ts'
import { distribute } from './distribute.ts'
import { compare, demandOf, draftOf, isLead, leadFirst, placeKey } from './draft.ts'
import type { Draft, Place } from './draft.ts'
import { Host, sumOf } from './hosts.ts'
import type { Demand, SeenHost } from './hosts.ts'
import { isolate } from './isolate.ts'

/** Hosts of which it is told why they take none. */
const reasonsMax = 3

export interface Scene {
  /** those that are to run, or still do */
  readonly topologies: readonly TopologyRecord[]
  /** hosts that are there, or not called lost yet */
  readonly supervisors: readonly SeenHost[]
  readonly assignments: readonly AssignmentRecord[]
  readonly workers: readonly WorkerRecord[]
  /** the hosts that a topology gets when there are no others */
  readonly avoided?: (topology: string) => ReadonlySet<string>
  /** of a worker that is failing: whether it stays a while longer */
  readonly isResting?: (worker: WorkerRecord) => boolean
}

export interface Scheduled {
  /** none: it has not run yet, and cannot now */
  readonly assignment: AssignmentRecord | undefined
  /** what it lacks, for people */
  readonly problem?: string
}

/** By name. */
export function schedule(scene: Scene): ReadonlyMap<string, Scheduled> {
  // What a topology cannot use, because no host has as much memory free as it asks for, is for the others.
  for (const refused = new Set<string>(); ;) {
    const attempt = new Attempt(scene, refused)
    const found = attempt.run()
    if (attempt.refused.size === refused.size) return found
    for (const name of attempt.refused) refused.add(name)
  }
}

class Attempt {
  /** topologies that find no host with as much room as they ask for */
  readonly refused: Set<string>
  readonly #scene: Scene
  readonly #hosts: ReadonlyMap<string, Host>
  readonly #failing: ReadonlySet<string>
  readonly #drafts: readonly Draft[]

  constructor(scene: Scene, refused: ReadonlySet<string>) {
    this.#scene = scene
    this.refused = new Set(refused)
    const supervisors = scene.supervisors.toSorted((a, b) => compare(a.id, b.id))
    this.#hosts = new Map(supervisors.map((record) => [record.id, new Host(record)]))
    this.#failing = new Set(
      scene.workers.filter((worker) => worker.state === 'failing' && scene.isResting?.(worker) !== true).map(placeKey),
    )
    const assignments = new Map(scene.assignments.map((assignment) => [assignment.name, assignment]))
    this.#drafts = scene.topologies
      .toSorted((a, b) => a.deployedAtMs - b.deployedAtMs || compare(a.name, b.name))
      .map((topology) => draftOf(topology, assignments.get(topology.name)))
  }

  run(): ReadonlyMap<string, Scheduled> {
    const living = this.#drafts.filter(({ topology }) => topology.wanted !== 'killed')
    for (const draft of this.#drafts) this.#keep(draft)
    for (const draft of living) this.#drop(draft)
    isolate(living, this.#hosts)
    this.#deal(living.filter(({ name }) => !this.refused.has(name)))
    return new Map(this.#drafts.map((draft) => [draft.name, this.#place(draft)]))
  }

  #keep(draft: Draft): void {
    const { name, previous, topology } = draft
    for (const place of leadFirst(previous?.workers ?? [])) {
      const host = this.#hosts.get(place.supervisor)
      const stays =
        host !== undefined && host.takesWorkers && host.free > 0 && !this.#failing.has(placeKey({ ...place, name, id: topology.id }))
      if (stays || topology.wanted === 'killed') {
        draft.kept.push(place)
        host?.take(name)
        host?.askMore(name, demandOf(draft, place.executors))
      } else draft.lost.push(place)
    }
  }

  /** More workers than wanted: those with the fewest executors go, never the lead. */
  #drop(draft: Draft): void {
    const { name, kept, wanted } = draft
    if (kept.length <= wanted) return
    const byWorth = kept.toSorted(
      (a, b) => Number(isLead(b)) - Number(isLead(a)) || b.executors.length - a.executors.length || a.worker - b.worker,
    )
    draft.kept = byWorth.slice(0, wanted)
    for (const { supervisor } of byWorth.slice(wanted)) this.#hosts.get(supervisor)?.leave(name)
  }

  #deal(drafts: readonly Draft[]): void {
    const pools = new Map<string, number>()
    for (const host of this.#hosts.values()) {
      const pool = host.owner ?? ''
      if (host.takesMore) pools.set(pool, (pools.get(pool) ?? 0) + Math.max(0, host.free))
    }
    const deal = (draft: Draft, upTo: number): void => {
      const pool = draft.topology.isolatedHosts > 0 ? draft.name : ''
      const free = pools.get(pool) ?? 0
      const more = Math.max(0, Math.min(upTo - draft.kept.length - draft.grant, free))
      draft.grant += more
      pools.set(pool, free - more)
    }
    for (const draft of drafts) deal(draft, 1)
    for (const draft of drafts) deal(draft, Math.min(draft.wanted, draft.kept.length + draft.lost.length))
    for (const draft of drafts) deal(draft, draft.wanted)
  }

  #place(draft: Draft): Scheduled {
    const { topology, previous, kept, lost, grant, wanted } = draft
    if (topology.wanted === 'killed')
      return { assignment: previous && unlessSame(previous, { ...previous, epoch: previous.epoch + 1, isActive: false }) }
    const replaced = lost.slice(0, grant)
    const isFresh = kept.length + lost.length === 0
    let added = grant - replaced.length
    let places = this.#tryToPlace(draft, replaced, added)
    while (typeof places === 'number') {
      added = isFresh ? places : 0
      places = this.#tryToPlace(draft, replaced, added)
    }
    if (places.length === 0) {
      if (grant > 0) this.refused.add(draft.name)
      const problem = this.refused.has(draft.name) ? this.#lackOfRoom(draft) : this.#lackOfSlots(draft)
      return { assignment: previous && this.#waiting(draft, previous), problem }
    }
    if ((topology.rebalances ?? 0) !== (previous?.rebalances ?? 0))
      balance(draft, places, [...this.#hosts.values()], this.#scene.avoided?.(topology.name))
    const assignment = compose(topology, previous, places, this.#hasBegun(draft))
    if (places.length < wanted)
      return { assignment, problem: `it runs on ${places.length} of ${wanted} workers: there is no room for more` }
    const hostsWanted = Math.min(topology.isolatedHosts, wanted)
    return draft.own < hostsWanted ? { assignment, problem: `it has ${draft.own} of ${hostsWanted} hosts to itself` } : { assignment }
  }

  /** Its workers with their places; or how many of the new ones have room, if not all have. */
  #tryToPlace(draft: Draft, replaced: readonly Place[], added: number): Place[] | number {
    const { name, topology, kept } = draft
    if (kept.length + replaced.length + added === 0) return []
    const numbers = unusedNumbers([...kept, ...replaced], added)
    const fresh = numbers.map((worker): Place => ({ worker, supervisor: '', incarnation: 0, executors: [] }))
    const shares = distribute(
      topology.executors,
      [...kept, ...replaced, ...fresh].map(({ executors }) => executors),
    )
    const withShares = (places: readonly Place[], from: number): Place[] =>
      places.map((place, i) => ({ ...place, executors: [...(shares[from + i] as readonly number[])] }))
    const places = withShares(kept, 0)
    askAnew(draft, places, this.#hosts.values())
    const taken: Host[] = []
    const settle = (place: Place, mustFit: boolean): boolean => {
      const demand = demandOf(draft, place.executors)
      const host = this.#bestFor(topology, demand, mustFit, place.supervisor)
      if (host === undefined) return false
      host.take(name)
      host.askMore(name, demand)
      taken.push(host)
      places.push({ ...place, supervisor: host.id, incarnation: 0 })
      return true
    }
    for (const place of largestFirst(draft, withShares(replaced, kept.length))) assert(settle(place, false), `a slot for ${name}`)
    const isPlaced = largestFirst(draft, withShares(fresh, kept.length + replaced.length)).map((place) => settle(place, true))
    if (isPlaced.every(Boolean)) return places
    for (const host of taken) host.leave(name)
    return isPlaced.filter(Boolean).length
  }

  /** A host with a free slot, and not the one where it was, if there is a choice. */
  #bestFor({ name, isolatedHosts }: TopologyRecord, demand: Demand, mustFit: boolean, before: string): Host | undefined {
    const avoided = this.#scene.avoided?.(name)
    const owner = isolatedHosts > 0 ? name : undefined
    const ranked = [...this.#hosts.values()]
      .filter((host) => host.takesMore && host.owner === owner && host.free > 0 && (!mustFit || host.fits(demand)))
      .map((host) => ({
        host,
        ranks: [
          // of hosts that it has to itself, none stays empty
          Number(owner !== undefined && host.workersOf(name) > 0),
          Number(host.id === before),
          Number(avoided?.has(host.id) === true),
          Number(!host.fits(demand)),
          host.workersOf(name),
          host.used / host.record.slots,
        ],
      }))
    // the first of equals, by id
    return ranked.reduce<(typeof ranked)[number] | undefined>(
      (best, one) => (best === undefined || isLess(one.ranks, best.ranks) ? one : best),
      undefined,
    )?.host
  }

  /** Nothing is free for it. If its hosts are away it stays there: should one come back, it finds its work, and what has changed of it. */
  #waiting({ topology: wanted }: Draft, previous: AssignmentRecord): AssignmentRecord {
    // it is spread once there are hosts
    const topology = { ...wanted, rebalances: previous.rebalances }
    const places = leadFirst(previous.workers).slice(0, topology.executors)
    if (places.length === 0 || places.some(({ supervisor }) => this.#hosts.get(supervisor)?.takesWorkers === true))
      return compose(topology, previous, [])
    const shares = distribute(
      topology.executors,
      places.map(({ executors }) => executors),
    )
    return compose(
      topology,
      previous,
      places.map((place, i) => ({ ...place, executors: [...(shares[i] as readonly number[])] })),
    )
  }

  /** Whether its lead has brought its workers together, or is still to be started: between the two it waits for those that it was started with. */
  #hasBegun({ name, previous }: Draft): boolean {
    const lead = previous?.workers.find(isLead)
    const record = this.#scene.workers.find(
      (one) => one.name === name && one.worker === lead?.worker && one.incarnation === lead.incarnation,
    )
    return record === undefined || record.state === 'running'
  }

  #lackOfSlots({ topology }: Draft): string {
    const hosts = [...this.#hosts.values()].filter(({ takesMore }) => takesMore)
    if (hosts.length === 0) return this.#lackOfHosts()
    if (topology.isolatedHosts > 0) return 'all hosts belong to other topologies'
    const open = hosts.filter(({ owner }) => owner === undefined)
    const slots = open.reduce((sum, { record }) => sum + record.slots, 0)
    return open.length === 0 ? 'all hosts belong to other topologies' : `no slot is free: all ${slots} are used`
  }

  #lackOfHosts(): string {
    const there = [...this.#hosts.values()].flatMap(({ record }) => (record.isAway === true ? [] : [record]))
    const reasons = there.flatMap(({ host, unhealthy }) => (unhealthy === undefined ? [] : [`${host}: ${unhealthy}`]))
    if (reasons.length === 0) return 'no supervisor is there to take workers'
    const more = reasons.length > reasonsMax ? `, and ${reasons.length - reasonsMax} more` : ''
    return `no host takes workers now (${reasons.slice(0, reasonsMax).join('; ')}${more})`
  }

  #lackOfRoom(draft: Draft): string {
    return `no host has the room that its components ask for: ${hintsText(sumOf(draft.demands ?? []))} in all`
  }
}

/** The record, or the previous one if it says the same. */
function compose(
  topology: TopologyRecord,
  previous: AssignmentRecord | undefined,
  places: readonly Place[],
  hasBegun = true,
): AssignmentRecord {
  const { name, id, changes, rebalances, bundle, executors, wanted } = topology
  const epoch = (previous?.epoch ?? 0) + 1
  // The others know their lead from their beginning: where executor 0 goes to another worker, as after a loss, all of them begin anew, each on its host.
  const hasOtherLead = places.find(isLead)?.worker !== previous?.workers.find(isLead)?.worker
  const beginAnew = previous?.changes !== changes || hasOtherLead || (!hasBegun && !isSameShare(previous.workers, places))
  const workers = places
    .map((place) => (beginAnew || place.incarnation === 0 ? { ...place, incarnation: epoch } : place))
    .sort((a, b) => a.worker - b.worker)
  const asked = rebalances === undefined ? {} : { rebalances }
  const next = { name, id, epoch, changes, ...asked, bundle, executors, isActive: wanted === 'active', workers }
  return previous === undefined ? next : unlessSame(previous, next)
}

/** The same workers, each with the same executors, wherever they are. */
function isSameShare(before: readonly Place[], after: readonly Place[]): boolean {
  const shares = (places: readonly Place[]): unknown =>
    places.map(({ worker, executors }) => ({ worker, executors })).sort((a, b) => a.worker - b.worker)
  return isDeepStrictEqual(shares(before), shares(after))
}

function unlessSame(previous: AssignmentRecord, next: AssignmentRecord): AssignmentRecord {
  return isDeepStrictEqual({ ...next, epoch: previous.epoch }, previous) ? previous : next
}

function unusedNumbers(places: readonly Place[], count: number): readonly number[] {
  const used = new Set(places.map(({ worker }) => worker))
  const unused: number[] = []
  for (let number = 0; unused.length < count; number++) if (!used.has(number)) unused.push(number)
  return unused
}

function largestFirst(draft: Draft, places: readonly Place[]): readonly Place[] {
  if (draft.demands === undefined) return places
  const sized = places.map((place) => ({ place, demand: demandOf(draft, place.executors) }))
  sized.sort((a, b) => b.demand.memoryMb - a.demand.memoryMb || b.demand.cpu - a.demand.cpu || a.place.worker - b.place.worker)
  return sized.map(({ place }) => place)
}

function isLess(a: readonly number[], b: readonly number[]): boolean {
  const at = a.findIndex((value, i) => value !== b[i])
  return at >= 0 && (a[at] as number) < (b[at] as number)
}
