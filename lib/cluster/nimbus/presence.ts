/**
 * Which hosts are there, as a leader sees it. A host whose record went is called lost a little later, for it may be back at once; and where a
 * leader itself was not known to the coordinator until now, hosts have the time of a lease to say that they are there.
 *
 *     there ──record goes──▶ away ──lostMs──▶ lost (forgotten)
 *       ▲                      │
 *       └──────record comes────┘
 */
import type { AssignmentRecord, SupervisorRecord } from '../records.ts'
import type { SeenHost } from './hosts.ts'

export interface PresenceOptions {
  readonly lostMs: number
  /** how long hosts have to come after their leader */
  readonly leaseMs: number
}

export class Presence {
  readonly #options: PresenceOptions
  readonly #sinceMs: number
  readonly #awaySinceMs = new Map<string, number>()

  /** Of a leader that the coordinator has known since then. */
  constructor(options: PresenceOptions, nowMs: number) {
    this.#options = options
    this.#sinceMs = nowMs
  }

  /** Those that are there, and those that are away but not lost: they keep what they have and get nothing more. */
  hosts(
    supervisors: readonly SupervisorRecord[],
    assignments: readonly AssignmentRecord[],
    /** hosts that have copies of states, with workers or without */
    keepers: readonly string[],
    nowMs: number,
  ): readonly SeenHost[] {
    const there = new Set(supervisors.map(({ id }) => id))
    const workers = new Map<string, number>()
    for (const { supervisor } of assignments.flatMap((assignment) => assignment.workers))
      if (!there.has(supervisor)) workers.set(supervisor, (workers.get(supervisor) ?? 0) + 1)
    for (const id of keepers) if (!there.has(id) && !workers.has(id)) workers.set(id, 0)
    for (const id of this.#awaySinceMs.keys()) if (!workers.has(id)) this.#awaySinceMs.delete(id)
    const away = [...workers].filter(([id]) => {
      const sinceMs = this.#awaySinceMs.get(id) ?? nowMs
      this.#awaySinceMs.set(id, sinceMs)
      return nowMs < Math.max(sinceMs + this.#options.lostMs, this.#sinceMs + this.#options.leaseMs)
    })
    return [
      ...supervisors,
      ...away.map(([id, slots]) => ({ id, host: id, url: '', slots, cores: 0, memoryMb: 0, version: '', startedAtMs: 0, isAway: true })),
    ]
  }
}
