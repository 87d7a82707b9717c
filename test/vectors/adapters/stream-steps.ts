/**
 * Spark's streaming suites: steps that add to a memory source, and what is checked after each. An element of `input` is one
 * micro-batch, and one without data behind it; here that one always runs, so one in which the watermark stood still does not count.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { memorySource, topology } from '../../../lib/index.ts'
import type { BatchInfo, BatchReport, DStream, Duration, StateMetrics, StreamTopologyBuilder } from '../../../lib/index.ts'
import { LocalCluster } from '../../../lib/testing/index.ts'
import type { LocalTopology } from '../../../lib/testing/index.ts'
import { sameRows } from '../rows.ts'
import { all, isRecord, same } from '../vectors.ts'
import type { Verdict, VectorCase } from '../vectors.ts'

/** What the stream of a case is built from. */
export interface Built {
  readonly t: StreamTopologyBuilder
  readonly stream: (name?: string) => DStream<unknown>
  /** the step at which the query was started last */
  readonly step: Readonly<Record<string, unknown>>
  /** how often it was started before */
  readonly starts: number
}

export type Build = (built: Built) => DStream<unknown>

interface Ran extends BatchInfo, BatchReport {
  readonly rows: readonly unknown[]
  readonly hasData: boolean
}

type Step = Readonly<Record<string, unknown>>

/** Where a case counts in days, a day of the run has one second: days would be millions of turns. */
export const dayMs = 1_000

export function isOfDays(params: VectorCase['params']): boolean {
  return /\d ?d(ays?)?$/.test(String(params['trigger']))
}

/** The streams that steps add to; `in` when they do not say. */
function streamsOf(steps: readonly Step[]): string[] {
  const words = new Set(['in', 'adds', 'blocks', 'restartBefore', 'coalesce', 'clearSink'])
  const named = steps.flatMap((step) => Object.keys(step).filter((key) => !words.has(key) && Array.isArray(step[key])))
  return named.length === 0 ? ['in'] : [...new Set(named)]
}

/** The micro-batches of a step: records by stream. */
function addsOf(step: Step, streams: readonly string[]): Readonly<Record<string, readonly unknown[]>>[] {
  // a trigger without data is a batch all the same
  if (streams.length === 1 && Array.isArray(step['in']) && step['in'].length === 0) return [{ in: [] }]
  if (Array.isArray(step['adds'])) return (step['adds'] as unknown[][]).map((records) => ({ in: records }))
  if (Array.isArray(step['blocks'])) return [{ in: (step['blocks'] as unknown[][]).flat() }]
  const added = Object.fromEntries(streams.flatMap((name) => (Array.isArray(step[name]) ? [[name, step[name] as unknown[]]] : [])))
  return Object.keys(added).length === 0 ? [] : [added]
}

export class StreamCase {
  readonly #one: VectorCase
  readonly #build: Build
  readonly #steps: readonly Step[]
  readonly #streams: readonly string[]
  readonly #sources: ReadonlyMap<string, ReturnType<typeof memorySource<unknown>>>
  readonly #folder = mkdtempSync(join(tmpdir(), 'squall-vectors-'))
  #ran: Ran[] = []
  #sink: Ran[] = []
  #starts = 0
  #isAdded = false
  /** the time since the first start */
  #clockMs = 0
  /** batches give out what they have, and are not committed */
  #isUncommitted = false

  constructor(one: VectorCase, build: Build) {
    this.#one = one
    this.#build = build
    this.#steps = Array.isArray(one.input) ? (one.input as Step[]) : []
    this.#streams = streamsOf(this.#steps)
    this.#sources = new Map(this.#streams.map((name) => [name, memorySource<unknown>({ partitions: 2, oneAtATime: true })]))
  }

  async run(): Promise<Verdict> {
    const { params, expected } = this.#one
    const verdicts: Verdict[] = []
    await using cluster = await LocalCluster.start({ seed: 7, executors: 2 })
    let running: LocalTopology | undefined
    try {
      for (const records of (params['alreadyProcessed'] ?? []) as unknown[][]) {
        running ??= await this.#start(cluster, {})
        await this.#add(running, { in: records })
      }
      running ??= await this.#start(cluster, this.#steps[0] ?? {})
      // batches come just before the ends of steps
      if (params['manualClock'] === true) await running.advance(20)
      for (const [i, step] of this.#steps.entries()) {
        this.#ran = []
        const wanted = Array.isArray(expected) ? (expected[i] as unknown) : undefined
        if (step['clearSink'] === true) this.#sink = []
        if (step['restartBefore'] === true) {
          await running.kill()
          running = await this.#start(cluster, step)
          // the batch that is not among the commits runs again, with its data
          this.#isAdded = this.#isUncommitted
          this.#isUncommitted = false
          this.#clockMs += this.#scaled(step['advanceClockBeforeRestartMs'])
          await running.advance(this.#clockMs + 20)
        }
        this.#isUncommitted = this.#steps[i + 1]?.['purgeCommitsBefore'] !== undefined
        const fails = isRecord(wanted) && wanted['error'] !== undefined
        try {
          for (const records of addsOf(step, this.#streams)) await this.#add(running, records, this.#scaled(step['advanceClockMs']))
        } catch (error) {
          if (!fails && !this.#isUncommitted) throw error
        }
        if (!fails && !this.#isUncommitted) throwFirst(running)
        else if (running.errors.length === 0) return 'the step was expected to fail'
        this.#sink.push(...this.#ran)
        if (isRecord(wanted)) verdicts.push(this.#check(wanted, `step ${i + 1}`))
      }
    } finally {
      await running?.kill()
      rmSync(this.#folder, { recursive: true, force: true })
    }
    return all(verdicts)
  }

  #scaled(ms: unknown): number {
    return (Number(ms ?? 0) * (isOfDays(this.#one.params) ? dayMs : 1)) / (isOfDays(this.#one.params) ? 86_400_000 : 1)
  }

  async #start(cluster: LocalCluster, step: Step): Promise<LocalTopology> {
    const { params } = this.#one
    const [, every] = /^processingTime (.+)$/.exec(String(params['trigger'])) ?? []
    const days = isOfDays(params) ? Number.parseInt(every ?? '', 10) : undefined
    const batchInterval = days === undefined ? (every as Duration | undefined) : days * dayMs
    const options = {
      ...(batchInterval !== undefined && { batchInterval }),
      // a trigger that fires once has one batch, and none without data
      ...((params['noDataBatches'] === false || /^once\b/.test(String(params['trigger']))) && { noDataBatches: false }),
      ...(typeof params['policy'] === 'string' && { watermarkPolicy: params['policy'] as 'min' | 'max' }),
    }
    const starts = this.#starts++
    const definition = topology('suite', (t) => {
      const stream = (name = 'in'): DStream<unknown> => t.stream(name, this.#sources.get(name) ?? memorySource<unknown>(), options)
      this.#build({ t, stream, step, starts }).foreachRDD(async (rdd, info) => {
        this.#ran.push({ ...info, rows: await rdd.collect(), hasData: this.#isAdded })
        this.#isAdded = false
        if (this.#isUncommitted) throw new Error('the case wants it not to be committed')
      })
    })
    return cluster.submit(definition, { config: { stateDir: this.#folder, batchAttemptsMax: 1 } })
  }

  async #add(running: LocalTopology, records: Readonly<Record<string, readonly unknown[]>>, advanceMs = 0): Promise<void> {
    for (const [name, values] of Object.entries(records)) this.#sources.get(name)?.add(...values)
    this.#isAdded = true
    this.#clockMs += advanceMs
    await running.advance(advanceMs || 20)
  }

  // ------------------------------------------------------------------------------------------------ checks

  #check(wanted: Readonly<Record<string, unknown>>, when: string): Verdict {
    const isComplete = this.#one.params['mode'] === 'complete'
    const lastOf = (ran: readonly Ran[]): readonly unknown[] => counted(ran).at(-1)?.rows ?? []
    const found = {
      new: () => (isComplete ? lastOf(this.#ran) : this.#ran.flatMap(({ rows }) => rows)),
      last: () => lastOf(this.#ran.length > 0 ? this.#ran : []),
      all: () => (isComplete ? lastOf(this.#sink) : this.#sink.flatMap(({ rows }) => rows)),
    }[String(wanted['check']) as 'new' | 'last' | 'all']
    const data = this.#ran.find(({ hasData }) => hasData)
    const last = this.#ran.at(-1)
    const metric = (name: keyof StateMetrics, of: readonly Ran[], isSum: boolean): unknown[] => {
      const values = new Map<string, number>()
      for (const { operators } of of)
        for (const one of operators) values.set(one.operator, (isSum ? (values.get(one.operator) ?? 0) : 0) + Number(one[name]))
      // Spark lists the one that is last on the way first
      return [...values.values()].toReversed()
    }
    const metricOf = (key: string, name: keyof StateMetrics, of: readonly Ran[], isSum: boolean): Verdict => {
      if (wanted[key] === undefined) return true
      const values = metric(name, of, isSum)
      return same(`${when}: ${key}`, Array.isArray(wanted[key]) ? values : values.reduce((a: number, b) => a + Number(b), 0), wanted[key])
    }
    const verdicts: Verdict[] = []
    if (Array.isArray(wanted['rows']) && found !== undefined) {
      const rows = found()
      // rows of one column may stand in a list, or by themselves
      const isBare = !rows.some(Array.isArray) && wanted['rows'].every((row) => Array.isArray(row) && row.length === 1)
      verdicts.push(sameRows(`${when}: rows`, rows, isBare ? wanted['rows'].flat() : wanted['rows'], wanted['sorted'] === true))
    }
    verdicts.push(
      metricOf('stateRows', 'rows', last === undefined ? [] : [last], false),
      metricOf('updated', 'updated', data === undefined ? [] : [data], false),
      metricOf('dropped', 'dropped', this.#ran, true),
      metricOf('removed', 'removed', this.#ran, true),
      metricOf('numDroppedDuplicateRows', 'duplicates', this.#ran, true),
    )
    if (wanted['numOutputRows'] !== undefined) verdicts.push(same(`${when}: numOutputRows`, data?.rows.length, wanted['numOutputRows']))
    if (wanted['watermarkMs'] !== undefined)
      verdicts.push(same(`${when}: watermark`, last?.watermarkMs ?? this.#lastMs, wanted['watermarkMs']))
    if (wanted['watermarkAfter'] !== undefined)
      verdicts.push(same(`${when}: watermark`, (last?.watermarkMs ?? this.#lastMs) / 1000, wanted['watermarkAfter']))
    if (wanted['watermark'] !== undefined) verdicts.push(same(`${when}: watermark`, (data?.watermarkMs ?? 0) / 1000, wanted['watermark']))
    if (isRecord(wanted['eventTime'])) verdicts.push(isSeen(data, wanted['eventTime'], when))
    return all(verdicts)
  }

  /** The watermark that was seen last. */
  get #lastMs(): number {
    return this.#sink.at(-1)?.watermarkMs ?? 0
  }
}

/** Without batches that Spark would not have run: neither data, nor a watermark that moved where there is state. */
function counted(ran: readonly Ran[]): Ran[] {
  return ran.filter((one, i) => one.hasData || (one.operators.length > 0 && one.watermarkMs !== ran[i - 1]?.watermarkMs))
}

function isSeen(data: Ran | undefined, wanted: Readonly<Record<string, unknown>>, when: string): Verdict {
  const [stats] = Object.values(data?.eventTimes ?? {})
  const seconds = { min: stats?.min, max: stats?.max, avg: stats?.avg, watermark: data?.watermarkMs }
  return all(Object.entries(wanted).map(([name, value]) => same(`${when}: ${name}`, (seconds[name as 'min'] ?? Number.NaN) / 1000, value)))
}

function throwFirst(running: LocalTopology): void {
  const [error] = running.errors
  if (error !== undefined) throw new Error(error.stack ?? JSON.stringify(error))
}
