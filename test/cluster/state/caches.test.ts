/** What a host has cached of the state of topologies goes with them. */
import { existsSync, readdirSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { cachesIn, removeCaches } from '../../../lib/cluster/state/caches.ts'
import { folderOf } from '../../fixtures/files.ts'

test('caches of topologies that are gone are removed, and what a crash has left of a removal', async () => {
  const folder = folderOf({
    '.caches/words/1/task-0/data.mdb': 'w',
    '.caches/gone/2/task-1/data.mdb': 'g',
    'gone/state/manifest.json': '{}',
  })
  renameSync(join(cachesIn(folder), 'gone'), join(cachesIn(folder), '.0123'))
  await removeCaches(folder, (name) => name === 'words')
  expect(readdirSync(cachesIn(folder))).toEqual(['words'])
  const removed = removeCaches(folder, () => false)
  // at once out of the way of one that comes with the same name
  expect(existsSync(join(cachesIn(folder), 'words'))).toBe(false)
  await removed
  expect([readdirSync(cachesIn(folder)), existsSync(join(folder, 'gone/state/manifest.json'))]).toEqual([[], true])
  await removeCaches(join(folder, 'elsewhere'), () => false)
})
