/** A source whose records a program puts in: for tests, and for what is computed beside a topology in the same process. */
import { slicesOf } from '../rdd/slices.ts'
import type { BatchSource, Planner, Reader } from '../source.ts'

/** From and up to (without) which chunk. */
interface Chunks {
  readonly from: number
  readonly to: number
}

export interface MemorySourceOptions<T = unknown> {
  /** partitions that the records of a batch make (1) */
  readonly partitions?: number
  /** a batch takes one chunk at most (all that are there) */
  readonly oneAtATime?: boolean
  /** what a batch has for which there is no chunk (nothing); for streams with an interval, for there is always something then */
  readonly otherwise?: readonly T[]
}

/**
 * Records in memory, in chunks: one for each `add`. It keeps them all, so batches can always be run again.
 *
 * ```ts
 * const lines = memorySource<string>()
 * lines.add('a b', 'a')
 * lines.end()
 * ```
 */
export class MemorySource<T> implements BatchSource<T> {
  readonly kind = 'transactional'
  readonly #chunks: (readonly T[])[] = []
  readonly #partitions: number
  readonly #oneAtATime: boolean
  readonly #otherwise: readonly T[] | undefined
  #hasEnded = false

  constructor({ partitions = 1, oneAtATime = false, otherwise }: MemorySourceOptions<T> = {}) {
    this.#partitions = partitions
    this.#oneAtATime = oneAtATime
    this.#otherwise = otherwise
  }

  /** Adds a chunk. */
  add(...records: readonly T[]): void {
    this.#chunks.push(records)
  }

  /** Nothing more will be added. */
  end(): void {
    this.#hasEnded = true
  }

  planner(): Planner {
    const chunks = this.#chunks
    const isAtEnd = (taken: number): boolean => this.#hasEnded && taken === chunks.length
    let taken = 0
    return {
      next: (last) => {
        taken = last === undefined ? 0 : (last as Chunks).to
        // nothing from the chunks: the other records
        if (taken === chunks.length) return this.#otherwise === undefined || this.#hasEnded ? undefined : { from: taken, to: taken }
        const range: Chunks = { from: taken, to: this.#oneAtATime ? taken + 1 : chunks.length }
        taken = range.to
        return range
      },
      get hasEnded() {
        return isAtEnd(taken)
      },
    }
  }

  reader(): Reader<T> {
    return {
      partitions: () => this.#partitions,
      read: (range, partition, push) => {
        const { from, to } = range as Chunks
        const records = from === to ? (this.#otherwise ?? []) : this.#chunks.slice(from, to).flat()
        const [items, start, end] = slicesOf(records, this.#partitions)[partition] as readonly [readonly T[], number, number]
        for (let i = start; i < end; i++) push(items[i] as T)
      },
    }
  }
}

export function memorySource<T>(options?: MemorySourceOptions<T>): MemorySource<T> {
  return new MemorySource<T>(options)
}
