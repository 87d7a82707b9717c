/**
 * Groups in windows of event time: the state of each key, from batch to batch, by pane (`panes.ts`).
 *
 *     records ──▶ one list of panes a key, in each task ──▶ by key ──▶ late? merge with the key's list ──▶ windows that have passed
 *                 ahead of the batch's turn                            in its turn                        are put together of their panes
 *
 * Budget: a record costs one look-up of its key, however many windows it is in; a batch costs the keys that it touches or that are due,
 * one look-up and one change each, and the rows that it gives out: those of a key one behind the other, of one look-up.
 */
import type { DStream } from '../dstream/dstream.ts'
import type { Scope } from '../dstream/scope.ts'
import { partitionerOf } from '../dstream/state-rdd.ts'
import { over } from '../rdd/narrow.ts'
import { RDD } from '../rdd/rdd.ts'
import { mapKeyOf } from '../state/keys.ts'
import type { MapKey } from '../state/keys.ts'
import type { StateTable } from '../state/store.ts'
import type { TimeWindow, TimeWindows } from './time-windows.ts'
import { windowTime } from './time-windows.ts'
import { TaskDeadlines } from './deadlines.ts'
import type { Deadlines } from './deadlines.ts'
import { States } from './group-state.ts'
import type { GroupPlan, OutputMode } from './group-state.ts'
import { Panes, placeOf } from './panes.ts'
import type { PaneList } from './panes.ts'
import { givenBy, groupingOf, keyBy, putFields } from './rows.ts'
import type { Give, Given, Row, Tally } from './rows.ts'

/** Of a batch. Each pane has its start, its records (those themselves, if somebody wants the late ones), and the states. */
type BatchPanes = PaneList

/** What is kept of a key. Each pane has its start and the states. */
type KeptPanes = PaneList

export function windowed<T, R>(rows: DStream<Row<T>>, plan: GroupPlan<T>, windows: TimeWindows): DStream<Given<T, R>> {
  const { name, mode } = plan
  const states = new States(plan.aggregators)
  const panes = new Panes(windows)
  const results = new Results<R>(plan.fields, states, windows)
  const deadlines = new TaskDeadlines<unknown>()
  const width = 1 + states.count
  const evicts = mode !== 'complete'
  return rows.derive<Given<T, R>>(
    { name: 'aggregate', label: groupingOf(plan.fields, windows), parents: [rows], isStateful: true, state: name },
    (scope) => {
      const input = scope.of(rows)
      if (input === undefined) return undefined
      const lateMs = evicts ? scope.lateMs : -Infinity
      return givenBy<BatchPanes, T, R>(
        scope,
        panesOf(input, plan, panes, states, scope),
        { name: 'aggregate', state: name },
        (read, give, tally) => {
          const { watermarkMs } = scope
          const table = scope.state.table<unknown, KeptPanes>(name)
          const due = deadlines.of(scope.state, scope.txid, (all) => {
            for (const [key, list] of table.entries()) {
              all.rows += panes.countEnds(list, width, lateMs)
              if (evicts) all.add(panes.firstEnd(list[0] as number, lateMs), key)
            }
          })
          const keys = new WindowsOfKeys<T, R>({ panes, states, results, mode, table, due, lateMs, watermarkMs, give, tally })
          read(([key, batch]) => keys.add(key, batch))
          if (evicts) due.take(watermarkMs, (key) => keys.pass(key))
          else for (const [key, list] of table.entries()) panes.eachEnd(list, width, lateMs, (endMs) => keys.give(key, endMs, list))
          return due.rows
        },
      )
    },
  )
}

interface WindowsOfKeysOptions<T, R> {
  readonly panes: Panes
  readonly states: States<T>
  readonly results: Results<R>
  readonly mode: OutputMode
  readonly table: StateTable<unknown, KeptPanes>
  /** keys, when the first of their windows ends that has not passed */
  readonly due: Deadlines<unknown>
  readonly lateMs: number
  readonly watermarkMs: number
  readonly give: Give<T, R>
  readonly tally: Tally
}

/**
 * The windows of a task's keys in a batch. A key is looked at once, for its records or because it is due, and all windows of it that have
 * passed are given out then: so they share what it costs to find a key and to put it back.
 */
class WindowsOfKeys<T, R> {
  readonly #of: WindowsOfKeysOptions<T, R>
  readonly #width: number
  /** the panes of the key at hand: one list for all of them */
  readonly #list: unknown[] = []
  /** keys that have given out windows which, by their panes, might be still to come */
  readonly #settled = new Set<MapKey>()

  constructor(of: WindowsOfKeysOptions<T, R>) {
    this.#of = of
    this.#width = 1 + of.states.count
  }

  /** Records of a key have come. */
  add(key: unknown, batch: BatchPanes): void {
    const { panes, table, due, lateMs, mode, tally } = this.#of
    const first = this.#withoutLate(batch)
    if (first === batch.length) return
    const before = table.get(key) ?? []
    const list = this.#list
    const length = this.#merged(before, batch, first)
    tally.updated += panes.countEnds(batch, this.#width + 1, lateMs, first)
    if (mode === 'update') panes.eachEnd(batch, this.#width + 1, lateMs, (endMs) => this.give(key, endMs, list, length), first)
    if (mode !== 'complete') return this.#settle(key, before, list, length)
    due.rows += panes.countEnds(list, this.#width, lateMs, 0, length) - panes.countEnds(before, this.#width, lateMs)
    table.put(key, list.slice(0, length))
  }

  /** A key is due, or was: its windows may have been given out already, or be due later. */
  pass(key: unknown): void {
    const { table, panes, lateMs, watermarkMs } = this.#of
    const list = table.get(key)
    if (list === undefined || panes.firstEnd(list[0] as number, lateMs) > watermarkMs || this.#settled.has(mapKeyOf(key))) return
    this.#settle(key, list, list, list.length)
  }

  /** Gives out the window that ends at `endMs`. */
  give(key: unknown, endMs: number, list: PaneList, length = list.length): void {
    const from = placeOf(list, this.#width, endMs - this.#of.panes.windows.sizeMs, length)
    this.#give(key, endMs, list, from, placeOf(list, this.#width, endMs, length))
  }

  #give(key: unknown, endMs: number, list: PaneList, from: number, to: number): void {
    const { results, give } = this.#of
    const window = results.windowAt(endMs)
    give(windowTime(window), results.row(key, window, list, from, to))
  }

  /** Gives out what has passed of a key, which had the panes `before` and now has those of `list` up to `length`; keeps the others. */
  #settle(key: unknown, before: KeptPanes, list: PaneList, length: number): void {
    const { panes, mode, table, due, lateMs, watermarkMs, tally } = this.#of
    const { sizeMs, slideMs } = panes.windows
    const width = this.#width
    let [from, to] = [0, 0]
    let endMs = panes.firstEnd(list[0] as number, lateMs)
    for (; ; endMs += slideMs) {
      while (from < length && (list[from] as number) < endMs - sizeMs) from += width
      if (from === length) break
      if ((list[from] as number) >= endMs) endMs = panes.firstEnd(list[from] as number, lateMs)
      if (endMs > watermarkMs) break
      while (to < length && (list[to] as number) < endMs) to += width
      if (mode === 'append') this.#give(key, endMs, list, from, to)
      tally.removed++
    }
    due.rows += panes.countEnds(list, width, watermarkMs, from, length) - panes.countEnds(before, width, lateMs)
    if (from === length) return table.delete(key)
    if (list !== before || from > 0) table.put(key, list.slice(from, length))
    if (before.length === 0 || endMs !== panes.firstEnd(before[0] as number, lateMs)) due.add(endMs, key)
    if (panes.firstEnd(list[from] as number, lateMs) <= watermarkMs) this.#settled.add(mapKeyOf(key))
  }

  /** The place in a batch of the first pane that is not late, as all behind it are not. */
  #withoutLate(batch: BatchPanes): number {
    const { panes, lateMs, give, tally } = this.#of
    const width = this.#width + 1
    let first = 0
    for (let i = 0; i < batch.length && (batch[i] as number) < lateMs; i += width) {
      const start = batch[i] as number
      const records = batch[i + 1] as number | readonly T[]
      const passed = panes.endsAfter(start, -Infinity) - panes.endsAfter(start, lateMs)
      tally.dropped += passed * (typeof records === 'number' ? records : records.length)
      if (panes.endOf(start) > lateMs) continue
      first = i + width
      if (typeof records !== 'number') for (const record of records) give(undefined, record)
    }
    return first
  }

  /** Puts the panes of a key together with those of the batch, from `first` on, in the list of the key at hand; returns its length. */
  #merged(before: KeptPanes, batch: BatchPanes, first: number): number {
    const { states } = this.#of
    const list = this.#list
    const width = this.#width
    let [length, at] = [0, 0]
    for (let i = first; i < batch.length; i += width + 1) {
      const start = batch[i] as number
      while (at < before.length && (before[at] as number) < start) for (let j = 0; j < width; j++) list[length++] = before[at++]
      list[length] = start
      if (before[at] === start) {
        states.putMerged(list, length + 1, before, at + 1, batch, i + 2)
        at += width
      } else for (let j = 1; j < width; j++) list[length + j] = batch[i + 1 + j]
      length += width
    }
    while (at < before.length) list[length++] = before[at++]
    return length
  }
}

/** A power of two. */
const windowsKnownMax = 1_024

/** Windows as rows. */
class Results<R> {
  readonly #fields: readonly string[]
  readonly #states: States<never>
  readonly #windows: TimeWindows
  /** windows that all keys share, each where its number says but for what is above some bits of it */
  readonly #known: TimeWindow[] = []

  constructor(fields: readonly string[], states: States<never>, windows: TimeWindows) {
    this.#fields = fields
    this.#states = states
    this.#windows = windows
  }

  /** The panes of a list from one place up to another, which are those of a window, put together. */
  row(key: unknown, window: TimeWindow, list: PaneList, from: number, to: number): R {
    const row: Record<string, unknown> = {}
    putFields(row, this.#fields, key)
    row['window'] = window
    this.#states.putResults(row, list, from + 1, to, 1 + this.#states.count)
    return row as R
  }

  windowAt(end: number): TimeWindow {
    const { sizeMs, slideMs } = this.#windows
    const at = Math.floor(end / slideMs) & (windowsKnownMax - 1)
    const known = this.#known[at]
    if (known?.end === end) return known
    return (this.#known[at] = { start: end - sizeMs, end })
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
      if (at === list.length) {
        list.push(start, keepsRecords ? [] : 0)
        states.pushZero(list)
      } else list.splice(at, 0, start, keepsRecords ? [] : 0, ...states.zero())
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
      states.putMerged(merged, merged.length, a, i + 2, b, j + 2)
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
