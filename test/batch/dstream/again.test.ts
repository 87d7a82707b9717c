/** What comes out when batches fail and topologies start again: the same, once. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { memorySource, stateSpec, topology } from '../../../lib/index.ts'
import type { DStream } from '../../../lib/index.ts'
import { LocalCluster } from '../../../lib/testing/index.ts'

type Found = Map<number, unknown[]>

/** Runs a graph, stopped and started again after each of `stops` batches; what each batch gave last. `fails` says when a batch throws. */
async function run(
  build: (s: DStream<string>) => DStream<unknown>,
  executors: number,
  { stops = [6], fails = () => false }: { stops?: readonly number[]; fails?: (txid: number) => boolean } = {},
): Promise<Found> {
  const source = memorySource<string>({ partitions: 3, oneAtATime: true })
  for (const chunk of [['a'], ['a', 'b'], ['c'], [], ['a', 'c'], ['b']]) source.add(...chunk)
  const found: Found = new Map()
  const graph = topology('again', (t) => {
    build(t.stream('s', source, { batchInterval: '1s' })).foreachRDD(async (rdd, { txid }) => {
      if (fails(txid)) throw new Error('once')
      found.set(txid, (await rdd.collect()).map((one) => JSON.stringify(one)).sort())
    })
  })
  const stateDir = mkdtempSync(join(tmpdir(), 'squall-again-'))
  try {
    for (const until of stops) {
      await using cluster = await LocalCluster.start({ seed: 3, executors })
      const running = await cluster.submit(graph, { config: { stateDir } })
      await running.advance(until * 1_000 + 700)
    }
  } finally {
    rmSync(stateDir, { recursive: true, force: true })
  }
  return new Map([...found].filter(([txid]) => txid <= 6))
}

const pairs = (s: DStream<string>): DStream<readonly [string, number]> => s.map((x) => [x, 1])
const sums = (s: DStream<string>): DStream<readonly [string, number]> =>
  pairs(s).updateStateByKey<string, number, number>((ones, sum = 0) => sum + ones.length)
const plus = (a: number, b: number): number => a + b

const graphs: Readonly<Record<string, (s: DStream<string>) => DStream<unknown>>> = {
  'a window over a state': (s) => sums(s).window('3s'),
  'a window with an inverse': (s) => pairs(s).reduceByKeyAndWindow(plus, '3s', '1s', { inverse: (a, b) => a - b }),
  'a window over snapshots': (s) => {
    const spec = stateSpec<string, number, number, string>((key, _, state) => (state.update((state.getOption() ?? 0) + 1), key))
    return pairs(s).mapWithState(spec).stateSnapshots().window('2s')
  },
  // the state goes on in the batches that no window looks at
  'a window now and then': (s) => sums(s).window('1s', '3s'),
}

test.each(Object.keys(graphs))('%s: in any number of executors, after failures and restarts', { timeout: 60_000 }, async (name) => {
  const graph = graphs[name] as (s: DStream<string>) => DStream<unknown>
  const expected = await run(graph, 1)
  expect([...expected.values()].flat().length).toBeGreaterThan(0)
  const thrown = new Set<number>()
  const once = (txid: number): boolean => txid % 2 === 1 && !thrown.has(txid) && thrown.add(txid).has(txid)
  for (const executors of [2, 3]) expect(await run(graph, executors)).toEqual(expected)
  expect(await run(graph, 2, { fails: once })).toEqual(expected)
  expect(await run(graph, 2, { stops: [3, 6] })).toEqual(expected)
})

test('the sums are those of a state', async () => {
  const found = await run((s) => sums(s).window('1s', '3s'), 1)
  expect(found.get(6)).toEqual(['["a",3]', '["b",2]', '["c",2]'])
})

test('objects stay objects, and maps maps, on their way to another executor', async () => {
  const found = await run(
    (s) =>
      s
        .map((x) => [x, { word: x, at: new Map([[x, 1]]) }])
        .groupByKey()
        .mapValues((all) => all.map(({ word, at }) => [word, at.get(word)])),
    3,
  )
  expect(found.get(2)).toEqual(['["a",[["a",1]]]', '["b",[["b",1]]]'])
})
