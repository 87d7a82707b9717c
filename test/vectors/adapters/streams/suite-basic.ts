/** Spark's BasicOperationsSuite, WindowOperationsSuite and CheckpointSuite: chains of calls on streams. */
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DStream } from '../../../../lib/index.ts'
import { Unknown, all, isRecord, same } from '../../vectors.ts'
import type { Adapter, Verdict, VectorCase, VectorFile } from '../../vectors.ts'
import { dataOf } from '../rdd/chain.ts'
import { streamOf } from './program.ts'
import type { Program } from './program.ts'
import { runStreams } from './run.ts'
import { batchIs, compared, known, madeAs, programOf, runOf, streamCase } from './stream-case.ts'

function suite(name: string, run: Adapter['run']): Adapter {
  const pattern = new RegExp(`(^|\\W)${name}(\\W|$)`)
  return {
    isFor: ({ suite, file, sources }: VectorFile) => [suite, file, ...sources].some((one) => pattern.test(one)),
    run: (one) => known(() => run(one)),
  }
}

export const basicOperations = suite('BasicOperationsSuite', (one) => {
  if (/^(ssc\.|stream\.|input\.)?slice\b/.test(one.operation)) return slices(one)
  if (isRecord(one.expected) && Object.keys(one.expected).some((key) => /^(rememberMs|retainedAt)/.test(key))) return remembered(one)
  return streamCase(one)
})

export const windowOperations = suite('WindowOperationsSuite', streamCase)

/**
 * Runs of two halves. Spark runs the last batch before the stop again; here it was committed, so the second run goes on behind it,
 * and every batch comes out once.
 */
export const checkpoints = suite('CheckpointSuite', (one) => (/\bsave\w*/.test(one.operation) ? saved(one) : streamCase(one)))

/**
 * What is written down by batch. Spark also does so within `transform` (counts of words); here actions are refused there, so it is an
 * output. What was written must be what came out, for every batch.
 */
async function saved(one: VectorCase): Promise<Verdict> {
  const isWithin = one.operation.startsWith('transform(')
  const operation = isWithin ? 'map(x->[x,1]).reduceByKey(+)' : one.operation.replace(/(\s*[.,;]\s*|\s+(with|and)\s+)saveAs.*$/, '')
  const folder = mkdtempSync(join(tmpdir(), 'squall-saved-'))
  try {
    const expected = dataOf(one.expected)
    if (expected === undefined) return undefined
    const run = runOf(one, expected.length)
    const { out = [] } = await runStreams({
      ...run,
      build(inputs, t) {
        const out = streamOf(operation, programOf(one, inputs, t))
        out.saveAsTextFiles(join(folder, 'result'))
        return { out }
      },
    })
    const written = readdirSync(folder).length
    return all([
      same('batches', [out.length, written], [expected.length, expected.length]),
      ...expected.map((wanted, i) => batchIs(`batch ${i + 1}`, out[i], wanted, 'set')),
      ...out.map(({ timeMs, values }) => same(`saved at ${timeMs}`, savedLines(join(folder, `result-${timeMs}`)), values.length)),
    ])
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function savedLines(folder: string): number {
  const parts = readdirSync(folder).filter((name) => name.startsWith('part-'))
  return parts.flatMap((name) => readFileSync(join(folder, name), 'utf8').split('\n').slice(0, -1)).length
}

/** `slice(from, to)`: asked for within the last batch, for only there are all of them. */
async function slices(one: VectorCase): Promise<Verdict> {
  if (one.expectError !== undefined) return await sliceOfStranger(one)
  const queries = (one.params['queries'] ?? [[one.params['fromMs'] ?? one.params['from'], one.params['toMs'] ?? one.params['to']]]) as [
    number,
    number,
  ][]
  if (queries.some((query) => query.some((at) => typeof at !== 'number'))) return undefined
  const run = runOf(one, (dataOf(one.input) ?? []).length)
  const lastMs = run.batches * run.batchMs
  const { out = [] } = await runStreams({
    ...run,
    build({ s }) {
      const stream = (s as DStream<unknown>).remember(lastMs)
      const asked = stream.transform((rdd, info) =>
        rdd.context.union(
          info.timeMs < lastMs
            ? []
            : queries.flatMap(([from, to], i) => info.slice(stream, from, to).map((of) => of.map((value) => [i, value] as const))),
        ),
      )
      return { out: asked }
    },
  })
  const found = (out.at(-1)?.values ?? []) as readonly (readonly [number, unknown])[]
  const expected = one.expected as readonly (readonly unknown[])[]
  return all(
    queries.map((query, i) =>
      compared(
        `slice ${query.join(' to ')}`,
        found.filter(([of]) => of === i).map(([, value]) => value),
        expected[i] ?? [],
        'set',
      ),
    ),
  )
}

/** A stream that has not been started: one of another topology. */
async function sliceOfStranger(one: VectorCase): Promise<Verdict> {
  const idle: DStream<unknown>[] = []
  const run = { ...runOf({ ...one, input: Array.isArray(one.input) && one.input.length > 0 ? one.input : [[1]] }, 1) }
  await runStreams({ ...run, batches: 0, build: ({ s }) => (idle.push(s as DStream<unknown>), { out: s as DStream<unknown> }) })
  const [stranger] = idle
  await runStreams({
    ...run,
    build: ({ s }) => ({
      out: (s as DStream<unknown>).transform((rdd, info) => rdd.context.union(info.slice(stranger as DStream<unknown>, 0, run.batchMs))),
    }),
  })
  return true
}

/** How long streams are remembered, and the batches there are at some time. */
async function remembered(one: VectorCase): Promise<Verdict> {
  const { batches = 10 } = one.params
  const expected = one.expected as Readonly<Record<string, unknown>>
  let program: Program | undefined
  const times: Record<string, readonly number[]> = {}
  const looks = Object.keys(expected).flatMap((key) => /^retainedAt(\d+)s$/.exec(key)?.[1] ?? [])
  await runStreams({
    ...runOf(one, Number(batches)),
    build(inputs, t) {
      program = programOf(one, inputs, t)
      const last = streamOf(one.operation, program)
      const [input = last] = Object.values(inputs)
      const { made } = program
      // every batch, when all of the others have their RDDs
      const look = input.transform((rdd, info) => {
        for (const { stream } of made) times[`${stream.number} ${info.timeMs}`] = info.remembered(stream)
        return rdd
      })
      return { last, look }
    },
  })
  const made = program as unknown as Program
  const streamFor = (name: string): DStream<unknown> => {
    const stream = madeAs(name, made)
    if (stream === undefined) throw new Unknown(name)
    return stream
  }
  const verdicts: Verdict[] = []
  const wanted = expected['rememberMs']
  if (typeof wanted === 'number') verdicts.push(same('remembered', made.made.at(-1)?.stream.rememberMs, wanted))
  else if (isRecord(wanted)) for (const [name, ms] of Object.entries(wanted)) verdicts.push(same(name, streamFor(name).rememberMs, ms))
  for (const seconds of looks) {
    const of = expected[`retainedAt${seconds}s`]
    const byStream = isRecord(of) && ('has' in of || 'not' in of) ? { '': of } : (of as Readonly<Record<string, unknown>>)
    for (const [name, { has = [], not = [] }] of Object.entries(byStream as Record<string, { has?: number[]; not?: number[] }>)) {
      const stream = name === '' ? (made.made.at(-1)?.stream as DStream<unknown>) : streamFor(name)
      const there = times[`${stream.number} ${Number(seconds) * 1_000}`] ?? []
      verdicts.push(
        same(
          `${name} has`,
          has.filter((time) => !there.includes(time)),
          [],
        ),
        same(
          `${name} has not`,
          not.filter((time) => there.includes(time)),
          [],
        ),
      )
    }
  }
  return all(verdicts)
}
