import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { TupleLayout } from '../../../lib/index.ts'
import type { TupleView } from '../../../lib/index.ts'

describe('tuples by field', () => {
  test('grow by appending and shrink by projecting; a name may be used again once it is projected away', () => {
    const abc = TupleLayout.of(['a', 'b', 'c'])
    const d = abc.append(['d'])
    const ef = d.append(['e', 'f'])
    const projected = ef.project(['a', 'f', 'b'])
    const c = projected.append(['c'])
    const tuple = c.extend(projected.view(ef.extend(d.extend(abc.create([1, 2, 3]), [4]), [5, 6])), [8])
    expect([...tuple]).toEqual([1, 6, 2, 8])
    expect(tuple.toObject()).toEqual({ a: 1, f: 6, b: 2, c: 8 })
    expect(tuple.get('c')).toBe(8)
    expect([tuple.at(1), tuple.at(-1), tuple.at(4)]).toEqual([6, 8, undefined])
    expect([tuple.has('d'), tuple.has('f'), tuple.length]).toEqual([false, true, 4])
    expect(tuple.select(['c', 'a'])).toEqual([8, 1])
  })

  test('no value is copied: a projection holds the lists it was made of', () => {
    const values = [1, 2, 3]
    const layout = TupleLayout.of(['a', 'b', 'c'])
    expect(layout.project(['c']).view(layout.create(values)).parts[0]).toBe(values)
  })

  test('a tuple reads as a plain object would, whatever is done to it', () => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f']
    const step = fc.oneof(
      fc.record({ append: fc.uniqueArray(fc.constantFrom(...names), { maxLength: 3 }) }),
      fc.record({ project: fc.uniqueArray(fc.constantFrom(...names), { maxLength: 4 }) }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        let layout = TupleLayout.of(['a', 'b'])
        let tuple: TupleView = layout.create([-1, -2])
        let oracle = new Map<string, number>([
          ['a', -1],
          ['b', -2],
        ])
        for (const [i, one] of steps.entries()) {
          const before = oracle
          if ('append' in one) {
            const fresh = one.append.filter((field) => !before.has(field))
            layout = layout.append(fresh)
            tuple = layout.extend(
              tuple,
              fresh.map((_, k) => i * 10 + k),
            )
            oracle = new Map([...before, ...fresh.map((field, k) => [field, i * 10 + k] as const)])
          } else {
            const kept = one.project.filter((field) => before.has(field))
            layout = layout.project(kept)
            tuple = layout.view(tuple)
            oracle = new Map(kept.map((field) => [field, before.get(field) as number]))
          }
          expect(tuple.fields).toEqual([...oracle.keys()])
          expect(tuple.values()).toEqual([...oracle.values()])
          for (const [field, value] of oracle) expect(tuple.get(field)).toBe(value)
        }
      }),
    )
  })

  test.each([
    ['duplicate-tuple-field', () => TupleLayout.of(['a', 'a'])],
    ['duplicate-tuple-field', () => TupleLayout.of(['a', 'b']).append(['b'])],
    ['unknown-tuple-field', () => TupleLayout.of(['a', 'b']).project(['c'])],
    ['unknown-tuple-field', () => TupleLayout.of(['a']).create([1]).get('b')],
    ['tuple-size', () => TupleLayout.of(['a', 'b']).create([1])],
    [
      'tuple-size',
      () =>
        TupleLayout.of(['a'])
          .append(['b'])
          .extend(TupleLayout.of(['a']).create([1]), [2, 3]),
    ],
  ])('refused: %s', (code, work) => expect(work).toThrow(expect.objectContaining({ code })))
})
