/**
 * One seeded run of a whole cluster: nimbus, supervisors and workers over a coordinator in memory, under virtual time. For some minutes everything that
 * can go wrong does, while users go on asking for things; then all is healed, and the cluster has to come to rest as it should (`settled.ts`). Then
 * leaders and supervisors die once more, and nothing may move. `safety.ts` says what must hold all the time.
 */
import type { Assignment } from '../../../lib/cluster/worker/assignment.ts'
import type { AssignmentRecord, TopologyRecord } from '../../../lib/cluster/records.ts'
import { SimHost, SimNimbus } from './parts.ts'
import type { Nature, Observer, SimProcess } from './processes.ts'
import { Safety, Unsafe } from './safety.ts'
import { troublesOf } from './settled.ts'
import { Users, names } from './users.ts'
import { World } from './world.ts'
import type { Node, Weather } from './world.ts'

export interface Simulated {
  readonly digest: string
  readonly counts: Readonly<Record<string, number>>
  readonly seconds: number
}

/** All must be as it should within this: workers that fail again and again rest for up to five minutes. */
const settleMs = 400_000
const restMs = 8_000

export async function simulate(seed: number, tell?: (line: string) => void): Promise<Simulated> {
  const cluster = new SimCluster(seed, tell)
  try {
    return await cluster.run()
  } catch (error) {
    if (error instanceof Error) error.message += `\n${cluster.world.lastLines.slice(-40).join('\n')}`
    throw error
  } finally {
    cluster.end()
  }
}

export class SimCluster implements Observer {
  readonly world: World
  readonly nimbuses: SimNimbus[] = []
  readonly hosts: SimHost[] = []
  readonly #safety: Safety
  readonly #users: Users
  /** topologies and hosts whose workers crash */
  readonly #sick = new Set<string>()

  constructor(seed: number, tell?: (line: string) => void) {
    this.world = new World(seed, tell)
    const { random } = this.world
    this.#safety = new Safety(this.world, {
      hosts: () => this.hosts.map(({ id, machine, node }) => ({ id, alive: machine.alive, supervisor: node })),
      leaders: () =>
        this.nimbuses.flatMap(({ nimbus, node }) => (nimbus?.isLeading === true && node?.time.isPaused === false ? [node] : [])),
    })
    this.world.ledger.committed = (commit) => this.#safety.committed(commit)
    this.#users = new Users(this.world, this.nimbuses, this.#safety)
    for (let i = 0, count = 2 + random.below(2); i < count; i++) this.nimbuses.push(new SimNimbus(this.world, this.nimbuses, `n${i}`))
    for (let i = 0, count = 2 + random.below(3); i < count; i++) this.hosts.push(new SimHost(this.world, this.nimbuses, this, `h${i}`))
  }

  async run(): Promise<Simulated> {
    const { world } = this
    for (const one of [...this.nimbuses, ...this.hosts]) one.boot()
    await this.#pass(5_000)
    for (let i = 0; i < 3; i++) this.#users.act()
    const untilMs = world.nowMs + world.between(20_000, 70_000)
    this.#again(untilMs, 2_000, () => this.#users.act())
    this.#again(untilMs, 2_500, () => this.#trouble())
    await this.#pass(untilMs - world.nowMs)
    this.#heal()
    await this.#settle('heal')
    if (world.chance(0.5) && !this.#isFinite) await this.#rest()
    if (world.chance(0.5)) {
      for (const name of names) this.#users.kill(name)
      await this.#pass(1_000)
      await this.#settle('end')
    }
    return { digest: world.digest(), counts: world.counts, seconds: world.nowMs / 1_000 }
  }

  end(): void {
    for (const one of [...this.nimbuses, ...this.hosts]) one.kill()
  }

  nature({ launch, host }: SimProcess): Nature {
    const { world } = this
    const runsMs = launch.params['runsMs']
    const isSick = this.#sick.has(launch.topology) || this.#sick.has(host)
    return {
      runsMs: typeof runsMs === 'number' ? runsMs : undefined,
      crashesAfterMs: isSick ? world.between(0, 2_000) : undefined,
      isSlow: !world.isCalm && world.chance(0.05),
    }
  }

  obeys(process: SimProcess, assignment: Assignment, positions: Readonly<Record<string, number>>): void {
    this.#safety.obeys(process, assignment, positions)
  }

  async #pass(ms: number): Promise<void> {
    for (const untilMs = this.world.nowMs + ms; this.world.nowMs < untilMs;) {
      await this.world.schedule.advance(Math.min(1_000, untilMs - this.world.nowMs))
      this.#safety.look()
    }
  }

  #again(untilMs: number, everyMs: number, act: () => void): void {
    const { world } = this
    const next = (): void => {
      if (world.nowMs >= untilMs) return
      act()
      world.after(-Math.log(1 - world.random.unit()) * everyMs, next)
    }
    next()
  }

  // ------------------------------------------------------------------------------------------------ trouble

  #trouble(): void {
    const { world } = this
    const nimbus = world.one(this.nimbuses) as SimNimbus
    const host = world.one(this.hosts) as SimHost
    const troubles: (() => void)[] = [
      () => this.#killed(nimbus),
      () => this.#killed(this.#leading ?? nimbus),
      () => this.#killed(host),
      () => this.#stopped(world.one([nimbus, host]) ?? nimbus),
      () => this.#paused(world.one([this.#leading ?? nimbus, nimbus, host])?.node),
      () => this.#cut(world.one([this.#leading ?? nimbus, nimbus, host])?.node),
      () => this.#weather(world.one([this.#leading ?? nimbus, nimbus, host])?.node),
      () => this.#lost(host),
      () => this.#handedOver(),
      () => this.#worker(host),
      () => this.#worker(host),
      () => this.#sickness(world.one([host.id, ...names]) ?? host.id),
      () => this.#unhealthy(host),
      () => this.#away(),
      () => world.ledger.compact(),
    ]
    world.one(troubles)?.()
  }

  get #leading(): SimNimbus | undefined {
    return this.nimbuses.find(({ nimbus }) => nimbus?.isLeading === true)
  }

  /** Something that lasts a while. */
  #for(what: string, minMs: number, maxMs: number, end: () => void): void {
    const { world } = this
    const ms = world.between(minMs, maxMs)
    world.count(what.split(' ')[0] as string)
    world.say(`TROUBLE ${what} for ${Math.round(ms)} ms`)
    world.after(ms, () => {
      world.say(`over: ${what}`)
      end()
    })
  }

  #killed(one: SimNimbus | SimHost): void {
    one.kill()
    this.#for(`${one instanceof SimHost ? 'killedSupervisors' : 'killedNimbus'} ${one.id}`, 10, 15_000, () => one.boot())
  }

  #stopped(one: SimNimbus | SimHost): void {
    if (one.node?.isAlive !== true) return
    const { node } = one
    void one.stop(this.world.chance(0.3))
    this.#for(`stopped ${one.id}`, 100, 15_000, () => {
      // one that does not end is ended
      node.kill()
      one.boot()
    })
  }

  #paused(node: Node | undefined): void {
    if (node?.isWell !== true) return
    node.pause(true)
    this.#for(`paused ${node.id}`, 100, 20_000, () => node.pause(false))
  }

  #cut(node: Node | undefined): void {
    if (node?.isWell !== true) return
    node.cut(true)
    this.#for(`cut ${node.id}`, 100, 20_000, () => node.cut(false))
  }

  #weather(node: Node | undefined, weather: Weather = this.world.chance(0.5) ? 'slow' : 'lossy'): void {
    if (node?.isWell !== true) return
    node.become(weather)
    this.#for(`badWeather ${node.id} ${node.weather}`, 1_000, 20_000, () => node.become('well'))
  }

  /** The next leader hears of things late, and leads at once. */
  #handedOver(): void {
    const { world } = this
    const leader = this.#leading
    if (leader?.node?.isWell !== true) return
    for (const one of this.nimbuses) if (one !== leader) this.#weather(one.node, 'slow')
    for (let i = 0; i < 3; i++) this.#users.act()
    world.after(world.between(5, 100), () => this.#stopped(leader))
  }

  #lost(host: SimHost): void {
    host.lose()
    this.#for(`lostHosts ${host.id}`, 500, 40_000, () => host.boot())
  }

  #worker({ machine }: SimHost): void {
    const { world } = this
    const process = world.one(machine.alive)
    if (process === undefined) return
    if (world.chance(0.4)) {
      world.count('crashed')
      process.end('exit code 3')
    } else if (world.chance(0.3)) process.isDeaf = true
    else {
      process.time.pause()
      this.#for(`hung ${process.name}`, 500, 30_000, () => process.time.resume())
    }
  }

  #sickness(what: string): void {
    this.#sick.add(what)
    this.#for(`sick ${what}`, 5_000, 60_000, () => this.#sick.delete(what))
  }

  #unhealthy(host: SimHost): void {
    host.trouble = 'its disk is full'
    this.#for(`unhealthy ${host.id}`, 10_000, 60_000, () => (host.trouble = undefined))
  }

  /** The coordinator answers nobody. */
  #away(): void {
    const nodes = [...this.nimbuses, ...this.hosts].flatMap(({ node }) => (node?.isWell === true ? [node] : []))
    this.world.ledger.away(true)
    for (const node of nodes) node.cut(true)
    this.#for('outages', 500, 15_000, () => {
      this.world.ledger.away(false)
      for (const node of nodes) node.cut(false)
    })
  }

  // ------------------------------------------------------------------------------------------------ the end

  #heal(): void {
    const { world } = this
    world.say('HEAL')
    world.isCalm = true
    world.ledger.away(false)
    this.#sick.clear()
    for (const host of this.hosts) {
      host.trouble = undefined
    }
    for (const one of [...this.nimbuses, ...this.hosts]) {
      // what was stopping gently is not waited for
      if ((one instanceof SimHost ? one.host : one.nimbus) === undefined) one.kill()
      one.boot()
      one.node?.heal()
    }
  }

  async #settle(when: string): Promise<void> {
    const { world } = this
    const fromMs = world.nowMs
    let troubles: readonly string[] = []
    while (world.nowMs - fromMs < settleMs) {
      await this.#pass(1_000)
      troubles = troublesOf(this)
      if (troubles.length === 0) {
        world.say(`SETTLED after ${Math.round(world.nowMs - fromMs)} ms`)
        world.counts[`${when}Ms`] = world.nowMs - fromMs
        return
      }
    }
    throw new Unsafe(`not at rest after ${settleMs} ms:\n  ${troubles.join('\n  ')}`)
  }

  /** Whoever leads dies, supervisors are started anew: what works stays as it is. */
  async #rest(): Promise<void> {
    const { world } = this
    await this.#pass(restMs)
    const before = this.#works()
    world.say('REST')
    for (let i = 0; i < 2; i++) {
      const leader = this.#leading
      leader?.kill()
      for (const host of this.hosts) {
        if (!world.chance(0.5)) continue
        host.kill()
        world.after(world.between(10, 2_500), () => host.boot())
      }
      await this.#pass(restMs)
      leader?.boot()
      await this.#pass(restMs)
      if (this.#leading === undefined) throw new Unsafe('nobody leads')
    }
    const after = this.#works()
    if (after !== before) throw new Unsafe(`what worked has changed:\n${before}\n${after}`)
    const troubles = troublesOf(this)
    if (troubles.length > 0) throw new Unsafe(`it worked, and does not:\n  ${troubles.join('\n  ')}`)
    world.count('rests')
  }

  #works(): string {
    const { store } = this.world.ledger
    const assignments = store.list('assignments/').entries.map(({ value }) => value)
    return [...assignments, ...this.hosts.flatMap(({ machine }) => machine.alive.map(({ name }) => name))].join('\n')
  }

  /** Whether the run of a topology will end by itself, which makes room for others. */
  get #isFinite(): boolean {
    return this.world.readAll<AssignmentRecord>('assignments/').some(({ id }) => {
      return this.world.readAll<TopologyRecord>('topologies/').some((one) => one.id === id && 'runsMs' in one.params)
    })
  }
}
