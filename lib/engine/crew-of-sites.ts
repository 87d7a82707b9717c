/**
 * The executors of a run in threads: those of this process, and on a cluster those of others.
 *
 * An executor that dies is started anew: everyone gets fresh lanes to it, then all fail every tree they have under way, for each may
 * have had a part in the dead one; then it starts, and its spouts go on from where they said (`savePosition`).
 */
import { SquallError, errorFrom } from '../errors.ts'
import { Deaths } from './deaths.ts'
import { areAllQuiet } from './quiet.ts'
import type { Crew, CrewOptions } from './run.ts'
import type { Site, SiteEars } from './site.ts'
import { executorFailed } from './strays.ts'
import { isDead } from './thread.ts'
import { settled } from './thread-site.ts'
import { heldUpNumber } from './thread-messages.ts'
import type { SharedWords } from './thread-messages.ts'

/** How often this thread looks whether all is quiet. */
const lookMs = 2

export class CrewOfSites implements Crew {
  readonly #deaths: Deaths
  readonly #options: CrewOptions
  readonly #words: SharedWords
  readonly #sites: readonly Site[]
  #hasStarted = false
  #isActive = false
  /** the run is to end: who dies now is not started anew */
  #isEnding = false
  /** executors being started anew */
  #restarting = 0

  constructor(options: CrewOptions, words: SharedWords, sitesOf: (ears: SiteEars) => readonly Site[]) {
    this.#options = options
    this.#words = words
    this.#deaths = new Deaths(options)
    this.#sites = sitesOf({
      said: (message) => {
        if (message.kind === 'error') options.onError(message.error)
        else if (message.kind === 'fatal') this.#fatal(errorFrom(message.error))
        else this.#deaths.count(message.counters)
      },
      died: (executor, reason) => void this.#revive(executor, reason),
    })
  }

  async start(): Promise<void> {
    await this.#all((site) => site.start(site.executors))
    this.#hasStarted = true
  }

  async setActive(isActive: boolean): Promise<void> {
    this.#isActive = isActive
    await this.#all((site) => site.setActive(isActive))
  }

  async quiet(): Promise<void> {
    while (!this.#isEnding && !this.#isQuiet) await new Promise((resolve) => setTimeout(resolve, lookMs))
  }

  async finish(component: number): Promise<void> {
    this.#deaths.isFinishing = true
    await this.#all((site) => site.finish(component))
  }

  async close(): Promise<void> {
    this.#isEnding = true
    await this.#all((site) => site.close())
  }

  async end(): Promise<void> {
    this.#isEnding = true
    await this.#all((site) => site.end())
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
    const at = (word: number): number => Atomics.load(this.#words.heldUp, word)
    const executors = Array.from({ length: this.#options.executors }, (_, index) => ({ state: at(index * 2), over: at(index * 2 + 1) }))
    if (executors.some(({ state }) => state === heldUpNumber.other)) return undefined
    return executors.some(({ state }) => state === heldUpNumber.some) ? executors.reduce((sum, { over }) => sum + over, 0) : undefined
  }

  get #isQuiet(): boolean {
    return this.#hasStarted && this.#restarting === 0 && areAllQuiet(this.#words.quiet)
  }

  #siteOf(executor: number): Site | undefined {
    return this.#sites.find(({ executors }) => executors.includes(executor))
  }

  async #all(act: (site: Site) => Promise<void>): Promise<void> {
    await settled(this.#sites.map(act))
  }

  #fatal(error: SquallError): void {
    this.#isEnding = true
    this.#options.onFatal(error)
  }

  async #revive(index: number, reason: string): Promise<void> {
    // who asked for its start is told
    if (this.#isEnding || !this.#hasStarted) return
    const error = this.#deaths.note(index, reason)
    if (error !== undefined) {
      this.#fatal(error)
      return
    }
    this.#restarting++
    try {
      this.#deaths.forget(index)
      await this.#all((site) => site.renew([index]))
      // only now, for until then any of them could still hand a part of anyone's tree to the dead one
      await this.#all((site) => site.lose([index]))
      if (this.#isEnding) return
      const site = this.#siteOf(index)
      await site?.start([index])
      if (this.#isActive) await site?.setActive(true)
    } catch (error) {
      // one that died again is started anew again
      if (!this.#isEnding && !isDead(error)) this.#fatal(executorFailed(error))
    } finally {
      this.#restarting--
    }
  }
}
