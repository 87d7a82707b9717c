import { describe, expect, test } from 'vitest'
import type { BlockStore } from '../../../lib/batch/receiver/block.ts'
import { LoggedBlocks, MemoryBlocks, ReplicatedBlocks } from '../../../lib/batch/receiver/block-stores.ts'
import { Random } from '../../../lib/std/random.ts'
import { VirtualSchedule } from '../../../lib/testing/index.ts'
import { Crash, FaultDisk } from '../fault-disk.ts'

const stores: readonly (readonly [string, () => Promise<BlockStore>])[] = [
  ['memory', async () => new MemoryBlocks()],
  ['log', () => logged(new FaultDisk(new Random(1)))],
  ['both', async () => new ReplicatedBlocks([new MemoryBlocks(), await logged(new FaultDisk(new Random(1)))])],
]

function logged(files: FaultDisk, clock = new VirtualSchedule()): Promise<LoggedBlocks> {
  return LoggedBlocks.open({ folder: '/blocks', clock, files, rollEveryMs: 1_000 })
}

describe.each(stores)('blocks in %s', (_, open) => {
  test('are read as they were stored, until they are removed', async () => {
    const store = await open()
    const items = ['text', { n: 1, at: new Date(5), bytes: new Uint8Array([1, 2]) }, null, [1n, true]]
    await store.store('b1', items)
    await store.store('b2', [])
    expect(await store.read('b1')).toEqual(items)
    expect(await store.read('b2')).toEqual([])
    await store.remove(new Set(['b1']).values())
    expect([await store.read('b1'), await store.read('b2'), await store.read('b3')]).toEqual([undefined, [], undefined])
    await store.close()
  })
})

describe('blocks in a log', () => {
  test('are there after the process died, and their files go when all of their blocks are done with', async () => {
    const clock = new VirtualSchedule()
    const files = new FaultDisk(new Random(1))
    const store = await logged(files, clock)
    for (const id of ['b1', 'b2', 'b3']) {
      await store.store(id, [id])
      clock.moveTo(clock.now() + 2_000)
    }
    const disk = files.killed()
    const again = await logged(disk, clock)
    expect(await again.read('b2')).toEqual(['b2'])
    expect(again.blockIds).toEqual(['b1', 'b2', 'b3'])
    await again.remove(['b2'])
    expect(disk.paths).toHaveLength(3)
    await again.remove(['b1'])
    expect(disk.paths).toHaveLength(1)
  })

  test('that cannot be written are not there', async () => {
    const files = new FaultDisk(new Random(1))
    const store = await logged(files)
    files.syncFails = true
    await expect(store.store('b1', [1])).rejects.toMatchObject({ code: 'file-unwritable' })
    expect(await store.read('b1')).toBeUndefined()
    await expect(store.store('b2', [() => 1])).rejects.toMatchObject({ code: 'block-unwritable' })
  })

  test('are whole and there once their promise has resolved, whenever the power is cut', async () => {
    for (let seed = 1; seed <= 200; seed++) {
      const random = new Random(seed)
      const clock = new VirtualSchedule()
      const files = new FaultDisk(random)
      const promised = new Map<string, readonly unknown[]>()
      files.crashAt = 1 + random.below(60)
      try {
        const store = await logged(files, clock)
        for (let i = 0; i < 10; i++) {
          const wave = Array.from({ length: 1 + random.below(3) }, async (__, k) => {
            const items = Array.from({ length: random.below(20) }, (___, n) => `${i} ${k} ${n}`)
            await store.store(`b${i}.${k}`, items)
            promised.set(`b${i}.${k}`, items)
          })
          const results = await Promise.allSettled(wave)
          const failed = results.find((result) => result.status === 'rejected')
          if (failed !== undefined) throw failed.reason as Error
          if (random.below(3) === 0) {
            const done = [...promised.keys()].slice(0, 2)
            for (const id of done) promised.delete(id)
            await store.remove(done)
          }
          clock.moveTo(clock.now() + random.below(700))
        }
      } catch (error) {
        if (!(error instanceof Crash)) throw error
      }
      const again = await logged(files.powerLost(), clock)
      for (const [id, items] of promised) expect(await again.read(id)).toEqual(items)
    }
  })
})
