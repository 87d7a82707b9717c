import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Random, anySeed } from '../../lib/std/random.ts'

/** xoshiro128** as its authors print it, in big integers, seeded through splitmix32: slow and plain. */
function reference(seed: number): () => number {
  const mask = 0xffff_ffffn
  const rotated = (x: bigint, k: bigint): bigint => ((x << k) | (x >> (32n - k))) & mask
  let mixed = BigInt(seed >>> 0)
  const next = (): bigint => {
    mixed = (mixed + 0x9e37_79b9n) & mask
    let z = mixed ^ (mixed >> 16n)
    z = (z * 0x21f0_aaadn) & mask
    z = ((z ^ (z >> 15n)) * 0x735a_2d97n) & mask
    return z ^ (z >> 15n)
  }
  const s: [bigint, bigint, bigint, bigint] = [next(), next(), next(), next() | 1n]
  return () => {
    const result = (rotated((s[1] * 5n) & mask, 7n) * 9n) & mask
    const t = (s[1] << 9n) & mask
    s[2] ^= s[0]
    s[3] ^= s[1]
    s[1] ^= s[2]
    s[0] ^= s[3]
    s[2] ^= t
    s[3] = rotated(s[3], 11n)
    return Number(BigInt.asIntN(32, result))
  }
}

describe('random', () => {
  test('is xoshiro128**, the same for a seed everywhere', () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const [random, plain] = [new Random(seed), reference(seed)]
        for (let i = 0; i < 50; i++) expect(random.int32()).toBe(plain())
      }),
    )
  })

  test('unit and below stay in their range and reach all of it', () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 1, max: 1_000_000 }), (seed, n) => {
        const random = new Random(seed)
        for (let i = 0; i < 50; i++) {
          const [unit, below] = [random.unit(), random.below(n)]
          expect(unit >= 0 && unit < 1).toBe(true)
          expect(Number.isInteger(below) && below >= 0 && below < n).toBe(true)
        }
      }),
    )
    const random = new Random(1)
    const counts = new Array<number>(10).fill(0)
    for (let i = 0; i < 100_000; i++) {
      const at = random.below(10)
      counts[at] = (counts[at] as number) + 1
    }
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(1_000)
  })

  test('shuffle keeps the items, and every order of three is as likely', () => {
    fc.assert(
      fc.property(fc.integer(), fc.array(fc.integer()), (seed, items) => {
        const sorted = (numbers: readonly number[]): number[] => numbers.toSorted((a, b) => a - b)
        const shuffled = new Random(seed).shuffle([...items])
        expect(sorted(shuffled)).toEqual(sorted(items))
        expect(new Random(seed).shuffle([...items])).toEqual(shuffled)
      }),
    )
    const random = new Random(2)
    const orders = new Map<string, number>()
    for (let i = 0; i < 6_000; i++) {
      const order = random.shuffle(['a', 'b', 'c']).join('')
      orders.set(order, (orders.get(order) ?? 0) + 1)
    }
    expect(orders.size).toBe(6)
    for (const count of orders.values()) expect(Math.abs(count - 1_000)).toBeLessThan(290)
  })

  test('a fork goes its own way', () => {
    const random = new Random(3)
    const fork = random.fork()
    const own = Array.from({ length: 100 }, () => random.int32())
    const forked = Array.from({ length: 100 }, () => fork.int32())
    expect(new Set([...own, ...forked]).size).toBe(200)
    expect(
      Array.from(
        { length: 100 },
        (
          (again) => () =>
            again.int32()
        )(new Random(3).fork()),
      ),
    ).toEqual(forked)
  })

  test('any seed is a 32-bit integer', () => {
    for (let i = 0; i < 100; i++) {
      const seed = anySeed()
      expect(seed).toBe(seed | 0)
    }
  })
})
