import fc from 'fast-check'
import { describe, expect, onTestFinished, test } from 'vitest'
import { MemoryCluster } from '../../../lib/cluster/coordination/memory.ts'
import type { MemoryCoordinator } from '../../../lib/cluster/coordination/memory.ts'
import { VirtualSchedule } from '../../../lib/std/schedule.ts'
import { conforms, conformsWhenCut, copyOf, revisionOf, until } from './conformance.ts'
import type { Site } from './conformance.ts'
import { passing } from './virtual.ts'
import type { Guard, News, Write } from '../../../lib/cluster/coordination/coordinator.ts'

describe('a coordinator in memory', () => {
  conforms(site)
  conformsWhenCut(site)

  test('what happens to requests on their way is told as an error, and done or not as it was', async () => {
    const schedule = new VirtualSchedule()
    const client = new MemoryCluster(schedule).client()
    client.fate = () => ({ lost: 'request' })
    await expect(passing(schedule, client.commit([], [{ key: 'a', value: '1' }]))).rejects.toMatchObject({ code: 'coordinator-away' })
    client.fate = () => ({ lost: 'answer' })
    await expect(passing(schedule, client.commit([], [{ key: 'b', value: '1' }]))).rejects.toMatchObject({ code: 'coordinator-away' })
    client.fate = () => ({ requestMs: 12_000 })
    await expect(passing(schedule, client.commit([], [{ key: 'c', value: '1' }]))).rejects.toMatchObject({ code: 'coordinator-away' })
    client.fate = () => ({})
    expect((await client.list('')).entries.map(({ key }) => key)).toEqual(['b'])
    await schedule.advance(2_000)
    expect((await client.list('')).entries.map(({ key }) => key)).toEqual(['b', 'c'])
  })
})

async function site(): Promise<Required<Site>> {
  const schedule = new VirtualSchedule()
  const cluster = new MemoryCluster(schedule)
  return {
    client: async () => {
      const client = cluster.client()
      onTestFinished(() => client.close())
      return client
    },
    passing: (promise) => passing(schedule, promise),
    now: () => schedule.now(),
    compact: async () => cluster.compact(),
    lines: {
      cut: (client) => (client as MemoryCoordinator).cut(),
      mend: (client) => (client as MemoryCoordinator).mend(),
    },
  }
}

const keys = ['a', 'b', 'c/d'] as const
const step = fc.record({
  guards: fc.array(fc.record({ key: fc.constantFrom(...keys), by: fc.constantFrom('version', 'created'), of: fc.nat(4) }), {
    maxLength: 2,
  }),
  writes: fc.uniqueArray(fc.record({ key: fc.constantFrom(...keys), value: fc.option(fc.nat(9), { nil: undefined }) }), {
    selector: ({ key }) => key,
    maxLength: 3,
  }),
})

test('a coordinator does what a list of whole histories does', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      const client = new MemoryCluster(new VirtualSchedule()).client()
      const news: News[] = []
      client.watch('', 0, (one) => news.push(one))
      // the model: all that ever was, a line a revision
      const past: ReadonlyMap<string, { value: string; version: number; created: number }>[] = [new Map()]
      for (const { guards, writes } of steps) {
        const now = past.at(-1) as (typeof past)[number]
        // versions that some record had, or never
        const asked = guards.map(({ key, by, of }): Guard => {
          const entry = (past[Math.max(0, past.length - 1 - of)] as (typeof past)[number]).get(key)
          return by === 'version' ? { key, version: entry?.version ?? 0 } : { key, created: entry?.created ?? 0 }
        })
        const holds = asked.every((guard) =>
          'version' in guard ? (now.get(guard.key)?.version ?? 0) === guard.version : now.get(guard.key)?.created === guard.created,
        )
        const next = new Map(now)
        for (const { key, value } of writes)
          if (value === undefined) next.delete(key)
          else next.set(key, { value: String(value), version: past.length, created: now.get(key)?.created ?? past.length })
        const changes = holds && writes.some(({ key, value }) => value !== undefined || now.has(key))
        if (changes) past.push(next)
        const outcome = await client.commit(
          asked,
          writes.map(({ key, value }): Write => (value === undefined ? { key, delete: true } : { key, value: String(value) })),
        )
        expect(outcome).toEqual(holds ? { ok: true, revision: past.length - 1 } : { ok: false })
      }
      const wanted = [...(past.at(-1) as (typeof past)[number])].map(([key, entry]) => ({ key, ...entry }))
      const { entries, revision } = await client.list('')
      expect(entries).toEqual(wanted.sort((a, b) => (a.key < b.key ? -1 : 1)))
      expect(revision).toBe(past.length - 1)
      await until(() => news.length === past.length - 1)
      expect(copyOf(news)).toEqual(entries)
    }),
  )
})

test('the latest 10,000 changes can be asked for again', async () => {
  const client = new MemoryCluster(new VirtualSchedule()).client()
  for (let i = 1; i <= 25_000; i++) revisionOf(await client.commit([], [{ key: 'a', value: String(i) }]))
  const [recent, older]: News[][] = [[], []]
  client.watch('', 15_000, (news) => recent?.push(news))
  client.watch('', 1, (news) => older?.push(news))
  await until(() => recent?.length === 10_000 && older?.length === 1)
  expect(older?.map(({ kind, revision }) => [kind, revision])).toEqual([['reset', 25_000]])
})
