/**
 * The executors of a run in threads: those of this process, and on a cluster those of other workers.
 *
 * An executor that dies is started anew: everyone gets fresh lanes to it, then all fail every tree they have under way, for each may
 * have had a part in the dead one; then it starts, and its spouts go on from where they said (`savePosition`). On a cluster, where as many may die as will,
 * one that dies again waits longer each time before it starts.
 */
import { errorFrom } from '../errors.ts'
import type { SquallError } from '../errors.ts'
import { CellLayout, cell } from './cells.ts'
import { Deaths } from './deaths.ts'
import { areAllQuiet } from './quiet.ts'
import type { Crew, CrewOptions } from './run.ts'
import type { Site, SiteEars } from './site.ts'
import { executorFailed } from './strays.ts'
import { isDead } from './thread.ts'
import { settled, unlessDead } from './thread-site.ts'
import { heldUpNumber } from './thread-messages.ts'
import type { SharedWords } from './thread-messages.ts'

/** How often this thread looks whether all is quiet. */
const lookMs = 2
/** A run that has gone on for long may end a hundredth of that later, and no more than this: each look wakes the thread. */
const lookMaxMs = 50

export interface SitesOptions extends CrewOptions {
  readonly words: SharedWords
  /** other processes may be lost and started again by others, as often as it takes */
  readonly bearsLosses?: boolean
  readonly sites: (ears: SiteEars) => readonly Site[]
}

/** Where executors go: a site that there is or a new one, and those that it shall have. */
export interface Placing {
  readonly site: Site
  readonly executors: readonly number[]
}

/** How long executors that move wait for what is under way. */
const pauseMs = 2_000

export class CrewOfSites implements Crew {
  readonly #deaths: Deaths
  readonly #options: SitesOptions
  #sites: readonly Site[]
  #lanes = 1
  /** all were tried to be started, for better or worse */
  #tried: Promise<void> = Promise.resolve()
  /** executors were moved */
  #placing: Promise<void> = Promise.resolve()
  #hasStarted = false
  /** executors are elsewhere than at first */
  #hasMoved = false
  #isActive = false
  /** the run is to end: who dies now is not started anew */
  #isEnding = false
  /** executors being started anew, or moved */
  #restarting = 0
  /** executors that have fresh lanes and do not run yet; whoever said so last starts them */
  readonly #toStart = new Map<number, symbol>()
  /** executors leave where they are: those that die meanwhile are started with them */
  #areLeaving = false
  /** how long to wait until all are started again, for some died while they were: `undefined` if none did */
  #lostMs: number | undefined

  constructor(options: SitesOptions) {
    this.#options = options
    this.#deaths = new Deaths(options, options.bearsLosses)
    this.#sites = options.sites({
      said: (word) => {
        if (word.kind === 'error') options.onError(word.error)
        else if (word.kind === 'fatal') this.#fatal(errorFrom(word.error))
        else this.#deaths.count(word.counters)
      },
      died: (executors, reason, of) => void this.#revive(executors, reason, of === 'thread'),
    })
  }

  async start(): Promise<void> {
    while (!this.#hasStarted && !this.#isEnding) {
      for (let placing: unknown; placing !== this.#placing; await placing) placing = this.#placing
      this.#tried = this.#tryToStart()
      await this.#tried
      if (!this.#hasStarted) await pause(this.#lostMs ?? 0)
    }
  }

  async #tryToStart(): Promise<void> {
    this.#lostMs = undefined
    try {
      await this.#startAll()
      this.#hasStarted = this.#options.bearsLosses !== true || this.#lostMs === undefined
    } catch (error) {
      // whoever died while all were starting will be there again, or others will
      if (this.#options.bearsLosses !== true || !isDead(error)) throw error
    }
  }

  async #startAll(): Promise<void> {
    const states = await Promise.all(this.#sites.map((site) => site.meet()))
    this.#lanes = Math.max(...states.map(({ lanes }) => lanes))
    const running = new Set<number>()
    for (const [place, site] of this.#sites.entries()) {
      const [own, strays] = parted(states[place]?.running ?? [], (executor) => site.executors.includes(executor))
      for (const executor of own) running.add(executor)
      // whoever led before was about to move them
      if (strays.length > 0) await site.drop(strays)
    }
    // and was told of another assignment, perhaps, than the site was
    await this.#all((site) => site.adopt(site.executors))
    // lanes of a site that served another lead have another number than those of one that is new, and may hold what that lead has sent; and
    // between executors that came together before they began there are none
    if (this.#sites.length > 1 || this.#hasMoved) await this.#renew(this.#executors.filter((executor) => !running.has(executor)))
    await this.#all((site) => site.start(site.executors))
  }

  async setActive(isActive: boolean): Promise<void> {
    this.#isActive = isActive
    await this.#all((site) => site.setActive(isActive).catch(unlessDead)) // who is gone is started anew, and told then
  }

  async quiet(): Promise<void> {
    const { clock } = this.#options
    const sinceMs = clock.now()
    while (!this.#isEnding && !this.#isQuiet) {
      const ms = Math.max(lookMs, Math.min(lookMaxMs, (clock.now() - sinceMs) / 100))
      await pause(ms)
    }
  }

  async finish(component: number): Promise<void> {
    this.#deaths.isFinishing = true
    await this.#all((site) => site.finish(component).catch(this.#unlessBorne))
  }

  async close(): Promise<void> {
    this.#isEnding = true
    await this.#all((site) => site.close().catch(this.#unlessBorne))
  }

  async end(): Promise<void> {
    this.#isEnding = true
    await this.#all((site) => site.end().catch(this.#unlessBorne))
  }

  kill(executor: number): void {
    this.#siteOf(executor)?.kill(executor)
  }

  get restarts(): number {
    return this.#deaths.restarts
  }

  get counters(): Deaths['counters'] {
    return this.#deaths.counters
  }

  get silent(): readonly number[] {
    return this.#sites.flatMap(({ silent }) => silent)
  }

  get heldUp(): number | undefined {
    if (!this.#hasStarted || this.#restarting > 0) return undefined
    const at = (word: number): number => Atomics.load(this.#options.words.heldUp, word)
    const executors = this.#executors.map((index) => ({ state: at(index * 2), over: at(index * 2 + 1) }))
    if (executors.some(({ state }) => state === heldUpNumber.other)) return undefined
    return executors.some(({ state }) => state === heldUpNumber.some) ? executors.reduce((sum, { over }) => sum + over, 0) : undefined
  }

  /**
   * Moves executors between sites; those that stay where they are go on, and fail what they had under way with those that move. Sites without any
   * are let go. `left` is called when they have left where they were and have begun nowhere yet. To be called again only when it is done.
   */
  place(placings: readonly Placing[], left: () => void): Promise<void> {
    const placed = this.#place(placings, left)
    this.#placing = placed.catch(() => undefined)
    return placed
  }

  async #place(placings: readonly Placing[], left: () => void): Promise<void> {
    // while all start nobody moves; when that fails, for who was to start was taken away, they move before it is tried again
    await this.#tried.catch(() => undefined)
    const moved = placings.flatMap(({ site, executors }) => executors.filter((executor) => this.#siteOf(executor) !== site))
    const gone = this.#sites.filter((site) => !placings.some((placing) => placing.site === site))
    if (this.#isEnding || (moved.length === 0 && gone.length === 0)) return
    this.#restarting++
    this.#areLeaving = true
    try {
      if (this.#isActive) await this.#pause()
      for (const { site, executors } of placings) {
        const leaving = site.executors.filter((executor) => !executors.includes(executor))
        if (leaving.length > 0) await site.drop(leaving).catch(this.#unlessBorne)
      }
      for (const site of gone) await site.close().catch(this.#unlessBorne)
      this.#sites = placings.map(({ site }) => site)
      left()
      await Promise.all(placings.map(({ site, executors }) => site.adopt(executors).catch(this.#unlessBorne)))
      this.#hasMoved = true
      if (!this.#hasStarted) return
      this.#areLeaving = false
      await this.#startAnew([...new Set([...moved, ...this.#toStart.keys()])])
      if (this.#isActive) await this.#all((site) => site.setActive(true).catch(unlessDead))
    } finally {
      this.#areLeaving = false
      this.#restarting--
    }
  }

  /** What is under way may be done before executors move. */
  async #pause(): Promise<void> {
    const { clock, plan, cells } = this.#options
    const layout = new CellLayout(plan)
    const isPending = (): boolean => plan.tasks.some(({ task }) => (cells[layout.head(task) + cell.pending] as number) > 0)
    const startedMs = clock.now()
    await this.#all((site) => site.setActive(false).catch(unlessDead))
    while (isPending() && clock.now() - startedMs < pauseMs) await pause(lookMs)
  }

  get #executors(): readonly number[] {
    return Array.from({ length: this.#options.executors }, (_, index) => index)
  }

  get #isQuiet(): boolean {
    return this.#hasStarted && this.#restarting === 0 && areAllQuiet(this.#options.words.quiet)
  }

  #siteOf(executor: number): Site | undefined {
    return this.#sites.find(({ executors }) => executors.includes(executor))
  }

  /** A process that is lost is another's to start again. */
  readonly #unlessBorne = (error: unknown): void => {
    if (this.#options.bearsLosses !== true) throw error
    unlessDead(error)
  }

  async #all(act: (site: Site) => Promise<void>): Promise<void> {
    await settled(this.#sites.map(act))
  }

  #fatal(error: SquallError): void {
    this.#isEnding = true
    this.#options.onFatal(error)
  }

  async #revive(executors: readonly number[], reason: string, isThread: boolean): Promise<void> {
    if (this.#isEnding) return
    const restMs = isThread ? Math.max(...executors.map((index) => this.#deaths.restMs(index))) : 0
    if (!this.#hasStarted) {
      // who asked for its start is told, unless it had begun
      this.#lostMs = Math.max(this.#lostMs ?? 0, restMs)
      return
    }
    for (const index of executors) {
      const error = this.#deaths.note(index, reason)
      if (error === undefined) continue
      this.#fatal(error)
      return
    }
    this.#restarting++
    try {
      await this.#startAnew(executors, restMs)
    } catch (error) {
      if (!this.#isEnding) this.#fatal(executorFailed(error))
    } finally {
      this.#restarting--
    }
  }

  /** Fresh lanes first, then lost trees, then the executors themselves: those of them that nobody else has begun to start since. */
  async #startAnew(executors: readonly number[], restMs = 0): Promise<void> {
    const ours = Symbol('start')
    for (const index of executors) this.#toStart.set(index, ours)
    if (this.#areLeaving) return
    for (const index of executors) this.#deaths.forget(index)
    await this.#renew(executors)
    if (restMs > 0) await pause(restMs)
    if (this.#isEnding || this.#areLeaving) return
    const due = executors.filter((index) => this.#toStart.get(index) === ours)
    for (const index of due) this.#toStart.delete(index)
    await this.#all(async (site) => {
      const own = due.filter((index) => site.executors.includes(index))
      if (own.length === 0) return
      // one that died again is started anew again
      await site.start(own).catch(unlessDead)
      if (this.#isActive) await site.setActive(true).catch(unlessDead)
    })
  }

  async #renew(executors: readonly number[]): Promise<void> {
    const number = ++this.#lanes
    await this.#all((site) => site.renew(executors, number).catch(unlessDead))
    // only now, for until then any of them could still hand a part of anyone's tree to the dead one
    await this.#all((site) => site.lose(executors).catch(unlessDead))
  }
}

/** Holds no process that has nothing else to do. */
async function pause(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms))
}

function parted<T>(all: readonly T[], isFirst: (one: T) => boolean): [T[], T[]] {
  return [all.filter(isFirst), all.filter((one) => !isFirst(one))]
}
