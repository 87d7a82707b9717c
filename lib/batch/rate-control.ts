/**
 * How much the batches of a stream take: at most `maxRate`, and with `backpressure` what the run can keep up with, as its committed
 * batches tell. Rates are in records a second.
 */
import { SquallError } from '../errors.ts'
import type { Place } from '../errors.ts'
import { PidRateEstimator } from './rate.ts'
import type { PidOptions } from './rate.ts'

export interface BackpressureOptions extends Omit<PidOptions, 'batchIntervalMs'> {
  /** records a second until batches have told (`maxRate`) */
  readonly initialRate?: number
}

export interface RateOptions {
  /** records a second that batches take at most, of all partitions together (no limit) */
  readonly maxRate?: number
  /** records a second that batches take of one partition at most, for sources that have such: a log, a generator (no limit) */
  readonly maxRatePerPartition?: number
  /** take no more than the run has kept up with; needs a `batchInterval` (false) */
  readonly backpressure?: boolean | BackpressureOptions
}

/** How a batch went. */
export interface BatchPace {
  readonly endMs: number
  readonly processingMs: number
  readonly schedulingMs: number
}

/** What a batch may take of a stream. */
export interface Allowance {
  readonly records: number
  readonly recordsPerPartition: number
}

/** A stream without an interval saves up no more than this. */
const savedMsMax = 1_000

export class StreamRate {
  readonly #options: RateOptions
  readonly #intervalMs: number
  readonly #estimator: PidRateEstimator | undefined
  #estimated: number | undefined
  /** parts of records that were not taken for want of a whole one */
  #rest = 0
  #lastMs: number

  constructor(options: RateOptions, intervalMs: number, nowMs: number) {
    const { backpressure = false } = options
    this.#options = options
    this.#intervalMs = intervalMs
    this.#lastMs = nowMs
    if (backpressure === false) return
    const { initialRate, ...pid } = backpressure === true ? {} : backpressure
    this.#estimated = initialRate
    this.#estimator = new PidRateEstimator({ ...pid, batchIntervalMs: intervalMs })
  }

  /** Records a second that batches take now at most; `undefined` = no limit. */
  get rate(): number | undefined {
    const { maxRate = Infinity } = this.#options
    const rate = Math.min(maxRate, this.#estimated ?? Infinity)
    return rate === Infinity ? undefined : rate
  }

  /** What a batch that is planned now may take; no records: not any yet. */
  allowance(nowMs: number): Allowance {
    const { maxRatePerPartition } = this.#options
    const { rate } = this
    const seconds = this.#seconds(nowMs)
    const records = rate === undefined ? Infinity : Math.floor(rate * seconds + this.#rest)
    if (maxRatePerPartition === undefined) return { records, recordsPerPartition: Infinity }
    const recordsPerPartition = Math.floor(maxRatePerPartition * seconds)
    // with an interval no partition is left without any; without one the time will come
    if (recordsPerPartition === 0 && this.#intervalMs === 0) return { records: 0, recordsPerPartition }
    return { records, recordsPerPartition: Math.max(1, recordsPerPartition) }
  }

  /** A batch was planned that takes something of the stream or, with an interval, nothing. */
  planned(nowMs: number): void {
    const { rate } = this
    this.#rest = rate === undefined ? 0 : (rate * this.#seconds(nowMs) + this.#rest) % 1
    this.#lastMs = nowMs
  }

  /** A batch that took so many records is committed. */
  committed(records: number, { endMs, processingMs, schedulingMs }: BatchPace): void {
    this.#estimated = this.#estimator?.compute(endMs, records, processingMs, schedulingMs) ?? this.#estimated
  }

  /** The time that a batch stands for. */
  #seconds(nowMs: number): number {
    return (this.#intervalMs > 0 ? this.#intervalMs : Math.min(savedMsMax, nowMs - this.#lastMs)) / 1_000
  }
}

/** What is wrong with the options of a stream. */
export function rateFaults(
  { maxRate, maxRatePerPartition, backpressure }: RateOptions,
  { of, intervalMs, where }: { readonly of: string; readonly intervalMs: number; readonly where: Place },
): readonly SquallError[] {
  const { initialRate, ...pid } = typeof backpressure === 'object' ? backpressure : {}
  const faults = Object.entries({ maxRate, maxRatePerPartition, initialRate }).flatMap(([option, value]) =>
    value === undefined || value > 0
      ? []
      : [new SquallError('bad-option', { option, of, value, expected: 'a number of more than 0' }, where)],
  )
  if (backpressure === undefined || backpressure === false) return faults
  if (intervalMs === 0) {
    const expected = 'a batchInterval; without one a batch begins when the one before is done, and maxRate or batchRecordsMax bounds it'
    return [...faults, new SquallError('bad-option', { option: 'backpressure', of, value: 'on', expected }, where)]
  }
  try {
    new PidRateEstimator({ ...pid, batchIntervalMs: intervalMs })
  } catch (error) {
    return [...faults, error as SquallError]
  }
  return faults
}
