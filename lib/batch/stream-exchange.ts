/**
 * How the tasks of a batch bolt trade blocks: over a stream from the bolt to itself, so that every block is part of the batch's
 * tree, travels in the engine's bundles, and is failed with it.
 *
 * The trades of one attempt of a batch are numbered; every task makes them in the same order, for all run the same program.
 * What arrives before its trade has begun here waits; what is for an attempt that is over is dropped.
 */
import { Packr } from 'msgpackr'
import { SquallError } from '../errors.ts'
import type { Exchange } from './exchange.ts'

/** A part of what one task gives another in one trade. */
export interface BlockPart {
  /** the trade within the attempt */
  readonly trade: number
  /** the task that gives it */
  readonly from: number
  /** parts that make up the whole */
  readonly parts: number
  readonly part: number
  readonly bytes: Uint8Array
}

/** Well below what a tuple may take on its way. */
const partBytesMax = 256 << 10
/** Bytes that wait for trades that have not begun here; a task is never more than a trade ahead of another. */
const waitingBytesMax = 1 << 30

/** Maps stay maps, and objects objects: as records, whose shapes stand in each block. Without records msgpack has one type for both. */
const packr = new Packr({ useRecords: true, mapsAsObjects: false, moreTypes: true })

interface Trade {
  /** by task, by part */
  readonly got: Uint8Array[][]
  missing: number
  settle: () => void
}

/** The trades of one attempt of a batch. */
export class StreamExchange implements Exchange {
  readonly #index: number
  readonly #count: number
  readonly #trades = new Map<number, Trade>()
  #send: ((to: number, block: BlockPart) => void) | undefined
  #next = 0
  #waitingBytes = 0
  #abandoned: Error | undefined

  constructor(index: number, count: number) {
    this.#index = index
    this.#count = count
  }

  /** The attempt has begun here: blocks are sent with `send`. */
  begin(send: (to: number, block: BlockPart) => void): void {
    this.#send = send
  }

  async all(blocks: readonly unknown[]): Promise<readonly unknown[]> {
    const id = this.#next++
    if (this.#abandoned !== undefined) throw this.#abandoned
    if (this.#count === 1) return blocks
    for (let to = 0; to < this.#count; to++) if (to !== this.#index) this.#give(to, id, packr.pack(blocks[to]))
    const trade = this.#trade(id)
    if (trade.missing > 0) await new Promise<void>((resolve) => (trade.settle = resolve))
    if (this.#abandoned !== undefined) throw this.#abandoned as Error
    this.#trades.delete(id)
    return trade.got.map((parts, from) => (from === this.#index ? blocks[from] : this.#unpacked(parts)))
  }

  /** A part has arrived. */
  take({ trade: id, from, parts, part, bytes }: BlockPart): void {
    if (this.#abandoned !== undefined) return
    this.#waitingBytes += bytes.length
    if (this.#waitingBytes > waitingBytesMax) throw new SquallError('exchange-full', { max: waitingBytesMax })
    const trade = this.#trade(id)
    const got = trade.got[from] as Uint8Array[]
    got[part] = bytes
    if (Object.keys(got).length === parts && --trade.missing === 0) trade.settle()
  }

  /** Nothing more will come of this attempt: whoever waits is told. */
  abandon(reason: Error): void {
    this.#abandoned = reason
    for (const { settle } of this.#trades.values()) settle()
    this.#trades.clear()
  }

  #give(to: number, trade: number, bytes: Uint8Array): void {
    const parts = Math.max(1, Math.ceil(bytes.length / partBytesMax))
    for (let part = 0; part < parts; part++)
      this.#send?.(to, { trade, from: this.#index, part, parts, bytes: bytes.subarray(part * partBytesMax, (part + 1) * partBytesMax) })
  }

  #trade(id: number): Trade {
    let trade = this.#trades.get(id)
    if (trade === undefined) {
      trade = { got: Array.from({ length: this.#count }, () => []), missing: this.#count - 1, settle: () => undefined }
      this.#trades.set(id, trade)
    }
    return trade
  }

  #unpacked(parts: readonly Uint8Array[]): unknown {
    for (const { length } of parts) this.#waitingBytes -= length
    return packr.unpack(parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts)) as unknown
  }
}
