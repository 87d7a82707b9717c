/**
 * RDDs of operators that keep state: every key's records come to the task that owns the key's group, there the operator runs
 * once a batch, and what it gives is kept as long as the RDD.
 */
import { keyGroupOf, keyGroupsDefault, taskOfKeyGroup } from '../state/keys.ts'
import { Node } from '../rdd/node.ts'
import type { Push } from '../rdd/node.ts'
import type { Partitioner } from '../rdd/partitioners.ts'
import { RDD } from '../rdd/rdd.ts'
import type { StateStage } from './ahead.ts'
import type { Pair } from './dstream.ts'
import type { Scope } from './scope.ts'

/** A partition a task: the keys whose groups the task owns. */
export class KeyGroupPartitioner implements Partitioner {
  readonly partitions: number
  readonly keyGroups: number

  constructor(partitions: number, keyGroups: number = keyGroupsDefault) {
    this.partitions = partitions
    this.keyGroups = keyGroups
  }

  partitionOf(key: unknown): number {
    return taskOfKeyGroup(keyGroupOf(key, this.keyGroups), this.keyGroups, this.partitions)
  }

  equals(other: Partitioner): boolean {
    return other instanceof KeyGroupPartitioner && other.partitions === this.partitions && other.keyGroups === this.keyGroups
  }
}

/** What an operator does in one task with one batch: `read` gives the task's records. */
export type Update<K, V, R> = (read: (push: Push<Pair<K, V>>) => void, push: Push<R>) => void

class UpdateStage<K, V, R> implements StateStage {
  readonly changesState = true
  readonly #input: Node<Pair<K, V>>
  readonly #update: Update<K, V, R>
  #results: R[] | undefined

  constructor(input: Node<Pair<K, V>>, update: Update<K, V, R>) {
    this.#input = input
    this.#update = update
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
    const results: R[] = []
    this.#update(
      (push) => this.#input.read(index, push),
      (result) => results.push(result),
    )
    this.#results = results
    return Promise.resolve()
  }

  read(push: Push<R>): void {
    for (const result of this.#results ?? []) push(result)
  }
}

/**
 * What an operator with state makes of `input`, which is already divided by the key groups. `keepsKeys`: it gives pairs of the keys
 * it got.
 */
export function updated<K, V, R>(input: RDD<Pair<K, V>>, name: string, update: Update<K, V, R>, keepsKeys: boolean): RDD<R> {
  const stage = new UpdateStage(input.node, update)
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

/** All of a state, behind the operator that changes it. */
export function snapshotOf<K, S>(after: RDD<unknown>, entries: () => Iterable<Pair<K, S>>): RDD<Pair<K, S>> {
  return new RDD(
    new Node<Pair<K, S>>(after.context, {
      name: 'stateSnapshots',
      partitions: after.partitions,
      dependencies: [{ kind: 'narrow', node: after.node }],
      compute: (_, push) => {
        for (const entry of entries()) push(entry)
      },
    }),
  )
}

export function partitionerOf(scope: Scope): KeyGroupPartitioner {
  return new KeyGroupPartitioner(scope.sc.count)
}
