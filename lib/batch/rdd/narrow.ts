/** Nodes of one parent whose partitions are its partitions. Each wraps the `push` of the next; nothing is allocated per value. */
import { SquallError } from '../../errors.ts'
import { narrow, Node } from './node.ts'
import type { NodeOptions, Push } from './node.ts'
import type { Partitioner } from './partitioners.ts'

/** Whether the values stay where the parent's partitioner has put them. */
interface Kept {
  readonly keepsPartitioner?: boolean
}

/** A node over the same partitions as `parent`. */
export function over<T, U>(
  parent: Node<T>,
  name: string,
  compute: NodeOptions<U>['compute'],
  { keepsPartitioner = false }: Kept = {},
): Node<U> {
  const { context, partitions, owner } = parent
  const partitioner: Partitioner | undefined = keepsPartitioner ? parent.partitioner : undefined
  return new Node<U>(context, { name, partitions, partitioner, owner, dependencies: [narrow(parent)], compute })
}

export function mapped<T, U>(parent: Node<T>, name: string, f: (value: T) => U, kept?: Kept): Node<U> {
  return over<T, U>(parent, name, (partition, push) => parent.read(partition, (value) => push(f(value))), kept)
}

export function flatMapped<T, U>(parent: Node<T>, name: string, f: (value: T) => Iterable<U>, kept?: Kept): Node<U> {
  return over<T, U>(parent, name, (partition, push) => parent.read(partition, (value) => pushAll(f(value), push, name)), kept)
}

export function filtered<T>(parent: Node<T>, name: string, isWanted: (value: T) => boolean): Node<T> {
  const compute = (partition: number, push: Push<T>): void =>
    parent.read(partition, (value) => {
      const wanted: unknown = isWanted(value)
      if (wanted === true) push(value)
      // a promise would let every value through
      else if (wanted instanceof Promise) throw new SquallError('async-function', { operation: name })
      else if (wanted) push(value)
    })
  return over<T, T>(parent, name, compute, { keepsPartitioner: true })
}

/** Whole partitions at once. */
export function mappedPartitions<T, U>(
  parent: Node<T>,
  name: string,
  f: (values: readonly T[], partition: number) => Iterable<U>,
  kept?: Kept,
): Node<U> {
  return over<T, U>(parent, name, (partition, push) => pushAll(f(parent.gather(partition), partition), push, name), kept)
}

/** Gives the items of any iterable; arrays, which most are, without an iterator. */
export function pushAll<T>(items: Iterable<T>, push: Push<T>, operation: string): void {
  if (Array.isArray(items)) for (let i = 0; i < items.length; i++) push(items[i] as T)
  else if (items instanceof Promise) throw new SquallError('async-function', { operation })
  else for (const item of items) push(item)
}
