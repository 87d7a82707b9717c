/**
 * Which hosts should have copies of what topologies keep: without those that are lost, and with newcomers where there are too few. Pure.
 *
 * Taking one out is always right, as each has everything; the newcomer is only named: a member brings it in (`cluster/state/sets.ts`).
 */
import type { StateRecord, SupervisorRecord } from '../records.ts'
import type { Step } from './decide.ts'
import type { SeenHost } from './hosts.ts'
import type { Known } from './known.ts'

/** Of what was removed it is known so often, for hosts that were away. */
const removedMax = 1_000

/** `hosts`: those that are there or not called lost yet. */
export function tendCopies({ states, supervisors, assignments }: Known, hosts: readonly SeenHost[]): readonly Step[] {
  const load = new Map<string, number>()
  for (const { record } of states.values()) for (const id of record.members) load.set(id, (load.get(id) ?? 0) + 1)
  return [...states].flatMap(([name, { key, version, record }]) => {
    const runs = new Set(assignments.get(name)?.record.workers.map(({ supervisor }) => supervisor))
    const there = [...supervisors.values()].map((read) => read.record)
    const next = tended(record, hosts, there, (id) => [runs.has(id) ? 0 : 1, load.get(id) ?? 0])
    if (next === undefined) return []
    const { members, joining } = next
    const nameOf = (id: string): string => supervisors.get(id)?.record.host ?? id
    const what = `the state of ${name} has its copies on ${members.map(nameOf).join(', ')}${joining === undefined ? '' : `, and soon on ${nameOf(joining)}`}`
    return [{ what, guards: [{ key, version }], writes: [{ key, value: JSON.stringify(next) }] }]
  })
}

/** `undefined`: it is well as it is. `rank`: where it is better, the less. */
function tended(
  record: StateRecord,
  hosts: readonly SeenHost[],
  there: readonly SupervisorRecord[],
  rank: (id: string) => readonly [number, number],
): StateRecord | undefined {
  const known = new Set(hosts.map(({ id }) => id))
  const living = record.members.filter((id) => known.has(id))
  // the last ones may come back
  const members = living.length > 0 ? living : record.members
  const candidates = there.filter(({ id, unhealthy }) => !members.includes(id) && unhealthy === undefined).map(({ id }) => id)
  const wants = living.length > 0 && members.length < record.copies
  const isNamed = record.joining !== undefined && candidates.includes(record.joining)
  const [best] = candidates.toSorted((a, b) => compare(rank(a), rank(b)) || (a < b ? -1 : 1))
  const joining = wants ? (isNamed ? record.joining : best) : undefined
  if (members.length === record.members.length && joining === record.joining) return undefined
  const { joining: _, ...rest } = record
  return { ...rest, members, ...(joining !== undefined && { joining }) }
}

function compare([a, c]: readonly [number, number], [b, d]: readonly [number, number]): number {
  return a - b || c - d
}

/** Of removals that are long ago nobody has to know any more. */
export function forgetRemoved({ states }: Known): readonly Step[] {
  const removed = [...states.values()].filter(({ record }) => record.members.length === 0).toSorted((a, b) => b.version - a.version)
  return removed.slice(removedMax).map(({ key, version }) => ({
    what: `${key} was removed long ago`,
    guards: [{ key, version }],
    writes: [{ key, delete: true }],
  }))
}
