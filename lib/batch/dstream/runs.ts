/**
 * The RDDs of a graph's streams in one task: made once for each batch, remembered as long as somebody reaches back to
 * them, made again from what the sources gave when they are gone.
 */
import type { RddContext } from '../context.ts'
import type { BatchRecord } from '../batch-log.ts'
import type { ProcessOrder } from '../coordinator.ts'
import { EventTimeStats } from '../event-time.ts'
import type { WatermarkTracker } from '../event-time.ts'
import type { RDD } from '../rdd/rdd.ts'
import type { Range, Reader } from '../source.ts'
import type { StateStore } from '../state/store.ts'
import type { StreamGraph, StreamNode } from './graph.ts'
import type { Scope } from './scope.ts'

export class StreamRuns {
  readonly #graph: StreamGraph
  readonly #sc: RddContext
  readonly #state: StateStore
  readonly #readers: ReadonlyMap<string, Reader<unknown>>
  /** by stream, by time */
  readonly #rdds: Map<number, RDD<unknown> | undefined>[]
  /** what batches took, by time: as far back as anyone reaches */
  readonly #records = new Map<number, BatchRecord>()
  readonly #rememberMs: number

  constructor(graph: StreamGraph, sc: RddContext, state: StateStore, readers: ReadonlyMap<string, Reader<unknown>>) {
    this.#readers = readers
    this.#graph = graph
    this.#sc = sc
    this.#state = state
    this.#rdds = graph.streams.map(() => new Map())
    this.#rememberMs = Math.max(0, ...graph.streams.map(({ rememberMs }) => rememberMs))
  }

  /** The scope of a batch. One that is tried again starts from nothing, for tasks may have come to different places. */
  begin(order: ProcessOrder, watermark: WatermarkTracker): Scope {
    if (this.#records.has(order.timeMs)) this.#forgetAll()
    for (const record of [...order.history, order]) this.#records.set(record.timeMs, record)
    return this.#scope(order, watermark)
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
        if (stream.persists) rdd?.node.unpersist()
      }
    }
    for (const time of this.#records.keys()) if (time <= timeMs - this.#rememberMs) this.#records.delete(time)
  }

  #forgetAll(): void {
    for (const rdds of this.#rdds) {
      for (const rdd of rdds.values()) rdd?.node.unpersist()
      rdds.clear()
    }
  }

  #scope({ txid, timeMs, ranges }: BatchRecord, watermark: WatermarkTracker): Scope {
    const seen = new Map<string, EventTimeStats[]>()
    const scope: Scope = {
      topology: this.#graph.topology,
      txid,
      timeMs,
      ranges,
      get watermarkMs() {
        return watermark.watermarkMs
      },
      get lateMs() {
        return watermark.lateMs
      },
      hasEventTime: this.#graph.hasEventTime,
      operators: new Map(),
      sc: this.#sc,
      state: this.#state,
      of: (stream, time = timeMs) => this.#rddOf(stream, time, scope, watermark),
      source: (stream) => this.#sourceRdd(stream, ranges[stream]),
      seen(input, partition) {
        const stats = new EventTimeStats()
        const all = seen.get(input) ?? []
        seen.set(input, all)
        return (all[partition] = stats)
      },
      eventTimes: () => Object.fromEntries([...seen].map(([input, all]) => [input, together(all)])),
    }
    return scope
  }

  /** An empty RDD where a batch takes nothing. */
  #sourceRdd<T>(stream: string, range: Range | undefined): RDD<T> {
    if (range === undefined) return this.#sc.empty<T>()
    const reader = this.#readers.get(stream) as Reader<T>
    const partitions = Array.from({ length: reader.partitions(range) }, (_, index) => ({ index }))
    return this.#sc.source({ name: stream, partitions, read: ({ index }, push) => reader.read(range, index, push) })
  }

  #rddOf<T>(stream: StreamNode<T>, timeMs: number, scope: Scope, watermark: WatermarkTracker): RDD<T> | undefined {
    const rdds = this.#rdds[stream.number] as Map<number, RDD<T> | undefined>
    if (rdds.has(timeMs)) return rdds.get(timeMs)
    const record = this.#records.get(timeMs)
    // times are multiples of the interval; a stream with a longer slide has batches at multiples of that
    if (record === undefined || (stream.slideMs > 0 && timeMs % stream.slideMs !== 0)) return undefined
    const rdd = stream.make(timeMs === scope.timeMs ? scope : this.#scope(record, watermark))
    if (stream.persists && rdd?.node.level === undefined) rdd?.node.persist('memory')
    rdds.set(timeMs, rdd)
    return rdd
  }
}

function together(all: readonly EventTimeStats[]): EventTimeStats {
  const stats = new EventTimeStats()
  // a partition of another task has a hole here
  for (const one of Object.values(all)) stats.merge(one)
  return stats
}
