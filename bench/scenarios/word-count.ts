/**
 * FileReadWordCount and ThroughputVsLatency: lines held in memory, split at spaces, counted by word. With a `rate` (lines a second, over
 * all spouts) a line is due at start + k / rate and its latency counts from then, so that a stall is not hidden by the
 * lines it kept from leaving (coordinated omission).
 */
import { readFileSync } from 'node:fs'
import { defineBolt, defineSpout, topology, z } from '../../lib/index.ts'
import { Probe, probeParam } from './probe.ts'

const Line = z.object({ line: z.string() })
const Word = z.object({ word: z.string() })
const Count = z.object({ word: z.string(), count: z.int() })

const sentences = (file: string, rate: number, cells: Float64Array) =>
  defineSpout({
    output: Line,
    open(context) {
      const probe = new Probe(cells, context)
      const lines = readFileSync(file, 'utf8').trimEnd().split('\n')
      const perMs = rate / context.taskCount / 1000
      let next = Math.floor((lines.length * context.taskIndex) / context.taskCount)
      let sent = 0
      let startMs: number | undefined
      const line = (): { line: string } => {
        if (next === lines.length) next = 0
        return { line: lines[next++] as string }
      }
      if (rate === 0)
        return {
          nextTuple(out) {
            out.emit(line(), sent++)
          },
          ack() {},
          fail() {},
        }
      return {
        nextTuple(out) {
          startMs ??= context.now()
          const due = Math.floor((context.now() - startMs) * perMs)
          for (let n = 0; n < 64 && sent < due; n++) out.emit(line(), startMs + ++sent / perMs)
        },
        ack(dueMs) {
          probe.latency(context.now() - (dueMs as number))
        },
        fail() {},
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
  output: Count,
  prepare() {
    const counts = new Map<string, number>()
    return ({ word }, out) => {
      const n = (counts.get(word) ?? 0) + 1
      counts.set(word, n)
      out.emit({ word, count: n })
    }
  },
})

export default topology('word-count', (t) => {
  const parallelism = t.param('executors', z.int().default(1))
  const lines = t.spout('spout', sentences(t.param('text', z.string()), t.param('rate', z.number().default(0)), t.param('probe', probeParam)), { parallelism })
  const words = t.bolt('split', split, { parallelism }).localOrShuffle(lines)
  t.bolt('count', count, { parallelism }).fields(words, ['word'])
})
