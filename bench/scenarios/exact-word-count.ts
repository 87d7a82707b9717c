/**
 * ExactWordCount: the lines of a file, over and over, in micro-batches; split at spaces, counted in each batch, and the counts added to
 * a state that is on disk when the batch is committed. `marks` has for each batch when it was planned and committed, and its bytes.
 */
import { stateSpec, textLines, topology, z } from '../../lib/index.ts'
import type { BatchSource } from '../../lib/batch/source.ts'
import type { KeyState } from '../../lib/index.ts'
import { sharedClock } from './probe.ts'

/** Numbers of `marks` that a batch takes, after the first, which is how many batches were committed. */
export const perBatch = 3

const marksParam: z.ZodType<Float64Array> = z.instanceof(Float64Array)

const nowMs = sharedClock()

const adding = stateSpec((_: string, n: number | undefined, state: KeyState<number>) => {
  state.update((state.getOption() ?? 0) + (n ?? 0))
  return undefined
})

export default topology('exact-word-count', (t) => {
  const file = t.param('file', z.string())
  const batchBytes = t.param('batchBytes', z.int())
  const untilMs = t.param('untilMs', z.number())
  const marks = t.param('marks', marksParam)
  t.stream('lines', overAndOver(file, batchBytes, untilMs, marks))
    .flatMap((line) => line.split(' '))
    .map((word) => [word, 1])
    .reduceByKey((a, b) => a + b)
    .mapWithState(adding, { name: 'counts' })
    .foreachPartition(() => undefined)
})

interface Range {
  readonly from: number
  readonly to: number
  /** counted from the first pass on */
  readonly batch: number
}

/** The lines of a file, from the start again at its end, until time is up at the end of a pass. */
function overAndOver(file: string, batchBytes: number, untilMs: number, marks: Float64Array): BatchSource<string> {
  const lines = textLines(file, { batchBytes })
  return {
    kind: lines.kind,
    reader: (context) => lines.reader(context),
    async planner(context) {
      const inner = await lines.planner(context)
      let hasEnded = false
      return {
        async next(last, recordsMax) {
          const batch = last === undefined ? 0 : (last as Range).batch + 1
          if (hasEnded || perBatch * (batch + 1) >= marks.length) return undefined
          const range = (await inner.next(last, recordsMax)) ?? (await inner.next(undefined, recordsMax))
          const { from, to } = range as Range
          hasEnded = inner.hasEnded && nowMs() >= untilMs
          marks[perBatch * batch + 1] = nowMs()
          marks[perBatch * batch + 3] = to - from
          return { from, to, batch }
        },
        get hasEnded() {
          return hasEnded
        },
        committed(range) {
          const { batch } = range as Range
          marks[perBatch * batch + 2] = nowMs()
          marks[0] = batch + 1
        },
        close: () => inner.close?.(),
      }
    },
  }
}
