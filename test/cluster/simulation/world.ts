/**
 * What a simulated cluster happens in: time, chance, a coordinator in memory, the processes of nimbus and supervisors (a node each), and a trace of
 * all that happened, which is the same for the same seed.
 */
import { createHash } from 'node:crypto'
import { MemoryCluster, MemoryCoordinator } from '../../../lib/cluster/coordination/memory.ts'
import type { Fate } from '../../../lib/cluster/coordination/memory.ts'
import type { Entry, Guard, Outcome, Write } from '../../../lib/cluster/coordination/coordinator.ts'
import { Random } from '../../../lib/std/random.ts'
import { VirtualSchedule } from '../../../lib/std/schedule.ts'
import type { Schedule } from '../../../lib/std/schedule.ts'

const traceLines = 400

export interface Committed {
  /** none: the coordinator itself, as when a lease ends */
  readonly author: Node | undefined
  readonly writes: readonly Write[]
  /** what was there before, by key */
  readonly before: ReadonlyMap<string, Entry>
}

/** The records, and who has written what. */
class Ledger extends MemoryCluster {
  committed: (commit: Committed) => void = () => undefined
  readonly #authors = new WeakMap<readonly Write[], Node>()
  #isAway = false

  sign(writes: readonly Write[], author: Node): void {
    this.#authors.set(writes, author)
  }

  override commit(guards: readonly Guard[], writes: readonly Write[]): Outcome {
    const before = this.#entries(writes.map(({ key }) => key))
    const { revision } = this.store
    const outcome = super.commit(guards, writes)
    if (this.store.revision > revision) this.committed({ author: this.#authors.get(writes), writes, before })
    return outcome
  }

  override revoke(id: string): void {
    // while nobody can renew, nothing ends: as in etcd, where the next leader begins all leases anew
    if (this.#isAway) return void this.schedule.after(6_000, () => this.revoke(id))
    const keys = this.store.decideEnd(id).steps.map(({ key }) => key)
    const before = this.#entries(keys)
    super.revoke(id)
    if (keys.length > 0) this.committed({ author: undefined, writes: keys.map((key) => ({ key, delete: true })), before })
  }

  away(isAway: boolean): void {
    this.#isAway = isAway
  }

  #entries(keys: readonly string[]): ReadonlyMap<string, Entry> {
    return new Map(
      keys.flatMap((key) => {
        const entry = this.store.get(key)
        return entry === undefined ? [] : [[key, entry]]
      }),
    )
  }
}

export class World {
  readonly random: Random
  readonly schedule = new VirtualSchedule()
  readonly ledger = new Ledger(this.schedule)
  readonly counts: Record<string, number> = {}
  /** nothing goes wrong by itself any more */
  isCalm = false
  readonly #parsed = new Map<string, { readonly version: number; readonly value: unknown }>()
  readonly #hash = createHash('sha256')
  readonly #lines: string[] = []
  readonly #tell: ((line: string) => void) | undefined

  constructor(seed: number, tell?: (line: string) => void) {
    this.random = new Random(seed)
    this.#tell = tell
  }

  get nowMs(): number {
    return this.schedule.now()
  }

  say(what: string): void {
    const line = `${(this.nowMs / 1_000).toFixed(3).padStart(8)}  ${what}`
    this.#hash.update(line)
    this.#lines.push(line)
    if (this.#lines.length >= 2 * traceLines) this.#lines.splice(0, traceLines)
    this.#tell?.(line)
  }

  count(what: string): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1
  }

  get lastLines(): readonly string[] {
    return this.#lines.slice(-traceLines)
  }

  /** Of all that was said. */
  digest(): string {
    return this.#hash.copy().digest('hex')
  }

  between(min: number, max: number): number {
    return min + this.random.unit() * (max - min)
  }

  chance(probability: number): boolean {
    return this.random.unit() < probability
  }

  one<T>(items: readonly T[]): T | undefined {
    return items[this.random.below(items.length)]
  }

  after(ms: number, fire: () => void): void {
    this.schedule.after(ms, fire)
  }

  read<T>(key: string): T | undefined {
    const entry = this.ledger.store.get(key)
    return entry && (this.parsed(entry) as T)
  }

  readAll<T>(prefix: string): readonly T[] {
    return this.ledger.store.list(prefix).entries.map((entry) => this.parsed(entry) as T)
  }

  /** Each version is read once. */
  parsed({ key, version, value }: Entry): unknown {
    const before = this.#parsed.get(key)
    if (before?.version === version) return before.value
    const now = { version, value: JSON.parse(value) as unknown }
    this.#parsed.set(key, now)
    return now.value
  }
}

/** The time of one process: it may run a little fast or slow, stand still (what is due then is done late, all at once), and end. */
export class NodeTime implements Schedule {
  readonly #world: World
  readonly #rate: number
  #isDead = false
  #late: (() => void)[] | undefined

  constructor(world: World, rate: number) {
    this.#world = world
    this.#rate = rate
  }

  now(): number {
    return this.#world.nowMs * this.#rate
  }

  date(): number {
    return this.#world.schedule.date()
  }

  after(delayMs: number, fire: () => void): () => void {
    if (this.#isDead) return () => undefined
    let isCancelled = false
    const cancel = this.#world.schedule.after(delayMs / this.#rate, () => {
      this.#run(() => {
        if (!isCancelled) fire()
      })
    })
    return () => {
      isCancelled = true
      cancel()
    }
  }

  get isPaused(): boolean {
    return this.#late !== undefined
  }

  pause(): void {
    this.#late ??= []
  }

  resume(): void {
    const late = this.#late ?? []
    this.#late = undefined
    // in turn, and what each sets off is done before the next
    late.forEach((fire, i) => this.#world.after(i / 1e6, () => this.#run(fire)))
  }

  kill(): void {
    this.#isDead = true
    this.#late = undefined
  }

  #run(fire: () => void): void {
    if (this.#isDead) return
    if (this.#late === undefined) fire()
    else this.#late.push(fire)
  }
}

export type Weather = 'well' | 'slow' | 'lossy'

/** A client whose commits are signed. */
class Client extends MemoryCoordinator {
  readonly #node: Node
  readonly #ledger: Ledger

  constructor(ledger: Ledger, node: Node) {
    super(ledger, node.time)
    this.#node = node
    this.#ledger = ledger
  }

  override async commit(guards: readonly Guard[], writes: readonly Write[]): Promise<Outcome> {
    if (!this.#node.isAlive) return await new Promise<never>(() => undefined)
    this.#ledger.sign(writes, this.#node)
    return await super.commit(guards, writes)
  }
}

/** A process of nimbus or of a supervisor, from its start to its end. */
export class Node {
  readonly id: string
  readonly time: NodeTime
  readonly client: MemoryCoordinator
  isAlive = true
  weather: Weather = 'well'
  /** since when it has been running, and heard by the coordinator */
  wellSinceMs: number
  readonly #world: World
  readonly #onDeath: (() => void)[] = []
  #isCut = false

  constructor(world: World, id: string) {
    this.id = id
    this.#world = world
    this.wellSinceMs = world.nowMs
    this.time = new NodeTime(world, world.between(0.97, 1.03))
    this.client = new Client(world.ledger, this)
    this.client.fate = () => this.#fate()
    this.client.watchDelayMs = () => world.between(0.1, this.weather === 'slow' ? 2_000 : 10)
  }

  get isWell(): boolean {
    return this.isAlive && !this.#isCut && !this.time.isPaused && this.weather === 'well'
  }

  /** How long it has been well. */
  get wellMs(): number {
    return this.isWell ? this.#world.nowMs - this.wellSinceMs : 0
  }

  cut(isCut: boolean): void {
    this.#isCut = isCut
    if (isCut) this.client.cut()
    else this.client.mend()
    this.#touched()
  }

  pause(isPaused: boolean): void {
    if (isPaused) this.time.pause()
    else this.time.resume()
    this.#touched()
  }

  become(weather: Weather): void {
    this.weather = weather
    this.#touched()
  }

  heal(): void {
    if (this.#isCut) this.cut(false)
    if (this.time.isPaused) this.pause(false)
    if (this.weather !== 'well') this.become('well')
  }

  /** As SIGKILL: nothing of it happens any more. */
  kill(): void {
    if (!this.isAlive) return
    this.isAlive = false
    this.time.kill()
    for (const tell of this.#onDeath) tell()
  }

  onDeath(tell: () => void): void {
    this.#onDeath.push(tell)
  }

  #touched(): void {
    this.wellSinceMs = this.#world.nowMs
  }

  #fate(): Fate {
    const world = this.#world
    const slowest = this.weather === 'slow' ? 2_000 : this.weather === 'lossy' ? 300 : 5
    const times = { requestMs: world.between(0.1, slowest), answerMs: world.between(0.1, slowest) }
    const lossy = world.isCalm ? 0 : this.weather === 'lossy' ? 0.3 : 0.003
    if (!world.chance(lossy)) return times
    world.count('lostMessages')
    return { ...times, lost: world.chance(0.5) ? 'request' : 'answer' }
  }
}
