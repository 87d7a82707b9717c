/** What streams and outputs see of the batch that is run. */
import type { RddContext } from '../context.ts'
import type { StreamRead } from '../run/batch-stats.ts'
import type { EventTimeStats } from '../event-time.ts'
import type { FileSystem } from '../log/file-system.ts'
import type { RDD } from '../rdd/rdd.ts'
import type { StateStore } from '../state/store.ts'
import type { Range, Reader } from '../source.ts'
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

/** What an operator over event time has done in a batch, and keeps. */
export interface StateMetrics {
  /** what its state is called */
  readonly operator: string
  /** what it keeps: groups, sessions, keys */
  readonly rows: number
  /** of them, those that the batch has made or changed */
  readonly updated: number
  /** those that the watermark has passed, and which are gone */
  readonly removed: number
  /** records that came too late, once for each window that had passed */
  readonly dropped: number
  /** records that were there before (dropDuplicates) */
  readonly duplicates: number
}

/** What all tasks have done when an output runs. */
export interface BatchReport {
  /** the operators over event time that have run, in the order of their declaration */
  readonly operators: readonly StateMetrics[]
  /** what the batch saw of each input with a watermark, by the name of its stream */
  readonly eventTimes: Readonly<Record<string, EventTimeStats>>
}

/** One batch in one task. */
export interface Scope extends TransformInfo {
  readonly sc: RddContext
  /** the watermark of the batch before: records for what has passed by then are late */
  readonly lateMs: number
  /** the streams have event time */
  readonly hasEventTime: boolean
  /** what operators over event time have done in this task */
  readonly operators: Map<string, StateMetrics>
  /** what the batch takes of each source */
  readonly ranges: Readonly<Record<string, Range>>
  readonly state: StateStore
  /** where outputs write */
  readonly files: FileSystem
  /** The RDD of a stream, of this batch or of an earlier one that is remembered. */
  of<T>(stream: StreamNode<T>, timeMs?: number): RDD<T> | undefined
  /** Gives bolts a tuple, which the batch is not done before. */
  emit(stream: string, values: object): void
  /** The RDD of what the batch takes of a source. */
  source<T>(stream: string): RDD<T>
  /** This task's reader of a source. */
  reader(stream: string): Reader<unknown> | undefined
  /** What is seen of an input's event times in a partition; begun anew each time that the partition is computed. */
  seen(input: string, partition: number): EventTimeStats
  /** What this task has read of each source. */
  reads(): Readonly<Record<string, StreamRead>>
  /** What was seen of each input in this task. */
  eventTimes(): Readonly<Record<string, EventTimeStats>>
}
