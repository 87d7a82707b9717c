/** What the supervisor of a host should do, from what the records say and what runs here: pure. */
import type { AssignmentRecord } from '../records.ts'

export type Placed = AssignmentRecord['workers'][number]

/** Names a worker of a host: topology's id, worker, incarnation. */
export function workerKey(id: string, { worker, incarnation }: Pick<Placed, 'worker' | 'incarnation'>): string {
  return `${id}-w${worker}-i${incarnation}`
}

export interface Wanted {
  readonly key: string
  readonly assignment: AssignmentRecord
  readonly place: Placed
}

/** The workers that a host is to run, by key. */
export function wantedOn(supervisor: string, assignments: readonly AssignmentRecord[]): ReadonlyMap<string, Wanted> {
  return new Map(
    assignments.flatMap((assignment) =>
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

/** A worker is ended before another takes its executors here: both would have its folders and its state. */
export function stepsTo(wanted: ReadonlyMap<string, Wanted>, running: ReadonlySet<string>): Steps {
  const stop = [...running].filter((key) => !wanted.has(key))
  const isBlocked = ({ assignment, place }: Wanted): boolean => stop.some((key) => key.startsWith(`${assignment.id}-w${place.worker}-i`))
  return {
    start: [...wanted.values()].filter((one) => !running.has(one.key) && !isBlocked(one)),
    tell: [...wanted.values()].filter(({ key }) => running.has(key)),
    stop,
  }
}
