/**
 * ExactWordCount: words of a file counted exactly once into a state on disk, in batches of about half a second, as fast as they go.
 * When it is over, the state must hold what a count by hand gives, times the passes over the file.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { viewState } from '../lib/batch/state/inspect.ts'
import { startRun } from '../lib/engine/run.ts'
import { describeMachine, ownCpuSeconds, peakRssMb } from './machine.ts'
import type { Machine } from './machine.ts'
import definition, { perBatch } from './scenarios/exact-word-count.ts'
import { sharedClock } from './scenarios/probe.ts'
import { sampleText } from './text.ts'

export const exactName = 'ExactWordCount'

export interface ExactOptions {
  readonly executors: number
  readonly store: 'log' | 'lmdb'
  readonly seconds: number
  readonly warmUp: number
  readonly text: string | undefined
}

export interface ExactMeasurement {
  readonly scenario: typeof exactName
  readonly executors: number
  readonly store: 'log' | 'lmdb'
  /** lines */
  readonly recordsPerSecond: number
  readonly wordsPerSecond: number
  /** from when a batch was planned until it was committed; batches overlap */
  readonly batchMs: { readonly p50: number; readonly p99: number }
  /** CPU time of the whole process for a line */
  readonly cpuUsPerRecord: number
  readonly rssMb: number
  readonly batches: number
  readonly cpuCores: number
  readonly node: string
  readonly machine: Machine
}

/** About half a second of work for an executor. */
const batchBytesPerExecutor = 12 << 20
const batchesMax = 100_000
const nowMs = sharedClock()

export async function measureExact({ executors, store, seconds, warmUp, text }: ExactOptions): Promise<ExactMeasurement> {
  const folder = mkdtempSync(join(tmpdir(), 'squall-bench-'))
  try {
    const file = text ?? join(folder, 'text')
    if (text === undefined) writeFileSync(file, sampleText(1_000_000).bytes)
    const marks = new Float64Array(new SharedArrayBuffer(8 * (1 + perBatch * batchesMax)))
    const fromMs = nowMs() + warmUp * 1_000
    const params = { file, batchBytes: batchBytesPerExecutor * executors, untilMs: fromMs + seconds * 1_000, marks }
    const module = new URL(`./scenarios/exact-word-count${import.meta.url.slice(-3)}`, import.meta.url).href
    const config = { stateDir: folder, stateStore: store }
    const run = await startRun({ definition, module }, { params, config, executors, onError: ({ message }) => console.error(message) })
    const progress = { isOver: false }
    const done = run.done.finally(() => (progress.isOver = true))
    const committed = (): number => marks[0] as number
    while (!progress.isOver && nowMs() < fromMs) await sleep(5)
    // the window is of whole batches: it begins with the next commit
    const first = committed()
    while (!progress.isOver && committed() <= first) await sleep(1)
    const before = { batches: committed(), atMs: marks[perBatch * (committed() - 1) + 2] as number, cpu: ownCpuSeconds() }
    const result = await done
    const cpu = ownCpuSeconds() - before.cpu
    if (result.state !== 'finished') throw result.error ?? new Error(`the run was ${result.state}`)

    const all = batchesOf(marks)
    const counted = all.slice(before.batches)
    const byHand = countByHand(file)
    await compare(folder, byHand, sum(all.map(({ bytes }) => bytes)) / byHand.bytes)
    const share = sum(counted.map(({ bytes }) => bytes)) / byHand.bytes
    const took = ((all.at(-1)?.committedMs ?? 0) - before.atMs) / 1_000
    const batchMs = counted.map(({ plannedMs, committedMs }) => committedMs - plannedMs).sort((a, b) => a - b)
    const at = (part: number): number => Number((batchMs[Math.floor(part * (batchMs.length - 1))] ?? 0).toFixed(1))
    return {
      scenario: exactName,
      executors,
      store,
      recordsPerSecond: Math.round((share * byHand.lines) / took),
      wordsPerSecond: Math.round((share * byHand.words) / took),
      batchMs: { p50: at(0.5), p99: at(0.99) },
      cpuUsPerRecord: Number(((cpu * 1e6) / (share * byHand.lines)).toFixed(3)),
      rssMb: Number(peakRssMb().toFixed(1)),
      batches: counted.length,
      cpuCores: Number((cpu / took).toFixed(2)),
      node: process.version,
      machine: describeMachine(),
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

interface Batch {
  readonly plannedMs: number
  readonly committedMs: number
  readonly bytes: number
}

function batchesOf(marks: Float64Array): readonly Batch[] {
  return Array.from({ length: marks[0] as number }, (_, i) => {
    const [plannedMs = 0, committedMs = 0, bytes = 0] = marks.subarray(perBatch * i + 1)
    return { plannedMs, committedMs, bytes }
  })
}

interface ByHand {
  readonly counts: ReadonlyMap<string, number>
  readonly words: number
  readonly lines: number
  readonly bytes: number
}

function countByHand(file: string): ByHand {
  const bytes = readFileSync(file)
  const counts = new Map<string, number>()
  let [words, lines] = [0, 0]
  for (let from = 0; from < bytes.length; lines++) {
    const end = bytes.indexOf(10, from)
    const to = end < 0 ? bytes.length : end
    for (const word of bytes.toString('utf8', from, to).split(' ')) {
      counts.set(word, (counts.get(word) ?? 0) + 1)
      words++
    }
    from = to + 1
  }
  return { counts, words, lines, bytes: bytes.length }
}

/** Throws unless the state holds the counts, so many times. */
async function compare(folder: string, { counts }: ByHand, passes: number): Promise<void> {
  const view = await viewState(folder, definition.name)
  try {
    let keys = 0
    for (const [word, count] of view.entries('counts')) {
      keys++
      const expected = passes * (counts.get(word as string) ?? 0)
      if (count !== expected) throw new Error(`the state has ${String(count)} for ${String(word)}, a count by hand ${expected}`)
    }
    if (keys !== counts.size) throw new Error(`the state has ${keys} words, a count by hand ${counts.size}`)
  } finally {
    await view.close()
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
