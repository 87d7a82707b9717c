/**
 * The RDDs of a graph's streams in one task: made once for each batch, remembered as long as somebody reaches back to
 * them, made again from what the sources gave when they are gone.
 */
import type { RddContext } from '../context.ts'
import type { BatchRecord } from '../batch-log.ts'
import type { ProcessOrder } from '../coordinator.ts'
import type { RDD } from '../rdd/rdd.ts'
import type { StateStore } from '../state/store.ts'
import type { StreamGraph, StreamNode } from './graph.ts'
import type { Scope } from './scope.ts'

export class StreamRuns {
  readonly #graph: StreamGraph
  readonly #sc: RddContext
  readonly #state: StateStore
  /** by stream, by time */
  readonly #rdds: Map<number, RDD<unknown> | undefined>[]
  /** what batches took, by time: as far back as anyone reaches */
  readonly #records = new Map<number, BatchRecord>()
  readonly #rememberMs: number

  constructor(graph: StreamGraph, sc: RddContext, state: StateStore) {
    this.#graph = graph
    this.#sc = sc
    this.#state = state
    this.#rdds = graph.streams.map(() => new Map())
    this.#rememberMs = Math.max(0, ...graph.streams.map(({ rememberMs }) => rememberMs))
  }

  /** The scope of a batch. One that is tried again starts from nothing, for tasks may have come to different places. */
  begin(order: ProcessOrder, watermarkMs: number): Scope {
    if (this.#records.has(order.timeMs)) this.#forgetAll()
    for (const record of [...order.history, order]) this.#records.set(record.timeMs, record)
    return this.#scope(order, watermarkMs)
  }

  /** The times of a stream's batches whose RDDs are remembered. */
  remembered(stream: StreamNode<unknown>): readonly number[] {
    return [...(this.#rdds[stream.number] as Map<number, unknown>).keys()]
  }

  /** Batch `timeMs` is committed: what nobody reaches back to any more is forgotten. */
  committed(timeMs: number): void {
    for (const stream of this.#graph.streams) {
      const rdds = this.#rdds[stream.number] as Map<number, RDD<unknown> | undefined>
      for (const [time, rdd] of rdds) {
        if (time > timeMs - stream.rememberMs) continue
        rdds.delete(time)
        if (stream.persists) rdd?.unpersist()
      }
    }
    for (const time of this.#records.keys()) if (time <= timeMs - this.#rememberMs) this.#records.delete(time)
  }

  #forgetAll(): void {
    for (const rdds of this.#rdds) {
      for (const rdd of rdds.values()) if (rdd?.level !== undefined) rdd.unpersist()
      rdds.clear()
    }
  }

  #scope({ txid, timeMs, ranges }: BatchRecord, watermarkMs: number): Scope {
    const scope: Scope = {
      topology: this.#graph.topology,
      txid,
      timeMs,
      ranges,
      watermarkMs,
      sc: this.#sc,
      state: this.#state,
      of: (stream, time = timeMs) => this.#rddOf(stream, time, scope),
    }
    return scope
  }

  #rddOf<T>(stream: StreamNode<T>, timeMs: number, scope: Scope): RDD<T> | undefined {
    const rdds = this.#rdds[stream.number] as Map<number, RDD<T> | undefined>
    if (rdds.has(timeMs)) return rdds.get(timeMs)
    const record = this.#records.get(timeMs)
    // times are multiples of the interval; a stream with a longer slide has batches at multiples of that
    if (record === undefined || (stream.slideMs > 0 && timeMs % stream.slideMs !== 0)) return undefined
    const rdd = stream.make(timeMs === scope.timeMs ? scope : this.#scope(record, scope.watermarkMs))
    if (stream.persists && rdd?.level === undefined) rdd?.persist('memory')
    rdds.set(timeMs, rdd)
    return rdd
  }
}
