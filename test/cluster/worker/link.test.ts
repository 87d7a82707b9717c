import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { receivedMessage, wordsMessage, wordsOf } from '../../../lib/cluster/worker/frames.ts'
import { Link } from '../../../lib/cluster/worker/link.ts'
import { pipe } from './connections.ts'
import type { Pipe } from './connections.ts'

/** One side: what it was told, in order. */
class Side {
  readonly heard: unknown[] = []
  readonly broken: unknown[] = []
  renewals = 0
  readonly link: Link

  constructor(session: string) {
    this.link = new Link(session, {
      message: (message) => this.heard.push(wordsOf(message)),
      renewed: () => {
        this.renewals++
        this.heard.length = 0
      },
      moved: () => undefined,
      broken: (error) => this.broken.push(error),
    })
  }

  say(words: unknown): void {
    this.link.send(wordsMessage(words))
  }
}

function connect(a: Side, b: Side): Pipe {
  const between = pipe()
  const [greetingA, greetingB] = [a.link.greet(), b.link.greet()]
  a.link.attach(between.ends[0], greetingB)
  b.link.attach(between.ends[1], greetingA)
  return between
}

function drain(between: Pipe): void {
  while (between.step(0) || between.step(1));
}

describe('a link', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  test('carries what was sent before there was a connection', () => {
    const [a, b] = [new Side('a'), new Side('b')]
    a.say('first')
    drain(connect(a, b))
    expect(b.heard).toEqual(['first'])
  })

  test('keeps a message until the other side has said that it has it, which it says after a moment', () => {
    const [a, b] = [new Side('a'), new Side('b')]
    const between = connect(a, b)
    a.say('kept')
    drain(between)
    expect(a.link.unacknowledged).toBe(1)
    vi.advanceTimersByTime(1_000)
    drain(between)
    expect(a.link.unacknowledged).toBe(0)
  })

  test('delivers all messages once and in order, whatever connections break with whatever is on its way', () => {
    const step = fc.oneof(
      { weight: 8, arbitrary: fc.constantFrom('say a', 'say b') },
      { weight: 12, arbitrary: fc.constantFrom('step 0', 'step 1') },
      { weight: 2, arbitrary: fc.constantFrom('wait', 'cut', 'replace') },
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const [a, b] = [new Side('a'), new Side('b')]
        let between = connect(a, b)
        let said = 0
        const [saidA, saidB]: [number[], number[]] = [[], []]
        for (const one of steps) {
          if (one === 'say a') a.say(saidA[saidA.push(said++) - 1])
          else if (one === 'say b') b.say(saidB[saidB.push(said++) - 1])
          else if (one === 'step 0') between.step(0)
          else if (one === 'step 1') between.step(1)
          else if (one === 'wait') vi.advanceTimersByTime(150)
          else {
            // a new connection may come while the old one has not been noticed to be gone
            if (one === 'cut') between.cut()
            between = connect(a, b)
          }
        }
        drain(connect(a, b))
        expect(b.heard).toEqual(saidA)
        expect(a.heard).toEqual(saidB)
        expect([a.renewals, b.renewals, a.broken, b.broken]).toEqual([0, 0, [], []])
        a.link.close()
        b.link.close()
      }),
    )
  })

  test('tells when the other side is another process, and nothing that was meant for the old one reaches it', () => {
    const [a, old] = [new Side('a'), new Side('b1')]
    const between = connect(a, old)
    a.say('for the old one')
    old.say('from the old one')
    between.step(1)
    expect(a.heard).toEqual(['from the old one'])
    between.cut()
    const fresh = new Side('b2')
    const second = connect(a, fresh)
    expect(a.renewals).toBe(1)
    fresh.say('from the new one')
    a.say('for the new one')
    drain(second)
    expect(a.heard).toEqual(['from the new one'])
    expect(fresh.heard).toEqual(['for the new one'])
    expect(fresh.renewals).toBe(0)
  })

  test('closes a connection whose other side says what cannot be', () => {
    const [a, b] = [new Side('a'), new Side('b')]
    const between = connect(a, b)
    // it says to have what was never sent
    between.ends[1].send(receivedMessage(7))
    between.step(1)
    expect(a.broken).toEqual([expect.objectContaining({ code: 'link-garbled' })])
    expect(a.link.isConnected).toBe(false)
  })

  test('hears nothing more of a connection on which that was said, however long it takes to close', () => {
    const [a, b] = [new Side('a'), new Side('b')]
    const between = connect(a, b)
    between.ends[0].close = () => undefined
    between.ends[1].send(new Uint8Array([0, 1]))
    between.ends[1].send(new Uint8Array([0, 2]))
    b.say('late')
    drain(between)
    expect([a.broken.length, a.heard, a.link.isConnected]).toEqual([1, [], false])
    drain(connect(a, b))
    expect(a.heard).toEqual(['late'])
  })

  test.each([7, -1, 0.5, NaN, Infinity, 2 ** 60])('takes no acknowledgement of %d messages where one was sent', (received) => {
    const [a, b] = [new Side('a'), new Side('b')]
    const between = connect(a, b)
    a.say('one')
    between.ends[1].send(receivedMessage(received))
    between.step(1)
    expect(a.broken).toEqual([expect.objectContaining({ code: 'link-garbled' })])
    drain(connect(a, b))
    expect(b.heard).toEqual(['one'])
  })

  test.each([3, 0.5, -1, NaN])('takes no greeting that says that %d messages were received where none was sent', (received) => {
    const a = new Side('a')
    a.link.greet()
    expect(() => a.link.attach(pipe().ends[0], { session: 'b', received, of: 'a' })).toThrow(/messages received of 0/)
    expect(a.link.isConnected).toBe(false)
  })

  test('is not talked into another session by a greeting that cannot be', () => {
    const [a, b] = [new Side('a'), new Side('b')]
    a.say('kept')
    connect(a, b)
    a.link.greet()
    expect(() => a.link.attach(pipe().ends[0], { session: 'stranger', received: 1, of: 'a' })).toThrow(/1 messages received of 0/)
    expect(a.renewals).toBe(0)
    drain(connect(a, b))
    expect(b.heard).toEqual(['kept'])
  })
})
