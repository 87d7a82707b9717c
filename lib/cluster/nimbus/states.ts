/** What topologies keep, also those that run no more: where its copies are, and how all of them are removed. Pure. */
import { z } from 'zod'
import { SquallError } from '../../errors.ts'
import { hintFor } from '../../std/words.ts'
import { keys } from '../records.ts'
import type { StateRecord } from '../records.ts'
import { versionOf } from './decide.ts'
import type { Step } from './decide.ts'
import { stateIn } from './deployments.ts'
import type { Known } from './known.ts'

const Copy = z.object({
  supervisor: z.string(),
  /** as its supervisor has it while it is there */
  host: z.string(),
  isThere: z.boolean(),
})

export const StateCopies = z.object({
  copies: z.array(Copy),
  copiesWanted: z.int(),
  /** gets one */
  joining: Copy.optional(),
})
export type StateCopies = z.infer<typeof StateCopies>

export const StateSummary = StateCopies.extend({
  /** of the topology */
  name: z.string(),
  /** how the topology is; none: it was killed */
  topology: z.string().optional(),
})
export type StateSummary = z.infer<typeof StateSummary>

/** `undefined`: no host has a copy of what it keeps, as far as is known. */
export function copiesOf({ states, supervisors }: Known, name: string): StateCopies | undefined {
  const { members, copies, joining } = states.get(name)?.record ?? noCopies
  if (members.length === 0) return undefined
  const copyOn = (supervisor: string): StateCopies['copies'][number] => {
    const record = supervisors.get(supervisor)?.record
    return { supervisor, host: record?.host ?? supervisor, isThere: record !== undefined }
  }
  return { copies: members.map(copyOn), copiesWanted: copies, ...(joining !== undefined && { joining: copyOn(joining) }) }
}

export function statesOf(known: Known): readonly StateSummary[] {
  return [...known.states.keys()].flatMap((name) => {
    const copies = copiesOf(known, name)
    const topology = known.topologies.get(name)?.record
    return copies === undefined ? [] : [{ name, ...copies, ...(topology !== undefined && { topology: stateIn(known, topology) }) }]
  })
}

const noCopies: StateRecord = { members: [], copies: 1 }

/**
 * Nobody has a copy any more: what hosts have of before this record they remove, also those that are away now. `undefined`: that is so already.
 *
 * No worker of the topology may write any more, or be placed: those that do not know it yet are of assignments before this record.
 */
export function removeState(known: Known, name: string): Step | undefined {
  const topology = known.topologies.get(name)?.record
  if (topology !== undefined) throw new SquallError('state-used', { name, state: stateIn(known, topology) })
  if (known.assignments.has(name) || [keys.topology(name), keys.assignment(name)].some((key) => known.unreadable.has(key)))
    throw new SquallError('state-used', { name, state: 'not gone yet' })
  const kept = known.states.get(name)
  if (kept === undefined)
    throw new SquallError('state-missing', {
      what: `no copies are known of a state ${name}`,
      hint: hintFor(
        name,
        statesOf(known).map((one) => one.name),
      ),
    })
  const { key, version, record } = kept
  if (record.members.length === 0) return undefined
  const guards = [{ key, version }, versionOf(keys.topology(name), undefined), versionOf(keys.assignment(name), undefined)]
  const removed: StateRecord = { members: [], copies: record.copies }
  return { what: `the state of ${name} is removed`, guards, writes: [{ key, value: JSON.stringify(removed) }] }
}
