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

const units: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** A length of time: milliseconds, or a number with a unit, such as `'250ms'`, `'1s'`, `'1.5m'`, `'2h'`, `'1d'`. */
export type Duration = number | string

/** The milliseconds of a duration, or `undefined` when it is not one (or is negative). */
export function durationMs(duration: Duration): number | undefined {
  if (typeof duration === 'number') return Number.isFinite(duration) && duration >= 0 ? duration : undefined
  const match = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)$/.exec(duration.trim())
  return match === null ? undefined : Number(match[1]) * (units[match[2] as string] as number)
}
