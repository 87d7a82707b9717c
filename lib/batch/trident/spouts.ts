/**
 * Trident's spouts as sources of batches. They differ in who decides what a batch holds, and when that is written down:
 *
 *                     decided by                       written down                          a batch that runs again
 *     batch           the spout, by the batch's txid   not at all                            holds what the spout gives for it
 *     transactional   the coordinator, by partition    offset log, before the batch runs     holds the same
 *     opaque          the emitter, by partition        state, with the commit of the batch   may hold something else
 *
 * An opaque spout reads on from what was committed last, and where it came to is committed with the batch: so each tuple is in one
 * committed batch, whatever the tries before held. It and a batch spout emit when their batch is committed, in the order of the batches.
 */
import type { StreamOptions, StreamTopologyBuilder } from '../builder.ts'
import { DStream } from '../dstream/dstream.ts'
import type { Scope } from '../dstream/scope.ts'
import { Past, partitionerOf } from '../dstream/state-rdd.ts'
import type { RDD } from '../rdd/rdd.ts'
import type { BatchSource, Planner, Range, Reader, SourceContext } from '../source.ts'
import { mapKeyOf } from '../state/keys.ts'
import { collector } from './aggregates.ts'
import type { Emit, Row } from './aggregates.ts'
import { Fields } from './fields.ts'
import { inTask, inTaskAhead, opener } from './persist.ts'
import type { StateContext } from './persist.ts'
import type { Awaitable } from './state/state.ts'
import { TridentStream } from './stream.ts'

/** Gives whole batches by their txid, in one task (Storm's `IBatchSpout`). Non-transactional, unless it gives a batch that runs again the same. */
export interface BatchSpout<F extends string = string> {
  readonly kind: 'batch'
  readonly fields: readonly F[]
  /** In the task that emits. */
  open(context: StateContext): Awaitable<BatchEmitter>
}

export interface BatchEmitter {
  /** Gives the tuples of a batch; of one that runs again, with the same txid. */
  emitBatch(txid: number, emit: Emit): Awaitable<void>
  /** The batch is committed: it will not be asked for again. */
  ack?(txid: number): void
  close?(): Awaitable<void>
}

/** Which partitions batches read. Lives once in a topology. `P` is JSON. */
export interface SpoutCoordinator<P> {
  /** The partitions that there are. One that is not named is forgotten; one that only cannot be read now is named, and gives nothing. */
  partitions(): Awaitable<readonly P[]>
  /** A batch can begin (always). */
  isReady?(): boolean
  /** Nothing will ever come after the last batch (never). */
  hasEnded?(): boolean
  close?(): Awaitable<void>
}

/** Storm's `IPartitionedTridentSpout`: a batch that runs again holds the same tuples. `M` is JSON, enough to give tuples again. */
export interface TransactionalSpout<F extends string = string, P = unknown, M = unknown> {
  readonly kind: 'transactional'
  readonly fields: readonly F[]
  coordinator(context: SourceContext): Awaitable<TransactionalCoordinator<P, M>>
  /** In each task. */
  emitter(context: StateContext): Awaitable<TransactionalEmitter<P, M>>
}

export interface TransactionalCoordinator<P, M> extends SpoutCoordinator<P> {
  /** What the next batch takes of a partition, after `last`; `undefined`: nothing. */
  next(partition: P, last: M | undefined, recordsMax: number): Awaitable<M | undefined>
}

export interface TransactionalEmitter<P, M> {
  /** Gives the tuples that `meta` stands for: the same ones each time. */
  emitPartitionBatch(txid: number, partition: P, meta: M, emit: Emit): Awaitable<void>
  close?(): Awaitable<void>
}

/** Storm's `IOpaquePartitionedTridentSpout`: each tuple is in one committed batch. `M` is plain data. */
export interface OpaqueSpout<F extends string = string, P = unknown, M = unknown> {
  readonly kind: 'opaque'
  readonly fields: readonly F[]
  coordinator(context: SourceContext): Awaitable<SpoutCoordinator<P>>
  /** In each task. */
  emitter(context: StateContext): Awaitable<OpaqueEmitter<P, M>>
}

export interface OpaqueEmitter<P, M> {
  /** Gives what there is after `last`, and returns where it came to; `undefined`: no further. */
  emitPartitionBatch(txid: number, partition: P, last: M | undefined, emit: Emit): Awaitable<M | undefined>
  close?(): Awaitable<void>
}

export type TridentSpout<F extends string, P = never, M = never> = BatchSpout<F> | TransactionalSpout<F, P, M> | OpaqueSpout<F, P, M>

/** A partition, what was taken of it last, and whether the batch at hand takes that. */
type Taken = readonly [partition: unknown, meta: unknown, isNew: boolean]

/**
 * A stream of what a spout gives. `id` names its place in the offset log or in the state. A batch every 500 ms, if nothing else is said.
 *
 * ```ts
 * const orders = newStream(t, 'orders', queueSpout, { batchInterval: '1s' })
 * ```
 */
export function newStream<F extends string, P, M>(
  t: StreamTopologyBuilder,
  id: string,
  spout: TridentSpout<F, P, M>,
  options: StreamOptions = {},
): TridentStream<F> {
  const { source, shape, make } = wayOf(id, spout)
  const input = t.stream<never>(id, source, { batchInterval: '500ms', ...options })
  const rows = new DStream<Row>(input.graph, { name: id, parents: [input], ...shape }, (scope) => {
    const range = scope.ranges[id]
    return range === undefined ? scope.sc.empty<Row>() : make(range, scope)
  })
  // what is kept is named among the operators' states
  if (spout.kind === 'opaque') input.graph.stateName(stateOf(id), 'spout', id)
  return new TridentStream<F>(rows, Fields.of(input.graph, id, spout.fields))
}

function wayOf<F extends string, P, M>(id: string, spout: TridentSpout<F, P, M>): Way {
  if (spout.kind === 'batch') return batches(id, spout)
  return spout.kind === 'opaque' ? opaque(id, spout) : transactional(spout)
}

/** How a kind of spout becomes a stream. */
interface Way {
  readonly source: BatchSource<never>
  readonly shape: { readonly isStateful?: boolean; readonly past?: Past<Row> }
  readonly make: (range: Range, scope: Scope) => RDD<Row>
}

function stateOf(id: string): string {
  return `${id}.spout`
}

/** What a spout gives has been emitted by then: there is nothing to read. */
const nothingToRead: Reader<never> = Object.freeze({ partitions: () => 0, read: () => undefined })

/** Tells the spout of the batch that its task has emitted last, when that is committed. */
class BatchReader implements Reader<never> {
  last: { readonly emitter: BatchEmitter; readonly txid: number } | undefined

  partitions(): number {
    return 0
  }

  read(): void {
    // emitted by then
  }

  committed(): void {
    this.last?.emitter.ack?.(this.last.txid)
    this.last = undefined
  }
}

function batches(id: string, spout: BatchSpout): Way {
  const { fields } = spout
  const emitterOf = opener((context) => spout.open(context), undefined)
  return {
    source: { kind: 'non-transactional', planner: () => ({ next: () => ({}), hasEnded: false }), reader: () => new BatchReader() },
    shape: { isStateful: true },
    make: (_, scope) =>
      inTask(scope.sc.empty(), 'spout', async () => {
        if (scope.sc.index !== 0) return []
        const { txid } = scope
        const emitter = await emitterOf(scope)
        const rows = await emitted(fields, (emit) => emitter.emitBatch(txid, emit))
        // the reader of the same task
        ;(scope.reader(id) as BatchReader).last = { emitter, txid }
        return rows
      }),
  }
}

function transactional<P, M>(spout: TransactionalSpout<string, P, M>): Way {
  const { fields } = spout
  const emitterOf = opener((context) => spout.emitter(context), undefined)
  const plan =
    (of: TransactionalCoordinator<P, M>) =>
    async (last: Range | undefined, recordsMax: number): Promise<Range | undefined> => {
      if (of.isReady?.() === false) return undefined
      const before = new Map(((last ?? []) as readonly Taken[]).map(([partition, meta]) => [mapKeyOf(partition), meta as M]))
      const taken: Taken[] = []
      for (const partition of await of.partitions()) {
        const known = before.get(mapKeyOf(partition))
        const meta = await of.next(partition, known, recordsMax)
        if (meta !== undefined || known !== undefined) taken.push([partition, meta ?? known, meta !== undefined])
      }
      return taken.some(([, , isNew]) => isNew) ? taken : undefined
    }
  return {
    source: {
      kind: 'transactional',
      planner: async (context) => planner(await spout.coordinator(context), plan),
      reader: () => nothingToRead,
    },
    shape: {},
    make: (range, scope) =>
      inTaskAhead(scope.sc.empty(), 'spout', async () => {
        const { index, count } = scope.sc
        const own = (range as readonly Taken[]).filter(([, , isNew], i) => isNew && i % count === index)
        return await emitted(fields, async (emit) => {
          for (const [partition, meta] of own)
            await (await emitterOf(scope)).emitPartitionBatch(scope.txid, partition as P, meta as M, emit)
        })
      }),
  }
}

function opaque<P, M>(id: string, spout: OpaqueSpout<string, P, M>): Way {
  const { fields } = spout
  const emitterOf = opener((context) => spout.emitter(context), undefined)
  const past = new Past<Row>(stateOf(id))
  const plan = (of: SpoutCoordinator<P>) => async (): Promise<Range | undefined> =>
    of.isReady?.() === false || of.hasEnded?.() === true ? undefined : await of.partitions()
  return {
    source: { kind: 'opaque', planner: async (context) => planner(await spout.coordinator(context), plan), reader: () => nothingToRead },
    shape: { past },
    make: (range, scope) =>
      inTask(scope.sc.empty(), 'spout', async () => {
        // where a partition has come to lies in the task that owns its key, and moves with it
        const positions = scope.state.table<P, M>(stateOf(id))
        const partitioner = partitionerOf(scope)
        const own = (range as readonly P[]).filter((partition) => partitioner.partitionOf(partition) === scope.sc.index)
        const named = new Set(own.map(mapKeyOf))
        for (const [partition] of Array.from(positions.entries())) if (!named.has(mapKeyOf(partition))) positions.delete(partition)
        const rows = await emitted(fields, async (emit) => {
          for (const partition of own) {
            const reached = await (await emitterOf(scope)).emitPartitionBatch(scope.txid, partition, positions.get(partition), emit)
            if (reached !== undefined) positions.put(partition, reached)
          }
        })
        past.keep(scope, rows)
        return rows
      }),
  }
}

function planner<C extends SpoutCoordinator<unknown>>(coordinator: C, plan: (coordinator: C) => Planner['next']): Planner {
  return {
    next: plan(coordinator),
    get hasEnded() {
      return coordinator.hasEnded?.() === true
    },
    close: () => coordinator.close?.(),
  }
}

async function emitted(fields: readonly string[], f: (emit: Emit) => Awaitable<void>): Promise<Row[]> {
  const rows: Row[] = []
  await f(collector(fields, (values) => rows.push(values)))
  return rows
}
