/**
 * Spark's EventTimeWatermarkSuite: what it says of the parts that stand alone, the statistics of event time, delays and policies. Its
 * cases of streams take the adapter's other half, for streams: they are left out here.
 */
import { EventTimeStats, watermarkDelayMs, watermarkPolicy } from '../../../lib/index.ts'
import { all, isRecord, same } from '../vectors.ts'
import type { Adapter, Verdict, VectorCase } from '../vectors.ts'
import { streamed } from './event-streams.ts'

export const eventTimeWatermark: Adapter = {
  isFor: ({ suite, file, sources }) => /\bEventTimeWatermarkSuite\b/.test([suite, file, ...sources].join(' ')),
  run(one) {
    const { operation, params, input } = one
    if (/EventTimeStats/i.test(operation)) return stats(one)
    if (/parse .*delay|delay (in|of) months/i.test(operation) && Array.isArray(input) && input.every((text) => typeof text === 'string'))
      return delays(one)
    if (/allowMultiple\s*[=:]\s*false/i.test(operation))
      return { differs: 'a stream has one watermark on the way to an operator with state' }
    if (/withWatermark on an? (int|long|numeric)/i.test(operation)) return { differs: 'a number is a time: milliseconds since 1970' }
    if (/batch query/i.test(operation)) return { differs: 'RDDs have no watermarks' }
    if (params['column'] !== undefined || /withWatermark on an? (missing|unknown|bad)|does not exist/i.test(operation))
      return { differs: 'records have no columns to check: one without the field has no time' }
    const hasData = Array.isArray(input) && input.length > 0
    if (hasData) return streamed(one)
    if (/policy/i.test(operation) && typeof params['policy'] === 'string') return policy(one)
    // a delay alone; one of a column is a matter of the stream's types
    if (/withWatermark/i.test(operation) && params['column'] === undefined && params['delay'] !== undefined) return delay(one)
    return undefined
  },
}

// ------------------------------------------------------------------------------------------------ statistics

type StatsOf = Pick<EventTimeStats, 'max' | 'min' | 'avg' | 'count'>

/** `input`: `["init", {...}]`, `["zero"]`, `["add", 80]`, `["merge", {...} or "zero"]`; `expected`: the statistics after each, or `null`. */
function stats({ input, expected }: VectorCase): Verdict {
  if (!Array.isArray(input) || !Array.isArray(expected)) return undefined
  let subject = new EventTimeStats()
  const verdicts: Verdict[] = []
  for (const [i, [name, value]] of (input as readonly (readonly [string, unknown])[]).entries()) {
    if (name === 'zero') subject = new EventTimeStats()
    else if (name === 'init') subject = statsOf(value)
    else if (name === 'add') for (const ms of [value].flat()) subject.add(Number(ms))
    else if (name === 'merge') subject.merge(statsOf(value))
    else return undefined
    if (expected[i] !== null) verdicts.push(isLike(subject, statsOf(expected[i]), `after ${name}`))
  }
  return all(verdicts)
}

function statsOf(value: unknown): EventTimeStats {
  if (!isRecord(value)) return new EventTimeStats()
  const of = (name: string, otherwise: number): number => (value[name] === undefined ? otherwise : Number(value[name]))
  return new EventTimeStats({
    max: of('max', Number.NaN),
    min: of('min', Number.NaN),
    avg: of('avg', Number.NaN),
    count: of('count', Number.NaN),
  })
}

/** What is expected and not named is not compared. */
function isLike(got: StatsOf, wanted: StatsOf, when: string): Verdict {
  const names = ['max', 'min', 'avg', 'count'] as const
  const wrong = names.find(
    (name) => !Number.isNaN(wanted[name]) && got[name] !== wanted[name] && !(Math.abs(got[name] - wanted[name]) <= 1e-5),
  )
  return wrong === undefined || `${when}: ${wrong} is ${got[wrong]}, expected ${wanted[wrong]}`
}

// ------------------------------------------------------------------------------------------------ delays and policies

/** `input`: texts; `expected`: their milliseconds. With `expectError` each of them must be refused. */
function delays({ input, expected, expectError }: VectorCase): Verdict {
  if (!Array.isArray(input)) return undefined
  if (expectError === undefined) return same('delays', input.map(msOf), expected)
  let refusal: unknown
  for (const text of input)
    try {
      return `${JSON.stringify(text)} is read as ${msOf(text)} ms`
    } catch (error) {
      refusal = error
    }
  throw refusal
}

function delay({ params, expected, expectError }: VectorCase): Verdict {
  const ms = msOf(params['delay'])
  return expectError !== undefined || (typeof expected === 'number' ? same('delay', ms, expected) : undefined)
}

function policy({ params, expected, expectError }: VectorCase): Verdict {
  const read = watermarkPolicy(String(params['policy']))
  return expectError !== undefined || (typeof expected === 'string' ? same('policy', read, expected) : undefined)
}

function msOf(text: unknown): number {
  return watermarkDelayMs(typeof text === 'number' ? text : String(text))
}
