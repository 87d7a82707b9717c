/**
 * The stages behind wide dependencies. Each task computes its partitions of the parent, divides the values by the partition they
 * go to, trades them with the other tasks, and keeps what it got for as long as the RDD lives: later jobs skip the stage.
 *
 * Budget of `Combine`, which is behind `reduceByKey` and its kind: a value costs one look-up in one map a *task*; what is
 * traded is a key and its combined value, once a task. With one task nothing is copied.
 */
import { KeyMap } from '../keyed.ts'
import type { Cell } from '../keyed.ts'
import { tried, triedTogether } from './attempts.ts'
import type { Dependency, Node, Push, Stage } from './node.ts'
import { partitionOf } from './partitioners.ts'
import type { Partitioner } from './partitioners.ts'
import { RangePartitioner } from './range-partitioner.ts'
import { trade } from './trade.ts'

/** The partitions of `node` that this task computes. */
function ownedBy(node: Node<unknown>): readonly number[] {
  return Array.from({ length: node.partitions }, (_, partition) => partition).filter((p) => node.owner(p) === node.context.index)
}

/** What must be computed before keys can be divided by `partitioner`, besides the parent. */
function inputsOf(parent: Node<unknown>, partitioner: Partitioner | undefined): readonly Node<unknown>[] {
  const sampled = partitioner instanceof RangePartitioner ? partitioner.unsampled : undefined
  return sampled === undefined || sampled === parent ? [parent] : [parent, sampled]
}

// ------------------------------------------------------------------------------------------------ every value to a partition

/** What one partition of the parent gives to one partition of the child. */
interface Segment {
  readonly from: number
  readonly bucket: unknown
}

/** How the values of a partition of the parent are divided, and what those that go to one partition look like on their way. */
export interface Division<T> {
  /** A bucket for each partition that gets any. */
  divide(from: number, partitions: number, read: (push: Push<T>) => void): readonly unknown[]
  read(bucket: unknown, push: Push<T>): void
}

/** Says for a partition of the parent where each of its values goes. */
export type Router<T> = (from: number) => (value: T) => number

/** Each value to the partition that a division says. They arrive in the order of the parent's partitions. */
export class Scatter<T> implements Stage {
  readonly #parent: Node<T>
  readonly #partitions: number
  readonly #division: Division<T>
  readonly #partitioner: Partitioner | undefined
  readonly #arrange: ((values: T[]) => void) | undefined
  /** what arrived, by partition; only of the partitions of this task */
  #segments: (readonly Segment[])[] | undefined
  /** by partition: its values in order, once they were read */
  readonly #arranged = new Map<number, readonly T[]>()

  /** `arrange` puts the values of a partition in order. `partitioner` is what the division goes by, if it does. */
  constructor(parent: Node<T>, partitions: number, division: Division<T>, partitioner?: Partitioner, arrange?: (values: T[]) => void) {
    this.#parent = parent
    this.#partitions = partitions
    this.#division = division
    this.#partitioner = partitioner
    this.#arrange = arrange
  }

  get inputs(): readonly Node<unknown>[] {
    return inputsOf(this.#parent, this.#partitioner)
  }

  get isDone(): boolean {
    return this.#segments !== undefined
  }

  get dependency(): Dependency {
    return { kind: 'wide', node: this.#parent, stage: this }
  }

  async run(): Promise<void> {
    const { context } = this.#parent
    if (this.#partitioner instanceof RangePartitioner) await this.#partitioner.sample()
    const got = await trade(context, `exchange of ${this.#parent.title}`, () => this.#divide())
    const segments = Array.from({ length: this.#partitions }, (): Segment[] => [])
    for (const block of got as readonly (readonly unknown[])[])
      for (let i = 0; i < block.length; i += 3) segments[block[i] as number]?.push({ from: block[i + 1] as number, bucket: block[i + 2] })
    if (context.count > 1) for (const list of segments) list.sort((a, b) => a.from - b.from)
    this.#segments = segments
  }

  read(partition: number, push: Push<T>): void {
    if (this.#arrange === undefined) this.#readAll(partition, push)
    else for (const value of this.#inOrder(partition, this.#arrange)) push(value)
  }

  /** For each task: partition, partition of the parent, bucket, and so on. */
  #divide(): unknown[][] {
    const { context } = this.#parent
    const blocks = Array.from({ length: context.count }, (): unknown[] => [])
    for (const from of ownedBy(this.#parent)) {
      const buckets = tried(this.#parent, from, () =>
        this.#division.divide(from, this.#partitions, (push) => this.#parent.read(from, push)),
      )
      buckets.forEach((bucket, to) => {
        if (bucket !== undefined) blocks[to % context.count]?.push(to, from, bucket)
      })
    }
    return blocks
  }

  #readAll(partition: number, push: Push<T>): void {
    const segments = this.#segments as (readonly Segment[])[]
    for (const { bucket } of segments[partition] as readonly Segment[]) this.#division.read(bucket, push)
  }

  #inOrder(partition: number, arrange: (values: T[]) => void): readonly T[] {
    const known = this.#arranged.get(partition)
    if (known !== undefined) return known
    const values = gathered<T>((push) => this.#readAll(partition, push))
    arrange(values)
    this.#arranged.set(partition, values)
    ;(this.#segments as (readonly Segment[])[])[partition] = []
    return values
  }
}

/** Values where a router says, each as it is. */
export function routed<T>(router: Router<T>): Division<T> {
  return {
    divide(from, partitions, read) {
      const buckets = new Array<T[] | undefined>(partitions).fill(undefined)
      const route = router(from)
      read((value) => {
        const to = route(value)
        const bucket = buckets[to]
        if (bucket === undefined) buckets[to] = [value]
        else bucket.push(value)
      })
      return buckets
    },
    read(bucket, push) {
      const values = bucket as readonly T[]
      for (let i = 0; i < values.length; i++) push(values[i] as T)
    },
  }
}

/** The pairs for one partition in columns: of pair `i` the key is `keys[at[i]]`. A text is there once, however many pairs have it. */
type Columns<K, V> = [keys: K[], at: number[], values: V[]]

/** Pairs where a partitioner says: a text is hashed, goes to another task and is kept there once a partition of the parent. */
export function byKey<K, V>(partitioner: Partitioner): Division<readonly [K, V]> {
  return {
    divide(_, partitions, read) {
      const buckets = new Array<Columns<K, V> | undefined>(partitions).fill(undefined)
      const places = new Map<K, { readonly bucket: Columns<K, V>; readonly at: number }>()
      read(([key, value]) => {
        let place = typeof key === 'string' ? places.get(key) : undefined
        if (place === undefined) {
          const bucket = (buckets[partitionOf(partitioner, key)] ??= [[], [], []])
          place = { bucket, at: bucket[0].length }
          bucket[0].push(key)
          if (typeof key === 'string') places.set(key, place)
        }
        place.bucket[1].push(place.at)
        place.bucket[2].push(value)
      })
      return buckets
    },
    read(bucket, push) {
      const [keys, at, values] = bucket as Columns<K, V>
      for (let i = 0; i < at.length; i++) push([keys[at[i] as number] as K, values[i] as V])
    },
  }
}

// ------------------------------------------------------------------------------------------------ combined by key

export interface Combiner<V, C> {
  readonly create: (value: V) => C
  readonly mergeValue: (combined: C, value: V) => C
  readonly mergeCombined: (a: C, b: C) => C
}

/** Adds the values of a partition to `cells`. */
export function combineInto<K, V, C>(
  cells: KeyMap<K, C>,
  read: (push: Push<readonly [K, V]>) => void,
  { create, mergeValue }: Combiner<V, C>,
): void {
  read((pair) => {
    const key = pair[0]
    const cell = cells.find(key)
    if (cell === undefined) cells.add(key, create(pair[1]))
    else cell.value = mergeValue(cell.value, pair[1])
  })
}

/** The values of each key combined: first in each task, then those of all tasks. */
export class Combine<K, V, C> implements Stage {
  readonly #parent: Node<readonly [K, V]>
  readonly #partitioner: Partitioner
  readonly #combiner: Combiner<V, C>
  /** by partition: what this task had, and then what the partitions of this task are once they were read */
  #cells: (readonly Cell<K, C>[])[] | undefined
  /** by partition: keys and combined values in turn, a list from each of the other tasks; until they were read */
  readonly #received = new Map<number, (readonly unknown[])[]>()
  /** the cells by key, as long as anything that was received has to find its own */
  #byKey: KeyMap<K, C> | undefined

  constructor(parent: Node<readonly [K, V]>, partitioner: Partitioner, combiner: Combiner<V, C>) {
    this.#parent = parent
    this.#partitioner = partitioner
    this.#combiner = combiner
  }

  get inputs(): readonly Node<unknown>[] {
    return inputsOf(this.#parent, this.#partitioner)
  }

  get isDone(): boolean {
    return this.#cells !== undefined
  }

  get dependency(): Dependency {
    return { kind: 'wide', node: this.#parent, stage: this }
  }

  async run(): Promise<void> {
    const { context } = this.#parent
    if (this.#partitioner instanceof RangePartitioner) await this.#partitioner.sample()
    let divided: Cell<K, C>[][] = []
    let byKey: KeyMap<K, C> | undefined
    const got = await trade(context, `exchange of ${this.#parent.title}`, () => {
      byKey = this.#combine()
      divided = this.#divide(byKey)
      return Array.from({ length: context.count }, (_, task) => (task === context.index ? [] : flat(divided, task, context.count)))
    })
    for (const block of got as readonly (readonly unknown[])[])
      for (let i = 0; i < block.length; i += 2) {
        const partition = block[i] as number
        const lists = this.#received.get(partition) ?? []
        this.#received.set(partition, lists)
        lists.push(block[i + 1] as readonly unknown[])
      }
    if (this.#received.size > 0) this.#byKey = byKey
    this.#cells = divided.map((cells, partition) => (partition % context.count === context.index ? cells : []))
  }

  read(partition: number, push: Push<[K, C]>): void {
    for (const { key, value } of this.#merged(partition)) push([key, value])
  }

  #combine(): KeyMap<K, C> {
    let cells = new KeyMap<K, C>()
    triedTogether(this.#parent, ownedBy(this.#parent), () => {
      cells = new KeyMap()
      return (partition) => combineInto(cells, (push) => this.#parent.read(partition, push), this.#combiner)
    })
    return cells
  }

  #divide(cells: KeyMap<K, C>): Cell<K, C>[][] {
    const partitioner = this.#partitioner
    if (partitioner.partitions === 1) return [[...cells.cells()]]
    const divided = Array.from({ length: partitioner.partitions }, (): Cell<K, C>[] => [])
    cells.forEach((cell) => void divided[partitionOf(partitioner, cell.key)]?.push(cell))
    return divided
  }

  /** Merged when it is read, so that a fault of the user's function is one of the partition that is computed then. */
  #merged(partition: number): readonly Cell<K, C>[] {
    const all = this.#cells as (readonly Cell<K, C>[])[]
    const own = all[partition] as readonly Cell<K, C>[]
    const lists = this.#received.get(partition)
    if (lists === undefined) return own
    const added = this.#mergeAll(this.#byKey as KeyMap<K, C>, lists)
    this.#received.delete(partition)
    if (this.#received.size === 0) this.#byKey = undefined
    return (all[partition] = added.length === 0 ? own : [...own, ...added])
  }

  /** Merges what was received with the cells of its keys; returns those of new keys. After a fault, all is as it was. */
  #mergeAll(byKey: KeyMap<K, C>, lists: readonly (readonly unknown[])[]): readonly Cell<K, C>[] {
    const { mergeCombined } = this.#combiner
    const added: Cell<K, C>[] = []
    const changed: Cell<K, C>[] = []
    const before: C[] = []
    try {
      for (const list of lists)
        for (let i = 0; i < list.length; i += 2) {
          const [key, value] = [list[i] as K, list[i + 1] as C]
          const cell = byKey.find(key)
          if (cell === undefined) {
            added.push(byKey.add(key, value))
            continue
          }
          const combined = mergeCombined(cell.value, value)
          changed.push(cell)
          before.push(cell.value)
          cell.value = combined
        }
    } catch (error) {
      for (let i = changed.length - 1; i >= 0; i--) (changed[i] as Cell<K, C>).value = before[i] as C
      for (const { key } of added) byKey.delete(key)
      throw error
    }
    return added
  }
}

/** What goes to one task: partition, then its keys and values in turn, and so on. */
function flat<K, C>(divided: readonly (readonly Cell<K, C>[])[], task: number, count: number): unknown[] {
  const block: unknown[] = []
  for (let partition = task; partition < divided.length; partition += count) {
    const cells = divided[partition] as readonly Cell<K, C>[]
    if (cells.length === 0) continue
    const pairs: unknown[] = []
    for (const { key, value } of cells) pairs.push(key, value)
    block.push(partition, pairs)
  }
  return block
}

// ------------------------------------------------------------------------------------------------ whole partitions

/** Whole partitions to the tasks that need them. */
class Move<T> implements Stage {
  readonly #parent: Node<T>
  readonly #needers: (partition: number) => readonly number[]
  #moved: Map<number, readonly T[]> | undefined

  constructor(parent: Node<T>, needers: (partition: number) => readonly number[]) {
    this.#parent = parent
    this.#needers = needers
  }

  get inputs(): readonly Node<unknown>[] {
    return [this.#parent]
  }

  get isDone(): boolean {
    return this.#moved !== undefined
  }

  async run(): Promise<void> {
    const parent = this.#parent
    const { context } = parent
    const got = await trade(context, `move of ${parent.title}`, () => {
      const blocks = Array.from({ length: context.count }, (): unknown[] => [])
      for (const partition of ownedBy(parent)) {
        const others = this.#needers(partition).filter((task) => task !== context.index)
        if (others.length === 0) continue
        const values = tried(parent, partition, () => parent.gather(partition))
        for (const task of others) blocks[task]?.push(partition, values)
      }
      return blocks
    })
    this.#moved = new Map()
    for (const block of got as readonly (readonly unknown[])[])
      for (let i = 0; i < block.length; i += 2) this.#moved.set(block[i] as number, block[i + 1] as readonly T[])
  }

  read(partition: number, push: Push<T>): void {
    const values = this.#moved?.get(partition)
    if (values === undefined) this.#parent.read(partition, push)
    else for (let i = 0; i < values.length; i++) push(values[i] as T)
  }
}

/** Partitions of a node as other tasks than their owners may read them. */
export interface Reachable<T> {
  readonly dependency: Dependency
  read(partition: number, push: Push<T>): void
}

/** A narrow dependency on partitions that `needers` read. Nothing is moved where these are the owners. */
export function reachable<T>(parent: Node<T>, needers: (partition: number) => readonly number[]): Reachable<T> {
  const isLocal = (partition: number): boolean => needers(partition).every((task) => task === parent.owner(partition))
  const all = Array.from({ length: parent.partitions }, (_, partition) => partition)
  if (parent.context.count === 1 || all.every(isLocal))
    return { dependency: { kind: 'narrow', node: parent }, read: (partition, push) => parent.read(partition, push) }
  const move = new Move(parent, needers)
  return { dependency: { kind: 'narrow', node: parent, stage: move }, read: (partition, push) => move.read(partition, push) }
}

export function gathered<T>(read: (push: Push<T>) => void): T[] {
  const values: T[] = []
  read((value) => values.push(value))
  return values
}
