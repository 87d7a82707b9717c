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

function faultOf(build: (t: TopologyBuilder) => void, name: unknown = 'test'): SquallError {
  try {
    planTopology(topology(name as string, build).draft({}))
  } catch (error) {
    if (error instanceof SquallError) return error
    throw error
  }
  throw new Error('no fault')
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
    ['bad-definition', (t) => t.bolt('b', defineBolt({ input: Word, tick: '1s', execute: () => undefined })).shuffle(t.spout('a', words))],
    ['no-input', (t) => (t.spout('a', words), t.bolt('b', split))],
    ['unknown-component', (t) => (t.spout('a', words), t.bolt('b', split).shuffle(loose({ component: 'c' })))],
    ['unknown-stream', (t) => (t.spout('a', words), t.bolt('b', split).shuffle(loose({ component: 'a', streamName: 'x' })))],
    ['unknown-field', (t) => t.bolt('b', split).fields(t.spout('a', words), ['wrod' as 'word'])],
    ['bad-definition', (t) => t.bolt('b', split).fields(t.spout('a', words), [])],
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

  test.each<[string, (t: TopologyBuilder) => unknown, string]>([
    ['no schema', (t) => t.param('n', undefined as never), 'the schema of t.param("n") is undefined'],
    [
      'async checks',
      (t) =>
        t.param(
          'n',
          z.string().refine(() => Promise.resolve(true)),
        ),
      'the schema of t.param("n") is one with async checks',
    ],
    ['two schemas', (t) => [t.param('n', z.string()), t.param('n', z.int())], 'the schema of t.param("n") is another one than before'],
  ])('a parameter with %s: one fault, though the topology then does without its value', (_name, ask, what) => {
    const faults = codes(() =>
      planTopology(
        topology('test', (t) => {
          t.spout('a', words)
          ask(t)
        }).draft({ n: '5' }),
      ),
    )
    expect(faults).toEqual(['bad-definition'])
    const needy = (t: TopologyBuilder): void => {
      t.spout('a', words)
      const got = [ask(t)].flat() as { length: number }[]
      if (got.includes(undefined as never)) throw new TypeError('needs its value')
    }
    expect(() => planTopology(topology('test', needy).draft({ n: '5' }))).toThrow(what)
    expect(codes(() => planTopology(topology('test', needy).draft({ n: '5' })))).toEqual(['bad-definition'])
  })

  test('a parameter may be asked for twice, by schemas that say the same', () => {
    const ask = (t: TopologyBuilder): number => t.param('n', z.int().min(1).default(2))
    expect(plan((t) => void t.spout('a', words, { parallelism: ask(t) * ask(t) }), { n: '3' }).tasks).toHaveLength(9)
  })

  test('a grouping by no fields', () => {
    expect(faultOf((t) => void t.bolt('b', count).fields(t.spout('a', words), []))).toMatchObject({
      code: 'bad-definition',
      what: 'the list of fields of the grouping by which b reads a is empty',
      help: 'give it at least one field: word',
    })
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
    expect(renderError(error as SquallError)).toMatch(
      /^error\[unknown-field\]: the stream default of a has no field wrod\n {2}at .*plan\.test\.ts:\d+:\d+, topology test, component b, field wrod\nhelp: did you mean word\?\n$/,
    )
  })

  test('say everything in the message alone, for a test that fails with one', () => {
    const error = faultOf((t) => (t.spout('a', words), t.bolt('lonely', split), t.bolt('lone', split)))
    expect(error.message).toMatch(
      /^the bolt lonely reads no stream\n {2}at .*plan\.test\.ts:\d+:\d+, topology test, component lonely\nhelp: subscribe .*\nerror\[no-input\]: the bolt lone /,
    )
    expect(error.what).toBe('the bolt lonely reads no stream')
  })

  test('point to the line of the call', () => {
    const here = new Error().stack?.split('\n')[1] ?? ''
    const line = Number(/:(\d+):\d+\)?$/.exec(here)?.[1])
    const error = faultOf((t) => {
      const source = t.spout('a', words)
      t.bolt('b', split)
        .shuffle(source)
        .shuffle(loose({ component: 'c' }))
    })
    expect(error.where).toMatchObject({ file: expect.stringContaining('plan.test.ts') as string, line: line + 6 })
  })

  test('a second component of one id hides no other fault, and causes none', () => {
    expect(
      codes(() =>
        plan((t) => {
          const source = t.spout('a', words)
          t.bolt('b', split).shuffle(source)
          t.bolt('b', count).direct(source)
          t.bolt('c', count).fields(loose({ component: 'b' }), ['count' as never])
        }),
      ),
    ).toEqual(['duplicate-id', 'direct-mismatch'])
  })

  test('more tasks than can be numbered, though each component may have as many', () => {
    const error = faultOf((t) => {
      const source = t.spout('a', words, { parallelism: 30_000 })
      for (const id of ['b', 'c']) t.bolt(id, split, { parallelism: 20_000 }).shuffle(source)
    })
    expect(error).toMatchObject({ code: 'too-many-tasks', what: 'the topology test has 70000 tasks' })
  })

  test('a field called __proto__, at any depth', () => {
    const deep = z.object({ list: z.array(z.object({ ['__proto__']: z.int() })) })
    const error = faultOf((t) => t.spout('a', defineSpout({ output: deep, open: () => (out) => out.end() })))
    expect(error).toMatchObject({ code: 'bad-name', where: { field: 'list.__proto__' } })
  })
})

/** Plain JavaScript may say anything. */
interface LooseBuilder {
  spout(id: string, spout: unknown, options?: unknown): unknown
  bolt(id: string, bolt: unknown): LooseBolt
  config(settings: unknown): void
}
type LooseBolt = Readonly<Record<'shuffle' | 'fields' | 'custom', (source: unknown, how?: unknown) => unknown>> & {
  input(name: string): LooseBolt
}

describe('what the compiler would refuse', () => {
  const any = (value: unknown): never => value as never
  test.each<[string, string, (t: LooseBuilder) => unknown]>([
    ['a number for a spout', '"a" is 5, not a spout', (t) => t.spout('a', 5)],
    ['a bolt for a spout', '"a" is a bolt, not a spout', (t) => t.spout('a', split)],
    ['nothing for a bolt', '"b" is undefined, not a bolt', (t) => t.bolt('b', undefined).shuffle(t.spout('a', words))],
    ['an object for a bolt', '"b" is an object, not a bolt', (t) => t.bolt('b', {}).shuffle(t.spout('a', words))],
    ['no open', 'open of a is missing', (t) => t.spout('a', defineSpout(any({ output: Word })))],
    ['an output that is no schema', 'output of a is 7', (t) => t.spout('a', defineSpout(any({ output: 7, open: () => undefined })))],
    [
      'an output that is a list',
      'output of a is an object',
      (t) => t.spout('a', defineSpout(any({ output: z.array(Word), open: () => undefined }))),
    ],
    ['no input', 'input of b is missing', (t) => t.bolt('b', defineBolt(any({ execute() {} }))).shuffle(t.spout('a', words))],
    [
      'an execute that is a number',
      'execute of b is 5',
      (t) => t.bolt('b', defineBolt(any({ input: Word, execute: 5 }))).shuffle(t.spout('a', words)),
    ],
    [
      'an input without its function',
      'execute for the input left of b is missing',
      (t) =>
        t
          .bolt('b', defineBolt(any({ inputs: { left: Word }, execute: {} })))
          .input('left')
          .shuffle(t.spout('a', words)),
    ],
    [
      'a bad ack',
      'ack of b is "yes"',
      (t) => t.bolt('b', defineBolt(any({ input: Word, ack: 'yes', execute() {} }))).shuffle(t.spout('a', words)),
    ],
    ['an unknown option', 'the options of t.spout() has no key paralelism', (t) => t.spout('a', words, { paralelism: 2 })],
    ['a number for options', 'the options of a is 5', (t) => t.spout('a', words, 5)],
    ['a number for settings', 'the argument of t.config() is 5', (t) => (t.spout('a', words), t.config(5))],
    ['an id for a source', 'the source of b.shuffle() is "a"', (t) => (t.spout('a', words), t.bolt('b', split).shuffle('a'))],
    ['a text for fields', 'the fields of b.fields() is "word"', (t) => t.bolt('b', split).fields(t.spout('a', words), 'word')],
    ['no grouping', 'the grouping of b.custom() is undefined', (t) => t.bolt('b', split).custom(t.spout('a', words), undefined)],
  ])('%s', (_, what, build) => {
    const error = faultOf(build as unknown as (t: TopologyBuilder) => void)
    expect([error, ...error.faults].map((fault) => fault.what)).toEqual([what])
    expect(error.where).toMatchObject({ file: expect.stringContaining('plan.test.ts') as string, line: expect.any(Number) as number })
  })

  test('a build function that throws hides no fault that was found before', () => {
    const error = faultOf((t) => {
      t.config({ spoutPendingMx: 5 })
      t.bolt('b', split)
      throw new Error('half way')
    })
    expect([error, ...error.faults].map(({ code }) => code)).toEqual(['unknown-config', 'definition-threw'])
  })

  test('a build function that is async, or none', () => {
    const rejecting = faultOf(any(() => Promise.reject(new Error('late'))))
    expect(rejecting.what).toBe('the second argument of topology(name, build) is an async function')
    expect(faultOf(any(undefined))).toMatchObject({ code: 'bad-definition', faults: [] })
  })

  test('a name that is no text', () => {
    const error = faultOf((t) => t.spout('a', words), null)
    expect([error, ...error.faults].map((fault) => fault.what)).toEqual(['null cannot be the name of a topology'])
  })
})

describe('without end', () => {
  test('a schema within itself is any there', () => {
    interface Tree {
      readonly n: number
      readonly kids: readonly Tree[]
    }
    const Tree: z.ZodObject = z.object({
      n: z.int(),
      get kids(): z.ZodType<readonly Tree[]> {
        return z.array(Tree) as never
      },
    })
    const made = plan((t) => void t.spout('a', defineSpout({ output: Tree, open: () => (out) => out.end() })))
    expect(made.streams[0]?.fields).toEqual([
      { name: 'n', type: { kind: 'int' } },
      { name: 'kids', type: { kind: 'array', of: { kind: 'any' } } },
    ])
  })

  test('schemas that grow for ever are any somewhere', () => {
    const grow = (): z.ZodObject =>
      z.object({
        get left() {
          return grow()
        },
        get right() {
          return grow()
        },
      })
    expect(plan((t) => void t.spout('a', defineSpout({ output: grow(), open: () => (out) => out.end() }))).tasks).toHaveLength(1)
  })

  test('a long chain, readers first', () => {
    const made = plan((t) => {
      for (let i = 20_000; i > 0; i--) t.bolt(`b${i}`, split).shuffle(loose({ component: i === 1 ? 'a' : `b${i - 1}` }))
      t.spout('a', words)
    })
    expect(made.components.map(({ id }) => id).slice(0, 3)).toEqual(['a', 'b1', 'b2'])
  })
})
