/** Records with their event time. */
import { SquallError } from '../../errors.ts'
import { shortDuration } from '../../std/clock.ts'
import { shown } from '../../std/words.ts'
import type { DStream, Pair } from '../dstream/dstream.ts'
import type { Scope } from '../dstream/scope.ts'
import { updatedBeside } from '../dstream/state-rdd.ts'
import { over } from '../rdd/narrow.ts'
import type { Push } from '../rdd/node.ts'
import { RDD } from '../rdd/rdd.ts'
import { TimeWindows } from './time-windows.ts'
import type { SessionWindows, TimeWindow } from './time-windows.ts'

/** A record behind its event time, ms since 1970; `null` where it has none. */
export type Row<T> = readonly [timeMs: number | null, record: T]

/** A time of a record: ms since 1970, or a `Date`. */
export type Time = number | Date | null | undefined

/** Where a record has its event time: in a field, or where a function says. */
export type TimeOf<T> = { [F in keyof T & string]-?: T[F] extends Time ? F : never }[keyof T & string] | ((record: T) => Time)

/** Puts each record behind its time. With `input`, what is seen of the times goes to the watermark, as that input's. */
export function rowsOf<T>(stream: DStream<T>, time: TimeOf<T>, input?: string): DStream<Row<T>> {
  const what = typeof time === 'function' ? 'the event time' : `the field ${time}`
  const timeOf = typeof time === 'function' ? time : (record: T): unknown => record[time as keyof T]
  const where = stream.graph.where(stream.name)
  const name = input === undefined ? 'withEventTime' : 'withWatermark'
  return stream.derive<Row<T>>({ name, ...(typeof time === 'string' && { label: `${name}(${time})` }), parents: [stream] }, (scope) => {
    const rdd = scope.of(stream)
    if (rdd === undefined) return undefined
    const node = over<T, Row<T>>(rdd.node, name, (partition, push) => {
      const stats = input === undefined ? undefined : scope.seen(input, partition)
      rdd.node.read(partition, (record) => {
        const ms = msOf(timeOf(record))
        if (ms === undefined) throw new SquallError('no-time', { what, value: shown(timeOf(record)) }, where)
        if (ms !== null) stats?.add(ms)
        push([ms, record])
      })
    })
    return new RDD(node)
  })
}

/** How far dates go from 1970. One record with a time far beyond would put the watermark there, and all others would be late. */
const timeMsMax = 8.64e15

/** `undefined` where it is no time. */
function msOf(time: unknown): number | null | undefined {
  if (typeof time === 'number') return Math.abs(time) <= timeMsMax ? time : undefined
  if (time === null || time === undefined) return null
  const ms = time instanceof Date ? time.getTime() : Number.NaN
  return Number.isNaN(ms) ? undefined : ms
}

/** When a value of the field that holds the event time has passed: a window with its end. `undefined`: never. */
export function passesAt(value: unknown): number | undefined {
  const time = typeof value === 'object' && value !== null && 'end' in value ? (value as TimeWindow).end : value
  return msOf(time) ?? undefined
}

function windowOf({ sizeMs, slideMs }: TimeWindows): string {
  return sizeMs === slideMs ? shortDuration(sizeMs) : `${shortDuration(sizeMs)} every ${shortDuration(slideMs)}`
}

/** How a grouping is drawn. */
export function groupingOf(fields: readonly string[], windows?: TimeWindows | SessionWindows<never>): string {
  if (windows === undefined) return `groupBy(${fields.join(', ')})`
  const window = windows instanceof TimeWindows ? windowOf(windows) : 'sessions'
  return `groupBy(${[...fields, window].join(', ')})`
}

/** The key of a record by some of its fields: none is `null`, one is its value. */
export function keyBy<T>(fields: readonly string[]): (record: T) => unknown {
  const [first] = fields
  if (first === undefined) return () => null
  if (fields.length === 1) return (record) => record[first as keyof T]
  return (record) => fields.map((field) => record[field as keyof T])
}

/** Puts the fields of a key, as `keyBy` has made it, into a row. */
export function putFields(row: Record<string, unknown>, fields: readonly string[], key: unknown): void {
  const [first] = fields
  if (first === undefined) return
  if (fields.length === 1) row[first] = key
  else for (let i = 0; i < fields.length; i++) row[fields[i] as string] = (key as unknown[])[i]
}

/** A record that came too late: it has no time any more. */
export type Late<T> = readonly [timeMs: undefined, record: T]

/** What an operator with state gives: a row, or a record that came too late. */
export type Given<T, R> = Row<R> | Late<T>

/** What an operator has done so far in a task's batch. */
export interface Tally {
  updated: number
  removed: number
  dropped: number
  duplicates: number
}

/** Takes what an operator gives: a row behind its time, or a record that came too late behind `undefined`. */
export type Give<T, R> = (timeMs: number | null | undefined, record: R | T) => void

/** What an operator does in one task with one batch: `read` gives the task's records. Returns how many rows it keeps. */
export type Step<V, T, R> = (read: (push: Push<Pair<unknown, V>>) => void, give: Give<T, R>, tally: Tally) => number

/** What an operator makes of `input`, which is already divided by the key groups; what it has done is noted under the name of its state. */
export function givenBy<V, T, R>(
  scope: Scope,
  input: RDD<Pair<unknown, V>>,
  { name, state }: { readonly name: string; readonly state: string },
  step: Step<V, T, R>,
): RDD<Given<T, R>> {
  const given = updatedBeside<unknown, V, number | null | undefined, R | T>(input, name, (read, give) => {
    const tally: Tally = { updated: 0, removed: 0, dropped: 0, duplicates: 0 }
    const rows = step(read, give, tally)
    scope.operators.set(state, { operator: state, rows, ...tally })
  })
  return given as RDD<Given<T, R>>
}
