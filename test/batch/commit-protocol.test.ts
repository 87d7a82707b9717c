/**
 * The whole commit protocol under virtual time, over a disk in memory: the coordinator with its two logs, and the tasks with their stores. A crash comes
 * between every two steps of the disk; the next run finds what was written, or what was synced, and must count exactly.
 */
import { describe, expect, test } from 'vitest'
import { addBatchComponents } from '../../lib/batch/run/components.ts'
import { DStream } from '../../lib/batch/dstream/dstream.ts'
import { StreamGraph } from '../../lib/batch/dstream/graph.ts'
import { viewCommittedState } from '../../lib/batch/run/committed-state.ts'
import { MetadataLog } from '../../lib/batch/run/metadata-log.ts'
import { commitFormat, offsetFormat } from '../../lib/batch/run/metadata.ts'
import type { BatchSource, SourceKind } from '../../lib/batch/source.ts'
import { viewState } from '../../lib/batch/state/inspect.ts'
import { memorySource, stateSpec } from '../../lib/index.ts'
import type { ConfigInput, KeyState, TopologyDefinition } from '../../lib/index.ts'
import { Random } from '../../lib/std/random.ts'
import { LocalCluster } from '../../lib/testing/index.ts'
import { topology } from '../../lib/topology/builder.ts'
import { FaultDisk, savedIn } from './fault-disk.ts'

const stateDir = '/disk'
const output = '/disk/out'
const records = 15
const wordOf = (n: number): string => `w${(n * n) % 7}`

interface Slice {
  readonly from: number
  readonly to: number
}

/** The numbers below `upTo`, a few a batch. How many is left to chance: a batch that was begun shows when it is planned anew. */
function numbers(random: Random, upTo: number, kind: SourceKind): BatchSource<number> {
  return {
    kind,
    planner: () => {
      let taken = 0
      return {
        next: (last) => {
          const from = (taken = last === undefined ? 0 : (last as Slice).to)
          if (from === upTo) return undefined
          taken = Math.min(upTo, from + 3 + random.below(5))
          return { from, to: taken }
        },
        get hasEnded() {
          return taken === upTo
        },
      }
    },
    reader: () => ({
      partitions: () => 2,
      read: (range, partition, push) => {
        const { from, to } = range as Slice
        for (let n = from; n < to; n++) if (n % 2 === partition) push(n)
      },
    }),
  }
}

const counting = stateSpec((word: string, n: number | undefined, state: KeyState<number>) => {
  const sum = (state.getOption() ?? 0) + (n ?? 0)
  state.update(sum)
  return [word, sum] as const
})

/** Counts words; `given` has what each batch gave out, every time that it did. */
function counts(
  disk: FaultDisk,
  random: Random,
  given: Map<number, Set<string>>,
  { upTo = records, kind = 'transactional' }: { upTo?: number; kind?: SourceKind } = {},
): TopologyDefinition {
  return topology('counting', (t) => {
    const graph = new StreamGraph('counting', 0)
    graph.sources.set('numbers', numbers(random, upTo, kind))
    const counted = new DStream<number>(graph, { name: 'numbers', parents: [] }, (scope) => scope.source<number>('numbers'))
      .map((n) => [wordOf(n), 1])
      .reduceByKey((a, b) => a + b)
      .mapWithState(counting, { name: 'counts' })
    counted.foreachRDD(async (rdd, { txid }) => {
      const all = given.get(txid) ?? new Set<string>()
      const now = (await rdd.collect()).map(String).sort().join(' ')
      all.delete(now) // the last one given is the last of the set
      given.set(txid, all.add(now))
      if (kind === 'opaque' && random.below(3) === 0) throw new Error('again')
    })
    counted.saveOnce(output)
    graph.finish()
    addBatchComponents(t, graph, disk)
  })
}

/** Runs to the end, or to the crash of the disk; what else ends a run is an error of ours. */
async function run(
  definition: TopologyDefinition,
  disk: FaultDisk,
  executors: number,
  config: ConfigInput = { batchAttemptsMax: 1 },
): Promise<void> {
  const cluster = await LocalCluster.start({ seed: 3, executors, patienceMs: 0 })
  try {
    await cluster.complete(definition, { config: { stateDir, ...config }, limitMs: '10m' })
  } catch (error) {
    if (!disk.isDown) throw error
  } finally {
    await cluster[Symbol.asyncDispose]().catch(() => undefined)
  }
}

/** What is on the disk after a run that ended, and what it gave out, against a count of our own. */
async function check(disk: FaultDisk, given: ReadonlyMap<number, ReadonlySet<string>>, kind: SourceKind): Promise<void> {
  const folder = `${stateDir}/batches`
  const planned = await MetadataLog.read({ folder, format: offsetFormat, files: disk })
  const committed = await MetadataLog.read({ folder, format: commitFormat, files: disk })
  const txids = planned.map(({ batch }) => batch)
  expect(txids).toEqual(txids.map((_, i) => i + 1))
  expect(committed.map(({ batch }) => batch)).toEqual(txids)

  const sums = new Map<string, number>()
  const saved = savedIn(disk, output)
  let next = 0
  for (const { batch, entry } of planned) {
    const { from, to } = (entry.offsets['numbers'] ?? { from: next, to: next }) as Slice
    const touched = new Set<string>()
    expect(from).toBe(next)
    for (; next < to; next++) {
      sums.set(wordOf(next), (sums.get(wordOf(next)) ?? 0) + 1)
      touched.add(wordOf(next))
    }
    const expected = [...touched].map((word) => `${word},${sums.get(word)}`).sort()
    // an opaque source gave other records before perhaps: what was given last is what is committed
    const all = [...(given.get(batch) ?? [])]
    expect(kind === 'opaque' ? all.slice(-1) : all, `batch ${batch}`).toEqual([expected.join(' ')])
    expect(saved.get(batch)?.sort() ?? [], `saved of batch ${batch}`).toEqual(expected.map((line) => line.replace(',', '\t')))
    saved.delete(batch)
  }
  expect(saved).toEqual(new Map())
  expect(next).toBe(records)
  const view = await viewState(stateDir, 'counting', disk)
  expect(view.txid).toBe(txids.at(-1))
  expect(new Map(view.entries('counts') as Iterable<[string, number]>)).toEqual(sums)
  await view.close()
}

describe.each([
  ['transactional', 1, { batchAttemptsMax: 1 }],
  ['transactional', 2, { batchAttemptsMax: 1 }],
  ['opaque', 1, { batchAttemptsMax: 8, batchesPendingMax: 3 }],
  ['opaque', 2, { batchAttemptsMax: 8 }],
] as const)('a source that is %s, on %i executors', (kind, executors, config) => {
  test.each(['killed', 'powerLost'] as const)('%s at any step of the disk, it counts exactly', async (how) => {
    let crashes = 0
    // more is written down where batches are planned again: every third step is enough
    const stride = kind === 'opaque' ? 3 : 1
    for (let crashAt = 1, isOver = false; !isOver; crashAt += stride) {
      const random = new Random(crashAt)
      const given = new Map<number, Set<string>>()
      let disk = new FaultDisk(random)
      // the second crash comes somewhere in what the first one has left to do, with another number of executors
      for (const [at, tasks] of [
        [crashAt, executors],
        [1 + random.below(60), 1 + random.below(3)],
        [Infinity, executors],
      ] as const) {
        disk.crashAt = at
        await run(counts(disk, random, given, { kind }), disk, tasks, config)
        isOver = at === crashAt && !disk.isDown
        if (isOver) break
        if (disk.isDown) {
          crashes++
          disk = disk[how]()
        } else if (at !== Infinity) disk = disk.killed()
      }
      await check(disk.killed(), given, kind)
    }
    expect(crashes).toBeGreaterThan(kind === 'opaque' ? 25 : 40)
  })
})

describe.each([1, 2])('a disk that is full, on %i executors', (executors) => {
  test('ends the run with its name, and nothing is lost or counted twice when there is room again', async () => {
    let fulls = 0
    for (let room = 0, isOver = false; !isOver; room += 37) {
      const random = new Random(room + 1)
      const given = new Map<number, Set<string>>()
      const disk = new FaultDisk(random)
      disk.room = room
      const failure = await run(counts(disk, random, given), disk, executors).then(
        () => undefined,
        (error: Error) => error.message,
      )
      isOver = failure === undefined
      if (!isOver) fulls++
      expect(failure ?? 'nothing is full', `with room for ${room} bytes`).toContain('is full')
      expect(disk.openFiles, `with room for ${room} bytes`).toBe(0)
      const larger = disk.killed()
      await run(counts(larger, random, given), larger, executors)
      await check(larger.killed(), given, 'transactional')
    }
    expect(fulls).toBeGreaterThan(20)
  })
})

test('a batch that is written down as committed does not run again when an executor dies before its coordinator has heard of it', async () => {
  const disk = new FaultDisk(new Random(1))
  const given: [txid: number, sums: string][] = []
  const words = memorySource<string>({ oneAtATime: true })
  for (const word of ['a', 'b', 'a', 'c']) words.add(word)
  words.end()
  const definition = topology('counting', (t) => {
    const graph = new StreamGraph('counting', 10)
    graph.sources.set('words', words)
    new DStream<string>(graph, { name: 'words', parents: [] }, (scope) => scope.source<string>('words'))
      .map((word) => [word, 1])
      .mapWithState(counting, { name: 'counts' })
      // a batch that is processed while the one before it is not known to be done reaches back to that
      .window(20)
      .foreachRDD(async (rdd, { txid }) => void given.push([txid, (await rdd.collect()).map(String).sort().join(' ')]))
    graph.finish()
    addBatchComponents(t, graph, disk)
  })
  await using cluster = await LocalCluster.start({ seed: 3, executors: 2, patienceMs: 0 })
  const running = await cluster.submit(definition, { config: { stateDir, batchesPendingMax: 2 } })
  let written = 0
  disk.onStep = () => {
    const path = disk.paths.find((one) => one.startsWith(`${stateDir}/batches/commits`))
    const bytes = path === undefined ? 0 : disk.bytesOf(path).length
    // it is in the file, and is synced in the next step; the acks of its tasks are not on their way yet
    if (bytes > written) running.killExecutor(1)
    written = bytes
  }
  const { replayed, failed } = await running.complete('10m')
  expect(replayed + failed).toBeGreaterThan(0)
  expect(running.snapshot().executorRestarts).toBeGreaterThan(3)
  expect(given).toEqual([
    [1, 'a,1'],
    [2, 'a,1 b,1'],
    [3, 'a,2 b,1'],
    [4, 'a,2 c,1'],
    [5, 'c,1'],
  ])
})

test('a batch that a dead coordinator had run again, and the next one knows to be done, holds nothing up', async () => {
  const disk = new FaultDisk(new Random(1))
  const given: string[] = []
  const words = memorySource<string>({ oneAtATime: true })
  for (const word of ['a', 'b', 'c']) words.add(word)
  words.end()
  const definition = topology('counting', (t) => {
    const graph = new StreamGraph('counting', 0)
    graph.sources.set('words', words)
    new DStream<string>(graph, { name: 'words', parents: [] }, (scope) => scope.source<string>('words'))
      .map((word) => [word, 1])
      .mapWithState(counting, { name: 'counts' })
      .foreachRDD(async (rdd) => void given.push(...(await rdd.collect()).map(String)))
    graph.finish()
    addBatchComponents(t, graph, disk)
  })
  await using cluster = await LocalCluster.start({ seed: 3, executors: 3, patienceMs: 0 })
  const running = await cluster.submit(definition, { config: { stateDir, messageTimeoutMs: '1m' } })
  let isWritten = false
  let stepsSince = 0
  disk.onStep = () => {
    const path = disk.paths.find((one) => one.startsWith(`${stateDir}/batches/commits`))
    if (!isWritten && path !== undefined && disk.bytesOf(path).length > 0) {
      isWritten = true
      running.killExecutor(1)
      // while the first coordinator runs the batch again, and executor 1 starts anew
    } else if (isWritten && ++stepsSince === 3) running.killExecutor(0)
  }
  await running.complete('30s')
  expect(given.sort()).toEqual(['a,1', 'b,1', 'c,1'])
})

describe('a state that does not fit the commit log is refused', () => {
  const batchesOnDisk = `${stateDir}/batches/`
  const stateOnDisk = `${stateDir}/state/1/`

  /** A disk after a run, and the same one with what fits `isGone` removed. */
  async function diskWithout(isGone: (path: string) => boolean): Promise<FaultDisk> {
    const random = new Random(1)
    const disk = new FaultDisk(random)
    await run(counts(disk, random, new Map(), { upTo: records - 5 }), disk, 2)
    for (const path of disk.paths) if (isGone(path)) await disk.remove(path)
    return disk
  }

  test.each([
    ['ahead of it', (path: string) => path.startsWith(`${batchesOnDisk}commits`), 'state-ahead'],
    ['ahead of both logs', (path: string) => path.startsWith(batchesOnDisk), 'state-ahead'],
    ['behind it', (path: string) => path.startsWith(stateOnDisk), 'state-behind'],
    ['behind it in one task', (path: string) => path.startsWith(`${stateOnDisk}task-1`), 'state-behind'],
  ])('%s', async (_, isGone, code) => {
    const disk = await diskWithout(isGone)
    await expect(run(counts(disk, new Random(1), new Map()), disk, 2)).rejects.toMatchObject({ code })
  })

  test.each([
    ['are gone', () => Buffer.alloc(0)],
    ['have lost their last', (bytes: Buffer) => bytes.subarray(0, -3)],
  ])('and neither do offsets that %s: what a committed batch took is not made up anew', async (_, change) => {
    const disk = await diskWithout(() => false)
    disk.tamper(disk.paths.find((path) => path.startsWith(`${batchesOnDisk}offsets`)) as string, change)
    await expect(run(counts(disk, new Random(1), new Map()), disk, 2)).rejects.toMatchObject({ code: 'metadata-broken' })
  })
})

describe.each([1, 2])('where nothing is left to do, on %i executors, a damaged state shows all the same', (executors) => {
  const changes = `${stateDir}/state/1/task-0/changes-00000001.log`

  test.each([
    ['cut short', (bytes: Buffer) => bytes.subarray(0, -3), 'state-behind'],
    ['emptied', () => Buffer.alloc(0), 'state-behind'],
    ['broken before its end', (bytes: Buffer) => bytes.fill(0, 12, 16), 'log-corrupt'],
  ])('%s', async (_, change, code) => {
    const random = new Random(1)
    const disk = new FaultDisk(random)
    await run(counts(disk, random, new Map()), disk, executors)
    await run(counts(disk, random, new Map()), disk, executors)
    disk.tamper(changes, change)
    await expect(run(counts(disk, random, new Map()), disk, executors)).rejects.toMatchObject({ code })
    await expect(viewCommittedState(stateDir, 'counting', disk)).rejects.toMatchObject({ code })
  })
})

describe('a damaged file', () => {
  const kinds = [`${stateDir}/batches/offsets`, `${stateDir}/batches/commits`, `${stateDir}/state/1/task-0/changes`]

  /** A disk after a run to near the end, of which a file was changed. */
  async function damaged(kind: string, change: (bytes: Buffer) => Buffer, given = new Map<number, Set<string>>()): Promise<FaultDisk> {
    const random = new Random(2)
    const disk = new FaultDisk(random)
    await run(counts(disk, random, given, { upTo: records - 5 }), disk, 1)
    disk.tamper(disk.paths.find((path) => path.startsWith(kind)) as string, change)
    return disk
  }

  test.each(kinds)('%s: an end that is no whole write is cut off, and all is counted', async (kind) => {
    const given = new Map<number, Set<string>>()
    const disk = await damaged(kind, (bytes) => Buffer.concat([bytes, Buffer.from('the start of a write')]), given)
    await run(counts(disk, new Random(3), given), disk, 1)
    expect(given.size).toBeGreaterThan(2)
    await check(disk.killed(), given, 'transactional')
  })

  test.each(kinds)('%s: broken before its end it is refused at once', async (kind) => {
    const disk = await damaged(kind, (bytes) => Buffer.from(bytes).fill(0, 60, 64))
    const path = disk.paths.find((one) => one.startsWith(kind)) as string
    const before = disk.bytesOf(path)
    await expect(run(counts(disk, new Random(3), new Map()), disk, 1)).rejects.toMatchObject({ code: 'log-corrupt' })
    expect(disk.bytesOf(path)).toEqual(before)
  })
})
