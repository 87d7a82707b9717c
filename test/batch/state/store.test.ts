/** The stores by the conformance suite, and the log store under crashes. */
import { readFileSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, onTestFinished, test } from 'vitest'
import { SquallError } from '../../../lib/errors.ts'
import type { OpenFile } from '../../../lib/batch/log/file-system.ts'
import { LmdbStore } from '../../../lib/batch/state/lmdb-store.ts'
import { LogStore } from '../../../lib/batch/state/log-store.ts'
import { MemoryStore } from '../../../lib/batch/state/memory-store.ts'
import { Tables } from '../../../lib/batch/state/tables.ts'
import { Random } from '../../../lib/std/random.ts'
import { Crash, FaultDisk } from '../fault-disk.ts'
import { applied, batch, conformance, contentOf, stepsOf } from './conformance.ts'
import type { Step } from './conformance.ts'

conformance('memory', async () => {
  let tables: Tables | undefined
  return {
    open: async ({ check } = {}) => new MemoryStore((tables ??= new Tables(check))),
    kill: async () => undefined,
  }
})

conformance('log', async () => {
  let disk = new FaultDisk(new Random(1))
  return {
    open: ({ check = false } = {}) => LogStore.open({ folder: '/s', files: disk, check }),
    kill: async () => void (disk = disk.killed()),
  }
})

/** With a snapshot begun at each commit there is. */
conformance('log that snapshots all the time', async () => {
  let disk = new FaultDisk(new Random(1))
  return {
    open: ({ check = false } = {}) => LogStore.open({ folder: '/s', files: disk, check, logBytesMin: 1 }),
    kill: async () => void (disk = disk.killed()),
  }
})

conformance('lmdb', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'squall-lmdb-'))
  const stores: LmdbStore[] = []
  onTestFinished(async () => {
    for (const store of stores) await store.close()
    await rm(folder, { recursive: true })
  })
  return {
    async open({ check = false } = {}) {
      const store = await LmdbStore.open({ folder, check, cachedMax: 1_000 })
      stores.push(store)
      return store
    },
    // what is not committed is in memory only
    kill: async () => undefined,
  }
})

const open = (disk: FaultDisk, logBytesMin = 1): Promise<LogStore> => LogStore.open({ folder: '/s', files: disk, logBytesMin })

test('after a crash between any two steps, and the same batch again, the state is right', async () => {
  const property = async (seed: number, all: readonly Step[], isPower: boolean, parts: number): Promise<void> => {
    for (let crashAt = 1; ; crashAt++) {
      let disk = new FaultDisk(new Random(seed + crashAt))
      let crashes = 0
      disk.crashAt = crashAt
      let store: LogStore | undefined
      let state: Record<string, unknown> = {}
      // runs a batch until it is committed, whatever happens to the disk
      const run = async (txid: number, changes: Step['puts']): Promise<void> => {
        for (;;)
          try {
            store ??= await LogStore.open({ folder: '/s', files: disk, logBytesMin: parts })
            await batch(store, txid, changes)
            expect(contentOf(store)).toEqual(applied(state, changes))
            return
          } catch (error) {
            if (!(error instanceof Crash)) throw error
            crashes++
            disk = isPower ? disk.powerLost() : disk.killed()
            if (disk.random.below(3) === 0) disk.crashAt = 1 + disk.random.below(40)
            store = undefined
          }
      }
      for (const [i, { puts: first, again }] of all.entries()) {
        await run(i + 1, first)
        if (again !== undefined) await run(i + 1, again)
        state = applied(state, again ?? first)
        expect(contentOf(store as unknown as LogStore)).toEqual(state)
      }
      await (store as unknown as LogStore).close()
      expect(Object.keys(contentOf(await open(disk.killed())))).toEqual(Object.keys(state).sort())
      if (crashes === 0) return
    }
  }
  await fc.assert(fc.asyncProperty(fc.nat(), stepsOf(7), fc.boolean(), fc.constantFrom(1, 200, 1 << 20), property), { numRuns: 40 })
})

test('a snapshot that cannot be written is reported, and tried again later; the batches go on', async () => {
  const disk = new FaultDisk(new Random(1))
  const reports: string[] = []
  const store = await LogStore.open({ folder: '/s', files: disk, logBytesMin: 200, report: (message) => void reports.push(message) })
  const open = disk.open.bind(disk) as (path: string, mode: 'append') => Promise<OpenFile>
  let isBroken = true
  disk.open = (async (path: string, mode: 'append') => {
    if (isBroken && path.includes('snapshot')) throw new SquallError('disk-full', { file: path })
    return await open(path, mode)
  }) as typeof disk.open
  for (let t = 1; t <= 40; t++) {
    isBroken = t < 20
    await batch(store, t, { [`key${t % 5}`]: t })
  }
  expect(reports.length).toBeGreaterThan(0)
  expect(reports.length).toBeLessThan(8)
  expect(reports[0]).toContain('the disk is full')
  await store.close()
  expect(disk.paths.filter((path) => path.includes('snapshot'))).toHaveLength(1)
  expect(contentOf(await LogStore.open({ folder: '/s', files: disk.killed() }))).toEqual({
    '"key0"': 40,
    '"key1"': 36,
    '"key2"': 37,
    '"key3"': 38,
    '"key4"': 39,
  })
})

describe('a data file of LMDB that is not whole is refused before it is mapped', () => {
  test.each<[string, (bytes: Buffer) => Buffer]>([
    ['cut short', (bytes) => bytes.subarray(0, 10_000)],
    ['another file', (bytes) => Buffer.from(bytes).fill('x', 0, 4_096)],
    ['broken in its second page', (bytes) => Buffer.from(bytes).fill(0, 4_096, 8_192)],
    ['shorter than its first page', (bytes) => bytes.subarray(0, 100)],
  ])('%s', async (_, damage) => {
    const folder = await mkdtemp(join(tmpdir(), 'squall-lmdb-'))
    try {
      const store = await LmdbStore.open({ folder })
      store.begin(1)
      for (let n = 0; n < 1_000; n++) store.table('counts').put(`key ${n}`, n)
      await store.commit(1)
      await store.close()
      const path = join(folder, 'data.mdb')
      const whole = readFileSync(path)
      for (const isReadOnly of [false, true]) {
        writeFileSync(path, damage(whole))
        await expect(LmdbStore.open({ folder, isReadOnly })).rejects.toMatchObject({ code: 'lmdb-corrupt' })
      }
      writeFileSync(path, whole)
      const again = await LmdbStore.open({ folder })
      expect(again.table('counts').get('key 999')).toBe(999)
      await again.close()
    } finally {
      await rm(folder, { recursive: true })
    }
  })
})
