/** Runs streams over event time a chunk a batch, under virtual time. */
import { memorySource, topology } from '../../../lib/index.ts'
import type { BatchInfo, BatchReport, DStream, StreamOptions } from '../../../lib/index.ts'
import { LocalCluster } from '../../../lib/testing/index.ts'

/** What one batch gave. */
export interface Ran<U> extends BatchInfo, BatchReport {
  readonly rows: readonly U[]
}

export interface EventRunOptions extends StreamOptions {
  readonly executors?: number
  readonly partitions?: number
}

/** What each batch gave, those without data behind it too, by chunk. */
export async function ranOf<T, U>(
  chunks: readonly (readonly T[])[],
  build: (stream: DStream<T>) => DStream<U>,
  { executors = 1, partitions = 2, ...stream }: EventRunOptions = {},
): Promise<Ran<U>[][]> {
  const source = memorySource<T>({ partitions, oneAtATime: true })
  let ran: Ran<U>[] = []
  const graph = topology('test', (t) => {
    build(t.stream('source', source, stream)).foreachRDD(async (rdd, info) => void ran.push({ ...info, rows: await rdd.collect() }))
  })
  await using cluster = await LocalCluster.start({ seed: 7, executors })
  const running = await cluster.submit(graph)
  const found: Ran<U>[][] = []
  for (const chunk of chunks) {
    ran = []
    source.add(...chunk)
    await running.advance(20)
    if (running.errors.length > 0) throw new Error(running.errors[0]?.stack)
    found.push(ran)
  }
  return found
}

/** The rows of all batches of each chunk together, as texts in order. */
export function rowsOf<U>(ran: readonly (readonly Ran<U>[])[], text: (row: U) => unknown = (row) => row): string[][] {
  return ran.map((batches) => batches.flatMap(({ rows }) => rows.map((row) => JSON.stringify(text(row)))).toSorted())
}
