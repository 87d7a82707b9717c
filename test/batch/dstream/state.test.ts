/** States by key: when keys time out, what windows keep of them, and windows that are further apart than they are long. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { viewState } from '../../../lib/batch/state/inspect.ts'
import { memorySource, stateSpec, topology } from '../../../lib/index.ts'
import type { DStream, KeyState } from '../../../lib/index.ts'
import { LocalCluster } from '../../../lib/testing/index.ts'

/** Runs a graph over batches a second apart, one chunk each; what each batch gave, sorted. */
async function batchesOf(
  chunks: readonly (readonly string[])[],
  build: (stream: DStream<string>) => DStream<unknown>,
  { executors = 1, config = {} }: { executors?: number; config?: { stateDir?: string } } = {},
): Promise<readonly (readonly string[])[]> {
  const source = memorySource<string>({ partitions: 2, oneAtATime: true })
  for (const chunk of chunks) source.add(...chunk)
  const found: string[][] = []
  const graph = topology('test', (t) => {
    build(t.stream('s', source, { batchInterval: '1s' })).foreachRDD(
      async (rdd) => void found.push((await rdd.collect()).map(String).sort()),
    )
  })
  await using cluster = await LocalCluster.start({ seed: 7, executors })
  const running = await cluster.submit(graph, { config })
  await running.advance(chunks.length * 1_000 + 500)
  expect(running.errors).toEqual([])
  return found.slice(0, chunks.length)
}

const pairs = (s: DStream<string>): DStream<readonly [string, number]> => s.map((word) => [word, 1])

test.each([1, 2])(
  'a key times out in the first batch that is later than its last record by more than the timeout, on %i executors',
  async (executors) => {
    const counting = stateSpec(
      (key: string, _: number | undefined, state: KeyState<number>) => {
        if (state.isTimingOut) return `${key} gone at ${state.get()}`
        // a record that only looks at the state keeps it as well
        if (!state.exists || key !== 'idle') state.update((state.getOption() ?? 0) + 1)
        return `${key} ${state.get()}`
      },
      { timeout: '2s' },
    )
    const chunks = [['a', 'idle'], ['idle'], [], [], [], ['a']]
    expect(await batchesOf(chunks, (s) => pairs(s).mapWithState(counting), { executors })).toEqual([
      ['a 1', 'idle 1'],
      ['idle 1'],
      [],
      ['a gone at 1'],
      ['idle gone at 1'],
      ['a 1'],
    ])
  },
)

test('states that a topology begins with are there in its first batch, and not put back in later ones', async () => {
  const sums = (s: DStream<string>): DStream<readonly [string, number]> =>
    pairs(s).updateStateByKey<string, number, number>((ones, sum = 0) => (sum + ones.length === 12 ? undefined : sum + ones.length), {
      initialState: [['a', 10]],
    })
  expect(await batchesOf([['a', 'b'], [], ['a'], []], sums, { executors: 2 })).toEqual([['a,11', 'b,1'], ['a,11', 'b,1'], ['b,1'], ['b,1']]) // prettier-ignore
})

test.each([1, 2])('windows with an inverse that are further apart than they are long, on %i executors', async (executors) => {
  const chunks = [['a', 'x'], ['b', 'b', 'x'], ['x'], ['b', 'd', 'x'], ['e', 'x'], ['f', 'x']]
  const words = (s: DStream<string>, slide: string, isKept: boolean): DStream<unknown> =>
    pairs(s).reduceByKeyAndWindow((a, b) => a + b, '1s', slide, {
      inverse: (a, b) => a - b,
      ...(isKept && { isKept: (_: string, n: number) => n > 0 }),
    })
  // batches are at whole seconds; windows at those that are multiples of the slide
  const found = await batchesOf(chunks, (s) => words(s, '2s', true), { executors })
  const plain = await batchesOf(chunks, (s) => pairs(s).reduceByKeyAndWindow((a, b) => a + b, '1s', '2s'), { executors })
  expect(found).toEqual(plain)
  expect(plain.flat().length).toBeGreaterThan(2)
  // without a filter a key stays, at nothing
  const kept = await batchesOf(chunks, (s) => words(s, '2s', false), { executors })
  expect(kept.at(-1)?.length).toBeGreaterThan(plain.at(-1)?.length ?? NaN)
})

test('what windows reach back to is kept with a state no longer than they reach', async () => {
  const stateDir = mkdtempSync(join(tmpdir(), 'squall-past-'))
  try {
    const sums = (s: DStream<string>): DStream<unknown> =>
      pairs(s)
        .updateStateByKey<string, number, number>((ones, sum = 0) => sum + ones.length, { name: 'sums' })
        .window('3s')
    await batchesOf(Array.from({ length: 12 }, (_, i) => [`w${i}`]), sums, { config: { stateDir } }) // prettier-ignore
    const view = await viewState(stateDir, 'test')
    expect(view.operators.find(({ operator }) => operator === 'sums')?.keys).toBe(12)
    expect(view.operators.find(({ operator }) => operator === 'sums.past')?.keys).toBe(3)
    await view.close()
  } finally {
    rmSync(stateDir, { recursive: true })
  }
})
