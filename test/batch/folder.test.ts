/** New files of a folder: taken once, also over a restart. */
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { textFolder, topology } from '../../lib/index.ts'
import { LocalCluster } from '../../lib/testing/index.ts'

test('each file is taken once, over a restart too, by its time of modification', async () => {
  const root = mkdtempSync(join(tmpdir(), 'squall-folder-'))
  const put = (name: string, atMs: number): void => {
    const file = join(root, 'in', name)
    writeFileSync(file, `${name}\n`)
    utimesSync(file, atMs / 1_000, atMs / 1_000)
  }
  const found: string[] = []
  const graph = topology('folder', (t) => {
    t.stream('files', textFolder(join(root, 'in')), { batchInterval: '1s' }).foreachRDD(
      async (rdd) => void found.push(...(await rdd.collect())),
    )
  })
  const run = async (ms: number, come: () => void): Promise<void> => {
    await using cluster = await LocalCluster.start({ seed: 1, executors: 2 })
    const running = await cluster.submit(graph, { config: { stateDir: join(root, 'state') } })
    await running.advance(ms)
    come()
    await running.advance(2_000)
    expect(running.errors).toEqual([])
  }
  try {
    mkdirSync(join(root, 'in'))
    await run(1_500, () => {
      put('one', 1_400)
      put('.hidden', 1_400)
      put('later', 9_000)
    })
    expect(found).toEqual(['one'])
    await run(6_500, () => put('two', 6_400))
    expect(found).toEqual(['one', 'two'])
    await run(9_500, () => undefined)
    expect(found).toEqual(['one', 'two', 'later'])
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
})
