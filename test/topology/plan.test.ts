import { describe, expect, test } from 'vitest'
import { SquallError, renderError } from '../../lib/errors.ts'
import { defineBolt, defineSpout, topology, z } from '../../lib/index.ts'
import type { Spout, SpoutOutput, StreamHandle, TopologyBuilder } from '../../lib/index.ts'
import { placeTasks, planTopology } from '../../lib/topology/plan.ts'
import type { Plan } from '../../lib/topology/plan.ts'

const Word = z.object({ word: z.string() })
const Counted = z.object({ word: z.string(), count: z.int() })
const words = defineSpout({ output: Word, open: () => (out) => out.end() })
const split = defineBolt({ input: Word, output: Word, execute: () => undefined })
const count = defineBolt({ input: Word, output: Counted, execute: () => undefined })

function plan(build: (t: TopologyBuilder) => void, params: Readonly<Record<string, unknown>> = {}, name = 'test'): Plan {
  return planTopology(topology(name, build).draft(params))
}

function codes(make: () => unknown): readonly string[] {
  try {
    make()
  } catch (error) {
    if (error instanceof SquallError) return [error, ...error.faults].map(({ code }) => code)
    throw error
  }
  return []
}

/** The compiler refuses these, which is the point; plans of YAML files have no compiler. */
const loose = (handle: { component: string; streamName?: string }): StreamHandle<never> => ({
  streamName: 'default',
  feedback: false,
  ...handle,
})

describe('a sound plan', () => {
  const made = plan((t) => {
    const source = t.spout('words', words, { parallelism: 2 })
    const split1 = t.bolt('split', split, { parallelism: 3 }).shuffle(source)
    t.bolt('count', count, { tasks: 2 }).fields(split1, ['word'])
  })

  test('numbers tasks densely, sources first', () => {
    expect(made.components.map(({ id, firstTask, taskCount }) => [id, firstTask, taskCount])).toEqual([
      ['words', 0, 2],
      ['split', 2, 3],
      ['count', 5, 2],
    ])
    expect(made.tasks.map(({ task }) => task)).toEqual([0, 1, 2, 3, 4, 5, 6])
  })

  test('is frozen, and the same each time', () => {
    expect(Object.isFrozen(made) && Object.isFrozen(made.components) && Object.isFrozen(made.tasks[0])).toBe(true)
  })

  test.each([1, 2, 3, 4])('places every task on %i executors, evenly', (executors) => {
    const placement = placeTasks(made, executors)
    expect(placement).toHaveLength(7)
    const load = Array.from({ length: executors }, (_, i) => placement.filter((executor) => executor === i).length)
    expect(Math.max(...load) - Math.min(...load)).toBeLessThanOrEqual(1)
  })

  test('declared in any order', () => {
    const late = plan((t) => {
      t.bolt('count', count).shuffle(loose({ component: 'words' }))
      t.spout('words', words)
    })
    expect(late.components.map(({ id }) => id)).toEqual(['words', 'count'])
  })

  test('a class is as good as a definition', () => {
    class Words implements Spout<{ default: { word: string } }> {
      static readonly output = Word
      nextTuple(out: SpoutOutput<{ default: { word: string } }>): void {
        out.end()
      }
    }
    expect(plan((t) => void t.bolt('split', split).shuffle(t.spout('words', Words))).tasks).toHaveLength(2)
  })
})

describe('faults', () => {
  test.each<[string, (t: TopologyBuilder) => void]>([
    ['no-spout', () => undefined],
    ['duplicate-id', (t) => (t.spout('a', words), t.spout('a', words))],
    ['bad-name', (t) => t.spout('__acker', words)],
    ['bad-name', (t) => t.spout('two words', words)],
    ['bad-parallelism', (t) => t.spout('a', words, { parallelism: 0 })],
    ['bad-parallelism', (t) => t.spout('a', words, { parallelism: 1.5 })],
    ['bad-parallelism', (t) => t.spout('a', words, { tasks: -1 })],
    ['bad-parallelism', (t) => t.spout('a', words, { parallelism: 1e9 })],
    ['no-input', (t) => (t.spout('a', words), t.bolt('b', split))],
    ['unknown-component', (t) => (t.spout('a', words), t.bolt('b', split).shuffle(loose({ component: 'c' })))],
    ['unknown-stream', (t) => (t.spout('a', words), t.bolt('b', split).shuffle(loose({ component: 'a', streamName: 'x' })))],
    ['unknown-field', (t) => t.bolt('b', split).fields(t.spout('a', words), ['wrod' as 'word'])],
    ['unknown-field', (t) => t.bolt('b', split).fields(t.spout('a', words), [])],
    ['direct-mismatch', (t) => t.bolt('b', split).direct(t.spout('a', words))],
    [
      'tuple-mismatch',
      (t) => (
        t.spout('a', words),
        t.bolt('b', defineBolt({ input: Counted, execute: () => undefined })).shuffle(loose({ component: 'a' }))
      ),
    ],
    ['bad-config', (t) => t.spout('a', words, { config: { spoutPendingMax: 0 } })],
    ['unknown-config', (t) => (t.spout('a', words), t.config({ spoutPendingMx: 5 }))],
    [
      'cycle',
      (t) => (
        t.spout('a', words),
        t.bolt('b', split).shuffle(loose({ component: 'c' })),
        t.bolt('c', split).shuffle(loose({ component: 'b' }))
      ),
    ],
    ['missing-param', (t) => (t.spout('a', words), t.param('x', z.string()))],
  ])('%s', (code, build) => {
    expect(codes(() => plan(build))).toEqual([code])
  })

  test('parameters that do not fit or are not asked for', () => {
    const build = (t: TopologyBuilder): void => void t.spout('a', words, { parallelism: t.param('n', z.int()) })
    expect(plan(build, { n: '3' }).tasks).toHaveLength(3)
    expect(codes(() => plan(build, { n: 'many' }))).toContain('bad-param')
    expect(codes(() => plan(build, { n: '3', m: '4' }))).toEqual(['unknown-param'])
  })

  test('are all told at once', () => {
    expect(
      codes(() =>
        plan(
          (t) => {
            t.spout('a', words, { parallelism: 0 })
            t.spout('a', words)
            t.bolt('b', split).shuffle(loose({ component: 'nobody' }))
            t.bolt('c', count)
            t.param('missing', z.string())
          },
          { unknown: 'x' },
          'bad name!',
        ),
      ).toSorted(),
    ).toEqual(['bad-name', 'bad-parallelism', 'duplicate-id', 'missing-param', 'no-input', 'unknown-component', 'unknown-param'])
  })

  test('read well', () => {
    let error: unknown
    try {
      plan((t) => void t.bolt('b', split).fields(t.spout('a', words), ['wrod' as 'word']))
    } catch (thrown) {
      error = thrown
    }
    expect(renderError(error as SquallError)).toBe(
      'error[unknown-field]: the stream default of a has no field wrod\n  at topology test, component b, field wrod\nhelp: its fields: word\n',
    )
  })
})
