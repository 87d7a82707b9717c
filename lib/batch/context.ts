/** Where RDDs are made: data at rest becomes RDDs here, and jobs of the program run one after the other. */
import { SquallError } from '../errors.ts'
import { anySeed } from '../std/random.ts'
import { BlockStore } from './blocks.ts'
import { alone } from './exchange.ts'
import type { Exchange } from './exchange.ts'
import type { Attempt } from './rdd/attempts.ts'
import { inOrder } from './rdd/job.ts'
import { Node } from './rdd/node.ts'
import type { Push } from './rdd/node.ts'
import { checkPartitions } from './rdd/partitioners.ts'
import { RDD } from './rdd/rdd.ts'
import { objectsOf } from './rdd/saved.ts'
import { slicesOf } from './rdd/slices.ts'
import { linesOf } from './rdd/text.ts'
import { fromDriver } from './rdd/trade.ts'

export interface RddContextOptions {
  /** this is task `index` of `count`, all of which run the same program (0 of 1) */
  readonly index?: number
  readonly count?: number
  /** how the tasks trade data; needed when there are several */
  readonly exchange?: Exchange
  /** where persisted partitions are kept (512 MiB of memory, and a temporary folder) */
  readonly blocks?: BlockStore
  /** partitions where nothing else says how many (`count`) */
  readonly defaultParallelism?: number
  /** for what is random and not given a seed of its own; the same in all tasks (any) */
  readonly seed?: number
  /** where `checkpoint` writes */
  readonly checkpointFolder?: string
  /** Is told of each try of a partition before it begins; what it throws fails the try. For tests. */
  readonly onAttempt?: (attempt: Attempt) => void
}

/** What a source of one's own is made of. */
export interface SourceOptions<T, P extends { readonly index: number }> {
  readonly name: string
  /** `partitions[i].index` is `i` */
  readonly partitions: readonly P[]
  /** Gives the values of a partition, the same ones each time. */
  read(partition: P, push: Push<T>): void
  /** the task that reads a partition (`partition % count`) */
  readonly owner?: ((partition: number) => number) | undefined
}

export class RddContext {
  readonly index: number
  readonly count: number
  readonly exchange: Exchange
  readonly blocks: BlockStore
  readonly defaultParallelism: number
  /** `defaultParallelism` was asked for, and goes before the number of partitions that an operation's input has */
  readonly hasOwnParallelism: boolean
  readonly seed: number
  readonly checkpointFolder: string | undefined
  readonly onAttempt: ((attempt: Attempt) => void) | undefined
  /** made when the first checkpoint is written */
  checkpointFolderMade: string | undefined
  /** some RDD is marked for a checkpoint */
  hasCheckpoints = false
  readonly #closers: (() => void | Promise<void>)[] = []
  #nextId = 0
  #isStopped = false
  #lastJob: Promise<unknown> = Promise.resolve()

  constructor(options: RddContextOptions = {}) {
    const { index = 0, count = 1, defaultParallelism } = options
    if (defaultParallelism !== undefined) checkPartitions(defaultParallelism, 'RddContext')
    this.index = index
    this.count = count
    this.exchange = options.exchange ?? alone
    this.blocks = options.blocks ?? new BlockStore()
    this.defaultParallelism = defaultParallelism ?? count
    this.hasOwnParallelism = defaultParallelism !== undefined
    this.seed = options.seed ?? anySeed()
    this.checkpointFolder = options.checkpointFolder
    this.onAttempt = options.onAttempt
  }

  /**
   * An RDD of items in memory, in `partitions` slices of about the same size, in order.
   *
   * ```ts
   * await rdd.parallelize([1, 2, 3, 4], 2).map((x) => x * x).collect() // [1, 4, 9, 16]
   * ```
   */
  parallelize<T>(items: Iterable<T>, partitions: number = this.defaultParallelism): RDD<T> {
    checkPartitions(partitions, 'parallelize')
    const slices = slicesOf(Array.isArray(items) ? (items as readonly T[]) : [...items], partitions)
    return this.source({
      name: 'parallelize',
      partitions: slices.map(([items, from, to], index) => ({ index, items, from, to })),
      read: ({ items, from, to }, push) => {
        for (let i = from; i < to; i++) push(items[i] as T)
      },
    })
  }

  /** The numbers from `from` up to and without `to`. They take no memory. */
  range(from: number, to: number, step = 1, partitions: number = this.defaultParallelism): RDD<number> {
    checkPartitions(partitions, 'range')
    for (const [option, value] of [
      ['from', from],
      ['to', to],
    ] as const)
      if (!Number.isFinite(value)) throw new SquallError('bad-option', { option, of: 'range', value, expected: 'a finite number' })
    if (!Number.isFinite(step) || step === 0)
      throw new SquallError('bad-option', { option: 'step', of: 'range', value: step, expected: 'a number that is not 0' })
    const length = Math.max(0, Math.ceil((to - from) / step))
    return this.source({
      name: 'range',
      partitions: Array.from({ length: partitions }, (_, index) => ({ index })),
      read: ({ index }, push) => {
        const end = Math.floor(((index + 1) * length) / partitions)
        for (let i = Math.floor((index * length) / partitions); i < end; i++) push(from + i * step)
      },
    })
  }

  /**
   * The lines of a UTF-8 text file, or of all files of a folder (but those whose name starts with `_` or `.`), in about
   * `minPartitions` partitions or more, each read by the task that owns it. Line ends are `\n` or `\r\n`.
   *
   * Errors: `file-not-found`, `file-unreadable`.
   *
   * ```ts
   * const counts = await rdd.textFile('book.txt').flatMap((line) => line.split(' ')).countByValue()
   * ```
   */
  textFile(path: string, minPartitions: number = this.defaultParallelism): RDD<string> {
    checkPartitions(minPartitions, 'textFile')
    return this.source(linesOf(path, minPartitions))
  }

  /** What `saveAsObjectFile` has written into a folder, in the same partitions. Errors: `file-not-found`, `file-unreadable`. */
  objectFile<T>(folder: string): RDD<T> {
    return this.source(objectsOf<T>(folder))
  }

  /** Whether this is the first task: for what is to happen once, such as printing a result that all tasks have. */
  get isDriver(): boolean {
    return this.index === 0
  }

  /**
   * Runs `f` in the first task alone, and gives all tasks what it returns: for what only one task may do, and for what would
   * differ from task to task (the time, chance, what a service says). The result must be plain data; RDDs do not work within `f`.
   *
   * Throws in all tasks what `f` throws.
   *
   * ```ts
   * const startedMs = await sc.once(() => Date.now())
   * ```
   */
  once<R>(f: () => R | Promise<R>): Promise<R> {
    return inOrder(this, 'once', () => fromDriver(this, 'once', f))
  }

  /** An RDD without partitions. */
  empty<T = never>(): RDD<T> {
    return this.source<T, { index: number }>({ name: 'empty', partitions: [], read: () => undefined })
  }

  /** All values of several RDDs: the partitions of the first, then those of the second, and so on. */
  union<T>(rdds: readonly RDD<T>[]): RDD<T> {
    const [first, ...others] = rdds
    return first === undefined ? this.empty<T>() : first.union(...others)
  }

  /** An RDD of a source of one's own. */
  source<T, P extends { readonly index: number }>(options: SourceOptions<T, P>): RDD<T> {
    const { name, partitions, owner } = options
    this.checkRuns(name)
    partitions.forEach(({ index }, i) => {
      if (index !== i) throw new SquallError('bad-partitions', { rdd: name, at: i, index })
    })
    const compute = (partition: number, push: Push<T>): void => options.read(partitions[partition] as P, push)
    return new RDD(new Node<T>(this, { name, partitions: partitions.length, owner, dependencies: [], compute }))
  }

  /** Frees what is persisted. No action can be run after it; those under way end. */
  async stop(): Promise<void> {
    this.#isStopped = true
    await this.#lastJob
    await this.close()
  }

  /** Something that was opened for this task, to be closed with it. */
  onClose(close: () => void | Promise<void>): void {
    this.#closers.push(close)
  }

  /** Frees what is persisted and closes what was opened. */
  async close(): Promise<void> {
    this.blocks.close()
    for (const close of this.#closers.splice(0)) await close()
  }

  /** Throws after `stop`. */
  checkRuns(what: string): void {
    if (this.#isStopped) throw new SquallError('rdd-stopped', { what })
  }

  /** The id of a new RDD. The same in all tasks, for all make the same RDDs. */
  nextId(): number {
    return this.#nextId++
  }

  /** Runs a job when all earlier ones have ended. */
  enqueue<R>(job: () => Promise<R>): Promise<R> {
    const run = this.#lastJob.then(job)
    this.#lastJob = run.catch(() => undefined)
    return run
  }
}

/** A context of one task, for RDDs on data at rest. */
export const rdd: RddContext = new RddContext()
