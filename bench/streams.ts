/** The scenarios over keyed streams: windows, `mapWithState`, joins; next to the same work in a loop by hand, which must give the same. */
import { figuresOf, runBatches, sum, withFolder } from './batch-run.ts'
import type { BatchFigures, Store } from './batch-run.ts'
import { loopOf } from './by-hand.ts'
import type { LoopOptions, Sums } from './by-hand.ts'
import type { BatchMark } from './scenarios/marks.ts'
import definition, { firstBatch, perTask } from './scenarios/streams.ts'
import { readText, sampleText } from './text.ts'

export interface StreamScenario {
  readonly name: string
  readonly what: string
  /** keys, where they are not the words of the text */
  readonly keys?: number
  /** words of a record, where it is a line */
  readonly words?: number
  /** the state has all keys before it is measured */
  readonly isFilled?: boolean
}

const scenarios: readonly StreamScenario[] = [
  { name: 'SlidingWindow', what: 'words counted in windows of 60 s every 10 s of event time' },
  { name: 'WindowedCount', what: 'records counted by key in tumbling windows of event time', keys: 1_000_000 },
  { name: 'SessionWindow', what: 'words counted in sessions with a gap of 10 s of event time' },
  { name: 'DropDuplicates', what: 'words that were not there in the last 10 s of event time' },
  { name: 'MapWithState', what: 'a function with state called for every word of the lines', words: 6 },
  { name: 'MapWithStateLarge', what: 'the same where a batch has 1 % of the keys', keys: 1_000_000, isFilled: true },
  { name: 'WindowJoin', what: 'two streams counted in tumbling windows and joined by word and window' },
  { name: 'RestJoin', what: 'a stream joined with a table at rest' },
]

export const streamScenarios: ReadonlyMap<string, StreamScenario> = new Map(scenarios.map((one) => [one.name, one]))

export interface StreamOptions {
  readonly executors: number
  readonly store: Store
  readonly keys: number | undefined
  /** records of a batch */
  readonly batch: number | undefined
  readonly seconds: number
  readonly warmUp: number
  readonly text: string | undefined
}

export interface StreamMeasurement extends BatchFigures {
  readonly scenario: string
  readonly keys?: number
  readonly recordsPerSecond: number
  readonly wordsPerSecond?: number
  readonly recordsPerBatch: number
  /** of all batches, given out */
  readonly rows: number
  /** CPU time of the whole process for a record */
  readonly cpuUsPerRecord: number
  /** the loop by hand, one thread, over the same batches */
  readonly loopRecordsPerSecond: number
}

/** About half a second of work for an executor. */
const batchPerExecutor = 400_000

export async function measureStream(scenario: StreamScenario, options: StreamOptions): Promise<StreamMeasurement> {
  const { name, words = 1 } = scenario
  const { executors, store, seconds, warmUp } = options
  const text = options.text === undefined ? sampleText(200_000) : readText(options.text)
  const keys = options.keys ?? scenario.keys ?? 0
  const batch = options.batch ?? Math.round((batchPerExecutor * executors) / words)
  const sums = new Float64Array(new SharedArrayBuffer(8 * perTask * executors))
  return withFolder(async (folder) => {
    const run = await runBatches({
      definition,
      file: 'streams',
      params: { work: name, text, keys, batch, seconds: warmUp + seconds, sums },
      executors,
      store,
      folder,
      warmUp,
      skip: scenario.isFilled === true ? Math.ceil(keys / firstBatch) : 0,
    })
    const figures = figuresOf(run, { executors, store })
    const records = sum(run.counted.map(({ amount }) => amount))
    const given = { rows: everyOther(sums, 0), total: everyOther(sums, 1) }
    const loopRate = compareByHand(name, { text, keys }, run.all, run.all.length - run.counted.length, given)
    return {
      scenario: name,
      ...(keys > 0 && { keys }),
      recordsPerSecond: Math.round(records / run.seconds),
      ...(words > 1 && { wordsPerSecond: Math.round((words * records) / run.seconds) }),
      recordsPerBatch: Math.round(records / run.counted.length),
      rows: given.rows,
      cpuUsPerRecord: Number(((run.cpuSeconds * 1e6) / records).toFixed(3)),
      loopRecordsPerSecond: Math.round(loopRate),
      ...figures,
    }
  })
}

/** The same batches by hand; records a second from batch `first` on. Throws unless it gives the same. */
function compareByHand(name: string, options: LoopOptions, batches: readonly BatchMark[], first: number, { rows, total }: Sums): number {
  const sums: Sums = { rows: 0, total: 0 }
  const loop = loopOf(name, options, sums)
  let [from, startMs, startAt] = [0, performance.now(), 0]
  for (const [i, { amount }] of batches.entries()) {
    if (i === first) [startMs, startAt] = [performance.now(), from]
    loop.batch(from, from + amount)
    from += amount
  }
  const rate = (from - startAt) / ((performance.now() - startMs) / 1_000)
  if (sums.rows !== rows || sums.total !== total)
    throw new Error(`${name} gave ${rows} rows, in all ${total}; by hand there are ${sums.rows}, in all ${sums.total}`)
  return rate
}

function everyOther(sums: Float64Array, offset: number): number {
  return sum([...sums].filter((_, i) => i % perTask === offset))
}
