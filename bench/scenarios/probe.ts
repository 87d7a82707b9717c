/**
 * What a scenario measures inside its threads, in memory that the bench shares with them through a parameter: latencies
 * that components count themselves (from when a tuple should have left), the time lost to garbage collection, and, for
 * runs that look for leaks, the heap after a collection that the bench asked for.
 */
import { PerformanceObserver } from 'node:perf_hooks'
import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { threadId } from 'node:worker_threads'
import { z } from '../../lib/index.ts'
import { Histogram, histogramSize, record } from '../../lib/metrics/histogram.ts'

/** Threads that are told apart; ids of threads are taken modulo this. */
const threadsMax = 64
/** Collections asked for so far; then a block a thread, then a histogram a task. */
const askedAt = 0
const threadCells = 3
const threadsAt = 1
const histogramsAt = threadsAt + threadsMax * threadCells
const [gcMsAt, answeredAt, heapBytesAt] = [0, 1, 2]
const lookMs = 50

export const probeParam: z.ZodType<Float64Array> = z.instanceof(Float64Array)

/** Memory for a probe of `tasks` tasks that count latencies. */
export function newProbe(tasks: number): Float64Array {
  return new Float64Array(new SharedArrayBuffer((histogramsAt + tasks * histogramSize) * Float64Array.BYTES_PER_ELEMENT))
}

/** The end of the probe in a component's task. */
export class Probe {
  readonly #cells: Float64Array
  readonly #at: number

  constructor(cells: Float64Array, taskIndex: number) {
    this.#cells = cells
    this.#at = histogramsAt + taskIndex * histogramSize
    watchThread(cells)
  }

  latency(ms: number): void {
    record(this.#cells, this.#at, ms)
  }
}

let isWatched = false

/** Has the thread's garbage collections counted; to be called from a component in each thread. */
export function watchThread(cells: Float64Array): void {
  if (isWatched) return
  isWatched = true
  const at = threadsAt + (threadId % threadsMax) * threadCells
  cells[at + answeredAt] = cells[askedAt] as number
  const observer = new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) cells[at + gcMsAt]! += duration
  })
  observer.observe({ entryTypes: ['gc'] })
  const look = (): void => {
    if (cells[at + answeredAt] === cells[askedAt]) return
    cells[at + heapBytesAt] = heapAfterCollection()
    cells[at + answeredAt] = cells[askedAt] as number
  }
  setInterval(look, lookMs).unref()
}

function heapAfterCollection(): number {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  collect() // the second one also takes what the finalizers of the first let go
  const { used_heap_size: heap, external_memory: external } = getHeapStatistics()
  return heap + external
}

/** The end of the probe in the bench. */
export const readings = {
  latency(cells: Float64Array): Histogram {
    const all = new Histogram()
    for (let at = histogramsAt; at < cells.length; at += histogramSize) all.add(cells, at)
    return all
  },

  gcMs(cells: Float64Array): number {
    return sum(cells, gcMsAt)
  },

  /** Collects all garbage in the `threads` threads of the executors; the bytes that are left. */
  async heapBytes(cells: Float64Array, threads: number): Promise<number> {
    const asked = (cells[askedAt]! += 1)
    const answered = (): number => {
      let n = 0
      for (let thread = 0; thread < threadsMax; thread++) if (cells[threadsAt + thread * threadCells + answeredAt] === asked) n++
      return n
    }
    while (answered() < threads) await new Promise((resolve) => setTimeout(resolve, lookMs))
    return sum(cells, heapBytesAt)
  },
}

function sum(cells: Float64Array, of: number): number {
  let total = 0
  for (let thread = 0; thread < threadsMax; thread++) total += cells[threadsAt + thread * threadCells + of] as number
  return total
}

/** Milliseconds on a clock that all threads of the process share. */
export function sharedClock(): () => number {
  const [seconds, nanos] = process.hrtime()
  const offset = seconds * 1e3 + nanos / 1e6 - performance.now()
  return () => performance.now() + offset
}
