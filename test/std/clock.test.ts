import fc from 'fast-check'
import { expect, test } from 'vitest'
import { VirtualClock, durationMs } from '../../lib/std/clock.ts'

test.each([
  ['250ms', 250],
  ['1s', 1_000],
  ['1.5m', 90_000],
  [' 2 h ', 7_200_000],
  ['1d', 86_400_000],
  ['0s', 0],
  [17, 17],
  [0, 0],
])('%s is %d ms', (duration, ms) => expect(durationMs(duration)).toBe(ms))

test.each(['', 's', '1', '-1s', '1 s s', '1w', 'one second', '1e3s', Number.NaN, -1, Infinity])('%s is no duration', (duration) =>
  expect(durationMs(duration)).toBeUndefined(),
)

test('a virtual clock never goes back', () => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0, max: 1e9, noNaN: true })), fc.nat(), (moves, epoch) => {
      const clock = new VirtualClock(epoch)
      let latest = 0
      for (const ms of moves) {
        clock.moveTo(ms)
        latest = Math.max(latest, ms)
        expect(clock.now()).toBe(latest)
        expect(clock.date()).toBe(epoch + latest)
      }
    }),
  )
})
