/** Counting over the last few slots of time: the two counters behind `rollingCount`, as in Storm's trending topics. */
import { SquallError } from '../errors.ts'

/**
 * Counts items in a fixed number of slots. What a slot means is up to the user; `SlidingWindowCounter` makes it a piece of time.
 * Items are equal as keys of a `Map` are. Memory: 8 bytes an item and slot, and what a `Map` takes.
 *
 * ```ts
 * const counter = new SlotBasedCounter<string>(2)
 * counter.increment('a', 0)
 * counter.increment('a', 1)
 * counter.counts() // Map { 'a' => 2 }
 * ```
 */
export class SlotBasedCounter<T> {
  readonly slots: number
  readonly #counts = new Map<T, Float64Array>()

  /** `slots` from 1, else `bad-option`. */
  constructor(slots: number) {
    if (!Number.isSafeInteger(slots) || slots < 1)
      throw new SquallError('bad-option', { option: 'slots', of: 'SlotBasedCounter', value: slots, expected: 'a whole number from 1' })
    this.slots = slots
  }

  increment(item: T, slot: number, by = 1): void {
    this.#check(slot)
    let counts = this.#counts.get(item)
    if (counts === undefined) this.#counts.set(item, (counts = new Float64Array(this.slots)))
    counts[slot] = (counts[slot] as number) + by
  }

  /** The count of an item in one slot; 0 if it was never seen. */
  count(item: T, slot: number): number {
    this.#check(slot)
    return this.#counts.get(item)?.[slot] ?? 0
  }

  /** The total of each item over all slots; totals of 0 are there until `wipeZeros`. */
  counts(): Map<T, number> {
    const totals = new Map<T, number>()
    for (const [item, counts] of this.#counts) totals.set(item, total(counts))
    return totals
  }

  /** Sets a slot to 0 for every item. */
  wipeSlot(slot: number): void {
    this.#check(slot)
    for (const counts of this.#counts.values()) counts[slot] = 0
  }

  /** Forgets the items whose total is 0. */
  wipeZeros(): void {
    for (const [item, counts] of this.#counts) if (total(counts) === 0) this.#counts.delete(item)
  }

  #check(slot: number): void {
    if (!Number.isInteger(slot) || slot < 0 || slot >= this.slots)
      throw new SquallError('bad-option', {
        option: 'slot',
        of: 'SlotBasedCounter',
        value: slot,
        expected: `a whole number from 0 to ${this.slots - 1}`,
      })
  }
}

/**
 * Counts items in a window of `slots` slots that moves on by one slot whenever it is read.
 *
 * An item whose count came down to 0 is reported once with 0, so that readers notice, and is gone afterwards.
 *
 * ```ts
 * const counter = new SlidingWindowCounter<string>(2)
 * counter.increment('a')
 * counter.countsThenAdvance() // Map { 'a' => 1 }
 * counter.countsThenAdvance() // Map { 'a' => 1 }
 * counter.countsThenAdvance() // Map { 'a' => 0 }
 * counter.countsThenAdvance() // Map {}
 * ```
 */
export class SlidingWindowCounter<T> {
  readonly slots: number
  readonly #counter: SlotBasedCounter<T>
  #head = 0

  /** `slots` from 2, else `bad-option`. */
  constructor(slots: number) {
    if (!Number.isSafeInteger(slots) || slots < 2)
      throw new SquallError('bad-option', { option: 'slots', of: 'SlidingWindowCounter', value: slots, expected: 'a whole number from 2' })
    this.slots = slots
    this.#counter = new SlotBasedCounter(slots)
  }

  increment(item: T, by = 1): void {
    this.#counter.increment(item, this.#head, by)
  }

  /** The counts over the window; then the oldest slot is emptied and becomes the newest. */
  countsThenAdvance(): Map<T, number> {
    const counts = this.#counter.counts()
    // in this order: an item that falls to 0 by the next line is still there for the next reading
    this.#counter.wipeZeros()
    this.#head = (this.#head + 1) % this.slots
    this.#counter.wipeSlot(this.#head)
    return counts
  }
}

function total(counts: Float64Array): number {
  let sum = 0
  for (const count of counts) sum += count
  return sum
}
