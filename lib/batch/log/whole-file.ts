/** Small files that are there whole or not at all: written aside, then renamed. */
import { dirname } from 'node:path'
import type { FileSystem } from './file-system.ts'

/** The bytes of a file; `undefined` when it is not there. */
export async function readWholeFile(files: FileSystem, path: string): Promise<Buffer | undefined> {
  const file = await files.open(path, 'read')
  if (file === undefined) return undefined
  try {
    const bytes = Buffer.alloc(await file.size())
    return bytes.subarray(0, await file.read(bytes, 0))
  } finally {
    await file.close()
  }
}

/** `undefined`: there is no such file. */
export async function sizeOf(files: FileSystem, path: string): Promise<number | undefined> {
  const file = await files.open(path, 'read')
  if (file === undefined) return undefined
  try {
    return await file.size()
  } finally {
    await file.close()
  }
}

/** Puts these bytes in the place of what was there. Durable when the promise resolves; a crash leaves the old file or the new one. */
export async function replaceFile(files: FileSystem, path: string, bytes: Uint8Array): Promise<void> {
  const aside = `${path}.new`
  await files.remove(aside)
  const file = await files.open(aside, 'append')
  try {
    await file.append(bytes)
    await file.sync()
  } finally {
    await file.close()
  }
  await files.rename(aside, path)
  await files.syncFolder(dirname(path))
}
