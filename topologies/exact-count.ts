/**
 * Exact count: how often each word occurs in a text, counted exactly once whatever happens.
 *
 *     lines ──▶ words ──reduceByKey──▶ counts (state) ──▶ output, with `output`: each word's new count, a batch at a time
 *
 *     npx squall run topologies/exact-count.ts --set input=book.txt --state-dir state
 *     npx squall state dump exact-count counts --state-dir state
 *
 * Killed at any moment and started again with the same arguments, it goes on where it was, and no word is counted twice.
 *
 * Parameters: `input` (a text file; default: the novel in topologies/data), `store` (`log` or `lmdb`; log), `output` (a folder for the
 * new counts of each batch; default: none), `batchBytes` (bytes of text in a batch; 16 MiB).
 */
import { fileURLToPath } from 'node:url'
import { stateSpec, textLines, topology, z } from 'squall'
import type { KeyState } from 'squall'

/** Adds a batch's count of a word to the one that is kept, and gives the new one. */
const counting = stateSpec((word: string, n: number | undefined, state: KeyState<number>) => {
  const sum = (state.getOption() ?? 0) + (n ?? 0)
  state.update(sum)
  return [word, sum] as const
})

export default topology('exact-count', (t) => {
  const input = t.param('input', z.string().default(fileURLToPath(new URL('./data/moby-dick.txt', import.meta.url))))
  const batchBytes = t.param(
    'batchBytes',
    z
      .int()
      .min(1)
      .default(16 << 20),
  )
  const output = t.param('output', z.string().optional())
  t.config({ stateStore: t.param('store', z.enum(['log', 'lmdb']).default('log')) })

  const counts = t
    .stream('lines', textLines(input, { batchBytes }))
    .flatMap((line) => line.toLowerCase().match(/[\p{L}\p{N}']+/gu) ?? [])
    .map((word) => [word, 1])
    .reduceByKey((a, b) => a + b)
    .mapWithState(counting, { name: 'counts' })
  if (output === undefined) counts.foreachPartition(() => undefined)
  else counts.saveOnce(output)
})
