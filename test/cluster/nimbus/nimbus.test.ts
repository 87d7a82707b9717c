import { describe, expect, test } from 'vitest'
import { kill, rebalance, setActive, update } from '../../../lib/cluster/nimbus/deployments.ts'
import { keys } from '../../../lib/cluster/records.ts'
import { TestCluster, placesOf } from './cluster.ts'
import type { Standing } from './cluster.ts'

async function clusterOf(...hosts: readonly string[]): Promise<{ cluster: TestCluster; first: Standing }> {
  const cluster = new TestCluster()
  const first = await cluster.stand('n1')
  for (const host of hosts) await cluster.host(host)
  return { cluster, first }
}

describe('the life of a topology', () => {
  test('deployed it is placed at once, and its name is taken', async () => {
    const { cluster, first } = await clusterOf('a', 'b')
    await cluster.deploy(first, { name: 't' })
    await cluster.passing(0)
    expect(placesOf(cluster.assignment('t'))).toEqual(['0@a.1', '1@b.1'])
    expect(cluster.topology('t')).toMatchObject({ id: 't-1', changes: 0, wanted: 'active' })
    await expect(cluster.deploy(first, { name: 't' })).rejects.toMatchObject({
      code: 'name-in-use',
      what: expect.stringContaining('(starting)') as string,
    })
  })

  test('without a slot it waits and says why, and is placed when there is one', async () => {
    const { cluster, first } = await clusterOf()
    await cluster.deploy(first, { name: 't' })
    await cluster.passing(0)
    expect(cluster.assignment('t')).toBeUndefined()
    expect(first.nimbus.problems.get('t')).toBe('no supervisor is there to take workers')
    await cluster.host('a')
    expect(placesOf(cluster.assignment('t'))).toEqual(['0@a.1', '1@a.1'])
    expect(first.nimbus.problems.size).toBe(0)
  })

  test('is deactivated, activated, rebalanced and updated', async () => {
    const { cluster, first } = await clusterOf('a', 'b')
    const { nimbus } = first
    await cluster.deploy(first, { name: 't', executors: 4 })
    await cluster.done(nimbus.change((known) => setActive(known, 't', false)))
    expect(cluster.assignment('t')).toMatchObject({ epoch: 2, isActive: false })
    await cluster.done(nimbus.change((known) => setActive(known, 't', true)))
    expect(cluster.assignment('t')).toMatchObject({ epoch: 3, isActive: true })
    await cluster.done(nimbus.change((known) => rebalance(known, 't', { workers: 3 })))
    expect(placesOf(cluster.assignment('t'))).toEqual(['0@a.1', '1@b.1', '2@a.4'])
    await cluster.done(nimbus.change((known) => rebalance(known, 't', { executors: 3 })))
    expect(cluster.assignment('t')).toMatchObject({ epoch: 5, executors: 3, changes: 1 })
    expect(placesOf(cluster.assignment('t'))).toEqual(['0@a.5', '1@b.5', '2@a.5'])
    const code = { bundle: 'f'.repeat(64), file: 'new.ts', params: { n: 1 }, config: {}, components: [] }
    await cluster.done(nimbus.change((known) => update(known, 't', code)))
    expect(cluster.assignment('t')).toMatchObject({ epoch: 6, bundle: 'f'.repeat(64), changes: 2 })
    expect(cluster.topology('t')).toMatchObject({ params: { n: 1 }, workers: 3, executors: 3 })
  })

  test('new code that has no place for what is kept is refused, unless it may be lost', async () => {
    const { cluster, first } = await clusterOf('a')
    const { nimbus } = first
    const state = (name: string, operator: string): { name: string; operator: string } => ({ name, operator })
    const states = [state('counts', 'updateStateByKey'), state('ids', 'mapWithState'), state('source lines', 'source')]
    await cluster.deploy(first, { name: 't', states })
    const code = { bundle: 'f'.repeat(64), file: 'new.ts', params: {}, config: {}, components: [] }
    const updated = (states: { name: string; operator: string }[], ...dropped: string[]): Promise<void> =>
      cluster.done(nimbus.change((known) => update(known, 't', { ...code, states, dropped })))
    const [counts, ids, source] = states as [(typeof states)[0], (typeof states)[0], (typeof states)[0]]

    await expect(updated([ids, source])).rejects.toMatchObject({
      code: 'state-gone',
      what: 'the new code of t has no place for the state counts, which updateStateByKey keeps',
    })
    await expect(updated([counts, source], 'counts')).rejects.toMatchObject({
      code: 'state-gone',
      what: expect.stringContaining('ids') as string,
    })
    await expect(updated([counts, state('ids', 'updateStateByKey'), source])).rejects.toMatchObject({
      code: 'state-changed',
      what: 'in the new code of t updateStateByKey keeps the state ids, which holds what mapWithState has kept',
    })
    await expect(updated(states, 'count')).rejects.toMatchObject({ code: 'unknown-state', help: 'did you mean counts?' })
    expect(cluster.topology('t')).toMatchObject({ changes: 0, states })

    await updated([state('more', 'window'), ...states])
    await updated([ids, source], 'counts', 'more')
    expect(cluster.topology('t')).toMatchObject({ changes: 2, states: [ids, source], stateGenerations: { counts: 1, more: 1 } })
    await updated(states)
    await updated(states, 'counts')
    expect(cluster.topology('t')).toMatchObject({ changes: 4, stateGenerations: { counts: 2, more: 1 } })
  })

  test('killed its spouts rest for a while, then nothing of it is left, and the name is free', async () => {
    const { cluster, first } = await clusterOf('a')
    await cluster.deploy(first, { name: 't' })
    await cluster.say('t', 0, 'running')
    await cluster.put(keys.positions('t', 0), JSON.stringify({ id: 't-1', positions: { 0: [7, 1] } }))
    await cluster.done(first.nimbus.change((known) => kill(known, 't', { waitMs: 5_000 })))
    await cluster.passing(4_000)
    expect(cluster.assignment('t')).toMatchObject({ isActive: false })
    await cluster.passing(2_000)
    expect(cluster.memory.store.list('').entries.map(({ key }) => key)).toEqual([
      'nimbus/deployed',
      'nimbus/leader',
      'nimbus/members/n1',
      'supervisors/a',
    ])
    await cluster.deploy(first, { name: 't' })
    expect(cluster.topology('t')?.id).toBe('t-2')
  })

  test('killed without a wait it goes at once, also where it never ran; otherwise its spouts rest before', async () => {
    const { cluster, first } = await clusterOf()
    await cluster.deploy(first, { name: 't' })
    await cluster.done(first.nimbus.change((known) => kill(known, 't', {})))
    expect(cluster.topology('t')).toBeUndefined()
    await cluster.host('a')
    await cluster.deploy(first, { name: 'u' })
    await cluster.done(first.nimbus.change((known) => kill(known, 'u', { waitMs: 7_000 })))
    expect(cluster.topology('u')).toMatchObject({ wanted: 'killed', killWaitMs: 7_000 })
    await cluster.done(first.nimbus.change((known) => kill(known, 'u', { waitMs: 0 })))
    await cluster.passing(0)
    expect(cluster.topology('u')).toBeUndefined()
  })

  test('finished it gives its slots back, and is listed with its result until it is killed', async () => {
    const { cluster, first } = await clusterOf()
    await cluster.host('a', { slots: 1 })
    await cluster.deploy(first, { name: 't', workers: 1 })
    await cluster.deploy(first, { name: 'u', workers: 1 })
    await cluster.say('t', 0, 'running', { log: 'aa' })
    await cluster.finish('t', 'stopped') // as a worker that is started anew says
    expect(cluster.assignment('u')).toBeUndefined()
    await cluster.finish('t')
    expect(cluster.assignment('t')).toBeUndefined()
    expect(cluster.read(keys.worker('t', 0))).toMatchObject({ log: 'aa' }) // where it can be read
    expect(placesOf(cluster.assignment('u'))).toEqual(['0@a.1'])
    expect(cluster.read(keys.result('t'))).toMatchObject({ state: 'finished', acked: 9 })
    await expect(cluster.done(first.nimbus.change((known) => setActive(known, 't', true)))).rejects.toMatchObject({ code: 'topology-over' })
    await cluster.done(first.nimbus.change((known) => kill(known, 't', {})))
    expect(cluster.topology('t')).toBeUndefined()
    expect(cluster.read(keys.result('t'))).toBeUndefined()
    await cluster.passing(0)
    expect(cluster.read(keys.worker('t', 0))).toBeUndefined()
  })

  test('what is asked of an unknown one names what was meant', async () => {
    const { cluster, first } = await clusterOf()
    await cluster.deploy(first, { name: 'words' })
    const asked = cluster.done(first.nimbus.change((known) => kill(known, 'word', {})))
    await expect(asked).rejects.toMatchObject({ code: 'unknown-topology', help: 'did you mean words?' })
  })
})

describe('when hosts and workers fail', () => {
  test('a host is lost two seconds after its record went, and not if it is back before', async () => {
    const { cluster, first } = await clusterOf('a', 'b')
    await cluster.passing(10_000)
    await cluster.deploy(first, { name: 't' })
    await cluster.lose('b')
    await cluster.passing(1_000)
    await cluster.host('b')
    await cluster.passing(5_000)
    expect(placesOf(cluster.assignment('t'))).toEqual(['0@a.1', '1@b.1'])
    await cluster.lose('b')
    await cluster.passing(1_900)
    expect(cluster.assignment('t')?.epoch).toBe(1)
    await cluster.passing(1_200)
    expect(placesOf(cluster.assignment('t'))).toEqual(['0@a.1', '1@a.2'])
  })

  test('a host that is away gets nothing more', async () => {
    const { cluster, first } = await clusterOf('a', 'b')
    await cluster.deploy(first, { name: 't' })
    await cluster.lose('b')
    await cluster.deploy(first, { name: 'u' })
    await cluster.passing(0)
    expect(placesOf(cluster.assignment('u'))).toEqual(['0@a.1', '1@a.1'])
  })

  test('a host that is away gets nothing more, also when something of it goes', async () => {
    const { cluster, first } = await clusterOf('a', 'b')
    await cluster.deploy(first, { name: 't' })
    await cluster.lose('b')
    await cluster.done(first.nimbus.change((known) => rebalance(known, 't', { workers: 1 })))
    expect(placesOf(cluster.assignment('t'))).toEqual(['0@a.1'])
    await cluster.host('c', { slots: 0 })
    await cluster.deploy(first, { name: 'u', workers: 4, executors: 4 })
    expect(placesOf(cluster.assignment('u'))).toEqual(['0@a.1', '1@a.1', '2@a.1'])
  })

  test('a slot is free before it is given to another topology', async () => {
    const { cluster, first } = await clusterOf('a')
    const writes = cluster.writesTo('assignments/')
    await cluster.deploy(first, { name: 'old', workers: 4, executors: 4 })
    await cluster.deploy(first, { name: 'new', workers: 1 })
    await cluster.done(first.nimbus.change((known) => kill(known, 'old', { waitMs: 0 })))
    await cluster.passing(2_000)
    await cluster.deploy(first, { name: 'next', workers: 4, executors: 4 })
    await cluster.finish('new')
    await cluster.passing(2_000)
    expect(placesOf(cluster.assignment('next'))).toHaveLength(4)
    expect(writes).toEqual([
      'assignments/old',
      '-assignments/old',
      'assignments/new',
      'assignments/next', // on three slots
      '-assignments/new',
      'assignments/next',
    ])
  })

  test('positions, which every worker says each second, are nothing to decide on', async () => {
    const { cluster, first } = await clusterOf('a')
    await cluster.deploy(first, { name: 't' })
    const { decisions } = first.nimbus.counts
    for (let i = 0; i < 5; i++) await cluster.put(keys.positions('t', 0), JSON.stringify({ id: 't-1', positions: { 0: [i, 1] } }))
    expect(first.nimbus.counts.decisions).toBe(decisions)
    await cluster.passing(1_000)
    expect(first.nimbus.counts.decisions).toBe(decisions + 1)
    expect(first.nimbus.known.positions.get('t/0')?.record.positions).toEqual({ 0: [4, 1] })
  })

  test('a failing worker goes elsewhere; one that fails everywhere waits longer each time', async () => {
    const { cluster, first } = await clusterOf('a', 'b', 'c')
    await cluster.deploy(first, { name: 't', workers: 1 })
    await cluster.say('t', 0, 'failing')
    expect(placesOf(cluster.assignment('t'))).toEqual(['0@b.2'])
    await cluster.say('t', 0, 'failing')
    expect(placesOf(cluster.assignment('t'))).toEqual(['0@b.2'])
    await cluster.passing(6_000)
    expect(placesOf(cluster.assignment('t'))).toEqual(['0@c.3'])
    await cluster.say('t', 0, 'failing')
    await cluster.passing(9_000)
    expect(cluster.assignment('t')?.epoch).toBe(3)
    await cluster.passing(2_000)
    expect(placesOf(cluster.assignment('t'))).toEqual(['0@a.4'])
  })

  test('a host where several topologies fail is avoided by all, for ten minutes', async () => {
    const { cluster, first } = await clusterOf('a', 'b')
    for (const name of ['t', 'u']) {
      await cluster.deploy(first, { name, workers: 1 })
      if (cluster.assignment(name)?.workers[0]?.supervisor !== 'a') continue
      await cluster.say(name, 0, 'failing')
    }
    // t went from a to b; u is then on a, which has more room, and fails there
    expect(first.nimbus.blacklist).toEqual(['a'])
    await cluster.deploy(first, { name: 'v', workers: 2 })
    await cluster.passing(0)
    expect(cluster.assignment('v')?.workers.map(({ supervisor }) => supervisor)).toEqual(['b', 'b'])
    await cluster.passing(601_000)
    expect(first.nimbus.blacklist).toEqual([])
  })

  test('a record that cannot be understood is told and left alone, with what belongs to it', async () => {
    const { cluster, first } = await clusterOf('a')
    await cluster.deploy(first, { name: 't' })
    const newer = JSON.stringify({ ...cluster.topology('t'), wanted: 'frozen' })
    await cluster.put(keys.topology('t'), newer)
    await cluster.put(keys.supervisor('odd'), 'no JSON')
    await cluster.passing(3_000)
    expect(cluster.memory.store.get(keys.topology('t'))?.value).toBe(newer)
    expect(placesOf(cluster.assignment('t'))).toEqual(['0@a.1', '1@a.1'])
    expect(cluster.said.filter((line) => line.includes('supervisors/odd cannot be understood'))).toHaveLength(1)
    await expect(cluster.deploy(first, { name: 't' })).rejects.toMatchObject({ code: 'name-in-use' })
  })
})

describe('several nimbuses', () => {
  test('one leads; another takes over when it is gone, and nothing moves', async () => {
    const { cluster, first } = await clusterOf('a', 'b')
    const second = await cluster.stand('n2')
    await cluster.deploy(first, { name: 't' })
    expect([first.nimbus.isLeading, second.nimbus.isLeading]).toEqual([true, false])
    await expect(cluster.deploy(second, { name: 'u' })).rejects.toMatchObject({
      code: 'not-leader',
      help: 'ask the one that does: http://n1:6627',
    })

    const writes = cluster.writesTo('assignments/')
    first.coordinator.cut()
    await cluster.passing(20_000)
    expect([first.nimbus.isLeading, second.nimbus.isLeading]).toEqual([false, true])
    expect(writes).toEqual([])
    await cluster.deploy(second, { name: 'u' })
    await cluster.passing(0)
    expect(placesOf(cluster.assignment('u'))).toEqual(['0@a.1', '1@b.1'])
    first.coordinator.mend()
    await cluster.passing(10_000)
    expect([first.nimbus.isLeading, second.nimbus.isLeading]).toEqual([false, true])
  })

  test('one that leads before it has heard of all that the last one did decides when it has', async () => {
    const { cluster, first } = await clusterOf('a')
    const second = await cluster.stand('n2')
    // its copy of the records is late, the end of the leader is not
    const delays = [5_000]
    second.coordinator.watchDelayMs = () => delays.shift() ?? 1
    await cluster.deploy(first, { name: 't' })
    void first.nimbus.stop()
    await cluster.passing(2_000)
    expect(second.nimbus.isLeading).toBe(true)
    expect(second.nimbus.known.topologies.size).toBe(0)
    expect(second.nimbus.counts).toMatchObject({ decisions: 0, conflicts: 0 })
    await cluster.passing(5_000)
    expect(second.nimbus.counts.decisions).toBeGreaterThan(0)
    expect(cluster.assignment('t')?.epoch).toBe(1)
  })

  test('a host that is lost with the leader is lost two seconds after another one leads', async () => {
    const { cluster, first } = await clusterOf('a', 'b')
    const second = await cluster.stand('n2')
    await cluster.deploy(first, { name: 't' })
    await cluster.passing(10_000)
    await Promise.all([cluster.lose('b'), cluster.done(first.nimbus.stop())])
    await cluster.passing(1_500)
    expect(second.nimbus.isLeading).toBe(true)
    expect(cluster.assignment('t')?.epoch).toBe(1)
    await cluster.passing(1_500)
    expect(placesOf(cluster.assignment('t'))).toEqual(['0@a.1', '1@a.2'])
  })

  test('a leader whose own lease had ended waits one lease before it calls hosts lost', async () => {
    const { cluster, first } = await clusterOf('a', 'b')
    const second = await cluster.stand('n2')
    await cluster.deploy(first, { name: 't' })
    await cluster.passing(10_000)
    // nobody reaches the coordinator, and all leases end
    second.coordinator.cut()
    await Promise.all([cluster.lose('b'), cluster.done(first.nimbus.stop())])
    await cluster.passing(10_000)
    second.coordinator.mend()
    await cluster.passing(5_500)
    expect(second.nimbus.isLeading).toBe(true)
    expect(cluster.assignment('t')?.epoch).toBe(1)
    await cluster.passing(3_000)
    expect(placesOf(cluster.assignment('t'))).toEqual(['0@a.1', '1@a.2'])
  })

  test('a leader that does not know yet that it was deposed commits nothing', async () => {
    const { cluster, first } = await clusterOf('a')
    await cluster.deploy(first, { name: 't' })
    // somebody removes its record; it hears of it late
    first.coordinator.watchDelayMs = () => 3_000
    await cluster.passing(1_000)
    const other = cluster.memory.client()
    await other.commit([], [{ key: keys.leader, delete: true }])
    await other.commit([{ key: keys.leader, version: 0 }], [{ key: keys.leader, value: JSON.stringify({ id: 'x', url: 'http://x' }) }])
    const writes = cluster.writesTo('topologies/')
    const asked = first.nimbus.change((known) => setActive(known, 't', false))
    asked.catch(() => undefined)
    await cluster.passing(20_000)
    await expect(asked).rejects.toMatchObject({ code: 'not-leader' })
    expect(writes).toEqual([])
    expect(first.nimbus.counts.conflicts).toBeGreaterThan(0)
  })

  test('bundles go to those that lack them, and those that nobody names go after some minutes', async () => {
    const { cluster, first } = await clusterOf('a')
    const bundle = await first.blobs.put(Buffer.from('t'))
    const stray = await first.blobs.put(Buffer.from('stray'))
    const second = await cluster.stand('n2')
    await cluster.deploy(first, { name: 't', bundle })
    await cluster.passing(2_000)
    expect(await second.blobs.list()).toEqual([bundle])
    await cluster.passing(500_000)
    expect(await first.blobs.list()).toEqual([bundle, stray].toSorted())
    await cluster.passing(200_000)
    expect(await first.blobs.list()).toEqual([bundle])
  })

  test('a bundle that is put again, or deployed, when its time is up stays', async () => {
    const { cluster, first } = await clusterOf('a')
    const { nimbus, blobs } = first
    const names = ['again', 'named', 'neither']
    const [again = '', named = ''] = await Promise.all(names.map((name) => blobs.put(Buffer.from(name))))
    // what looks after them is held up just before it would remove some
    let isHeld = false
    let goOn = (): void => undefined
    const list = blobs.list.bind(blobs)
    blobs.list = async () => {
      if (isHeld) await new Promise<void>((resolve) => (goOn = resolve))
      return await list()
    }
    await cluster.passing(590_000)
    isHeld = true
    await cluster.passing(100_000)
    await nimbus.touch(again)
    await cluster.deploy(first, { name: 't', bundle: named })
    isHeld = false
    goOn()
    await cluster.passing(10_000)
    expect(await list()).toEqual([again, named].toSorted())
    await cluster.passing(500_000)
    expect(await list()).toContain(again)
    await cluster.passing(200_000)
    expect(await list()).toEqual([named])
  })

  test('whoever is about to name a bundle that is being removed waits until it is gone', async () => {
    const { cluster, first } = await clusterOf('a')
    const { nimbus, blobs } = first
    const bundle = await blobs.put(Buffer.from('t'))
    let removed = (): void => undefined
    const remove = blobs.delete.bind(blobs)
    blobs.delete = async (digest) => {
      await new Promise<void>((resolve) => (removed = resolve))
      await remove(digest)
    }
    await cluster.passing(700_000)
    let found: boolean | undefined
    void nimbus.touch(bundle).then(async () => (found = await blobs.has(bundle)))
    await cluster.passing(0)
    expect(found).toBeUndefined()
    removed()
    await cluster.passing(0)
    expect(found).toBe(false)
  })

  test('a change is decided on all that was written here, also when an earlier answer comes after a later one', async () => {
    const { cluster, first } = await clusterOf('a')
    const { nimbus, coordinator } = first
    const writes = (key: string): Promise<void> => nimbus.change(() => ({ what: key, guards: [], writes: [{ key, value: '{}' }] }))
    coordinator.fate = () => ({ answerMs: 300 })
    const early = writes('topologies/early')
    await cluster.passing(100)
    coordinator.fate = () => ({})
    coordinator.watchDelayMs = () => 1_000
    const late = writes('topologies/late')
    await cluster.passing(300)
    await early
    let seen: ReadonlySet<string> = new Set()
    const next = nimbus.change((known) => void (seen = known.unreadable))
    await cluster.passing(1_000)
    await Promise.all([late, next])
    expect(seen).toContain('topologies/late')
  })

  test('the coordinator away for a while: nothing is placed, and all goes on after', async () => {
    const { cluster, first } = await clusterOf('a', 'b')
    await cluster.deploy(first, { name: 't' })
    first.coordinator.cut()
    await cluster.passing(30_000)
    expect(first.nimbus.isLeading).toBe(false)
    first.coordinator.mend()
    await cluster.passing(10_000)
    expect(first.nimbus.isLeading).toBe(true)
    expect(cluster.assignment('t')?.epoch).toBe(1)
  })

  test('can be stopped before it was started, twice, and while the coordinator is away', async () => {
    const { cluster, first } = await clusterOf()
    first.coordinator.cut()
    const stopped = Promise.all([first.nimbus.stop(), first.nimbus.stop()])
    await cluster.passing(20_000)
    await stopped
    const second = await cluster.stand('n2')
    await cluster.done(second.nimbus.stop())
    second.nimbus.start()
    await cluster.passing(10_000)
    expect(second.nimbus.isLeading).toBe(false)
  })
})
