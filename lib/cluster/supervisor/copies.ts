/** What this host has of the state of topologies, and the sets that it sees to, as far as the records are known. */
import type { Schedule } from '../../std/schedule.ts'
import type { Coordinator } from '../coordination/coordinator.ts'
import type { Tls } from '../http/token.ts'
import { reasonOf } from '../../errors.ts'
import { removeCaches } from '../state/caches.ts'
import { nodeDisk } from '../state/disk.ts'
import { Ways } from '../state/http.ts'
import { Replica } from '../state/replica.ts'
import { Sets } from '../state/sets.ts'
import type { Answer, Ask, Words } from '../state/words.ts'
import type { KnownRecords } from './known-records.ts'

export interface HostCopiesOptions {
  /** of this host */
  readonly id: string
  readonly folder: string
  readonly coordinator: Coordinator
  readonly schedule: Schedule
  readonly token: string
  readonly tls?: Tls | undefined
  readonly report: (message: string) => void
}

export class HostCopies {
  readonly #ways: Ways
  readonly #sets: Sets
  readonly #folder: string
  readonly #report: (message: string) => void
  #known: KnownRecords | undefined

  constructor(options: HostCopiesOptions) {
    this.#ways = new Ways(options)
    this.#folder = options.folder
    this.#report = options.report
    const member = (id: string): Ask => this.#ways.to(this.#urlOf(id))
    this.#sets = new Sets({
      ...options,
      member,
      replica: new Replica({ disk: nodeDisk, folder: options.folder, member }),
      urlOf: (id) => this.#urlOf(id),
      isPlaced: (name) => this.#known?.assignments.has(name) === true,
    })
  }

  /** The records have changed. */
  saw(known: KnownRecords): void {
    this.#known = known
    for (const [name, { version, record }] of known.states) this.#sets.saw(name, version, record)
    removeCaches(this.#folder, (name) => known.topologies.has(name)).catch((error: unknown) =>
      this.#report(`caches of state cannot be removed: ${reasonOf(error)}`),
    )
  }

  ask(words: Words, bytes?: Uint8Array): Promise<Answer> {
    return this.#sets.ask(words, bytes)
  }

  stop(): void {
    this.#sets.stop()
    this.#ways.close()
  }

  #urlOf(id: string): string | undefined {
    return this.#known?.supervisors.get(id)?.record.url
  }
}
