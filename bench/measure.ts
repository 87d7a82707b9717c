/** One scenario, once: start, warm up, count over a window, stop, and see that nothing was lost. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { CellLayout } from '../lib/engine/cells.ts'
import type { Run } from '../lib/engine/run-types.ts'
import { startRunWith } from '../lib/engine/run.ts'
import type { CrewMaker } from '../lib/engine/run.ts'
import { Histogram } from '../lib/metrics/histogram.ts'
import type { Snapshot } from '../lib/metrics/snapshot.ts'
import { countBetween } from './catalog.ts'
import type { Scenario, ScenarioOptions } from './catalog.ts'
import { describeMachine, machineCpuSeconds, ownCpuSeconds, peakRssMb, rssMb } from './machine.ts'
import type { Machine } from './machine.ts'
import { newProbe, readings } from './scenarios/probe.ts'

export interface MeasureOptions extends ScenarioOptions {
  readonly seconds: number
  readonly warmUp: number
  /** collect all garbage before and after the window and see what is left */
  readonly soak: boolean
  readonly settings: Readonly<Record<string, string>>
}

/** What `--json` prints. Numbers that were not measured are null. */
export interface Measurement {
  readonly scenario: string
  readonly ack: boolean
  readonly executors: number
  /** trees acked; without acking, roots that the last bolt has executed */
  readonly rootsPerSecond: number
  /** tuples executed by all bolts */
  readonly executedPerSecond: number
  /** CPU time of the whole process for a root, in microseconds */
  readonly cpuUsPerRoot: number
  readonly latencyMs: Percentiles
  /** the most that was resident at any time */
  readonly rssMb: number
  /** share of the executors' time that went to garbage collection */
  readonly gcShare: number
  readonly node: string
  /** CPU time for a tuple executed (emitted, where nothing is executed) */
  readonly nsPerTuple: number
  readonly cpuSeconds: number
  readonly cpuCores: number
  /** what other programs used meanwhile: with much of it, repeat the run */
  readonly otherCores: number
  readonly latency: 'from-due' | 'from-emit' | 'not-measured'
  /** a fixed rate, and whether it was kept up */
  readonly rate?: number
  readonly sustained?: boolean
  readonly seconds: number
  readonly rssMbStart: number
  readonly rssMbEnd: number
  /** after a collection of all garbage, all executors together (`--soak`) */
  readonly heapMbStart?: number
  readonly heapMbEnd?: number
  /** over the whole run, once everything under way was done: `lost` is what was emitted and neither acked nor failed */
  readonly end: End
  readonly machine: Machine
}

interface Percentiles {
  readonly p50: number | null
  readonly p99: number | null
  readonly p999: number | null
}

interface End {
  readonly emitted: number
  readonly acked: number
  readonly failed: number
  readonly expired: number
  readonly pending: number
  readonly lost: number
}

/** A rate counts as kept up when at least this share of it was done. */
export const sustainedShare = 0.995

export async function measure(scenario: Scenario, options: MeasureOptions): Promise<Measurement> {
  const { ack, executors, seconds, warmUp, rate } = options
  const { default: definition } = await scenario.load()
  const probe = newProbe(executors)
  const params = { ...scenario.params(options), probe }
  const config = { ...scenario.config?.(options), ...options.settings, ack }
  const counts = new Counts()
  const run = await startRunWith(counts.crew, { definition, module: scenario.module }, { params, config, executors, onError: tell })
  const over = run.done.then((result) => {
    throw result.error ?? new Error(`the run was ${result.state} while it was measured`)
  })
  await Promise.race([over, sleep(warmUp * 1_000)])
  const heapStart = options.soak ? await readings.heapBytes(probe, executors) : undefined

  const take = (): Mark => ({
    atMs: performance.now(),
    cpu: ownCpuSeconds(),
    machineCpu: machineCpuSeconds(),
    gcMs: readings.gcMs(probe),
    rss: rssMb(),
    latency: scenario.latency === 'from-due' ? readings.latency(probe) : counts.completeLatency(),
    snapshot: run.snapshot(),
  })
  const before = take()
  await Promise.race([over, sleep(seconds * 1_000)])
  const after = take()
  const rssPeak = peakRssMb()
  const heapEnd = options.soak ? await readings.heapBytes(probe, executors) : undefined
  over.catch(() => undefined) // from here on it ends because we stop it
  const end = await windUp(run, ack)

  const took = (after.atMs - before.atMs) / 1_000
  const count = countBetween(before.snapshot, after.snapshot)
  const ids = (kind: 'spout' | 'bolt'): readonly string[] => after.snapshot.components.flatMap((one) => (one.kind === kind ? [one.id] : []))
  const roots = ack ? after.snapshot.totals.acked - before.snapshot.totals.acked : scenario.executedRoots(count)
  const executed = sum(ids('bolt').map((id) => count.executed(id)))
  const emitted = sum(ids('spout').map((id) => count.emitted(id)))
  const cpuSeconds = after.cpu - before.cpu
  const cpuCores = cpuSeconds / took
  const isMeasured = ack || scenario.latency === 'from-due'
  const latency = after.latency.since(before.latency).summary()
  const percentile = (value: number): number | null => (isMeasured && latency.count > 0 ? round(value, 4) : null)
  return {
    scenario: scenario.name,
    ack,
    executors,
    rootsPerSecond: round(roots / took, 1),
    executedPerSecond: round(executed / took, 1),
    cpuUsPerRoot: round((cpuSeconds * 1e6) / roots, 4),
    latencyMs: { p50: percentile(latency.p50), p99: percentile(latency.p99), p999: percentile(latency.p999) },
    rssMb: round(rssPeak, 1),
    gcShare: round((after.gcMs - before.gcMs) / (took * 1_000 * executors), 5),
    node: process.version,
    nsPerTuple: round((cpuSeconds * 1e9) / (executed === 0 ? emitted : executed), 1),
    cpuSeconds: round(cpuSeconds, 3),
    cpuCores: round(cpuCores, 2),
    otherCores: round(Math.max(0, (after.machineCpu - before.machineCpu) / took - cpuCores), 2),
    latency: isMeasured ? scenario.latency : 'not-measured',
    ...(rate > 0 && { rate, sustained: roots / took >= rate * sustainedShare }),
    seconds: round(took, 2),
    rssMbStart: round(before.rss, 1),
    rssMbEnd: round(after.rss, 1),
    ...(heapStart !== undefined && heapEnd !== undefined && { heapMbStart: round(heapStart / 1e6, 2), heapMbEnd: round(heapEnd / 1e6, 2) }),
    end,
    machine: describeMachine(),
  }
}

interface Mark {
  readonly atMs: number
  readonly cpu: number
  readonly machineCpu: number
  readonly gcMs: number
  readonly rss: number
  readonly latency: Histogram
  readonly snapshot: Snapshot
}

/** What is under way after the window gets this long to be done. */
const windUpMs = 30_000

/** Stops the spouts, waits until nothing is under way, and counts. */
async function windUp(run: Run, ack: boolean): Promise<End> {
  await run.deactivate()
  const until = performance.now() + windUpMs
  const waiting = (): number => {
    const { components, totals } = run.snapshot()
    if (ack) return totals.emitted - totals.acked - totals.failed - totals.expired
    // without acking, roots count as done at once: what matters is whether what was emitted has been executed
    const streams = new Map<string, number>()
    for (const { id, tasks } of components)
      for (const { emitted } of tasks)
        for (const [stream, n] of Object.entries(emitted)) streams.set(`${id}.${stream}`, (streams.get(`${id}.${stream}`) ?? 0) + n)
    let left = 0
    for (const { tasks } of components)
      for (const input of Object.keys(tasks[0]?.executed ?? {}))
        left += (streams.get(input) ?? 0) - sum(tasks.map(({ executed }) => executed[input] ?? 0))
    return left
  }
  while (waiting() > 0 && performance.now() < until) await sleep(20)
  const { pending } = run.snapshot()
  const left = waiting()
  const { emitted, acked, failed, expired } = await run.stop(0)
  return { emitted, acked, failed, expired, pending, lost: left - (ack ? pending : 0) }
}

/** The counts of a run in full: percentiles of a window need the histograms, and a snapshot has only the percentiles so far. */
class Counts {
  #layout: CellLayout | undefined
  #cells: Float64Array = new Float64Array(0)

  /** The crews of local mode, looked over the shoulder. */
  readonly crew: CrewMaker = async (options) => {
    const { CellLayout } = await import('../lib/engine/cells.ts')
    this.#layout = new CellLayout(options.plan)
    this.#cells = options.cells
    if (options.executors === 1) return new (await import('../lib/engine/crew-here.ts')).CrewHere(options)
    return new (await import('../lib/engine/crew-of-threads.ts')).CrewOfThreads(options)
  }

  completeLatency(): Histogram {
    return this.#layout?.completeLatency(this.#cells) ?? new Histogram()
  }
}

function tell({ component, message, stack }: { readonly component: string; readonly message: string; readonly stack: string }): void {
  console.error(component, stack === '' ? message : stack)
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits))
}
