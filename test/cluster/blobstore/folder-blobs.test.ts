import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { FolderBlobs } from '../../../lib/cluster/blobstore/folder-blobs.ts'
import { nodeFileSystem } from '../../../lib/batch/log/file-system.ts'
import { digestOf } from '../../../lib/cluster/blobstore/blobs.ts'
import { Random } from '../../../lib/std/random.ts'
import { FaultDisk } from '../../batch/fault-disk.ts'
import { folderOf } from '../../fixtures/files.ts'
import { keepsBlobs } from './conformance.ts'

describe('blobs in a folder', () => {
  keepsBlobs(async () => {
    const folder = join(folderOf({}), 'blobs')
    return {
      blobs: await FolderBlobs.open(folder, nodeFileSystem, 1_000),
      damage: async (digest) => writeFileSync(join(folder, digest), 'something else'),
    }
  })

  test.each(['killed', 'powerLost'] as const)(
    'a put that was broken off (%s) at any step leaves the blob whole or not at all; one put since is there',
    async (end) => {
      const bytes = Buffer.alloc(900, 'code ')
      const digest = digestOf(bytes)
      const found = { whole: 0, none: 0 }
      for (let crashAt = 0, crashed = true; crashed; crashAt++) {
        const disk = new FaultDisk(new Random(crashAt))
        const store = await FolderBlobs.open('/blobs', disk)
        disk.crashAt = disk.step + crashAt
        crashed = await store.put(bytes).then(
          () => false,
          () => true,
        )
        const next = disk[end]()
        const blobs = await FolderBlobs.open('/blobs', next)
        const list = await blobs.list()
        const isThere = !crashed || list.length > 0
        found[isThere ? 'whole' : 'none']++
        expect(list).toEqual(isThere ? [digest] : [])
        expect(Buffer.from(isThere ? await blobs.get(digest) : bytes)).toEqual(bytes)
        // as any put that has resolved, it survives a power cut from now on
        await blobs.put(bytes)
        for (let cut = 0; cut < 10; cut++) {
          const after = await FolderBlobs.open('/blobs', next.powerLost())
          expect(Buffer.from(await after.get(digest))).toEqual(bytes)
        }
      }
      expect(found.none).toBeGreaterThan(0)
      expect(found.whole).toBeGreaterThan(0)
    },
  )

  test('one whose name was not durable when it was put is so when it is put again', async () => {
    const disk = new FaultDisk(new Random(1))
    const blobs = await FolderBlobs.open('/blobs', disk)
    const sync = disk.syncFolder.bind(disk)
    disk.syncFolder = () => Promise.reject(new Error('the cable is loose'))
    await expect(blobs.put(Buffer.from('code'))).rejects.toThrow('the cable is loose')
    disk.syncFolder = sync
    const digest = await blobs.put(Buffer.from('code'))
    for (let cut = 0; cut < 20; cut++) expect(await (await FolderBlobs.open('/blobs', disk.powerLost())).list()).toEqual([digest])
  })

  test('a full disk leaves nothing behind that would be taken for a blob', async () => {
    const disk = new FaultDisk(new Random(1))
    const blobs = await FolderBlobs.open('/blobs', disk)
    const kept = await blobs.put(Buffer.from('kept'))
    disk.room = 10
    await expect(blobs.put(Buffer.alloc(900))).rejects.toMatchObject({ code: 'disk-full' })
    expect(await blobs.list()).toEqual([kept])
    disk.room = Infinity
    const digest = await blobs.put(Buffer.alloc(900))
    expect(await blobs.list()).toEqual([kept, digest].toSorted())
  })

  test('are there again when the folder is opened again, and what was never whole is not', async () => {
    const folder = folderOf({})
    const digest = await (await FolderBlobs.open(folder)).put(Buffer.from('kept'))
    writeFileSync(join(folder, `${'0'.repeat(64)}.new`), 'half')
    const blobs = await FolderBlobs.open(folder)
    expect(await blobs.list()).toEqual([digest])
    expect(readdirSync(folder)).toEqual([digest])
  })
})
