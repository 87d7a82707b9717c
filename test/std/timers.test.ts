import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Timers } from '../../lib/std/timers.ts'
import type { Timer } from '../../lib/std/timers.ts'

const step = fc.oneof(
  fc.record({ kind: fc.constant('add' as const), in: fc.nat(1_000) }),
  fc.record({ kind: fc.constant('cancel' as const), which: fc.nat(1_000) }),
  fc.record({ kind: fc.constant('fire' as const), after: fc.nat(300) }),
)

describe('timers', () => {
  test('fire once each, when due, earliest first, and never when cancelled', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const timers = new Timers()
        const waiting: { readonly id: number; readonly dueMs: number; readonly timer: Timer }[] = []
        let [now, id] = [0, 0]
        let fired: { readonly id: number; readonly dueMs: number }[] = []
        const expectToFire = (due: readonly { readonly id: number; readonly dueMs: number }[]): void => {
          fired = []
          expect(timers.fire(now)).toBe(due.length > 0)
          expect(fired.map(({ dueMs }) => dueMs)).toEqual(due.map(({ dueMs }) => dueMs).toSorted((a, b) => a - b))
          expect(new Set(fired.map((own) => own.id))).toEqual(new Set(due.map((own) => own.id)))
        }
        for (const one of steps) {
          if (one.kind === 'add') {
            const own = { id: id++, dueMs: now + one.in }
            waiting.push({ ...own, timer: timers.add(own.dueMs, () => void fired.push(own)) })
          } else if (one.kind === 'cancel') {
            const at = waiting.length === 0 ? -1 : one.which % waiting.length
            for (const { timer } of at < 0 ? [] : waiting.splice(at, 1)) timer.cancelled = true
          } else {
            now += one.after
            const due = waiting.filter(({ dueMs }) => dueMs <= now)
            for (const { id: gone } of due)
              waiting.splice(
                waiting.findIndex((other) => other.id === gone),
                1,
              )
            expectToFire(due)
          }
          expect(timers.nextMs).toBeLessThanOrEqual(Math.min(Infinity, ...waiting.map(({ dueMs }) => dueMs)))
        }
        now += 2_000
        fired = []
        timers.fire(now)
        expect(fired).toHaveLength(waiting.length)
        expect(timers.nextMs).toBe(Infinity)
      }),
    )
  })

  test('what a timer adds and is due already fires in the same call', () => {
    const timers = new Timers()
    const fired: string[] = []
    timers.add(10, () => {
      fired.push('first')
      timers.add(5, () => void fired.push('second'))
      timers.add(11, () => void fired.push('later'))
    })
    expect(timers.fire(10)).toBe(true)
    expect(fired).toEqual(['first', 'second'])
    expect(timers.fire(10)).toBe(false)
    expect(timers.nextMs).toBe(11)
  })

  test('every: no drift, and late calls are not made up for', () => {
    const timers = new Timers()
    const at: number[] = []
    let now = 100
    const fireAt = (ms: number): void => {
      now = ms
      timers.fire(ms)
    }
    timers.every(
      now,
      10,
      () => void at.push(now),
      () => now,
    )
    for (const ms of [109, 110, 111, 119.5, 123, 130]) fireAt(ms)
    expect(at).toEqual([110, 123, 130])
    fireAt(175)
    expect(at).toEqual([110, 123, 130, 175])
    expect(timers.nextMs).toBe(180)
    fireAt(180)
    expect(at).toHaveLength(5)
  })
})
