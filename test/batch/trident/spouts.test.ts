/** Trident's spouts: what each kind guarantees when batches fail, and when the process starts again. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { builtIns, newStream, state, topology } from '../../../lib/index.ts'
import type { BatchSpout, OpaqueSpout, StreamTopologyBuilder, TransactionalSpout, TridentStream } from '../../../lib/index.ts'
import { LocalCluster } from '../../../lib/testing/index.ts'
import type { LocalTopology } from '../../../lib/testing/index.ts'
import { faultsOf } from './trident-runs.ts'

const options = { batchInterval: '1s' }

/** Partitions of values, of which some may not be readable for a while. */
class Shelf {
  readonly partitions: Readonly<Record<string, string[]>>
  readonly away = new Set<string>()
  names: readonly string[]
  /** what was given for each batch, try by try */
  readonly given = new Map<number, string[]>()
  closed = 0

  constructor(partitions: Readonly<Record<string, string[]>>) {
    this.partitions = partitions
    this.names = Object.keys(partitions)
  }

  give(txid: number, values: readonly string[], emit: (value: string) => void): void {
    for (const value of values) {
      this.given.set(txid, [...(this.given.get(txid) ?? []), value])
      emit(value)
    }
  }
}

/** At most two of a partition a batch. */
const transactional = (shelf: Shelf): TransactionalSpout<'word', string, { readonly from: number; readonly to: number }> => ({
  kind: 'transactional',
  fields: ['word'],
  coordinator: () => ({
    partitions: () => shelf.names,
    next(partition, last) {
      const from = last?.to ?? 0
      const to = Math.min(from + 2, shelf.partitions[partition]?.length ?? 0)
      return to > from ? { from, to } : undefined
    },
  }),
  emitter: () => ({
    async emitPartitionBatch(txid, partition, { from, to }, emit) {
      await Promise.resolve()
      shelf.give(txid, shelf.partitions[partition]?.slice(from, to) ?? [], emit)
    },
    close: () => void shelf.closed++,
  }),
})

const opaque = (shelf: Shelf): OpaqueSpout<'word', string, number> => ({
  kind: 'opaque',
  fields: ['word'],
  coordinator: () => ({ partitions: () => Promise.resolve(shelf.names) }),
  emitter: () => ({
    emitPartitionBatch(txid, partition, last = 0, emit) {
      if (shelf.away.has(partition)) return undefined
      const values = shelf.partitions[partition]?.slice(last, last + 2) ?? []
      shelf.give(txid, values, emit)
      return last + values.length
    },
  }),
})

interface Runs {
  /** what each batch has committed, by txid */
  readonly committed: Map<number, readonly string[]>
  run(executors: number, during: (running: LocalTopology) => Promise<void>): Promise<void>
  /** how often each word was counted */
  counts(): Promise<Record<string, number>>
  [Symbol.dispose](): void
}

/** Words counted, with a state directory; `fault` may throw when a batch's words are given out. */
function runsOf(build: (t: StreamTopologyBuilder) => TridentStream<'word'>, fault: (txid: number) => void = () => undefined): Runs {
  const stateDir = mkdtempSync(join(tmpdir(), 'squall-spouts-'))
  const committed = new Map<number, readonly string[]>()
  const counted = new Map<string, number>()
  const graph = topology('spouts', (t) => {
    const words = build(t)
    words
      .groupBy(['word'])
      .persistentAggregate(state('counts'), builtIns.count(), ['n'])
      .newValuesStream()
      .stream.foreachRDD(async (rdd) => {
        for (const [word, n] of (await rdd.collect()) as unknown as [string, number][]) counted.set(word, n)
      })
    words.stream.foreachRDD(async (rdd, { txid }) => {
      const values = (await rdd.collect()).map(([word]) => String(word))
      fault(txid)
      committed.set(txid, values.toSorted())
    })
  })
  return {
    committed,
    async run(executors, during) {
      await using cluster = await LocalCluster.start({ seed: 5, executors })
      const running = await cluster.submit(graph, { config: { stateDir } })
      await during(running)
    },
    counts: () => Promise.resolve(Object.fromEntries([...counted].toSorted())),
    [Symbol.dispose]: () => rmSync(stateDir, { recursive: true }),
  }
}

const once = (values: readonly string[]): Record<string, number> => Object.fromEntries(values.map((value) => [value, 1]))

describe.each([1, 3])('on %i executors', (executors) => {
  test('transactional: a batch that runs again holds the same, and a restart goes on', async () => {
    const shelf = new Shelf({ a: ['a1', 'a2', 'a3', 'a4', 'a5'], b: ['b1', 'b2', 'b3'] })
    let faults = 0
    using runs = runsOf(
      (t) => newStream(t, 'words', transactional(shelf), options),
      (txid) => {
        if (txid === 2 && faults++ === 0) throw new Error('once')
      },
    )
    await runs.run(executors, async (running) => {
      await running.advance('2500ms')
    })
    expect(faults).toBe(2)
    expect(shelf.given.get(2)?.toSorted()).toEqual(['a3', 'a3', 'a4', 'a4', 'b3', 'b3'])
    // virtual time begins anew
    await runs.run(4 - executors, async (running) => {
      await running.advance('4500ms')
      expect(running.errors).toEqual([])
    })
    expect([...runs.committed].filter(([, values]) => values.length > 0)).toEqual([
      [1, ['a1', 'a2', 'b1', 'b2']],
      [2, ['a3', 'a4', 'b3']],
      [3, ['a5']],
    ])
    expect(await runs.counts()).toEqual(once(['a1', 'a2', 'a3', 'a4', 'a5', 'b1', 'b2', 'b3']))
    expect(shelf.closed).toBeGreaterThan(0)
  })

  test('opaque: a batch that runs again may hold something else, and each tuple is in one committed batch', async () => {
    const shelf = new Shelf({ a: ['a1', 'a2', 'a3', 'a4', 'a5'], b: ['b1', 'b2', 'b3'], c: ['c1'] })
    let faults = 0
    using runs = runsOf(
      (t) => newStream(t, 'words', opaque(shelf), options),
      (txid) => {
        if (txid !== 2 || faults++ > 0) return
        // what it held cannot be read any more
        shelf.away.add('a')
        throw new Error('once')
      },
    )
    await runs.run(executors, async (running) => {
      await running.advance('3500ms')
    })
    expect(faults).toBe(2)
    // the first try of batch 2 had a3 and a4
    expect(runs.committed.get(2)).toEqual(['b3'])
    expect(shelf.given.get(2)).toContain('a3')
    shelf.away.clear()
    await runs.run(4 - executors, async (running) => {
      await running.advance('6500ms')
      expect(running.errors).toEqual([])
    })
    expect([...runs.committed.values()].flat().toSorted()).toEqual(Object.values(shelf.partitions).flat().toSorted())
    expect(await runs.counts()).toEqual(once(Object.values(shelf.partitions).flat()))
  })

  test('opaque: a partition that is not named any more is forgotten', async () => {
    const shelf = new Shelf({ a: ['a1', 'a2'], b: ['b1'] })
    using runs = runsOf((t) => newStream(t, 'words', opaque(shelf), options))
    await runs.run(executors, async (running) => {
      await running.advance('1500ms')
      shelf.names = ['b']
      await running.advance('1s')
      shelf.names = ['a', 'b']
      await running.advance('1s')
      expect(running.errors).toEqual([])
    })
    expect(await runs.counts()).toEqual({ a1: 2, a2: 2, b1: 1 })
  })

  test('batch: asked by txid, again for one that runs again, and told with the next batch that it is committed', async () => {
    const calls: string[] = []
    let faults = 0
    const spout: BatchSpout<'word'> = {
      kind: 'batch',
      fields: ['word'],
      open: () => ({
        async emitBatch(txid, emit) {
          calls.push(`emit ${txid}`)
          await Promise.resolve()
          emit(`w${txid}`)
        },
        ack: (txid) => void calls.push(`ack ${txid}`),
        close: () => void calls.push('close'),
      }),
    }
    // the interval that nothing else says: 500 ms
    using runs = runsOf(
      (t) => newStream(t, 'words', spout),
      (txid) => {
        if (txid === 2 && faults++ === 0) throw new Error('once')
      },
    )
    await runs.run(executors, async (running) => {
      await running.advance('1600ms')
    })
    expect(calls).toEqual(['emit 1', 'ack 1', 'emit 2', 'emit 2', 'ack 2', 'emit 3', 'close'])
    expect(await runs.counts()).toEqual(once(['w1', 'w2', 'w3']))
  })
})

test.each([
  [1, 3],
  [2, 1],
])('windows over what an opaque spout gave reach back over a restart, from %i executors to %i', async (before, after) => {
  const shelf = new Shelf({ a: ['a1', 'a2', 'a3', 'a4', 'a5', 'a6', 'a7', 'a8'] })
  const windows = new Map<number, readonly string[]>()
  using runs = runsOf((t) => {
    const words = newStream(t, 'words', opaque(shelf), options)
    words.stream.window('3s', '1s').foreachRDD(async (rdd, { txid }) => {
      windows.set(txid, (await rdd.collect()).map(([word]) => String(word)).toSorted())
    })
    return words
  })
  await runs.run(before, (running) => running.advance('2500ms'))
  await runs.run(after, (running) => running.advance('4500ms'))
  expect(windows.get(3)).toEqual(['a1', 'a2', 'a3', 'a4', 'a5', 'a6'])
  expect(windows.get(4)).toEqual(['a3', 'a4', 'a5', 'a6', 'a7', 'a8'])
})

/** A coordinator with a say in when batches begin, and when all is over. */
const gated = <C extends object>(coordinator: C, shelf: Shelf, isReady: () => boolean): C => ({
  ...coordinator,
  isReady,
  hasEnded: () => shelf.given.size > 1,
})

const gatedStreams = {
  opaque(t: StreamTopologyBuilder, shelf: Shelf, isReady: () => boolean): TridentStream<'word'> {
    const spout = opaque(shelf)
    const coordinator: typeof spout.coordinator = async (context) => gated(await spout.coordinator(context), shelf, isReady)
    const ready: typeof spout = { ...spout, coordinator }
    return newStream(t, 'words', ready, options)
  },
  transactional(t: StreamTopologyBuilder, shelf: Shelf, isReady: () => boolean): TridentStream<'word'> {
    const spout = transactional(shelf)
    const coordinator: typeof spout.coordinator = async (context) => gated(await spout.coordinator(context), shelf, isReady)
    const ready: typeof spout = { ...spout, coordinator }
    return newStream(t, 'words', ready, options)
  },
}

test.each(['opaque', 'transactional'] as const)(
  'of the kind %s, a spout that is not ready begins no batch, one that has ended ends the run',
  async (kind) => {
    const shelf = new Shelf({ a: ['a1', 'a2', 'a3'] })
    let isReady = false
    using runs = runsOf((t) => gatedStreams[kind](t, shelf, () => isReady))
    await runs.run(1, async (running) => {
      await running.advance('3500ms')
      expect(shelf.given.size).toBe(0)
      isReady = true
      const { error } = await running.complete()
      expect(error).toBeUndefined()
    })
    expect(await runs.counts()).toEqual(once(['a1', 'a2', 'a3']))
  },
)

test('fields of a spout that are there twice are a fault of the plan', async () => {
  const spout: BatchSpout = { kind: 'batch', fields: ['a', 'a'], open: () => ({ emitBatch: () => undefined }) }
  expect(await faultsOf('test', (t) => void newStream(t, 'twice', spout))).toContain('the field a twice')
})
