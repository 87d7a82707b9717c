/**
 * The queue of tuples in front of a bolt task: a ring of values beside a ring of numbers, so that a waiting tuple costs
 * no object. It grows as needed; the executor bounds it by pausing what feeds it (`executor.ts`, "Back-pressure").
 *
 * Budget: about 10 ns a tuple, in and out, no allocation.
 */

/** Numbers kept beside each tuple. */
const stride = 6

/** `rootA` of a tuple that belongs to several trees; its anchors wait in a queue of their own. */
export const severalRoots = -1

/** The trees of a tuple that has several, flat: rootA, rootB, edgeA, edgeB of each. */
export type Anchors = readonly number[]

export class Inbox {
  size = 0
  /** of the tuple that `take` returned last */
  rootA = 0
  rootB = 0
  edgeA = 0
  edgeB = 0
  input = 0
  source = 0
  #head = 0
  #mask = 63
  #values: unknown[] = new Array<unknown>(64).fill(undefined)
  #numbers = new Int32Array(64 * stride)
  readonly #anchors: Anchors[] = []
  #anchorsHead = 0

  put(values: unknown, rootA: number, rootB: number, edgeA: number, edgeB: number, input: number, source: number): void {
    if (this.size > this.#mask) this.#grow()
    const at = (this.#head + this.size++) & this.#mask
    this.#values[at] = values
    const numbers = this.#numbers
    const n = at * stride
    numbers[n] = rootA
    numbers[n + 1] = rootB
    numbers[n + 2] = edgeA
    numbers[n + 3] = edgeB
    numbers[n + 4] = input
    numbers[n + 5] = source
  }

  /** Puts a tuple that belongs to several trees. */
  putAnchored(values: unknown, anchors: Anchors, input: number, source: number): void {
    this.#anchors.push(anchors)
    this.put(values, severalRoots, 0, 0, 0, input, source)
  }

  /** The values of the first tuple; its numbers are in the fields until the next call. */
  take(): unknown {
    const at = this.#head
    const values = this.#values[at]
    this.#values[at] = undefined
    const numbers = this.#numbers
    const n = at * stride
    this.rootA = numbers[n] as number
    this.rootB = numbers[n + 1] as number
    this.edgeA = numbers[n + 2] as number
    this.edgeB = numbers[n + 3] as number
    this.input = numbers[n + 4] as number
    this.source = numbers[n + 5] as number
    this.#head = (at + 1) & this.#mask
    this.size--
    return values
  }

  /** The anchors of the tuple that `take` returned with `rootA` = `severalRoots`. */
  takeAnchors(): Anchors {
    const anchors = this.#anchors[this.#anchorsHead++] as Anchors
    if (this.#anchorsHead > 1_024 && this.#anchorsHead * 2 > this.#anchors.length) {
      this.#anchors.splice(0, this.#anchorsHead)
      this.#anchorsHead = 0
    }
    return anchors
  }

  #grow(): void {
    const count = this.#mask + 1
    const values = new Array<unknown>(count * 2).fill(undefined)
    const numbers = new Int32Array(count * 2 * stride)
    for (let i = 0; i < this.size; i++) {
      const from = (this.#head + i) & this.#mask
      values[i] = this.#values[from]
      numbers.set(this.#numbers.subarray(from * stride, from * stride + stride), i * stride)
    }
    this.#values = values
    this.#numbers = numbers
    this.#head = 0
    this.#mask = count * 2 - 1
  }
}
