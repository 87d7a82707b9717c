/** Spark's PartitioningSuite: partitioners, which are equal, where they put keys, and which operations keep them. */
import { HashPartitioner, RangePartitioner, RddContext } from '../../../../lib/index.ts'
import type { Partitioner, RDD } from '../../../../lib/index.ts'
import { Unknown, all, isRecord, same } from '../../vectors.ts'
import type { Adapter, Verdict, VectorCase } from '../../vectors.ts'
import { chainCase } from './chain-case.ts'
import { chainOf, dataOf, runChain } from './chain.ts'
import { partitionerIs } from './check.ts'
import { functionOf, parse } from './language.ts'

export const partitioning: Adapter = {
  isFor: ({ suite, file, sources }) => [suite, file, ...sources].some((name) => /(^|\W)PartitioningSuite(\W|$)/.test(name)),
  async run(one) {
    try {
      for (const handler of [equality, ranges, bounds, rangeCount, preservation, defaults, arrays]) {
        const verdict = await handler(one)
        if (verdict !== undefined) return verdict
      }
    } catch (error) {
      if (!(error instanceof Unknown)) throw error
    }
    return await chainCase(one)
  },
}

type Pairs = RDD<readonly [unknown, unknown]>

function pairsOf(sc: RddContext, data: readonly unknown[], partitions = 2): Pairs {
  return sc.parallelize(
    data.map((x): [unknown, unknown] => [x, x]),
    partitions,
  )
}

/** `input`: pairs of partitioners: numbers of partitions, or `hash(2)`, `range(2)`, `range(2, descending)`. */
async function equality({ operation, params, input, expected, notes }: VectorCase): Promise<Verdict> {
  if (!/\bequal(ity|s)?\b|\bvs\b|\bsame\b|==/i.test(operation) || !Array.isArray(input)) return undefined
  const words = `${operation} ${notes} ${JSON.stringify(input)}`
  const isRange =
    /range/i.test(`${operation} ${notes}`) || (params['data'] !== undefined && !/hash/i.test(words)) || /\basc|desc/i.test(words)
  const kind = isRange ? 'range' : 'hash'
  const [, said] = /over (\[.*\]|\S+)/.exec(operation) ?? []
  const data = dataOf(params['data']) ?? (said?.startsWith('[') === true ? (JSON.parse(said) as unknown[]) : dataOf(said)) ?? [1, 1, 1, 1]
  const pairs = Array.isArray(input[0]) ? (input as unknown[][]) : [input as unknown[]]
  const wanted = Array.isArray(expected) ? (expected as unknown[]) : [expected]
  const sc = new RddContext()
  const verdicts: Verdict[] = []
  for (const [i, [a, b]] of pairs.entries()) {
    const [left, right] = [await partitionerOf(sc, a, kind, data), await partitionerOf(sc, b, kind, data)]
    verdicts.push(same(`${String(a)} and ${String(b)}`, left.equals(right), wanted[i]))
    if (left.equals(right) !== right.equals(left))
      verdicts.push(`${String(a)} and ${String(b)}: one equals the other, but not the other the one`)
  }
  return all(verdicts)
}

async function partitionerOf(sc: RddContext, text: unknown, kind: string, data: readonly unknown[]): Promise<Partitioner> {
  const given = isRecord(text) ? text : {}
  const words = isRecord(text) ? '' : String(text)
  const [name = kind] = /hash|range/i.exec(words) ?? []
  const partitions = Number(/\d+/.exec(words)?.[0] ?? given['partitions'] ?? given['n'] ?? given['numPartitions'])
  if (Number.isNaN(partitions)) throw new Unknown(String(text))
  if (/hash/i.test(typeof given['kind'] === 'string' ? given['kind'] : name)) return new HashPartitioner(partitions)
  const ascending = given['ascending'] !== false && !/desc|false/i.test(words)
  return await RangePartitioner.of(pairsOf(sc, data), partitions, { ascending })
}

/** `for n in [...] over 1..2000 and element 1..1000`: each element lies within the bounds of its partition. */
async function ranges({ operation, input, expected }: VectorCase): Promise<Verdict> {
  const [, data] = /\bover (-?\d+(?:\.\.| to )-?\d+)/.exec(operation) ?? []
  if (data === undefined || !/bounds?\b/.test(`${operation} ${String(expected)}`)) return undefined
  const [, elements = data] = /\belements? (-?\d+(?:\.\.| to )-?\d+)/.exec(operation) ?? []
  const [, list] = /\bn in (\[.*?\])/.exec(operation) ?? []
  const counts = (Array.isArray(input) ? input : JSON.parse(list ?? '[]')) as number[]
  const sc = new RddContext()
  const verdicts: Verdict[] = []
  for (const n of counts) {
    const partitioner = await RangePartitioner.of(pairsOf(sc, dataOf(data) ?? []), n)
    const limits = partitioner.bounds as readonly number[]
    for (const element of dataOf(elements) as number[]) {
      const p = partitioner.partitionOf(element)
      const isRight =
        p >= 0 &&
        p < Math.max(1, n) &&
        (p >= limits.length || element <= (limits[p] as number)) &&
        (p === 0 || element > (limits[p - 1] as number))
      if (!isRight) verdicts.push(`${element} is in partition ${p} of ${n}`)
    }
  }
  return all(verdicts)
}

/** `determineBounds`: `input`: keys with weights. */
function bounds({ operation, params, input, expected }: VectorCase): Verdict {
  const [, text] = /^(?:RangePartitioner\.)?determineBounds\b\D*(\d+)?/.exec(operation) ?? []
  if (!/determineBounds/.test(operation) || !Array.isArray(input)) return undefined
  const partitions = Number(params['partitions'] ?? params['numPartitions'] ?? text)
  return same('bounds', RangePartitioner.boundsOf(input as [number, number][], partitions), expected)
}

/** How many ranges there are: `RangePartitioner(22) over [1,2,3]`; with `numPartitions`. */
async function rangeCount({ operation, params, input, expected }: VectorCase): Promise<Verdict> {
  if (
    !/range ?partitioner/i.test(operation) ||
    !/numPartitions|number of partitions|partitions? count|\.partitions|single partition/i.test(`${operation}`)
  )
    return undefined
  const [, n] = /RangePartitioner\D{0,3}(\d+)/i.exec(operation) ?? []
  const data = dataOf(params['data']) ?? dataOf(input) ?? (/empty/i.test(operation) ? [] : undefined)
  if (data === undefined) return undefined
  const partitioner = await RangePartitioner.of(
    pairsOf(new RddContext(), data),
    Number(n ?? params['numPartitions'] ?? params['partitions']),
  )
  return same('partitions', partitioner.partitions, isRecord(expected) ? (expected['numPartitions'] ?? expected['partitions']) : expected)
}

/** `input`: chains on `rdd`, on `grouped2` (its `groupByKey(2)`) and their kind; `expected`: the partitioner of each. */
async function preservation({ operation, input, expected }: VectorCase): Promise<Verdict> {
  const [, text, slices = '2', each] = /^rdd *= *(.+?)(?: in (\d+) (?:slices|partitions))?(?: mapped to (.+))?$/.exec(operation) ?? []
  const data = dataOf(text)
  if (data === undefined || !Array.isArray(input) || !Array.isArray(expected)) return undefined
  const sc = new RddContext()
  const values = sc.parallelize(data, Number(slices))
  const rdd = (each === undefined ? values : values.map(functionOf(parse(each)))) as Pairs
  const names: Record<string, unknown> = { rdd }
  const named = (name: string): unknown => {
    const [, kind, n] = /^(grouped|reduced)(\d+)$/.exec(name) ?? []
    if (kind !== undefined) names[name] ??= kind === 'grouped' ? rdd.groupByKey(Number(n)) : rdd.reduceByKey((a) => a, Number(n))
    return names[name]
  }
  const verdicts: Verdict[] = []
  for (const [i, program] of (input as string[]).entries()) {
    for (const [name] of program.matchAll(/\b(?:grouped|reduced)\d+\b/g)) named(name)
    const { steps, rest } = chainOf(program)
    if (rest !== '' || steps.length === 0) throw new Unknown(program)
    const start = named((steps[0] as { name: string }).name) as Pairs | undefined
    const scene = { sc, base: start ?? rdd, others: [], names, make: (items: readonly unknown[]) => sc.parallelize(items, 2) }
    const made = await runChain(start === undefined ? steps : steps.slice(1), scene)
    verdicts.push(partitionerIs(program, made as RDD<unknown>, expected[i], { inputs: [rdd] }))
  }
  return all(verdicts)
}

/** `default partitioner`: `input`: lists of RDDs, each a number of partitions, or `hash(n)`; `expected`: what is chosen for all of a list. */
function defaults({ operation, params, input, expected }: VectorCase): Verdict {
  if (!/\bdefault ?partitioner\b/i.test(operation) || !Array.isArray(input) || !Array.isArray(expected)) return undefined
  const given = params['defaultParallelism'] ?? params['defaultNumPartitions']
  const sc = new RddContext(typeof given === 'number' ? { defaultParallelism: given } : {})
  return all(
    input.map((list, i) => {
      if (!Array.isArray(list)) throw new Unknown(operation)
      const [first, ...others] = list.map((text) => describedAs(sc, text))
      if (first === undefined) throw new Unknown(operation)
      // the types know up to four
      const made = first.cogroup(...(others as [Pairs, Pairs]))
      const wanted: unknown = expected[i]
      return typeof wanted === 'number'
        ? same(`list ${i + 1}`, made.partitions, wanted)
        : partitionerIs(`list ${i + 1}`, made, wanted, { inputs: [first] })
    }),
  )
}

function describedAs(sc: RddContext, text: unknown): Pairs {
  const [, hash, n] = /^(hash)?\D*(\d+)/i.exec(String(text)) ?? []
  if (n === undefined) throw new Unknown(String(text))
  return hash === undefined ? pairsOf(sc, [1], Number(n)) : pairsOf(sc, [1], 1).partitionBy(new HashPartitioner(Number(n)))
}

/** Arrays as keys: theirs have no content, ours have. */
function arrays({ operation, expected, expectError }: VectorCase): Verdict {
  const isRefused = expectError !== undefined || /throws|exception/i.test(JSON.stringify(expected))
  if (!isRefused || !/\barrays?\b/i.test(operation)) return undefined
  return { differs: 'keys are compared by content, arrays as well' }
}
