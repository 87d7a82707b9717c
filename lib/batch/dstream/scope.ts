/** What streams and outputs see of the batch that is run. */
import type { RddContext } from '../context.ts'
import type { EventTimeStats } from '../event-time.ts'
import type { RDD } from '../rdd/rdd.ts'
import type { StateStore } from '../state/store.ts'
import type { Range } from '../source.ts'
import type { DStream } from './dstream.ts'
import type { StreamNode } from './graph.ts'

/** What functions of users are told of a batch. */
export interface BatchInfo {
  readonly topology: string
  readonly txid: number
  /** the time of the batch, ms since 1970 */
  readonly timeMs: number
  /** event times up to here have passed (0 = nothing is known yet) */
  readonly watermarkMs: number
}

/** What functions from RDDs to RDDs are told of a batch: other batches too. */
export interface TransformInfo extends BatchInfo {
  /**
   * The RDDs of a stream's batches from one time to another, both included, oldest first. There are only those that are
   * remembered: see `remember`. The stream must have been declared before the one whose function asks.
   */
  slice<T>(stream: DStream<T>, fromMs: number, toMs: number): readonly RDD<T>[]
  /** The times of a stream's batches whose RDDs are remembered, oldest first. */
  remembered(stream: DStream<unknown>): readonly number[]
}

/** One batch in one task. */
export interface Scope extends TransformInfo {
  readonly sc: RddContext
  /** what the batch takes of each source */
  readonly ranges: Readonly<Record<string, Range>>
  readonly state: StateStore
  /** The RDD of a stream, of this batch or of an earlier one that is remembered. */
  of<T>(stream: StreamNode<T>, timeMs?: number): RDD<T> | undefined
  /** The RDD of what the batch takes of a source. */
  source<T>(stream: string): RDD<T>
  /** What is seen of an input's event times in a partition; begun anew each time that the partition is computed. */
  seen(input: string, partition: number): EventTimeStats
  /** What was seen of each input in this task. */
  eventTimes(): Readonly<Record<string, EventTimeStats>>
}
