/** The hooks of components: when they run, in which order, and how often. */
import { describe, expect, test } from 'vitest'
import { defineBolt, defineSpout, topology, z } from '../../lib/index.ts'
import type { ManualOutput, SpoutOutput, TaskContext } from '../../lib/index.ts'
import { LocalCluster, feeder } from '../../lib/testing/index.ts'

const Num = z.object({ num: z.int() })
type Num = z.infer<typeof Num>

const spout = (log: string[], count = 2, isEndless = false) =>
  defineSpout({
    output: Num,
    open({ taskIndex }) {
      log.push(`open ${taskIndex}`)
      let num = 0
      return {
        nextTuple: (out) => (num < count ? out.emit({ num: num++ }) : isEndless ? undefined : out.end()),
        activate: () => void log.push(`activate ${taskIndex}`),
        deactivate: () => void log.push(`deactivate ${taskIndex}`),
        close: () => void log.push(`close ${taskIndex}`),
      }
    },
  })

const bolt = (log: string[], name: string) =>
  defineBolt({
    input: Num,
    output: Num,
    prepare({ taskIndex }) {
      log.push(`prepare ${name} ${taskIndex}`)
      return {
        execute: (values, out) => out.emit(values),
        finish(out) {
          log.push(`finish ${name} ${taskIndex}`)
          out.emit({ num: -1 })
        },
        cleanup: () => void log.push(`cleanup ${name} ${taskIndex}`),
      }
    },
  })

const count = (log: readonly string[], of: string): number => log.filter((one) => one.startsWith(of)).length

describe.each([1, 2, 4])('on %d executors', (executors) => {
  const start = () => LocalCluster.start({ seed: 23, executors })

  test('open and prepare first, finish from sources to readers once all is done, then close and cleanup, each once a task', async () => {
    const log: string[] = []
    await using cluster = await start()
    const done = await cluster.complete(
      topology('hooks', (t) => {
        const first = t.bolt('first', bolt(log, 'first'), { parallelism: 2 }).shuffle(t.spout('source', spout(log), { parallelism: 2 }))
        t.bolt('last', bolt(log, 'last'), { parallelism: 2 }).shuffle(t.bolt('middle', bolt(log, 'middle')).shuffle(first))
      }),
    )
    expect(done.result.state).toBe('finished')
    const phases = log.map((one) => one.replace(/ \d$/, '')).filter((one, i, all) => all.indexOf(one) === i)
    expect(phases.filter((phase) => phase.startsWith('finish'))).toEqual(['finish first', 'finish middle', 'finish last'])
    const lastOf = (of: string): number => log.findLastIndex((one) => one.startsWith(of))
    const firstOf = (of: string): number => log.findIndex((one) => one.startsWith(of))
    expect(Math.max(lastOf('open'), lastOf('prepare'))).toBeLessThan(firstOf('activate'))
    expect(lastOf('activate')).toBeLessThan(firstOf('finish'))
    expect(lastOf('finish')).toBeLessThan(Math.min(firstOf('close'), firstOf('cleanup')))
    for (const [of, times] of Object.entries({
      open: 2,
      activate: 2,
      close: 2,
      deactivate: 0,
      'prepare first': 2,
      'finish first': 2,
      'cleanup first': 2,
      'finish last': 2,
      'cleanup last': 2,
    }))
      expect([of, count(log, of)]).toEqual([of, times])
    // 4 tuples and what each task said at its end: the last word of a source reaches all that read it before they say theirs
    expect(done.executed('middle')).toHaveLength(4 + 2)
    expect(done.executed('last')).toHaveLength(4 + 2 + 1)
  })

  test('stopped: no finish, but close and cleanup, once, however often it is stopped', async () => {
    const log: string[] = []
    await using cluster = await start()
    const running = await cluster.submit(
      topology('stop', (t) => void t.bolt('only', bolt(log, 'only'), { parallelism: 2 }).shuffle(t.spout('source', spout(log, 2, true)))),
    )
    await running.advance('1s')
    expect(running.executed('only')).toHaveLength(2)
    const [one, two] = await Promise.all([running.kill(), running.kill()])
    expect([one.state, two.state]).toEqual(['stopped', 'stopped'])
    expect([count(log, 'finish'), count(log, 'close'), count(log, 'cleanup')]).toEqual([0, 1, 2])
  })

  test('a bolt that cannot be prepared: a coded error, nothing runs, what was prepared is cleaned up, once', async () => {
    const log: string[] = []
    const broken = defineBolt({
      input: Num,
      prepare({ taskIndex }) {
        if (taskIndex === 1) throw new Error('no connection')
        return { execute: () => undefined, cleanup: () => void log.push('cleanup broken') }
      },
    })
    const wired = topology('broken', (t) => {
      const source = t.spout('source', spout(log))
      t.bolt('good', bolt(log, 'good')).shuffle(source)
      t.bolt('broken', broken, { parallelism: 2 }).shuffle(source)
    })
    await using cluster = await start()
    const fault = { code: 'component-start', what: 'broken could not start: no connection', where: { component: 'broken' } }
    await expect(cluster.submit(wired)).rejects.toMatchObject(fault)
    expect(count(log, 'activate')).toBe(0)
    expect([count(log, 'cleanup good'), count(log, 'close')]).toEqual([count(log, 'prepare good'), count(log, 'open')])
    log.length = 0
    const inactive = await cluster.submit(wired, { inactive: true })
    await expect(inactive.activate()).rejects.toMatchObject(fault)
    await inactive.kill()
    expect([count(log, 'cleanup good'), count(log, 'close')]).toEqual([count(log, 'prepare good'), count(log, 'open')])
  })

  test('finish may be async and wait; what it throws fails the run, and the others are still closed', async () => {
    const log: string[] = []
    const waits = defineBolt({
      input: Num,
      output: Num,
      prepare: ({ sleep }) => ({
        execute: () => undefined,
        async finish(out) {
          await sleep(60_000)
          out.emit({ num: 7 })
        },
      }),
    })
    await using cluster = await start()
    const done = await cluster.complete(
      topology(
        'waits',
        (t) => void t.bolt('last', bolt(log, 'last')).shuffle(t.bolt('waits', waits).shuffle(t.spout('source', spout(log)))),
      ),
    )
    expect(done.executed('last').map(({ values }) => values)).toEqual([{ num: 7 }])

    const throws = (where: 'finish' | 'cleanup') =>
      defineBolt({
        input: Num,
        prepare: () => ({
          execute: () => undefined,
          [where]: () => {
            throw new Error('at the end')
          },
        }),
      })
    for (const where of ['finish', 'cleanup'] as const) {
      log.length = 0
      const wired = topology('throws', (t) => void t.bolt('last', bolt(log, 'last')).shuffle(t.spout('source', spout(log))))
      const with2 = topology('throws', (t) => {
        const source = t.spout('source', spout(log))
        t.bolt('throws', throws(where)).shuffle(source)
        t.bolt('last', bolt(log, 'last')).shuffle(source)
      })
      void wired
      await expect(cluster.complete(with2)).rejects.toMatchObject({ code: 'finish-threw', where: { component: 'throws' } })
      expect([count(log, 'cleanup last'), count(log, 'close')]).toEqual([1, 1])
    }
  })

  test('a tick may emit, does not belong to a tree, and its errors are reported and no more', async () => {
    const source = feeder(Num)
    const ticks = defineBolt({
      input: Num,
      output: Num,
      tick: '1s',
      prepare() {
        let num = 0
        return {
          execute: () => undefined,
          onTick(out) {
            out.emit({ num: ++num })
            if (num === 2) throw new Error('a bad tick')
          },
        }
      },
    })
    const failing = defineBolt({
      input: Num,
      execute() {
        throw new Error('no one waits for this')
      },
    })
    await using cluster = await start()
    const running = await cluster.submit(
      topology('ticks', (t) => void t.bolt('failing', failing).shuffle(t.bolt('ticks', ticks).shuffle(t.spout('source', source.spout)))),
    )
    await running.advance('3s')
    expect(running.tuples('ticks')).toEqual([{ num: 1 }, { num: 2 }, { num: 3 }])
    expect(running.errors.map(({ component }) => component).toSorted()).toEqual(['failing', 'failing', 'failing', 'ticks'])
    expect(running.snapshot().totals).toMatchObject({ emitted: 0, failed: 0 })
  })

  test('no tick comes after finish, though the finish of a reader takes longer', async () => {
    const log: string[] = []
    const ticks = defineBolt({
      input: Num,
      tick: '1s',
      output: Num,
      prepare: () => ({ execute: () => undefined, onTick: () => void log.push('tick'), finish: () => void log.push('finish') }),
    })
    const slow = defineBolt({ input: Num, prepare: ({ sleep }) => ({ execute: () => undefined, finish: () => sleep(5_000) }) })
    await using cluster = await start()
    const running = await cluster.submit(
      topology('ticks', (t) => void t.bolt('slow', slow).shuffle(t.bolt('ticks', ticks).shuffle(t.spout('source', spout([]))))),
    )
    expect((await running.complete()).state).toBe('finished')
    expect(running.nowMs).toBeGreaterThanOrEqual(5_000)
    expect(log).toEqual(['finish'])
  })

  test('every hook may wait for the clock of the run', async () => {
    const waited: string[] = []
    const wait = async ({ now, sleep }: TaskContext, hook: string): Promise<void> => {
      const before = now()
      await sleep(250)
      waited.push(`${hook} ${now() - before >= 250}`)
    }
    const source = defineSpout({
      output: Num,
      async open(context) {
        await wait(context, 'open')
        return { nextTuple: (out) => out.end(), close: () => wait(context, 'close') }
      },
    })
    const sink = defineBolt({
      input: Num,
      async prepare(context) {
        await wait(context, 'prepare')
        return { execute: () => undefined, finish: () => wait(context, 'finish'), cleanup: () => wait(context, 'cleanup') }
      },
    })
    await using cluster = await start()
    const done = await cluster.complete(topology('waits', (t) => void t.bolt('sink', sink).shuffle(t.spout('source', source))))
    expect(done.result.state).toBe('finished')
    expect(waited.toSorted()).toEqual(['cleanup true', 'close true', 'finish true', 'open true', 'prepare true'])
  })

  test('the context: names, numbers, time, chance, counters', async () => {
    const seen: unknown[] = []
    const look = defineBolt({
      input: Num,
      prepare(context) {
        seen.push([
          context.topology,
          context.component,
          context.task,
          context.taskIndex,
          context.taskCount,
          context.tasksOf('source'),
          context.tasksOf('nobody'),
          context.random.int32(),
        ])
        return async () => {
          const [now, date] = [context.now(), context.date()]
          await context.sleep(250)
          seen.push([context.now() - now, context.date() - date])
          context.count('looks')
          context.count('weight', 5)
        }
      },
    })
    const run = async (): Promise<unknown[]> => {
      seen.length = 0
      await using cluster = await start()
      const done = await cluster.complete(
        topology(
          'context',
          (t) => void t.bolt('look', look, { parallelism: 2 }).shuffle(t.spout('source', spout([], 4), { parallelism: 1 })),
        ),
      )
      const counters = done
        .snapshot()
        .components.find(({ id }) => id === 'look')
        ?.tasks.map((task) => task.counters)
      expect(counters).toEqual([
        { looks: 2, weight: 10 },
        { looks: 2, weight: 10 },
      ])
      return [...seen]
    }
    const first = await run()
    const number = expect.any(Number) as number
    expect(first.slice(0, 2).toSorted()).toEqual([
      ['context', 'look', 1, 0, 2, [0], [], number],
      ['context', 'look', 2, 1, 2, [0], [], number],
    ])
    expect(first.slice(2)).toEqual([
      [250, 250],
      [250, 250],
      [250, 250],
      [250, 250],
    ])
    expect(await run()).toEqual(first)
  })
})

describe.each([1, 2])('what is emitted when all is over is told, on %d executors', (executors) => {
  const start = () => LocalCluster.start({ seed: 29, executors })
  const late = { code: 'emit-outside' }

  test('by close of a spout', async () => {
    const source = defineSpout({
      output: Num,
      open() {
        let kept: SpoutOutput<{ default: Num }>
        return {
          nextTuple(out) {
            kept = out
            out.end()
          },
          close: () => kept.emit({ num: 1 }),
        }
      },
    })
    await using cluster = await start()
    const wired = topology('late', (t) => void t.bolt('last', bolt([], 'last')).shuffle(t.spout('source', source)))
    const error = await cluster.complete(wired).then(
      ({ result }) => result.error,
      (thrown: unknown) => thrown,
    )
    expect(error).toMatchObject({ ...late, what: 'source emitted after out.end()', where: { component: 'source' } })
  })

  test('by a callback of a spout that has ended', async () => {
    let thrown: unknown
    const source = defineSpout({
      output: Num,
      open:
        ({ sleep }) =>
        (out) => {
          out.emit({ num: 1 })
          out.end()
          out.emit({ num: 2 }) // no harm: it is still being asked
          void sleep(10)
            .then(() => out.emit({ num: 3 }))
            .catch((error: unknown) => (thrown = error))
        },
    })
    const slow = defineBolt({
      input: Num,
      ack: 'manual',
      concurrency: 2,
      prepare: ({ sleep }) => ({ execute: (_, out, tuple) => (out.ack(tuple), sleep(100)) }),
    })
    await using cluster = await start()
    const done = await cluster.complete(topology('late', (t) => void t.bolt('slow', slow).shuffle(t.spout('source', source))))
    expect(done.tuples('source')).toEqual([{ num: 1 }, { num: 2 }])
    expect(thrown).toMatchObject(late)
  })

  test('by cleanup of a bolt with manual acking', async () => {
    const work = defineBolt({
      input: Num,
      output: Num,
      ack: 'manual',
      prepare() {
        let kept: ManualOutput<{ default: Num }> | undefined
        return {
          execute(_values, out, tuple) {
            kept = out
            out.ack(tuple)
          },
          cleanup: () => kept?.emit({ num: 1 }),
        }
      },
    })
    await using cluster = await start()
    const wired = topology(
      'late',
      (t) => void t.bolt('last', bolt([], 'last')).shuffle(t.bolt('work', work).shuffle(t.spout('source', spout([])))),
    )
    const error = await cluster.complete(wired).then(
      ({ result }) => result.error,
      (thrown: unknown) => thrown,
    )
    expect(error).toMatchObject({ ...late, what: 'work emitted after every bolt had finished', where: { component: 'work' } })
  })
})
