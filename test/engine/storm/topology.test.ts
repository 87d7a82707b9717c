/**
 * Storm's TopologyIntegrationTest (without acking, which is in `acking.test.ts`) and TopologyBuilderTest.
 *
 * Not here, because Squall has no such thing: Kryo decorators (tuples travel by schema), task hooks (testHooks counts what
 * `snapshot()` counts for every task, which is what we test in their place) and worker-wide resources (a task gets what it needs
 * in `prepare`; settings of the user's own reach it through `context.config`, which is tested). Checkpoint wiring of
 * stateful topologies is not built yet.
 */
import { describe, expect, test } from 'vitest'
import { SquallError } from '../../../lib/errors.ts'
import { defineBolt, defineSpout, topology, z } from '../../../lib/index.ts'
import type { StreamHandle, TaskContext, TopologyDefinition } from '../../../lib/index.ts'
import { LocalCluster, feeder } from '../../../lib/testing/index.ts'
import { Num, Word, basicTopology, globalCount, wordCount, words } from './parts.ts'

const fed = [{ word: 'nathan' }, { word: 'bob' }, { word: 'joey' }, { word: 'nathan' }]

function sorted(tuples: readonly object[]): string[] {
  return tuples.map((tuple) => JSON.stringify(tuple)).toSorted()
}

describe.each([1, 2, 4])('on %d executors', (executors) => {
  test('testBasicTopology: the exact multiset of counts, and global counts in order', async () => {
    await using cluster = await LocalCluster.start({ seed: 3, executors })
    const done = await cluster.complete(basicTopology, { sources: { one: fed } })
    expect(sorted(done.tuples('one'))).toEqual(sorted(fed))
    expect(sorted(done.tuples('two'))).toEqual(
      sorted([
        { word: 'nathan', count: 1 },
        { word: 'nathan', count: 2 },
        { word: 'bob', count: 1 },
        { word: 'joey', count: 1 },
      ]),
    )
    const upToFour = [{ count: 1 }, { count: 2 }, { count: 3 }, { count: 4 }]
    expect(done.tuples('three')).toEqual(upToFour)
    expect(done.tuples('four')).toEqual(upToFour)
  })

  test('testMultiTasksPerCluster: six tasks of one bolt all get the one tuple', async () => {
    const emitIndex = defineBolt({
      input: Word,
      output: z.object({ index: z.int() }),
      prepare:
        ({ taskIndex }) =>
        (_values, out) =>
          out.emit({ index: taskIndex }),
    })
    const wired = topology('tasks', (t) => void t.bolt('two', emitIndex, { parallelism: 3, tasks: 6 }).all(t.spout('one', words)))
    await using cluster = await LocalCluster.start({ seed: 3, executors })
    const done = await cluster.complete(wired, { sources: { one: [{ word: 'a' }] } })
    expect(
      done
        .tuples('two')
        .map((tuple) => (tuple as { index: number }).index)
        .toSorted(),
    ).toEqual([0, 1, 2, 3, 4, 5])
  })

  test('testSystemStream: __system can be read, and says of each task that it started', async () => {
    const source = feeder(Word)
    const told = defineBolt({
      input: z.object({ event: z.string() }),
      output: Word,
      execute: ({ event }, out) => out.emit({ word: event }),
    })
    const wired = topology('system', (t) => {
      const one = t.spout('one', source.spout)
      // the stream is there for every component, but is no part of what one declares
      t.bolt('told', told).global((one as unknown as { stream(name: string): StreamHandle<{ event: string }> }).stream('__system'))
    })
    await using cluster = await LocalCluster.start({ seed: 3, executors })
    const running = await cluster.submit(wired)
    await running.settle()
    expect(running.tuples('told')).toEqual([{ word: 'startup' }])
  })

  test('testSubmitInactiveTopology: neither open nor prepare runs until activate', async () => {
    const happened: string[] = []
    const spout = defineSpout({
      output: Word,
      open() {
        happened.push('open')
        return { nextTuple: (out) => out.end(), activate: () => void happened.push('activate') }
      },
    })
    const bolt = defineBolt({
      input: Word,
      prepare() {
        happened.push('prepare')
        return () => undefined
      },
    })
    await using cluster = await LocalCluster.start({ seed: 3, executors })
    const running = await cluster.submit(
      topology('inactive', (t) => void t.bolt('bolt', bolt).shuffle(t.spout('spout', spout))),
      { inactive: true },
    )
    await running.advance('10s')
    expect(happened).toEqual([])
    await running.activate()
    expect(happened.toSorted()).toEqual(['activate', 'open', 'prepare'])
    expect((await running.complete()).state).toBe('finished')
  })

  test('testHooks, as counts of every task: emitted, executed, acked and failed', async () => {
    const source = feeder(Num)
    const odd = defineBolt({
      input: Num,
      output: Num,
      ack: 'manual',
      execute({ num }, out, tuple) {
        out.emit({ num }, { anchors: tuple })
        if (num % 2 === 1) out.ack(tuple)
        else out.fail(tuple)
      },
    })
    const sink = defineBolt({ input: Num, execute: () => undefined })
    await using cluster = await LocalCluster.start({ seed: 3, executors })
    const running = await cluster.submit(
      topology('hooks', (t) => void t.bolt('sink', sink).shuffle(t.bolt('odd', odd).shuffle(t.spout('one', source.spout)))),
    )
    for (const num of [1, 2, 3, 4, 5]) source.feed({ num })
    await running.settle()
    const [spout, bolt, last] = running.snapshot().components.map(({ tasks }) => tasks[0])
    expect(spout).toMatchObject({ emitted: { default: 5 }, acked: 3, failed: 2, pending: 0 })
    expect(bolt).toMatchObject({ executed: { 'one.default': 5 }, emitted: { default: 5 }, acked: 3, failed: 2 })
    expect(last).toMatchObject({ executed: { 'odd.default': 5 }, acked: 5, failed: 0 })
  })

  test('testUserResourcesAreVisibleToTasks, as settings of the user: every task sees them', async () => {
    const tell = defineBolt({
      input: Word,
      output: Word,
      prepare:
        ({ config }) =>
        (_values, out) =>
          out.emit({ word: String(config['my.resource']) }),
    })
    const wired = topology('resources', (t) => void t.bolt('tell', tell, { parallelism: 4 }).all(t.spout('one', words)))
    await using cluster = await LocalCluster.start({ seed: 3, executors })
    const done = await cluster.complete(wired, { sources: { one: [{ word: 'a' }] }, config: { 'my.resource': 'there' } })
    expect(done.tuples('tell')).toEqual(Array.from({ length: 4 }, () => ({ word: 'there' })))
  })
})

describe('testValidateTopologystructure', () => {
  const loose = (component: string, streamName = 'default'): StreamHandle<{ word: string }> => ({ component, streamName, feedback: false })

  async function codes(wired: TopologyDefinition): Promise<readonly string[]> {
    await using cluster = await LocalCluster.start({ seed: 3 })
    try {
      await cluster.submit(wired)
    } catch (error) {
      if (error instanceof SquallError) return [error, ...error.faults].map(({ code }) => code)
      throw error
    }
    return []
  }

  const reading = (source: (t: StreamHandle<{ word: string }>) => StreamHandle<{ word: string }>, field = 'word'): TopologyDefinition =>
    topology(
      'validate',
      (t) => void t.bolt('two', wordCount, { parallelism: 4 }).fields(source(t.spout('one', words, { parallelism: 3 })), [field as 'word']),
    )

  test('a sound one is taken', async () => expect(await codes(reading((one) => one))).toEqual([]))
  test('a component that is not there', async () => expect(await codes(reading(() => loose('nobody')))).toEqual(['unknown-component']))
  test('a stream that is not there', async () => expect(await codes(reading(() => loose('one', 'other')))).toEqual(['unknown-stream']))
  test('a field that is not there', async () => expect(await codes(reading((one) => one, 'non-exists-field'))).toEqual(['unknown-field']))
})

describe('testComponentSpecificConfig', () => {
  test('the component wins over the topology, the topology over the default, and unknown keys are kept', async () => {
    const seen = new Map<string, TaskContext['config']>()
    const spout = defineSpout({
      output: Word,
      config: { spoutPendingMax: 20, fake: 123 },
      open({ config }) {
        seen.set('spout', config)
        return (out) => out.end()
      },
    })
    const bolt = defineBolt({
      input: Word,
      config: { tickMs: '7s', fake: 'of the bolt' },
      prepare({ config, component }) {
        seen.set(component, config)
        return () => undefined
      },
    })
    const wired = topology('config', (t) => {
      t.config({ spoutPendingMax: 30, messageTimeoutMs: '40s', fake: 'of the topology', 'fake.config2': 987 })
      const source = t.spout('spout', spout)
      t.bolt('own', bolt).shuffle(source)
      t.bolt('placed', bolt, { config: { tickMs: '9s', 'fake.config2': 789 } }).shuffle(source)
    })
    await using cluster = await LocalCluster.start({ seed: 3 })
    await cluster.complete(wired, { config: { messageTimeoutMs: '50s' } })
    expect(seen.get('spout')).toMatchObject({ spoutPendingMax: 20, messageTimeoutMs: 50_000, fake: 123, 'fake.config2': 987 })
    expect(seen.get('own')).toMatchObject({ spoutPendingMax: 30, tickMs: 7_000, fake: 'of the bolt', 'fake.config2': 987 })
    expect(seen.get('placed')).toMatchObject({ tickMs: 9_000, fake: 'of the bolt', 'fake.config2': 789, replayLimit: 5 })
  })

  test('a setting of the whole topology is refused at a component', async () => {
    const wired = topology(
      'config',
      (t) => void t.bolt('bolt', globalCount(Word), { config: { ack: false } }).shuffle(t.spout('spout', words)),
    )
    await using cluster = await LocalCluster.start({ seed: 3 })
    await expect(cluster.submit(wired)).rejects.toMatchObject({ code: 'bad-config', where: { component: 'bolt' } })
  })
})

describe('TopologyBuilderTest', () => {
  test.each([0, -1, 1.5])('refuses a parallelism of %d', async (parallelism) => {
    await using cluster = await LocalCluster.start({ seed: 3 })
    const spoutFault = topology('builder', (t) => void t.spout('spout', words, { parallelism }))
    const boltFault = topology('builder', (t) => void t.bolt('bolt', wordCount, { parallelism }).shuffle(t.spout('spout', words)))
    const tasksFault = topology('builder', (t) => void t.bolt('bolt', wordCount, { tasks: parallelism }).shuffle(t.spout('spout', words)))
    await expect(cluster.submit(spoutFault)).rejects.toMatchObject({ code: 'bad-parallelism', where: { component: 'spout' } })
    await expect(cluster.submit(boltFault)).rejects.toMatchObject({ code: 'bad-parallelism', where: { component: 'bolt' } })
    await expect(cluster.submit(tasksFault)).rejects.toMatchObject({ code: 'bad-parallelism', where: { component: 'bolt' } })
  })

  test('an id is used once', async () => {
    const wired = topology('builder', (t) => {
      t.spout('same', words)
      t.spout('same', words)
    })
    await using cluster = await LocalCluster.start({ seed: 3 })
    await expect(cluster.submit(wired)).rejects.toMatchObject({ code: 'duplicate-id', where: { component: 'same' } })
  })
})
