/** Users of a simulated cluster: they deploy, update, rebalance, rest, wake and kill topologies, and see what comes of it. */
import { digestOf } from '../../../lib/cluster/blobstore/blobs.ts'
import { deploy, kill, rebalance, setActive, update } from '../../../lib/cluster/nimbus/deployments.ts'
import type { Nimbus } from '../../../lib/cluster/nimbus/nimbus.ts'
import type { Known } from '../../../lib/cluster/nimbus/known.ts'
import type { Step } from '../../../lib/cluster/nimbus/decide.ts'
import type { TopologyRecord } from '../../../lib/cluster/records.ts'
import { SquallError } from '../../../lib/errors.ts'
import type { SimNimbus } from './parts.ts'
import { Unsafe } from './safety.ts'
import type { Safety } from './safety.ts'
import type { World } from './world.ts'

export const names = ['a', 'b', 'c', 'd']
/** What a request may come to when the cluster is not well, or others ask as well. */
const expected = ['not-leader', 'no-leader', 'coordinator-away', 'coordinator-closed', 'name-in-use', 'unknown-topology', 'topology-over']

export class Users {
  readonly #world: World
  readonly #nimbuses: readonly SimNimbus[]
  readonly #safety: Safety
  #bundles = 0

  constructor(world: World, nimbuses: readonly SimNimbus[], safety: Safety) {
    this.#world = world
    this.#nimbuses = nimbuses
    this.#safety = safety
  }

  act(): void {
    const world = this.#world
    const name = world.one(names) as string
    const kind = world.one(['deploy', 'deploy', 'deploy', 'update', 'rebalance', 'rebalance', 'activate', 'deactivate', 'kill'])
    switch (kind) {
      case 'deploy':
        return this.deploy(name)
      case 'update': {
        const { bundle, bytes } = this.#code(name)
        const components = [{ id: 'source', kind: 'spout' as const, tasks: 1 + world.random.below(4) }]
        const code = { bundle, file: 'x.ts', params: { bundle }, config: {}, components }
        return this.#ask(`update ${name}`, (known) => update(known, name, world.chance(0.5) ? { ...code, ...this.#size() } : code), {
          bytes,
        })
      }
      case 'rebalance': {
        const { workers, executors } = this.#size()
        const wish = world.one([{ workers }, { executors }, { workers, executors }, { isolatedHosts: 0 }]) ?? {}
        return this.#ask(`rebalance ${name} ${JSON.stringify(wish)}`, (known) => rebalance(known, name, wish))
      }
      case 'activate':
      case 'deactivate':
        return this.#ask(`${kind} ${name}`, (known) => setActive(known, name, kind === 'activate'))
      default:
        return this.kill(name)
    }
  }

  deploy(name: string): void {
    const world = this.#world
    const { bundle, bytes } = this.#code(name)
    const topology = {
      name,
      bundle,
      file: 'x.ts',
      params: { bundle, ...(world.chance(0.15) && { runsMs: world.between(1_000, 40_000) }) },
      config: {},
      ...this.#size(),
      components: [
        { id: 'source', kind: 'spout' as const, tasks: 1 + world.random.below(4) },
        {
          id: 'sink',
          kind: 'bolt' as const,
          tasks: 1 + world.random.below(4),
          ...(world.chance(0.15) && { hints: { cpu: world.between(0, 1), memoryMb: world.between(0, 1_000) } }),
        },
      ],
      isolatedHosts: Number(world.chance(0.07)),
      wanted: world.chance(0.9) ? ('active' as const) : ('inactive' as const),
    }
    this.#ask(`deploy ${name} on ${topology.workers}`, (known) => deploy(known, topology, world.schedule.date()), { bytes, name, bundle })
  }

  kill(name: string): void {
    const waitMs = Math.floor(this.#world.between(0, 5_000))
    this.#ask(`kill ${name}`, (known) => kill(known, name, { waitMs }))
  }

  #size(): Pick<TopologyRecord, 'workers' | 'executors'> {
    const workers = 1 + this.#world.random.below(4)
    return { workers, executors: workers + this.#world.random.below(4) }
  }

  #code(name: string): { bundle: string; bytes: Uint8Array } {
    const bytes = Buffer.from(`${name} ${++this.#bundles}`)
    return { bundle: digestOf(bytes), bytes }
  }

  #ask(what: string, step: (known: Known) => Step | undefined, more: { bytes?: Uint8Array; name?: string; bundle?: string } = {}): void {
    const world = this.#world
    const asked = this.#nimbuses.filter(({ nimbus, node }) => nimbus !== undefined && node?.isAlive === true)
    const leading = asked.filter(({ nimbus }) => nimbus?.isLeading === true)
    const one = world.one(leading.length > 0 && world.chance(0.95) ? leading : asked)
    if (one?.nimbus === undefined) return
    void this.#change(what, one, one.nimbus, step, more).catch((error: unknown) => {
      // outside of any timer nobody would hear of it
      world.after(0, () => {
        throw error
      })
    })
  }

  async #change(
    what: string,
    { id, blobs }: SimNimbus,
    nimbus: Nimbus,
    step: (known: Known) => Step | undefined,
    { bytes, name, bundle }: { bytes?: Uint8Array; name?: string; bundle?: string },
  ): Promise<void> {
    const world = this.#world
    try {
      if (bytes !== undefined) await blobs.put(bytes)
      world.say(`a user asks ${id}: ${what}`)
      await nimbus.change(step)
      world.count('asked')
      world.say(`${id} has done: ${what}`)
    } catch (error) {
      if (!(error instanceof SquallError && expected.includes(error.code))) throw error
      world.count('refused')
      world.say(`${id} has not done: ${what}: ${error.code}`)
      return
    }
    if (name !== undefined && bundle !== undefined && !this.#safety.wasWritten(name, bundle))
      throw new Unsafe(`${id} says that ${name} is deployed, and it never was`)
  }
}
