/** What is made of data at rest before the first batch of a topology with streams. */
import { describe, expect, test } from 'vitest'
import { memorySource, topology } from '../../../lib/index.ts'
import type { RddContext } from '../../../lib/index.ts'
import { LocalCluster } from '../../../lib/testing/index.ts'

function words(...all: readonly string[]): ReturnType<typeof memorySource<string>> {
  const source = memorySource<string>({ oneAtATime: true, partitions: 2 })
  for (const word of all) source.add(word)
  source.end()
  return source
}

/** The lengths of some words, by an exchange and an action. */
const lengths = (sc: RddContext): Promise<Map<string, number>> =>
  sc
    .parallelize(['storm', 'storm', 'gale'], 4)
    .map((word): [string, number] => [word, word.length])
    .reduceByKey((a, b) => a + b)
    .collectAsMap()

describe.each([1, 2, 3])('on %i executors', (executors) => {
  test('is there for every function, and in every executor the same', async () => {
    const seen: unknown[] = []
    const programs: string[] = []
    const graph = topology('test', (t) => {
      const lengthOf = t.prepare((sc) => {
        programs.push(`${sc.index} of ${sc.count}`)
        return lengths(sc)
      })
      t.stream('words', words('gale', 'storm', 'rain'))
        .map((word) => [word, lengthOf().get(word)])
        .foreachRDD(async (rdd) => void seen.push(...(await rdd.collect()), lengthOf().size))
    })
    await using cluster = await LocalCluster.start({ seed: 7, executors })
    await cluster.complete(graph)
    expect(seen.filter((one) => Array.isArray(one))).toEqual([
      ['gale', 4],
      ['storm', 10],
      ['rain', undefined],
    ])
    expect(new Set(seen.filter((one) => typeof one === 'number'))).toEqual(new Set([2]))
    expect(programs.toSorted()).toEqual(Array.from({ length: executors }, (_, index) => `${index} of ${executors}`))
  })
})

test('a fault of one executor is a fault of all, and the next try prepares again', async () => {
  let tries = 0
  const seen: string[] = []
  const graph = topology('test', (t) => {
    const length = t.prepare(async (sc) => {
      if (sc.index === 1 && ++tries < 2) throw new Error('not yet')
      return await sc.parallelize([1, 2, 3]).count()
    })
    t.stream('words', words('gale')).foreachRDD(async (rdd) => void seen.push(...(await rdd.map((w) => `${w} ${length()}`).collect())))
  })
  await using cluster = await LocalCluster.start({ seed: 7, executors: 2 })
  await (await cluster.submit(graph)).advance(1_000)
  expect(seen).toEqual(['gale 3'])
  expect(tries).toBe(2)
})

test('is made anew in all executors when one that died has started again', async () => {
  const source = memorySource<string>({ partitions: 2 })
  const seen: string[] = []
  let programs = 0
  const graph = topology('test', (t) => {
    const lengthOf = t.prepare((sc) => {
      programs++
      return lengths(sc)
    })
    t.stream('words', source)
      .map((word) => `${word} ${lengthOf().get(word)}`)
      .foreachRDD(async (rdd) => void seen.push(...(await rdd.collect())))
  })
  await using cluster = await LocalCluster.start({ seed: 7, executors: 2 })
  const running = await cluster.submit(graph)
  source.add('gale')
  await running.advance(1_000)
  running.killExecutor(1)
  source.add('storm')
  await running.advance(5_000)
  expect(seen).toEqual(['gale 4', 'storm 10'])
  expect(programs).toBe(4)
})

test.each([
  ['an RDD', 'is an RDD', (sc: RddContext) => Promise.resolve<unknown>(sc.range(0, 3))],
  ['what throws', 'no such thing', () => Promise.reject<unknown>(new Error('no such thing'))],
])('%s fails the run', async (_, problem, make) => {
  const graph = topology('test', (t) => {
    t.prepare(make)
    t.stream('words', words('gale')).foreachRDD(() => undefined)
  })
  await using cluster = await LocalCluster.start({ seed: 7 })
  await expect(cluster.complete(graph)).rejects.toThrow(problem)
})

test('cannot be asked for while the topology is declared', () => {
  const graph = topology('test', (t) => {
    const length = t.prepare((sc) => sc.range(0, 3).count())
    t.stream('words', words(`${length()}`)).foreachRDD(() => undefined)
  })
  expect(() => graph.draft({})).toThrow('asked for before it is there')
})
