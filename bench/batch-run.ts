/** Runs a scenario of micro-batches and says what its batches took, once it is warm. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ConfigInput } from '../lib/config.ts'
import { startRun } from '../lib/engine/run.ts'
import type { TopologyDefinition } from '../lib/index.ts'
import { describeMachine, machineCpuSeconds, ownCpuSeconds, peakRssMb } from './machine.ts'
import type { Machine } from './machine.ts'
import { batchMarks, committedBatches, newMarks } from './scenarios/marks.ts'
import type { BatchMark } from './scenarios/marks.ts'

export const stores = ['log', 'lmdb', 'memory'] as const
export type Store = (typeof stores)[number]

export interface BatchScenario {
  readonly definition: TopologyDefinition
  /** in scenarios/ */
  readonly file: string
  /** parameters besides `marks` */
  readonly params: Readonly<Record<string, unknown>>
  readonly config?: ConfigInput
  readonly executors: number
  readonly store: Store
  /** where the state is kept, but for the store `memory` */
  readonly folder: string
  /** so many batches do not count, nor do those of so many seconds after them */
  readonly skip?: number
  readonly warmUp: number
}

/** What the batches of a run took, of whole batches from one commit to the last. */
export interface BatchRun {
  /** all there were */
  readonly all: readonly BatchMark[]
  readonly counted: readonly BatchMark[]
  readonly seconds: number
  readonly cpuSeconds: number
  /** of the whole machine */
  readonly machineCpuSeconds: number
  /** the most so far */
  readonly rssMb: number
}

/** What all measurements of batches have. */
export interface BatchFigures {
  readonly executors: number
  readonly store: Store
  readonly batchesPerSecond: number
  /** from when a batch was due, or planned if there is no interval, until it was committed */
  readonly batchMs: { readonly p50: number; readonly p99: number }
  readonly batches: number
  readonly cpuCores: number
  /** what other programs used of the machine meanwhile */
  readonly otherCores: number
  readonly rssMb: number
  readonly node: string
  readonly machine: Machine
}

export async function runBatches({ file, params, store, folder, skip = 0, warmUp, ...scenario }: BatchScenario): Promise<BatchRun> {
  const marks = newMarks()
  const module = new URL(`./scenarios/${file}${import.meta.url.slice(-3)}`, import.meta.url).href
  const { definition, executors } = scenario
  const run = await startRun(
    { definition, module },
    {
      params: { ...params, marks },
      config: { ...scenario.config, ...(store !== 'memory' && { stateDir: folder, stateStore: store }) },
      executors,
      onError: ({ message }) => console.error(message),
    },
  )
  const progress = { isOver: false }
  const done = run.done.finally(() => (progress.isOver = true))
  while (!progress.isOver && committedBatches(marks) < skip) await sleep(5)
  const fromMs = performance.now() + warmUp * 1_000
  while (!progress.isOver && performance.now() < fromMs) await sleep(5)
  // the window is of whole batches: it begins with the next commit
  const first = committedBatches(marks)
  while (!progress.isOver && committedBatches(marks) <= first) await sleep(1)
  const before = { batches: committedBatches(marks), cpu: ownCpuSeconds(), machineCpu: machineCpuSeconds() }
  const result = await done
  const rssMb = peakRssMb()
  const [cpuSeconds, machineCpu] = [ownCpuSeconds() - before.cpu, machineCpuSeconds() - before.machineCpu]
  if (result.state !== 'finished') throw result.error ?? new Error(`the run was ${result.state}`)
  const all = batchMarks(marks)
  const counted = all.slice(before.batches)
  const seconds = ((all.at(-1)?.committedMs ?? 0) - (all[before.batches - 1]?.committedMs ?? 0)) / 1_000
  return { all, counted, seconds, cpuSeconds, machineCpuSeconds: machineCpu, rssMb }
}

export function figuresOf(
  { counted, seconds, cpuSeconds, machineCpuSeconds: machineCpu, rssMb }: BatchRun,
  { executors, store }: Pick<BatchFigures, 'executors' | 'store'>,
): BatchFigures {
  const batchMs = counted.map(({ dueMs, committedMs }) => committedMs - dueMs).sort((a, b) => a - b)
  const at = (part: number): number => Number((batchMs[Math.floor(part * (batchMs.length - 1))] ?? 0).toPrecision(4))
  return {
    executors,
    store,
    batchesPerSecond: Number((counted.length / seconds).toPrecision(4)),
    batchMs: { p50: at(0.5), p99: at(0.99) },
    batches: counted.length,
    cpuCores: Number((cpuSeconds / seconds).toFixed(2)),
    otherCores: Number((Math.max(0, machineCpu - cpuSeconds) / seconds).toFixed(2)),
    rssMb: Number(rssMb.toFixed(1)),
    node: process.version,
    machine: describeMachine(),
  }
}

export async function withFolder<R>(use: (folder: string) => Promise<R>): Promise<R> {
  const folder = mkdtempSync(join(tmpdir(), 'squall-bench-'))
  try {
    return await use(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
