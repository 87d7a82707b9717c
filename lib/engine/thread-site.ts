/**
 * The executors of this process, each in a thread of its own, joined by rings in shared memory. The thread that has the site only commands:
 * a live table or a slow terminal costs the executors nothing.
 *
 * Rings to and from executors of other processes end at a relay, which moves their frames (`relay`).
 */
import { executorThread } from '../std/threads.ts'
import { createRing } from '../wire/ring.ts'
import { forgetTasks } from './deaths.ts'
import { systemRingBytes } from './link.ts'
import { QuietSign } from './quiet.ts'
import type { CrewOptions } from './run.ts'
import type { Site, SiteEars, SiteState } from './site.ts'
import { Thread, isDead } from './thread.ts'
import { heldUpNumber } from './thread-messages.ts'
import type { Prelude, Rings, SharedWords, ThreadData, ToThread } from './thread-messages.ts'

/** What moves frames between the executors of this process and those of others. */
export interface Relay {
  /** From now on these are the rings between `here` and `there`, the `number`th of the run: `out` is read by the relay, `back` written. */
  connect(here: number, there: number, out: Rings, back: Rings, number: number): void
}

export interface ThreadSiteOptions extends Pick<CrewOptions, 'plan' | 'runnable' | 'options' | 'placement' | 'executors' | 'cells'> {
  /** the executors that are here */
  readonly here: readonly number[]
  readonly words: SharedWords
  /** the seed of an executor that starts now */
  readonly seed: () => number
  readonly ears: SiteEars
  readonly relay?: Relay
  readonly prelude?: Prelude | undefined
}

export class ThreadSite implements Site {
  executors: readonly number[]
  readonly #options: ThreadSiteOptions
  /** from i to j at i * n + j, where one of them is here */
  readonly #rings: (Rings | undefined)[]
  readonly #threads = new Map<number, Thread>()
  /** which lanes of the run are made now */
  #lanes = 1

  constructor(options: ThreadSiteOptions) {
    this.#options = options
    this.executors = options.here
    this.#rings = Array.from({ length: options.executors ** 2 }, () => undefined)
    for (let one = 0; one < options.executors; one++) for (let other = 0; other < one; other++) this.#join(one, other)
  }

  meet(): Promise<SiteState> {
    return Promise.resolve({ running: this.#alive, lanes: this.#lanes })
  }

  adopt(executors: readonly number[]): Promise<void> {
    this.executors = executors
    return Promise.resolve()
  }

  async drop(executors: readonly number[]): Promise<void> {
    const leaving = executors.flatMap((index) => this.#threads.get(index) ?? [])
    for (const index of executors) this.#threads.delete(index)
    this.executors = this.executors.filter((index) => !executors.includes(index))
    await settled(leaving.map((thread) => thread.ask({ kind: 'close' }).catch(unlessDead)))
    for (const thread of leaving) await thread.end()
  }

  async start(executors: readonly number[]): Promise<void> {
    const fresh = executors.filter((index) => this.#threads.get(index)?.isOver !== false)
    for (const index of fresh) this.#threads.set(index, this.#newThread(index))
    await this.#ask(fresh, { kind: 'start' })
  }

  async setActive(isActive: boolean): Promise<void> {
    // a thread that is gone is started anew, and told then
    await this.#ask(this.#alive, { kind: isActive ? 'activate' : 'deactivate' }, unlessDead)
  }

  async finish(component: number): Promise<void> {
    await this.#ask(this.executors, { kind: 'finish', component })
  }

  async renew(executors: readonly number[], number: number): Promise<void> {
    this.#lanes = number
    const { words, executors: n } = this.#options
    for (const index of executors) {
      // what the old one said of itself no longer holds
      Atomics.store(words.pressure, index, 0)
      if (this.#isHere(index)) this.#forget(index)
      for (let other = 0; other < n; other++) if (other !== index) this.#join(index, other)
    }
    // the others let go of the old rings before anyone writes into the new ones
    await this.#tellOthers(executors, (here, other) => {
      const [to, from] = [this.#rings[here * n + other], this.#rings[other * n + here]]
      return to && from && { kind: 'reconnect', other, to, from, wake: this.#wakeOf(other) }
    })
  }

  async lose(executors: readonly number[]): Promise<void> {
    await this.#tellOthers(executors, (_, other) => ({ kind: 'lost', other }))
  }

  async close(): Promise<void> {
    await this.#ask(this.#alive, { kind: 'close' })
  }

  async end(): Promise<void> {
    await Promise.all([...this.#threads.values()].map((thread) => thread.end()))
  }

  kill(executor: number): void {
    void this.#threads.get(executor)?.end()
  }

  get silent(): readonly number[] {
    return [...this.#threads].flatMap(([executor, thread]) => (thread.isBusy ? [executor] : []))
  }

  get #alive(): readonly number[] {
    return [...this.#threads].flatMap(([executor, thread]) => (thread.isOver ? [] : [executor]))
  }

  #isHere(executor: number): boolean {
    return this.executors.includes(executor)
  }

  /** The word that wakes whoever reads what is for an executor: the relay has the one after those of the executors. */
  #wakeOf(executor: number): number {
    return this.#isHere(executor) ? executor : this.#options.executors
  }

  /** New rings both ways, if one of the two is here. */
  #join(one: number, other: number): void {
    const { executors: n, relay } = this.#options
    if (!this.#isHere(one) && !this.#isHere(other)) return
    const [there, back] = [this.#newRings(), this.#newRings()]
    this.#rings[one * n + other] = there
    this.#rings[other * n + one] = back
    if (!this.#isHere(other)) relay?.connect(one, other, there, back, this.#lanes)
    else if (!this.#isHere(one)) relay?.connect(other, one, back, there, this.#lanes)
  }

  #newRings(): Rings {
    const bytes = 2 ** Math.ceil(Math.log2(this.#options.plan.config.ringBytes))
    return { data: createRing(bytes), system: createRing(systemRingBytes) }
  }

  #newThread(index: number): Thread {
    const { runnable, options, placement, executors: n, cells, words, ears, seed, prelude } = this.#options
    const data: ThreadData = {
      thread: executorThread,
      module: runnable.module as string,
      name: runnable.name,
      params: options.params ?? {},
      config: options.config ?? {},
      log: options.log ?? {},
      index,
      prelude,
      placement,
      seed: seed(),
      cells,
      shared: words,
      wakes: Array.from({ length: n }, (_, other) => this.#wakeOf(other)),
      to: Array.from({ length: n }, (_, other) => this.#rings[index * n + other]),
      from: Array.from({ length: n }, (_, other) => this.#rings[other * n + index]),
    }
    const thread = new Thread(data, {
      message: (message) => ears.said(message),
      // one that was dropped is no loss
      died: (reason) => this.#threads.get(index) === thread && ears.died([index], reason, 'thread'),
    })
    return thread
  }

  #forget(index: number): void {
    const { words, plan, placement, cells } = this.#options
    forgetTasks(plan, placement, cells, index)
    Atomics.store(words.heldUp, index * 2, heldUpNumber.other)
    new QuietSign(words.quiet, index).retract()
  }

  /** Settles when all have; rejects with the first fault. */
  async #ask(executors: readonly number[], message: ToThread, pardon?: (error: unknown) => void): Promise<void> {
    const asked = executors.map((index) => this.#threads.get(index)?.ask(message))
    await settled(pardon === undefined ? asked : asked.map((answer) => answer?.catch(pardon)))
  }

  /** Settles when all others here have done it. One that dies meanwhile is no matter: it is started anew as well, and told then. */
  async #tellOthers(executors: readonly number[], message: (here: number, other: number) => ToThread | undefined): Promise<void> {
    const working = this.#alive.filter((here) => !executors.includes(here))
    await settled(
      working.flatMap((here) =>
        executors.map((other) => {
          const own = message(here, other)
          return own === undefined ? undefined : this.#threads.get(here)?.ask(own).catch(unlessDead)
        }),
      ),
    )
  }
}

/** Settles when all have; rejects with the first fault. */
export async function settled(answers: readonly (Promise<void> | undefined)[]): Promise<void> {
  for (const answer of await Promise.allSettled(answers.filter((one) => one !== undefined)))
    if (answer.status === 'rejected') throw answer.reason
}

export function unlessDead(error: unknown): void {
  if (!isDead(error)) throw error
}
