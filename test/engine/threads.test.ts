/**
 * Executors in real threads, from the built package: nothing but the engine decides what happens when. The tests wait for
 * what they can see of a run and for its end, never for a time.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Worker } from 'node:worker_threads'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Run, RunOptions } from '../../lib/engine/run-types.ts'
import type { TopologyDefinition } from '../../lib/topology/draft.ts'
import { built } from '../fixtures/built.ts'

// threads start slowly on a busy machine
vi.setConfig({ testTimeout: 60_000 })

const { startRun } = await built<typeof import('../../lib/engine/run.ts')>('engine/run.js')
const module = new URL('../fixtures/threads/numbers.mjs', import.meta.url).href
const { default: definition, keys } = (await import(module)) as { default: TopologyDefinition; keys: number }

let workers: Worker[] = []
const note = (worker: Worker): void => void workers.push(worker)
beforeAll(() => void process.on('worker', note))
afterAll(() => void process.off('worker', note))
beforeEach(() => (workers = []))
// a worker that has ended has no id any more
afterEach(() => {
  const left = workers.filter(({ threadId }) => threadId !== -1).length
  if (left > 0) throw new Error(`${left} threads are left`)
})

/** What the topology does with each number, and what it wrote into shared memory. */
interface Shared {
  readonly words: Int32Array
  /** how often each number was worked on */
  readonly worked: () => readonly number[]
  readonly sums: () => readonly number[]
  openGate(): void
  readonly held: () => number
}

async function start(
  total: number,
  options: RunOptions & { readonly faults?: Readonly<Record<string, number>>; readonly isGated?: boolean },
): Promise<{ run: Run; shared: Shared }> {
  const { faults = {}, isGated = false, ...runOptions } = options
  const memory = new SharedArrayBuffer((2 + total + keys) * 4)
  const words = new Int32Array(memory)
  if (!isGated) words[0] = 1
  const run = await startRun(
    { definition, module },
    { seed: 37, log: { level: 'silent' }, ...runOptions, params: { total, shared: memory, faults } },
  )
  const shared: Shared = {
    words,
    worked: () => [...words.subarray(2, 2 + total)],
    sums: () => [...words.subarray(2 + total)],
    openGate: () => void Atomics.store(words, 0, 1),
    held: () => Atomics.load(words, 1),
  }
  return { run, shared }
}

/** Settles when `isSo`; gives up when the run is over or after some thousand looks. */
async function until(what: string, run: Run, isSo: () => boolean): Promise<void> {
  const over = { isOver: false }
  void run.done.then(() => (over.isOver = true))
  for (let looks = 0; looks < 20_000 && !over.isOver; looks++) {
    if (isSo()) return
    await delay(1)
  }
  const { state, error } = over.isOver ? await run.done : await run.stop(0)
  throw new Error(`${what}: not seen before the run was ${state}: ${error?.message ?? ''} ${JSON.stringify(run.errors())}`)
}

const sumsOf = (total: number): number[] =>
  Array.from({ length: keys }, (_, key) =>
    Array.from({ length: total }, (_unused, num) => num).reduce((sum, num) => sum + (num % keys === key ? num : 0), 0),
  )

describe('without failures', () => {
  test.each([1, 2, 4])('%d executors give the same result, each number once', async (executors) => {
    const total = 5_000
    const { run, shared } = await start(total, { executors })
    const result = await run.done
    expect(result).toMatchObject({ state: 'finished', emitted: total, acked: total, failed: 0, expired: 0, replayed: 0, deadLettered: 0 })
    expect(workers).toHaveLength(executors === 1 ? 0 : executors)
    expect(shared.worked().every((times) => times === 1)).toBe(true)
    expect(shared.sums()).toEqual(sumsOf(total))
    const { components, pending, executorRestarts } = run.snapshot()
    expect([pending, executorRestarts]).toEqual([0, 0])
    const tasks = components.find(({ id }) => id === 'work')?.tasks ?? []
    expect(tasks.reduce((sum, { counters }) => sum + (counters['worked'] ?? 0), 0)).toBe(total)
    expect(tasks.reduce((sum, { acked }) => sum + acked, 0)).toBe(total)
    expect(new Set(tasks.map(({ executor }) => executor)).size).toBe(executors)
  })

  test('small rings, inboxes and few trees under way change nothing', async () => {
    const total = 3_000
    const { run, shared } = await start(total, { executors: 3, config: { inboxTuplesMax: 4, bundleBytes: 1_024, spoutPendingMax: 9 } })
    expect(await run.done).toMatchObject({ state: 'finished', emitted: total, acked: total, replayed: 0 })
    expect(shared.worked().every((times) => times === 1)).toBe(true)
    expect(shared.sums()).toEqual(sumsOf(total))
  })

  test('inactive, activated, deactivated and activated again', async () => {
    const { run, shared } = await start(1_000, { executors: 2, inactive: true })
    expect(workers).toHaveLength(0)
    expect(run.snapshot().totals.emitted).toBe(0)
    await run.activate()
    await run.deactivate()
    await run.activate()
    expect(await run.done).toMatchObject({ state: 'finished', acked: 1_000 })
    expect(shared.worked().every((times) => times === 1)).toBe(true)
  })

  test('stopped: what is under way may be done, and no thread is left', async () => {
    const { run, shared } = await start(1_000, { executors: 2, isGated: true })
    await until('half of it done', run, () => run.snapshot().totals.acked === 500)
    expect(await run.stop(20_000)).toMatchObject({ state: 'stopped', emitted: 500, acked: 500 })
    expect(shared.worked().filter((times) => times === 1)).toHaveLength(500)
    expect(run.snapshot().pending).toBe(0)
  })
})

describe('an executor that dies', () => {
  const total = 4_000
  const held = 25

  /** Half of the numbers are emitted; one in 25 of them is held, so that trees are under way everywhere. */
  async function halfWay(executors: number, config: RunOptions['config'] = {}) {
    const { run, shared } = await start(total, {
      executors,
      faults: { holds: held },
      isGated: true,
      config: { ...config, replayBackoffMs: 1 },
    })
    const holding = total / 2 / held
    await until('half of it done or held', run, () => shared.held() === holding && run.snapshot().totals.acked === total / 2 - holding)
    // a thread says so at the end of its turn
    await until('the others pending', run, () => run.snapshot().pending === holding)
    return { run, shared }
  }

  function expectAllDone(result: Awaited<Run['done']>, shared: Shared): void {
    expect(result.state).toBe('finished')
    expect(shared.worked().every((times) => times >= 1)).toBe(true)
    expect(result.replayed).toBeGreaterThan(0)
    expect(result.acked).toBe(result.emitted)
    expect(result.emitted).toBeGreaterThanOrEqual(total)
    expect(result.deadLettered).toBe(0)
    // nothing had to wait for the message timeout: what died with the executor was known at once
    expect(result.expired).toBe(0)
  }

  test.each([0, 1, 2])(
    'number %d of 3 is started anew: every input is processed at least once, and replays are counted',
    async (victim) => {
      const { run, shared } = await halfWay(3)
      run.killExecutor(victim)
      shared.openGate()
      expectAllDone(await run.done, shared)
      expect(run.snapshot().executorRestarts).toBe(1)
      expect(run.errors()).toMatchObject([{ executor: victim, message: expect.stringContaining('started anew') as string }])
      expect(workers).toHaveLength(4)
    },
  )

  test('counters of its components go on', async () => {
    const { run, shared } = await halfWay(2)
    const counted = (): number =>
      (run.snapshot().components.find(({ id }) => id === 'work')?.tasks ?? []).reduce(
        (sum, { counters }) => sum + (counters['worked'] ?? 0),
        0,
      )
    const worked = (): number => shared.worked().reduce((sum, times) => sum + times, 0)
    await until('all counters', run, () => counted() === worked())
    run.killExecutor(1)
    shared.openGate()
    expectAllDone(await run.done, shared)
    expect(counted()).toBe(worked())
  })

  test('and another, once the first is back', async () => {
    const { run, shared } = await halfWay(2)
    for (const victim of [0, 1, 0]) {
      const before = run.snapshot().executorRestarts
      const working = workers.length
      run.killExecutor(victim)
      await until('a new thread', run, () => run.snapshot().executorRestarts === before + 1 && workers.length === working + 1)
    }
    shared.openGate()
    expectAllDone(await run.done, shared)
    expect(run.snapshot().executorRestarts).toBe(3)
  })

  test('several at the same time', async () => {
    const { run, shared } = await halfWay(3)
    run.killExecutor(0)
    run.killExecutor(1)
    shared.openGate()
    expectAllDone(await run.done, shared)
    expect(run.snapshot().executorRestarts).toBe(2)
  })

  test('all of them', async () => {
    const { run, shared } = await halfWay(2)
    run.killExecutor(0)
    run.killExecutor(1)
    shared.openGate()
    expectAllDone(await run.done, shared)
    expect(run.snapshot().executorRestarts).toBe(2)
  })

  test('more often than executorRestartsMax: the run fails with a coded error', async () => {
    const { run } = await halfWay(2, { executorRestartsMax: 0 })
    run.killExecutor(1)
    const { state, error } = await run.done
    expect([state, error?.code]).toEqual(['failed', 'executor-lost'])
    expect(run.errors()).toEqual([])
  })

  test('while the run is being stopped: it ends all the same', async () => {
    const { run } = await halfWay(2)
    const stopped = run.stop(0)
    run.killExecutor(0)
    // what it had to close may not be closed, and then the run says so
    expect((await stopped).state).toMatch(/^(stopped|failed)$/)
  })
})

describe('at the end', () => {
  const late = new URL('../fixtures/threads/late.mjs', import.meta.url).href
  const startLate = async (hangs: string, executors: number) => {
    const { default: lateDefinition } = (await import(late)) as { default: TopologyDefinition }
    const shared = new SharedArrayBuffer(4)
    const run = await startRun(
      { definition: lateDefinition, module: late },
      { seed: 1, log: { level: 'silent' }, executors, config: { closeTimeoutMs: 100, messageTimeoutMs: 200 }, params: { hangs, shared } },
    )
    return { run, words: new Int32Array(shared) }
  }

  test('an executor that dies while bolts finish is not started anew: what it would emit again they cannot take', async () => {
    const { run, words } = await startLate('finish', 2)
    await until('finish', run, () => Atomics.load(words, 0) === 1)
    run.killExecutor(0)
    expect(await run.done).toMatchObject({ state: 'failed', error: { code: 'executor-died' } })
    expect([run.snapshot().executorRestarts, run.errors()]).toEqual([0, []])
  })

  test.each([
    ['execute', 'work', 1],
    ['execute', 'work', 2],
    ['nextTuple', 'source', 1],
    ['nextTuple', 'source', 2],
  ])('%s of %s that never settles when all else is done ends the run with its name, executors %d', async (hook, component, executors) => {
    const { run } = await startLate(hook, executors)
    expect(await run.done).toMatchObject({
      state: 'failed',
      acked: 10,
      error: {
        code: 'hook-hangs',
        what: `${hook} of ${component} was not over within 200 ms when nothing else was left to do`,
        where: { component },
      },
    })
  })
})

describe('bolts that misbehave', () => {
  test('one that throws on 1 % of tuples and one in a hundred that is never acked: everything is done at least once', async () => {
    const total = 5_000
    const { run, shared } = await start(total, {
      executors: 2,
      faults: { throws: 100, forgets: 100 },
      config: { messageTimeoutMs: 300, replayBackoffMs: 1 },
    })
    const result = await run.done
    expect(result).toMatchObject({ state: 'finished', emitted: total, acked: total, deadLettered: 0 })
    expect(result.failed).toBeGreaterThanOrEqual(50)
    expect(result.expired).toBeGreaterThanOrEqual(50)
    expect(result.replayed).toBe(result.failed + result.expired)
    expect(shared.worked().every((times) => times >= 1)).toBe(true)
    expect(
      run.errors().filter(({ component, message }) => component === 'work' && /^number \d+00$|^number 0$/.test(message)).length,
    ).toBeGreaterThanOrEqual(50)
  })

  test('one that cannot be prepared in one of the threads: a coded error, and no thread is left', async () => {
    for (const refuses of [0, 1, 3])
      await expect(start(100, { executors: 2, faults: { refuses } })).rejects.toMatchObject({
        code: 'component-start',
        what: 'work could not start: no connection',
        where: { component: 'work' },
      })
    expect(workers).toHaveLength(6)
  })

  test('a grouping that cannot be prepared: a coded error, and no thread is left', async () => {
    await expect(start(100, { executors: 2, faults: { grouping: 1 } })).rejects.toMatchObject({
      code: 'bad-grouping',
      where: { component: 'source' },
    })
  })

  test('a value that its schema cannot hold stops the run with a coded error', async () => {
    const { run } = await start(100, { executors: 2, faults: { wrong: 42 } })
    const { state, error } = await run.done
    expect(state).toBe('failed')
    expect(error).toMatchObject({ code: 'value-mismatch', where: { component: 'work', stream: 'default', field: 'num' } })
  })
})

test('faults of the plan are told before a thread is started', async () => {
  await expect(start(100, { executors: 2, config: { nonsense: 1, ringBytes: 3 } })).rejects.toMatchObject({ code: 'bad-config' })
  await expect(start(100, { executors: 0 })).rejects.toMatchObject({ code: 'too-many-executors' })
  await expect(startRun({ definition }, { executors: 2 })).rejects.toMatchObject({ code: 'threads-need-a-file' })
  expect(workers).toEqual([])
})
