/** Where tuples come from: functions, promises, async iterables; how they end, pause and are closed. */
import { describe, expect, test } from 'vitest'
import { defineBolt, defineSpout, topology, z } from '../../lib/index.ts'
import { LocalCluster } from '../../lib/testing/index.ts'

const Num = z.object({ num: z.int() })
type Num = z.infer<typeof Num>
const sink = defineBolt({ input: Num, execute: () => undefined })
const numsOf = (tuples: readonly object[]): number[] => tuples.map((tuple) => (tuple as Num).num)

describe.each([1, 2])('on %d executors', (executors) => {
  const start = () => LocalCluster.start({ seed: 17, executors })

  test.each(['function', 'object', 'promise', 'generator', 'sleeping generator', 'sync generator', 'array', 'class'] as const)(
    'a source as a %s gives all it has, once, and ends',
    async (kind) => {
      class Source {
        static readonly output = Num
        #num = 0
        nextTuple(out: { emit(values: Num): void; end(): void }): void {
          if (this.#num < 10) out.emit({ num: this.#num++ })
          else out.end()
        }
      }
      const spout = defineSpout({
        output: Num,
        open({ sleep }) {
          let num = 0
          const give = (out: { emit(values: Num): void; end(): void }): void => (num < 10 ? out.emit({ num: num++ }) : out.end())
          if (kind === 'function') return give
          if (kind === 'object') return { nextTuple: give }
          if (kind === 'promise') return (out) => sleep(30).then(() => give(out))
          if (kind === 'array') return Array.from({ length: 10 }, (_, i) => ({ num: i }))
          if (kind === 'sync generator')
            return (function* () {
              for (; num < 10; num++) yield { num }
            })()
          return (async function* () {
            for (; num < 10; num++) {
              if (kind === 'sleeping generator') await sleep(40)
              yield { num }
            }
          })()
        },
      })
      await using cluster = await start()
      const done = await cluster.complete(
        topology(
          'source',
          (t) => void t.bolt('sink', sink).shuffle(kind === 'class' ? t.spout('source', Source) : t.spout('source', spout)),
        ),
      )
      expect(numsOf(done.executed('sink').map(({ values }) => values))).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
      expect(done.result).toMatchObject({ state: 'finished', emitted: 10, acked: 10 })
    },
  )

  test.each(['function', 'promise', 'generator'] as const)('never more trees under way than spoutPendingMax, with a %s', async (kind) => {
    let [underWay, most] = [0, 0]
    const spout = defineSpout({
      output: Num,
      open({ sleep }) {
        let num = 0
        const give = (out: { emit(values: Num): void; end(): void }): void => (num < 40 ? out.emit({ num: num++ }) : out.end())
        if (kind === 'function') return give
        if (kind === 'promise') return (out) => sleep(0).then(() => give(out))
        return (async function* () {
          for (; num < 40; num++) yield { num }
        })()
      },
    })
    const slow = defineBolt({
      input: Num,
      concurrency: 100,
      prepare:
        ({ sleep }) =>
        async () => {
          most = Math.max(most, ++underWay)
          await sleep(100)
          underWay--
        },
    })
    await using cluster = await start()
    const wired = topology('pending', (t) => void t.bolt('slow', slow).shuffle(t.spout('source', spout)))
    const done = await cluster.complete(wired, { config: { spoutPendingMax: 7 } })
    expect(done.result).toMatchObject({ emitted: 40, acked: 40 })
    expect(most).toBe(7)
  })

  test('spoutPendingMax is per task, and a component may have its own', async () => {
    const perTask = new Map<number, number>()
    const spout = defineSpout({
      output: z.object({ task: z.int() }),
      config: { spoutPendingMax: 3 },
      open: ({ task }) => ({ nextTuple: (out) => out.emit({ task }) }),
    })
    const hold = defineBolt({
      input: z.object({ task: z.int() }),
      ack: 'manual',
      execute: ({ task }) => void perTask.set(task, (perTask.get(task) ?? 0) + 1),
    })
    await using cluster = await start()
    const running = await cluster.submit(
      topology('pending', (t) => void t.bolt('hold', hold).shuffle(t.spout('source', spout, { parallelism: 2 }))),
      {
        config: { spoutPendingMax: 50, messageTimeouts: false },
      },
    )
    await running.advance('10s')
    expect([...perTask.entries()].toSorted()).toEqual([
      [0, 3],
      [1, 3],
    ])
    expect(running.snapshot().pending).toBe(6)
  })

  test('a spout that ended is asked again after a fail, until all is well', async () => {
    const failures: unknown[] = []
    let asked = 0
    const spout = defineSpout({
      output: Num,
      open() {
        const queue = [0, 1, 2]
        return {
          nextTuple(out) {
            asked++
            const num = queue.shift()
            if (num === undefined) out.end()
            else out.emit({ num }, num)
          },
          fail(id) {
            failures.push(id)
            queue.push(id as number)
          },
        }
      },
    })
    const once = defineBolt({
      input: Num,
      prepare() {
        let calls = 0
        return ({ num }) => {
          if (num === 1 && calls++ < 3) throw new Error('not yet')
        }
      },
    })
    await using cluster = await start()
    const done = await cluster.complete(topology('again', (t) => void t.bolt('once', once).shuffle(t.spout('source', spout))))
    expect(failures).toEqual([1, 1, 1])
    expect(asked).toBeGreaterThanOrEqual(7)
    expect(done.result).toMatchObject({ state: 'finished', emitted: 6, acked: 3, failed: 3, replayed: 0 })
  })

  test.each(['sync', 'async'] as const)(
    'a spout that says end() once has ended again when it emits nothing after a fail (%s)',
    async (kind) => {
      const failures: unknown[] = []
      const spout = defineSpout({
        output: Num,
        open({ sleep }) {
          const queue = [0, 1, 2]
          let hasSaidSo = false
          const next = (out: { emit(values: Num, id: number): void; end(): void }): void => {
            const num = queue.shift()
            if (num !== undefined) return out.emit({ num }, num)
            if (!hasSaidSo) out.end()
            hasSaidSo = true
          }
          return {
            async nextTuple(out) {
              await sleep(5)
              next(out)
            },
            ...(kind === 'sync' && { nextTuple: next }),
            fail(id) {
              failures.push(id)
              // the second failure of a tuple is let go
              if (failures.filter((failed) => failed === id).length < 2) queue.push(id as number)
            },
          }
        },
      })
      const never = defineBolt({
        input: Num,
        prepare:
          ({ sleep }) =>
          async ({ num }) => {
            // failures come one by one, and while it is asked
            await sleep(num * 7)
            throw new Error('never')
          },
      })
      await using cluster = await start()
      const done = await cluster.complete(topology('again', (t) => void t.bolt('never', never).shuffle(t.spout('source', spout))))
      expect((failures as number[]).toSorted()).toEqual([0, 0, 1, 1, 2, 2])
      expect(done.result).toMatchObject({ state: 'finished', emitted: 6, acked: 0, failed: 6 })
    },
  )

  test.each(['a loop', 'an async loop', 'a callback'] as const)(
    'a spout that emits without an end and without being asked, in %s, is stopped with a coded error',
    { timeout: 120_000 },
    async (kind) => {
      let emitted = 0
      const spout = defineSpout({
        output: Num,
        tracked: kind !== 'a loop',
        open: () => (out) => {
          const flood = (): void => {
            for (let i = 0; i < 10_000; i++) out.emit({ num: emitted++ })
          }
          if (kind === 'a callback') {
            const again = (): void => {
              flood()
              setImmediate(again)
            }
            if (emitted === 0) again()
            return undefined
          }
          if (kind === 'a loop') for (;;) flood()
          return (async () => {
            for (;;) {
              flood()
              await Promise.resolve()
            }
          })()
        },
      })
      const holds = defineBolt({ input: Num, ack: 'manual', execute: () => undefined })
      const uncaught: unknown[] = []
      const note = (error: unknown): void => void uncaught.push(error)
      const others = process.listeners('uncaughtException')
      process.removeAllListeners('uncaughtException').on('uncaughtException', note)
      try {
        await using cluster = await start()
        await expect(
          cluster.complete(
            topology('flood', (t) => void t.bolt('holds', holds).shuffle(t.spout('source', spout))),
            { config: { check: false, messageTimeouts: false } },
          ),
        ).rejects.toMatchObject({ code: 'too-many-emits', where: { component: 'source', task: 0 } })
      } finally {
        process.removeAllListeners('uncaughtException')
        for (const listener of others) process.on('uncaughtException', listener)
      }
      expect(emitted).toBeGreaterThan(1_000_000)
      expect(emitted).toBeLessThan(1_200_000)
      expect(uncaught).toMatchObject(kind === 'a callback' ? [{ code: 'too-many-emits' }] : [])
    },
  )

  test('a spout that throws stops the run with a coded error: now, in its promise, in its generator, in open', async () => {
    const throws = (kind: 'now' | 'promise' | 'generator' | 'open') =>
      defineSpout({
        output: Num,
        open({ sleep }) {
          if (kind === 'open') throw new Error('broken')
          if (kind === 'generator')
            return (async function* () {
              yield { num: 1 }
              await sleep(10)
              throw new Error('broken')
            })()
          return () => {
            if (kind === 'now') throw new Error('broken')
            return sleep(10).then(() => Promise.reject(new Error('broken')))
          }
        },
      })
    for (const kind of ['now', 'promise', 'generator', 'open'] as const) {
      await using cluster = await start()
      const wired = topology('throws', (t) => void t.bolt('sink', sink).shuffle(t.spout('source', throws(kind))))
      await expect(cluster.complete(wired)).rejects.toMatchObject({
        code: kind === 'open' ? 'component-start' : 'spout-threw',
        message: expect.stringContaining('broken') as string,
        where: { component: 'source', task: 0 },
      })
    }
  })
})

test('a generator is closed when the run stops, wherever it stands', async () => {
  const closed: string[] = []
  const spout = (name: string, body: (sleep: (ms: number) => Promise<void>) => AsyncGenerator<Num>) =>
    defineSpout({
      output: Num,
      open: ({ sleep }) =>
        (async function* () {
          try {
            yield* body(sleep)
          } finally {
            closed.push(name)
          }
        })(),
    })
  const endless = spout('endless', async function* (sleep) {
    for (let num = 0; ; num++) {
      await sleep(10)
      yield { num }
    }
  })
  const finite = spout('finite', async function* () {
    yield { num: 1 }
  })
  await using cluster = await LocalCluster.start({ seed: 17 })
  const running = await cluster.submit(
    topology('close', (t) => {
      t.bolt('sink', sink).shuffle(t.spout('finite', finite)).shuffle(t.spout('endless', endless))
    }),
    { config: { spoutPendingMax: 1 } },
  )
  await running.advance('1s')
  expect(closed).toEqual(['finite'])
  expect((await running.kill()).state).toBe('stopped')
  expect(running.executed('sink').length).toBeGreaterThan(50)
})

test('a generator that waits for what never comes does not hold up the end', async () => {
  const never = defineSpout({
    output: Num,
    open: () =>
      (async function* () {
        yield { num: 1 }
        await new Promise(() => undefined)
      })(),
  })
  for (const time of ['virtual', 'real'] as const) {
    await using cluster = await LocalCluster.start({ seed: 17, time })
    const running = await cluster.submit(topology('never', (t) => void t.bolt('sink', sink).shuffle(t.spout('source', never))))
    if (time === 'virtual') await running.settle()
    expect((await running.kill()).state).toBe('stopped')
  }
})

test('a generator that never pauses leaves the others their turn, and its tuples do not pile up', async () => {
  let [emitted, executed, most] = [0, 0, 0]
  const flood = defineSpout({
    output: Num,
    tracked: false,
    open: () =>
      (async function* () {
        for (; emitted < 50_000; emitted++) yield { num: emitted }
      })(),
  })
  const look = defineBolt({
    input: Num,
    execute() {
      most = Math.max(most, emitted - executed++)
    },
  })
  await using cluster = await LocalCluster.start({ seed: 17 })
  const done = await cluster.complete(
    topology('flood', (t) => void t.bolt('look', look).shuffle(t.spout('source', flood))),
    { config: { check: false, inboxTuplesMax: 100 } },
  )
  expect(executed).toBe(50_000)
  expect(done.result).toMatchObject({ emitted: 50_000, acked: 50_000 })
  expect(most).toBeLessThanOrEqual(1_000)
})

test('deactivate pauses every kind of source, activate goes on, and the hooks run once each time', async () => {
  const hooks: string[] = []
  const spout = (kind: 'function' | 'generator') =>
    defineSpout({
      output: Num,
      open({ sleep }) {
        let num = 0
        if (kind === 'generator')
          return (async function* () {
            for (; ; num++) {
              await sleep(100)
              yield { num }
            }
          })()
        let next = 0
        return {
          nextTuple: (out) => sleep(100).then(() => out.emit({ num: next++ })),
          activate: () => void hooks.push('activate'),
          deactivate: () => void hooks.push('deactivate'),
        }
      },
    })
  await using cluster = await LocalCluster.start({ seed: 17 })
  const running = await cluster.submit(
    topology('pause', (t) => {
      t.bolt('from-function', sink).shuffle(t.spout('function', spout('function')))
      t.bolt('from-generator', sink).shuffle(t.spout('generator', spout('generator')))
    }),
  )
  const seen = (): number[] => ['from-function', 'from-generator'].map((id) => running.executed(id).length)
  await running.advance('1s')
  const before = seen()
  for (const count of before) expect(count).toBeGreaterThanOrEqual(8)
  await running.deactivate()
  await running.deactivate()
  await running.advance('10s')
  // what each was waiting for may still come
  for (const [i, count] of seen().entries()) expect(count - (before[i] as number)).toBeLessThanOrEqual(1)
  await running.activate()
  await running.advance('1s')
  for (const [i, count] of seen().entries()) expect(count - (before[i] as number)).toBeGreaterThanOrEqual(8)
  expect(hooks).toEqual(['activate', 'deactivate', 'activate'])
})

test.each(['auto', 'manual'] as const)('what an async bolt emits is executed while it goes on (%s)', async (ack) => {
  let heard: () => void = () => undefined
  const hasHeard = new Promise<void>((resolve) => (heard = resolve))
  const waits = defineBolt({
    input: Num,
    output: Num,
    ack: ack as 'manual',
    async execute(values, out, tuple) {
      // outside of any turn, and nothing else wakes the executor before this promise settles
      await new Promise((resolve) => setImmediate(resolve))
      out.emit(values)
      await hasHeard
      if (ack === 'manual') out.ack(tuple)
    },
  })
  const hears = defineBolt({ input: Num, execute: () => heard() })
  const one = defineSpout({ output: Num, open: () => [{ num: 1 }] })
  await using cluster = await LocalCluster.start({ seed: 17, time: 'real' })
  const done = await cluster.complete(
    topology('wake', (t) => void t.bolt('hears', hears).shuffle(t.bolt('waits', waits).shuffle(t.spout('source', one)))),
    { config: { messageTimeouts: false } },
  )
  expect(done.result).toMatchObject({ emitted: 1, acked: 1 })
})

test('what an async nextTuple emits is executed while it goes on', async () => {
  let heard: () => void = () => undefined
  const hasHeard = new Promise<void>((resolve) => (heard = resolve))
  const spout = defineSpout({
    output: Num,
    open: () => async (out) => {
      // outside of any turn, and nothing else wakes the executor before this promise settles
      await new Promise((resolve) => setImmediate(resolve))
      out.emit({ num: 1 })
      await hasHeard
      out.end()
    },
  })
  const hears = defineBolt({ input: Num, execute: () => heard() })
  await using cluster = await LocalCluster.start({ seed: 17, time: 'real' })
  const done = await cluster.complete(
    topology('wake', (t) => void t.bolt('hears', hears).shuffle(t.spout('source', spout))),
    { config: { messageTimeouts: false } },
  )
  expect(done.result).toMatchObject({ emitted: 1, acked: 1 })
})
