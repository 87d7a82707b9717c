/** In which order assignments are written: a slot is given away before somebody else gets it, where that can be. */
import type { AssignmentRecord, SupervisorRecord } from '../records.ts'

/** What becomes of the assignment of a topology: another one, or none. */
export interface Move {
  readonly before: AssignmentRecord | undefined
  readonly after: AssignmentRecord | undefined
}

/** The assignments that do not change have their slots, too. Those that change places with each other come last. */
export function inOrder<T extends Move>(
  moves: readonly T[],
  hosts: readonly SupervisorRecord[],
  unchanged: readonly AssignmentRecord[],
): readonly T[] {
  const free = new Map(hosts.map(({ id, slots }) => [id, slots]))
  const take = (assignment: AssignmentRecord | undefined, count: 1 | -1): void => {
    for (const { supervisor } of assignment?.workers ?? []) free.set(supervisor, (free.get(supervisor) ?? 0) - count)
  }
  for (const assignment of [...unchanged, ...moves.map(({ before }) => before)]) take(assignment, 1)
  const ordered: T[] = []
  let waiting = moves
  for (let isStuck = false; waiting.length > 0;) {
    const held: T[] = []
    for (const move of waiting) {
      take(move.before, -1)
      take(move.after, 1)
      const hasRoom = [...new Set(move.after?.workers.map(({ supervisor }) => supervisor))].every((id) => (free.get(id) ?? 0) >= 0)
      if (hasRoom || isStuck) ordered.push(move)
      else {
        take(move.after, -1)
        take(move.before, 1)
        held.push(move)
      }
    }
    isStuck = held.length === waiting.length
    waiting = held
  }
  return ordered
}
