/** What is done with batches at their end. Outputs run in every task, one after the other, before any state of the batch is committed. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { lineOf } from '../../std/words.ts'
import { RddContext } from '../context.ts'
import { EventTimeStats } from '../event-time.ts'
import { replaceFile } from '../log/whole-file.ts'
import { trade } from '../rdd/trade.ts'
import { prepare } from '../rdd/job.ts'
import type { RDD } from '../rdd/rdd.ts'
import type { StateStore } from '../state/store.ts'
import type { Act, Output, StreamNode } from './graph.ts'
import type { BatchInfo, BatchReport, Scope, StateMetrics } from './scope.ts'

export interface PartitionInfo extends BatchInfo {
  readonly partition: number
}

/** The driver has the batch's values and runs `f`; the others hear how that ended. */
export function foreachRdd<T>(stream: StreamNode<T>, f: (rdd: RDD<T>, info: BatchInfo & BatchReport) => void | Promise<void>): Output<T> {
  return {
    name: 'foreachRDD',
    stream,
    async run(rdd, scope) {
      const { sc } = scope
      // state changes and event times are seen whatever `f` does with the values
      await prepare(rdd.node)
      if (sc.count === 1) return () => f(rdd, { ...infoOf(scope), ...reportOf(scope, [reportPartOf(scope)]) })
      const { partitions, beside } = await gathered(rdd, 'foreachRDD', () => reportPartOf(scope))
      return async () => {
        if (sc.index !== 0) return
        const here = new RddContext()
        try {
          const source = { name: rdd.name, partitions: partitions.map((values, index) => ({ index, values })) }
          await f(
            here.source<T, { index: number; values: readonly T[] }>({ ...source, read: ({ values }, push) => values.forEach(push) }),
            { ...infoOf(scope), ...reportOf(scope, beside) },
          )
        } finally {
          await here.stop()
        }
      }
    },
  }
}

export function eachPartition<T>(stream: StreamNode<T>, f: (values: readonly T[], info: PartitionInfo) => void | Promise<void>): Output<T> {
  return {
    name: 'foreachPartition',
    stream,
    async run(rdd, scope) {
      await prepare(rdd.node)
      return async () => {
        for (let partition = 0; partition < rdd.partitions; partition++) {
          if (rdd.node.owner(partition) !== scope.sc.index) continue
          await f(rdd.node.gather(partition), { ...infoOf(scope), partition })
        }
      }
    },
  }
}

/** A tuple for each record, in the order of the partition, from the task that has it. */
export function tuplesOf<T>(stream: StreamNode<T>, name: string, toTuple: (record: T, info: PartitionInfo) => object): Output<T> {
  return {
    name: 'toTuples',
    stream,
    async run(rdd, scope) {
      await prepare(rdd.node)
      return () => {
        for (let partition = 0; partition < rdd.partitions; partition++) {
          if (rdd.node.owner(partition) !== scope.sc.index) continue
          const info = { ...infoOf(scope), partition }
          rdd.node.read(partition, (record) => scope.emit(name, toTuple(record, info)))
        }
      }
    },
  }
}

/** How each batch of a stream becomes a folder. */
export type FolderFormat = 'saveAsTextFile' | 'saveAsObjectFile'

/** A folder for each batch, named by its time. */
export function foldersOf<T>(stream: StreamNode<T>, format: FolderFormat, prefix: string, suffix: string | undefined): Output<T> {
  return {
    name: `${format}s`,
    stream,
    async run(rdd, { sc, timeMs }) {
      const folder = `${prefix}-${timeMs}${suffix === undefined ? '' : `.${suffix}`}`
      // there only when the batch is run again
      if (sc.index === 0) rmSync(folder, { recursive: true, force: true })
      await rdd[format](folder)
      return undefined
    },
  }
}

/** Each batch's values in files of its own: what a failed attempt has left of them goes first. */
export function onceFiles<T>(stream: StreamNode<T>, folder: string): Output<T> {
  const left = new FilesLeft(folder)
  return {
    name: 'saveOnce',
    stream,
    async run(rdd, scope) {
      const { sc, txid, files } = scope
      await prepare(rdd.node)
      await together(scope, 'saveOnce', async () => {
        if (sc.index !== 0) return
        const old = await left.of(scope)
        for (const name of old) await files.remove(join(folder, name))
        // nothing may be left to write: then no other file makes it durable that these are gone
        if (old.length > 0) await files.syncFolder(folder)
      })
      return async () => {
        for (let partition = 0; partition < rdd.partitions; partition++) {
          if (rdd.node.owner(partition) !== sc.index) continue
          const lines: string[] = []
          rdd.node.read(partition, (value) => void lines.push(`${lineOf(value)}\n`))
          if (lines.length > 0) await replaceFile(files, join(folder, `batch-${txid}.part-${partition}`), Buffer.from(lines.join('')))
        }
      }
    },
  }
}

/**
 * The files that there are of batches to come, as the driver knows them. The folder is looked at once, and again for a batch that was
 * tried before: it grows with every batch, so looking each time would cost more and more.
 */
class FilesLeft {
  readonly #folder: string
  /** a driver that begins anew has another */
  #state: StateStore | undefined
  #last = 0
  readonly #names = new Map<number, string[]>()

  constructor(folder: string) {
    this.#folder = folder
  }

  /** Those of the batch at hand, which are not told again. */
  async of({ txid, state, files }: Scope): Promise<readonly string[]> {
    if (state !== this.#state || txid <= this.#last) {
      await files.makeFolder(this.#folder)
      this.#names.clear()
      for (const name of await files.list(this.#folder)) {
        const of = Number(/^batch-(\d+)\./.exec(name)?.[1] ?? 0)
        if (of >= txid) this.#names.set(of, [...(this.#names.get(of) ?? []), name])
      }
      this.#state = state
    }
    this.#last = txid
    const names = this.#names.get(txid) ?? []
    this.#names.delete(txid)
    return names
  }
}

/** The values of all partitions, by partition, and what each task has to say beside them, in the driver; the other tasks get nothing. */
export async function gathered<T, B>(
  rdd: RDD<T>,
  place: string,
  besideOf: () => B,
): Promise<{ readonly partitions: readonly (readonly T[])[]; readonly beside: readonly B[] }> {
  const { node, partitions } = rdd
  const { index, count } = node.context
  const mine = Array.from({ length: partitions }, (_, partition) => partition).filter((partition) => node.owner(partition) === index)
  const got = (await trade(node.context, place, () => {
    const values = mine.map((partition) => [partition, node.gather(partition)])
    return Array.from({ length: count }, (_, task) => (task === 0 ? [values, besideOf()] : null))
  })) as readonly (readonly [values: (readonly [number, readonly T[]])[], beside: B] | null)[]
  const all: (readonly T[])[] = new Array<readonly T[]>(partitions).fill([])
  const told = got.filter((one) => one !== null)
  for (const [values] of told) for (const [partition, one] of values) all[partition] = one
  return { partitions: all, beside: told.map(([, beside]) => beside) }
}

/** Runs `act` in every task; what one of them throws, all throw. */
export async function together(scope: Pick<Scope, 'sc'>, place: string, act: Act): Promise<void> {
  await toldTogether(scope, place, act, () => null)
}

/** The same; when all have run theirs, each says something to all. */
export async function toldTogether<R>({ sc }: Pick<Scope, 'sc'>, place: string, act: Act, tell: () => R): Promise<R[]> {
  let fault: unknown
  let hasFailed = false
  try {
    await act()
  } catch (error) {
    fault = error
    hasFailed = true
  }
  return (await trade(sc, place, () => {
    if (hasFailed) throw fault
    return new Array<R>(sc.count).fill(tell())
  })) as R[]
}

export function infoOf({ topology, txid, timeMs, watermarkMs }: Scope): BatchInfo {
  return { topology, txid, timeMs, watermarkMs }
}

/** What this task has seen and done. */
function reportPartOf(scope: Scope): BatchReport {
  return { operators: [...scope.operators.values()], eventTimes: scope.eventTimes() }
}

/** Of all tasks together. */
function reportOf({ hasEventTime }: Scope, parts: readonly BatchReport[]): BatchReport {
  if (!hasEventTime) return { operators: [], eventTimes: {} }
  const operators = new Map<string, StateMetrics>()
  const eventTimes: Record<string, EventTimeStats> = {}
  for (const part of parts) {
    for (const metrics of part.operators) operators.set(metrics.operator, sum(operators.get(metrics.operator), metrics))
    for (const [input, stats] of Object.entries(part.eventTimes)) (eventTimes[input] ??= new EventTimeStats()).merge(stats)
  }
  return { operators: [...operators.values()], eventTimes }
}

function sum(a: StateMetrics | undefined, b: StateMetrics): StateMetrics {
  if (a === undefined) return b
  return {
    operator: b.operator,
    rows: a.rows + b.rows,
    updated: a.updated + b.updated,
    removed: a.removed + b.removed,
    dropped: a.dropped + b.dropped,
    duplicates: a.duplicates + b.duplicates,
  }
}
