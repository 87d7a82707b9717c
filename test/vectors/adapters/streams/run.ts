/** Runs graphs of streams under virtual time: a batch a `batchMs`, chunks of input in the order they are given. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { memorySource, topology } from '../../../../lib/index.ts'
import type { DStream, StreamTopologyBuilder } from '../../../../lib/index.ts'
import { LocalCluster } from '../../../../lib/testing/index.ts'

/** What a batch of an output had. */
export interface Batch {
  readonly timeMs: number
  readonly values: readonly unknown[]
  readonly partitions: number
}

export type Outputs = Readonly<Record<string, DStream<unknown>>>

export interface StreamRun {
  /** the batches of each input stream */
  readonly inputs: Readonly<Record<string, readonly (readonly unknown[])[]>>
  readonly batchMs: number
  readonly batches: number
  readonly partitions: number
  /** the run is stopped after so many batches, and another goes on */
  readonly restartAfter?: number | undefined
  /** Declares what is done with the input streams; each stream that it returns is collected. */
  build(inputs: Readonly<Record<string, DStream<unknown>>>, t: StreamTopologyBuilder): Outputs
}

/** Tasks that share the work, so that what is divided wrongly shows. */
const executors = 2

/** What each output had in each batch, by name. Throws the error that ends the run. */
export async function runStreams(run: StreamRun): Promise<Readonly<Record<string, readonly Batch[]>>> {
  const sources = Object.entries(run.inputs).map(([name, batches]) => {
    const source = memorySource<unknown>({ partitions: run.partitions, oneAtATime: true })
    for (const batch of batches) source.add(...batch)
    return [name, source] as const
  })
  const found: Record<string, Batch[]> = {}
  const graph = topology('case', (t) => {
    const interval = { batchInterval: run.batchMs }
    const streams = Object.fromEntries(sources.map(([name, source]) => [name, t.stream(name, source, interval)]))
    for (const [name, stream] of Object.entries(run.build(streams, t))) {
      found[name] ??= []
      stream.foreachRDD(async (rdd, { timeMs }) => {
        found[name]?.push({ timeMs, values: await rdd.collect(), partitions: rdd.partitions })
      })
    }
  })
  const folder = mkdtempSync(join(tmpdir(), 'squall-case-'))
  try {
    const stops = run.restartAfter === undefined ? [run.batches] : [run.restartAfter, run.batches]
    for (const until of stops) {
      await using cluster = await LocalCluster.start({ seed: 1, executors })
      const running = await cluster.submit(graph, { config: { stateDir: folder } })
      await running.advance(until * run.batchMs + run.batchMs / 2)
      const { error } = await running.kill()
      if (error !== undefined) throw error
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  return found
}
