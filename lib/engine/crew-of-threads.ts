/**
 * Several executors, each in a thread of its own, joined by rings in shared memory. This thread only commands: it moves no
 * tuples, so a live table or a slow terminal costs the executors nothing.
 *
 * A thread that dies is started anew: it gets fresh rings, its spouts go on from where they said (`savePosition`), and the
 * other executors fail every tree they have under way, for each may have had a part in the dead one.
 */
import { SquallError, errorFrom } from '../errors.ts'
import { executorThread } from '../std/threads.ts'
import { createRing } from '../wire/ring.ts'
import { Deaths } from './deaths.ts'
import { systemRingBytes } from './link.ts'
import { QuietSign, areAllQuiet } from './quiet.ts'
import type { Crew, CrewOptions } from './run.ts'
import { executorFailed } from './strays.ts'
import { Thread } from './thread.ts'
import { heldUpNumber } from './thread-messages.ts'
import type { FromThread, Rings, SharedWords, ThreadData, ToThread } from './thread-messages.ts'

/** How often this thread looks whether all is quiet. */
const lookMs = 2

export class CrewOfThreads implements Crew {
  readonly #deaths: Deaths
  readonly #options: CrewOptions
  readonly #shared: SharedWords
  /** rings from i to j at i * n + j */
  readonly #rings: (Rings | undefined)[]
  readonly #threads: Thread[] = []
  #hasStarted = false
  #isActive = false
  /** the run is to end: who dies now is not started anew */
  #isEnding = false
  /** executors being started anew */
  #restarting = 0

  constructor(options: CrewOptions) {
    this.#options = options
    this.#deaths = new Deaths(options)
    const { executors: n } = options
    const words = (count: number): Int32Array => new Int32Array(new SharedArrayBuffer(count * 4))
    this.#shared = {
      wake: words(n),
      pressure: words(n),
      heldUp: words(n * 2),
      quiet: { generation: words(n), sent: words(n * n), received: words(n * n) },
    }
    this.#rings = Array.from({ length: n * n }, (_, at) => (Math.floor(at / n) === at % n ? undefined : this.#newRings()))
  }

  async start(): Promise<void> {
    for (let index = 0; index < this.#options.executors; index++) this.#threads.push(this.#newThread(index))
    await Promise.all(this.#threads.map((thread) => thread.ask({ kind: 'start' })))
    this.#hasStarted = true
  }

  async setActive(isActive: boolean): Promise<void> {
    this.#isActive = isActive
    // a thread that is gone is started anew, and told then
    await settled(this.#threads.map((thread) => thread.ask({ kind: isActive ? 'activate' : 'deactivate' }).catch(unlessDead)))
  }

  async quiet(): Promise<void> {
    while (!this.#isEnding && !this.#isQuiet) await new Promise((resolve) => setTimeout(resolve, lookMs))
  }

  async finish(component: number): Promise<void> {
    this.#deaths.isFinishing = true
    await settled(this.#threads.map((thread) => thread.ask({ kind: 'finish', component })))
  }

  async close(): Promise<void> {
    this.#isEnding = true
    const alive = this.#threads.filter(({ isOver }) => !isOver)
    await settled(alive.map((thread) => thread.ask({ kind: 'close' })))
  }

  async end(): Promise<void> {
    this.#isEnding = true
    await Promise.all(this.#threads.map((thread) => thread.end()))
  }

  kill(executor: number): void {
    void this.#threads[executor]?.end()
  }

  get restarts(): number {
    return this.#deaths.restarts
  }

  get counters(): Deaths['counters'] {
    return this.#deaths.counters
  }

  get silent(): readonly number[] {
    return this.#threads.flatMap((thread, executor) => (thread.isBusy ? [executor] : []))
  }

  get heldUp(): number | undefined {
    if (!this.#hasStarted || this.#restarting > 0) return undefined
    const at = (word: number): number => Atomics.load(this.#shared.heldUp, word)
    const executors = this.#threads.map((_, index) => ({ state: at(index * 2), over: at(index * 2 + 1) }))
    if (executors.some(({ state }) => state === heldUpNumber.other)) return undefined
    return executors.some(({ state }) => state === heldUpNumber.some) ? executors.reduce((sum, { over }) => sum + over, 0) : undefined
  }

  get #isQuiet(): boolean {
    return this.#hasStarted && this.#restarting === 0 && areAllQuiet(this.#shared.quiet)
  }

  #newRings(): Rings {
    const bytes = 2 ** Math.ceil(Math.log2(this.#options.plan.config.ringBytes))
    return { data: createRing(bytes), system: createRing(systemRingBytes) }
  }

  #newThread(index: number): Thread {
    const { runnable, options, placement, executors: n, seed, cells } = this.#options
    const data: ThreadData = {
      thread: executorThread,
      module: runnable.module as string,
      params: options.params ?? {},
      config: options.config ?? {},
      log: options.log ?? {},
      index,
      placement,
      seed: seed + this.restarts,
      cells,
      shared: this.#shared,
      to: Array.from({ length: n }, (_, other) => this.#rings[index * n + other]),
      from: Array.from({ length: n }, (_, other) => this.#rings[other * n + index]),
    }
    return new Thread(data, {
      message: (message) => this.#hear(message),
      died: (reason) => void this.#revive(index, reason),
    })
  }

  #hear(message: FromThread): void {
    if (message.kind === 'error') this.#options.onError(message.error)
    else if (message.kind === 'fatal') this.#fatal(errorFrom(message.error))
    else if (message.kind === 'counters') this.#deaths.count(message.counters)
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
    const { executors: n } = this.#options
    this.#restarting++
    try {
      this.#forget(index)
      for (let other = 0; other < n; other++) {
        if (other === index) continue
        this.#rings[index * n + other] = this.#newRings()
        this.#rings[other * n + index] = this.#newRings()
      }
      // the others let go of the old rings before anyone writes into the new ones
      await this.#tellOthers(index, (other) => {
        const [to, from] = [this.#rings[other * n + index], this.#rings[index * n + other]]
        return to && from && { kind: 'reconnect', other: index, to, from }
      })
      // only now, for until then any of them could still hand a part of anyone's tree to the dead one
      await this.#tellOthers(index, () => ({ kind: 'lost', other: index }))
      if (this.#isEnding) return
      const thread = this.#newThread(index)
      this.#threads[index] = thread
      await thread.ask({ kind: 'start' })
      if (this.#isActive) await thread.ask({ kind: 'activate' })
    } catch (error) {
      // one that died again is started anew again
      if (!this.#isEnding && !isDead(error)) this.#fatal(executorFailed(error))
    } finally {
      this.#restarting--
    }
  }

  /** Settles when all others have done it. One that dies meanwhile is no matter: it is started anew as well, and told then. */
  async #tellOthers(index: number, message: (other: number) => ToThread | undefined): Promise<void> {
    await settled(
      this.#threads.flatMap((thread, other) => {
        const own = other === index ? undefined : message(other)
        return own === undefined ? [] : [thread.ask(own).catch(unlessDead)]
      }),
    )
  }

  #forget(index: number): void {
    this.#deaths.forget(index)
    Atomics.store(this.#shared.pressure, index, 0)
    Atomics.store(this.#shared.heldUp, index * 2, heldUpNumber.other)
    new QuietSign(this.#shared.quiet, index).retract()
  }
}

/** Settles when all have; rejects with the first fault. */
async function settled(answers: readonly Promise<void>[]): Promise<void> {
  for (const answer of await Promise.allSettled(answers)) if (answer.status === 'rejected') throw answer.reason
}

function isDead(error: unknown): boolean {
  return error instanceof SquallError && error.code === 'executor-died'
}

function unlessDead(error: unknown): void {
  if (!isDead(error)) throw error
}
