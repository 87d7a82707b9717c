/** When what is computed, how often, and what happens when it fails. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { BlockStore, HashPartitioner, RddContext } from '../../../lib/index.ts'
import type { Attempt, RDD } from '../../../lib/index.ts'
import { inTasks } from './tasks.ts'

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'squall-test-'))
  onTestFinished(() => rmSync(made, { recursive: true, force: true }))
  return made
}

/** Counts the values that pass. */
function counted<T>(rdd: RDD<T>): { rdd: RDD<T>; readonly calls: number } {
  const own = { calls: 0, rdd }
  own.rdd = rdd.map((value) => {
    own.calls++
    return value
  })
  return own
}

test('nothing is computed before an action asks, and then once for it', async () => {
  const sc = new RddContext()
  const numbers = counted(sc.range(0, 10, 1, 2))
  const doubled = numbers.rdd.map((x) => x * 2).filter((x) => x > 4)
  expect(numbers.calls).toBe(0)
  await doubled.count()
  expect(numbers.calls).toBe(10)
  await doubled.count()
  expect(numbers.calls).toBe(20)
})

test('take, first and isEmpty compute no more than they need', async () => {
  const sc = new RddContext()
  const numbers = counted(sc.range(0, 1000, 1, 100))
  expect(await numbers.rdd.take(3)).toEqual([0, 1, 2])
  expect(numbers.calls).toBe(3)
  expect(await numbers.rdd.first()).toBe(0)
  expect(await numbers.rdd.isEmpty()).toBe(false)
  expect(numbers.calls).toBe(5)
  expect(await numbers.rdd.take(12)).toHaveLength(12)
  expect(numbers.calls).toBe(5 + 10 + 2)
})

test('lookup with a partitioner computes one partition', async () => {
  const sc = new RddContext()
  const pairs = sc.range(0, 40).keyBy((x) => x).partitionBy(new HashPartitioner(8)) // prettier-ignore
  const seen = counted(pairs.mapPartitions((all) => all, true))
  const own = pairs.mapValues((x) => x)
  await own.count()
  const partitions: number[] = []
  const watched = own.mapPartitionsWithIndex((partition, all) => (partitions.push(partition), all), true)
  expect(await watched.lookup(7)).toEqual([7])
  expect(partitions).toEqual([new HashPartitioner(8).partitionOf(7)])
  expect(seen.calls).toBe(0)
})

test('the local iterator computes a partition when it is asked for', async () => {
  const sc = new RddContext()
  const numbers = counted(sc.range(0, 10, 1, 5))
  const taken: number[] = []
  for await (const x of numbers.rdd.toLocalIterator()) {
    taken.push(x)
    if (taken.length === 3) break
  }
  expect(taken).toEqual([0, 1, 2])
  expect(numbers.calls).toBe(4)
})

test('a finished exchange is not done again, whoever needs it', async () => {
  const sc = new RddContext()
  const numbers = counted(sc.range(0, 10, 1, 2))
  const sums = numbers.rdd.map((x) => [x % 2, x]).reduceByKey((a, b) => a + b) // prettier-ignore
  await sums.collect()
  await sums.mapValues((x) => x + 1).collect()
  await sums.join(sums).collect()
  expect(numbers.calls).toBe(10)
})

test('values are combined before anything is traded: what is traded follows the keys, not the values', async () => {
  const traded: number[] = []
  await inTasks(2, async (sc) => {
    const { exchange } = sc
    const watched = new RddContext({
      index: sc.index,
      count: 2,
      exchange: {
        all(blocks, place) {
          traded.push(JSON.stringify(blocks).length)
          return exchange.all(blocks, place)
        },
      },
    })
    const sums = await watched
      .range(0, 100_000, 1, 4)
      .map((x) => [x % 3, 1])
      .reduceByKey((a, b) => a + b)
      .collect()
    expect(sums.map(([, n]) => n).sort()).toEqual([33_333, 33_333, 33_334])
  })
  expect(Math.max(...traded)).toBeLessThan(200)
})

test('RDDs that lie alike are joined without a trade', async () => {
  const trades: string[] = []
  await inTasks(2, async (sc) => {
    const { exchange } = sc
    const watched = new RddContext({
      index: sc.index,
      count: 2,
      exchange: {
        all(blocks, place) {
          if (sc.index === 0) trades.push(place)
          return exchange.all(blocks, place)
        },
      },
    })
    const pairs = watched.range(0, 20, 1, 3).keyBy((x) => x % 5)
    const [a, b] = [pairs.groupByKey(4), pairs.reduceByKey((x, y) => x + y, 4)]
    await a.count()
    await b.count()
    trades.length = 0
    expect(await a.join(b).count()).toBe(5)
    expect(await a.union(b as unknown as typeof a).reduceByKey((x) => x).count()).toBe(5) // prettier-ignore
    expect(await a.subtractByKey(b).count()).toBe(0)
  })
  expect(trades.filter((place) => !/^(count)$/.test(place))).toEqual([])
})

test('which operations keep the partitioner', () => {
  const sc = new RddContext()
  const p = new HashPartitioner(3)
  const pairs = sc.parallelize<[number, number]>([[1, 2]], 2).partitionBy(p) // prettier-ignore
  const kept = [pairs, pairs.mapValues((x) => x), pairs.flatMapValues((x) => [x]), pairs.filter(() => true), pairs.sample(false, 0.5), pairs.groupByKey(), pairs.reduceByKey((a) => a), pairs.join(pairs), pairs.cogroup(pairs), pairs.subtractByKey(pairs), pairs.union(pairs), pairs.mapPartitions((all) => all, true), pairs.distinct()] // prettier-ignore
  for (const rdd of kept) expect(rdd.partitioner?.equals(p), rdd.toString()).toBe(true)
  const lost = [pairs.map((x) => x), pairs.flatMap((x) => [x]), pairs.keyBy((x) => x), pairs.keys(), pairs.mapPartitions((all) => all), pairs.subtract(pairs), pairs.union(sc.parallelize([[1, 1]])), pairs.repartition(3), pairs.distinct(2), pairs.zipWithIndex()] // prettier-ignore
  for (const rdd of lost) expect(rdd.partitioner, rdd.toString()).toBeUndefined()
})

test('the default partitioner is the largest there is, if it is large enough', () => {
  const sc = new RddContext()
  const of = (partitions: number, hash?: number): RDD<[number, number]> => {
    const rdd = sc.parallelize<[number, number]>([[1, 1]], partitions) // prettier-ignore
    return hash === undefined ? rdd : rdd.partitionBy(new HashPartitioner(hash))
  }
  expect(of(2).join(of(2000)).partitions).toBe(2000)
  expect(of(1, 10).join(of(99)).partitions).toBe(10)
  expect(of(1, 10).join(of(100)).partitions).toBe(100)
  expect(of(1, 10).join(of(1, 20)).partitions).toBe(20)
  expect(of(1, 20).join(of(1, 10)).partitions).toBe(20)
  const own = new RddContext({ defaultParallelism: 5 })
  const pairs = own.parallelize<[number, number]>([[1, 1]], 50) // prettier-ignore
  expect(pairs.groupByKey().partitions).toBe(5)
  expect(pairs.join(pairs.partitionBy(new HashPartitioner(4))).partitions).toBe(5)
  expect(pairs.join(pairs.partitionBy(new HashPartitioner(6))).partitions).toBe(6)
})

// ------------------------------------------------------------------------------------------------ kept values

test.each(['memory', 'disk', 'memory-and-disk'] as const)(
  'what is persisted (%s) is computed once; a block that is lost, again',
  async (level) => {
    const sc = new RddContext()
    const numbers = counted(sc.range(0, 10, 1, 5))
    const kept = numbers.rdd.persist(level)
    const next = kept.map((x) => [x, { twice: 2 * x, none: undefined, big: 3n }])
    const first = await next.collect()
    expect(await next.collect()).toEqual(first)
    expect(numbers.calls).toBe(10)
    sc.blocks.drop(kept.id, 3)
    expect(await next.collect()).toEqual(first)
    expect(numbers.calls).toBe(12)
    kept.unpersist()
    expect(sc.blocks.count(kept.id)).toBe(0)
    await kept.count()
    expect(numbers.calls).toBe(22)
    await sc.stop()
  },
)

test('what is persisted is kept also by what reads whole partitions', async () => {
  const sc = new RddContext()
  const numbers = counted(sc.range(0, 10, 1, 5))
  const kept = numbers.rdd.persist()
  expect(await kept.mapPartitions((all) => [all.length]).sum()).toBe(10)
  expect(await kept.glom().count()).toBe(5)
  await kept.foreachPartition(() => undefined)
  expect(numbers.calls).toBe(10)
})

test('dropped blocks are recomputed from lineage in every task, across exchanges', async () => {
  const results = await inTasks(3, async (sc) => {
    const squares = sc.range(0, 30, 1, 6).map((x) => [x % 7, x * x]).reduceByKey((a, b) => a + b, 5).persist() // prettier-ignore
    const sorted = squares.sortByKey({ partitions: 4 }).persist()
    const first = await sorted.collect()
    for (let partition = 0; partition < 5; partition++) {
      sc.blocks.drop(squares.id, partition)
      sc.blocks.drop(sorted.id, partition)
    }
    const [again, joined] = [await sorted.collect(), await squares.join(sorted).count()]
    return JSON.stringify(again) === JSON.stringify(first) && joined === 7
  })
  expect(results).toEqual([true, true, true])
})

test('a level cannot be changed once it is set', () => {
  const rdd = new RddContext().range(0, 3).persist('memory')
  expect(() => rdd.persist('disk')).toThrow(expect.objectContaining({ code: 'storage-level' }))
  expect(rdd.persist('memory').storageLevel).toBe('memory')
  expect(rdd.unpersist().persist('disk').storageLevel).toBe('disk')
})

test('memory is bounded: the blocks of other RDDs go, the least recently used first, and never those of the same', async () => {
  const blocks = new BlockStore({ memoryBytesMax: 2500 })
  const sc = new RddContext({ blocks })
  const of = (level: 'memory' | 'memory-and-disk'): RDD<number> => sc.range(0, 300, 1, 3).persist(level)
  const [a, b, c] = [of('memory'), of('memory-and-disk'), sc.range(0, 1000, 1, 10).persist('memory')]
  await a.count()
  expect(blocks.count(a.id)).toBe(3)
  await b.take(1)
  expect([blocks.count(a.id), blocks.has(a.id, 0), blocks.count(b.id)]).toEqual([2, false, 1])
  await b.count()
  expect([blocks.count(a.id), blocks.count(b.id)]).toEqual([0, 3])
  await c.count()
  // all of memory is now of c, which throws out none of its own; b went to disk
  expect([blocks.count(c.id), blocks.has(c.id, 0), blocks.has(c.id, 9)]).toEqual([3, true, false])
  expect(blocks.count(b.id)).toBe(3)
  expect(blocks.memoryBytes).toBeLessThanOrEqual(2500)
  expect(await b.collect()).toEqual(Array.from({ length: 300 }, (_, i) => i))
  await sc.stop()
})

test('a checkpoint is written after the first action and cuts the lineage', async () => {
  const checkpointFolder = folder()
  const sc = new RddContext({ checkpointFolder })
  const numbers = counted(sc.range(0, 10, 1, 2))
  const marked = numbers.rdd.map((x) => [x % 2, x]).reduceByKey((a, b) => a + b).checkpoint() // prettier-ignore
  const next = marked.mapValues((x) => x + 1)
  expect(marked.isCheckpointed).toBe(false)
  const first = await next.collect()
  expect(marked.isCheckpointed).toBe(true)
  expect(marked.dependencies).toEqual([])
  expect(next.toDebugString()).toContain('[checkpointed]')
  expect(await next.collect()).toEqual(first)
  expect(numbers.calls).toBe(10)
  expect(readdirSync(checkpointFolder)).toHaveLength(1)
})

test('what a marked RDD rests on is not written with it, though it is marked as well', async () => {
  const sc = new RddContext({ checkpointFolder: folder() })
  const below = sc.range(0, 4).map((x) => x + 1).checkpoint() // prettier-ignore
  const above = below.map((x) => x * 2).checkpoint()
  expect(await above.collect()).toEqual([2, 4, 6, 8])
  expect([above.isCheckpointed, below.isCheckpointed]).toEqual([true, false])
  await below.count()
  expect(below.isCheckpointed).toBe(true)
})

test('a checkpoint is written by all tasks', async () => {
  const checkpointFolder = folder()
  const results = await inTasks(3, async (sc) => {
    const marked = sc.range(0, 20, 1, 5).map((x) => x * 2).checkpoint() // prettier-ignore
    await marked.count()
    return [marked.isCheckpointed, await marked.collect()] as const
  }, { checkpointFolder }) // prettier-ignore
  for (const [isCheckpointed, values] of results) {
    expect(isCheckpointed).toBe(true)
    expect(values).toEqual(Array.from({ length: 20 }, (_, i) => 2 * i))
  }
})

test('a checkpoint needs a folder', () => {
  expect(() => new RddContext().range(0, 3).checkpoint()).toThrow(expect.objectContaining({ code: 'no-checkpoint-folder' }))
})

// ------------------------------------------------------------------------------------------------ faults

test.each([1, 2, 3])('a partition that fails is tried again, and its values count once (%i tasks)', async (tasks) => {
  const attempts: Attempt[][] = []
  const failing = new Set<string>()
  const results = await inTasks(
    tasks,
    async (sc) => [
      await sc.range(0, 12, 1, 4).map((x) => [x % 3, 1]).reduceByKey((a, b) => a + b).collectAsMap(),
      await sc.range(0, 12, 1, 4).repartition(3).count(),
      await sc.range(0, 12, 1, 4).sortBy((x) => -x).first(),
    ],
    {
      onAttempt(attempt) {
        const key = `${attempt.rdd}, ${attempt.partition}`
        if (attempt.attempt > 1) (attempts[attempt.attempt] ??= []).push(attempt)
        // not the first of its task: what others gave before it must not count twice
        const isFirst = failing.size === 0 && attempt.partition >= tasks
        if (isFirst || failing.has(key) || attempt.attempt > 1) {
          failing.add(key)
          if (attempt.attempt < 3) throw new Error('the executor is gone')
        }
      },
    },
  ) // prettier-ignore
  for (const [counts, size, first] of results) {
    expect(counts).toEqual(new Map([[0, 4], [1, 4], [2, 4]])) // prettier-ignore
    expect([size, first]).toEqual([12, 11])
  }
  expect(attempts[2]?.length).toBeGreaterThan(0)
  expect(attempts[3]?.length).toBeGreaterThan(0)
  expect(attempts[4]).toBeUndefined()
})

test('what a try has given before it failed does not count', async () => {
  const sc = new RddContext()
  const failsOnce = (): RDD<[number, number]> => {
    let hasFailed = false
    return sc.range(0, 12, 1, 2).map((x) => {
      if (x === 10 && !hasFailed) {
        hasFailed = true
        throw new Error('once')
      }
      return [x % 3, x]
    })
  }
  expect(await failsOnce().reduceByKey((a, b) => a + b).collectAsMap()).toEqual(new Map([[0, 18], [1, 22], [2, 26]])) // prettier-ignore
  expect(await failsOnce().groupByKey(1).mapValues((all) => all.length).collectAsMap()).toEqual(new Map([[0, 4], [1, 4], [2, 4]])) // prettier-ignore
  expect(await failsOnce().repartition(3).count()).toBe(12)
  expect(await failsOnce().values().sum()).toBe(66)
  expect(await failsOnce().values().take(12)).toEqual(Array.from({ length: 12 }, (_, i) => i))
  expect((await failsOnce().persist().glom().collect()).map((all) => all.length)).toEqual([6, 6])
})

test.each([2, 3])('a merge that fails midway begins again from what there was (%i tasks)', async (tasks) => {
  let failures = 0
  const results = await inTasks(tasks, async (sc) => {
    let merges = 0
    const add = (a: number, b: number): number => {
      if (++merges !== 3) return a + b
      failures++
      throw new Error('just once')
    }
    const pairs = sc.range(0, 60, 1, tasks).map((x) => [x % 10 === 0 ? `only in one task: ${x}` : `in all: ${x % 10}`, 1])
    return await pairs
      .combineByKey(
        (n) => n,
        (sum, n) => sum + n,
        add,
      )
      .collectAsMap()
  })
  expect(failures).toBe(tasks)
  const expected = new Map<string, number>()
  for (let i = 0; i < 6; i++) expected.set(`only in one task: ${10 * i}`, 1)
  for (let i = 1; i < 10; i++) expected.set(`in all: ${i}`, 6)
  for (const sums of results) expect(sums).toEqual(expected)
})

test.each([1, 2, 3])('a function that throws fails the action in every task, with its place and its cause (%i tasks)', async (tasks) => {
  const cause = new TypeError('no such thing')
  const faults = await inTasks(tasks, async (sc) => {
    let calls = 0
    const bad = sc.range(0, 12, 1, 4).map((x) => {
      if (x === 7) {
        calls++
        throw cause
      }
      return [x, x]
    })
    const errors: unknown[] = []
    for (const action of [() => bad.count(), () => bad.reduceByKey((a) => a).count(), () => bad.repartition(2).count()])
      errors.push(await action().then(() => undefined, (error: unknown) => error)) // prettier-ignore
    // the program goes on
    return { errors, calls, after: await sc.range(0, 5).count() }
  })
  expect(faults.map(({ calls }) => calls).reduce((a, b) => a + b)).toBe(12)
  for (const { errors, after } of faults) {
    expect(after).toBe(5)
    for (const error of errors)
      expect(error).toMatchObject({ code: 'rdd-failed', what: expect.stringMatching(/^partition 2 of the RDD \w+\[\d+\] failed, tried 4 times: TypeError: no such thing$/) as string, where: { file: expect.stringContaining('evaluation.test') as string } }) // prettier-ignore
  }
})

test('actions and RDDs inside of what RDDs run are refused', async () => {
  const sc = new RddContext()
  const [outer, inner] = [sc.range(0, 3), sc.range(0, 3)]
  const nested = { code: 'rdd-nested' }
  const uses: readonly (() => unknown)[] = [
    () => inner.count(),
    () => inner.take(1),
    () => inner.takeSample(false, 1),
    () => inner.foreachPartition(() => undefined),
    () => inner.map((x) => x),
    () => sc.range(0, 1),
  ]
  for (const use of uses) await expect(outer.map(use).collect()).rejects.toMatchObject(nested)
  await expect(outer.foreachPartition(async () => void (await inner.count()))).rejects.toMatchObject(nested)
  expect(await new RddContext().range(0, 1).foreachPartition(async () => void (await inner.count()))).toBeUndefined()
  await expect(outer.reduce((a) => (inner.map((x) => x), a))).rejects.toMatchObject(nested)
  expect(await outer.count()).toBe(3)
})

test('an action without values says so', async () => {
  const empty = new RddContext().range(0, 3, 1, 2).filter((x) => x > 5)
  for (const action of [empty.reduce((a) => a), empty.first(), empty.min(), empty.max(), empty.treeReduce((a) => a), empty.histogram(2)])
    await expect(action).rejects.toMatchObject({ code: 'rdd-empty' })
  expect([await empty.fold(0, (a, b) => a + b), await empty.sum(), await empty.take(3), await empty.top(3)]).toEqual([0, 0, [], []])
})

test('zip wants as many partitions, and as many values in each', async () => {
  const sc = new RddContext()
  expect(() => sc.range(0, 4, 1, 2).zip(sc.range(0, 4, 1, 4))).toThrow(expect.objectContaining({ code: 'zip-partitions' }))
  await expect(
    sc
      .range(0, 4, 1, 2)
      .zip(sc.range(0, 5, 1, 2))
      .count(),
  ).rejects.toMatchObject({ code: 'zip-values' })
})

test('a partitioner that is wrong is found out', async () => {
  const pairs = new RddContext().parallelize<[number, number]>([[-1, 1]]) // prettier-ignore
  const bad = { partitions: 2, partitionOf: (key: unknown) => Number(key) % 2, equals: () => false }
  await expect(pairs.partitionBy(bad).count()).rejects.toMatchObject({ code: 'bad-partition' })
})

test('numbers that make no sense are refused', async () => {
  const rdd = new RddContext().range(0, 4)
  for (const use of [() => rdd.repartition(0), () => rdd.coalesce(1.5), () => rdd.sample(false, 2), () => rdd.sample(true, -1), () => rdd.randomSplit([]), () => rdd.randomSplit([-1, 2]), () => rdd.context.parallelize([], 0), () => rdd.context.range(0, 1, 0), () => new HashPartitioner(-1), () => rdd.take(-1), () => rdd.treeAggregate(0, (a) => a, (a) => a, 0), () => rdd.countApproxDistinct(0), () => rdd.collectPartitions([4])])
    expect(use).toThrow(expect.objectContaining({ code: 'bad-option' })) // prettier-ignore
  expect(() => rdd.histogram([1])).toThrow(expect.objectContaining({ code: 'bad-buckets' }))
  expect(() => rdd.histogram([2, 1])).toThrow(expect.objectContaining({ code: 'bad-buckets' }))
  expect(() => rdd.context.source({ name: 'bad', partitions: [{ index: 1 }], read: () => undefined })).toThrow(expect.objectContaining({ code: 'bad-partitions' })) // prettier-ignore
  await expect(rdd.sortBy((x) => (x % 2 === 0 ? x : 'text')).collect()).rejects.toMatchObject({ code: 'no-order' })
})

test('after a stop nothing runs', async () => {
  const sc = new RddContext()
  const rdd = sc.range(0, 4)
  const under = rdd.count()
  await sc.stop()
  expect(await under).toBe(4)
  for (const use of [() => rdd.count(), () => rdd.take(1), () => sc.range(0, 1), () => sc.empty()])
    expect(use).toThrow(expect.objectContaining({ code: 'rdd-stopped' }))
})

test('jobs of a program run in the order in which they were started', async () => {
  const results = await inTasks(3, async (sc) => {
    const numbers = sc.range(0, 50, 1, 5)
    const sums = numbers.map((x) => [x % 4, x]).reduceByKey((a, b) => a + b) // prettier-ignore
    return await Promise.all([sums.count(), numbers.take(7), sums.lookup(1), numbers.takeSample(false, 5), sums.sortByKey().collect()])
  })
  expect(results[1]).toEqual(results[0])
  expect(results[2]).toEqual(results[0])
  expect(results[0]?.[0]).toBe(4)
})

test('the lineage is drawn as a tree of stages', () => {
  const sc = new RddContext()
  const words = sc.parallelize(['a b'], 2).flatMap((line) => line.split(' ')).persist() // prettier-ignore
  const counts = words.map((word) => [word, 1]).reduceByKey((a, b) => a + b, 3) // prettier-ignore
  expect(counts.mapValues(String).setName('texts').toDebugString()).toBe(
    [
      '(3) texts[4]',
      ' |  reduceByKey[3]',
      ' +-(2) map[2]',
      '    |  flatMap[1] [memory]',
      '    |  parallelize[0]',
    ].join('\n'),
  ) // prettier-ignore
  const other = sc.parallelize<[string, number]>([['a', 2]], 40) // prettier-ignore
  expect(other.join(counts).toDebugString()).toBe(
    [
      '(40) flatMapValues[8]',
      ' |   filter[7]',
      ' |   cogroup[6]',
      ' +-(40) parallelize[5]',
      ' +-(3) reduceByKey[3]',
      '    +-(2) map[2]',
      '       |  flatMap[1] [memory]',
      '       |  parallelize[0]',
    ].join('\n'),
  )
})

test('a lineage of thousands of exchanges is computed', async () => {
  const sc = new RddContext()
  let rdd = sc.range(0, 10)
  for (let i = 0; i < 3_000; i++) rdd = rdd.map((x) => [x, 1] as [number, number]).reduceByKey((a, b) => a + b).keys() // prettier-ignore
  expect(await rdd.count()).toBe(10)
})

test.each([
  [0, Infinity],
  [NaN, 5],
  [-Infinity, 0],
])('there is no range from %d to %d', (from, to) => {
  // prettier-ignore
  expect(() => new RddContext().range(from, to)).toThrow(expect.objectContaining({ code: 'bad-option' }))
})
