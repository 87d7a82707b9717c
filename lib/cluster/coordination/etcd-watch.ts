/**
 * One stream of changes from etcd for all watches of a client, each of which takes what is its own and what it has not been told yet.
 *
 * The stream may end at any time; another one is opened, at the next server, after what the last told watch has been told. That a server is
 * alive, and one of the majority, is asked of it every two seconds: a stream by itself says nothing for as long as nothing changes.
 */
import { z } from 'zod'
import { SquallError, reasonOf } from '../../errors.ts'
import type { ErrorCode } from '../../errors.ts'
import type { Schedule } from '../../std/schedule.ts'
import type { Change, Listener, Listing, News, Watch } from './coordinator.ts'
import { Refusal } from './etcd-gateway.ts'
import type { EtcdGateway, Stream } from './etcd-gateway.ts'
import { RangeAnswer, WatchLine } from './etcd-words.ts'
import type { Keys, WatchEvent } from './etcd-words.ts'
import { keyOf } from './store.ts'

interface Follower {
  readonly prefix: string
  readonly listener: Listener
  /** all of its changes up to this revision have been told */
  told: number
}

const probeMs = 2_000
const silenceMsMax = 3_000
const backOffMs = { first: 50, max: 1_000 }

export class EtcdWatch {
  readonly #gateway: EtcdGateway
  readonly #keys: Keys
  readonly #schedule: Schedule
  readonly #list: () => Promise<Listing>
  readonly #followers = new Set<Follower>()
  /** the stream there is has brought all changes up to this revision */
  #position = 0
  #stream: Stream | undefined
  /** somebody wants changes from before the position: the stream begins anew */
  #isBehind = false
  #failures = 0
  #isRunning = false
  /** what was told last of what a server says: it is told once, until one is understood again */
  #trouble: string | undefined

  constructor(gateway: EtcdGateway, keys: Keys, schedule: Schedule, list: () => Promise<Listing>) {
    this.#gateway = gateway
    this.#keys = keys
    this.#schedule = schedule
    this.#list = list
  }

  add(prefix: string, revision: number, listener: Listener): Watch {
    const follower: Follower = { prefix, listener, told: revision }
    this.#followers.add(follower)
    if (!this.#isRunning) void this.#run()
    else if (revision < this.#position) {
      this.#isBehind = true
      this.#stream?.stop()
    }
    return {
      close: () => {
        this.#followers.delete(follower)
        if (this.#followers.size === 0) this.#stream?.stop()
      },
    }
  }

  close(): void {
    this.#followers.clear()
    this.#stream?.stop()
  }

  async #run(): Promise<void> {
    this.#isRunning = true
    while (this.#followers.size > 0) {
      const { host } = this.#gateway
      await this.#follow(host).catch((error: unknown) => this.#tellOnce(error))
      if (this.#isBehind || this.#followers.size === 0) continue
      this.#gateway.leave(host)
      const waitMs = Math.min(backOffMs.max, backOffMs.first * 2 ** Math.min(this.#failures++, 10))
      await new Promise<void>((resolve) => this.#schedule.after(waitMs, resolve))
    }
    this.#isRunning = false
  }

  /** Follows one server until its stream ends. */
  async #follow(host: string): Promise<void> {
    this.#isBehind = false
    this.#position = Math.min(...[...this.#followers].map(({ told }) => told))
    const create = { ...this.#keys.range(''), start_revision: String(this.#position + 1) }
    let forgotten = 0
    const stream = await this.#gateway.stream(host, 'watch', { create_request: create }, (line) => {
      const { compact_revision, canceled, cancel_reason, events } = WatchLine.parse(line).result
      forgotten = compact_revision
      if (canceled) throw Refusal.ofWatch(cancel_reason)
      if (events.length > 0) this.#tell(events)
    })
    const probe = this.#probe(host, stream)
    this.#stream = stream
    if (this.#isBehind || this.#followers.size === 0) stream.stop()
    await stream.ended.catch((error: unknown) => this.#tellOnce(error))
    this.#stream = undefined
    probe.stop()
    if (probe.hasLostRevisions()) await this.#reset(Infinity)
    else if (forgotten > 0) await this.#reset(forgotten)
  }

  /** Lines break, and a gateway tells itself when no server answers; what a server says is another matter. */
  #tellOnce(error: unknown): void {
    const isRefused =
      error instanceof Refusal ? !error.isPassing && !error.isToken && !error.isCompacted : isOf(error, 'coordinator-refused')
    if (!isRefused && !(error instanceof z.ZodError) && !(error instanceof SyntaxError)) return
    const trouble = reasonOf(error)
    if (trouble !== this.#trouble) this.#gateway.tell(error)
    this.#trouble = trouble
  }

  #tell(events: readonly WatchEvent[]): void {
    this.#failures = 0
    this.#trouble = undefined
    for (let from = 0; from < events.length;) {
      const revision = (events[from] as WatchEvent).kv.mod_revision
      let to = from + 1
      while (to < events.length && (events[to] as WatchEvent).kv.mod_revision === revision) to++
      this.#tellRevision(
        revision,
        events.slice(from, to).map((event) => this.#keys.change(event)),
      )
      from = to
    }
  }

  #tellRevision(revision: number, changes: readonly Change[]): void {
    this.#position = revision
    for (const follower of this.#followers) {
      if (revision <= follower.told) continue
      follower.told = revision
      const own = changes.filter((change) => keyOf(change).startsWith(follower.prefix))
      if (own.length > 0) hears(follower, { kind: 'changes', revision, changes: own })
    }
  }

  /** Changes before this revision are forgotten: tells everything to those who would have needed them. */
  async #reset(forgotten: number): Promise<void> {
    const { entries, revision } = await this.#list()
    for (const follower of this.#followers) {
      if (follower.told + 1 >= forgotten) continue
      follower.told = revision
      hears(follower, { kind: 'reset', revision, entries: entries.filter(({ key }) => key.startsWith(follower.prefix)) })
    }
  }

  /** Asks the server again and again for something that only one of the majority can answer; ends the stream when it cannot. */
  #probe(host: string, stream: Stream): { stop(): void; hasLostRevisions(): boolean } {
    let isOver = false
    let isBehind = false
    let cancel = (): void => undefined
    const key = this.#keys.record('probe')
    const ask = async (): Promise<void> => {
      const before = this.#position
      try {
        const options = { host, withinMs: silenceMsMax }
        const { header } = await this.#gateway.call('kv/range', { key, count_only: true }, RangeAnswer, options)
        // the servers were replaced by others, or by what they were a while ago
        isBehind = header.revision < before
        this.#failures = 0
        if (isBehind) stream.stop()
        else if (!isOver) cancel = this.#schedule.after(probeMs, () => void ask())
      } catch (error) {
        this.#tellOnce(error)
        stream.stop()
      }
    }
    void ask()
    return {
      hasLostRevisions: () => isBehind,
      stop: () => {
        isOver = true
        cancel()
      },
    }
  }
}

/** What a listener throws is a mistake of ours: it ends the process, as anywhere else, and no other listener misses anything. */
function hears({ listener }: Follower, news: News): void {
  try {
    listener(news)
  } catch (error) {
    queueMicrotask(() => {
      throw error
    })
  }
}

function isOf(error: unknown, code: ErrorCode): boolean {
  return error instanceof SquallError && error.code === code
}
