/** A look into a state directory, at the last batch that all tasks have committed, while nothing runs or while a run has it open. */
import { join } from 'node:path'
import { SquallError } from '../../errors.ts'
import { nodeFileSystem } from '../log/file-system.ts'
import type { FileSystem } from '../log/file-system.ts'
import { sizeOf } from '../log/whole-file.ts'
import { missing, readManifest, taskFolder } from './directory.ts'
import type { Manifest } from './directory.ts'
import { hasLmdbData } from './lmdb-file.ts'
import { LmdbStore } from './lmdb-store.ts'
import { readLogState, readLogTxid } from './log-store.ts'
import { MemoryStore } from './memory-store.ts'
import { commonTxid } from './redistribute.ts'
import type { StateStore } from './store.ts'

export interface StateView {
  readonly manifest: Manifest
  /** `undefined`: no batch was committed by all tasks yet */
  readonly txid: number | undefined
  readonly sizeBytes: number
  /** the operators that keep something, and how many keys */
  readonly operators: readonly { readonly operator: string; readonly keys: number }[]
  get(operator: string, key: unknown): unknown
  entries(operator: string): Iterable<readonly [unknown, unknown]>
  close(): Promise<void>
}

/** How often a look is tried again when a run has moved on meanwhile. */
const triesMax = 10

/**
 * Errors: `state-missing`, `state-of-another`, `state-format`, `log-corrupt`.
 *
 * ```ts
 * const view = await viewState('state-dir', 'exact-count')
 * for (const [word, count] of view.entries('counts')) console.log(word, count)
 * await view.close()
 * ```
 */
export async function viewState(folder: string, topology: string, files: FileSystem = nodeFileSystem): Promise<StateView> {
  for (let i = 1; ; i++)
    try {
      return await tryView(folder, topology, files)
    } catch (error) {
      // files that a run has replaced while they were read; what is really broken is so the last time too
      const isPassing =
        error instanceof SquallError && ['file-not-found', 'log-corrupt', 'state-torn', 'file-unreadable'].includes(error.code)
      if (!isPassing || i === triesMax) throw error
    }
}

async function tryView(folder: string, topology: string, files: FileSystem): Promise<StateView> {
  const manifest = await manifestOf(folder, topology, files)
  const stores: StateStore[] = []
  try {
    for (let task = 0; task < manifest.tasks; task++) stores.push(await openReader(files, folder, manifest, task))
    const txid = await leveled(stores, files, folder, manifest)
    let sizeBytes = 0
    for (let task = 0; task < manifest.tasks; task++) sizeBytes += await sizeOfAll(files, taskFolder(folder, manifest, task))
    return viewOf(manifest, stores, txid, sizeBytes)
  } catch (error) {
    for (const store of stores) await store.close()
    throw error
  }
}

/** Brings all to the last batch that each of them has: by its undo, or, when a run went on while they were read, by reading again up to there. */
async function leveled(stores: StateStore[], files: FileSystem, folder: string, manifest: Manifest): Promise<number | undefined> {
  const txids = stores.map(({ txid }) => txid)
  const least = txids.includes(undefined) ? undefined : Math.min(...(txids as number[]))
  if (manifest.store === 'log' && least !== undefined)
    for (const [task, store] of stores.entries())
      if ((store.txid as number) > least + 1) stores[task] = await openReader(files, folder, manifest, task, least + 1)
  const txid = commonTxid(folder, stores)
  for (const store of stores) if (store.txid !== txid) store.begin(store.txid as number)
  return txid
}

async function openReader(files: FileSystem, folder: string, manifest: Manifest, task: number, upTo?: number): Promise<StateStore> {
  const path = taskFolder(folder, manifest, task)
  // the task has not begun yet
  if ((await files.list(path)).length === 0 || (manifest.store === 'lmdb' && !hasLmdbData(path))) return new MemoryStore()
  if (manifest.store === 'lmdb') return await LmdbStore.open({ folder: path, isReadOnly: true })
  return new MemoryStore(await readLogState(files, path, upTo))
}

/**
 * The last batch that all tasks have committed, as `viewState` finds it while nothing runs, of a state of any size: nothing of it is held in memory.
 *
 * Errors: those of `viewState`.
 */
export async function stateTxid(folder: string, topology: string, files: FileSystem): Promise<number | undefined> {
  const manifest = await manifestOf(folder, topology, files)
  const tasks: { readonly txid: number | undefined }[] = []
  for (let task = 0; task < manifest.tasks; task++) tasks.push({ txid: await txidOf(files, taskFolder(folder, manifest, task), manifest) })
  return commonTxid(folder, tasks)
}

async function txidOf(files: FileSystem, path: string, { store }: Manifest): Promise<number | undefined> {
  if (store === 'log') return await readLogTxid(files, path)
  if (!hasLmdbData(path)) return undefined
  const reader = await LmdbStore.open({ folder: path, isReadOnly: true })
  const { txid } = reader
  await reader.close()
  return txid
}

async function manifestOf(folder: string, topology: string, files: FileSystem): Promise<Manifest> {
  const manifest = await readManifest(files, folder)
  if (manifest === undefined) throw missing(folder)
  if (manifest.topology !== topology)
    throw new SquallError('state-of-another', { folder, found: manifest.topology, topology }, { file: folder, topology })
  return manifest
}

async function sizeOfAll(files: FileSystem, folder: string): Promise<number> {
  let sum = 0
  for (const name of await files.list(folder)) sum += (await sizeOf(files, join(folder, name))) ?? 0
  return sum
}

function viewOf(manifest: Manifest, stores: readonly StateStore[], txid: number | undefined, sizeBytes: number): StateView {
  const names = [...new Set([...Object.keys(manifest.operators), ...stores.flatMap(({ operators }) => operators)])].sort()
  return {
    manifest,
    txid,
    sizeBytes,
    operators: names.map((operator) => ({ operator, keys: stores.reduce((sum, store) => sum + store.table(operator).size, 0) })),
    get(operator, key) {
      for (const store of stores) {
        const value = store.table(operator).get(key)
        if (value !== undefined) return value
      }
      return undefined
    },
    *entries(operator) {
      for (const store of stores) yield* store.table(operator).entries()
    },
    async close() {
      for (const store of stores) await store.close()
    },
  }
}
