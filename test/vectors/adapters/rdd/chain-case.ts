/** Cases whose operation is a chain of calls, with a few words around it. */
import { HashPartitioner, RDD, RddContext, SquallError } from '../../../../lib/index.ts'
import { Unknown, all, isRecord } from '../../vectors.ts'
import type { Verdict, VectorCase } from '../../vectors.ts'
import { chainOf, dataOf, keyPartitioner, runChain, splitAtCommas } from './chain.ts'
import type { Scene, Step } from './chain.ts'
import { check } from './check.ts'
import type { Context } from './check.ts'
import { natural } from './natural.ts'
import { evaluate, parse } from './language.ts'
import type { Names } from './language.ts'

/** Partitions where a case does not say. */
const defaultPartitions = 2

/** Operations of several RDDs, which take them from the input when they are given none. */
const several =
  /^(union|zip|cartesian|intersection|subtract|subtractByKey|join|leftOuterJoin|rightOuterJoin|fullOuterJoin|cogroup|groupWith)$/
/** Operations after which the values of a partition have no order of their own. */
const unordering =
  /^(groupBy|\w+ByKey|distinct|intersection|subtract|repartition|cartesian|\w*[jJ]oin|cogroup|groupWith|partitionBy|countBy\w+|keys|values|toSet)$/
const ordering = /^(sortBy|sortByKey|repartitionAndSortWithinPartitions|takeOrdered|top|lookup)$/
/** Those whose data are pairs. */
const byKey = /ByKey$|[jJ]oin$|^cogroup$|^groupWith$/
const variables = /^(n|k|num|key|depth|size|m|limit|count|withReplacement|replace|ascending)$/
/** What a chain may begin with that is no step. */
const starts = /^(sc|SparkContext|context|rdd\d?|nums|data|input|emptyRDD|empty)$/

/** What the words around a chain say. */
interface Words {
  readonly partitions: readonly number[]
  readonly data: readonly unknown[] | undefined
  readonly other: readonly unknown[] | undefined
  /** the size of the result is what is asserted */
  readonly isSize: boolean
  /** its partitions' parents are */
  readonly isParents: boolean
  /** its partitioner is: what it is, or that it is the one before */
  readonly isPartitioner: boolean
  readonly otherPartitions: number | undefined
  readonly isReversed: boolean
  readonly loop: { readonly name: string; readonly values: readonly unknown[] } | undefined
  readonly isBothWays: boolean
  readonly countsDistinct: boolean
  readonly isGlommed: boolean
  /** how the left side is partitioned first */
  readonly left: { readonly partitions: number; readonly isHash: boolean } | undefined
  readonly times: number | undefined
}

const span = String.raw`-?\d+(?:\.\.| to | until )-?\d+`

function wordsOf(rest: string, notes: string): Words {
  const find = (pattern: RegExp): string | undefined => pattern.exec(rest)?.[1]
  const [, otherText, otherPartitions] =
    new RegExp(`\\bwith (${span}|\\[.*?\\]|(?:an? )?empty(?: ?RDD)?)(?: in (\\d+) partitions?)?`, 'i').exec(rest) ?? []
  const [, loopName, loopSpan = ''] = new RegExp(`\\bfor (\\w+?)s?(?: in)? (${span}|\\[[^\\]]*\\])`).exec(rest) ?? []
  const [, hash, partitions] = /\bleft (hash )?partitioned by (?:\w+ )?\(?(\d+)\)?/.exec(rest) ?? []
  const data = find(new RegExp(`\\b(?:over|of|on) (${span})`))
  const numbers = /\bof (\d+(?:,? (?:and )?\d+)*) partitions/.exec(rest)?.[1]?.match(/\d+/g)
  const one = otherText === undefined ? find(/\b(?:in|over|on|with|into) (\d+) (?:partitions?|slices?)/) : undefined
  return {
    partitions: numbers?.map(Number) ?? (one === undefined ? [] : [Number(one)]),
    data: data === undefined ? undefined : dataOf(data),
    other: otherText === undefined ? undefined : (dataOf(otherText) ?? (evaluate(parse(otherText), {}) as unknown[])),
    otherPartitions: otherPartitions === undefined ? undefined : Number(otherPartitions),
    isSize: /(^|\W)(size|count|length)\b/.test(rest),
    isParents: /\bparents\b/.test(rest),
    isPartitioner: /^\W*(keeps? )?(the )?partitioner\b/.test(rest),
    isReversed:
      /\b(reversed?|descending|custom)( order(ing)?)?$|\b(reversed?|descending|custom) order(ing)?\b|\border(ing)?\.reverse\b|\bin reverse\b/i.test(
        rest,
      ),
    loop: loopName === undefined ? undefined : { name: loopName, values: dataOf(loopSpan) ?? (JSON.parse(loopSpan) as unknown[]) },
    isBothWays: /\bboth ways\b/.test(rest),
    countsDistinct: /\bdistinct (ids|values|elements)\b/.test(rest),
    isGlommed: /\bglom\b/.test(`${rest} ${notes}`),
    left: partitions === undefined ? undefined : { partitions: Number(partitions), isHash: hash !== undefined },
    times: find(/\b(twice|three times|\d+ times)\b/)
      ?.replace('twice', '2')
      .replace('three', '3')
      .match(/\d+/)
      ?.map(Number)[0],
  }
}

/** One run of the chain, and what it should give. */
interface Run {
  readonly data: readonly (readonly unknown[])[]
  readonly names: Names
  /** more arguments of the last step */
  readonly args: readonly string[]
  readonly expected: unknown
}

export async function chainCase(one: VectorCase): Promise<Verdict> {
  try {
    return await runCase(one)
  } catch (error) {
    if (error instanceof Unknown) return undefined
    throw error
  }
}

async function runCase(one: VectorCase): Promise<Verdict> {
  // `depth 1..9` among the arguments is a loop over depths
  const operation = one.operation.replace(new RegExp(`\\bdepths? (?:in |from )?(${span})\\)`), 'depth) for depth $1')
  const { steps: found, rest } = partsOf(operation)
  const whole = found.length > 1 && found[0]?.args.length === 0 && starts.test(found[0].name) ? found.slice(1) : found
  const aspect = /^(partitioner|parents)$/.exec(whole.length > 1 ? (whole.at(-1)?.name ?? '') : '')?.[0]
  const steps = aspect === undefined ? whole : whole.slice(0, -1)
  if (steps.length === 0) throw new Unknown(one.operation)
  const said = wordsOf(`${aspect ?? ''} ${rest}`, one.notes)
  const isEither =
    said.loop === undefined && one.params['withReplacement'] === undefined && steps.some(({ args }) => args.includes('withReplacement'))
  const hasRuns = one.params['data'] !== undefined && Array.isArray(one.input) && one.input.length > 0
  const words = isEither && !hasRuns ? { ...said, loop: { name: 'withReplacement', values: [true, false] } } : said
  const verdicts: Verdict[] = []
  for (const run of runsOf(one, steps, words))
    for (const value of words.loop?.values ?? [undefined]) {
      const names = words.loop === undefined ? run.names : { ...run.names, [words.loop.name]: value }
      const orders = words.isBothWays ? [run.data, run.data.toReversed()] : [run.data]
      for (const data of orders) verdicts.push(await runOne(one, steps, words, { ...run, names, data }))
    }
  return verdicts.includes(undefined) ? undefined : all(verdicts)
}

/** The steps, those after `after` and before `then` first, and the words. */
function partsOf(operation: string): { steps: readonly Step[]; rest: string } {
  const [, main, first] = /^(.+?) after (.+)$/.exec(operation) ?? []
  if (main !== undefined && first !== undefined) {
    const [before, after] = [chainOf(first), chainOf(main)]
    return { steps: [...before.steps, ...after.steps], rest: `${after.rest} ${before.rest}` }
  }
  const [, start, then] = /^([\w.()>\-[\], ]+?),? then (.+)$/.exec(operation) ?? []
  if (start !== undefined && then !== undefined && start.split('(').length === start.split(')').length) {
    const [before, after] = [chainOf(start), chainOf(then)]
    return { steps: [...before.steps, ...after.steps], rest: after.rest }
  }
  return chainOf(operation)
}

async function runOne(one: VectorCase, steps: readonly Step[], words: Words, run: Run): Promise<Verdict> {
  const sc = new RddContext({ seed: 1 })
  const last = steps.at(-1) as Step
  const asked = [...steps.slice(0, -1), { name: last.name, args: [...last.args, ...run.args] }]
  const said = [one.params['partitions'] ?? one.params['slices'] ?? defaultPartitions].flat()
  const sides = [one.params['leftPartitions'], one.params['rightPartitions']]
  const partitionsOf = (i: number): number =>
    words.partitions[i] ?? (i > 0 ? words.otherPartitions : undefined) ?? words.partitions[0] ?? Number(sides[i] ?? said[i] ?? said[0])
  const make = (items: readonly unknown[], partitions = defaultPartitions): RDD<unknown> => sc.parallelize(items, partitions)
  const inputs = run.data.map((items, i) => make(items, partitionsOf(i)))
  const [base = sc.empty<unknown>(), ...others] = inputs
  const compare = words.isReversed ? (a: unknown, b: unknown): number => natural(b, a) : undefined
  const [, hash] = /^hash\((\d+)\)$/.exec(String(one.params['partitioner'])) ?? []
  const leftBy = words.left ?? (hash === undefined ? undefined : { partitions: Number(hash), isHash: true })
  const left = leftBy === undefined ? base : partitionedBy(base, leftBy)
  const scene: Scene = {
    sc,
    base: left,
    others: words.other === undefined ? others : [make(words.other, words.otherPartitions ?? base.partitions)],
    names: typeof one.params['ascending'] === 'boolean' ? { ...run.names, ascending: one.params['ascending'] } : run.names,
    compare,
    make,
  }
  const isOrdered = orderOf(asked, one.notes, words)
  const context: Context = {
    isOrdered,
    inputs,
    params: one.params,
    isGlommed: words.isGlommed && !asked.some(({ name }) => name === 'glom'),
  }
  const { expected } = run
  if (words.isParents && !isRecord(expected))
    return await check(one.operation, await runChain(asked, scene), { parents: expected }, context)
  if (words.isPartitioner) return await partitionerOf(one, asked, scene, expected, context)
  if (isRecord(expected) && 'throws' in expected) return await throws(runChain(asked, scene))
  if (words.times !== undefined && Array.isArray(expected)) return await repeated(asked, scene, words.times, expected, context)
  const before = asked.length > 1 && isNarrowed(expected) ? await runChain(asked.slice(0, -1), scene) : undefined
  let result =
    before === undefined ? await runChain(asked, scene) : await runChain(asked.slice(-1), { ...scene, base: before as RDD<unknown> })
  if (words.isSize && typeof expected === 'number' && result instanceof RDD) result = await (result as RDD<unknown>).count()
  if (one.expectError !== undefined) {
    if (result instanceof RDD) await (result as RDD<unknown>).collect()
    return true
  }
  if (words.countsDistinct) result = await distinctIds(result)
  if (isRecord(expected) && 'cachedInputUnchanged' in expected) {
    const { cachedInputUnchanged, ...rest } = expected
    const main = await check(one.operation, result, rest['result'] ?? rest, context)
    const cached = await runChain(asked.slice(0, asked.findIndex(({ name }) => name === 'cache') + 1), scene)
    return all([main, await check('the cached input', cached, cachedInputUnchanged, { ...context, isOrdered: true })])
  }
  return await check(one.operation, result, expected, before instanceof RDD ? { ...context, before: before as RDD<unknown> } : context)
}

/** What is expected of the partitioner is said by that of the RDD before. */
function isNarrowed(expected: unknown): boolean {
  return isRecord(expected) && typeof expected['partitioner'] === 'string' && /\b(same|unchanged|kept)\b/.test(expected['partitioner'])
}

/** `... partitioner`: its name, or whether it is still the one that was there before the last step. */
async function partitionerOf(one: VectorCase, steps: readonly Step[], scene: Scene, expected: unknown, context: Context): Promise<Verdict> {
  const before = await runChain(steps.slice(0, -1), scene)
  const made = before instanceof RDD ? await runChain(steps.slice(-1), { ...scene, base: before as RDD<unknown> }) : undefined
  if (!(made instanceof RDD) || !(before instanceof RDD)) throw new Unknown('a partitioner')
  const isKept = made.partitioner !== undefined && before.partitioner !== undefined && made.partitioner.equals(before.partitioner)
  if (typeof expected === 'boolean') return isKept === expected || `${one.operation}: the partitioner is ${isKept ? 'kept' : 'another'}`
  return await check(one.operation, made, isRecord(expected) ? expected : { partitioner: expected }, {
    ...context,
    before: before as RDD<unknown>,
  })
}

function partitionedBy(base: RDD<unknown>, { partitions, isHash }: NonNullable<Words['left']>): RDD<unknown> {
  return (base as RDD<[unknown, unknown]>).partitionBy(
    isHash ? new HashPartitioner(partitions) : keyPartitioner(`key % ${partitions}`, partitions),
  )
}

/** The chain but for its last step once, the last step so often. */
async function repeated(
  steps: readonly Step[],
  scene: Scene,
  times: number,
  expected: readonly unknown[],
  context: Context,
): Promise<Verdict> {
  const before = await runChain(steps.slice(0, -1), scene)
  if (!(before instanceof RDD)) throw new Unknown('times')
  const verdicts: Verdict[] = []
  for (let i = 0; i < times; i++) {
    const result = await runChain(steps.slice(-1), { ...scene, base: before as RDD<unknown> })
    verdicts.push(await check(`time ${i + 1}`, result, expected[i], context))
  }
  return all(verdicts)
}

async function throws(result: Promise<unknown>): Promise<Verdict> {
  try {
    const made = await result
    if (made instanceof RDD) await (made as RDD<unknown>).collect()
    return 'it did not throw'
  } catch (error) {
    if (error instanceof SquallError) return true
    throw error
  }
}

async function distinctIds(result: unknown): Promise<number> {
  const pairs = result instanceof RDD ? ((await result.collect()) as [unknown, unknown][]) : (result as [unknown, unknown][])
  return new Set(pairs.map(([, id]) => id)).size
}

function orderOf(steps: readonly Step[], notes: string, words: Words): boolean {
  if (/compare sorted|unordered|\bset\b/i.test(notes)) return false
  // it has no order that a case could mean
  const isMixed = steps.some(({ name }, i) => name === 'distinct' && !steps.slice(i).some((later) => ordering.test(later.name)))
  if ((/\bordered\b/.test(notes) && !isMixed) || words.isGlommed) return true
  let isOrdered = true
  for (const { name, args } of steps) {
    if (unordering.test(name) || (name === 'coalesce' && args.length > 1)) isOrdered = false
    if (ordering.test(name)) isOrdered = true
  }
  return isOrdered
}

// ------------------------------------------------------------------------------------------------ runs

/** What the input of a case means: data for one run, for several, or arguments for runs over data that are said elsewhere. */
function runsOf({ operation, params, input, expected }: VectorCase, steps: readonly Step[], words: Words): readonly Run[] {
  const said = params['data'] === undefined ? words.data : dataOf(params['data'])
  const free = [...new Set(steps.flatMap(({ args }) => args.flatMap((arg) => splitAtCommas(arg))))].filter(
    (arg) => variables.test(arg) && arg !== words.loop?.name,
  )
  const own = argsOf(params, steps)
  if (said !== undefined && Array.isArray(input) && input.length > 0 && words.data === undefined)
    return input.map((given: unknown, i) => ({
      data: [said],
      ...bound(given, free),
      expected: Array.isArray(expected) ? (expected[i] as unknown) : expected,
    }))
  const data = said ?? dataOf(listsIn(input))
  if (data === undefined) throw new Unknown(operation)
  // arguments are the names of what is expected
  if (free.length === 1 && isRecord(expected) && Object.keys(expected).every((key) => !Number.isNaN(Number(key))))
    return Object.entries(expected).map(([key, value]) => ({
      data: [data],
      names: { [free[0] as string]: Number(key) },
      args: [],
      expected: value,
    }))
  const takesSeveral = steps.some(({ name, args }) => several.test(name) && !args.some((arg) => !/^\d+( partitions?)?$/.test(arg)))
  if (free.length === 0 && steps.at(-1)?.name === 'lookup' && isRecord(expected))
    return Object.entries(expected).map(([key, value]) => ({ data: [data], names: { k: Number(key) }, args: [], expected: value }))
  if (!takesSeveral || words.other !== undefined) return [{ data: [data], names: params, args: own, expected }]
  const sets = data.map((one) => dataOf(one))
  if (sets.includes(undefined)) throw new Unknown(operation)
  // a list of pairs of data sets, with a list of results
  const isByKey = steps.some(({ name }) => byKey.test(name))
  const isManyRuns =
    Array.isArray(expected) &&
    expected.length === sets.length &&
    depthOf(listsIn(input)) >= (isByKey ? 4 : 3) &&
    !arePairs(sets as unknown[][])
  if (!isManyRuns) return [{ data: sets as unknown[][], names: params, args: own, expected }]
  return (sets as unknown[][][]).map((datasets, i) => ({ data: datasets, names: params, args: own, expected: expected[i] as unknown }))
}

/** An argument of a run: by name, in order, or for the one free name. */
function bound(given: unknown, free: readonly string[]): Pick<Run, 'names' | 'args'> {
  if (isRecord(given)) return { names: given, args: [] }
  if (free.length === 1 && !Array.isArray(given)) return { names: { [free[0] as string]: given }, args: [] }
  return { names: {}, args: (Array.isArray(given) ? given : [given]).map((one) => JSON.stringify(one)) }
}

/** Arguments of a step without any that are among the settings. */
function argsOf(params: Readonly<Record<string, unknown>>, steps: readonly Step[]): readonly string[] {
  const last = steps.at(-1) as Step
  if (last.args.length > 0) return []
  for (const name of ['to', 'n', 'num', 'numPartitions', 'key', 'fraction', 'seed'])
    if (typeof params[name] === 'number') return [String(params[name])]
  return []
}

/** Ranges within are lists, and what is said to be empty is an empty one. */
function listsIn(input: unknown): unknown {
  if (!Array.isArray(input)) return input
  if (input.length > 0 && input.every((one) => typeof one === 'string' && /^\d+ x /.test(one)))
    return input.flatMap((one) => dataOf(one) ?? [])
  return input.map((one: unknown) =>
    isRecord(one) || (typeof one === 'string' && /^empty/i.test(one)) ? (dataOf(one) ?? one) : listsIn(one),
  )
}

function depthOf(value: unknown): number {
  return Array.isArray(value) ? 1 + Math.max(0, ...value.map(depthOf)) : 0
}

/** Data sets of pairs, and not pairs of data sets. */
function arePairs(sets: readonly (readonly unknown[])[]): boolean {
  return sets.every((set) => set.every((one) => Array.isArray(one) && one.length === 2 && !Array.isArray(one[0])) && set.length !== 2)
}
