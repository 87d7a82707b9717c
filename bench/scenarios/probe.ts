/**
 * What a scenario measures inside its threads, in memory that the bench shares with them through a parameter: latencies
 * counted by the spouts themselves (from when a tuple should have left), the time lost to garbage collection, and the
 * moment of the first tuple.
 */
import { PerformanceObserver } from 'node:perf_hooks'
import { z } from '../../lib/index.ts'
import type { SpoutContext } from '../../lib/index.ts'
import { histogramSize, record } from '../../lib/metrics/histogram.ts'

/** Spout tasks that a probe has room for. */
export const probeTasksMax = 8
const perTask = histogramSize + 1

/** Float64 cells: per spout task a histogram and the milliseconds of garbage collection in its thread. */
export const probeBytes: number = probeTasksMax * perTask * Float64Array.BYTES_PER_ELEMENT

export const probeParam: z.ZodType<Float64Array> = z.instanceof(Float64Array).default(() => new Float64Array(probeBytes / 8))

export class Probe {
  readonly #cells: Float64Array
  readonly #at: number

  constructor(cells: Float64Array, context: SpoutContext) {
    this.#cells = cells
    this.#at = context.taskIndex * perTask
    const observer = new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) cells[this.#at + histogramSize]! += duration
    })
    observer.observe({ entryTypes: ['gc'] })
  }

  latency(ms: number): void {
    record(this.#cells, this.#at, ms)
  }

  static histogramAt(task: number): number {
    return task * perTask
  }

  static gcMs(cells: Float64Array): number {
    let sum = 0
    for (let task = 0; task < probeTasksMax; task++) sum += cells[task * perTask + histogramSize] as number
    return sum
  }
}
