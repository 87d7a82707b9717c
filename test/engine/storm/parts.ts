/** The small spouts and bolts that Storm's own integration tests are made of, in our API. */
import { defineBolt, defineSpout, topology, z } from '../../../lib/index.ts'
import type { Tuple } from '../../../lib/index.ts'

export const Num = z.object({ num: z.int() })
export const Word = z.object({ word: z.string() })
export const Count = z.object({ word: z.string(), count: z.int() })

/** A spout of words without an end; tests put fixed tuples in its place. */
export const words = defineSpout({ output: Word, replay: false, open: () => (out) => out.emit({ word: 'word' }) })

/** Emits `n` tuples for each, anchored. */
export const branch = (n: number) =>
  defineBolt({
    input: Num,
    output: Num,
    ack: 'manual',
    execute(_values, out, tuple) {
      for (let i = 0; i < n; i++) out.emit({ num: i }, { anchors: tuple })
      out.ack(tuple)
    },
  })

/** Emits one tuple for `n`, anchored to all of them. */
export const aggregate = (n: number) =>
  defineBolt({
    input: Num,
    output: Num,
    ack: 'manual',
    prepare() {
      let seen: Tuple[] = []
      return (_values, out, tuple) => {
        seen.push(tuple)
        if (seen.length < n) return
        out.emit({ num: n }, { anchors: seen })
        for (const one of seen) out.ack(one)
        seen = []
      }
    },
  })

export const identity = defineBolt({
  input: Num,
  output: Num,
  ack: 'manual',
  execute(values, out, tuple) {
    out.emit(values, { anchors: tuple })
    out.ack(tuple)
  },
})

export const ack = defineBolt({ input: Num, ack: 'manual', execute: (_values, out, tuple) => out.ack(tuple) })

export const wordCount = defineBolt({
  input: Word,
  output: Count,
  prepare() {
    const counts = new Map<string, number>()
    return ({ word }, out) => {
      const count = (counts.get(word) ?? 0) + 1
      counts.set(word, count)
      out.emit({ word, count })
    }
  },
})

/** Counts whatever comes. */
export const globalCount = <T extends typeof Word | typeof Count>(input: T) =>
  defineBolt({
    input: input as typeof Word, // counts without a look at the fields
    output: z.object({ count: z.int() }),
    prepare() {
      let count = 0
      return (_values, out) => out.emit({ count: ++count })
    },
  })

/** The topology of testBasicTopology and of TestingTest. */
export const basicTopology = topology('basic', (t) => {
  const source = t.spout('one', words, { parallelism: 3 })
  const counts = t.bolt('two', wordCount, { parallelism: 4 }).fields(source, ['word'])
  t.bolt('three', globalCount(Word)).global(source)
  t.bolt('four', globalCount(Count)).global(counts)
})
