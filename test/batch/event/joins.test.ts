/** Joins of windowed streams: windows that both give out in the same batch, in any number of executors. */
import { expect, test } from 'vitest'
import { memorySource, topology, tumblingWindow } from '../../../lib/index.ts'
import type { DStream } from '../../../lib/index.ts'
import { LocalCluster } from '../../../lib/testing/index.ts'

interface Event {
  readonly user: string
  readonly at: number
}

type Counted = readonly [key: readonly [user: string, start: number], count: number]

const [sizeMs, delayMs] = [5_000, 3_000]

function events(...all: readonly (readonly [user: string, seconds: number])[]): Event[] {
  return all.map(([user, seconds]) => ({ user, at: seconds * 1000 }))
}

/** Chunks of each stream, one a batch: users that are in both, in one, late by less and by more than the delay. */
const left = [
  events(['a', 1], ['b', 2], ['a', 4]),
  events(['a', 6], ['c', 7]),
  events(['a', 3], ['b', 9]),
  events(['b', 14]),
  events(['a', 40]),
]
const right = [events(['a', 2]), events(['b', 1], ['c', 6]), events(['c', 8], ['a', 7]), events(['a', 1], ['b', 13]), events(['b', 41])]

/** By hand: what is counted of a chunk when the watermark is that of both streams, the slower one, after the chunk before. */
function expected(): string[] {
  const counts = [new Map<string, number>(), new Map<string, number>()]
  const latest = [-Infinity, -Infinity]
  let watermark = 0
  for (let i = 0; i < left.length; i++) {
    for (const [side, chunk] of [left[i] as Event[], right[i] as Event[]].entries())
      for (const { user, at } of chunk) {
        const start = at - (at % sizeMs)
        latest[side] = Math.max(latest[side] as number, at)
        if (start + sizeMs <= watermark) continue
        const of = counts[side] as Map<string, number>
        of.set(`${user} ${start}`, (of.get(`${user} ${start}`) ?? 0) + 1)
      }
    watermark = Math.max(watermark, Math.min(...latest) - delayMs)
  }
  const [a, b] = counts as [Map<string, number>, Map<string, number>]
  const isDone = (key: string): boolean => Number(key.split(' ')[1]) + sizeMs <= watermark
  return [...a].flatMap(([key, n]) => (b.has(key) && isDone(key) ? [`${key}: ${n} ${b.get(key)}`] : [])).sort()
}

test.each([1, 2, 3])('a join by key and window has all that both streams count, on %i executors', async (executors) => {
  const sources = [
    memorySource<Event>({ partitions: 2, oneAtATime: true }),
    memorySource<Event>({ partitions: 3, oneAtATime: true }),
  ] as const
  const rows: string[] = []
  const graph = topology('joined', (t) => {
    const counts = (id: string, i: 0 | 1): DStream<Counted> =>
      t
        .stream(id, sources[i])
        .withWatermark('at', delayMs)
        .groupBy('user', tumblingWindow(sizeMs))
        .count()
        .records.map(({ user, window, count }): Counted => [[user, window.start], count])
    counts('left', 0)
      .join(counts('right', 1))
      .foreachRDD(async (rdd) => {
        for (const [[user, start], [n, m]] of await rdd.collect()) rows.push(`${user} ${start}: ${n} ${m}`)
      })
  })
  await using cluster = await LocalCluster.start({ seed: 5, executors })
  const running = await cluster.submit(graph)
  for (let i = 0; i < left.length; i++) {
    sources[0].add(...(left[i] as Event[]))
    sources[1].add(...(right[i] as Event[]))
    await running.advance(50)
  }
  expect(running.errors).toEqual([])
  expect(expected().length).toBeGreaterThan(3)
  expect(rows.toSorted()).toEqual(expected())
})
