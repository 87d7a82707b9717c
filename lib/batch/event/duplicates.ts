/** Records that were there before are left out: the keys that were seen are kept, as long as the watermark asks for it. */
import type { DStream } from '../dstream/dstream.ts'
import { partitionerOf } from '../dstream/state-rdd.ts'
import { TaskDeadlines } from './deadlines.ts'
import { givenBy } from './rows.ts'
import type { Given, Row } from './rows.ts'

export interface DuplicatesPlan<T> {
  /** what the state is called */
  readonly name: string
  readonly keyOf: (record: T) => unknown
  /** how long after its event time a key is kept; `undefined`: for ever */
  readonly keptMs: number | undefined
}

/** The first record of each key; of one batch it is the first in the order of the partitions. */
export function withoutDuplicates<T>(rows: DStream<Row<T>>, { name, keyOf, keptMs }: DuplicatesPlan<T>): DStream<Given<T, T>> {
  const deadlines = new TaskDeadlines<unknown>()
  return rows.derive<Given<T, T>>({ name: 'dropDuplicates', parents: [rows], isStateful: true, state: name }, (scope) => {
    const input = scope
      .of(rows)
      ?.map((row) => [keyOf(row[1]), row] as const)
      .partitionBy(partitionerOf(scope))
    if (input === undefined) return undefined
    return givenBy<Row<T>, T, T>(scope, input, { name: 'dropDuplicates', state: name }, (read, give, tally) => {
      const seen = scope.state.table<unknown, number | true>(name)
      const due = deadlines.of(scope.state, scope.txid, (all) => {
        if (keptMs !== undefined) for (const [key, at] of seen.entries()) if (at !== true) all.add(at, key)
      })
      read(([key, [timeMs, record]]) => {
        if (keptMs !== undefined && timeMs !== null && timeMs <= scope.lateMs) {
          tally.dropped++
          give(undefined, record)
        } else if (seen.get(key) !== undefined) tally.duplicates++
        else {
          const at = keptMs === undefined ? undefined : (timeMs ?? scope.watermarkMs) + keptMs
          seen.put(key, at ?? true)
          if (at !== undefined) due.add(at, key)
          tally.updated++
          give(timeMs, record)
        }
      })
      due.take(scope.watermarkMs, (key, atMs) => {
        if (seen.get(key) !== atMs) return
        seen.delete(key)
        tally.removed++
      })
      return seen.size
    })
  })
}
