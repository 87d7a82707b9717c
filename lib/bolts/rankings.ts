/** The first few items by count, as in Storm's trending topics, and the two bolts that find them in parallel. */
import { z } from 'zod'
import { SquallError } from '../errors.ts'
import type { Duration } from '../std/clock.ts'
import { defineBolt } from '../topology/component.ts'
import type { BoltDefinition } from '../topology/component.ts'

/** An item with its count. */
export interface Ranked<T = string> {
  readonly item: T
  readonly count: number
}

/**
 * The `n` items with the highest counts. An item is there once: a new count of it replaces the old one. Of items with the
 * same count each may come first.
 *
 * ```ts
 * const rankings = new Rankings<string>(2)
 * rankings.update({ item: 'a', count: 1 })
 * rankings.update({ item: 'b', count: 3 })
 * rankings.update({ item: 'c', count: 2 })
 * rankings.ranked() // [{ item: 'b', count: 3 }, { item: 'c', count: 2 }]
 * ```
 */
export class Rankings<T = string> {
  readonly sizeMax: number
  #ranked: Ranked<T>[] = []

  /** `n` from 1 (10), else `bad-option`. */
  constructor(n = 10) {
    checkSize(n, 'Rankings')
    this.sizeMax = n
  }

  get size(): number {
    return this.#ranked.length
  }

  /** The items, highest count first: a copy. */
  ranked(): readonly Ranked<T>[] {
    return this.#ranked.slice()
  }

  /** Takes the new count of an item, or those of other rankings. */
  update(from: Ranked<T> | Rankings<T>): void {
    if (from instanceof Rankings) for (const ranked of from.ranked()) this.#add(ranked)
    else this.#add(from)
  }

  /** Leaves out the items whose count is 0. */
  pruneZeroCounts(): void {
    this.#ranked = this.#ranked.filter(({ count }) => count !== 0)
  }

  copy(): Rankings<T> {
    const copy = new Rankings<T>(this.sizeMax)
    copy.#ranked = this.#ranked.slice()
    return copy
  }

  #add(ranked: Ranked<T>): void {
    const { item, count } = ranked
    const at = this.#ranked.findIndex((other) => other.item === item)
    if (at < 0) this.#ranked.push({ item, count })
    else this.#ranked[at] = { item, count }
    // ascending and then turned round, as Storm does, which decides the order of equal counts
    this.#ranked.sort((a, b) => a.count - b.count).reverse()
    if (this.#ranked.length > this.sizeMax) this.#ranked.length = this.sizeMax
  }
}

export interface RankingsOptions<F extends string = string> {
  /** how many items */
  readonly n?: number
  /** how often the rankings are emitted (2 s) */
  readonly every?: Duration
  /** the field of the input that holds the item (`item`) */
  readonly field?: F
}

/** The tuples of the ranking bolts. */
export type RankingsTuple = { rankings: { item: string; count: number }[] }

const RankingsTuple = z.object({ rankings: z.array(z.object({ item: z.string(), count: z.number() })) })

/**
 * A bolt that keeps the first `n` of the items it gets (tuples `{ [field]: string, count: number }`) and emits them as
 * `{ rankings }` with each tick and at the end. Group it by the item, so that several tasks share the work; `totalRankings` merges.
 *
 * ```ts
 * const counts = t.bolt('count', rollingCount({ field: 'word' })).fields(words, ['word'])
 * const some = t.bolt('rank', intermediateRankings({ n: 5, field: 'word' }), { parallelism: 4 }).fields(counts, ['word'])
 * const top = t.bolt('top', totalRankings({ n: 5 })).global(some)
 * ```
 */
export function intermediateRankings<const F extends string = 'item'>(
  options: RankingsOptions<F> = {},
): BoltDefinition<{ readonly default: Record<F, string> & { count: number } }, { readonly default: RankingsTuple }> {
  const { n = 10, every = '2s', field = 'item' } = options
  checkSize(n, 'intermediateRankings')
  return defineBolt({
    input: z.object({ [field]: z.string(), count: z.number() }),
    output: RankingsTuple,
    tick: every,
    prepare() {
      const rankings = new Rankings(n)
      return {
        execute: (values) => rankings.update({ item: values[field] as string, count: values['count'] as number }),
        onTick: (out) => out.emit({ rankings: [...rankings.ranked()] }),
        finish: (out) => out.emit({ rankings: [...rankings.ranked()] }),
      }
    },
  })
}

/** A bolt that merges `{ rankings }` into one, leaves out counts of 0, and emits `{ rankings }` with each tick and at the end. See `intermediateRankings`. */
export function totalRankings(
  options: Omit<RankingsOptions, 'field'> = {},
): BoltDefinition<{ readonly default: RankingsTuple }, { readonly default: RankingsTuple }> {
  const { n = 10, every = '2s' } = options
  checkSize(n, 'totalRankings')
  return defineBolt({
    input: RankingsTuple,
    output: RankingsTuple,
    tick: every,
    prepare() {
      const total = new Rankings(n)
      return {
        execute({ rankings }) {
          for (const ranked of rankings) total.update(ranked)
          total.pruneZeroCounts()
        },
        onTick: (out) => out.emit({ rankings: [...total.ranked()] }),
        finish: (out) => out.emit({ rankings: [...total.ranked()] }),
      }
    },
  })
}

function checkSize(n: number, of: string): void {
  if (!Number.isSafeInteger(n) || n < 1)
    throw new SquallError('bad-option', { option: 'n', of, value: n, expected: 'a whole number from 1' })
}
