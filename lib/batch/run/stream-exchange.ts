/**
 * How the tasks of a bolt trade blocks: over a stream from the bolt to itself, so that every block is part of the tree of the
 * order that it is for (a batch's, a job's), travels in the engine's bundles, and is failed with it.
 *
 * The trades of one attempt are numbered; every task makes them in the same order, for all run the same program.
 * What arrives before its trade has begun here waits; what is for an attempt that is over is dropped.
 *
 * **Back-pressure.** A block goes in parts, and no more than `partsAheadMax` of them before the other side has said that it took them,
 * which it does once its own trade has begun. So little waits for a task that is behind, and the rings between executors
 * are not flooded. A block of no more parts than that costs no word.
 */
import { z } from 'zod'
import { errorData, errorFrom, reasonOf, SquallError } from '../../errors.ts'
import type { ErrorData } from '../../errors.ts'
import type { Exchange } from '../exchange.ts'
import { packed, unpacked } from '../packed.ts'

/** A part of what one task gives another in a trade; with `parts` 0 the word of `from` that it has taken `part` parts of what it is given. */
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

export const BlockPartSchema = z.object({
  trade: z.int(),
  from: z.int(),
  part: z.int(),
  parts: z.int(),
  bytes: z.instanceof(Uint8Array),
})

/** Well below what a tuple may take on its way. */
const partBytesMax = 256 << 10
/** Together about what a ring holds. */
const partsAheadMax = 16
/** How often it is said how many were taken. */
const saidEvery = 8
/** Bytes that wait for trades that are not over here. */
const waitingBytesMax = 1 << 30

/** The first byte of a block that is an error instead: one that msgpack never has. */
const faultMark = 0xc1

/** What another task could not pack. */
class Fault {
  readonly error: SquallError

  constructor(error: SquallError) {
    this.error = error
  }
}

/** What one task gives this one in a trade. */
interface Incoming {
  readonly parts: number
  /** parts are put together here as they come */
  readonly bytes: Uint8Array
  length: number
  taken: number
}

interface Trade {
  /** by task */
  readonly incoming: (Incoming | undefined)[]
  missing: number
  hasBegun: boolean
  settle: () => void
}

/** A block of more parts than may be ahead. */
interface Outgoing {
  readonly trade: number
  taken: number
  goOn: () => void
}

/** The trades of one attempt. */
export class StreamExchange implements Exchange {
  readonly #index: number
  readonly #count: number
  readonly #trades = new Map<number, Trade>()
  /** by task */
  readonly #outgoing = new Map<number, Outgoing>()
  #send: ((to: number, block: BlockPart) => void) | undefined
  #next = 0
  #waitingBytes = 0
  #abandoned: (() => Error) | undefined

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
    if (this.#abandoned !== undefined) throw this.#abandoned()
    if (this.#count === 1) return blocks
    const trade = this.#trade(id)
    trade.hasBegun = true
    const given: Promise<void>[] = []
    const { bytes, fault } = this.#packed(blocks)
    for (let to = 0; to < this.#count; to++) {
      if (to === this.#index) continue
      const giving = this.#give(to, id, bytes[to] as Uint8Array)
      if (giving !== undefined) given.push(giving)
    }
    trade.incoming.forEach((incoming, from) => incoming && this.#say(id, from, incoming))
    if (trade.missing > 0) await new Promise<void>((resolve) => (trade.settle = resolve))
    if (given.length > 0) await Promise.all(given)
    if (this.#abandoned !== undefined) throw (this.#abandoned as () => Error)()
    this.#trades.delete(id)
    const got = trade.incoming.map((incoming, from) => (from === this.#index ? blocks[from] : this.#unpacked(incoming as Incoming)))
    const first = fault ?? got.find((block) => block instanceof Fault)?.error
    if (first !== undefined) throw first
    return got
  }

  /** A part has arrived, or the word that some were taken. */
  take(block: BlockPart): void {
    if (this.#abandoned !== undefined) return
    const { trade: id, from, parts, part, bytes } = block
    if (parts === 0) return this.#taken(block)
    const trade = this.#trade(id)
    const incoming = (trade.incoming[from] ??= this.#expected(block))
    if (parts > 1) incoming.bytes.set(bytes, part * partBytesMax)
    incoming.length += bytes.length
    incoming.taken++
    if (trade.hasBegun && incoming.taken % saidEvery === 0) this.#say(id, from, incoming)
    if (incoming.taken === parts && --trade.missing === 0) trade.settle()
  }

  /** Nothing more will come of this attempt: whoever waits is told. */
  abandon(reason: () => Error): void {
    this.#abandoned = reason
    for (const { settle } of this.#trades.values()) settle()
    for (const { goOn } of this.#outgoing.values()) goOn()
    this.#trades.clear()
    this.#outgoing.clear()
  }

  // ---------------------------------------------------------------------------------------------- giving

  /** For each task its block; what cannot be packed is a fault of all tasks: nobody waits for what does not come. */
  #packed(blocks: readonly unknown[]): { readonly bytes: readonly Uint8Array[]; readonly fault?: SquallError } {
    try {
      return { bytes: blocks.map((block, to) => (to === this.#index ? none : packed(block))) }
    } catch (error) {
      const fault = new SquallError('value-unsendable', { reason: reasonOf(error) }, {}, { cause: error })
      const bytes = Buffer.concat([Buffer.of(faultMark), Buffer.from(JSON.stringify(errorData(fault)))])
      return { bytes: blocks.map(() => bytes), fault }
    }
  }

  /** Sends a block in parts; a promise if it has to wait for the other side meanwhile. */
  #give(to: number, trade: number, bytes: Uint8Array): Promise<void> | undefined {
    const parts = Math.max(1, Math.ceil(bytes.length / partBytesMax))
    const send = (part: number): void =>
      this.#send?.(to, { trade, from: this.#index, part, parts, bytes: bytes.subarray(part * partBytesMax, (part + 1) * partBytesMax) })
    for (let part = 0; part < Math.min(parts, partsAheadMax); part++) send(part)
    return parts > partsAheadMax ? this.#giveRest(to, trade, parts, send) : undefined
  }

  async #giveRest(to: number, trade: number, parts: number, send: (part: number) => void): Promise<void> {
    const outgoing: Outgoing = { trade, taken: 0, goOn: () => undefined }
    this.#outgoing.set(to, outgoing)
    for (let part = partsAheadMax; part < parts;) {
      if (part - outgoing.taken < partsAheadMax) send(part++)
      else await new Promise<void>((resolve) => (outgoing.goOn = resolve))
      if (this.#abandoned !== undefined) return
    }
    this.#outgoing.delete(to)
  }

  #taken({ trade, from, part }: BlockPart): void {
    const outgoing = this.#outgoing.get(from)
    if (outgoing?.trade !== trade) return
    outgoing.taken = part
    outgoing.goOn()
  }

  // ---------------------------------------------------------------------------------------------- getting

  /** Tells `from` how many parts were taken, as long as it has to know before it can send the last one. */
  #say(trade: number, from: number, { parts, taken }: Incoming): void {
    if (taken < parts - partsAheadMax + saidEvery && taken > 0)
      this.#send?.(from, { trade, from: this.#index, part: taken, parts: 0, bytes: none })
  }

  #trade(id: number): Trade {
    let trade = this.#trades.get(id)
    if (trade === undefined) {
      trade = {
        incoming: new Array<undefined>(this.#count).fill(undefined),
        missing: this.#count - 1,
        hasBegun: false,
        settle: () => undefined,
      }
      this.#trades.set(id, trade)
    }
    return trade
  }

  #expected({ parts, bytes }: BlockPart): Incoming {
    const room = parts === 1 ? bytes.length : parts * partBytesMax
    this.#waitingBytes += room
    if (this.#waitingBytes > waitingBytesMax) throw new SquallError('exchange-full', { max: waitingBytesMax })
    return { parts, bytes: parts === 1 ? bytes : Buffer.allocUnsafeSlow(room), length: 0, taken: 0 }
  }

  #unpacked({ bytes, length }: Incoming): unknown {
    this.#waitingBytes -= bytes.length
    const block = bytes.length === length ? bytes : bytes.subarray(0, length)
    if (block[0] === faultMark) return new Fault(errorFrom(JSON.parse(Buffer.from(block.subarray(1)).toString()) as ErrorData))
    return unpacked(block)
  }
}

const none = new Uint8Array(0)
