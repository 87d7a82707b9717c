/** Measurements as a table for people. */
import type { ClusterStartMeasurement } from './cluster-start.ts'
import type { ExactMeasurement } from './exact.ts'
import type { KeyedMeasurement } from './keyed.ts'
import type { Measurement } from './measure.ts'
import type { RddMeasurement } from './rdd.ts'
import type { RecoveryMeasurement } from './recovery.ts'
import type { StartMeasurement } from './start.ts'
import type { StreamMeasurement } from './streams.ts'
import type { WorkersMeasurement } from './workers.ts'

/** What a scenario gives. */
export type Measured =
  | Measurement
  | StartMeasurement
  | RddMeasurement
  | ExactMeasurement
  | KeyedMeasurement
  | RecoveryMeasurement
  | StreamMeasurement
  | WorkersMeasurement
  | ClusterStartMeasurement

type Cells = readonly (readonly [title: string, text: string])[]

/** Start, RddWordCount and what runs in batches are other kinds of measurement, so they get lines of their own. */
export function tableOf(measured: readonly Measured[]): string {
  const rows = measured.flatMap((one) => ('rootsPerSecond' in one ? [cellsOf(one)] : []))
  const starts = measured.flatMap((one) => ('endMs' in one ? [startLine(one)] : 'upMs' in one ? [clusterStartLine(one)] : []))
  const rdds = measured.flatMap((one) => ('timesTheLoop' in one ? [rddLine(one)] : []))
  const workers = measured.flatMap((one) => ('treesPerSecond' in one ? [workersLine(one)] : []))
  const batches = measured.flatMap((one) => ('batches' in one ? [batchLine(one)] : 'recoveryMs' in one ? [recoveryLine(one)] : []))
  const machine = measured[0]?.machine
  const about =
    machine === undefined
      ? []
      : [`${machine.cpu}, ${machine.cores} cores, ${machine.memoryGb} GB, ${machine.os}, Node ${process.version}, load ${machine.load}`]
  return [...linesOf(rows), ...starts, ...rdds, ...workers, ...batches, ...about].map((line) => `${line}\n`).join('')
}

function cellsOf(one: Measurement): Cells {
  const { p50, p99, p999 } = one.latencyMs
  const ms = (value: number | null): string => (value === null ? '-' : value.toPrecision(3))
  return [
    ['scenario', one.scenario],
    ['ack', one.ack ? 'on' : 'off'],
    ['executors', String(one.executors)],
    ['roots/s', thousands(one.rootsPerSecond)],
    ['tuples/s', thousands(one.executedPerSecond)],
    ['ns/tuple', one.nsPerTuple.toFixed(0)],
    ['us CPU/root', one.cpuUsPerRoot.toPrecision(3)],
    ['p50 ms', ms(p50)],
    ['p99 ms', ms(p99)],
    ['p99.9 ms', ms(p999)],
    ['CPU s', one.cpuSeconds.toFixed(1)],
    ['MB', one.rssMb.toFixed(0)],
    ['GC', `${(one.gcShare * 100).toFixed(1)} %`],
    ['others', `${one.otherCores.toFixed(2)} cores`],
    ['remarks', remarks(one)],
  ]
}

function remarks({ sustained, rate, end, rssMbStart, rssMbEnd, scenario, heapMbStart, heapMbEnd }: Measurement): string {
  return [
    ...(sustained === false ? [`${rate} a second was too much`] : []),
    ...(end.lost !== 0 ? [`${end.lost} LOST`] : []),
    ...(end.failed + end.expired > 0 ? [`${end.failed} failed, ${end.expired} expired`] : []),
    ...(scenario === 'BackPressure' ? [`from ${rssMbStart.toFixed(0)} to ${rssMbEnd.toFixed(0)} MB`] : []),
    ...(heapMbStart !== undefined && heapMbEnd !== undefined ? [`heap from ${heapMbStart} to ${heapMbEnd} MB`] : []),
  ].join('; ')
}

function startLine({ startMs, nodeMs, runs }: StartMeasurement): string {
  return `Start: ${startMs.p50.toFixed(0)} ms from the command to the first tuple (an empty node: ${nodeMs.p50.toFixed(0)} ms), the middle of ${runs} runs`
}

function clusterStartLine({ upMs, firstTupleMs, deployMs, listMs, describeMs, runs }: ClusterStartMeasurement): string {
  const [up, first, deploy, list, describe] = [upMs, firstTupleMs, deployMs, listMs, describeMs].map(({ p50 }) => p50.toFixed(0))
  return `ClusterStart: up ${up} ms, deploy ${first} ms to the first tuple and ${deploy} to its end, list ${list} ms, describe ${describe} ms, the middle of ${runs} runs`
}

function rddLine({ scenario, wordsPerSecond, rddMs, loopMs, timesTheLoop, runs }: RddMeasurement): string {
  return `${scenario}: ${thousands(wordsPerSecond)} words/s, ${rddMs.p50.toFixed(0)} ms, ${timesTheLoop.toFixed(2)} times the loop's ${loopMs.p50.toFixed(0)} ms, the middle of ${runs} runs`
}

function workersLine(one: WorkersMeasurement): string {
  const { latencyMs, sustained, end } = one
  const latency = latencyMs === undefined ? '' : `, p50 ${latencyMs.p50.toPrecision(2)} ms, p99 ${latencyMs.p99.toPrecision(2)} ms`
  const kept = sustained === false ? ', which was too much' : ''
  const lost = end.lost === 0 ? '' : `, ${end.lost} LOST`
  return `${one.scenario}, ${one.workers} workers with ${one.executors} executors: ${thousands(one.treesPerSecond)} trees/s${kept}${latency}, ${one.cpuUsPerTree.toPrecision(3)} us CPU/tree, ${one.cpuCores} cores (others ${one.otherCores}), ${one.rssMb.toFixed(0)} MB${lost}`
}

function batchLine(one: ExactMeasurement | KeyedMeasurement | StreamMeasurement): string {
  const { p50, p99 } = one.batchMs
  const keys = 'keys' in one && one.keys !== undefined ? `${thousands(one.keys)} keys: ` : ''
  const rate = 'wordsPerSecond' in one ? `${thousands(one.wordsPerSecond)} words/s` : `${thousands(one.recordsPerSecond)} records/s`
  const what = 'rows' in one ? `${keys}${rate} (a loop by hand: ${thousands(one.loopRecordsPerSecond)} records/s)` : `${keys}${rate}`
  const kept = 'sustained' in one && one.sustained === false ? ', which was too much' : ''
  return `${one.scenario}, ${one.store}, executors ${one.executors}, ${what}, ${one.batchesPerSecond} batches/s${kept}, of ${p50} ms (p99 ${p99}), ${one.cpuCores} cores (others ${one.otherCores}), ${one.rssMb.toFixed(0)} MB`
}

function recoveryLine({ scenario, store, executors, keys, recoveryMs, startMs, runs, rssMb }: RecoveryMeasurement): string {
  return `${scenario}, ${store}, executors ${executors}, ${thousands(keys)} keys: ${recoveryMs.p50.toFixed(0)} ms to the first commit (one key: ${startMs.p50.toFixed(0)}), the middle of ${runs} runs, ${rssMb.toFixed(0)} MB`
}

function linesOf(rows: readonly Cells[]): readonly string[] {
  const [first] = rows
  if (first === undefined) return []
  const texts = [first.map(([title]) => title), ...rows.map((row) => row.map(([, text]) => text))]
  const widths = first.map((_, column) => Math.max(...texts.map((row) => (row[column] as string).length)))
  const isText = (column: number): boolean => column === 0 || column === first.length - 1
  return texts.map((row) =>
    row
      .map((text, column) => (isText(column) ? text.padEnd(widths[column] as number) : text.padStart(widths[column] as number)))
      .join('  ')
      .trimEnd(),
  )
}

function thousands(value: number): string {
  return Math.round(value)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, ',')
}
