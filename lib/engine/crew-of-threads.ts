/**
 * Several executors, each in a thread of its own, joined by rings in shared memory. This thread only commands: it moves no
 * tuples, so a live table or a slow terminal costs the executors nothing.
 *
 * A thread that dies is started anew: it gets fresh rings, its spouts go on from where they said (`savePosition`), and the
 * other executors fail every tree they have under way, for each may have had a part in the dead one.
 */
import { Worker } from 'node:worker_threads'
import { SquallError, errorFrom } from '../errors.ts'
import { createRing } from '../wire/ring.ts'
import { CellLayout, cell } from './cells.ts'
import { systemRingBytes } from './link.ts'
import type { Crew, CrewOptions } from './run.ts'
import type { FromThread, Rings, SharedWords, ThreadData, ToThread } from './thread-messages.ts'

/** Room for new objects in each thread; the default is twice this. */
const youngGenerationMb = 24

/** How often this thread looks whether all is quiet, once every executor has said so. */
const lookMs = 2

export class CrewOfThreads implements Crew {
  restarts = 0
  readonly counters = new Map<number, Readonly<Record<string, number>>>()
  readonly #options: CrewOptions
  readonly #shared: SharedWords
  /** rings from i to j at i * n + j */
  readonly #rings: (Rings | undefined)[]
  readonly #threads: Thread[] = []
  #isActive = false
  #isClosing = false
  /** executors being started anew */
  #restarting = 0

  constructor(options: CrewOptions) {
    this.#options = options
    const { executors: n } = options
    const words = (count: number): Int32Array => new Int32Array(new SharedArrayBuffer(count * 4))
    this.#shared = { wake: words(n), pressure: words(n), quiet: words(n), sent: words(n * n), received: words(n * n) }
    this.#rings = Array.from({ length: n * n }, (_, at) => (Math.floor(at / n) === at % n ? undefined : this.#newRings()))
  }

  async start(): Promise<void> {
    for (let index = 0; index < this.#options.executors; index++) this.#threads.push(this.#newThread(index))
    try {
      await this.#everyone({ kind: 'start' })
    } catch (error) {
      this.#isClosing = true
      await Promise.allSettled(this.#threads.map((thread) => thread.ask({ kind: 'close' })))
      await Promise.all(this.#threads.map((thread) => thread.end()))
      throw error
    }
  }

  async setActive(isActive: boolean): Promise<void> {
    this.#isActive = isActive
    await this.#everyone({ kind: isActive ? 'activate' : 'deactivate' })
  }

  async quiet(): Promise<void> {
    while (!this.#isClosing && !this.#isQuiet()) await new Promise((resolve) => setTimeout(resolve, lookMs))
  }

  async finish(component: number): Promise<void> {
    await this.#everyone({ kind: 'finish', component })
  }

  async close(): Promise<void> {
    this.#isClosing = true
    const closed = await Promise.allSettled(this.#threads.map((thread) => thread.ask({ kind: 'close' })))
    await Promise.all(this.#threads.map((thread) => thread.end()))
    const failed = closed.find((one) => one.status === 'rejected')
    if (failed !== undefined) throw failed.reason
  }

  kill(executor: number): void {
    this.#threads[executor]?.kill()
  }

  /**
   * Every executor has nothing to do, and each has taken all the frames that the others say they gave it. What an executor
   * says holds for a moment when it was quiet, so when all of it agrees, nothing is on its way.
   */
  #isQuiet(): boolean {
    const { quiet, sent, received } = this.#shared
    const { executors: n } = this.#options
    if (this.#restarting > 0 || this.#threads.length < n) return false
    for (let i = 0; i < n; i++) {
      if (Atomics.load(quiet, i) === 0) return false
      for (let j = 0; j < n; j++) if (Atomics.load(sent, i * n + j) !== Atomics.load(received, j * n + i)) return false
    }
    return true
  }

  async #everyone(message: ToThread): Promise<void> {
    const answers = await Promise.allSettled(this.#threads.map((thread) => thread.ask(message)))
    for (const answer of answers) if (answer.status === 'rejected') throw answer.reason
  }

  #newRings(): Rings {
    const bytes = 2 ** Math.ceil(Math.log2(this.#options.plan.config.ringBytes))
    return { data: createRing(bytes), system: createRing(systemRingBytes) }
  }

  #newThread(index: number): Thread {
    const { runnable, options, executors: n, seed, cells } = this.#options
    const data: ThreadData = {
      module: runnable.module as string,
      params: options.params ?? {},
      config: options.config ?? {},
      log: options.log ?? {},
      index,
      executors: n,
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
    else if (message.kind === 'fatal') this.#options.onFatal(errorFrom(message.error))
    else if (message.kind === 'counters') for (const [task, counters] of message.counters) this.counters.set(task, counters)
  }

  async #revive(index: number, reason: string): Promise<void> {
    if (this.#isClosing) return
    const { executors: n, plan, onFatal, onError } = this.#options
    this.#restarting++
    this.restarts++
    onError({
      component: 'executor',
      task: index,
      executor: index,
      atMs: performance.now(),
      message: `died (${reason}) and is started anew`,
      stack: '',
      tuple: undefined,
    })
    if (this.restarts > plan.config.executorRestartsMax) {
      onFatal(new SquallError('executor-lost', { executor: index, times: this.restarts }))
      return
    }
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
      const thread = this.#newThread(index)
      this.#threads[index] = thread
      await thread.ask({ kind: 'start' })
      if (this.#isActive) await thread.ask({ kind: 'activate' })
    } catch (error) {
      if (error instanceof SquallError && !this.#isClosing) onFatal(error)
    } finally {
      this.#restarting--
    }
  }

  /** Settles when all others have done it. One that dies meanwhile is no matter: it is started anew as well, and told then. */
  async #tellOthers(index: number, message: (other: number) => ToThread | undefined): Promise<void> {
    const asked = this.#threads.flatMap((thread, other) => {
      const own = other === index ? undefined : message(other)
      return own === undefined ? [] : [thread.ask(own)]
    })
    for (const answer of await Promise.allSettled(asked))
      if (answer.status === 'rejected' && answer.reason instanceof SquallError) throw answer.reason
  }

  /** What the dead executor said of itself no longer holds. Its spouts' trees under way will be emitted again: they count as replayed. */
  #forget(index: number): void {
    const { cells, plan, placement, executors: n } = this.#options
    const { pressure, quiet, sent, received } = this.#shared
    Atomics.store(pressure, index, 0)
    Atomics.store(quiet, index, 0)
    for (let other = 0; other < n; other++) {
      Atomics.store(sent, index * n + other, 0)
      Atomics.store(received, index * n + other, 0)
    }
    const layout = new CellLayout(plan)
    for (const { task, component } of plan.tasks) {
      if (placement[task] !== index || plan.components[component]?.definition.kind !== 'spout') continue
      const head = layout.head(task)
      const started = cells[head + cell.roots] as number
      const ended = (cells[head + cell.acked] as number) + (cells[head + cell.deadLettered] as number) + (cells[head + cell.lost] as number)
      cells[head + cell.replayed]! += Math.max(0, started - ended)
      cells[head + cell.roots] = ended
      cells[head + cell.pending] = 0
    }
  }
}

interface Ears {
  message(message: FromThread): void
  died(reason: string): void
}

/** A thread, and the questions it has not answered. */
class Thread {
  readonly #worker: Worker
  readonly #asked: { what: ToThread['kind']; resolve: () => void; reject: (error: Error) => void }[] = []
  readonly #ended: Promise<unknown>
  #isOver = false

  constructor(data: ThreadData, ears: Ears) {
    this.#worker = new Worker(new URL(`./executor-thread${import.meta.url.slice(-3)}`, import.meta.url), {
      workerData: data,
      // tuples die young: a larger nursery only costs memory in every thread
      resourceLimits: { maxYoungGenerationSizeMb: youngGenerationMb },
      name: `executor ${data.index}`,
    })
    let reason = 'it ended'
    this.#worker.on('message', (message: FromThread) => {
      if (message.kind !== 'did') ears.message(message)
      else this.#answered(message)
    })
    this.#worker.on('error', (error: unknown) => (reason = error instanceof Error ? error.message : String(error)))
    this.#ended = new Promise((resolve) => {
      this.#worker.on('exit', () => {
        this.#isOver = true
        for (const { reject } of this.#asked.splice(0)) reject(new Error(`the thread of executor ${data.index} is gone: ${reason}`))
        resolve(undefined)
        ears.died(reason)
      })
    })
  }

  ask(message: ToThread): Promise<void> {
    if (this.#isOver) return Promise.resolve() // it is started anew, and told then
    return new Promise((resolve, reject) => {
      this.#asked.push({ what: message.kind, resolve, reject })
      this.#worker.postMessage(message)
    })
  }

  kill(): void {
    void this.#worker.terminate()
  }

  async end(): Promise<void> {
    await this.#worker.terminate()
    await this.#ended
  }

  #answered({ what, error }: Extract<FromThread, { kind: 'did' }>): void {
    const at = this.#asked.findIndex((asked) => asked.what === what)
    const [asked] = this.#asked.splice(at, 1)
    if (error === undefined) asked?.resolve()
    else asked?.reject(errorFrom(error))
  }
}
