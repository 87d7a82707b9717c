/** What is done when the last batch is committed. */
import { describe, expect, test } from 'vitest'
import { memorySource, topology } from '../../../lib/index.ts'
import { LocalCluster } from '../../../lib/testing/index.ts'

describe.each([1, 2])('atEnd, on %i executors', (executors) => {
  test('runs once, when every batch is committed', async () => {
    const source = memorySource<number>({ oneAtATime: true, partitions: 2 })
    source.add(1, 2)
    source.add(3)
    source.end()
    const seen: unknown[] = []
    const graph = topology('test', (t) => {
      t.atEnd(async () => {
        await Promise.resolve()
        seen.push('end')
      })
      t.stream('source', source).foreachRDD(async (rdd) => void seen.push(await rdd.collect()))
    })
    await using cluster = await LocalCluster.start({ seed: 7, executors })
    await cluster.complete(graph)
    expect(seen.at(-1)).toBe('end')
    expect(seen.filter((one) => one === 'end')).toHaveLength(1)
    expect(seen.flat()).toEqual([1, 2, 3, 'end'])
  })

  test('how the batches went is counted', async () => {
    const source = memorySource<number>({ oneAtATime: true, partitions: 2 })
    source.add(1, 2, 3)
    source.add(4)
    source.end()
    const graph = topology('test', (t) =>
      t.stream('source', source, { noDataBatches: false }).foreachRDD(async (rdd) => void (await rdd.count())),
    )
    await using cluster = await LocalCluster.start({ seed: 7, executors })
    const snapshot = (await cluster.complete(graph)).snapshot()
    const counters = snapshot.components.find(({ id }) => id === 'batches')?.tasks[0]?.counters
    expect(counters).toMatchObject({ batches: 2, records: 4 })
    expect(counters?.['batchP50Ms']).toBeGreaterThanOrEqual(0)
    expect(counters?.['batchP99Ms']).toBeGreaterThanOrEqual(counters?.['batchP50Ms'] ?? NaN)
    expect(counters?.['delayMs']).toBeGreaterThanOrEqual(0)
  })

  test('does not run when the run is stopped before', async () => {
    const source = memorySource<number>()
    source.add(1)
    const seen: string[] = []
    const graph = topology('test', (t) => {
      t.stream('source', source).foreachRDD(() => void seen.push('batch'))
      t.atEnd(() => void seen.push('end'))
    })
    await using cluster = await LocalCluster.start({ seed: 7, executors })
    const running = await cluster.submit(graph)
    await running.advance(100)
    await running.kill()
    expect(seen).not.toContain('end')
    expect(seen).toContain('batch')
  })
})

test('what throws at the end fails the run', async () => {
  const source = memorySource<number>()
  source.add(1)
  source.end()
  const graph = topology('test', (t) => {
    t.stream('source', source).foreachRDD(() => undefined)
    t.atEnd(() => {
      throw new Error('no paper')
    })
  })
  await using cluster = await LocalCluster.start({ seed: 7 })
  await expect(cluster.complete(graph)).rejects.toThrow('no paper')
})

test('without streams there is no end of them', () => {
  const graph = topology('test', (t) => t.atEnd(() => undefined))
  expect(() => graph.draft({})).toThrow('the streams of test have no output')
})
