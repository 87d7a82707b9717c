/** Spark's PairRDDFunctionsSuite: chains of calls on pairs. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { RddContext } from '../../../../lib/index.ts'
import { all, isRecord, same } from '../../vectors.ts'
import type { Adapter, Verdict, VectorCase } from '../../vectors.ts'
import { chainCase } from './chain-case.ts'
import { dataOf } from './chain.ts'

export const pairRddFunctions: Adapter = {
  isFor: ({ suite, file, sources }) => [suite, file, ...sources].some((name) => /(^|\W)PairRDDFunctionsSuite(\W|$)/.test(name)),
  async run(one) {
    return (await alternatives(one)) ?? (await approximateByKey(one)) ?? (await emptyFolder(one)) ?? (await chainCase(one))
  },
}

/** `keys / values`: several operations on the same input, and what each gives. */
async function alternatives(one: VectorCase): Promise<Verdict> {
  const names = one.operation.split(/ \/ /)
  const { expected } = one
  if (names.length < 2 || !isRecord(expected) || !names.every((name) => name in expected)) return undefined
  const verdicts: Verdict[] = []
  for (const name of names)
    verdicts.push(await chainCase({ ...one, operation: name, expected: expected[name], notes: `${one.notes} ordered` }))
  return verdicts.includes(undefined) ? undefined : all(verdicts)
}

/** A folder without files: an RDD without partitions, which can be traded all the same. */
async function emptyFolder({ operation, expected }: VectorCase): Promise<Verdict> {
  if (!/\btextFile\b|\bread\w*\b/.test(operation) || !/\bempty\b/.test(operation)) return undefined
  const folder = mkdtempSync(join(tmpdir(), 'squall-empty-'))
  try {
    const lines = new RddContext().textFile(folder)
    const counts = lines.map((line): [string, number] => [line, 1]).reduceByKey((a, b) => a + b)
    const aspects = isRecord(expected) ? Object.entries(expected) : [['collect', expected] as const]
    const verdicts: Verdict[] = []
    for (const [aspect, wanted] of aspects)
      verdicts.push(
        /partitions/i.test(aspect)
          ? same(aspect, lines.partitions, wanted)
          : same(aspect, [...(await lines.collect()), ...(await counts.collect())], wanted),
      )
    return all(verdicts)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/**
 * `countApproxDistinctByKey(deviation)`; `input`: pairs, or a list of precisions for the pairs of the settings. How far off each key may be is
 * `maxRelativeError`, or the expected number, or `... < 0.01`.
 */
async function approximateByKey({ operation, params, input, expected }: VectorCase): Promise<Verdict> {
  const [, text] = /^countApproxDistinctByKey(?:\(([^)]*)\))?/.exec(operation) ?? []
  if (!operation.startsWith('countApproxDistinctByKey')) return undefined
  const said = dataOf(params['data'])
  const pairs = (said ?? dataOf(typeof input === 'string' ? pairsIn(input) : input)) as readonly [unknown, unknown][] | undefined
  if (pairs === undefined) return undefined
  const rdd = new RddContext().parallelize(pairs, Number(params['partitions'] ?? 2))
  const runs = said !== undefined && Array.isArray(input) && input.length > 0 ? (input as unknown[]) : [text ?? params]
  const verdicts: Verdict[] = []
  for (const [i, run] of runs.entries()) {
    const within = errorIn(Array.isArray(expected) ? expected[i] : expected)
    if (within === undefined) return undefined
    const counts = await rdd.countApproxDistinctByKey(deviationOf(run)).collect()
    for (const [key, count] of counts) {
      const exact = new Set(pairs.filter(([other]) => other === key).map(([, value]) => value)).size
      verdicts.push(Math.abs(count - exact) <= within * exact || `key ${String(key)} has ${count} of ${exact}`)
    }
  }
  return all(verdicts)
}

/** `for i in 1..100: i pairs [i, 1..i]` is `[i,j] for i in 1..100, j in 1..i`. */
function pairsIn(text: string): string {
  return text.replace(/^for (\w+) in (\S+?):? \w+ (?:pairs|tuples) \[(\w+), ?1\.\.(\w+)\]$/, '[$3, other] for $1 in $2, other in 1..$4')
}

function errorIn(expected: unknown): number | undefined {
  if (typeof expected === 'number') return expected
  if (typeof expected === 'string') return Number(/(?:<|below|within|under) ?([\d.]+)/.exec(expected)?.[1] ?? Number.NaN) || undefined
  if (!isRecord(expected)) return undefined
  const within = Object.values(expected).find((value) => typeof value === 'number')
  return typeof within === 'number' ? within : undefined
}

/** `0.01`, `20, 0`, `p=20, sp=0`, `{ p: 20 }`, `{ relativeSD: 0.01 }`: 2^p registers deviate by about 1.054 / 2^(p/2). */
function deviationOf(said: unknown): number | undefined {
  const given = isRecord(said) ? said : {}
  const numbers = typeof said === 'string' ? (said.match(/[\d.]+/g) ?? []).map(Number) : []
  const p = given['p'] ?? numbers.find((n) => n >= 4)
  if (typeof p === 'number') return 1.054 / 2 ** (p / 2)
  const relative = given['relativeSD'] ?? given['relativeSd'] ?? numbers[0]
  return typeof relative === 'number' ? relative : undefined
}
