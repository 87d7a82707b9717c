import fc from 'fast-check'
import { expect, test } from 'vitest'
import { KeyMap, isSameKey } from '../../../lib/batch/keyed.ts'
import { HashPartitioner } from '../../../lib/index.ts'

const plain = fc.oneof(
  fc.string(),
  fc.integer({ min: -3, max: 3 }),
  fc.double(),
  fc.boolean(),
  fc.constantFrom(null, undefined, 3n, -0, NaN),
)
const key = fc.oneof(
  plain,
  fc.array(plain, { maxLength: 3 }),
  fc.dictionary(fc.constantFrom('a', 'b', '1'), fc.oneof(plain, fc.array(plain, { maxLength: 2 })), { maxKeys: 2 }),
  fc.date({ noInvalidDate: true }),
  fc.uint8Array({ maxLength: 2 }),
)

test('a key is found by its content, and only by that', () => {
  fc.assert(
    fc.property(fc.array(key, { maxLength: 12 }), (keys) => {
      const map = new KeyMap<unknown, number>()
      keys.forEach((one, i) => map.set(one, i))
      const last = (of: unknown): number => keys.findLastIndex((other) => isSameKey(of, other))
      for (const one of keys) expect(map.get(structuredClone(one))).toBe(last(one))
      expect(map.size).toBe(keys.filter((one, i) => last(one) === i).length)
      expect([...map.cells()].map(({ value }) => value).sort()).toEqual(keys.flatMap((one, i) => (last(one) === i ? [i] : [])).sort())
    }),
  )
})

test('equal keys go to the same partition, whatever the order of their fields', () => {
  const partitioner = new HashPartitioner(1 << 20)
  fc.assert(
    fc.property(key, (one) => {
      expect(partitioner.partitionOf(structuredClone(one))).toBe(partitioner.partitionOf(one))
    }),
  )
  expect(isSameKey({ a: 1, b: 2 }, { b: 2, a: 1, c: undefined })).toBe(true)
  expect(partitioner.partitionOf({ a: 1, b: [2] })).toBe(partitioner.partitionOf({ b: [2], a: 1 }))
  expect(isSameKey(-0, 0) && isSameKey([-0], [0]) && isSameKey(NaN, NaN)).toBe(true)
  for (const [a, b] of [
    ['1', 1],
    [['a,b'], ['a', 'b']],
    [[1], '1'],
    [null, undefined],
    [[], {}],
    [['1'], [1]],
    [{ a: 1 }, { a: '1' }],
  ])
    // prettier-ignore
    expect(isSameKey(a, b), `${JSON.stringify(a)} and ${JSON.stringify(b)}`).toBe(false)
})

test('a key can be deleted', () => {
  const map = new KeyMap<unknown, number>()
  map.set('a', 1)
  map.set(['a'], 2)
  expect([map.delete('a'), map.delete(['a']), map.delete(['b']), map.size]).toEqual([true, true, false, 0])
})

test('what has no content is no key', () => {
  const map = new KeyMap<unknown, number>()
  for (const bad of [() => 1, Symbol('s'), new Map(), new (class Point {})(), [[() => 1]]]) {
    expect(() => map.set(bad, 1)).toThrow(expect.objectContaining({ code: 'bad-key' }))
    expect(() => new HashPartitioner(2).partitionOf(bad)).toThrow(expect.objectContaining({ code: 'bad-key' }))
  }
})
