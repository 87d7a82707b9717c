/**
 * How often each word was seen, exactly once: `count` lines, `rate` a second.
 *
 *     lines ──▶ words ──▶ counts (state)
 */
import { generatorSource, stateSpec, topology, z } from 'squall'
import type { KeyState } from 'squall'
import { lineOf } from './lines.ts'

const counting = stateSpec((word: string, n: number | undefined, state: KeyState<number>) => {
  state.update((state.getOption() ?? 0) + (n ?? 0))
})

export default topology('counts', (t) => {
  const count = t.param('count', z.int().min(1))
  const rate = t.param('rate', z.number().positive())

  t.stream('lines', generatorSource(lineOf, { count, rate }), { batchInterval: '200ms' })
    .flatMap((line) => line.split(' '))
    .map((word) => [word, 1])
    .mapWithState(counting, { name: 'counts' })
    .foreachPartition(() => undefined)
})
