/** Operations one by one, the same in one task and in several. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, onTestFinished, test } from 'vitest'
import { HashPartitioner, RangePartitioner, RddContext, rdd } from '../../../lib/index.ts'
import { everywhere, inTasks } from './tasks.ts'

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'squall-test-'))
  onTestFinished(() => rmSync(made, { recursive: true, force: true }))
  return made
}

test('words are counted', async () => {
  const counts = await everywhere(async (sc) => {
    const words = sc.parallelize(['to be or', 'not to be', 'be'], 2).flatMap((line) => line.split(' '))
    return await words.map((word) => [word, 1]).reduceByKey((a, b) => a + b).sortByKey().collect() // prettier-ignore
  })
  expect(counts).toEqual([['be', 3], ['not', 1], ['or', 1], ['to', 2]]) // prettier-ignore
})

test('slices are contiguous and of about the same size', async () => {
  expect(await rdd.parallelize([1, 2, 3, 4, 5], 3).glom().collect()).toEqual([[1], [2, 3], [4, 5]]) // prettier-ignore
  expect(await rdd.range(1, 6, 1, 3).glom().collect()).toEqual([[1], [2, 3], [4, 5]]) // prettier-ignore
  expect(await rdd.range(10, 0, -4, 2).collect()).toEqual([10, 6, 2])
  expect(await rdd.parallelize(new Set(['a']), 3).glom().collect()).toEqual([[], [], ['a']]) // prettier-ignore
  expect(await rdd.parallelize([], 2).glom().collect()).toEqual([[], []]) // prettier-ignore
})

test('coalesce makes neighbours one, repartition deals out', async () => {
  const parts = await everywhere(async (sc) => {
    const numbers = sc.range(1, 11, 1, 10)
    return [
      await numbers.coalesce(3).glom().collect(),
      await numbers.coalesce(20).glom().count(),
      await numbers.coalesce(4, true).glom().collect(),
    ]
  })
  expect(parts[0]).toEqual([[1, 2, 3], [4, 5, 6], [7, 8, 9, 10]]) // prettier-ignore
  expect(parts[1]).toBe(10)
  const dealt = parts[2] as number[][]
  expect(dealt.map((part) => part.length).toSorted()).toEqual([2, 2, 3, 3])
})

test('a sort is total, stable, and in ranges of about the same size', async () => {
  const sizes = await everywhere(async (sc) => {
    const numbers = sc.range(0, 10_000, 1, 7).map((x) => [(x * 7919) % 1000, x])
    const sorted = numbers.sortByKey({ partitions: 5 })
    const pairs = await sorted.collect()
    const isSorted = pairs.every(([key, x], i) => i === 0 || (pairs[i - 1] as number[])[0]! < key || ((pairs[i - 1] as number[])[0] === key && (pairs[i - 1] as number[])[1]! < x))
    expect(isSorted).toBe(true)
    return (await sorted.glom().collect()).map((part) => part.length)
  }) // prettier-ignore
  for (const size of sizes) expect(size).toBeGreaterThan(1000)
  expect(sizes.reduce((a, b) => a + b)).toBe(10_000)
})

test("Spark's boolean for the order is refused, not taken for ascending", () => {
  const descending = false as unknown as object
  const pairs = rdd.parallelize([[1, 'a']] as [number, string][])
  const refused = { code: 'bad-option', help: 'give it { ascending: false }' }
  expect(() => pairs.sortByKey(descending)).toThrow(expect.objectContaining(refused))
  expect(() => pairs.sortBy(([key]) => key, descending)).toThrow(expect.objectContaining(refused))
})

test('values of a key are in the order of the input, in however many tasks', async () => {
  const groups = await everywhere(
    async (sc) =>
    (await sc.range(0, 20, 1, 6).groupBy((x) => x % 2, 2).collect()).sort(), // prettier-ignore
  )
  expect(groups).toEqual([[0, [0, 2, 4, 6, 8, 10, 12, 14, 16, 18]], [1, [1, 3, 5, 7, 9, 11, 13, 15, 17, 19]]]) // prettier-ignore
})

test('composite keys are compared by content', async () => {
  const sums = await everywhere(async (sc) => {
    const pairs = sc.range(0, 12, 1, 4).map((x): [{ mod: number; tag: string[] }, number] => [{ mod: x % 2, tag: ['t'] }, x])
    return [await pairs.reduceByKey((a, b) => a + b, 3).sortBy(([key]) => key.mod).collect(), await pairs.lookup({ tag: ['t'], mod: 1 }), await pairs.keys().distinct().count()] as const
  }) // prettier-ignore
  expect(sums).toEqual([[[{ mod: 0, tag: ['t'] }, 30], [{ mod: 1, tag: ['t'] }, 36]], [1, 3, 5, 7, 9, 11], 2]) // prettier-ignore
})

test('a zero value is made anew for each who changes it', async () => {
  const [folded, byKey, made] = await everywhere(async (sc) => {
    const lists = sc.range(0, 9, 1, 3).map((x): number[] => [x])
    const push = (into: number[], list: number[]): number[] => {
      into.push(...list)
      return into
    }
    return [
      await lists.fold([], push),
      (await lists.keyBy(([x = 0]) => x % 2).foldByKey([], push, 1).collect()).map(([, all]) => all.sort()),
      (await lists.aggregate(() => new Set<number>(), (set, [x = 0]) => set.add(x), (a, b) => new Set([...a, ...b]))).size,
    ] as const
  }) // prettier-ignore
  expect(folded).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8])
  expect(byKey).toEqual([[0, 2, 4, 6, 8], [1, 3, 5, 7]]) // prettier-ignore
  expect(made).toBe(9)
})

test('numbers are described', async () => {
  const result = await everywhere(async (sc) => {
    const numbers = sc.parallelize([2, 4, 4, 4, 5, 5, 7, 9], 3)
    const { count, sum, mean, variance, stdev, sampleVariance, min, max } = await numbers.stats()
    return { count, sum: Math.round(sum), mean, variance: variance.toFixed(6), stdev: stdev.toFixed(6), sampleVariance: sampleVariance.toFixed(4), min, max, even: await numbers.histogram(2), own: await numbers.histogram([0, 4, 5, 9]), average: await numbers.mean() }
  }) // prettier-ignore
  expect(result).toEqual({ count: 8, sum: 40, mean: 5, variance: '4.000000', stdev: '2.000000', sampleVariance: '4.5714', min: 2, max: 9, even: [[2, 5.5, 9], [6, 2]], own: [1, 3, 4], average: 5 }) // prettier-ignore
  expect(await rdd.parallelize([3, 3, 3]).histogram(4)).toEqual([[3, 3], [3]]) // prettier-ignore
  expect(await rdd.parallelize([1, NaN, -1, 4, 11]).histogram([1, 3, 10])).toEqual([1, 1])
})

test('different values are counted about right', async () => {
  const result = await everywhere(async (sc) => {
    const values = sc.range(0, 60_000, 1, 4).map((x) => `value ${x % 20_000}`)
    const byKey = values.keyBy(() => 'all').countApproxDistinctByKey(0.02)
    return [await values.countApproxDistinct(0.02), (await byKey.collect())[0]?.[1] as number, await sc.range(0, 3).countApproxDistinct(), await sc.empty().countApproxDistinct()]
  }) // prettier-ignore
  for (const about of result.slice(0, 2)) expect(Math.abs(about - 20_000)).toBeLessThan(20_000 * 0.06)
  expect(result.slice(2)).toEqual([3, 0])
})

test('samples are about as large as asked, the same for the same seed, and of values that are there', async () => {
  const [plain, replaced, none, strata] = await everywhere(async (sc) => {
    const numbers = sc.range(0, 10_000, 1, 4)
    const fractions = new Map([[0, 0.1], [1, 0.5]]) // prettier-ignore
    return [
      await numbers.sample(false, 0.2, 7).collect(),
      await numbers.sample(true, 1.5, 7).count(),
      await numbers.sample(true, 0).count(),
      [...(await numbers.keyBy((x) => x % 3).sampleByKey(false, fractions, 3).countByKey())].sort(),
    ] as const
  }) // prettier-ignore
  expect(Math.abs(plain.length - 2000)).toBeLessThan(200)
  expect(plain.every((x, i) => i === 0 || x > (plain[i - 1] as number))).toBe(true)
  expect(Math.abs(replaced - 15_000)).toBeLessThan(600)
  expect(none).toBe(0)
  expect(strata.map(([key]) => key)).toEqual([0, 1])
  expect(Math.abs((strata[0]?.[1] ?? 0) - 333)).toBeLessThan(90)
  expect(Math.abs((strata[1]?.[1] ?? 0) - 1667)).toBeLessThan(200)
})

test('a context of one seed is random in the same way', async () => {
  const run = async (seed: number): Promise<unknown> => {
    const sc = new RddContext({ seed })
    return [await sc.range(0, 100).sample(false, 0.5).collect(), await sc.range(0, 100).takeSample(false, 5)]
  }
  expect(await run(1)).toEqual(await run(1))
  expect(await run(1)).not.toEqual(await run(2))
})

test('a random split is a partition of the values', async () => {
  const splits = await everywhere(async (sc) => {
    const parts = sc.range(0, 6000, 1, 5).randomSplit([1, 2, 3], 4)
    return await Promise.all(parts.map((part) => part.collect()))
  })
  expect(splits.flat().sort((a, b) => a - b)).toEqual(Array.from({ length: 6000 }, (_, i) => i))
  splits.forEach((part, i) => expect(Math.abs(part.length - 1000 * (i + 1))).toBeLessThan(200))
})

test('the first and last in an order', async () => {
  const byLength = (a: string, b: string): number => a.length - b.length || (a < b ? -1 : 1)
  const result = await everywhere(async (sc) => {
    const words = sc.parallelize(['pear', 'fig', 'banana', 'kiwi', 'apple', 'date'], 4)
    return [await words.top(2), await words.takeOrdered(2), await words.top(2, byLength), await words.takeOrdered(9, byLength), await words.min(byLength), await words.max()]
  }) // prettier-ignore
  expect(result).toEqual([['pear', 'kiwi'], ['apple', 'banana'], ['banana', 'apple'], ['fig', 'date', 'kiwi', 'pear', 'apple', 'banana'], 'fig', 'pear']) // prettier-ignore
  expect(await rdd.range(0, 100_000, 1, 2).map((x) => (x * 7919) % 100_003).top(3)).toEqual([100_002, 100_001, 100_000]) // prettier-ignore
})

test('foreach and foreachPartition run where the values are', async () => {
  const seen: (readonly number[])[] = []
  await inTasks(3, async (sc) => {
    const own: number[] = []
    await sc.range(0, 9, 1, 4).foreach((x) => own.push(x))
    await sc.range(0, 9, 1, 4).foreachPartition(async (values, partition) => {
      await Promise.resolve()
      expect(partition % 3).toBe(sc.index)
      own.push(...values)
    })
    seen.push(own)
  })
  expect(seen.flat().sort((a, b) => a - b)).toEqual(Array.from({ length: 18 }, (_, i) => Math.floor(i / 2)))
  expect(seen.every((own) => own.length > 0)).toBe(true)
  const faults = await inTasks(
    2,
    (sc) =>
    sc.range(0, 4, 1, 2).foreachPartition(() => Promise.reject(new Error('no sink'))).catch((error: unknown) => error), // prettier-ignore
  )
  for (const fault of faults) expect(fault).toMatchObject({ code: 'rdd-failed', message: expect.stringContaining('no sink') as string }) // prettier-ignore
})

// ------------------------------------------------------------------------------------------------ ranges

test('a range partitioner has a range for each key that it needs, at most as many as asked', async () => {
  const pairs = rdd.range(0, 3).keyBy((x) => x)
  expect((await RangePartitioner.of(pairs, 22)).partitions).toBe(3)
  expect((await RangePartitioner.of(rdd.empty<[number, number]>(), 22)).partitions).toBe(1)
  const [up, down] = [await RangePartitioner.of(pairs, 2), await RangePartitioner.of(pairs, 2, { ascending: false })]
  expect([0, 1, 2].map((key) => up.partitionOf(key))).toEqual([0, 0, 1])
  expect([0, 1, 2].map((key) => down.partitionOf(key))).toEqual([1, 1, 0])
  expect([up.equals(await RangePartitioner.of(pairs, 2)), up.equals(down), up.equals(new HashPartitioner(2))]).toEqual([true, false, false])
  const sorted = pairs.sortByKey()
  expect(() => sorted.partitioner?.partitionOf(1)).toThrow(expect.objectContaining({ code: 'no-bounds' }))
  expect(await sorted.lookup(1)).toEqual([1])
  expect(sorted.partitioner?.partitionOf(1)).toBe(0)
})

test('a key lies within the bounds of its range', () => {
  const bounds = fc.array(fc.integer(), { maxLength: 30 }).map((keys) => [...new Set(keys)].sort((a, b) => a - b))
  fc.assert(
    fc.property(bounds, fc.integer(), fc.boolean(), (limits, key, ascending) => {
      const partitioner = new RangePartitioner<number>(limits.length + 1, limits, { ascending })
      const p = partitioner.partitionOf(key)
      const at = ascending ? p : limits.length - p
      expect(key <= (limits[at] ?? Infinity) && key > (limits[at - 1] ?? -Infinity)).toBe(true)
    }),
  )
})

// ------------------------------------------------------------------------------------------------ text

test('every line of a file is read once, however it is divided', async () => {
  const file = join(folder(), 'text')
  const line = fc.string({ unit: fc.constantFrom('a', ' ', 'ä', '🌀', '\r'), maxLength: 12 }).filter((text) => !text.endsWith('\r'))
  const text = fc.record({
    lines: fc.array(line, { maxLength: 20 }),
    end: fc.constantFrom('\n', '\r\n'),
    isEnded: fc.boolean(),
    hasMark: fc.boolean(),
  })
  await fc.assert(
    fc.asyncProperty(text, fc.integer({ min: 1, max: 30 }), async ({ lines, end, isEnded, hasMark }, partitions) => {
      const body = lines.join(end) + (isEnded && lines.length > 0 ? end : '')
      writeFileSync(file, (hasMark ? '\uFEFF' : '') + body)
      const expected = body === '' ? [] : body.split(/\r?\n/)
      if (expected.at(-1) === '') expected.pop()
      expect(await rdd.textFile(file, partitions).collect()).toEqual(expected)
    }),
  )
})

test('the natural order has nothing first, then what can be compared, and NaN last', async () => {
  const orderOf = (values: readonly unknown[]): Promise<unknown[]> => rdd.parallelize(values).sortBy((value) => value).collect() // prettier-ignore
  expect(await orderOf([NaN, 2, -Infinity, null, NaN, -1])).toEqual([null, -Infinity, -1, 2, NaN, NaN])
  expect(await orderOf([true, undefined, false])).toEqual([undefined, false, true])
  expect(await orderOf([[1, 'b'], [1], [0, 'z'], [1, 'a']])).toEqual([[0, 'z'], [1], [1, 'a'], [1, 'b']]) // prettier-ignore
  expect(await orderOf([3n, 2.5, 2n])).toEqual([2n, 2.5, 3n])
  expect(await orderOf([new Date(2), new Date(1)])).toEqual([new Date(1), new Date(2)])
})

test('a difference has the partitions of what is taken from, unless it is asked for others', async () => {
  const numbers = rdd.range(0, 20, 1, 3)
  const odd = rdd.range(1, 20, 2, 12)
  expect(numbers.subtract(odd).partitions).toBe(3)
  expect(numbers.subtract(odd, 5).partitions).toBe(5)
  expect((await numbers.subtract(odd).collect()).sort((a, b) => a - b)).toEqual([0, 2, 4, 6, 8, 10, 12, 14, 16, 18])
})

test('lines longer than what is read at once', async () => {
  const file = join(folder(), 'text')
  const lines = ['x'.repeat(700_000), '', 'y'.repeat(300_000), 'ö'.repeat(200_000), 'z']
  writeFileSync(file, lines.join('\n'))
  for (const partitions of [1, 3, 50]) {
    const read = await rdd.textFile(file, partitions).collect()
    expect(read.map((line) => `${line.slice(0, 1)} ${line.length}`)).toEqual(lines.map((line) => `${line.slice(0, 1)} ${line.length}`))
  }
})

test('objects are saved as JSON, lists with commas', async () => {
  const out = join(folder(), 'out')
  await rdd.parallelize([{ tag: 'a' }, ['b', { n: 1 }], 'c'], 1).saveAsTextFile(out)
  expect(readFileSync(join(out, 'part-00000'), 'utf8')).toBe('{"tag":"a"}\nb,{"n":1}\nc\n')
})

test('text is saved in part files and read again, by all tasks', async () => {
  for (const tasks of [1, 3]) {
    const out = join(folder(), 'out')
    const results = await inTasks(tasks, async (sc) => {
      await sc.range(0, 10, 1, 4).map((x) => `line ${x}`).saveAsTextFile(out) // prettier-ignore
      await expect(sc.range(0, 10).saveAsTextFile(out)).rejects.toMatchObject({ code: 'output-exists' })
      return await sc.textFile(out).collect()
    })
    for (const lines of results) expect(lines).toEqual(Array.from({ length: 10 }, (_, i) => `line ${i}`))
    expect(readdirSync(out).sort()).toEqual(['_SUCCESS', 'part-00000', 'part-00001', 'part-00002', 'part-00003'])
    expect(readFileSync(join(out, 'part-00001'), 'utf8')).toBe('line 2\nline 3\nline 4\n')
  }
})

test('objects are saved in part files and read again in the same partitions, by all tasks', async () => {
  const values = Array.from({ length: 10 }, (_, i) => ({ i, big: 2n ** 70n, at: new Date(i), tags: new Set([`t${i}`]), none: undefined }))
  for (const tasks of [1, 3]) {
    const out = join(folder(), 'out')
    const results = await inTasks(tasks, async (sc) => {
      await sc.parallelize(values, 12).saveAsObjectFile(out)
      await expect(sc.range(0, 10).saveAsObjectFile(out)).rejects.toMatchObject({ code: 'output-exists' })
      return await sc.objectFile(out).glom().collect()
    })
    const expected = await rdd.parallelize(values, 12).glom().collect()
    for (const partitions of results) expect(partitions).toEqual(expected)
  }
})

test('objects that cannot be saved or read are coded errors', async () => {
  const out = join(folder(), 'out')
  await expect(rdd.parallelize([() => 1]).saveAsObjectFile(out)).rejects.toMatchObject({ code: 'file-unwritable' })
  expect(existsSync(out)).toBe(false)
  expect(() => rdd.objectFile(out)).toThrow(expect.objectContaining({ code: 'file-not-found' }))
  await rdd.range(0, 4, 1, 2).saveAsObjectFile(out)
  writeFileSync(join(out, 'part-00001'), '')
  await expect(rdd.objectFile(out).collect()).rejects.toMatchObject({ code: 'file-unreadable' })
})

test('what fails to be saved leaves no folder', async () => {
  const out = join(folder(), 'out')
  const bad = rdd.range(0, 4).map((x) => {
    if (x === 3) throw new Error('no')
    return x
  })
  await expect(bad.saveAsTextFile(out)).rejects.toMatchObject({ code: 'rdd-failed' })
  expect(existsSync(out)).toBe(false)
  await rdd.range(0, 4).saveAsTextFile(out)
  expect(readdirSync(out)).toContain('_SUCCESS')
})

test('a file that is not there, or a folder without files', async () => {
  expect(() => rdd.textFile('no/such/file')).toThrow(expect.objectContaining({ code: 'file-not-found' }))
  const made = folder()
  mkdirSync(join(made, 'inner'))
  writeFileSync(join(made, '_SUCCESS'), 'not read')
  expect(await rdd.textFile(made).count()).toBe(0)
  const file = join(made, 'text')
  writeFileSync(file, 'a\nb\n')
  const lines = rdd.textFile(file)
  rmSync(file)
  await expect(lines.collect()).rejects.toMatchObject({ code: 'file-not-found' })
})
