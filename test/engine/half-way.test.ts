/** Emits that fail half way: what has left belongs to a tree, what has not does not, on however many executors. */
import { describe, expect, test } from 'vitest'
import { SquallError } from '../../lib/errors.ts'
import { defineBolt, defineSpout, topology, z } from '../../lib/index.ts'
import type { CustomGrouping, Tuple } from '../../lib/index.ts'
import { LocalCluster, feeder } from '../../lib/testing/index.ts'

const Num = z.object({ num: z.int() })
type Num = z.infer<typeof Num>
const Loose = z.object({ value: z.unknown() })
const sink = defineBolt({ input: Num, execute: () => undefined })
const looseSink = defineBolt({ input: Loose, execute: () => undefined })
const any = (value: unknown): never => value as never

/** Refuses a number. */
const refusing = (refused: number, times = Infinity): CustomGrouping<Num> => ({
  prepare: ({ targets }) => {
    let left = times
    return ({ num }) => {
      if (num === refused && left-- > 0) throw new Error(`nowhere for ${num}`)
      return targets[num % targets.length] as number
    }
  },
})

describe.each([1, 2, 4])('on %d executors', (executors) => {
  const start = () => LocalCluster.start({ seed: 43, executors })

  test.each([1, 5])(
    'an ordered call whose emit throws when its turn comes fails its tuple like a throw, concurrency 4, emit of call %d',
    async (bad) => {
      const source = feeder(Num)
      const work = defineBolt({
        input: Num,
        output: Num,
        concurrency: 4,
        ordered: true,
        prepare:
          ({ sleep }) =>
          ({ num }, out) => {
            // the later, the sooner; every third is not async at all
            if (num % 3 === 2) return out.emit({ num })
            out.emit({ num })
            return sleep(100 - num * 10)
          },
      })
      await using cluster = await start()
      const running = await cluster.submit(
        topology(
          'release',
          (t) =>
            void t
              .bolt('sink', sink, { parallelism: 2 })
              .custom(t.bolt('work', work).shuffle(t.spout('source', source.spout)), refusing(bad)),
        ),
      )
      for (let num = 0; num < 8; num++) source.feed({ num }, num)
      source.end()
      expect((await running.complete()).state).toBe('finished')
      expect(source.failed).toMatchObject([{ id: bad, failure: { kind: 'failed', component: 'work', message: `nowhere for ${bad}` } }])
      expect(source.acked).toHaveLength(7)
      expect(running.errors).toMatchObject([{ component: 'work', message: `nowhere for ${bad}`, tuple: `{"num":${bad}}` }])
      expect(running.snapshot().components.find(({ id }) => id === 'work')?.tasks[0]).toMatchObject({ acked: 7, failed: 1, pending: 0 })
    },
  )

  test('an ordered call that goes on after its release threw fails its tuple once, whatever it does then', async () => {
    const source = feeder(Num)
    const work = defineBolt({
      input: Num,
      output: Num,
      concurrency: 2,
      ordered: true,
      prepare:
        ({ sleep }) =>
        async ({ num }, out) => {
          out.emit({ num })
          await sleep(num === 0 ? 100 : 200)
          if (num === 1) throw new Error('and that')
        },
    })
    await using cluster = await start()
    const running = await cluster.submit(
      topology(
        'twice',
        (t) => void t.bolt('sink', sink).custom(t.bolt('work', work).shuffle(t.spout('source', source.spout)), refusing(1)),
      ),
    )
    for (const num of [0, 1]) source.feed({ num }, num)
    source.end()
    await running.complete()
    expect([source.acked, source.failed.map(({ id }) => id)]).toEqual([[0], [1]])
    expect(running.errors.map(({ message }) => message)).toEqual(['nowhere for 1', 'and that'])
    expect(running.snapshot().components.find(({ id }) => id === 'work')?.tasks[0]).toMatchObject({ acked: 1, failed: 1 })
  })

  test.each(['auto', 'manual'] as const)(
    'a bolt that catches what its emit throws goes on, and its tuple is acked in full (%s)',
    async (ack) => {
      const source = feeder(Num)
      const caught: unknown[] = []
      const carry = (out: { emitTo(stream: never, values: never, options?: { anchors: Tuple }): void }, tuple: Tuple | undefined): void => {
        const options = tuple && { anchors: tuple }
        for (const value of ['fine', () => 1, 'also fine'])
          try {
            out.emitTo(any('loose'), any({ value }), options)
          } catch (error) {
            caught.push(error)
          }
      }
      const streams = { input: Num, outputs: { loose: Loose } } as const
      const work =
        ack === 'auto'
          ? defineBolt({ ...streams, execute: (_values, out) => carry(out, undefined) })
          : defineBolt({
              ...streams,
              ack: 'manual',
              execute(_values, out, tuple) {
                carry(out, tuple)
                out.ack(tuple)
              },
            })
      await using cluster = await start()
      const running = await cluster.submit(
        topology(
          'caught',
          (t) =>
            void t
              .bolt('sink', looseSink, { parallelism: 4 })
              .all(t.bolt('work', work).shuffle(t.spout('source', source.spout)).stream('loose')),
        ),
        // without it the emit is refused only where the value has to travel
        { config: { check: false } },
      )
      source.feed({ num: 1 }, 1)
      await running.settle()
      expect(source.acked).toEqual([1])
      const refused = {
        code: 'value-mismatch',
        where: { component: 'work', stream: 'loose', field: 'value', task: expect.any(Number) as number },
      }
      expect(caught).toMatchObject(executors === 1 ? [] : [refused])
    },
  )

  test('a spout that catches what its emit throws has emitted nothing', async () => {
    const caught: unknown[] = []
    const spout = defineSpout({
      output: Num,
      open: () => {
        let num = 0
        return (out) => {
          if (num === 5) return out.end()
          try {
            out.emit({ num: num++ })
          } catch (error) {
            caught.push(error)
            out.emit({ num: 0 })
          }
        }
      },
    })
    await using cluster = await start()
    const done = await cluster.complete(topology('caught', (t) => void t.bolt('sink', sink).custom(t.spout('source', spout), refusing(3))))
    expect(caught).toHaveLength(1)
    expect(done.result).toMatchObject({ state: 'finished', emitted: 5, acked: 5 })
  })

  test('a tuple with too many trees is refused, named, and acks nothing it should not', async () => {
    const most = 1024
    const source = feeder(Num)
    const refused: unknown[] = []
    const gather = defineBolt({
      input: Num,
      output: Num,
      ack: 'manual',
      prepare() {
        const held: Tuple<Num>[] = []
        return (_values, out, tuple) => {
          held.push(tuple)
          if (held.length <= most) return
          try {
            out.emit({ num: 1 }, { anchors: held })
          } catch (error) {
            refused.push(error)
          }
          out.emit({ num: 2 }, { anchors: held.slice(1) })
          for (const one of held) out.ack(one)
        }
      },
    })
    await using cluster = await start()
    const running = await cluster.submit(
      topology(
        'many',
        (t) => void t.bolt('sink', sink, { parallelism: 2 }).all(t.bolt('gather', gather).shuffle(t.spout('source', source.spout))),
      ),
      { config: { spoutPendingMax: 2_000 } },
    )
    for (let num = 0; num <= most; num++) source.feed({ num })
    await running.settle()
    expect(refused).toMatchObject([
      { code: 'wire-limit', where: { component: 'gather', stream: 'default', task: expect.any(Number) as number } },
    ])
    expect(source.acked).toHaveLength(most + 1)
    expect(running.executed('sink').map(({ values }) => values)).toEqual([{ num: 2 }, { num: 2 }])
  })

  test.each(['acked', 'failed'] as const)('an emit anchored to a tuple that was %s is refused at once', async (how) => {
    const source = feeder(Num)
    const late = defineBolt({
      input: Num,
      output: Num,
      ack: 'manual',
      execute(values, out, tuple) {
        if (how === 'acked') out.ack(tuple)
        else out.fail(tuple)
        out.emit(values, { anchors: [tuple] })
      },
    })
    await using cluster = await start()
    source.feed({ num: 1 })
    await expect(
      cluster.complete(
        topology('late', (t) => void t.bolt('sink', sink).shuffle(t.bolt('late', late).shuffle(t.spout('source', source.spout)))),
      ),
    ).rejects.toMatchObject({
      code: 'already-settled',
      what: 'a tuple was anchored to after it had been acked or failed',
      where: { component: 'late', task: expect.any(Number) as number },
    })
  })

  test('fields that are named like what every object has are there only if they are its own', async () => {
    const Odd = z.object({ num: z.int(), constructor: z.string().optional(), toString: z.string().optional() })
    const spout = defineSpout({
      output: Odd,
      open: () => [any({ num: 1 }), any({ num: 2, constructor: 'builder', toString: 'text' })],
    })
    const seen: unknown[] = []
    const reader = defineBolt({
      input: Odd,
      execute: (values) =>
        void seen.push([
          values.num,
          ...['constructor', 'toString'].map((key) => Object.entries(values).find(([name]) => name === key)?.[1]),
        ]),
    })
    for (const check of [false, true]) {
      await using cluster = await start()
      await cluster.complete(
        topology('own', (t) => void t.bolt('reader', reader).shuffle(t.spout('source', spout))),
        { config: { check } },
      )
      expect(seen.splice(0)).toEqual([
        [1, undefined, undefined],
        [2, 'builder', 'text'],
      ])
    }
  })

  test('with the setting check, fields that the schema does not name are dropped on any number of executors', async () => {
    const spout = defineSpout({ output: Num, open: () => [any({ num: 1, more: 'than declared' })] })
    const seen: object[] = []
    const reader = defineBolt({ input: Num, execute: (values) => void seen.push({ ...values }) })
    await using cluster = await start()
    const done = await cluster.complete(topology('more', (t) => void t.bolt('reader', reader).shuffle(t.spout('source', spout))))
    expect(seen).toEqual([{ num: 1 }])
    expect(done.tuples('source')).toEqual([{ num: 1 }])
  })

  test('a reason that is long is cut alike wherever the tree is', async () => {
    const source = feeder(Num)
    const fails = defineBolt({ input: Num, ack: 'manual', execute: (_values, out, tuple) => out.fail(tuple, 'x'.repeat(5_000)) })
    await using cluster = await start()
    const running = await cluster.submit(topology('long', (t) => void t.bolt('fails', fails).shuffle(t.spout('source', source.spout))))
    source.feed({ num: 1 })
    await running.settle()
    expect(source.failed.map(({ failure }) => failure.message.length)).toEqual([500])
  })
})

test('a bolt with manual acking passes on where its tuple went: an expiry names the last', async () => {
  const source = feeder(Num)
  const first = defineBolt({
    input: Num,
    output: Num,
    ack: 'manual',
    execute(values, out, tuple) {
      out.emit(values, { anchors: tuple })
      out.ack(tuple)
    },
  })
  const forgets = defineBolt({ input: Num, ack: 'manual', execute: () => undefined })
  await using cluster = await LocalCluster.start({ seed: 43 })
  const running = await cluster.submit(
    topology('held', (t) => void t.bolt('forgets', forgets).shuffle(t.bolt('first', first).shuffle(t.spout('source', source.spout)))),
    { config: { messageTimeoutMs: '10s' } },
  )
  source.feed({ num: 1 })
  await running.advance('11s')
  expect(source.failed).toMatchObject([
    {
      failure: {
        kind: 'expired',
        component: 'forgets',
        message: 'not done after 10000 ms; the last part of it that is known went to forgets',
      },
    },
  ])
})

test.each([
  [
    'text and simple values',
    new Map<unknown, unknown>([
      ['a', 1],
      [2, 2],
      [true, 3],
      [null, 4],
    ]),
    true,
  ],
  ['objects', new Map([[{ a: 1 }, 1]]), false],
  ['lists', new Map([[[1], 1]]), false],
  ['dates, deep inside', { deep: [new Map([[new Date(0), 1]])] }, false],
] as const)('a Map whose keys are %s, as a value without a type', async (_name, value, fits) => {
  const spout = defineSpout({ output: Loose, open: () => [{ value }] })
  await using cluster = await LocalCluster.start({ seed: 43, executors: 2 })
  const outcome = await cluster
    .complete(topology('map', (t) => void t.bolt('sink', looseSink, { parallelism: 2 }).all(t.spout('source', spout))))
    .then(({ result }) => result.acked)
    .catch((error: unknown) => (error instanceof SquallError ? [error.code, error.where.field] : error))
  expect(outcome).toEqual(fits ? 1 : ['value-mismatch', 'value'])
})
