/** What an RDD refuses, and what it says then. */
import { describe, expect, test } from 'vitest'
import { CachedMap, RddContext } from '../../../lib/index.ts'
import { packed, unpacked } from '../../../lib/batch/packed.ts'

const sc = new RddContext()
const numbers = sc.range(0, 10, 1, 2)

describe('numbers of partitions', () => {
  test.each([
    ['parallelize', () => sc.parallelize([1], 1_048_577)],
    ['repartition', () => numbers.repartition(1e9)],
    ['HashPartitioner', () => numbers.map((x) => [x, x] as const).reduceByKey((a) => a, 1_048_577)],
  ])('%s', (of, make) => {
    expect(make).toThrow(
      expect.objectContaining({
        code: 'bad-option',
        message: expect.stringMatching(new RegExp(`partitions of ${of}[^]*1048576`)) as string,
      }),
    )
  })

  test('a product of two', () => {
    const many = sc.parallelize([1], 2_000)
    expect(() => many.cartesian(many)).toThrow(expect.objectContaining({ code: 'too-many-partitions' }))
  })
})

test('a lineage that is too deep for the stack names checkpoint; a thousand operations are not', async () => {
  const deep = (operations: number) => Array.from({ length: operations }).reduce<typeof numbers>((rdd) => rdd.map((x) => x + 1), numbers)
  expect(await deep(1_000).max()).toBe(1_009)
  await expect(deep(20_000).max()).rejects.toMatchObject({ code: 'lineage-deep', message: expect.stringContaining('20001') as string })
})

test('a function of the user that never ends its calls is no lineage', async () => {
  const endless = (x: number): number => endless(x + 1) + 1
  await expect(numbers.map(endless).max()).rejects.toMatchObject({ code: 'rdd-failed' })
})

test.each([
  ['filter', numbers.filter((async () => false) as unknown as () => boolean)],
  ['flatMap', numbers.flatMap((async () => []) as unknown as () => number[])],
  ['mapPartitions', numbers.mapPartitions((async () => []) as unknown as () => number[])],
])('an async function for %s', async (operation, rdd) => {
  await expect(rdd.collect()).rejects.toMatchObject({ code: 'async-function', message: expect.stringContaining(operation) as string })
})

test('what is not in an RDD without partitions', async () => {
  expect(await sc.empty<number>().subtract(numbers).collect()).toEqual([])
  expect(
    await sc
      .empty<readonly [number, string]>()
      .subtractByKey(numbers.keyBy((x) => x))
      .collect(),
  ).toEqual([])
})

test('truth need not be a boolean', async () => {
  expect(await numbers.filter((x) => (x % 5) as unknown as boolean).collect()).toEqual([1, 2, 3, 4, 6, 7, 8, 9])
})

test('a field named __proto__ inside of a value is refused, the text is not', () => {
  const value = { a: [JSON.parse('{"__proto__": 1}') as object] }
  expect(() => packed(value)).toThrow(/__proto__/)
  expect(() => packed(new Map([['a', new Set([value])]]))).toThrow(/__proto__/)
  expect(unpacked(packed({ a: '__proto__' }))).toEqual({ a: '__proto__' })
})

test('a backing map of the user that gives too few values', async () => {
  const map = new CachedMap<string, number>({ multiGet: () => Promise.resolve([1]), multiPut: () => Promise.resolve() })
  await expect(map.multiGet(['a', 'b'])).rejects.toMatchObject({
    code: 'multi-get',
    message: expect.stringContaining('1 values for 2') as string,
  })
})
