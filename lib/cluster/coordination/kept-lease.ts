/**
 * Keeps a lease alive, whoever grants it: renews it in time, counts it from when a renewal was sent, and says when it is lost.
 */
import type { Schedule } from '../../std/schedule.ts'
import type { Lease } from './coordinator.ts'

export interface Keeping {
  readonly id: string
  readonly ttlMs: number
  /** when it was asked for */
  readonly sentMs: number
  readonly schedule: Schedule
  /** `false`: it has ended. Throws when there is no answer within this time. */
  readonly renew: (withinMs: number) => Promise<boolean>
  readonly revoke: () => Promise<void>
}

/** A renewal is sent so many times in the life of a lease, and that much sooner again when one got no answer. */
const renewalsInTtl = 3
const retriesInTtl = 12

export class KeptLease implements Lease {
  readonly id: string
  readonly lost: Promise<void>
  readonly #keeping: Keeping
  #untilMs: number
  #tell!: () => void
  #isOver = false
  #stopRenewing: () => void = () => undefined
  #stopWaiting: () => void = () => undefined

  constructor(keeping: Keeping) {
    this.id = keeping.id
    this.#keeping = keeping
    this.#untilMs = keeping.sentMs + keeping.ttlMs
    this.lost = new Promise((resolve) => (this.#tell = resolve))
    this.#renewAt(keeping.sentMs + keeping.ttlMs / renewalsInTtl)
    this.#waitForTheEnd()
  }

  get untilMs(): number {
    return this.#untilMs
  }

  async end(): Promise<void> {
    if (this.#isOver) return
    this.#over()
    await this.#keeping.revoke().catch(() => undefined) // its time will be over soon
  }

  /** Is not renewed any more, and ends when its time is over. */
  lapse(): void {
    if (!this.#isOver) this.#over()
  }

  #renewAt(ms: number): void {
    const { schedule } = this.#keeping
    this.#stopRenewing = schedule.after(Math.max(0, ms - schedule.now()), () => void this.#renew())
  }

  async #renew(): Promise<void> {
    const { schedule, ttlMs, renew } = this.#keeping
    const sentMs = schedule.now()
    const answer = await renew(ttlMs / renewalsInTtl).catch(() => undefined)
    if (this.#isOver) return
    if (answer === false) return this.#over()
    if (answer === undefined) return this.#renewAt(schedule.now() + ttlMs / retriesInTtl)
    this.#untilMs = sentMs + ttlMs
    this.#stopWaiting()
    this.#waitForTheEnd()
    this.#renewAt(sentMs + ttlMs / renewalsInTtl)
  }

  #waitForTheEnd(): void {
    const { schedule } = this.#keeping
    this.#stopWaiting = schedule.after(Math.max(0, this.#untilMs - schedule.now()), () => this.#over())
  }

  #over(): void {
    this.#isOver = true
    this.#untilMs = Math.min(this.#untilMs, this.#keeping.schedule.now())
    this.#stopRenewing()
    this.#stopWaiting()
    this.#tell()
  }
}
