/**
 * `topology(name, build)` with streams: what the builder of spouts and bolts can do, and `stream`, which begins a graph of
 * micro-batches. The graph becomes two components of the topology:
 *
 *     batches (spout, one task) --process, commit, to all--> batch (bolt, a task in each executor) --blocks, direct--> batch
 */
import { SquallError, allFaults } from '../errors.ts'
import { durationMs } from '../std/clock.ts'
import type { Duration } from '../std/clock.ts'
import { calledFrom } from '../std/stack.ts'
import { hintFor, shown } from '../std/words.ts'
import { topology as topologyOfBolts } from '../topology/builder.ts'
import type { StreamHandle, TopologyBuilder } from '../topology/builder.ts'
import { isDefinition } from '../topology/component.ts'
import type { TopologyDefinition } from '../topology/draft.ts'
import type { StreamOutline } from '../topology/outline.ts'
import type { BatchStats } from './run/batch-stats.ts'
import { addBatchComponents } from './run/components.ts'
import type { RddContext } from './context.ts'
import { DStream } from './dstream/dstream.ts'
import { StreamGraph } from './dstream/graph.ts'
import { outlineOf } from './dstream/outline.ts'
import { watermarkPolicy } from './event-time.ts'
import type { WatermarkPolicy } from './event-time.ts'
import { Intake } from './run/intake.ts'
import { RDD } from './rdd/rdd.ts'
import { rateFaults } from './rate-control.ts'
import type { RateOptions } from './rate-control.ts'
import { ReceivedSource } from './receiver/received.ts'
import type { Receiver } from './receiver/receiver.ts'
import type { BatchSource } from './source.ts'

export interface StreamOptions extends RateOptions {
  /** a batch so often, whether there is data or not; 0 = a batch as soon as there is data (0) */
  readonly batchInterval?: Duration
  /** which of several inputs' watermarks is that of the topology: the least or the greatest ('min') */
  readonly watermarkPolicy?: WatermarkPolicy
  /** without an interval: a batch without data follows one with data, so that what has passed by then is given out (true) */
  readonly noDataBatches?: boolean
}

export interface StreamTopologyBuilder extends TopologyBuilder {
  // the compiler tells what is wrong with regard to the last of the two: the one that is meant more often
  /**
   * A stream of micro-batches of tuples: what a spout or a bolt emits on a stream. A tuple is acked when its batch is committed: at least once. Set
   * `spoutPendingMax` to what a batch shall hold of each spout. Without an interval, a batch is begun every 50 ms.
   *
   * ```ts
   * const clicks = t.stream('clicks', t.spout('source', source), { batchInterval: '500ms' })
   * clicks.map(({ page }) => [page, 1]).reduceByKey((a, b) => a + b).print()
   * ```
   */
  stream<T extends object>(id: string, tuples: StreamHandle<T>, options?: StreamOptions): DStream<T>
  /**
   * A stream of micro-batches of what a source gives, or receivers get. All streams of a topology share their batches, and so the interval.
   *
   * ```ts
   * const words = t.stream('lines', textLines('book.txt'), { batchInterval: '500ms' }).flatMap((line) => line.split(' '))
   * words.countByValue().print()
   * ```
   */
  stream<T>(id: string, source: BatchSource<T> | ReceivedSource<T>, options?: StreamOptions): DStream<T>
  /** Keeps the RDDs of all streams with an output at least so long, and those of what they are made of accordingly; see `DStream.remember`. */
  remember(duration: Duration): void
  /**
   * Makes something of data at rest before the first batch, for the functions of streams and outputs: `make` is an RDD program, which all
   * executors run together, each on its partitions; what it returns must be plain values. What this returns gives the result. It is
   * made anew whenever a run starts, and when an executor that died has started again.
   *
   * ```ts
   * const stopWords = t.prepare(async (sc) => new Set(await sc.textFile('stop-words.txt').collect()))
   * words.filter((word) => !stopWords().has(word)).countByValue().print()
   * ```
   */
  prepare<T>(make: (sc: RddContext) => Promise<T>): () => T
  /**
   * Does something once, when all sources have ended and all batches are committed, in the executor where `foreachRDD` runs. Not when the
   * run is stopped before. What it tells is what outputs have noted: a run that goes on after a restart knows only its own batches.
   *
   * ```ts
   * words.count().foreachRDD(async (rdd) => void (total += await rdd.first()))
   * t.atEnd(() => console.log(total))
   * ```
   */
  atEnd(f: () => void | Promise<void>): void
  /**
   * Is told of each batch when it is committed, in their order: what it read, how long it took, the rate that holds. Runs in the
   * executor of the coordinator; for metrics and logs, for nothing here is done once only when a process ends.
   */
  onBatch(listener: (stats: BatchStats) => void): void
}

/**
 * A topology: what a definition file exports by default.
 *
 * ```ts
 * export default topology('word-count', (t) => {
 *   const lines = t.spout('lines', files.lines(t.param('input', z.string())))
 *   const words = t.bolt('split', split, { parallelism: 2 }).shuffle(lines)
 *   t.bolt('count', count, { parallelism: 2 }).fields(words, ['word'])
 * })
 * ```
 */
export function topology(name: string, build: (t: StreamTopologyBuilder) => void): TopologyDefinition {
  if (typeof build !== 'function') return topologyOfBolts(name, build)
  let streams: Streams
  const definition = topologyOfBolts(name, (t) => {
    streams = new Streams(name)
    const result: unknown = build({
      spout: t.spout.bind(t),
      bolt: t.bolt.bind(t),
      param: t.param.bind(t),
      config: t.config.bind(t),
      later: t.later.bind(t),
      stream: <T>(id: string, source: BatchSource<T> | ReceivedSource<T> | StreamHandle<object>, options?: StreamOptions) =>
        streams.add(id, source, options),
      remember: (duration) => streams.remember(duration),
      prepare: (make) => streams.prepare(make),
      atEnd: (f) => streams.atEnd(f),
      onBatch: (listener) => streams.onBatch(listener),
    })
    streams.finish(t)
    return result as void // an async function is told by who called us
  })
  return Object.freeze({
    ...definition,
    draft(params: Readonly<Record<string, unknown>>) {
      const draft = definition.draft(params)
      const { outline } = streams
      return outline === undefined ? draft : { ...draft, outline }
    },
  })
}

/** of `t.stream` */
const optionKeys: readonly string[] = [
  'batchInterval',
  'watermarkPolicy',
  'noDataBatches',
  'maxRate',
  'maxRatePerPartition',
  'backpressure',
] satisfies readonly (keyof StreamOptions)[]

class Streams {
  readonly #topology: string
  #graph: StreamGraph | undefined
  #outline: StreamOutline | undefined
  #rememberMs = 0
  readonly #preparations: ((sc: RddContext) => Promise<void>)[] = []
  readonly #endings: (() => void | Promise<void>)[] = []
  readonly #listeners: ((stats: BatchStats) => void)[] = []

  constructor(name: string) {
    this.#topology = name
  }

  add<T>(id: string, source: BatchSource<T> | ReceivedSource<T> | StreamHandle<object>, streamOptions: StreamOptions = {}): DStream<T> {
    const { batchInterval = 0, ...options } = streamOptions
    const intervalMs = durationMs(batchInterval)
    const graph = (this.#graph ??= new StreamGraph(this.#topology, intervalMs ?? 0))
    const where = graph.where(id)
    for (const key of Object.keys(streamOptions))
      if (!optionKeys.includes(key))
        graph.fault(new SquallError('unknown-key', { place: 'the options of t.stream()', key, hint: hintFor(key, optionKeys) }, where))
    // what batches take and read is written down by stream, in plain objects
    if (id === '' || id in Object.prototype) graph.fault(new SquallError('bad-name', { name: id, what: 'stream of batches' }, where))
    if (options.watermarkPolicy !== undefined) graph.watermarkPolicy = watermarkPolicy(options.watermarkPolicy)
    if (options.noDataBatches !== undefined) graph.noDataBatches = options.noDataBatches
    if (intervalMs === undefined || intervalMs < 0 || !Number.isSafeInteger(intervalMs))
      graph.fault(
        new SquallError(
          'bad-option',
          { option: 'batchInterval', of: `the stream ${id}`, value: String(batchInterval), expected: "whole milliseconds such as '500ms'" },
          where,
        ),
      )
    else if (intervalMs !== graph.intervalMs)
      graph.fault(
        new SquallError('intervals-differ', { topology: this.#topology, a: `${graph.intervalMs} ms`, b: `${intervalMs} ms` }, where),
      )
    for (const fault of rateFaults(options, { of: `the stream ${id}`, intervalMs: graph.intervalMs, where })) graph.fault(fault)
    graph.rates.set(id, options)
    if (graph.sources.has(id) || graph.received.has(id)) graph.fault(new SquallError('duplicate-id', { id }, where))
    if (source instanceof ReceivedSource) graph.received.set(id, source)
    else if (isOfTuples(source)) {
      graph.intakes.set(id, source)
      graph.sources.set(id, new Intake(graph.intervalMs, () => graph.rememberMs))
    } else if (isSource(source)) graph.sources.set(id, source)
    else graph.fault(new SquallError('not-a-source', { stream: id, ...noSource(id, source) }, where))
    return new DStream<T>(graph, { name: id, parents: [] }, (scope) => scope.source<T>(id))
  }

  remember(duration: Duration): void {
    const ms = durationMs(duration)
    if (ms === undefined || ms <= 0)
      throw new SquallError(
        'bad-option',
        { option: 'duration', of: 'remember', value: String(duration), expected: "a duration such as '10s'" },
        Object.assign(calledFrom(), { topology: this.#topology }),
      )
    this.#rememberMs = Math.max(this.#rememberMs, ms)
  }

  prepare<T>(make: (sc: RddContext) => Promise<T>): () => T {
    const where = { topology: this.#topology }
    let made: { readonly value: T } | undefined
    this.#preparations.push(async (sc) => {
      const value = await make(sc)
      // under virtual time all tasks are in one thread and have this in common
      if (value instanceof RDD) throw new SquallError('prepared-rdd', {}, where)
      made = { value }
    })
    return () => {
      if (made === undefined) throw new SquallError('not-prepared', {}, where)
      return made.value
    }
  }

  atEnd(f: () => void | Promise<void>): void {
    this.#endings.push(f)
  }

  onBatch(listener: (stats: BatchStats) => void): void {
    this.#listeners.push(listener)
  }

  finish(t: TopologyBuilder): void {
    const graph = this.#graph
    if (graph === undefined) {
      if (this.#endings.length + this.#preparations.length > 0) throw new SquallError('no-output', { topology: this.#topology })
      return
    }
    graph.batchListeners.push(...this.#listeners)
    graph.rememberOutputsMs = this.#rememberMs
    graph.preparations.push(...this.#preparations)
    graph.endings.push(...this.#endings)
    graph.finish()
    if (graph.faults.length > 0) throw allFaults(graph.faults)
    addBatchComponents(t, graph)
    this.#outline = outlineOf(graph, ['batches', 'batch', ...(graph.received.size > 0 ? ['receivers'] : [])])
  }

  /** When all is declared, and nothing is wrong. */
  get outline(): StreamOutline | undefined {
    return this.#outline
  }
}

function isOfTuples(source: object): source is StreamHandle<object> {
  return Object(source) === source && 'streamName' in source
}

function isSource<T>(source: BatchSource<T>): boolean {
  return Object(source) === source && typeof source.planner === 'function' && typeof source.reader === 'function'
}

/** What was given in the place of a source, and what may have been meant. */
function noSource(id: string, given: unknown): { readonly value: string; readonly expected: string } {
  for (const kind of ['spout', 'bolt'] as const)
    if (isDefinition(given, kind))
      return { value: `a ${kind} that is not in the topology`, expected: `its tuples: t.stream(${shown(id)}, t.${kind}(...))` }
  if (typeof (given as Partial<Receiver<unknown>> | undefined)?.onStart === 'function')
    return { value: 'a receiver', expected: `what it receives: t.stream(${shown(id)}, received(receiver))` }
  return { value: shown(given), expected: "a source such as textLines('book.txt'), or a spout or bolt of the topology" }
}
