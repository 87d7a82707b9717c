/**
 * A seeded generator of 32-bit integers: xoshiro128** by Blackman and Vigna (https://prng.di.unimi.it/), seeded through
 * splitmix32. Small, fast, the same on every platform; not for secrets.
 */
export class Random {
  #a: number
  #b: number
  #c: number
  #d: number

  constructor(seed: number) {
    let state = seed | 0
    const next = (): number => {
      state = (state + 0x9e3779b9) | 0
      let z = state ^ (state >>> 16)
      z = Math.imul(z, 0x21f0aaad)
      z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
      return z ^ (z >>> 15)
    }
    this.#a = next()
    this.#b = next()
    this.#c = next()
    this.#d = next() | 1 // never all zero
  }

  /** A signed 32-bit integer, every one as likely. */
  int32(): number {
    const x = Math.imul(this.#b, 5)
    const result = Math.imul((x << 7) | (x >>> 25), 9)
    const t = this.#b << 9
    this.#c ^= this.#a
    this.#d ^= this.#b
    this.#b ^= this.#c
    this.#a ^= this.#d
    this.#c ^= t
    this.#d = (this.#d << 11) | (this.#d >>> 21)
    return result
  }

  /** A number in [0, 1). */
  unit(): number {
    return (this.int32() >>> 0) / 0x1_0000_0000
  }

  /** A whole number in [0, n). */
  below(n: number): number {
    return Math.floor(this.unit() * n)
  }

  /** Shuffles `items` in place (Fisher and Yates) and returns them. */
  shuffle<T>(items: T[]): T[] {
    for (let i = items.length - 1; i > 0; i--) {
      const j = this.below(i + 1)
      const kept = items[i] as T
      items[i] = items[j] as T
      items[j] = kept
    }
    return items
  }

  /** A new generator whose numbers do not overlap with this one's in practice. */
  fork(): Random {
    return new Random(this.int32())
  }
}

/** A seed that no one chose. */
export function anySeed(): number {
  return Math.floor(Math.random() * 0x1_0000_0000) | 0
}
