/**
 * Moves frames between the executors of this process and those of other workers. It decodes none of them.
 *
 *     executor ─ring─▶ relay ═══ link ═══▶ relay ─ring─▶ executor
 *                        ◀══ credit ═════
 *
 * A lane between two processes is a ring at each end. A relay sends only what it has credit for, and gets the credit back when the other side
 * has put the frame into its ring; a frame whose ring is full waits at that end, and no other lane waits for it. So at most
 * `windowBytes` of a lane are on their way or waiting outside of rings, however slow its reader is; then the sender's ring fills, and its executor parks
 * its frames, which is the pressure that stops all spouts. That pressure is told to the other workers as it changes.
 *
 * A lane is made anew when one of its executors is (`connect`), and both ends count how often: frames and credit of the lane before are dropped, those
 * of a lane that this end has not made yet wait for it.
 */
import type { Relay as Connector } from '../../engine/thread-site.ts'
import type { Rings, SharedWords } from '../../engine/thread-messages.ts'
import { RingReader, RingWriter } from '../../wire/ring.ts'
import { creditMessage, creditOf, garbled, laneHeadOf, messageKinds, tuplesHeadBytes, tuplesMessage, wordsMessage } from './frames.ts'
import type { LaneHead, LaneName } from './frames.ts'
import type { Words } from './words.ts'

/** Bytes of a lane that may be on their way. One frame always may. */
const windowBytes: Readonly<Record<LaneName, number>> = { data: 1 << 20, system: 256 << 10 }
/** Credit is given back when it is this part of the window: the rest is enough to go on with, and each message costs a write. */
const creditPart = 8
/** How often lanes that wait are looked at: for room in a ring. */
const lookMs = 1
const laneNames = ['data', 'system'] as const

/** What a relay needs of a link. */
export interface RelayLink {
  send(message: Uint8Array): void
}

/** And what it needs to say how things are here. */
interface StateLink {
  /** What is `of` an executor, as it is now: a newer state may take its place. */
  state(of: number, message: Uint8Array): void
}

interface LaneOut {
  readonly head: LaneHead
  readonly ring: RingReader
  inFlightBytes: number
}

interface LaneIn {
  readonly head: LaneHead
  readonly ring: RingWriter
  /** frames that its ring had no room for */
  readonly waiting: Uint8Array[]
  waitingBytes: number
  /** bytes put into the ring and not given back as credit */
  owedBytes: number
}

export interface RelayOptions {
  /** the word after those of the executors wakes the relay */
  readonly words: SharedWords
  readonly executors: number
  readonly here: () => readonly number[]
  /** the link to the worker of an executor elsewhere, if there is one now */
  readonly linkTo: (executor: number) => RelayLink | undefined
  /** the links to all other workers */
  readonly links: () => Iterable<StateLink>
}

export class Relay implements Connector {
  readonly #options: RelayOptions
  readonly #out = new Map<string, LaneOut>()
  readonly #in = new Map<string, LaneIn>()
  /** frames of lanes that this end has not made yet */
  readonly #early = new Map<string, Uint8Array[]>()
  /** the number of the lanes made last */
  #newest = 0
  /** by executor here, what others were told */
  readonly #toldPressure: Int32Array
  #isStopping = false
  #isWaiting = false
  #wake: () => void = () => undefined
  #scratch = new Uint8Array(64 << 10)

  constructor(options: RelayOptions) {
    this.#options = options
    this.#toldPressure = new Int32Array(options.executors)
  }

  connect(here: number, there: number, out: Rings, back: Rings, number: number): void {
    this.#newest = Math.max(this.#newest, number)
    for (const lane of laneNames) {
      const head = { lane, from: here, to: there, number }
      this.#out.set(keyOf(head), { head, ring: new RingReader(out[lane]), inFlightBytes: 0 })
      const headIn = { lane, from: there, to: here, number }
      const key = keyOf(headIn)
      const ring = new RingWriter(back[lane])
      this.#in.set(key, { head: headIn, ring, waiting: [], waitingBytes: 0, owedBytes: 0 })
      const early = this.#early.get(key) ?? []
      this.#early.delete(key)
      // one that no ring takes is refused when it comes; this one came before its ring
      for (const message of early) if (message.length - tuplesHeadBytes <= ring.frameBytesMax) this.#tuples(message)
    }
    this.#wake()
  }

  /** Executors are here or elsewhere that were not: lanes that do not lead from here to elsewhere, or back, are none. */
  moved(): void {
    const here = new Set(this.#options.here())
    this.#toldPressure.forEach((_, executor) => {
      if (!here.has(executor)) this.#toldPressure[executor] = 0
    })
    for (const lanes of [this.#out, this.#in])
      for (const [key, { head }] of lanes) if (here.has(head.from) === here.has(head.to)) lanes.delete(key)
  }

  /**
   * The process that has these executors is another one than before, whose lanes may have the same number: what was on its way to the old one is lost, and
   * the new one has no credit to get for what it never sent.
   */
  renewed(executors: ReadonlySet<number>): void {
    for (const lane of this.#out.values()) if (executors.has(lane.head.to)) lane.inFlightBytes = 0
    for (const lane of this.#in.values())
      if (executors.has(lane.head.from)) {
        lane.waiting.length = 0
        lane.waitingBytes = 0
        lane.owedBytes = 0
      }
    for (const [key, [message]] of this.#early)
      if (message !== undefined && executors.has(laneHeadOf(message).from)) this.#early.delete(key)
  }

  /** A message of kind `tuples` or `credit` has come. */
  receive(message: Uint8Array): void {
    if (message[0] === messageKinds.tuples) this.#tuples(message)
    else this.#credit(message)
    this.#wake()
  }

  /** Executors of another worker are under pressure, or no more. */
  pressed(executor: number, parked: number): void {
    if (executor >= this.#options.executors) throw garbled(`pressure of executor ${executor} of ${this.#options.executors}`)
    Atomics.store(this.#options.words.pressure, executor, parked)
  }

  /** Moves frames until `stop`. */
  async run(): Promise<void> {
    const { words, executors } = this.#options
    while (!this.#isStopping) {
      let seen = Atomics.load(words.wake, executors)
      let moved = this.turn()
      if (moved) {
        // as a rule that was all: to look again at once costs less than another round of the event loop
        seen = Atomics.load(words.wake, executors)
        moved = this.turn()
      }
      if (moved) await new Promise((resolve) => setImmediate(resolve))
      else await this.#wait(seen)
    }
  }

  stop(): void {
    this.#isStopping = true
    this.#wake()
  }

  /** Moves what can be moved now; true if anything was. */
  turn(): boolean {
    let moved = false
    for (const lane of this.#in.values()) if (lane.waiting.length > 0 && this.#deliver(lane)) moved = true
    for (const lane of this.#out.values()) if (this.#forward(lane)) moved = true
    for (const lane of this.#in.values()) this.#giveCredit(lane)
    this.#tellPressure()
    return moved
  }

  #forward(lane: LaneOut): boolean {
    if (lane.ring.isEmpty) return false
    const link = this.#options.linkTo(lane.head.to)
    if (link === undefined) return false
    const max = windowBytes[lane.head.lane]
    let moved = false
    while (lane.inFlightBytes < max) {
      const frame = lane.ring.read()
      if (frame === undefined) break
      lane.inFlightBytes += frame.length
      link.send(tuplesMessage(lane.head, frame))
      lane.ring.release()
      moved = true
    }
    return moved
  }

  #tuples(message: Uint8Array): void {
    const head = laneHeadOf(message)
    const key = keyOf(head)
    const lane = this.#in.get(key)
    if (lane === undefined || head.number > lane.head.number) {
      this.#keepEarly(key, head, message)
      return
    }
    if (head.number < lane.head.number) return
    const frameBytes = message.length - tuplesHeadBytes
    if (frameBytes > lane.ring.frameBytesMax) throw garbled(`a frame of ${frameBytes} bytes; its ring takes ${lane.ring.frameBytesMax}`)
    lane.waitingBytes += frameBytes
    if (lane.waitingBytes > windowBytes[head.lane] + message.length) throw garbled('more tuples than there was credit for')
    lane.waiting.push(message)
    this.#deliver(lane)
  }

  #keepEarly(key: string, head: LaneHead, message: Uint8Array): void {
    // its executor was here, and is elsewhere now
    if (head.number <= this.#newest) return
    const { executors } = this.#options
    if (head.from >= executors || head.to >= executors) throw garbled(`tuples from executor ${head.from} to ${head.to} of ${executors}`)
    const early = this.#early.get(key)?.filter((other) => laneHeadOf(other).number === head.number) ?? []
    early.push(message)
    if (
      early.reduce((bytes, { length }) => bytes + length, 0) >
      windowBytes[head.lane] + 2 * message.length + early.length * tuplesHeadBytes
    )
      throw garbled('more tuples than there was credit for')
    this.#early.set(key, early)
  }

  /** Puts waiting frames into their ring while there is room; true if any went. */
  #deliver(lane: LaneIn): boolean {
    const { waiting, ring, head } = lane
    let done = 0
    for (const message of waiting) {
      const frame = this.#aligned(message)
      if (!ring.tryWrite(frame)) break
      done++
      lane.owedBytes += frame.length
      lane.waitingBytes -= frame.length
    }
    if (done === 0) return false
    waiting.splice(0, done)
    const { wake } = this.#options.words
    Atomics.add(wake, head.to, 1)
    Atomics.notify(wake, head.to)
    this.#giveCredit(lane)
    return true
  }

  /** The frame in a message. Sockets begin messages anywhere, and copying into shared memory is quick only from a multiple of 8. */
  #aligned(message: Uint8Array): Uint8Array {
    const frame = message.subarray(tuplesHeadBytes)
    if ((frame.byteOffset & 7) === 0) return frame
    if (this.#scratch.length < frame.length) this.#scratch = new Uint8Array(frame.length * 2)
    this.#scratch.set(frame)
    return this.#scratch.subarray(0, frame.length)
  }

  #giveCredit(lane: LaneIn): void {
    if (lane.owedBytes * creditPart < windowBytes[lane.head.lane]) return
    const link = this.#options.linkTo(lane.head.from)
    if (link === undefined) return
    link.send(creditMessage(lane.head, lane.owedBytes))
    lane.owedBytes = 0
  }

  #credit(message: Uint8Array): void {
    const head = laneHeadOf(message)
    const lane = this.#out.get(keyOf(head))
    if (lane === undefined || head.number !== lane.head.number) return
    const bytes = creditOf(message)
    if (bytes > lane.inFlightBytes) throw garbled('more credit than was taken')
    lane.inFlightBytes -= bytes
  }

  #tellPressure(): void {
    const { words, here } = this.#options
    for (const executor of here()) {
      const parked = Atomics.load(words.pressure, executor)
      if ((parked === 0) === (this.#toldPressure[executor] === 0)) continue
      this.#toldPressure[executor] = parked
      for (const link of this.#options.links()) link.state(executor, pressureMessage(executor, parked))
    }
  }

  /** Says to a process that does not know it which executors here are under pressure. */
  statePressure(link: StateLink): void {
    this.#toldPressure.forEach((parked, executor) => {
      if (parked !== 0) link.state(executor, pressureMessage(executor, parked))
    })
  }

  /** Something waits that nobody will wake the relay for: room in a ring here, or an executor that is under pressure until it is not. */
  get #isLooking(): boolean {
    return this.#toldPressure.some((parked) => parked !== 0) || [...this.#in.values()].some(({ waiting }) => waiting.length > 0)
  }

  #wait(seen: number): Promise<void> {
    const { words, executors } = this.#options
    return new Promise((resolve) => {
      const timer = this.#isLooking ? setTimeout(() => resume(), lookMs) : undefined
      const resume = (): void => {
        clearTimeout(timer)
        this.#wake = () => undefined
        resolve()
      }
      this.#wake = resume
      if (this.#isWaiting) return
      const wait = Atomics.waitAsync(words.wake, executors, seen)
      if (!wait.async) {
        resume()
        return
      }
      this.#isWaiting = true
      void wait.value.then(() => {
        this.#isWaiting = false
        this.#wake()
      })
    })
  }
}

function pressureMessage(executor: number, parked: number): Uint8Array {
  return wordsMessage({ kind: 'pressure', executor, parked } satisfies Words)
}

/** One lane between two executors has one at each end, whatever its number. */
function keyOf({ lane, from, to }: LaneHead): string {
  return `${lane} ${from} ${to}`
}
