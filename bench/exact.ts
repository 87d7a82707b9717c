/**
 * ExactWordCount: words of a file counted exactly once into a state, as fast as batches of about half a second go, or at an interval and
 * a rate. When it is over, a state on disk must hold what a count by hand gives, times the passes over the file.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { viewState } from '../lib/batch/state/inspect.ts'
import { figuresOf, runBatches, sum, withFolder } from './batch-run.ts'
import type { BatchFigures, Store } from './batch-run.ts'
import definition from './scenarios/exact-word-count.ts'
import { sharedClock } from './scenarios/probe.ts'
import { sampleText } from './text.ts'

export const exactName = 'ExactWordCount'

export interface ExactOptions {
  readonly executors: number
  readonly store: Store
  readonly seconds: number
  readonly warmUp: number
  readonly text: string | undefined
  /** ms; 0 = as fast as they go */
  readonly interval: number
  /** lines a second, about; with an interval */
  readonly rate: number | undefined
  /** words by a regular expression instead of `split(' ')` */
  readonly regex: boolean
}

export interface ExactMeasurement extends BatchFigures {
  readonly scenario: typeof exactName
  readonly regex: boolean
  /** lines */
  readonly recordsPerSecond: number
  readonly wordsPerSecond: number
  /** CPU time of the whole process for a line */
  readonly cpuUsPerRecord: number
  /** with an interval: the rate was kept up */
  readonly sustained?: boolean
}

/** About half a second of work for an executor. */
const batchBytesPerExecutor = 12 << 20
const newline = 0x0a
const nowMs = sharedClock()

export async function measureExact({
  executors,
  store,
  seconds,
  warmUp,
  interval,
  rate,
  regex,
  ...options
}: ExactOptions): Promise<ExactMeasurement> {
  return withFolder(async (folder) => {
    const file = options.text ?? join(folder, 'text')
    if (options.text === undefined) writeFileSync(file, sampleText(1_000_000).bytes)
    const linesPerBatch = rate === undefined ? undefined : Math.ceil((rate * interval) / 1_000)
    const input = linesPerBatch === undefined ? file : wholeBatches(file, linesPerBatch, join(folder, 'input'))
    const byHand = countByHand(input)
    const untilMs = nowMs() + (warmUp + seconds) * 1_000
    const batches = linesPerBatch === undefined ? undefined : byHand.lines / linesPerBatch
    const run = await runBatches({
      definition,
      file: 'exact-word-count',
      params: {
        file: input,
        batchBytes: batches === undefined ? batchBytesPerExecutor * executors : Math.ceil(byHand.bytes / batches),
        intervalMs: interval,
        regex,
        untilMs,
      },
      executors,
      store,
      folder,
      warmUp,
    })
    if (store !== 'memory') await compare(folder, byHand, sum(run.all.map(({ amount }) => amount)) / byHand.bytes)
    const passes = sum(run.counted.map(({ amount }) => amount)) / byHand.bytes
    const figures = figuresOf(run, { executors, store })
    return {
      scenario: exactName,
      regex,
      recordsPerSecond: Math.round((passes * byHand.lines) / run.seconds),
      wordsPerSecond: Math.round((passes * byHand.words) / run.seconds),
      ...(rate !== undefined && { sustained: figures.batchesPerSecond >= (0.99 * 1_000) / interval && figures.batchMs.p99 < 2 * interval }),
      cpuUsPerRecord: Number(((run.cpuSeconds * 1e6) / (passes * byHand.lines)).toFixed(3)),
      ...figures,
    }
  })
}

/** Writes as much of a text, or as often, as makes whole batches of so many lines. */
function wholeBatches(file: string, linesPerBatch: number, to: string): string {
  const text = readFileSync(file)
  const whole = text.at(-1) === newline ? text : Buffer.concat([text, Buffer.of(newline)])
  const ends: number[] = []
  for (let at = whole.indexOf(newline); at >= 0; at = whole.indexOf(newline, at + 1)) ends.push(at + 1)
  const lines = linesPerBatch * Math.max(1, Math.floor(ends.length / linesPerBatch))
  const parts: Buffer[] = new Array<Buffer>(Math.floor(lines / ends.length)).fill(whole)
  writeFileSync(to, Buffer.concat([...parts, whole.subarray(0, ends[(lines % ends.length) - 1] ?? 0)]))
  return to
}

interface ByHand {
  readonly counts: ReadonlyMap<string, number>
  readonly words: number
  readonly lines: number
  readonly bytes: number
}

function countByHand(file: string): ByHand {
  const bytes = readFileSync(file)
  const counts = new Map<string, number>()
  let [words, lines] = [0, 0]
  for (let from = 0; from < bytes.length; lines++) {
    const end = bytes.indexOf(10, from)
    const to = end < 0 ? bytes.length : end
    for (const word of bytes.toString('utf8', from, to).split(' ')) {
      counts.set(word, (counts.get(word) ?? 0) + 1)
      words++
    }
    from = to + 1
  }
  return { counts, words, lines, bytes: bytes.length }
}

/** Throws unless the state holds the counts, so many times. */
async function compare(folder: string, { counts }: ByHand, passes: number): Promise<void> {
  const view = await viewState(folder, definition.name)
  try {
    let keys = 0
    for (const [word, count] of view.entries('counts')) {
      keys++
      const expected = passes * (counts.get(word as string) ?? 0)
      if (count !== expected) throw new Error(`the state has ${String(count)} for ${String(word)}, a count by hand ${expected}`)
    }
    if (keys !== counts.size) throw new Error(`the state has ${keys} words, a count by hand ${counts.size}`)
  } finally {
    await view.close()
  }
}
