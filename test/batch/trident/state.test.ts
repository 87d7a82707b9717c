import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  CachedBatchReadsMap,
  CachedMap,
  FileState,
  jsonSerializers,
  MemoryMapState,
  NonTransactionalMap,
  OpaqueMap,
  OpaqueValue,
  SnapshottableMap,
  SplitMap,
  TransactionalMap,
  TransactionalValue,
} from '../../../lib/index.ts'
import type { BackingMap, MapState } from '../../../lib/index.ts'
import { Random } from '../../../lib/std/random.ts'
import { Crash, FaultDisk } from '../fault-disk.ts'

/** A store of the user's own: text by key, and its trips counted. */
class Store<V> implements BackingMap<unknown, V> {
  trips: string[] = []
  fails = false
  readonly values = new Map<string, V>()

  async multiGet(keys: readonly unknown[]): Promise<readonly (V | undefined)[]> {
    this.trips.push(`get ${keys.join()}`)
    return keys.map((key) => this.values.get(JSON.stringify(key)))
  }

  async multiPut(keys: readonly unknown[], values: readonly V[]): Promise<void> {
    this.trips.push(`put ${keys.join()}`)
    if (this.fails) throw new Error('the store is away')
    for (const [i, key] of keys.entries()) this.values.set(JSON.stringify(key), values[i] as V)
  }
}

const plus =
  (n: number) =>
  (stored: number | null): number =>
    (stored ?? 0) + n

/** Applies one batch of (key, n), all keys in one update. */
async function apply(
  state: MapState<string, number>,
  txid: number,
  batch: readonly (readonly [string, number])[],
): Promise<readonly number[]> {
  await state.beginCommit(txid)
  const values = await state.multiUpdate(
    batch.map(([key]) => key),
    batch.map(([, n]) => plus(n)),
  )
  await state.commit(txid)
  return values
}

const one = fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.integer({ min: 1, max: 9 }))
const oneBatch = fc.array(one, { maxLength: 6 })

function added(totals: ReadonlyMap<string, number>, batch: readonly (readonly [string, number])[]): Map<string, number> {
  const next = new Map(totals)
  for (const [key, n] of batch) next.set(key, (next.get(key) ?? 0) + n)
  return next
}

async function totalsOf(state: MapState<string, number>): Promise<Map<string, number>> {
  const values = await state.multiGet(['a', 'b', 'c'])
  return new Map(['a', 'b', 'c'].flatMap((key, i) => (values[i] === null ? [] : [[key, values[i] as number]])))
}

test('an opaque map counts each batch once, whatever it holds when it comes again, and wherever it broke off', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ tries: fc.array(oneBatch, { maxLength: 3 }), last: oneBatch }), { maxLength: 6 }),
      async (batches) => {
        const state = new OpaqueMap<string, number>(new Store())
        let totals = new Map<string, number>()
        for (const [i, { tries, last }] of batches.entries()) {
          for (const tried of tries) await apply(state, i + 1, tried)
          // keys of an earlier try that the last one lacks are put back by the update that finds them
          await apply(state, i + 1, [...last, ...['a', 'b', 'c'].map((key) => [key, 0] as const)])
          totals = added(totals, last)
          expect(await totalsOf(state)).toEqual(
            added(
              new Map([
                ['a', 0],
                ['b', 0],
                ['c', 0],
              ]),
              [...totals],
            ),
          )
        }
      },
    ),
  )
})

test('a transactional map counts each batch once, when it is the same each time', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(oneBatch, fc.nat(2)), { maxLength: 6 }), async (batches) => {
      const state = new TransactionalMap<string, number>(new Store())
      let totals = new Map<string, number>()
      for (const [i, [batch, again]] of batches.entries()) {
        for (let n = 0; n <= again; n++) await apply(state, i + 1, batch)
        totals = added(totals, batch)
        expect(await totalsOf(state)).toEqual(totals)
      }
    }),
  )
})

describe('map states', () => {
  test('a non-transactional one counts each time', async () => {
    const state = new NonTransactionalMap<string, number>(new Store())
    expect(
      await apply(state, 1, [
        ['a', 1],
        ['a', 2],
      ]),
    ).toEqual([1, 3])
    await apply(state, 1, [['a', 1]])
    expect(await state.multiGet(['a', 'b'])).toEqual([4, null])
  })

  test('several updates of a key in one call go on from each other, results in the order of the keys', async () => {
    for (const state of [
      new OpaqueMap<string, number>(new Store()),
      new TransactionalMap<string, number>(new Store()),
      new MemoryMapState<string, number>(),
    ])
      expect(
        await apply(state, 1, [
          ['a', 1],
          ['b', 1],
          ['a', 2],
          ['a', 3],
          ['b', 5],
        ]),
      ).toEqual([1, 1, 3, 6, 6])
  })

  test('what each stores', async () => {
    const opaque = new Store<OpaqueValue<number>>()
    await apply(new OpaqueMap(opaque), 3, [['a', 1]])
    await apply(new OpaqueMap(opaque), 4, [['a', 1]])
    expect(opaque.values.get('"a"')).toEqual(new OpaqueValue(4, 2, 1))
    const transactional = new Store<TransactionalValue<number>>()
    await apply(new TransactionalMap(transactional), 3, [['a', 1]])
    transactional.trips = []
    expect(await apply(new TransactionalMap(transactional), 3, [['a', 1]])).toEqual([1])
    expect(transactional.trips).toEqual(['get a'])
    expect(transactional.values.get('"a"')).toEqual(new TransactionalValue(3, 1))
  })

  test('an older batch is refused', async () => {
    const state = new OpaqueMap<string, number>(new Store())
    await apply(state, 5, [['a', 1]])
    await state.beginCommit(4)
    await expect(state.multiGet(['a'])).rejects.toMatchObject({ code: 'state-ahead' })
    await expect(state.multiUpdate(['a'], [plus(1)])).rejects.toMatchObject({ code: 'state-ahead' })
  })

  test('outside of a batch the current value is read', async () => {
    const state = new OpaqueMap<string, number>(new Store())
    await apply(state, 5, [['a', 7]])
    expect(await state.multiGet(['a', 'b'])).toEqual([7, null])
  })

  test('a put replaces, and can be undone by the batch that comes again', async () => {
    for (const state of [new OpaqueMap<string, number>(new Store()), new MemoryMapState<string, number>()]) {
      await apply(state, 1, [['a', 1]])
      await state.beginCommit(2)
      await state.multiPut(['a', 'a'], [8, 9])
      expect(await state.multiGet(['a'])).toEqual([9])
      await state.commit(2)
      await state.beginCommit(2)
      expect(await state.multiGet(['a'])).toEqual([1])
    }
    const transactional = new TransactionalMap<string, number>(new Store())
    await transactional.beginCommit(1)
    await transactional.multiPut(['a'], [9])
    await transactional.commit(1)
    expect(await transactional.multiGet(['a'])).toEqual([9])
  })

  test('a removed key is back when the batch comes again, and gone when the next one begins', async () => {
    const state = new MemoryMapState<string, number>()
    await apply(state, 1, [
      ['a', 1],
      ['b', 2],
    ])
    for (let n = 0; n < 2; n++) {
      await state.beginCommit(2)
      expect(await state.multiGet(['a', 'b'])).toEqual([1, 2])
      await state.multiRemove(['a'])
      expect(await state.multiGet(['a', 'b'])).toEqual([null, 2])
      await state.commit(2)
    }
    await state.beginCommit(3)
    expect(await state.multiGet(['a', 'b'])).toEqual([null, 2])
    expect([...state.entries()]).toEqual([['b', 2]])
  })

  test('a state of one value', async () => {
    for (const state of [new MemoryMapState<string, number>(), new SnapshottableMap(new OpaqueMap<string, number>(new Store()), 'sum')]) {
      await state.beginCommit(1)
      expect(await state.get()).toBeNull()
      expect(await state.update(plus(2))).toBe(2)
      await state.commit(1)
      await state.beginCommit(1)
      await state.set(5)
      await state.commit(1)
      expect(await state.get()).toBe(5)
    }
    expect([...new MemoryMapState().entries()]).toEqual([])
  })

  test('keys are compared by content', async () => {
    const state = new MemoryMapState<unknown, number>()
    await state.beginCommit(1)
    await state.multiUpdate([['a', 1], { b: 1, c: 2 }], [plus(1), plus(2)])
    expect(await state.multiGet([['a', 1], { c: 2, b: 1 }, ['a', '1']])).toEqual([1, 2, null])
  })
})

describe('caches', () => {
  test('the least recently used value goes first, and a trip is made for what is missing only', async () => {
    const store = new Store<number>()
    const cache = new CachedMap(store, 2)
    await cache.multiPut(['a', 'b'], [1, 2])
    expect(await cache.multiGet(['a'])).toEqual([1])
    await cache.multiPut(['c'], [3])
    store.trips = []
    expect(await cache.multiGet(['c', 'a', 'b', 'x', 'b'])).toEqual([3, 1, 2, null, 2])
    expect(store.trips).toEqual(['get b,x,b'])
    expect(await cache.multiGet(['x', 'b'])).toEqual([null, 2])
    expect(store.trips).toHaveLength(1)
  })

  test('what could not be written is read again', async () => {
    const store = new Store<number>()
    const cache = new CachedMap(store, 2)
    await cache.multiPut(['a'], [1])
    store.fails = true
    await expect(cache.multiPut(['a'], [2])).rejects.toThrow('the store is away')
    store.fails = false
    expect(await cache.multiGet(['a'])).toEqual([1])
  })

  test('the reads of a batch know what the batch has put', async () => {
    const store = new Store<number>()
    await store.multiPut(['a', 'b'], [1, 2])
    const reads = new CachedBatchReadsMap(store)
    await reads.multiPut(['a'], [5])
    expect(await reads.multiGet(['b', 'a', 'c'])).toEqual([
      { value: 2, isFromBatch: false },
      { value: 5, isFromBatch: true },
      { value: null, isFromBatch: false },
    ])
    reads.reset()
    expect(await reads.multiGet(['a'])).toEqual([{ value: 5, isFromBatch: false }])
  })
})

test('a split map makes trips of no more keys than it is told, and keeps their order', async () => {
  const store = new Store<number>()
  const split = new SplitMap(store, { getMax: 2, putMax: 3 })
  await split.multiPut(['a', 'b', 'c', 'd', 'e'], [1, 2, 3, 4, 5])
  expect(await split.multiGet(['e', 'x', 'c', 'b', 'a'])).toEqual([5, undefined, 3, 2, 1])
  expect(await split.multiGet([])).toEqual([])
  expect(store.trips).toEqual(['put a,b,c', 'put d,e', 'get e,x', 'get c,b', 'get a'])
  store.trips = []
  expect(await new SplitMap(store).multiGet(['a', 'b', 'c'])).toEqual([1, 2, 3])
  expect(store.trips).toEqual(['get a,b,c'])
  expect(() => new SplitMap(store, { getMax: 0 })).toThrow(expect.objectContaining({ code: 'bad-option' }))
  expect(() => new SplitMap(store, { putMax: 1.5 })).toThrow(expect.objectContaining({ code: 'bad-option' }))
})

test('values as JSON, and back', () => {
  const { nonTransactional, transactional, opaque } = jsonSerializers
  expect(nonTransactional<number>().serialize(5)).toBe('5')
  expect(transactional<number>().serialize(new TransactionalValue(8, 5))).toBe('[8,5]')
  expect(opaque<number>().serialize(new OpaqueValue(8, 5))).toBe('[8,5,null]')
  expect(nonTransactional<unknown>().deserialize('{"a":[1]}')).toEqual({ a: [1] })
  expect(transactional<number>().deserialize('[8,5]')).toEqual(new TransactionalValue(8, 5))
  expect(opaque<string>().deserialize('[8,"x",null]')).toEqual(new OpaqueValue(8, 'x', null))
})

describe('a file state', () => {
  const file = '/out/lines.txt'
  const index = '/out/.lines.txt.index'

  test('holds each batch once, after a crash between any two steps', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(),
        fc.array(fc.array(fc.constantFrom('a', 'bb', ''), { maxLength: 4 }), { minLength: 1, maxLength: 4 }),
        fc.boolean(),
        async (seed, batches, isPower) => {
          for (let crashAt = 1; ; crashAt++) {
            let disk = new FaultDisk(new Random(seed + crashAt))
            disk.crashAt = crashAt
            let state = new FileState<string>({ file }, disk)
            let crashed = false
            for (const [i, lines] of batches.entries())
              for (let isDone = false; !isDone;)
                try {
                  await state.beginCommit(i + 1)
                  await state.update(crashed ? lines : [...lines, 'other data'])
                  if (!crashed) {
                    await state.beginCommit(i + 1)
                    await state.update(lines)
                  }
                  await state.commit(1)
                  isDone = true
                } catch (error) {
                  if (!(error instanceof Crash)) throw error
                  crashed = true
                  disk = isPower ? disk.powerLost() : disk.killed()
                  state = new FileState<string>({ file }, disk)
                }
            expect(disk.bytesOf(file).toString()).toBe(
              batches
                .flat()
                .map((line) => `${line}\n`)
                .join(''),
            )
            if (!crashed) return
          }
        },
      ),
      { numRuns: 30 },
    )
  })

  test('formats values, refuses an older batch, a shortened file, a broken index, and no batch', async () => {
    const disk = new FaultDisk(new Random(1))
    const state = new FileState<unknown>({ file }, disk)
    await state.beginCommit(5)
    await state.update(['a', { b: 1 }])
    await state.update([])
    await state.commit(1)
    expect(disk.bytesOf(file).toString()).toBe('a\n{"b":1}\n')
    await state.beginCommit(6)
    await expect(state.beginCommit(4)).rejects.toMatchObject({ code: 'state-ahead' })
    await expect(state.beginCommit(null)).rejects.toMatchObject({ code: 'state-file-txid' })
    await state.close()
    const other = new FileState<number>({ file, format: (n) => `<${n}>` }, disk)
    await other.beginCommit(6)
    await other.update([7])
    expect(disk.bytesOf(file).toString()).toBe('a\n{"b":1}\n<7>\n')
    disk.tamper(file, (bytes) => bytes.subarray(0, 3))
    await expect(other.beginCommit(6)).rejects.toMatchObject({ code: 'file-unreadable' })
    disk.tamper(index, () => Buffer.from('{'))
    await expect(other.beginCommit(6)).rejects.toMatchObject({ code: 'file-unreadable' })
  })

  test('a full disk is a coded error, and the batch can come again', async () => {
    const disk = new FaultDisk(new Random(1))
    const state = new FileState<string>({ file }, disk)
    await state.beginCommit(1)
    disk.room = 3
    await expect(state.update(['too long a line'])).rejects.toMatchObject({ code: 'disk-full' })
    disk.room = Infinity
    await state.beginCommit(1)
    await state.update(['ok'])
    await state.commit(1)
    expect(disk.bytesOf(file).toString()).toBe('ok\n')
  })
})
