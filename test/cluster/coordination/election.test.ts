import fc from 'fast-check'
import { expect, onTestFinished, test } from 'vitest'
import { EmbeddedCoordinator } from '../../../lib/cluster/coordination/embedded.ts'
import { Election } from '../../../lib/cluster/coordination/election.ts'
import type { Leadership } from '../../../lib/cluster/coordination/election.ts'
import { MemoryCluster } from '../../../lib/cluster/coordination/memory.ts'
import type { Fate, MemoryCoordinator } from '../../../lib/cluster/coordination/memory.ts'
import { Random } from '../../../lib/std/random.ts'
import { VirtualSchedule, realSchedule } from '../../../lib/std/schedule.ts'
import type { Schedule } from '../../../lib/std/schedule.ts'
import { folderOf } from '../../fixtures/files.ts'
import { until } from './conformance.ts'
import { skewed } from './virtual.ts'

const key = 'nimbus/leader'
const ttlMs = 6_000

class Candidate {
  readonly id: string
  readonly client: MemoryCoordinator
  readonly election: Election
  leadership: Leadership | undefined
  /** `lead` and `lost`, in turn */
  readonly told: string[] = []

  constructor(cluster: MemoryCluster, schedule: Schedule, id: string, onLead: (one: Candidate) => void = () => undefined) {
    this.id = id
    this.client = cluster.client(schedule)
    this.election = new Election({
      coordinator: this.client,
      schedule,
      key,
      value: JSON.stringify({ id }),
      ttlMs,
      onLead: (leadership) => {
        this.told.push('lead')
        this.leadership = leadership
        onLead(this)
      },
      onLost: () => {
        this.told.push('lost')
        if (this.leadership?.isLeading !== false) this.told.push('leads on')
        this.leadership = undefined
      },
    })
    this.election.start()
  }

  get isLeading(): boolean {
    return this.leadership?.isLeading ?? false
  }
}

function two(): { schedule: VirtualSchedule; cluster: MemoryCluster; a: Candidate; b: Candidate } {
  const schedule = new VirtualSchedule()
  const cluster = new MemoryCluster(schedule)
  return { schedule, cluster, a: new Candidate(cluster, schedule, 'a'), b: new Candidate(cluster, schedule, 'b') }
}

test('the first one leads, for as long as it lives; the next one when it closes, at once', async () => {
  const { schedule, cluster, a, b } = two()
  await schedule.advance(600_000)
  expect([a.told, b.told]).toEqual([['lead'], []])
  expect(a.isLeading).toBe(true)
  const created = cluster.store.get(key)?.created
  expect(a.leadership?.guard).toEqual({ key, created })
  expect(cluster.store.get(key)?.value).toBe('{"id":"a"}')
  await a.election.close()
  await schedule.advance(1)
  expect([a.told, b.told]).toEqual([['lead', 'lost'], ['lead']])
  await a.election.close()
  await b.election.close()
  expect(cluster.store.get(key)).toBeUndefined()
  expect(b.told).toEqual(['lead', 'lost'])
})

test('a leader that is cut off stops before another one leads, and what it writes late is refused', async () => {
  const { schedule, a, b } = two()
  await schedule.advance(1_000)
  const old = a.leadership as Leadership
  a.client.cut()
  let stoppedMs = 0
  while (!b.isLeading) {
    await schedule.advance(10)
    if (stoppedMs === 0 && !old.isLeading) stoppedMs = schedule.now()
    expect(a.isLeading && b.isLeading).toBe(false)
  }
  expect(stoppedMs).toBeGreaterThan(0)
  expect(schedule.now() - stoppedMs).toBeGreaterThanOrEqual(0.05 * ttlMs)
  expect(schedule.now()).toBeLessThanOrEqual(1_000 + ttlMs + 10)
  expect(a.told).toEqual(['lead', 'lost'])
  a.client.mend()
  expect(await a.client.commit([old.guard], [{ key: 'assignments/x', value: '1' }])).toEqual({ ok: false })
  expect((await b.client.commit([(b.leadership as Leadership).guard], [{ key: 'assignments/x', value: '2' }])).ok).toBe(true)
  await schedule.advance(60_000)
  expect([a.told, b.told]).toEqual([['lead', 'lost'], ['lead']])
})

test('a leader whose record somebody removes does not lead any more', async () => {
  const { schedule, cluster, a, b } = two()
  await schedule.advance(1_000)
  await cluster.client().commit([], [{ key, delete: true }])
  await schedule.advance(100)
  expect([a, b].filter(({ isLeading }) => isLeading)).toHaveLength(1)
  expect(a.told.slice(0, 2)).toEqual(['lead', 'lost'])
})

test('a record that was made without an answer is in nobody’s way for longer than its lease', async () => {
  const schedule = new VirtualSchedule()
  const cluster = new MemoryCluster(schedule)
  const a = new Candidate(cluster, schedule, 'a')
  let requests = 0
  a.client.fate = () => (++requests === 3 ? { lost: 'answer' } : {}) // list, lease, commit
  await schedule.advance(9_000)
  expect(cluster.store.get(key)).toBeDefined()
  await schedule.advance(2_000)
  expect(a.told).toEqual(['lead'])
})

test('closing ends an election that has not begun, and one that gets no answer', async () => {
  const { schedule, a, b } = two()
  a.client.cut()
  b.client.cut()
  const closed = Promise.all([a.election.close(), b.election.close()])
  await schedule.advance(20_000)
  await closed
  expect([a.told, b.told]).toEqual([[], []])
})

test('one whose record is answered for when its lease has ended does not begin to lead', async () => {
  const { schedule, cluster, a, b } = two()
  let requests = 0
  const slow: readonly Fate[] = [{}, { answerMs: 9_000 }]
  // the lease, its record, and what would renew it
  a.client.fate = () => slow[requests++] ?? { lost: 'request' }
  await schedule.advance(8_000)
  expect([a.told, b.told]).toEqual([[], ['lead']])
  await schedule.advance(2_000)
  expect(a.told).toEqual([])
  expect(cluster.store.get(key)?.value).toBe('{"id":"b"}')
})

test('where there is one process, whoever stands first leads until it closes', async () => {
  const coordinator = await EmbeddedCoordinator.open(folderOf({}))
  onTestFinished(() => coordinator.close())
  const told: string[] = []
  const [a, b] = ['a', 'b'].map((value) => {
    const [onLead, onLost] = [() => told.push(`${value} leads`), () => told.push(`${value} does not`)]
    return new Election({ coordinator, schedule: realSchedule, key, value, ttlMs, onLead, onLost })
  }) as [Election, Election]
  a.start()
  await until(() => told.length === 1)
  b.start()
  await a.close()
  await until(() => told.length === 3)
  await b.close()
  expect(told).toEqual(['a leads', 'a does not', 'b leads', 'b does not'])
})

const event = fc.record({
  kind: fc.constantFrom('cut', 'mend', 'slow', 'lossy', 'well', 'close', 'compact'),
  who: fc.nat(2),
  afterMs: fc.integer({ min: 0, max: 9_000 }),
})

test('never do two lead at once, by their own clocks, whatever happens to their lines; and in the end one does', async () => {
  let changesOfLeader = 0
  await fc.assert(
    fc.asyncProperty(
      fc.array(event, { minLength: 5, maxLength: 25 }),
      fc.array(fc.double({ min: 0.93, max: 1.07, noNaN: true }), { minLength: 3, maxLength: 3 }),
      fc.nat(),
      async (events, rates, seed) => {
        const schedule = new VirtualSchedule()
        const cluster = new MemoryCluster(schedule)
        const random = new Random(seed)
        const candidates: Candidate[] = []
        const all: Candidate[] = []
        // whoever begins to lead finds nobody else who does
        const overlaps: string[] = []
        const alone = (one: Candidate): void => {
          changesOfLeader++
          for (const other of all) if (other !== one && other.isLeading) overlaps.push(`${other.id} leads while ${one.id} begins to`)
        }
        const stand = (i: number): void => {
          const candidate = new Candidate(cluster, skewed(schedule, rates[i] as number), `c${all.length}`, alone)
          candidate.client.watchDelayMs = () => random.below(500)
          candidates[i] = candidate
          all.push(candidate)
        }
        for (const i of [0, 1, 2]) stand(i)
        const fates: Readonly<Record<string, () => Fate>> = {
          slow: () => ({ requestMs: random.below(12_000), answerMs: random.below(3_000) }),
          lossy: () => ({
            requestMs: random.below(300),
            answerMs: random.below(300),
            ...([{}, { lost: 'request' }, { lost: 'answer' }] as const)[random.below(3)],
          }),
          well: () => ({}),
        }
        for (const { kind, who, afterMs } of events) {
          await schedule.advance(afterMs)
          const { client, election } = candidates[who] as Candidate
          if (kind === 'cut') client.cut()
          else if (kind === 'mend') client.mend()
          else if (kind === 'compact') cluster.compact()
          else if (kind === 'close') {
            void election.close()
            stand(who)
          } else client.fate = fates[kind] as () => Fate
        }
        for (const { client } of all) {
          client.mend()
          client.fate = () => ({})
        }
        await schedule.advance(40_000)
        expect(overlaps).toEqual([])
        expect(candidates.filter(({ isLeading }) => isLeading)).toHaveLength(1)
        expect(all.filter(({ isLeading }) => isLeading)).toHaveLength(1)
        for (const { told } of all) expect(told.every((word, i) => word === (i % 2 === 0 ? 'lead' : 'lost'))).toBe(true)
      },
    ),
    { numRuns: 150 },
  )
  expect(changesOfLeader).toBeGreaterThan(300)
})
