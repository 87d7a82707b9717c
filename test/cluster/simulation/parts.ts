/** Nimbus and hosts of a simulated cluster: each has lives, one after the other, and what outlives them: blobs, folders, processes. */
import type { Blobs } from '../../../lib/cluster/blobstore/blobs.ts'
import { Nimbus } from '../../../lib/cluster/nimbus/nimbus.ts'
import type { WorkerRecord } from '../../../lib/cluster/records.ts'
import { Host } from '../../../lib/cluster/supervisor/host.ts'
import type { WorkerFolders } from '../../../lib/cluster/supervisor/worker-folders.ts'
import { SquallError } from '../../../lib/errors.ts'
import { MemoryBlobs } from '../blobstore/memory-blobs.ts'
import { Machine } from './processes.ts'
import type { Observer } from './processes.ts'
import { Node } from './world.ts'
import type { World } from './world.ts'

export class SimNimbus {
  readonly id: string
  readonly blobs = new MemoryBlobs()
  node: Node | undefined
  nimbus: Nimbus | undefined
  readonly #world: World
  readonly #all: readonly SimNimbus[]

  constructor(world: World, all: readonly SimNimbus[], id: string) {
    this.#world = world
    this.#all = all
    this.id = id
  }

  boot(): void {
    if (this.node?.isAlive === true) return
    const node = new Node(this.#world, this.id)
    const { time: schedule, client: coordinator } = node
    const { id, blobs } = this
    const nimbus = new Nimbus({
      id,
      url: urlOf(id),
      coordinator,
      schedule,
      blobs,
      blobsOf: (url) => this.#blobsOf(node, url),
      report: (message) => this.#world.say(`${id}: ${message}`),
    })
    this.node = node
    this.nimbus = nimbus
    nimbus.start()
  }

  kill(): void {
    this.node?.kill()
    this.nimbus = undefined
  }

  async stop(): Promise<void> {
    const { node, nimbus } = this
    await nimbus?.stop()
    node?.kill()
    if (this.node === node) this.nimbus = undefined
  }

  #blobsOf(node: Node, url: string): Blobs {
    const found = this.#all.find(({ id }) => urlOf(id) === url)
    if (found?.node?.isWell !== true) throw new SquallError('blob-missing', { digest: 'any' })
    const { blobs } = found
    const travels = (): Promise<void> => new Promise((resolve) => node.time.after(this.#world.between(1, 50), resolve))
    return {
      get: async (digest) => {
        await travels()
        return await blobs.get(digest)
      },
    } as Blobs
  }
}

export class SimHost {
  readonly id: string
  readonly slots: number
  readonly machine: Machine
  /** by the key of a worker: its record, as text */
  readonly folders = new Map<string, string>()
  readonly bundles = new Set<string>()
  /** why it is not well */
  trouble: string | undefined
  node: Node | undefined
  host: Host | undefined
  readonly #world: World
  readonly #nimbuses: readonly SimNimbus[]

  constructor(world: World, nimbuses: readonly SimNimbus[], observer: Observer, id: string) {
    this.#world = world
    this.#nimbuses = nimbuses
    this.id = id
    this.slots = 1 + world.random.below(3)
    this.machine = new Machine(world, observer, id)
  }

  boot(): void {
    if (this.node?.isAlive === true) return
    const { id, slots } = this
    const node = new Node(this.#world, id)
    const host = new Host({
      record: { id, host: id, url: urlOf(id), slots, cores: 4, memoryMb: 4_000, version: '0', startedAtMs: 0 },
      check: () => Promise.resolve(this.trouble),
      coordinator: node.client,
      schedule: node.time,
      processes: this.machine.for(node),
      folders: this.#foldersFor(node),
      bundles: { module: (sha256) => this.#module(node, sha256), keep: (used) => this.#keep(used) },
      token: 'secret',
      stateFolder: '/state',
      report: (message) => this.#world.say(`${id}: ${message}`),
    })
    this.node = node
    this.host = host
    void host.start()
  }

  /** Its workers live on. */
  kill(): void {
    this.node?.kill()
    this.host = undefined
  }

  async stop(andWorkers: boolean): Promise<void> {
    const { node, host } = this
    await host?.stop(andWorkers)
    node?.kill()
    if (this.node === node) this.host = undefined
  }

  /** The power is gone. */
  lose(): void {
    this.kill()
    this.machine.lose()
  }

  #foldersFor(node: Node): WorkerFolders {
    const { folders, machine } = this
    const pathOf = (key: string): string => `/${this.id}/${key}`
    const change = (what: () => void): void => {
      if (node.isAlive) what()
    }
    return {
      list: () => [...folders.keys()].sort(),
      pathOf,
      make: (key) => change(() => folders.set(key, folders.get(key) ?? '')),
      remove: (key) =>
        change(() => {
          folders.delete(key)
          machine.forget(pathOf(key))
        }),
      record: (key) => {
        const text = folders.get(key) ?? ''
        return text === '' ? undefined : (JSON.parse(text) as WorkerRecord)
      },
      keep: (key, record) => change(() => folders.set(key, JSON.stringify(record))),
    }
  }

  async #module(node: Node, sha256: string): Promise<string> {
    await new Promise<void>((resolve) => node.time.after(this.#world.between(0, 50), resolve))
    if (!this.bundles.has(sha256)) {
      const known = await Promise.all(this.#nimbuses.map(async (one) => one.node?.isWell === true && (await one.blobs.has(sha256))))
      if (!known.includes(true)) throw new SquallError('blob-missing', { digest: sha256 })
      this.bundles.add(sha256)
    }
    return `/bundles/${sha256}.mjs`
  }

  #keep(used: ReadonlySet<string>): void {
    for (const one of this.bundles) if (!used.has(one)) this.bundles.delete(one)
  }
}

function urlOf(id: string): string {
  return `http://${id}:6627`
}
