/** The test kit itself: what its parts promise in docs/TESTING.md. */
import { stat } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { defineBolt, defineSpout, topology, z } from '../../lib/index.ts'
import { Random } from '../../lib/std/random.ts'
import { LocalCluster, feeder, fixedSpout } from '../../lib/testing/index.ts'
import type { Feeder } from '../../lib/testing/index.ts'

const Num = z.object({ num: z.int() })
const sink = defineBolt({ input: Num, execute: () => undefined })
const numbers = (count: number): { num: number }[] => Array.from({ length: count }, (_, num) => ({ num }))
const numsOf = (tuples: readonly object[]): number[] => tuples.map((tuple) => (tuple as { num: number }).num).toSorted((a, b) => a - b)

describe('sources', () => {
  const twoStreams = defineSpout({ output: Num, outputs: { late: Num }, open: () => (out) => out.end() })

  test('replace a spout, over all its tasks, by stream', async () => {
    await using cluster = await LocalCluster.start({ seed: 1, executors: 2 })
    const wired = topology('mocked', (t) => {
      const source = t.spout('source', twoStreams, { parallelism: 3 })
      t.bolt('sink', sink).shuffle(source)
      t.bolt('late', sink).shuffle(source.stream('late'))
    })
    const done = await cluster.complete(wired, { sources: { source: { default: numbers(10), late: [{ num: 99 }] } } })
    expect(numsOf(done.tuples('source'))).toEqual(numsOf(numbers(10)))
    expect(done.tuples('source', 'late')).toEqual([{ num: 99 }])
    expect(done.executed('late')).toMatchObject([{ values: { num: 99 }, input: 'default', taskIndex: 0 }])
    expect(done.snapshot().components[0]?.tasks.map(({ emitted }) => (emitted['default'] ?? 0) + (emitted['late'] ?? 0))).toEqual([4, 4, 3])
  })

  test('an id that is no spout is a coded error, as is a tuple that does not fit', async () => {
    await using cluster = await LocalCluster.start({ seed: 1 })
    const wired = topology('mocked', (t) => void t.bolt('sink', sink).shuffle(t.spout('source', twoStreams)))
    await expect(cluster.complete(wired, { sources: { sink: [] } })).rejects.toMatchObject({ code: 'unknown-source' })
    await expect(cluster.complete(wired, { sources: { source: [{ num: 'one' }] } })).rejects.toMatchObject({ code: 'value-mismatch' })
    await expect(cluster.complete(wired, { sources: { source: { nowhere: [{}] } } })).rejects.toMatchObject({ code: 'bad-emit' })
  })

  test('fixedSpout: each tuple once over all tasks, and again when it fails', async () => {
    const once = defineBolt({
      input: Num,
      prepare() {
        const seen = new Set<number>()
        return ({ num }) => {
          if (num % 3 !== 0 || seen.has(num)) return
          seen.add(num)
          throw new Error('the first time')
        }
      },
    })
    await using cluster = await LocalCluster.start({ seed: 1 })
    const done = await cluster.complete(
      topology('fixed', (t) => void t.bolt('once', once).shuffle(t.spout('source', fixedSpout(Num, numbers(9)), { parallelism: 2 }))),
    )
    expect(numsOf(done.executed('once').map(({ values }) => values))).toEqual([0, 0, 1, 2, 3, 3, 4, 5, 6, 6, 7, 8])
    expect(done.result).toMatchObject({ emitted: 9, acked: 9, failed: 3, replayed: 3 })
  })

  test('a feeder: ids of its own or given, and the end', async () => {
    const source = feeder(Num)
    await using cluster = await LocalCluster.start({ seed: 1 })
    const running = await cluster.submit(topology('fed', (t) => void t.bolt('sink', sink).shuffle(t.spout('source', source.spout))))
    source.feed({ num: 1 })
    source.feed({ num: 2 }, 'mine')
    source.feed({ num: 3 })
    await running.settle()
    expect(source.acked).toEqual([0, 'mine', 1])
    expect([source.takeAcked(), source.takeAcked()]).toEqual([3, 0])
    source.end()
    expect(await running.complete()).toMatchObject({ state: 'finished', acked: 3 })
  })
})

test('what passed is noted as it was, whatever becomes of it', async () => {
  const Box = z.object({ num: z.int(), tags: z.array(z.string()) })
  const changes = defineBolt({ input: Box, execute: (values) => void ((values as { num: number }).num = -1) })
  await using cluster = await LocalCluster.start({ seed: 1 })
  const done = await cluster.complete(
    topology('noted', (t) => void t.bolt('changes', changes).shuffle(t.spout('source', fixedSpout(Box, [{ num: 1, tags: [] }])))),
  )
  expect(done.tuples('source')).toEqual([{ num: 1, tags: [] }])
  expect(done.executed('changes').map(({ values }) => values)).toEqual([{ num: 1, tags: [] }])
})

describe('time', () => {
  test('stands still for what happens outside it', async () => {
    const seen: number[] = []
    const outside = defineBolt({
      input: Num,
      concurrency: 2,
      prepare:
        ({ now }) =>
        async () => {
          await stat(import.meta.filename) // a call of a service, say
          seen.push(now())
        },
    })
    await using cluster = await LocalCluster.start({ seed: 1 })
    const done = await cluster.complete(
      topology('outside', (t) => void t.bolt('outside', outside).shuffle(t.spout('source', fixedSpout(Num, numbers(4))))),
      {
        config: { messageTimeoutMs: 1 },
      },
    )
    expect(seen).toEqual([0, 0, 0, 0])
    expect(done.result).toMatchObject({ acked: 4, expired: 0 })
  })

  test('is what a run took, too', async () => {
    const source = feeder(Num)
    await using cluster = await LocalCluster.start({ seed: 1 })
    const wired = topology('timed', (t) => void t.bolt('sink', sink).shuffle(t.spout('source', source.spout)))
    const running = await cluster.submit(wired, { inactive: true })
    await running.advance('3s')
    await running.activate()
    await running.advance('40s')
    expect(running.snapshot().uptimeMs).toBe(40_000)
    source.end()
    await running.advance('2s')
    expect((await running.complete()).seconds).toBe(40)
    expect(running.snapshot().uptimeMs).toBe(40_000)
  })

  test('cannot be advanced or settled when it is real', async () => {
    await using cluster = await LocalCluster.start({ time: 'real' })
    const running = await cluster.submit(topology('real', (t) => void t.spout('source', feeder(Num).spout)))
    await expect(running.advance('1s')).rejects.toThrow('only virtual time can be waited for by advance()')
    await expect(running.settle()).rejects.toThrow('only virtual time can be waited for by settle()')
    expect((await running.kill()).state).toBe('stopped')
  })

  test('complete gives up after limitMs of it', async () => {
    const source = feeder(Num)
    await using cluster = await LocalCluster.start({ seed: 1 })
    await expect(
      cluster.complete(
        topology('limit', (t) => void t.bolt('sink', sink).shuffle(t.spout('source', source.spout))),
        { limitMs: '2s' },
      ),
    ).rejects.toMatchObject({
      code: 'not-done-in-time',
      what: 'limit was not done after 2000 ms of its time',
    })
  })

  test('what is no time is a coded error, and not no time at all', async () => {
    const bad = (what: string): unknown => expect.objectContaining({ code: 'bad-option', what })
    await expect(LocalCluster.start({ time: 'Virtual' as 'virtual' })).rejects.toEqual(
      bad('the option time of LocalCluster.start is "Virtual"'),
    )
    await using cluster = await LocalCluster.start({ seed: 1 })
    const source = feeder(Num)
    const wired = topology('timed', (t) => void t.bolt('sink', sink).shuffle(t.spout('source', source.spout)))
    await expect(cluster.complete(wired, { limitMs: 'soon' })).rejects.toEqual(bad('the option limitMs of complete is "soon"'))
    const running = await cluster.submit(wired)
    await expect(running.advance('5 parsec')).rejects.toEqual(bad('the option duration of advance is "5 parsec"'))
    await expect(running.advance(-5)).rejects.toEqual(bad('the option duration of advance is -5'))
    await expect(running.complete('-1s')).rejects.toEqual(bad('the option limitMs of complete is "-1s"'))
    expect(running.nowMs).toBe(0)
    await running.advance('5 s')
    expect(running.nowMs).toBe(5_000)
    await expect(running.complete('6s')).rejects.toMatchObject({ code: 'not-done-in-time' })
  })

  test('complete gives up when a hook never settles', { timeout: 60_000 }, async () => {
    const stuck = defineBolt({
      input: Num,
      prepare: () => ({ execute: () => undefined, finish: () => new Promise<void>(() => undefined) }),
    })
    const wired = topology('stuck', (t) => void t.bolt('stuck', stuck).shuffle(t.spout('source', feeder(Num).spout)))
    await using cluster = await LocalCluster.start({ seed: 1 })
    const options = { sources: { source: [] }, config: { messageTimeouts: false, closeTimeoutMs: 1 } }
    await expect(cluster.complete(wired, options)).rejects.toMatchObject({ code: 'not-done-in-time' })
  })
})

test('a source that never pauses is told instead of running for ever', { timeout: 60_000 }, async () => {
  const endless = defineSpout({ output: Num, tracked: false, open: () => (out) => out.emit({ num: 1 }) })
  await using cluster = await LocalCluster.start({ seed: 1 })
  const running = await cluster.submit(
    topology('endless', (t) => void t.spout('source', endless)),
    { config: { check: false } },
  )
  await expect(running.settle()).rejects.toMatchObject({ code: 'not-done-in-time' })
})

describe('a run that has failed', () => {
  const wrong = defineBolt({
    input: Num,
    output: Num,
    execute: ({ num }, out) => out.emit({ num: num === 2 ? ('two' as never) : num }),
  })
  const failing = (source: Feeder<{ num: number }>) =>
    topology('failing', (t) => void t.bolt('wrong', wrong).shuffle(t.spout('source', source.spout)))

  test.each(['settle', 'advance', 'complete'] as const)('is told by %s, each time it is asked', async (method) => {
    const source = feeder(Num)
    await using cluster = await LocalCluster.start({ seed: 1 })
    const running = await cluster.submit(failing(source))
    const ask = (): Promise<unknown> => (method === 'advance' ? running.advance('1s') : running[method]())
    source.feed({ num: 1 })
    await running.settle()
    expect(running.errors).toEqual([])
    source.feed({ num: 2 })
    await expect(ask()).rejects.toMatchObject({ code: 'value-mismatch', where: { component: 'wrong' } })
    await expect(ask()).rejects.toMatchObject({ code: 'value-mismatch' })
    expect(running.errors).toMatchObject([{ component: 'wrong', message: expect.stringContaining('"two"') as string }])
    expect(running.tuples('wrong')).toEqual([{ num: 1 }])
    expect((await running.kill()).state).toBe('failed')
  })

  test('in real time is told by complete', async () => {
    const source = feeder(Num)
    await using cluster = await LocalCluster.start({ time: 'real' })
    const running = await cluster.submit(failing(source))
    source.feed({ num: 2 })
    await expect(running.complete()).rejects.toMatchObject({ code: 'value-mismatch' })
  })
})

test('the cluster stops what still runs in it when it is disposed of', async () => {
  const closed: string[] = []
  const spout = (name: string) =>
    defineSpout({ output: Num, open: () => ({ nextTuple: () => undefined, close: () => void closed.push(name) }) })
  {
    await using cluster = await LocalCluster.start({ seed: 1 })
    for (const name of ['a', 'b']) await cluster.submit(topology(name, (t) => void t.spout('source', spout(name))))
    expect(closed).toEqual([])
  }
  expect(closed).toEqual(['a', 'b'])
})

test('each cluster has a seed, its own unless one is given, and one seed gives one run', async () => {
  const draw = defineBolt({
    input: Num,
    output: Num,
    prepare:
      ({ random }) =>
      (_values, out) =>
        out.emit({ num: random.below(1_000_000) }),
  })
  const run = async (seed?: number): Promise<{ readonly seed: number; readonly drawn: readonly object[] }> => {
    await using cluster = await LocalCluster.start({ executors: 3, ...(seed !== undefined && { seed }) })
    const wired = topology(
      'draw',
      (t) => void t.bolt('draw', draw, { parallelism: 3 }).shuffle(t.spout('source', fixedSpout(Num, numbers(20)))),
    )
    return { seed: cluster.seed, drawn: (await cluster.complete(wired)).tuples('draw') }
  }
  const [first, second] = [await run(), await run()]
  expect(second.seed).not.toBe(first.seed)
  expect(second.drawn).not.toEqual(first.drawn)
  expect((await run(first.seed)).drawn).toEqual(first.drawn)
})

test('names of components and streams that are not there', async () => {
  await using local = await LocalCluster.start({ seed: 1 })
  const Word = z.object({ word: z.string() })
  const pass = defineBolt({ input: Word, outputs: { late: Word }, execute: () => undefined })
  const done = await local.complete(topology('t', (t) => void t.bolt('pass', pass).shuffle(t.spout('words', fixedSpout(Word, [])))))
  expect(() => done.tuples('pas')).toThrow(expect.objectContaining({ code: 'unknown-component', help: 'did you mean pass?' }))
  expect(() => done.executed('wrods')).toThrow(expect.objectContaining({ code: 'unknown-component', help: 'did you mean words?' }))
  expect(() => done.tuples('pass')).toThrow(expect.objectContaining({ code: 'unknown-stream', help: 'known: late' }))
  expect([done.tuples('pass', 'late'), done.tuples('words', 'dead-letter')]).toEqual([[], []])
})

describe('an executor that is killed', () => {
  /** Goes on after the last number before which all are done. */
  const resuming = (count: number) =>
    defineSpout({
      output: Num,
      replay: true,
      open({ position = 0, savePosition }) {
        let next = position
        let low = position
        const done = new Set<unknown>()
        return {
          nextTuple(out) {
            if (next === count) out.end()
            else out.emit({ num: next }, next++)
          },
          ack(id) {
            done.add(id)
            while (done.has(low)) low++
            savePosition(low)
          },
        }
      },
    })
  /** Each tuple takes 10 ms of the topology's time; what is emitted goes to another bolt. */
  const wired = (count: number) =>
    topology('killed', (t) => {
      const slow = defineBolt({
        input: Num,
        output: Num,
        concurrency: 4,
        prepare:
          ({ sleep, count: counted }) =>
          async ({ num }: { num: number }, out) => {
            await sleep(10)
            counted('slept')
            out.emit({ num })
          },
      })
      t.bolt('sink', sink, { parallelism: 3 }).shuffle(
        t.bolt('slow', slow, { parallelism: 3 }).shuffle(t.spout('source', resuming(count), { parallelism: 1 })),
      )
    })

  test.each([1, 2, 3])('of %d, at random moments: every input is done at least once, and one seed gives one run', async (executors) => {
    const live = async (seed: number) => {
      await using cluster = await LocalCluster.start({ seed, executors })
      const running = await cluster.submit(wired(200), { config: { executorRestartsMax: 100 } })
      const random = new Random(seed)
      for (let kills = 0; kills < 5; kills++) {
        await running.advance(random.below(20))
        running.killExecutor(random.below(executors))
      }
      const result = await running.complete('1h')
      // what was acked behind a gap is emitted once more by a spout that died
      expect(result.state).toBe('finished')
      expect(result.acked).toBe(result.emitted)
      expect(result.acked).toBeGreaterThanOrEqual(200)
      expect(running.snapshot().executorRestarts).toBe(5)
      expect(running.errors.map(({ message }) => message)).toEqual(Array(5).fill('died (killed) and is started anew'))
      const seen = numsOf(running.executed('sink').map(({ values }) => values))
      expect([...new Set(seen)]).toEqual(numsOf(numbers(200)))
      const slept = running.snapshot().components.flatMap(({ tasks }) => tasks.map(({ counters }) => counters['slept'] ?? 0))
      expect(slept.reduce((sum, n) => sum + n)).toBe(running.tuples('slow').length)
      return { seen, result, nowMs: running.nowMs }
    }
    for (const seed of [1, 2, 3, 4, 5]) expect(await live(seed)).toEqual(await live(seed))
  })

  test('while it is under way in a bolt emits nothing more', async () => {
    const gate: { open: () => void } = { open: () => undefined }
    const outcomes: unknown[] = []
    const waits = defineBolt({
      input: Num,
      output: Num,
      concurrency: 2,
      async execute({ num }, out) {
        await new Promise<void>((resolve) => (gate.open = resolve))
        try {
          out.emit({ num })
          outcomes.push('emitted')
        } catch (error) {
          outcomes.push((error as { code?: string }).code)
        }
      },
    })
    await using cluster = await LocalCluster.start({ seed: 1 })
    const running = await cluster.submit(topology('late', (t) => void t.bolt('waits', waits).shuffle(t.spout('source', resuming(1)))))
    await running.settle()
    const openFirst = gate.open
    running.killExecutor(0)
    await running.settle()
    openFirst()
    await running.settle()
    expect(outcomes).toEqual(['emit-outside'])
    expect(running.tuples('waits')).toEqual([])
    gate.open()
    await running.complete()
    expect(running.tuples('waits')).toEqual([{ num: 0 }])
  })

  test('more often than executorRestartsMax ends the run', async () => {
    await using cluster = await LocalCluster.start({ seed: 1, executors: 2 })
    const running = await cluster.submit(wired(40), { config: { executorRestartsMax: 1 } })
    running.killExecutor(0)
    await running.settle()
    running.killExecutor(1)
    await expect(running.settle()).rejects.toMatchObject({ code: 'executor-lost' })
  })

  test('has to be there', async () => {
    await using cluster = await LocalCluster.start({ seed: 1, executors: 2 })
    const running = await cluster.submit(wired(1))
    expect(() => running.killExecutor(2)).toThrow(expect.objectContaining({ code: 'bad-option' }) as Error)
  })
})
