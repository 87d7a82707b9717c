/** What the leader does next, as a pure function of what it knows: commits, each whole and guarded by the records that it builds on. */
import type { Guard, Write } from '../coordination/coordinator.ts'
import { numbered } from '../../std/words.ts'
import { isOver, keys } from '../records.ts'
import type { AssignmentRecord, TopologyRecord, WorkerRecord } from '../records.ts'
import { forgetRemoved, tendCopies } from './copies.ts'
import type { Known } from './known.ts'
import type { SeenHost } from './hosts.ts'
import { inOrder } from './order.ts'
import { schedule } from './schedule.ts'

export interface Sight {
  readonly known: Known
  /** those that are there or not called lost yet */
  readonly hosts: readonly SeenHost[]
  readonly avoided: (topology: string) => ReadonlySet<string>
  readonly isResting: (worker: WorkerRecord) => boolean
  /** of one that is to be killed: whether its spouts have rested long enough */
  readonly hasRested: (topology: TopologyRecord) => boolean
}

export interface Step {
  /** for people */
  readonly what: string
  readonly guards: readonly Guard[]
  readonly writes: readonly Write[]
}

export interface Decision {
  readonly steps: readonly Step[]
  /** what topologies lack, by name */
  readonly problems: ReadonlyMap<string, string>
}

/** Of one commit that removes what nobody needs any more. */
const removedMax = 50

export function decide(sight: Sight): Decision {
  const { known, hosts, avoided, isResting, hasRested } = sight
  const topologies = [...known.topologies.values()].map(({ record }) => record)
  const living = topologies.filter(({ name, id, wanted }) => {
    if (isOver({ id }, known.results.get(name)?.record)) return false
    return wanted !== 'killed' || known.assignments.get(name)?.record.id === id
  })
  const leaving = topologies.filter((topology) => topology.wanted === 'killed' && (!living.includes(topology) || hasRested(topology)))
  const scheduled = schedule({
    topologies: living.filter((topology) => !leaving.includes(topology)),
    supervisors: hosts,
    assignments: [...known.assignments.values()].map(({ record }) => record),
    workers: [...known.workers.values()].map(({ record }) => record),
    avoided,
    isResting,
  })
  const problems = new Map([...scheduled].flatMap(([name, { problem }]) => (problem === undefined ? [] : [[name, problem] as const])))
  const isCurrent = currentIn(known, living)
  const isLeaving = new Set(leaving.map(({ name }) => name))
  const over = [...known.assignments.values()].filter(({ record: { name, id } }) => !isLeaving.has(name) && !isCurrent(name, id))
  const moves: Change[] = [
    ...leaving.map(({ name }) => ({ name, before: known.assignments.get(name)?.record, after: undefined })),
    ...over.map(({ record }) => ({ name: record.name, before: record, after: undefined })),
  ]
  for (const [name, { assignment: after }] of scheduled) {
    const before = known.assignments.get(name)?.record
    if (after !== undefined && after !== before) moves.push({ name, before, after })
  }
  const isMoving = new Set(moves.map(({ name }) => name))
  const unmoved = [...known.assignments.values()].flatMap(({ record }) => (isMoving.has(record.name) ? [] : [record]))
  const steps = inOrder(moves, hosts, unmoved).map(({ name, after }): Step => {
    const topology = versionOf(keys.topology(name), known.topologies.get(name))
    const assignment = versionOf(keys.assignment(name), known.assignments.get(name))
    if (after !== undefined)
      return {
        what: `${name} is placed: epoch ${after.epoch}, ${numbered(after.workers.length, 'worker')}`,
        guards: [topology, assignment],
        writes: [{ key: keys.assignment(name), value: JSON.stringify(after) }],
      }
    if (!isLeaving.has(name))
      return { what: `${name} is not placed any more`, guards: [assignment], writes: [{ key: keys.assignment(name), delete: true }] }
    const gone = [keys.topology(name), keys.assignment(name), keys.result(name)]
    return { what: `${name} is removed`, guards: [topology], writes: gone.map((key) => ({ key, delete: true })) }
  })
  return { steps: [...steps, ...removals(known, isCurrent), ...tendCopies(known, hosts), ...forgetRemoved(known)], problems }
}

interface Change {
  readonly name: string
  readonly before: AssignmentRecord | undefined
  readonly after: AssignmentRecord | undefined
}

/** Whether what belongs to a deployment, by a key `NAME` or `NAME/K`, is of one that lives. */
function currentIn(known: Known, living: readonly TopologyRecord[]): (key: string, id: string) => boolean {
  const runs = new Map(living.map(({ name, id }) => [name, id]))
  return (key, id) => runs.get(nameOf(key)) === id || known.unreadable.has(keys.topology(nameOf(key)))
}

/** Records of what does not run any more: workers that are not assigned, positions nobody goes on from. */
function removals(known: Known, isCurrent: (key: string, id: string) => boolean): readonly Step[] {
  const gone = [
    ...[...known.workers].filter(([key, { record }]) => {
      const assignment = known.assignments.get(nameOf(key))?.record
      // they name the logs of a run that is over
      if (hasEnded(known, record)) return false
      return !isCurrent(key, record.id) || (assignment !== undefined && !assignment.workers.some(({ worker }) => worker === record.worker))
    }),
    ...[...known.positions].filter(([key, { record }]) => !isCurrent(key, record.id)),
    ...[...known.results].filter(
      ([name, { record }]) => !known.unreadable.has(keys.topology(name)) && known.topologies.get(name)?.record.id !== record.id,
    ),
  ].map(([, read]) => read)
  const steps: Step[] = []
  for (let from = 0; from < gone.length; from += removedMax) {
    const some = gone.slice(from, from + removedMax)
    steps.push({
      what: `${numbered(some.length, 'record')} removed`,
      guards: some.map(({ key, version }) => ({ key, version })),
      writes: some.map(({ key }) => ({ key, delete: true })),
    })
  }
  return steps
}

/** Whether it is a worker of a run that has ended by itself, of a topology that nobody has killed. */
function hasEnded(known: Known, { name, id }: WorkerRecord): boolean {
  const topology = known.topologies.get(name)?.record
  return topology?.id === id && topology.wanted !== 'killed' && isOver(topology, known.results.get(name)?.record)
}

export function versionOf(key: string, read: { readonly version: number } | undefined): Guard {
  return { key, version: read?.version ?? 0 }
}

/** Of a key `NAME/K`. */
function nameOf(key: string): string {
  return key.split('/')[0] ?? ''
}
