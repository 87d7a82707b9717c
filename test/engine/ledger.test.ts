/** The algebra of acking: whatever the order of the news, a tree is done when all of it is told, and only then. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Ledger, executorOf, executorsMax } from '../../lib/engine/ledger.ts'
import { Random } from '../../lib/std/random.ts'

interface Shape {
  /** node i is a child of these earlier nodes (none = of the spout); repeated numbers are duplicate anchors */
  readonly parents: readonly (readonly number[])[]
  /** fails after this share of its news, if below 1 */
  readonly failsAt: number
}

const shape: fc.Arbitrary<Shape> = fc.record({
  parents: fc.array(fc.array(fc.nat(9), { maxLength: 3 }), { maxLength: 10 }),
  failsAt: fc.oneof(fc.constant(1), fc.double({ min: 0, max: 0.99, noNaN: true })),
})

interface News {
  readonly tree: number
  readonly kind: 'init' | 'xor' | 'fail'
  readonly a: number
  readonly b: number
}

/** The news of one tree: what the spout and each bolt would tell, with edges drawn from `random`. */
function newsOf({ parents }: Shape, tree: number, random: Random): News[] {
  // the xor of what a node was given and what it gave
  const given = parents.map(() => [0, 0])
  const made = parents.map(() => [0, 0])
  const first = [0, 0]
  parents.forEach((from, node) => {
    const anchors = from.filter((parent) => parent < node)
    for (const parent of anchors.length === 0 ? [-1] : anchors) {
      const edge = [random.int32(), random.int32()]
      for (const sum of [parent < 0 ? first : made[parent], given[node]] as number[][]) {
        sum[0] = (sum[0] as number) ^ (edge[0] as number)
        sum[1] = (sum[1] as number) ^ (edge[1] as number)
      }
    }
  })
  const acks = parents.map((_, node): News => {
    const [givenA, givenB] = given[node] as [number, number]
    const [madeA, madeB] = made[node] as [number, number]
    return { tree, kind: 'xor', a: givenA ^ madeA, b: givenB ^ madeB }
  })
  return [{ tree, kind: 'init', a: first[0] as number, b: first[1] as number }, ...acks]
}

describe('ack algebra', () => {
  test('any order of init, ack and fail, over trees that share the ledger and follow each other in its slots', () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(shape, { minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 5 }),
        fc.integer(),
        fc.nat(executorsMax - 1),
        (waves, seed, executor) => {
          const random = new Random(seed)
          const done: number[] = []
          const treeAt = new Map<number, number>()
          const ledger = new Ledger(executor, { treeDone: (slot) => void done.push(treeAt.get(slot) as number) }, random.int32())
          const old: { readonly rootA: number; readonly rootB: number; readonly a: number; readonly b: number }[] = []
          let nextTree = 0
          for (const wave of waves) {
            const roots = new Map<number, { readonly rootA: number; readonly rootB: number }>()
            const left = new Map<number, number>()
            const ended = new Set<number>()
            const news = wave.flatMap((tree) => {
              const id = nextTree++
              const slot = ledger.open(0, 0)
              treeAt.set(slot, id)
              roots.set(id, { rootA: ledger.rootA(slot), rootB: ledger.rootB(slot) })
              expect(executorOf(ledger.rootA(slot))).toBe(executor)
              const own = random.shuffle(newsOf(tree, id, random))
              left.set(id, own.length)
              if (tree.failsAt < 1) own.splice(Math.floor(tree.failsAt * own.length), 0, { tree: id, kind: 'fail', a: 0, b: 0 })
              return own
            })
            // the order within a tree is random already; now the trees are interleaved
            for (const { tree, kind, a, b } of interleave(news, random)) {
              const { rootA, rootB } = roots.get(tree) as { rootA: number; rootB: number }
              const slot = ledger.find(rootA, rootB)
              expect(slot >= 0).toBe(!ended.has(tree))
              if (kind === 'fail') {
                if (slot >= 0) ledger.release(slot)
                ended.add(tree)
                continue
              }
              if (kind === 'init') {
                if (slot >= 0) ledger.init(slot, a, b) // a failed tree is not told its beginning: its spout knows
              } else ledger.xor(rootA, rootB, a, b)
              old.push({ rootA, rootB, a, b })
              left.set(tree, (left.get(tree) as number) - 1)
              const isOver = !ended.has(tree) && left.get(tree) === 0
              if (isOver) ended.add(tree)
              expect(done.includes(tree)).toBe(isOver)
              // news of trees that are over changes nothing
              const late = old[random.below(old.length)] as (typeof old)[number]
              const lateTree = [...roots].find(([, root]) => root.rootA === late.rootA && root.rootB === late.rootB)?.[0]
              const before = [ledger.size, done.length]
              if (lateTree === undefined || ended.has(lateTree)) {
                ledger.xor(late.rootA, late.rootB, late.a, late.b)
                ledger.xor(late.rootA, late.rootB, random.int32(), random.int32())
              }
              expect([ledger.size, done.length]).toEqual(before)
            }
            expect(ended.size).toBe(wave.length)
            expect(ledger.size).toBe(0)
          }
          expect(new Set(done).size).toBe(done.length)
        },
      ),
      { numRuns: 300 },
    )
  })

  /** Takes from the front of the list of a tree by chance, so that the order within each tree stays. */
  function interleave(news: readonly News[], random: Random): News[] {
    const queues = new Map<number, News[]>()
    for (const one of news) queues.set(one.tree, [...(queues.get(one.tree) ?? []), one])
    const order: News[] = []
    while (queues.size > 0) {
      const trees = [...queues.keys()]
      const tree = trees[random.below(trees.length)] as number
      const queue = queues.get(tree) as News[]
      order.push(queue.shift() as News)
      if (queue.length === 0) queues.delete(tree)
    }
    return order
  }

  test('a tree without an edge is done at once', () => {
    const done: number[] = []
    const ledger = new Ledger(0, { treeDone: (slot) => void done.push(slot) }, 1)
    ledger.init(ledger.open(0, 0), 0, 0)
    expect([done, ledger.size]).toEqual([[0], 0])
  })

  test('an ack before the init does not end a tree, even when its sum is zero for a moment', () => {
    const done: number[] = []
    const ledger = new Ledger(3, { treeDone: (slot) => void done.push(slot) }, 1)
    const slot = ledger.open(0, 0)
    const [rootA, rootB] = [ledger.rootA(slot), ledger.rootB(slot)]
    ledger.xor(rootA, rootB, 5, 6)
    ledger.xor(rootA, rootB, 5, 6)
    expect(done).toEqual([])
    ledger.init(slot, 7, 8)
    expect(done).toEqual([])
    ledger.xor(rootA, rootB, 7, 8)
    expect(done).toEqual([slot])
  })

  test('each half of an edge counts', () => {
    const done: number[] = []
    const ledger = new Ledger(0, { treeDone: (slot) => void done.push(slot) }, 1)
    const slot = ledger.open(0, 0)
    const [rootA, rootB] = [ledger.rootA(slot), ledger.rootB(slot)]
    ledger.init(slot, 1, 2)
    ledger.xor(rootA, rootB, 1, 0)
    expect(done).toEqual([])
    ledger.xor(rootA, rootB, 0, 2)
    expect(done).toEqual([slot])
  })
})

describe('slots', () => {
  test('are used again with another root, columns start afresh, and many fit', () => {
    const ledger = new Ledger(1, { treeDone: () => undefined }, 41)
    const slot = ledger.open(2, 10)
    const [rootA, rootB] = [ledger.rootA(slot), ledger.rootB(slot)]
    ledger.ids[slot] = 'mine'
    ledger.values[slot] = { a: 1 }
    ledger.holder[slot] = 9
    ledger.release(slot)
    expect(ledger.find(rootA, rootB)).toBe(-1)
    const again = ledger.open(3, 20)
    expect(again).toBe(slot)
    expect([ledger.rootA(again), ledger.rootB(again) === rootB]).toEqual([rootA, false])
    expect([ledger.ids[again], ledger.values[again], ledger.holder[again], ledger.spout[again], ledger.startMs[again]]).toEqual([
      undefined,
      undefined,
      -1,
      3,
      20,
    ])
    const many = Array.from({ length: 1_000 }, (_, i) => ledger.open(i, i))
    expect(new Set(many).size).toBe(1_000)
    expect(many.every((one, i) => ledger.spout[one] === i && ledger.startMs[one] === i)).toBe(true)
    expect(ledger.size).toBe(1_001)
  })

  test('a tree is released once', () => {
    const ledger = new Ledger(0, { treeDone: () => undefined }, 0)
    const slot = ledger.open(0, 0)
    ledger.release(slot)
    expect(() => ledger.release(slot)).toThrow('a tree is released once')
  })
})

describe('timeouts', () => {
  test('count from the start or from the last progress, and only for trees whose start is complete', () => {
    const ledger = new Ledger(0, { treeDone: () => undefined }, 0)
    const [early, late, incomplete] = [ledger.open(0, 100), ledger.open(0, 200), ledger.open(0, 50)]
    ledger.init(early, 1, 1)
    ledger.init(late, 1, 1)
    expect([...ledger.startedBefore(99)]).toEqual([])
    expect([...ledger.startedBefore(100)]).toEqual([early])
    expect([...ledger.startedBefore(200)]).toEqual([early, late])
    ledger.progress(early, 300)
    expect([...ledger.startedBefore(299)]).toEqual([late])
    expect(ledger.startMs[early]).toBe(100)
    ledger.init(incomplete, 1, 1)
    expect([...ledger.startedBefore(50)]).toEqual([incomplete])
  })
})
