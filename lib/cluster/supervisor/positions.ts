/**
 * Where the spout tasks of a topology would go on, out of what its workers have said. A task may have been another worker's before, whose host still says
 * something of it, or was slow to: what counts is the epoch in which something was said, for in each a task is one worker's.
 */
import type { PositionsRecord } from '../records.ts'
import type { Positions } from '../worker/assignment.ts'
import type { Read } from './known-records.ts'

/** What a worker of this host has said. */
export interface Said {
  readonly positions: Positions
  readonly epoch: number
  readonly saidMs: number
}

type At = PositionsRecord['positions'][string]

/** Of the last epoch in which something was said of a task, what was said last: what is not written yet is newer than what is. */
export function latest(written: readonly Read<PositionsRecord>[], unwritten: readonly Said[]): Positions {
  const found = new Map<string, At>()
  const all = [
    ...written.toSorted((a, b) => a.version - b.version).map(({ record }) => record.positions),
    ...unwritten.toSorted((a, b) => a.saidMs - b.saidMs).map(dated),
  ]
  for (const [task, at] of all.flatMap((positions) => Object.entries(positions)))
    if (at[1] >= (found.get(task)?.[1] ?? 0)) found.set(task, at)
  return Object.fromEntries([...found].map(([task, [position]]) => [task, position]))
}

/** What a worker has said, and what was written before of tasks that it does not have any more: whoever has them now may not have said anything yet. */
export function toWrite(id: string, said: Said, own: PositionsRecord | undefined, others: readonly PositionsRecord[]): PositionsRecord {
  const isSuperseded = ([task, [, epoch]]: readonly [string, At]): boolean =>
    others.some(({ positions }) => (positions[task]?.[1] ?? 0) > epoch)
  const before = Object.entries(own?.positions ?? {}).filter((one) => !isSuperseded(one))
  return { id, positions: { ...Object.fromEntries(before), ...dated(said) } }
}

function dated({ positions, epoch }: Said): PositionsRecord['positions'] {
  return Object.fromEntries(Object.entries(positions).map(([task, position]) => [task, [position, epoch] as const]))
}
