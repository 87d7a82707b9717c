import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { CrewOfSites } from '../../lib/engine/crew-of-sites.ts'
import { CellLayout } from '../../lib/engine/cells.ts'
import { sharedWords } from '../../lib/engine/site.ts'
import type { Site, SiteEars, SiteState } from '../../lib/engine/site.ts'
import { defineSpout, topology, z } from '../../lib/index.ts'
import { SquallError } from '../../lib/errors.ts'
import { realClock } from '../../lib/std/clock.ts'
import { placeTasks, planTopology } from '../../lib/topology/plan.ts'

const numbers = defineSpout({ output: z.object({ n: z.int() }), open: () => (out) => out.end() })
const tiny = topology('tiny', (t) => void t.spout('numbers', numbers, { parallelism: 3 }))

/** A process with some executors: which of them run, and the number of the lanes of each. */
class FakeSite implements Site {
  executors: readonly number[]
  readonly silent: readonly number[] = []
  readonly lanes = new Map<number, number>()
  readonly started: number[] = []
  readonly adopted: number[] = []
  readonly #found: SiteState

  constructor(executors: readonly number[], found: SiteState) {
    this.executors = executors
    this.#found = found
    for (const executor of executors) this.lanes.set(executor, found.lanes)
  }

  meet = (): Promise<SiteState> => Promise.resolve(this.#found)
  renew = (executors: readonly number[], number: number): Promise<void> => {
    for (const executor of executors) this.lanes.set(executor, number)
    return Promise.resolve()
  }
  start = (executors: readonly number[]): Promise<void> => {
    this.started.push(...executors)
    this.afterStart()
    return Promise.resolve()
  }
  #nothing = (): Promise<void> => Promise.resolve()
  /** called when executors have started */
  afterStart: () => void = () => undefined
  adopt = (executors: readonly number[]): Promise<void> => {
    this.executors = executors
    this.adopted.push(...executors)
    return Promise.resolve()
  }
  drop = this.#nothing
  setActive = this.#nothing
  finish = this.#nothing
  lose = this.#nothing
  close = this.#nothing
  end = this.#nothing
  kill = (): void => undefined
}

function crewOf(sites: readonly Site[], hear: (ears: SiteEars) => void = () => undefined): CrewOfSites {
  const executors = sites.flatMap((site) => site.executors).length
  const plan = planTopology(tiny.draft({}), {}, executors)
  return new CrewOfSites({
    plan,
    runnable: { definition: tiny },
    options: {},
    placement: placeTasks(plan, executors),
    executors,
    seed: 1,
    clock: realClock,
    cells: new CellLayout(plan).allocate(false),
    onError: () => undefined,
    onFatal: () => undefined,
    words: sharedWords(executors),
    bearsLosses: true,
    sites: (ears) => {
      hear(ears)
      return sites
    },
  })
}

test('executors that start have lanes of one number, newer than any there was, also where none of them runs', async () => {
  // the second has served another lead, which has ended what ran there
  const sites = [new FakeSite([0], { running: [], lanes: 1 }), new FakeSite([1], { running: [], lanes: 6 })]
  await crewOf(sites).start()
  expect(sites.map(({ started }) => started)).toEqual([[0], [1]])
  for (const executor of [0, 1]) expect(sites.map(({ lanes }) => lanes.get(executor))).toEqual([7, 7])
})

test('sites are told which executors are theirs before any starts: another lead may have said otherwise', async () => {
  const sites = [new FakeSite([0], { running: [], lanes: 1 }), new FakeSite([1], { running: [], lanes: 1 })]
  await crewOf(sites).start()
  expect(sites.map(({ adopted }) => adopted)).toEqual([[0], [1]])
})

describe('an executor whose thread dies', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }))
  afterEach(() => void vi.useRealTimers())

  let die: (executor: number, of?: 'thread' | 'process') => Promise<void>
  const none = { running: [], lanes: 1 }

  async function started(sites: readonly FakeSite[]): Promise<CrewOfSites> {
    const crew = crewOf(sites, (ears) => {
      die = async (executor, of = 'thread') => {
        ears.died([executor], 'no memory', of)
        await vi.advanceTimersByTimeAsync(0)
      }
    })
    const starting = crew.start()
    await vi.advanceTimersByTimeAsync(0)
    await starting
    for (const site of sites) site.started.length = 0
    return crew
  }

  test('starts anew at once, then after 1, 2, 4 ... 30 s, and at once again when it was well for a minute', async () => {
    const sites = [new FakeSite([0], none), new FakeSite([1], none)]
    const crew = await started(sites)
    const [, site] = sites as [FakeSite, FakeSite]
    let startedMs = NaN
    site.afterStart = () => void (startedMs = performance.now())
    for (const ms of [0, 1_000, 2_000, 4_000, 8_000, 16_000]) {
      const diedMs = performance.now()
      const lanes = site.lanes.get(1)
      await die(1)
      // others know at once that it is gone
      expect(sites.map((one) => one.lanes.get(1))).toEqual([Number(lanes) + 1, Number(lanes) + 1])
      await vi.advanceTimersByTimeAsync(ms)
      expect(site.started.splice(0)).toEqual([1])
      expect(startedMs - diedMs).toBe(ms)
    }
    await vi.advanceTimersByTimeAsync(60_000)
    await die(1)
    expect(site.started).toEqual([1])
    expect(crew.restarts).toBe(7)
  })

  test('does not wait where its process is another: that was waited for', async () => {
    const sites = [new FakeSite([0], none), new FakeSite([1], none)]
    await started(sites)
    for (let death = 0; death < 5; death++) await die(1, 'process')
    expect(sites[1]?.started).toEqual([1, 1, 1, 1, 1])
  })

  test('while it waits, and its process is another, starts once', async () => {
    const sites = [new FakeSite([0], none), new FakeSite([1], none)]
    await started(sites)
    await die(1)
    await die(1)
    await die(1, 'process')
    await vi.advanceTimersByTimeAsync(60_000)
    expect(sites[1]?.started).toEqual([1, 1])
  })

  test('while it waits, and is moved, starts where it is moved to', async () => {
    const [zero, one] = [new FakeSite([0], none), new FakeSite([1, 2], none)] as const
    const crew = await started([zero, one])
    await die(1)
    await die(2)
    for (const executor of [1, 2]) await die(executor)
    expect(one.started.splice(0)).toEqual([1, 2])
    const two = new FakeSite([], none)
    await crew.place(
      [
        { site: zero, executors: [0] },
        { site: one, executors: [1] },
        { site: two, executors: [2] },
      ],
      () => undefined,
    )
    await vi.advanceTimersByTimeAsync(60_000)
    expect([zero.started, one.started, two.started]).toEqual([[], [1], [2]])
  })

  test('before all others have started, starts again', async () => {
    const sites = [new FakeSite([0], none), new FakeSite([1], none)]
    const [zero, one] = sites as [FakeSite, FakeSite]
    one.afterStart = () => {
      one.afterStart = () => undefined
      void die(1)
    }
    await started(sites)
    // `started` has forgotten what was before: what is asked for is what was met last
    expect(zero.adopted).toEqual([0, 0])
    expect(one.adopted).toEqual([1, 1])
  })

  test('in its start, waits before that is tried again', async () => {
    const sites = [new FakeSite([0], none), new FakeSite([1], none)]
    const [, one] = sites as [FakeSite, FakeSite]
    let tries = 0
    one.start = async () => {
      if (++tries > 3) return
      const dying = die(1)
      await Promise.resolve()
      void dying
      throw new SquallError('executor-died', { executor: 1, reason: 'no memory' })
    }
    void started(sites)
    await vi.advanceTimersByTimeAsync(0)
    expect(tries).toBe(2)
    await vi.advanceTimersByTimeAsync(999)
    expect(tries).toBe(2)
    await vi.advanceTimersByTimeAsync(1)
    expect(tries).toBe(3)
    await vi.advanceTimersByTimeAsync(2_000)
    expect(tries).toBe(4)
  })
})

test('executors of a site that is gone while all start are started where they are moved to', async () => {
  const [zero, one] = [new FakeSite([0], { running: [], lanes: 1 }), new FakeSite([1], { running: [], lanes: 1 })] as const
  let leave: (error: unknown) => void = () => undefined
  one.meet = () => new Promise((_, reject) => (leave = reject))
  const crew = crewOf([zero, one])
  const starting = crew.start()
  const placing = crew.place([{ site: zero, executors: [0, 1] }], () => undefined)
  await Promise.resolve()
  leave(new SquallError('executor-died', { executor: 1, reason: 'taken away' }))
  await Promise.all([starting, placing])
  expect([zero.started, one.started]).toEqual([[0, 1], []])
})
