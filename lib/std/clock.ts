import { intervalMs, parseInterval } from './interval.ts'

/** Where time comes from: an argument everywhere, so that a whole run can happen under virtual time. */
export interface Clock {
  /** Milliseconds on a clock that never goes back; fractions are meaningful. */
  now(): number
  /** Milliseconds since 1970, for people and for records. */
  date(): number
}

export const realClock: Clock = {
  now: () => performance.now(),
  date: () => Date.now(),
}

/** A clock that stands still until it is told to move. */
export class VirtualClock implements Clock {
  #nowMs = 0
  readonly #epochMs: number

  constructor(epochMs = 0) {
    this.#epochMs = epochMs
  }

  now(): number {
    return this.#nowMs
  }

  date(): number {
    return this.#epochMs + this.#nowMs
  }

  /** Moves to `ms` on this clock; never back. */
  moveTo(ms: number): void {
    if (ms > this.#nowMs) this.#nowMs = ms
  }
}

/** A length of time: milliseconds, or a number with a unit, such as `'250ms'`, `'1s'`, `'1.5m'`, `'2h'`, `'10 minutes'`, `'1 day 2 hours'`. */
export type Duration = number | string

/** The milliseconds of a duration, or `undefined` when it is not one (or is negative). A month counts 31 days. */
export function durationMs(duration: Duration): number | undefined {
  const ms = signedDurationMs(duration)
  return ms === undefined || ms < 0 ? undefined : ms
}

/** The same for what may be negative, such as an offset. */
export function signedDurationMs(duration: Duration): number | undefined {
  if (typeof duration === 'number') return Number.isFinite(duration) ? duration : undefined
  const interval = parseInterval(duration)
  return interval === undefined ? undefined : intervalMs(interval)
}

/** In the largest unit that makes it a whole number: `90m`, `250ms`. */
export function shortDuration(ms: number): string {
  const units = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000 } as const
  const [unit, unitMs] = Object.entries(units).find(([, size]) => ms >= size && ms % size === 0) ?? ['ms', 1]
  return `${ms / unitMs}${unit}`
}
