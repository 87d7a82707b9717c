/**
 * Random 32-bit numbers for edge ids: `next()` gives an int32. Acking XORs them, so a generator that is itself nothing but XORs and
 * shifts (xorshift) is the wrong kind: fixed sums of its outputs are always zero. The others here mix with additions or products.
 */
const seed = () => (Math.random() * 4294967296) | 0

/** A Weyl sequence, mixed (mulberry32): one addition, two products. */
export class Mulberry {
  #state = seed()
  next() {
    const state = (this.#state = (this.#state + 0x6d2b79f5) | 0)
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return t ^ (t >>> 14)
  }
}

/** sfc32: additions, shifts and XORs over four words. */
export class Sfc {
  #a = seed()
  #b = seed()
  #c = seed()
  #d = 1
  next() {
    const t = (((this.#a + this.#b) | 0) + this.#d) | 0
    this.#d = (this.#d + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + t) | 0
    return t
  }
}

/** xoshiro128**: shifts and XORs over four words, and products on the way out. */
export class Xoshiro {
  #a = seed()
  #b = seed()
  #c = seed()
  #d = seed() | 1
  next() {
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
}

/** xorshift32, only to know what the cheapest costs. */
export class Xorshift {
  #x = seed() | 1
  next() {
    let x = this.#x
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    return (this.#x = x)
  }
}

export const generators = { mulberry: Mulberry, sfc: Sfc, xoshiro: Xoshiro, xorshift: Xorshift }
