import { expect, test } from 'vitest'
import { ExecutorDeaths } from '../../../lib/cluster/worker/executor-deaths.ts'
import { VirtualClock } from '../../../lib/std/clock.ts'

test('the fifth death within a minute is too much, of whichever executors', () => {
  const clock = new VirtualClock(1_000_000)
  const failed: string[] = []
  const deaths = new ExecutorDeaths(clock, ({ code, what }) => void failed.push(`${code} ${what}`))
  expect(deaths.said).toEqual({ deaths: 0 })
  const die = (atMs: number, executor: number): void => {
    clock.moveTo(atMs)
    deaths.note(executor, 'no memory')
  }
  // never five within a minute
  for (let death = 0; death < 20; death++) die(death * 15_000, 1)
  expect(failed).toEqual([])
  expect(deaths.said).toEqual({
    deaths: 20,
    last: { code: 'executor-died', message: 'executor 1 died: no memory', atMs: 1_000_000 + 19 * 15_000 },
  })
  clock.moveTo(1_000_000)
  for (let death = 0; death < 5; death++) die(1_000_000 + death * 14_000, death)
  expect(failed).toEqual(['executors-die executors of this worker died 5 times within a minute, the last time executor 4: no memory'])
})
