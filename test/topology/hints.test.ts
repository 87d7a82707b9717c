/** What components ask of a cluster, from the file to the cluster's view of it. */
import { describe, expect, test } from 'vitest'
import { defineBolt, defineSpout, topology, z } from '../../lib/index.ts'
import { graphOf, graphText } from '../../lib/topology/graph.ts'
import { componentsOf, hintsOfAll, hintsText } from '../../lib/topology/hints.ts'
import { planTopology } from '../../lib/topology/plan.ts'

const N = z.object({ n: z.int() })
const source = defineSpout({ output: N, open: () => (out) => out.end() })
const sink = defineBolt({ input: N, execute: () => undefined })

const asking = topology('asking', (t) => {
  t.config({ memoryMb: 100 })
  const numbers = t.spout('numbers', source)
  t.bolt('sink', sink, { parallelism: 3, config: { cpuPercent: 50, memoryMb: '64.5' } }).shuffle(numbers)
})

describe('hints', () => {
  test('are settings: those of a component win over those of the topology, and the command line over the topology', () => {
    const plan = planTopology(asking.draft({}), { 'topology.component.cpu.pcore.percent': 12.5 })
    const components = componentsOf(plan)
    expect(components).toEqual([
      { id: 'numbers', kind: 'spout', tasks: 1, hints: { cpu: 0.125, memoryMb: 100 } },
      { id: 'sink', kind: 'bolt', tasks: 3, hints: { cpu: 0.5, memoryMb: 64.5 } },
    ])
    const all = hintsOfAll(components)
    expect(all).toEqual({ cpu: 1.625, memoryMb: 293.5 })
    expect(all && hintsText(all)).toBe('1.63 cores and 293.5 MB')
    expect(graphOf(plan).components[1]?.hints).toEqual({ cpu: 0.5, memoryMb: 64.5 })
    expect(graphText(plan)).toContain('bolt  sink ×3  asks for 0.5 cores and 64.5 MB each\n')
  })

  test('are nothing where nobody gave any', () => {
    const plan = planTopology(topology('silent', (t) => void t.bolt('sink', sink).shuffle(t.spout('numbers', source))).draft({}))
    expect(componentsOf(plan)).toEqual([
      { id: 'numbers', kind: 'spout', tasks: 1 },
      { id: 'sink', kind: 'bolt', tasks: 1 },
    ])
    expect(hintsOfAll(componentsOf(plan))).toBeUndefined()
    expect(graphText(plan)).not.toContain('asks for')
  })

  test.each([
    [{ memoryMb: -1 }, 'memoryMb', 'less than 0'],
    [{ cpuPercent: 'much' }, 'cpuPercent', 'not a number'],
    [{ memory: 3 }, 'memory', 'is no setting'],
  ])('%j is refused', (config, key, reason) => {
    const fault = expect.objectContaining({ what: expect.stringContaining(key) as string }) as Error
    expect(() => planTopology(asking.draft({}), config)).toThrow(fault)
    expect(() => planTopology(asking.draft({}), config)).toThrow(reason)
  })
})
