/** Storm's PartialKeyGroupingTest: a topology sends keys by the partial key grouping, and we look at which tasks got them. */
import { defineBolt, defineSpout, topology, z } from '../../../lib/index.ts'
import { LocalCluster } from '../../../lib/testing/index.ts'
import { all, isRecord, same } from '../vectors.ts'
import type { Adapter, Verdict } from '../vectors.ts'

const Keyed = z.object({ key: z.unknown(), n: z.int() })

export const partialKeyGrouping: Adapter = {
  isFor: ({ suite, file, sources }) => /\bPartialKeyGroupingTest\b/.test([suite, file, ...sources].join(' ')),
  async run({ operation, params, input, expected }) {
    const { tasks } = params
    if (!/partial key grouping/i.test(operation) || !Array.isArray(tasks) || !Array.isArray(input) || !isRecord(expected)) return undefined
    const choices = await chosenTasks(input, tasks.length)
    const verdicts = Object.entries(expected).map(([what, value]) => verdict(what, value, choices))
    return verdicts.includes(undefined) ? undefined : all(verdicts)
  },
}

/** For each key in turn the tasks that got it. */
async function chosenTasks(keys: readonly unknown[], tasks: number): Promise<readonly (readonly number[])[]> {
  await using local = await LocalCluster.start({ time: 'virtual', seed: 1 })
  const definition = topology('partial-key', (t) => {
    const source = t.spout('keys', defineSpout({ output: Keyed, open: () => (out) => out.end() }))
    t.bolt('target', defineBolt({ input: Keyed, execute: () => undefined }), { parallelism: tasks }).partialKey(source, ['key'])
  })
  const result = await local.complete(definition, { sources: { keys: keys.map((key, n) => ({ key, n })) } })
  const executed = result.executed('target')
  return keys.map((_, n) => executed.filter(({ values }) => (values as z.infer<typeof Keyed>).n === n).map(({ task }) => task))
}

/** One expectation: `distinctTasks: 2`, `choice3: "choice1"`, `choice2: "differs from choice1"`, `sizeEach: 1`. */
function verdict(what: string, expected: unknown, choices: readonly (readonly number[])[]): Verdict {
  if (what === 'distinctTasks') return same('distinct tasks', new Set(choices.flat()).size, expected)
  if (what === 'sizeEach') return all(choices.map((choice, i) => same(`tasks of choice ${i + 1}`, choice.length, expected)))
  const number = /^choice(\d+)$/.exec(what)?.[1]
  const [, differs, other] = /^(differs from )?choice(\d+)$/.exec(String(expected)) ?? []
  if (number === undefined || other === undefined) return undefined
  const [choice, than] = [choices[Number(number) - 1], choices[Number(other) - 1]]
  if (choice === undefined || than === undefined) return undefined
  const isSame = choice.join() === than.join()
  return isSame === (differs === undefined) || `choice ${number} is ${choice.join()}, choice ${other} is ${than.join()}`
}
