/** Sessions over event time: of each key the sessions that are open, merged as records come between them. */
import { KeyMap } from '../keyed.ts'
import type { DStream } from '../dstream/dstream.ts'
import type { Scope } from '../dstream/scope.ts'
import { partitionerOf, updated } from '../dstream/state-rdd.ts'
import type { RDD } from '../rdd/rdd.ts'
import { mergeSessions, windowTime } from '../time-windows.ts'
import type { SessionWindows, TimeWindow } from '../time-windows.ts'
import { TaskDeadlines } from './deadlines.ts'
import { States } from './group-state.ts'
import type { GroupPlan, Part } from './group-state.ts'
import { keyBy, putFields, tallied } from './rows.ts'
import type { Given, Row } from './rows.ts'

/** What is kept of a session. */
interface Session extends TimeWindow {
  readonly states: readonly unknown[]
}

/** Records of a batch that open the same session. They are not merged with others before it is known which are late. */
type SessionPart<T> = TimeWindow & Part<T>

export function sessions<T, R>(rows: DStream<Row<T>>, plan: GroupPlan<T>, windows: SessionWindows<T>): DStream<Given<T, R>> {
  const { name, mode, fields } = plan
  const states = new States(plan.aggregators)
  const deadlines = new TaskDeadlines<unknown>()
  const merge = (a: Session, b: Session): Session => ({ ...a, states: states.merge(a.states, b.states) })
  const rowOf = (key: unknown, { start, end, states: group }: Session): Given<T, R> => {
    const row: Record<string, unknown> = {}
    putFields(row, fields, key)
    const window = (row['window'] = { start, end })
    states.putResults(row, group)
    return [false, [windowTime(window), row as R]]
  }
  return rows.derive<Given<T, R>>({ name: 'aggregate', parents: [rows], isStateful: true }, (scope) => {
    const input = scope.of(rows)
    if (input === undefined) return undefined
    return updated<unknown, readonly SessionPart<T>[], Given<T, R>>(
      partsOf(input, plan, windows, states, scope),
      'sessions',
      (read, push) =>
        tallied(scope, name, (tally) => {
          const table = scope.state.table<unknown, readonly Session[]>(name)
          const due = deadlines.of(scope.state, scope.txid, (all) => {
            for (const [key, open] of table.entries()) {
              all.rows += open.length
              if (mode === 'append') for (const { end } of open) all.add(end, key)
            }
          })
          read(([key, parts]) => {
            const fresh: Session[] = []
            for (const { start, end, states: group, records, late } of parts) {
              if (mode === 'complete' || end > scope.lateMs) fresh.push({ start, end, states: group })
              else {
                tally.dropped += records
                for (const record of late) push([true, record])
              }
            }
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
              for (const session of open) if (session.end <= scope.watermarkMs) push(rowOf(key, session))
              if (stay.length === 0) table.delete(key)
              else table.put(key, stay)
              tally.removed += open.length - stay.length
              due.rows -= open.length - stay.length
            })
          else for (const [key, open] of table.entries()) for (const session of open) push(rowOf(key, session))
          return due.rows
        }),
      false,
    )
  })
}

function partsOf<T>(
  rows: RDD<Row<T>>,
  { fields, wantsLate }: GroupPlan<T>,
  windows: SessionWindows<T>,
  states: States<T>,
  scope: Scope,
): RDD<readonly [unknown, readonly SessionPart<T>[]]> {
  const keyOf = keyBy<T>(fields)
  const keepsRecords = wantsLate()
  return rows
    .mapPartitions((all) => {
      const found = new KeyMap<unknown, Map<string, SessionPart<T>>>()
      for (const [timeMs, record] of all) {
        const window = windows.of(timeMs, record)
        if (window === undefined) continue
        const key = keyOf(record)
        const { value: parts } = found.find(key) ?? found.add(key, new Map())
        const id = `${window.start} ${window.end}`
        let part = parts.get(id)
        if (part === undefined) parts.set(id, (part = { ...window, records: 0, states: states.zero(), late: [] }))
        part.records++
        states.add(part.states, 0, record)
        if (keepsRecords) part.late.push(record)
      }
      const keyed: (readonly [unknown, readonly SessionPart<T>[]])[] = []
      for (const { key, value } of found.cells()) keyed.push([key, [...value.values()]])
      return keyed
    })
    .reduceByKey((a, b) => [...a, ...b], partitionerOf(scope))
}
