import { execFileSync, spawn } from 'node:child_process'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, onTestFinished, test } from 'vitest'
import { nodeFileSystem } from '../../../lib/batch/log/file-system.ts'
import { openStateDirectory, openStateStore } from '../../../lib/batch/state/directory.ts'
import type { StateDirectory, StateDirectoryOptions } from '../../../lib/batch/state/directory.ts'
import { keyGroupOf, keyGroupsOfTask, taskOfKeyGroup } from '../../../lib/batch/state/keys.ts'
import { lockFolder } from '../../../lib/batch/state/lock.ts'
import type { StateStore } from '../../../lib/batch/state/store.ts'
import { Random } from '../../../lib/std/random.ts'
import { Crash, FaultDisk } from '../fault-disk.ts'
import { contentOf } from './conformance.ts'

const base = { topology: 'words', store: 'log', keyGroups: 16, operators: { counts: 1 }, run: 'r1' } as const

async function temporary(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'squall-state-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

async function storesOf(directory: StateDirectory): Promise<StateStore[]> {
  return await Promise.all(Array.from({ length: directory.manifest.tasks }, (_, task) => directory.open(task)))
}

/** Runs batch `txid`: each change at the task whose key it is. Commits only the first `committed` tasks. */
async function batch(
  stores: readonly StateStore[],
  txid: number,
  changes: Record<string, unknown>,
  committed = stores.length,
): Promise<void> {
  for (const store of stores) store.begin(txid)
  for (const [key, value] of Object.entries(changes))
    stores[taskOfKeyGroup(keyGroupOf(key, 16), 16, stores.length)]?.table('counts').put(key, value)
  for (const store of stores.slice(0, committed)) await store.commit(txid)
}

function all(stores: readonly StateStore[]): Record<string, unknown> {
  return Object.assign({}, ...stores.map((store) => contentOf(store))) as Record<string, unknown>
}

test('each key group belongs to one task, as in Flink', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 200 }), fc.integer({ min: 1, max: 50 }), (keyGroups, tasks) => {
      for (let task = 0; task < tasks; task++) {
        const { first, end } = keyGroupsOfTask(task, keyGroups, tasks)
        for (let group = 0; group < keyGroups; group++)
          expect(taskOfKeyGroup(group, keyGroups, tasks) === task).toBe(group >= first && group < end)
      }
    }),
  )
  expect(keyGroupOf('a', 128)).toBe(keyGroupOf('a', 128))
  expect(keyGroupOf({ b: 1, a: [2] }, 128)).toBe(keyGroupOf({ a: [2], b: 1 }, 128))
})

describe('a state directory', () => {
  const open = (disk: FaultDisk, options: Partial<StateDirectoryOptions> = {}): Promise<StateDirectory> =>
    openStateDirectory({ ...base, folder: '/d', tasks: 2, files: disk, ...options })

  test('is made, and found again', async () => {
    const disk = new FaultDisk(new Random(1))
    const directory = await open(disk)
    expect(directory.manifest).toEqual({
      format: 1,
      topology: 'words',
      store: 'log',
      tasks: 2,
      keyGroups: 16,
      epoch: 1,
      operators: { counts: 1 },
    })
    await batch(await storesOf(directory), 1, { a: 1, b: 2 })
    directory.release()
    const again = await open(disk.killed(), { operators: { sums: 3 } })
    expect(again.manifest.operators).toEqual({ counts: 1, sums: 3 })
    expect(all(await storesOf(again))).toEqual({ '"a"': 1, '"b"': 2 })
    const store = await openStateStore({ ...base, folder: '/d', tasks: 2, files: disk }, 0)
    expect(store.txid).toBe(1)
    await expect(openStateStore({ ...base, folder: '/e', tasks: 2, files: disk }, 0)).rejects.toMatchObject({ code: 'state-missing' })
  })

  test('of another topology, schema, number of key groups or format is refused, and stays as it is', async () => {
    const disk = new FaultDisk(new Random(1))
    await open(disk)
    const before = disk.bytesOf('/d/state/manifest.json').toString()
    await expect(open(disk, { topology: 'other' })).rejects.toMatchObject({ code: 'state-of-another', where: { topology: 'other' } })
    await expect(open(disk, { keyGroups: 32 })).rejects.toMatchObject({ code: 'state-key-groups' })
    await expect(open(disk, { operators: { counts: 2 } })).rejects.toMatchObject({ code: 'state-schema', where: { component: 'counts' } })
    expect(disk.bytesOf('/d/state/manifest.json').toString()).toBe(before)
    disk.tamper('/d/state/manifest.json', (bytes) => Buffer.from(bytes.toString().replace('"format": 1', '"format": 99999')))
    await expect(open(disk)).rejects.toMatchObject({ code: 'state-format' })
    for (const text of ['{', '{"format": 1}', '[]']) {
      disk.tamper('/d/state/manifest.json', () => Buffer.from(text))
      await expect(open(disk)).rejects.toMatchObject({ code: 'file-unreadable' })
    }
  })

  test('that has lost a part is refused', async () => {
    const disk = new FaultDisk(new Random(1))
    const [store] = await storesOf(await open(disk, { tasks: 1 }))
    await batch([store as StateStore], 1, { a: 1 })
    await (store as StateStore).snapshot()
    const lost = async (path: string): Promise<FaultDisk> => {
      const copy = disk.killed()
      await copy.remove(path)
      return copy
    }
    await expect(open(await lost('/d/state/manifest.json'))).rejects.toMatchObject({ code: 'file-not-found' })
    const withoutLog = await open(await lost('/d/state/1/task-0/changes-00000002.log'), { tasks: 1 })
    await expect(withoutLog.open(0)).rejects.toMatchObject({ code: 'file-not-found' })
    const withoutSnapshot = await open(await lost('/d/state/1/task-0/snapshot-00000002.log'), { tasks: 1 })
    await expect(withoutSnapshot.open(0)).rejects.toMatchObject({ code: 'file-not-found' })
    const torn = disk.killed()
    torn.tamper('/d/state/1/task-0/snapshot-00000002.log', (bytes) => bytes.subarray(0, -3))
    await expect((await open(torn, { tasks: 1 })).open(0)).rejects.toMatchObject({ code: 'log-corrupt' })
  })

  test('reports a tail that it cut', async () => {
    const disk = new FaultDisk(new Random(1))
    const stores = await storesOf(await open(disk, { tasks: 1 }))
    await batch(stores, 1, { a: 1 })
    await batch(stores, 2, { a: 2 })
    const torn = disk.killed()
    torn.tamper('/d/state/1/task-0/changes-00000001.log', (bytes) => bytes.subarray(0, -1))
    const reports: string[] = []
    const [store] = await storesOf(await open(torn, { tasks: 1, report: (message) => void reports.push(message) }))
    expect(store?.txid).toBe(1)
    expect(reports).toEqual([expect.stringContaining('changes-00000001.log')])
  })

  test('a full disk fails the batch, and nothing of it is left', async () => {
    const disk = new FaultDisk(new Random(1))
    const stores = await storesOf(await open(disk, { tasks: 1 }))
    await batch(stores, 1, { a: 1 })
    disk.room = 20
    await expect(batch(stores, 2, { a: 2, b: 3 })).rejects.toMatchObject({ code: 'disk-full' })
    stores[0]?.discard()
    expect(all(stores)).toEqual({ '"a"': 1 })
    disk.room = Infinity
    await batch(stores, 2, { b: 4 })
    expect(all(await storesOf(await open(disk.killed(), { tasks: 1 })))).toEqual({ '"a"': 1, '"b"': 4 })
  })

  test('is written anew for another number of tasks, and back, undo included; a crash at any step changes nothing', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(),
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 1, max: 4 }),
        fc.dictionary(fc.string(), fc.nat(9), { maxKeys: 20 }),
        fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.option(fc.nat(9), { nil: undefined })),
        fc.nat(4),
        fc.boolean(),
        async (seed, n, m, first, second, committed, isPower) => {
          const origin = new FaultDisk(new Random(seed))
          const stores = await storesOf(await open(origin, { tasks: n }))
          await batch(stores, 1, first)
          const before = all(stores)
          await batch(stores, 2, second, committed)
          const isWhole = committed >= n
          const expected = isWhole ? all(stores) : before
          for (let crashAt = 1; ; crashAt++) {
            let disk = origin.killed()
            disk.crashAt = crashAt
            let crashed = false
            for (const tasks of [m, n, m])
              for (;;)
                try {
                  await open(disk, { tasks })
                  break
                } catch (error) {
                  if (!(error instanceof Crash)) throw error
                  crashed = true
                  disk = isPower ? disk.powerLost() : disk.killed()
                }
            disk.crashAt = Infinity
            const last = await open(disk, { tasks: m })
            const found = await storesOf(last)
            // with as many tasks as before nothing was moved: the batch is at hand where it was committed
            if (m !== n || isWhole) {
              expect(all(found)).toEqual(expected)
              for (const [task, store] of found.entries())
                for (const [key] of store.table('counts').entries()) expect(taskOfKeyGroup(keyGroupOf(key, 16), 16, m)).toBe(task)
              if (isWhole) {
                for (const store of found) store.begin(2)
                expect(all(found)).toEqual(before)
              }
            }
            expect(new Set(disk.paths.map((path) => path.split('/')[3])).size).toBe(2) // the manifest and one epoch
            if (!crashed) return
          }
        },
      ),
      { numRuns: 5 },
    )
  })

  test('whose tasks are too far apart is refused', async () => {
    const disk = new FaultDisk(new Random(1))
    const stores = await storesOf(await open(disk))
    for (const txid of [1, 2, 3]) await batch(stores, txid, {}, txid === 1 ? 2 : 1).finally(() => stores[1]?.discard())
    await expect(open(disk.killed(), { tasks: 3 })).rejects.toMatchObject({
      code: 'state-torn',
      message: expect.stringContaining('3, 1') as string,
    })
  })

  test('goes from the log to LMDB and back', async () => {
    const folder = await temporary()
    const directory = await openStateDirectory({ ...base, folder, tasks: 2 })
    const stores = await storesOf(directory)
    await batch(stores, 1, { a: 1, b: 1, c: 1 })
    await batch(stores, 2, { a: 2, b: undefined, d: 2 })
    const expected = all(stores)
    for (const store of stores) await store.close()
    directory.release()
    for (const [store, tasks] of [
      ['lmdb', 3],
      ['lmdb', 1],
      ['log', 2],
    ] as const) {
      const moved = await openStateDirectory({ ...base, folder, tasks, store })
      const found = await storesOf(moved)
      expect(all(found)).toEqual(expected)
      for (const one of found) one.begin(2)
      expect(all(found)).toEqual({ '"a"': 1, '"b"': 1, '"c"': 1 })
      for (const one of found) one.discard()
      for (const one of found) await one.close()
      moved.release()
    }
  })
})

describe('the lock', () => {
  test('keeps others out, lets go, and lets the same run in again', async () => {
    const folder = await temporary()
    const directory = await openStateDirectory({ ...base, folder, tasks: 1 })
    const other = openStateDirectory({ ...base, folder, tasks: 1, run: 'r2' })
    await expect(other).rejects.toMatchObject({ code: 'state-in-use', message: expect.stringContaining(String(process.pid)) as string })
    await openStateDirectory({ ...base, folder, tasks: 1 })
    directory.release()
    const next = await openStateDirectory({ ...base, folder, tasks: 1, run: 'r2' })
    directory.release() // no longer its own
    expect(existsSync(join(folder, 'state', 'lock'))).toBe(true)
    next.release()
    expect(existsSync(join(folder, 'state', 'lock'))).toBe(false)
    expect(await nodeFileSystem.list(join(folder, 'state'))).toEqual(['manifest.json'])
  })

  test('a refused directory is let go', async () => {
    const folder = await temporary()
    ;(await openStateDirectory({ ...base, folder, tasks: 1 })).release()
    await expect(openStateDirectory({ ...base, folder, tasks: 1, topology: 'other' })).rejects.toMatchObject({ code: 'state-of-another' })
    ;(await openStateDirectory({ ...base, folder, tasks: 1, run: 'r3' })).release()
  })

  test('of a process that was killed holds nothing, nor does one whose number is another process now', async () => {
    const folder = await temporary()
    const dead = execFileSync(process.execPath, ['-e', 'console.log(process.pid)']).toString().trim()
    for (const holder of [
      { pid: Number(dead), started: '1', run: 'r1' },
      { pid: process.pid, started: '1', run: 'r1' },
    ]) {
      // where the system does not tell when a process started, the number alone counts
      if (holder.pid === process.pid && !existsSync('/proc/self/stat')) continue
      writeFileSync(join(folder, 'lock'), JSON.stringify(holder))
      lockFolder(folder, 'mine').release()
    }
    writeFileSync(join(folder, 'lock'), '')
    lockFolder(folder, 'mine').release()
  })

  test('of a process that lives is kept, and one that is being taken over too', async () => {
    const folder = await temporary()
    const child = spawn(process.execPath, ['-e', 'process.stdin.resume()'], { stdio: ['pipe', 'ignore', 'ignore'] })
    onTestFinished(() => void child.kill('SIGKILL'))
    await new Promise((resolve) => child.once('spawn', resolve))
    const started = existsSync('/proc/self/stat')
      ? (readFileSync(`/proc/${child.pid}/stat`, 'utf8')
          .replace(/^.*\) /s, '')
          .split(' ')[19] as string)
      : ''
    const holder = JSON.stringify({ pid: child.pid, started, run: 'r1' })
    writeFileSync(join(folder, 'lock'), holder)
    const inUse = expect.objectContaining({ code: 'state-in-use' }) as Error
    expect(() => lockFolder(folder, 'r1')).toThrow(inUse)
    rmSync(join(folder, 'lock'))
    writeFileSync(join(folder, 'lock'), '{}')
    writeFileSync(join(folder, 'lock.guard'), holder)
    expect(() => lockFolder(folder, 'r1')).toThrow(inUse)
    writeFileSync(join(folder, 'lock.guard'), '{}')
    lockFolder(folder, 'r1').release()
    expect(await nodeFileSystem.list(folder)).toEqual([])
  })
})
