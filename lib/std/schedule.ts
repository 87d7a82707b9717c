/** Time that also wakes: an argument of what must do something later, so that it runs under virtual time as well. */
import { VirtualClock, realClock } from './clock.ts'
import type { Clock } from './clock.ts'
import { Timers } from './timers.ts'

export interface Schedule extends Clock {
  /** Calls `fire` after `delayMs`, unless what this returns is called before. */
  after(delayMs: number, fire: () => void): () => void
}

export const realSchedule: Schedule = {
  ...realClock,
  after(delayMs, fire) {
    const timer = setTimeout(fire, delayMs)
    return () => clearTimeout(timer)
  },
}

/** Time that stands still until a test moves it. */
export class VirtualSchedule extends VirtualClock implements Schedule {
  readonly #timers = new Timers()

  after(delayMs: number, fire: () => void): () => void {
    const timer = this.#timers.add(this.now() + Math.max(0, delayMs), fire)
    return () => void (timer.cancelled = true)
  }

  /** Moves on by `ms`: what is due on the way is fired at its time, and what that set off is done before the next is. */
  async advance(ms: number): Promise<void> {
    const until = this.now() + ms
    for (;;) {
      await settled()
      if (this.#timers.nextMs > until) break
      this.moveTo(this.#timers.nextMs)
      this.#timers.fire(this.now())
    }
    this.moveTo(until)
  }
}

/** After all that is ready to run has run. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
