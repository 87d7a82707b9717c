/**
 * The word count over worker processes, as a supervisor would start them, linked over TCP on this machine: what the way between
 * processes costs. No nimbus and no supervisors, which have no part in what runs.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { FromWorker } from '../lib/cluster/worker/assignment.ts'
import { nodeProcesses } from '../lib/cluster/supervisor/node-processes.ts'
import type { RunningWorker } from '../lib/cluster/supervisor/processes.ts'
import { Histogram, histogramSize, record } from '../lib/metrics/histogram.ts'
import type { Snapshot } from '../lib/metrics/snapshot.ts'
import { SquallError } from '../lib/errors.ts'
import type { Scenario } from './catalog.ts'
import { cpuSecondsOf, describeMachine, machineCpuSeconds, rssMbOf } from './machine.ts'
import type { Machine } from './machine.ts'
import { sustainedShare } from './measure.ts'
import type { MeasureOptions } from './measure.ts'
import { latencyOf } from './scenarios/word-count-workers.ts'
import { sampleText } from './text.ts'

export interface WorkersMeasurement {
  readonly scenario: string
  readonly workers: number
  /** of all workers */
  readonly executors: number
  /** trees acked */
  readonly treesPerSecond: number
  /** of all workers */
  readonly cpuUsPerTree: number
  readonly cpuCores: number
  /** what other programs used meanwhile: with much of it, repeat the run */
  readonly otherCores: number
  /** from when a line was due, at a fixed rate; at full speed latency is the length of the queue */
  readonly latencyMs?: { readonly p50: number; readonly p99: number; readonly p999: number }
  readonly rate?: number
  readonly sustained?: boolean
  readonly settings: Readonly<Record<string, string>>
  /** of all workers, at the end */
  readonly rssMb: number
  readonly seconds: number
  /** over the whole run, once everything under way was done */
  readonly end: {
    readonly emitted: number
    readonly acked: number
    readonly failed: number
    readonly expired: number
    readonly lost: number
  }
  readonly node: string
  readonly machine: Machine
}

const module = fileURLToPath(new URL(`./scenarios/word-count-workers${import.meta.url.slice(-3)}`, import.meta.url))
const sampleLines = 200_000
const lookMs = 50
/** What is under way after the window gets this long to be done. */
const windUpMs = 30_000

export async function measureWorkers(scenario: Scenario, workers: number, options: MeasureOptions): Promise<WorkersMeasurement> {
  const { executors, rate, seconds, warmUp, settings } = options
  if (executors < workers || !options.ack)
    throw new SquallError('usage', {
      problem: 'fewer executors than workers, or no acks',
      hint: 'each worker has one at least, and acks are on',
    })
  const folder = mkdtempSync(join(tmpdir(), 'squall-workers-'))
  const crew = new WorkerCrew()
  try {
    const text = options.text ?? join(folder, 'text.txt')
    if (options.text === undefined) writeFileSync(text, sampleText(sampleLines).bytes)
    await crew.start(folder, workers, executors, { executors, text, rate }, settings)
    await sleep(warmUp * 1_000)
    const before = await crew.mark()
    await sleep(seconds * 1_000)
    const after = await crew.mark()
    const end = await crew.windUp()
    const took = (after.atMs - before.atMs) / 1_000
    const trees = after.snapshot.totals.acked - before.snapshot.totals.acked
    const cpuSeconds = after.cpu - before.cpu
    const { p50, p99, p999 } = latencies(after.snapshot).since(latencies(before.snapshot)).summary()
    return {
      scenario: scenario.name,
      workers,
      executors,
      treesPerSecond: round(trees / took, 1),
      cpuUsPerTree: round((cpuSeconds * 1e6) / trees, 4),
      cpuCores: round(cpuSeconds / took, 2),
      otherCores: round(Math.max(0, (after.machineCpu - before.machineCpu - cpuSeconds) / took), 2),
      ...(rate > 0 && { latencyMs: { p50, p99, p999 }, rate, sustained: trees / took >= rate * sustainedShare }),
      settings,
      rssMb: round(after.rssMb, 1),
      seconds: round(took, 2),
      end,
      node: process.version,
      machine: describeMachine(),
    }
  } finally {
    crew.end()
    rmSync(folder, { recursive: true, force: true })
  }
}

interface Mark {
  readonly atMs: number
  readonly cpu: number
  readonly machineCpu: number
  readonly rssMb: number
  readonly snapshot: Snapshot
}

/** The workers of one topology: the first leads. */
class WorkerCrew {
  #workers: readonly RunningWorker[] = []
  #places: readonly { readonly worker: number; readonly incarnation: number; readonly executors: number[]; readonly url: string }[] = []
  #executors = 0
  #heard: (words: FromWorker) => void = () => undefined
  #isOver = false

  async start(
    folder: string,
    workers: number,
    executors: number,
    params: Readonly<Record<string, unknown>>,
    config: Readonly<Record<string, string>>,
  ): Promise<void> {
    this.#executors = executors
    const token = 'bench'
    this.#workers = await Promise.all(
      Array.from({ length: workers }, async (_, worker) => {
        const own = join(folder, String(worker))
        mkdirSync(own)
        const launch = {
          topology: 'bench',
          id: 'bench-1',
          worker,
          incarnation: 1,
          module,
          params,
          config,
          host: '127.0.0.1',
          port: 0,
          token,
        }
        return await nodeProcesses.start(
          { launch, folder: own, logFile: join(own, 'log'), heapMb: undefined, environment: [] },
          {
            said: (words) => this.#heard(words),
            ended: (reason) => {
              if (!this.#isOver) process.stderr.write(`worker ${worker} has ended: ${reason}\n`)
            },
          },
        )
      }),
    )
    this.#places = this.#workers.map(({ url }, worker) => ({
      worker,
      incarnation: 1,
      executors: Array.from({ length: executors }, (_, executor) => executor).filter((executor) => executor % workers === worker),
      url,
    }))
    this.#assign(1, true)
    while ((await this.#snapshot()).totals.acked === 0) await sleep(lookMs)
  }

  async mark(): Promise<Mark> {
    const pids = this.#workers.map(({ pid }) => pid)
    const snapshot = await this.#snapshot()
    return {
      atMs: performance.now(),
      cpu: pids.reduce((sum, pid) => sum + cpuSecondsOf(pid), 0),
      machineCpu: machineCpuSeconds(),
      rssMb: pids.reduce((sum, pid) => sum + rssMbOf(pid), 0),
      snapshot,
    }
  }

  /** Stops the spouts, and waits until nothing is under way. */
  async windUp(): Promise<WorkersMeasurement['end']> {
    this.#assign(2, false)
    const untilMs = performance.now() + windUpMs
    for (;;) {
      const { emitted, acked, failed, expired } = (await this.#snapshot()).totals
      const lost = emitted - acked - failed - expired
      if (lost === 0 || performance.now() > untilMs) return { emitted, acked, failed, expired, lost }
      await sleep(lookMs)
    }
  }

  end(): void {
    this.#isOver = true
    for (const worker of this.#workers) {
      worker.signal('SIGKILL')
      worker.release()
    }
  }

  #assign(epoch: number, isActive: boolean): void {
    const assignment = { epoch, fence: epoch, executors: this.#executors, workers: [...this.#places], isActive }
    for (const worker of this.#workers) worker.tell({ kind: 'assignment', assignment, positions: {} })
  }

  /** What the lead has counted, once it runs. */
  async #snapshot(): Promise<Snapshot> {
    for (;;) {
      const said = await new Promise<FromWorker>((resolve) => {
        this.#heard = resolve
        this.#workers[0]?.tell({ kind: 'snapshot', id: 1 })
      })
      if (said.kind === 'over') throw new Error(`the run is over: ${JSON.stringify(said.outcome)}`)
      if (said.kind === 'snapshot' && said.snapshot !== null) return said.snapshot as Snapshot
      await sleep(lookMs)
    }
  }
}

function latencies({ components }: Snapshot): Histogram {
  const cells = new Float64Array(histogramSize)
  for (const { tasks } of components)
    for (const { counters } of tasks) for (const [name, times] of Object.entries(counters)) record(cells, 0, latencyOf(name), times)
  return new Histogram().add(cells, 0)
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits))
}
