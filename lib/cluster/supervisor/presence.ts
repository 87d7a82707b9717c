/**
 * The record of a host in the coordinator, held by a lease for as long as its supervisor lives: a lease that is lost is replaced at once, a record
 * that has changed is written anew under the same lease.
 */
import { reasonOf } from '../../errors.ts'
import type { Schedule } from '../../std/schedule.ts'
import type { Coordinator, Lease } from '../coordination/coordinator.ts'
import { SupervisorRecord, keys } from '../records.ts'

/** How long after its supervisor has gone a host is lost, at most: nimbus counts from there. */
export const supervisorLeaseMs = 6_000
const backOffMs = { first: 100, max: 5_000 }

export interface PresenceOptions {
  readonly coordinator: Coordinator
  readonly schedule: Schedule
  readonly record: SupervisorRecord
  readonly report: (message: string) => void
}

export class Presence {
  readonly #options: PresenceOptions
  #record: SupervisorRecord
  #lease: Lease | undefined
  #isOver = false
  #isChanged = false
  /** whether the host has been looked at since this began */
  #isChecked = false
  #wake: () => void = () => undefined
  #done: Promise<void> = Promise.resolve()

  constructor(options: PresenceOptions) {
    this.#options = options
    this.#record = options.record
  }

  /** Whether the others know that this host is there, as far as one can tell. */
  get isHeld(): boolean {
    return this.#lease !== undefined && this.#lease.untilMs > this.#options.schedule.now()
  }

  start(): void {
    this.#done = this.#keep()
  }

  /** The host takes no workers, for this reason; or does again. */
  unhealthy(reason: string | undefined): void {
    this.#isChecked = true
    const { unhealthy: before, ...record } = this.#record
    if (before === reason) return
    this.#record = { ...record, ...(reason !== undefined && { unhealthy: reason }) }
    this.#isChanged = true
    this.#wake()
  }

  /**
   * `andGone`: the host is gone at once. Otherwise it is there until its lease ends: the next supervisor of the host may be there by then.
   */
  async stop(andGone: boolean): Promise<void> {
    this.#isOver = true
    this.#wake()
    await this.#done
    if (andGone) await this.#lease?.end()
  }

  async #keep(): Promise<void> {
    const { coordinator, schedule, report } = this.#options
    for (let failures = 0; !this.#isOver;) {
      try {
        const lease = this.isHeld && this.#lease !== undefined ? this.#lease : await coordinator.lease(supervisorLeaseMs)
        this.#lease = lease
        const before = this.#isChecked ? undefined : await this.#before()
        if (!this.#isChecked && before !== undefined) this.#record = { ...this.#record, unhealthy: before }
        this.#isChanged = false
        const write = { key: keys.supervisor(this.#record.id), value: JSON.stringify(this.#record), lease }
        const { ok } = await coordinator.commit([], [write])
        if (!ok)
          this.#lease = undefined // it has ended meanwhile
        else {
          if (failures > 0) report('the coordinator knows this host again')
          failures = 0
          await this.#until(() => this.#isChanged || this.#isOver, lease.lost)
        }
      } catch (error) {
        if (failures++ === 0) report(`the coordinator does not know this host: ${reasonOf(error)}`)
        const ms = Math.min(backOffMs.max, backOffMs.first * 2 ** (failures - 1))
        let cancel = (): void => undefined
        await this.#until(() => this.#isOver, new Promise((resolve) => (cancel = schedule.after(ms, resolve))))
        cancel()
      }
    }
  }

  /** Why the host was not well when the last supervisor of it looked: it is held to be so until this one has. */
  async #before(): Promise<string | undefined> {
    const { coordinator, record } = this.#options
    const entry = await coordinator.get(keys.supervisor(record.id))
    try {
      return entry && SupervisorRecord.parse(JSON.parse(entry.value)).unhealthy
    } catch {
      return undefined // another version wrote it
    }
  }

  async #until(isThere: () => boolean, over: Promise<void>): Promise<void> {
    const woken = new Promise<void>((resolve) => (this.#wake = resolve))
    if (!isThere()) await Promise.race([woken, over])
  }
}
