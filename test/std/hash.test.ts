import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { floorMod, hashValue, murmur3, murmur3Bytes } from '../../lib/std/hash.ts'

const hex = (hash: number): string => (hash >>> 0).toString(16).padStart(8, '0')

describe('murmur3', () => {
  // vectors of the reference implementation (MurmurHash3_x86_32), as collected by its users
  test.each([
    ['', 0, '00000000'],
    ['', 1, '514e28b7'],
    ['', 0xffffffff, '81f16f39'],
    ['ffffffff', 0, '76293b50'],
    ['21436587', 0, 'f55b516b'],
    ['21436587', 0x5082edee, '2362f9de'],
    ['214365', 0, '7e4a8634'],
    ['2143', 0, 'a0f7b07a'],
    ['21', 0, '72661cf4'],
    ['00000000', 0, '2362f9de'],
    ['000000', 0, '85f0b427'],
    ['0000', 0, '30f4c306'],
    ['00', 0, '514e28b7'],
  ])('the bytes %s with seed %i', (bytes, seed, expected) => {
    expect(hex(murmur3Bytes(Uint8Array.from(Buffer.from(bytes, 'hex')), seed))).toBe(expected)
  })

  test.each([
    ['a', '7fa09ea6'],
    ['aa', '5d211726'],
    ['aaa', '283e0130'],
    ['aaaa', '5a97808a'],
    ['ab', '74875592'],
    ['abc', 'c84a62dd'],
    ['abcd', 'f0478627'],
    ['Hello, world!', '24884cba'],
    ['ππππππππ', 'd58063c1'],
    ['The quick brown fox jumps over the lazy dog', '2fa826cd'],
  ])('the text %s', (text, expected) => {
    expect(hex(murmur3(text, 0x9747b28c))).toBe(expected)
  })

  test('a text hashes as its UTF-8 bytes, wherever in it the first letter beyond ASCII is', () => {
    fc.assert(
      fc.property(
        fc.string({
          unit: fc.oneof(fc.constantFrom('a', 'Z', '7'), fc.string({ unit: 'binary', minLength: 1, maxLength: 1 })),
          maxLength: 40,
        }),
        fc.integer(),
        (text, seed) => {
          expect(murmur3(text, seed)).toBe(murmur3Bytes(new TextEncoder().encode(text), seed))
        },
      ),
    )
  })
})

describe('hashValue', () => {
  const key = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small' },
      fc.string(),
      fc.integer(),
      fc.double(),
      fc.boolean(),
      fc.bigInt(),
      fc.constant(null),
      fc.constant(undefined),
      fc.date({ noInvalidDate: true }),
      fc.uint8Array(),
      fc.array(tie('value'), { maxLength: 4 }),
      fc.dictionary(fc.string(), tie('value'), { maxKeys: 4 }),
    ),
  })).value

  test('equal values have equal hashes', () => {
    fc.assert(
      fc.property(key, fc.integer(), (value, seed) => {
        expect(hashValue(structuredClone(value), seed)).toBe(hashValue(value, seed))
      }),
    )
  })

  test('the order of keys does not count, the order of items does', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), key, { minKeys: 2 }), (value) => {
        const turned = Object.fromEntries(Object.entries(value).toReversed())
        expect(hashValue(turned)).toBe(hashValue(value))
      }),
    )
    expect(hashValue(['a', 'b'])).not.toBe(hashValue(['b', 'a']))
    expect(hashValue({ a: 1, b: 2 })).not.toBe(hashValue({ a: 2, b: 1 }))
  })

  test('is a 32-bit integer, and -0 is 0', () => {
    fc.assert(
      fc.property(key, (value) => {
        const hash = hashValue(value)
        expect(hash).toBe(hash | 0)
      }),
    )
    expect(hashValue(-0)).toBe(hashValue(0))
    expect(hashValue([-0])).toBe(hashValue([0]))
    expect(hashValue(Number.NaN)).toBe(hashValue(0 / 0))
    expect(hashValue(Buffer.from('ab'))).toBe(hashValue(new TextEncoder().encode('ab')))
  })

  test.each([
    ['whole numbers', (i: number) => i],
    ['numbers with a fraction', (i: number) => i + 0.5],
    ['large numbers', (i: number) => i * 2 ** 32],
    ['texts', (i: number) => `key-${i}`],
    ['dates', (i: number) => new Date(i * 86_400_000)],
    ['pairs', (i: number) => [i % 100, Math.floor(i / 100)]],
    ['objects', (i: number) => ({ id: i, kind: 'x' })],
    ['bigints', (i: number) => BigInt(i)],
  ])('spreads %s over tasks', (_, make) => {
    const counts = new Array<number>(16).fill(0)
    for (let i = 0; i < 16_000; i++) {
      const task = floorMod(hashValue(make(i)), 16)
      counts[task] = (counts[task] as number) + 1
    }
    // 1,000 each; ten standard deviations are about 310
    for (const count of counts) expect(Math.abs(count - 1_000)).toBeLessThan(310)
  })
})

test('floorMod is never negative', () => {
  fc.assert(
    fc.property(fc.integer(), fc.integer({ min: 1, max: 32_767 }), (hash, n) => {
      const place = floorMod(hash, n)
      expect(place).toBe(Number(((BigInt(hash) % BigInt(n)) + BigInt(n)) % BigInt(n)))
    }),
  )
  expect(floorMod(-4, 4)).toBe(0) // and not -0
})
