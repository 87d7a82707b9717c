/** What the lead of a run and the sites of other workers say to each other, over a link in memory. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { messageKinds } from '../../../lib/cluster/worker/frames.ts'
import { RemoteSite } from '../../../lib/cluster/worker/remote-site.ts'
import { SiteHost } from '../../../lib/cluster/worker/site-host.ts'
import { wordsFrom } from '../../../lib/cluster/worker/words.ts'
import type { Words } from '../../../lib/cluster/worker/words.ts'
import { CellLayout } from '../../../lib/engine/cells.ts'
import { QuietSign } from '../../../lib/engine/quiet.ts'
import { sharedWords } from '../../../lib/engine/site.ts'
import type { Site } from '../../../lib/engine/site.ts'
import { defineSpout, topology, z } from '../../../lib/index.ts'
import { placeTasks, planTopology } from '../../../lib/topology/plan.ts'

const numbers = defineSpout({ output: z.object({ n: z.int() }), open: () => (out) => out.end() })
const tiny = topology('tiny', (t) => void t.spout('numbers', numbers, { parallelism: 3 }))
const executors = 3
const plan = planTopology(tiny.draft({}), {}, executors)
const placement = placeTasks(plan, executors)
const layout = new CellLayout(plan)

/** A site that does at once whatever it is told, and what it was told. */
class Obedient implements Site {
  executors: readonly number[]
  readonly silent: readonly number[] = []
  readonly did: string[] = []

  constructor(here: readonly number[]) {
    this.executors = here
  }

  #noting =
    (what: string) =>
    (...details: unknown[]): Promise<void> => {
      this.did.push([what, ...details.map((detail) => JSON.stringify(detail))].join(' '))
      return Promise.resolve()
    }
  adopt = async (here: readonly number[]): Promise<void> => {
    this.executors = here
    await this.#noting('adopt')(here)
  }
  drop = this.#noting('drop')
  start = this.#noting('start')
  setActive = this.#noting('setActive')
  finish = this.#noting('finish')
  renew = this.#noting('renew')
  lose = this.#noting('lose')
  close = this.#noting('close')
  end = this.#noting('end')
  meet = (): Promise<{ running: number[]; lanes: number }> => Promise.resolve({ running: [], lanes: 1 })
  kill = (): void => undefined
}

/** The process of worker 1, which knows of the lead what the link brings. */
class Process {
  readonly site: Obedient
  readonly words = sharedWords(executors)
  readonly host: SiteHost
  /** for the lead, in order */
  readonly said: Uint8Array[] = []
  places: readonly number[] = []

  constructor(here: readonly number[]) {
    this.site = new Obedient(here)
    const send = (message: Uint8Array): boolean => this.said.push(message) > 0
    this.host = new SiteHost({
      executors: here,
      plan,
      placement,
      cells: layout.allocate(true),
      words: this.words,
      site: () => this.site,
      placed: (workers) => (this.places = workers),
      have: () => undefined,
      send,
      tell: send,
    })
  }

  /** Its executors rest, and have sent nothing. */
  rest(): void {
    for (const executor of this.site.executors) new QuietSign(this.words.quiet, executor).publish([0, 0, 0], [0, 0, 0])
  }
}

/** The lead's end of the link to worker 1. */
class LeadsEnd {
  readonly words = sharedWords(executors)
  readonly died: string[] = []
  /** commands on their way */
  readonly sent: Words[] = []

  site(here: readonly number[]): RemoteSite {
    return new RemoteSite({
      worker: 1,
      executors: here,
      plan,
      placement,
      cells: layout.allocate(false),
      words: this.words,
      ears: { said: () => undefined, died: (dead, reason) => void this.died.push(`${dead.join()}: ${reason}`) },
      workerOf: (executor) => (here.includes(executor) ? 1 : 0),
      send: (message) => {
        if (message[0] === messageKinds.words) this.sent.push(wordsFrom(message))
      },
    })
  }

  get isQuiet(): boolean {
    return this.words.quiet.generation.some((generation) => (generation & 1) === 1)
  }
}

/** All that either has said arrives, and so does what they answer. */
async function settle(lead: LeadsEnd, site: RemoteSite, process: Process): Promise<void> {
  for (let still = 0; still < 3;) {
    const [commands, answers] = [lead.sent.splice(0), process.said.splice(0)]
    for (const command of commands) process.host.hear(command)
    for (const message of answers) if (message[0] === messageKinds.words) site.hear(wordsFrom(message))
    await Promise.resolve()
    still = commands.length + answers.length > 0 ? 0 : still + 1
  }
}

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] }))
afterEach(() => void vi.useRealTimers())

test('a site that is to leave has left as soon as another process has its worker, and says nothing to that one', async () => {
  const lead = new LeadsEnd()
  const old = lead.site([1])
  const closing = old.close()
  old.leave()
  lead.sent.length = 0
  old.renewed()
  await expect(closing).rejects.toMatchObject({ code: 'executor-died' })
  await expect(old.renew([1], 2)).rejects.toMatchObject({ code: 'executor-died' })
  await expect(old.start([1])).rejects.toMatchObject({ code: 'executor-died' })
  old.hear({ kind: 'died', executors: [1], reason: 'of another' })
  old.hear({ kind: 'rests', rests: [{ executor: 2, isQuiet: false, sent: [], received: [], heldUp: [0, 0] }] })
  expect([lead.sent, lead.died]).toEqual([[], []])
})

test('a site that is to leave hears of its process until that has answered', async () => {
  const [lead, process] = [new LeadsEnd(), new Process([1])]
  const site = lead.site([1])
  site.leave()
  const closing = site.close()
  await settle(lead, site, process)
  await expect(closing).resolves.toBeUndefined()
})

test('what comes after another site on a link hears when its executors rest', async () => {
  const [lead, process] = [new LeadsEnd(), new Process([1])]
  const before = lead.site([1])
  for (const act of [(): Promise<void> => before.start([1]), (): Promise<void> => before.close()]) {
    const done = act()
    await settle(lead, before, process)
    await done
  }
  const after = lead.site([1])
  const starting = after.start([1])
  process.rest()
  vi.advanceTimersByTime(10)
  await settle(lead, after, process)
  await starting
  vi.advanceTimersByTime(10)
  await settle(lead, after, process)
  expect(lead.isQuiet).toBe(true)
})

test('that executors rest holds from after the last command was done', async () => {
  const [lead, process] = [new LeadsEnd(), new Process([1])]
  const site = lead.site([1])
  process.rest()
  vi.advanceTimersByTime(10)
  // on its way when the lead says something
  const starting = site.start([1])
  await settle(lead, site, process)
  await starting
  expect(lead.isQuiet).toBe(false)
  vi.advanceTimersByTime(10)
  await settle(lead, site, process)
  expect(lead.isQuiet).toBe(true)
})

test('a process that was started anew is told first which executors it has, and where all are', async () => {
  const lead = new LeadsEnd()
  const site = lead.site([1, 2])
  site.renewed()
  const starting = site.start([1, 2])
  // it was started with an older assignment
  const process = new Process([1])
  await settle(lead, site, process)
  await starting
  expect(process.site.did).toEqual(['adopt [1,2]', 'start [1,2]'])
  expect(process.places).toEqual([0, 1, 1])
  expect(lead.died).toEqual(['1,2: worker 1 is another process'])
})
