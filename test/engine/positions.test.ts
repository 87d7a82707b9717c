/** Where spouts go on in a run that follows another: by what a task does, not by its number. */
import { expect, test } from 'vitest'
import { startRun } from '../../lib/engine/run.ts'
import { defineBolt, defineSpout, topology, z } from '../../lib/index.ts'
import type { SpoutDefinition } from '../../lib/topology/component.ts'
import { taskName, planTopology } from '../../lib/topology/plan.ts'

const N = z.object({ n: z.int() })
const drop = defineBolt({ input: N, execute: () => undefined })

test('a spout goes on where the same task was: not where another one was, nor where there were more of it', async () => {
  const begun: Record<string, number | undefined> = {}
  const from = (id: string): SpoutDefinition<{ default: { n: number } }> =>
    defineSpout({
      output: N,
      open: ({ position, taskIndex }) => {
        begun[`${id}[${taskIndex}]`] = position
        return (out) => out.end()
      },
    })
  const definition = topology('t', (t) => {
    const [a, b, c] = [t.spout('a', from('a')), t.spout('b', from('b'), { parallelism: 2 }), t.spout('c', from('c'), { parallelism: 2 })]
    t.bolt('drop', drop).shuffle(a).shuffle(b).shuffle(c)
  })
  const plan = planTopology(definition.draft({}))
  expect(plan.tasks.map(({ task }) => taskName(plan, task))).toEqual(['a/0/1', 'b/0/2', 'b/1/2', 'c/0/2', 'c/1/2', 'drop/0/1'])
  const run = await startRun({ definition, module: '' }, { positions: { 'b/1/2': 7, 'b/0/2': 0, 'c/0/3': 9, 'd/0/1': 5 } })
  await run.done
  expect(begun).toEqual({ 'a[0]': undefined, 'b[0]': 0, 'b[1]': 7, 'c[0]': undefined, 'c[1]': undefined })
})
