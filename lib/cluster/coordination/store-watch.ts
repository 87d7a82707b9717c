/** A watch on a store of this process: wakes when something changed, looks a little later, tells what it has not told yet. */
import type { Listener, Watch } from './coordinator.ts'
import type { Store } from './store.ts'

export interface Watching {
  readonly store: Store
  readonly prefix: string
  readonly revision: number
  readonly listener: Listener
  /** Calls this soon, but not at once: a listener never runs within the call that changed something. */
  readonly later: (look: () => void) => void
  /** Whether anything gets through at all. */
  readonly isOpen?: () => boolean
}

export class StoreWatch implements Watch {
  readonly #watching: Watching
  #told: number
  #isAwake = false
  #isClosed = false

  constructor(watching: Watching) {
    this.#watching = watching
    this.#told = watching.revision
    this.wake()
  }

  wake(): void {
    if (this.#isAwake) return
    this.#isAwake = true
    this.#watching.later(() => {
      this.#isAwake = false
      if (this.#watching.isOpen?.() ?? true) this.#look()
    })
  }

  close(): void {
    this.#isClosed = true
  }

  #look(): void {
    const { store, prefix, listener } = this.#watching
    const past = store.changesAfter(this.#told, prefix)
    this.#told = Math.max(this.#told, store.revision)
    if (this.#isClosed) return
    if (past === undefined) return listener({ kind: 'reset', ...store.list(prefix) })
    for (const { revision, changes } of past) if (!this.#isClosed) listener({ kind: 'changes', revision, changes })
  }
}
