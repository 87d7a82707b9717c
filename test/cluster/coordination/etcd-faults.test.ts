/**
 * Servers of etcd that die, freeze and are gone for a while, and lines that lose answers, while many clients count with one record: what was
 * answered was done once, whatever happened, and a watch sees every count.
 *
 * A few faults by default. The long way, 100 of them, takes some minutes:
 *
 *     SQUALL_KILLS=100 npx vitest run test/cluster/coordination/etcd-faults.test.ts
 */
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { Coordinator, News } from '../../../lib/cluster/coordination/coordinator.ts'
import { EtcdCoordinator } from '../../../lib/cluster/coordination/etcd.ts'
import { Election } from '../../../lib/cluster/coordination/election.ts'
import type { Leadership } from '../../../lib/cluster/coordination/election.ts'
import { SquallError } from '../../../lib/errors.ts'
import { Random } from '../../../lib/std/random.ts'
import { realSchedule } from '../../../lib/std/schedule.ts'
import { changesOf, countOne, revisionOf, until } from './conformance.ts'
import { EtcdServers, hasEtcd } from './etcd-servers.ts'
import { TcpLines } from './tcp-lines.ts'

const killsWanted = Number(process.env['SQUALL_KILLS'] ?? 4)

describe.runIf(hasEtcd())('with three servers of etcd', () => {
  let servers: EtcdServers
  let roots = 0
  beforeAll(async () => (servers = await EtcdServers.start()))
  afterAll(() => servers.stop())

  const client = (root: string, hosts = servers.hosts): Coordinator => {
    const coordinator = new EtcdCoordinator({ hosts }, root)
    onTestFinished(() => coordinator.close())
    return coordinator
  }

  /** A client whose lines lose some answers, and hold some requests back, for as long as `isLossy` says. */
  const lossy = async (root: string, random: Random, isLossy: () => boolean): Promise<Coordinator> => {
    const lines = await TcpLines.to(servers.hosts)
    onTestFinished(() => lines.close())
    lines.losesAnswer = () => isLossy() && random.below(5) === 0
    lines.holdsRequest = () => isLossy() && random.below(8) === 0
    return client(root, lines.hosts)
  }

  /** Clients that count until they are told to stop. */
  class Race {
    readonly seen: News[] = []
    counted = 0
    unsure = 0
    readonly #done: Promise<unknown>
    #isOver = false

    constructor(clients: readonly Coordinator[], watcher: Coordinator) {
      const watch = watcher.watch('counter/', 0, (news) => this.seen.push(news))
      onTestFinished(() => watch.close())
      this.#done = Promise.all(clients.map((one) => this.#count(one)))
    }

    /** Waits until so many more have been counted. */
    async goOn(more: number): Promise<void> {
      const wanted = this.counted + more
      await until(() => this.counted >= wanted)
    }

    /** Stops, and says what is wrong with what clients know and with what a watch told, against what is there. */
    async judge(coordinator: Coordinator): Promise<string[]> {
      this.#isOver = true
      await this.#done
      const last = Number((await coordinator.get('counter/n'))?.value)
      await until(() => changesOf(this.seen).length >= last)
      const told = changesOf(this.seen).map((change) => (change.kind === 'put' ? Number(change.entry.value) : undefined))
      const wrong = told.flatMap((value, i) => (value === i + 1 ? [] : [`${value} is told after ${i}`]))
      if (last < this.counted || last > this.counted + this.unsure) wrong.push(`${last} is there, ${this.counted} were answered`)
      return wrong
    }

    async #count(one: Coordinator): Promise<void> {
      while (!this.#isOver)
        try {
          if (await countOne(one, 'counter/n')) this.counted++
        } catch (error) {
          if (!(error instanceof SquallError) || error.code !== 'coordinator-away') throw error
          this.unsure++
        }
    }
  }

  test(
    'one of them is killed or frozen, again and again, and some lines are bad',
    async () => {
      const root = `race-${++roots}`
      const random = new Random(6)
      const clients = [client(root), client(root), await lossy(root, random, () => true), await lossy(root, random, () => true)]
      const race = new Race(clients, client(root))
      for (let round = 0; round < killsWanted; round++) {
        await race.goOn(20)
        const victim = random.below(3)
        if (round % 2 === 0) await servers.kill(victim)
        else servers.freeze(victim)
        await race.goOn(20)
        if (round % 2 === 0) servers.run(victim)
        else servers.thaw(victim)
        await servers.ready()
      }
      expect(await race.judge(clients[0] as Coordinator)).toEqual([])
    },
    30_000 * Math.max(4, killsWanted),
  )

  test('all of them are gone for a while', async () => {
    const root = `race-${++roots}`
    const clients = [client(root), client(root)]
    const [one] = clients as [Coordinator]
    const lease = await one.lease(60_000)
    revisionOf(await one.commit([], [{ key: 'held', value: '1', lease }]))
    const race = new Race(clients, client(root))
    await race.goOn(10)
    await Promise.all([0, 1, 2].map((i) => servers.kill(i)))
    const underWay = one.get('counter/n')
    for (const i of [0, 1, 2]) servers.run(i)
    await underWay
    await race.goOn(10)
    expect((await one.get('held'))?.value).toBe('1')
    expect(lease.untilMs).toBeGreaterThan(performance.now())
    expect(await race.judge(one)).toEqual([])
  })

  test('answers get lost, and requests arrive long after they were given up', async () => {
    const root = `race-${++roots}`
    const random = new Random(7)
    let isLossy = false
    const clients = await Promise.all([1, 2, 3].map(() => lossy(root, random, () => isLossy)))
    const race = new Race(clients, client(root))
    await race.goOn(5)
    isLossy = true
    await race.goOn(150)
    isLossy = false
    expect(await race.judge(clients[0] as Coordinator)).toEqual([])
    expect(race.unsure).toBe(0)
  })

  test('a watch leaves a server that has frozen for one that lives', async () => {
    const root = `frozen-${++roots}`
    // each begins with the first of its servers
    const reader = client(root)
    const writer = client(root, servers.hosts.slice(1))
    const news: News[] = []
    const watch = reader.watch('', 0, (one) => news.push(one))
    revisionOf(await writer.commit([], [{ key: 'a', value: '1' }]))
    await until(() => news.length === 1)
    servers.freeze(0)
    revisionOf(await writer.commit([], [{ key: 'a', value: '2' }]))
    await until(() => news.length === 2)
    servers.thaw(0)
    watch.close()
    await servers.ready()
    expect(changesOf(news).map((change) => change.kind === 'put' && change.entry.value)).toEqual(['1', '2'])
  })

  test('a leader that is cut off stops before another one leads', async () => {
    const root = `election-${++roots}`
    const lines = await TcpLines.to(servers.hosts)
    onTestFinished(() => lines.close())
    const told: string[] = []
    let leadership: Leadership | undefined
    const [first, second] = [lines.hosts, servers.hosts].map((hosts, i) => {
      const election = new Election({
        coordinator: client(root, hosts),
        schedule: realSchedule,
        key: 'nimbus/leader',
        value: String(i),
        ttlMs: 3_000,
        onLead: (given) => {
          told.push(`${i} leads`)
          leadership ??= given
          if (i === 1 && leadership.isLeading) told.push('as does the other')
        },
        onLost: () => told.push(`${i} does not`),
      })
      onTestFinished(() => election.close())
      return election
    }) as [Election, Election]
    first.start()
    await until(() => told.length === 1)
    second.start()
    lines.cut()
    await until(() => told.includes('1 leads'))
    lines.mend()
    expect(told).toEqual(['0 leads', '0 does not', '1 leads'])
    const guard = (leadership as unknown as Leadership).guard
    expect(await client(root).commit([guard], [{ key: 'a', value: '1' }])).toEqual({ ok: false })
  })
})

describe.runIf(hasEtcd())('with one server of etcd', () => {
  test('data that was lost is noticed: a watch is told what there is now, and commits go on', async () => {
    const servers = await EtcdServers.start(1)
    onTestFinished(() => servers.stop())
    const coordinator = new EtcdCoordinator({ hosts: servers.hosts })
    onTestFinished(() => coordinator.close())
    for (let i = 0; i < 10; i++) await countOne(coordinator, 'n')
    const { revision } = await coordinator.list('')
    const news: News[] = []
    coordinator.watch('', revision, (one) => news.push(one))
    await countOne(coordinator, 'n')
    await until(() => news.length === 1)
    await servers.kill(0)
    servers.wipe(0)
    servers.run(0)
    await servers.ready()
    await until(() => news.length === 2)
    expect(news[1]).toMatchObject({ kind: 'reset', entries: [] })
    revisionOf(await coordinator.commit([{ key: 'n', version: 0 }], [{ key: 'n', value: '1' }]))
    await until(() => news.length === 3)
    expect(changesOf(news.slice(2)).map((change) => change.kind === 'put' && change.entry.value)).toEqual(['1'])
  })
})
