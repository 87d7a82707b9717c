/** Streams of micro-batches under virtual time, on one and on several executors. */
import { describe, expect, test } from 'vitest'
import { memorySource, stateSpec, topology } from '../../../lib/index.ts'
import type { DStream } from '../../../lib/index.ts'
import { LocalCluster } from '../../../lib/testing/index.ts'

type Pair = readonly [string, number]

const sum = (a: number, b: number): number => a + b

/** Runs a graph over batches a second apart, one chunk each and then empty ones; what each batch gave. */
async function batchesOf<T, U>(
  chunks: readonly (readonly T[])[],
  build: (stream: DStream<T>) => DStream<U>,
  { executors = 1, partitions = 2, batches = chunks.length } = {},
): Promise<U[][]> {
  const source = memorySource<T>({ partitions, oneAtATime: true })
  for (const chunk of chunks) source.add(...chunk)
  const found: U[][] = []
  const graph = topology('test', (t) => {
    build(t.stream('source', source, { batchInterval: '1s' })).foreachRDD(async (rdd) => void found.push(await rdd.collect()))
  })
  await using cluster = await LocalCluster.start({ seed: 7, executors })
  const running = await cluster.submit(graph)
  await running.advance(batches * 1_000 + 500)
  if (running.errors.length > 0) throw new Error(running.errors[0]?.stack)
  return found.slice(0, batches)
}

test.each([
  ['nothing', () => undefined],
  ['a promise, from an async function', async (rdd: unknown) => rdd],
])('transform must return an RDD, not %s', async (_, f) => {
  const given = f as never
  await expect(batchesOf([[1]], (stream) => stream.transform(given))).rejects.toThrow('the function given to transform returned no RDD')
})

test.each([1, 2])('characters that are half of a pair are counted each by itself, on %i executors', async (executors) => {
  const chunks = [['😀😁', '😀😂', '😁', '😀']]
  const found = await batchesOf(chunks, (s) => s.flatMap((line) => line.split('')).map((c) => [c, 1]).reduceByKey((a, b) => a + b), { executors }) // prettier-ignore
  expect(new Map(found[0] as [string, number][])).toEqual(
    new Map([['\ud83d', 6], ['\ude00', 3], ['\ude01', 2], ['\ude02', 1]]), // prettier-ignore
  )
})

describe.each([1, 2, 3])('on %i executors', (executors) => {
  test('map', async () => {
    expect(await batchesOf([[1, 2, 3, 4], [5, 6], []], (stream) => stream.map((x) => String(x)), { executors })).toEqual([
      ['1', '2', '3', '4'],
      ['5', '6'],
      [],
    ])
  })

  test('reduceByKey', async () => {
    const found = await batchesOf([['a', 'a', 'b'], ['', ''], []], (s) => s.map((x) => [x, 1]).reduceByKey((a, b) => a + b), {
      executors,
    })
    expect(found.map((batch) => batch.toSorted())).toEqual([
      [
        ['a', 2],
        ['b', 1],
      ],
      [['', 2]],
      [],
    ])
  })

  test.each([
    ['one operation by key', (s: DStream<Pair>) => s.reduceByKey(sum)],
    ['one behind the other', (s: DStream<Pair>) => s.groupByKey().mapValues((ones) => ones.length)],
    [
      'a join of two',
      (s: DStream<Pair>) =>
        s
          .reduceByKey(sum)
          .join(s.groupByKey())
          .mapValues(([n]) => n),
    ],
  ])('records go to their states with %s: nothing is traded twice', async (_, build) => {
    let lineage = ''
    const keep = stateSpec((key: string, n: number | undefined) => [key, n] as const)
    const found = await batchesOf(
      [['a', 'b', 'a', 'c']],
      (s) =>
        build(s.map((x): Pair => [x, 1]))
          .mapWithState(keep)
          .transform((rdd) => {
            lineage = rdd.toDebugString()
            return rdd
          }),
      { executors },
    )
    expect(found.map((batch) => batch.toSorted())).toEqual([
      [
        ['a', 2],
        ['b', 1],
        ['c', 1],
      ],
    ])
    // as many stages as operations by key that read the source
    expect(lineage.match(/\+-\(/g)).toHaveLength(lineage.match(/source\[/g)?.length ?? NaN)
    expect(lineage).not.toContain('partitionBy')
  })

  test('a key without a content is refused, wherever it would go', async () => {
    class Name {
      readonly n: number
      constructor(n: number) {
        this.n = n
      }
    }
    // several, each alone in its batch: some go to another executor, where they would be plain objects
    for (const n of [1, 2, 3, 4]) {
      const grouped = batchesOf([[n]], (stream) => stream.map((x): readonly [Name, number] => [new Name(x), x]).groupByKey(), { executors })
      await expect(grouped).rejects.toThrow('an instance of Name cannot be a key')
    }
  })

  test('objects and maps are what they were, wherever they come from', async () => {
    const values = [{ id: 1, tags: { a: [null] } }, new Map([['b', { id: 2 }]]), {}, new Set([3n])]
    const [found] = await batchesOf([values], (stream) => stream.map((value) => value), { executors, partitions: 4 })
    expect(found).toEqual(values)
  })

  test('updateStateByKey', async () => {
    const found = await batchesOf(
      [['a'], ['a', 'b'], ['a', 'b', 'c'], []],
      (s) => s.map((x) => [x, 1]).updateStateByKey<string, number, number>((ones, sum = 0) => sum + ones.length),
      { executors },
    )
    expect(found.map((batch) => batch.toSorted())).toEqual([
      [['a', 1]],
      [
        ['a', 2],
        ['b', 1],
      ],
      [
        ['a', 3],
        ['b', 2],
        ['c', 1],
      ],
      [
        ['a', 3],
        ['b', 2],
        ['c', 1],
      ],
    ])
  })
})
