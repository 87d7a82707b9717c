/**
 * State behind Trident's streams: who updates it, who asks it. Both happen when a batch is committed, in the order of the batches; an
 * update goes before the questions of the same batch.
 *
 * Keys lie in the task that owns their key group, so a question by key is sent to where the key is.
 */
import { SquallError } from '../../errors.ts'
import { shown } from '../../std/words.ts'
import type { RddContext } from '../context.ts'
import type { StateStage } from '../dstream/ahead.ts'
import type { DStream } from '../dstream/dstream.ts'
import type { Scope } from '../dstream/scope.ts'
import { partitionerOf } from '../dstream/state-rdd.ts'
import { Node } from '../rdd/node.ts'
import type { Push, Stage } from '../rdd/node.ts'
import { RDD } from '../rdd/rdd.ts'
import type { StateTable } from '../state/store.ts'
import type { Row } from './aggregates.ts'
import { SnapshottableMap } from './state/maps.ts'
import type { Awaitable, MapState, Snapshottable, State, ValueUpdater } from './state/state.ts'

/** The key of a state that has one value. */
export const oneKey = 'value'

/** Which part of a state is to be made. */
export interface StateContext {
  readonly topology: string
  /** this is part `partition` of `partitions`, one a task */
  readonly partition: number
  readonly partitions: number
}

/** Makes a task's part of a state of one's own; it must be another object for each. */
export type StateFactory<S> = (context: StateContext) => Awaitable<S>

/** A state in the engine's own store, by its name there: exactly once, and nothing else to set up. */
export class StoredState {
  readonly name: string

  constructor(name: string) {
    this.name = name
  }
}

/**
 * The state `name` in the engine's own store; `squall state get` reads it by that name.
 *
 * ```ts
 * words.groupBy(['word']).persistentAggregate(state('counts'), builtIns.count(), ['count'])
 * ```
 */
export function state(name: string): StoredState {
  return new StoredState(name)
}

export type StateSource<S> = StoredState | StateFactory<S>

/** A state that streams can ask. Made by `persistentAggregate`, `partitionPersist` and `newStaticState`. */
export interface StateHandle<S> {
  /** a map lies by key, one value lies in one task; anything else where it was put */
  readonly kind: 'map' | 'one' | 'parts'
  /** the stream that updates it, if any does */
  readonly updates: DStream<Row> | undefined
  readonly open: (scope: Scope) => Awaitable<S>
}

/** Opens a state: once a task, or for each batch where it is a view of the store. */
export function opener<S>(source: StateSource<S>, storeName: string | undefined): (scope: Scope) => Awaitable<S> {
  if (source instanceof StoredState) {
    return (scope) => new StoreState(scope.state.table(storeName ?? source.name)) as S
  }
  const opened = new WeakMap<RddContext, Promise<S>>()
  return (scope) => {
    const { sc, topology } = scope
    let found = opened.get(sc)
    if (found === undefined) {
      found = Promise.resolve(source({ topology, partition: sc.index, partitions: sc.count })).then(checked)
      opened.set(sc, found)
      found.then(
        (of) => sc.onClose(() => (of as Partial<State>).close?.()),
        // the next try of the batch asks again
        () => opened.delete(sc),
      )
    }
    return found
  }
}

/**
 * The same, for tuples that were not sent to where their keys lie. A key that is written in another task than its own would not be found, and
 * would be there twice when the number of tasks changes: it is refused (`key-elsewhere`).
 */
export function openerInPlace<S>(source: StateSource<S>, storeName: string | undefined): (scope: Scope) => Awaitable<S> {
  if (!(source instanceof StoredState)) return opener(source, storeName)
  const { name } = source
  return (scope) => {
    const { sc, state: store } = scope
    const partitioner = partitionerOf(scope)
    const check = (key: unknown): void => {
      if (partitioner.partitionOf(key) !== sc.index) throw new SquallError('key-elsewhere', { state: name, key: shown(key) })
    }
    return new StoreState(store.table(storeName ?? name), check) as S
  }
}

function checked<S>(state: S): S {
  if (typeof state !== 'object' || state === null)
    throw new SquallError('trident-operator', {
      operator: 'the factory of a state',
      problem: `it gave ${shown(state)}`,
      hint: 'return an object with the methods of a state, or a promise of one',
    })
  return state
}

/** A read-only state of one's own, for `stateQuery`. */
export function newStaticState<S>(factory: StateFactory<S>): StateHandle<S> {
  return { kind: 'parts', updates: undefined, open: opener(factory, undefined) }
}

/** A table of the engine's store as a map and as one value; it begins and commits with the batch, so there is nothing to do for that. */
export class StoreState implements MapState<unknown, unknown>, Snapshottable<unknown> {
  readonly #table: StateTable
  readonly #check: ((key: unknown) => void) | undefined

  /** `check` throws where a key does not belong to this task. */
  constructor(table: StateTable, check?: (key: unknown) => void) {
    this.#table = table
    this.#check = check
  }

  beginCommit(): void {
    // the store has begun the batch
  }

  commit(): void {
    // the store commits with all others
  }

  multiGet(keys: readonly unknown[]): readonly unknown[] {
    return keys.map((key) => this.#get(key))
  }

  multiUpdate(keys: readonly unknown[], updaters: readonly ValueUpdater<unknown>[]): readonly unknown[] {
    return keys.map((key, i) => {
      const value = (updaters[i] as ValueUpdater<unknown>)(this.#get(key))
      this.#put(key, value)
      return value
    })
  }

  multiPut(keys: readonly unknown[], values: readonly unknown[]): void {
    for (const [i, key] of keys.entries()) this.#put(key, values[i])
  }

  multiRemove(keys: readonly unknown[]): void {
    for (const key of keys) this.#put(key, null)
  }

  get(): unknown {
    return this.#get(oneKey)
  }

  update(updater: ValueUpdater<unknown>): unknown {
    return this.multiUpdate([oneKey], [updater])[0]
  }

  set(value: unknown): void {
    this.#put(oneKey, value)
  }

  entries(): Iterable<readonly [unknown, unknown]> {
    return this.#table.entries()
  }

  #get(key: unknown): unknown {
    this.#check?.(key)
    return this.#table.get(key) ?? null
  }

  #put(key: unknown, value: unknown): void {
    this.#check?.(key)
    this.#table.put(key, value ?? undefined)
  }
}

/** A state of one's own that can hold one value: it is one, or a map that is used for one key. */
export function asOne<V>(of: Snapshottable<V> | MapState<unknown, V>): Snapshottable<V> {
  if ('update' in of) return of
  return new SnapshottableMap(of, oneKey)
}

/** Applies a batch to a state: nothing when it has no tuples for this task. */
export async function applied<S extends State, R>(of: S, { txid }: Scope, hasTuples: boolean, update: () => Awaitable<R[]>): Promise<R[]> {
  if (!hasTuples) return []
  await of.beginCommit(txid)
  const results = await update()
  await of.commit(txid)
  return results
}

/** Work of a task on its part of a batch, once. */
class TaskStage<T, R> implements Stage {
  readonly inputs: readonly Node<unknown>[]
  readonly #input: Node<T>
  readonly #work: (values: readonly T[]) => Promise<readonly R[]>
  #results: readonly R[] | undefined

  constructor(input: Node<T>, before: readonly Node<unknown>[], work: (values: readonly T[]) => Promise<readonly R[]>) {
    this.#input = input
    this.inputs = [...before, input]
    this.#work = work
  }

  get isDone(): boolean {
    return this.#results !== undefined
  }

  async run(): Promise<void> {
    const { partitions, context, owner } = this.#input
    const values: T[] = []
    for (let partition = 0; partition < partitions; partition++)
      if (owner(partition) === context.index) this.#input.read(partition, (value) => values.push(value))
    this.#results = await this.#work(values)
  }

  read(push: Push<R>): void {
    for (const result of this.#results ?? []) push(result)
  }
}

/** The same, when the batch is committed. */
class CommitStage<T, R> extends TaskStage<T, R> implements StateStage {
  readonly changesState = true
}

/** What each task makes of its partitions of `input` when the batch is committed, a partition a task; `before` is done first. */
export function inTask<T, R>(
  input: RDD<T>,
  name: string,
  work: (values: readonly T[]) => Promise<readonly R[]>,
  before: readonly Node<unknown>[] = [],
): RDD<R> {
  return staged(input, name, new CommitStage(input.node, before, work))
}

/** The same when the batch is processed, perhaps before others are committed: for what needs no state. */
export function inTaskAhead<T, R>(input: RDD<T>, name: string, work: (values: readonly T[]) => Promise<readonly R[]>): RDD<R> {
  return staged(input, name, new TaskStage(input.node, [], work))
}

function staged<T, R>(input: RDD<T>, name: string, stage: TaskStage<T, R>): RDD<R> {
  return new RDD(
    new Node<R>(input.context, {
      name,
      partitions: input.context.count,
      dependencies: [{ kind: 'narrow', node: input.node, stage }],
      compute: (_, push) => stage.read(push),
    }),
  )
}
