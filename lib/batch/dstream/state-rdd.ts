/**
 * RDDs of operators that keep state: every key's records come to the task that owns the key's group, there the operator runs
 * once a batch, and what it gives is kept as long as the RDD.
 */
import { keyGroupOf, keyGroupsDefault, taskOfKeyGroup } from '../state/keys.ts'
import { Node } from '../rdd/node.ts'
import type { Push } from '../rdd/node.ts'
import { checkKey } from '../rdd/partitioners.ts'
import type { Partitioner } from '../rdd/partitioners.ts'
import { RDD } from '../rdd/rdd.ts'
import type { StateTable } from '../state/store.ts'
import type { StateStage } from './ahead.ts'
import type { Pair } from './dstream.ts'
import type { StreamNode } from './graph.ts'
import type { Scope } from './scope.ts'

/**
 * A partition a task: the keys whose groups the task owns. With `isStrict` it refuses keys that have no content to go by (`bad-key`), as a
 * hash partitioner does: on their way they would become others. States refuse theirs themselves.
 */
export class KeyGroupPartitioner implements Partitioner {
  readonly partitions: number
  readonly keyGroups: number
  readonly #isStrict: boolean

  constructor(partitions: number, { keyGroups = keyGroupsDefault, isStrict = false } = {}) {
    this.partitions = partitions
    this.keyGroups = keyGroups
    this.#isStrict = isStrict
  }

  partitionOf(key: unknown): number {
    if (this.#isStrict) checkKey(key)
    return taskOfKeyGroup(keyGroupOf(key, this.keyGroups), this.keyGroups, this.partitions)
  }

  equals(other: Partitioner): boolean {
    return other instanceof KeyGroupPartitioner && other.partitions === this.partitions && other.keyGroups === this.keyGroups
  }
}

/** What an operator does in one task with one batch: `read` gives the task's records. */
export type Update<K, V, R> = (read: (push: Push<Pair<K, V>>) => void, push: Push<R>) => void

/**
 * What an operator gave at earlier batches, kept with its state for the windows that reach back to it: when their RDDs are gone with a
 * process they cannot be made again, for the state has gone on.
 */
export class Past<R> {
  readonly #name: string
  #stream: Pick<StreamNode<R>, 'reachMs' | 'name'> | undefined

  constructor(stateName: string) {
    this.#name = `${stateName}.past`
  }

  /** To be told when the stream of these results is made. */
  of(stream: StreamNode<R>): void {
    this.#stream = stream
  }

  /** Keeps what a batch gave in this task, as long as windows reach back to it. */
  keep(scope: Scope, results: readonly R[]): void {
    const reachMs = this.#stream?.reachMs ?? 0
    if (reachMs === 0) return
    const table = this.#table(scope)
    for (const [key] of Array.from(table.entries())) if (key[0] <= scope.timeMs - reachMs) table.delete(key)
    if (results.length > 0) table.put(ownKey(scope), results)
  }

  /** What the batch of a scope gave: a task has what lies in its part of the state, wherever that was written. */
  again(scope: Scope): RDD<R> {
    const { sc, timeMs } = scope
    return sc.source<R, { index: number }>({
      name: this.#stream?.name ?? this.#name,
      partitions: Array.from({ length: sc.count }, (_, index) => ({ index })),
      read: (_, push) => {
        for (const [[atMs], results] of this.#table(scope).entries()) if (atMs === timeMs) for (const result of results) push(result)
      },
    })
  }

  #table({ state }: Scope): StateTable<readonly [timeMs: number, k: number], readonly R[]> {
    return state.table(this.#name)
  }
}

/** A key for a batch that this task owns, so that it moves with the task's part of the state. */
function ownKey(scope: Scope): readonly [number, number] {
  const partitioner = partitionerOf(scope)
  for (let k = 0; ; k++) if (partitioner.partitionOf([scope.timeMs, k]) === scope.sc.index) return [scope.timeMs, k]
}

/** Runs an operator in this task; what it returns gives the results, as often as it is asked. */
type Run<K, V, R> = (read: (push: Push<Pair<K, V>>) => void) => (push: Push<R>) => void

class UpdateStage<K, V, R> implements StateStage {
  readonly changesState = true
  readonly #input: Node<Pair<K, V>>
  readonly #run: Run<K, V, R>
  #results: ((push: Push<R>) => void) | undefined

  constructor(input: Node<Pair<K, V>>, run: Run<K, V, R>) {
    this.#input = input
    this.#run = run
  }

  get inputs(): readonly Node<unknown>[] {
    return [this.#input]
  }

  get isDone(): boolean {
    return this.#results !== undefined
  }

  // the keys of a task are its own: nothing is traded
  run(): Promise<void> {
    const { index } = this.#input.context
    this.#results = this.#run((push) => this.#input.read(index, push))
    return Promise.resolve()
  }

  read(push: Push<R>): void {
    this.#results?.(push)
  }
}

/**
 * What an operator with state makes of `input`, which is already divided by the key groups. `keepsKeys`: it gives pairs of the keys
 * it got. `keep` is told what it gave (`Past`).
 */
export function updated<K, V, R>(
  input: RDD<Pair<K, V>>,
  name: string,
  update: Update<K, V, R>,
  keepsKeys: boolean,
  keep?: (results: readonly R[]) => void,
): RDD<R> {
  const run: Run<K, V, R> = (read) => {
    const results: R[] = []
    update(read, (result) => results.push(result))
    keep?.(results)
    return (push) => {
      for (const result of results) push(result)
    }
  }
  return staged(input, name, run, keepsKeys)
}

/** The same where each result has something beside it, such as its time. There are many and they are kept: in columns, not as pairs. */
export function updatedBeside<K, V, A, B>(
  input: RDD<Pair<K, V>>,
  name: string,
  update: (read: (push: Push<Pair<K, V>>) => void, push: (beside: A, result: B) => void) => void,
): RDD<readonly [A, B]> {
  const run: Run<K, V, readonly [A, B]> = (read) => {
    const beside: A[] = []
    const results: B[] = []
    update(read, (a, b) => {
      beside.push(a)
      results.push(b)
    })
    return (push) => {
      for (let i = 0; i < results.length; i++) push([beside[i] as A, results[i] as B])
    }
  }
  return staged(input, name, run, false)
}

function staged<K, V, R>(input: RDD<Pair<K, V>>, name: string, run: Run<K, V, R>, keepsKeys: boolean): RDD<R> {
  const stage = new UpdateStage(input.node, run)
  return new RDD(
    new Node<R>(input.context, {
      name,
      partitions: input.partitions,
      partitioner: keepsKeys ? input.partitioner : undefined,
      dependencies: [{ kind: 'narrow', node: input.node, stage }],
      compute: (_, push) => stage.read(push),
    }),
  )
}

export function partitionerOf(scope: Scope): KeyGroupPartitioner {
  return new KeyGroupPartitioner(scope.sc.count)
}
