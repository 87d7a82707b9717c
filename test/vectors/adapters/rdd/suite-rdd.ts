/** Spark's RDDSuite. */
import { HashPartitioner, RDD, RddContext, SquallError } from '../../../../lib/index.ts'
import { Unknown, all, isRecord, same } from '../../vectors.ts'
import type { Adapter, Verdict, VectorCase } from '../../vectors.ts'
import { chainCase } from './chain-case.ts'
import { chainOf, dataOf, runChain } from './chain.ts'
import type { Scene } from './chain.ts'
import { check } from './check.ts'
import { evaluate, parse } from './language.ts'

export const rddSuite: Adapter = {
  isFor: ({ suite, file, sources }) => [suite, file, ...sources].some((name) => /(^|\W)RDDSuite(\W|$)/.test(name)),
  async run(one) {
    try {
      for (const handler of handlers) {
        const verdict = await handler(one)
        if (verdict !== undefined) return verdict
      }
    } catch (error) {
      if (!(error instanceof Unknown)) throw error
    }
    return await chainCase(one)
  },
}

/** Operations that are no chain: each looks at what is said, and passes on what is not for it. */
const handlers: readonly ((one: VectorCase) => Promise<Verdict> | Verdict)[] = [
  elsewhere,
  unionKind,
  unionByPartitioner,
  countsApproximately,
  takesSample,
  splits,
  failing,
  pruned,
  programs,
  ancestors,
  parents,
  stopped,
  nested,
  wrongIndices,
  wrongPartitions,
]

/** What the tasks of one machine have no use for, or what they do not do. */
function elsewhere({ operation, params, expectError }: VectorCase): Verdict {
  if (/\blocality\b|preferred ?locations?|\bloc[A-Z]\b/i.test(operation))
    return { differs: 'tasks are threads of one machine: partitions are nowhere' }
  if (/\bcustom (\w+ )?coalescer\b|partitionCoalescer/i.test(operation) || params['maxSplitSize'] !== undefined)
    return { differs: "there are no coalescers of one's own" }
  if (/\bserializ/i.test(operation)) return { differs: 'RDDs and functions are never sent: every task runs the program' }
  if (expectError !== undefined && /partition(er)?-?\s?aware union/i.test(operation))
    return { differs: '`union` chooses its kind by the partitioners: none can be asked for' }
  return undefined
}

/** `input`: how the RDDs are partitioned; `expected`: which union there is. */
async function unionKind({ operation, input, expected }: VectorCase): Promise<Verdict> {
  if (!/\bunion (kind|class|type)\b|\bkind of union\b/.test(operation) || !Array.isArray(input)) return undefined
  if (input.every(Array.isArray) && Array.isArray(expected)) {
    const verdicts: Verdict[] = []
    for (const [i, kinds] of input.entries())
      verdicts.push(await unionKind({ operation, input: kinds as unknown, expected: expected[i] as unknown } as VectorCase))
    return all(verdicts)
  }
  const sc = new RddContext()
  const union = sc.union(input.map((kind) => rddOfKind(sc, String(kind))))
  await union.collect()
  const isAware = union.name === 'partitioner-aware union'
  return isAware === /aware/.test(String(expected)) || `it is a ${union.name}`
}

function rddOfKind(sc: RddContext, kind: string): RDD<[number, unknown]> {
  if (/\bempty/i.test(kind)) return sc.empty<[number, unknown]>()
  const pairs = sc.parallelize<[number, unknown]>([[1, true]], 1)
  const [, hash] = /^hash(?: ?partitioned)?\(?(?:by )?(\d+)\)?/i.exec(kind) ?? []
  if (hash !== undefined) return pairs.partitionBy(new HashPartitioner(Number(hash)))
  if (/none|null|no partitioner|unpartitioned|without|plain|parallelize/i.test(kind)) return pairs
  throw new Unknown(kind)
}

/** Values themselves as keys, so that RDDs of plain values have a partitioner. */
async function unionByPartitioner({ operation, params, input, expected }: VectorCase): Promise<Verdict> {
  const [, n] = /partition(?:er)?-?\s?aware union.*hash partitioned by (\d+)/i.exec(operation) ?? []
  if (n === undefined || !Array.isArray(input)) return undefined
  const sc = new RddContext()
  const inputs = input.map((set) => {
    const pairs = sc.parallelize(dataOf(set) ?? [], 1).map((x): [unknown, null] => [x, null])
    return pairs.partitionBy(new HashPartitioner(Number(n))).mapPartitions((all) => all.map(([x]) => x), true)
  })
  return await check(operation, sc.union(inputs), expected, { isOrdered: false, inputs, params, isGlommed: false })
}

/** `input`: precisions; `expected`: the largest relative error of each. */
async function countsApproximately({ operation, params, input, expected }: VectorCase): Promise<Verdict> {
  if (operation !== 'countApproxDistinct' || !Array.isArray(input) || !Array.isArray(expected)) return undefined
  const data = dataOf(params['data'])
  if (data === undefined) return undefined
  const rdd = new RddContext().parallelize(data, Number(params['partitions'] ?? 2))
  const exact = new Set(data).size
  const verdicts: Verdict[] = []
  for (const [i, run] of input.entries()) {
    const { p, relativeSD } = run as { p?: number; relativeSD?: number }
    // 2^p registers have a relative deviation of about 1.054 / 2^(p/2)
    const deviation = p === undefined ? relativeSD : 1.054 / 2 ** (p / 2)
    const error = Math.abs((await rdd.countApproxDistinct(deviation)) - exact) / exact
    verdicts.push(error <= Number(expected[i]) || `run ${i + 1}: the error is ${error}`)
  }
  return all(verdicts)
}

/** `input`: `[withReplacement, num]`, for several seeds. */
async function takesSample({ operation, params, input, expected, notes }: VectorCase): Promise<Verdict> {
  const [, text] = /^takeSample\b.*?\b(?:over|of|from) (.+)$/.exec(operation) ?? []
  const data = dataOf(params['data']) ?? (/empty/.test(operation) ? [] : dataOf(text))
  if (!/^takeSample\b/.test(operation) || data === undefined || !Array.isArray(input)) return undefined
  const sc = new RddContext()
  const partitions = Number(params['partitions'] ?? 2)
  const rdd = /emptyRDD|empty rdd/i.test(operation) ? sc.empty<unknown>() : sc.parallelize(data, partitions)
  const runs = Array.isArray(input[0]) ? (input as [boolean, number, number?][]) : [input as unknown as [boolean, number, number?]]
  const wanted = Array.isArray(input[0]) && Array.isArray(expected) ? (expected as unknown[]) : [expected]
  const seeds = /seeds? (\d+)(?:\.\.| to )(\d+)/.exec(`${operation} ${notes}`)
  const verdicts: Verdict[] = []
  for (const [i, [withReplacement, num, seed]] of runs.entries())
    for (const one of seed === undefined ? (dataOf({ range: [Number(seeds?.[1] ?? 1), Number(seeds?.[2] ?? 1)] }) as number[]) : [seed]) {
      const sample = await rdd.takeSample(withReplacement, num, one)
      const context = { isOrdered: false, inputs: [rdd], params, isGlommed: false }
      const of = wanted[i]
      if (typeof of === 'number') verdicts.push(same(`run ${i + 1}`, sample.length, of))
      else verdicts.push(await check(`run ${i + 1}, seed ${one}`, sample, of, context))
    }
  return all(verdicts)
}

/** `randomSplit(weights, seeds)`: that every value is in one part, and about how large the parts are. */
async function splits({ operation, params, input, expected }: VectorCase): Promise<Verdict> {
  const [, weights, from, to = from] = /^randomSplit\((\[.*\])(?:, *(?:seeds? *)?(\d+)(?:(?:\.\.| to )(\d+))?)?\)/.exec(operation) ?? []
  const data = dataOf(input) ?? dataOf(params['data'])
  if (weights === undefined || data === undefined || !isRecord(expected)) return undefined
  const rdd = new RddContext().parallelize(data, Number(params['partitions'] ?? 2))
  const verdicts: Verdict[] = []
  for (const seed of dataOf({ range: [Number(from ?? 1), Number(to ?? 1)] }) as number[]) {
    const parts = rdd.randomSplit(evaluate(parse(weights), {}) as number[], seed)
    const values = await Promise.all(parts.map((part) => part.collect()))
    for (const [aspect, wanted] of Object.entries(expected)) {
      const [, within] = /^sizesWithin(\d+)Of$/.exec(aspect) ?? []
      if (aspect === 'splits') verdicts.push(same(aspect, parts.length, wanted))
      else if (aspect === 'unionEqualsInput')
        verdicts.push(same(aspect, values.flat().length === data.length && new Set(values.flat()).size === new Set(data).size, wanted))
      else if (within !== undefined)
        verdicts.push(
          ...values.map(
            (part, i) => Math.abs(part.length - Number((wanted as number[])[i])) <= Number(within) || `part ${i} has ${part.length} values`,
          ),
        )
      else return undefined
    }
  }
  return all(verdicts)
}

/** An RDD whose partitions fail, kept: nothing of it is. */
async function failing({ operation, expectError }: VectorCase): Promise<Verdict> {
  if (expectError === undefined || !/\b(cach\w+|persist\w*)\b/i.test(operation) || !/\b(throws?|fail\w*|inject\w*)\b/i.test(operation))
    return undefined
  const rdd = new RddContext().source<number, { index: number }>({
    name: 'failing',
    partitions: [{ index: 0 }],
    read: () => {
      throw new Error('injected failure')
    },
  })
  try {
    await rdd.persist().collect()
  } catch (error) {
    if (!(error instanceof SquallError) || !error.message.includes('injected failure')) return `it failed with ${String(error)}`
    throw error
  }
  return 'it did not fail'
}

/** `prune(split > 8)`, `keep only partitions with index > 8`: partitions that are left out are not computed. */
async function pruned({ operation, params, input, expected }: VectorCase): Promise<Verdict> {
  if (!/\bprun\w*|\bkeep (only )?(the )?(partitions?|splits?)/i.test(operation)) return undefined
  const [, condition] =
    /\b(?:split\w*|index|partition|i|n|p)\b\s*(?:(?:->|=>)\s*\w+\s*)?((?:[<>=!]=?|%).*?)\)?(?:\.\w+)?$/.exec(operation) ?? []
  const data = dataOf(input) ?? dataOf(params['data'])
  if (condition === undefined || data === undefined) return undefined
  const tree = parse(`i ${condition}`)
  const base = new RddContext().parallelize(data, Number(params['partitions'] ?? 2))
  const kept = base.prunePartitions((i) => evaluate(tree, { i }) === true)
  return await check(operation, kept, expected, { isOrdered: true, inputs: [base], params, isGlommed: false })
}

const sources = /^(emptyRDD|empty|parallelize|makeRDD|range)$/

/** `input`: texts of programs. They make RDDs that the operation is run on, or are run on what the operation speaks of. */
async function programs({ operation, params, input, expected }: VectorCase): Promise<Verdict> {
  if (!Array.isArray(input) || input.length === 0 || !input.every((text) => typeof text === 'string') || !Array.isArray(expected))
    return undefined
  const chains = input.map((text) => chainOf(text))
  if (chains.some(({ steps, rest }) => steps.length === 0 || rest !== '')) return undefined
  const sc = new RddContext()
  const main = chainOf(operation)
  const isOfSources = chains.every(({ steps }) => sources.test(steps[0]?.name ?? ''))
  const isOfEmpty = /\bempty(RDD)?\b/i.test(operation)
  if (!isOfSources && !isOfEmpty) return undefined
  const data = dataOf(params['data'])
  if (params['data'] !== undefined && data === undefined) return undefined
  const sizes = expected.every((one) => typeof one === 'number')
  const verdicts: Verdict[] = []
  for (const [i, { steps }] of chains.entries()) {
    const wanted: unknown = expected[i]
    const context = { isOrdered: false, inputs: [], params: {}, isGlommed: false }
    const run = async (): Promise<unknown> => {
      if (!isOfSources) {
        const base = data === undefined ? sc.empty<unknown>() : sc.parallelize<unknown>(data, 2)
        const made = await runChain(steps, { ...sceneOf(sc, base), others: [sc.empty<unknown>()] })
        return made instanceof RDD && sizes ? await (made as RDD<unknown>).count() : made
      }
      const made = await runChain(steps.slice(1), sceneOf(sc, sourceOf(sc, steps[0] as (typeof steps)[number])))
      return made instanceof RDD ? await runChain(main.steps, sceneOf(sc, made as RDD<unknown>)) : made
    }
    if (isRecord(wanted) && 'throws' in wanted) verdicts.push(await failsWell(run))
    else verdicts.push(await check(input[i] as string, await run(), wanted, context))
  }
  return all(verdicts)
}

function sceneOf(sc: RddContext, base: RDD<unknown>): Scene {
  return { sc, base, others: [], names: {}, make: (items, partitions = 2) => sc.parallelize(items, partitions) }
}

function sourceOf(sc: RddContext, { name, args }: { readonly name: string; readonly args: readonly string[] }): RDD<unknown> {
  if (name.startsWith('empty')) return sc.empty<unknown>()
  const given = args.map((arg) => evaluate(parse(arg.replace(/^(\d+) partitions?$/, '$1')), {}))
  if (name === 'range') return sc.range(Number(given[0]), Number(given[1]))
  return sc.parallelize(given[0] as unknown[], Number(given[1] ?? 2))
}

async function failsWell(run: () => Promise<unknown>): Promise<Verdict> {
  try {
    await run()
    return 'it did not fail'
  } catch (error) {
    return error instanceof SquallError || `it failed with ${String(error)}`
  }
}

/** `rdd1=parallelize, rdd2=parallelize.map, rdd6=union(1,2), rdd9=rdd4.join(rdd5)`; `expected`: how many narrow ancestors each has. */
function ancestors({ operation, input, expected }: VectorCase): Verdict {
  const rdds = definedIn(operation)
  if (rdds.size === 0 || !Array.isArray(input) || !Array.isArray(expected) || !input.every((name) => rdds.has(String(name))))
    return undefined
  return all(
    input.map((name, i) => {
      const rdd = rdds.get(String(name))
      return rdd === undefined ? undefined : same(`narrow ancestors of ${String(name)}`, narrowAncestors(rdd).size, expected[i])
    }),
  )
}

/** The parents of an RDD, in order: `rdd4.parent(1)`, or numbers where the operation says whose; `expected`: their names, or what made them. */
function parents({ operation, input, expected }: VectorCase): Verdict {
  const rdds = definedIn(operation)
  const [, whose] = /\bparents?(?:\(i\))? of (rdd\d+)|(rdd\d+)\.parent/.exec(operation)?.filter((one) => one !== undefined) ?? []
  if (rdds.size === 0 || !Array.isArray(input) || !Array.isArray(expected)) return undefined
  return all(
    input.map((text, i): Verdict => {
      const [, name = whose, at = typeof text === 'number' ? text : undefined] = /^(rdd\d+)\.parent\((\d+)\)$/.exec(String(text)) ?? []
      const parent = rdds.get(name ?? '')?.dependencies[Number(at)]?.rdd
      if (parent === undefined) return undefined
      const wanted = String(expected[i])
      const known = rdds.get(wanted)
      return (
        (known === undefined ? new RegExp(parent.name, 'i').test(wanted) : known.id === parent.id) ||
        `${String(text)} is ${parent.name}[${parent.id}]`
      )
    }),
  )
}

/** The RDDs that a text defines, by name. */
function definedIn(operation: string): ReadonlyMap<string, RDD<[number, number]>> {
  const definitions = [...operation.matchAll(/\b(rdd\d+) *= *((?:[^,();]|\([^()]*\))+)/g)]
  const sc = new RddContext()
  const rdds = new Map<string, RDD<[number, number]>>()
  for (const [, name, text] of definitions) rdds.set(name as string, defined(sc, (text as string).trim(), rdds))
  return rdds
}

/** The functions do not matter here: nothing is computed. */
function defined(sc: RddContext, text: string, known: ReadonlyMap<string, RDD<[number, number]>>): RDD<[number, number]> {
  const named = (name: string): RDD<[number, number]> => {
    const rdd = known.get(/^\d+$/.test(name) ? `rdd${name}` : name)
    if (rdd === undefined) throw new Unknown(name)
    return rdd
  }
  // `mapValues x 3`, `mapValues(3 times)`
  const written = text.replace(
    /\.(\w+)(?: ?[x*] ?(\d+)|\((\d+) times\))/g,
    (_, name: string, n: string | undefined, m: string | undefined) => `.${name}`.repeat(Number(n ?? m)),
  )
  const { steps: found, rest } = chainOf(written)
  const [first, ...steps] = found
  if (first === undefined || rest !== '') throw new Unknown(text)
  let rdd =
    first.name === 'union'
      ? sc.union(first.args.map(named))
      : /^(parallelize|makeRDD)$/.test(first.name)
        ? sc.parallelize<[number, number]>([[1, 1]], 2)
        : named(first.name)
  for (const { name, args } of steps) {
    if (name === 'map') rdd = rdd.map((pair) => pair)
    else if (name === 'filter') rdd = rdd.filter(() => true)
    else if (name === 'flatMap') rdd = rdd.flatMap((pair) => [pair])
    else if (name === 'mapValues') rdd = rdd.mapValues((value) => value)
    else if (name === 'reduceByKey') rdd = rdd.reduceByKey((a) => a)
    else if (name === 'union') rdd = rdd.union(...args.map(named))
    else if (name === 'join') rdd = rdd.join(named(args[0] as string)) as unknown as RDD<[number, number]>
    else if (name === 'groupByKey') rdd = rdd.groupByKey() as unknown as RDD<[number, number]>
    else throw new Unknown(name)
  }
  return rdd
}

function narrowAncestors(rdd: RDD<unknown>, found = new Map<number, RDD<unknown>>()): Map<number, RDD<unknown>> {
  for (const { kind, rdd: parent } of rdd.dependencies)
    if (kind === 'narrow' && !found.has(parent.id)) narrowAncestors(parent, found.set(parent.id, parent))
  return found
}

/** What comes after a stop fails. */
async function stopped({ operation, input, expected, expectError }: VectorCase): Promise<Verdict> {
  const [, then] = /^stop,? then ?(.*)$/.exec(operation) ?? []
  const isRefused = expectError !== undefined || (Array.isArray(expected) && expected.every((one) => isRecord(one) && 'throws' in one))
  if (then === undefined || !isRefused) return undefined
  const sc = new RddContext()
  const rdd = sc.parallelize<unknown>([1, 2, 3], 2)
  await sc.stop()
  const texts = Array.isArray(input) && input.length > 0 ? input.map(String) : then.split(/, | and | \/ /)
  for (const text of texts) {
    const { steps } = chainOf(text)
    const first = steps[0]
    const verdict = await failsWell(() =>
      first !== undefined && (sources.test(first.name) || first.name === 'textFile')
        ? Promise.resolve(first.name === 'textFile' ? sc.textFile('.') : sc.parallelize([1]))
        : runChain(steps, sceneOf(sc, rdd)),
    )
    if (verdict !== true) return verdict
  }
  if (expectError === undefined) return true
  await rdd.count()
  return 'it did not fail'
}

/** RDDs and actions inside of what RDDs run. */
async function nested({ operation, expectError }: VectorCase): Promise<Verdict> {
  if (
    expectError === undefined ||
    !/\bnested\b|\b(inside|within|in) (of )?(an? )?(transformation|map|another)|\banother RDD\b|\bRDDs? of RDDs?\b|\b(rdd2|rdd|other|inner|otherRdd)\.(count|collect|reduce|map|filter)\b/i.test(
      operation,
    )
  )
    return undefined
  const sc = new RddContext()
  const [outer, inner] = [sc.parallelize([1, 2], 2), sc.parallelize([3, 4], 2)]
  if (/\baction|\b(rdd2|other|inner|otherRdd)\.(count|collect|reduce)\b|\b(count|collect|reduce) (of|on|inside)\b/i.test(operation))
    await outer.map(() => void inner.count()).collect()
  else await outer.map(() => inner.map((x) => x)).collect()
  return 'it did not fail'
}

/** An RDD whose partitions are numbered wrongly. */
async function wrongIndices({ operation, input, expectError }: VectorCase): Promise<Verdict> {
  if (
    expectError === undefined ||
    !/\bpartitions?\b.*\b(ind(ex|ices|icies)|revers\w*)\b|\b(ind(ex|ices|icies)|revers\w*)\b.*partitions?/i.test(operation)
  )
    return undefined
  const indices = Array.isArray(input) && input.length > 0 && input.every((one) => typeof one === 'number') ? input : [1, 0]
  await new RddContext().source({ name: 'bad', partitions: indices.map((index) => ({ index: index })), read: () => undefined }).collect()
  return 'it did not fail'
}

/** Jobs on some partitions only: `runJob on partitions [0,1,2]`. */
async function wrongPartitions({ operation, params, input, expected, expectError }: VectorCase): Promise<Verdict> {
  const [, list] = /\brunJob\b.*?\bpartitions?\s*\[?(\d+(?:\s*,\s*(?:and )?\d+)*)\]?/.exec(operation) ?? []
  const text = list === undefined ? undefined : `[${list.replace('and', '')}]`
  if (!/\brunJob\b/.test(operation)) return undefined
  const wanted = text === undefined ? (params['partitionsToRun'] ?? params['wanted']) : (JSON.parse(text) as unknown)
  const data = dataOf(params['data']) ?? dataOf(input)
  if (!Array.isArray(wanted) || data === undefined) return undefined
  const rdd = new RddContext().parallelize(data, Number(params['partitions'] ?? 2))
  const found = await rdd.collectPartitions(wanted as number[])
  if (expectError !== undefined) return 'it did not fail'
  return same(operation, /size/.test(operation) ? found.map((values) => values.length) : found, expected)
}
