/** What becomes of trees that fail: back-off, limit, dead letters, and what the spout is told. */
import { describe, expect, test } from 'vitest'
import { defineBolt, defineSpout, topology, z } from '../../lib/index.ts'
import type { Failure } from '../../lib/index.ts'
import { LocalCluster, feeder } from '../../lib/testing/index.ts'

const Num = z.object({ num: z.int() })
type Num = z.infer<typeof Num>

/** Numbers below `count`, emitted again by the runtime; tells what it hears. */
const numbers = (count: number, heard: unknown[] = []) =>
  defineSpout({
    output: Num,
    replay: true,
    open() {
      let num = 0
      return {
        nextTuple: (out) => (num < count ? out.emit({ num }, `id ${num++}`) : out.end()),
        ack: (id) => void heard.push(['ack', id]),
        fail: (id, failure) => void heard.push(['fail', id, failure]),
      }
    },
  })

const failing = (of: (num: number, attempt: number) => boolean, at: number[] = []) =>
  defineBolt({
    input: Num,
    prepare({ now }) {
      const attempts = new Map<number, number>()
      return ({ num }) => {
        const attempt = (attempts.get(num) ?? 0) + 1
        attempts.set(num, attempt)
        at.push(now())
        if (of(num, attempt)) throw new Error(`no ${num}`)
      }
    },
  })

describe.each([1, 2, 4])('on %d executors', (executors) => {
  const start = () => LocalCluster.start({ seed: 19, executors })

  test('back-off doubles from replayBackoffMs up to replayBackoffMaxMs, to the millisecond', async () => {
    const at: number[] = []
    await using cluster = await start()
    const done = await cluster.complete(
      topology(
        'back-off',
        (t) =>
          void t
            .bolt(
              'work',
              failing((_num, attempt) => attempt < 8, at),
            )
            .shuffle(t.spout('source', numbers(1))),
      ),
      { config: { replayLimit: 7, replayBackoffMs: 100, replayBackoffMaxMs: '1s' } },
    )
    const waits = at.slice(1).map((ms, i) => ms - (at[i] as number))
    expect(waits).toEqual([100, 200, 400, 800, 1_000, 1_000, 1_000])
    expect(done.result).toMatchObject({ emitted: 1, acked: 1, failed: 7, replayed: 7, deadLettered: 0 })
  })

  test('after the limit a tuple becomes a dead letter: told to the spout, and readable as a stream', async () => {
    const heard: unknown[] = []
    const dead = defineBolt({
      input: z.object({
        values: z.unknown(),
        stream: z.string(),
        attempts: z.int(),
        kind: z.string(),
        component: z.string(),
        task: z.int(),
        message: z.string(),
      }),
      execute: () => undefined,
    })
    await using cluster = await start()
    const done = await cluster.complete(
      topology('dead', (t) => {
        const source = t.spout('source', numbers(3, heard))
        t.bolt('dead', dead).shuffle(source.stream('dead-letter'))
        t.bolt(
          'work',
          failing((num) => num === 1),
        ).shuffle(source)
      }),
      { config: { replayLimit: 2 } },
    )
    expect(done.result).toMatchObject({ state: 'finished', emitted: 3, acked: 2, failed: 3, replayed: 2, deadLettered: 1 })
    expect(done.executed('dead').map(({ values }) => values)).toEqual([
      {
        values: { num: 1 },
        stream: 'default',
        attempts: 3,
        kind: 'failed',
        component: 'work',
        task: expect.any(Number) as number,
        message: 'no 1',
      },
    ])
    const failure: Failure = { kind: 'failed', component: 'work', task: expect.any(Number) as number, message: 'no 1' }
    expect(heard.toSorted()).toEqual([
      ['ack', 'id 0'],
      ['ack', 'id 2'],
      ['fail', 'id 1', failure],
    ])
    expect(done.errors.map(({ message }) => message)).toEqual(['no 1', 'no 1', 'no 1'])
  })

  test('a dead letter that no one reads is reported as an error, with its tuple', async () => {
    await using cluster = await start()
    const done = await cluster.complete(
      topology(
        'unread',
        (t) =>
          void t
            .bolt(
              'work',
              failing((num) => num === 1),
            )
            .shuffle(t.spout('source', numbers(3))),
      ),
      { config: { replayLimit: 0 } },
    )
    expect(done.result).toMatchObject({ state: 'finished', emitted: 3, acked: 2, failed: 1, replayed: 0, deadLettered: 1 })
    expect(done.errors).toMatchObject([
      { component: 'work' },
      {
        component: 'source',
        tuple: '{"num":1}',
        message: expect.stringContaining('given up after 1 attempt (failed in work: no 1)') as string,
        stack: '', // nobody threw it: it is from nowhere in the user's code
      },
    ])
    expect(done.tuples('source', 'dead-letter')).toMatchObject([{ values: { num: 1 }, attempts: 1, message: 'no 1' }])
    expect(done.snapshot()).toMatchObject({ pending: 0, components: [{ tasks: [{ emitted: { 'dead-letter': 1 } }] }, {}] })
  })

  test('a dead letter that fails is emitted again itself, and is lost after its limit, which fails the run', async () => {
    const heard: unknown[] = []
    const spout = defineSpout({
      output: Num,
      replay: true,
      open() {
        let num = 0
        return (out) => (num < 1 ? out.emit({ num: num++ }) : out.end())
      },
    })
    const dead = (fails: number) =>
      defineBolt({
        input: z.object({ attempts: z.int() }),
        prepare() {
          let calls = 0
          return () => {
            heard.push(calls)
            if (calls++ < fails) throw new Error('not even this')
          }
        },
      })
    const wired = (fails: number) =>
      topology('dead', (t) => {
        const source = t.spout('source', spout)
        t.bolt('dead', dead(fails)).shuffle(source.stream('dead-letter'))
        t.bolt(
          'work',
          failing(() => true),
        ).shuffle(source)
      })
    await using cluster = await start()
    const done = await cluster.complete(wired(2), { config: { replayLimit: 2 } })
    expect(done.result).toMatchObject({ state: 'finished', emitted: 1, acked: 0, deadLettered: 1 })
    expect(heard).toEqual([0, 1, 2])
    await expect(cluster.complete(wired(3), { config: { replayLimit: 2 } })).rejects.toMatchObject({ code: 'trees-lost' })
  })

  test('without replay and without a fail function a failed tree is lost: the run fails and says how many', async () => {
    const spout = defineSpout({
      output: Num,
      open() {
        let num = 0
        return (out) => (num < 5 ? out.emit({ num: num++ }) : out.end())
      },
    })
    await using cluster = await start()
    await expect(
      cluster.complete(
        topology(
          'lost',
          (t) =>
            void t
              .bolt(
                'work',
                failing((num) => num % 2 === 1),
              )
              .shuffle(t.spout('source', spout)),
        ),
      ),
    ).rejects.toMatchObject({ code: 'trees-lost', what: '2 tuple trees failed for good' })
  })

  test('fail tells kind, component, task and message: thrown, failed by hand, expired', async () => {
    const source = feeder(Num)
    const second = defineBolt({
      input: Num,
      ack: 'manual',
      execute({ num }, out, tuple) {
        if (num === 0) throw new TypeError('thrown')
        if (num === 1) out.fail(tuple, new Error('by hand'))
        if (num === 2) out.fail(tuple, 'a text')
        if (num === 3) out.fail(tuple)
      },
    })
    const first = defineBolt({ input: Num, output: Num, execute: (values, out) => out.emit(values) })
    await using cluster = await start()
    const running = await cluster.submit(
      topology('kinds', (t) => void t.bolt('second', second).shuffle(t.bolt('first', first).shuffle(t.spout('source', source.spout)))),
      {
        config: { messageTimeoutMs: '10s' },
      },
    )
    for (const num of [0, 1, 2, 3, 4]) source.feed({ num }, num)
    await running.advance('11s')
    const by = new Map(source.failed.map(({ id, failure }) => [id, failure]))
    const task = running.snapshot().components.find(({ id }) => id === 'second')?.tasks[0]?.task
    expect(by.get(0)).toEqual({ kind: 'failed', component: 'second', task, message: 'thrown' })
    expect(by.get(1)).toEqual({ kind: 'failed', component: 'second', task, message: 'by hand' })
    expect(by.get(2)).toEqual({ kind: 'failed', component: 'second', task, message: 'a text' })
    expect(by.get(3)).toEqual({ kind: 'failed', component: 'second', task, message: 'failed' })
    // across executors the spout may not have heard that the tuple has moved on
    expect(by.get(4)?.kind).toBe('expired')
    expect(executors === 1 ? ['second'] : ['first', 'second']).toContain(by.get(4)?.component)
    expect(by.get(4)?.message).toMatch(/^not done after 10000 ms; the last part of it that is known went to (first|second)$/)
    expect(running.snapshot().totals).toMatchObject({ emitted: 5, failed: 4, expired: 1 })
  })

  test('a tree that two bolts fail has failed once', async () => {
    const source = feeder(Num)
    await using cluster = await start()
    const running = await cluster.submit(
      topology('both', (t) => {
        const one = t.spout('source', source.spout)
        t.bolt(
          'a',
          failing(() => true),
          { parallelism: 3 },
        ).all(one)
        t.bolt(
          'b',
          failing(() => true),
        ).shuffle(one)
      }),
    )
    source.feed({ num: 1 })
    await running.settle()
    expect(source.failed).toHaveLength(1)
    expect(running.snapshot().totals).toMatchObject({ emitted: 1, failed: 1 })
    expect(running.errors).toHaveLength(4)
  })

  describe('expiry', () => {
    /** Holds a tuple and sends something anchored every 4 s, `times` times; then acks. */
    const chatty = (times: number) =>
      defineBolt({
        input: Num,
        output: Num,
        ack: 'manual',
        prepare({ sleep }) {
          return async (values, out, tuple) => {
            for (let i = 0; i < times; i++) {
              await sleep(4_000)
              out.emit(values, { anchors: tuple })
            }
            out.ack(tuple)
          }
        },
      })
    const sink = defineBolt({ input: Num, execute: () => undefined })

    test.each([
      [false, 'the start'],
      [true, 'the last progress'],
    ])('with timeoutFromProgress %s it counts from %s', async (timeoutFromProgress) => {
      const source = feeder(Num)
      await using cluster = await start()
      const running = await cluster.submit(
        topology(
          'progress',
          (t) => void t.bolt('sink', sink).shuffle(t.bolt('chatty', chatty(8)).shuffle(t.spout('source', source.spout))),
        ),
        { config: { messageTimeoutMs: '10s', timeoutFromProgress } },
      )
      source.feed({ num: 1 }, 'a')
      await running.advance('11s')
      expect(source.failed).toHaveLength(timeoutFromProgress ? 0 : 1)
      await running.advance('30s')
      expect(source.acked).toEqual(timeoutFromProgress ? ['a'] : [])
    })

    test('expired trees are replayed like failed ones', async () => {
      const forgetful = defineBolt({
        input: Num,
        ack: 'manual',
        prepare() {
          let calls = 0
          return (_values, out, tuple) => {
            if (calls++ > 0) out.ack(tuple)
          }
        },
      })
      await using cluster = await start()
      const done = await cluster.complete(
        topology('forgetful', (t) => void t.bolt('work', forgetful).shuffle(t.spout('source', numbers(1)))),
        { config: { messageTimeoutMs: '5s' } },
      )
      expect(done.result).toMatchObject({ emitted: 1, acked: 1, failed: 0, expired: 1, replayed: 1 })
    })
  })
})

test(
  'with timeouts off and a tuple that is never acked, complete gives up with a coded error instead of hanging',
  { timeout: 30_000 },
  async () => {
    const forgets = defineBolt({ input: Num, ack: 'manual', execute: () => undefined })
    await using cluster = await LocalCluster.start({ seed: 19 })
    const wired = topology('never', (t) => void t.bolt('work', forgets).shuffle(t.spout('source', numbers(1))))
    await expect(cluster.complete(wired, { config: { messageTimeouts: false } })).rejects.toMatchObject({ code: 'not-done-in-time' })
  },
)
