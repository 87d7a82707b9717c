/**
 * The slot table: which trees are under way. A root id is (slot, generation), so finding its entry is an array access; the
 * XOR of all its edges, two int32, is zero when the tree is done.
 */
export class Ledger {
  size = 0
  #xorA
  #xorB
  #generation
  #ids
  #free
  #freeCount
  #done

  /** `done(id)` is called with the message id of each tree that is complete. */
  constructor(slots, done) {
    this.#xorA = new Int32Array(slots)
    this.#xorB = new Int32Array(slots)
    this.#generation = new Int32Array(slots).fill(1)
    this.#ids = new Array(slots).fill(undefined)
    this.#free = Int32Array.from({ length: slots }, (_, i) => slots - 1 - i)
    this.#freeCount = slots
    this.#done = done
  }

  open(id) {
    const slot = this.#free[--this.#freeCount]
    this.#ids[slot] = id
    this.size++
    return slot
  }

  generation(slot) {
    return this.#generation[slot]
  }

  xor(slot, generation, a, b) {
    if (this.#generation[slot] !== generation) return
    const xorA = (this.#xorA[slot] ^= a)
    const xorB = (this.#xorB[slot] ^= b)
    if ((xorA | xorB) === 0) this.#close(slot)
  }

  #close(slot) {
    const id = this.#ids[slot]
    this.#ids[slot] = undefined
    this.#generation[slot] = (this.#generation[slot] + 1) | 0
    this.#free[this.#freeCount++] = slot
    this.size--
    this.#done(id)
  }
}

/** The same interface with a counter per root: no ids, no late news noticed; only to know what the XOR costs. */
export class CounterLedger {
  size = 0
  #count
  #ids
  #free
  #freeCount
  #done

  constructor(slots, done) {
    this.#count = new Int32Array(slots)
    this.#ids = new Array(slots).fill(undefined)
    this.#free = Int32Array.from({ length: slots }, (_, i) => slots - 1 - i)
    this.#freeCount = slots
    this.#done = done
  }

  open(id) {
    const slot = this.#free[--this.#freeCount]
    this.#ids[slot] = id
    this.size++
    return slot
  }

  add(slot, edges) {
    const left = (this.#count[slot] += edges)
    if (left !== 0) return
    const id = this.#ids[slot]
    this.#ids[slot] = undefined
    this.#free[this.#freeCount++] = slot
    this.size--
    this.#done(id)
  }
}
