/** What every store of blobs does, whatever it is made of. */
import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import type { Blobs } from '../../../lib/cluster/blobstore/blobs.ts'

export interface BlobSite {
  readonly blobs: Blobs
  /** damages what is kept under this name */
  readonly damage: (digest: string) => Promise<void>
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/** `open` gives an empty store that takes at most 1,000 bytes a blob. */
export function keepsBlobs(open: () => Promise<BlobSite>): void {
  describe('as any store of blobs', () => {
    test('gives what was put, under its digest, and lists it', async () => {
      const { blobs } = await open()
      const some = [Buffer.from('one'), Buffer.from([0, 255, 10, 13]), Buffer.alloc(0), Buffer.alloc(1_000, 7)]
      for (const bytes of some) expect(await blobs.put(bytes)).toBe(sha256(bytes))
      for (const bytes of some) {
        expect(Buffer.from(await blobs.get(sha256(bytes)))).toEqual(bytes)
        expect(await blobs.has(sha256(bytes))).toBe(true)
      }
      expect(await blobs.list()).toEqual(some.map(sha256).toSorted())
    })

    test('the same bytes, put again and at once, are one blob', async () => {
      const { blobs } = await open()
      const bytes = Buffer.from('again')
      await Promise.all([blobs.put(bytes), blobs.put(bytes), blobs.put(Buffer.from('again'))])
      await blobs.put(bytes)
      expect(await blobs.list()).toEqual([sha256(bytes)])
    })

    test('what is deleted is gone, once and again', async () => {
      const { blobs } = await open()
      const digest = await blobs.put(Buffer.from('gone'))
      await blobs.delete(digest)
      await blobs.delete(digest)
      expect(await blobs.has(digest)).toBe(false)
      expect(await blobs.list()).toEqual([])
      await expect(blobs.get(digest)).rejects.toMatchObject({ code: 'blob-missing' })
    })

    test('what is too large is refused, and leaves nothing', async () => {
      const { blobs } = await open()
      await expect(blobs.put(Buffer.alloc(1_001))).rejects.toMatchObject({ code: 'blob-too-large' })
      expect(await blobs.list()).toEqual([])
    })

    test('what was damaged is not given, and made good by putting it again', async () => {
      const { blobs, damage } = await open()
      const bytes = Buffer.from('to be damaged')
      const digest = await blobs.put(bytes)
      await damage(digest)
      await expect(blobs.get(digest)).rejects.toMatchObject({ code: 'blob-corrupt' })
      await blobs.put(bytes)
      expect(Buffer.from(await blobs.get(digest))).toEqual(bytes)
    })

    test.each(['', '../../etc/passwd', `${'0'.repeat(63)}/`, 'A'.repeat(64), `${'0'.repeat(64)}\n`, `${'0'.repeat(64)}.new`])(
      'a name that is no digest is refused: %j',
      async (name) => {
        const { blobs } = await open()
        for (const refused of [blobs.get(name), blobs.has(name), blobs.delete(name)])
          await expect(refused).rejects.toMatchObject({ code: 'blob-name' })
      },
    )
  })
}
