/**
 * A coordinator in the memory of one process, for tests and simulations: any number of clients of one `MemoryCluster`, all under one
 * schedule, so that virtual time drives leases. Each client has a line to the cluster that can be cut, slow, or lose what it carries.
 */
import { SquallError } from '../../errors.ts'
import type { Schedule } from '../../std/schedule.ts'
import { answerMs, checkCommit, checkKey, checkPrefix, requestsMax } from './coordinator.ts'
import type { Coordinator, Entry, Guard, Lease, Listener, Listing, Outcome, Watch, Write } from './coordinator.ts'
import { KeptLease } from './kept-lease.ts'
import { Store } from './store.ts'
import { StoreWatch } from './store-watch.ts'

/** What becomes of one request on its way. */
export interface Fate {
  /** how long the request takes to arrive, and its answer to come back (0) */
  readonly requestMs?: number
  readonly answerMs?: number
  /** what never arrives: with the answer lost, the request was done */
  readonly lost?: 'request' | 'answer'
}

const address = 'memory:'

export class MemoryCluster {
  readonly schedule: Schedule
  readonly store = new Store()
  readonly #watches = new Set<() => void>()
  readonly #expiries = new Map<string, () => void>()
  #leases = 0

  constructor(schedule: Schedule) {
    this.schedule = schedule
  }

  /** A client of its own, under its own clock if it has one: clocks of different hosts do not run alike. */
  client(schedule: Schedule = this.schedule): MemoryCoordinator {
    return new MemoryCoordinator(this, schedule)
  }

  /** Forgets changes: a watch that has not seen them all is told everything. */
  compact(): void {
    this.store.compact()
  }

  commit(guards: readonly Guard[], writes: readonly Write[]): Outcome {
    const outcome = this.store.commit(guards, writes)
    this.#tell()
    return outcome
  }

  grant(ttlMs: number): string {
    const id = String(++this.#leases)
    this.store.startLease(id)
    this.#expireAfter(id, ttlMs)
    return id
  }

  renew(id: string, ttlMs: number): boolean {
    if (!this.store.hasLease(id)) return false
    this.#expireAfter(id, ttlMs)
    return true
  }

  revoke(id: string): void {
    this.#expiries.get(id)?.()
    this.#expiries.delete(id)
    this.store.apply(this.store.decideEnd(id))
    this.store.endLease(id)
    this.#tell()
  }

  /** Calls this after each change, until what it returns is called. */
  onChange(listener: () => void): () => void {
    this.#watches.add(listener)
    return () => void this.#watches.delete(listener)
  }

  #expireAfter(id: string, ttlMs: number): void {
    this.#expiries.get(id)?.()
    this.#expiries.set(
      id,
      this.schedule.after(ttlMs, () => this.revoke(id)),
    )
  }

  #tell(): void {
    for (const listener of this.#watches) listener()
  }
}

export class MemoryCoordinator implements Coordinator {
  /** What becomes of the next request; nothing bad unless a test says so. */
  fate: () => Fate = () => ({})
  /** How late a watch is told. */
  watchDelayMs: () => number = () => 0
  readonly #cluster: MemoryCluster
  readonly #schedule: Schedule
  readonly #leases = new Set<Lease>()
  readonly #watches = new Set<{ wake(): void; close(): void }>()
  /** how to give up each request under way */
  readonly #underWay = new Set<(error: SquallError) => void>()
  #isCut = false
  #isClosed = false

  constructor(cluster: MemoryCluster, schedule: Schedule) {
    this.#cluster = cluster
    this.#schedule = schedule
  }

  /** Nothing gets through, either way, until `mend`. */
  cut(): void {
    this.#isCut = true
  }

  mend(): void {
    this.#isCut = false
    for (const watch of this.#watches) watch.wake()
  }

  async get(key: string): Promise<Entry | undefined> {
    checkKey(key)
    return await this.#ask(() => this.#cluster.store.get(key))
  }

  async list(prefix: string): Promise<Listing> {
    checkPrefix(prefix)
    return await this.#ask(() => this.#cluster.store.list(prefix))
  }

  async commit(guards: readonly Guard[], writes: readonly Write[]): Promise<Outcome> {
    checkCommit(guards, writes)
    return await this.#ask(() => this.#cluster.commit(guards, writes))
  }

  watch(prefix: string, revision: number, listener: Listener): Watch {
    checkPrefix(prefix)
    const later = (look: () => void): void => after(this.#schedule, this.watchDelayMs(), look)
    const watch = new StoreWatch({ store: this.#cluster.store, prefix, revision, listener, later, isOpen: () => !this.#isCut })
    const forget = this.#cluster.onChange(() => watch.wake())
    const own = {
      wake: () => watch.wake(),
      close: () => {
        forget()
        watch.close()
        this.#watches.delete(own)
      },
    }
    this.#watches.add(own)
    return own
  }

  async lease(ttlMs: number): Promise<Lease> {
    const sentMs = this.#schedule.now()
    const id = await this.#ask(() => this.#cluster.grant(ttlMs))
    const lease = new KeptLease({
      id,
      ttlMs,
      sentMs,
      schedule: this.#schedule,
      renew: (withinMs) => this.#ask(() => this.#cluster.renew(id, ttlMs), withinMs),
      revoke: () => this.#send(() => this.#cluster.revoke(id), ttlMs),
    })
    this.#leases.add(lease)
    void lease.lost.then(() => this.#leases.delete(lease))
    return lease
  }

  async close(): Promise<void> {
    this.#isClosed = true
    for (const watch of this.#watches) watch.close()
    for (const giveUp of this.#underWay) giveUp(new SquallError('coordinator-closed', { address }))
    await Promise.all([...this.#leases].map((lease) => lease.end()))
  }

  #ask<T>(work: () => T, withinMs = answerMs): Promise<T> {
    if (this.#isClosed) return Promise.reject(new SquallError('coordinator-closed', { address }))
    if (this.#underWay.size >= requestsMax) return Promise.reject(new SquallError('coordinator-busy', { address, max: requestsMax }))
    return this.#send(work, withinMs)
  }

  #send<T>(work: () => T, withinMs: number): Promise<T> {
    const { requestMs = 0, answerMs: backMs = 0, lost } = this.fate()
    return new Promise((resolve, reject) => {
      const over = (): void => {
        stopWaiting()
        this.#underWay.delete(giveUp)
      }
      const giveUp = (error: SquallError): void => {
        over()
        reject(error)
      }
      const stopWaiting = this.#schedule.after(withinMs, () =>
        giveUp(new SquallError('coordinator-away', { address, reason: `no answer within ${withinMs} ms` })),
      )
      this.#underWay.add(giveUp)
      // a request goes its way whatever becomes of who has sent it; the answer is heard when the client runs
      this.#travel(this.#cluster.schedule, requestMs, lost === 'request', () => {
        const answer = work()
        this.#travel(this.#schedule, backMs, lost === 'answer', () => {
          over()
          resolve(answer)
        })
      })
    })
  }

  /** What is cut off when it leaves or when it would arrive does not arrive. */
  #travel(schedule: Schedule, ms: number, isLost: boolean, arrive: () => void): void {
    if (isLost || this.#isCut) return
    after(schedule, ms, () => {
      if (!this.#isCut) arrive()
    })
  }
}

function after(schedule: Schedule, ms: number, fire: () => void): void {
  if (ms === 0) queueMicrotask(fire)
  else schedule.after(ms, fire)
}
