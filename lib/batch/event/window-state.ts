/**
 * Groups in windows of event time: the state of each key, from batch to batch, by pane (`panes.ts`).
 *
 *     records ──▶ one list of panes a key, in each task ──▶ by key ──▶ late? merge with the key's list ──▶ windows that have passed
 *                 ahead of the batch's turn                            in its turn                        are put together of their panes
 *
 * Budget: a record costs one look-up of its key, however many windows it is in; a batch costs the keys that it touches, one
 * look-up and one change each, and the rows that it gives out.
 */
import type { DStream } from '../dstream/dstream.ts'
import type { Scope } from '../dstream/scope.ts'
import { partitionerOf, updated } from '../dstream/state-rdd.ts'
import { over } from '../rdd/narrow.ts'
import { RDD } from '../rdd/rdd.ts'
import type { TimeWindow, TimeWindows } from './time-windows.ts'
import { windowTime } from './time-windows.ts'
import { TaskDeadlines } from './deadlines.ts'
import { States } from './group-state.ts'
import type { GroupPlan } from './group-state.ts'
import { Panes, placeOf } from './panes.ts'
import type { Neighbours, PaneList } from './panes.ts'
import { groupingOf, keyBy, putFields, tallied } from './rows.ts'
import type { Given, Row } from './rows.ts'

/** Of a batch. Each pane has its start, its records (those themselves, if somebody wants the late ones), and the states. */
type BatchPanes = PaneList

/** What is kept of a key. Each pane has its start and the states. */
type KeptPanes = PaneList

export function windowed<T, R>(rows: DStream<Row<T>>, plan: GroupPlan<T>, windows: TimeWindows): DStream<Given<T, R>> {
  const { name, mode, fields } = plan
  const states = new States(plan.aggregators)
  const panes = new Panes(windows)
  const deadlines = new TaskDeadlines<unknown>()
  const evicts = mode !== 'complete'
  const width = 1 + states.count
  return rows.derive<Given<T, R>>(
    { name: 'aggregate', label: groupingOf(fields, windows), parents: [rows], isStateful: true, state: name },
    (scope) => {
      const input = scope.of(rows)
      if (input === undefined) return undefined
      const lateMs = evicts ? scope.lateMs : -Infinity
      return updated<unknown, BatchPanes, Given<T, R>>(
        panesOf(input, plan, panes, states, scope),
        'aggregate',
        (read, push) =>
          tallied(scope, name, (tally) => {
            const table = scope.state.table<unknown, KeptPanes>(name)
            const due = deadlines.of(scope.state, scope.txid, (all) => {
              for (const [key, list] of table.entries())
                eachWindow(list, lateMs, (start) => {
                  all.rows++
                  if (evicts) all.add(start + windows.sizeMs, key)
                })
            })
            const results = new Results<R>(fields, states, windows)
            const touched: number[] = []
            /** The key's list with the panes of the batch. */
            const merged = (key: unknown, before: KeptPanes, batch: BatchPanes): KeptPanes | undefined => {
              const list: unknown[] = []
              let [at, last, lastOfBatch] = [0, undefined as number | undefined, undefined as number | undefined]
              const opened = (start: number): void => {
                due.rows++
                if (evicts) due.add(start + windows.sizeMs, key)
              }
              for (let i = 0; i < batch.length; i += width + 1) {
                const start = batch[i] as number
                const passed = panes.passed(start, lateMs)
                if (passed > 0) {
                  const records = batch[i + 1] as number | readonly T[]
                  tally.dropped += passed * (typeof records === 'number' ? records : records.length)
                  if (panes.endOf(start) <= lateMs) {
                    if (typeof records !== 'number') for (const record of records) push([undefined, record])
                    continue
                  }
                }
                for (; at < before.length && (before[at] as number) < start; at += width) {
                  last = before[at] as number
                  for (let j = at; j < at + width; j++) list.push(before[j])
                }
                list.push(start)
                const behind = before[at] as number | undefined
                if (behind === start) {
                  states.pushMerged(list, before, at + 1, batch, i + 2)
                  at += width
                } else {
                  for (let j = i + 2; j < i + 1 + width; j++) list.push(batch[j])
                  panes.ownWindows(start, { before: last, behind, atMs: lateMs }, opened)
                }
                panes.ownWindows(start, { before: lastOfBatch, behind: undefined, atMs: lateMs }, (window) => touched.push(window))
                last = lastOfBatch = start
              }
              if (lastOfBatch === undefined) return undefined
              for (; at < before.length; at++) list.push(before[at])
              return list.slice() // no longer than it need be
            }
            read(([key, batch]) => {
              touched.length = 0
              const list = merged(key, table.get(key) ?? [], batch)
              if (list === undefined) return
              table.put(key, list)
              tally.updated += touched.length
              if (mode === 'update') for (const start of touched) push(results.row(key, start, list))
            })
            if (evicts)
              due.take(scope.watermarkMs, (key, endMs) => {
                const list = table.get(key)
                if (list === undefined) return
                if (mode === 'append') push(results.row(key, endMs - windows.sizeMs, list))
                tally.removed++
                due.rows--
                const kept = stillNeeded(list, endMs)
                if (kept === list) return
                if (kept.length === 0) table.delete(key)
                else table.put(key, kept)
              })
            else for (const [key, list] of table.entries()) eachWindow(list, lateMs, (start) => push(results.row(key, start, list)))
            return due.rows

            /** A list without what has passed; not before each window that passes, but when the next one does not, or is empty. */
            function stillNeeded(list: KeptPanes, endMs: number): KeptPanes {
              const nextMs = endMs + windows.slideMs
              const first = placeOf(list, width, nextMs - windows.sizeMs)
              if (nextMs <= scope.watermarkMs && (list[first] as number) < nextMs) return list
              let at = 0
              while (at < list.length && panes.endOf(list[at] as number) <= endMs) at += width
              return at === 0 ? list : list.slice(at)
            }
          }),
        false,
      )
    },
  )

  /** The starts of the windows with something in them that have not passed. */
  function eachWindow(list: KeptPanes, atMs: number, visit: (start: number) => void): void {
    const place: { -readonly [N in keyof Neighbours]: Neighbours[N] } = { before: undefined, behind: undefined, atMs }
    for (let i = 0; i < list.length; i += width) {
      const start = list[i] as number
      panes.ownWindows(start, place, visit)
      place.before = start
    }
  }
}

/** Windows as rows. */
class Results<R> {
  readonly #fields: readonly string[]
  readonly #states: States<never>
  readonly #windows: TimeWindows
  #window: TimeWindow = { start: NaN, end: NaN }

  constructor(fields: readonly string[], states: States<never>, windows: TimeWindows) {
    this.#fields = fields
    this.#states = states
    this.#windows = windows
  }

  /** The panes of the window that starts at `start`, put together. */
  row(key: unknown, start: number, list: KeptPanes): Row<R> {
    if (this.#window.start !== start) this.#window = { start, end: start + this.#windows.sizeMs }
    const window = this.#window
    const row: Record<string, unknown> = {}
    putFields(row, this.#fields, key)
    row['window'] = window
    const width = 1 + this.#states.count
    const first = placeOf(list, width, start)
    let end = first
    while (end < list.length && (list[end] as number) < window.end) end += width
    this.#states.putResults(row, list, first + 1, end, width)
    return [windowTime(window), row as R]
  }
}

/** The panes of each key. They are not merged with others before it is known which are late. */
function panesOf<T>(
  rows: RDD<Row<T>>,
  { fields, wantsLate }: GroupPlan<T>,
  panes: Panes,
  states: States<T>,
  scope: Scope,
): RDD<[unknown, BatchPanes]> {
  const keyOf = keyBy<T>(fields)
  const keepsRecords = wantsLate()
  const width = 2 + states.count
  const add = (list: unknown[], [timeMs, record]: Row<T>): unknown[] => {
    const start = panes.startOf(timeMs as number)
    let at = list.length - width
    while (at >= 0 && (list[at] as number) > start) at -= width
    if (at < 0 || list[at] !== start) {
      at += width
      const fresh = [start, keepsRecords ? [] : 0, ...states.zero()]
      if (at === list.length) for (const item of fresh) list.push(item)
      else list.splice(at, 0, ...fresh)
    }
    if (keepsRecords) (list[at + 1] as T[]).push(record)
    else list[at + 1] = (list[at + 1] as number) + 1
    states.add(list, at + 2, record)
    return list
  }
  const merge = (a: readonly unknown[], b: readonly unknown[]): unknown[] => {
    const merged: unknown[] = []
    let i = 0
    for (let j = 0; j < b.length; j += width) {
      const start = b[j] as number
      for (; i < a.length && (a[i] as number) < start; i += width) for (let k = i; k < i + width; k++) merged.push(a[k])
      if (a[i] !== start) {
        for (let k = j; k < j + width; k++) merged.push(b[k])
        continue
      }
      const [left, right] = [a[i + 1], b[j + 1]]
      merged.push(start, typeof left === 'number' ? left + (right as number) : [...(left as T[]), ...(right as T[])])
      states.pushMerged(merged, a, i + 2, b, j + 2)
      i += width
    }
    for (; i < a.length; i++) merged.push(a[i])
    return merged
  }
  const node = over<Row<T>, readonly [unknown, Row<T>]>(rows.node, 'aggregate', (partition, push) =>
    rows.node.read(partition, (row) => {
      if (row[0] !== null) push([keyOf(row[1]), row])
    }),
  )
  return new RDD(node).combineByKey<unknown, Row<T>, unknown[]>((row) => add([], row).slice(), add, merge, partitionerOf(scope))
}
