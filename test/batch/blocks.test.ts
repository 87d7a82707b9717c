import { expect, test } from 'vitest'
import { BlockStore } from '../../lib/batch/blocks.ts'

test('a block on disk holds what it was given: objects, maps, sets', () => {
  const store = new BlockStore()
  const values = [{ id: 1, tags: { a: [null] } }, new Map([['b', { id: 2 }]]), {}, new Set([3n])]
  store.put(1, 0, values, 'disk')
  expect(store.get(1, 0)).toEqual(values)
  store.close()
})
