/**
 * Event time of a stream: what was seen of it, and the watermark, the time that the stream is taken to have come to.
 *
 * The laws are Spark's (`EventTimeWatermark`, `WatermarkTracker`, `EventTimeStats`):
 *   - An input's watermark is the latest time seen in it minus its delay. An input without data yet holds 0.
 *   - The global one is the least of its inputs' (or, by the policy `max`, the greatest), and it never goes back.
 *   - It is computed at the end of a batch and used from the next batch on. It is kept with the batches; the inputs' own are not.
 *   - A row is late when its window's end (or its own time, where there is no window) <= the watermark.
 */
import { SquallError } from '../errors.ts'
import { signedDurationMs } from '../std/clock.ts'
import type { Duration } from '../std/clock.ts'

/** Of several inputs, whose watermark is the global one: that of the slowest or that of the fastest. */
export type WatermarkPolicy = 'min' | 'max'

/** Reads a policy, in any case. Throws `bad-option`. */
export function watermarkPolicy(value: string): WatermarkPolicy {
  const policy = value.toLowerCase()
  if (policy !== 'min' && policy !== 'max')
    throw new SquallError('bad-option', { option: 'policy', of: 'the watermark', value: `'${value}'`, expected: "one of 'min' and 'max'" })
  return policy
}

/** The delay of a watermark in milliseconds; a month counts 31 days. Throws `bad-option`, also for a negative one. */
export function watermarkDelayMs(delay: Duration): number {
  const ms = signedDurationMs(delay)
  if (ms === undefined || ms < 0) {
    const expected =
      ms === undefined ? "a duration such as '10 seconds', '1 day 2 hours' or '500ms'" : 'a duration that is not negative: it should not be'
    throw new SquallError('bad-option', { option: 'delay', of: 'the watermark', value: `'${delay}'`, expected })
  }
  return ms
}

/** The times seen in an input, in milliseconds. `min` and `max` are infinite while there are none. */
export class EventTimeStats {
  max: number
  min: number
  avg: number
  count: number

  constructor(of: Readonly<Pick<EventTimeStats, 'max' | 'min' | 'avg' | 'count'>> = { max: -Infinity, min: Infinity, avg: 0, count: 0 }) {
    this.max = of.max
    this.min = of.min
    this.avg = of.avg
    this.count = of.count
  }

  add(ms: number): void {
    if (ms > this.max) this.max = ms
    if (ms < this.min) this.min = ms
    this.count++
    this.avg += (ms - this.avg) / this.count // no sum, which would grow beyond what a number holds exactly
  }

  merge({ max, min, avg, count }: Readonly<Pick<EventTimeStats, 'max' | 'min' | 'avg' | 'count'>>): void {
    if (count === 0) return
    this.max = Math.max(this.max, max)
    this.min = Math.min(this.min, min)
    this.count += count
    this.avg += ((avg - this.avg) * count) / this.count
  }
}

export interface WatermarkOptions {
  /** the inputs with a watermark, by name, with the delay of each */
  readonly inputs: Readonly<Record<string, Duration>>
  /** `min`; of a run that goes on after a restart it is the one kept with its batches */
  readonly policy?: WatermarkPolicy
  /** the global watermark kept with the last batch (0) */
  readonly watermarkMs?: number
  /** the one kept with the batch before (the same) */
  readonly lateMs?: number
}

/**
 * The watermark over all inputs of a run.
 *
 * ```ts
 * const tracker = new WatermarkTracker({ inputs: { clicks: '10 seconds', views: '5 seconds' } })
 * tracker.endBatch({ clicks: stats })     // true when it moved
 * tracker.watermarkMs                     // for the next batch
 * ```
 */
export class WatermarkTracker {
  readonly policy: WatermarkPolicy
  readonly #inputs = new Map<string, { readonly delayMs: number; watermarkMs: number | undefined }>()
  #watermarkMs: number
  #lateMs: number
  /** as it was before the last `endBatch` */
  #before: { readonly watermarkMs: number; readonly lateMs: number; readonly inputs: readonly (number | undefined)[] } | undefined

  /** Throws `bad-option`. */
  constructor({ inputs, policy = 'min', watermarkMs = 0, lateMs = watermarkMs }: WatermarkOptions) {
    this.policy = watermarkPolicy(policy)
    this.#watermarkMs = watermarkMs
    this.#lateMs = lateMs
    for (const [name, delay] of Object.entries(inputs)) this.#inputs.set(name, { delayMs: watermarkDelayMs(delay), watermarkMs: undefined })
  }

  /** The global watermark, for the batch that comes. */
  get watermarkMs(): number {
    return this.#watermarkMs
  }

  /**
   * The watermark of the batch before. Rows are late by this one, and what has passed by `watermarkMs` is given out: so a result that an
   * operator gives out is not late for the next.
   */
  get lateMs(): number {
    return this.#lateMs
  }

  /** The watermark of each input, and of which of them the global one is; an input without data holds 0. */
  get inputs(): readonly { readonly name: string; readonly delayMs: number; readonly watermarkMs: number; readonly holds: boolean }[] {
    const all = [...this.#inputs].map(([name, { delayMs, watermarkMs = 0 }]) => ({ name, delayMs, watermarkMs }))
    const chosen = this.#choose(all.map(({ watermarkMs }) => watermarkMs))
    return all.map((input) => ({ ...input, holds: input.watermarkMs === chosen }))
  }

  /** Takes what a batch saw of each input (one that is not named saw nothing); true when the global watermark moved. */
  endBatch(seen: Readonly<Record<string, Readonly<Pick<EventTimeStats, 'max' | 'count'>>>>): boolean {
    this.#before = {
      watermarkMs: this.#watermarkMs,
      lateMs: this.#lateMs,
      inputs: [...this.#inputs.values()].map(({ watermarkMs }) => watermarkMs),
    }
    this.#lateMs = this.#watermarkMs
    for (const [name, input] of this.#inputs) {
      const stats = Object.hasOwn(seen, name) ? seen[name] : undefined
      if (stats !== undefined && stats.count > 0) input.watermarkMs = Math.max(input.watermarkMs ?? -Infinity, stats.max - input.delayMs)
    }
    const chosen = this.#choose([...this.#inputs.values()].map(({ watermarkMs = 0 }) => watermarkMs))
    if (chosen <= this.#watermarkMs) return false
    this.#watermarkMs = chosen
    return true
  }

  /** Takes the last `endBatch` back: that batch runs again. */
  undo(): void {
    if (this.#before === undefined) return
    const { watermarkMs, lateMs, inputs } = this.#before
    this.#watermarkMs = watermarkMs
    this.#lateMs = lateMs
    for (const [i, input] of [...this.#inputs.values()].entries()) input.watermarkMs = inputs[i]
    this.#before = undefined
  }

  #choose(watermarks: readonly number[]): number {
    if (watermarks.length === 0) return 0
    return this.policy === 'min' ? Math.min(...watermarks) : Math.max(...watermarks)
  }
}
