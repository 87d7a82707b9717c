/** Spark's PairRDDFunctionsSuite: chains of calls on pairs. */
import { RddContext } from '../../../../lib/index.ts'
import { all, isRecord, same } from '../../vectors.ts'
import type { Adapter, Verdict, VectorCase } from '../../vectors.ts'
import { chainCase } from './chain-case.ts'

export const pairRddFunctions: Adapter = {
  isFor: ({ suite, file, sources }) => [suite, file, ...sources].some((name) => /(^|\W)PairRDDFunctionsSuite(\W|$)/.test(name)),
  async run(one) {
    return (await alternatives(one)) ?? (await approximateByKey(one)) ?? (await chainCase(one))
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

/** `countApproxDistinctByKey(deviation)`; key k has k different values where the input does not say. */
async function approximateByKey({ operation, params, input, expected }: VectorCase): Promise<Verdict> {
  const [, deviation] = /^countApproxDistinctByKey\(?([\d.]*)/.exec(operation) ?? []
  if (deviation === undefined || !Array.isArray(input) || !isRecord(expected)) return undefined
  const within = Number(expected['relativeErrorMax'] ?? expected['maxRelativeError'])
  if (Number.isNaN(within)) return undefined
  const pairs = input as [unknown, unknown][]
  const rdd = new RddContext().parallelize(pairs, Number(params['partitions'] ?? 2))
  const counts = await rdd.countApproxDistinctByKey(deviation === '' ? undefined : Number(deviation)).collect()
  return all(
    counts.map(([key, count]) => {
      const exact = new Set(pairs.filter(([other]) => other === key).map(([, value]) => value)).size
      return same(`key ${String(key)}`, Math.abs(count - exact) <= within * exact, true)
    }),
  )
}
