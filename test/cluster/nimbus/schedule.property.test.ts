/** What holds of every schedule, whatever happened before: hosts come and go, workers fail, topologies are deployed, changed and killed. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { schedule } from '../../../lib/cluster/nimbus/schedule.ts'
import type { Scene, Scheduled } from '../../../lib/cluster/nimbus/schedule.ts'
import type { SeenHost } from '../../../lib/cluster/nimbus/hosts.ts'
import type { AssignmentRecord, TopologyRecord, WorkerRecord } from '../../../lib/cluster/records.ts'
import { assignmentsOf, supervisorOf, topologyOf, workerOf } from './scenes.ts'

const hostNames = ['a', 'b', 'c', 'd', 'e'] as const
const names = ['t', 'u', 'v', 'w'] as const

const event = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('host' as const), id: fc.constantFrom(...hostNames), slots: fc.nat(4) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('gone' as const), id: fc.constantFrom(...hostNames) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('sick' as const), id: fc.constantFrom(...hostNames) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('deploy' as const),
      name: fc.constantFrom(...names),
      workers: fc.integer({ min: 1, max: 5 }),
      executors: fc.integer({ min: 1, max: 9 }),
      isolatedHosts: fc.constantFrom(0, 0, 0, 1, 2),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('workers' as const),
      name: fc.constantFrom(...names),
      workers: fc.integer({ min: 1, max: 5 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('executors' as const),
      name: fc.constantFrom(...names),
      executors: fc.integer({ min: 1, max: 9 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('code' as const), name: fc.constantFrom(...names) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('kill' as const), name: fc.constantFrom(...names) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('remove' as const), name: fc.constantFrom(...names) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('fail' as const), name: fc.constantFrom(...names), worker: fc.nat(4) }) },
)
/** A host whose record went a moment ago: it is not called lost yet. */
const absence = fc.record({ kind: fc.constantFrom('away' as const, 'back' as const), id: fc.constantFrom(...hostNames) })
type EventOf<A> = A extends fc.Arbitrary<infer T> ? T : never
type Event = EventOf<typeof event> | EventOf<typeof absence>

/** Short ones, which are most by default, hardly ever come to what is of interest. */
const long = { maxLength: 40, size: 'max' } as const

class World {
  readonly supervisors = new Map<string, SeenHost>()
  readonly topologies = new Map<string, TopologyRecord>()
  assignments: readonly AssignmentRecord[] = []
  workers: readonly WorkerRecord[] = []
  #deployed = 0

  happen(one: Event): void {
    const change = (name: string, more: Partial<TopologyRecord>): void => {
      const topology = this.topologies.get(name)
      if (topology !== undefined && topology.wanted !== 'killed') this.topologies.set(name, { ...topology, ...more })
    }
    const changes = 'name' in one ? (this.topologies.get(one.name)?.changes ?? 0) + 1 : 0
    if (one.kind === 'host') this.supervisors.set(one.id, supervisorOf(one.id, { slots: one.slots }))
    else if (one.kind === 'gone') this.supervisors.delete(one.id)
    else if (one.kind === 'sick' && this.supervisors.has(one.id))
      this.supervisors.set(one.id, { ...(this.supervisors.get(one.id) as SeenHost), unhealthy: 'the disk is full' })
    else if ((one.kind === 'away' || one.kind === 'back') && this.supervisors.has(one.id))
      this.supervisors.set(one.id, { ...(this.supervisors.get(one.id) as SeenHost), isAway: one.kind === 'away' })
    else if (one.kind === 'deploy' && !this.topologies.has(one.name)) {
      const { name, workers, executors, isolatedHosts } = one
      const deployedAtMs = this.#deployed++
      this.topologies.set(name, topologyOf(name, { id: `${name}-${deployedAtMs}`, deployedAtMs, workers, executors, isolatedHosts }))
    } else if (one.kind === 'workers') change(one.name, { workers: one.workers })
    else if (one.kind === 'executors') change(one.name, { executors: one.executors, changes })
    else if (one.kind === 'code') change(one.name, { bundle: changes.toString(16).padStart(64, '0'), changes })
    else if (one.kind === 'kill') change(one.name, { wanted: 'killed' })
    else if (one.kind === 'remove') {
      this.topologies.delete(one.name)
      this.assignments = this.assignments.filter(({ name }) => name !== one.name)
    } else if (one.kind === 'fail') {
      const assignment = this.assignments.find(({ name }) => name === one.name)
      if (assignment?.workers.some(({ worker }) => worker === one.worker) === true)
        this.workers = [...this.workers, workerOf(assignment, one.worker, 'failing')]
    }
  }

  get scene(): Scene {
    const { supervisors, topologies, assignments, workers } = this
    return { supervisors: [...supervisors.values()], topologies: [...topologies.values()], assignments, workers }
  }
}

test('what holds of every schedule', () => {
  fc.assert(
    fc.property(fc.array(event, { ...long, minLength: 1 }), fc.context(), (events, context) => {
      const world = new World()
      for (const one of events) {
        const before = world.assignments
        world.happen(one)
        const { scene } = world
        const found = schedule(scene)
        const after = assignmentsOf(found)
        context.log(JSON.stringify([one, after, [...found].map(([name, { problem }]) => [name, problem])]))

        keepsToSlots(world, after)
        usesEverySlot(world, found)
        hasEveryExecutorOnce(after)
        isWhereItShould(world, found)
        isAlone(world, after)
        grows(before, after)
        movesNothingThatWorks(world, before, after)

        const again = schedule({ ...scene, assignments: after })
        expect([...again.values()]).toEqual([...found.values()])
        for (const [i, assignment] of assignmentsOf(again).entries()) expect(assignment).toBe(after[i])
        const mirrored = schedule({
          supervisors: scene.supervisors.toReversed(),
          topologies: scene.topologies.toReversed(),
          assignments: scene.assignments.toReversed(),
          workers: scene.workers.toReversed(),
        })
        expect(new Map([...mirrored].sort())).toEqual(new Map([...found].sort()))
        world.assignments = after
      }
    }),
    { numRuns: 150 },
  )
})

test('hosts that are away keep what they have and get nothing; failing workers that rest stay; hosts of one topology are of no other', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof({ weight: 4, arbitrary: event }, { weight: 1, arbitrary: absence }), long), (events) => {
      const world = new World()
      for (const one of events) {
        const before = world.assignments
        world.happen(one)
        const scene: Scene = { ...world.scene, supervisors: [...world.supervisors.values()], isResting: ({ worker }) => worker % 2 === 0 }
        const after = assignmentsOf(schedule(scene))
        const wrong = after.flatMap(({ id, name, workers }) => {
          const last = before.find((assignment) => assignment.id === id)
          const isNew = ({ worker, supervisor }: (typeof workers)[number]): boolean =>
            last?.workers.find((place) => place.worker === worker)?.supervisor !== supervisor
          return workers.filter((place) => world.supervisors.get(place.supervisor)?.isAway === true && isNew(place)).map(() => name)
        })
        expect(wrong).toEqual([])
        isAlone(world, after)
        expect(assignmentsOf(schedule({ ...scene, assignments: after }))).toEqual(after)
        world.assignments = after
      }
    }),
    { numRuns: 100 },
  )
})

const room = fc.record({ slots: fc.nat(4), cores: fc.nat(4), memoryMb: fc.nat(2_048) })
const asking = fc.record({
  kind: fc.constant('deploy' as const),
  name: fc.constantFrom(...names),
  workers: fc.integer({ min: 1, max: 5 }),
  executors: fc.integer({ min: 1, max: 9 }),
  hints: fc.record({ cpu: fc.constantFrom(0, 0.25, 0.5, 1), memoryMb: fc.constantFrom(0, 100, 300, 1_000) }),
})
const leaving = fc.record({ kind: fc.constant('remove' as const), name: fc.constantFrom(...names) })

test('what is new gets no more of a host than it has, and one that would fit on a host runs', () => {
  fc.assert(
    fc.property(fc.array(room, { maxLength: 5 }), fc.array(fc.oneof(asking, leaving), long), (rooms, events) => {
      const supervisors = rooms.map((one, i) => supervisorOf(`h${i}`, one))
      const topologies = new Map<string, TopologyRecord>()
      let assignments: readonly AssignmentRecord[] = []
      for (const [deployedAtMs, one] of events.entries()) {
        if (one.kind === 'remove') {
          topologies.delete(one.name)
          assignments = assignments.filter(({ name }) => name !== one.name)
        } else if (!topologies.has(one.name)) {
          const { name, workers, executors, hints } = one
          // a task on each executor
          const components: TopologyRecord['components'] = [{ id: 'source', kind: 'spout', tasks: executors, hints }]
          topologies.set(name, topologyOf(name, { id: `${name}-${deployedAtMs}`, deployedAtMs, workers, executors, components }))
        }
        const found = schedule({ supervisors, topologies: [...topologies.values()], assignments, workers: [] })
        assignments = assignmentsOf(found)
        const free = supervisors.map((host) => {
          const here = assignments.flatMap(({ name, workers }) =>
            workers.filter(({ supervisor }) => supervisor === host.id).map(({ executors }) => ({ name, tasks: executors.length })),
          )
          const asked = (of: 'cpu' | 'memoryMb'): number =>
            here.reduce((sum, { name, tasks }) => sum + tasks * (topologies.get(name)?.components[0]?.hints?.[of] ?? 0), 0)
          return { slots: host.slots - here.length, cpu: host.cores - asked('cpu'), memoryMb: host.memoryMb - asked('memoryMb') }
        })
        for (const { slots, cpu, memoryMb } of free) expect(Math.min(slots, cpu, memoryMb)).toBeGreaterThanOrEqual(0)
        for (const { name, executors, components } of topologies.values()) {
          if ((found.get(name)?.assignment?.workers.length ?? 0) > 0) continue
          const { cpu = 0, memoryMb = 0 } = components[0]?.hints ?? {}
          expect(free.filter((host) => host.slots > 0 && host.cpu >= cpu * executors && host.memoryMb >= memoryMb * executors)).toEqual([])
          expect(found.get(name)?.problem).toBeDefined()
        }
      }
    }),
    { numRuns: 100 },
  )
})

function isUsable(world: World, id: string): boolean {
  const host = world.supervisors.get(id)
  return host !== undefined && host.unhealthy === undefined && host.slots > 0
}

function placesOn(assignments: readonly AssignmentRecord[], host: string): readonly string[] {
  return assignments.flatMap(({ name, workers }) => workers.filter(({ supervisor }) => supervisor === host).map(() => name))
}

function isKilled(world: World, name: string): boolean {
  return world.topologies.get(name)?.wanted === 'killed'
}

function keepsToSlots(world: World, after: readonly AssignmentRecord[]): void {
  for (const { id, slots } of world.supervisors.values()) {
    if (!isUsable(world, id)) continue
    const killed = placesOn(after, id).filter((name) => isKilled(world, name)).length
    expect(placesOn(after, id).length).toBeLessThanOrEqual(Math.max(slots, killed))
  }
}

/** Who has fewer workers than it wants has them for want of slots. */
function usesEverySlot(world: World, found: ReadonlyMap<string, Scheduled>): void {
  const isolated = [...world.topologies.values()].filter((topology) => topology.isolatedHosts > 0 && topology.wanted !== 'killed')
  if (isolated.length > 0) return
  const after = assignmentsOf(found)
  const free = [...world.supervisors.values()]
    .filter(({ id }) => isUsable(world, id))
    .reduce((sum, { id, slots }) => sum + Math.max(0, slots - placesOn(after, id).length), 0)
  for (const { name, workers, executors, wanted } of world.topologies.values()) {
    if (wanted === 'killed') continue
    const placed = found.get(name)?.assignment?.workers.filter(({ supervisor }) => isUsable(world, supervisor)).length ?? 0
    const most = Math.min(workers, executors)
    expect(placed).toBeLessThanOrEqual(most)
    expect(placed).toBeGreaterThanOrEqual(free > 0 ? most : 0)
    expect(found.get(name)?.problem === undefined).toBe(placed === most)
  }
}

function hasEveryExecutorOnce(after: readonly AssignmentRecord[]): void {
  for (const { executors, workers } of after) {
    if (workers.length === 0) continue
    const all = workers.flatMap((place) => place.executors)
    expect(all.toSorted((a, b) => a - b)).toEqual(Array.from({ length: executors }, (_, i) => i))
    const counts = workers.map((place) => place.executors.length)
    expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1)
    expect(new Set(workers.map(({ worker }) => worker)).size).toBe(workers.length)
  }
}

/** Nobody is on a host that is away or unhealthy, but who waits for it. */
function isWhereItShould(world: World, found: ReadonlyMap<string, Scheduled>): void {
  for (const [name, { assignment, problem }] of found) {
    if (assignment === undefined || isKilled(world, name)) continue
    const usable = assignment.workers.filter(({ supervisor }) => isUsable(world, supervisor))
    const waits = usable.length < assignment.workers.length
    expect(usable.length).toBe(waits ? 0 : assignment.workers.length)
    expect(waits && problem === undefined).toBe(false)
  }
}

function isAlone(world: World, after: readonly AssignmentRecord[]): void {
  for (const { name, isolatedHosts, wanted } of world.topologies.values()) {
    if (isolatedHosts === 0 || wanted === 'killed') continue
    const places = after.find((assignment) => assignment.name === name)?.workers ?? []
    const hosts = new Set(places.map(({ supervisor }) => supervisor).filter((id) => isUsable(world, id)))
    expect(hosts.size).toBeLessThanOrEqual(isolatedHosts)
    for (const host of hosts) expect(placesOn(after, host).filter((other) => other !== name && !isKilled(world, other))).toEqual([])
  }
}

/** Epochs grow with every change, and incarnations with every placing. */
function grows(before: readonly AssignmentRecord[], after: readonly AssignmentRecord[]): void {
  for (const next of after) {
    const last = before.find(({ id }) => id === next.id)
    if (last === undefined || last === next) continue
    expect(next.epoch).toBe(last.epoch + 1)
    for (const { worker, supervisor, incarnation } of next.workers) {
      const had = last.workers.find((place) => place.worker === worker)
      const goesOn = had?.supervisor === supervisor
      expect([next.epoch, ...(goesOn ? [had.incarnation] : [])]).toContain(incarnation)
    }
  }
}

/** Where nobody wants a host alone, a worker that works goes only where fewer are wanted, or its host has too few slots for all. */
function movesNothingThatWorks(world: World, before: readonly AssignmentRecord[], after: readonly AssignmentRecord[]): void {
  if ([...world.topologies.values()].some(({ isolatedHosts }) => isolatedHosts > 0)) return
  for (const last of before) {
    const topology = world.topologies.get(last.name)
    const next = after.find(({ id }) => id === last.id)
    if (topology === undefined || next === undefined) continue
    const works = last.workers.filter(
      ({ worker, incarnation, supervisor }) =>
        isUsable(world, supervisor) &&
        placesOn(before, supervisor).length <= (world.supervisors.get(supervisor)?.slots ?? 0) &&
        !world.workers.some((record) => record.id === last.id && record.worker === worker && record.incarnation === incarnation),
    )
    const stay = works.filter(({ worker, supervisor }) =>
      next.workers.some((place) => place.worker === worker && place.supervisor === supervisor),
    )
    expect(stay.length).toBe(
      Math.min(works.length, topology.wanted === 'killed' ? works.length : Math.min(topology.workers, topology.executors)),
    )
    const lead = works.find(({ executors }) => executors.includes(0))
    const leads = next.workers.find(({ executors }) => executors.includes(0))?.worker
    expect(leads).toBe(lead?.worker ?? leads)
    const goOn = topology.changes === last.changes && lead !== undefined ? stay : []
    for (const { worker, incarnation } of goOn) expect(next.workers.find((place) => place.worker === worker)?.incarnation).toBe(incarnation)
    movesFewExecutors(last, next)
  }
}

/** Of executors that exist before and after, only those move whose worker is gone or has more than its part. */
function movesFewExecutors(last: AssignmentRecord, next: AssignmentRecord): void {
  const share = Math.floor(next.executors / next.workers.length)
  for (const { worker, executors } of last.workers) {
    const now = next.workers.find((place) => place.worker === worker)
    if (now === undefined) continue
    const still = executors.filter((executor) => executor < next.executors)
    const kept = still.filter((executor) => now.executors.includes(executor)).length
    expect(kept).toBeGreaterThanOrEqual(Math.min(still.length, share))
    expect(kept < still.length && now.executors.length > kept).toBe(false)
  }
}
