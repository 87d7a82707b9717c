/** One copy, and what comes to it late. */
import { expect, test } from 'vitest'
import { replaceFile } from '../../../lib/batch/log/whole-file.ts'
import { Volume } from '../../../lib/cluster/state/volume.ts'
import { answer, partBytesMax } from '../../../lib/cluster/state/words.ts'
import type { Answer, Words } from '../../../lib/cluster/state/words.ts'
import { SquallError } from '../../../lib/errors.ts'
import { Random } from '../../../lib/std/random.ts'
import { FaultDisk } from '../../batch/fault-disk.ts'
import { diskOf } from './simulated.ts'

const none = new Uint8Array(0)
const claim = { of: 'words', version: 2, key: 'k/', term: { epoch: 1, count: 1, writer: 'w' } }

test('what is made as another copy was, and comes when its writer has gone on, undoes nothing', async () => {
  const disk = diskOf(new FaultDisk(new Random(1)))
  let asked: (words: Words) => void = () => undefined
  let release: () => void = () => undefined
  const held = new Promise<void>((resolve) => (release = resolve))
  const source = async (words: Words): Promise<Answer> => {
    asked(words)
    if (words.do === 'files') return answer({ is: 'files', files: [{ path: 'k/log', size: 3 }] })
    if (words.do === 'part') return answer({ is: 'bytes' }, Buffer.from('one'))
    await held
    return answer({ is: 'digest', digest: 'of something else' })
  }
  const volume = new Volume({ disk, root: '/root', notes: '/notes', member: () => source })
  const level = { do: 'level', ...claim, from: 'a' } as const
  await volume.ask({ do: 'adopt', of: 'words', version: 1, removed: 0, claims: {} }, none)
  await volume.ask({ do: 'claim', ...claim }, none)
  expect((await volume.ask(level, none)).reply).toEqual({ is: 'done' })

  // it was sent twice, and the second one is on its way still
  const compares = new Promise<void>((resolve) => (asked = ({ do: what }) => what === 'digest' && resolve()))
  const again = volume.ask(level, none)
  await compares
  const write = { do: 'write', ...claim, turn: 1, path: 'k/log', at: 3, sync: true } as const
  expect((await volume.ask(write, Buffer.from(' two'))).reply).toEqual({ is: 'done' })
  release()
  expect((await again).reply).toEqual({ is: 'done' })
  const { bytes } = await volume.ask({ do: 'read', of: 'words', version: 2, path: 'k/log', at: 0, max: 100 }, none)
  expect(Buffer.from(bytes).toString()).toBe('one two')
})

test('a copy that cannot finish what it was told, as bytes that it was to keep are gone, is no copy any more, and can become one again', async () => {
  const faulty = new FaultDisk(new Random(1))
  const disk = diskOf(faulty)
  const options = { disk, root: '/root', notes: '/notes' }
  const source = (words: Words): Promise<Answer> => {
    if (words.do === 'files') return Promise.resolve(answer({ is: 'files', files: [{ path: 'k/log', size: 3 }] }))
    return Promise.resolve(words.do === 'part' ? answer({ is: 'bytes' }, Buffer.from('one')) : answer({ is: 'digest', digest: '' }))
  }
  const before = new Volume({ ...options, member: () => source })
  await before.ask({ do: 'adopt', of: 'words', version: 1, removed: 0, claims: {} }, none)
  await before.ask({ do: 'claim', ...claim }, none)
  await before.ask({ do: 'write', ...claim, turn: 1, path: 'k/log', at: 0, sync: true }, Buffer.from('o'))
  // it was to have five bytes, and more
  await replaceFile(disk, '/notes/copy-1/plan.json', Buffer.from(JSON.stringify({ steps: [{ path: 'k/log', keep: 5, part: '0' }] })))
  await replaceFile(disk, '/notes/copy-1/0', Buffer.from('more'))

  const volume = new Volume({ ...options, member: () => source })
  const read = { do: 'read', of: 'words', version: 3, path: 'k/log', at: 0, max: 100 } as const
  expect((await volume.ask(read, none)).reply).toEqual({ is: 'behind' })
  // where it was removed meanwhile, what is left of it goes as well
  const other = new Volume({ ...options, disk: diskOf(faulty.killed()), member: () => source })
  await other.begin(3)
  expect((await other.ask({ ...read, do: 'size' }, none)).reply).toEqual({ is: 'size', size: undefined })
  const follow = { do: 'follow', of: 'words', version: 3, removed: 0, from: 'a', isAnew: false } as const
  expect((await volume.ask(follow, none)).reply).toEqual({ is: 'done' })
  await volume.ask({ do: 'adopt', of: 'words', version: 3, removed: 0, claims: {} }, none)
  const { bytes } = await volume.ask({ ...read, version: 4 }, none)
  expect(Buffer.from(bytes).toString()).toBe('one')
})

test('a copy goes on where it was interrupted, and what was brought for nothing is removed', async () => {
  const files = new FaultDisk(new Random(1))
  const disk = diskOf(files)
  const large = Buffer.alloc(3 * partBytesMax, 'squall')
  let left = 2
  const parts: number[] = []
  const source = (words: Words): Promise<Answer> => {
    if (words.do === 'files') return Promise.resolve(answer({ is: 'files', files: [{ path: 'log', size: large.length }] }))
    if (words.do === 'digest') return Promise.resolve(answer({ is: 'digest', digest: 'of something else' }))
    if (words.do !== 'part' || left-- <= 0) return Promise.reject(new SquallError('api-away', { url: 'a', reason: 'it is cut off' }))
    parts.push(words.at / partBytesMax)
    return Promise.resolve(answer({ is: 'bytes' }, large.subarray(words.at, words.at + partBytesMax)))
  }
  const volume = new Volume({ disk, root: '/root', notes: '/notes', member: () => source })
  const follow = (version: number, isAnew = false): Promise<Answer> =>
    volume.ask({ do: 'follow', of: 'words', version, removed: 0, from: 'a', isAnew }, none)
  expect((await follow(1)).reply).toEqual({ is: 'apart' })
  left = 1
  // under a later version of the set as well
  expect((await follow(2)).reply).toEqual({ is: 'done' })
  expect(parts).toEqual([0, 1, 2])
  expect(files.paths).toEqual(['/notes/claims.json', '/root/log'])
  expect(files.bytesOf('/root/log').equals(large)).toBe(true)

  files.tamper('/root/log', (bytes) => bytes.subarray(0, 1))
  left = 1
  expect((await follow(2)).reply).toEqual({ is: 'apart' })
  expect(files.paths).toContain('/notes/copy-2/0')
  // whoever holds its changes wants what there is now
  left = 0
  expect((await follow(2, true)).reply).toEqual({ is: 'apart' })
  expect(files.paths).toEqual(['/notes/claims.json', '/root/log'])
  expect((await follow(1)).reply).toEqual({ is: 'old', above: 2 })
})
