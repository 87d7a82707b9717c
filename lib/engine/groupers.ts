/** A grouping becomes a function over its target tasks, once, when a sending task starts; special cases are chosen here and not in the loop. */
import { SquallError } from '../errors.ts'
import { floorMod, hashValue, murmur3 } from '../std/hash.ts'
import type { Random } from '../std/random.ts'
import type { CustomGrouping, Grouping, GroupingContext } from '../topology/grouping.ts'
import { found, isCoded, isPromise, messageOf } from './faults.ts'

type Values = Readonly<Record<string, unknown>>

/** Which of the targets (by place in the list of targets) get a tuple: exactly one, or several. */
export type Grouper =
  { readonly one: true; choose(values: Values): number } | { readonly one: false; choose(values: Values): readonly number[] }

export interface Targets extends GroupingContext {
  /** places in `targets` of the tasks in the sender's executor */
  readonly local: readonly number[]
  /** the component that reads the stream */
  readonly reader: string
}

export function grouperOf(grouping: Grouping, targets: Targets, random: Random): Grouper {
  const count = targets.targets.length
  const first: Grouper = { one: true, choose: () => 0 }
  switch (grouping.type) {
    case 'all':
      return everyOne(count)
    case 'global':
      return first
    case 'custom':
      return custom(grouping.custom, targets)
    case 'direct':
      return { one: false, choose: () => [] } // the sender names the task; emitDirect does not come here
    case 'shuffle':
      return count === 1 ? first : roundRobin(places(count), random)
    case 'localOrShuffle':
      if (targets.local.length > 0) return roundRobin(targets.local, random)
      return count === 1 ? first : roundRobin(places(count), random)
    case 'none':
      return count === 1 ? first : { one: true, choose: () => random.below(count) }
    case 'fields':
      return count === 1 ? first : byFields(grouping.fields, count)
    case 'partialKey':
      return count === 1 ? first : partialKey(grouping.fields, count)
  }
}

function places(count: number): readonly number[] {
  return Array.from({ length: count }, (_, i) => i)
}

function everyOne(count: number): Grouper {
  const all = places(count)
  return { one: false, choose: () => all }
}

function roundRobin(among: readonly number[], random: Random): Grouper {
  const order = random.shuffle([...among])
  const count = order.length
  let next = 0
  return {
    one: true,
    choose: () => {
      const place = order[next] as number
      next = next + 1 === count ? 0 : next + 1
      return place
    },
  }
}

/** The hash of the fields of a tuple: of one field that is text, without a detour. */
function hasher(fields: readonly string[]): (values: Values, seed: number) => number {
  const [field] = fields
  if (fields.length === 1 && field !== undefined)
    return (values, seed) => {
      const value = values[field]
      return typeof value === 'string' ? murmur3(value, seed) : hashValue(value, seed)
    }
  return (values, seed) => fields.reduce((hash, name) => hashValue(values[name], hash), seed)
}

function byFields(fields: readonly string[], count: number): Grouper {
  const hash = hasher(fields)
  return { one: true, choose: (values) => floorMod(hash(values, 0), count) }
}

/** Two candidates a key, by two hashes; the one this sender has used less (Nasir et al., "The Power of Both Choices", 2015). */
function partialKey(fields: readonly string[], count: number): Grouper {
  const hash = hasher(fields)
  const used = new Float64Array(count)
  return {
    one: true,
    choose: (values) => {
      const first = floorMod(hash(values, 13), count)
      const other = floorMod(hash(values, 17), count - 1)
      const second = other >= first ? other + 1 : other // always a different task
      const place = (used[first] as number) <= (used[second] as number) ? first : second
      used[place] = (used[place] as number) + 1
      return place
    },
  }
}

/** The user's own: what it throws or returns is looked at, and told with whose it is. */
function custom(grouping: CustomGrouping, { component, stream, targets, reader }: Targets): Grouper {
  const bad = (problem: string, cause?: unknown): SquallError =>
    isCoded(cause)
      ? cause
      : new SquallError(
          'bad-grouping',
          { reader, source: stream === 'default' ? component : `${component}.${stream}`, problem },
          { component, stream },
          { cause },
        )
  let choose: unknown
  try {
    choose = grouping.prepare({ component, stream, targets })
  } catch (error) {
    throw bad(`threw in prepare: ${messageOf(error)}`, error)
  }
  if (typeof choose !== 'function') throw bad(`has a prepare that returned ${found(choose)}, not a function`)
  const chosen = choose as (values: Values) => unknown
  const placeOf = new Map(targets.map((task, place) => [task, place]))
  const place = (task: number): number => {
    const at = placeOf.get(task)
    if (at === undefined) throw new SquallError('bad-task', { task: found(task), known: targets.join(', ') }, { component, stream })
    return at
  }
  return {
    one: false,
    choose: (values) => {
      const tasks = chosen(values)
      if (typeof tasks === 'number') return [place(tasks)]
      if (!Array.isArray(tasks)) throw bad(`chose ${isPromise(tasks) ? 'a promise' : found(tasks)}, not a task or a list of tasks`)
      return (tasks as number[]).map(place)
    },
  }
}
