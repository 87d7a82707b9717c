/** What is due when: a binary heap of callbacks. Nothing fires by itself; the loop that owns it asks. */

/** The longest that Node's own `setTimeout` waits; it fires a longer one at once. */
export const timeoutMaxMs: number = 2 ** 31 - 1

export interface Timer {
  readonly dueMs: number
  cancelled: boolean
  readonly fire: () => void
}

export class Timers {
  readonly #heap: Timer[] = []

  /** When the next one is due, or `Infinity`. */
  get nextMs(): number {
    return this.#heap[0]?.dueMs ?? Infinity
  }

  add(dueMs: number, fire: () => void): Timer {
    const timer: Timer = { dueMs, cancelled: false, fire }
    const heap = this.#heap
    let i = heap.push(timer) - 1
    while (i > 0) {
      const parent = (i - 1) >> 1
      if ((heap[parent] as Timer).dueMs <= dueMs) break
      heap[i] = heap[parent] as Timer
      i = parent
    }
    heap[i] = timer
    return timer
  }

  /** Calls `fire` every `intervalMs`, without drift; late calls are not made up for. */
  every(startMs: number, intervalMs: number, fire: () => void, now: () => number): void {
    let due = startMs + intervalMs
    const again = (): void => {
      fire()
      const passed = Math.floor((now() - due) / intervalMs)
      due += (Math.max(0, passed) + 1) * intervalMs
      this.add(due, again)
    }
    this.add(due, again)
  }

  /** Fires what is due at `nowMs`, earliest first; true if anything was. */
  fire(nowMs: number): boolean {
    let fired = false
    while (this.nextMs <= nowMs) {
      const timer = this.#takeFirst()
      if (timer.cancelled) continue
      fired = true
      timer.fire()
    }
    return fired
  }

  #takeFirst(): Timer {
    const heap = this.#heap
    const first = heap[0] as Timer
    const last = heap.pop() as Timer
    if (heap.length === 0) return first
    let i = 0
    for (;;) {
      let child = 2 * i + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && (heap[child + 1] as Timer).dueMs < (heap[child] as Timer).dueMs) child++
      if ((heap[child] as Timer).dueMs >= last.dueMs) break
      heap[i] = heap[child] as Timer
      i = child
    }
    heap[i] = last
    return first
  }
}
