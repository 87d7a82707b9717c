/** What user code may do wrong around a task: what it returns from open and prepare, what it throws, what its hooks return. */
import { describe, expect, test } from 'vitest'
import { defineBolt, defineSpout, topology, z } from '../../lib/index.ts'
import type { ManualOutput, SpoutOutput, TaskContext } from '../../lib/index.ts'
import { LocalCluster, feeder } from '../../lib/testing/index.ts'

const Num = z.object({ num: z.int() })
type Num = z.infer<typeof Num>
const sink = defineBolt({ input: Num, execute: () => undefined })
const any = (value: unknown): never => value as never

describe.each([1, 2])('on %d executors', (executors) => {
  const start = () => LocalCluster.start({ seed: 41, executors })

  describe('what has to run in a task is looked at before anything starts', () => {
    test.each<[string, unknown, string]>([
      ['undefined', undefined, 'undefined'],
      ['null', null, 'null'],
      ['a number', 5, '5'],
      ['a text', 'abc', "'abc'"],
      ['an object', { ack: () => undefined }, 'an object with ack'],
      ['an object whose nextTuple is no function', { nextTuple: 5 }, 'an object with nextTuple'],
    ])('open returns %s', async (_name, made, found) => {
      await using cluster = await start()
      const wired = topology('open', (t) => void t.spout('source', defineSpout({ output: Num, open: () => any(made) })))
      await expect(cluster.submit(wired)).rejects.toMatchObject({
        code: 'component-start',
        what: `source could not start: open has to return nextTuple, an object with nextTuple, or an iterable; it returned ${found}`,
        where: { component: 'source', task: 0 },
      })
    })

    test.each<[string, unknown, string]>([
      ['undefined', undefined, 'it; execute is undefined'],
      ['a number', 5, 'it; execute is 5'],
      ['an object whose execute is no function', { execute: 'x' }, "it; execute is 'x'"],
      ['an object whose execute is null', { execute: null }, 'it; execute is null'],
      ['an object without execute', { onTick: () => undefined }, 'an object with onTick, which has no function for the input default'],
      ['an object whose onTick is no function', { execute: () => undefined, onTick: 1 }, 'its onTick is 1, not a function'],
      ['an object whose cleanup is no function', { execute: () => undefined, cleanup: {} }, 'its cleanup is an object without members'],
    ])('prepare returns %s', async (_name, made, found) => {
      await using cluster = await start()
      const bolt = defineBolt({ input: Num, prepare: () => any(made) })
      const source = defineSpout({ output: Num, open: () => (out) => out.end() })
      await expect(
        cluster.submit(topology('prepare', (t) => void t.bolt('work', bolt).shuffle(t.spout('source', source)))),
      ).rejects.toMatchObject({
        code: 'component-start',
        message: expect.stringContaining(found) as string,
        where: { component: 'work', task: 1 },
      })
    })

    test('prepare returns no onTick for a tick', async () => {
      await using cluster = await start()
      const bolt = defineBolt({ input: Num, tick: '1s', prepare: () => () => undefined })
      const source = defineSpout({ output: Num, open: () => (out) => out.end() })
      await expect(
        cluster.submit(topology('tick', (t) => void t.bolt('work', bolt).shuffle(t.spout('source', source)))),
      ).rejects.toMatchObject({ code: 'component-start', message: expect.stringContaining('no onTick') as string })
    })

    test('an iterable that gives no iterator', async () => {
      const broken = {
        [Symbol.asyncIterator]() {
          throw new Error('no cursor')
        },
      }
      await using cluster = await start()
      const wired = topology('open', (t) => void t.spout('source', defineSpout({ output: Num, open: () => any(broken) })))
      await expect(cluster.submit(wired)).rejects.toMatchObject({ code: 'component-start', where: { component: 'source' } })
    })
  })

  test('async hooks that reject are reported as errors of their component, and nothing else happens', async () => {
    const fails = (hook: string) => async (): Promise<void> => {
      await Promise.resolve()
      throw new Error(`${hook} rejects`)
    }
    let num = 0
    const spout = defineSpout({
      output: Num,
      open: () => ({
        nextTuple: (out: SpoutOutput<{ default: Num }>) => (num < 2 ? out.emit({ num }, num++) : out.end()),
        activate: any(fails('activate')),
        deactivate: any(fails('deactivate')),
        ack: any(fails('ack')),
        fail: any(fails('fail')),
      }),
    })
    const work = defineBolt({
      input: Num,
      tick: '1s',
      prepare: () => ({
        execute(values) {
          if (values.num === 1) throw new Error('one')
        },
        onTick: any(fails('onTick')),
      }),
    })
    await using cluster = await start()
    const running = await cluster.submit(topology('hooks', (t) => void t.bolt('work', work).shuffle(t.spout('source', spout))))
    await running.deactivate()
    await running.activate()
    expect((await running.complete()).state).toBe('finished')
    const heard = running.errors.map(({ component, message }) => `${component}: ${message}`)
    expect(heard.toSorted()).toEqual([
      'source: ack rejects',
      'source: activate rejects',
      'source: activate rejects',
      'source: deactivate rejects',
      'source: fail rejects',
      'work: one',
    ])
  })

  test('an async onTick that rejects is reported at each tick', async () => {
    const work = defineBolt({
      input: Num,
      tick: '1s',
      prepare: () => ({ execute: () => undefined, onTick: any(() => Promise.reject(new Error('late'))) }),
    })
    const source = feeder(Num)
    await using cluster = await start()
    const running = await cluster.submit(topology('tick', (t) => void t.bolt('work', work).shuffle(t.spout('source', source.spout))))
    await running.advance('3s')
    expect(running.errors.map(({ message }) => message)).toEqual(['late', 'late', 'late'])
  })

  test('whatever is thrown is told, even if nothing of it can be shown', async () => {
    const hostile = {
      get message() {
        throw new Error('no')
      },
      toString() {
        throw new Error('no')
      },
      [Symbol.for('nodejs.util.inspect.custom')]() {
        throw new Error('no')
      },
    }
    const revoked = Proxy.revocable(new Error('gone'), {})
    revoked.revoke()
    const odd: unknown[] = [
      hostile,
      revoked.proxy,
      Object.assign(new Error('x'), { message: 5, stack: 7 }),
      Object.defineProperty(new Error('hidden'), 'stack', {
        get() {
          throw new Error('no stack')
        },
      }),
      Object.create(null),
    ]
    const source = feeder(Num)
    const throws = defineBolt({
      input: Num,
      execute({ num }) {
        throw odd[num]
      },
    })
    await using cluster = await start()
    const running = await cluster.submit(topology('odd', (t) => void t.bolt('throws', throws).shuffle(t.spout('source', source.spout))))
    odd.forEach((_, num) => source.feed({ num }, num))
    await running.settle()
    expect(source.failed.map(({ id }) => id)).toEqual([0, 1, 2, 3, 4])
    expect(running.errors).toHaveLength(5)
    expect(running.errors[0]).toMatchObject({ message: '(cannot be shown)', stack: '' })
    expect(running.errors[3]).toMatchObject({ message: 'hidden', stack: '' })
    expect(running.errors[4]?.message).toBe('[Object: null prototype] {}')
  })

  test('the stack of an error is that of the component, without ours', async () => {
    const source = feeder(Num)
    const throws = defineBolt({
      input: Num,
      execute() {
        throw new Error('here')
      },
    })
    await using cluster = await start()
    const running = await cluster.submit(topology('stack', (t) => void t.bolt('throws', throws).shuffle(t.spout('source', source.spout))))
    source.feed({ num: 1 })
    await running.settle()
    const stack = running.errors[0]?.stack ?? ''
    expect(stack).toMatch(/^Error: here\n\s+at .*misuse\.test\.ts/)
    expect(stack).not.toContain('bolt-task')
    expect(stack).not.toContain('executor.ts')
  })

  test.each<[string, (context: TaskContext) => unknown]>([
    ['sleep', ({ sleep }) => sleep(Number.NaN)],
    ['sleep', ({ sleep }) => sleep(Infinity)],
    ['sleep', ({ sleep }) => sleep(any('100'))],
    ['count', ({ count }) => count('bad', Number.NaN)],
    ['count', ({ count }) => count('bad', any('1'))],
  ])('context.%s with what is not a number is a coded error', async (call, act) => {
    const source = feeder(Num)
    const work = defineBolt({ input: Num, prepare: (context) => async () => void (await act(context)) })
    await using cluster = await start()
    source.feed({ num: 1 })
    await expect(
      cluster.complete(topology('number', (t) => void t.bolt('work', work).shuffle(t.spout('source', source.spout)))),
    ).rejects.toMatchObject({
      code: 'bad-option',
      message: expect.stringContaining(`context.${call}`) as string,
      where: { component: 'work', task: 1 },
    })
  })

  test('a sleep below zero is none; counters may have the names that every object has', async () => {
    const source = feeder(Num)
    const work = defineBolt({
      input: Num,
      prepare:
        ({ sleep, count, now }) =>
        async () => {
          const before = now()
          await sleep(-5)
          for (const name of ['constructor', 'toString', 'valueOf']) count(name, 2 + now() - before)
        },
    })
    await using cluster = await start()
    source.feed({ num: 1 })
    source.end()
    const done = await cluster.complete(topology('names', (t) => void t.bolt('work', work).shuffle(t.spout('source', source.spout))))
    const counters = done.snapshot().components.find(({ id }) => id === 'work')?.tasks[0]?.counters ?? {}
    expect(Object.entries(counters)).toEqual([
      ['constructor', 2],
      ['toString', 2],
      ['valueOf', 2],
    ])
  })

  test.each([false, true])('with automatic acking, ordered %s, there is nothing to anchor to', async (ordered) => {
    const source = feeder(Num)
    const work = defineBolt({
      input: Num,
      output: Num,
      concurrency: 2,
      ordered,
      prepare:
        ({ sleep }) =>
        async (values, out) => {
          // the compiler refuses it, and not everyone asks it
          const manual = out as ManualOutput<{ default: { num: number } }>
          manual.emit(values, values.num === 1 ? { anchors: any({}) } : undefined)
          await sleep(10)
        },
    })
    await using cluster = await start()
    for (const num of [0, 1]) source.feed({ num })
    await expect(
      cluster.complete(
        topology('anchors', (t) => void t.bolt('sink', sink).shuffle(t.bolt('work', work).shuffle(t.spout('source', source.spout)))),
      ),
    ).rejects.toMatchObject({ code: 'not-a-tuple', where: { component: 'work' } })
  })

  test('savePosition keeps numbers only', async () => {
    const spout = defineSpout({
      output: Num,
      open: ({ savePosition }) => {
        savePosition(Number.NaN)
        return (out) => out.end()
      },
    })
    await using cluster = await start()
    await expect(
      cluster.submit(topology('position', (t) => void t.bolt('sink', sink).shuffle(t.spout('source', spout)))),
    ).rejects.toMatchObject({
      code: 'bad-option',
      where: { component: 'source', task: 0 },
    })
  })

  test.each(['no number', undefined, Number.NaN, -1])('an emit to the task %s of a direct stream is a coded error', async (task) => {
    const spout = defineSpout({
      outputs: { to: { schema: Num, direct: true } },
      open: () => (out) => out.emitDirect(any(task), 'to', { num: 1 }),
    })
    const fed = feeder(Num)
    const bolt = defineBolt({
      input: Num,
      outputs: { to: { schema: Num, direct: true } },
      execute: (values, out) => out.emitDirect(any(task), 'to', values),
    })
    await using cluster = await start()
    const fault = { code: 'bad-task', where: { component: 'sends', stream: 'to' } }
    await expect(
      cluster.complete(topology('direct', (t) => void t.bolt('sink', sink).direct(t.spout('sends', spout).stream('to')))),
    ).rejects.toMatchObject(fault)
    fed.feed({ num: 1 })
    await expect(
      cluster.complete(
        topology('direct', (t) => void t.bolt('sink', sink).direct(t.bolt('sends', bolt).shuffle(t.spout('fed', fed.spout)).stream('to'))),
      ),
    ).rejects.toMatchObject(fault)
  })
})
