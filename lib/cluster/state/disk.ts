/** The disk of a member: files as `FileSystem` has them, and a look at all that is there. */
import { createHash } from 'node:crypto'
import { readdir, stat } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { nodeFileSystem } from '../../batch/log/file-system.ts'
import type { FileSystem } from '../../batch/log/file-system.ts'
import { SquallError, reasonOf } from '../../errors.ts'
import { partBytesMax } from './words.ts'

export interface Disk extends FileSystem {
  /** The files in a folder and in those in it, or the one file of this name: paths from `folder` on, sorted; `''` stands for itself. */
  walk(folder: string): Promise<readonly string[]>
}

export const nodeDisk: Disk = {
  ...nodeFileSystem,
  async walk(folder) {
    try {
      if (!(await stat(folder)).isDirectory()) return ['']
      const entries = await readdir(folder, { recursive: true, withFileTypes: true })
      return entries.flatMap((entry) => (entry.isFile() ? [relative(folder, join(entry.parentPath, entry.name))] : [])).sort()
    } catch (error) {
      if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return []
      throw new SquallError('file-unreadable', { file: folder, reason: reasonOf(error) }, {}, { cause: error })
    }
  },
}

/** At most `max` bytes from `at` on; none where there are none. */
export async function readPart(disk: FileSystem, path: string, at: number, max: number): Promise<Uint8Array> {
  const file = await disk.open(path, 'read')
  if (file === undefined) return new Uint8Array(0)
  try {
    const bytes = new Uint8Array(Math.max(0, Math.min(max, (await file.size()) - at)))
    return bytes.subarray(0, await file.read(bytes, at))
  } finally {
    await file.close()
  }
}

/** Of its first bytes, or of all if it has fewer. */
export async function digestOf(disk: FileSystem, path: string, size: number): Promise<string> {
  const hash = createHash('sha256')
  for (let at = 0; at < size;) {
    const part = await readPart(disk, path, at, Math.min(partBytesMax, size - at))
    if (part.length === 0) break
    hash.update(part)
    at += part.length
  }
  return hash.digest('hex')
}

/** What a writer that died has left may not be durable yet: whoever goes on from it must be sure of it. */
export async function makeDurable(disk: FileSystem, path: string): Promise<void> {
  const file = await disk.open(path, 'read')
  // to be made again is not for this: it was removed meanwhile
  if (file === undefined) return
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}

/** From byte `at` on, the file is `bytes`; made when it is not there. `false`, and nothing is changed, when it is shorter. */
export async function writeAt(disk: FileSystem, path: string, at: number, bytes: Uint8Array, sync: boolean): Promise<boolean> {
  const file = await disk.open(path, 'append')
  try {
    const size = await file.size()
    if (size < at) return false
    if (size > at) await file.truncate(at)
    if (bytes.length > 0) await file.append(bytes)
    if (sync) await file.sync()
    return true
  } finally {
    await file.close()
  }
}
