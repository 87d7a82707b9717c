/** How the batches of a coordinator went: told to the rates of its streams, to listeners, and to the metrics. */
import { Histogram, histogramSize, record } from '../../metrics/histogram.ts'
import type { SpoutContext } from '../../topology/component.ts'
import type { BatchReads, BatchStats, StreamStats } from './batch-stats.ts'
import type { StreamRate } from '../rate-control.ts'

/** A batch that is committed. */
export interface DoneBatch {
  readonly txid: number
  readonly timeMs: number
  /** tries that failed */
  readonly tries: number
  /** when it was emitted first */
  readonly startedMs: number | undefined
  readonly startedDate: number
}

export interface BatchTallyOptions {
  readonly rates: ReadonlyMap<string, StreamRate>
  readonly reads: BatchReads
  readonly listeners: readonly ((stats: BatchStats) => void)[]
}

export class BatchTally {
  readonly #options: BatchTallyOptions
  readonly #context: SpoutContext
  /** when a batch was committed last */
  #doneMs = -Infinity
  /** how long batches took */
  readonly #took = new Float64Array(histogramSize)
  /** what was last told of what goes up and down */
  readonly #told = new Map<string, number>()

  constructor(options: BatchTallyOptions, context: SpoutContext) {
    this.#options = options
    this.#context = context
    // they tell streams of batches from spouts and bolts before there is a batch, and when there is none
    for (const name of ['batches', 'records', 'batchP50Ms', 'batchP99Ms', 'delayMs']) context.count(name, 0)
  }

  done({ txid, timeMs, tries, startedMs = 0, startedDate }: DoneBatch): void {
    const { topology, log } = this.#context
    const endMs = this.#context.now()
    // while the batch before was not done, the run had not begun with this one
    const waitedMs = Math.max(0, this.#doneMs - startedMs)
    const schedulingDelayMs = Math.max(0, startedDate - timeMs) + waitedMs
    const processingDelayMs = endMs - startedMs - waitedMs
    this.#doneMs = endMs
    const reads = this.#options.reads.take(txid)
    const streams: Record<string, StreamStats> = {}
    for (const [stream, rate] of this.#options.rates) {
      const { records, badRecords } = reads[stream] ?? { records: 0, badRecords: 0 }
      rate.committed(records, { endMs, processingMs: processingDelayMs, schedulingMs: schedulingDelayMs })
      streams[stream] = { records, badRecords, rate: rate.rate }
      if (badRecords > 0) log.warn(`${badRecords} bad records of the stream ${stream} are left out of batch ${txid}`)
    }
    this.#count(processingDelayMs, schedulingDelayMs, sumOf(Object.values(streams).map(({ records }) => records)))
    for (const listener of this.#options.listeners)
      try {
        listener({ topology, txid, timeMs, schedulingDelayMs, processingDelayMs, attempts: tries + 1, streams })
      } catch (error) {
        this.#context.reportError(error)
      }
  }

  /** For the metrics: the counters that the live table shows of batches. */
  #count(processingMs: number, delayMs: number, records: number): void {
    const { count } = this.#context
    record(this.#took, 0, processingMs)
    const { p50: batchP50Ms, p99: batchP99Ms } = new Histogram().add(this.#took, 0).summary()
    count('batches')
    count('records', records)
    for (const [name, value] of Object.entries({ batchP50Ms, batchP99Ms, delayMs })) {
      count(name, value - (this.#told.get(name) ?? 0))
      this.#told.set(name, value)
    }
  }
}

function sumOf(all: readonly number[]): number {
  return all.reduce((a, b) => a + b, 0)
}
