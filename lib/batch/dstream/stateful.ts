/** Streams with a state for each key: `updateStateByKey` in its two forms, and `mapWithState`. */
import { SquallError } from '../../errors.ts'
import { shown } from '../../std/words.ts'
import { KeyMap } from '../keyed.ts'
import type { DStream, Pair, Planned } from './dstream.ts'
import type { Scope } from './scope.ts'
import { KeyGroupPartitioner, Past, partitionerOf, updated } from './state-rdd.ts'
import { KeptStates, runSpec } from './state-spec.ts'
import type { StateSpec } from './state-spec.ts'

/** A key with what the batch has of it and what is kept of it. */
export type KeyWithState<K, V, S> = readonly [key: K, values: readonly V[], state: S | undefined]

/** The new states of a task's keys: those that are not returned are forgotten. */
export type UpdateStates<K, V, S> = (keys: Iterable<KeyWithState<K, V, S>>, timeMs: number) => Iterable<Pair<K, S>>

export interface Named<K, S> {
  readonly name: string | undefined
  readonly initialState: readonly Pair<K, S>[] | undefined
}

/** `f` sees all keys there are, at every batch. */
export function updateStates<K, V, S>(
  stream: DStream<Pair<K, V>>,
  f: UpdateStates<K, V, S>,
  { name, initialState }: Named<K, S>,
): Planned<Pair<K, S>> {
  const stateName = stream.graph.stateName(name, 'updateStateByKey', stream.name)
  const past = new Past<Pair<K, S>>(stateName)
  return {
    shape: { name: 'updateStateByKey', parents: [stream], isStateful: true, state: stateName, past },
    make(scope) {
      const input = scope.of(stream)?.groupByKey(partitionerOf(scope))
      if (input === undefined) return undefined
      return updated<K, readonly V[], Pair<K, S>>(
        input,
        'updateStateByKey',
        (read, push) => {
          const table = scope.state.table<K, S>(stateName)
          if (isFirst(scope)) for (const [key, state] of ownOf(scope, initialState)) table.put(key, state)
          const values = new KeyMap<K, readonly V[]>()
          read(([key, of]) => values.set(key, of))
          const states = new KeyMap<K, S>()
          for (const [key, state] of f(withStates(values, table.entries()), scope.timeMs)) states.set(key, state)
          for (const [key, state] of Array.from(table.entries())) {
            const next = states.get(key)
            if (next === undefined) table.delete(key)
            else if (next !== state) table.put(key, next)
          }
          for (const { key, value } of states.cells()) {
            if (table.get(key) === undefined) table.put(checkedKey(scope, key), value)
            push([key, value])
          }
        },
        true,
        (results) => past.keep(scope, results),
      )
    },
  }
}

/** The keys with a state, then those that are new. */
function* withStates<K, V, S>(values: KeyMap<K, readonly V[]>, states: Iterable<readonly [K, S]>): IterableIterator<KeyWithState<K, V, S>> {
  const known = new KeyMap<K, true>()
  for (const [key, state] of states) {
    known.set(key, true)
    yield [key, values.get(key) ?? [], state]
  }
  for (const { key, value } of values.cells()) if (!known.has(key)) yield [key, value, undefined]
}

/** A function is called for each record. */
export interface MappedStates<K, S, R> {
  readonly mapped: Planned<R>
  /** All states at each batch, behind `mapped`. */
  snapshots(mapped: DStream<R>): Planned<Pair<K, S>>
}

export function mapStates<K, V, S, R>(
  stream: DStream<Pair<K, V>>,
  spec: StateSpec<K, V, S, R>,
  name: string | undefined,
): MappedStates<K, S, R> {
  const stateName = stream.graph.stateName(name, 'mapWithState', stream.name)
  const past = new Past<R>(stateName)
  const pastSnapshots = new Past<Pair<K, S>>(`${stateName}.snapshots`)
  const states = new KeptStates<K, S>(stateName, spec.timeoutMs)
  return {
    mapped: {
      shape: { name: 'mapWithState', parents: [stream], isStateful: true, state: stateName, past },
      make(scope) {
        const input = scope.of(stream)?.partitionBy(partitionerOf(scope))
        if (input === undefined) return undefined
        return updated<K, V, R>(
          input,
          'mapWithState',
          (read, push) => {
            const kept = states.at(scope)
            if (isFirst(scope)) for (const [key, state] of ownOf(scope, spec.initialState)) kept.put(key, state)
            runSpec(spec, scope.timeMs, kept, read, push)
          },
          false,
          (results) => past.keep(scope, results),
        )
      },
    },
    snapshots: (mapped) => ({
      shape: { name: 'stateSnapshots', parents: [mapped], isStateful: true, past: pastSnapshots },
      make(scope) {
        const after = scope.of(mapped)
        if (after === undefined) return undefined
        return updated<never, never, Pair<K, S>>(
          after as never,
          'stateSnapshots',
          (_, push) => {
            for (const entry of states.entries(scope)) push(entry)
          },
          false,
          (results) => pastSnapshots.keep(scope, results),
        )
      },
    }),
  }
}

/** States that operators begin with are there before the very first batch. */
function isFirst({ txid }: Scope): boolean {
  return txid === 1
}

/** The pairs whose keys this task owns. */
function ownOf<K, S>({ sc }: Scope, pairs: readonly Pair<K, S>[] = []): readonly Pair<K, S>[] {
  const partitioner = new KeyGroupPartitioner(sc.count)
  return pairs.filter(([key]) => partitioner.partitionOf(key) === sc.index)
}

function checkedKey<K>(scope: Scope, key: K): K {
  if (partitionerOf(scope).partitionOf(key) !== scope.sc.index)
    throw new SquallError('foreign-key', { operator: 'updateStateByKey', key: shown(key) })
  return key
}
