/** Async sources that have nothing: time goes on meanwhile, and they are asked again. */
import { describe, expect, test } from 'vitest'
import { defineBolt, defineSpout, topology, z } from '../../lib/index.ts'
import { LocalCluster } from '../../lib/testing/index.ts'

const Num = z.object({ n: z.int() })

describe.each([1, 2])('on %d executors', (executors) => {
  test('one that never has anything, until its time has come', { timeout: 10_000 }, async () => {
    let asked = 0
    const late = defineSpout({
      output: Num,
      open: ({ now }) => ({
        async nextTuple(out) {
          asked++
          await Promise.resolve()
          if (now() < 500) return
          out.emit({ n: 1 })
          out.end()
        },
      }),
    })
    const definition = topology('late', (t) => {
      t.bolt('sink', defineBolt({ input: Num, execute: () => undefined })).shuffle(t.spout('late', late))
    })
    await using local = await LocalCluster.start({ seed: 3, executors })
    const completed = await local.complete(definition, { limitMs: '10s' })
    expect(completed.executed('sink').map(({ values }) => values)).toEqual([{ n: 1 }])
    expect(asked).toBeGreaterThan(10)
    expect(asked).toBeLessThan(5_000)
  })
})
