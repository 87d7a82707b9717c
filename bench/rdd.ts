/**
 * RddWordCount: the words of a file counted with an RDD on one executor, in turns with the loop that one would write by hand: the
 * same file read in chunks, lines cut from them, words counted in a `Map`.
 */
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { RddContext } from '../lib/index.ts'
import { describeMachine, peakRssMb } from './machine.ts'
import type { Machine } from './machine.ts'
import { spread } from './start.ts'
import type { Spread } from './start.ts'
import { sampleText } from './text.ts'

export const rddName = 'RddWordCount'

export interface RddMeasurement {
  readonly scenario: typeof rddName
  readonly runs: number
  readonly words: number
  /** of the RDD, in the middle one of the runs */
  readonly recordsPerSecond: number
  readonly wordsPerSecond: number
  readonly rddMs: Spread
  readonly loopMs: Spread
  /** middle by middle; 1.3 is the goal */
  readonly timesTheLoop: number
  readonly rssMb: number
  readonly node: string
  readonly machine: Machine
}

const warmUps = 2

export async function measureRdd(runs: number, text: string | undefined): Promise<RddMeasurement> {
  const folder = mkdtempSync(join(tmpdir(), 'squall-bench-'))
  try {
    const file = text ?? join(folder, 'text')
    if (text === undefined) writeFileSync(file, sampleText(1_000_000).bytes)
    const lines = await new RddContext().textFile(file).count()
    const rddMs: number[] = []
    const loopMs: number[] = []
    let words = 0
    for (let i = 0; i < warmUps + runs; i++) {
      const byHand = await timed(() => Promise.resolve(countByHand(file)))
      const byRdd = await timed(() => countByRdd(file))
      words = wordsOf(byHand.result)
      if (wordsOf(byRdd.result) !== words || byRdd.result.size !== byHand.result.size) throw new Error('the counts differ')
      if (i < warmUps) continue
      rddMs.push(byRdd.ms)
      loopMs.push(byHand.ms)
    }
    const [rdd, loop] = [spread(rddMs), spread(loopMs)]
    return {
      scenario: rddName,
      runs,
      words,
      recordsPerSecond: Math.round(lines / (rdd.p50 / 1_000)),
      wordsPerSecond: Math.round(words / (rdd.p50 / 1_000)),
      rddMs: rdd,
      loopMs: loop,
      timesTheLoop: Number((rdd.p50 / loop.p50).toFixed(3)),
      rssMb: Number(peakRssMb().toFixed(1)),
      node: process.version,
      machine: describeMachine(),
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** A context of its own each time: nothing of an earlier run is kept. */
function countByRdd(file: string): Promise<ReadonlyMap<string, number>> {
  return new RddContext()
    .textFile(file)
    .flatMap((line) => line.split(' '))
    .map((word) => [word, 1])
    .reduceByKey((a, b) => a + b)
    .collectAsMap()
}

function countByHand(file: string): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  const buffer = Buffer.allocUnsafe(64 << 10)
  const fd = openSync(file, 'r')
  let rest = ''
  for (let bytes = readSync(fd, buffer); bytes > 0; bytes = readSync(fd, buffer)) {
    const text = rest + buffer.toString('latin1', 0, bytes)
    let from = 0
    for (let to = text.indexOf('\n'); to >= 0; to = text.indexOf('\n', from)) {
      for (const word of text.slice(from, to).split(' ')) counts.set(word, (counts.get(word) ?? 0) + 1)
      from = to + 1
    }
    rest = text.slice(from)
  }
  closeSync(fd)
  if (rest !== '') for (const word of rest.split(' ')) counts.set(word, (counts.get(word) ?? 0) + 1)
  return counts
}

function wordsOf(counts: ReadonlyMap<string, number>): number {
  let sum = 0
  for (const count of counts.values()) sum += count
  return sum
}

async function timed<R>(run: () => Promise<R>): Promise<{ readonly result: R; readonly ms: number }> {
  const from = performance.now()
  const result = await run()
  return { result, ms: performance.now() - from }
}
