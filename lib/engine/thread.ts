/** An executor's thread as the main thread sees it: what it was asked and has not answered, and how it ended. */
import { Worker } from 'node:worker_threads'
import { SquallError, errorFrom } from '../errors.ts'
import { libraryUrl } from '../std/library.ts'
import { messageOf } from './faults.ts'
import type { FromThread, ThreadData, ToThread } from './thread-messages.ts'

/** Room for new objects in each thread; the default is twice this. */
const youngGenerationMb = 24

/** How long a thread that has closed may take to end by itself; what components left open (a timer, a socket) keeps it for ever. */
const lastWordsMs = 500

/** What a thread says without being asked. */
export type Word = Exclude<FromThread, { kind: 'did' }>

export interface Ears {
  message(message: Word): void
  died(reason: string): void
}

export class Thread {
  isOver = false
  readonly #index: number
  readonly #worker: Worker
  readonly #asked: { what: ToThread['kind']; resolve: () => void; reject: (error: SquallError) => void }[] = []
  readonly #ended: Promise<void>
  #hasClosed = false
  #reason = 'its thread ended'

  constructor(data: ThreadData, ears: Ears) {
    this.#index = data.index
    this.#worker = new Worker(new URL(libraryUrl('engine/executor-thread')), {
      workerData: data,
      // tuples die young: a larger nursery only costs memory in every thread
      resourceLimits: { maxYoungGenerationSizeMb: youngGenerationMb },
      name: `executor ${data.index}`,
    })
    this.#worker.on('message', (message: FromThread) => {
      if (message.kind !== 'did') ears.message(message)
      else this.#answered(message)
    })
    this.#worker.on('error', (error: unknown) => (this.#reason = messageOf(error)))
    this.#ended = new Promise((resolve) => {
      this.#worker.on('exit', () => {
        this.isOver = true
        for (const { reject } of this.#asked.splice(0)) reject(this.#died)
        resolve()
        ears.died(this.#reason)
      })
    })
  }

  /** It has not answered everything. */
  get isBusy(): boolean {
    return this.#asked.length > 0
  }

  /** Settles when it has done it; rejects with what went wrong, or with `executor-died`. */
  ask(message: ToThread): Promise<void> {
    if (this.isOver) return Promise.reject(this.#died)
    return new Promise((resolve, reject) => {
      this.#asked.push({ what: message.kind, resolve, reject })
      this.#worker.postMessage(message)
    })
  }

  /** Ends it at once, whatever it does; one that has closed has a moment in which what it printed gets here. */
  async end(): Promise<void> {
    if (this.#hasClosed) {
      let timer: NodeJS.Timeout | undefined
      await Promise.race([this.#ended, new Promise((resolve) => (timer = setTimeout(resolve, lastWordsMs)))])
      clearTimeout(timer)
    }
    await this.#worker.terminate()
    await this.#ended
  }

  get #died(): SquallError {
    return new SquallError('executor-died', { executor: this.#index, reason: this.#reason })
  }

  #answered({ what, error }: Extract<FromThread, { kind: 'did' }>): void {
    const at = this.#asked.findIndex((asked) => asked.what === what)
    const [asked] = this.#asked.splice(at, 1)
    if (what === 'close') this.#hasClosed = true
    if (error === undefined) asked?.resolve()
    else asked?.reject(errorFrom(error))
  }
}

/** Whether what was asked failed because the executor died. */
export function isDead(error: unknown): boolean {
  return error instanceof SquallError && error.code === 'executor-died'
}
