/**
 * A host as far as the records go: its own in the coordinator, live copies of those that it goes by, its health, and the supervisor that does what
 * they say. Nothing here touches the machine: folders, processes, code and time are arguments.
 */
import { reasonOf } from '../../errors.ts'
import type { SupervisorRecord } from '../records.ts'
import { Health } from './health.ts'
import { LiveRecords } from './known-records.ts'
import type { KnownRecords } from './known-records.ts'
import { Presence } from './presence.ts'
import { Supervisor } from './supervisor.ts'
import type { SupervisorOptions } from './supervisor.ts'

export interface HostOptions extends Omit<SupervisorOptions, 'id' | 'host'> {
  readonly record: SupervisorRecord
  /** why the host is not well */
  readonly check: () => Promise<string | undefined>
  /** is told when the records have changed */
  readonly saw?: (known: KnownRecords) => void
}

const backOffMs = { first: 100, max: 5_000 }
/** A check that takes longer than most does not keep a host from being known again before it is lost. */
const checkMs = 1_000

export class Host {
  readonly supervisor: Supervisor
  readonly #options: HostOptions
  readonly #presence: Presence
  readonly #health: Health
  #records: LiveRecords | undefined
  #unhealthy: string | undefined
  #isOver = false
  #isSyncDue = false
  #mirroring: Promise<void> = Promise.resolve()
  #wake: () => void = () => undefined

  constructor(options: HostOptions) {
    const { record, schedule, check, report } = options
    this.#options = options
    this.supervisor = new Supervisor({ ...options, id: record.id, host: record.host })
    this.#presence = new Presence(options)
    this.#health = new Health(schedule, check, (reason) => {
      if (reason !== this.#unhealthy)
        report(reason === undefined ? 'this host takes workers again' : `this host takes no workers: ${reason}`)
      this.#unhealthy = reason
      this.#presence.unhealthy(reason)
    })
  }

  /** Resolves when the workers of the last supervisor of this host are taken over, whether the coordinator answers or not. */
  async start(): Promise<void> {
    this.supervisor.adopt()
    const checked = this.#health.start()
    await Promise.race([checked, this.#pause(checkMs)])
    this.#wake()
    // it may have been stopped meanwhile
    if (this.#isOver) return
    this.#presence.start()
    this.#mirroring = this.#mirror()
  }

  /** `andWorkers`: they end too, and the host is gone at once. */
  async stop(andWorkers: boolean): Promise<void> {
    this.#isOver = true
    this.#wake()
    await this.#mirroring
    this.#records?.close()
    this.#health.stop()
    await this.supervisor.stop(andWorkers)
    await this.#presence.stop(andWorkers)
  }

  get unhealthy(): string | undefined {
    return this.#unhealthy
  }

  /** Whether the coordinator knows of it, as far as one can tell. */
  get isKnown(): boolean {
    return this.#presence.isHeld
  }

  /** Whether that is so, and it knows the records. */
  get isReady(): boolean {
    return this.isKnown && this.#records !== undefined
  }

  /** Reads the records, as soon as the coordinator lets us; from then on they are told. */
  async #mirror(): Promise<void> {
    const { coordinator, report } = this.#options
    for (let failures = 0; !this.#isOver && this.#records === undefined;)
      try {
        this.#records = await LiveRecords.open(coordinator, () => this.#syncSoon(), report)
        this.#syncSoon()
      } catch (error) {
        if (failures++ === 0) report(`the records cannot be read yet: ${reasonOf(error)}`)
        await this.#pause(Math.min(backOffMs.max, backOffMs.first * 2 ** (failures - 1)))
      }
  }

  /** Once for all that changes at a time. */
  #syncSoon(): void {
    if (this.#isSyncDue) return
    this.#isSyncDue = true
    this.#options.schedule.after(0, () => {
      this.#isSyncDue = false
      if (this.#records === undefined) return
      this.#options.saw?.(this.#records.known)
      this.supervisor.sync(this.#records.known)
    })
  }

  async #pause(ms: number): Promise<void> {
    if (this.#isOver) return
    let cancel = (): void => undefined
    await new Promise<void>((resolve) => {
      this.#wake = resolve
      cancel = this.#options.schedule.after(ms, resolve)
    })
    cancel()
  }
}
