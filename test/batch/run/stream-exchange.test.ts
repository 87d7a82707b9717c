import { describe, expect, test } from 'vitest'
import { StreamExchange } from '../../../lib/batch/run/stream-exchange.ts'
import type { BlockPart } from '../../../lib/batch/run/stream-exchange.ts'

test('what is traded arrives as what it was: objects as objects, maps as maps', async () => {
  const exchanges = [new StreamExchange(0, 2), new StreamExchange(1, 2)] as const
  for (const exchange of exchanges) exchange.begin((to, block) => exchanges[to as 0]?.take(block))
  const value = { user: 'ann', tags: [{ tag: 'a' }, { tag: 'b', at: new Date(5) }], seen: new Map([[1, { n: 2 }]]), none: {} }
  const [, got] = await Promise.all(exchanges.map((exchange) => exchange.all([value, value])))
  expect(got).toEqual([value, value])
})

test('what cannot be packed in one task is a fault of all, and the next trade goes on', async () => {
  const exchanges = [new StreamExchange(0, 3), new StreamExchange(1, 3), new StreamExchange(2, 3)] as const
  for (const exchange of exchanges) exchange.begin((to, block) => exchanges[to as 0]?.take(block))
  const all = await Promise.allSettled(exchanges.map((exchange, i) => exchange.all(i === 1 ? [0, 0, Symbol('no')] : [1, 2, 3])))
  for (const one of all) expect(one).toMatchObject({ status: 'rejected', reason: { code: 'value-unsendable' } })
  expect(await Promise.all(exchanges.map((exchange, i) => exchange.all([i, i, i])))).toEqual([
    [0, 1, 2],
    [0, 1, 2],
    [0, 1, 2],
  ])
})

/** Two tasks, and what is under way from the first to the second. */
function pair() {
  const [one, other] = [new StreamExchange(0, 2), new StreamExchange(1, 2)]
  const underWay: BlockPart[] = []
  let most = 0
  one.begin((_, block) => (most = Math.max(most, underWay.push(block))))
  other.begin((_, block) => one.take(block))
  const takeAll = async (): Promise<void> => {
    for (let rounds = 0; rounds < 3; rounds = underWay.length > 0 ? 0 : rounds + 1) {
      for (const block of underWay.splice(0)) other.take(block)
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  return { one, other, takeAll, most: () => most }
}

describe('a block of many parts', () => {
  const large = 'x'.repeat(20 << 20)

  test('is not sent further than 4 MiB ahead of a task that has not come so far', async () => {
    const { one, other, takeAll, most } = pair()
    const given = one.all([null, large])
    await takeAll()
    expect(most()).toBe(16)
    const got = other.all(['here', null])
    await takeAll()
    expect(most()).toBe(16)
    expect(await given).toEqual([null, 'here'])
    expect((await got)[0] === large).toBe(true)
  })

  test('its sender hears when the attempt is over', async () => {
    const { one } = pair()
    const given = one.all([null, large])
    one.abandon(() => new Error('over'))
    await expect(given).rejects.toThrow('over')
  })

  test.each([15, 16, 17, 23, 24, 25, 31, 32, 33, 100])('%d parts arrive whole, and the next trade too', async (parts) => {
    const { one, other, takeAll } = pair()
    for (const value of [Buffer.alloc(parts * (256 << 10) - 100, parts), 'small']) {
      const both = Promise.all([one.all([0, value]), other.all(['back', 0])])
      await takeAll()
      const [[, back], [got]] = await both
      expect(back).toBe('back')
      expect(Buffer.compare(Buffer.from(got as string), Buffer.from(value))).toBe(0)
    }
  })
})
