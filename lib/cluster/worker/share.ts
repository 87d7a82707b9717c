/** What the lead and the members of a run have in common: the executors of this worker, and the way to the others. */
import { pathToFileURL } from 'node:url'
import type { CellLayout } from '../../engine/cells.ts'
import type { Runnable } from '../../engine/run-types.ts'
import { sharedWords } from '../../engine/site.ts'
import type { SiteEars } from '../../engine/site.ts'
import { ThreadSite } from '../../engine/thread-site.ts'
import type { ThreadSiteOptions } from '../../engine/thread-site.ts'
import type { Prelude, SharedWords } from '../../engine/thread-messages.ts'
import { libraryUrl } from '../../std/library.ts'
import { anySeed } from '../../std/random.ts'
import type { TopologyDefinition } from '../../topology/draft.ts'
import type { Plan } from '../../topology/plan.ts'
import type { KeptElsewhere } from '../state/in-thread.ts'
import type { Assignment, Launch, Positions } from './assignment.ts'
import type { ExecutorDeaths } from './executor-deaths.ts'
import { cellsOf, messageKinds } from './frames.ts'
import type { Peer, Peers } from './peers.ts'
import { Relay } from './relay.ts'
import { positionsOf, tasksOf } from './site-cells.ts'
import { wordsFrom } from './words.ts'
import type { Words } from './words.ts'

/** Where the tasks of a run count. */
export interface Counts {
  readonly plan: Plan
  readonly layout: CellLayout
  readonly cells: Float64Array
  readonly placement: readonly number[]
}

export class Share {
  readonly launch: Launch
  readonly definition: TopologyDefinition
  readonly positions: Positions
  readonly peers: Peers
  readonly words: SharedWords
  readonly relay: Relay
  /** by executor: the last assignment that places it here */
  readonly #fences: BigInt64Array
  assignment: Assignment
  here: readonly number[]
  readonly #workerOf = new Map<number, number>()
  readonly #deaths: ExecutorDeaths

  constructor(
    launch: Launch,
    definition: TopologyDefinition,
    assignment: Assignment,
    positions: Positions,
    peers: Peers,
    deaths: ExecutorDeaths,
  ) {
    this.#deaths = deaths
    this.launch = launch
    this.definition = definition
    this.assignment = assignment
    this.positions = positions
    this.peers = peers
    this.words = sharedWords(assignment.executors)
    this.#fences = new BigInt64Array(new SharedArrayBuffer(8 * assignment.executors))
    this.fence(assignment)
    this.place(assignment)
    this.here = assignment.workers.find(({ worker }) => worker === launch.worker)?.executors ?? []
    this.relay = new Relay({
      words: this.words,
      executors: assignment.executors,
      here: () => this.here,
      linkTo: (executor) => peers.peer(this.workerOf(executor)),
      links: () => peers.present,
    })
  }

  /** The worker with executor 0. */
  get lead(): number {
    return this.workerOf(0)
  }

  readonly workerOf = (executor: number): number => this.#workerOf.get(executor) as number

  readonly placed = (workers: readonly number[]): void => {
    workers.forEach((worker, executor) => this.#workerOf.set(executor, worker))
  }

  place({ workers }: Assignment): void {
    for (const { worker, executors } of workers) for (const executor of executors) this.#workerOf.set(executor, worker)
  }

  readonly have = (executors: readonly number[]): void => {
    this.here = executors
    this.relay.moved()
  }

  /** Where the spouts here would go on. */
  positionsOf(counts: Counts | undefined): Positions {
    if (counts === undefined) return {}
    const { plan, layout, cells, placement } = counts
    return positionsOf(plan, layout, cells, tasksOf(placement, this.here))
  }

  get runnable(): Runnable {
    const { module, topology: name } = this.launch
    return { definition: this.definition, module: pathToFileURL(module).href, name }
  }

  threads(options: Omit<ThreadSiteOptions, 'words' | 'here' | 'ears' | 'seed' | 'relay'>, ears: SiteEars): ThreadSite {
    const { words, here, relay } = this
    const noting: SiteEars = {
      ...ears,
      died: (executors, reason, of) => {
        for (const executor of executors) this.#deaths.note(executor, reason)
        ears.died(executors, reason, of)
      },
    }
    return new ThreadSite({ ...options, words, here, relay, ears: noting, seed: anySeed, prelude: this.#prelude(options.plan) })
  }

  /** The executors here write as of this assignment, and those elsewhere as of the last that placed them here: whoever has them now is later. */
  fence({ fence, workers }: Assignment): void {
    const place = workers.find(({ worker }) => worker === this.launch.worker)
    for (const executor of place?.executors ?? []) Atomics.store(this.#fences, executor, BigInt(fence))
  }

  #prelude({ config: { stateCopies: copies } }: Plan): Prelude | undefined {
    const { topology: of, config, homeFile, token, tls } = this.launch
    const root = config['stateDir']
    if (typeof root !== 'string' || homeFile === undefined) return undefined
    const data: KeptElsewhere = { of, copies, root, homeFile, token, tls, epochs: this.#fences }
    return { module: libraryUrl('cluster/state/in-thread'), data }
  }

  /** Tuples and pressure are the relay's; anything else is for whoever is at this end. */
  hear(peer: Peer, part: Part): void {
    peer.ears = {
      message: (message) => {
        const [kind] = message
        if (kind === messageKinds.tuples || kind === messageKinds.credit) this.relay.receive(message)
        else if (kind === messageKinds.cells) part.heardCells(peer, cellsOf(message))
        else this.#heard(peer, wordsFrom(message), part)
      },
      renewed: () => {
        this.relay.renewed(new Set([...this.#workerOf].flatMap(([executor, worker]) => (worker === peer.worker ? [executor] : []))))
        this.relay.statePressure(peer)
        part.renewed(peer)
      },
    }
    this.relay.statePressure(peer)
  }

  #heard(peer: Peer, words: Words, part: Part): void {
    if (words.kind !== 'pressure') {
      part.heard(peer, words)
      return
    }
    // what comes late of an executor that has left its worker would never be taken back
    const worker = this.#workerOf.get(words.executor)
    if (worker === undefined || worker === peer.worker) this.relay.pressed(words.executor, words.parked)
  }
}

/** Who hears what other workers say, besides the relay. */
interface Part {
  heard(peer: Peer, words: Words): void
  heardCells(peer: Peer, cells: Float64Array): void
  renewed(peer: Peer): void
}
