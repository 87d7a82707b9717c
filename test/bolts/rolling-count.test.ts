import { describe, expect, test } from 'vitest'
import { defineBolt, intermediateRankings, rollingCount, topology, totalRankings, z } from '../../lib/index.ts'
import { LocalCluster, feeder } from '../../lib/testing/index.ts'

const Word = z.object({ word: z.string() })

describe('rollingCount', () => {
  test('counts over the window, moves on with each tick, and tells a zero once', async () => {
    const words = feeder(Word)
    await using local = await LocalCluster.start({ seed: 1 })
    const running = await local.submit(
      topology(
        'rolling',
        (t) =>
          void t.bolt('count', rollingCount({ window: '2s', every: '1s', field: 'word' })).fields(t.spout('words', words.spout), ['word']),
      ),
    )
    let seen = 0
    const emitted = async (): Promise<readonly object[]> => {
      await running.advance('1s')
      const all = running.tuples('count')
      return all.slice(seen, (seen = all.length))
    }
    await running.advance('500ms')
    words.feed({ word: 'a' })
    words.feed({ word: 'b' })
    words.feed({ word: 'a' })
    expect(await emitted()).toEqual([
      { word: 'a', count: 2, windowMs: 1000 },
      { word: 'b', count: 1, windowMs: 1000 },
    ])
    words.feed({ word: 'a' })
    expect(await emitted()).toEqual([
      { word: 'a', count: 3, windowMs: 2000 },
      { word: 'b', count: 1, windowMs: 2000 },
    ])
    expect(await emitted()).toEqual([
      { word: 'a', count: 1, windowMs: 2000 },
      { word: 'b', count: 0, windowMs: 2000 },
    ])
    expect(await emitted()).toEqual([{ word: 'a', count: 0, windowMs: 2000 }])
    expect(await emitted()).toEqual([])
  })

  test.each([
    { window: '1s', every: '1s' },
    { window: '2500ms', every: '1s' },
    { window: 'long', every: '1s' },
    { window: '2s', every: 0 },
  ])('refuses %j', (options) => {
    expect(() => rollingCount(options)).toThrow(expect.objectContaining({ code: 'bad-option' }))
  })
})

describe('the ranking bolts', () => {
  test('find the first few in parallel, and leave out what came down to zero', async () => {
    const counts = feeder(z.object({ word: z.string(), count: z.int() }))
    await using local = await LocalCluster.start({ seed: 1, executors: 2 })
    const running = await local.submit(
      topology('ranks', (t) => {
        const some = t
          .bolt('some', intermediateRankings({ n: 2, every: '1s', field: 'word' }), { parallelism: 3 })
          .fields(t.spout('counts', counts.spout), ['word'])
        t.bolt('top', totalRankings({ n: 2, every: '1s' })).global(some)
      }),
    )
    for (const [i, word] of ['a', 'b', 'c', 'd', 'e', 'f'].entries()) counts.feed({ word, count: i + 1 })
    await running.advance('3s')
    expect(running.tuples('top').at(-1)).toEqual({
      rankings: [
        { item: 'f', count: 6 },
        { item: 'e', count: 5 },
      ],
    })
    counts.feed({ word: 'f', count: 0 })
    await running.advance('3s')
    expect(running.tuples('top').at(-1)).toMatchObject({ rankings: [{ item: 'e', count: 5 }, {}] })
  })

  test('tell what they have when the sources end', async () => {
    const counts = feeder(z.object({ item: z.string(), count: z.int() }))
    counts.feed({ item: 'a', count: 1 })
    counts.end()
    await using local = await LocalCluster.start({ seed: 1 })
    const result = await local.complete(
      topology('ranks', (t) => {
        const some = t.bolt('some', intermediateRankings()).fields(t.spout('counts', counts.spout), ['item'])
        t.bolt('top', totalRankings()).global(some)
      }),
    )
    expect(result.tuples('top').at(-1)).toEqual({ rankings: [{ item: 'a', count: 1 }] })
  })
})

test('the field that holds the item is known to the compiler', () => {
  const Other = z.object({ other: z.string() })
  const other = defineBolt({ input: Other, output: Other, execute: () => undefined })
  const wrong = topology('wrong', (t) => {
    const others = t.bolt('other', other).shuffle(t.later('other', Other))
    // @ts-expect-error there is no field `word` in the tuples of `other`
    t.bolt('count', rollingCount({ field: 'word' })).shuffle(others)
    // @ts-expect-error rankings need counts
    t.bolt('rank', intermediateRankings({ field: 'other' })).shuffle(others)
  })
  expect(wrong.name).toBe('wrong')
})
