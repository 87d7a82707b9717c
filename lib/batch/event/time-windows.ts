/**
 * Windows of event time: half-open intervals [start, end) in milliseconds since 1970. Pure: a time in, its windows out.
 *
 * Assignment is Spark's (`TimeWindowing`, `TimeWindow.checkInputDataTypes`) and so Flink's (`TimeWindow.getWindowStartWithOffset`): the last
 * window of a time t starts at t - floorMod(t - startTime, slide), also before 1970. Sessions merge as in Spark's
 * `MergingSessionsIterator` and Flink's `TimeWindow.mergeWindows`: those that overlap or touch are one.
 *
 * A window has passed when its end <= the watermark: equality counts as passed.
 */
import { SquallError } from '../../errors.ts'
import { signedDurationMs } from '../../std/clock.ts'
import type { Duration } from '../../std/clock.ts'
import { parseInterval } from '../../std/interval.ts'

export interface TimeWindow {
  readonly start: number
  /** the first moment that is not in it */
  readonly end: number
}

export interface TimeWindowOptions {
  /** where the windows are moved to from multiples of the slide; may be negative, nearer to 0 than the slide is long (0) */
  readonly startTime?: Duration
}

/**
 * Windows of one length, one behind the other: `tumblingWindow('10 seconds')`. No months: they have no length. Throws `bad-option`.
 *
 * ```ts
 * tumblingWindow('10s').of(Date.UTC(2016, 2, 27, 19, 39, 34)) // [{ start: ...:30, end: ...:40 }]
 * ```
 */
export function tumblingWindow(size: Duration, options: TimeWindowOptions = {}): TimeWindows {
  return new TimeWindows('tumblingWindow', size, size, options.startTime ?? 0)
}

/** Windows of the length `size` that start every `slide`, which is at most as long: `slidingWindow('10m', '10s')`. Throws `bad-option`. */
export function slidingWindow(size: Duration, slide: Duration, options: TimeWindowOptions = {}): TimeWindows {
  return new TimeWindows('slidingWindow', size, slide, options.startTime ?? 0)
}

/** Windows that a time falls in. */
const windowsMax = 1_000_000

/** Which windows a time falls in; made by `tumblingWindow` and `slidingWindow`. */
export class TimeWindows {
  readonly sizeMs: number
  readonly slideMs: number
  readonly startTimeMs: number

  constructor(of: string, size: Duration, slide: Duration, startTime: Duration) {
    this.sizeMs = lengthMs(of, 'size', size)
    this.slideMs = lengthMs(of, 'slide', slide)
    if (this.slideMs > this.sizeMs) throw bad(of, 'slide', slide, `at most the size (${size})`)
    if (this.sizeMs / this.slideMs > windowsMax) throw bad(of, 'slide', slide, `at least a millionth of the size (${size})`)
    const startTimeMs = windowMs(startTime)
    if (startTimeMs === undefined || Math.abs(startTimeMs) >= this.slideMs)
      throw bad(of, 'startTime', startTime, `a duration nearer to 0 than the slide (${slide})`)
    this.startTimeMs = startTimeMs
  }

  /** The start of the last window that holds `ms`. */
  lastStart(ms: number): number {
    const into = (ms - this.startTimeMs) % this.slideMs
    return ms - (into < 0 ? into + this.slideMs : into)
  }

  /** How many windows hold `ms`, whose last window starts at `lastStart`: those start a slide apart, the last at `lastStart`. */
  countAt(ms: number, lastStart = this.lastStart(ms)): number {
    return Math.ceil((lastStart + this.sizeMs - ms) / this.slideMs)
  }

  /** The windows that hold `ms`, in the order of their starts; none when it is no time (`null`, `NaN`). */
  of(ms: number | null | undefined): TimeWindow[] {
    if (ms === null || ms === undefined || Number.isNaN(ms)) return []
    const last = this.lastStart(ms)
    const count = this.countAt(ms, last)
    return Array.from({ length: count }, (_, i) => {
      const start = last - (count - 1 - i) * this.slideMs
      return { start, end: start + this.sizeMs }
    })
  }
}

/** The time of a window's result, for windows over windows: the last moment in it, a microsecond before its end. */
export function windowTime({ end }: TimeWindow): number {
  return end - 0.001
}

/**
 * Sessions: a record opens the window [time, time + gap), and windows of one key that overlap or touch are one. The gap is
 * fixed, or a function of the record; records whose gap is 0 or less are in no session. Throws `bad-option`.
 */
export function sessionWindow<R = unknown>(gap: Duration | ((record: R) => Duration)): SessionWindows<R> {
  if (typeof gap === 'function') return new SessionWindows(gap)
  const gapMs = lengthMs('sessionWindow', 'gap', gap)
  return new SessionWindows(() => gapMs)
}

/** The session that a record opens; made by `sessionWindow`. */
export class SessionWindows<R = unknown> {
  readonly #gap: (record: R) => Duration

  constructor(gap: (record: R) => Duration) {
    this.#gap = gap
  }

  of(ms: number | null | undefined, record: R): TimeWindow | undefined {
    if (ms === null || ms === undefined || Number.isNaN(ms)) return undefined
    const gap = this.#gap(record)
    const gapMs = windowMs(gap)
    if (gapMs === undefined) throw bad('sessionWindow', 'gap', gap, 'a duration, also where a function of the record gives it')
    return gapMs > 0 ? { start: ms, end: ms + gapMs } : undefined
  }
}

/**
 * The sessions of one key, merged, in the order of their starts. `merge` joins what two hold; the start and end of its result
 * are set by us.
 */
export function mergeSessions<S extends TimeWindow>(sessions: Iterable<S>, merge: (earlier: S, later: S) => S): S[] {
  const merged: S[] = []
  for (const session of [...sessions].sort((a, b) => a.start - b.start || a.end - b.end)) {
    const open = merged.at(-1)
    if (open === undefined || session.start > open.end) merged.push(session)
    else merged[merged.length - 1] = { ...merge(open, session), start: open.start, end: Math.max(open.end, session.end) }
  }
  return merged
}

/** The length of a window: more than nothing. */
function lengthMs(of: string, option: string, value: Duration): number {
  const ms = windowMs(value)
  if (ms === undefined || ms <= 0) throw bad(of, option, value, "a length of time of more than 0, without months, such as '10 seconds'")
  return ms
}

function windowMs(value: Duration): number | undefined {
  if (typeof value === 'string' && parseInterval(value)?.months !== 0) return undefined
  return signedDurationMs(value)
}

function bad(of: string, option: string, value: Duration, expected: string): SquallError {
  return new SquallError('bad-option', { option, of, value, expected })
}
