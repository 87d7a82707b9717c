/** A source that gives nothing for a long time goes on where it was, also after a restart. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { memorySource, topology } from '../../lib/index.ts'
import { LocalCluster } from '../../lib/testing/index.ts'

test('the offsets of an idle source are kept when old batches are forgotten', async () => {
  const stateDir = mkdtempSync(join(tmpdir(), 'squall-idle-'))
  const idle = memorySource<string>()
  const busy = memorySource<number>({ oneAtATime: true })
  const found: unknown[] = []
  const graph = topology('idle', (t) => {
    const options = { batchInterval: '1s' }
    t.stream('idle', idle, options).foreachRDD(async (rdd) => void found.push(...(await rdd.collect())))
    t.stream('busy', busy, options).foreachRDD(() => undefined)
  })
  const run = async (seconds: number): Promise<void> => {
    await using cluster = await LocalCluster.start({ seed: 3 })
    const running = await cluster.submit(graph, { config: { stateDir } })
    await running.advance(seconds * 1_000 + 500)
    expect(running.errors).toEqual([])
  }
  try {
    idle.add('once')
    for (let i = 0; i < 200; i++) busy.add(i)
    await run(300)
    await run(310)
    idle.add('later')
    await run(320)
    expect(found).toEqual(['once', 'later'])
  } finally {
    rmSync(stateDir, { recursive: true })
  }
})
