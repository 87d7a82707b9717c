/** Nodes of pairs that bring equal keys together. Where the input already lies as it must, nothing is traded. */
import { KeyMap } from '../keyed.ts'
import { Combine, Scatter, byKey, combineInto, gathered, reachable } from './exchanges.ts'
import type { Combiner, Reachable } from './exchanges.ts'
import { over } from './narrow.ts'
import { Node } from './node.ts'
import type { Push } from './node.ts'
import type { Compare } from './ordering.ts'
import { HashPartitioner, isSamePartitioner } from './partitioners.ts'
import type { Partitioner } from './partitioners.ts'

/** Where the result of an operation by key lies: a number of partitions, a partitioner, or what the inputs suggest. */
export type Partitions = number | Partitioner | undefined

export type PairNode<K, V> = Node<readonly [K, V]>

/** The partitioner that was asked for, or Spark's choice: the largest there is among the inputs if it is large enough, else by hash. */
export function partitionerFor(asked: Partitions, nodes: readonly Node<unknown>[]): Partitioner {
  if (asked !== undefined) return typeof asked === 'number' ? new HashPartitioner(asked) : asked
  const { hasOwnParallelism, defaultParallelism } = (nodes[0] as Node<unknown>).context
  const most = nodes.reduce((max, { partitions }) => Math.max(max, partitions), 0)
  const wanted = hasOwnParallelism ? defaultParallelism : most
  const known = nodes.filter(({ partitioner }) => partitioner !== undefined && partitioner.partitions > 0)
  const largest = known.toSorted((a, b) => b.partitions - a.partitions)[0]?.partitioner
  // large enough: within one order of magnitude of the input with the most partitions
  const isAdequate = largest !== undefined && (most < 10 * largest.partitions || wanted <= largest.partitions)
  return isAdequate ? largest : new HashPartitioner(wanted)
}

/** Pairs where `partitioner` says; each partition put in the order of its keys, if asked. */
export function partitioned<K, V>(parent: PairNode<K, V>, name: string, partitioner: Partitioner, compare?: Compare<K>): PairNode<K, V> {
  const arrange = compare && ((pairs: (readonly [K, V])[]) => void pairs.sort(([a], [b]) => compare(a, b)))
  const scatter = new Scatter<readonly [K, V]>(parent, partitioner.partitions, byKey(partitioner), partitioner, arrange)
  return new Node<readonly [K, V]>(parent.context, {
    name,
    partitions: partitioner.partitions,
    partitioner,
    dependencies: [scatter.dependency],
    compute: (partition, push) => scatter.read(partition, push),
  })
}

/** One pair for each key, its values combined. */
export function combined<K, V, C>(parent: PairNode<K, V>, name: string, partitioner: Partitioner, combiner: Combiner<V, C>): Node<[K, C]> {
  if (isSamePartitioner(parent.partitioner, partitioner)) {
    const compute = (partition: number, push: Push<[K, C]>): void => {
      const cells = new KeyMap<K, C>()
      combineInto(cells, (into) => parent.read(partition, into), combiner)
      cells.forEach(({ key, value }) => push([key, value]))
    }
    return over(parent, name, compute, { keepsPartitioner: true })
  }
  const combine = new Combine(parent, partitioner, combiner)
  return new Node<[K, C]>(parent.context, {
    name,
    partitions: partitioner.partitions,
    partitioner,
    dependencies: [combine.dependency],
    compute: (partition, push) => combine.read(partition, push),
  })
}

/** All values of each key. They are traded one by one and not combined before, so that they keep the order of the input. */
export function grouped<K, V>(parent: PairNode<K, V>, partitioner: Partitioner): Node<[K, V[]]> {
  const pairs = placed(parent, partitioner)
  return new Node<[K, V[]]>(parent.context, {
    name: 'groupByKey',
    partitions: partitioner.partitions,
    partitioner,
    dependencies: [pairs.dependency],
    compute: (partition, push) => {
      const cells = new KeyMap<K, V[]>()
      pairs.read(partition, ([key, value]) => {
        const cell = cells.find(key)
        if (cell === undefined) cells.add(key, [value])
        else cell.value.push(value)
      })
      cells.forEach(({ key, value }) => push([key, value]))
    },
  })
}

/** For each key of any parent, its values in each. */
export function cogrouped<K>(parents: readonly PairNode<K, unknown>[], partitioner: Partitioner): Node<[K, unknown[][]]> {
  const inputs = parents.map((parent) => placed(parent, partitioner))
  return new Node<[K, unknown[][]]>((parents[0] as PairNode<K, unknown>).context, {
    name: 'cogroup',
    partitions: partitioner.partitions,
    partitioner,
    dependencies: inputs.map(({ dependency }) => dependency),
    compute: (partition, push) => {
      const cells = new KeyMap<K, unknown[][]>()
      inputs.forEach((input, i) =>
        input.read(partition, ([key, value]) => {
          const groups = (
            cells.find(key) ??
            cells.add(
              key,
              inputs.map((): unknown[] => []),
            )
          ).value
          groups[i]?.push(value)
        }),
      )
      cells.forEach(({ key, value }) => push([key, value]))
    },
  })
}

/** The pairs whose keys are not among those of `others`. */
export function withoutKeys<K, V>(parent: PairNode<K, V>, others: PairNode<K, unknown>, partitioner: Partitioner): Node<readonly [K, V]> {
  const [left, right] = [placed(parent, partitioner), placed(others, partitioner)]
  return new Node<readonly [K, V]>(parent.context, {
    name: 'subtractByKey',
    partitions: partitioner.partitions,
    partitioner,
    dependencies: [left.dependency, right.dependency],
    compute: (partition, push) => {
      const keys = new KeyMap<K, true>()
      right.read(partition, ([key]) => keys.set(key, true))
      left.read(partition, (pair) => {
        if (!keys.has(pair[0])) push(pair)
      })
    },
  })
}

/** Pairs as `partitioner` has them: as they lie if they do already, or else traded. */
function placed<K, V>(parent: PairNode<K, V>, partitioner: Partitioner): Reachable<readonly [K, V]> {
  if (isSamePartitioner(parent.partitioner, partitioner)) return reachable(parent, (partition) => [partition % parent.context.count])
  return new Scatter<readonly [K, V]>(parent, partitioner.partitions, byKey(partitioner), partitioner)
}

/** The values of one key in one partition. */
export function valuesOf<K, V>(read: (push: Push<readonly [K, V]>) => void, isWanted: (key: K) => boolean): V[] {
  return gathered<V>((push) =>
    read(([key, value]) => {
      if (isWanted(key)) push(value)
    }),
  )
}
