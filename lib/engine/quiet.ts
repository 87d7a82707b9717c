/**
 * How a run in several threads knows that nothing moves any more.
 *
 * **Publish.** When an executor rests, its spouts are done and nothing waits or is under way in it, it writes down how many
 * frames it has sent to each other executor and taken from each. **Retract.** When it rests otherwise, or is about to do what
 * the main thread says, it takes that back. **Check.** The main thread compares what all have written down: when each has,
 * and every frame said to be sent is said to be taken, nothing moves any more.
 *
 * What is written down may be old: its executor may work again by now. It holds all the same. Take the moment of each
 * executor's word. Lanes keep their order, so as the numbers agree, every frame sent before its sender's moment was taken before
 * its taker's, and no other was. So an executor that works after its moment was set going by a frame sent after its sender's
 * moment, and so on back to a first one. That one was set going by nothing, and only the main thread can do that: but its
 * commands are done before it checks, and each is begun by `retract`.
 *
 * **Invariant:** what is written down was true together. It is written while the generation is even, and the check sees one
 * odd generation before and after it has read. Only the executor's own thread writes, and a generation does not come back.
 *
 * **Invariant:** all that an executor sends is counted before it rests: whatever was emitted or acked between two turns leaves in
 * the next turn, which then has worked. A tuple that a component holds, to go on with it from a timer of its own, keeps its
 * tree and so its spout from being done. What belongs to no tree (ticks) sets an executor going by nothing: a run waits for
 * it only where it is seen.
 */

/** By executor, in memory that every thread sees. */
export interface QuietWords {
  /** odd while the other words hold; grows */
  readonly generation: Int32Array
  /** frames sent from i to j (at i * n + j), as of when i last said so */
  readonly sent: Int32Array
  /** frames that i took from j, likewise */
  readonly received: Int32Array
}

/** What one executor says of itself. */
export class QuietSign {
  readonly #words: QuietWords
  readonly #index: number

  constructor(words: QuietWords, index: number) {
    this.#words = words
    this.#index = index
  }

  publish(sent: readonly number[], received: readonly number[]): void {
    const { generation, sent: allSent, received: allReceived } = this.#words
    const first = this.#index * generation.length
    const isKnown = (frames: number, other: number, all: Int32Array): boolean => Atomics.load(all, first + other) === (frames | 0)
    if (
      holds(Atomics.load(generation, this.#index)) &&
      sent.every((frames, other) => isKnown(frames, other, allSent)) &&
      received.every((frames, other) => isKnown(frames, other, allReceived))
    )
      return
    this.retract()
    sent.forEach((frames, other) => Atomics.store(allSent, first + other, frames))
    received.forEach((frames, other) => Atomics.store(allReceived, first + other, frames))
    Atomics.add(generation, this.#index, 1)
  }

  retract(): void {
    const { generation } = this.#words
    if (holds(Atomics.load(generation, this.#index))) Atomics.add(generation, this.#index, 1)
  }
}

/** Nothing moves any more, anywhere. */
export function areAllQuiet({ generation, sent, received }: QuietWords): boolean {
  const n = generation.length
  const before = Array.from(generation, (_, i) => Atomics.load(generation, i))
  if (!before.every(holds)) return false
  for (let i = 0; i < n; i++)
    for (let j = 0; j < n; j++) if (Atomics.load(sent, i * n + j) !== Atomics.load(received, j * n + i)) return false
  return before.every((value, i) => Atomics.load(generation, i) === value)
}

function holds(generation: number): boolean {
  return (generation & 1) === 1
}
