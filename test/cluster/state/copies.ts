/** Hosts with copies in one process: no network, no time that passes. */
import { MemoryCluster } from '../../../lib/cluster/coordination/memory.ts'
import { StateRecord, keys } from '../../../lib/cluster/records.ts'
import type { Disk } from '../../../lib/cluster/state/disk.ts'
import { Members } from '../../../lib/cluster/state/members.ts'
import { Replica } from '../../../lib/cluster/state/replica.ts'
import { ReplicatedFiles } from '../../../lib/cluster/state/replicated-files.ts'
import { Sets } from '../../../lib/cluster/state/sets.ts'
import type { Ask } from '../../../lib/cluster/state/words.ts'
import { SquallError } from '../../../lib/errors.ts'
import { realSchedule } from '../../../lib/std/schedule.ts'

export interface CopiesOptions {
  readonly name: string
  readonly folder: string
  readonly disks: Readonly<Record<string, Disk>>
}

export class Copies {
  readonly said: string[] = []
  readonly down = new Set<string>()
  readonly #options: CopiesOptions
  readonly #coordinator = new MemoryCluster(realSchedule).client()
  readonly #hosts = new Map<string, Sets>()
  #writers = 0

  constructor(options: CopiesOptions) {
    this.#options = options
    const coordinator = this.#coordinator
    for (const [id, disk] of Object.entries(options.disks)) {
      const member = (other: string): Ask => this.way(other)
      const replica = new Replica({ disk, folder: options.folder, member })
      const rest = {
        schedule: realSchedule,
        urlOf: () => undefined,
        isPlaced: () => true,
        report: (message: string) => void this.said.push(message),
      }
      this.#hosts.set(id, new Sets({ id, coordinator, replica, member, ...rest }))
    }
    coordinator.watch('state/', 0, (news) => {
      const entries = news.kind === 'reset' ? news.entries : news.changes.flatMap((change) => (change.kind === 'put' ? [change.entry] : []))
      for (const { version, value } of entries)
        for (const [id, host] of this.#hosts) if (!this.down.has(id)) host.saw(options.name, version, StateRecord.parse(JSON.parse(value)))
    })
  }

  way(id: string): Ask {
    return (words, bytes = new Uint8Array(0)) => {
      const host = this.#hosts.get(id)
      if (host === undefined || this.down.has(id)) return Promise.reject(new SquallError('api-away', { url: id, reason: 'it is down' }))
      return host.ask(words, bytes)
    }
  }

  async record(): Promise<StateRecord> {
    return StateRecord.parse(JSON.parse((await this.#coordinator.get(keys.state(this.#options.name)))?.value ?? 'null'))
  }

  /** As nimbus names a newcomer; resolves when it is in. */
  async join(joining: string): Promise<void> {
    const key = keys.state(this.#options.name)
    const { version = 0, value = '' } = (await this.#coordinator.get(key)) ?? {}
    const named = { ...StateRecord.parse(JSON.parse(value)), joining }
    const outcome = await this.#coordinator.commit([{ key, version }], [{ key, value: JSON.stringify(named) }])
    const from = outcome.ok ? outcome.revision : 0
    await new Promise<void>((resolve) => {
      const watch = this.#coordinator.watch('state/', from, () => {
        watch.close()
        resolve()
      })
    })
  }

  /** As nimbus removes all copies. Writers of before are of a topology that was killed. */
  async remove(): Promise<void> {
    const key = keys.state(this.#options.name)
    const { version = 0 } = (await this.#coordinator.get(key)) ?? {}
    const outcome = await this.#coordinator.commit([{ key, version }], [{ key, value: JSON.stringify({ members: [], copies: 2 }) }])
    this.#writers = outcome.ok ? outcome.revision : 0
  }

  /** It learns what it has missed. */
  async back(id: string): Promise<void> {
    this.down.delete(id)
    const entry = await this.#coordinator.get(keys.state(this.#options.name))
    if (entry !== undefined) this.#hosts.get(id)?.saw(this.#options.name, entry.version, StateRecord.parse(JSON.parse(entry.value)))
  }

  /** A writer on a host, later than all before it. */
  writer(on: string): ReplicatedFiles {
    const { name: of, folder } = this.#options
    const epoch = ++this.#writers
    const report = (message: string): void => void this.said.push(message)
    const members = new Members({
      of,
      copies: 2,
      epoch: () => epoch,
      home: this.way(on),
      way: (id) => this.way(id),
      schedule: realSchedule,
      report,
      times: { silentMs: 0 },
    })
    return new ReplicatedFiles({ of, root: `${folder}/${of}`, members, epoch: () => epoch, writer: `w${epoch}`, schedule: realSchedule })
  }
}
