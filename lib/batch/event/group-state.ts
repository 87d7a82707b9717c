/**
 * Groups: the state of each, from batch to batch. Those in windows are in `window-state.ts`.
 *
 *     records ──▶ a part for each group, in each task ──▶ by key ──▶ late? merge with the state ──▶ rows, passed groups go
 *                 ahead of the batch's turn                         in its turn, when the watermark is known
 *
 * Budget: a record costs one look-up; a batch costs the groups it touches and those that pass.
 */
import type { DStream, Pair } from '../dstream/dstream.ts'
import type { Scope } from '../dstream/scope.ts'
import { partitionerOf } from '../dstream/state-rdd.ts'
import type { RDD } from '../rdd/rdd.ts'
import type { Aggregator, Aggregators } from './aggregators.ts'
import { TaskDeadlines } from './deadlines.ts'
import { givenBy, groupingOf, keyBy, passesAt, putFields } from './rows.ts'
import type { Given, Row } from './rows.ts'

export type OutputMode = 'append' | 'update' | 'complete'

/** What is grouped how, whatever keeps the state. */
export interface GroupPlan<T> {
  /** the fields of the key */
  readonly fields: readonly string[]
  /** which of them is the event time, or a window of it */
  readonly timeField: string | undefined
  readonly mode: OutputMode
  readonly aggregators: Aggregators<T>
  /** what the state is called */
  readonly name: string
  /** somebody asked for the records that come too late */
  readonly wantsLate: () => boolean
}

/** What the records of a group in a part of a batch come to. */
interface Part<T> {
  /** how many they are */
  records: number
  /** by aggregator */
  readonly states: unknown[]
  /** the records themselves, if somebody wants those that come too late */
  readonly late: T[]
}

/** The aggregators of a plan, side by side: their states lie one behind the other in a list, from some place on. */
export class States<in T> {
  readonly #names: readonly string[]
  readonly #all: readonly Aggregator<T, unknown, unknown>[]

  constructor(aggregators: Aggregators<T>) {
    this.#names = Object.keys(aggregators)
    this.#all = Object.values(aggregators)
  }

  get count(): number {
    return this.#all.length
  }

  zero(): unknown[] {
    return this.#all.map(({ zero }) => zero())
  }

  pushZero(list: unknown[]): void {
    const all = this.#all
    for (let i = 0; i < all.length; i++) list.push((all[i] as Aggregator<T, unknown, unknown>).zero())
  }

  add(list: unknown[], at: number, record: T): void {
    const all = this.#all
    for (let i = 0; i < all.length; i++) list[at + i] = (all[i] as Aggregator<T, unknown, unknown>).add(list[at + i], record)
  }

  /** Merges the states in a list with those in another, in place. */
  mergeInto(list: unknown[], at: number, other: readonly unknown[], atOther: number): void {
    const all = this.#all
    for (let i = 0; i < all.length; i++) list[at + i] = (all[i] as Aggregator<T, unknown, unknown>).merge(list[at + i], other[atOther + i])
  }

  /** Puts into a list, from `at` on, what the states in two others come to. */
  putMerged(list: unknown[], at: number, a: readonly unknown[], atA: number, b: readonly unknown[], atB: number): void {
    const all = this.#all
    for (let i = 0; i < all.length; i++) list[at + i] = (all[i] as Aggregator<T, unknown, unknown>).merge(a[atA + i], b[atB + i])
  }

  /** Puts the results into a row, by name: of the states at `from`, and of those every `width` behind it before `to` together. */
  putResults(row: Record<string, unknown>, list: readonly unknown[], from = 0, to = 1, width = to): void {
    for (let i = 0; i < this.#all.length; i++) {
      const { merge, finish } = this.#all[i] as Aggregator<T, unknown, unknown>
      let state = list[from + i]
      for (let at = from + width; at < to; at += width) state = merge(state, list[at + i])
      row[this.#names[i] as string] = finish(state)
    }
  }

  merge(a: readonly unknown[], b: readonly unknown[]): unknown[] {
    const merged: unknown[] = []
    this.putMerged(merged, 0, a, 0, b, 0)
    return merged
  }
}

/** Groups without a window. */
export function grouped<T, R>(rows: DStream<Row<T>>, plan: GroupPlan<T>): DStream<Given<T, R>> {
  const { name, mode, fields } = plan
  const states = new States(plan.aggregators)
  const deadlines = new TaskDeadlines<unknown>()
  const passes = passing(plan)
  const evicts = mode !== 'complete' && plan.timeField !== undefined
  const rowOf = (key: unknown, group: readonly unknown[]): R => {
    const row: Record<string, unknown> = {}
    putFields(row, fields, key)
    states.putResults(row, group)
    return row as R
  }
  return rows.derive<Given<T, R>>(
    { name: 'aggregate', label: groupingOf(fields), parents: [rows], isStateful: true, state: name },
    (scope) => {
      const input = scope.of(rows)
      if (input === undefined) return undefined
      return givenBy<Part<T>, T, R>(scope, partsOf(input, plan, states, scope), { name: 'aggregate', state: name }, (read, give, tally) => {
        const table = scope.state.table<unknown, readonly unknown[]>(name)
        const due = deadlines.of(scope.state, scope.txid, (all) => {
          if (!evicts) return
          for (const [key] of table.entries()) {
            const at = passes(key)
            if (at !== undefined) all.add(at, key)
          }
        })
        const giveRow = (key: unknown, group: readonly unknown[]): void => give(passes(key) ?? null, rowOf(key, group))
        read(([key, part]) => {
          const at = evicts ? passes(key) : undefined
          if (at !== undefined && at <= scope.lateMs) {
            tally.dropped += part.records
            for (const record of part.late) give(undefined, record)
            return
          }
          const before = table.get(key)
          const group = before === undefined ? part.states : states.merge(before, part.states)
          table.put(key, group)
          tally.updated++
          if (before === undefined && at !== undefined) due.add(at, key)
          if (mode === 'update') giveRow(key, group)
        })
        due.take(scope.watermarkMs, (key) => {
          const group = table.get(key)
          if (group === undefined) return
          if (mode === 'append') giveRow(key, group)
          table.delete(key)
          tally.removed++
        })
        if (mode === 'complete') for (const [key, group] of table.entries()) giveRow(key, group)
        return table.size
      })
    },
  )
}

/** When a group has passed; `undefined`: never. */
function passing({ fields, timeField }: GroupPlan<never>): (key: unknown) => number | undefined {
  if (timeField === undefined) return () => undefined
  if (fields.length === 1) return passesAt
  const at = fields.indexOf(timeField)
  return (key) => passesAt((key as readonly unknown[])[at])
}

function partsOf<T>(rows: RDD<Row<T>>, { fields, wantsLate }: GroupPlan<T>, states: States<T>, scope: Scope): RDD<[unknown, Part<T>]> {
  const keyOf = keyBy<T>(fields)
  const keepsRecords = wantsLate()
  const add = (part: Part<T>, record: T): Part<T> => {
    part.records++
    states.add(part.states, 0, record)
    if (keepsRecords) part.late.push(record)
    return part
  }
  return rows
    .map(([, record]): Pair<unknown, T> => [keyOf(record), record])
    .combineByKey<unknown, T, Part<T>>(
      (record) => add({ records: 0, states: states.zero(), late: [] }, record),
      add,
      (a, b) => ({ records: a.records + b.records, states: states.merge(a.states, b.states), late: [...a.late, ...b.late] }),
      partitionerOf(scope),
    )
}
