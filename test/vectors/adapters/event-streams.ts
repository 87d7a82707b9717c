/**
 * Spark's suites of streams over event time: StreamingAggregationSuite, StreamingDeduplicationSuite (also within the watermark) and
 * StreamingSessionWindowSuite. Their cases have one form: `stream-queries.ts` builds what an operation says, `stream-steps.ts` runs it.
 */
import type { Adapter, Verdict, VectorCase } from '../vectors.ts'
import { queryOf } from './stream-queries.ts'
import { StreamCase } from './stream-steps.ts'

function adapterOf(suite: string): Adapter {
  const name = new RegExp(`\\b${suite}\\b`)
  return { isFor: ({ suite: of, file, sources }) => name.test([of, file, ...sources].join(' ')), run: streamed }
}

export const eventStreamSuites: readonly Adapter[] = [
  'StreamingAggregationSuite',
  'StreamingDeduplicationSuite',
  'StreamingDeduplicationWithinWatermarkSuite',
  'StreamingSessionWindowSuite',
].map(adapterOf)

/** Runs a case of steps; `undefined` where it is not understood. */
export async function streamed(one: VectorCase): Promise<Verdict> {
  const build = queryOf(one)
  return build === undefined ? undefined : new StreamCase(one, build).run()
}
