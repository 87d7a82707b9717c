import { expect, test } from 'vitest'
import { VirtualSchedule, realSchedule } from '../../lib/std/schedule.ts'

test('virtual time fires what is due on the way, each at its time, with what that set off', async () => {
  const schedule = new VirtualSchedule()
  const fired: string[] = []
  const note = (what: string) => () => void fired.push(`${what} at ${schedule.now()}`)
  schedule.after(20, note('late'))
  schedule.after(30, note('never'))()
  schedule.after(10, () => {
    note('early')()
    void Promise.resolve().then(() => schedule.after(5, note('set off')))
  })
  schedule.after(100, note('later'))
  await schedule.advance(50)
  expect([fired, schedule.now()]).toEqual([['early at 10', 'set off at 15', 'late at 20'], 50])
})

test('real time fires, unless it is taken back', async () => {
  let wasFired = false
  const cancel = realSchedule.after(0, () => (wasFired = true))
  cancel()
  await new Promise<void>((resolve) => realSchedule.after(1, resolve))
  expect(wasFired).toBe(false)
})
