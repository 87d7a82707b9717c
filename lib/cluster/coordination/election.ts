/**
 * Who leads: of all that stand, the one whose record is there. It hangs on a lease, and is made only where there is none.
 *
 *     standing ──made the record──▶ leading ──lease ends soon, or the record is gone──▶ standing ...
 *        └──────────── close ──────────┴────────────────▶ closed (the record goes at once: the next one leads)
 *
 * A leader stops leading, by its own clock, before its lease can have ended by anybody's. That is a courtesy: what a leader writes is guarded by
 * the making of its record (`guard`), so what one writes who does not know yet that it was deposed is refused.
 */
import { reasonOf } from '../../errors.ts'
import type { Schedule } from '../../std/schedule.ts'
import type { Coordinator, Guard, Lease, Watch } from './coordinator.ts'

export interface ElectionOptions {
  readonly coordinator: Coordinator
  readonly schedule: Schedule
  /** of the leader's record */
  readonly key: string
  /** of the leader's record: who and where it is */
  readonly value: string
  readonly ttlMs: number
  /** This one leads from now on. Never called twice without `onLost` between. */
  readonly onLead: (leadership: Leadership) => void
  /** It does not any more. */
  readonly onLost: () => void
  /** is told why an attempt failed */
  readonly report?: (message: string) => void
}

export interface Leadership {
  /** Holds for as long as nobody else leads: belongs into every commit of the leader. */
  readonly guard: Guard
  /** The revision at which it began: what leaders before have written is older. */
  readonly created: number
  /** False from some time before somebody else can lead. */
  readonly isLeading: boolean
}

/** Clocks of two hosts may differ by this part of a lease; for as long, a leader has stopped when its lease ends. */
const margin = 0.1
const backOffMs = { first: 100, max: 5_000 }

export class Election {
  readonly #options: ElectionOptions
  #isStarted = false
  #isClosed = false
  /** what the campaign waits for now ends at once */
  #wake: () => void = () => undefined
  #done: Promise<void> = Promise.resolve()

  constructor(options: ElectionOptions) {
    this.#options = options
  }

  /** Stands, until `close`. */
  start(): void {
    if (this.#isStarted || this.#isClosed) return
    this.#isStarted = true
    this.#done = this.#campaign()
  }

  /** Stops leading, and lets somebody else lead at once. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#wake()
    await this.#done
  }

  async #campaign(): Promise<void> {
    const { coordinator, schedule, ttlMs, report } = this.#options
    for (let failures = 0; !this.#isClosed;) {
      let lease: Lease | undefined
      try {
        await this.#vacancy()
        if (this.#isClosed) break
        lease = await coordinator.lease(ttlMs)
        const { key, value } = this.#options
        const outcome = await coordinator.commit([{ key, version: 0 }], [{ key, value, lease }])
        // an answer may come so late that somebody else leads by now
        if (outcome.ok && !this.#isClosed && schedule.now() < this.#endOf(lease)) await this.#lead(lease, outcome.revision)
        failures = 0
      } catch (error) {
        // a record that was made without our knowing goes with its lease
        report?.(`cannot stand for ${this.#options.key}: ${reasonOf(error)}`)
        if (!this.#isClosed) await this.#sleep(Math.min(backOffMs.max, backOffMs.first * 2 ** failures++))
      }
      await lease?.end()
    }
  }

  /** Resolves when there is no leader, or this is closed. */
  async #vacancy(): Promise<void> {
    const { coordinator, key } = this.#options
    const { revision, entries } = await coordinator.list(folderOf(key))
    if (!entries.some((entry) => entry.key === key)) return
    await this.#until(({ wake }) => {
      return coordinator.watch(folderOf(key), revision, (news) => {
        const isThere =
          news.kind === 'reset'
            ? news.entries.some((entry) => entry.key === key)
            : !news.changes.some((change) => change.kind === 'delete' && change.key === key)
        if (!isThere) wake()
      })
    })
  }

  /** Leads until the lease is about to end, the record is gone, or this is closed. */
  async #lead(lease: Lease, created: number): Promise<void> {
    const { coordinator, schedule, key, onLead, onLost } = this.#options
    const endMs = (): number => this.#endOf(lease)
    const state = { isOver: false }
    onLead({
      guard: { key, created },
      created,
      get isLeading() {
        return !state.isOver && schedule.now() < endMs()
      },
    })
    await this.#until(({ wake }) => {
      let cancel = (): void => undefined
      const look = (): void => {
        const leftMs = endMs() - schedule.now()
        if (leftMs <= 0) wake()
        else if (leftMs < Infinity) cancel = schedule.after(leftMs, look) // it may have been renewed by then
      }
      look()
      void lease.lost.then(wake)
      const watch = coordinator.watch(folderOf(key), created, (news) => {
        const isOurs =
          news.kind === 'reset'
            ? news.entries.some((entry) => entry.key === key && entry.created === created)
            : !news.changes.some((change) => change.kind === 'delete' && change.key === key)
        if (!isOurs) wake()
      })
      return {
        close: () => {
          cancel()
          watch.close()
        },
      }
    })
    state.isOver = true
    onLost()
  }

  /** When whoever leads by this lease stops. */
  #endOf(lease: Lease): number {
    return lease.untilMs - this.#options.ttlMs * margin
  }

  /** Waits for a call of `wake`, and closes what was opened for it. */
  async #until(open: (waiting: { wake: () => void }) => Watch): Promise<void> {
    let wake!: () => void
    const woken = new Promise<void>((resolve) => (wake = resolve))
    this.#wake = wake
    const opened = open({ wake })
    try {
      if (!this.#isClosed) await woken
    } finally {
      opened.close()
    }
  }

  async #sleep(ms: number): Promise<void> {
    await this.#until(({ wake }) => ({ close: this.#options.schedule.after(ms, wake) }))
  }
}

/** What is watched is a prefix. */
function folderOf(key: string): string {
  return key.slice(0, key.lastIndexOf('/') + 1)
}
