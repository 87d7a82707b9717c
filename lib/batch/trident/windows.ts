/**
 * Windows over the tuples of a stream, across batches: of so many tuples, or of those that came in so much time.
 *
 *     slidingWindow(4, 2)      1 2 3 4 5 6 7 8       tumblingWindow('10s')      the batches of (0 s, 10 s], of (10 s, 20 s] ...
 *                              [. .]                 slidingWindow('10s', '5s') the batches of (0 s, 10 s], of (5 s, 15 s] ...
 *                              [. . . .]
 *                                  [. . . .]
 *
 * What a batch brings is a pane: written down once with the batch, in the task that owns the key group of its number, and removed when
 * no window reaches to it any more. So a commit costs what the batch brought, whatever the windows hold, and panes move with the key groups
 * when the number of tasks changes. Which windows end in a batch follows from how many tuples there were before, which the tasks tell each other.
 */
import { durationMs } from '../../std/clock.ts'
import type { Scope } from '../dstream/scope.ts'
import { partitionerOf } from '../dstream/state-rdd.ts'
import type { RDD } from '../rdd/rdd.ts'
import { share } from '../rdd/trade.ts'
import type { Chain, Row } from './aggregates.ts'
import type { Fields } from './fields.ts'
import { inTask, oneKey } from './persist.ts'
import { toOne } from './routes.ts'

/** A number of tuples, or a duration such as '10s'. */
export type WindowSize = number | string

export interface WindowOptions {
  /** what its state is called in the store: needed where a stream has two windows (the stream and 'window') */
  readonly name?: string
}

/** Both in tuples, or both in milliseconds. */
export interface WindowShape {
  readonly unit: 'tuples' | 'ms'
  readonly length: number
  readonly slide: number
}

/** What a batch brought. */
interface Pane {
  /** how many tuples there were before */
  readonly from: number
  readonly timeMs: number
  readonly rows: readonly Row[]
}

/** How far the stream has come with a batch. */
interface Reached {
  readonly count: number
  readonly timeMs: number
}

/** The rows of a window that one pane has. */
type Share = readonly [end: number, from: number, rows: readonly Row[]]

export function shapeOf(layout: Fields, length: WindowSize, slide: WindowSize): WindowShape {
  const unit = typeof length === 'number' ? 'tuples' : 'ms'
  const [size, step] = [length, slide].map((one) => (unit === 'tuples' ? one : durationMs(one))) as [unknown, unknown]
  if (typeof length === typeof slide && isWhole(size) && isWhole(step)) return { unit, length: size, slide: step }
  layout.fault(
    'window',
    `a length of ${length} with a slide of ${slide} is no window`,
    "give whole numbers of tuples, or durations such as '10s', for both",
  )
  return { unit, length: 1, slide: 1 }
}

function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0
}

/** What a chain makes of each window that ends in a batch, in one partition, in the order of their ends. */
export function windowed(rdd: RDD<Row>, scope: Scope, stateName: string, shape: WindowShape, chain: Chain): RDD<Row> {
  const { sc, txid, timeMs } = scope
  const partitioner = partitionerOf(scope)
  const owner = partitioner.partitionOf(txid)
  const shares = inTask(toOne(rdd, 'window', owner), 'window', async (rows) => {
    const panes = scope.state.table<number, Pane>(stateName)
    const reached = scope.state.table<string, Reached>(`${stateName}.reached`)
    const told = await share(sc, 'window', () => ({ before: reached.get(oneKey), arrived: rows.length }))
    const before = told.find((of) => of.before !== undefined)?.before ?? { count: 0, timeMs: -Infinity }
    const now = { count: before.count + told.reduce((sum, { arrived }) => sum + arrived, 0), timeMs }
    if (rows.length > 0) panes.put(txid, { from: before.count, timeMs, rows })
    if (partitioner.partitionOf(oneKey) === sc.index) reached.put(oneKey, now)
    const found: Share[] = []
    for (const [key, pane] of Array.from(panes.entries())) {
      found.push(...sharesOf(pane, shape, before, now))
      if (isOver(pane, shape, now)) panes.delete(key)
    }
    return found
  })
  return toOne(shares, 'window', owner).mapPartitions((found) => {
    const windows = new Map<number, Share[]>()
    for (const part of found) {
      const parts = windows.get(part[0])
      if (parts === undefined) windows.set(part[0], [part])
      else parts.push(part)
    }
    return [...windows]
      .toSorted(([a], [b]) => a - b)
      .flatMap(([, parts]) =>
        chain.run(
          parts.toSorted(([, a], [, b]) => a - b).flatMap(([, , rows]) => rows),
          txid,
        ),
      )
  })
}

/** What a pane has of the windows that end after `before`, up to `now`. */
function* sharesOf({ from, timeMs, rows }: Pane, { unit, length, slide }: WindowShape, before: Reached, now: Reached): Iterable<Share> {
  const isCount = unit === 'tuples'
  // the first and the last end of a window that has anything of the pane
  const first = isCount ? Math.max(before.count, from) + 1 : Math.max(before.timeMs + 1, timeMs)
  const last = isCount ? Math.min(now.count, from + rows.length + length - 1) : Math.min(now.timeMs, timeMs + length - 1)
  for (let end = Math.ceil(first / slide) * slide; end <= last; end += slide)
    yield [end, from, isCount ? rows.slice(Math.max(0, end - length - from), end - from) : rows]
}

/** No window that is still to end reaches back to a pane. */
function isOver({ from, timeMs, rows }: Pane, { unit, length, slide }: WindowShape, now: Reached): boolean {
  const [end, at] = unit === 'tuples' ? [from + rows.length, now.count] : [timeMs, now.timeMs]
  const next = (Math.floor(at / slide) + 1) * slide
  return next - length >= end
}
