/** A run as its caller holds it: what it is given, what it answers, how it is ended. One executor in this thread, in real time. */
import { afterEach, expect, test, vi } from 'vitest'
import { startRun } from '../../lib/engine/run.ts'
import type { Runnable } from '../../lib/engine/run-types.ts'
import { SquallError } from '../../lib/errors.ts'
import { defineBolt, defineSpout, topology, z } from '../../lib/index.ts'
import type { TaskContext, TopologyDefinition } from '../../lib/index.ts'
import { timeoutMaxMs } from '../../lib/std/timers.ts'

const Num = z.object({ num: z.int() })
const quiet = { log: { level: 'silent' } } as const

const few = defineSpout({
  output: Num,
  open() {
    let num = 0
    return (out) => (num < 3 ? out.emit({ num }, num++) : out.end())
  },
})

/** `few` and a bolt that does this with each number. */
const doing = (execute: (num: number) => unknown): TopologyDefinition =>
  topology(
    'doing',
    (t) => void t.bolt('bolt', defineBolt({ input: Num, execute: ({ num }) => execute(num) as void })).shuffle(t.spout('few', few)),
  )

afterEach(() => void vi.restoreAllMocks())

test('what cannot be run is a coded error', async () => {
  await expect(startRun({} as Runnable)).rejects.toMatchObject({ code: 'bad-option' })
  await expect(startRun({} as Runnable, { executors: 2 })).rejects.toMatchObject({ code: 'threads-need-a-file' })
  const definition = doing(() => undefined)
  for (const seed of [NaN, Infinity, 0.5]) await expect(startRun({ definition }, { seed })).rejects.toMatchObject({ code: 'bad-option' })
})

test('seconds and uptime count from when all is open', async () => {
  const now = performance.now.bind(performance)
  let slowMs = 0
  vi.spyOn(performance, 'now').mockImplementation(() => now() + slowMs)
  const slow = defineSpout({
    output: Num,
    open() {
      slowMs = 3_600_000
      return (out) => out.end()
    },
  })
  const run = await startRun({ definition: topology('slow', (t) => void t.spout('slow', slow)) }, quiet)
  expect((await run.done).seconds).toBeLessThan(3_600)
  expect(run.snapshot().uptimeMs).toBeLessThan(3_600_000)
})

test('an onError that throws fails the run with a coded error', async () => {
  const definition = doing(() => {
    throw new Error('no')
  })
  const onError = (): never => {
    throw new Error('the listener is broken')
  }
  const run = await startRun({ definition }, { ...quiet, onError })
  const { state, error } = await run.done
  expect([state, error?.code, error?.what]).toEqual([
    'failed',
    'listener-threw',
    'the function onError of the run threw: the listener is broken',
  ])
})

test('a signal ends it: gently, or as failed with its reason', async () => {
  const definition = doing(() => new Promise(() => undefined))
  const [stopping, failing] = [new AbortController(), new AbortController()]
  const stopped = await startRun({ definition }, { ...quiet, signal: stopping.signal })
  const failed = await startRun({ definition }, { ...quiet, signal: failing.signal })
  const reason = new SquallError('uncaught', { reason: 'x' })
  failing.abort(reason)
  stopping.abort()
  expect(await failed.done).toMatchObject({ state: 'failed', error: reason })
  expect((await stopped.done).state).toBe('stopped')
})

test('a signal before it starts: nothing is opened', async () => {
  const open = vi.fn<() => () => void>(() => () => undefined)
  const definition = topology('never', (t) => void t.spout('spout', defineSpout({ output: Num, open })))
  const run = await startRun({ definition }, { ...quiet, signal: AbortSignal.abort() })
  expect((await run.done).state).toBe('stopped')
  expect(open).not.toHaveBeenCalled()
})

test('hooks may wait for its clock, also before and after it runs', async () => {
  const waited: string[] = []
  const wait = async ({ sleep }: TaskContext, hook: string): Promise<void> => {
    await sleep(1)
    waited.push(hook)
  }
  const source = defineSpout({
    output: Num,
    async open(context) {
      await wait(context, 'open')
      return { nextTuple: (out) => out.end(), close: () => wait(context, 'close') }
    },
  })
  const run = await startRun({ definition: topology('waits', (t) => void t.spout('source', source)) }, quiet)
  expect((await run.done).state).toBe('finished')
  expect(waited).toEqual(['open', 'close'])
})

test('a message timeout of a year is no reason for a timer that Node fires at once', async () => {
  const waits: number[] = []
  let release = (): void => undefined
  const longWait = new Promise<void>((resolve) => (release = resolve))
  const real = globalThis.setTimeout
  vi.spyOn(globalThis, 'setTimeout').mockImplementation(((act: () => void, ms: number) => {
    waits.push(ms)
    if (ms > 1e9) release()
    return real(act, ms)
  }) as typeof setTimeout)
  const run = await startRun({ definition: doing(() => longWait) }, { ...quiet, config: { messageTimeoutMs: '365d', spoutPendingMax: 1 } })
  expect((await run.done).state).toBe('finished')
  expect(Math.max(...waits)).toBe(timeoutMaxMs)
})
