/** LMDB as a cache of a log that is on another disk: in place, behind, of something else, damaged, half made. */
import { copyFileSync, existsSync, readdirSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { SquallError } from '../../../lib/errors.ts'
import { CachedStore } from '../../../lib/batch/state/cached-store.ts'
import type { CachedStoreOptions } from '../../../lib/batch/state/cached-store.ts'
import type { OpenFile } from '../../../lib/batch/log/file-system.ts'
import { openStateDirectory, openStateStore } from '../../../lib/batch/state/directory.ts'
import { keyGroupOf, taskOfKeyGroup } from '../../../lib/batch/state/keys.ts'
import { LmdbStore } from '../../../lib/batch/state/lmdb-store.ts'
import { LogStore, readLogState } from '../../../lib/batch/state/log-store.ts'
import type { StateStore } from '../../../lib/batch/state/store.ts'
import { Random } from '../../../lib/std/random.ts'
import { folderOf } from '../../fixtures/files.ts'
import { Crash, FaultDisk } from '../fault-disk.ts'
import { applied, batch, conformance, contentOf, stepsOf } from './conformance.ts'
import type { Place, Step } from './conformance.ts'

/** The log on one disk, and hosts with a cache each, which come back to what they had. */
class Hosts {
  disk = new FaultDisk(new Random(1))
  readonly said: string[] = []
  readonly #caches = new Map<string, string>()
  readonly #opened: CachedStore[] = []

  constructor() {
    onTestFinished(async () => {
      for (const store of this.#opened) await store.close()
    })
  }

  cacheOf(host: string): string {
    let folder = this.#caches.get(host)
    if (folder === undefined) this.#caches.set(host, (folder = folderOf({})))
    return folder
  }

  /** From now on a host has another cache. */
  setCache(host: string, folder: string): void {
    this.#caches.set(host, folder)
  }

  async open(host = 'a', options: Partial<CachedStoreOptions> = {}): Promise<CachedStore> {
    const report = (message: string): void => void this.said.push(message)
    const more = { cachedMax: 1_000, report, ...options }
    const store = await CachedStore.open({ folder: '/s', files: this.disk, cacheFolder: this.cacheOf(host), ...more })
    this.#opened.push(store)
    return store
  }
}

/** A cache as it is now, in a folder of its own. */
function copyOf(cache: string): string {
  const file = join(cache, 'data.mdb')
  const folder = folderOf({})
  if (existsSync(file)) copyFileSync(file, join(folder, 'data.mdb'))
  return folder
}

/** `hosts`: where it is opened, one after the other. */
function placeOn(hosts: readonly string[], logBytesMin?: number): Place {
  const all = new Hosts()
  let turn = 0
  return {
    open: ({ check = false } = {}) => all.open(hosts[turn++ % hosts.length], { check, ...(logBytesMin !== undefined && { logBytesMin }) }),
    kill: async () => void (all.disk = all.disk.killed()),
  }
}

conformance('lmdb as a cache of a log', async () => placeOn(['a']))
conformance('lmdb as a cache of a log that snapshots all the time', async () => placeOn(['a'], 1))
conformance('lmdb as a cache of a log, on the one host and the other', async () => placeOn(['a', 'b']))
conformance('lmdb as a cache of a log that snapshots all the time, here and there', async () => placeOn(['a', 'b', 'b', 'c'], 1))

/** Counts what is read of the disk from now on. */
function readBytes(disk: FaultDisk): () => number {
  const open = disk.open.bind(disk) as (path: string, mode: 'read') => Promise<OpenFile | undefined>
  let sum = 0
  disk.open = (async (path: string, mode: 'read') => {
    const file = await open(path, mode)
    if (file === undefined) return undefined
    const read = async (into: Uint8Array, at: number): Promise<number> => {
      const bytes = await file.read(into, at)
      sum += bytes
      return bytes
    }
    return { ...file, read }
  }) as typeof disk.open
  return () => sum
}

const many = (n: number): Record<string, number> => Object.fromEntries(Array.from({ length: n }, (_, i) => [`key ${i}`, i]))
const quoted = (record: Readonly<Record<string, number>>): Record<string, number> =>
  Object.fromEntries(Object.entries(record).map(([key, value]) => [`"${key}"`, value]))

test('a task that goes to another host and comes back goes on exactly, and takes only what was written meanwhile', async () => {
  const hosts = new Hosts()
  let store = await hosts.open('a')
  await batch(store, 1, many(10_000))
  await batch(store, 2, { 'key 1': -1, 'key 2': undefined })
  await store.close()
  store = await hosts.open('b')
  store.begin(2)
  expect([store.table('counts').get('key 1'), store.table('counts').get('key 2')]).toEqual([1, 2])
  store.discard()
  await batch(store, 3, { 'key 3': -3, 'key 4': undefined })
  await batch(store, 4, { 'key 1': -4, new: 4 })
  await store.close()
  const read = readBytes(hosts.disk)
  store = await hosts.open('a')
  expect(read()).toBeLessThan(1_000)
  expect(hosts.disk.bytesOf('/s/changes-00000001.log').length).toBeGreaterThan(100_000)
  const { 'key 2': _, 'key 4': __, ...rest } = many(10_000)
  expect(contentOf(store)).toEqual(quoted({ ...rest, 'key 3': -3, 'key 1': -4, new: 4 }))
  store.begin(4)
  expect(contentOf(store)).toEqual(quoted({ ...rest, 'key 1': -1, 'key 3': -3 }))
  store.discard()
  expect([...store.lastChanged('counts')].sort()).toEqual(['key 1', 'new'])
  expect(hosts.said).toEqual([])
})

test('a cache is good after a snapshot, which takes the log away that it was made of', async () => {
  const hosts = new Hosts()
  const store = await hosts.open()
  await batch(store, 1, many(10_000))
  await store.snapshot()
  await store.close()
  expect(hosts.disk.paths).toEqual(['/s/changes-00000002.log', '/s/lives.json', '/s/snapshot-00000002.log'])
  const read = readBytes(hosts.disk)
  expect(contentOf(await hosts.open())).toEqual(quoted(many(10_000)))
  expect(read()).toBeLessThan(1_000)
})

test('what is there for good is the log of the log store', async () => {
  const hosts = new Hosts()
  const store = await hosts.open('a', { logBytesMin: 1 })
  for (let t = 1; t <= 5; t++) await batch(store, t, { [`key${t % 3}`]: t })
  await store.close()
  expect(hosts.disk.paths.filter((path) => !path.endsWith('.new'))).toEqual(
    expect.arrayContaining([expect.stringMatching(/^\/s\/changes-\d+\.log$/), expect.stringMatching(/^\/s\/snapshot-\d+\.log$/)]),
  )
  const tables = await readLogState(hosts.disk, '/s')
  expect([tables.txid, Object.fromEntries(tables.table('counts').entries())]).toEqual([5, { key0: 3, key1: 4, key2: 5 }])
  // in memory for a while, and back
  const inMemory = await LogStore.open({ folder: '/s', files: hosts.disk })
  await batch(inMemory, 6, { key0: 6 })
  await inMemory.close()
  const again = await hosts.open('a')
  expect(contentOf(again)).toEqual({ '"key0"': 6, '"key1"': 4, '"key2"': 5 })
})

describe('a cache is not used, but made anew', () => {
  test('when it is of a state that was here before', async () => {
    const hosts = new Hosts()
    await batch(await hosts.open(), 1, { a: 1, b: 1 })
    hosts.disk = new FaultDisk(new Random(1))
    const store = await hosts.open('b')
    await batch(store, 1, { a: 2, c: 2 })
    expect(contentOf(await hosts.open('a'))).toEqual({ '"a"': 2, '"c"': 2 })
    expect(hosts.said).toEqual([expect.stringContaining('cannot be used for the state in /s')])
  })

  test('when a backup has taken back what it is of, and another has written as much since', async () => {
    const hosts = new Hosts()
    let store = await hosts.open('a')
    await batch(store, 1, { a: 1 })
    await store.close()
    const backup = hosts.disk.killed()
    store = await hosts.open('a')
    await batch(store, 2, { a: 2 })
    await store.close()
    hosts.disk = backup
    store = await hosts.open('b')
    await batch(store, 2, { b: 3 })
    await batch(store, 3, { c: 3 })
    await store.close()
    expect(contentOf(await hosts.open('a'))).toEqual({ '"a"': 1, '"b"': 3, '"c"': 3 })
  })

  test('when the system has been started again meanwhile: nothing waits for the disk', async () => {
    const hosts = new Hosts()
    const store = await hosts.open()
    await batch(store, 1, { a: 1 })
    await store.close()
    const cache = await LmdbStore.open({ folder: hosts.cacheOf('a'), owner: 'x' })
    cache.begin(2)
    cache.table('counts').put('a', 'lost with the power')
    cache.apply(2, { ...(cache.mark as object), boot: 'an earlier one' })
    await cache.close()
    expect(contentOf(await hosts.open())).toEqual({ '"a"': 1 })
  })

  test.each<[string, (file: string) => void]>([
    ['cut short', (file) => truncateSync(file, 10_000)],
    ['something else', (file) => writeFileSync(file, 'x'.repeat(20_000))],
    ['empty', (file) => truncateSync(file, 0)],
  ])('when its file is %s', async (_, damage) => {
    const hosts = new Hosts()
    const store = await hosts.open()
    await batch(store, 1, many(1_000))
    await store.close()
    damage(join(hosts.cacheOf('a'), 'data.mdb'))
    expect(contentOf(await hosts.open())).toEqual(quoted(many(1_000)))
  })

  test('when a crash has left it half made', async () => {
    const hosts = new Hosts()
    const store = await hosts.open('a', { logBytesMin: 1 })
    for (let t = 1; t <= 5; t++) await batch(store, t, { [`key ${t}`]: t, a: t })
    await store.close()
    const whole = hosts.disk.killed()
    let isDone = false
    for (let crashAt = 1; !isDone; crashAt++) {
      hosts.disk = whole.killed()
      hosts.disk.crashAt = crashAt
      // the cache of b is what the crash before has left
      isDone = await hosts.open('b', { entriesPerFill: 1 }).then(
        () => true,
        (error: unknown) => {
          if (error instanceof Crash) return false
          throw error
        },
      )
      const opened = await CachedStore.open({ folder: '/s', files: whole.killed(), cacheFolder: copyOf(hosts.cacheOf('b')) })
      expect(contentOf(opened)).toEqual(quoted({ ...Object.fromEntries([1, 2, 3, 4, 5].map((t) => [`key ${t}`, t])), a: 5 }))
      await opened.close()
    }
  })
})

test('a state directory whose files have copies holds logs, and the caches are those of its epoch', async () => {
  const disk = new FaultDisk(new Random(1))
  const cacheFolder = folderOf({})
  const options = { folder: '/d', files: disk, cacheFolder, topology: 'words', operators: { counts: 1 }, run: 'r', keyGroups: 16 } as const
  const opened = async (store: 'lmdb' | 'log', tasks: number): Promise<{ epoch: number; stores: StateStore[] }> => {
    const { manifest } = await openStateDirectory({ ...options, store, tasks })
    expect(manifest.store).toBe('log')
    const stores: StateStore[] = []
    for (let task = 0; task < tasks; task++) stores.push(await openStateStore({ ...options, store, tasks }, task))
    return { epoch: manifest.epoch, stores }
  }
  const ended = async (stores: readonly StateStore[]): Promise<Record<string, unknown>> => {
    const all = Object.assign({}, ...stores.map((store) => contentOf(store))) as Record<string, unknown>
    for (const store of stores) await store.close()
    return all
  }
  const two = await opened('lmdb', 2)
  for (let i = 0; i < 40; i++) {
    const store = two.stores[taskOfKeyGroup(keyGroupOf(`key ${i}`, 16), 16, 2)] as StateStore
    await batch(store, i + 1, { [`key ${i}`]: i })
  }
  // all have come as far
  for (const store of two.stores) await batch(store, 41, {})
  expect(await ended(two.stores)).toEqual(quoted(many(40)))
  expect(readdirSync(cacheFolder)).toEqual(['1'])
  const three = await opened('lmdb', 3)
  expect([three.epoch, await ended(three.stores)]).toEqual([2, quoted(many(40))])
  expect([readdirSync(cacheFolder), readdirSync(join(cacheFolder, '2'))]).toEqual([['2'], ['task-0', 'task-1', 'task-2']])
  const inMemory = await opened('log', 3)
  expect([inMemory.epoch, await ended(inMemory.stores)]).toEqual([2, quoted(many(40))])
  expect(disk.paths.filter((path) => path.includes('mdb'))).toEqual([])
})

test('a batch that the log has, and the cache could not take, is run again as if it had not been', async () => {
  const hosts = new Hosts()
  const store = await hosts.open('a', { logBytesMin: 1 })
  await batch(store, 1, many(2_500))
  // a snapshot is under way, a thousand entries a batch
  for (let t = 2; t <= 3; t++) await batch(store, t, { [`key ${t}`]: -t })
  const full = vi.spyOn(LmdbStore.prototype, 'apply').mockImplementationOnce(() => {
    throw new SquallError('disk-full', { file: 'data.mdb' })
  })
  onTestFinished(() => full.mockRestore())
  await expect(batch(store, 4, { 'key 4': -4, 'key 5': -4 })).rejects.toMatchObject({ code: 'disk-full' })
  store.discard()
  await batch(store, 4, { 'key 6': -4 })
  await batch(store, 5, { 'key 7': -5 })
  const now = { ...many(2_500), 'key 2': -2, 'key 3': -3, 'key 6': -4, 'key 7': -5 }
  expect(contentOf(store)).toEqual(quoted(now))
  await store.close()
  expect(contentOf(await hosts.open('a'))).toEqual(quoted(now))
  const elsewhere = await hosts.open('b')
  expect(contentOf(elsewhere)).toEqual(quoted(now))
  elsewhere.begin(5)
  expect(elsewhere.table('counts').get('key 7')).toBe(7)
})

test('whoever has a cache open is refused when another one has taken it', async () => {
  const folder = folderOf({})
  const [before, now] = [await LmdbStore.open({ folder, owner: 'a' }), await LmdbStore.open({ folder, owner: 'b' })]
  before.begin(1)
  before.table('counts').put('a', 1)
  expect(() => before.apply(1)).toThrow(expect.objectContaining({ code: 'state-fenced' }))
  expect(() => before.setMark(undefined)).toThrow(expect.objectContaining({ code: 'state-fenced' }))
  before.discard()
  now.begin(1)
  now.table('counts').put('b', 1)
  now.apply(1)
  for (const store of [before, now]) await store.close()
})

test('whatever crashes, on whatever host it goes on, and whatever its cache there is, the state is right', async () => {
  const property = async (seed: number, all: readonly Step[], isPower: boolean, logBytesMin: number): Promise<void> => {
    const hosts = new Hosts()
    const random = new Random(seed)
    hosts.disk = new FaultDisk(random)
    const older = new Map<string, string>()
    let store: CachedStore | undefined
    let state: Record<string, unknown> = {}
    let before = state
    const end = async (): Promise<void> => {
      await store?.close().catch(() => undefined)
      store = undefined
    }
    const opened = async (): Promise<CachedStore> => {
      if (random.below(4) === 0) await end()
      if (store !== undefined) return store
      const host = 'abc'[random.below(3)] as string
      const cache = hosts.cacheOf(host)
      // it may be what it was some time ago, or be damaged
      const fate = random.below(8)
      if (fate === 0) older.set(host, copyOf(cache))
      if (fate === 1) hosts.setCache(host, copyOf(older.get(host) ?? cache))
      if (fate === 2 && existsSync(join(cache, 'data.mdb'))) truncateSync(join(cache, 'data.mdb'), 5_000)
      if (random.below(2) === 0) hosts.disk.crashAt = hosts.disk.step + 1 + random.below(60)
      store = await hosts.open(host, { logBytesMin, entriesPerFill: 1 + random.below(5) })
      return store
    }
    const run = async (txid: number, changes: Step['puts']): Promise<void> => {
      for (;;)
        try {
          const now = await opened()
          await batch(now, txid, changes)
          expect(contentOf(now)).toEqual(applied(before, changes))
          return
        } catch (error) {
          if (!(error instanceof Crash)) throw error
          await end()
          hosts.disk = isPower ? hosts.disk.powerLost() : hosts.disk.killed()
        }
    }
    for (const [i, { puts: first, again }] of all.entries()) {
      before = state
      await run(i + 1, first)
      if (again !== undefined) await run(i + 1, again)
      state = applied(before, again ?? first)
    }
    await end()
    const tables = await readLogState(hosts.disk.killed(), '/s')
    expect(applied({}, Object.fromEntries(tables.table('counts').entries()) as Record<string, number>)).toEqual(state)
  }
  await fc.assert(fc.asyncProperty(fc.nat(), stepsOf(12), fc.boolean(), fc.constantFrom(1, 200, 1 << 20), property), { numRuns: 100 })
})
