/**
 * Groups over event time: the state of each group, from batch to batch.
 *
 *     records ──▶ a part for each group, in each partition ──▶ by key ──▶ late? merge with the state ──▶ rows, passed groups go
 *                 ahead of the batch's turn                              in its turn, when the watermark is known
 *
 * Budget: a record costs one look-up a window it is in; a batch costs the groups it touches and those that pass.
 */
import { KeyMap } from '../keyed.ts'
import type { DStream } from '../dstream/dstream.ts'
import type { Scope } from '../dstream/scope.ts'
import { partitionerOf, updated } from '../dstream/state-rdd.ts'
import type { RDD } from '../rdd/rdd.ts'
import type { TimeWindows } from '../time-windows.ts'
import { windowTime } from '../time-windows.ts'
import type { Aggregator, Aggregators } from './aggregators.ts'
import { TaskDeadlines } from './deadlines.ts'
import { keyBy, passesAt, tallied } from './rows.ts'
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
export interface Part<T> {
  /** how many they are */
  records: number
  /** by aggregator */
  states: unknown[]
  /** the records themselves, if somebody wants those that come too late */
  readonly late: readonly T[]
}

/** The aggregators of a plan, side by side. */
export class States<T> {
  readonly #names: readonly string[]
  readonly #all: readonly Aggregator<T, unknown, unknown>[]

  constructor(aggregators: Aggregators<T>) {
    this.#names = Object.keys(aggregators)
    this.#all = Object.values(aggregators)
  }

  zero(): unknown[] {
    return this.#all.map(({ zero }) => zero())
  }

  add(states: unknown[], record: T): void {
    for (const [i, { add }] of this.#all.entries()) states[i] = add(states[i], record)
  }

  merge(a: readonly unknown[], b: readonly unknown[]): unknown[] {
    return this.#all.map(({ merge }, i) => merge(a[i], b[i]))
  }

  /** By name. */
  results(states: readonly unknown[]): Record<string, unknown> {
    return Object.fromEntries(this.#all.map(({ finish }, i): [string, unknown] => [this.#names[i] as string, finish(states[i])]))
  }
}

/** The fields of a key, as `keyBy` has made it. */
export function fieldsOf(fields: readonly string[], key: unknown): Record<string, unknown> {
  const [first] = fields
  if (first === undefined) return {}
  return fields.length === 1 ? { [first]: key } : Object.fromEntries(fields.map((field, i) => [field, (key as unknown[])[i]]))
}

/** Behind the key of its state: `[start, key]` in windows, else the key. */
type Keyed<T> = readonly [key: unknown, part: Part<T>]

export function grouped<T, R>(rows: DStream<Row<T>>, plan: GroupPlan<T>, windows: TimeWindows | undefined): DStream<Given<T, R>> {
  const { name, mode, fields } = plan
  const states = new States(plan.aggregators)
  const deadlines = new TaskDeadlines<unknown>()
  const passes = passing(plan, windows)
  const evicts = mode !== 'complete' && (windows !== undefined || plan.timeField !== undefined)
  const rowOf = (key: unknown, group: readonly unknown[]): Given<T, R> => {
    const results = states.results(group)
    if (windows === undefined) return [false, [passes(key) ?? null, { ...fieldsOf(fields, key), ...results } as R]]
    const [start, inner] = key as readonly [number, unknown]
    const window = { start, end: start + windows.sizeMs }
    return [false, [windowTime(window), { ...fieldsOf(fields, inner), window, ...results } as R]]
  }
  return rows.derive<Given<T, R>>({ name: 'aggregate', parents: [rows], isStateful: true }, (scope) => {
    const input = scope.of(rows)
    if (input === undefined) return undefined
    return updated<unknown, Part<T>, Given<T, R>>(
      partsOf(input, plan, windows, states, scope),
      'aggregate',
      (read, push) =>
        tallied(scope, name, (tally) => {
          const table = scope.state.table<unknown, readonly unknown[]>(name)
          const due = deadlines.of(scope.state, scope.txid, (all) => {
            if (!evicts) return
            for (const [key] of table.entries()) {
              const at = passes(key)
              if (at !== undefined) all.add(at, key)
            }
          })
          read(([key, part]) => {
            const at = evicts ? passes(key) : undefined
            if (at !== undefined && at <= scope.lateMs) {
              tally.dropped += part.records
              for (const record of part.late) push([true, record])
              return
            }
            const before = table.get(key)
            const group = before === undefined ? part.states : states.merge(before, part.states)
            table.put(key, group)
            tally.updated++
            if (before === undefined && at !== undefined) due.add(at, key)
            if (mode === 'update') push(rowOf(key, group))
          })
          due.take(scope.watermarkMs, (key) => {
            const group = table.get(key)
            if (group === undefined) return
            if (mode === 'append') push(rowOf(key, group))
            table.delete(key)
            tally.removed++
          })
          if (mode === 'complete') for (const [key, group] of table.entries()) push(rowOf(key, group))
          return table.size
        }),
      false,
    )
  })
}

/** When a group has passed; `undefined`: never. */
function passing({ fields, timeField }: GroupPlan<never>, windows: TimeWindows | undefined): (key: unknown) => number | undefined {
  if (windows !== undefined) return (key) => (key as readonly [number])[0] + windows.sizeMs
  if (timeField === undefined) return () => undefined
  if (fields.length === 1) return passesAt
  const at = fields.indexOf(timeField)
  return (key) => passesAt((key as readonly unknown[])[at])
}

function partsOf<T>(
  rows: RDD<Row<T>>,
  { fields, wantsLate }: GroupPlan<T>,
  windows: TimeWindows | undefined,
  states: States<T>,
  scope: Scope,
): RDD<Keyed<T>> {
  const keyOf = keyBy<T>(fields)
  const keepsRecords = wantsLate()
  return rows
    .mapPartitions((all) => {
      // by start of the window, so that a key of one field is looked up as it is
      const found = new Map<number, KeyMap<unknown, Part<T>>>()
      const put = (start: number, key: unknown, record: T, isLast: boolean): void => {
        let groups = found.get(start)
        if (groups === undefined) found.set(start, (groups = new KeyMap()))
        const { value: part } = groups.find(key) ?? groups.add(key, { records: 0, states: states.zero(), late: [] })
        part.records++
        states.add(part.states, record)
        if (keepsRecords && isLast) (part.late as T[]).push(record)
      }
      for (const [timeMs, record] of all) {
        if (windows === undefined) put(0, keyOf(record), record, true)
        else if (timeMs !== null) {
          const key = keyOf(record)
          const last = windows.lastStart(timeMs)
          // a record that is late for its last window is so for all: it is given to the side stream once, from there
          for (let i = windows.countAt(timeMs, last) - 1; i >= 0; i--) put(last - i * windows.slideMs, key, record, i === 0)
        }
      }
      const parts: Keyed<T>[] = []
      for (const [start, groups] of found)
        for (const { key, value } of groups.cells()) parts.push([windows === undefined ? key : [start, key], value])
      return parts
    })
    .reduceByKey((a, b) => mergedParts(states, a, b), partitionerOf(scope))
}

function mergedParts<T>(states: States<T>, a: Part<T>, b: Part<T>): Part<T> {
  return { records: a.records + b.records, states: states.merge(a.states, b.states), late: [...a.late, ...b.late] }
}
