/**
 * Nimbus: decides where topologies run. Any number of them may stand; one leads, and does what `decide` says after each change and each second.
 *
 *     start ─▶ following ──elected──▶ leading ──lease ends, or deposed──▶ following ... ──stop──▶ over
 *
 * It keeps nothing but bundles: all it decides on is in the records, and all it writes is guarded by its leader's record. What only a leader knows, since
 * when a host is away or a worker rests, begins anew with each leader: so a new one changes nothing that works.
 */
import { SquallError, reasonOf } from '../../errors.ts'
import type { Schedule } from '../../std/schedule.ts'
import type { Blobs } from '../blobstore/blobs.ts'
import type { Change, Coordinator, Lease } from '../coordination/coordinator.ts'
import { Election } from '../coordination/election.ts'
import type { Leadership } from '../coordination/election.ts'
import { Mirror } from '../coordination/mirror.ts'
import { keyOf } from '../coordination/store.ts'
import { keys } from '../records.ts'
import type { NimbusRecord, TopologyRecord } from '../records.ts'
import { Bundles } from './bundles.ts'
import { decide } from './decide.ts'
import type { Step } from './decide.ts'
import { Failures } from './failures.ts'
import { RecordReader } from './known.ts'
import type { Known } from './known.ts'
import { Presence } from './presence.ts'

export interface NimbusOptions {
  readonly id: string
  /** its API, where others find it */
  readonly url: string
  readonly coordinator: Coordinator
  readonly schedule: Schedule
  readonly blobs: Blobs
  /** the blobs that another nimbus keeps */
  readonly blobsOf: (url: string) => Blobs
  readonly report?: (message: string) => void
  /** of the leader's record, and how long a new leader waits before it calls hosts lost (6 s) */
  readonly leaseMs?: number
  /** how long after its record went a host is lost (2 s) */
  readonly lostMs?: number
}

export interface NimbusCounts {
  decisions: number
  decisionMs: number
  commits: number
  conflicts: number
  elections: number
}

/** It looks at everything so often, changes or not. */
const turnMs = 1_000
/** Of a change that somebody asked for, when others changed the same meanwhile. */
const triesMax = 5
/** How long to wait for the own copy of the records to have a change that was just made. */
const catchUpMs = 5_000

interface Reign {
  readonly leadership: Leadership
  readonly presence: Presence
  readonly failures: Failures
  /** since when topologies are known to be killed, by id */
  readonly killed: Map<string, number>
}

export class Nimbus {
  readonly counts: NimbusCounts = { decisions: 0, decisionMs: 0, commits: 0, conflicts: 0, elections: 0 }
  readonly #options: Required<Omit<NimbusOptions, 'blobs' | 'blobsOf'>>
  readonly #election: Election
  readonly #reader: RecordReader
  readonly #bundles: Bundles
  readonly #waiting = new Set<() => void>()
  #mirror: Mirror | undefined
  #reign: Reign | undefined
  #problems: ReadonlyMap<string, string> = new Map()
  /** what the copy must have for decisions: all that was written here, or by leaders before */
  #writtenRevision = 0
  #isStarted = false
  #isOver = false
  #isTurning = false
  #isWoken = false
  #membership: { readonly lease: Lease; readonly sinceMs: number } | undefined
  #cancelTurn: () => void = () => undefined

  constructor({ blobs, blobsOf, ...options }: NimbusOptions) {
    const { id, url, coordinator, schedule } = options
    this.#options = { report: () => undefined, leaseMs: 6_000, lostMs: 2_000, ...options }
    const { report, leaseMs: ttlMs } = this.#options
    this.#reader = new RecordReader(report)
    this.#bundles = new Bundles({ known: () => this.known, blobs, blobsOf, schedule, report })
    this.#election = new Election({
      coordinator,
      schedule,
      key: keys.leader,
      value: JSON.stringify({ id, url } satisfies NimbusRecord),
      ttlMs,
      onLead: (leadership) => this.#lead(leadership),
      onLost: () => this.#follow(),
      report,
    })
  }

  start(): void {
    if (this.#isStarted || this.#isOver) return
    this.#isStarted = true
    void this.#open()
    void this.#join()
    this.#turnLater()
  }

  async stop(): Promise<void> {
    if (this.#isOver) return
    this.#isOver = true
    this.#cancelTurn()
    this.#wakeWaiting()
    this.#mirror?.close()
    await Promise.all([this.#election.close(), this.#membership?.lease.end()])
  }

  get isLeading(): boolean {
    return this.#reign?.leadership.isLeading === true
  }

  get isOver(): boolean {
    return this.#isOver
  }

  get id(): string {
    return this.#options.id
  }

  /** What there is, as far as is known here. */
  get known(): Known {
    return this.#reader.read(this.#mirror?.entries() ?? [])
  }

  /** What topologies lack, by name; only a leader knows. */
  get problems(): ReadonlyMap<string, string> {
    return this.#problems
  }

  /** Hosts on which workers of several topologies fail. */
  get blacklist(): readonly string[] {
    return this.#reign?.failures.blacklist() ?? []
  }

  /**
   * Does what somebody asked for, decided on the records as they are, and resolves when the copy here has it. `decide` may find nothing to do.
   *
   * @throws SquallError what `decide` throws; `not-leader`, `no-leader`, and those of the coordinator
   */
  async change(decide: (known: Known) => Step | undefined): Promise<void> {
    for (let tries = 0; tries < triesMax; tries++) {
      const { leadership } = this.#leading()
      await this.#caughtUp(this.#writtenRevision)
      const step = decide(this.known)
      if (step === undefined) return
      const revision = await this.#commit(leadership, step)
      if (revision !== undefined) return await this.#caughtUp(revision)
      await this.#nextChange()
    }
    throw new SquallError('no-leader')
  }

  /** Somebody is about to name a bundle: if it is here when this resolves it stays for some minutes. */
  async touch(bundle: string): Promise<void> {
    await this.#bundles.touch(bundle)
  }

  /** Who leads, as far as can be known: nobody, while the coordinator does not answer here. */
  get leader(): NimbusRecord | undefined {
    const leader = this.known.leader?.record
    if (leader === undefined || leader.id === this.id) return this.isLeading ? leader : undefined
    return (this.#membership?.lease.untilMs ?? 0) > this.#options.schedule.now() ? leader : undefined
  }

  /** Resolves when the other nimbuses have a bundle, or after a moment. */
  async spread(bundle: string): Promise<void> {
    const others = [...this.known.members.values()].filter(({ record }) => record.id !== this.id)
    await this.#bundles.spread(
      bundle,
      others.map(({ record }) => record.url),
    )
  }

  /** Throws `not-leader` or `no-leader` unless this one leads. */
  mustLead(): void {
    this.#leading()
  }

  #leading(): Reign {
    if (this.#reign?.leadership.isLeading === true) return this.#reign
    const leader = this.known.leader?.record
    if (leader === undefined || leader.id === this.id) throw new SquallError('no-leader')
    throw new SquallError('not-leader', { leader: leader.url })
  }

  // ---------------------------------------------------------------------------------------------- standing

  /** Reads all records, and again until that works; nobody leads who has not. */
  async #open(): Promise<void> {
    for (let failures = 0; !this.#isOver; failures++) {
      try {
        this.#mirror = await Mirror.open(this.#options.coordinator, '', (changes) => {
          // a standby looks once a second
          if (this.isLeading && changes.some(isDecidedOn)) this.#wake()
          else this.#wakeWaiting()
        })
        if (this.#isOver) this.#mirror.close()
        else this.#election.start()
        return
      } catch (error) {
        if (failures === 0 && !this.#isOver) this.#options.report(`the records cannot be read yet: ${reasonOf(error)}`)
        await this.#pause(turnMs)
      }
    }
  }

  /** Says that it is there, for as long as it is. */
  async #join(): Promise<void> {
    const { coordinator, schedule, id, url, leaseMs, report } = this.#options
    for (let failures = 0; !this.#isOver;) {
      try {
        const lease = await coordinator.lease(leaseMs)
        this.#membership = { lease, sinceMs: schedule.now() }
        await coordinator.commit([], [{ key: keys.nimbus(id), value: JSON.stringify({ id, url } satisfies NimbusRecord), lease }])
        failures = 0
        if (this.#isOver) await lease.end()
        await lease.lost
      } catch (error) {
        if (failures++ === 0 && !this.#isOver) report(`cannot say that it is there: ${reasonOf(error)}`)
      }
      if (!this.#isOver) await this.#pause(turnMs)
    }
  }

  #lead(leadership: Leadership): void {
    const { schedule, lostMs, leaseMs, url, report } = this.#options
    const nowMs = schedule.now()
    // one that held its own lease all the time has seen who went; otherwise the leases of all may have ended with its own
    const member = this.#membership
    const knownSinceMs = member !== undefined && member.lease.untilMs > nowMs ? member.sinceMs : nowMs
    const presence = new Presence({ lostMs, leaseMs }, knownSinceMs)
    this.#reign = { leadership, presence, failures: new Failures(), killed: new Map() }
    // what the last leader has done comes before the making of this one's record
    this.#writtenRevision = Math.max(this.#writtenRevision, leadership.created)
    this.counts.elections++
    report(`${url} leads`)
    this.#wake()
  }

  #follow(): void {
    this.#reign = undefined
    this.#problems = new Map()
    this.#options.report(`${this.#options.url} does not lead any more`)
  }

  // ----------------------------------------------------------------------------------------------- leading

  #turnLater(): void {
    this.#cancelTurn = this.#options.schedule.after(turnMs, () => {
      this.#turnLater()
      this.#wake()
    })
  }

  #wake(): void {
    this.#wakeWaiting()
    this.#isWoken = true
    if (!this.#isTurning) void this.#turns()
  }

  async #turns(): Promise<void> {
    this.#isTurning = true
    while (this.#isWoken && !this.#isOver) {
      this.#isWoken = false
      try {
        await this.#turn()
      } catch (error) {
        this.#options.report(`nothing is placed now: ${reasonOf(error)}`)
      }
    }
    this.#isTurning = false
  }

  async #turn(): Promise<void> {
    const known = this.known
    this.#bundles.tend(known, this.id)
    const reign = this.#reign
    if (reign === undefined || !reign.leadership.isLeading || (this.#mirror?.revision ?? 0) < this.#writtenRevision) return
    const { schedule } = this.#options
    const startMs = schedule.now()
    const { steps, problems } = decide(this.#sight(known, reign, startMs))
    // what is lacking is told once all is placed that can be
    if (steps.length === 0) this.#problems = problems
    this.counts.decisions++
    this.counts.decisionMs += schedule.now() - startMs
    // one that was refused was decided on what is not so any more: the change that tells comes, and then all is decided anew
    for (const step of steps) if ((await this.#commit(reign.leadership, step)) === undefined) return
  }

  #sight(known: Known, { presence, failures, killed }: Reign, nowMs: number): Parameters<typeof decide>[0] {
    const workers = [...known.workers.values()].map(({ record }) => record)
    failures.note(
      workers.filter(({ name, worker, incarnation }) =>
        known.assignments.get(name)?.record.workers.some((place) => place.worker === worker && place.incarnation === incarnation),
      ),
      nowMs,
    )
    const ids = new Set([...known.topologies.values()].map(({ record }) => record.id))
    for (const id of killed.keys()) if (!ids.has(id)) killed.delete(id)
    return {
      known,
      hosts: presence.hosts(
        [...known.supervisors.values()].map(({ record }) => record),
        [...known.assignments.values()].map(({ record }) => record),
        [...known.states.values()].flatMap(({ record }) => record.members),
        nowMs,
      ),
      avoided: (topology) => failures.avoided(topology),
      isResting: (worker) => failures.isResting(worker, nowMs),
      hasRested: ({ id, killWaitMs = 0 }: TopologyRecord) => {
        const sinceMs = killed.get(id) ?? nowMs
        killed.set(id, sinceMs)
        return nowMs - sinceMs >= killWaitMs
      },
    }
  }

  /** The revision at which it was done; `undefined`: it was not. */
  async #commit({ guard, isLeading }: Leadership, { what, guards, writes }: Step): Promise<number | undefined> {
    if (!isLeading) return undefined
    const outcome = await this.#options.coordinator.commit([guard, ...guards], writes)
    if (!outcome.ok) {
      this.counts.conflicts++
      return undefined
    }
    this.counts.commits++
    // answers may come in another order than what they answer was done
    this.#writtenRevision = Math.max(this.#writtenRevision, outcome.revision)
    this.#options.report(what)
    return outcome.revision
  }

  // ----------------------------------------------------------------------------------------------- waiting

  async #caughtUp(revision: number): Promise<void> {
    const { schedule } = this.#options
    const untilMs = schedule.now() + catchUpMs
    while ((this.#mirror?.revision ?? 0) < revision && schedule.now() < untilMs && !this.#isOver) await this.#nextChange()
  }

  /** Resolves when the copy has changed, or after a while. */
  async #nextChange(): Promise<void> {
    await this.#pause(turnMs)
  }

  #wakeWaiting(): void {
    for (const resolve of this.#waiting) resolve()
  }

  async #pause(ms: number): Promise<void> {
    if (this.#isOver) return
    let wake: () => void = () => undefined
    const woken = new Promise<void>((resolve) => (wake = resolve))
    const cancel = this.#options.schedule.after(ms, wake)
    this.#waiting.add(wake)
    await woken
    this.#waiting.delete(wake)
    cancel()
  }
}

/** Positions come from every worker each second, and nothing is placed because of them. */
function isDecidedOn(change: Change): boolean {
  return !keyOf(change).startsWith('positions/')
}
