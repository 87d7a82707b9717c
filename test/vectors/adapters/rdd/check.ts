/** Compares what an operation gave with what a case expects of it. */
import { HashPartitioner, RDD } from '../../../../lib/index.ts'
import { Unknown, all, isRecord, same } from '../../vectors.ts'
import type { Verdict } from '../../vectors.ts'
import { dataOf, describe } from './chain.ts'
import { evaluate, parse } from './language.ts'

export interface Context {
  /** the order of values is part of what is asserted */
  readonly isOrdered: boolean
  /** the RDDs that went in */
  readonly inputs: readonly RDD<unknown>[]
  /** settings of the case */
  readonly params: Readonly<Record<string, unknown>>
  /** each partition as a list of its own */
  readonly isGlommed: boolean
  /** the RDD before the last step, where a case compares with it */
  readonly before?: RDD<unknown>
}

const tolerance = 0.01

/** Whether a result of the operation, an RDD or what an action gave, is as `expected`. */
export async function check(what: string, result: unknown, expected: unknown, context: Context): Promise<Verdict> {
  if (expected === undefined) return true
  if (typeof expected === 'string' && result instanceof RDD) return said(what, result as RDD<unknown>, expected)
  if (isRecord(expected) && dataOf(expected) === undefined) {
    if (result instanceof Map) return same(what, plain(result), expected)
    if (!(result instanceof RDD) && isRecord(plain(result)) && Array.isArray(expected['set']))
      return same(what, sorted(Object.entries(plain(result) as object)), sorted(expected['set']))
    if (!(result instanceof RDD) && isRecord(result) && Object.keys(expected).every((key) => typeof expected[key] === 'number'))
      return close(what, result, expected)
    const verdicts: Verdict[] = []
    for (const [aspect, value] of Object.entries(expected))
      verdicts.push(await checkAspect(`${what}: ${aspect}`, aspect, result, value, context))
    return verdicts.includes(undefined) ? undefined : all(verdicts)
  }
  const wanted = dataOf(expected) ?? expected
  if (!(result instanceof RDD) && isRecord(plain(result)) && Array.isArray(wanted))
    return same(what, sorted(Object.entries(plain(result) as object)), sorted(wanted))
  if (!(result instanceof RDD)) return compared(what, plain(result), wanted, context)
  const rdd = result as RDD<unknown>
  return compared(what, context.isGlommed ? await rdd.glom().collect() : await rdd.collect(), wanted, context)
}

function compared(what: string, got: unknown, wanted: unknown, { isOrdered }: Context): Verdict {
  if (isOrdered || !Array.isArray(got) || !Array.isArray(wanted)) return same(what, got, wanted)
  return same(what, sorted(got), sorted(wanted))
}

/** In an order of its own, with lists of values within in an order of theirs, where there is none that is asserted. */
export function sorted(values: readonly unknown[]): unknown[] {
  return values.map((value) => (isGroup(value) ? grouped(value) : value)).sort(byText)
}

function byText(a: unknown, b: unknown): number {
  const [x, y] = [JSON.stringify(a), JSON.stringify(b)]
  return x < y ? -1 : x > y ? 1 : 0
}

/** A key with a list of values, or with several. */
function isGroup(value: unknown): value is readonly [unknown, readonly unknown[]] {
  return Array.isArray(value) && value.length === 2 && Array.isArray(value[1])
}

function grouped([key, values]: readonly [unknown, readonly unknown[]]): unknown {
  const isListOfLists = values.length > 1 && values.every((one) => Array.isArray(one))
  return [key, isListOfLists ? values.map((one) => sorted(one as unknown[])) : sorted(values)]
}

/** Without maps: their keys are names then. */
function plain(value: unknown): unknown {
  return value instanceof Map ? Object.fromEntries([...(value as Map<unknown, unknown>)].map(([key, one]) => [String(key), one])) : value
}

/** Numbers by name, near enough. */
function close(what: string, got: Readonly<Record<string, unknown>>, expected: Readonly<Record<string, unknown>>): Verdict {
  return all(
    Object.entries(expected).map(([key, wanted]) => {
      const value = got[key]
      if (typeof value !== 'number') throw new Unknown(key)
      return Math.abs(value - (wanted as number)) <= tolerance || `${what}: ${key} is ${value}, expected ${String(wanted)}`
    }),
  )
}

/** `index equals element`. */
async function said(what: string, rdd: RDD<unknown>, text: string): Promise<Verdict> {
  const values = (await rdd.collect()) as [unknown, unknown][]
  if (/^(index equals element|element equals index)/.test(text))
    return all(values.map(([element, index]) => same(`${what}: the index of ${String(element)}`, index, element)))
  return undefined
}

async function checkAspect(what: string, aspect: string, result: unknown, wanted: unknown, context: Context): Promise<Verdict> {
  const values = async (): Promise<readonly unknown[]> =>
    result instanceof RDD ? ((await result.collect()) as unknown[]) : (result as unknown[])
  const gloms = async (of: unknown): Promise<unknown[][]> => {
    if (!(of instanceof RDD)) throw new Unknown(aspect)
    return (await of.glom().collect()) as unknown[][]
  }
  switch (aspect) {
    case 'set':
    case 'multiset':
      return same(what, sorted(await values()), sorted(dataOf(wanted) ?? []))
    case 'list':
    case 'ordered':
    case 'collect':
      return same(what, await values(), dataOf(wanted))
    case 'result':
      return check(what, result, wanted, context)
    case 'glom':
      return same(what, await gloms(result), wanted)
    case 'size':
    case 'count':
      return same(what, (await values()).length, wanted)
    case 'partitions':
    case 'numPartitions':
      if (!(result instanceof RDD)) return undefined
      return same(what, result.partitions, typeof wanted === 'string' && /^same\b/.test(wanted) ? context.inputs[0]?.partitions : wanted)
    case 'shuffle':
    case 'shuffles':
    case 'hasShuffle': {
      const wide = result instanceof RDD ? ancestorsOf(result as RDD<unknown>).filter(({ kind }) => kind === 'wide').length : Number.NaN
      return same(what, typeof wanted === 'boolean' ? wide > 0 : wide, wanted)
    }
    case 'ancestors':
    case 'dependencies':
      return result instanceof RDD
        ? same(what, new Set(ancestorsOf(result as RDD<unknown>).map(({ rdd }) => rdd.id)).size, wanted)
        : undefined
    case 'partitioner':
      return result instanceof RDD ? partitionerIs(what, result as RDD<unknown>, wanted, context) : undefined
    case 'nonEmpty': {
      const parts = await gloms(result)
      return all((wanted as number[]).map((i) => (parts[i]?.length ?? 0) > 0 || `${what}: partition ${i} is empty`))
    }
    case 'sizes':
      return same(
        what,
        (await gloms(result)).map((part) => part.length),
        wanted,
      )
    case 'each':
      return eachPartition(what, await gloms(result), String(wanted), context)
    case 'partition i': {
      const [left, right] = await Promise.all(context.inputs.map(gloms))
      const parts = await gloms(result)
      const tree = parse(String(wanted))
      return all(parts.map((part, i) => same(`${what} ${i}`, part, evaluate(tree, { left, right, i }))))
    }
    case 'distinct': {
      const all = await values()
      const count = new Set(all.map((one) => JSON.stringify(one))).size
      return same(what, typeof wanted === 'number' ? count : count === all.length, wanted)
    }
    case 'distinctLessThan':
      return new Set(await values()).size < Number(wanted) || `${what}: there are ${new Set(await values()).size}`
    case 'parents': {
      const [input] = context.inputs
      return input === undefined ? undefined : same(what, await parentsOf(result as RDD<unknown>), wanted)
    }
    default: {
      const [, within] = /^sizesWithin(\d+)Of$/.exec(aspect) ?? []
      if (within === undefined) return undefined
      const parts = await gloms(result)
      return all(
        parts.map(
          (part, i) => Math.abs(part.length - Number((wanted as number[])[i])) <= Number(within) || `${what}: part ${i} has ${part.length}`,
        ),
      )
    }
  }
}

/** The steps of the lineage. */
function ancestorsOf(rdd: RDD<unknown>): RDD<unknown>['dependencies'] {
  return rdd.dependencies.flatMap((one) => [one, ...ancestorsOf(one.rdd)])
}

/** For each partition of a coalesced RDD the partitions it has of its parent. */
async function parentsOf(rdd: RDD<unknown>): Promise<number[][]> {
  const parent = rdd.dependencies[0]?.rdd
  if (parent === undefined) throw new Unknown('parents')
  const numbers = rdd.context.source<number, { index: number }>({
    name: 'numbers of partitions',
    partitions: Array.from({ length: parent.partitions }, (_, index) => ({ index })),
    read: ({ index }, push) => push(index),
  })
  return await numbers.coalesce(rdd.partitions).glom().collect()
}

/** `null`, `hash(2)`, `not hash(2)`, `p`, `same as inputs`. */
export function partitionerIs(
  what: string,
  rdd: RDD<unknown>,
  wanted: unknown,
  { inputs, before }: Pick<Context, 'inputs' | 'before'>,
): Verdict {
  const { partitioner } = rdd
  const got = describe(partitioner)
  if (wanted === null || wanted === 'none' || wanted === 'None') return same(what, got, null)
  if (typeof wanted !== 'string') return undefined
  const text = wanted
  if (/^same\b|^unchanged$|^kept$/.test(text)) {
    const of = (before ?? inputs[0])?.partitioner
    return (partitioner !== undefined && of !== undefined && partitioner.equals(of)) || `${what}: it is ${String(got)}`
  }
  const [, not, hash] = /^(not )?hash\((\d+)\)$/.exec(text) ?? []
  if (hash === undefined) return same(what, got, text)
  const isIt = partitioner !== undefined && partitioner.equals(new HashPartitioner(Number(hash)))
  return isIt === (not === undefined) || `${what}: it is ${String(got)}, expected ${text}`
}

/** `|size - 500| < 10`, `within 10 of 500`, `size within 500 +- 10`. */
function inSigns(condition: string): string {
  return condition
    .replace(/^(?:size )?within (\d+) of (\d+)$/, 'abs(size - $2) <= $1')
    .replace(/^(?:size )?within (\d+) (?:\+-|\+\/-|±) (\d+)$/, 'abs(size - $1) <= $2')
    .replace(/\|([^|]+)\|/g, 'abs($1)')
}

/** `non-empty and size <= floor(n/to)+from`. */
function eachPartition(what: string, parts: readonly unknown[][], text: string, { params, inputs }: Context): Verdict {
  const n = parts.reduce((sum, part) => sum + part.length, 0)
  const names = { n, from: inputs[0]?.partitions, to: parts.length, partitions: parts.length, ...params }
  return all(
    text.split(' and ').flatMap((condition) =>
      parts.map((part, i) => {
        const holds =
          condition.trim() === 'non-empty' ? part.length > 0 : evaluate(parse(inSigns(condition)), { ...names, size: part.length })
        return holds === true || `${what}: partition ${i} has ${part.length} values, expected ${condition}`
      }),
    ),
  )
}
