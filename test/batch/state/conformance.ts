/** What every state store must do, whatever it is made of; run over each by `store.test.ts`. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { StateStore } from '../../../lib/batch/state/store.ts'

/** Something that keeps one task's state from store to store. */
export interface Place {
  open(options?: { readonly check?: boolean }): Promise<StateStore>
  /** Ends the store as kill -9 would: without `close`. */
  kill(store: StateStore): Promise<void>
}

/** All entries of an operator as a plain record, keys as JSON. */
export function contentOf(store: StateStore, operator = 'counts'): Record<string, unknown> {
  const table = store.table(operator)
  const entries = [...table.entries()].map(([key, value]) => [JSON.stringify(key), value] as const)
  expect(table.size).toBe(entries.length)
  for (const [key, value] of table.entries()) expect(table.get(key)).toEqual(value)
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** Runs one batch: puts, with `undefined` for deletes. */
export async function batch(store: StateStore, txid: number, changes: Record<string, unknown>, operator = 'counts'): Promise<void> {
  store.begin(txid)
  stage(store, changes, operator)
  await store.commit(txid)
}

function stage(store: StateStore, changes: Record<string, unknown>, operator = 'counts'): void {
  const table = store.table(operator)
  for (const [key, value] of Object.entries(changes))
    if (value === undefined) table.delete(key)
    else table.put(key, value)
}

type Change = readonly [string, number | undefined]

/** Makes these changes, and says what the table must hold then. */
function staged(store: StateStore, base: ReadonlyMap<string, number>, changes: readonly Change[]): Map<string, number> {
  const next = new Map(base)
  for (const [at, value] of changes) {
    expect(store.table('counts').get(at)).toBe(next.get(at))
    store.table('counts').put(at, value)
    if (value === undefined) next.delete(at)
    else next.set(at, value)
  }
  expect(entriesOf(store)).toEqual(next)
  return next
}

function entriesOf(store: StateStore): Map<string, number> {
  const table = store.table<string, number>('counts')
  const entries = new Map(table.entries())
  expect(table.size).toBe(entries.size)
  return entries
}

const big = 'x'.repeat(300_000)

export function conformance(name: string, placeOf: () => Promise<Place>): void {
  describe.each([name])('%s', () => {
    test('starts empty', async () => {
      const store = await (await placeOf()).open()
      expect(store.txid).toBeUndefined()
      expect(store.table('counts').size).toBe(0)
      expect(store.table('counts').get('a')).toBeUndefined()
      expect([...store.lastChanged('counts')]).toEqual([])
      expect(contentOf(store)).toEqual({})
      await store.close()
    })

    test('a batch sees its own changes, and those of the batches before it', async () => {
      const store = await (await placeOf()).open()
      await batch(store, 1, { a: 1, b: 2 })
      store.begin(2)
      stage(store, { a: 10, b: undefined, c: 3 })
      expect(contentOf(store)).toEqual({ '"a"': 10, '"c"': 3 })
      stage(store, { c: undefined, b: 5 })
      expect(contentOf(store)).toEqual({ '"a"': 10, '"b"': 5 })
      await store.commit(2)
      expect(contentOf(store)).toEqual({ '"a"': 10, '"b"': 5 })
      expect(store.txid).toBe(2)
      expect([...store.lastChanged('counts')].sort()).toEqual(['a', 'b', 'c'])
      await store.close()
    })

    test('discard forgets the batch at hand, and may be called at any time', async () => {
      const store = await (await placeOf()).open()
      store.discard()
      await batch(store, 1, { a: 1 })
      store.begin(2)
      stage(store, { a: undefined, b: 2 })
      store.discard()
      store.discard()
      expect(contentOf(store)).toEqual({ '"a"': 1 })
      expect(store.txid).toBe(1)
      await batch(store, 2, { c: 3 })
      expect(contentOf(store)).toEqual({ '"a"': 1, '"c"': 3 })
      await store.close()
    })

    test('what is committed outlives a kill, what is not does not', async () => {
      const place = await placeOf()
      const store = await place.open()
      await batch(store, 1, { a: 1, b: 2 })
      await batch(store, 5, { b: undefined })
      store.begin(6)
      stage(store, { a: 7 })
      await place.kill(store)
      const again = await place.open()
      expect(again.txid).toBe(5)
      expect(contentOf(again)).toEqual({ '"a"': 1 })
      await again.close()
    })

    describe.each([
      { when: 'run again', restart: false },
      { when: 'run again after a restart', restart: true },
    ])('$when', ({ restart }) => {
      async function after(changes: readonly Record<string, unknown>[]): Promise<{ place: Place; store: StateStore }> {
        const place = await placeOf()
        const store = await place.open()
        for (const [i, one] of changes.entries()) await batch(store, i + 1, one)
        if (!restart) return { place, store }
        await place.kill(store)
        return { place, store: await place.open() }
      }

      test('a batch replaces its first outcome, with the same data or with other', async () => {
        const { place, store } = await after([
          { a: 1, d: 1 },
          { a: 2, b: 2, d: undefined },
        ])
        expect([...store.lastChanged('counts')].sort()).toEqual(['a', 'b', 'd'])
        store.begin(2)
        expect(contentOf(store)).toEqual({ '"a"': 1, '"d"': 1 })
        stage(store, { c: 3, a: 5 })
        await store.commit(2)
        const expected = { '"a"': 5, '"c"': 3, '"d"': 1 }
        expect(contentOf(store)).toEqual(expected)
        await place.kill(store)
        const again = await place.open()
        expect(contentOf(again)).toEqual(expected)
        again.begin(2)
        expect(contentOf(again)).toEqual({ '"a"': 1, '"d"': 1 })
        await again.commit(2)
        await place.kill(again)
        const last = await place.open()
        expect(contentOf(last)).toEqual({ '"a"': 1, '"d"': 1 })
        await last.close()
      })

      test('a batch that is begun again and discarded stands as it was', async () => {
        const { store } = await after([{ a: 1 }, { a: 2, b: 2 }])
        store.begin(2)
        stage(store, { b: 9, c: 9 })
        store.discard()
        expect(contentOf(store)).toEqual({ '"a"': 2, '"b"': 2 })
        store.begin(2)
        expect(contentOf(store)).toEqual({ '"a"': 1 })
        await store.commit(2)
        expect(contentOf(store)).toEqual({ '"a"': 1 })
        await store.close()
      })

      test('a key that was asked for before shows what is true after', async () => {
        const { store } = await after([{ d: 1 }, { d: undefined }])
        const counts = store.table<string, number>('counts')
        expect(counts.get('d')).toBeUndefined()
        store.begin(2)
        expect(counts.get('d')).toBe(1)
        counts.delete('d')
        expect([counts.get('d'), counts.size]).toEqual([undefined, 0])
        counts.put('d', 2)
        expect([counts.get('d'), counts.size]).toEqual([2, 1])
        store.discard()
        expect([counts.get('d'), counts.size]).toEqual([undefined, 0])
        await store.close()
      })

      test('a key that came and went in the first try is there after the second', async () => {
        const { place, store } = await after([{ b: 1 }])
        store.begin(2)
        stage(store, { a: 1 })
        stage(store, { a: undefined })
        await store.commit(2)
        store.begin(2)
        stage(store, { a: 2 })
        await store.commit(2)
        expect([contentOf(store), store.table('counts').size]).toEqual([{ '"a"': 2, '"b"': 1 }, 2])
        await place.kill(store)
        const again = await place.open()
        expect([contentOf(again), again.table('counts').size]).toEqual([{ '"a"': 2, '"b"': 1 }, 2])
        await again.close()
      })

      test('the first batch can be run again as well', async () => {
        const { store } = await after([{ a: 1 }])
        store.begin(1)
        expect(contentOf(store)).toEqual({})
        await store.commit(1)
        expect(contentOf(store)).toEqual({})
        await store.close()
      })

      test('an older batch is refused', async () => {
        const { store } = await after([{ a: 1 }, { a: 2 }])
        expect(() => store.begin(1)).toThrow(expect.objectContaining({ code: 'state-ahead' }))
        expect(contentOf(store)).toEqual({ '"a"': 2 })
        await batch(store, 3, { a: 3 })
        await store.close()
      })
    })

    test('a batch without changes counts too', async () => {
      const place = await placeOf()
      const store = await place.open()
      await batch(store, 1, { a: 1 })
      await batch(store, 2, {})
      await place.kill(store)
      const again = await place.open()
      expect(again.txid).toBe(2)
      again.begin(2)
      expect(contentOf(again)).toEqual({ '"a"': 1 })
      again.discard()
      await again.close()
    })

    test('keys of every kind, each by its content', async () => {
      const place = await placeOf()
      const store = await place.open()
      const keys = [
        ['a', 'ä', '日本', '🦊', '', '\0', '\0c[1]', '\0s"x"', '\ud800', 'q\udc00', 'a\nb\tc', 'k'.repeat(5_000)],
        [0, 1, -1, 1.5, 2 ** 40, NaN, Infinity, '1', '1.5'],
        [true, false, null, 'true', 'null', 12n, 2n ** 90n, -(2n ** 63n)],
        [['a', 1], ['a', '1'], [], [[]], { a: 1, b: 2 }, { a: { b: null } }, {}, { d: 1 }, [null], ['a', NaN, 5n, undefined]],
        [new Date(5), new Uint8Array([1, 2]), [new Uint8Array([1, 2])], { o: [['a', 1]] }, ['x'.repeat(4_000)]],
      ].flat()
      store.begin(1)
      for (const [i, key] of keys.entries()) store.table('counts').put(key, i)
      await store.commit(1)
      await place.kill(store)
      const again = await place.open()
      const table = again.table('counts')
      expect(keys.map((key) => table.get(key))).toEqual(keys.map((_, i) => i))
      expect([...table.entries()].sort(([, a], [, b]) => Number(a) - Number(b)).map(([key]) => key)).toEqual(keys)
      expect(table.get(-0)).toBe(table.get(0))
      expect(table.get({ b: 2, a: 1 })).toBe(table.get({ a: 1, b: 2 }))
      expect(table.get({ a: 1, b: 2, c: undefined })).toBe(table.get({ a: 1, b: 2 }))
      expect(() => table.get([() => 1])).toThrow(expect.objectContaining({ code: 'state-key' }))
      expect(() => table.get(new Map())).toThrow(expect.objectContaining({ code: 'state-key' }))
      expect([...again.lastChanged('counts')]).toHaveLength(keys.length)
      again.begin(2)
      for (const key of keys) table.delete(key)
      await again.commit(2)
      expect(table.size).toBe(0)
      await again.close()
    })

    test('values of every kind', async () => {
      const place = await placeOf()
      const store = await place.open()
      const values = [
        0,
        -1,
        1.5,
        2 ** 50,
        NaN,
        '',
        'ü',
        big,
        null,
        false,
        [1, ['a', null]],
        { a: { b: [1] } },
        new Date(7),
        new Set([1, 'a']),
      ]
      const more = [5n, 2n ** 80n, new Uint8Array([1, 2, 3]), Array.from({ length: 50_000 }, (_, i) => i)]
      const changes = Object.fromEntries([...values, ...more].map((value, i) => [`k${String(i).padStart(2, '0')}`, value]))
      await batch(store, 1, changes)
      await place.kill(store)
      const again = await place.open()
      expect(Object.values(contentOf(again))).toEqual(Object.values(changes))
      again.begin(2)
      again.table('counts').put('k00', undefined)
      await again.commit(2)
      expect(again.table('counts').get('k00')).toBeUndefined()
      await again.close()
    })

    test('many keys', async () => {
      const place = await placeOf()
      const store = await place.open()
      const changes = Object.fromEntries(Array.from({ length: 30_000 }, (_, i) => [`key${i}`, i]))
      await batch(store, 1, changes)
      await batch(store, 2, { key7: -7 })
      await place.kill(store)
      const again = await place.open()
      expect(again.table('counts').size).toBe(30_000)
      again.begin(2)
      expect(again.table('counts').get('key7')).toBe(7)
      again.discard()
      again.begin(3)
      for (let i = 0; i < 30_000; i += 2) again.table('counts').delete(`key${i}`)
      expect(again.table('counts').size).toBe(15_000)
      await again.commit(3)
      again.begin(3)
      expect(again.table('counts').size).toBe(30_000)
      expect(again.table('counts').get('key29998')).toBe(29_998)
      await again.commit(3)
      await again.close()
    })

    test('operators have tables of their own', async () => {
      const place = await placeOf()
      const store = await place.open()
      store.begin(1)
      store.table('counts').put('a', 1)
      store.table('ä other').put('a', 2)
      await store.commit(1)
      await batch(store, 2, { a: 3 }, 'third')
      await place.kill(store)
      const again = await place.open()
      expect(again.operators).toEqual(['counts', 'third', 'ä other'])
      expect(contentOf(again, 'counts')).toEqual({ '"a"': 1 })
      expect(contentOf(again, 'ä other')).toEqual({ '"a"': 2 })
      again.begin(2)
      expect(contentOf(again, 'third')).toEqual({})
      await again.commit(2)
      expect(contentOf(again, 'counts')).toEqual({ '"a"': 1 })
      await again.close()
    })

    test('whatever is put, deleted, discarded, run again, snapshotted and restarted, the state is that of a plain map', async () => {
      const key = fc.constantFrom('a', 'b', 'c', 'd', 'e')
      const change = fc.tuple(key, fc.option(fc.nat(9), { nil: undefined }))
      const step = fc.record({
        kind: fc.constantFrom('next', 'next', 'next', 'again', 'discard', 'discard again', 'restart', 'snapshot'),
        changes: fc.array(change, { maxLength: 5 }),
      })
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 20 }), async (steps) => {
          const place = await placeOf()
          let store = await place.open()
          let before = new Map<string, number>()
          let now = before
          let txid = 0
          for (const { kind, changes } of steps) {
            if (kind === 'restart') {
              await place.kill(store)
              store = await place.open()
            } else if (kind === 'snapshot') await store.snapshot()
            else {
              const isAgain = kind.endsWith('again') && txid > 0
              const base = isAgain ? before : now
              store.begin(isAgain ? txid : txid + 1)
              const next = staged(store, base, changes)
              if (kind.startsWith('discard')) store.discard()
              else {
                if (!isAgain) txid++
                await store.commit(txid)
                before = base
                now = next
              }
            }
            expect(entriesOf(store)).toEqual(now)
          }
        }),
        { numRuns: 50 },
      )
    })

    test('a snapshot changes nothing, undo included', async () => {
      const place = await placeOf()
      const store = await place.open()
      await batch(store, 1, { a: 1, b: 1 })
      await batch(store, 2, { a: 2, b: undefined, c: 2 })
      await store.snapshot()
      await place.kill(store)
      const again = await place.open()
      expect(contentOf(again)).toEqual({ '"a"': 2, '"c"': 2 })
      again.begin(2)
      expect(contentOf(again)).toEqual({ '"a"': 1, '"b"': 1 })
      again.discard()
      await again.snapshot()
      await batch(again, 3, { d: 4 })
      await again.close()
      const last = await place.open()
      expect(contentOf(last)).toEqual({ '"a"': 2, '"c"': 2, '"d"': 4 })
      await last.close()
    })

    test('changes outside of a batch, and a commit of another one, are mistakes of ours', async () => {
      const store = await (await placeOf()).open()
      expect(() => store.table('counts').put('a', 1)).toThrow('outside of a batch')
      expect(() => store.table('counts').delete('a')).toThrow('outside of a batch')
      store.begin(1)
      expect(() => store.begin(2)).toThrow('while batch 1 is open')
      await expect(store.commit(2)).rejects.toThrow('open is 1')
      store.discard()
      await store.close()
    })

    test('with check, a value that is changed in place is a mistake that shows', async () => {
      const store = await (await placeOf()).open({ check: true })
      const value = { list: [1] }
      await batch(store, 1, { a: value })
      expect(() => value.list.push(2)).toThrow(TypeError)
      await store.close()
    })
  })
}

/** One batch, for properties of stores that crash. */
export interface Step {
  readonly puts: Readonly<Record<string, number | undefined>>
  /** run a second time, with other data */
  readonly again: Readonly<Record<string, number | undefined>> | undefined
}

const stepKeys = fc.constantFrom(...'a b c d e f g h i j'.split(' '))
const puts = fc.dictionary(stepKeys, fc.option(fc.nat(99), { nil: undefined, freq: 4 }), { maxKeys: 6 })
export const stepsOf = (maxLength: number): fc.Arbitrary<Step[]> =>
  fc.array(fc.record({ puts, again: fc.option(puts, { nil: undefined, freq: 3 }) }), { minLength: 1, maxLength })

/** What a plain object is after these changes. */
export function applied(
  state: Readonly<Record<string, unknown>>,
  changes: Readonly<Record<string, number | undefined>>,
): Record<string, unknown> {
  const next = { ...state }
  for (const [key, value] of Object.entries(changes)) {
    if (value === undefined) delete next[`"${key}"`]
    else next[`"${key}"`] = value
  }
  return next
}
