/** Workers over hosts, when somebody asks for it. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { schedule } from '../../../lib/cluster/nimbus/schedule.ts'
import type { Scene } from '../../../lib/cluster/nimbus/schedule.ts'
import type { SeenHost } from '../../../lib/cluster/nimbus/hosts.ts'
import type { AssignmentRecord, TopologyRecord } from '../../../lib/cluster/records.ts'
import { supervisorOf, topologyOf } from './scenes.ts'

const [a, b, c] = ['a', 'b', 'c'].map((id) => supervisorOf(id)) as [SeenHost, SeenHost, SeenHost]
const three = { workers: 3, executors: 3 }

function placed(topologies: readonly TopologyRecord[], supervisors: readonly SeenHost[], more: Partial<Scene> = {}): AssignmentRecord {
  return schedule({ topologies, supervisors, assignments: [], workers: [], ...more }).get('t')?.assignment as AssignmentRecord
}

function hostsOf({ workers }: AssignmentRecord): string {
  return workers.map(({ supervisor, incarnation }) => `${supervisor}.${incarnation}`).join(' ')
}

describe('a rebalance', () => {
  test('uses a host that has come back, and moves only the worker that must', () => {
    const lost = placed([topologyOf('t', three)], [a, b])
    expect(hostsOf(lost)).toBe('a.1 b.1 a.1')
    // nobody asks: what works stays as it is
    expect(placed([topologyOf('t', three)], [a, b, c], { assignments: [lost] })).toBe(lost)
    const asked = [topologyOf('t', { ...three, rebalances: 1 })]
    const spread = placed(asked, [a, b, c], { assignments: [lost] })
    expect(hostsOf(spread)).toBe('a.1 b.1 c.2')
    // once: what is lost later and comes back is left again
    const again = placed(asked, [a, b], { assignments: [spread] })
    expect(placed(asked, [a, b, c], { assignments: [again] })).toBe(again)
  })

  test('with more workers fills the empty hosts, then levels them', () => {
    const two = placed([topologyOf('t', { executors: 3 })], [a])
    const more = placed([topologyOf('t', { ...three, rebalances: 1 })], [a, b, c], { assignments: [two] })
    expect(hostsOf(more)).toBe('a.1 c.2 b.2')
  })

  test('with new code, or other executors, all begin anew where they belong', () => {
    const lost = placed([topologyOf('t', three)], [a, b])
    const anew = placed([topologyOf('t', { ...three, changes: 1, rebalances: 1 })], [a, b, c], { assignments: [lost] })
    expect(hostsOf(anew)).toBe('a.2 b.2 c.2')
  })

  test('uses no host that is avoided, away, full, without room, or of others', () => {
    const asking = topologyOf('t', { ...three, components: [{ id: 'source', kind: 'spout', tasks: 3, hints: { memoryMb: 300, cpu: 0 } }] })
    const lost = placed([asking], [a, b])
    const asked = { ...asking, rebalances: 1 }
    const spread = (third: SeenHost, more: Partial<Scene> = {}, others: readonly TopologyRecord[] = []): string =>
      hostsOf(placed([asked, ...others], [a, b, third], { ...more, assignments: [lost, ...(more.assignments ?? [])] }))
    const stays = 'a.1 b.1 a.1'
    expect(spread(c)).toBe('a.1 b.1 c.2')
    expect(spread(c, { avoided: () => new Set(['c']) })).toBe(stays)
    expect(spread({ ...c, isAway: true })).toBe(stays)
    expect(spread({ ...c, memoryMb: 200 })).toBe(stays)
    const full = { ...c, slots: 1 }
    const other = topologyOf('u', { workers: 1, executors: 1, deployedAtMs: 1 })
    const assignments = [...schedule({ topologies: [other], supervisors: [full], assignments: [], workers: [] }).values()].flatMap(
      ({ assignment }) => assignment ?? [],
    )
    expect(spread(full, { assignments }, [other])).toBe(stays)
    expect(spread(c, { assignments }, [{ ...other, isolatedHosts: 1 }])).toBe(stays)
  })

  test('waits for a host, and is done then', () => {
    const lost = placed([topologyOf('t', three)], [a, b])
    const asked = [topologyOf('t', { ...three, rebalances: 1 })]
    const away = placed(asked, [], { assignments: [lost] })
    expect(hostsOf(away)).toBe(hostsOf(lost))
    expect(hostsOf(placed(asked, [a, b, c], { assignments: [away] }))).toBe('a.1 b.1 c.2')
  })

  test('levels the hosts that a topology has to itself', () => {
    const isolated = { workers: 4, executors: 4, isolatedHosts: 2 }
    const one = placed([topologyOf('t', isolated)], [a])
    expect(hostsOf(placed([topologyOf('t', { ...isolated, rebalances: 1 })], [a, b, c], { assignments: [one] }))).toBe('a.1 a.1 b.2 b.2')
  })
})

test('whatever there was: as even as the slots let it be, in the fewest moves, and nobody else moves', () => {
  const ids = ['a', 'b', 'c', 'd', 'e']
  const spots = fc.array(fc.constantFrom(...ids), { minLength: 1, maxLength: 8 })
  const slots = fc.array(fc.nat(4), { minLength: ids.length, maxLength: ids.length })
  fc.assert(
    fc.property(spots, spots, slots, (mine, others, spare) => {
      const on = (places: readonly string[], id: string): number => places.filter((one) => one === id).length
      const supervisors = ids.map((id, i) => supervisorOf(id, { slots: on(mine, id) + on(others, id) + (spare[i] as number) }))
      const assignments = [assignmentOn('t', mine), assignmentOn('u', others)] as const
      const size = (places: readonly string[]): Partial<TopologyRecord> => ({ workers: places.length, executors: places.length })
      const topologies = [topologyOf('t', { ...size(mine), rebalances: 1 }), topologyOf('u', size(others))]
      const found = schedule({ topologies, supervisors, assignments, workers: [] })
      const after = found.get('t')?.assignment as AssignmentRecord

      expect(found.get('u')?.assignment).toBe(assignments[1])
      const now = after.workers.map(({ supervisor }) => supervisor)
      const hosts = supervisors.map(({ id, slots: all }) => ({
        before: on(mine, id),
        now: on(now, id),
        free: all - on(others, id) - on(now, id),
      }))
      const most = Math.max(...hosts.map((host) => host.now))
      for (const { free } of hosts) expect(free).toBeGreaterThanOrEqual(0)
      for (const host of hosts.filter(({ free }) => free > 0)) expect(host.now).toBeGreaterThanOrEqual(most - 1)
      // none goes where another one comes from, and none more than that needs
      const moved = after.workers.filter(({ supervisor }, i) => supervisor !== mine[i])
      expect(moved.length).toBe(hosts.reduce((sum, host) => sum + Math.max(0, host.before - host.now), 0))
      const givers = hosts.filter((host) => host.now < host.before)
      for (const taker of hosts.filter((host) => host.now > host.before))
        for (const giver of givers) expect(giver.now).toBeGreaterThanOrEqual(taker.now)
      expect(after.workers.map(({ incarnation }) => incarnation)).toEqual(mine.map((id, i) => (id === now[i] ? 1 : 2)))
      expect(now[0]).toBe(mine[0])
    }),
  )
})

/** An executor on each worker, the workers where `places` says. */
function assignmentOn(name: string, places: readonly string[]): AssignmentRecord {
  const workers = places.map((supervisor, worker) => ({ worker, supervisor, incarnation: 1, executors: [worker] }))
  const { id, changes, bundle } = topologyOf(name)
  return { name, id, epoch: 1, changes, bundle, executors: places.length, isActive: true, workers }
}
