import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { EmbeddedCoordinator } from '../../../lib/cluster/coordination/embedded.ts'
import type { EmbeddedOptions } from '../../../lib/cluster/coordination/embedded.ts'
import type { Entry, News } from '../../../lib/cluster/coordination/coordinator.ts'
import { Random } from '../../../lib/std/random.ts'
import { FaultDisk } from '../../batch/fault-disk.ts'
import { folderOf, rejection } from '../../fixtures/files.ts'
import { repository } from '../../house/repository.ts'
import { changesOf, conforms, countOne, revisionOf, until } from './conformance.ts'

const noLock = (): { release(): void } => ({ release: () => undefined })
const folder = '/coordinator'

async function onDisk(disk: FaultDisk, options: EmbeddedOptions = {}): Promise<EmbeddedCoordinator> {
  return await EmbeddedCoordinator.open(folder, { files: disk, lock: noLock, ...options })
}

describe('a coordinator on the disk of one machine', () => {
  conforms(async () => {
    const historyMax = 300
    const coordinator = await EmbeddedCoordinator.open(folderOf({}), { historyMax, logBytesMin: 10_000 })
    onTestFinished(() => coordinator.close())
    return {
      client: async () => coordinator,
      passing: (promise) => promise,
      now: () => performance.now(),
      compact: async () => {
        for (let i = 0; i < 2 * historyMax; i++) revisionOf(await coordinator.commit([], [{ key: 'forgotten', value: String(i) }]))
      },
    }
  })

  test('is there again with all its records, but those that hung on leases', async () => {
    const place = folderOf({})
    const before = await EmbeddedCoordinator.open(place)
    const lease = await before.lease()
    const kept = revisionOf(await before.commit([], [{ key: 'kept', value: '1' }]))
    revisionOf(await before.commit([], [{ key: 'leased', value: '1', lease }]))
    const freed = revisionOf(await before.commit([], [{ key: 'freed', value: '1', lease }]))
    const last = revisionOf(await before.commit([], [{ key: 'freed', value: '2' }]))
    await before.close()
    const after = await EmbeddedCoordinator.open(place)
    const { entries, revision } = await after.list('')
    expect(entries).toEqual([
      { key: 'freed', value: '2', version: last, created: freed },
      { key: 'kept', value: '1', version: kept, created: kept },
    ])
    expect(revision).toBeGreaterThan(last)
    await after.close()
  })

  test('has its folder to itself, also within a process', async () => {
    const place = folderOf({})
    const one = await EmbeddedCoordinator.open(place)
    expect(await rejection(EmbeddedCoordinator.open(place))).toMatchObject({ code: 'state-in-use' })
    await one.close()
    await (await EmbeddedCoordinator.open(place)).close()
  })

  test('a log that is broken in the middle, or of another format, is refused as it is', async () => {
    const disk = new FaultDisk(new Random(1))
    const one = await onDisk(disk)
    for (let i = 0; i < 3; i++) await countOne(one, 'n')
    await one.close()
    const [file = ''] = disk.paths
    const bytes = Buffer.from(disk.bytesOf(file))
    disk.tamper(file, (whole) => whole.fill(0, 40, 50))
    expect(await rejection(onDisk(disk))).toMatchObject({ code: 'log-corrupt' })
    disk.tamper(file, () => bytes)
    expect((await (await onDisk(disk)).get('n'))?.value).toBe('3')
    expect(disk.openFiles).toBe(1)
  })

  test('a full disk fails the commit, and nothing else', async () => {
    const disk = new FaultDisk(new Random(1))
    const one = await onDisk(disk)
    const lease = await one.lease()
    revisionOf(await one.commit([], [{ key: 'leased', value: '1', lease }]))
    disk.room = 20
    expect(await rejection(one.commit([], [{ key: 'a', value: '1' }]))).toMatchObject({ code: 'disk-full' })
    expect(await one.get('a')).toBeUndefined()
    await lease.end() // what hung on it cannot be removed yet
    expect(await rejection(one.commit([], [{ key: 'b', value: '1', lease }]))).toMatchObject({ code: 'disk-full' })
    disk.room = Infinity
    revisionOf(await one.commit([{ key: 'a', version: 0 }], [{ key: 'c', value: '1' }]))
    expect((await one.list('')).entries.map(({ key }) => key)).toEqual(['c'])
    const again = await onDisk(disk.killed())
    expect((await again.list('')).entries.map(({ key }) => key)).toEqual(['c'])
  })

  test('its log stays small, however often records change', async () => {
    const disk = new FaultDisk(new Random(1))
    const one = await onDisk(disk, { logBytesMin: 2_000 })
    for (let i = 0; i < 500; i++) await countOne(one, `n${i % 5}`)
    expect(disk.paths).toHaveLength(1)
    expect(disk.bytesOf(disk.paths[0] as string).length).toBeLessThan(5_000)
    const before = await one.list('')
    expect(await (await onDisk(disk.killed())).list('')).toEqual(before)
  })

  /** What a run told: answered commits; the one under way when the disk went down. */
  interface Told {
    readonly answered: Entry[][]
    underWay: boolean
  }

  /** Changes records one after the other, two at once now and then, and notes what was answered. */
  async function work(disk: FaultDisk, told: Told): Promise<void> {
    const one = await onDisk(disk, { logBytesMin: 600 })
    const lease = await one.lease()
    for (let i = 0; i < 40; i++) {
      told.underWay = true
      const write = { key: `k${i % 3}`, value: String(i) }
      revisionOf(await one.commit([], i % 4 === 3 ? [write, { key: 'leased', value: '1', lease }] : [write]))
      told.answered.push([...(await one.list('')).entries])
      told.underWay = false
    }
    await one.close()
  }

  test.each(['killed', 'powerLost'] as const)('has what was answered after any crash (%s), and one commit more at most', async (how) => {
    const whole = new FaultDisk(new Random(1))
    await work(whole, { answered: [], underWay: false })
    expect(whole.step).toBeGreaterThan(100)
    for (let crashAt = 1; crashAt <= whole.step; crashAt++) {
      const disk = new FaultDisk(new Random(crashAt))
      disk.crashAt = crashAt
      const told: Told = { answered: [], underWay: false }
      await work(disk, told).catch(() => undefined)
      const again = await onDisk(disk[how]())
      const { entries, revision } = await again.list('')
      const kept = entries.map(({ key, value }) => `${key}=${value}`)
      const known = told.answered.map((all) => all.filter(({ key }) => key !== 'leased').map(({ key, value }) => `${key}=${value}`))
      const last = told.answered.length
      const next = [...(known.at(-1) ?? []).filter((one) => !one.startsWith(`k${last % 3}=`)), `k${last % 3}=${last}`].sort()
      expect(told.underWay ? [known.at(-1) ?? [], next] : [known.at(-1) ?? []], `crash at step ${crashAt}`).toContainEqual(kept)
      // revisions go on from where they were
      const before = Math.max(0, ...(told.answered.at(-1) ?? []).map(({ version }) => version))
      expect(revisionOf(await again.commit([], [{ key: 'next', value: '1' }]))).toBeGreaterThan(Math.max(before, revision))
    }
  })

  test('a watch tells nothing that is not durable', async () => {
    const disk = new FaultDisk(new Random(1))
    const one = await onDisk(disk)
    const news: News[] = []
    one.watch('', 0, (told) => news.push(told))
    disk.syncFails = true
    await rejection(one.commit([], [{ key: 'a', value: '1' }]))
    expect(await one.list('')).toEqual({ entries: [], revision: 0 })
    disk.syncFails = false
    // a log whose failed write could not be taken back takes no more, until it is opened again
    await rejection(one.commit([], [{ key: 'b', value: '1' }]))
    const again = await onDisk(disk.killed())
    again.watch('', 0, (told) => news.push(told))
    revisionOf(await again.commit([], [{ key: 'c', value: '1' }]))
    await until(() => changesOf(news).some((change) => change.kind === 'put' && change.entry.key === 'c'))
  })
})

test('a process that counts is killed again and again, and no count that it told is lost', async () => {
  const place = join(folderOf({}), 'records')
  const module = pathToFileURL(join(repository, 'dist', 'lib', 'cluster', 'coordination', 'connect.js')).href
  const program = `
    const coordinator = await (await import(${JSON.stringify(module)})).connect(process.argv[1])
    for (;;) {
      const entry = await coordinator.get('n')
      const value = String(Number(entry?.value ?? 0) + 1)
      const { ok } = await coordinator.commit([{ key: 'n', version: entry?.version ?? 0 }], [{ key: 'n', value }])
      if (ok) process.stdout.write(value + '\\n')
    }`
  let told = 0
  for (let kill = 0; kill < 4; kill++) {
    const before = told
    const child = spawn(process.execPath, ['--input-type=module', '-e', program, `embedded:${place}`], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const ended = new Promise((resolve) => child.once('close', resolve))
    child.stdout.on('data', (text: Buffer) => {
      told = Number(text.toString().trimEnd().split('\n').at(-1))
      if (told > before + 20) child.kill('SIGKILL')
    })
    await ended
    const coordinator = await EmbeddedCoordinator.open(place)
    const value = Number((await coordinator.get('n'))?.value)
    expect([told, told + 1]).toContain(value)
    await coordinator.close()
    told = value
  }
})
