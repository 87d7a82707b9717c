/**
 * The way from this executor to one other: tuples gather into a bundle that leaves at the end of the turn or when it is
 * large enough; acks gather by root, so many for one tree travel as one, on a lane of their own that data cannot block.
 *
 * A frame that does not fit is parked, in order, and counts as pressure (`executor.ts`): spouts stop until it has left.
 */
import { BundleWriter } from '../wire/bundle.ts'
import type { TupleCodec, Values } from '../wire/codec.ts'

/** One direction of transport between two executors: a ring in shared memory, or a queue under simulation. */
export interface Lane {
  /** Takes the frame (copying it), or returns false when it is full. */
  tryWrite(frame: Uint8Array): boolean
}

export interface Lanes {
  readonly data: Lane
  readonly system: Lane
  /** Tells the other side that something has arrived. */
  notify(): void
}

/** One direction of transport, at its end. */
export interface LaneEnd {
  /** The next frame, valid until `release`. */
  read(): Uint8Array | undefined
  release(): void
}

export interface LaneEnds {
  readonly data: LaneEnd
  readonly system: LaneEnd
}

const ackSlots = 4_096
/** A bundle of acks leaves at this size: well below the frame that the lane's ring takes. */
const systemBytes = 64 << 10
/** Room of the ring for acks. */
export const systemRingBytes: number = 1 << 20

export class Link {
  /** frames given to the lanes; the other side counts what it took */
  sent = 0
  #lanes: Lanes
  readonly #data: BundleWriter
  readonly #system: BundleWriter
  readonly #bundleBytes: number
  #parkedData: Uint8Array[] = []
  #parkedSystem: Uint8Array[] = []
  #wrote = false
  // acks of this turn by root: an open-addressed table, emptied at each flush
  readonly #ackRoots = new Int32Array(ackSlots * 2)
  readonly #ackXors = new Int32Array(ackSlots * 2)
  readonly #ackUsed = new Int32Array(ackSlots)
  #ackCount = 0

  constructor(lanes: Lanes, codecs: readonly TupleCodec[], bundleBytes: number) {
    this.#lanes = lanes
    this.#data = new BundleWriter(codecs)
    this.#system = new BundleWriter([])
    this.#bundleBytes = bundleBytes
  }

  /** Frames wait here because a lane is full. */
  get isParked(): boolean {
    return this.#parkedData.length > 0 || this.#parkedSystem.length > 0
  }

  tuple(route: number, source: number, target: number, rootA: number, rootB: number, edgeA: number, edgeB: number, values: Values): void {
    this.#data.tuple(route, source, target, rootA, rootB, edgeA, edgeB, values)
    if (this.#data.bytes >= this.#bundleBytes) this.#flushData()
  }

  tupleAnchored(route: number, source: number, target: number, anchors: readonly number[], values: Values): void {
    this.#data.tupleAnchored(route, source, target, anchors, anchors.length / 4, values)
    if (this.#data.bytes >= this.#bundleBytes) this.#flushData()
  }

  ack(rootA: number, rootB: number, a: number, b: number): void {
    const roots = this.#ackRoots
    const xors = this.#ackXors
    let at = (Math.imul(rootA, 0x9e3779b1) ^ Math.imul(rootB, 0x85ebca6b)) >>> 20
    while (roots[at * 2] !== 0) {
      if (roots[at * 2] === rootA && roots[at * 2 + 1] === rootB) {
        xors[at * 2] = (xors[at * 2] as number) ^ a
        xors[at * 2 + 1] = (xors[at * 2 + 1] as number) ^ b
        return
      }
      at = (at + 1) & (ackSlots - 1)
    }
    roots[at * 2] = rootA
    roots[at * 2 + 1] = rootB
    xors[at * 2] = a
    xors[at * 2 + 1] = b
    this.#ackUsed[this.#ackCount++] = at
    if (this.#ackCount === ackSlots / 2) this.#gatherAcks()
  }

  fail(rootA: number, rootB: number, task: number, message: string): void {
    this.#system.fail(rootA, rootB, task, message, 0)
    if (this.#system.bytes >= systemBytes) this.#flushSystem()
  }

  resetTimeout(rootA: number, rootB: number): void {
    this.#system.resetTimeout(rootA, rootB)
    if (this.#system.bytes >= systemBytes) this.#flushSystem()
  }

  /** Sends what has gathered; called at the end of every turn. True while frames are parked. */
  flush(): boolean {
    if (this.#ackCount > 0) this.#gatherAcks()
    if (this.#system.tuples > 0) this.#flushSystem()
    else if (this.#parkedSystem.length > 0) this.#unpark(this.#lanes.system, this.#parkedSystem)
    if (this.#data.tuples > 0) this.#flushData()
    else if (this.#parkedData.length > 0) this.#unpark(this.#lanes.data, this.#parkedData)
    if (this.#wrote) {
      this.#wrote = false
      this.#lanes.notify()
    }
    return this.isParked
  }

  /** The other side was started anew: what waited for the old one is dropped, and its trees are failed elsewhere. */
  reconnect(lanes: Lanes): void {
    this.#lanes = lanes
    this.#parkedData = []
    this.#parkedSystem = []
    this.#data.reset()
    this.#system.reset()
    for (let i = 0; i < this.#ackCount; i++) this.#ackRoots[(this.#ackUsed[i] as number) * 2] = 0
    this.#ackCount = 0
    this.sent = 0
  }

  #flushData(): void {
    this.#send(this.#lanes.data, this.#parkedData, this.#data.finish())
    this.#data.reset()
  }

  #flushSystem(): void {
    this.#send(this.#lanes.system, this.#parkedSystem, this.#system.finish())
    this.#system.reset()
  }

  #gatherAcks(): void {
    for (let i = 0; i < this.#ackCount; i++) {
      const at = (this.#ackUsed[i] as number) * 2
      this.#system.ack(
        this.#ackRoots[at] as number,
        this.#ackRoots[at + 1] as number,
        this.#ackXors[at] as number,
        this.#ackXors[at + 1] as number,
      )
      this.#ackRoots[at] = 0
    }
    this.#ackCount = 0
    if (this.#system.bytes >= systemBytes) this.#flushSystem()
  }

  #send(lane: Lane, parked: Uint8Array[], frame: Uint8Array): void {
    this.sent++
    if (parked.length > 0) this.#unpark(lane, parked)
    if (parked.length === 0 && lane.tryWrite(frame)) this.#wrote = true
    else parked.push(frame.slice()) // the writer's memory is used again
  }

  #unpark(lane: Lane, parked: Uint8Array[]): void {
    let sent = 0
    while (sent < parked.length && lane.tryWrite(parked[sent] as Uint8Array)) sent++
    if (sent === 0) return
    parked.splice(0, sent)
    this.#wrote = true
  }
}
