import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { FolderBlobs } from '../../../lib/cluster/blobstore/folder-blobs.ts'
import { nodeFileSystem } from '../../../lib/batch/log/file-system.ts'
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

  test('are there again when the folder is opened again, and what was never whole is not', async () => {
    const folder = folderOf({})
    const digest = await (await FolderBlobs.open(folder)).put(Buffer.from('kept'))
    writeFileSync(join(folder, `${'0'.repeat(64)}.new`), 'half')
    const blobs = await FolderBlobs.open(folder)
    expect(await blobs.list()).toEqual([digest])
    expect(readdirSync(folder)).toEqual([digest])
  })
})
