import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { SlidingWindowCounter, SlotBasedCounter } from '../../lib/index.ts'

describe('SlotBasedCounter', () => {
  test('counts an item in each slot by itself', () => {
    const counter = new SlotBasedCounter<string>(3)
    counter.increment('a', 0)
    counter.increment('a', 2)
    counter.increment('a', 2)
    counter.increment('b', 1, 5)
    expect([0, 1, 2].map((slot) => counter.count('a', slot))).toEqual([1, 0, 2])
    expect(counter.counts()).toEqual(
      new Map([
        ['a', 3],
        ['b', 5],
      ]),
    )
    expect(counter.count('never seen', 0)).toBe(0)
  })

  test('wiping a slot leaves the item, wiping zeros takes it', () => {
    const counter = new SlotBasedCounter<string>(2)
    counter.increment('a', 0)
    counter.increment('b', 1)
    counter.wipeSlot(0)
    expect(counter.counts()).toEqual(
      new Map([
        ['a', 0],
        ['b', 1],
      ]),
    )
    counter.wipeZeros()
    expect(counter.counts()).toEqual(new Map([['b', 1]]))
  })

  test.each([0, -1, 1.5, NaN])('refuses %d slots', (slots) => {
    expect(() => new SlotBasedCounter(slots)).toThrow(expect.objectContaining({ code: 'bad-option' }))
  })

  test.each([-1, 2, 0.5])('refuses the slot %d of 2', (slot) => {
    const counter = new SlotBasedCounter<string>(2)
    expect(() => counter.increment('a', slot)).toThrow('the option slot')
    expect(() => counter.count('a', slot)).toThrow('the option slot')
    expect(() => counter.wipeSlot(slot)).toThrow('the option slot')
  })
})

describe('SlidingWindowCounter', () => {
  test.each([1, 0, -1])('refuses %d slots', (slots) => {
    expect(() => new SlidingWindowCounter(slots)).toThrow(expect.objectContaining({ code: 'bad-option' }))
  })

  test('any increments: the sum of the last slots; a zero is reported once after a count', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 6 }),
        fc.array(fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.integer({ min: 0, max: 5 })), { maxLength: 20 }),
        (slots, runs) => {
          const counter = new SlidingWindowCounter<string>(slots)
          const sumOf = (item: string, run: number): number =>
            runs.slice(Math.max(0, run - slots + 1), run + 1).reduce((sum, counts) => sum + (counts[item] ?? 0), 0)
          for (const [run, increments] of runs.entries()) {
            for (const [item, by] of Object.entries(increments)) for (let i = 0; i < by; i++) counter.increment(item)
            const counts = counter.countsThenAdvance()
            for (const item of ['a', 'b', 'c']) {
              const [sum, before] = [sumOf(item, run), run === 0 ? 0 : sumOf(item, run - 1)]
              expect(counts.get(item)).toBe(sum === 0 && before === 0 ? undefined : sum)
            }
          }
        },
      ),
    )
  })
})
