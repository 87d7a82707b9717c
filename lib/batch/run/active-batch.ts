/** A batch that is under way, as the coordinator knows it. */
import type { BatchRecord } from './batch-log.ts'
import type { CommitOrder } from './orders.ts'

export interface ActiveBatch extends BatchRecord {
  attempt: number
  /** tasks may not have the batches before it */
  needsHistory: boolean
  tries: number
  phase: 'waiting' | 'processing' | 'processed' | 'committing' | 'writing'
  /** not emitted again before */
  dueMs: number
  /** it failed: opaque sources say anew what it takes */
  isOpen: boolean
  /** its commit had been ordered when it failed: it may be written down as committed */
  mayBeCommitted: boolean
  /** when it was emitted first */
  startedMs: number | undefined
  startedDate: number
}

/** One that is to be processed. */
export function waiting({ txid, timeMs, ranges }: BatchRecord, needsHistory: boolean, attempt: number): ActiveBatch {
  return {
    txid,
    timeMs,
    ranges,
    needsHistory,
    attempt,
    tries: 0,
    phase: 'waiting',
    dueMs: 0,
    isOpen: false,
    mayBeCommitted: false,
    startedMs: undefined,
    startedDate: 0,
  }
}

export function idOf({ txid, attempt }: ActiveBatch): CommitOrder {
  return { txid, attempt }
}
