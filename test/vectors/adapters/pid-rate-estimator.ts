/** Spark's PIDRateEstimatorSuite: what the estimator says after each batch, given as lists of calls or made from a description. */
import { PidRateEstimator } from '../../../lib/index.ts'
import type { PidOptions } from '../../../lib/index.ts'
import { holds, valueOf } from '../expressions.ts'
import type { Variables } from '../expressions.ts'
import { all, isRecord } from '../vectors.ts'
import type { Adapter, Verdict } from '../vectors.ts'

export const pidRateEstimator: Adapter = {
  isFor: ({ suite, file, sources }) => /\bPIDRateEstimatorSuite\b/.test([suite, file, ...sources].join(' ')),
  run({ operation, params, input, expected }) {
    if (!/PID|rate ?estimator/i.test(operation)) return undefined
    const kind = params['rateEstimator'] ?? params['estimator'] ?? 'pid'
    if (kind !== 'pid') return undefined
    const estimator = new PidRateEstimator(optionsOf(params))
    const calls = callsOf(input)
    if (calls === undefined) return undefined
    const rates = calls.map(({ time, numElements, processingDelay, schedulingDelay }) =>
      estimator.compute(Number(time), Number(numElements), Number(processingDelay), Number(schedulingDelay)),
    )
    if (Array.isArray(expected)) return listed(rates, expected)
    if (isRecord(expected) && typeof expected['property'] === 'string') return property(expected['property'], params, calls, rates)
    // which kind is made
    const made = isRecord(expected) ? (expected['class'] ?? expected['estimator']) : expected
    return typeof made === 'string' ? /pid/i.test(made) || `a PID estimator was made, expected ${made}` : undefined
  },
}

function optionsOf(params: Readonly<Record<string, unknown>>): PidOptions {
  const names = { proportional: 'proportional', integral: 'integral', derivative: 'derivative', derived: 'derivative', minRate: 'minRate' }
  const given = Object.entries(names).filter(([name]) => typeof params[name] === 'number')
  return {
    batchIntervalMs: Number(params['batchIntervalMs'] ?? params['batchIntervalMillis'] ?? 1000),
    ...Object.fromEntries(given.map(([name, option]) => [option, params[name] as number])),
  }
}

/** `[[time, numElements, processingDelay, schedulingDelay], ...]`, or `{ generate: "50 calls, time=i*20, numElements=random in [0,1000), ..." }`. */
function callsOf(input: unknown): readonly Variables[] | undefined {
  const names = ['time', 'numElements', 'processingDelay', 'schedulingDelay']
  if (input === undefined || input === null) return []
  if (Array.isArray(input))
    return input.map((call: unknown) => Object.fromEntries(names.map((name, i) => [name, Number((call as number[])[i])])))
  if (!isRecord(input) || typeof input['generate'] !== 'string') return undefined
  const text = input['generate']
  const count = Number(/(\d+) (?:calls|times|updates|batches)/.exec(text)?.[1])
  const rules = names.map((name) => {
    const [, rule = ''] = new RegExp(`\\b${name}(?:Ms)?\\s*=\\s*(random(?: int)? in [[(][^)\\]]*[)\\]]|[^,;]+)`).exec(text) ?? []
    return [name, rule.trim()] as const
  })
  const random = numbersFrom(20_161_103)
  const calls = Array.from({ length: count || 0 }, (_, i) =>
    Object.fromEntries(rules.map(([name, rule]) => [name, drawn(rule, i, random)])),
  )
  return count > 0 && calls.every((call) => Object.values(call).every((value) => value !== undefined)) ? (calls as Variables[]) : undefined
}

/** Random numbers in (0, 1), the same every time (Park and Miller). The seed draws no batch without elements, which would rightly give no rate. */
function numbersFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state * 48271) % 2147483647
    return state / 2147483647
  }
}

function drawn(rule: string, i: number, random: () => number): number | undefined {
  const [, from, to, end] = /^random(?: int)? in [[(]\s*(-?\d+)\s*,\s*(-?\d+)\s*([)\]])$/.exec(rule) ?? []
  if (from === undefined) return valueOf(rule, { i, x: i })
  return Number(from) + Math.floor(random() * (Number(to) - Number(from) + (end === ']' ? 1 : 0)))
}

function listed(rates: readonly (number | undefined)[], expected: readonly unknown[]): Verdict {
  if (rates.length !== expected.length) return `${rates.length} results, expected ${expected.length}`
  return all(
    rates.map((rate, i) => {
      const wanted = expected[i]
      if (wanted === null) return rate === undefined || `call ${i + 1}: got ${rate}, expected none`
      if (wanted === 'some' || wanted === 'defined') return rate !== undefined || `call ${i + 1}: got none`
      return isClose(rate, Number(wanted)) || `call ${i + 1}: got ${rate}, expected ${JSON.stringify(wanted)}`
    }),
  )
}

function isClose(rate: number | undefined, wanted: number): boolean {
  return rate !== undefined && Math.abs(rate - wanted) <= 1e-9 * Math.max(1, Math.abs(wanted))
}

/** Clauses such as `first is none; for i>=1 a value exists and, when rate>0 and schedulingDelay>0, rate < numElements/20*1000`. */
function property(
  text: string,
  params: Readonly<Record<string, unknown>>,
  calls: readonly Variables[],
  rates: readonly (number | undefined)[],
): Verdict {
  const numbers = Object.fromEntries(Object.entries(params).filter((entry): entry is [string, number] => typeof entry[1] === 'number'))
  return all(
    text.split(';').map((clause): Verdict => {
      if (/^\s*(the )?first (is|gives) none\s*$/i.test(clause)) return rates[0] === undefined || `the first gave ${rates[0]}`
      const [, from, rest] = /^\s*(?:for|from) i\s*>=?\s*(\d+),?\s+(.*)$/.exec(clause) ?? [undefined, '1', clause.trim()]
      const claims = (rest ?? '').split(/\s*,?\s+and,?\s+(?=when )|\s+and\s+(?=every |all |rate )/)
      return all(
        claims.flatMap((claim) =>
          rates.slice(Number(from)).map((rate, k): Verdict => {
            const i = k + Number(from)
            if (/^(a|every) value (exists|is defined)$/.test(claim.trim())) return rate !== undefined || `call ${i + 1} gave none`
            const [, conditions, conclusion] = /^when (.*?),\s*(.*)$/.exec(claim) ?? [undefined, '', claim]
            const variables = { ...numbers, ...calls[i], rate: rate ?? Number.NaN, value: rate ?? Number.NaN, i }
            const given = (conditions ?? '').split(/\s+and\s+/).filter((one) => one !== '')
            const known = given.map((one) => holds(one, variables))
            const isTrue = holds(
              (conclusion ?? '').replace(/^(?:every|all) (?:value|rate)s?\s*(?:is|are|equals?)?\s*/, 'rate = ').replace(/= (?=[<>=])/, ''),
              variables,
            )
            if (known.includes(undefined) || isTrue === undefined) return undefined
            return known.includes(false) || isTrue || `call ${i + 1}: ${claim} does not hold for the rate ${rate}`
          }),
        ),
      )
    }),
  )
}
