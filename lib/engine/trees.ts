/**
 * The trees of tuples, as one executor sees them: what it acks, fails and gives more time goes to the ledger of the executor
 * that started the tree, here or over a link; and how the trees in its own ledger end goes to their spouts.
 */
import { assert } from '../std/assert.ts'
import type { Failure } from '../topology/component.ts'
import type { PlannedComponent } from '../topology/plan.ts'
import type { TaskHost } from './host.ts'
import { Ledger, executorOf } from './ledger.ts'
import type { LedgerOwner } from './ledger.ts'
import type { Link } from './link.ts'

/** What a bolt says of a failure is cut to this length, for it may travel. */
const reasonMax = 500

/** A spout here, as the ends of its trees see it. */
export interface TreeOwner {
  /** The tree in `slot` is done. */
  done(slot: number): void
  /** The tree in `slot` will not be done. */
  failed(slot: number, failure: Failure): void
}

export class Trees implements LedgerOwner {
  /** the trees that spouts of this executor started */
  readonly ledger: Ledger
  /** the spouts here, by their place; set when they are made */
  owners: readonly TreeOwner[] = []
  readonly #host: TaskHost
  readonly #links: readonly (Link | undefined)[]
  readonly #fromProgress: boolean

  constructor(host: TaskHost, links: readonly (Link | undefined)[], firstGeneration: number) {
    this.ledger = new Ledger(host.index, this, firstGeneration)
    this.#host = host
    this.#links = links
    this.#fromProgress = host.plan.config.timeoutFromProgress
  }

  treeDone(slot: number): void {
    this.#ownerOf(slot).done(slot)
  }

  /** Edges of a tree were acked and emitted: their XOR is `(a, b)`. `holder` is the task that got the last of them, or -1. */
  ack(rootA: number, rootB: number, a: number, b: number, holder: number): void {
    const owner = executorOf(rootA)
    if (owner !== this.#host.index) {
      this.#linkTo(owner).ack(rootA, rootB, a, b)
      return
    }
    // a promise has settled between two turns: the time of the last one is stale
    if (!this.#host.isInTurn) this.#host.readClock()
    if (holder >= 0 || this.#fromProgress) this.#note(rootA, rootB, holder)
    this.ledger.xor(rootA, rootB, a, b)
  }

  fail(rootA: number, rootB: number, task: number, reason: string): void {
    const message = reason.slice(0, reasonMax)
    const owner = executorOf(rootA)
    if (owner !== this.#host.index) {
      this.#linkTo(owner).fail(rootA, rootB, task, message)
      return
    }
    if (!this.#host.isInTurn) this.#host.readClock()
    const slot = this.ledger.find(rootA, rootB)
    if (slot >= 0) this.#end(slot, { kind: 'failed', component: this.#componentOf(task), task, message })
  }

  resetTimeout(rootA: number, rootB: number): void {
    const owner = executorOf(rootA)
    if (owner !== this.#host.index) {
      this.#linkTo(owner).resetTimeout(rootA, rootB)
      return
    }
    const slot = this.ledger.find(rootA, rootB)
    if (slot >= 0) this.ledger.progress(slot, this.#host.readClock())
  }

  /** Fails the trees whose time is over. */
  expire(): void {
    const { messageTimeoutMs } = this.#host.plan.config
    for (const slot of this.ledger.startedBefore(this.#host.readClock() - messageTimeoutMs)) {
      const task = this.ledger.holder[slot] as number
      const component = this.#componentOf(task)
      const last = component === '' ? '' : `; the last part of it that is known went to ${component}`
      this.#end(slot, { kind: 'expired', component, task, message: `not done after ${messageTimeoutMs} ms${last}` })
    }
  }

  /** Executor `other` died: each tree may have had a part in it. */
  lose(other: number): void {
    this.#host.readClock()
    // all at once, for what spouts emit in answer is not lost
    const slots = [...this.ledger.startedBefore(Infinity)]
    for (const slot of slots) this.#end(slot, { kind: 'lost', component: '', task: -1, message: `executor ${other} died` })
  }

  #note(rootA: number, rootB: number, holder: number): void {
    const slot = this.ledger.find(rootA, rootB)
    if (slot < 0) return
    if (holder >= 0) this.ledger.holder[slot] = holder
    if (this.#fromProgress) this.ledger.progress(slot, this.#host.nowMs)
  }

  #end(slot: number, failure: Failure): void {
    this.#ownerOf(slot).failed(slot, failure)
  }

  #ownerOf(slot: number): TreeOwner {
    return this.owners[this.ledger.spout[slot] as number] as TreeOwner
  }

  #linkTo(executor: number): Link {
    const link = this.#links[executor]
    assert(link !== undefined, 'a root names an executor of this run')
    return link
  }

  #componentOf(task: number): string {
    const { tasks, components } = this.#host.plan
    const planned = tasks[task]
    return planned === undefined ? '' : (components[planned.component] as PlannedComponent).id
  }
}
