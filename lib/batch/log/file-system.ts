/**
 * The few things that durable files need of an operating system, as a port: tests put a disk behind it that crashes between any two
 * steps or is full.
 *
 * What a caller may rely on: bytes are durable after `sync`, a name (created, renamed, removed) after `syncFolder` of its folder.
 */
import { closeSync, fsyncSync, openSync } from 'node:fs'
import { open, readdir, rename, rm } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'
import { SquallError, reasonOf } from '../../errors.ts'
import { makeFolders } from '../../std/folders.ts'

/** A file that is open: read anywhere, written at its end. */
export interface OpenFile {
  size(): Promise<number>
  /** Fills `into` from byte `at` on; says how many bytes there were. */
  read(into: Uint8Array, at: number): Promise<number>
  append(bytes: Uint8Array): Promise<void>
  truncate(sizeBytes: number): Promise<void>
  sync(): Promise<void>
  close(): Promise<void>
}

export interface FileSystem {
  /** Makes the folder and those above it, durably. */
  makeFolder(path: string): Promise<void>
  /**
   * From now on the files whose paths begin with this are the caller's alone: a writer that had them before, and does not know yet that it was replaced, cannot
   * change them any more. On a disk of one machine nothing is to be done: whoever had them is dead before the next one starts.
   */
  claim(prefix: string): Promise<void>
  /** The names in a folder, sorted; none when there is no such folder. */
  list(path: string): Promise<readonly string[]>
  /** `append` makes the file when it is not there, `read` gives `undefined` then. */
  open(path: string, mode: 'append'): Promise<OpenFile>
  open(path: string, mode: 'read'): Promise<OpenFile | undefined>
  /** Replaces what is at `to`. */
  rename(from: string, to: string): Promise<void>
  /** A file or a folder with all in it; nothing when it is not there. */
  remove(path: string): Promise<void>
  syncFolder(path: string): Promise<void>
}

/** The disk of this machine. */
export const nodeFileSystem: FileSystem = {
  makeFolder: (path) => writing(path, async () => makeFolder(path)),
  claim: () => Promise.resolve(),
  async list(path) {
    try {
      return (await readdir(path)).sort()
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return []
      throw readError(path, error)
    }
  },
  open: openFile as FileSystem['open'],
  rename: (from, to) => writing(to, () => rename(from, to)),
  remove: (path) => writing(path, () => rm(path, { recursive: true, force: true })),
  syncFolder: (path) => writing(path, async () => syncFolder(path)),
}

/** With the names of all folders that were not there. */
function makeFolder(path: string): void {
  for (const made of makeFolders(path)) syncFolder(dirname(made))
}

async function openFile(path: string, mode: 'append' | 'read'): Promise<OpenFile | undefined> {
  try {
    return openFileOf(path, await open(path, mode === 'append' ? 'a+' : 'r'))
  } catch (error) {
    if (mode === 'append') throw writeError(path, error)
    if (codeOf(error) === 'ENOENT') return undefined
    throw readError(path, error)
  }
}

function openFileOf(path: string, handle: FileHandle): OpenFile {
  return {
    size: async () => (await handle.stat()).size,
    async read(into, at) {
      let done = 0
      while (done < into.length) {
        const { bytesRead } = await handle.read(into, done, into.length - done, at + done).catch((error: unknown) => {
          throw readError(path, error)
        })
        if (bytesRead === 0) break
        done += bytesRead
      }
      return done
    },
    append: (bytes) =>
      writing(path, async () => {
        for (let done = 0; done < bytes.length;) done += (await handle.write(bytes, done, bytes.length - done)).bytesWritten
      }),
    truncate: (sizeBytes) => writing(path, () => handle.truncate(sizeBytes)),
    sync: () => writing(path, () => handle.datasync()),
    close: () => handle.close(),
  }
}

/** A folder has no handle among Node's promises on every platform; Windows has no such thing as syncing one. */
function syncFolder(path: string): void {
  if (process.platform === 'win32') return
  const folder = openSync(path, 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}

async function writing(path: string, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    throw writeError(path, error)
  }
}

/** What keeps a file from being written. */
export function writeError(file: string, error: unknown): SquallError {
  const code = codeOf(error)
  if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG') return new SquallError('disk-full', { file }, {}, { cause: error })
  return new SquallError('file-unwritable', { file, reason: reasonOf(error) }, {}, { cause: error })
}

function readError(file: string, error: unknown): SquallError {
  return new SquallError('file-unreadable', { file, reason: reasonOf(error) }, {}, { cause: error })
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code
}
