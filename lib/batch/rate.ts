/**
 * How much a batch may take: Spark's PID estimator (`PIDRateEstimator`), a token bucket, and the division of a rate among the
 * partitions of a replayable source (`DirectKafkaInputDStream.maxMessagesPerPartition`). Rates are in records a second.
 */
import { SquallError } from '../errors.ts'
import type { Clock } from '../std/clock.ts'

export interface PidOptions {
  readonly batchIntervalMs: number
  /** how strongly the error of the last rate is corrected (1) */
  readonly proportional?: number
  /** how strongly what has piled up is worked off (0.2) */
  readonly integral?: number
  /** how strongly a change of the error is met (0) */
  readonly derivative?: number
  /** the least rate that is ever given (100) */
  readonly minRate?: number
}

/** Estimates the rate that a run can keep up with, from how its batches went. */
export class PidRateEstimator {
  readonly #options: Required<PidOptions>
  #timeMs = -1
  #rate = -1
  #error = -1
  #isFirst = true

  /** Throws `bad-option`. */
  constructor({ batchIntervalMs, proportional = 1, integral = 0.2, derivative = 0, minRate = 100 }: PidOptions) {
    check('batchIntervalMs', batchIntervalMs, batchIntervalMs > 0, 'a number of more than 0')
    check('proportional', proportional, proportional >= 0, 'a number of at least 0')
    check('integral', integral, integral >= 0, 'a number of at least 0')
    check('derivative', derivative, derivative >= 0, 'a number of at least 0')
    check('minRate', minRate, minRate > 0, 'a number of more than 0')
    this.#options = { batchIntervalMs, proportional, integral, derivative, minRate }
  }

  /**
   * The rate after a batch that ended at `timeMs`; `undefined` when the batch says nothing (the first one, an empty one, no time
   * passed).
   *
   * Throughput is the set point. What is late by scheduling is the error of the past: it is the records that could have been
   * processed meanwhile.
   */
  compute(timeMs: number, records: number, processingDelayMs: number, schedulingDelayMs: number): number | undefined {
    if (!(timeMs > this.#timeMs && records > 0 && processingDelayMs > 0)) return undefined
    const { batchIntervalMs, proportional, integral, derivative, minRate } = this.#options
    const sinceUpdate = (timeMs - this.#timeMs) / 1000
    const processingRate = (records / processingDelayMs) * 1000
    const error = this.#rate - processingRate
    const historicalError = (schedulingDelayMs * processingRate) / batchIntervalMs
    const errorChange = (error - this.#error) / sinceUpdate
    const rate = Math.max(minRate, this.#rate - proportional * error - integral * historicalError - derivative * errorChange)
    this.#timeMs = timeMs
    if (this.#isFirst) {
      this.#isFirst = false
      this.#rate = processingRate
      this.#error = 0
      return undefined
    }
    this.#rate = rate
    this.#error = error
    return rate
  }
}

export interface TokenBucketOptions {
  readonly clock: Clock
  /** what is let through at the start; `Infinity` = everything (`maxRate`) */
  readonly rate?: number
  /** the rate that is never exceeded, whatever `rate` is set to (`Infinity`) */
  readonly maxRate?: number
  /** for how long a rate may be saved up (200): as many records may come at once */
  readonly burstMs?: number
}

/** Lets records through at a rate. */
export class TokenBucket {
  readonly #clock: Clock
  readonly #maxRate: number
  readonly #burstMs: number
  #rate: number
  #tokens = 0
  #atMs: number

  /** Throws `bad-option`. */
  constructor({ clock, maxRate = Infinity, rate = maxRate, burstMs = 200 }: TokenBucketOptions) {
    check('maxRate', maxRate, maxRate > 0, 'a number of more than 0')
    check('rate', rate, rate > 0, 'a number of more than 0')
    check('burstMs', burstMs, burstMs > 0 && burstMs < Infinity, 'a number of more than 0')
    this.#clock = clock
    this.#maxRate = maxRate
    this.#burstMs = burstMs
    this.#rate = Math.min(rate, maxRate)
    this.#atMs = clock.now()
  }

  get rate(): number {
    return this.#rate
  }

  /** Sets the rate, at most to `maxRate`. A rate that is not more than 0 is not taken: nothing would ever pass again. */
  update(rate: number): void {
    this.#fill()
    if (rate > 0) this.#rate = Math.min(rate, this.#maxRate)
  }

  /** Takes `count` tokens if there are as many (or a full bucket, for what is more than it holds). */
  take(count = 1): boolean {
    if (this.#rate === Infinity) return true
    this.#fill()
    if (this.#tokens < Math.min(count, this.#size)) return false
    this.#tokens -= count // below 0 for more than a bucket holds: what comes next waits the longer
    return true
  }

  /** How long until `take(count)` succeeds, if nobody else takes any. */
  waitMs(count = 1): number {
    if (this.#rate === Infinity) return 0
    this.#fill()
    return Math.max(0, ((Math.min(count, this.#size) - this.#tokens) / this.#rate) * 1000)
  }

  get #size(): number {
    return Math.max(1, (this.#rate * this.#burstMs) / 1000)
  }

  #fill(): void {
    const now = this.#clock.now()
    if (this.#rate < Infinity) this.#tokens = Math.min(this.#size, this.#tokens + ((now - this.#atMs) / 1000) * this.#rate)
    this.#atMs = now
  }
}

export interface PartitionLimitsOptions {
  /** how many records each partition has waiting */
  readonly lags: readonly number[]
  /** how long a batch is */
  readonly batchIntervalMs: number
  /** the rate for all together, as estimated */
  readonly rate?: number | undefined
  /** the most for one partition (`Infinity`) */
  readonly maxRatePerPartition?: number
  /** the least for one partition, in records a batch (1) */
  readonly minPerPartition?: number
}

/** How many records a batch may take from each partition: a rate is divided by how much each has waiting. `Infinity` = no limit. */
export function partitionLimits(options: PartitionLimitsOptions): number[] {
  const { lags, batchIntervalMs, rate, maxRatePerPartition = Infinity, minPerPartition = 1 } = options
  const total = lags.reduce((sum, lag) => sum + lag, 0)
  return lags.map((lag) => {
    const share = rate === undefined || total === 0 ? Infinity : (lag / total) * rate
    return Math.max(minPerPartition, Math.floor((Math.min(share, maxRatePerPartition) * batchIntervalMs) / 1000))
  })
}

function check(option: string, value: number, isRight: boolean, expected: string): void {
  if (!isRight) throw new SquallError('bad-option', { option, of: 'the rate control', value, expected })
}
