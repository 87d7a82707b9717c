/**
 * When each batch was due and when it was committed, and how much it took: written down by the source of a scenario, in memory that
 * who measures reads while the run goes on.
 */
import { z } from '../../lib/index.ts'
import type { BatchInfo } from '../../lib/index.ts'
import type { BatchSource, Range } from '../../lib/batch/source.ts'
import { sharedClock } from './probe.ts'

export interface BatchMark {
  /** when it was planned; with an interval, its time */
  readonly dueMs: number
  readonly committedMs: number
  /** what `amountOf` says of its range */
  readonly amount: number
}

export const marksParam: z.ZodType<Float64Array> = z.instanceof(Float64Array)

const nowMs = sharedClock()
/** Numbers that a batch takes, after the first, which is how many batches were committed. */
const perBatch = 3
const batchesMax = 500_000

export function newMarks(): Float64Array {
  return new Float64Array(new SharedArrayBuffer(8 * (1 + perBatch * batchesMax)))
}

export function committedBatches(marks: Float64Array): number {
  return marks[0] as number
}

/** Those that were committed. */
export function batchMarks(marks: Float64Array): readonly BatchMark[] {
  return Array.from({ length: committedBatches(marks) }, (_, i) => {
    const [dueMs = 0, committedMs = 0, amount = 0] = marks.subarray(perBatch * i + 1)
    return { dueMs, committedMs, amount }
  })
}

/** For an output of a stream with an interval, in a run that starts from nothing: a batch is due at its time, however late it was planned. */
export function noteDue(marks: Float64Array, { txid, timeMs }: BatchInfo): void {
  marks[perBatch * (txid - 1) + 1] = timeMs - (performance.timeOrigin + performance.now()) + nowMs()
}

/** The same source, whose batches leave their marks; `amountOf` says how much a range is. */
export function marked<T>(source: BatchSource<T>, marks: Float64Array, amountOf: (range: Range) => number): BatchSource<T> {
  return {
    kind: source.kind,
    reader: (context) => source.reader(context),
    async planner(context) {
      const inner = await source.planner(context)
      let planned = 0
      let committed = 0
      const note = (range: Range | undefined): Range | undefined => {
        if (range === undefined) return undefined
        if (planned === batchesMax) throw new Error(`more than ${batchesMax} batches in a run`)
        const at = perBatch * planned + 1
        marks[at] = nowMs()
        marks[at + 2] = amountOf(range)
        planned++
        return range
      }
      return {
        next(last, recordsMax) {
          const range = inner.next(last, recordsMax)
          return range instanceof Promise ? range.then(note) : note(range)
        },
        get hasEnded() {
          return inner.hasEnded
        },
        committed(range) {
          marks[perBatch * committed + 2] = nowMs()
          marks[0] = ++committed
          return inner.committed?.(range)
        },
        close: () => inner.close?.(),
      }
    },
  }
}
