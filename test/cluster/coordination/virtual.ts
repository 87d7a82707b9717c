/** Virtual time, for tests of what is under one schedule. */
import type { Schedule, VirtualSchedule } from '../../../lib/std/schedule.ts'

/** Waits for a promise, in steps of virtual time. */
export async function passing<T>(schedule: VirtualSchedule, promise: Promise<T>): Promise<T> {
  const waiting = { isOver: false }
  const done = promise.finally(() => (waiting.isOver = true))
  done.catch(() => undefined)
  for (let steps = 0; !waiting.isOver; steps++) {
    if (steps > 100_000) throw new Error('nothing happens any more')
    await schedule.advance(10)
  }
  return await done
}

/** A clock that runs faster or slower than another one. */
export function skewed(schedule: Schedule, rate: number): Schedule {
  return {
    now: () => schedule.now() * rate,
    date: () => schedule.date(),
    after: (delayMs, fire) => schedule.after(delayMs / rate, fire),
  }
}
