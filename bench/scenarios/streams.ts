/**
 * Streams with much state by key: windows over event time, `mapWithState`, joins. One definition, whose parameter `work` says which.
 * Records are made where they are read, in batches of a fixed size, as fast as they go. `sums` has what each task has given out, to be
 * compared with what a loop by hand gives (`bench/by-hand.ts`).
 */
import { HashPartitioner, sessionWindow, slidingWindow, stateSpec, topology, tumblingWindow, z } from '../../lib/index.ts'
import type { Pair } from '../../lib/batch/dstream/dstream.ts'
import type { BatchSource } from '../../lib/batch/source.ts'
import type { DStream, KeyState, RDD, TimeWindow } from '../../lib/index.ts'
import { textParam } from '../text.ts'
import type { Text } from '../text.ts'
import { marked, marksParam } from './marks.ts'
import { sharedClock } from './probe.ts'

export interface Event {
  readonly word: string
  readonly time: number
}

/** Numbers of `sums` that a task has: rows given out, and what they add up to. */
export const perTask = 2

export const window = { sizeMs: 60_000, slideMs: 10_000, delayMs: 10_000 } as const
/** Records of a key in a tumbling window, where there are `keys`. */
export const recordsPerKey = 4
/** The share of the keys that a batch of MapWithStateLarge has. */
export const touched = 0.01

const float64s: z.ZodType<Float64Array> = z.instanceof(Float64Array)
const nowMs = sharedClock()

const summing = stateSpec((_: string, n: number | undefined, state: KeyState<number>) => {
  const sum = (state.getOption() ?? 0) + (n ?? 0)
  state.update(sum)
  return sum
})

export default topology('streams', (t) => {
  const work = t.param('work', z.string())
  const text = t.param('text', textParam)
  const keys = t.param('keys', z.int())
  const batch = t.param('batch', z.int())
  const seconds = t.param('seconds', z.number())
  const marks = t.param('marks', marksParam)
  const sums = t.param('sums', float64s)
  const pace: Pace = { batch, seconds, first: 0 }

  const give = <T>(stream: DStream<T>, amountOf: (row: T) => number): void =>
    stream.foreachPartition((rows, { partition }) => {
      let total = 0
      for (const row of rows) total += amountOf(row)
      sums[perTask * partition] = (sums[perTask * partition] as number) + rows.length
      sums[perTask * partition + 1] = (sums[perTask * partition + 1] as number) + total
    })
  const source = <T>(makerOf: MakerOf<T>, at = pace): BatchSource<T> =>
    marked(made(makerOf, at), marks, (range) => (range as Range).to - (range as Range).from)
  const events = (): DStream<Event> => t.stream('events', source(eventsOf(work, text, keys)))
  const counted = (row: { readonly window: TimeWindow; readonly count: number }): number => row.count
  switch (work) {
    case 'SlidingWindow': {
      const windows = slidingWindow(window.sizeMs, window.slideMs)
      give(events().withWatermark('time', window.delayMs).groupBy('word', windows).count().records, counted)
      break
    }
    case 'WindowedCount':
      give(events().withWatermark('time', window.delayMs).groupBy('word', tumblingWindow(window.sizeMs)).count().records, counted)
      break
    case 'SessionWindow':
      give(events().withWatermark('time', window.delayMs).groupBy('word', sessionWindow(window.slideMs)).count().records, counted)
      break
    case 'DropDuplicates':
      give(events().withWatermark('time', window.delayMs).dropDuplicatesWithinWatermark('word').records, () => 1)
      break
    case 'MapWithState': {
      const lines = t.stream('lines', source(linesOf(text)))
      const pairs = lines.flatMap((line) => line.split(' ')).map((word) => [word, 1])
      give(pairs.mapWithState(summing), (sum) => sum)
      break
    }
    case 'MapWithStateLarge': {
      const pairs = t.stream('pairs', source(keysOf(keys), { ...pace, batch: Math.ceil(keys * touched), first: keys }))
      give(pairs.map((key) => [key, 1]).mapWithState(summing), (sum) => sum)
      break
    }
    case 'WindowJoin': {
      const all = events()
      const counts = (stream: DStream<Event>): DStream<Pair<readonly [string, number], number>> =>
        stream
          .withWatermark('time', window.delayMs)
          .groupBy('word', tumblingWindow(window.sizeMs))
          .count()
          .records.map((row): Pair<readonly [string, number], number> => [[row.word, row.window.start], row.count])
      give(counts(all).join(counts(all.filter(isOfBoth))), ([, [a, b]]) => a + b)
      break
    }
    case 'RestJoin': {
      const rest: { rdd?: RDD<[string, number]> } = {}
      const joined = events()
        .map(({ word, time }) => [word, time])
        .transform((rdd) => {
          const names = (rest.rdd ??= rdd.context.parallelize(restOf(text)).partitionBy(new HashPartitioner(rdd.context.count)).persist())
          return rdd.join(names)
        })
      give(joined, ([, [, n]]) => n)
      break
    }
  }
})

// ------------------------------------------------------------------------------------------------ records

/** Makes the records from one number up to another. */
export type MakerOf<T> = () => (from: number, to: number, push: (record: T) => void) => void

/** Of the two streams of WindowJoin, the second has half of the records. */
export function isOfBoth({ time }: Event): boolean {
  return time % 2 === 0
}

/** A word a millisecond of event time, or `keys` keys in turns that look like chance. */
export function eventsOf(work: string, text: Text, keys: number): MakerOf<Event> {
  return () => {
    if (keys > 0) {
      const stepMs = work === 'SlidingWindow' ? 1 : window.sizeMs / (recordsPerKey * keys)
      return (from, to, push) => {
        for (let i = from; i < to; i++) push({ word: keyAt(i, keys), time: Math.floor(i * stepMs) })
      }
    }
    const words = linesIn(text).flatMap((line) => line.split(' '))
    const known = new Map(words.map((word) => [word, word]))
    for (const [i, word] of words.entries()) words[i] = known.get(word) as string
    return (from, to, push) => {
      for (let i = from; i < to; i++) push({ word: words[i % words.length] as string, time: i })
    }
  }
}

export function linesOf(text: Text): MakerOf<string> {
  return () => {
    const lines = linesIn(text)
    return (from, to, push) => {
      for (let i = from; i < to; i++) push(lines[i % lines.length] as string)
    }
  }
}

/** Every key once, and then keys as by chance. */
export function keysOf(keys: number): MakerOf<string> {
  return () => (from, to, push) => {
    for (let i = from; i < to; i++) push(i < keys ? `key${i}` : keyAt(i, keys))
  }
}

/** A table to join with: each word of the text with a number. */
export function restOf(text: Text): [string, number][] {
  return [...new Set(linesIn(text).flatMap((line) => line.split(' ')))].map((word, i) => [word, i])
}

function keyAt(i: number, keys: number): string {
  let hash = Math.imul(i ^ (i >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return `key${((hash ^ (hash >>> 16)) >>> 0) % keys}`
}

function linesIn({ bytes }: Text): string[] {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1').trimEnd().split('\n')
}

// ------------------------------------------------------------------------------------------------ batches

interface Pace {
  readonly batch: number
  /** how long there are records after those that come first */
  readonly seconds: number
  /** records that come before what is measured, in batches of their own */
  readonly first: number
}

interface Range {
  readonly from: number
  readonly to: number
}

export const firstBatch = 100_000
/** Batches after the first records, however long those took. */
const batchesMin = 20

function made<T>(makerOf: MakerOf<T>, { batch, seconds, first }: Pace): BatchSource<T> {
  return {
    kind: 'transactional',
    planner() {
      let [batches, hasEnded, untilMs] = [0, false, 0]
      return {
        next(last) {
          if (hasEnded) return undefined
          const from = last === undefined ? 0 : (last as Range).to
          if (from < first) return { from, to: Math.min(from + firstBatch, first) }
          if (++batches === 1) untilMs = nowMs() + seconds * 1_000
          hasEnded = batches >= batchesMin && nowMs() >= untilMs
          return { from, to: from + batch }
        },
        get hasEnded() {
          return hasEnded
        },
      }
    },
    reader({ tasks }) {
      const make = makerOf()
      return {
        partitions: () => tasks,
        read(range, partition, push) {
          const { from, to } = range as Range
          const at = (part: number): number => from + Math.floor(((to - from) * part) / tasks)
          make(at(partition), at(partition + 1), push)
        },
      }
    },
  }
}
