/** One executor in the calling thread: a debugger and a stack trace just work. */
import { createLogger } from '../std/log.ts'
import { Executor } from './executor.ts'
import { Loop } from './loop.ts'
import type { Crew, CrewOptions } from './run.ts'
import { executorFailed } from './strays.ts'

export class CrewHere implements Crew {
  readonly restarts = 0
  /** this thread runs what asks, so nothing here can fail to answer */
  readonly silent = []
  readonly #executor: Executor
  readonly #loop: Loop
  #running: Promise<void> | undefined
  /** keeps the process alive while the loop sleeps on something that does not */
  #keepAlive: NodeJS.Timeout | undefined
  #whenQuiet: (() => void) | undefined
  readonly #onFatal: CrewOptions['onFatal']

  constructor({ plan, placement, seed, clock, cells, options, onError, onFatal }: CrewOptions) {
    this.#onFatal = onFatal
    this.#executor = new Executor({
      plan,
      index: 0,
      placement,
      seed,
      clock,
      cells,
      lanes: [undefined],
      ends: [undefined],
      pressure: new Int32Array(1),
      log: createLogger(options.log),
      tap: options.tap,
      onError,
      onFatal,
    })
    this.#loop = new Loop(this.#executor, clock)
    this.#loop.onRest = (isQuiet) => {
      if (isQuiet) this.#whenQuiet?.()
    }
  }

  get counters(): ReadonlyMap<number, Readonly<Record<string, number>>> {
    return this.#executor.counters
  }

  get heldUp(): number | undefined {
    return this.#executor.noteCalls() === 'some' ? this.#executor.callsOver : undefined
  }

  async start(): Promise<void> {
    this.#keepAlive = setInterval(() => undefined, 1 << 30)
    this.#running = this.#loop.run().catch((error: unknown) => this.#onFatal(executorFailed(error)))
    await this.#executor.start()
  }

  setActive(isActive: boolean): Promise<void> {
    this.#executor.setActive(isActive)
    return Promise.resolve()
  }

  quiet(): Promise<void> {
    return new Promise((resolve) => {
      this.#whenQuiet = () => {
        this.#whenQuiet = undefined
        resolve()
      }
      this.#loop.wake()
    })
  }

  finish(component: number): Promise<void> {
    return this.#executor.finish(component)
  }

  close(): Promise<void> {
    return this.#executor.close()
  }

  async end(): Promise<void> {
    this.#loop.stop()
    await this.#running
    clearInterval(this.#keepAlive)
  }

  kill(): void {
    throw new RangeError('the one executor of a run is the calling thread: it cannot be killed')
  }
}
