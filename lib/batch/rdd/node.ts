/**
 * A node of the lineage graph: what an RDD is, without its vocabulary. A node knows how each of its partitions is computed
 * from the nodes it depends on; nothing is computed before an action asks.
 *
 * Computing is *push*: `compute(partition, push)` calls `push` for each value, and a narrow operator wraps the `push` of the
 * next. A chain of them is one loop, without iterators and without anything allocated per value. An action that has seen
 * enough throws `enough` through the chain.
 */
import { SquallError } from '../../errors.ts'
import type { StorageLevel } from '../blocks.ts'
import type { RddContext } from '../context.ts'
import { isComputing } from './attempts.ts'
import { partitionsMax } from './partitioners.ts'
import type { Partitioner } from './partitioners.ts'

export type Push<T> = (value: T) => void

/** Work of all tasks together that must be done before partitions can be computed. Done once, its result is kept. */
export interface Stage {
  /** the nodes that it computes */
  readonly inputs: readonly Node<unknown>[]
  readonly isDone: boolean
  run(): Promise<void>
}

export interface Dependency {
  /** narrow: a partition needs few partitions of the parent; wide: it needs all of them, and a stage ends there */
  readonly kind: 'narrow' | 'wide'
  readonly node: Node<unknown>
  /** what must have run before this node is computed */
  readonly stage?: Stage | undefined
}

export interface Lineage<T> {
  readonly dependencies: readonly Dependency[]
  compute(this: void, partition: number, push: Push<T>): void
}

export interface NodeOptions<T> extends Lineage<T> {
  /** the operation that made it */
  readonly name: string
  readonly partitions: number
  readonly partitioner?: Partitioner | undefined
  /** the task that computes a partition (`partition % count`) */
  readonly owner?: ((partition: number) => number) | undefined
}

export class Node<T> {
  readonly context: RddContext
  readonly id: number
  readonly partitions: number
  readonly partitioner: Partitioner | undefined
  readonly owner: (partition: number) => number
  name: string
  #lineage: Lineage<T>
  #level: StorageLevel | undefined
  #checkpoint: 'marked' | 'done' | undefined

  constructor(context: RddContext, { name, partitions, partitioner, owner, dependencies, compute }: NodeOptions<T>) {
    if (isComputing()) throw new SquallError('rdd-nested', { what: `the transformation ${name}` })
    if (partitions > partitionsMax) throw new SquallError('too-many-partitions', { name, partitions, max: partitionsMax })
    this.context = context
    this.id = context.nextId()
    this.name = name
    this.partitions = partitions
    this.partitioner = partitioner
    this.owner = owner ?? ((partition) => partition % context.count)
    this.#lineage = { dependencies, compute }
  }

  get dependencies(): readonly Dependency[] {
    return this.#lineage.dependencies
  }

  get level(): StorageLevel | undefined {
    return this.#level
  }

  get checkpointState(): 'marked' | 'done' | undefined {
    return this.#checkpoint
  }

  /** `name[id]`, for people. */
  get title(): string {
    return `${this.name}[${this.id}]`
  }

  /** Gives the values of a partition: those that are stored, or else computed from lineage. */
  read(partition: number, push: Push<T>): void {
    const level = this.#level
    if (level === undefined) {
      this.#lineage.compute(partition, push)
      return
    }
    const { blocks } = this.context
    let values = blocks.get<T>(this.id, partition)
    if (values === undefined) {
      values = this.valuesOf(partition)
      blocks.put(this.id, partition, values, level)
    }
    for (let i = 0; i < values.length; i++) push(values[i] as T)
  }

  /** The values of a partition in an array that is the caller's to keep, and not to change. */
  gather(partition: number): readonly T[] {
    if (this.#level === undefined) return this.valuesOf(partition)
    const stored = this.context.blocks.get<T>(this.id, partition)
    if (stored !== undefined) return stored
    const values: T[] = []
    this.read(partition, (value) => values.push(value))
    return values
  }

  /** Computed, even where they are stored. */
  valuesOf(partition: number): T[] {
    const values: T[] = []
    this.#lineage.compute(partition, (value) => values.push(value))
    return values
  }

  persist(level: StorageLevel): void {
    if (this.#level !== undefined && this.#level !== level)
      throw new SquallError('storage-level', { rdd: this.title, from: this.#level, to: level })
    this.#level = level
  }

  unpersist(): void {
    this.#level = undefined
    this.context.blocks.dropAll(this.id)
  }

  markForCheckpoint(): void {
    this.#checkpoint ??= 'marked'
  }

  /** Cuts the lineage: from now on `valuesOf` gives the partitions, and the parents can go. */
  cut(valuesOf: (partition: number) => readonly unknown[]): void {
    this.#lineage = { dependencies: [], compute: (partition, push) => valuesOf(partition).forEach((value) => push(value as T)) }
    this.#checkpoint = 'done'
  }
}

/** A narrow dependency, for the common case of one. */
export function narrow(node: Node<unknown>): Dependency {
  return { kind: 'narrow', node }
}
