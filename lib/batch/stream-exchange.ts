/**
 * How the tasks of a batch bolt trade blocks: over a stream from the bolt to itself, so that every block is part of the batch's
 * tree, travels in the engine's bundles, and is failed with it.
 *
 * A trade has an id that all tasks make in the same order (they run the same program), within the attempt of a batch. What
 * arrives before its trade has begun here waits; what is for an attempt that is over is dropped.
 */
import { Packr } from 'msgpackr'
import { SquallError } from '../errors.ts'

/** A part of what one task gives another in one trade. */
export interface BlockTuple {
  readonly txid: number
  readonly attempt: number
  /** the trade within the attempt */
  readonly trade: number
  readonly from: number
  /** parts that make up the whole */
  readonly parts: number
  readonly part: number
  readonly bytes: Uint8Array
}

/** Well below what a tuple may take on its way. */
const partBytesMax = 256 << 10
/** Bytes of blocks that wait for a trade that has not begun here: a task is at most a few trades ahead of another. */
const waitingBytesMax = 1 << 30

/** Maps stay maps and objects objects; no records, for the other side has no tables of ours. */
const packr = new Packr({ useRecords: false, mapsAsObjects: false, structuredClone: false, moreTypes: true })

interface Trade {
  /** by task */
  readonly got: (readonly Uint8Array[] | undefined)[]
  missing: number
  settle: (() => void) | undefined
  reject: ((error: Error) => void) | undefined
}

/** The trades of one attempt of a batch. */
export class StreamExchange {
  readonly #index: number
  readonly #count: number
  readonly #send: (to: number, block: Omit<BlockTuple, 'from' | 'txid' | 'attempt'>) => void
  readonly #trades = new Map<number, Trade>()
  #next = 0
  #waitingBytes = 0
  #abandoned: Error | undefined

  constructor(index: number, count: number, send: StreamExchange['send']) {
    this.#index = index
    this.#count = count
    this.#send = send
  }

  /** Only for the type of what sends. */
  declare readonly send: (to: number, block: Omit<BlockTuple, 'from' | 'txid' | 'attempt'>) => void

  /** Gives each task its block and settles with one from each, by task. Every task of the run calls it the same times, in the same order. */
  async all(blocks: readonly unknown[]): Promise<readonly unknown[]> {
    const id = this.#next++
    for (let to = 0; to < this.#count; to++) if (to !== this.#index) this.#give(to, id, packr.pack(blocks[to]))
    const got = await this.#wait(id)
    return got.map((parts, from) => (from === this.#index ? blocks[from] : unpacked(parts as readonly Uint8Array[])))
  }

  /** A part has arrived. */
  take({ trade: id, from, part, parts, bytes }: Pick<BlockTuple, 'trade' | 'from' | 'part' | 'parts' | 'bytes'>): void {
    if (this.#abandoned !== undefined) return
    const trade = this.#trade(id)
    const got = (trade.got[from] ??= []) as Uint8Array[]
    got[part] = bytes
    this.#waitingBytes += bytes.length
    if (this.#waitingBytes > waitingBytesMax) throw new SquallError('exchange-full', { max: waitingBytesMax })
    if (got.filter((one) => one !== undefined).length < parts) return
    if (--trade.missing === 0) trade.settle?.()
  }

  /** Nothing more will come of this attempt: whoever waits is told. */
  abandon(reason: Error): void {
    this.#abandoned = reason
    for (const { reject } of this.#trades.values()) reject?.(reason)
    this.#trades.clear()
  }

  #give(to: number, trade: number, bytes: Uint8Array): void {
    const parts = Math.max(1, Math.ceil(bytes.length / partBytesMax))
    for (let part = 0; part < parts; part++)
      this.#send(to, { trade, part, parts, bytes: bytes.subarray(part * partBytesMax, (part + 1) * partBytesMax) })
  }

  #trade(id: number): Trade {
    let trade = this.#trades.get(id)
    if (trade === undefined) {
      trade = { got: new Array<undefined>(this.#count).fill(undefined), missing: this.#count - 1, settle: undefined, reject: undefined }
      this.#trades.set(id, trade)
    }
    return trade
  }

  async #wait(id: number): Promise<Trade['got']> {
    if (this.#abandoned !== undefined) throw this.#abandoned
    const trade = this.#trade(id)
    if (trade.missing > 0)
      await new Promise<void>((resolve, reject) => {
        trade.settle = resolve
        trade.reject = reject
      })
    this.#trades.delete(id)
    for (const parts of trade.got) for (const bytes of parts ?? []) this.#waitingBytes -= bytes.length
    return trade.got
  }
}

function unpacked(parts: readonly Uint8Array[]): unknown {
  return packr.unpack(parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts)) as unknown
}
