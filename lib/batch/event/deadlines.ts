/**
 * When the watermark passes what. An operator's keys by the time at which they are due, so that a batch looks at those that are
 * and not at all there are.
 *
 * It is kept in memory only and made from the operator's table when it is not that of the batch before: at a start, and when
 * a batch runs again. It may hold keys that are gone or due later; whoever takes one looks it up.
 */
import type { StateStore } from '../state/store.ts'

export class Deadlines<K> {
  /** rows the operator keeps, where a key of its table holds several */
  rows = 0
  readonly #keys = new Map<number, K[]>()
  /** a binary heap of the times there are */
  readonly #times: number[] = []

  add(atMs: number, key: K): void {
    const keys = this.#keys.get(atMs)
    if (keys !== undefined) keys.push(key)
    else {
      this.#keys.set(atMs, [key])
      this.#push(atMs)
    }
  }

  /** Takes out what is due at `untilMs` or before, in the order of the times. */
  take(untilMs: number, visit: (key: K, atMs: number) => void): void {
    for (let atMs = this.#times[0]; atMs !== undefined && atMs <= untilMs; atMs = this.#times[0]) {
      this.#pop()
      const keys = this.#keys.get(atMs) as K[]
      this.#keys.delete(atMs)
      for (const key of keys) visit(key, atMs)
    }
  }

  #push(atMs: number): void {
    const heap = this.#times
    let at = heap.push(atMs) - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      if ((heap[parent] as number) <= atMs) break
      heap[at] = heap[parent] as number
      at = parent
    }
    heap[at] = atMs
  }

  #pop(): void {
    const heap = this.#times
    const last = heap.pop() as number
    if (heap.length === 0) return
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && (heap[child + 1] as number) < (heap[child] as number)) child++
      if ((heap[child] as number) >= last) break
      heap[at] = heap[child] as number
      at = child
    }
    heap[at] = last
  }
}

/** The deadlines of one operator in each task. */
export class TaskDeadlines<K> {
  readonly #byStore = new WeakMap<StateStore, { readonly txid: number; readonly deadlines: Deadlines<K> }>()

  /** For batch `txid`: those of the batch before, or else made with `fill`. */
  of(store: StateStore, txid: number, fill: (deadlines: Deadlines<K>) => void): Deadlines<K> {
    const known = this.#byStore.get(store)
    const goesOn = known !== undefined && known.txid === store.txid && known.txid < txid
    const deadlines = goesOn ? known.deadlines : new Deadlines<K>()
    if (!goesOn) fill(deadlines)
    this.#byStore.set(store, { txid, deadlines })
    return deadlines
  }
}
