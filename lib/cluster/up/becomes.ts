/** Waiting for what others do, where nobody tells when they have: a look every few milliseconds. */
import { realSchedule } from '../../std/schedule.ts'

const lookMs = 5

/** Whether something is so before `withinMs` are over. */
export async function becomes(isSo: () => boolean, withinMs = Infinity): Promise<boolean> {
  const untilMs = realSchedule.now() + withinMs
  while (!isSo()) {
    if (realSchedule.now() > untilMs) return false
    await new Promise<void>((resolve) => realSchedule.after(lookMs, resolve))
  }
  return true
}
