/** Flink's TumblingEventTimeWindowsTest and SlidingEventTimeWindowsTest: which windows a time falls in, and which windows there cannot be. */
import { slidingWindow, tumblingWindow } from '../../../lib/index.ts'
import type { Duration, TimeWindows } from '../../../lib/index.ts'
import { all } from '../vectors.ts'
import { sameRows } from '../rows.ts'
import type { Adapter, Verdict, VectorCase } from '../vectors.ts'

export const flinkWindowAssigners: Adapter = {
  isFor: ({ suite, file, sources }) => /\b(Tumbling|Sliding)EventTimeWindowsTest\b/.test([suite, file, ...sources].join(' ')),
  run(one) {
    if (/create/i.test(one.operation)) return created(one)
    return /assign/i.test(one.operation) ? assigned(one) : undefined
  },
}

/** `input`: times; `expected`: of each its windows, in any order. */
function assigned({ params, input, expected }: VectorCase): Verdict {
  if (!Array.isArray(input) || !Array.isArray(expected)) return undefined
  const windows = windowsOf(params['size'] as number, params['slide'] as number | undefined, params['offset'] as number | undefined)
  return all(
    input.map((ms: unknown, i) => {
      const found = windows.of(Number(ms)).map(({ start, end }) => [start, end])
      return sameRows(`windows of ${Number(ms)}`, found, expected[i] as unknown[], false)
    }),
  )
}

/** `input`: `[size, slide, offset]` in seconds, or `[size, offset]` of tumbling ones; each of them must be refused. */
function created({ input, expectError }: VectorCase): Verdict {
  if (!Array.isArray(input) || expectError === undefined) return undefined
  let refusal: unknown
  for (const shape of input as readonly (readonly number[])[])
    try {
      const [size, ...others] = shape.map((seconds) => `${seconds} seconds`)
      const [slide, offset] = shape.length === 2 ? [undefined, others[0]] : others
      windowsOf(size as string, slide, offset)
      return `${JSON.stringify(shape)} is taken`
    } catch (error) {
      refusal = error
    }
  throw refusal
}

function windowsOf(size: Duration, slide: Duration | undefined, startTime: Duration = 0): TimeWindows {
  return slide === undefined ? tumblingWindow(size, { startTime }) : slidingWindow(size, slide, { startTime })
}
