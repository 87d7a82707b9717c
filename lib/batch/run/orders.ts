/** What the coordinator says to the batch bolt, and to the driver. */
import type { BatchRecord } from './batch-log.ts'
import type { WatermarkPolicy } from '../event-time.ts'
import type { WatchTuple } from '../receiver/streams.ts'

/** The orders of the coordinator; every task of the batch bolt gets each, but watches: those are for the driver. */
export type Orders = { readonly process: ProcessOrder; readonly commit: CommitStep; readonly watch: WatchTuple }

export interface CommitOrder {
  readonly txid: number
  /** tells one try of a batch from another; the newest holds */
  readonly attempt: number
}

export interface CommitStep extends CommitOrder {
  /**
   * A batch that gives tuples to bolts is committed in two steps: its outputs and its state, and when all that its tuples lead to is done, that it
   * is written down. So a crash between the two makes it run again, and its tuples come again.
   */
  readonly step: 'all' | 'state' | 'log'
}

export interface ProcessOrder extends CommitOrder, BatchRecord {
  /** batches before this one are done: what is still under way of them was ordered by a coordinator that has died since */
  readonly oldest: number
  /** some tasks may be new, or not know the batches before it: the first order, and those after a failure */
  readonly isAnew: boolean
  /** the one that the topology began with */
  readonly watermarkPolicy: WatermarkPolicy
  /** batches before it that a task may have to make again: all that are remembered, when it is anew */
  readonly history: readonly BatchRecord[]
}
