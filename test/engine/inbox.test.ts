import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Inbox, severalRoots } from '../../lib/engine/inbox.ts'

const int = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('put' as const),
      rootA: fc.nat(2 ** 31 - 1),
      rootB: int,
      edgeA: int,
      edgeB: int,
      input: fc.nat(7),
      source: fc.nat(32_767),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('anchored' as const),
      anchors: fc.array(int, { minLength: 8, maxLength: 16 }),
      input: fc.nat(7),
      source: fc.nat(32_767),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('many' as const), count: fc.nat(200) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('take' as const), count: fc.nat(100) }) },
)

test('is a queue: what goes in comes out in its order with its numbers, however it grows and wraps', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const inbox = new Inbox()
      const oracle: object[] = []
      let put = 0
      const take = (): void => {
        const values = inbox.take()
        const { rootA, rootB, edgeA, edgeB, input, source } = inbox
        expect({
          values,
          rootA,
          rootB,
          edgeA,
          edgeB,
          input,
          source,
          anchors: rootA === severalRoots ? inbox.takeAnchors() : undefined,
        }).toEqual(oracle.shift())
      }
      for (const one of steps) {
        const values = { n: put++ }
        if (one.kind === 'put') {
          const { kind: _, ...numbers } = one
          inbox.put(values, one.rootA, one.rootB, one.edgeA, one.edgeB, one.input, one.source)
          oracle.push({ values, ...numbers, anchors: undefined })
        } else if (one.kind === 'anchored') {
          inbox.putAnchored(values, one.anchors, one.input, one.source)
          oracle.push({
            values,
            rootA: severalRoots,
            rootB: 0,
            edgeA: 0,
            edgeB: 0,
            input: one.input,
            source: one.source,
            anchors: one.anchors,
          })
        } else if (one.kind === 'many')
          for (let i = 0; i < one.count; i++) {
            inbox.put(values, 0, 0, 0, i, 0, 0)
            oracle.push({ values, rootA: 0, rootB: 0, edgeA: 0, edgeB: i, input: 0, source: 0, anchors: undefined })
          }
        else for (let i = 0; i < one.count && inbox.size > 0; i++) take()
        expect(inbox.size).toBe(oracle.length)
      }
      while (inbox.size > 0) take()
      expect(oracle).toEqual([])
    }),
  )
})

test('anchors of thousands of tuples keep their order', () => {
  const inbox = new Inbox()
  let [put, taken] = [0, 0]
  // more come than go at first, so that the queue of anchors is cut while some wait
  for (let round = 0; round < 6_000; round++) {
    for (let i = 0; i < (round < 2_000 ? 2 : 0); i++) inbox.putAnchored({}, [put, 0, 0, 0, put++, 1, 1, 1], 0, 0)
    if (inbox.size === 0) break
    inbox.take()
    expect(inbox.takeAnchors()[0]).toBe(taken++)
  }
  expect([put, taken, inbox.size]).toEqual([4_000, 4_000, 0])
})

test('lets go of what was taken', () => {
  const inbox = new Inbox()
  inbox.put({ a: 1 }, 0, 0, 0, 0, 0, 0)
  inbox.take()
  // a second time around, the place is empty
  expect(inbox.take()).toBeUndefined()
})
