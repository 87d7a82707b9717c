import { expect, test } from 'vitest'
import { StreamExchange } from '../../lib/batch/stream-exchange.ts'

test('what is traded arrives as what it was: objects as objects, maps as maps', async () => {
  const exchanges = [new StreamExchange(0, 2), new StreamExchange(1, 2)] as const
  for (const exchange of exchanges) exchange.begin((to, block) => exchanges[to as 0]?.take(block))
  const value = { user: 'ann', tags: [{ tag: 'a' }, { tag: 'b', at: new Date(5) }], seen: new Map([[1, { n: 2 }]]), none: {} }
  const [, got] = await Promise.all(exchanges.map((exchange) => exchange.all([value, value])))
  expect(got).toEqual([value, value])
})
