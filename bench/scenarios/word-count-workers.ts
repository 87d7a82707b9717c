/** The word count for worker processes, which share no memory with the bench: each reads the text itself, and latencies travel as counters. */
import { topology, z } from '../../lib/index.ts'
import { readText } from '../text.ts'
import { countWords, linesAtFullSpeed, linesAtRate } from './word-count.ts'
import type { Source } from './word-count.ts'

export default topology('word-count', (t) => {
  const parallelism = t.param('executors', z.int())
  const text = t.param('text', z.string())
  const rate = t.param('rate', z.number())
  const source: Source = {
    text: () => readText(text),
    latency: (context) => (ms) => context.count(latencyCounter(ms)),
    watch: () => undefined,
  }
  countWords(t, parallelism, rate === 0 ? linesAtFullSpeed(source) : linesAtRate(source, rate))
})

const prefix = 'ms '

/** Two digits: 5 % at most, and some hundreds of counters. */
function latencyCounter(ms: number): string {
  return `${prefix}${ms.toPrecision(2)}`
}

/** The latency that a counter is of. */
export function latencyOf(counter: string): number {
  return Number(counter.slice(prefix.length))
}
