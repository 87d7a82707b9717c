/**
 * A worker: one process of a topology, with some of its executors in threads. This thread has the sockets and the control, and decodes no tuple.
 *
 *     launched ─▶ listening ─ assignment ─▶ joined ─▶ (the lead runs the run, the others serve it) ─▶ over
 *                                             ▲ │
 *                                             └─┘ another assignment: others were placed anew
 *
 * Its supervisor connects to `/control` and says what the assignment is; when that connection ends, the worker goes on as it is. Other workers connect to
 * `/link`. The worker that has executor 0 is the lead: it has the run, and the others' executors are sites of its crew.
 */
import { CellLayout } from '../../engine/cells.ts'
import { CrewOfSites } from '../../engine/crew-of-sites.ts'
import { ErrorLog } from '../../engine/error-log.ts'
import { startRunWith } from '../../engine/run.ts'
import type { CrewOptions } from '../../engine/run.ts'
import type { Run, RunResult } from '../../engine/run-types.ts'
import type { Site } from '../../engine/site.ts'
import { SquallError, inShort } from '../../errors.ts'
import { realClock } from '../../std/clock.ts'
import { placeTasks, planTopology } from '../../topology/plan.ts'
import type { Snapshot } from '../../metrics/snapshot.ts'
import { importTopology } from '../../topology/load/load.ts'
import { draftOf } from '../../topology/draft.ts'
import type { TopologyDefinition } from '../../topology/draft.ts'
import { countsOf } from '../counts.ts'
import { countedMax } from '../records.ts'
import type { Assignment, FromWorker, Launch, Outcome, Positions } from './assignment.ts'
import { ExecutorDeaths } from './executor-deaths.ts'
import type { Peer, Peers } from './peers.ts'
import { RemoteSite } from './remote-site.ts'
import { Share } from './share.ts'
import type { Counts } from './share.ts'
import { SiteHost } from './site-host.ts'
import type { Words } from './words.ts'

/** How long the end of a run takes its lead, about, besides what it lets be done. */
const leadMs = 1_500
/** An error that comes again is told in full so often, and counted meanwhile. */
const errorsMs = 60_000

/** Whoever has the process. */
interface WorkerEars {
  /** for its supervisor */
  readonly tell: (words: FromWorker) => void
  /** The process is to end. */
  readonly failed: (error: SquallError) => void
}

export class Worker {
  readonly #launch: Launch
  readonly #definition: TopologyDefinition
  readonly #peers: Peers
  readonly #ears: WorkerEars
  readonly #deaths: ExecutorDeaths
  #assignment: Assignment | undefined
  #part: Lead | Member | undefined
  #state: 'starting' | 'running' | 'stopping' = 'starting'

  private constructor(launch: Launch, definition: TopologyDefinition, peers: Peers, ears: WorkerEars) {
    this.#launch = launch
    this.#definition = definition
    this.#peers = peers
    this.#ears = ears
    this.#deaths = new ExecutorDeaths(realClock, ears.failed)
  }

  static async open(launch: Launch, peers: Peers, ears: WorkerEars): Promise<Worker> {
    return new Worker(launch, await importTopology(launch.module), peers, ears)
  }

  /** What its supervisor says; an older one than is known says nothing, the same again may know where more workers are. */
  async assign(assignment: Assignment, positions: Positions): Promise<void> {
    const before = this.#assignment
    if (before !== undefined && assignment.epoch < before.epoch) return
    this.#assignment = assignment
    this.#peers.assign(assignment.workers)
    if (this.#part === undefined) await this.#join(assignment, positions)
    else await this.#part.assign(assignment)
  }

  async stop(drainMs: number): Promise<void> {
    this.#state = 'stopping'
    await this.#part?.stop(drainMs)
  }

  beat(): FromWorker {
    return {
      kind: 'beat',
      pid: process.pid,
      epoch: this.#assignment?.epoch ?? 0,
      state: this.#state,
      positions: this.#part?.positions ?? {},
      rssBytes: process.memoryUsage.rss(),
      executors: this.#deaths.said,
    }
  }

  snapshot(): unknown {
    return this.#part instanceof Lead ? this.#part.run?.snapshot() : undefined
  }

  async #join(assignment: Assignment, positions: Positions): Promise<void> {
    const place = assignment.workers.find(({ worker }) => worker === this.#launch.worker)
    if (place === undefined) return
    const share = new Share(this.#launch, this.#definition, assignment, positions, this.#peers, this.#deaths)
    this.#part = place.executors.includes(0) ? new Lead(share, (outcome) => this.#ears.tell({ kind: 'over', outcome })) : new Member(share)
    await this.#part.begin()
    // it may have been told to stop meanwhile
    if (this.#state === 'starting') this.#state = 'running'
  }
}

/** The lead: has the run, its own executors, and those of all others as sites. */
class Lead {
  run: Run | undefined
  readonly #share: Share
  readonly #over: (outcome: Outcome) => void
  readonly #sites = new Map<number, Site>()
  #crew: CrewOfSites | undefined
  #newSite: (worker: number, executors: readonly number[]) => RemoteSite = () => {
    throw new Error('there is no run yet')
  }
  /** settles when there is a crew: who runs what can change before all have started */
  #made: () => void = () => undefined
  #changing: Promise<void> = new Promise((resolve) => (this.#made = resolve))
  #activating: Promise<void> = Promise.resolve()
  #counts: Counts | undefined
  #isActive: boolean

  constructor(share: Share, over: (outcome: Outcome) => void) {
    this.#share = share
    this.#over = over
    this.#isActive = share.assignment.isActive
  }

  begin(): Promise<void> {
    const begun = this.#begin()
    // whoever asked for it is told when it cannot begin
    this.#activating = begun.catch(() => undefined)
    return begun
  }

  async #begin(): Promise<void> {
    const { assignment, positions, launch, runnable, relay } = this.#share
    void relay.run()
    const errors = new ErrorLog({ level: 'info' })
    const run = await startRunWith((options) => Promise.resolve(this.#crewOf(options)), runnable, {
      params: launch.params,
      config: launch.config,
      executors: assignment.executors,
      inactive: !assignment.isActive,
      positions,
      log: { level: 'info' },
      onError: (error) => errors.add(error),
    })
    this.run = run
    const summing = setInterval(() => errors.summarize(), errorsMs)
    void run.done.then((result) => {
      clearInterval(summing)
      errors.summarize()
      if (result.error !== undefined) errors.fatal(result.error)
      this.#over(outcomeOf(result, run.snapshot()))
    })
  }

  /** Others were placed anew, or spouts shall rest or work: one change after the other, and none that is outdated when its turn comes. */
  assign(assignment: Assignment): Promise<void> {
    this.#share.assignment = assignment
    this.#share.fence(assignment)
    for (const worker of this.#sites.keys()) if (!assignment.workers.some((place) => place.worker === worker)) this.#remote(worker)?.leave()
    const isOutdated = (): boolean => this.#share.assignment !== assignment
    this.#changing = this.#changing.then(() => (isOutdated() ? undefined : this.#place(assignment)))
    this.#activating = Promise.all([this.#activating, this.#changing]).then(async () => {
      const { isActive } = assignment
      if (isOutdated() || isActive === this.#isActive) return
      this.#isActive = isActive
      await (isActive ? this.run?.activate() : this.run?.deactivate())
    })
    return this.#activating
  }

  async stop(drainMs: number): Promise<void> {
    await this.run?.stop(drainMs)
    this.#share.relay.stop()
  }

  get positions(): Positions {
    return this.#share.positionsOf(this.#counts)
  }

  #crewOf(options: CrewOptions): CrewOfSites {
    const { words, assignment, launch, peers, workerOf } = this.#share
    const { plan, placement, cells } = options
    this.#counts = { plan, layout: new CellLayout(plan), cells, placement }
    this.#crew = new CrewOfSites({
      ...options,
      words,
      bearsLosses: true,
      sites: (ears) => {
        this.#newSite = (worker, executors) => {
          const peer = peers.peer(worker)
          const send = (message: Uint8Array): void => peer.send(message)
          const site = new RemoteSite({ worker, executors, plan, placement, cells, words, ears, workerOf, send })
          this.#sites.set(worker, site)
          this.#share.hear(peer, this)
          return site
        }
        for (const { worker, executors } of assignment.workers)
          if (worker === launch.worker) this.#sites.set(worker, this.#share.threads(options, ears))
          else this.#newSite(worker, executors)
        return [...this.#sites.values()]
      },
    })
    this.#made()
    return this.#crew
  }

  async #place(assignment: Assignment): Promise<void> {
    const { workers } = assignment
    const { launch, have } = this.#share
    const placings = workers.map(({ worker, executors }) => ({ site: this.#siteFor(worker), executors }))
    await this.#crew?.place(placings, () => {
      this.#share.place(assignment)
      for (const { worker, executors } of workers) if (worker === launch.worker) have(executors)
    })
    for (const worker of this.#sites.keys()) if (!workers.some((place) => place.worker === worker)) this.#sites.delete(worker)
  }

  #siteFor(worker: number): Site {
    return this.#remote(worker)?.isLeaving === true ? this.#newSite(worker, []) : (this.#sites.get(worker) ?? this.#newSite(worker, []))
  }

  #remote(worker: number): RemoteSite | undefined {
    const site = this.#sites.get(worker)
    return site instanceof RemoteSite ? site : undefined
  }

  heard({ worker }: Peer, words: Words): void {
    this.#remote(worker)?.hear(words)
  }

  heardCells({ worker }: Peer, cells: Float64Array): void {
    this.#remote(worker)?.heardCells(cells)
  }

  renewed({ worker }: Peer): void {
    this.#remote(worker)?.renewed()
  }
}

/** A worker without executor 0: does what the lead says. */
class Member {
  readonly #share: Share
  #host: SiteHost | undefined
  #counts: Counts | undefined

  constructor(share: Share) {
    this.#share = share
  }

  begin(): Promise<void> {
    const { assignment, launch, runnable, relay, here, words, peers, lead, have, placed } = this.#share
    void relay.run()
    const plan = planTopology(draftOf(runnable, launch.params), launch.config, assignment.executors)
    const placement = placeTasks(plan, assignment.executors)
    const layout = new CellLayout(plan)
    const cells = layout.allocate(true)
    this.#counts = { plan, layout, cells, placement }
    const peer = peers.peer(lead)
    const host = new SiteHost({
      executors: here,
      plan,
      placement,
      cells,
      words,
      have,
      placed,
      site: (ears) =>
        this.#share.threads(
          {
            plan,
            runnable,
            options: { params: launch.params, config: launch.config, log: { level: 'info' } },
            placement,
            executors: assignment.executors,
            cells,
          },
          ears,
        ),
      send: (message) => peer.send(message),
      tell: (message) => peer.tell(message),
    })
    this.#host = host
    return this.assign(assignment)
  }

  /** What is to be done the lead says; here it is others that are heard from now on. */
  assign(assignment: Assignment): Promise<void> {
    this.#share.fence(assignment)
    for (const other of this.#share.peers.all) this.#share.hear(other, this)
    return Promise.resolve()
  }

  /** The lead ends what is here when its run is over; one that does not come to it is not waited for. */
  async stop(drainMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const patience = new Promise<void>((resolve) => (timer = setTimeout(resolve, drainMs + leadMs)))
    await Promise.race([this.#host?.ended, patience])
    clearTimeout(timer)
    await this.#host?.end()
    this.#share.relay.stop()
  }

  get positions(): Positions {
    return this.#share.positionsOf(this.#counts)
  }

  heard(_: Peer, words: Words): void {
    this.#host?.hear(words)
  }

  heardCells(_: Peer, cells: Float64Array): void {
    this.#host?.heardCells(cells)
  }

  renewed(peer: Peer): void {
    if (peer.worker === this.#share.lead) this.#host?.renewed()
  }
}

function outcomeOf({ state, seconds, emitted, acked, failed, expired, replayed, deadLettered, error }: RunResult, last: Snapshot): Outcome {
  const components = [...countsOf(last)].slice(0, countedMax).map(([id, counts]) => ({ id, counts }))
  const totals = { emitted, acked, failed, expired, replayed, deadLettered }
  return {
    state,
    seconds,
    ...totals,
    components,
    ...(error instanceof SquallError && { error: { code: error.code, message: inShort(error) } }),
  }
}
