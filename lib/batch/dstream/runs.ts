/**
 * The RDDs of a graph's streams in one task: made once for each batch, remembered as long as somebody reaches back to
 * them, made again from what the sources gave when they are gone.
 */
import { SquallError, placed } from '../../errors.ts'
import type { RddContext } from '../context.ts'
import type { BatchRecord } from '../run/batch-log.ts'
import type { ProcessOrder } from '../run/orders.ts'
import { sumOfReads } from '../run/batch-stats.ts'
import type { StreamRead } from '../run/batch-stats.ts'
import { EventTimeStats } from '../event-time.ts'
import type { WatermarkTracker } from '../event-time.ts'
import type { FileSystem } from '../log/file-system.ts'
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
  readonly #files: FileSystem
  /** by stream, by time */
  readonly #rdds: Map<number, RDD<unknown> | undefined>[]
  /** what batches took, by time: as far back as anyone reaches */
  readonly #records = new Map<number, BatchRecord>()
  readonly #rememberMs: number
  readonly #emit: Scope['emit']
  /** the time of the newest batch that is known to be committed */
  #doneMs = -Infinity

  constructor(
    graph: StreamGraph,
    sc: RddContext,
    state: StateStore,
    readers: ReadonlyMap<string, Reader<unknown>>,
    files: FileSystem,
    emit: Scope['emit'],
  ) {
    this.#emit = emit
    this.#readers = readers
    this.#files = files
    this.#graph = graph
    this.#sc = sc
    this.#state = state
    this.#rdds = graph.streams.map(() => new Map<number, RDD<unknown> | undefined>())
    this.#rememberMs = Math.max(0, ...graph.streams.map(({ rememberMs }) => rememberMs))
  }

  /** The scope of a batch. One that is tried again starts from nothing, for tasks may have come to different places. */
  begin(order: ProcessOrder, watermark: WatermarkTracker): Scope {
    // when a task could not write down its commit, a batch that others have committed is run again
    this.#doneMs = Math.min(Math.max(this.#doneMs, order.history.at(-1)?.timeMs ?? -Infinity), order.timeMs - 1)
    if (this.#records.has(order.timeMs)) this.#forget()
    for (const record of [...order.history, order]) this.#records.set(record.timeMs, record)
    return this.#scope(order, watermark)
  }

  /** Batch `timeMs` is committed: what nobody reaches back to any more is forgotten. */
  committed(timeMs: number): void {
    this.#doneMs = timeMs
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

  /** What streams with state gave at batches that are committed stays: all tasks have the whole of it, and it cannot be made again. */
  #forget(): void {
    for (const { number, isStateful } of this.#graph.streams) {
      const rdds = this.#rdds[number] as Map<number, RDD<unknown> | undefined>
      for (const [time, rdd] of rdds) {
        if (isStateful && time <= this.#doneMs) continue
        rdd?.node.unpersist()
        rdds.delete(time)
      }
    }
  }

  #scope({ txid, timeMs, ranges }: BatchRecord, watermark: WatermarkTracker): Scope {
    const seen = new Map<string, EventTimeStats[]>()
    const reads = new Map<string, StreamRead[]>()
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
      files: this.#files,
      of: (stream, time = timeMs) => this.#rddOf(stream, time, scope, watermark),
      slice: (stream, fromMs, toMs) => {
        this.#checkOwn(stream)
        const from = Math.max(fromMs, timeMs - stream.rememberMs + 1)
        const times = [...this.#records.keys()].filter((time) => time >= from && time <= Math.min(toMs, timeMs))
        return times.sort((a, b) => a - b).flatMap((time) => this.#rddOf(stream, time, scope, watermark) ?? [])
      },
      remembered: (stream) => {
        this.#checkOwn(stream)
        const times = (this.#rdds[stream.number] as Map<number, unknown>).keys()
        return [...times].filter((time) => time > timeMs - stream.rememberMs && time <= timeMs).sort((a, b) => a - b)
      },
      emit: this.#emit,
      source: (stream) => {
        const read: StreamRead[] = []
        reads.set(stream, read)
        return this.#sourceRdd(stream, ranges[stream], read)
      },
      reads: () => Object.fromEntries([...reads].map(([stream, read]) => [stream, allOf(read)])),
      reader: (stream) => this.#readers.get(stream),
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

  /** An empty RDD where a batch takes nothing. What is read of a partition is noted anew each time that it is computed. */
  #sourceRdd<T>(stream: string, range: Range | undefined, reads: StreamRead[]): RDD<T> {
    if (range === undefined) return this.#sc.empty<T>()
    const reader = this.#readers.get(stream) as Reader<T>
    const partitions = Array.from({ length: reader.partitions(range) }, (_, index) => ({ index }))
    const read = ({ index }: { readonly index: number }, push: (record: T) => void): void => {
      let records = 0
      let badRecords = 0
      try {
        badRecords =
          reader.read(range, index, (record) => {
            records++
            push(record)
          }) ?? 0
      } catch (error) {
        throw error instanceof SquallError ? placed(error, this.#graph.where(stream)) : error
      } finally {
        reads[index] = { records, badRecords }
      }
    }
    return this.#sc.source({ name: stream, partitions, read })
  }

  #rddOf<T>(stream: StreamNode<T>, timeMs: number, scope: Scope, watermark: WatermarkTracker): RDD<T> | undefined {
    const rdds = this.#rdds[stream.number] as Map<number, RDD<T> | undefined>
    if (rdds.has(timeMs)) return rdds.get(timeMs)
    const record = this.#records.get(timeMs)
    // times are multiples of the interval; a stream with a longer slide has batches at multiples of that
    if (record === undefined || (stream.slideMs > 0 && timeMs % stream.slideMs !== 0)) return undefined
    const own = timeMs === scope.timeMs ? scope : this.#scope(record, watermark)
    const rdd = stream.isStateful && timeMs <= this.#doneMs ? stream.makeAgain?.(own) : stream.make(own)
    if (stream.persists && rdd?.node.level === undefined) rdd?.node.persist(stream.level)
    rdds.set(timeMs, rdd)
    return rdd
  }

  #checkOwn(stream: StreamNode<unknown>): void {
    const { number, name } = stream
    const { streams, topology } = this.#graph
    if (streams[number] !== stream) throw new SquallError('foreign-stream', { stream: name, topology }, this.#graph.where(name))
  }
}

/** A partition of another task has a hole here. */
function allOf(reads: readonly StreamRead[]): StreamRead {
  return sumOfReads(Object.values(reads).map((read) => ({ all: read })))['all'] ?? { records: 0, badRecords: 0 }
}

function together(all: readonly EventTimeStats[]): EventTimeStats {
  const stats = new EventTimeStats()
  // a partition of another task has a hole here
  for (const one of Object.values(all)) stats.merge(one)
  return stats
}
