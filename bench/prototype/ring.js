/**
 * A ring of 32-bit words in shared memory, one writer, one reader. The writer fills a reserved stretch in place and publishes it as
 * one frame; the reader reads it in place and gives it back. And a bell, by which a sleeping reader is woken.
 */
const headAt = 0
const tailAt = 16 // a cache line of its own
const firstWord = 32
const skip = -1

export function ringMemory(capacityWords) {
  return new SharedArrayBuffer((firstWord + capacityWords) * 4)
}

export class RingWriter {
  #control
  #capacity
  #head = 0
  #tail = 0
  #bell
  constructor(memory, bell) {
    this.#control = new Int32Array(memory, 0, firstWord)
    this.words = new Int32Array(memory, firstWord * 4)
    this.bytes = Buffer.from(memory, firstWord * 4)
    this.#capacity = this.words.length
    this.#bell = bell
  }

  /** Is there room for `size` words in one piece, whatever has to be skipped at the end? */
  has(size) {
    if (this.#room() >= 2 * size) return true
    this.#head = Atomics.load(this.#control, headAt)
    return this.#room() >= 2 * size
  }

  /** Where the next frame's body begins: `size` words may be written there. To be asked for only when `has` said yes. */
  reserve(size) {
    let at = this.#tail & (this.#capacity - 1)
    if (at + size + 1 > this.#capacity) {
      this.words[at] = skip
      this.#tail = (this.#tail + this.#capacity - at) | 0
      at = 0
    }
    return at + 1
  }

  /** The frame that was reserved is `size` words and complete. */
  publish(size) {
    this.words[this.#tail & (this.#capacity - 1)] = size
    this.#tail = (this.#tail + size + 1) | 0
    Atomics.store(this.#control, tailAt, this.#tail)
    if (Atomics.load(this.#bell, 0) === 1 && Atomics.compareExchange(this.#bell, 0, 1, 0) === 1) Atomics.notify(this.#bell, 0)
  }

  #room() {
    return this.#capacity - ((this.#tail - this.#head) | 0)
  }
}

export class RingReader {
  #control
  #capacity
  #head = 0
  constructor(memory) {
    this.#control = new Int32Array(memory, 0, firstWord)
    this.words = new Int32Array(memory, firstWord * 4)
    this.bytes = Buffer.from(memory, firstWord * 4)
    this.#capacity = this.words.length
  }

  get empty() {
    return Atomics.load(this.#control, tailAt) === this.#head
  }

  /** Calls `take(at, size)` for each frame that is there; returns how many there were. */
  drain(take) {
    const tail = Atomics.load(this.#control, tailAt)
    let frames = 0
    while (this.#head !== tail) {
      const at = this.#head & (this.#capacity - 1)
      const size = this.words[at]
      if (size === skip) {
        this.#head = (this.#head + this.#capacity - at) | 0
        continue
      }
      take(at + 1, size)
      frames++
      this.#head = (this.#head + size + 1) | 0
      Atomics.store(this.#control, headAt, this.#head)
    }
    return frames
  }
}
