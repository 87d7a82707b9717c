/** What a run counted, as its snapshot tells it. */
import { expect, test } from 'vitest'
import { CellLayout } from '../../lib/engine/cells.ts'
import { defineBolt, defineSpout, topology, z } from '../../lib/index.ts'
import { record } from '../../lib/metrics/histogram.ts'
import { planTopology } from '../../lib/topology/plan.ts'

const Num = z.object({ num: z.int() })
const plan = planTopology(
  topology('counted', (t) => {
    const source = t.spout('source', defineSpout({ output: Num, open: () => (out) => out.end() }))
    t.bolt('work', defineBolt({ input: Num, execute: () => undefined }), { parallelism: 2 }).shuffle(source)
  }).draft({}),
)
const layout = new CellLayout(plan)
const run = { uptimeMs: 0, executorRestarts: 0, placement: [0, 0, 0], counters: new Map() }

test('the latency of a component is that of all its tasks together', () => {
  const cells = layout.allocate(false)
  // task 1 has executed 98 tuples in a millisecond each, task 2 two, in 50 ms each
  record(cells, layout.latency(1), 1, 98)
  record(cells, layout.latency(2), 50, 2)
  const [source, work] = layout.snapshot(cells, run).components
  expect(work?.tasks.map(({ latencyMs }) => latencyMs.max)).toEqual([1, 50])
  expect(work?.latencyMs).toMatchObject({ count: 100, mean: 1.98, p50: 1, max: 50 })
  expect(work?.latencyMs.p99).toBeCloseTo(50, -1)
  expect(source?.latencyMs.count).toBe(0)
})

test('a snapshot stays as it was taken, though the component goes on counting', () => {
  const counters = { done: 1 }
  const snapshot = layout.snapshot(layout.allocate(false), { ...run, counters: new Map([[1, counters]]) })
  counters.done++
  expect(snapshot.components.find(({ id }) => id === 'work')?.tasks[0]?.counters).toEqual({ done: 1 })
})
