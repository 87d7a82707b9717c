/** The coordinator of several hosts: etcd, version 3.4 or later, through the JSON gateway that its servers have. */
import { realSchedule } from '../../std/schedule.ts'
import type { Schedule } from '../../std/schedule.ts'
import { checkCommit, checkKey, checkPrefix } from './coordinator.ts'
import type { Coordinator, Entry, Guard, Lease, Listener, Listing, Outcome, Watch, Write } from './coordinator.ts'
import { EtcdCommits } from './etcd-commits.ts'
import { EtcdGateway, Refusal } from './etcd-gateway.ts'
import type { EtcdOptions } from './etcd-gateway.ts'
import { EtcdWatch } from './etcd-watch.ts'
import { AnyAnswer, GrantAnswer, KeepAliveAnswer, Keys, RangeAnswer } from './etcd-words.ts'
import { KeptLease } from './kept-lease.ts'

/** Entries that are asked for at once. */
const pageEntries = 200
/** A list that others make impossible so often, by having etcd forget the revision it is of, is given up. */
const listAttemptsMax = 5
/** What cannot be told by then ends by itself. */
const revokeMs = 2_000

export class EtcdCoordinator implements Coordinator {
  readonly #gateway: EtcdGateway
  readonly #keys: Keys
  readonly #schedule: Schedule
  readonly #commits: EtcdCommits
  readonly #watch: EtcdWatch
  readonly #leases = new Set<KeptLease>()
  #closed: Promise<void> | undefined

  /** Asks nothing yet. All keys are below `root`, so that several clusters can share one etcd. */
  constructor(options: EtcdOptions, root = 'squall', schedule: Schedule = realSchedule) {
    this.#schedule = schedule
    this.#keys = new Keys(root)
    this.#gateway = new EtcdGateway(options, schedule)
    this.#commits = new EtcdCommits(this.#gateway, this.#keys, schedule, (ttlMs) => this.#grant(ttlMs))
    this.#watch = new EtcdWatch(this.#gateway, this.#keys, schedule, () => this.#list(''))
  }

  async get(key: string): Promise<Entry | undefined> {
    checkKey(key)
    this.#checkOpen()
    const { kvs } = await this.#gateway.call('kv/range', { key: this.#keys.record(key) }, RangeAnswer)
    return kvs[0] && this.#keys.entry(kvs[0])
  }

  async list(prefix: string): Promise<Listing> {
    checkPrefix(prefix)
    this.#checkOpen()
    return await this.#list(prefix)
  }

  async commit(guards: readonly Guard[], writes: readonly Write[]): Promise<Outcome> {
    checkCommit(guards, writes)
    this.#checkOpen()
    return await this.#commits.commit(guards, writes)
  }

  watch(prefix: string, revision: number, listener: Listener): Watch {
    checkPrefix(prefix)
    this.#checkOpen()
    return this.#watch.add(prefix, revision, listener)
  }

  async lease(ttlMs: number): Promise<Lease> {
    this.#checkOpen()
    return await this.#grant(ttlMs)
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  /** The same, but its leases hold until their time is over: whoever comes back until then was never away. */
  leave(): void {
    this.#closed ??= Promise.resolve()
    this.#watch.close()
    for (const lease of this.#leases) lease.lapse()
    this.#gateway.close()
  }

  async #close(): Promise<void> {
    this.#watch.close()
    await Promise.all([...this.#leases].map((lease) => lease.end()))
    this.#gateway.close()
  }

  #checkOpen(): void {
    if (this.#closed !== undefined) throw this.#gateway.closedError()
  }

  async #list(prefix: string): Promise<Listing> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#pages(prefix)
      } catch (error) {
        if (!(error instanceof Refusal)) throw error
        if (attempt >= listAttemptsMax) throw this.#gateway.away(error.message, error)
      }
    }
  }

  /** All pages as of the revision of the first one. */
  async #pages(prefix: string): Promise<Listing> {
    const { key: first, range_end } = this.#keys.range(prefix)
    const entries: Entry[] = []
    let revision = 0
    for (let key = first; ;) {
      const page = await this.#gateway.call('kv/range', { key, range_end, limit: pageEntries, revision }, RangeAnswer)
      if (revision === 0) revision = page.header.revision
      for (const kv of page.kvs) entries.push(this.#keys.entry(kv))
      const last = page.kvs.at(-1)
      if (!page.more || last === undefined) return { entries, revision }
      key = this.#keys.after(last.key)
    }
  }

  async #grant(ttlMs: number): Promise<Lease> {
    const sentMs = this.#schedule.now()
    const { ID } = await this.#gateway.call('lease/grant', { TTL: Math.ceil(ttlMs / 1_000) }, GrantAnswer)
    const lease = new KeptLease({
      id: ID,
      ttlMs,
      sentMs,
      schedule: this.#schedule,
      renew: async (withinMs) => {
        const { result } = await this.#gateway.call('lease/keepalive', { ID }, KeepAliveAnswer, { withinMs })
        return result.TTL > 0
      },
      revoke: async () => {
        await this.#gateway.call('lease/revoke', { ID }, AnyAnswer, { withinMs: revokeMs })
      },
    })
    this.#leases.add(lease)
    void lease.lost.then(() => this.#leases.delete(lease))
    return lease
  }
}
