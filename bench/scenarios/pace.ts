/**
 * When tuples at a fixed rate are due: number k at start + k / rate. Latency counts from then, so that a stall is not
 * hidden by the tuples that it kept from leaving (coordinated omission).
 */
export class Pace {
  readonly #now: () => number
  readonly #everyMs: number
  readonly #shiftMs: number
  #startMs: number | undefined
  #sent = 0

  /** `rate`: tuples a second of all `taskCount` tasks together; the tasks take turns. */
  constructor(now: () => number, rate: number, taskIndex: number, taskCount: number) {
    this.#now = now
    this.#everyMs = (1_000 * taskCount) / rate
    this.#shiftMs = (this.#everyMs * taskIndex) / taskCount
  }

  /** When the next tuple was due, which then counts as sent; `undefined` if that is still to come. */
  next(): number | undefined {
    const now = this.#now()
    this.#startMs ??= now + this.#shiftMs
    const due = this.#startMs + this.#sent * this.#everyMs
    if (due > now) return undefined
    this.#sent++
    return due
  }
}
