/**
 * Gathers what a receiver stores one by one into blocks, as Spark's `BlockGenerator` does: a block is cut every interval and
 * pushed, one after the other, to whoever stores it.
 *
 *     initialized ── start ──▶ active ── stop ──▶ stopped-adding ──▶ stopped-generating ──▶ stopped
 *                              add works          the last block     the queue is          all is pushed
 *                                                 is cut             pushed out
 *
 * The order that a listener can rely on: `onAddData` and `onGenerateBlock` are called at once with the change they tell of, so
 * the data that `onAddData` told of since the last `onGenerateBlock` is that of the block; then `onPushBlock`, of one block at
 * a time, in the order in which they were generated.
 *
 * Bounds: `blockQueueMax` blocks wait to be pushed, and one is gathered; when that holds `blockItemsMax` it is cut early, and when the
 * queue is full, adding waits.
 */
import { SquallError } from '../../errors.ts'
import type { Schedule } from '../../std/schedule.ts'
import type { TokenBucket } from '../rate.ts'

export interface BlockGeneratorListener {
  /** Data was added: one item, or the items that were added together. */
  onAddData?(data: unknown, metadata: unknown): void
  /** The data added since the last call is a block now. */
  onGenerateBlock?(blockId: string): void
  /** The block is to be stored; the next one is pushed when the promise has settled. */
  onPushBlock(blockId: string, items: readonly unknown[]): void | Promise<void>
  /** Storing a block failed, and what was in it is not stored; or another callback threw. */
  onError(message: string, error: Error): void
}

export interface BlockGeneratorOptions {
  readonly stream: string
  readonly listener: BlockGeneratorListener
  readonly schedule: Schedule
  /** how often a block is cut (200) */
  readonly blockIntervalMs?: number
  /** how many blocks wait to be pushed (10) */
  readonly blockQueueMax?: number
  /** the most items of one block (100,000), but what is added together stays together */
  readonly blockItemsMax?: number
  /** lets items through at a rate */
  readonly limit?: TokenBucket
}

type State = 'initialized' | 'active' | 'stopped-adding' | 'stopped-generating' | 'stopped'

interface Block {
  readonly id: string
  readonly items: readonly unknown[]
}

export class BlockGenerator {
  readonly #stream: string
  readonly #listener: BlockGeneratorListener
  readonly #schedule: Schedule
  readonly #intervalMs: number
  readonly #queueMax: number
  readonly #itemsMax: number
  readonly #limit: TokenBucket | undefined
  #state: State = 'initialized'
  #items: unknown[] = []
  readonly #queue: Block[] = []
  #pushing: Promise<void> | undefined
  #lastId = -Infinity
  #cancelTimer: () => void = () => undefined
  /** adders that wait for room or for the rate, in the order in which they came */
  #adding: Promise<void> | undefined
  /** wakes the adder that waits */
  #wake: () => void = () => undefined
  #stopping: Promise<void> | undefined

  /** Throws `bad-option`. */
  constructor(options: BlockGeneratorOptions) {
    const { stream, listener, schedule, blockIntervalMs = 200, blockQueueMax = 10, blockItemsMax = 100_000, limit } = options
    check('blockIntervalMs', blockIntervalMs, blockIntervalMs >= 1)
    check('blockQueueMax', blockQueueMax, Number.isInteger(blockQueueMax) && blockQueueMax >= 1)
    check('blockItemsMax', blockItemsMax, Number.isInteger(blockItemsMax) && blockItemsMax >= 1)
    this.#stream = stream
    this.#listener = listener
    this.#schedule = schedule
    this.#intervalMs = blockIntervalMs
    this.#queueMax = blockQueueMax
    this.#itemsMax = blockItemsMax
    this.#limit = limit
  }

  get state(): State {
    return this.#state
  }

  get isActive(): boolean {
    return this.#state === 'active'
  }

  get isStopped(): boolean {
    return this.#state === 'stopped'
  }

  /** Throws `receiver-state` when it was started before. */
  start(): void {
    if (this.#state !== 'initialized') throw this.#wrongState('start')
    this.#state = 'active'
    this.#tick()
  }

  /** All that was added is pushed when the promise resolves. May be called before `start` and twice. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  /**
   * Adds one item. What it returns is to be awaited when it is a promise: there is no room, or the rate does not allow it yet.
   * Throws or rejects with `receiver-state` when it is not active (any more): the item was not added.
   */
  add(item: unknown, metadata?: unknown): Promise<void> | undefined {
    return this.#add([item], 1, () => this.#listener.onAddData?.(item, metadata))
  }

  /** Adds items that stay together in one block. As `add`. */
  addMany(items: readonly unknown[], metadata?: unknown): Promise<void> | undefined {
    return this.#add(items, items.length, () => this.#listener.onAddData?.(items, metadata))
  }

  #add(items: readonly unknown[], count: number, tell: () => void): Promise<void> | undefined {
    if (this.#state !== 'active') throw this.#wrongState('add data')
    if (this.#adding === undefined && this.#hasRoom && this.#limit?.take(count) !== false) return this.#append(items, tell)
    const before = this.#adding ?? Promise.resolve()
    const added = before.then(() => this.#waitAndAppend(items, count, tell))
    const settled = added
      .catch(() => undefined)
      .then(() => {
        if (this.#adding === settled) this.#adding = undefined
      })
    this.#adding = settled
    return added
  }

  async #waitAndAppend(items: readonly unknown[], count: number, tell: () => void): Promise<void> {
    while (this.#state === 'active' && !this.#hasRoom) await new Promise<void>((resolve) => (this.#wake = resolve))
    while (this.#state === 'active' && this.#limit?.take(count) === false) await this.#woken(this.#limit.waitMs(count))
    if (this.#state !== 'active') throw this.#wrongState('add data')
    this.#append(items, tell)
  }

  #append(items: readonly unknown[], tell: () => void): undefined {
    for (const item of items) this.#items.push(item)
    this.#guarded('onAddData', tell)
    if (this.#items.length >= this.#itemsMax) this.#cut()
  }

  /** A block that is full waits here only while the queue is full. */
  get #hasRoom(): boolean {
    return this.#items.length < this.#itemsMax
  }

  /** Cuts at multiples of the interval, like everybody; what is late is not made up for. */
  #tick(): void {
    const now = this.#schedule.date()
    const cutMs = (Math.floor(now / this.#intervalMs) + 1) * this.#intervalMs
    this.#cancelTimer = this.#schedule.after(cutMs - now, () => {
      this.#cut(cutMs)
      this.#tick()
    })
  }

  /** Makes a block of what was gathered, unless the queue is full: then it goes on gathering, up to its bound. */
  #cut(atMs = Math.ceil(this.#schedule.date())): void {
    if (this.#items.length === 0 || this.#queue.length >= this.#queueMax) return
    const items = this.#items
    this.#items = []
    // named by the start of its interval, and never twice: several may be cut in one interval
    this.#lastId = Math.max(atMs - this.#intervalMs, this.#lastId + 1)
    const id = `${this.#stream}-${this.#lastId}`
    this.#guarded('onGenerateBlock', () => this.#listener.onGenerateBlock?.(id))
    this.#queue.push({ id, items })
    this.#wake()
    this.#pushing ??= this.#pushAll()
  }

  async #pushAll(): Promise<void> {
    for (;;) {
      const block = this.#queue[0]
      if (block === undefined) break
      try {
        await this.#listener.onPushBlock(block.id, block.items)
      } catch (error) {
        this.#listener.onError(`block ${block.id} with ${block.items.length} records was not stored`, error as Error)
      }
      this.#queue.shift()
      // a block that waited for the queue, full or past its time, is cut now
      if (!this.#hasRoom) this.#cut()
    }
    this.#pushing = undefined
  }

  async #stop(): Promise<void> {
    if (this.#state === 'active') {
      this.#state = 'stopped-adding'
      this.#cancelTimer()
      this.#wake()
      while (this.#items.length > 0) {
        this.#cut()
        if (this.#items.length > 0) await this.#pushing
      }
      this.#state = 'stopped-generating'
      await this.#pushing
    }
    this.#state = 'stopped'
  }

  #woken(afterMs: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#schedule.after(Math.max(1, afterMs), resolve)
      this.#wake = () => {
        cancel()
        resolve()
      }
    })
  }

  #guarded(what: string, callback: () => void): void {
    try {
      callback()
    } catch (error) {
      this.#listener.onError(`${what} threw`, error as Error)
    }
  }

  #wrongState(action: string): SquallError {
    return new SquallError('receiver-state', { what: 'block generator', stream: this.#stream, action, state: this.#state })
  }
}

function check(option: string, value: number, isRight: boolean): void {
  if (!isRight)
    throw new SquallError('bad-option', {
      option,
      of: 'the block generator',
      value,
      expected: 'a number of at least 1, whole for what is counted',
    })
}
