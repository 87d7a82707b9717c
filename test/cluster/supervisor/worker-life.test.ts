import { beforeEach, describe, expect, test } from 'vitest'
import type { FoundWorker, WorkerSpec } from '../../../lib/cluster/supervisor/processes.ts'
import { WorkerLife } from '../../../lib/cluster/supervisor/worker-life.ts'
import type { LifeOptions } from '../../../lib/cluster/supervisor/worker-life.ts'
import type { Assignment, Outcome, Positions } from '../../../lib/cluster/worker/assignment.ts'
import { VirtualSchedule } from '../../../lib/std/schedule.ts'
import { passing } from '../coordination/virtual.ts'
import { FakeProcesses } from './fake-processes.ts'

const place = { worker: 1, supervisor: 'here', incarnation: 4, executors: [2, 3] }
const assignment: Assignment = {
  epoch: 4,
  fence: 4,
  executors: 4,
  workers: [{ worker: 1, incarnation: 4, executors: [2, 3] }],
  isActive: true,
}
const launch = {
  topology: 'words',
  id: 'words-1',
  worker: 1,
  incarnation: 4,
  module: '/x.mjs',
  params: {},
  config: {},
  host: 'host',
  port: 0,
  token: 'secret',
}
const spec: WorkerSpec = { launch, folder: '/f', logFile: '/f/worker.log', heapMb: undefined, environment: [] }

let schedule: VirtualSchedule
let processes: FakeProcesses
/** the states of the record, one after the other */
let states: string[]
let finished: Outcome[]
let said: string[]
let positions: Positions

beforeEach(() => {
  schedule = new VirtualSchedule()
  processes = new FakeProcesses(schedule)
  states = []
  finished = []
  said = []
  positions = {}
})

function life(options: Partial<LifeOptions> = {}): WorkerLife {
  const one: WorkerLife = new WorkerLife({
    name: 'words',
    id: 'words-1',
    place,
    supervisor: 'here',
    host: 'host',
    log: 'log1',
    schedule,
    processes,
    spec: () => Promise.resolve(spec),
    positions: () => positions,
    changed: () => {
      if (states.at(-1) !== one.record.state) states.push(one.record.state)
    },
    report: (message) => void said.push(message),
    finished: (outcome) => void finished.push(outcome),
    ...options,
  })
  return one
}

async function running(options: Partial<LifeOptions> = {}): Promise<WorkerLife> {
  const one = life(options)
  one.assign(assignment)
  one.begin()
  await schedule.advance(200)
  expect(one.state).toBe('running')
  return one
}

describe('a worker', () => {
  test('is started, told its assignment and where to go on, and runs when it says so', async () => {
    processes.onStart = (process) => void (process.state = 'starting')
    positions = { 3: 70 }
    const one = life()
    one.assign(assignment)
    one.begin()
    await schedule.advance(2_000)
    const [process] = processes.all
    expect(one.record).toMatchObject({ state: 'starting', pid: 1, url: 'ws://host:1', restarts: 0, log: 'log1', incarnation: 4 })
    expect(process?.told).toEqual([{ kind: 'assignment', assignment, positions: { 3: 70 } }])
    processes.last.state = 'running'
    await schedule.advance(1_000)
    expect(one.record.state).toBe('running')
    expect(one.record).not.toHaveProperty('error')
  })

  test('is told again when the assignment has changed, and not when it has not', async () => {
    const one = await running()
    one.assign({ ...assignment })
    one.assign({ ...assignment, epoch: 5, isActive: false })
    expect(processes.last.told.map((words) => words.kind === 'assignment' && words.assignment.epoch)).toEqual([4, 5])
  })

  test('that dies starts again at once, then after 1, 2 and 4 seconds; the fifth end within a minute makes it failing', async () => {
    const one = await running()
    const startedMs: number[] = []
    processes.onStart = () => void startedMs.push(schedule.now())
    for (const delayMs of [0, 1_000, 2_000, 4_000]) {
      const diedMs = schedule.now()
      processes.last.end('SIGSEGV')
      await schedule.advance(1)
      expect(one.record).toMatchObject({
        state: delayMs > 0 ? 'waiting' : 'starting',
        error: { code: 'worker-ended', message: 'a worker ended: SIGSEGV' },
      })
      await schedule.advance(delayMs + 500)
      expect(startedMs.at(-1)).toBe(diedMs + delayMs)
      expect(one.state).toBe('running')
    }
    expect(one.record.restarts).toBe(4)
    processes.last.end('SIGSEGV')
    await schedule.advance(600_000)
    expect(one.record.state).toBe('failing')
    expect(one.record).not.toHaveProperty('pid')
    expect(processes.all).toHaveLength(5)
    await passing(schedule, one.stop(0))
    expect(one.state).toBe('gone')
    const again = 'worker 1 of words is started again: a worker ended: SIGSEGV'
    expect(said).toEqual([
      again,
      again,
      again,
      again,
      expect.stringMatching(/^worker 1 of words has ended 5 times within 60 s, and is given up here: /),
    ])
  })

  test('tells how often executors of it died, in all its processes, and of what the last one', async () => {
    const one = await running()
    const died = (message: string): object => ({ code: 'executor-died', message, atMs: 7 })
    const tell = async (deaths: number, message: string): Promise<void> => {
      processes.last.executors = { deaths, last: { code: 'executor-died', message, atMs: 7 } }
      await schedule.advance(1_000)
    }
    expect(one.record).not.toHaveProperty('executorRestarts')
    await tell(2, 'too much')
    expect(one.record).toMatchObject({ state: 'running', restarts: 0, executorRestarts: 2, error: died('too much') })
    processes.last.end('SIGSEGV')
    await schedule.advance(1_000)
    expect(one.record).toMatchObject({ restarts: 1, executorRestarts: 2, error: { code: 'worker-ended' } })
    await tell(1, 'again')
    expect(one.record).toMatchObject({ restarts: 1, executorRestarts: 3, error: died('again') })
    // the next supervisor of the host goes on from there
    const before = one.record
    await one.release()
    const next = life({ before })
    next.takeOver(processes.find('/f', 'secret') as FoundWorker)
    await schedule.advance(2_000)
    expect(next.record).toMatchObject({ executorRestarts: 3 })
    await tell(3, 'and again')
    expect(next.record).toMatchObject({ executorRestarts: 5, error: died('and again') })
  })

  test('that dies now and then is never failing', async () => {
    const one = await running()
    for (let ends = 0; ends < 20; ends++) {
      processes.last.end('exit code 1')
      await schedule.advance(20_000)
      expect(one.state).toBe('running')
    }
    expect(one.record.restarts).toBe(20)
  })

  test('that does not come to listen has died too', async () => {
    processes.onStart = () => Promise.reject(new Error('no such port'))
    const one = life()
    one.begin()
    await schedule.advance(60_000)
    expect(one.record).toMatchObject({ state: 'failing', restarts: 4, error: { message: 'no such port' } })
    expect(processes.all).toHaveLength(5)
  })

  test('that ends before its start was heard of has died once', async () => {
    processes.onStart = (process) => {
      if (processes.all.length === 1) process.end('SIGKILL')
    }
    const one = life()
    one.begin()
    await schedule.advance(10_000)
    expect(one.record).toMatchObject({ state: 'running', restarts: 1, pid: 2 })
  })

  test('whose code cannot be had is tried again and again, and is not failing for it', async () => {
    const triesMs: number[] = []
    let isThere = false
    const one = life({
      spec: () => {
        triesMs.push(schedule.now())
        return isThere ? Promise.resolve(spec) : Promise.reject(new Error('no blob'))
      },
    })
    one.begin()
    await schedule.advance(62_000)
    expect(triesMs).toEqual([0, 0, 1_000, 3_000, 7_000, 15_000, 31_000, 61_000])
    expect(one.record).toMatchObject({ state: 'waiting', restarts: 0, error: { message: 'no blob' } })
    isThere = true
    await schedule.advance(31_000)
    expect(one.record).toMatchObject({ state: 'running', restarts: 0 })
  })

  test('that says nothing for ten seconds is killed and started again', async () => {
    const one = await running()
    await schedule.advance(60_000)
    expect(processes.all).toHaveLength(1)
    processes.last.hangs = true
    await schedule.advance(9_000)
    expect(processes.last.isAlive).toBe(true)
    await schedule.advance(2_000)
    expect(processes.all[0]?.signals).toEqual(['SIGKILL'])
    expect(one.record).toMatchObject({
      pid: 2,
      restarts: 1,
      error: { message: expect.stringContaining('said nothing for 10000 ms') as string },
    })
    await schedule.advance(60_000)
    expect(one.state).toBe('running')
  })

  test('is not killed for a time in which its supervisor did not run itself', async () => {
    await running()
    // all timers that were due meanwhile fire at once, and what was said meanwhile is heard after them
    processes.last.hangs = true
    schedule.moveTo(schedule.now() + 60_000)
    await schedule.advance(1)
    processes.last.hangs = false
    await schedule.advance(20_000)
    expect(processes.all).toHaveLength(1)
    expect(processes.last.isAlive).toBe(true)
  })

  test('with too much memory, not only for a moment, is killed and started again', async () => {
    const one = await running({ rssMaxMb: 500 })
    processes.last.rssMb = 600
    await schedule.advance(2_000)
    processes.last.rssMb = 400
    await schedule.advance(1_000)
    expect(processes.last.isAlive).toBe(true)
    processes.last.rssMb = 501
    await schedule.advance(4_000)
    expect(processes.all[0]?.signals).toEqual(['SIGKILL'])
    expect(one.record).toMatchObject({
      state: 'running',
      pid: 2,
      error: { code: 'worker-memory', message: 'a worker used 501 MB of memory; it may have 500 MB' },
    })
  })

  test('whose run fails is ended and begins anew, and the error is the one of the run', async () => {
    const one = await running()
    processes.last.over({ state: 'failed', error: { code: 'bolt-threw', message: 'no such word' } })
    await schedule.advance(500)
    expect(processes.all[0]?.told.at(-1)).toEqual({ kind: 'stop', drainMs: 0 })
    expect(one.record).toMatchObject({ state: 'running', pid: 2, restarts: 1, error: { code: 'bolt-threw', message: 'no such word' } })
    expect(finished).toEqual([])
  })

  test('whose run fails and that does not end is made to', async () => {
    await running()
    processes.last.isDeaf = true
    processes.last.over({ state: 'failed' })
    await schedule.advance(6_500)
    expect(processes.all[0]?.signals).toEqual(['SIGTERM', 'SIGKILL'])
    expect(processes.last.pid).toBe(2)
  })

  test('that was told to stop by an earlier supervisor, and does not, is made to and begins anew', async () => {
    const one = await running()
    processes.last.isDeaf = true
    processes.last.state = 'stopping'
    await schedule.advance(1_000 + 6_500)
    expect(processes.all[0]?.signals).toEqual(['SIGTERM', 'SIGKILL'])
    expect(one.record).toMatchObject({
      state: 'running',
      pid: 2,
      error: { code: 'worker-ended', message: 'a worker ended: it was told to stop' },
    })
  })

  test('whose run has finished stays until it is ended, and is not started again', async () => {
    const one = await running()
    processes.last.over()
    await schedule.advance(100_000)
    expect(finished).toMatchObject([{ state: 'finished', acked: 7 }])
    expect(one.state).toBe('running')
    processes.last.end('SIGKILL')
    await schedule.advance(100_000)
    expect(processes.all).toHaveLength(1)
    expect(one.state).toBe('gone')
    await one.stop(0)
  })

  test('goes on from where its spouts said last, whatever a new process says before it has started them', async () => {
    const one = await running()
    expect(one.positions).toBeUndefined()
    processes.last.positions = { 3: 90 }
    await schedule.advance(1_000)
    expect(one.positions?.positions).toEqual({ 3: 90 })
    processes.onStart = (process) => void (process.state = 'starting')
    processes.last.end('SIGKILL')
    await schedule.advance(3_000)
    expect(one.positions?.positions).toEqual({ 3: 90 })
    processes.last.positions = { 3: 95 }
    await schedule.advance(1_000)
    processes.last.positions = {}
    await schedule.advance(1_000)
    expect(one.positions?.positions).toEqual({}) // the task has moved elsewhere
  })

  test('says of itself what it is asked', async () => {
    const one = await running()
    processes.last.snapshot = { totals: { acked: 3 } }
    expect(await one.snapshot()).toEqual({ totals: { acked: 3 } })
    processes.last.hangs = true
    const asked = Array.from({ length: 16 }, () => one.snapshot())
    const settled = Promise.allSettled(asked)
    await expect(one.snapshot()).rejects.toThrow('16 have asked it already')
    expect((await passing(schedule, settled)).map(({ status }) => status)).toEqual(asked.map(() => 'rejected'))
    processes.last.hangs = false
    expect(await one.snapshot()).toEqual({ totals: { acked: 3 } })
  })

  test('is not asked before it runs: it may not hear it', async () => {
    processes.onStart = (process) => void (process.state = 'starting')
    const one = life()
    one.assign(assignment)
    one.begin()
    await schedule.advance(200)
    processes.last.hangs = true
    await expect(one.snapshot()).rejects.toThrow('it is starting')
  })
})

describe('the end of a worker', () => {
  test('is asked for', async () => {
    const one = await running()
    await passing(schedule, one.stop(2_000))
    expect(processes.last.told.at(-1)).toEqual({ kind: 'stop', drainMs: 2_000 })
    expect(processes.last.signals).toEqual([])
    expect(states).toEqual(['starting', 'running', 'stopping'])
    expect(one.state).toBe('gone')
    await one.stop(2_000)
    await schedule.advance(100_000)
    expect(processes.all).toHaveLength(1)
  })

  test('is demanded three seconds after what was under way has had its time, and made three seconds later', async () => {
    const one = await running()
    processes.last.isDeaf = true
    void one.stop(2_000)
    await schedule.advance(4_990)
    expect(processes.last.signals).toEqual([])
    await schedule.advance(20)
    expect(processes.last.signals).toEqual(['SIGTERM'])
    await schedule.advance(2_970)
    expect(one.state).toBe('stopping')
    await schedule.advance(20)
    expect(processes.last.signals).toEqual(['SIGTERM', 'SIGKILL'])
    expect(one.state).toBe('gone')
  })

  test.each(['fetching', 'waiting', 'failing'])('comes at once when it is %s', async (state) => {
    if (state === 'failing') processes.onStart = () => Promise.reject(new Error('no'))
    let fetch: (spec: WorkerSpec) => void = () => undefined
    const one = life(
      state === 'failing'
        ? {}
        : { spec: () => (state === 'fetching' ? new Promise((resolve) => (fetch = resolve)) : Promise.reject(new Error('no'))) },
    )
    one.begin()
    await schedule.advance(60_000)
    expect(one.state).toBe(state)
    await one.stop(1_000)
    expect(one.state).toBe('gone')
    fetch(spec)
    await schedule.advance(100_000)
    expect(processes.alive).toEqual([])
    expect(one.state).toBe('gone')
  })

  test('of one that is on its way comes when it is there', async () => {
    let arrive: () => void = () => undefined
    processes.onStart = () => new Promise((resolve) => (arrive = resolve))
    const one = life()
    one.begin()
    await schedule.advance(10)
    void one.stop(2_000)
    await schedule.advance(20_000)
    expect(one.state).toBe('stopping')
    arrive()
    await passing(schedule, one.gone)
    expect(processes.alive).toEqual([])
  })

  test('of one that fails on its way is the end', async () => {
    let fail: (error: Error) => void = () => undefined
    processes.onStart = () => new Promise((_, reject) => (fail = reject))
    const one = life()
    one.begin()
    await schedule.advance(10)
    const stopped = one.stop(2_000)
    fail(new Error('no'))
    await passing(schedule, stopped)
    await schedule.advance(100_000)
    expect(processes.all).toHaveLength(1)
  })

  test('that comes by itself meanwhile is the end', async () => {
    const one = await running()
    processes.last.isDeaf = true
    void one.stop(2_000)
    processes.last.end('SIGKILL')
    await passing(schedule, one.gone)
    await schedule.advance(100_000)
    expect(processes.all).toHaveLength(1)
    expect(processes.last.signals).toEqual([])
  })
})

describe('a worker that is let go of', () => {
  test('lives on, and nothing more is done about it', async () => {
    const one = await running()
    await one.release()
    processes.last.hangs = true
    await schedule.advance(100_000)
    expect(processes.last.signals).toEqual([])
    expect(processes.alive).toHaveLength(1)
  })

  test('is not started any more, and one that is on its way is let go of when it is there', async () => {
    let arrive: () => void = () => undefined
    processes.onStart = () => new Promise((resolve) => (arrive = resolve))
    const one = life()
    one.begin()
    await schedule.advance(10)
    const released = one.release()
    arrive()
    await passing(schedule, released)
    expect(processes.last.ears).toBeUndefined()
    const late = life()
    late.begin()
    await late.release()
    await schedule.advance(1_000)
    expect(processes.all).toHaveLength(1)
  })

  test('is found by the next one, which knows what the first one knew', async () => {
    const one = await running()
    processes.last.end('SIGKILL')
    await schedule.advance(500)
    await one.release()
    const found = processes.find('/f', 'secret')
    if (found === undefined) throw new Error('it is not there')
    const next = life({ before: one.record })
    next.takeOver(found)
    next.assign(assignment)
    await schedule.advance(1_500)
    expect(next.record).toEqual(one.record)
    expect(next.record).toMatchObject({ state: 'running', pid: 2, restarts: 1 })
    processes.last.hangs = true
    await schedule.advance(12_000)
    expect(next.record).toMatchObject({ pid: 3, restarts: 2 })
  })
})
