import { describe, expect, test } from 'vitest'
import { ReceivedBlockTracker } from '../../../lib/batch/receiver/block-tracker.ts'
import type { BlockInfo } from '../../../lib/batch/receiver/block.ts'
import { Random } from '../../../lib/std/random.ts'
import { VirtualSchedule } from '../../../lib/testing/index.ts'
import { Crash, FaultDisk } from '../fault-disk.ts'

const clock = new VirtualSchedule()

function block(blockId: string, stream = 's'): BlockInfo {
  return { blockId, stream, records: 1 }
}

function idsOf(blocks: readonly BlockInfo[]): string[] {
  return blocks.map(({ blockId }) => blockId)
}

function open(files: FaultDisk, schedule = clock): Promise<ReceivedBlockTracker> {
  return ReceivedBlockTracker.open({ streams: ['s', 'r'], clock: schedule, folder: '/wal', files, rollEveryMs: 1_000 })
}

describe('blocks and batches', () => {
  test('a batch takes all blocks that wait, of each stream in order', async () => {
    const tracker = await ReceivedBlockTracker.open({ streams: ['s', 'r'], clock })
    expect(tracker.isLogEnabled).toBe(false)
    for (const one of [block('b1'), block('c1', 'r'), block('b2')]) await tracker.addBlock(one)
    expect([idsOf(tracker.unallocatedBlocks('s')), tracker.hasUnallocatedBlocks]).toEqual([['b1', 'b2'], true])
    await tracker.allocateBlocksToBatch(1)
    expect(tracker.hasUnallocatedBlocks).toBe(false)
    expect(tracker.blocksOfBatch(1)).toEqual({ s: [block('b1'), block('b2')], r: [block('c1', 'r')] })
    expect([...tracker.knownBlockIds].sort()).toEqual(['b1', 'b2', 'c1'])
  })

  test('a batch that has its blocks gets no others; later blocks wait for a later batch', async () => {
    const tracker = await ReceivedBlockTracker.open({ streams: ['s'], clock })
    await tracker.addBlock(block('b1'))
    await tracker.allocateBlocksToBatch(2)
    await tracker.addBlock(block('b2'))
    await Promise.all([tracker.allocateBlocksToBatch(2), tracker.allocateBlocksToBatch(1)])
    expect(idsOf(tracker.blocksOfBatchAndStream(2, 's'))).toEqual(['b1'])
    expect(tracker.blocksOfBatch(1)).toEqual({})
    expect(idsOf(tracker.unallocatedBlocks('s'))).toEqual(['b2'])
    expect(tracker.lastAllocatedBatch).toBe(2)
  })

  test('a stream without a receiver is refused', async () => {
    const tracker = await ReceivedBlockTracker.open({ streams: ['s'], clock })
    expect(() => tracker.addBlock(block('b', 'other'))).toThrow(expect.objectContaining({ code: 'unknown-receiver' }))
  })
})

describe('the log', () => {
  test('when it cannot be written, blocks wait on and the caller hears of it', async () => {
    const files = new FaultDisk(new Random(1))
    const tracker = await open(files)
    await tracker.addBlock(block('b1'))
    files.room = 5
    await expect(tracker.allocateBlocksToBatch(1)).rejects.toMatchObject({ code: 'disk-full' })
    await expect(tracker.addBlock(block('b2'))).rejects.toMatchObject({ code: 'disk-full' })
    expect([idsOf(tracker.unallocatedBlocks('s')), tracker.blocksOfBatch(1)]).toEqual([['b1'], {}])
    files.room = Infinity
    await tracker.allocateBlocksToBatch(2)
    await tracker.close()
    const again = await open(files.killed())
    expect([idsOf(again.blocksOfBatchAndStream(2, 's')), again.hasUnallocatedBlocks]).toEqual([['b1'], false])
  })

  test('holds JSON: what is none is refused, and not known', async () => {
    const tracker = await open(new FaultDisk(new Random(1)))
    await expect(tracker.addBlock({ ...block('b1'), metadata: 1n })).rejects.toMatchObject({ code: 'block-unwritable' })
    expect(tracker.hasUnallocatedBlocks).toBe(false)
  })

  test('is read back only on request, and by people', async () => {
    const files = new FaultDisk(new Random(1))
    const tracker = await open(files)
    await tracker.addBlock({ ...block('b1'), metadata: { offset: 7 } })
    await tracker.allocateBlocksToBatch(1)
    await tracker.addBlock(block('b2'))
    await tracker.cleanupBatchesBefore(2)
    expect(await ReceivedBlockTracker.readLog('/wal', files)).toEqual([
      { type: 'BlockAddition', block: { ...block('b1'), metadata: { offset: 7 } } },
      { type: 'BatchAllocation', batch: 1, blocks: { s: [{ ...block('b1'), metadata: { offset: 7 } }], r: [] } },
      { type: 'BlockAddition', block: block('b2') },
      { type: 'BatchCleanup', batches: [1], last: 1 },
    ])
    const fresh = await ReceivedBlockTracker.open({ streams: ['s'], clock, folder: '/wal', files: files.killed(), recover: false })
    expect(fresh.hasUnallocatedBlocks).toBe(false)
  })

  test('rolls, and its old files go when nothing in them is needed; the last batch is still known then', async () => {
    const files = new FaultDisk(new Random(1))
    const schedule = new VirtualSchedule()
    const tracker = await open(files, schedule)
    const at = async (work: () => Promise<unknown>): Promise<unknown> => {
      await schedule.advance(2_000)
      return await work()
    }
    await tracker.addBlock(block('b1'))
    await at(() => tracker.allocateBlocksToBatch(1))
    await at(() => tracker.addBlock(block('b2')))
    await at(() => tracker.allocateBlocksToBatch(2))
    expect(files.paths).toHaveLength(4)
    expect(idsOf((await at(() => tracker.cleanupBatchesBefore(2))) as BlockInfo[])).toEqual(['b1'])
    expect(files.paths.map((path) => path.slice(-5))).toEqual(['4.log', '5.log'])
    await at(() => tracker.cleanupBatchesBefore(3))
    expect(files.paths.map((path) => path.slice(-5))).toEqual(['6.log'])
    const again = await open(files.killed(), schedule)
    expect([again.lastAllocatedBatch, again.hasUnallocatedBlocks, again.blocksOfBatch(2)]).toEqual([2, false, {}])
  })

  /** Random calls, a crash between any two steps of the disk: what a call had promised is there after it. */
  test('holds what was promised, whenever the process dies', async () => {
    for (let seed = 1; seed <= 300; seed++) {
      const random = new Random(seed)
      const schedule = new VirtualSchedule()
      let files = new FaultDisk(random)
      const added = new Set<string>()
      const batches = new Map<number, string[]>()
      let cleaned = 0
      let next = 0
      for (let life = 0; life < 3; life++) {
        files.crashAt = 1 + random.below(40)
        try {
          const tracker = await open(files, schedule)
          const kept = [...batches].filter(([batch]) => batch >= cleaned)
          expect(kept.map(([batch]) => idsOf(tracker.blocksOfBatchAndStream(batch, 's')))).toEqual(kept.map(([, ids]) => ids))
          // each block that was promised is in exactly one batch, or waits
          const places = Array.from({ length: 40 }, (_, batch) => idsOf(tracker.blocksOfBatchAndStream(batch, 's'))).flat()
          places.push(...idsOf(tracker.unallocatedBlocks('s')))
          expect(new Set(places).size).toBe(places.length)
          for (const id of added) expect(places).toContain(id)
          for (let step = 0; step < 12; step++) {
            moveOn(schedule, random.below(800))
            const what = random.below(4)
            if (what <= 1) {
              const id = `b${next++}`
              await tracker.addBlock(block(id))
              added.add(id)
            } else if (what === 2) {
              const batch = (tracker.lastAllocatedBatch ?? 0) + 1
              await tracker.allocateBlocksToBatch(batch)
              batches.set(batch, idsOf(tracker.blocksOfBatchAndStream(batch, 's')))
            } else {
              const before = Math.max(0, (tracker.lastAllocatedBatch ?? 0) - 1)
              // of an allocation that a crash interrupted, nobody was told; it may be there
              for (let batch = 0; batch < before; batch++)
                for (const id of idsOf(tracker.blocksOfBatchAndStream(batch, 's'))) added.delete(id)
              cleaned = Math.max(cleaned, before)
              await tracker.cleanupBatchesBefore(before)
            }
          }
          await tracker.close()
          files = files.powerLost()
        } catch (error) {
          if (!(error instanceof Crash)) throw error
          files = random.below(2) === 0 ? files.killed() : files.powerLost()
        }
      }
    }
  })
})

function moveOn(schedule: VirtualSchedule, ms: number): void {
  schedule.moveTo(schedule.now() + ms)
}
