/**
 * How batches went. What they read is known to the tasks, and agreed on among them at the end of a batch; the coordinator, a spout, has
 * no input. But its executor has a task of the batch bolt as well, which leaves it here before the coordinator hears that the batch is done.
 */

/** What a batch read of a stream. */
export interface StreamRead {
  readonly records: number
  /** left out by the source because they were bad (`onBadRecord`) */
  readonly badRecords: number
}

/** A batch that is committed, for `t.onBatch`. */
export interface BatchStats {
  readonly topology: string
  readonly txid: number
  /** the time of the batch, ms since 1970 */
  readonly timeMs: number
  /** from its time until its processing began */
  readonly schedulingDelayMs: number
  /** from then, or from the end of the batch before, until it was committed; failed attempts are part of it */
  readonly processingDelayMs: number
  /** how often it was tried */
  readonly attempts: number
  /** by the ids of the streams with a source */
  readonly streams: Readonly<Record<string, StreamStats>>
}

export interface StreamStats extends StreamRead {
  /** records a second that the next batch takes at most; `undefined` = no limit */
  readonly rate: number | undefined
}

type Reads = Readonly<Record<string, StreamRead>>

/** Batches whose reads are kept for the coordinator; most tasks have none beside them, who would ask. */
const readsMax = 1_024

/** What batches read, from a task to the coordinator of the same executor. */
export class BatchReads {
  readonly #reads = new Map<number, Reads>()

  put(txid: number, reads: Reads): void {
    this.#reads.delete(txid)
    this.#reads.set(txid, reads)
    for (const old of this.#reads.keys()) {
      if (this.#reads.size <= readsMax) return
      this.#reads.delete(old)
    }
  }

  take(txid: number): Reads {
    const reads = this.#reads.get(txid) ?? {}
    this.#reads.delete(txid)
    return reads
  }
}

/** What all tasks have read together. */
export function sumOfReads(all: readonly Reads[]): Reads {
  const sums: Record<string, StreamRead> = {}
  for (const reads of all)
    for (const [stream, { records, badRecords }] of Object.entries(reads)) {
      const sum = sums[stream] ?? { records: 0, badRecords: 0 }
      sums[stream] = { records: sum.records + records, badRecords: sum.badRecords + badRecords }
    }
  return sums
}
