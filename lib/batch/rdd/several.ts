/** Nodes of several parents, or of other partitions than their parent has; nothing here is divided by key. */
import { SquallError } from '../../errors.ts'
import { Scatter, gathered, reachable, routed } from './exchanges.ts'
import type { Router } from './exchanges.ts'
import { pushAll } from './narrow.ts'
import { Node, narrow } from './node.ts'
import type { Dependency, Push, Stage } from './node.ts'
import { checkPartitions, isSamePartitioner } from './partitioners.ts'
import { computed } from './trade.ts'

/**
 * The partitions of the first, then those of the second, and so on; or side by side, where all have the same partitioner. Parents
 * without partitions count for nothing.
 */
export function unionOf<T>(all: readonly [Node<T>, ...Node<T>[]]): Node<T> {
  const parents = all.filter(({ partitions }) => partitions > 0)
  const [first] = parents
  if (first !== undefined && parents.every(({ partitioner }) => isSamePartitioner(partitioner, first.partitioner)))
    return unionByPartition(parents)
  const owned: { readonly parent: Node<T>; readonly partition: number }[] = []
  for (const parent of parents) for (let partition = 0; partition < parent.partitions; partition++) owned.push({ parent, partition })
  return new Node<T>(all[0].context, {
    name: 'union',
    partitions: owned.length,
    owner: (partition) => {
      const { parent, partition: of } = owned[partition] as (typeof owned)[number]
      return parent.owner(of)
    },
    dependencies: parents.map(narrow),
    compute: (partition, push) => {
      const { parent, partition: of } = owned[partition] as (typeof owned)[number]
      parent.read(of, push)
    },
  })
}

function unionByPartition<T>(parents: readonly Node<T>[]): Node<T> {
  const { context, partitions, partitioner, owner } = parents[0] as Node<T>
  const all = parents.map((parent) => reachable(parent, (partition) => [owner(partition)]))
  return new Node<T>(context, {
    name: 'partitioner-aware union',
    partitions,
    partitioner,
    owner,
    dependencies: all.map(({ dependency }) => dependency),
    compute: (partition, push) => {
      for (const one of all) one.read(partition, push)
    },
  })
}

/** Fewer partitions: neighbours become one. More than there are it never gets. */
export function coalesced<T>(parent: Node<T>, partitions: number): Node<T> {
  checkPartitions(partitions, 'coalesce')
  const wanted = Math.min(partitions, parent.partitions)
  const from = (i: number): number => Math.floor((i * parent.partitions) / wanted)
  // a group belongs to the owner of its first partition, which so stays where it is
  const owner = (i: number): number => parent.owner(from(i))
  const groupOf: number[] = []
  for (let i = 0; i < wanted; i++) for (let p = from(i); p < from(i + 1); p++) groupOf[p] = i
  const all = reachable(parent, (p) => [owner(groupOf[p] as number)])
  return new Node<T>(parent.context, {
    name: 'coalesce',
    partitions: wanted,
    owner,
    dependencies: [all.dependency],
    compute: (i, push) => {
      for (let p = from(i); p < from(i + 1); p++) all.read(p, push)
    },
  })
}

/** Some of the partitions, in order; the others are not computed. */
export function pruned<T>(parent: Node<T>, isWanted: (partition: number) => boolean): Node<T> {
  const kept = Array.from({ length: parent.partitions }, (_, partition) => partition).filter(isWanted)
  return new Node<T>(parent.context, {
    name: 'prunePartitions',
    partitions: kept.length,
    owner: (partition) => parent.owner(kept[partition] as number),
    dependencies: [narrow(parent)],
    compute: (partition, push) => parent.read(kept[partition] as number, push),
  })
}

/** Values dealt out in turn. Each partition of the parent begins elsewhere, so that the small ones do not all fill the first. */
export function repartitioned<T>(parent: Node<T>, partitions: number, name: string): Node<T> {
  checkPartitions(partitions, name)
  const inTurn: Router<T> = (from) => {
    let next = Math.floor((from * partitions) / parent.partitions) - 1
    return () => {
      next = next + 1 === partitions ? 0 : next + 1
      return next
    }
  }
  const scatter = new Scatter<T>(parent, partitions, routed(inTurn))
  return new Node<T>(parent.context, {
    name,
    partitions,
    dependencies: [scatter.dependency],
    compute: (partition, push) => scatter.read(partition, push),
  })
}

/** Partition by partition, what `f` makes of one of each. All have as many partitions. */
export function zippedPartitions<U>(
  parents: readonly Node<unknown>[],
  name: string,
  f: (values: readonly unknown[][], partition: number) => Iterable<U>,
): Node<U> {
  const [first] = parents as [Node<unknown>]
  const different = parents.find(({ partitions }) => partitions !== first.partitions)
  if (different !== undefined)
    throw new SquallError('zip-partitions', { a: first.title, m: first.partitions, b: different.title, n: different.partitions })
  const all = parents.map((parent) => reachable(parent, (partition) => [first.owner(partition)]))
  return new Node<U>(first.context, {
    name,
    partitions: first.partitions,
    owner: first.owner,
    dependencies: all.map(({ dependency }) => dependency),
    compute: (partition, push) =>
      pushAll(
        f(
          all.map((one) => gathered((into) => one.read(partition, into))),
          partition,
        ),
        push,
        name,
      ),
  })
}

/** Every value of the left with every one of the right; a partition for each two. */
export function product<T, U>(left: Node<T>, right: Node<U>): Node<[T, U]> {
  const columns = right.partitions
  const owner = (partition: number): number => left.owner(Math.floor(partition / columns))
  const rows = Array.from({ length: left.partitions }, (_, row) => left.owner(row))
  const all = reachable(right, () => [...new Set(rows)])
  return new Node<[T, U]>(left.context, {
    name: 'cartesian',
    partitions: left.partitions * columns,
    owner,
    dependencies: [narrow(left), all.dependency],
    compute: (partition, push) => {
      const values = gathered<U>((into) => all.read(partition % columns, into))
      left.read(Math.floor(partition / columns), (a) => {
        for (const b of values) push([a, b])
      })
    },
  })
}

// ------------------------------------------------------------------------------------------------ numbered values

/** How many values the partitions have before each: known once all have been counted. */
class Offsets implements Stage {
  readonly #parent: Node<unknown>
  #offsets: readonly number[] | undefined

  constructor(parent: Node<unknown>) {
    this.#parent = parent
    if (parent.partitions <= 1) this.#offsets = [0]
  }

  get inputs(): readonly Node<unknown>[] {
    return [this.#parent]
  }

  get isDone(): boolean {
    return this.#offsets !== undefined
  }

  /** Counts all partitions but the last. */
  async run(): Promise<void> {
    const counted = Array.from({ length: this.#parent.partitions - 1 }, (_, partition) => partition)
    const counts = await computed(this.#parent, `count of ${this.#parent.title}`, counted, (read) => {
      let count = 0
      read(() => void count++)
      return count
    })
    let sum = 0
    this.#offsets = [0, ...counts.map((count) => (sum += count))]
  }

  of(partition: number): number {
    return this.#offsets?.[partition] as number
  }
}

/** Each value with its place in the whole. */
export function indexed<T>(parent: Node<T>): Node<[T, number]> {
  const offsets = new Offsets(parent)
  const dependency: Dependency = { kind: 'narrow', node: parent, stage: offsets.isDone ? undefined : offsets }
  return new Node<[T, number]>(parent.context, {
    name: 'zipWithIndex',
    partitions: parent.partitions,
    owner: parent.owner,
    dependencies: [dependency],
    compute: (partition, push) => {
      let index = offsets.of(partition)
      parent.read(partition, (value) => push([value, index++]))
    },
  })
}

/** Each value with a number that no other has: in partition `p` of `n` they are p, p + n, p + 2n, and so on. */
export function numbered<T>(parent: Node<T>): Node<[T, number]> {
  const { context, partitions, owner } = parent
  const compute = (partition: number, push: Push<[T, number]>): void => {
    let id = partition
    parent.read(partition, (value) => {
      push([value, id])
      id += partitions
    })
  }
  return new Node<[T, number]>(context, { name: 'zipWithUniqueId', partitions, owner, dependencies: [narrow(parent)], compute })
}
