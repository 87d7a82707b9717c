/**
 * Runs one receiver: starts it, stores its blocks, reports them, restarts it, stops it (Spark's `ReceiverSupervisorImpl`).
 *
 *     initialized ── start ──▶ started ◀── after the delay ── restarting
 *                                 │ ──────────── restart ─────────▶ │
 *                                 └──────────── stop ─────┬─────────┘
 *                                                         ▼
 *                                                      stopped
 *
 * A block is first stored, then reported; what was stored but not reported is nobody's, and its source is not told.
 */
import { SquallError } from '../../errors.ts'
import type { Schedule } from '../../std/schedule.ts'
import type { TokenBucket } from '../rate.ts'
import type { BlockInfo, BlockStore } from './block.ts'
import { BlockGenerator } from './block-generator.ts'
import type { Receiver, ReceiverOutput } from './receiver.ts'

/** What happens to a receiver, for whoever watches. */
export type ReceiverEvent =
  | {
      readonly kind: 'started' | 'restarting' | 'stopped'
      readonly stream: string
      readonly message: string
      readonly error?: Error | undefined
    }
  | { readonly kind: 'error'; readonly stream: string; readonly message: string; readonly error: Error | undefined }

export interface ReceiverSupervisorOptions<T> {
  readonly stream: string
  readonly receiver: Receiver<T>
  readonly schedule: Schedule
  /** where blocks are stored */
  readonly blocks: BlockStore
  /** tells the coordinator of a block that is stored; rejects when it does not take it */
  readonly report: (block: BlockInfo) => void | Promise<void>
  readonly onEvent?: (event: ReceiverEvent) => void
  /** lets items through at a rate; the rate can be changed while it runs */
  readonly limit?: TokenBucket
  /** how often a block is cut of what is stored one by one (200) */
  readonly blockIntervalMs?: number
  /** how many blocks may wait to be stored (10) */
  readonly blockQueueMax?: number
  /** how long a restart waits, unless it says so itself (2000) */
  readonly restartDelayMs?: number
}

export class ReceiverSupervisor<T = unknown> {
  readonly #options: ReceiverSupervisorOptions<T>
  readonly #generator: BlockGenerator
  readonly #output: ReceiverOutput<T>
  #state: 'initialized' | 'started' | 'restarting' | 'stopped' = 'initialized'
  /** whether `onStart` was called last, not `onStop` */
  #isReceiving = false
  /** one start or stop of the receiver after the other */
  #work: Promise<void> = Promise.resolve()
  #stopping: Promise<void> | undefined
  #cancelRestart: () => void = () => undefined
  #metadata: unknown[] = []
  readonly #metadataOf = new Map<string, readonly unknown[]>()
  #storing = 0
  #stored = 0
  #onStored: () => void = () => undefined

  constructor(options: ReceiverSupervisorOptions<T>) {
    this.#options = options
    const { stream, schedule, blockIntervalMs, blockQueueMax, limit } = options
    this.#generator = new BlockGenerator({
      stream,
      schedule,
      ...(blockIntervalMs === undefined ? {} : { blockIntervalMs }),
      ...(blockQueueMax === undefined ? {} : { blockQueueMax }),
      ...(limit === undefined ? {} : { limit }),
      listener: {
        onAddData: (_, metadata) => {
          if (metadata !== undefined) this.#metadata.push(metadata)
        },
        onGenerateBlock: (blockId) => {
          if (this.#metadata.length === 0) return
          this.#metadataOf.set(blockId, this.#metadata)
          this.#metadata = []
        },
        onPushBlock: (blockId, items) => {
          const metadata = this.#metadataOf.get(blockId)
          this.#metadataOf.delete(blockId)
          return this.#storeAndReport(blockId, items as readonly T[], metadata)
        },
        onError: (message, error) => this.#reportError(message, error),
      },
    })
    this.#output = this.#outputOf()
  }

  get state(): 'initialized' | 'started' | 'restarting' | 'stopped' {
    return this.#state
  }

  /** Starts the receiver; rejects with `receiver-failed` when its `onStart` does not work. */
  async start(): Promise<void> {
    if (this.#state !== 'initialized') throw this.#wrongState('start')
    this.#state = 'started'
    this.#generator.start()
    await this.#queued(() => this.#startReceiver('started'))
  }

  /** Stops the receiver, and stores and reports all it had stored. May be called before `start`, and twice. */
  stop(message = 'stopped', error?: Error): Promise<void> {
    this.#stopping ??= this.#stop(message, error)
    return this.#stopping
  }

  async #stop(message: string, error: Error | undefined): Promise<void> {
    this.#cancelRestart()
    this.#state = 'stopped'
    await this.#queued(() => this.#stopReceiver()).catch((failed: unknown) => this.#reportError('onStop failed', failed as Error))
    await this.#generator.stop()
    while (this.#storing > 0) await new Promise<void>((resolve) => (this.#onStored = resolve))
    this.#tell({ kind: 'stopped', stream: this.#options.stream, message, error })
  }

  async #startReceiver(message: string): Promise<void> {
    if (this.#state === 'stopped') return
    this.#isReceiving = true
    try {
      await this.#options.receiver.onStart(this.#output)
    } catch (error) {
      const failed = this.#failed(error)
      void this.stop('onStart failed', failed) // it waits for this start to end
      throw failed
    }
    this.#tell({ kind: 'started', stream: this.#options.stream, message })
  }

  async #stopReceiver(): Promise<void> {
    if (!this.#isReceiving) return
    this.#isReceiving = false
    await this.#options.receiver.onStop()
  }

  #restart(message: string, error: Error | undefined, delayMs: number): void {
    if (this.#state !== 'started') return
    this.#state = 'restarting'
    this.#tell({ kind: 'restarting', stream: this.#options.stream, message, error })
    void this.#queued(() => this.#stopReceiver())
      .catch((failed: unknown) => this.#reportError('onStop failed', failed as Error))
      .then(() => {
        if (this.#state !== 'restarting') return
        this.#cancelRestart = this.#options.schedule.after(delayMs, () => {
          this.#state = 'started'
          void this.#queued(() => this.#startReceiver(`restarted: ${message}`)).catch(() => undefined) // told by its stop
        })
      })
  }

  #queued(work: () => Promise<void>): Promise<void> {
    const done = this.#work.then(work)
    this.#work = done.catch(() => undefined)
    return done
  }

  async #storeAndReport(blockId: string, items: readonly T[], metadata: unknown): Promise<void> {
    const { stream, blocks, report } = this.#options
    this.#storing++
    try {
      await blocks.store(blockId, items)
      await report({ blockId, stream, records: items.length, ...(metadata === undefined ? {} : { metadata }) })
    } finally {
      this.#storing--
      this.#onStored()
    }
  }

  #outputOf(): ReceiverOutput<T> {
    const { stream, schedule, restartDelayMs = 2000 } = this.#options
    const isStopped = (): boolean => this.#state === 'stopped'
    return {
      stream,
      schedule,
      store: (item, metadata) => {
        this.#checkReceiving()
        return this.#generator.add(item, metadata)
      },
      storeMany: async (items, metadata) => {
        this.#checkReceiving()
        if (items.length === 0) return
        // the time keeps it apart from the blocks of a run before, the letter from those that the generator cuts
        const blockId = `${stream}-${Math.floor(schedule.date())}m${this.#stored++}`
        await this.#limited(items.length)
        this.#checkReceiving()
        await this.#storeAndReport(blockId, items, metadata)
      },
      reportError: (message, error) => this.#reportError(message, error),
      restart: (message, error, delayMs = restartDelayMs) => this.#restart(message, error, delayMs),
      stop: (message, error) => void this.stop(message, error),
      get isStopped() {
        return isStopped()
      },
    }
  }

  async #limited(count: number): Promise<void> {
    const { limit, schedule } = this.#options
    while (limit?.take(count) === false) await new Promise<void>((resolve) => schedule.after(limit.waitMs(count), resolve))
  }

  /** What arrives while `onStop` runs is still stored. */
  #checkReceiving(): void {
    if (!this.#generator.isActive) throw this.#wrongState('store')
  }

  #reportError(message: string, error: Error | undefined): void {
    this.#tell({ kind: 'error', stream: this.#options.stream, message, error })
  }

  #tell(event: ReceiverEvent): void {
    this.#options.onEvent?.(event)
  }

  #failed(error: unknown): SquallError {
    if (error instanceof SquallError) return error
    const reason = error instanceof Error ? error.message : String(error)
    return new SquallError('receiver-failed', { stream: this.#options.stream, reason }, {}, { cause: error })
  }

  #wrongState(action: string): SquallError {
    return new SquallError('receiver-state', { what: 'receiver', stream: this.#options.stream, action, state: this.#state })
  }
}
