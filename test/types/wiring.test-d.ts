import { defineBolt, defineSpout, topology, z } from '../../lib/index.ts'
import type { Bolt, BoltOutput, Spout, SpoutOutput } from '../../lib/index.ts'
const Line = z.object({ line: z.string() })
const Word = z.object({ word: z.string() })
const lines = defineSpout({
  output: Line,
  replay: true,
  open() {
    return (out) => {
      out.emit({ line: 'a' })
      out.end()
    }
  },
})
const split = defineBolt({
  input: Line,
  output: Word,
  execute({ line }, out) {
    out.emit({ word: line })
  },
})
const count = defineBolt({
  input: Word,
  output: z.object({ word: z.string(), count: z.int() }),
  prepare() {
    return ({ word }, out) => {
      out.emit({ word, count: 1 })
    }
  },
})
const join = defineBolt({
  inputs: { left: Line, right: Word },
  output: Word,
  outputs: { late: Line },
  execute: {
    left({ line }, out) {
      out.emit({ word: line })
      out.emitTo('late', { line })
    },
    right({ word }, out) {
      out.emit({ word })
    },
  },
})
const manual = defineBolt({
  input: Word,
  ack: 'manual',
  execute({ word }, out, tuple) {
    void word
    out.ack(tuple)
  },
})
const asyncBolt = defineBolt({
  input: Word,
  output: Word,
  concurrency: 4,
  async execute({ word }, out) {
    await Promise.resolve()
    out.emit({ word })
  },
})
export default topology('t', (t) => {
  const l = t.spout('lines', lines)
  const w = t.bolt('split', split, { parallelism: 2 }).shuffle(l)
  const c = t.bolt('count', count).fields(w, ['word'])
  t.bolt('join', join).input('left').shuffle(l).input('right').shuffle(c)
  t.bolt('m', manual).shuffle(w).shuffle(c)
  t.bolt('a', asyncBolt).shuffle(w)
  const dead = l.stream('dead-letter')
  void dead
  // @ts-expect-error a field that the stream does not have
  t.bolt('x1', count).fields(w, ['wrod'])
  // @ts-expect-error the wrong tuple
  t.bolt('x2', count).shuffle(l)
  // @ts-expect-error no such stream
  w.stream('nope')
  // @ts-expect-error a bolt without a default stream is no source
  t.bolt('x3', count).shuffle(t.bolt('m2', manual).shuffle(w))
  // @ts-expect-error a bolt with inputs is read into through input()
  t.bolt('x4', join).shuffle(w)
})

defineBolt({
  input: Line,
  output: Word,
  execute({ line }, out) {
    // @ts-expect-error emits what the stream does not hold
    out.emit({ wrod: line })
  },
})
defineBolt({
  input: Line,
  execute(_line, out) {
    // @ts-expect-error ack is for manual acking
    out.ack()
  },
})
defineBolt({
  input: Line,
  output: Word,
  outputs: { late: Line },
  execute({ line }, out) {
    out.emitTo('late', { line })
    // @ts-expect-error no such stream
    out.emitTo('lte', { line })
    // @ts-expect-error not what that stream holds
    out.emitTo('late', { word: line })
    // @ts-expect-error no such stream
    out.emitDirect(1, 'lte', { line })
    // @ts-expect-error anchors are for manual acking: what this emits is anchored to the tuple at hand
    out.emit({ word: line }, { anchors: [] })
    // @ts-expect-error likewise
    out.emitTo('late', { line }, { anchors: [] })
  },
  // @ts-expect-error likewise
  onTick: (out) => out.emit({ word: '' }, { anchors: [] }),
})
defineBolt({
  input: Line,
  output: Word,
  ack: 'manual',
  execute({ line }, out, tuple) {
    out.emit({ word: line }, { anchors: tuple })
    // @ts-expect-error an anchor is a tuple
    out.emit({ word: line }, { anchors: line })
    // @ts-expect-error it acks a tuple
    out.ack(line)
  },
})
defineSpout({
  output: Line,
  open: () => (out) => {
    // @ts-expect-error no such stream
    out.emitTo('late', { line: 'a' })
  },
})
topology('groupings', (t) => {
  const l = t.spout('lines', lines)
  const top = t.param('top', z.int().default(3))
  top.toFixed()
  // @ts-expect-error a number
  top.trim()
  t.bolt('p', split).partialKey(l, ['line'])
  // @ts-expect-error a field that the stream does not have
  t.bolt('q', split).partialKey(l, ['lien'])
  t.bolt('c', split).custom(l, {
    prepare:
      () =>
      ({ line }) =>
        line.length,
  })
  const d = t.bolt('d', split)
  // @ts-expect-error a field that the stream does not have
  d.custom(l, { prepare: () => (values) => values.word.length })
  t.bolt('e', split).shuffle(t.later('again', Line))
  // @ts-expect-error the wrong tuple
  t.bolt('f', split).shuffle(t.later('again', Word))
})

type Words = { readonly default: { word: string } }
class Upper implements Bolt<Words, Words> {
  static readonly input = Word
  static readonly output = Word
  execute({ word }: { word: string }, out: BoltOutput<Words>): void {
    out.emit({ word: word.toUpperCase() })
  }
}
class Source implements Spout<Words> {
  static readonly output = Word
  static readonly replay = true
  nextTuple(out: SpoutOutput<Words>): void {
    out.emit({ word: 'a' })
    out.end()
  }
}
class Liar implements Spout<Words> {
  static readonly output = Line
  nextTuple(out: SpoutOutput<Words>): void {
    out.emit({ word: 'a' })
  }
}
topology('classes', (t) => {
  const source = t.spout('source', Source)
  const upper = t.bolt('upper', Upper).shuffle(source)
  t.bolt('count', count).fields(upper, ['word'])
  void source.stream('dead-letter')
  // @ts-expect-error its streams are not what it emits
  t.spout('liar', Liar)
  // @ts-expect-error the wrong tuple
  t.bolt('split', split).shuffle(upper)
})
