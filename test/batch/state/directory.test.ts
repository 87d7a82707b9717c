import { execFileSync, spawn } from 'node:child_process'
import fs, { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
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

/** Each key is where it belongs; `before`: the last batch can be undone. */
function checkMoved(stores: readonly StateStore[], expected: Record<string, unknown>, before: Record<string, unknown> | undefined): void {
  expect(all(stores)).toEqual(expected)
  for (const [task, store] of stores.entries())
    for (const [key] of store.table('counts').entries()) expect(taskOfKeyGroup(keyGroupOf(key, 16), 16, stores.length)).toBe(task)
  if (before === undefined) return
  for (const store of stores) store.begin(2)
  expect(all(stores)).toEqual(before)
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

  test('of which one digit of the manifest has changed is refused, and nothing in it is removed', async () => {
    const disk = new FaultDisk(new Random(1))
    const directory = await open(disk)
    await batch(await storesOf(directory), 1, { a: 1, b: 2 })
    // other tasks, whose files would not be looked for; another epoch, in whose favour this one would be removed
    for (const [from, to] of [
      ['"tasks": 2', '"tasks": 1'],
      ['"epoch": 1', '"epoch": 3'],
      ['"keyGroups": 16', '"keyGroups": 17'],
    ] as const) {
      const copy = disk.killed()
      copy.tamper('/d/state/manifest.json', (bytes) => Buffer.from(bytes.toString().replace(from, to)))
      const { paths } = copy
      await expect(open(copy)).rejects.toMatchObject({ code: 'file-unreadable' })
      expect(copy.paths).toEqual(paths)
    }
    const older = disk.killed()
    older.tamper('/d/state/manifest.json', (bytes) => Buffer.from(bytes.toString().replace(/,\n *"checksum": "[0-9a-f]+"/, '')))
    expect(all(await storesOf(await open(older)))).toEqual({ '"a"': 1, '"b"': 2 })
  })

  test('whose operator has got another name is told: the new name begins anew', async () => {
    const disk = new FaultDisk(new Random(1))
    const told: string[] = []
    const report = (message: string): void => void told.push(message)
    await open(disk, { operators: { counts: 1, sums: 1 }, report })
    await open(disk, { operators: { counts: 1 }, report })
    await open(disk, { operators: { counts: 1, sums: 1, more: 1 }, report })
    expect(told).toEqual([])
    await open(disk, { operators: { words: 1, sums: 1, more: 1 }, report })
    await open(disk, { operators: { words: 1, sums: 1, more: 1 }, report })
    expect(told).toEqual([expect.stringMatching(/the state words, which begins anew.* keeps counts,/)])
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
            if (m !== n || isWhole) checkMoved(found, expected, isWhole ? before : undefined)
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

  test.each(['log', 'lmdb'] as const)('of an operator that was given up begins anew, once; that of others stays (%s)', async (store) => {
    const folder = await temporary()
    const both = { ...base, store, folder, tasks: 1, operators: { counts: 1, other: 1 } }
    const run = async (more: Partial<StateDirectoryOptions>, work: (store: StateStore) => Promise<void>): Promise<void> => {
      const directory = await openStateDirectory({ ...both, ...more })
      const [opened] = await storesOf(directory)
      await work(opened as StateStore)
      await opened?.close()
      directory.release()
    }
    const look = (opened: StateStore): unknown => ['counts', 'other'].map((name) => [...opened.table(name).entries()])
    await run({}, async (opened) => {
      opened.begin(1)
      opened.table('counts').put('a', 1)
      opened.table('other').put('b', 2)
      await opened.commit(1)
    })
    const said: string[] = []
    const generations = { counts: 1 }
    // it is not there any more; when it comes back, nothing of it is left
    await run({ operators: { other: 1 }, generations }, async (opened) => expect(opened.table('other').get('b')).toBe(2))
    await run({ generations, report: (message) => said.push(message) }, async (opened) => {
      expect(look(opened)).toEqual([[], [['b', 2]]])
      opened.begin(2)
      opened.table('counts').put('c', 3)
      await opened.commit(2)
    })
    expect(said).toEqual([`the state counts in ${folder} is given up, and begins anew`])
    await run({ generations }, async (opened) => expect(look(opened)).toEqual([[['c', 3]], [['b', 2]]]))
    expect(said).toHaveLength(1)
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

  test('for which the disk has no room says so', async () => {
    const folder = await temporary()
    const write = fs.writeFileSync
    fs.writeFileSync = () => {
      throw Object.assign(new Error('no room'), { code: 'ENOSPC' })
    }
    syncBuiltinESMExports()
    onTestFinished(() => {
      fs.writeFileSync = write
      syncBuiltinESMExports()
    })
    expect(() => lockFolder(folder, 'r1')).toThrow(expect.objectContaining({ code: 'disk-full' }) as Error)
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
    expect(existsSync(join(folder, 'lock'))).toBe(false)
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
