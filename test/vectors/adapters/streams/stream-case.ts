/** Cases of batches that go into streams, and what comes out batch by batch. */
import type { DStream, RDD } from '../../../../lib/index.ts'
import { Unknown, all, isRecord, same } from '../../vectors.ts'
import type { Verdict, VectorCase } from '../../vectors.ts'
import { dataOf } from '../rdd/chain.ts'
import { sorted } from '../rdd/check.ts'
import { streamOf } from './program.ts'
import type { Program } from './program.ts'
import { runStreams } from './run.ts'
import type { Batch, StreamRun } from './run.ts'

type Inputs = Readonly<Record<string, readonly (readonly unknown[])[]>>

/** Runs what the operation of a case says; `undefined` where it says what nobody knows here. */
export async function known(run: () => Verdict | Promise<Verdict>): Promise<Verdict> {
  try {
    return await run()
  } catch (error) {
    if (error instanceof Unknown) return undefined
    throw error
  }
}

export function inputsOf(input: unknown): Inputs {
  if (isRecord(input)) return Object.fromEntries(Object.entries(input).map(([name, batches]) => [name, batchesOf(batches)]))
  return { s: batchesOf(input) }
}

function batchesOf(value: unknown): readonly (readonly unknown[])[] {
  const batches = dataOf(value)
  if (batches === undefined) throw new Unknown('batches')
  return batches.map((batch) => {
    // a batch without an RDD has no records; `missing` knows of it
    const data = batch === null ? [] : dataOf(batch)
    if (data === undefined) throw new Unknown('a batch')
    return data
  })
}

/** Batches for which an input has no RDD (`null`), by number. */
function missing(input: unknown): readonly (readonly number[])[] {
  const lists = isRecord(input) ? Object.values(input) : [input]
  return lists.map((list) => (Array.isArray(list) ? list.flatMap((batch, i) => (batch === null ? [i] : [])) : []))
}

/**
 * Inputs for operators that need an RDD of each of their streams in every batch: where an input has none, its stream gives none. To other
 * operators that is a batch without records.
 */
function inputsWithGaps(one: VectorCase, inputs: Program['inputs'], batchMs: number): Program['inputs'] {
  if (!/\b(union|transform\w*)\b/i.test(one.operation)) return inputs
  const gaps = missing(one.input)
  return Object.fromEntries(
    Object.entries(inputs).map(([name, stream], i) => {
      const of = gaps[i] ?? []
      if (of.length === 0) return [name, stream]
      const none = null as unknown as RDD<unknown>
      return [name, stream.transform((rdd, { timeMs }) => (of.includes(timeMs / batchMs - 1) ? none : rdd))]
    }),
  )
}

export function numberOf(one: VectorCase, ...names: readonly string[]): number | undefined {
  return names.map((name) => one.params[name]).find((value) => typeof value === 'number')
}

/** The settings of a case's run. */
export function runOf(one: VectorCase, batches: number): Omit<StreamRun, 'build'> {
  return {
    inputs: inputsOf(one.input),
    batchMs: numberOf(one, 'batchMs', 'batchDurationMs') ?? 1_000,
    batches,
    partitions: numberOf(one, 'inputPartitions') ?? 2,
    restartAfter: numberOf(one, 'restartAfterBatches', 'restartAfter'),
  }
}

export function programOf(one: VectorCase, inputs: Program['inputs'], t: Program['t']): Program {
  return { inputs, t, params: one.params, notes: one.notes, batchMs: numberOf(one, 'batchMs', 'batchDurationMs') ?? 1_000, made: [] }
}

/** What comes out of the operation, one list a batch of its own. */
export async function streamCase(one: VectorCase): Promise<Verdict> {
  const expected = (one.expectError === undefined ? one.expected : (one.expected ?? [])) as readonly unknown[]
  if (!Array.isArray(expected)) return undefined
  const batchMs = numberOf(one, 'batchMs', 'batchDurationMs') ?? 1_000
  const slideMs = /window/i.test(one.operation) ? slideOf(one, batchMs) : batchMs
  const last = Math.max(0, ...missing(one.input).flat()) + 1
  const asked = Math.max(expected.length, one.expectError === undefined ? 0 : last)
  const { out = [] } = await runStreams({
    ...runOf(one, (asked * slideMs) / batchMs),
    build: (inputs, t) => ({ out: streamOf(one.operation, programOf(one, inputsWithGaps(one, inputs, batchMs), t)) }),
  })
  // a case may want the values of a key as a set
  const areSets = /\bsets?\b/i.test(`${one.operation} ${one.notes}`) && /groupByKey/.test(one.operation)
  const shown = areSets ? out.map((batch) => ({ ...batch, values: batch.values.map(withSets) })) : out
  const isSet = one.compare !== 'list' && one.compare !== 'multiset'
  const isList = one.compare === 'list'
  return all([
    same('batches', out.length, expected.length),
    ...expected.map((wanted, i) => batchIs(`batch ${i + 1}`, shown[i], wanted, isList ? 'list' : isSet ? 'set' : 'multiset')),
  ])
}

function withSets(value: unknown): unknown {
  const [key, values] = value as [unknown, unknown]
  return Array.isArray(values) ? [key, [...new Set(values)]] : value
}

/** The slide of the last window of an operation. */
function slideOf(one: VectorCase, batchMs: number): number {
  const said = numberOf(one, 'slideMs', 'slideDurationMs')
  if (said !== undefined) return said
  const windows = [...one.operation.matchAll(/window\w*\(([^()]*)\)/gi)].map(([, args = '']) => args.match(/\d+(?=\s*(?:s|ms)\b)/g) ?? [])
  const seconds = Number(windows.at(-1)?.[1] ?? NaN)
  if (Number.isNaN(seconds)) return batchMs
  return /ms/.test(one.operation) ? seconds : seconds * 1_000
}

export function batchIs(what: string, batch: Batch | undefined, wanted: unknown, compare: 'list' | 'set' | 'multiset'): Verdict {
  if (wanted === null) return true
  if (batch === undefined) return `${what}: there is none`
  if (isRecord(wanted) && dataOf(wanted) === undefined) {
    const { numPartitions = batch.partitions, partitions = numPartitions, ...others } = wanted
    const [values] = Object.values(others)
    return all([
      same(`${what}: partitions`, batch.partitions, partitions),
      values === undefined ? true : same(what, sorted(batch.values), sorted(dataOf(values) ?? [])),
    ])
  }
  const data = dataOf(wanted)
  if (data === undefined) return undefined
  return compared(what, batch.values, data, compare)
}

export function compared(what: string, got: readonly unknown[], wanted: readonly unknown[], compare: 'list' | 'set' | 'multiset'): Verdict {
  if (compare === 'list') return same(what, got, wanted)
  if (compare === 'multiset') return same(what, sorted(got), sorted(wanted))
  return same(what, distinct(got), distinct(wanted))
}

function distinct(values: readonly unknown[]): unknown[] {
  return [...new Map(sorted(values).map((value) => [JSON.stringify(value), value])).values()]
}

/** A stream that a step made, by the name that a case gives it: `mapped`, `window2`, `state`. */
export function madeAs(name: string, { made }: Program): DStream<unknown> | undefined {
  const [, word = '', number] = /^(state|[a-zA-Z]+?)(?:ful|ped|Stream)*(\d*)$/.exec(name) ?? []
  const found = made.filter(({ step }) => step.toLowerCase().includes(word.toLowerCase()))
  return (number === '' || number === undefined ? found[0] : found[Number(number) - 1])?.stream
}
