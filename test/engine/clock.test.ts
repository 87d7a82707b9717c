/** What happens between two turns happens at its own time, not at that of the last turn. */
import { expect, test } from 'vitest'
import { CellLayout } from '../../lib/engine/cells.ts'
import { Executor } from '../../lib/engine/executor.ts'
import { defineBolt, defineSpout, topology, z } from '../../lib/index.ts'
import type { TopologyDefinition } from '../../lib/index.ts'
import { VirtualClock } from '../../lib/std/clock.ts'
import { createLogger } from '../../lib/std/log.ts'
import { placeTasks, planTopology } from '../../lib/topology/plan.ts'

const Num = z.object({ num: z.int() })

/** One executor that the test turns by hand, on a clock that it moves by hand. */
async function executorOf(definition: TopologyDefinition) {
  const plan = planTopology(definition.draft({}), { messageTimeouts: false })
  const layout = new CellLayout(plan)
  const cells = layout.allocate(false)
  const clock = new VirtualClock()
  const fail = (error: unknown): never => {
    throw error as Error
  }
  const executor = new Executor({
    plan,
    index: 0,
    placement: placeTasks(plan, 1),
    seed: 1,
    clock,
    cells,
    lanes: [undefined],
    ends: [undefined],
    pressure: new Int32Array(1),
    log: createLogger({ level: 'silent' }),
    onError: () => undefined,
    onFatal: fail,
  })
  await executor.start()
  executor.setActive(true)
  return { executor, clock, latency: () => layout.completeLatency(cells).summary() }
}

/** A promise that the test settles. */
function signal(): { readonly promise: Promise<void>; readonly settle: () => void } {
  let settle = (): void => undefined
  const promise = new Promise<void>((resolve) => (settle = resolve))
  return { promise, settle }
}

const microtasks = async (): Promise<void> => {
  for (let i = 0; i < 10; i++) await Promise.resolve()
}

test('a tree that an async bolt ends between turns took until then', async () => {
  const { promise, settle } = signal()
  const spout = defineSpout({
    output: Num,
    open() {
      let num = 0
      return (out) => (num++ === 0 ? out.emit({ num }) : out.end())
    },
  })
  const waits = defineBolt({ input: Num, execute: () => promise })
  const { executor, clock, latency } = await executorOf(topology('t', (t) => void t.bolt('waits', waits).shuffle(t.spout('source', spout))))
  executor.turn()
  clock.moveTo(400)
  settle()
  await microtasks()
  expect(latency()).toMatchObject({ count: 1, max: 400 })
})

test('a tree that a bolt acks by hand between turns took until then', async () => {
  let ack = (): void => undefined
  const spout = defineSpout({
    output: Num,
    open() {
      let num = 0
      return (out) => (num++ === 0 ? out.emit({ num }) : out.end())
    },
  })
  const holds = defineBolt({ input: Num, ack: 'manual', execute: (_values, out, tuple) => void (ack = () => out.ack(tuple)) })
  const { executor, clock, latency } = await executorOf(topology('t', (t) => void t.bolt('holds', holds).shuffle(t.spout('source', spout))))
  executor.turn()
  clock.moveTo(400)
  ack()
  expect(latency()).toMatchObject({ count: 1, max: 400 })
})

test.each(['promise', 'generator'])('a tree that a %s starts between turns began then', async (kind) => {
  const { promise, settle } = signal()
  const spout = defineSpout({
    output: Num,
    open() {
      if (kind === 'generator')
        return (async function* () {
          await promise
          yield { num: 1 }
        })()
      return async (out) => {
        await promise
        out.emit({ num: 1 })
        out.end()
      }
    },
  })
  const sink = defineBolt({ input: Num, execute: () => undefined })
  const { executor, clock, latency } = await executorOf(topology('t', (t) => void t.bolt('sink', sink).shuffle(t.spout('source', spout))))
  executor.turn()
  await microtasks()
  clock.moveTo(400)
  settle()
  await microtasks()
  executor.turn()
  expect(latency()).toMatchObject({ count: 1, max: 0 })
})

test('a tuple that fails between turns is replayed after its back-off, counted from then', async () => {
  const { promise, settle } = signal()
  const spout = defineSpout({
    output: Num,
    replay: true,
    config: { replayBackoffMs: 100 },
    open() {
      let num = 0
      return (out) => (num++ === 0 ? out.emit({ num }) : out.end())
    },
  })
  let calls = 0
  const fails = defineBolt({
    input: Num,
    async execute() {
      if (calls++ > 0) return
      await promise
      throw new Error('the first time')
    },
  })
  const { executor, clock } = await executorOf(topology('t', (t) => void t.bolt('fails', fails).shuffle(t.spout('source', spout))))
  executor.turn()
  clock.moveTo(400)
  settle()
  await microtasks()
  clock.moveTo(499)
  executor.turn()
  expect(calls).toBe(1)
  clock.moveTo(500)
  executor.turn()
  expect(calls).toBe(2)
})

test.each(['auto', 'manual'])('each execution of a slow run is over when it is acked, and not with the next (%s)', async (acking) => {
  const heard: [unknown, number][] = []
  let now = (): number => 0
  let work = (): void => undefined
  const spout = defineSpout({
    output: Num,
    open: () => ({
      nextTuple(out) {
        for (const num of [1, 2, 3]) out.emit({ num }, num)
        out.end()
      },
      ack: (id) => void heard.push([id, now()]),
    }),
  })
  const auto = defineBolt({ input: Num, execute: () => work() })
  const manual = defineBolt({
    input: Num,
    ack: 'manual',
    execute(_values, out, tuple) {
      work()
      out.ack(tuple)
    },
  })
  const { executor, clock, latency } = await executorOf(
    topology('t', (t) => void t.bolt('slow', acking === 'auto' ? auto : manual).shuffle(t.spout('source', spout))),
  )
  now = () => clock.now()
  work = () => clock.moveTo(clock.now() + 100)
  executor.turn()
  expect(heard).toEqual([
    [1, 100],
    [2, 200],
    [3, 300],
  ])
  expect(latency()).toMatchObject({ count: 3, mean: 200, max: 300 })
})

test.each(['throws', 'fails by hand'])('a tuple that %s after 400 ms is replayed after its back-off, counted from then', async (how) => {
  let work = (): void => undefined
  let calls = 0
  const spout = defineSpout({
    output: Num,
    replay: true,
    config: { replayBackoffMs: 100 },
    open() {
      let num = 0
      return (out) => (num++ === 0 ? out.emit({ num }) : out.end())
    },
  })
  const throws = defineBolt({
    input: Num,
    execute() {
      if (calls++ > 0) return
      work()
      throw new Error('the first time')
    },
  })
  const failsByHand = defineBolt({
    input: Num,
    ack: 'manual',
    execute(_values, out, tuple) {
      if (calls++ > 0) return out.ack(tuple)
      work()
      out.fail(tuple, new Error('the first time'))
    },
  })
  const bolt = how === 'throws' ? throws : failsByHand
  const { executor, clock } = await executorOf(topology('t', (t) => void t.bolt('fails', bolt).shuffle(t.spout('source', spout))))
  work = () => clock.moveTo(400)
  executor.turn()
  clock.moveTo(499)
  executor.turn()
  expect(calls).toBe(1)
  clock.moveTo(500)
  executor.turn()
  expect(calls).toBe(2)
})
