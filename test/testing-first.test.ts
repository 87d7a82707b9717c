import { expect, test } from 'vitest'
import { defineBolt, defineSpout, topology, z } from '../lib/index.ts'
import { LocalCluster, feeder } from '../lib/testing/index.ts'
const Line = z.object({ line: z.string() })
const Word = z.object({ word: z.string() })
const lines = defineSpout({
  output: Line,
  replay: true,
  open() {
    return (out) => {
      out.end()
    }
  },
})
const split = defineBolt({
  input: Line,
  output: Word,
  execute({ line }, out) {
    for (const word of line.split(' ')) out.emit({ word })
  },
})
const count = defineBolt({
  input: Word,
  output: z.object({ word: z.string(), count: z.int() }),
  prepare() {
    const c = new Map<string, number>()
    return ({ word }, out) => {
      const n = (c.get(word) ?? 0) + 1
      c.set(word, n)
      out.emit({ word, count: n })
    }
  },
})
const wc = topology('wc', (t) => {
  const l = t.spout('lines', lines)
  t.bolt('count', count, { parallelism: 2 }).fields(t.bolt('split', split, { parallelism: 2 }).shuffle(l), ['word'])
})
test.each([1, 2, 4])('counts words on %d executors', async (executors) => {
  await using local = await LocalCluster.start({ seed: 7, executors })
  const result = await local.complete(wc, { sources: { lines: [{ line: 'a b a' }, { line: 'b' }] } })
  expect(result.result).toMatchObject({ state: 'finished', emitted: 2, acked: 2, failed: 0 })
  expect(result.tuples('count').length).toBe(4)
})
test('feeder and time', async () => {
  await using local = await LocalCluster.start({ seed: 7 })
  const words = feeder(Word)
  const held: unknown[] = []
  const hold = defineBolt({
    input: Word,
    ack: 'manual',
    execute(_v, _out, tuple) {
      held.push(tuple)
    },
  })
  const t = await local.submit(
    topology('t', (t) => {
      t.bolt('hold', hold).shuffle(t.spout('words', words.spout))
    }),
    { config: { messageTimeoutMs: '10s' } },
  )
  words.feed({ word: 'a' })
  await t.advance('9s')
  expect(words.failed).toEqual([])
  await t.advance('3s')
  expect(words.failed).toMatchObject([{ id: 0, failure: { kind: 'expired', component: 'hold' } }])
})
