/**
 * The acker: which trees of tuples are under way, and when one is done.
 *
 * Storm's algorithm (Nathan Marz, 2011): every edge of a tree is a random 64-bit number; whoever emits an edge and whoever
 * acks it each XOR it into the tree's one number, in any order; when that number is zero, the tree is done, but for one
 * chance in 2^64. Here a tree's root id *is* the place of its entry: 7 bits of executor, 24 bits of slot, and 32 bits of
 * generation against late news of an earlier tree in the same slot. So a look-up is an array access, and ids are two int32.
 *
 * The spout task that starts a tree keeps the ledger that tracks it, so a tree that never leaves its executor is acked
 * without a message.
 *
 * Budget: 40 ns a root and 20 ns an edge, no allocation.
 */
import { assert } from '../std/assert.ts'

/** Executors that can share roots: they have 7 bits of the root id. */
export const executorsMax = 126
const slotBits = 24
const slotMask = (1 << slotBits) - 1

/** The executor in whose ledger a root is. */
export function executorOf(rootA: number): number {
  return (rootA >>> slotBits) - 1
}

const free = 0
const open = 1
const ready = 2

/** What a ledger tells the spouts of its executor. The slot's columns may be read during the call, not after. */
export interface LedgerOwner {
  treeDone(slot: number): void
}

export class Ledger {
  /** trees under way */
  size = 0
  /** the columns of the ledger, by slot */
  spout = new Int32Array(64)
  startMs = new Float64Array(64)
  ids: unknown[] = []
  /** what a spout with `replay` would emit again */
  values: unknown[] = []
  stream = new Int32Array(64)
  /** the task it was emitted to by name, or -1 */
  target = new Int32Array(64)
  attempt = new Int32Array(64)
  /** the task that the last part of the tree went to, as far as is known here */
  holder = new Int32Array(64)

  readonly #base: number
  readonly #owner: LedgerOwner
  #state = new Uint8Array(64)
  #xorA = new Int32Array(64)
  #xorB = new Int32Array(64)
  #generation = new Int32Array(64)
  #progressMs = new Float64Array(64)
  /** slots that were used and are free, last in first out */
  #free = new Int32Array(64)
  #freeCount = 0
  #used = 0
  readonly #firstGeneration: number

  constructor(executor: number, owner: LedgerOwner, firstGeneration: number) {
    assert(executor >= 0 && executor < executorsMax, 'an executor number fits a root id')
    this.#base = (executor + 1) << slotBits
    this.#owner = owner
    this.#firstGeneration = firstGeneration
  }

  /** A slot for a new tree, not yet complete: `init` must follow. Fill the columns you need. */
  open(spout: number, nowMs: number): number {
    const slot = this.#freeCount > 0 ? (this.#free[--this.#freeCount] as number) : this.#newSlot()
    this.size++
    this.#state[slot] = open
    this.#xorA[slot] = 0
    this.#xorB[slot] = 0
    this.spout[slot] = spout
    this.startMs[slot] = nowMs
    this.#progressMs[slot] = nowMs
    this.holder[slot] = -1
    return slot
  }

  rootA(slot: number): number {
    return this.#base | slot
  }

  rootB(slot: number): number {
    return this.#generation[slot] as number
  }

  /** All first edges of the tree are known: their XOR is `(a, b)`. */
  init(slot: number, a: number, b: number): void {
    this.#state[slot] = ready
    const xorA = ((this.#xorA[slot] as number) ^ a) | 0
    const xorB = ((this.#xorB[slot] as number) ^ b) | 0
    this.#xorA[slot] = xorA
    this.#xorB[slot] = xorB
    if ((xorA | xorB) === 0) this.#done(slot)
  }

  /** Edges acked and emitted: their XOR is `(a, b)`. News of a tree that is over is ignored. */
  xor(rootA: number, rootB: number, a: number, b: number): void {
    const slot = rootA & slotMask
    if (this.#generation[slot] !== rootB || this.#state[slot] === free) return
    const xorA = ((this.#xorA[slot] as number) ^ a) | 0
    const xorB = ((this.#xorB[slot] as number) ^ b) | 0
    this.#xorA[slot] = xorA
    this.#xorB[slot] = xorB
    if ((xorA | xorB) === 0 && this.#state[slot] === ready) this.#done(slot)
  }

  /** The slot of a tree under way, or -1. */
  find(rootA: number, rootB: number): number {
    const slot = rootA & slotMask
    return this.#generation[slot] === rootB && this.#state[slot] !== free ? slot : -1
  }

  /** The message timeout of the tree starts anew. */
  progress(slot: number, nowMs: number): void {
    this.#progressMs[slot] = nowMs
  }

  /** Ends a tree that will not be done; read its columns before. */
  release(slot: number): void {
    assert(this.#state[slot] !== free, 'a tree is released once')
    this.#state[slot] = free
    this.#generation[slot] = ((this.#generation[slot] as number) + 1) | 0
    this.ids[slot] = undefined
    this.values[slot] = undefined
    this.size--
    this.#free[this.#freeCount++] = slot
  }

  /** The trees whose timeout began before `ms`. */
  *startedBefore(ms: number): Generator<number> {
    for (let slot = 0; slot < this.#used; slot++) if (this.#state[slot] === ready && (this.#progressMs[slot] as number) <= ms) yield slot
  }

  #done(slot: number): void {
    this.#owner.treeDone(slot)
    this.release(slot)
  }

  #newSlot(): number {
    const slot = this.#used++
    assert(slot <= slotMask, 'a slot number fits a root id')
    if (slot >= this.#state.length) this.#grow()
    this.#generation[slot] = this.#firstGeneration
    this.ids.push(undefined)
    this.values.push(undefined)
    return slot
  }

  #grow(): void {
    const size = this.#state.length * 2
    const grown = <A extends Uint8Array | Int32Array | Float64Array>(from: A): A => {
      const to = new (from.constructor as new (length: number) => A)(size)
      to.set(from)
      return to
    }
    this.#state = grown(this.#state)
    this.#xorA = grown(this.#xorA)
    this.#xorB = grown(this.#xorB)
    this.#generation = grown(this.#generation)
    this.#free = grown(this.#free)
    this.#progressMs = grown(this.#progressMs)
    this.spout = grown(this.spout)
    this.stream = grown(this.stream)
    this.target = grown(this.target)
    this.attempt = grown(this.attempt)
    this.holder = grown(this.holder)
    this.startMs = grown(this.startMs)
  }
}
