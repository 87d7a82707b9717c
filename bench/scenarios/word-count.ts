/**
 * FileReadWordCount and, with a `rate`, ThroughputVsLatency: lines held in memory, split at spaces, counted by word; spout,
 * splitter and counter on every executor.
 *
 * With a rate, latency counts from when a line was due until its tree is done, or, where nothing is acked, until each of
 * its words is counted; for the latter (`timed`) the words carry the time along.
 */
import { defineBolt, defineSpout, topology, z } from '../../lib/index.ts'
import type { SpoutContext, TopologyBuilder } from '../../lib/index.ts'
import { Lines, textParam } from '../text.ts'
import type { Text } from '../text.ts'
import { Pace } from './pace.ts'
import { Probe, probeParam, sharedClock, watchThread } from './probe.ts'

const Line = z.object({ line: z.string() })
const Word = z.object({ word: z.string() })
const Count = z.object({ word: z.string(), count: z.int() })
const Due = z.object({ dueMs: z.number() })
const TimedLine = Line.extend(Due.shape)
const TimedWord = Word.extend(Due.shape)

export default topology('word-count', (t) => {
  const parallelism = t.param('executors', z.int())
  const text = t.param('text', textParam)
  const rate = t.param('rate', z.number().default(0))
  const cells = t.param('probe', probeParam)
  if (t.param('timed', z.boolean().default(false))) {
    const lines = t.spout('spout', timedLines(text, rate, cells), { parallelism })
    const words = t.bolt('split', timedSplit, { parallelism }).localOrShuffle(lines)
    t.bolt('count', timedCount(cells), { parallelism }).fields(words, ['word'])
    return
  }
  const probed: Source = {
    text: () => text,
    latency: ({ taskIndex }) => {
      const probe = new Probe(cells, taskIndex)
      return (ms) => probe.latency(ms)
    },
    watch: () => watchThread(cells),
  }
  countWords(t, parallelism, rate === 0 ? linesAtFullSpeed(probed) : linesAtRate(probed, rate))
})

/** Where lines come from, and what is measured beside them. */
export interface Source {
  text(): Text
  /** takes the latencies of a task */
  latency(context: SpoutContext): (ms: number) => void
  watch(): void
}

/** Acked from the spout to the count. */
export function countWords(t: TopologyBuilder, parallelism: number, spout: ReturnType<typeof linesAtFullSpeed>): void {
  const lines = t.spout('spout', spout, { parallelism })
  const words = t.bolt('split', split, { parallelism }).localOrShuffle(lines)
  t.bolt('count', count, { parallelism }).fields(words, ['word'])
}

export const linesAtFullSpeed = (source: Source) =>
  defineSpout({
    output: Line,
    open({ taskIndex, taskCount }) {
      source.watch()
      const lines = new Lines(source.text(), taskIndex, taskCount)
      let sent = 0
      return {
        nextTuple(out) {
          out.emit({ line: lines.next() }, sent++)
        },
        ack() {},
        fail() {},
      }
    },
  })

/** Lines that are due may leave this many at a time. */
const burst = 64

export const linesAtRate = (source: Source, rate: number) =>
  defineSpout({
    output: Line,
    open(context) {
      const { taskIndex, taskCount, now } = context
      const latency = source.latency(context)
      const lines = new Lines(source.text(), taskIndex, taskCount)
      const pace = new Pace(now, rate, taskIndex, taskCount)
      return {
        nextTuple(out) {
          for (let n = 0; n < burst; n++) {
            const due = pace.next()
            if (due === undefined) return
            out.emit({ line: lines.next() }, due)
          }
        },
        ack(due) {
          latency(now() - (due as number))
        },
        fail() {},
      }
    },
  })

const split = defineBolt({
  input: Line,
  output: Word,
  execute({ line }, out) {
    // half the time of `line.split(' ')`: no array, and no search by the regular expressions' machinery
    let from = 0
    for (let to = line.indexOf(' '); to >= 0; to = line.indexOf(' ', from)) {
      out.emit({ word: line.slice(from, to) })
      from = to + 1
    }
    out.emit({ word: line.slice(from) })
  },
})

const count = defineBolt({
  input: Word,
  output: Count,
  prepare() {
    const increment = counter()
    return ({ word }, out) => out.emit({ word, count: increment(word) })
  },
})

/** Counts words; each has a cell that is changed in place, which saves every second look-up. */
function counter(): (word: string) => number {
  const cells = new Map<string, { n: number }>()
  return (word) => {
    const cell = cells.get(word)
    if (cell !== undefined) return ++cell.n
    cells.set(word, { n: 1 })
    return 1
  }
}

const timedLines = (text: Text, rate: number, cells: Float64Array) =>
  defineSpout({
    output: TimedLine,
    open({ taskIndex, taskCount }) {
      watchThread(cells)
      const lines = new Lines(text, taskIndex, taskCount)
      const pace = new Pace(sharedClock(), rate, taskIndex, taskCount)
      return (out) => {
        for (let n = 0; n < burst; n++) {
          const dueMs = pace.next()
          if (dueMs === undefined) return
          out.emit({ line: lines.next(), dueMs })
        }
      }
    },
  })

const timedSplit = defineBolt({
  input: TimedLine,
  output: TimedWord,
  execute({ line, dueMs }, out) {
    for (const word of line.split(' ')) out.emit({ word, dueMs })
  },
})

const timedCount = (cells: Float64Array) =>
  defineBolt({
    input: TimedWord,
    output: Count,
    prepare({ taskIndex }) {
      const probe = new Probe(cells, taskIndex)
      const now = sharedClock()
      const increment = counter()
      return ({ word, dueMs }, out) => {
        out.emit({ word, count: increment(word) })
        probe.latency(now() - dueMs)
      }
    },
  })
