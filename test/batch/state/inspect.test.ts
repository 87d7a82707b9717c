import { mkdtemp, rm, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { openStateDirectory } from '../../../lib/batch/state/directory.ts'
import type { StateDirectoryOptions } from '../../../lib/batch/state/directory.ts'
import { stateTxid, viewState } from '../../../lib/batch/state/inspect.ts'
import type { StateStore } from '../../../lib/batch/state/store.ts'
import { nodeFileSystem } from '../../../lib/batch/log/file-system.ts'
import { Random } from '../../../lib/std/random.ts'
import { FaultDisk } from '../fault-disk.ts'

const base = { topology: 'words', tasks: 2, operators: { counts: 1 }, run: 'r1' } as const

async function storesOf(options: StateDirectoryOptions): Promise<[StateStore, StateStore]> {
  const directory = await openStateDirectory(options)
  return [await directory.open(0), await directory.open(1)]
}

/** The same number under a key of each of these tasks. */
async function batch(stores: readonly StateStore[], txid: number, tasks: readonly number[] = [0, 1]): Promise<void> {
  for (const task of tasks) {
    const store = stores[task] as StateStore
    store.begin(txid)
    store.table('counts').put(`key${task}`, txid)
    await store.commit(txid)
  }
}

async function temporary(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'squall-view-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

describe.each(['log', 'lmdb'] as const)('a look into %s', (store) => {
  test('while a run has it open: the last batch that all tasks have', async () => {
    const folder = await temporary()
    const stores = await storesOf({ ...base, folder, store })
    const look = async (): Promise<unknown> => {
      const view = await viewState(folder, 'words')
      expect(await stateTxid(folder, 'words', nodeFileSystem)).toBe(view.txid)
      const found = [view.txid, Object.fromEntries(view.entries('counts') as Iterable<[string, number]>), view.operators]
      await view.close()
      return found
    }
    expect(await look()).toEqual([undefined, {}, [{ operator: 'counts', keys: 0 }]])
    await batch(stores, 1, [0])
    expect(await look()).toEqual([undefined, {}, [{ operator: 'counts', keys: 0 }]])
    await batch(stores, 1, [1])
    expect(await look()).toEqual([1, { key0: 1, key1: 1 }, [{ operator: 'counts', keys: 2 }]])
    await batch(stores, 2)
    await batch(stores, 3, [0])
    expect(await look()).toEqual([2, { key0: 2, key1: 2 }, [{ operator: 'counts', keys: 2 }]])
    stores[0].begin(4)
    stores[0].table('counts').put('key0', 99)
    expect(await look()).toEqual([2, { key0: 2, key1: 2 }, [{ operator: 'counts', keys: 2 }]])
    stores[0].discard()
    for (const one of stores) await one.close()
    expect(await look()).toEqual([2, { key0: 2, key1: 2 }, [{ operator: 'counts', keys: 2 }]])
  })

  test('finds a key in the task that has it', async () => {
    const folder = await temporary()
    const stores = await storesOf({ ...base, folder, store })
    await batch(stores, 7)
    const view = await viewState(folder, 'words')
    expect([view.get('counts', 'key0'), view.get('counts', 'key1'), view.get('counts', 'x')]).toEqual([7, 7, undefined])
    expect(view.sizeBytes).toBeGreaterThan(0)
    await view.close()
    for (const one of stores) await one.close()
  })
})

test('a data file of LMDB that is empty, or gone, has nothing', async () => {
  const folder = await temporary()
  const stores = await storesOf({ ...base, folder, store: 'lmdb' })
  await batch(stores, 1)
  for (const one of stores) await one.close()
  const file = join(folder, 'state', '1', 'task-1', 'data.mdb')
  for (const damage of [() => truncate(file, 0), () => rm(file)]) {
    await damage()
    const view = await viewState(folder, 'words')
    expect([view.txid, [...view.entries('counts')]]).toEqual([undefined, []])
    await view.close()
  }
})

test('before a task has begun there is nothing of it', async () => {
  const folder = await temporary()
  await openStateDirectory({ ...base, folder, store: 'lmdb' })
  const view = await viewState(folder, 'words')
  expect([view.txid, view.sizeBytes, [...view.entries('counts')]]).toEqual([undefined, 0, []])
  await expect(viewState(folder, 'other')).rejects.toMatchObject({ code: 'state-of-another' })
  await expect(viewState(join(folder, 'x'), 'words', nodeFileSystem)).rejects.toMatchObject({ code: 'state-missing' })
})

test('a run that goes on while its files are read does no harm', async () => {
  const disk = new FaultDisk(new Random(1))
  const stores = await storesOf({ ...base, folder: '/d', store: 'log', files: disk })
  await batch(stores, 1)
  let txid = 1
  let snapshots = 0
  const list = disk.list.bind(disk)
  // each time the second task is looked at, five batches go by; twice the files are replaced after they were listed
  disk.list = async (path) => {
    const names = await list(path)
    if (!path.endsWith('task-1') || txid > 30) return names
    for (let i = 0; i < 5; i++) await batch(stores, ++txid)
    if (snapshots++ < 2) for (const store of stores) await store.snapshot()
    return names
  }
  const view = await viewState('/d', 'words', disk)
  const values = [...view.entries('counts')].map(([, value]) => value)
  expect(values).toEqual([view.txid, view.txid])
  expect(txid).toBeGreaterThan(10)
})

test('what is really broken is told', async () => {
  const disk = new FaultDisk(new Random(1))
  const stores = await storesOf({ ...base, folder: '/d', store: 'log', files: disk })
  await batch(stores, 1)
  await batch(stores, 2)
  disk.tamper('/d/state/1/task-1/changes-00000001.log', (bytes) => Buffer.concat([Buffer.from([0]), bytes.subarray(1)]))
  await expect(viewState('/d', 'words', disk)).rejects.toMatchObject({ code: 'log-corrupt' })
})
