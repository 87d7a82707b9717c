import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join as joined } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { LocalCluster } from '../../lib/testing/index.ts'
import enrich from '../../topologies/enrich.ts'
import flaky from '../../topologies/flaky.ts'
import join from '../../topologies/join.ts'
import rollingTopWords from '../../topologies/rolling-top-words.ts'
import topWords from '../../topologies/top-words.ts'

let printed: string[] = []
beforeEach(() => {
  printed = []
  vi.spyOn(console, 'log').mockImplementation((text: string) => void printed.push(text))
})
afterEach(() => vi.restoreAllMocks())

describe('join', () => {
  /** What the orders cost that someone pays. */
  const centsPaid = Array.from({ length: 3000 }, (_, order) => (order % 10 === 7 ? 0 : 100 + ((order * 7919) % 9900))).reduce(
    (sum, cents) => sum + cents,
    0,
  )

  test.each([1, 2, 4])('pairs what belongs together on %d executors', async (executors) => {
    await using local = await LocalCluster.start({ seed: 7, executors })
    const result = await local.complete(join)
    expect(result.tuples('summary')).toEqual([{ paid: 2700, cents: centsPaid, orders: 300, payments: 0 }])
    expect(result.tuples('join')).toContainEqual({ order: 42, customer: 'customer 42', cents: 100 + ((42 * 7919) % 9900), method: 'card' })
    expect(printed).toEqual(['2700 orders paid, 142698.00 in all; 300 orders without a payment, 0 payments without an order'])
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
    // each stage sends on what it had at its last tick, so the first words come to the top with the third
    expect(printed.slice(0, 7)).toEqual([
      'no words yet',
      'no words yet',
      'storm 381, rain 99, cloud 81, wind 55, squall 49',
      'storm 790, rain 201, cloud 158, wind 122, thunder 93',
      'storm 805, rain 606, cloud 251, wind 201, thunder 146',
      'rain 1024, storm 821, cloud 365, wind 271, thunder 205',
      'rain 947, cloud 700, storm 459, wind 309, thunder 224',
    ])
    const tops = result.tuples('top') as { rankings: { item: string; count: number }[] }[]
    const lines = tops.map(({ rankings }) => rankings.map(({ item, count }) => `${item} ${count}`).join(', ') || 'no words yet')
    expect(lines).toEqual(printed)
    expect(result.result).toMatchObject({ emitted: 8000, acked: 8000 })
  })

  test.each([1, 2])('is exact at the end of a source within one window, on %d executors', async (executors) => {
    await using local = await LocalCluster.start({ seed: 7, executors })
    const words = 'fog sun fog heat sun fog snow heat sun fog'.split(' ').map((word) => ({ word }))
    const result = await local.complete(rollingTopWords, { params: { top: 3 }, sources: { words } })
    const ranked = [
      { item: 'fog', count: 4 },
      { item: 'sun', count: 3 },
      { item: 'heat', count: 2 },
    ]
    expect(result.tuples('top')).toEqual([{ rankings: ranked }])
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
  const countries = ['Chile', 'Ghana', 'Iceland', 'Japan', 'Nepal']
  interface Enriched {
    readonly n: number
    readonly user: string
    readonly country: string
  }

  test.each([1, 2])('every event with its country, in order, each user asked for once, on %d executors', async (executors) => {
    await using local = await LocalCluster.start({ seed: 7, executors })
    const result = await local.complete(enrich, { params: { events: 2000, users: 50 } })
    const enriched = result.tuples('enrich') as Enriched[]
    expect(enriched.map(({ n }) => n).toSorted((a, b) => a - b)).toEqual(Array.from({ length: 2000 }, (_, n) => n))
    for (const { user, country } of enriched) expect(country).toBe(countries[Number(user.slice('user '.length)) % 5])

    // a user in the cache is known at once, and yet does not overtake one that has to be asked for
    const executed = result.executed('enrich').map(({ values, task }) => ({ n: (values as Enriched).n, task }))
    const taskOf = new Map(executed.map(({ n, task }) => [n, task]))
    for (const task of new Set(taskOf.values())) {
      const [taken, emitted] = [executed, enriched].map((all) => all.map(({ n }) => n).filter((n) => taskOf.get(n) === task))
      expect(emitted).toEqual(taken)
    }

    const counters = result.snapshot().components.flatMap(({ tasks }) => tasks.map((task) => task.counters))
    const sumOf = (name: string): number => counters.reduce((sum, of) => sum + (of[name] ?? 0), 0)
    expect([sumOf('cache.misses'), sumOf('cache.hits')]).toEqual([50, 1950])

    const totals = countries.map((country) => ({ country, events: enriched.filter((event) => event.country === country).length }))
    expect(result.tuples('summary')).toEqual(totals)
    const told = totals.map(({ country, events }) => `${country} ${events}`).join(', ')
    expect(printed).toEqual([`events: ${told}; 0 of a user came out of order`])
  })

  test.each([1, 8, 32])('no more than %d calls are under way in a task', async (concurrency) => {
    await using local = await LocalCluster.start({ seed: 7 })
    // each user comes once: each event is a call of 50 ms
    const params = { events: 400, users: 1e9, serviceMs: 50, concurrency }
    const snapshot = (await local.complete(enrich, { params })).snapshot()
    const calls = snapshot.components.flatMap(({ id, tasks }) => (id === 'enrich' ? tasks.map(({ counters }) => counters) : []))
    const rounds = calls.map((of) => Math.ceil((of['cache.misses'] ?? 0) / concurrency))
    expect(calls.reduce((sum, of) => sum + (of['cache.misses'] ?? 0), 0)).toBe(400)
    expect(snapshot.latencyMs.max).toBe(Math.max(...rounds) * 50)
  })
})

describe('top words', () => {
  test.each([1, 2, 3])('prints the first few once, and writes all counts, on %d executors', async (executors) => {
    const folder = mkdtempSync(joined(tmpdir(), 'squall-top-words-'))
    try {
      const input = joined(folder, 'text')
      writeFileSync(input, 'The fog, the sun;\nfog again: the end\n')
      await using local = await LocalCluster.start({ seed: 7, executors })
      const output = joined(folder, 'counts')
      const { result } = await local.complete(topWords, { params: { input, output, top: 2 } })
      expect(result.state).toBe('finished')
      expect(printed).toEqual(['      3  the', '      2  fog'])
      const parts = readdirSync(output).filter((name) => name.startsWith('part-'))
      const lines = parts.sort().map((name) => readFileSync(joined(output, name), 'utf8'))
      expect(lines.join('')).toBe('the\t3\nfog\t2\nagain\t1\nend\t1\nsun\t1\n')
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
})
