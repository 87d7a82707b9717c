/** Streams whose batches become folders: `saveAsTextFiles` and `saveAsObjectFiles`. */
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { memorySource, rdd, topology } from '../../../lib/index.ts'
import type { DStream } from '../../../lib/index.ts'
import { LocalCluster } from '../../../lib/testing/index.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'squall-folders-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

interface Sale {
  readonly item: string
  readonly at: Date
}

const chunks: readonly (readonly Sale[])[] = [
  [{ item: 'tea', at: new Date(1) }, { item: 'rice', at: new Date(2) }, { item: 'tea', at: new Date(3) }], // prettier-ignore
  [],
  [{ item: 'salt', at: new Date(4) }],
]

/** Runs chunks as batches a second apart, the second of which fails once after it was saved; the times of the batches. */
async function saved(executors: number, save: (sales: DStream<Sale>) => void): Promise<readonly number[]> {
  const source = memorySource<Sale>({ partitions: 2, oneAtATime: true, otherwise: [] })
  for (const chunk of chunks) source.add(...chunk)
  const times = new Set<number>()
  const graph = topology('sales', (t) => {
    const sales = t.stream('sales', source, { batchInterval: '1s' })
    save(sales)
    sales.foreachRDD((_, { txid, timeMs }) => {
      const isAgain = times.has(timeMs)
      times.add(timeMs)
      if (txid === 2 && !isAgain) throw new Error('once')
    })
  })
  await using cluster = await LocalCluster.start({ seed: 7, executors })
  const running = await cluster.submit(graph)
  await running.advance('4500ms')
  return [...times].slice(0, chunks.length)
}

test.each([1, 2])('a folder of text for each batch, also an empty one and one that ran again, on %i executors', async (executors) => {
  const times = await saved(executors, (sales) => sales.map(({ item }) => item).saveAsTextFiles(join(folder, 'sales'), 'txt'))
  const linesOf = (timeMs: number): readonly string[] => {
    const of = join(folder, `sales-${timeMs}.txt`)
    const parts = readdirSync(of).filter((name) => name.startsWith('part-'))
    expect(readdirSync(of)).toContain('_SUCCESS')
    return parts.sort().flatMap((name) => readFileSync(join(of, name), 'utf8').split('\n').slice(0, -1))
  }
  expect(times).toHaveLength(3)
  expect(times.map(linesOf)).toEqual([['tea', 'rice', 'tea'], [], ['salt']])
})

test.each([1, 2])('a folder of objects for each batch, which an RDD reads again, on %i executors', async (executors) => {
  const times = await saved(executors, (sales) => sales.saveAsObjectFiles(join(folder, 'sales')))
  const read = times.map((timeMs) => rdd.objectFile<Sale>(join(folder, `sales-${timeMs}`)).collect())
  expect(await Promise.all(read)).toEqual(chunks)
})
