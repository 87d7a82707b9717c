/**
 * What a stream of batches is made from. A source has two halves: a **planner**, one for the whole topology, which decides
 * what each batch takes and says so in a few words (`Range`, plain JSON, kept in the offset log before the batch runs); and a
 * **reader** in every task, which turns those words into records, the same ones each time it is asked.
 *
 *     planner (coordinator)          offset log                    reader (every task)
 *     what is new? -------> { from: 120, to: 180 } -------> the records 120 .. 180, a share a partition
 *
 * Which guarantee a source gives (Trident's three kinds):
 *
 *     transactional        the same range gives the same records, always
 *     opaque               a record is in one committed batch only, but a batch that is run again may hold others
 *     non-transactional    neither; records may be lost or counted twice after a failure
 */
import type { Logger } from 'pino'

/** What one batch takes of one source: anything JSON can hold. */
export type Range = NonNullable<unknown>

export type SourceKind = 'transactional' | 'opaque' | 'non-transactional'

export interface BatchSource<T> {
  readonly kind: SourceKind
  planner(context: SourceContext): Planner | Promise<Planner>
  reader(context: SourceContext): Reader<T>
}

export interface SourceContext {
  readonly topology: string
  /** the id of its stream */
  readonly stream: string
  /** the tasks that read, one in each executor */
  readonly tasks: number
  readonly log: Logger
  /** milliseconds since 1970 on the run's clock */
  readonly date: () => number
  /** of a planner: all spouts of the topology's own have ended, and all that they emitted is done */
  readonly haveSpoutsEnded?: () => boolean
}

/** Decides what batches take. Lives once in a topology, in the coordinator. */
export interface Planner {
  /**
   * What the next batch takes, after what `last` took (`undefined` at the very beginning); `undefined` when there is nothing
   * now. At most `recordsMax` records, and `partitionMax` of a partition, as well as it can tell; at least one, so that nothing is stuck.
   */
  next(last: Range | undefined, recordsMax: number, partitionMax?: number): Range | undefined | Promise<Range | undefined>
  /** Nothing will ever come after what `next` gave last. */
  readonly hasEnded: boolean
  /** The batch that took `range` is committed: it will not be asked for again. */
  committed?(range: Range): void | Promise<void>
  close?(): void | Promise<void>
}

/** Reads what batches take. One in every task. */
export interface Reader<T> {
  /** A batch that takes `range` begins here, or begins again. */
  begin?(range: Range): void
  /** How many partitions the records of `range` make: the same in every task. */
  partitions(range: Range): number
  /** Gives the records of a partition, in order. May return how many it left out because they were bad. */
  read(range: Range, partition: number, push: (record: T) => void): number | void
  /** The batch that took `range` is committed: what was kept for it can go. */
  committed?(range: Range): void
  close?(): void | Promise<void>
}
