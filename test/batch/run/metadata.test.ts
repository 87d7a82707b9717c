import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MetadataLog, resumption } from '../../../lib/batch/run/metadata-log.ts'
import { commitFormat, decodeEntry, encodeEntry, offsetFormat, parseBatchMetadata, pinnedConf } from '../../../lib/batch/run/metadata.ts'
import type { CommitEntry, OffsetEntry } from '../../../lib/batch/run/metadata.ts'
import { Random } from '../../../lib/std/random.ts'
import { Crash, FaultDisk } from '../fault-disk.ts'

function offsets(n: number, more: Partial<OffsetEntry> = {}): OffsetEntry {
  return { batchWatermarkMs: n, batchTimestampMs: 1_000 + n, conf: { policy: 'min' }, offsets: { lines: n, 'a "name"\n': null }, ...more }
}

function openOffsets(files: FaultDisk, version?: number): Promise<MetadataLog<OffsetEntry>> {
  return MetadataLog.open({
    folder: '/meta',
    format: offsetFormat,
    files,
    entriesPerFile: 3,
    ...(version === undefined ? {} : { version }),
  })
}

function openCommits(files: FaultDisk): Promise<MetadataLog<CommitEntry>> {
  return MetadataLog.open({ folder: '/meta', format: commitFormat, files, entriesPerFile: 3, version: 1 })
}

function disk(seed = 1): FaultDisk {
  return new FaultDisk(new Random(seed))
}

describe('entries', () => {
  test('are read as they were written', () => {
    const json = fc.jsonValue({ maxDepth: 2 }).map((value) => JSON.parse(JSON.stringify(value)) as unknown)
    const entry = fc.record({
      batchWatermarkMs: fc.nat(),
      batchTimestampMs: fc.nat(),
      conf: fc.dictionary(fc.string({ minLength: 1 }), fc.string()).map((conf) => ({ ...conf })),
      offsets: fc.dictionary(fc.string({ minLength: 1 }), json).map((sources) => ({ ...sources })),
    })
    fc.assert(
      fc.property(entry, (one) => {
        expect(decodeEntry(offsetFormat, encodeEntry(offsetFormat, one))).toEqual(one)
      }),
    )
  })

  test('of version 1 know sources by place, and are those of Spark', () => {
    const text = 'v1\n{"batchWatermarkMs":0,"batchTimestampMs":1480981499528}\n{"logOffset":345}\n-'
    const entry = { batchWatermarkMs: 0, batchTimestampMs: 1480981499528, conf: {}, offsets: { 0: { logOffset: 345 }, 1: null } }
    expect(decodeEntry(offsetFormat, text)).toEqual(entry)
    expect(decodeEntry(offsetFormat, encodeEntry(offsetFormat, entry, 1))).toEqual(entry)
    expect(() => encodeEntry(offsetFormat, offsets(1), 1)).toThrow(expect.objectContaining({ code: 'metadata-unwritable' }))
  })

  test('of commits hold the next watermark, and from version 2 on the versions of states', () => {
    const entry = { nextBatchWatermarkMs: 233, stateUniqueIds: { 0: [['a', 'b'], []] } }
    expect(encodeEntry(commitFormat, { nextBatchWatermarkMs: 1 }, 1)).toBe('v1\n{"nextBatchWatermarkMs":1}')
    expect(decodeEntry(commitFormat, encodeEntry(commitFormat, entry, 2), 2)).toEqual(entry)
    expect(() => encodeEntry(commitFormat, entry, 1)).toThrow(expect.objectContaining({ code: 'metadata-unwritable' }))
    expect(decodeEntry(commitFormat, 'v1\n{}')).toEqual({ nextBatchWatermarkMs: 0 })
  })

  test('of a version that is newer, or not the one asked for, are refused', () => {
    expect(() => decodeEntry(offsetFormat, 'v99999')).toThrow(
      /maximum supported log version is v2; it was produced by a newer version of Squall and cannot be read/,
    )
    expect(() => decodeEntry(commitFormat, 'v1\n{"nextBatchWatermarkMs":233}', 2)).toThrow(/only supported log version is v2/)
  })

  test.each(['', 'v0', 'v1.5', 'xyz', '{}', 'v2\n[]', 'v2\n{"batchWatermarkMs":1', 'v2\n{}\n{"a":1}', 'v2\n{}\nnot json'])(
    'that are none are refused: %j',
    (text) => expect(() => decodeEntry(offsetFormat, text)).toThrow(expect.objectContaining({ code: 'metadata-broken' })),
  )

  test('metadata that lacks something is filled up, and what is behind it is left out', () => {
    expect(parseBatchMetadata('{}')).toEqual({ batchWatermarkMs: 0, batchTimestampMs: 0, conf: {} })
    expect(parseBatchMetadata('{"batchTimestampMs":2,"conf":{"n":3,"s":"}\\""}},"unknown":1')).toEqual({
      batchWatermarkMs: 0,
      batchTimestampMs: 2,
      conf: { n: '3', s: '}"' },
    })
  })

  test('that are no JSON are refused', () => {
    const bigint = offsets(1, { offsets: { lines: 1n } })
    expect(() => encodeEntry(offsetFormat, bigint)).toThrow(expect.objectContaining({ code: 'metadata-unwritable' }))
  })

  test('pin the settings they name', () => {
    expect(pinnedConf({ policy: 'max' }, { policy: 'min', groups: '64', log: 'debug' }, { groups: '128' })).toEqual({
      policy: 'max',
      groups: '128',
      log: 'debug',
    })
  })
})

describe('a log', () => {
  test('holds each batch once, also when it is added twice at the same time', async () => {
    const files = disk()
    const log = await openOffsets(files)
    expect(await Promise.all([log.add(1, offsets(1)), log.add(1, offsets(9)), log.add(2, offsets(2))])).toEqual([true, false, true])
    expect(await log.add(2, offsets(9))).toBe(false)
    expect(log.get(1)).toEqual(offsets(1))
    expect(log.latest).toEqual({ batch: 2, entry: offsets(2) })
    expect(log.get(3)).toBeUndefined()
    const again = await openOffsets(files.killed())
    expect([again.get(1), again.get(2), again.batches()]).toEqual([offsets(1), offsets(2), [1, 2]])
  })

  test('can be read by people', async () => {
    const files = disk()
    const log = await openOffsets(files)
    await log.add(7, offsets(7, { offsets: { lines: 12 } }))
    expect(files.bytesOf('/meta/offsets-00000001.log').toString()).toContain(
      'batch 7\nv2\n{"batchWatermarkMs":7,"batchTimestampMs":1007,"conf":{"policy":"min"}}\n["lines",12]\n',
    )
    expect(await MetadataLog.read({ folder: '/meta', format: offsetFormat, files })).toEqual([
      { batch: 7, entry: offsets(7, { offsets: { lines: 12 } }) },
    ])
  })

  test('forgets old batches, and their files, but never the latest', async () => {
    const files = disk()
    const log = await openOffsets(files)
    for (let n = 1; n <= 8; n++) await log.add(n, offsets(n))
    expect(log.batches(3, 5)).toEqual([3, 4, 5])
    await log.purge(5)
    expect([log.batches(), files.paths.length]).toEqual([[5, 6, 7, 8], 2])
    await log.purge(100)
    expect([log.batches(), files.paths.length]).toEqual([[8], 1])
    expect((await openOffsets(files.killed())).latest).toEqual({ batch: 8, entry: offsets(8) })
  })

  test('keeps to the version it began with', async () => {
    const files = disk()
    const byPlace = (n: number): OffsetEntry => offsets(n, { offsets: { 0: n } })
    await (await openOffsets(files, 1)).add(1, byPlace(1))
    const again = await openOffsets(files.killed(), 2)
    expect(again.version).toBe(1)
    expect((await openOffsets(disk(), 1)).version).toBe(1)
    expect((await openOffsets(disk())).version).toBe(2)
  })

  test('that cannot be written has not got the entry', async () => {
    const files = disk()
    const log = await openOffsets(files)
    files.room = 10
    await expect(log.add(1, offsets(1))).rejects.toMatchObject({ code: 'disk-full' })
    expect(log.latest).toBeUndefined()
    files.room = Infinity
    expect(await log.add(1, offsets(1))).toBe(true)
  })

  test('costs one sync of the file an entry', async () => {
    const files = disk()
    const log = await MetadataLog.open({ folder: '/meta', format: offsetFormat, files })
    const before = files.step
    for (let n = 1; n <= 100; n++) await log.add(n, offsets(n))
    expect(files.step - before).toBe(200) // an append and a sync each
  })
})

describe('a run that starts again', () => {
  test('begins with the first batch when there is none', async () => {
    expect(resumption(await openOffsets(disk()), await openCommits(disk()))).toEqual({
      batch: 1,
      again: undefined,
      previous: undefined,
      watermarkMs: 0,
    })
  })

  test('runs a batch without a commit again as it was, and goes on behind one with', async () => {
    const [begun, done] = [await openOffsets(disk()), await openCommits(disk())]
    await begun.add(1, offsets(0))
    await done.add(1, { nextBatchWatermarkMs: 5 })
    expect(resumption(begun, done)).toEqual({ batch: 2, again: undefined, previous: offsets(0), watermarkMs: 5 })
    await begun.add(2, offsets(5))
    expect(resumption(begun, done)).toEqual({ batch: 2, again: offsets(5), previous: offsets(0), watermarkMs: 5 })
  })

  test('never goes back with its watermark, also when a commit tells none', async () => {
    const [begun, done] = [await openOffsets(disk()), await openCommits(disk())]
    await begun.add(1, offsets(5_000))
    await done.add(1, { nextBatchWatermarkMs: 0 })
    expect(resumption(begun, done).watermarkMs).toBe(5_000)
  })

  test('refuses commits without offsets', async () => {
    const done = await openCommits(disk())
    await done.add(3, { nextBatchWatermarkMs: 0 })
    const begun = await openOffsets(disk())
    expect(() => resumption(begun, done)).toThrow(expect.objectContaining({ code: 'metadata-broken' }))
  })

  /** The protocol of a batch, with a crash between any two steps: what ran again had the same entry, and no commit was lost. */
  test('finds what it had promised, whenever it dies', async () => {
    for (let seed = 1; seed <= 300; seed++) {
      const random = new Random(seed)
      let files = new FaultDisk(random)
      const begun = new Map<number, OffsetEntry>()
      let committed = 0
      for (let life = 0; life < 4; life++) {
        files.crashAt = 1 + random.below(60)
        try {
          const [first, second] = [await openOffsets(files), await openCommits(files)]
          const from = resumption(first, second)
          expect(from.batch).toBeGreaterThan(committed)
          // what was promised is the same; of what was not, there may be something or nothing
          expect(from.again).toEqual(begun.get(from.batch) ?? from.again)
          let entry = from.again
          for (let batch = from.batch; batch < from.batch + 8; batch++) {
            entry ??= offsets(random.below(1_000))
            await first.add(batch, entry)
            begun.set(batch, entry)
            await second.add(batch, { nextBatchWatermarkMs: batch })
            committed = batch
            entry = undefined
            await first.purge(batch - 2)
            await second.purge(batch - 2)
          }
        } catch (error) {
          if (!(error instanceof Crash)) throw error
        }
        files = random.below(2) === 0 ? files.killed() : files.powerLost()
      }
    }
  })
})
