/**
 * A cluster of three hosts that things happen to, at random from a seed, while it works: one topology of numbered tuples, each of which must arrive, and one
 * that counts words, which must come to what an independent count says.
 */
import { mkdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Random } from '../../lib/std/random.ts'
import { Arrivals } from './arrivals.ts'
import { faultOf } from './faults.ts'
import type { Fault } from './faults.ts'
import { Hosts } from './hosts.ts'
import type { StateCopy, WorkerProcess } from './hosts.ts'
import { lineOf } from './topologies/lines.ts'

export interface ChaosOptions {
  /** its processes keep all they have in it */
  readonly folder: string
  /** how long things happen */
  readonly forMs: number
  readonly seed: number
  /** the kinds of faults, in order, by their place in the list, before they are drawn */
  readonly first?: readonly number[]
  readonly say: (line: string) => void
}

/** `together`: of either, while something else happened as well. */
type Recoveries = Readonly<Record<'worker' | 'host' | 'together', readonly number[]>>

export interface ChaosResult {
  readonly faults: number
  readonly numbers: { readonly sent: number; readonly missing: readonly number[]; readonly arrivals: number }
  /** in each of the copies of the state that have the last batch */
  readonly counts: { readonly words: number; readonly copies: number; readonly wrong: readonly string[] }
  /** from the kill of a worker, or the loss of a host, until each of its sinks has got tuples again, elsewhere or anew */
  readonly recoveriesMs: Recoveries
  /** what did not get well in time */
  readonly troubles: readonly string[]
}

const rate = { numbers: 1_000, counts: 500 }
const recoveryMs = 60_000
/** as `stateCopies` is, unless told */
const copiesWanted = 2
const wellMs = 90_000
const endMs = 240_000
const lookMs = 20
const topologies = fileURLToPath(new URL('../../test/chaos/topologies/', import.meta.url))

export async function chaos(options: ChaosOptions): Promise<ChaosResult> {
  const hosts = Hosts.start(options.folder, options.say)
  const stopped = (): void => hosts.stop()
  process.once('exit', stopped)
  try {
    return await new Run(hosts, options).run()
  } finally {
    process.off('exit', stopped)
    hosts.stop()
  }
}

class Run {
  readonly #hosts: Hosts
  readonly #options: ChaosOptions
  readonly #random: Random
  readonly #arrivals: Arrivals
  readonly #sinks: string
  readonly #sent: number
  readonly #lines: number
  readonly #startMs = performance.now()
  readonly #recoveriesMs = { worker: [] as number[], host: [] as number[], together: [] as number[] }
  readonly #troubles: string[] = []
  #faults = 0

  constructor(hosts: Hosts, options: ChaosOptions) {
    this.#hosts = hosts
    this.#options = options
    this.#random = new Random(options.seed)
    this.#sent = Math.ceil((options.forMs / 1_000) * rate.numbers)
    this.#lines = Math.ceil((options.forMs / 1_000) * rate.counts)
    this.#sinks = join(options.folder, 'sinks')
    mkdirSync(this.#sinks, { recursive: true })
    this.#arrivals = new Arrivals(this.#sinks, this.#sent)
  }

  async run(): Promise<ChaosResult> {
    await this.#until('the cluster is there', wellMs, async () => (await this.#hosts.squall('list')).code === 0)
    await this.#deploy('numbers', 3, { count: this.#sent, rate: rate.numbers, startMs: Date.now(), folder: this.#sinks, sinks: 3 })
    await this.#deploy('counts', 2, { count: this.#lines, rate: rate.counts })
    await this.#happen()
    for (const name of ['numbers', 'counts'])
      await this.#until(`${name} is finished`, endMs, async () => (await this.#stateOf(name)) === 'finished')
    this.#arrivals.look()
    return {
      faults: this.#faults,
      numbers: { sent: this.#sent, missing: this.#arrivals.missing(), arrivals: this.#arrivals.total },
      counts: await this.#counted(),
      recoveriesMs: this.#recoveriesMs,
      troubles: this.#troubles,
    }
  }

  async #deploy(name: string, workers: number, params: Readonly<Record<string, string | number>>): Promise<void> {
    const sets = Object.entries(params).flatMap(([key, value]) => ['--set', `${key}=${value}`])
    const { code, stderr } = await this.#hosts.squall('deploy', join(topologies, `${name}.ts`), '--workers', `${workers}`, ...sets)
    if (code !== 0) throw new Error(`${name} could not be deployed:\n${stderr}`)
    this.#say(`${name} is deployed on ${workers} workers`)
  }

  /** One fault after the other, sometimes two at a time; after each all must be well again. */
  async #happen(): Promise<void> {
    const first = [...(this.#options.first ?? [])]
    const untilMs = performance.now() + this.#options.forMs
    while (performance.now() < untilMs || first.length > 0) {
      await sleep(500 + this.#random.below(2_500))
      const kinds = [first.shift()]
      if (first.length === 0 && this.#random.below(4) === 0) kinds.push(undefined)
      await Promise.all(kinds.map((kind) => this.#suffer(faultOf(this.#hosts, this.#random, kind), kinds.length === 1)))
      await this.#well()
    }
  }

  async #suffer(fault: Fault, isAlone: boolean): Promise<void> {
    this.#faults++
    this.#say(fault.name)
    const atMs = performance.now()
    this.#arrivals.look()
    const lost = await fault.make()
    const recovered = this.#recovery(fault, isAlone, lost, atMs)
    await sleep(fault.lastsMs)
    fault.heal()
    if (fault.lastsMs > 0) this.#say(`${fault.name}: over`)
    await recovered
  }

  /** Waits until each sink that was in what is lost has got something again. */
  async #recovery({ name }: Fault, isAlone: boolean, lost: readonly WorkerProcess[], atMs: number): Promise<void> {
    const pids = new Set(lost.map(({ pid }) => pid))
    const tasks = [...pids].flatMap((pid) => this.#arrivals.tasksOf(pid))
    if (tasks.length === 0 || this.#arrivals.distinct === this.#sent) return
    const before = tasks.map((task) => this.#arrivals.writtenElsewhere(task, pids))
    const isBack = (): boolean => {
      this.#arrivals.look()
      return (
        this.#arrivals.distinct === this.#sent ||
        tasks.every((task, i) => this.#arrivals.writtenElsewhere(task, pids) > (before[i] as number))
      )
    }
    if (!(await this.#until(`sinks ${tasks.join(', ')} work again after: ${name}`, recoveryMs, isBack))) return
    const tookMs = Math.round(performance.now() - atMs)
    this.#say(`${name}: its sinks work again after ${tookMs} ms`)
    const what = name.startsWith('host') ? 'host' : 'worker'
    this.#recoveriesMs[isAlone ? what : 'together'].push(tookMs)
  }

  async #well(): Promise<void> {
    for (const name of ['numbers', 'counts'])
      await this.#until(`${name} runs`, wellMs, async () => ['active', 'finished'].includes((await this.#stateOf(name)) ?? ''))
  }

  async #stateOf(name: string): Promise<string | undefined> {
    return (await this.#hosts.describe(name))?.state
  }

  /** Compares what the copies of the state hold with a count of our own. */
  async #counted(): Promise<ChaosResult['counts']> {
    const expected = new Map<string, number>()
    for (let i = 0; i < this.#lines; i++) for (const word of lineOf(i).split(' ')) expected.set(word, (expected.get(word) ?? 0) + 1)
    let copies: readonly StateCopy[] = []
    await this.#until(`what counts keeps has ${copiesWanted} copies`, wellMs, async () => {
      copies = await this.#hosts.copies('counts', 'counts')
      return copies.length >= copiesWanted
    })
    const wrong = copies.flatMap(({ host, values }) =>
      [...new Set([...expected.keys(), ...values.keys()])]
        .filter((word) => expected.get(word) !== values.get(word))
        .slice(0, 10)
        .map((word) => `${host}: ${word} ${values.get(word) ?? 'none'} times instead of ${expected.get(word) ?? 'none'}`),
    )
    return { words: expected.size, copies: copies.length, wrong }
  }

  async #until(what: string, withinMs: number, isSo: () => boolean | Promise<boolean>): Promise<boolean> {
    const untilMs = performance.now() + withinMs
    while (!(await isSo())) {
      if (performance.now() > untilMs) {
        this.#say(`NOT within ${withinMs / 1_000} s: ${what}`)
        for (const name of ['numbers', 'counts']) this.#say(JSON.stringify(await this.#hosts.describe(name)))
        this.#troubles.push(what)
        return false
      }
      await sleep(lookMs)
    }
    return true
  }

  #say(line: string): void {
    this.#options.say(`${((performance.now() - this.#startMs) / 1_000).toFixed(1).padStart(6)} s  ${line}`)
  }
}
