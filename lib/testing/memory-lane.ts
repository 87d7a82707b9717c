/** A lane between two simulated executors: a queue of frames that is sometimes full and sometimes late, as the seed wants it. */
import type { Lane, LaneEnd } from '../engine/link.ts'
import type { Random } from '../std/random.ts'

export class MemoryLane implements Lane, LaneEnd {
  readonly #frames: Uint8Array[] = []
  readonly #framesMax: number
  readonly #random: Random

  constructor(random: Random) {
    this.#random = random
    this.#framesMax = 1 + random.below(8)
  }

  get isEmpty(): boolean {
    return this.#frames.length === 0
  }

  tryWrite(frame: Uint8Array): boolean {
    if (this.#frames.length >= this.#framesMax) return false
    this.#frames.push(frame.slice())
    return true
  }

  read(): Uint8Array | undefined {
    return this.#random.below(4) === 0 ? undefined : this.#frames.shift()
  }

  release(): void {
    // a frame that was read is gone already
  }
}
