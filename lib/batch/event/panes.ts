/**
 * Panes: the pieces into which the starts and ends of windows cut the time. All moments of a pane are in the same windows, so a record
 * goes into one pane, however many windows hold it, and a window is the sum of its panes.
 *
 *     windows of 10 s every 4 s      [0 ........... 10)
 *                                         [4 ............ 14)
 *                                               [8 ............ 18)
 *     panes                        ..|2 |4 |6 |8 |10|12|14|..
 *
 * What is kept of a key is one flat list, in the order of the panes: the start of a pane, then what there is of it (`width` in all).
 */
import type { TimeWindows } from './time-windows.ts'

/** A flat list of panes: numbers for their starts, and whatever is kept of them. */
export type PaneList = readonly unknown[]

export class Panes {
  readonly windows: TimeWindows
  /** of each window, what reaches beyond a multiple of the slide */
  readonly #restMs: number
  // the pane that was asked for last: records come in about the order of their times
  #fromMs = NaN
  #endMs = NaN

  constructor(windows: TimeWindows) {
    this.windows = windows
    this.#restMs = windows.sizeMs % windows.slideMs
  }

  /** The start of the pane that a time is in. */
  startOf(timeMs: number): number {
    if (timeMs >= this.#fromMs && timeMs < this.#endMs) return this.#fromMs
    const { slideMs } = this.windows
    const last = this.windows.lastStart(timeMs)
    const isRest = this.#restMs > 0 && timeMs - last >= this.#restMs
    this.#fromMs = isRest ? last + this.#restMs : last
    this.#endMs = isRest || this.#restMs === 0 ? last + slideMs : last + this.#restMs
    return this.#fromMs
  }

  /** When the last window of a pane has passed. */
  endOf(start: number): number {
    return this.#lastStart(start) + this.windows.sizeMs
  }

  /** How many windows of a pane end after `atMs`. */
  endsAfter(start: number, atMs: number): number {
    return Math.max(0, Math.ceil((this.endOf(start) - Math.max(start, atMs)) / this.windows.slideMs))
  }

  /** When the first of them ends. */
  firstEnd(start: number, atMs: number): number {
    return this.endOf(start) - (this.endsAfter(start, atMs) - 1) * this.windows.slideMs
  }

  /** How many windows the panes of a list, from one place up to another, are in that end after `atMs`; each counts once. */
  countEnds(list: PaneList, width: number, atMs: number, from = 0, to = list.length): number {
    let count = 0
    let after = atMs
    for (let i = from; i < to; i += width) {
      const start = list[i] as number
      count += this.endsAfter(start, after)
      after = Math.max(after, this.endOf(start))
    }
    return count
  }

  /** Visits the ends of those windows, in order. */
  eachEnd(list: PaneList, width: number, atMs: number, visit: (endMs: number) => void, from = 0): void {
    let after = atMs
    for (let i = from; i < list.length; i += width) {
      const start = list[i] as number
      const last = this.endOf(start)
      for (let end = this.firstEnd(start, after); end <= last; end += this.windows.slideMs) visit(end)
      after = Math.max(after, last)
    }
  }

  #lastStart(start: number): number {
    return this.#restMs === 0 ? start : this.windows.lastStart(start)
  }
}

/** The place in a list of the first pane that starts at `fromMs` or later; behind the last one, at `length`, where there is none. */
export function placeOf(list: PaneList, width: number, fromMs: number, length = list.length): number {
  let low = 0
  let high = length / width
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((list[middle * width] as number) < fromMs) low = middle + 1
    else high = middle
  }
  return low * width
}
