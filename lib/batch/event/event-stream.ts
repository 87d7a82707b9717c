/**
 * Streams whose records have a time of their own: groups and windows over it, and records that come twice.
 *
 * The laws are Spark's: a record is late by the watermark of the batch before, results are given out by that of the batch, and
 * equality has passed (`lib/batch/event-time.ts`). Whatever is late is counted, and can be had from `late()`.
 */
import { SquallError } from '../../errors.ts'
import type { Duration } from '../../std/clock.ts'
import type { DStream, StateOptions } from '../dstream/dstream.ts'
import type { StreamNode } from '../dstream/graph.ts'
import type { PartitionInfo } from '../dstream/outputs.ts'
import type { BatchInfo, BatchReport, Scope } from '../dstream/scope.ts'
import { watermarkDelayMs } from '../event-time.ts'
import { natural } from '../rdd/ordering.ts'
import type { RDD } from '../rdd/rdd.ts'
import { SessionWindows } from './time-windows.ts'
import type { TimeWindow, TimeWindows } from './time-windows.ts'
import * as aggregators from './aggregators.ts'
import type { Aggregators, Of, Results } from './aggregators.ts'
import { withoutDuplicates } from './duplicates.ts'
import { grouped } from './group-state.ts'
import type { OutputMode } from './group-state.ts'
import { keyBy, rowsOf } from './rows.ts'
import type { Given, Row, TimeOf } from './rows.ts'
import { sessions } from './session-state.ts'
import { windowed } from './window-state.ts'

/** What is known of the times of a stream's records. */
interface Times {
  /** how late records may come; `undefined`: without a watermark */
  readonly delayMs?: number
  /** the field that holds the time, or the window that it ends */
  readonly field?: string | undefined
  /** equal records have equal times */
  readonly isOfRecord: boolean
  /** the output mode of the groups before it */
  readonly mode?: OutputMode
}

export interface GroupOptions extends StateOptions {
  /**
   * What is given out: each group once, when the watermark has passed it (`append`, the default where there is a watermark); those
   * that a batch has changed (`update`, the default otherwise); all, at every batch, and none is ever forgotten (`complete`)
   */
  readonly mode?: OutputMode
}

type Windows<T> = TimeWindows | SessionWindows<T>

export class EventStream<out T> {
  readonly #rows: DStream<Row<T>>
  readonly #times: Times
  /** for the names of states */
  readonly #name: string
  #records: DStream<T> | undefined

  constructor(rows: DStream<Row<T>>, times: Times, name: string) {
    this.#rows = rows
    this.#times = times
    this.#name = name
  }

  /** The records without their times. */
  get records(): DStream<T> {
    return (this.#records ??= inner(this.#rows.map(([, record]) => record)))
  }

  filter(f: (record: T) => boolean): EventStream<T> {
    return new EventStream(
      this.#rows.filter(([, record]) => f(record)),
      this.#times,
      this.#name,
    )
  }

  /** Other records, of the same times. */
  map<U>(f: (record: T) => U): EventStream<U> {
    return this.#without(this.#rows.map(([timeMs, record]): Row<U> => [timeMs, f(record)]))
  }

  /** Other records, of the time of the one they come from. */
  flatMap<U>(f: (record: T) => Iterable<U>): EventStream<U> {
    return this.#without(
      this.#rows.flatMap(([timeMs, record]) => {
        const rows: Row<U>[] = []
        for (const one of f(record)) rows.push([timeMs, one])
        return rows
      }),
    )
  }

  /** What all of these streams have. The watermark of the topology goes by all of its inputs (`watermarkPolicy`). */
  union(...others: readonly EventStream<T>[]): EventStream<T> {
    const all = [this.#times, ...others.map((other) => other.#times)]
    const delays = all.flatMap(({ delayMs }) => delayMs ?? [])
    const { field, isOfRecord } = this.#times
    const times: Times = {
      ...(delays.length === all.length && { delayMs: Math.max(...delays) }),
      field: all.every((one) => one.field === field) ? field : undefined,
      isOfRecord: isOfRecord && all.every((one) => one.isOfRecord),
    }
    return new EventStream(this.#rows.union(...others.map((other) => other.#rows)), times, this.#name)
  }

  /**
   * Groups by fields, and by a window of the event time, which comes last and is the field `window` of the results. Without a window
   * and without the field of the event time, groups are never forgotten.
   *
   * ```ts
   * clicks.groupBy('user', sessionWindow('30m')).count()       // { user, window: { start, end }, count }
   * ```
   */
  groupBy<K extends keyof T & string>(...by: readonly K[]): Groups<T, Pick<T, K>>
  groupBy<K extends keyof T & string>(...by: readonly [...K[], Windows<T>]): Groups<T, Pick<T, K> & { readonly window: TimeWindow }>
  groupBy(...by: readonly (string | Windows<T>)[]): Groups<T, unknown> {
    const fields = by.filter((one) => typeof one === 'string')
    const windows = by.filter((one) => typeof one !== 'string')
    const { graph, name } = this.#rows
    this.#checkBeforeState('groupBy')
    if (windows.length > 1) graph.fault(new SquallError('several-windows', { n: windows.length }, graph.where(name)))
    return new Groups<T, unknown>(this.#rows, {
      fields,
      windows: windows[0],
      times: this.#times,
      name: this.#name,
    })
  }

  /**
   * Leaves out records whose fields (all of them) were there before. Where the event time is one of them, what the watermark has
   * passed is forgotten, and what is late is left out; otherwise all is kept for ever.
   */
  dropDuplicates(...fields: readonly (keyof T & string)[]): StatefulStream<T, T> {
    const { delayMs, field, isOfRecord } = this.#times
    const hasTime = fields.length === 0 ? isOfRecord : field !== undefined && (fields as readonly string[]).includes(field)
    return this.#withoutDuplicates('dropDuplicates', fields, delayMs !== undefined && hasTime ? 0 : undefined)
  }

  /**
   * Leaves out records whose fields (all of them) were there before, as long as the first of them is remembered: until the watermark
   * has passed its time by the watermark's delay. So records that come within the delay of each other are found, and the state is bounded.
   */
  dropDuplicatesWithinWatermark(...fields: readonly (keyof T & string)[]): StatefulStream<T, T> {
    const { graph, name } = this.#rows
    const { delayMs } = this.#times
    if (delayMs === undefined) graph.fault(new SquallError('no-watermark', { of: 'dropDuplicatesWithinWatermark' }, graph.where(name)))
    return this.#withoutDuplicates('dropDuplicatesWithinWatermark', fields, delayMs)
  }

  /** As that of a `DStream`, of the records. */
  foreachRDD(f: (rdd: RDD<T>, info: BatchInfo & BatchReport) => void | Promise<void>): void {
    this.records.foreachRDD(f)
  }

  /** As that of a `DStream`, of the records. */
  foreachPartition(f: (values: readonly T[], info: PartitionInfo) => void | Promise<void>): void {
    this.records.foreachPartition(f)
  }

  /** As that of a `DStream`, of the records. */
  print(n?: number): void {
    this.records.print(n)
  }

  /** Records made of others: the time is not in a field of theirs, as far as anyone knows. */
  #without<U>(rows: DStream<Row<U>>): EventStream<U> {
    return new EventStream(rows, { ...this.#times, field: undefined, isOfRecord: false }, this.#name)
  }

  #withoutDuplicates(of: string, fields: readonly string[], keptMs: number | undefined): StatefulStream<T, T> {
    this.#checkBeforeState(of)
    const name = this.#rows.graph.stateName(undefined, of, this.#name)
    const keyOf = fields.length === 0 ? (record: T): unknown => record : keyBy<T>(fields)
    return new StatefulStream(withoutDuplicates(this.#rows, { name, keyOf, keptMs }), this.#times, name)
  }

  #checkBeforeState(of: string): void {
    const { graph, name } = this.#rows
    graph.hasEventTime = true
    if (watermarksOnTheWay(this.#rows) > 1) graph.fault(new SquallError('several-watermarks', { of }, graph.where(name)))
    const { mode } = this.#times
    if (mode === 'update' || mode === 'complete') {
      const reason = `${of} comes behind it, and would take each change of a result for another record`
      graph.fault(new SquallError('output-mode', { of: this.#name, mode, reason, remedy: "use { mode: 'append' }" }, graph.where(name)))
    }
  }
}

/** What an operator with state gives out. `L`: the records it gets. */
export class StatefulStream<out T, out L> extends EventStream<T> {
  readonly #given: DStream<Given<L, T>>
  readonly #mode: OutputMode | undefined
  readonly #name: string
  #late: DStream<L> | undefined

  constructor(given: DStream<Given<L, T>>, times: Times, name: string) {
    super(inner(given.filter(([timeMs]) => timeMs !== undefined) as DStream<Row<T>>), times, name)
    this.#given = given
    this.#mode = times.mode
    this.#name = name
  }

  get wantsLate(): boolean {
    return this.#late !== undefined
  }

  /** The records that came too late: in windows, those that were too late for the last of theirs. */
  late(): DStream<L> {
    const late = (scope: Scope): RDD<L> | undefined =>
      scope.of(this.#given)?.flatMap(([timeMs, record]) => (timeMs === undefined ? [record] : []))
    return (this.#late ??= this.#given.derive({ name: 'late', parents: [this.#given] }, late))
  }

  /** All results of each batch in order, for the output mode `complete`. */
  orderBy(by: (keyof T & string) | ((record: T) => unknown), direction: 'asc' | 'desc' = 'asc'): DStream<T> {
    const { graph, name } = this.#given
    if (this.#mode !== 'complete') {
      const [of, mode] = ['orderBy', this.#mode ?? 'append']
      const reason = 'more results may come before those that were given out'
      graph.fault(new SquallError('output-mode', { of, mode, reason, remedy: "use { mode: 'complete' }" }, graph.where(name)))
    }
    const keyOf = typeof by === 'function' ? by : (record: T): unknown => record[by]
    return this.records.transform((rdd) => rdd.sortBy(keyOf, { ascending: direction === 'asc', compare: natural }))
  }

  /** What its state is called, in the store and in the metrics. */
  get stateName(): string {
    return this.#name
  }
}

interface Grouping {
  readonly fields: readonly string[]
  /** of the records of the stream; without their type, which would say how they vary */
  readonly windows: Windows<never> | undefined
  readonly times: Times
  readonly name: string
}

/** Groups of records, to be made one result each. `K`: the fields of the key. */
export class Groups<out T, out K> {
  readonly #rows: DStream<Row<T>>
  readonly #of: Grouping

  constructor(rows: DStream<Row<T>>, of: Grouping) {
    this.#rows = rows
    this.#of = of
  }

  count(options?: GroupOptions): StatefulStream<K & { readonly count: number }, T> {
    return this.aggregate({ count: aggregators.count() }, options)
  }

  sum<R, J>(this: Groups<R, J>, of: Of<R, number>, options?: GroupOptions): StatefulStream<J & { readonly sum: number | null }, R> {
    return this.aggregate({ sum: aggregators.sum(of) }, options)
  }

  avg<R, J>(this: Groups<R, J>, of: Of<R, number>, options?: GroupOptions): StatefulStream<J & { readonly avg: number | null }, R> {
    return this.aggregate({ avg: aggregators.avg(of) }, options)
  }

  min<F extends keyof T & string>(field: F, options?: GroupOptions): StatefulStream<K & { readonly min: T[F] | null }, T> {
    return this.aggregate({ min: aggregators.min((record: T) => record[field]) }, options)
  }

  max<F extends keyof T & string>(field: F, options?: GroupOptions): StatefulStream<K & { readonly max: T[F] | null }, T> {
    return this.aggregate({ max: aggregators.max((record: T) => record[field]) }, options)
  }

  /** The records of each group, in no certain order. */
  collect(options?: GroupOptions): StatefulStream<K & { readonly values: readonly T[] }, T> {
    return this.aggregate({ values: aggregators.collect<T>() }, options)
  }

  reduce(f: (a: T, b: T) => T, options?: GroupOptions): StatefulStream<K & { readonly value: T }, T> {
    return this.aggregate({ value: aggregators.reducer(f) }, options)
  }

  /**
   * Several results at once, each by the name it has in the result.
   *
   * ```ts
   * sales.groupBy('shop', tumblingWindow('1h')).aggregate({ n: aggregators.count(), total: aggregators.sum('price') })
   * ```
   */
  aggregate<A extends Aggregators<T>>(of: A, { mode, name }: GroupOptions = {}): StatefulStream<K & Results<A>, T> {
    const { fields, windows, times } = this.#of
    const hasWatermark = times.delayMs !== undefined
    const outputMode = mode ?? (hasWatermark ? 'append' : 'update')
    const byTime = times.field !== undefined && fields.includes(times.field) ? times.field : undefined
    this.#check(outputMode, hasWatermark && (windows !== undefined || byTime !== undefined))
    const stateName = this.#rows.graph.stateName(name, 'groupBy', this.#of.name)
    const result: { stream?: StatefulStream<K & Results<A>, T> } = {}
    const plan = {
      fields,
      timeField: hasWatermark ? byTime : undefined,
      mode: outputMode,
      aggregators: of,
      name: stateName,
      wantsLate: () => result.stream?.wantsLate === true,
    }
    const given =
      windows instanceof SessionWindows
        ? sessions<T, K & Results<A>>(this.#rows, plan, windows as SessionWindows<T>)
        : windows === undefined
          ? grouped<T, K & Results<A>>(this.#rows, plan)
          : windowed<T, K & Results<A>>(this.#rows, plan, windows)
    const field = windows === undefined ? byTime : 'window'
    return (result.stream = new StatefulStream(given, { ...times, field, isOfRecord: true, mode: outputMode }, stateName))
  }

  #check(mode: OutputMode, canEnd: boolean): void {
    const { fields, windows } = this.#of
    const { graph, name } = this.#rows
    const of = windows instanceof SessionWindows ? 'groupBy with sessions' : 'groupBy'
    const refuse = (reason: string, remedy: string): void =>
      graph.fault(new SquallError('output-mode', { of, mode, reason, remedy }, graph.where(name)))
    if (!['append', 'update', 'complete'].includes(mode)) refuse('there is no such mode', "use one of 'append', 'update' and 'complete'")
    if (windows instanceof SessionWindows && mode === 'update')
      refuse(
        'a session that grows is another one, and the one given out would not be taken back',
        "use { mode: 'append' } or { mode: 'complete' }",
      )
    if (windows instanceof SessionWindows && fields.length === 0) refuse('all records would be in one session', 'group by a field, too')
    if (mode === 'append' && !canEnd)
      refuse(
        'nothing says when a group is complete',
        "put withWatermark before it and group by a window or by the field of the event time; or use { mode: 'update' } or { mode: 'complete' }",
      )
  }
}

/** The records of a stream behind a watermark. */
export function watermarked<T>(stream: DStream<T>, time: TimeOf<T>, delay: Duration): EventStream<T> {
  const { graph, name } = stream
  const delayMs = watermarkDelayMs(delay)
  let input = name
  for (let n = 2; graph.watermarks.has(input); n++) input = `${name}#${n}`
  graph.watermarks.set(input, delay)
  graph.hasEventTime = true
  const rows = rowsOf(stream, time, input)
  graph.watermarked.add(rows)
  return new EventStream(rows, { ...timesOf(time), delayMs }, name)
}

/** The records of a stream with their times. */
export function timed<T>(stream: DStream<T>, time: TimeOf<T>): EventStream<T> {
  return new EventStream(rowsOf(stream, time), timesOf(time), stream.name)
}

/** The records of a stream, without times. */
export function timeless<T>(stream: DStream<T>): EventStream<T> {
  return new EventStream(inner(stream.map((record): Row<T> => [null, record])), { isOfRecord: false }, stream.name)
}

function timesOf<T>(time: TimeOf<T>): Times {
  return { field: typeof time === 'string' ? time : undefined, isOfRecord: true }
}

/** Changes the form of what another stream has: not drawn. */
function inner<T>(stream: DStream<T>): DStream<T> {
  stream.graph.inner.add(stream)
  return stream
}

/** On the way with most of them. */
function watermarksOnTheWay(stream: StreamNode<unknown>): number {
  const { watermarked } = (stream as DStream<unknown>).graph
  const most = (node: StreamNode<unknown>): number => Math.max(0, ...node.parents.map(most)) + Number(watermarked.has(node))
  return most(stream)
}
