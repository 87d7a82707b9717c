import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { nodeFileSystem } from '../../../lib/batch/log/file-system.ts'
import type { FileSystem } from '../../../lib/batch/log/file-system.ts'
import { frameOf } from '../../../lib/batch/log/frames.ts'
import { FramedLog } from '../../../lib/batch/log/framed-log.ts'
import { readRollingLog, RollingLog } from '../../../lib/batch/log/rolling-log.ts'
import { Random } from '../../../lib/std/random.ts'
import { Crash, FaultDisk } from '../fault-disk.ts'

const path = '/d/a.log'
const bytes = (text: string): Uint8Array => Buffer.from(text)

async function contentOf(files: FileSystem, at = path): Promise<string[]> {
  const records: string[] = []
  await (await FramedLog.open(files, at, (record) => records.push(record.toString()))).close()
  return records
}

async function logOf(disk: FaultDisk, ...groups: (readonly string[])[]): Promise<FramedLog> {
  const log = await FramedLog.open(disk, path)
  for (const group of groups) await log.append(group.map(bytes))
  return log
}

test('a frame, byte by byte', () => {
  expect(frameOf([bytes('ab'), bytes('')], 0).toString('hex')).toBe('737166310a000000069e048602000000616200000000')
  expect(frameOf([bytes('ab')], 0)).not.toEqual(frameOf([bytes('ab')], 1))
})

describe('a framed log', () => {
  test('gives back what was appended, in order, empty records too', async () => {
    const disk = new FaultDisk(new Random(1))
    const log = await logOf(disk, ['one'], ['two', '', 'three'], ['x'.repeat(100_000)])
    expect(log.cut).toBeUndefined()
    await log.close()
    expect(await contentOf(disk)).toEqual(['one', 'two', '', 'three', 'x'.repeat(100_000)])
    await expect(log.append([bytes('late')])).rejects.toMatchObject({ code: 'file-unwritable' })
  })

  test('syncs once for all that is appended while a write is under way', async () => {
    const disk = new FaultDisk(new Random(1))
    const log = await logOf(disk)
    const before = disk.step
    await Promise.all(['a', 'b', 'c', 'd'].map((text) => log.append([bytes(text)])))
    expect(disk.step - before).toBe(2) // one append, one sync
    await log.close()
    expect(await contentOf(disk)).toEqual(['a', 'b', 'c', 'd'])
  })

  test('cuts a tail wherever it is cut short, and says so', async () => {
    const disk = new FaultDisk(new Random(1))
    await (await logOf(disk, ['one'], ['two'])).close()
    const whole = disk.bytesOf(path)
    const start = frameOf([bytes('one')], 0).length
    for (let size = start + 1; size < whole.length; size++) {
      disk.tamper(path, () => whole.subarray(0, size))
      const log = await FramedLog.open(disk, path)
      expect(log.cut).toEqual({ file: path, offset: start, lostBytes: size - start })
      await log.append([bytes('again')])
      await log.close()
      expect(await contentOf(disk)).toEqual(['one', 'again'])
    }
  })

  test('refuses a broken middle, whichever byte it is, and leaves the file', async () => {
    const disk = new FaultDisk(new Random(1))
    await (await logOf(disk, ['first'], ['second'], ['third'])).close()
    const whole = disk.bytesOf(path)
    const last = frameOf([bytes('first')], 0).length + frameOf([bytes('second')], 0).length
    for (let at = 0; at < last; at++) {
      const broken = Buffer.from(whole)
      broken[at] = (broken[at] as number) ^ 0x40
      disk.tamper(path, () => broken)
      const offset = at < frameOf([bytes('first')], 0).length ? 0 : frameOf([bytes('first')], 0).length
      await expect(contentOf(disk)).rejects.toMatchObject({
        code: 'log-corrupt',
        what: `${path} is broken at byte ${offset}, in what had been durable`,
      })
      expect(disk.bytesOf(path)).toEqual(broken)
    }
  })

  test('a log inside a record that was cut short is no part of the log', async () => {
    const disk = new FaultDisk(new Random(1))
    await (await logOf(disk, ['one'], ['two'])).close()
    const inner = disk.bytesOf(path).toString('latin1')
    const log = await logOf(disk)
    await log.append([Buffer.from(`${inner}${inner}`, 'latin1')])
    await log.close()
    disk.tamper(path, (whole) => whole.subarray(0, -1))
    expect(await contentOf(disk)).toEqual(['one', 'two'])
  })

  test('a full disk is a coded error, after which nothing of the write is left', async () => {
    const disk = new FaultDisk(new Random(1))
    const log = await logOf(disk, ['one'])
    disk.room = 9
    await expect(log.append([bytes('too much')])).rejects.toMatchObject({ code: 'disk-full' })
    expect(disk.bytesOf(path)).toEqual(frameOf([bytes('one')], 0))
    disk.room = Infinity
    await log.append([bytes('two')])
    await log.close()
    expect(await contentOf(disk)).toEqual(['one', 'two'])
  })

  test('a write that cannot be taken back breaks the log', async () => {
    const disk = new FaultDisk(new Random(1))
    const log = await logOf(disk, ['one'])
    disk.syncFails = true
    await expect(log.append([bytes('two')])).rejects.toMatchObject({ code: 'file-unwritable' })
    disk.syncFails = false
    await expect(log.append([bytes('three')])).rejects.toMatchObject({ code: 'file-unwritable' })
    await log.close()
    expect(await contentOf(disk)).toEqual(['one'])
  })

  test('after a crash at any step, what was acknowledged is there, and at most the write under way besides', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(),
        fc.array(fc.array(fc.string(), { minLength: 1, maxLength: 3 }), { maxLength: 5 }),
        fc.boolean(),
        async (seed, groups, isPower) => {
          for (let crashAt = 1; ; crashAt++) {
            const disk = new FaultDisk(new Random(seed + crashAt))
            disk.crashAt = crashAt
            const done: string[] = []
            let trying: readonly string[] = []
            try {
              const log = await FramedLog.open(disk, path)
              for (const group of groups) {
                trying = group
                await log.append(group.map(bytes))
                done.push(...group)
                trying = []
              }
            } catch (error) {
              if (!(error instanceof Crash)) throw error
            }
            const found = (await contentOf(isPower ? disk.powerLost() : disk.killed())).join('|')
            expect([done.join('|'), [...done, ...trying].join('|')]).toContain(found)
            if (disk.step < crashAt) return
          }
        },
      ),
      { numRuns: 60 },
    )
  })

  test('on the disk of this machine', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'squall-log-'))
    try {
      const file = join(folder, 'a.log')
      const log = await FramedLog.open(nodeFileSystem, file)
      await log.append([bytes('one'), bytes('two')])
      await log.close()
      expect(await contentOf(nodeFileSystem, file)).toEqual(['one', 'two'])
      expect(await nodeFileSystem.list(join(folder, 'none'))).toEqual([])
      expect(await nodeFileSystem.open(join(folder, 'none'), 'read')).toBeUndefined()
      await writeFile(join(folder, 'plain'), '')
      await expect(nodeFileSystem.makeFolder(join(folder, 'plain', 'x'))).rejects.toMatchObject({ code: 'file-unwritable' })
      await expect(nodeFileSystem.list(join(folder, 'plain'))).rejects.toMatchObject({ code: 'file-unreadable' })
      await nodeFileSystem.rename(file, join(folder, 'b.log'))
      await nodeFileSystem.syncFolder(folder)
      await nodeFileSystem.remove(join(folder, 'plain'))
      expect(await nodeFileSystem.list(folder)).toEqual(['b.log'])
    } finally {
      await rm(folder, { recursive: true })
    }
  })
})

test('what was read when a log was opened is there after a power cut, also where whoever wrote it was killed before it was durable', async () => {
  const written = new FaultDisk(new Random(1))
  const log = await logOf(written, ['one'])
  written.onStep = () => {
    // its bytes are written, and the next step makes them durable
    if (written.bytesOf(path).length > frameOf([bytes('one')], 0).length) written.crashAt = written.step
  }
  await expect(log.append([bytes('two')])).rejects.toThrow(Crash)
  const found = written.killed()
  expect(await contentOf(found)).toEqual(['one', 'two'])
  expect(await contentOf(found.powerLost())).toEqual(['one', 'two'])
})

test('a file that was never a log is not emptied for one', async () => {
  const disk = new FaultDisk(new Random(1))
  await (await logOf(disk, ['one'])).close()
  disk.tamper(path, () => Buffer.from('some text that somebody has put there'))
  await expect(contentOf(disk)).rejects.toMatchObject({ code: 'log-corrupt' })
  expect(disk.bytesOf(path).toString()).toContain('some text')
  for (const start of ['sq', '\0\0\0\0\0\0']) {
    disk.tamper(path, () => Buffer.from(start))
    expect(await contentOf(disk)).toEqual([])
  }
})

describe('a rolling log', () => {
  async function records(disk: FaultDisk, from?: number): Promise<string[]> {
    const found: string[] = []
    await (await RollingLog.open(disk, '/d', 'wal', (record, number) => found.push(`${number}:${record.toString()}`), from)).close()
    const read: string[] = []
    await readRollingLog(disk, '/d', 'wal', (record) => read.push(record.toString()), from)
    expect(read).toEqual(found.map((one) => one.replace(/^\d+:/, '')))
    return found
  }

  async function rolled(): Promise<{ disk: FaultDisk; log: RollingLog }> {
    const disk = new FaultDisk(new Random(1))
    const log = await RollingLog.open(disk, '/d', 'wal')
    await log.append([bytes('a')])
    expect(await log.roll()).toBe(2)
    await log.append([bytes('b')])
    await log.roll()
    await log.append([bytes('c')])
    return { disk, log }
  }

  test('goes on in a new file, and drops old ones', async () => {
    const { disk, log } = await rolled()
    const size = log.sizeBytes
    expect(size).toBe(3 * frameOf([bytes('a')], 0).length)
    expect(await records(disk.killed())).toEqual(['1:a', '2:b', '3:c'])
    expect(await records(disk.killed(), 2)).toEqual(['2:b', '3:c'])
    await log.removeBefore(3)
    expect(log.sizeBytes).toBe(size / 3)
    await log.removeBefore(99)
    await log.close()
    expect(await records(disk)).toEqual(['3:c'])
  })

  test('only the last file may be cut short', async () => {
    const { disk } = await rolled()
    const last = disk.killed()
    last.tamper('/d/wal-00000003.log', (whole) => whole.subarray(0, -1))
    expect((await RollingLog.open(last, '/d', 'wal')).cut).toMatchObject({ offset: 0 })
    const middle = disk.killed()
    middle.tamper('/d/wal-00000002.log', (whole) => whole.subarray(0, -1))
    await expect(records(middle)).rejects.toMatchObject({ code: 'log-corrupt' })
    const missing = disk.killed()
    await missing.remove('/d/wal-00000002.log')
    await expect(records(missing)).rejects.toMatchObject({ code: 'file-not-found', what: 'cannot find the file /d/wal-00000002.log' })
  })

  test('a roll that fails leaves the log as it was, whatever file it left behind', async () => {
    const { disk, log } = await rolled()
    const full = disk.syncFolder.bind(disk)
    disk.syncFolder = () => Promise.reject(new Error('no'))
    await expect(log.roll()).rejects.toThrow('no')
    disk.syncFolder = full
    await log.append([bytes('d')])
    const torn = disk.killed()
    torn.tamper('/d/wal-00000003.log', (whole) => whole.subarray(0, -1))
    expect(await records(torn)).toEqual(['1:a', '2:b', '3:c'])
    expect(await log.roll()).toBe(4)
    await log.append([bytes('e')])
    expect(await records(disk)).toEqual(['1:a', '2:b', '3:c', '3:d', '4:e'])
  })

  test('files of other names are left alone', async () => {
    const { disk, log } = await rolled()
    await (await RollingLog.open(disk, '/d', 'wal-other')).close()
    await log.removeBefore(3)
    expect(disk.paths).toEqual(['/d/wal-00000003.log', '/d/wal-other-00000001.log'])
  })
})
