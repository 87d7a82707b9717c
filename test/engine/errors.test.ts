/** Errors of components: what is told of them, and which of them stop the run. */
import { describe, expect, test } from 'vitest'
import { defineBolt, defineSpout, topology, z } from '../../lib/index.ts'
import type { SquallError } from '../../lib/index.ts'
import { LocalCluster, feeder } from '../../lib/testing/index.ts'

const Num = z.object({ num: z.int() })
type Num = z.infer<typeof Num>
const sink = defineBolt({ input: Num, execute: () => undefined })
const any = (value: unknown): never => value as never

describe.each([1, 2])('on %d executors', (executors) => {
  const start = () => LocalCluster.start({ seed: 31, executors })

  test('an error is reported with component, task, executor, time, stack and tuple', async () => {
    const source = feeder(z.object({ num: z.int(), text: z.string(), big: z.bigint() }))
    const throws = defineBolt({
      input: z.object({ num: z.int(), text: z.string(), big: z.bigint() }),
      execute() {
        throw new RangeError('too much')
      },
    })
    await using cluster = await start()
    const running = await cluster.submit(
      topology('report', (t) => void t.bolt('throws', throws, { parallelism: 2 }).global(t.spout('source', source.spout))),
    )
    await running.advance('3s')
    source.feed({ num: 1, text: 'x'.repeat(500), big: 7n })
    await running.settle()
    const [error] = running.errors
    const task = running.snapshot().components.find(({ id }) => id === 'throws')?.tasks[0]
    expect(error).toMatchObject({ component: 'throws', task: task?.task, executor: task?.executor, atMs: 3_000, message: 'too much' })
    expect(error?.stack).toContain('errors.test.ts')
    expect(error?.tuple).toMatch(/^\{"num":1,"text":"x+\.\.\.$/)
    expect(error?.tuple?.length).toBeLessThan(210)
    expect(task).toMatchObject({ errors: 1, failed: 1, acked: 0 })
  })

  test('what is thrown need not be an error', async () => {
    const source = feeder(Num)
    const throws = defineBolt({
      input: Num,
      execute({ num }) {
        // eslint-disable-next-line typescript/only-throw-error -- users do
        throw [undefined, null, 'a text', { a: 1 }, 42][num]
      },
    })
    await using cluster = await start()
    const running = await cluster.submit(topology('odd', (t) => void t.bolt('throws', throws).shuffle(t.spout('source', source.spout))))
    for (const num of [0, 1, 2, 3, 4]) source.feed({ num }, num)
    await running.settle()
    expect(running.errors.map(({ message }) => message)).toEqual(['failed', 'null', 'a text', '{ a: 1 }', '42'])
    expect(source.failed).toHaveLength(5)
  })

  test('reportError reports and fails nothing; errors beyond errorsKeptMax are only counted', async () => {
    const source = feeder(Num)
    const reports = defineBolt({
      input: Num,
      prepare:
        ({ reportError }) =>
        ({ num }) =>
          reportError(new Error(`number ${num}`)),
    })
    await using cluster = await start()
    const running = await cluster.submit(
      topology('reports', (t) => void t.bolt('reports', reports).shuffle(t.spout('source', source.spout))),
      { config: { errorsKeptMax: 3 } },
    )
    for (let num = 0; num < 5; num++) source.feed({ num })
    await running.settle()
    expect(source.acked).toHaveLength(5)
    expect(running.errors.map(({ message }) => message)).toEqual(['number 0', 'number 1', 'number 2'])
    expect(running.snapshot().components.find(({ id }) => id === 'reports')?.tasks[0]?.errors).toBe(5)
  })

  describe('a value that its schema cannot hold stops the run with a coded error', () => {
    const Typed = z.object({ int: z.int(), text: z.string(), list: z.array(z.number()), maybe: z.string().optional(), when: z.date() })
    const good = { int: 1, text: 'a', list: [1.5], when: new Date(0) }
    const bad: [string, object][] = [
      ['int', { ...good, int: 1.5 }],
      ['int', { ...good, int: Number.NaN }],
      ['text', { ...good, text: 5 }],
      ['text', { ...good, text: undefined }],
      ['list', { ...good, list: 'no' }],
      ['list', { ...good, list: [1, '2'] }],
      ['maybe', { ...good, maybe: null }],
      ['when', { ...good, when: '1970' }],
    ]

    test.each(bad)('from a spout and from a bolt, sync and async: %s in %j', async (field, values) => {
      const spout = defineSpout({ output: Typed, open: () => (out) => out.emit(any(values)) })
      const goodSpout = defineSpout({ output: Num, open: () => (out) => out.emit({ num: 1 }) })
      const sync = defineBolt({ input: Num, output: Typed, execute: (_values, out) => out.emit(any(values)) })
      const later = defineBolt({
        input: Num,
        output: Typed,
        prepare:
          ({ sleep }) =>
          async (_values, out) => {
            await sleep(1)
            out.emit(any(values))
          },
      })
      const reader = defineBolt({ input: Typed, execute: () => undefined })
      await using cluster = await start()
      const fault = {
        code: 'value-mismatch',
        where: {
          component: 'bad',
          stream: 'default',
          field: expect.stringContaining(field) as string,
          file: 'test/engine/errors.test.ts',
          line: expect.any(Number) as number,
        },
      }
      const config = { check: false, spoutPendingMax: 1 }
      await expect(
        cluster.complete(
          topology('bad', (t) => void t.bolt('reader', reader).shuffle(t.spout('bad', spout))),
          { config },
        ),
      ).rejects.toMatchObject(fault)
      for (const bolt of [sync, later])
        await expect(
          cluster.complete(
            topology('bad', (t) => void t.bolt('reader', reader).shuffle(t.bolt('bad', bolt).shuffle(t.spout('source', goodSpout)))),
            { config },
          ),
        ).rejects.toMatchObject(fault)
    })

    test('even on a stream that no one reads', async () => {
      const spout = defineSpout({ output: Typed, open: () => (out) => out.emit(any({ ...good, int: 'no' })) })
      await using cluster = await start()
      await expect(cluster.complete(topology('alone', (t) => void t.spout('bad', spout)))).rejects.toMatchObject({ code: 'value-mismatch' })
    })

    test('good ones pass, with and without what is optional, and more than was declared', async () => {
      const spout = defineSpout({ output: Typed, open: () => (out) => out.end() })
      const reader = defineBolt({ input: Typed, execute: () => undefined })
      await using cluster = await start()
      const done = await cluster.complete(
        topology('good', (t) => void t.bolt('reader', reader).shuffle(t.spout('source', spout))),
        {
          sources: { source: [good, { ...good, maybe: 'b' }, { ...good, maybe: undefined, more: true }] },
        },
      )
      expect(done.executed('reader').map(({ values }) => values)).toMatchObject([good, { ...good, maybe: 'b' }, good])
    })
  })

  test('the error says which line emitted, and what a date is made of', async () => {
    const When = z.object({ when: z.date() })
    const emitted: string[] = []
    const spout = defineSpout({
      output: When,
      open: (context) => (out) => {
        emitted.push(new Error('here').stack?.split('\n')[1] ?? '')
        out.emit(any({ when: context.date() }))
      },
    })
    await using cluster = await start()
    const error = await cluster.complete(topology('dates', (t) => void t.spout('bad', spout))).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'value-mismatch', what: expect.stringContaining('new Date(') as string })
    expect((error as SquallError).where.line).toBe(Number(/:(\d+):\d+\)?$/.exec(emitted[0] ?? '')?.[1]) + 1)
  })

  test('a value without a type that cannot travel is refused where values are checked, even by an executor that is alone', async () => {
    const Loose = z.object({ value: z.unknown() })
    const spout = (value: unknown) => defineSpout({ output: Loose, open: () => (out) => out.emit({ value }) })
    const reader = defineBolt({ input: Loose, execute: () => undefined })
    await using cluster = await start()
    for (const value of [() => 1, Symbol('s'), { deep: { fn: () => 1 } }])
      await expect(
        cluster.complete(
          topology('loose', (t) => void t.bolt('reader', reader, { parallelism: 2 }).all(t.spout('bad', spout(value)))),
          { config: { spoutPendingMax: 1 } },
        ),
      ).rejects.toMatchObject({ code: 'value-mismatch', where: { component: 'bad', field: expect.stringContaining('value') as string } })
  })

  test('the setting check: the whole schema, refinements and all; without it only kinds', async () => {
    const Short = z.object({ text: z.string().max(3), even: z.int().refine((n) => n % 2 === 0, 'not even') })
    const spout = defineSpout({ output: Short, open: () => (out) => out.end() })
    const reader = defineBolt({ input: Short, execute: () => undefined })
    const wired = topology('check', (t) => void t.bolt('reader', reader).shuffle(t.spout('source', spout)))
    await using cluster = await start()
    const complete = (values: object, check: boolean) => cluster.complete(wired, { sources: { source: [values] }, config: { check } })
    expect((await complete({ text: 'abc', even: 2 }, true)).result.acked).toBe(1)
    await expect(complete({ text: 'abcd', even: 2 }, true)).rejects.toMatchObject({
      code: 'value-refused',
      where: { component: 'source', field: 'text' },
    })
    await expect(complete({ text: 'abc', even: 3 }, true)).rejects.toMatchObject({
      code: 'value-refused',
      message: expect.stringContaining('not even') as string,
    })
    expect((await complete({ text: 'abcd', even: 3 }, false)).result.acked).toBe(1)
    await expect(complete({ text: 'abcd', even: 3.5 }, false)).rejects.toMatchObject({ code: 'value-mismatch' })
  })

  test('an undeclared stream is a coded error', async () => {
    const source = feeder(Num)
    const wrong = defineBolt({ input: Num, output: Num, execute: (values, out) => out.emitTo(any('nowhere'), any(values)) })
    await using cluster = await start()
    source.feed({ num: 1 })
    await expect(
      cluster.complete(
        topology('stream', (t) => void t.bolt('sink', sink).shuffle(t.bolt('wrong', wrong).shuffle(t.spout('source', source.spout)))),
      ),
    ).rejects.toMatchObject({
      code: 'bad-emit',
      where: { component: 'wrong', stream: 'nowhere' },
    })
  })

  test('a custom grouping that cannot be prepared is a coded error before anything starts', async () => {
    let opened = 0
    const spout = defineSpout({
      output: Num,
      open() {
        opened++
        return (out) => out.end()
      },
    })
    await using cluster = await start()
    const wired = topology(
      'custom',
      (t) =>
        void t.bolt('sink', sink).custom(t.spout('source', spout), {
          prepare() {
            throw new Error('no table')
          },
        }),
    )
    await expect(cluster.submit(wired)).rejects.toMatchObject({
      code: 'bad-grouping',
      what: 'the custom grouping by which sink reads source threw in prepare: no table',
      where: { component: 'source', stream: 'default' },
    })
    expect(opened).toBe(0)
  })

  test.each<[string, unknown, string]>([
    ['prepares nothing', () => undefined, 'has a prepare that returned undefined, not a function'],
    ['chooses nothing', () => () => undefined, 'chose undefined, not a task or a list of tasks'],
    ['chooses some day', () => () => Promise.resolve(1), 'chose a promise, not a task or a list of tasks'],
  ])('a custom grouping that %s is told by name', async (_name, prepare, problem) => {
    await using cluster = await start()
    const spout = defineSpout({ output: Num, open: () => (out) => out.emit({ num: 1 }) })
    const wired = topology('custom', (t) => void t.bolt('sink', sink).custom(t.spout('source', spout), { prepare: prepare as never }))
    const error = await cluster.complete(wired).then(
      ({ result }) => result.error,
      (thrown: unknown) => thrown,
    )
    expect(error).toMatchObject({ code: 'bad-grouping', what: `the custom grouping by which sink reads source ${problem}` })
  })

  test.each<[string, number, string]>([
    ['one text', 1_047_552 + 1, 'a string has the size 1047553, the limit stringBytesMax is 1047552'],
    ['a whole tuple', 600_000, 'a tuple has the size 1200032, the limit tupleBytesMax is 1048576'],
  ])('%s that is too large to travel is refused however many executors there are', async (_name, size, what) => {
    const Texts = z.object({ one: z.string(), other: z.string() })
    const text = 'x'.repeat(size)
    const spout = defineSpout({ output: Texts, open: () => (out) => out.emit({ one: text, other: text }) })
    const reader = defineBolt({ input: Texts, execute: () => undefined })
    await using cluster = await start()
    const wired = topology('large', (t) => void t.bolt('reader', reader).shuffle(t.spout('source', spout)))
    const error = await cluster.complete(wired).then(
      ({ result }) => result.error,
      (thrown: unknown) => thrown,
    )
    expect(error).toMatchObject({ code: 'wire-limit', what, where: { component: 'source' } })
  })
})
