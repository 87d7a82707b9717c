/** The coordinator's side of what is received: a spout takes no tuples, so it hears of blocks by the acks of its watches. */
import type { SpoutOutput } from '../../topology/component.ts'
import type { Range } from '../source.ts'
import type { ReceivedRange, WatchTuple } from './streams.ts'

/** The message id of a watch. */
export class Watch {
  readonly tuple: WatchTuple

  constructor(tuple: WatchTuple) {
    this.tuple = tuple
  }
}

export interface ReceptionOptions {
  /** those that receivers make */
  readonly streams: readonly string[]
  /** the task of the batch bolt */
  readonly driver: number
  /** the tasks of the receivers */
  readonly tasks: readonly number[]
  /** whether a task's receivers have stopped for good, and it knows that this was heard */
  readonly hasEnded: (task: number) => boolean
}

export class Reception {
  readonly #options: ReceptionOptions
  #hasData = false
  #hasEnded = false
  /** those under way; an older one of the same kind says nothing any more */
  readonly #watches = new Map<WatchTuple['for'], Watch>()

  constructor(options: ReceptionOptions) {
    this.#options = options
  }

  /** Blocks wait for a batch. */
  get hasData(): boolean {
    return this.#hasData
  }

  /** Nobody receives any more, and all that was received is in batches that are committed. */
  get hasEnded(): boolean {
    return this.#hasEnded
  }

  /** Receivers may have started again. */
  revive(): void {
    this.#hasEnded = false
  }

  /** Asks the driver for news, where none is asked for. `mayEnd`: the run does not pause. */
  watch(out: SpoutOutput<{ readonly watch: WatchTuple }>, mayEnd: boolean): void {
    const { tasks, hasEnded } = this.#options
    const over = tasks.flatMap((task, index) => (hasEnded(task) ? [index] : []))
    // one that had not heard of the end when its executor died receives again
    if (this.#hasEnded && mayEnd && over.length < tasks.length) this.#hasEnded = false
    if (this.#hasEnded) return
    this.#ask({ for: 'end', over }, out)
    if (!this.#hasData) this.#ask({ for: 'data', over: [] }, out)
  }

  #ask(tuple: WatchTuple, out: SpoutOutput<{ readonly watch: WatchTuple }>): void {
    const { over } = this.#watches.get(tuple.for)?.tuple ?? {}
    if (over?.length === tuple.over.length && over.every((index) => tuple.over.includes(index))) return
    const watch = new Watch(tuple)
    this.#watches.set(tuple.for, watch)
    out.emitDirect(this.#options.driver, 'watch', tuple, watch)
  }

  acked(watch: Watch): void {
    if (!this.#over(watch)) return
    if (watch.tuple.for === 'end') this.#hasEnded = true
    this.#hasData = !this.#hasEnded
  }

  /** The driver has died, or was long silent: it is asked anew. */
  failed(watch: Watch): void {
    this.#over(watch)
  }

  #over(watch: Watch): boolean {
    return this.#watches.get(watch.tuple.for) === watch && this.#watches.delete(watch.tuple.for)
  }

  /** What batch `txid` takes: the blocks that wait when it is processed, or that it `isGiven` already; or nothing. */
  take(txid: number, isGiven: boolean, rateOf: (stream: string) => number | undefined): Record<string, Range> {
    if (!this.#hasData && !isGiven) return {}
    this.#hasData = false
    const rangeOf = (rate: number | undefined): ReceivedRange => ({ batch: txid, ...(rate !== undefined && { rate }) })
    return Object.fromEntries(this.#options.streams.map((stream) => [stream, rangeOf(rateOf(stream))]))
  }
}
