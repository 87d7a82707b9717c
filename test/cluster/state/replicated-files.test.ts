/** Files with copies on two hosts: as good as one disk for what is kept in them, and there when a host is lost. */
import { readFileSync, readdirSync } from 'node:fs'
import { expect, onTestFinished, test } from 'vitest'
import { FramedLog } from '../../../lib/batch/log/framed-log.ts'
import { nodeFileSystem } from '../../../lib/batch/log/file-system.ts'
import { readWholeFile, replaceFile } from '../../../lib/batch/log/whole-file.ts'
import { openStateDirectory } from '../../../lib/batch/state/directory.ts'
import { CachedStore } from '../../../lib/batch/state/cached-store.ts'
import { LogStore } from '../../../lib/batch/state/log-store.ts'
import { nodeDisk } from '../../../lib/cluster/state/disk.ts'
import type { Disk } from '../../../lib/cluster/state/disk.ts'
import { Random } from '../../../lib/std/random.ts'
import { FaultDisk } from '../../batch/fault-disk.ts'
import { batch, conformance, contentOf } from '../../batch/state/conformance.ts'
import { folderOf, rejection } from '../../fixtures/files.ts'
import { Copies } from './copies.ts'
import type { ReplicatedFiles } from '../../../lib/cluster/state/replicated-files.ts'
import { diskOf } from './simulated.ts'

const folder = '/copies'
const inMemory = (): Disk => diskOf(new FaultDisk(new Random(1)))

async function twoCopies(disks: Readonly<Record<string, Disk>> = { a: inMemory(), b: inMemory() }): Promise<Copies> {
  const copies = new Copies({ name: 'words', folder, disks })
  await copies.writer('a').claim(`${folder}/words/`)
  await copies.join('b')
  return copies
}

conformance('log in two copies, from one host to the other', async () => {
  const copies = await twoCopies()
  let on = 'a'
  return {
    open: ({ check = false } = {}) => {
      const files = copies.writer(on)
      on = on === 'a' ? 'b' : 'a'
      return files.claim(`${folder}/words/s/`).then(() => LogStore.open({ folder: `${folder}/words/s`, files, check, logBytesMin: 1 }))
    },
    kill: () => Promise.resolve(),
  }
})

conformance('lmdb as a cache of a log in two copies, from one host to the other', async () => {
  const copies = await twoCopies()
  const caches = { a: folderOf({}), b: folderOf({}) }
  let on: 'a' | 'b' = 'a'
  const stores: CachedStore[] = []
  onTestFinished(async () => {
    for (const store of stores) await store.close()
  })
  return {
    async open({ check = false } = {}) {
      const files = copies.writer(on)
      const cacheFolder = caches[on]
      on = on === 'a' ? 'b' : 'a'
      await files.claim(`${folder}/words/s/`)
      const store = await CachedStore.open({ folder: `${folder}/words/s`, files, cacheFolder, check, logBytesMin: 1 })
      stores.push(store)
      return store
    },
    kill: () => Promise.resolve(),
  }
})

test('a writer that was replaced on its own host spoils neither the log nor the cache that both have open', async () => {
  const copies = await twoCopies()
  const cacheFolder = folderOf({})
  const opened = async (): Promise<CachedStore> => {
    const files = copies.writer('a')
    await files.claim(`${folder}/words/s/`)
    const store = await CachedStore.open({ folder: `${folder}/words/s`, files, cacheFolder })
    onTestFinished(() => store.close())
    return store
  }
  const before = await opened()
  await batch(before, 1, { a: 1, b: 1 })
  before.begin(2)
  before.table('counts').put('a', 'of a zombie')
  const now = await opened()
  await batch(now, 2, { a: 2 })
  expect(await rejection(before.commit(2))).toMatchObject({ code: 'state-fenced' })
  before.discard()
  await batch(now, 3, { b: 3 })
  expect(contentOf(now)).toEqual({ '"a"': 2, '"b"': 3 })
  expect(contentOf(await opened())).toEqual({ '"a"': 2, '"b"': 3 })
})

test('what was committed is there when the host is lost that the writer was on', async () => {
  const copies = await twoCopies()
  const options = { folder: `${folder}/words`, topology: 'words', store: 'log', tasks: 1, run: 'r' } as const
  const store = await (await openStateDirectory({ ...options, files: copies.writer('a') })).open(0)
  await batch(store, 1, { a: 1 })
  copies.down.add('a')
  const next = await (await openStateDirectory({ ...options, files: copies.writer('b') })).open(0)
  expect(contentOf(next)).toEqual({ '"a"': 1 })
  await batch(next, 2, { a: 2 })
  expect(await copies.record()).toEqual({ members: ['b'], copies: 2 })
  // it comes back, and has missed something
  copies.down.delete('a')
  await copies.join('a')
  copies.down.add('b')
  const last = await (await openStateDirectory({ ...options, files: copies.writer('a') })).open(0)
  expect(contentOf(last)).toEqual({ '"a"': 2 })
})

test('a writer that was replaced can change nothing, and says so', async () => {
  const copies = await twoCopies()
  const path = `${folder}/words/log`
  const [first, second] = [copies.writer('a'), copies.writer('b')]
  await first.claim(path)
  const log = await FramedLog.open(first, path)
  await log.append([Buffer.from('one')])
  await second.claim(path)
  const records: string[] = []
  const next = await FramedLog.open(second, path, (record) => records.push(record.toString()))
  await next.append([Buffer.from('two')])
  for (let i = 0; i < 2; i++) expect(await rejection(log.append([Buffer.from('three')]))).toMatchObject({ code: 'state-fenced' })
  expect(await rejection(first.remove(path))).toMatchObject({ code: 'state-fenced' })
  expect(records).toEqual(['one'])
  const third = copies.writer('a')
  await third.claim(path)
  await FramedLog.open(third, path, (record) => records.push(record.toString()))
  expect(records).toEqual(['one', 'one', 'two'])
})

test('what is removed goes everywhere, also where a host was away; its writers change nothing any more, and the next begin anew', async () => {
  const [a, b] = [new FaultDisk(new Random(1)), new FaultDisk(new Random(2))]
  const copies = await twoCopies({ a: diskOf(a), b: diskOf(b) })
  const path = `${folder}/words/log`
  const open = async (files: ReplicatedFiles): Promise<{ readonly log: FramedLog; readonly records: readonly string[] }> => {
    const records: string[] = []
    await files.claim(path)
    return { log: await FramedLog.open(files, path, (record) => records.push(record.toString())), records }
  }
  const zombie = copies.writer('a')
  const { log } = await open(zombie)
  await log.append([Buffer.from('one')])
  copies.down.add('b')
  await copies.remove()
  await expect.poll(() => a.paths).toEqual([])
  expect(b.paths).toContain(path)
  // its claim was of what is gone
  expect(await rejection(log.append([Buffer.from('two')]))).toMatchObject({ code: 'state-fenced' })
  const next = await open(copies.writer('a'))
  expect(next.records).toEqual([])
  expect(await rejection(log.append([Buffer.from('three')]))).toMatchObject({ code: 'state-fenced' })
  await next.log.append([Buffer.from('four')])
  // the one that was away has what was removed, until it knows
  await copies.back('b')
  await expect.poll(() => b.paths).toEqual([])
  await copies.join('b')
  copies.down.add('a')
  expect((await open(copies.writer('b'))).records).toEqual(['four'])
})

test('a host that was away while all was removed begins with nothing when it is the first to be asked', async () => {
  const copies = await twoCopies()
  const path = `${folder}/words/log`
  const before = copies.writer('a')
  await before.claim(path)
  await (await FramedLog.open(before, path)).append([Buffer.from('one')])
  copies.down.add('b')
  await copies.remove()
  copies.down.delete('b')
  copies.down.add('a')
  const files = copies.writer('b')
  await files.claim(path)
  const records: string[] = []
  await FramedLog.open(files, path, (record) => records.push(record.toString()))
  expect(records).toEqual([])
  expect(await copies.record()).toMatchObject({ members: ['b'], copies: 2 })
})

test('a copy whose disk is full is left out, and what was written is kept', async () => {
  const full = new FaultDisk(new Random(1))
  const copies = await twoCopies({ a: inMemory(), b: diskOf(full) })
  const files = copies.writer('a')
  const path = `${folder}/words/log`
  await files.claim(path)
  const log = await FramedLog.open(files, path)
  full.room = 5
  await log.append([Buffer.from('one record')])
  expect(await copies.record()).toEqual({ members: ['a'], copies: 2 })
  expect(copies.said).toContainEqual(
    expect.stringMatching(/^the copy of b of what words keeps is left out: cannot write .*: the disk is full/),
  )
})

test('with one copy, a full disk is told to the writer, which takes it back', async () => {
  const disk = new FaultDisk(new Random(1))
  const copies = new Copies({ name: 'words', folder, disks: { a: diskOf(disk) } })
  const files = copies.writer('a')
  const path = `${folder}/words/log`
  await files.claim(path)
  const log = await FramedLog.open(files, path)
  disk.room = 5
  expect(await rejection(log.append([Buffer.from('one record')]))).toMatchObject({ code: 'disk-full' })
  disk.room = Infinity
  await log.append([Buffer.from('another')])
  const records: string[] = []
  await FramedLog.open(files, path, (record) => records.push(record.toString()))
  expect(records).toEqual(['another'])
})

test('on real disks, files of several parts are brought to a newcomer and go on there', async () => {
  const hosts = folderOf({ 'a/x': '', 'b/x': '' })
  // each host has a folder of its own, the paths of its disk are below it
  const below = (host: string): Disk => {
    const at = (path: string): string => `${hosts}/${host}${path}`
    return {
      makeFolder: (path) => nodeDisk.makeFolder(at(path)),
      claim: (prefix) => nodeDisk.claim(at(prefix)),
      list: (path) => nodeDisk.list(at(path)),
      open: ((path: string, mode: 'append') => nodeDisk.open(at(path), mode)) as Disk['open'],
      rename: (from, to) => nodeDisk.rename(at(from), at(to)),
      remove: (path) => nodeDisk.remove(at(path)),
      syncFolder: (path) => nodeDisk.syncFolder(at(path)),
      walk: (path) => nodeDisk.walk(at(path)),
    }
  }
  const copies = new Copies({ name: 'words', folder, disks: { a: below('a'), b: below('b') } })
  const files = copies.writer('a')
  const path = `${folder}/words/deep/log`
  await files.claim(`${folder}/words/deep/`)
  const large = Buffer.alloc(9 << 20, 'squall')
  const log = await FramedLog.open(files, path)
  await log.append([large])
  await replaceFile(files, `${folder}/words/deep/small`, Buffer.from('first'))
  await copies.join('b')
  await log.append([Buffer.from('end')])
  await replaceFile(files, `${folder}/words/deep/small`, Buffer.from('second'))
  expect(readdirSync(`${hosts}/b${folder}/words/deep`)).toEqual(['log', 'small'])
  expect(readFileSync(`${hosts}/b${path}`).equals(readFileSync(`${hosts}/a${path}`))).toBe(true)
  // any one of them is as good as a state directory
  const records: Buffer[] = []
  const copy = await FramedLog.open(nodeFileSystem, `${hosts}/b${path}`, (record) => records.push(record))
  await copy.close()
  expect(records.map(({ length }) => length)).toEqual([large.length, 3])
  copies.down.add('a')
  const next = copies.writer('b')
  await next.claim(`${folder}/words/deep/`)
  expect((await readWholeFile(next, `${folder}/words/deep/small`))?.toString()).toBe('second')
  expect(await next.list(`${folder}/words`)).toEqual(['deep'])
  await next.remove(`${folder}/words/deep`)
  expect(await next.list(`${folder}/words`)).toEqual([])
})
