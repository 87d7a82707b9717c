/** Storm's SlidingWindowCounterTest, SlotBasedCounterTest and RankingsTest (storm-starter): the counters and rankings behind rolling top words. */
import { Rankings, SlidingWindowCounter, SlotBasedCounter } from '../../../lib/index.ts'
import { all, isRecord, same } from '../vectors.ts'
import type { Adapter, Verdict, VectorCase } from '../vectors.ts'

export const rollingTopWords: Adapter = {
  isFor: ({ suite, file, sources }) =>
    /\b(SlidingWindowCounterTest|SlotBasedCounterTest|RankingsTest|RollingTopWordsTests)\b/.test([suite, file, ...sources].join(' ')),
  run(one) {
    const operation = one.operation.toLowerCase()
    if (operation.includes('sliding window counter')) return slidingWindowCounter(one)
    if (operation.includes('slot based counter')) return slotBasedCounter(one)
    if (!operation.includes('ranking')) return undefined
    if (operation.includes('merge')) return mergedRankings(one)
    if (operation.includes('prune')) return prunedRankings(one)
    return plainRankings(one)
  },
}

// ------------------------------------------------------------------------------------------------ counters

/** `input`: a number a run, how often the one object is counted; or a record of them, by object. */
function slidingWindowCounter({ params, input, expected }: VectorCase): Verdict {
  const counter = new SlidingWindowCounter<string>(Number(params['slots']))
  if (!Array.isArray(input)) return expected === undefined ? true : undefined
  if (isRecord(expected) && input.length === 0) return same('counts', Object.fromEntries(counter.countsThenAdvance()), expected)
  if (!Array.isArray(expected)) return input.length === 0 && expected === undefined ? true : undefined
  const runs = input.map(byObject)
  const wanted = expected.map(byObject)
  if (runs.includes(undefined)) return undefined
  return all(
    runs.map((run, i) => {
      for (const [object, times] of Object.entries(run ?? {})) for (let n = 0; n < times; n++) counter.increment(object)
      const counts = counter.countsThenAdvance()
      return all(
        Object.entries(wanted[i] ?? {}).map(([object, count]) => {
          // a count of zero is reported once, after one that was not zero
          const isAbsent = count === 0 && (i === 0 || (wanted[i - 1]?.[object] ?? 0) === 0)
          return same(`run ${i + 1}, ${object}`, counts.get(object) ?? null, isAbsent ? null : count)
        }),
      )
    }),
  )
}

function byObject(run: unknown): Readonly<Record<string, number>> | undefined {
  if (typeof run === 'number') return { 'the object': run }
  return isRecord(run) && Object.values(run).every((times) => typeof times === 'number') ? (run as Record<string, number>) : undefined
}

/** `input`: calls, e.g. `["inc", "one", 0]`; `expected`: the totals at the end, or what the calls gave. */
function slotBasedCounter({ params, input, expected }: VectorCase): Verdict {
  const counter = new SlotBasedCounter<unknown>(Number(params['slots']))
  const given: unknown[] = []
  for (const [name, ...args] of Array.isArray(input) ? (input as readonly (readonly unknown[])[]) : []) {
    const result = call(counter, String(name), args)
    if (result === undefined) return undefined
    given.push(result)
  }
  if (isRecord(expected)) return same('totals', totalsOf(counter), expected)
  const read = given.filter((value) => value !== null)
  if (Array.isArray(expected)) {
    if (expected.length !== given.length) return same('results', read, expected)
    return all(expected.map((value, i) => value === null || same(`call ${i + 1}`, given[i], value)))
  }
  if (typeof expected === 'number') return same('result', read.at(-1) ?? Object.values(totalsOf(counter)).at(-1) ?? 0, expected)
  return expected === undefined || expected === null ? true : undefined
}

/** What a call gave, `null` if nothing; `undefined` if there is no such call. */
function call(counter: SlotBasedCounter<unknown>, name: string, [object, slot]: readonly unknown[]): unknown {
  switch (name) {
    case 'inc':
    case 'increment':
    case 'incrementCount':
      counter.increment(object, Number(slot))
      return null
    case 'wipeSlot':
      counter.wipeSlot(Number(object))
      return null
    case 'wipeZeros':
      counter.wipeZeros()
      return null
    case 'count':
    case 'getCount':
      return counter.count(object, Number(slot))
    case 'counts':
    case 'getCounts':
      return totalsOf(counter)
    default:
      return undefined
  }
}

function totalsOf(counter: SlotBasedCounter<unknown>): Record<string, number> {
  return Object.fromEntries([...counter.counts()].map(([object, count]) => [String(object), count]))
}

// ------------------------------------------------------------------------------------------------ rankings

type Pair = readonly [item: unknown, count: number]

/** `input`: pairs, or several lists of pairs that are independent of each other. */
function plainRankings({ params, input, expected }: VectorCase): Verdict {
  const topN = params['topN'] ?? params['n']
  const lists = listsOf(input)
  if (lists === undefined) {
    const rankings = topN === undefined ? new Rankings<unknown>() : new Rankings<unknown>(Number(topN))
    return expected === undefined ? true : typeof expected === 'number' ? same('the largest size', rankings.sizeMax, expected) : undefined
  }
  return all(
    lists.map((list, i) => {
      const size = topN === undefined ? Math.max(1, list.length) : Number(topN)
      if (typeof expected === 'string') return sizes(size, list, expected)
      const wanted = lists.length > 1 && Array.isArray(expected) ? (expected[i] as unknown) : expected
      const ranked = rankingsOf(size, list)
      const mergedIntoEmpty = new Rankings<unknown>(size)
      mergedIntoEmpty.update(ranked)
      const mergedWithEmpty = rankingsOf(size, list)
      mergedWithEmpty.update(new Rankings<unknown>(size))
      return all([
        same('ranked', pairsOf(ranked), wanted),
        same('merged into empty rankings', pairsOf(mergedIntoEmpty), wanted),
        same('merged with empty rankings', pairsOf(mergedWithEmpty), wanted),
        same('copied', pairsOf(ranked.copy()), wanted),
      ])
    }),
  )
}

/** `expected`: "size <= 2". */
function sizes(topN: number, list: readonly Pair[], expected: string): Verdict {
  const [, comparison, number] = /^size\s*(<=|<|=+)\s*(\d+)$/.exec(expected) ?? []
  if (comparison === undefined) return undefined
  const rankings = new Rankings<unknown>(topN)
  const isRight = (size: number): boolean =>
    comparison === '<=' ? size <= Number(number) : comparison === '<' ? size < Number(number) : size === Number(number)
  return all(
    list.map(([item, count], i) => {
      rankings.update({ item, count })
      const isLast = i === list.length - 1
      return isRight(rankings.size) || (comparison.startsWith('=') && !isLast) || `the size is ${rankings.size}, expected ${expected}`
    }),
  )
}

/** `input`: several lists of pairs; the first rankings take the others. */
function mergedRankings({ params, input, expected }: VectorCase): Verdict {
  if (!Array.isArray(input) || !Array.isArray(expected)) return undefined
  const lists = input.map(pairs)
  if (lists.includes(undefined)) return undefined
  const size = Number(params['topN'] ?? params['n'] ?? Math.max(1, expected.length))
  const [first = [], ...others] = lists as readonly (readonly Pair[])[]
  const merged = rankingsOf(size, first)
  for (const other of others) merged.update(rankingsOf(Math.max(1, other.length), other))
  return same('merged', pairsOf(merged), expected)
}

function prunedRankings({ params, input, expected }: VectorCase): Verdict {
  const list = pairs(input)
  if (list === undefined) return undefined
  const rankings = rankingsOf(Number(params['topN'] ?? params['n'] ?? Math.max(1, list.length)), list)
  rankings.pruneZeroCounts()
  return same('pruned', pairsOf(rankings), expected)
}

function rankingsOf(size: number, list: readonly Pair[]): Rankings<unknown> {
  const rankings = new Rankings<unknown>(size)
  for (const [item, count] of list) rankings.update({ item, count })
  return rankings
}

function pairsOf(rankings: Rankings<unknown>): Pair[] {
  return rankings.ranked().map(({ item, count }) => [item, count])
}

function listsOf(input: unknown): readonly (readonly Pair[])[] | undefined {
  if (!Array.isArray(input) || input.length === 0) return undefined
  const list = pairs(input)
  if (list !== undefined) return [list]
  const lists = input.map(pairs)
  return lists.includes(undefined) ? undefined : (lists as readonly (readonly Pair[])[])
}

function pairs(list: unknown): readonly Pair[] | undefined {
  const isPair = (pair: unknown): boolean => Array.isArray(pair) && pair.length === 2 && typeof pair[1] === 'number'
  return Array.isArray(list) && list.every(isPair) ? (list as Pair[]) : undefined
}
