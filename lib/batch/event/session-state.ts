/** Sessions over event time: of each key the sessions that are open, merged as records come between them. */
import type { DStream } from '../dstream/dstream.ts'
import type { Scope } from '../dstream/scope.ts'
import { partitionerOf } from '../dstream/state-rdd.ts'
import { over } from '../rdd/narrow.ts'
import { RDD } from '../rdd/rdd.ts'
import { mergeSessions, windowTime } from './time-windows.ts'
import type { SessionWindows, TimeWindow } from './time-windows.ts'
import { TaskDeadlines } from './deadlines.ts'
import { States } from './group-state.ts'
import type { GroupPlan } from './group-state.ts'
import { givenBy, groupingOf, keyBy, putFields } from './rows.ts'
import type { Given, Row } from './rows.ts'

/** What is kept of a session. */
interface Session extends TimeWindow {
  readonly states: readonly unknown[]
}

/** A record with the session that it opens. */
interface One<T> extends TimeWindow {
  readonly record: T
}

/**
 * Of a key in a batch, flat: the sessions that its records open, each with its start and end, its records (those themselves, if somebody
 * wants the late ones), and the states. They are not merged with others before it is known which are late.
 */
type Opened = readonly unknown[]

export function sessions<T, R>(rows: DStream<Row<T>>, plan: GroupPlan<T>, windows: SessionWindows<T>): DStream<Given<T, R>> {
  const { name, mode, fields } = plan
  const states = new States(plan.aggregators)
  const width = 3 + states.count
  const deadlines = new TaskDeadlines<unknown>()
  const merge = (a: Session, b: Session): Session => ({ ...a, states: states.merge(a.states, b.states) })
  const rowOf = (key: unknown, { start, end, states: group }: Session): R => {
    const row: Record<string, unknown> = {}
    putFields(row, fields, key)
    row['window'] = { start, end }
    states.putResults(row, group)
    return row as R
  }
  const shape = { name: 'aggregate', label: groupingOf(fields, windows), parents: [rows], isStateful: true, state: name }
  return rows.derive<Given<T, R>>(shape, (scope) => {
    const input = scope.of(rows)
    if (input === undefined) return undefined
    return givenBy<Opened, T, R>(
      scope,
      openedBy(input, plan, windows, states, scope),
      { name: 'sessions', state: name },
      (read, give, tally) => {
        const table = scope.state.table<unknown, readonly Session[]>(name)
        const due = deadlines.of(scope.state, scope.txid, (all) => {
          for (const [key, open] of table.entries()) {
            all.rows += open.length
            if (mode === 'append') for (const { end } of open) all.add(end, key)
          }
        })
        const giveRow = (key: unknown, session: Session): void => give(windowTime(session), rowOf(key, session))
        read(([key, opened]) => {
          const fresh: { start: number; end: number; states: unknown[] }[] = []
          eachByStart(opened, width, (at) => {
            const [start, end] = [opened[at] as number, opened[at + 1] as number]
            if (mode !== 'complete' && end <= scope.lateMs) {
              const records = opened[at + 2] as number | readonly T[]
              tally.dropped += typeof records === 'number' ? records : records.length
              if (typeof records !== 'number') for (const record of records) give(undefined, record)
              return
            }
            const last = fresh.at(-1)
            if (last === undefined || start > last.end) fresh.push({ start, end, states: opened.slice(at + 3, at + width) })
            else {
              last.end = Math.max(last.end, end)
              states.mergeInto(last.states, 0, opened, at + 3)
            }
          })
          if (fresh.length === 0) return
          const before = table.get(key) ?? []
          const open = mergeSessions([...before, ...fresh], merge)
          table.put(key, open)
          due.rows += open.length - before.length
          for (const session of open) {
            if (before.includes(session)) continue
            tally.updated++
            if (mode === 'append') due.add(session.end, key)
          }
        })
        if (mode === 'append')
          due.take(scope.watermarkMs, (key) => {
            const open = table.get(key) ?? []
            const stay = open.filter(({ end }) => end > scope.watermarkMs)
            if (stay.length === open.length) return
            for (const session of open) if (session.end <= scope.watermarkMs) giveRow(key, session)
            if (stay.length === 0) table.delete(key)
            else table.put(key, stay)
            tally.removed += open.length - stay.length
            due.rows -= open.length - stay.length
          })
        else for (const [key, open] of table.entries()) for (const session of open) giveRow(key, session)
        return due.rows
      },
    )
  })
}

/** Visits the places of sessions in the order of their starts, which is mostly how they lie. */
function eachByStart(opened: Opened, width: number, visit: (at: number) => void): void {
  let isInOrder = true
  for (let at = width; at < opened.length && isInOrder; at += width) isInOrder = (opened[at - width] as number) <= (opened[at] as number)
  if (isInOrder) for (let at = 0; at < opened.length; at += width) visit(at)
  else
    Array.from({ length: opened.length / width }, (_, i) => i * width)
      .sort((a, b) => (opened[a] as number) - (opened[b] as number))
      .forEach(visit)
}

function openedBy<T>(
  rows: RDD<Row<T>>,
  { fields, wantsLate }: GroupPlan<T>,
  windows: SessionWindows<T>,
  states: States<T>,
  scope: Scope,
): RDD<[unknown, Opened]> {
  const keyOf = keyBy<T>(fields)
  const keepsRecords = wantsLate()
  const width = 3 + states.count
  const add = (list: unknown[], { start, end, record }: One<T>): unknown[] => {
    let at = list.length - width
    if (at < 0 || list[at] !== start || list[at + 1] !== end) {
      at = list.length
      list.push(start, end, keepsRecords ? [] : 0)
      for (const state of states.zero()) list.push(state)
    }
    if (keepsRecords) (list[at + 2] as T[]).push(record)
    else list[at + 2] = (list[at + 2] as number) + 1
    states.add(list, at + 3, record)
    return list
  }
  const node = over<Row<T>, readonly [unknown, One<T>]>(rows.node, 'aggregate', (partition, push) =>
    rows.node.read(partition, ([timeMs, record]) => {
      const window = windows.of(timeMs, record)
      if (window !== undefined) push([keyOf(record), { start: window.start, end: window.end, record }])
    }),
  )
  return new RDD(node).combineByKey<unknown, One<T>, unknown[]>(
    (one) => add([], one).slice(),
    add,
    (a, b) => a.concat(b),
    partitionerOf(scope),
  )
}
