/**
 * A seeded simulation of whole topologies with streams: the engine's executors under virtual time over a disk in memory. From one seed
 * come a topology, its sources, and a number of runs of it, one after the other on what the run before has left: on other numbers of
 * executors, with batches overlapping, in which executors die, functions throw, outputs fail, and the process ends at some step of the disk or
 * at some time, with or without what was not synced. The last run goes to the end.
 *
 * Then everything is compared with models: plain loops over the records of the committed batches, in the order of the batches.
 */
import { addBatchComponents } from '../../lib/batch/run/components.ts'
import { DStream } from '../../lib/batch/dstream/dstream.ts'
import { StreamGraph } from '../../lib/batch/dstream/graph.ts'
import { MetadataLog } from '../../lib/batch/run/metadata-log.ts'
import { commitFormat, offsetFormat } from '../../lib/batch/run/metadata.ts'
import type { BatchSource } from '../../lib/batch/source.ts'
import { viewState } from '../../lib/batch/state/inspect.ts'
import { received, stateSpec } from '../../lib/index.ts'
import type { KeyState, TopologyDefinition } from '../../lib/index.ts'
import { Random } from '../../lib/std/random.ts'
import { LocalCluster } from '../../lib/testing/index.ts'
import type { LocalTopology } from '../../lib/testing/index.ts'
import { topology } from '../../lib/topology/builder.ts'
import { FaultDisk, savedIn } from './fault-disk.ts'
import { Client } from './receiver/client.ts'
import { pipelines } from './simulated-pipelines.ts'
import type { Pipeline } from './simulated-pipelines.ts'

const name = 'simulated'
const stateDir = '/disk'
const outFolder = '/disk/out'

/** A record of a source. */
export interface Rec {
  readonly n: number
  readonly key: string
  readonly weight: number
  /** when it happened: about in order */
  readonly at: number
  /** of an opaque source: the try that it was read in */
  readonly version: number
}

/** A batch as it was committed. */
export interface Batch {
  readonly txid: number
  readonly timeMs: number
  readonly watermarkMs: number
  readonly lateMs: number
  /** by source */
  readonly records: readonly (readonly Rec[])[]
}

/** What a seed makes of a topology. */
export interface Case {
  readonly intervalMs: number
  readonly isOpaque: boolean
  readonly sources: number
  /** whether ids come by receivers as well */
  readonly receives: boolean
  /** of each source */
  readonly total: number
  readonly pendingMax: number
  readonly pipelines: readonly Pipeline[]
}

interface Slice {
  readonly from: number
  readonly to: number
}

/** What a simulation came to: the same for the same seed. */
export interface Outcome {
  /** what outputs were given, what failed, in its order */
  readonly trace: readonly string[]
  readonly runs: number
  readonly deaths: number
  readonly crashes: number
}

export async function simulate(seed: number): Promise<Outcome> {
  const simulation = new Simulation(new Random(seed))
  try {
    await simulation.run()
  } catch (error) {
    if (error instanceof Error) error.message += `\n${simulation.trace.join('\n')}`
    throw error
  }
  return simulation
}

class Simulation implements Outcome {
  readonly trace: string[] = []
  runs = 0
  deaths = 0
  crashes = 0
  readonly #random: Random
  readonly #case: Case
  readonly #client = new Client(8)
  #disk: FaultDisk
  /** changes whenever an executor starts: an opaque source then gives other records */
  #version = 0
  /** calls of functions until one throws, and how many throw then */
  #fuse = { calls: Infinity, times: 0 }
  /** what outputs were given, by output, by batch, the last time and ever */
  readonly #given = new Map<string, Map<number, { last: string; readonly all: Set<string> }>>()
  readonly #raw = new Map<number, Rec[][]>()
  /** the batch that an output ran for last */
  #lastTxid = 0

  constructor(random: Random) {
    this.#random = random
    this.#disk = new FaultDisk(random)
    this.#case = caseOf(random)
    const { intervalMs, isOpaque, pendingMax } = this.#case
    const names = this.#case.pipelines.map((pipeline) => pipeline.name).join(', ')
    this.trace.push(`${names}; interval ${intervalMs}, ${isOpaque ? 'opaque' : 'transactional'}, ${pendingMax} pending`)
    if (this.#case.receives) this.trace.push('it receives')
  }

  async run(): Promise<void> {
    for (let left = this.#random.below(4); left > 0; left--) await this.#runToCrash()
    await this.#runToEnd()
    await this.#check()
  }

  async #runToCrash(): Promise<void> {
    const disk = this.#disk
    const isAtStep = this.#random.below(3) > 0
    if (isAtStep) disk.crashAt = 1 + this.#random.below(70)
    const { topology: running, end } = await this.#start()
    await running?.advance(this.#random.below(isAtStep ? 400 : 150)).catch((error: unknown) => this.#expected(error))
    const left = this.#random.below(2) === 0 ? disk.killed() : disk.powerLost()
    disk.crashAt = 0
    await end()
    this.#disk = left
    this.#client.crashed()
    this.crashes++
    this.trace.push('the process has ended')
  }

  async #runToEnd(): Promise<void> {
    const deaths = this.deaths
    const { topology: running, end } = await this.#start()
    await running?.complete('1h')
    await end()
    if (this.deaths === deaths && this.#disk.openFiles > 0) throw new Error(`${this.#disk.openFiles} files are left open`)
  }

  async #start() {
    this.runs++
    const random = this.#random
    const disk = this.#disk
    const executors = 1 + random.below(3)
    this.#fuse = { calls: random.below(3) === 0 ? random.below(60) : Infinity, times: random.below(2) === 0 ? 1 : 5 }
    this.#lastTxid = 0
    const dying = new Map<number, number>()
    if (random.below(2) === 0)
      for (let n = 1 + random.below(2); n > 0; n--) dying.set(12 + 6 * executors + random.below(60), random.below(executors))
    const cluster = await LocalCluster.start({ seed: random.int32(), executors, patienceMs: 0 })
    const config = { stateDir, batchAttemptsMax: 20, batchesPendingMax: this.#case.pendingMax, executorRestartsMax: 100 }
    this.trace.push(`a run on ${executors}`)
    const live: { topology?: LocalTopology } = {}
    disk.onStep = () => {
      const victim = dying.get(disk.step)
      if (victim === undefined || live.topology === undefined) return
      this.deaths++
      this.trace.push(`executor ${victim} dies`)
      live.topology.killExecutor(victim)
      // its receivers will not hear of what they have sent
      this.#client.crashed()
    }
    try {
      live.topology = await cluster.submit(this.#definition(), { config })
    } catch (error) {
      this.#expected(error)
    }
    const end = (): Promise<void> => cluster[Symbol.asyncDispose]().catch(() => undefined)
    return { topology: live.topology, end }
  }

  /** A run may only fail because its disk did. */
  #expected(error: unknown): void {
    if (!this.#disk.isDown) throw error
  }

  // ---------------------------------------------------------------------------------------------- the topology

  #definition(): TopologyDefinition {
    const of = this.#case
    return topology(name, (t) => {
      const graph = new StreamGraph(name, of.intervalMs)
      const streams = Array.from({ length: of.sources }, (_, source) => {
        const id = `source${source}`
        graph.sources.set(id, this.#source(source))
        return new DStream<Rec>(graph, { name: id, parents: [] }, (scope) => scope.source<Rec>(id))
      })
      for (const [source, stream] of streams.entries())
        stream.foreachRDD(async (rdd, { txid }) => {
          const records = (await rdd.collect()).toSorted((a, b) => a.n - b.n)
          const all = this.#raw.get(txid) ?? []
          all[source] = records
          this.#raw.set(txid, all)
          this.#note(
            `source${source}`,
            txid,
            records.map((one) => `${one.n}.${one.version}`),
          )
        })
      const failing = streams.map((stream) => stream.map((one) => this.#passed(one)))
      for (const pipeline of of.pipelines) {
        const stream = pipeline.build(failing)
        stream.foreachRDD(async (rdd, { txid }) => {
          this.#note(pipeline.name, txid, (await rdd.collect()).map(textOf))
          this.#passed(undefined)
        })
        if (pipeline === of.pipelines[0]) stream.map(textOf).saveOnce(outFolder)
      }
      if (of.receives) {
        const ids = this.#client.receiver(this.#disk)
        graph.received.set('ids', received([ids, ids]))
        new DStream<number>(graph, { name: 'ids', parents: [] }, (scope) => scope.source<number>('ids'))
          .map((id) => [this.#passed(id), 1])
          .mapWithState(countingIds, { name: 'ids' })
          .foreachPartition(() => undefined)
      }
      graph.finish()
      addBatchComponents(t, graph, this.#disk)
    })
  }

  /** The records below `total`, some a batch. How many, and whether there are any now, is left to chance. */
  #source(source: number): BatchSource<Rec> {
    const { total, isOpaque } = this.#case
    const random = this.#random
    return {
      kind: isOpaque ? 'opaque' : 'transactional',
      planner: () => {
        let taken = 0
        return {
          next: (last) => {
            const from = (taken = last === undefined ? 0 : (last as Slice).to)
            if (from === total || random.below(4) === 0) return undefined
            taken = Math.min(total, from + 1 + random.below(5))
            return { from, to: taken }
          },
          get hasEnded() {
            return taken === total
          },
        }
      },
      reader: () => {
        this.#version++
        // what one try of a batch reads twice is the same: an executor that is to die may run on for a moment
        const versions = new Map<number, number>()
        return {
          partitions: () => 2,
          begin: (range) => void versions.set((range as Slice).from, isOpaque ? this.#version : 0),
          read: (range, partition, push) => {
            const { from, to } = range as Slice
            const version = versions.get(from) ?? 0
            for (let n = from; n < to; n++) {
              // what is not there in one try is in another
              if (n % 2 === partition && (version + n) % 5 !== 4) push(recordOf(source, n, version))
            }
          },
        }
      },
    }
  }

  /** A function of the user's, which may throw. */
  #passed<T>(value: T): T {
    const fuse = this.#fuse
    if (fuse.calls-- > 0 || fuse.times-- <= 0) return value
    throw new Error('as the seed would have it')
  }

  #note(output: string, txid: number, values: readonly string[]): void {
    if (txid < this.#lastTxid) throw new Error(`${output} runs for batch ${txid} after ${this.#lastTxid}`)
    this.#lastTxid = txid
    const text = values.toSorted().join(' ')
    this.trace.push(`${output} ${txid}: ${text}`)
    const byTxid = this.#given.get(output) ?? new Map<number, { last: string; readonly all: Set<string> }>()
    this.#given.set(output, byTxid)
    const known = byTxid.get(txid)
    if (known === undefined) byTxid.set(txid, { last: text, all: new Set([text]) })
    else {
      known.last = text
      known.all.add(text)
    }
  }

  // ---------------------------------------------------------------------------------------------- what it came to

  async #check(): Promise<void> {
    const disk = this.#disk.killed()
    const batches = await this.#committed(disk)
    const { pipelines: all, isOpaque } = this.#case
    const problems: string[] = []
    const same = (what: string, found: unknown, expected: unknown): void => {
      if (found !== expected) problems.push(`${what}: ${String(found)} instead of ${String(expected)}`)
    }
    const expected = all.map((pipeline) => pipeline.model(batches))
    for (const [at, { name: output }] of all.entries())
      for (const [i, { txid }] of batches.entries()) {
        const given = this.#given.get(output)?.get(txid)
        same(`${output} in batch ${txid}`, given?.last, expected[at]?.[i]?.map(textOf).toSorted().join(' '))
        if (!isOpaque && given !== undefined) same(`outcomes of ${output} in batch ${txid}`, given.all.size, 1)
      }
    const saved = savedIn(disk, outFolder)
    for (const [i, { txid }] of batches.entries()) {
      same(`saved of batch ${txid}`, saved.get(txid)?.toSorted().join(' ') ?? '', (expected[0]?.[i] ?? []).map(textOf).toSorted().join(' '))
      saved.delete(txid)
    }
    same('saved of other batches', [...saved.keys()].join(), '')
    same('left aside', disk.paths.filter((path) => path.endsWith('.new')).join(), '')
    same('epochs', new Set(disk.paths.flatMap((path) => /\/state\/(\d+)\//.exec(path)?.[1] ?? [])).size, 1)
    const view = await viewState(stateDir, name, disk)
    same('the batch of the state', view.txid, batches.at(-1)?.txid)
    for (const { state } of all) {
      if (state === undefined) continue
      const found = Array.from(view.entries(state.name), ([key, value]) => `${String(key)}=${String(value)}`)
      same(
        `the state ${state.name}`,
        found.toSorted().join(' '),
        [...state.model(batches)]
          .map((pair) => pair.join('='))
          .toSorted()
          .join(' '),
      )
    }
    if (this.#case.receives) {
      const counted = new Map(view.entries('ids') as Iterable<[number, number]>)
      same('ids that were acknowledged', this.#client.acknowledged.size, this.#client.total)
      for (const [id, times] of this.#client.sent) {
        const count = counted.get(id) ?? 0
        if (count < 1 || count > times) problems.push(`id ${id}, sent ${times} times, is counted ${count} times`)
      }
    }
    await view.close()
    if (problems.length > 0) throw new Error(problems.join('\n'))
  }

  /** The batches of the logs, with what the outputs of their last try were given of the sources. */
  async #committed(files: FaultDisk): Promise<readonly Batch[]> {
    const folder = `${stateDir}/batches`
    const planned = await MetadataLog.read({ folder, format: offsetFormat, files })
    const committed = await MetadataLog.read({ folder, format: commitFormat, files })
    const { sources, total, isOpaque } = this.#case
    const txids = planned.map(({ batch }) => batch).join()
    if (txids !== planned.map((_, i) => i + 1).join() || txids !== committed.map(({ batch }) => batch).join())
      throw new Error(`batches ${txids} were planned, ${committed.map(({ batch }) => batch).join()} committed`)
    const watermarkAfter = (txid: number): number => committed[txid - 1]?.entry.nextBatchWatermarkMs ?? 0
    const next = new Array<number>(sources).fill(0)
    const batches = planned.map(({ batch: txid, entry }): Batch => {
      const records = next.map((at, source) => {
        const { from, to } = (entry.offsets[`source${source}`] ?? { from: at, to: at }) as Slice
        if (from !== at) throw new Error(`batch ${txid} begins at ${from} of source ${source} instead of ${at}`)
        next[source] = to
        const given = this.#raw.get(txid)?.[source] ?? []
        const whole = Array.from({ length: to - from }, (_, i) => recordOf(source, from + i, 0)).filter(({ n }) => n % 5 !== 4)
        if (isOpaque ? given.some(({ n }) => n < from || n >= to) : JSON.stringify(given) !== JSON.stringify(whole))
          throw new Error(`batch ${txid} has ${JSON.stringify(given)} of source ${source} for ${from} to ${to}`)
        return given
      })
      const timeMs = entry.batchTimestampMs ?? 0
      return { txid, timeMs, watermarkMs: watermarkAfter(txid - 1), lateMs: watermarkAfter(txid - 2), records }
    })
    if (next.some((at) => at !== total)) throw new Error(`the sources were read up to ${next.join(' and ')} of ${total}`)
    return batches
  }
}

function caseOf(random: Random): Case {
  const base = {
    intervalMs: random.below(2) * 10,
    isOpaque: random.below(3) === 0,
    sources: 1 + random.below(2),
    total: 6 + random.below(8),
    pendingMax: 1 + random.below(3),
    receives: random.below(4) === 0,
  }
  const fitting = random.shuffle(pipelines.filter((pipeline) => pipeline.fits(base)))
  return { ...base, pipelines: fitting.slice(0, 1 + random.below(2)) }
}

const countingIds = stateSpec((_: number, n: number | undefined, state: KeyState<number>) => {
  state.update((state.getOption() ?? 0) + (n ?? 0))
  return null
})

function recordOf(source: number, n: number, version: number): Rec {
  const mixed = (n * 7 + source * 3) % 11
  return { n, key: `k${mixed % 4}`, weight: 1 + mixed + 100 * version, at: 20 + n * 4 - (mixed % 3) * 5, version }
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}
