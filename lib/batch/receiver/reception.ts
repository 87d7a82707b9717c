/** The coordinator's side of what is received: a spout takes no tuples, so it hears of blocks by the acks of its watches. */
import type { SpoutOutput } from '../../topology/component.ts'
import type { Range } from '../source.ts'
import type { ReceivedRange, WatchTuple } from './streams.ts'

/** The message id of a watch. */
export class Watch {
  readonly for: WatchTuple['for']

  constructor(what: WatchTuple['for']) {
    this.for = what
  }
}

export class Reception {
  readonly #streams: readonly string[]
  readonly #driver: number
  #hasData = false
  #hasEnded = false
  /** those under way; an older one of the same kind says nothing any more */
  readonly #watches = new Map<WatchTuple['for'], Watch>()

  constructor(streams: readonly string[], driver: number) {
    this.#streams = streams
    this.#driver = driver
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

  /** Asks the driver for news, where none is asked for. */
  watch(out: SpoutOutput<{ readonly watch: WatchTuple }>): void {
    if (this.#hasEnded) return
    this.#ask('end', out)
    if (!this.#hasData) this.#ask('data', out)
  }

  #ask(what: WatchTuple['for'], out: SpoutOutput<{ readonly watch: WatchTuple }>): void {
    if (this.#watches.has(what)) return
    const watch = new Watch(what)
    this.#watches.set(what, watch)
    out.emitDirect(this.#driver, 'watch', { for: what }, watch)
  }

  acked(watch: Watch): void {
    if (!this.#over(watch)) return
    if (watch.for === 'end') this.#hasEnded = true
    this.#hasData = !this.#hasEnded
  }

  /** The driver has died, or was long silent: it is asked anew. */
  failed(watch: Watch): void {
    this.#over(watch)
  }

  #over(watch: Watch): boolean {
    return this.#watches.get(watch.for) === watch && this.#watches.delete(watch.for)
  }

  /** What batch `txid` takes: the blocks that wait when it is processed, or that it `isGiven` already; or nothing. */
  take(txid: number, isGiven: boolean, rateOf: (stream: string) => number | undefined): Record<string, Range> {
    if (!this.#hasData && !isGiven) return {}
    this.#hasData = false
    const rangeOf = (rate: number | undefined): ReceivedRange => ({ batch: txid, ...(rate !== undefined && { rate }) })
    return Object.fromEntries(this.#streams.map((stream) => [stream, rangeOf(rateOf(stream))]))
  }
}
