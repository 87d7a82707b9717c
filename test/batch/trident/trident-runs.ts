/** Trident's streams on given chunks, under virtual time. */
import { memorySource, topology, trident } from '../../../lib/index.ts'
import type { Emit, LocalDrpc, TridentStream, TupleView } from '../../../lib/index.ts'
import { LocalCluster } from '../../../lib/testing/index.ts'
import type { LocalTopology } from '../../../lib/testing/index.ts'

export const options = { batchInterval: '1s' }

export const split = (tuple: TupleView, emit: Emit): void => {
  for (const word of String(tuple.at(0)).split(' ')) if (word !== '') emit(word)
}

/** What a function of streams makes of each chunk, rows sorted. */
export async function rowsOf<F extends string>(
  fields: readonly F[],
  chunks: readonly (readonly unknown[])[],
  build: (stream: TridentStream<F>) => TridentStream,
  { executors, partitions = 2, mayFail = false }: { executors: number; partitions?: number; mayFail?: boolean },
): Promise<unknown[][]> {
  const source = memorySource<unknown>({ partitions, oneAtATime: true })
  for (const chunk of chunks) source.add(...chunk)
  const found: unknown[][] = []
  const graph = topology('test', (t) => {
    const built = build(trident(t.stream('source', source, options), fields))
    built.stream.foreachRDD(async (rdd) => void found.push((await rdd.collect()).toSorted()))
  })
  await using cluster = await LocalCluster.start({ seed: 7, executors })
  const running = await cluster.submit(graph)
  await running.advance(chunks.length * 1_000 + 500)
  if (!mayFail) failed(running)
  return found.slice(0, chunks.length)
}

export function failed(running: LocalTopology): void {
  if (running.errors.length > 0) throw new Error(running.errors[0]?.stack)
}

/** What a definition is refused for. */
export async function faultsOf(...definition: Parameters<typeof topology>): Promise<string> {
  await using cluster = await LocalCluster.start({ seed: 7 })
  return await cluster.submit(topology(...definition)).then(
    () => 'nothing',
    (error: unknown) => String(error),
  )
}

export async function called(running: LocalTopology, drpc: LocalDrpc, name: string, args: string): Promise<unknown[]> {
  const answer = drpc.execute(name, args)
  answer.catch(() => undefined)
  await running.advance(2_000)
  failed(running)
  return (await answer).toSorted()
}
