/**
 * ExactWordCount: the lines of a file, over and over, in micro-batches; split at spaces (or, with `regex`, as topologies/exact-count.ts
 * does), counted in each batch, and the counts added to a state that is committed with the batch.
 */
import { stateSpec, textLines, topology, z } from '../../lib/index.ts'
import type { BatchSource } from '../../lib/batch/source.ts'
import type { KeyState } from '../../lib/index.ts'
import { marked, marksParam, noteDue } from './marks.ts'
import { sharedClock } from './probe.ts'

const nowMs = sharedClock()

/** A batch's count of a key is added to what is kept. */
export const adding = stateSpec((_: string, n: number | undefined, state: KeyState<number>) => {
  state.update((state.getOption() ?? 0) + (n ?? 0))
  return undefined
})

export default topology('exact-word-count', (t) => {
  const file = t.param('file', z.string())
  const batchBytes = t.param('batchBytes', z.int())
  const intervalMs = t.param('intervalMs', z.number())
  const regex = t.param('regex', z.boolean())
  const untilMs = t.param('untilMs', z.number())
  const marks = t.param('marks', marksParam)
  const source = marked(overAndOver(file, batchBytes, untilMs), marks, (range) => bytesOf(range as Range))
  const lines = t.stream('lines', source, { batchInterval: intervalMs })
  const words = regex
    ? lines.flatMap((line) => line.toLowerCase().match(/[\p{L}\p{N}']+/gu) ?? [])
    : lines.flatMap((line) => line.split(' '))
  words
    .map((word) => [word, 1])
    .reduceByKey((a, b) => a + b)
    .mapWithState(adding, { name: 'counts' })
    .foreachPartition((_, info) => {
      if (intervalMs > 0) noteDue(marks, info)
    })
})

interface Range {
  readonly from: number
  readonly to: number
}

function bytesOf({ from, to }: Range): number {
  return to - from
}

/** The lines of a file, from the start again at its end, until time is up at the end of a pass. */
function overAndOver(file: string, batchBytes: number, untilMs: number): BatchSource<string> {
  const lines = textLines(file, { batchBytes })
  return {
    kind: lines.kind,
    reader: (context) => lines.reader(context),
    async planner(context) {
      const inner = await lines.planner(context)
      let hasEnded = false
      return {
        async next(last, recordsMax) {
          if (hasEnded) return undefined
          const range = (await inner.next(last, recordsMax)) ?? (await inner.next(undefined, recordsMax))
          hasEnded = inner.hasEnded && nowMs() >= untilMs
          return range
        },
        get hasEnded() {
          return hasEnded
        },
        close: () => inner.close?.(),
      }
    },
  }
}
