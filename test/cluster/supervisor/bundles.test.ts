import { readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, expect, test } from 'vitest'
import { digestOf } from '../../../lib/cluster/blobstore/blobs.ts'
import { Bundles } from '../../../lib/cluster/supervisor/bundles.ts'
import { folderOf } from '../../fixtures/files.ts'

const code = Buffer.from('export default 1\n')
const sha256 = digestOf(code)
let folder: string
let fetched: number
let bundles: Bundles

beforeEach(() => {
  folder = folderOf({})
  fetched = 0
  bundles = new Bundles(folder, () => {
    fetched++
    return Promise.resolve(code)
  })
})

test('code is fetched once, also when several workers want it at once', async () => {
  const [one, two] = await Promise.all([bundles.module(sha256), bundles.module(sha256)])
  expect([one, two, await bundles.module(sha256)]).toEqual(Array.from({ length: 3 }, () => join(folder, `${sha256}.mjs`)))
  expect(fetched).toBe(1)
  expect(readFileSync(one, 'utf8')).toBe(code.toString())
})

test.each<readonly [string, (file: string) => void]>([
  ['damaged', (file) => writeFileSync(file, 'export default "evil"\n')],
  ['cut short', (file) => writeFileSync(file, '')],
  ['removed', (file) => rmSync(file)],
])('what was %s on the disk of the host is made good before a worker runs it', async (_, damage) => {
  const module = await bundles.module(sha256)
  for (const name of [sha256, `${sha256}.mjs`]) damage(join(folder, name))
  expect(await bundles.module(sha256)).toBe(module)
  expect([readFileSync(module, 'utf8'), readFileSync(join(folder, sha256), 'utf8')]).toEqual([code.toString(), code.toString()])
  damage(module)
  await bundles.module(sha256)
  expect(readFileSync(module, 'utf8')).toBe(code.toString())
  expect(fetched).toBe(2)
})

test.each(['', '..', '../../etc/passwd', '/etc/passwd', 'C:\\windows', `${'0'.repeat(64)}/..`, `${'0'.repeat(64)}\0`, 'A'.repeat(64)])(
  'a name that is no digest is none of a module: %j',
  async (name) => {
    await expect(bundles.module(name)).rejects.toMatchObject({ code: 'blob-name' })
    expect([fetched, readdirSync(folder)]).toEqual([0, []])
  },
)

test('code that is not what its name says is not kept', async () => {
  const other = digestOf(Buffer.from('other'))
  await expect(bundles.module(other)).rejects.toMatchObject({ code: 'blob-corrupt' })
  expect(readdirSync(folder)).toEqual([])
})
