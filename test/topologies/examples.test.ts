import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { LocalCluster } from '../../lib/testing/index.ts'
import enrich from '../../topologies/enrich.ts'
import flaky from '../../topologies/flaky.ts'
import join from '../../topologies/join.ts'
import rollingTopWords from '../../topologies/rolling-top-words.ts'

let printed: string[] = []
beforeEach(() => {
  printed = []
  vi.spyOn(console, 'log').mockImplementation((text: string) => void printed.push(text))
})
afterEach(() => vi.restoreAllMocks())

describe('join', () => {
  test.each([1, 2, 4])('pairs what belongs together on %d executors', async (executors) => {
    await using local = await LocalCluster.start({ seed: 7, executors })
    const result = await local.complete(join)
    expect(result.tuples('summary')).toEqual([{ paid: 2700, cents: expect.any(Number) as number, orders: 300, payments: 0 }])
    expect(result.tuples('join')).toContainEqual({ order: 42, customer: 'customer 42', cents: 100 + ((42 * 7919) % 9900), method: 'card' })
    expect(printed).toEqual([expect.stringContaining('2700 orders paid') as string])
  })

  test.each([{ keepMs: 20 }, { waitingMax: 5 }])('drops the older halves when they wait too long or are too many: %j', async (params) => {
    await using local = await LocalCluster.start({ seed: 7 })
    const result = await local.complete(join, { params: { orders: 1000, ...params } })
    const [total] = result.tuples('summary') as { paid: number; orders: number; payments: number }[]
    expect(total?.paid).toBeGreaterThan(0)
    expect(total?.payments).toBeGreaterThan(0)
    expect((total?.paid ?? 0) + (total?.orders ?? 0)).toBe(1000)
    expect((total?.paid ?? 0) + (total?.payments ?? 0)).toBe(900)
  })
})

describe('rolling top words', () => {
  test('shows the first few with each tick, as they change', async () => {
    await using local = await LocalCluster.start({ seed: 7 })
    const result = await local.complete(rollingTopWords)
    const tops = result.tuples('top') as { rankings: { item: string; count: number }[] }[]
    expect(tops.length).toBeGreaterThanOrEqual(8)
    for (const { rankings } of tops) {
      expect(rankings.length).toBeLessThanOrEqual(5)
      expect(rankings.map(({ count }) => count)).toEqual(rankings.map(({ count }) => count).toSorted((a, b) => b - a))
    }
    const first = tops.map(({ rankings }) => rankings[0]?.item).filter((item) => item !== undefined)
    expect(new Set(first).size).toBeGreaterThan(1)
    expect(printed).toHaveLength(tops.length)
  })
})

describe('flaky', () => {
  test.each([1, 2])('each job is done or becomes a dead letter, on %d executors', async (executors) => {
    await using local = await LocalCluster.start({ seed: 7, executors })
    const completed = await local.complete(flaky)
    expect(completed.tuples('summary')).toEqual([{ done: 990, atFirst: 890, dead: 10 }])
    // 100 jobs fail twice, 10 jobs four times
    expect(completed.result).toMatchObject({ state: 'finished', emitted: 1000, failed: 240, replayed: 230, deadLettered: 10 })
    expect(printed[0]).toContain('job 99: given up by work after 4 attempts (job 99 cannot be done)')
  })

  test('with fewer retries more is given up', async () => {
    await using local = await LocalCluster.start({ seed: 7 })
    const completed = await local.complete(flaky, { params: { retries: 1 } })
    expect(completed.tuples('summary')).toEqual([{ done: 890, atFirst: 890, dead: 110 }])
    expect(printed[0]).toContain('and 100 more')
  })
})

describe('enrich', () => {
  test.each([1, 2])('every event, in the order of its user, each user asked for once, on %d executors', async (executors) => {
    await using local = await LocalCluster.start({ seed: 7, executors })
    const result = await local.complete(enrich, { params: { events: 2000, users: 50, serviceMs: 0 } })
    const enriched = result.executed('summary').map(({ values }) => values as { n: number; country: string })
    expect(enriched.map(({ n }) => n).toSorted((a, b) => a - b)).toEqual(Array.from({ length: 2000 }, (_, n) => n))
    const total = (result.tuples('summary') as { events: number }[]).reduce((sum, { events }) => sum + events, 0)
    expect(total).toBe(2000)
    expect(printed).toEqual([expect.stringContaining('0 of a user came out of order') as string])
  })
})
