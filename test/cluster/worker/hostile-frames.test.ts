/** What reads the bytes of another worker: whatever they are, it takes them or says what is wrong with them, and goes on. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { CellLayout } from '../../../lib/engine/cells.ts'
import { sharedWords } from '../../../lib/engine/site.ts'
import type { Rings } from '../../../lib/engine/thread-messages.ts'
import { SquallError } from '../../../lib/errors.ts'
import { fromWorkerFrom, toWorkerFrom } from '../../../lib/cluster/worker/assignment.ts'
import {
  cellsMessage,
  cellsOf,
  creditMessage,
  laneHeadOf,
  messageKinds,
  receivedMessage,
  receivedOf,
  tuplesHeadBytes,
  tuplesMessage,
  wordsMessage,
  wordsOf,
} from '../../../lib/cluster/worker/frames.ts'
import { Relay } from '../../../lib/cluster/worker/relay.ts'
import { RemoteSite } from '../../../lib/cluster/worker/remote-site.ts'
import { putCellsOfTasks } from '../../../lib/cluster/worker/site-cells.ts'
import { wordsFrom } from '../../../lib/cluster/worker/words.ts'
import { planTopology } from '../../../lib/topology/plan.ts'
import { RingReader, createRing } from '../../../lib/wire/ring.ts'
import { topology } from '../../../lib/topology/builder.ts'
import { defineBolt, defineSpout } from '../../../lib/topology/component.ts'
import { z } from 'zod'

const runs = { numRuns: 500 }
const ringBytes = 1 << 16

const head = { lane: 'data', from: 1, to: 0, number: 1 } as const
const rest = { executor: 1, isQuiet: true, sent: [0, 0], received: [0, 0], heldUp: [0, 0] }
const fault = { code: 'executor-died', what: 'w', help: 'h', where: {}, stack: '', faults: [] }

/** One of each that workers say. */
const honest: readonly Uint8Array[] = [
  receivedMessage(3),
  tuplesMessage(head, Buffer.alloc(100, 7)),
  creditMessage({ ...head, from: 0, to: 1 }, 10),
  cellsMessage(new Float64Array([0, 1, 2, 3])),
  ...[
    { kind: 'command', id: 1, command: { do: 'renew', executors: [0, 1], number: 2 } },
    { kind: 'command', id: 2, command: { do: 'adopt', executors: [1], workers: [0, 1] } },
    { kind: 'did', id: 1, error: fault },
    { kind: 'did', id: 1, state: { running: [1], lanes: 1 } },
    { kind: 'error', error: { component: 'c', task: 0, executor: 1, atMs: 1, message: 'm', stack: 's' } },
    { kind: 'counters', counters: [[0, { a: 1 }]] },
    { kind: 'died', executors: [1], reason: 'r' },
    { kind: 'rests', rests: [rest] },
    { kind: 'pressure', executor: 1, parked: 3 },
    {
      kind: 'assignment',
      assignment: { epoch: 1, executors: 1, workers: [{ worker: 0, incarnation: 1, executors: [0] }], isActive: true },
      positions: {},
    },
    { kind: 'stop', drainMs: 10 },
    { kind: 'snapshot', id: 1, snapshot: null },
  ].map(wordsMessage),
]

/** Bytes that are no message, messages with bytes changed, cut off or added, and words with a value replaced. */
const anyMessage = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc.tuple(fc.nat(4), fc.uint8Array({ maxLength: 100 })).map(([kind, bytes]) => Buffer.from([kind, ...bytes])),
  fc
    .tuple(
      fc.constantFrom(...honest),
      fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { maxLength: 8 }),
      fc.nat(400),
      fc.uint8Array({ maxLength: 20 }),
    )
    .map(([message, changes, length, more]) => {
      const bytes = Buffer.concat([message.subarray(0, length < 200 ? length : undefined), more])
      for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value
      return bytes
    }),
  fc.tuple(fc.constantFrom(...honest.slice(4)), fc.nat(40), fc.jsonValue()).map(([message, place, value]) => {
    let at = 0
    const words: unknown = JSON.parse(Buffer.from(message.subarray(1)).toString(), (_, one: unknown) => (at++ === place ? value : one))
    return wordsMessage(words ?? null)
  }),
)

/** Either it is done, or the other side is to blame for it. */
function isBlamed(act: () => unknown): boolean {
  try {
    act()
    return false
  } catch (error) {
    if (error instanceof SquallError && error.code === 'link-garbled') return true
    throw error
  }
}

test.each([
  ['what was received', receivedOf],
  ['the head of a frame', laneHeadOf],
  ['words', wordsOf],
  ['words of a lead or a site', wordsFrom],
  ['words of a supervisor', toWorkerFrom],
  ['words of a worker', fromWorkerFrom],
  ['cells', cellsOf],
] as const)('%s: any bytes are read, or garbled', (_, read) => {
  let blamed = 0
  fc.assert(
    fc.property(anyMessage, (message) => void (blamed += Number(isBlamed(() => read(message))))),
    runs,
  )
  expect(blamed).toBeGreaterThan(0)
})

describe('a relay', () => {
  const here = 0
  function relayOf(): { relay: Relay; readers: readonly RingReader[] } {
    const relay = new Relay({
      words: sharedWords(2),
      executors: 2,
      here: () => [here],
      linkTo: () => ({ send: () => undefined }),
      links: () => [],
    })
    const rings = (): Rings => ({ data: createRing(ringBytes), system: createRing(ringBytes) })
    const back = rings()
    relay.connect(here, 1, rings(), back, 1)
    return { relay, readers: [new RingReader(back.data), new RingReader(back.system)] }
  }

  test('takes any bytes or blames the other side, and moves what is right afterwards', () => {
    fc.assert(
      fc.property(fc.array(anyMessage, { maxLength: 5 }), (messages) => {
        const { relay, readers } = relayOf()
        for (const message of messages) isBlamed(() => relay.receive(message))
        relay.turn()
        for (const reader of readers) while (reader.read() !== undefined) reader.release()
        isBlamed(() => relay.receive(tuplesMessage({ ...head, lane: 'system' }, Buffer.from('right'))))
        relay.turn()
        expect(Buffer.from(readers[1]?.read() ?? []).toString()).toBe('right')
      }),
      runs,
    )
  })

  test('refuses a frame that its ring would never take, and is not stuck with it', () => {
    const { relay, readers } = relayOf()
    expect(isBlamed(() => relay.receive(tuplesMessage(head, Buffer.alloc(ringBytes))))).toBe(true)
    relay.turn()
    relay.receive(tuplesMessage(head, Buffer.from('right')))
    expect(Buffer.from(readers[0]?.read() ?? []).toString()).toBe('right')
  })

  test('drops such a frame when it came before its ring', () => {
    const { relay } = relayOf()
    relay.receive(tuplesMessage({ ...head, number: 2 }, Buffer.alloc(ringBytes)))
    const rings = (): Rings => ({ data: createRing(ringBytes), system: createRing(ringBytes) })
    const back = rings()
    relay.connect(here, 1, rings(), back, 2)
    relay.turn()
    relay.receive(tuplesMessage({ ...head, number: 2 }, Buffer.from('right')))
    expect(Buffer.from(new RingReader(back.data).read() ?? []).toString()).toBe('right')
  })

  test.each([
    ['credit that wraps around', creditMessage({ ...head, from: 0, to: 1 }, 0xffff_ffff)],
    ['a head that is cut short', tuplesMessage(head, Buffer.alloc(0)).subarray(0, tuplesHeadBytes - 1)],
    ['a lane that does not exist', Buffer.from(tuplesMessage(head, Buffer.alloc(8))).fill(9, 1, 2)],
    ['executors that do not exist', tuplesMessage({ ...head, from: 60_000, to: 60_001, number: 2 }, Buffer.alloc(8))],
  ])('blames the other side for %s', (_, message) => {
    expect(isBlamed(() => relayOf().relay.receive(message))).toBe(true)
  })
})

describe('the lead of a run', () => {
  const Word = z.object({ word: z.string() })
  const words = defineSpout({ output: Word, open: () => (out) => out.end() })
  const sink = defineBolt({ input: Word, execute: () => undefined })
  const plan = planTopology(
    topology('t', (t) => {
      t.bolt('sink', sink).shuffle(t.spout('words', words))
    }).draft({}),
    {},
    2,
  )
  const layout = new CellLayout(plan)

  test('takes any words of a site, or blames it; the words of other executors stay as they are', () => {
    fc.assert(
      fc.property(fc.array(anyMessage, { maxLength: 5 }), (messages) => {
        const shared = sharedWords(2)
        const ears = { said: () => undefined, died: () => undefined }
        const cells = layout.allocate(false)
        const more = { plan, placement: [0, 1], cells, words: shared, ears, workerOf: () => 1, send: () => undefined }
        const site = new RemoteSite({ worker: 1, executors: [1], ...more })
        for (const message of messages)
          isBlamed(() => (message[0] === messageKinds.cells ? site.heardCells(cellsOf(message)) : site.hear(wordsFrom(message))))
        expect([shared.quiet.generation[0], ...shared.quiet.sent.subarray(0, 2)]).toEqual([0, 0, 0])
      }),
      runs,
    )
  })

  test('a word of rest says of all lanes, or it is garbled', () => {
    const ears = { said: () => undefined, died: () => undefined }
    const more = {
      plan,
      placement: [0, 1],
      cells: layout.allocate(false),
      words: sharedWords(2),
      ears,
      workerOf: () => 1,
      send: () => undefined,
    }
    const site = new RemoteSite({ worker: 1, executors: [1], ...more })
    const rests = (one: object): boolean =>
      isBlamed(() => site.hear(wordsFrom(wordsMessage({ kind: 'rests', rests: [{ ...rest, ...one }] }))))
    expect(rests({})).toBe(false)
    expect(rests({ sent: [1, 2, 3] })).toBe(true)
    expect(rests({ received: [] })).toBe(true)
    expect(rests({ executor: 0 })).toBe(true)
  })

  test('cells of tasks that are none are garbled, those of others nothing', () => {
    const cells = layout.allocate(false)
    for (const task of [-1, 0.5, NaN, 2, 1e9])
      expect(isBlamed(() => putCellsOfTasks(layout, cells, [1], new Float64Array([task, ...cells])))).toBe(true)
    const before = cells.slice()
    putCellsOfTasks(layout, cells, [1], new Float64Array([0, ...new Float64Array(layout.end(0)).fill(7)]))
    expect(cells).toEqual(before)
  })
})
