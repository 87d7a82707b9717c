import { describe, expect, test } from 'vitest'
import { Relay } from '../../../lib/cluster/worker/relay.ts'
import { tuplesMessage, wordsOf } from '../../../lib/cluster/worker/frames.ts'
import { sharedWords } from '../../../lib/engine/site.ts'
import type { Rings, SharedWords } from '../../../lib/engine/thread-messages.ts'
import { RingReader, RingWriter, createRing } from '../../../lib/wire/ring.ts'

const ringBytes = 4 << 20

/** Executor 0 in one process, executor 1 in another, and what the link between them carries, message by message. */
class TwoProcesses {
  readonly words: readonly [SharedWords, SharedWords] = [sharedWords(2), sharedWords(2)]
  readonly relays: [Relay, Relay]
  /** by who sent it */
  readonly wire: readonly [Uint8Array[], Uint8Array[]] = [[], []]
  /** messages that gave credit back */
  credits = 0
  #rings!: readonly [out: Rings, back: Rings, out: Rings, back: Rings]

  constructor() {
    this.relays = [this.#relay(0), this.#relay(1)]
    this.connect(1)
  }

  #relay(here: 0 | 1): Relay {
    const send = (message: Uint8Array): void => void this.wire[here].push(message)
    const link = { send, state: (_: number, message: Uint8Array) => send(message) }
    return new Relay({ words: this.words[here], executors: 2, here: () => [here], linkTo: () => link, links: () => [link] })
  }

  /** Executor 0 is in another process, which knows of nothing. */
  restart(): void {
    this.wire[0].length = 0
    this.wire[1].length = 0
    this.relays[0] = this.#relay(0)
    this.connect(1, [0])
    this.relays[1].renewed(new Set([0]))
  }

  connect(number: number, sides: readonly (0 | 1)[] = [0, 1]): void {
    const rings = (): Rings => ({ data: createRing(ringBytes), system: createRing(1 << 20) })
    const [out0, back0, out1, back1] = this.#rings ?? []
    const [a, b] = sides.includes(0) ? [rings(), rings()] : [out0, back0]
    const [c, d] = sides.includes(1) ? [rings(), rings()] : [out1, back1]
    this.#rings = [a, b, c, d]
    if (sides.includes(0)) this.relays[0].connect(0, 1, a, b, number)
    if (sides.includes(1)) this.relays[1].connect(1, 0, c, d, number)
  }

  /** The frames that executor 0 could write for executor 1, of this many bytes. */
  write(lane: 'data' | 'system', frames: number, bytes: number): number {
    const writer = new RingWriter(this.#rings[0][lane])
    for (let frame = 0; frame < frames; frame++) if (!writer.tryWrite(new Uint8Array(bytes).fill(frame))) return frame
    return frames
  }

  /** What executor 1 finds: the first byte of each frame. */
  read(lane: 'data' | 'system', frames = Infinity): number[] {
    const reader = new RingReader(this.#rings[3][lane])
    const found: number[] = []
    for (let frame = reader.read(); frame !== undefined; frame = found.length < frames ? reader.read() : undefined)
      found.push(frame[0] as number)
    reader.release()
    return found
  }

  /** Everything moves until nothing does. */
  settle(): void {
    let moved = true
    while (moved) {
      const turned = this.relays.map((relay) => relay.turn())
      const delivered = ([0, 1] as const).map((from) => {
        const messages = this.wire[from].splice(0)
        for (const message of messages) if (message[0] !== 3) this.relays[1 - from]?.receive(message)
        this.credits += messages.filter(([kind]) => kind === 2).length
        return messages.length > 0
      })
      moved = turned.includes(true) || delivered.includes(true)
    }
  }
}

describe('a relay', () => {
  test('carries frames from ring to ring, in order, and wakes their reader', () => {
    const two = new TwoProcesses()
    two.write('data', 5, 1_000)
    two.write('system', 3, 10)
    const before = Atomics.load(two.words[1].wake, 1)
    two.settle()
    expect(two.read('data')).toEqual([0, 1, 2, 3, 4])
    expect(two.read('system')).toEqual([0, 1, 2])
    expect(Atomics.load(two.words[1].wake, 1)).toBeGreaterThan(before)
  })

  test('sends no more than a window ahead of a reader that does not read, and goes on when it does; acks pass it by', () => {
    const two = new TwoProcesses()
    const frameBytes = 100_000
    let written = 0
    for (let more = 1; more > 0; written += more) {
      more = two.write('data', 100, frameBytes)
      two.settle()
    }
    // a ring at each end, and a window between them
    expect(written * frameBytes).toBeGreaterThan(2 * ringBytes - 4 * frameBytes)
    expect(written * frameBytes).toBeLessThan(2 * ringBytes + (1 << 20) + 2 * frameBytes)
    two.write('system', 2, 10)
    two.settle()
    expect(two.read('system')).toEqual([0, 1])
    let read = 0
    for (let found = -1; found !== 0;) {
      found = two.read('data').length
      read += found
      two.settle()
    }
    expect(read).toBe(written)
  })

  test('gives credit back in large parts, and nobody waits for the rest', () => {
    const two = new TwoProcesses()
    let read = 0
    for (let round = 0; round < 100; round++) {
      two.write('data', 4, 10_000)
      two.settle()
      read += two.read('data').length
    }
    expect(read).toBe(400)
    // four windows of a mebibyte
    expect(two.credits).toBeGreaterThan(4)
    expect(two.credits).toBeLessThanOrEqual(4 * 8)
  })

  test('drops what belongs to lanes that were made anew since', () => {
    const two = new TwoProcesses()
    two.write('data', 1, 100)
    two.relays[0].turn()
    two.connect(2)
    two.settle()
    expect(two.read('data')).toEqual([])
    two.write('data', 2, 100)
    two.settle()
    expect(two.read('data')).toEqual([0, 1])
  })

  test('keeps what comes for lanes that this side has yet to make', () => {
    const two = new TwoProcesses()
    two.connect(2, [0])
    two.write('data', 3, 100)
    two.settle()
    expect(two.read('data')).toEqual([])
    two.connect(2, [1])
    two.settle()
    expect(two.read('data')).toEqual([0, 1, 2])
  })

  test('a process that was started anew owes nothing for the one before it, and is owed nothing', () => {
    const two = new TwoProcesses()
    // not enough to give credit back for, and more than its reader has room for
    expect(two.write('data', 1, 100_000)).toBe(1)
    two.settle()
    two.restart()
    // with its own, enough: it gets back what it has sent, and no more
    expect(two.write('data', 30, 100_000)).toBe(30)
    two.settle()
    two.read('data')
    two.settle()
    expect(two.credits).toBeGreaterThan(0)
    expect(two.write('data', 2, 1)).toBe(2)
    two.settle()
    expect(two.read('data')).toEqual([0, 1])
  })

  test('tells the others when an executor comes under pressure, and when it is free of it', () => {
    const two = new TwoProcesses()
    const told = (): unknown[] => two.wire[0].splice(0).map((message) => JSON.parse(Buffer.from(message.subarray(1)).toString()) as unknown)
    Atomics.store(two.words[0].pressure, 0, 2)
    two.relays[0].turn()
    two.relays[0].turn()
    expect(told()).toEqual([{ kind: 'pressure', executor: 0, parked: 2 }])
    Atomics.store(two.words[0].pressure, 0, 0)
    two.relays[0].turn()
    expect(told()).toEqual([{ kind: 'pressure', executor: 0, parked: 0 }])
  })

  test('tells who comes which executors here are under pressure, and none that has left', () => {
    const words = sharedWords(3)
    let here = [0, 1]
    const told: unknown[] = []
    const link = { send: () => undefined, state: (of: number, message: Uint8Array) => told.push([of, wordsOf(message)]) }
    const relay = new Relay({ words, executors: 3, here: () => here, linkTo: () => link, links: () => [] })
    for (const executor of [0, 1]) Atomics.store(words.pressure, executor, 3)
    relay.turn()
    relay.statePressure(link)
    expect(told.splice(0)).toEqual([0, 1].map((executor) => [executor, { kind: 'pressure', executor, parked: 3 }]))
    here = [0]
    relay.moved()
    relay.statePressure(link)
    expect(told).toEqual([[0, { kind: 'pressure', executor: 0, parked: 3 }]])
  })

  test('refuses tuples for an executor that is not here, more than there is credit for, and credit for what was not sent', () => {
    const two = new TwoProcesses()
    const head = { lane: 'data', from: 0, to: 1, number: 1 } as const
    expect(() => two.relays[0].receive(tuplesMessage({ ...head, to: 5, number: 2 }, new Uint8Array(8)))).toThrow(/to 5 of 2/)
    const flood = (): void => {
      for (let frame = 0; frame < 100; frame++) two.relays[1].receive(tuplesMessage(head, new Uint8Array(100_000)))
    }
    expect(flood).toThrow(/more tuples than there was credit for/)
    two.write('data', 1, 10)
    two.relays[0].turn()
    const credit = Buffer.from(tuplesMessage(head, new Uint8Array(0)))
    credit[0] = 2
    credit.writeUInt32LE(1_000, 12)
    expect(() => two.relays[0].receive(credit)).toThrow(/more credit than was taken/)
  })
})
