/**
 * Counts by key of made-up records in micro-batches: at first, so many batches have every key there is once, so that the state has all of
 * them; those that follow have keys at random. With no records a batch, only what a batch costs by itself is left.
 */
import { topology, z } from '../../lib/index.ts'
import type { BatchSource } from '../../lib/batch/source.ts'
import { adding } from './exact-word-count.ts'
import { marked, marksParam, noteDue } from './marks.ts'
import { sharedClock } from './probe.ts'

const nowMs = sharedClock()

export const fillRecords = 100_000

export default topology('key-count', (t) => {
  const keys = t.param('keys', z.int())
  const records = t.param('records', z.int())
  const intervalMs = t.param('intervalMs', z.number())
  const seconds = t.param('seconds', z.number())
  const batchesMax = t.param('batchesMax', z.int())
  const marks = t.param('marks', marksParam)
  const source = marked(made({ keys, records, seconds, batchesMax }), marks, (range) => amountOf(range as Range))
  t.stream('keys', source, { batchInterval: intervalMs })
    .map((key) => [key, 1])
    .reduceByKey((a, b) => a + b)
    .mapWithState(adding, { name: 'counts' })
    .foreachPartition((_, info) => {
      if (intervalMs > 0) noteDue(marks, info)
    })
})

/** Which records: those below `keys` are one of each key. */
interface Range {
  readonly from: number
  readonly to: number
}

interface Made {
  readonly keys: number
  readonly records: number
  /** how long, and how many batches, there are records beyond those that fill the state */
  readonly seconds: number
  readonly batchesMax: number
}

function amountOf({ from, to }: Range): number {
  return to - from
}

function made({ keys, records, seconds, batchesMax }: Made): BatchSource<string> {
  return {
    kind: 'transactional',
    planner() {
      let hasEnded = false
      let batches = 0
      let untilMs = Infinity
      return {
        next(last) {
          if (hasEnded) return undefined
          const from = last === undefined ? 0 : (last as Range).to
          if (from < keys) {
            hasEnded = batchesMax === 0 && from + fillRecords >= keys
            return { from, to: Math.min(keys, from + fillRecords) }
          }
          if (++batches === 1) untilMs = nowMs() + seconds * 1_000
          hasEnded = batches >= batchesMax || nowMs() >= untilMs
          return { from, to: from + records }
        },
        get hasEnded() {
          return hasEnded
        },
      }
    },
    reader: ({ tasks }) => ({
      partitions: () => tasks,
      read(range, partition, push) {
        const { from, to } = range as Range
        for (let n = from + partition; n < to; n += tasks) push(keyAt(n < keys ? n : scattered(n) % keys))
      },
    }),
  }
}

/** 12 characters, in a string of its own, as one that was read. */
function keyAt(n: number): string {
  return `k${String(n).padStart(11, '0')}`
}

/** A number from `n` that looks like chance, below 2^32. */
function scattered(n: number): number {
  let x = n ^ (n >>> 16)
  x = Math.imul(x, 0x7feb352d)
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b)
  return (x ^ (x >>> 16)) >>> 0
}
