import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Rankings, intermediateRankings, totalRankings } from '../../lib/index.ts'

function rankingsOf(n: number, counts: readonly (readonly [string, number])[]): Rankings {
  const rankings = new Rankings(n)
  for (const [item, count] of counts) rankings.update({ item, count })
  return rankings
}

const pairs = (rankings: Rankings): [string, number][] => rankings.ranked().map(({ item, count }) => [item, count])

describe('Rankings', () => {
  test('keeps the highest counts, highest first', () => {
    expect(
      pairs(
        rankingsOf(2, [
          ['a', 1],
          ['b', 3],
          ['c', 2],
        ]),
      ),
    ).toEqual([
      ['b', 3],
      ['c', 2],
    ])
  })

  test('a new count of an item replaces the old one', () => {
    expect(
      pairs(
        rankingsOf(3, [
          ['a', 5],
          ['b', 3],
          ['a', 1],
        ]),
      ),
    ).toEqual([
      ['b', 3],
      ['a', 1],
    ])
  })

  test('holds 10 unless told otherwise', () => {
    expect(new Rankings().sizeMax).toBe(10)
  })

  test.each([0, -1, 1.5])('refuses n = %d', (n) => {
    expect(() => new Rankings(n)).toThrow(expect.objectContaining({ code: 'bad-option' }))
    expect(() => intermediateRankings({ n })).toThrow(expect.objectContaining({ code: 'bad-option' }))
    expect(() => totalRankings({ n })).toThrow(expect.objectContaining({ code: 'bad-option' }))
  })

  test('prunes counts of zero', () => {
    const rankings = rankingsOf(5, [
      ['a', 0],
      ['b', 1],
      ['c', 0],
    ])
    rankings.pruneZeroCounts()
    expect(pairs(rankings)).toEqual([['b', 1]])
  })

  test('what it gave out and its copies do not change with it', () => {
    const rankings = rankingsOf(2, [['a', 1]])
    const [given, copy] = [rankings.ranked(), rankings.copy()]
    rankings.update({ item: 'b', count: 2 })
    expect(given).toEqual([{ item: 'a', count: 1 }])
    expect(pairs(copy)).toEqual([['a', 1]])
    copy.update({ item: 'c', count: 9 })
    expect(pairs(rankings)).toEqual([
      ['b', 2],
      ['a', 1],
    ])
  })

  test('any distinct counts, divided in any way: merged rankings are the rankings of all', () => {
    const counts = fc
      .uniqueArray(fc.tuple(fc.string(), fc.nat()), { selector: ([, count]) => count, maxLength: 30 })
      .map((all) => [...new Map(all)])
    fc.assert(
      fc.property(counts, fc.integer({ min: 1, max: 8 }), fc.nat({ max: 30 }), (all, n, cut) => {
        const merged = rankingsOf(n, all.slice(0, cut))
        merged.update(rankingsOf(n, all.slice(cut)))
        expect(pairs(merged)).toEqual(all.toSorted((a, b) => b[1] - a[1]).slice(0, n))
      }),
    )
  })
})
