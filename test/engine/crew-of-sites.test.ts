import { expect, test } from 'vitest'
import { CrewOfSites } from '../../lib/engine/crew-of-sites.ts'
import { CellLayout } from '../../lib/engine/cells.ts'
import { sharedWords } from '../../lib/engine/site.ts'
import type { Site, SiteState } from '../../lib/engine/site.ts'
import { defineSpout, topology, z } from '../../lib/index.ts'
import { realClock } from '../../lib/std/clock.ts'
import { placeTasks, planTopology } from '../../lib/topology/plan.ts'

const numbers = defineSpout({ output: z.object({ n: z.int() }), open: () => (out) => out.end() })
const tiny = topology('tiny', (t) => void t.spout('numbers', numbers, { parallelism: 2 }))

/** A process with some executors: which of them run, and the number of the lanes of each. */
class FakeSite implements Site {
  readonly executors: readonly number[]
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
    return Promise.resolve()
  }
  #nothing = (): Promise<void> => Promise.resolve()
  adopt = (executors: readonly number[]): Promise<void> => {
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

function crewOf(sites: readonly Site[]): CrewOfSites {
  const executors = sites.length
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
    sites: () => sites,
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
