/** What the supervisor of a host should do, from what the records say and what runs here: pure. */
import type { AssignmentRecord } from '../records.ts'

export type Placed = AssignmentRecord['workers'][number]

/** Names a worker of a host: topology's id, worker, incarnation. Also the name of its folder. */
export function workerKey(id: string, { worker, incarnation }: Pick<Placed, 'worker' | 'incarnation'>): string {
  return `${id}-w${worker}-i${incarnation}`
}

export interface Wanted {
  readonly key: string
  readonly assignment: AssignmentRecord
  readonly place: Placed
}

/** What is here, in whatever state. */
export interface Here {
  readonly name: string
  readonly id: string
  readonly worker: number
}

/** The workers that a host is to run, by key. */
export function wantedOn(supervisor: string, assignments: Iterable<AssignmentRecord>): ReadonlyMap<string, Wanted> {
  return new Map(
    [...assignments].flatMap((assignment) =>
      assignment.workers
        .filter((place) => place.supervisor === supervisor)
        .map((place) => {
          const key = workerKey(assignment.id, place)
          return [key, { key, assignment, place }] as const
        }),
    ),
  )
}

export interface Steps {
  readonly start: readonly Wanted[]
  /** the assignment may have changed: they are told */
  readonly tell: readonly Wanted[]
  readonly stop: readonly string[]
}

/**
 * A worker is ended before another takes its place here, and a deployment before the next one of its name: both would have the same state. Workers of
 * topologies whose assignment cannot be read are left alone.
 */
export function stepsTo(
  wanted: ReadonlyMap<string, Wanted>,
  here: ReadonlyMap<string, Here>,
  unreadable: ReadonlySet<string> = new Set(),
): Steps {
  const stop = [...here].filter(([key, { name }]) => !wanted.has(key) && !unreadable.has(name))
  const isBlocked = ({ assignment, place }: Wanted): boolean =>
    stop.some(([, { name, id, worker }]) => name === assignment.name && (id !== assignment.id || worker === place.worker))
  return {
    start: [...wanted.values()].filter((one) => !here.has(one.key) && !isBlocked(one)),
    tell: [...wanted.values()].filter(({ key }) => here.has(key)),
    stop: stop.map(([key]) => key),
  }
}
