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

  /** How many windows of a pane have passed at `atMs`. */
  passed(start: number, atMs: number): number {
    const { slideMs } = this.windows
    if (start >= atMs) return 0
    let passed = 0
    for (let end = this.endOf(start); end > start; end -= slideMs) if (end <= atMs) passed++
    return passed
  }

  /**
   * Visits the starts of the windows that a pane is in, which have not passed at `atMs`, and which neither of its neighbours is in: the
   * pane before and the one behind it, of those that there are. So the windows that some panes are in come once each.
   */
  ownWindows(start: number, { before, behind, atMs }: Neighbours, visit: (windowStart: number) => void): void {
    const { sizeMs, slideMs } = this.windows
    const least = Math.max(start - sizeMs, atMs - sizeMs, before === undefined ? -Infinity : this.#lastStart(before))
    for (let at = this.#lastStart(start); at > least; at -= slideMs) if (behind === undefined || at + sizeMs <= behind) visit(at)
  }

  #lastStart(start: number): number {
    return this.#restMs === 0 ? start : this.windows.lastStart(start)
  }
}

/** Where a pane stands among those of its key. */
export interface Neighbours {
  readonly before: number | undefined
  readonly behind: number | undefined
  readonly atMs: number
}

/** The place in a list of the first pane that starts at `fromMs` or later; behind the last one where there is none. */
export function placeOf(list: PaneList, width: number, fromMs: number): number {
  let low = 0
  let high = list.length / width
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((list[middle * width] as number) < fromMs) low = middle + 1
    else high = middle
  }
  return low * width
}
