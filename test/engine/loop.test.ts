/** What the loop of an executor does when there is nothing to do. */
import { expect, test } from 'vitest'
import type { Executor } from '../../lib/engine/executor.ts'
import { Loop } from '../../lib/engine/loop.ts'

/** Has work in its first turn, a millisecond ago; counts how often it is asked after that. */
function idleExecutor(isWaitingForPromises: boolean) {
  const idle = {
    turns: 0,
    turn: () => idle.turns++ === 0,
    nowMs: 0,
    isWaitingForPromises,
    isPolling: false,
    isParked: false,
    isQuiet: false,
    areSpoutsDone: false,
    timers: { nextMs: Infinity },
    onWake: () => undefined,
  }
  return idle
}

async function turnsOf(executor: ReturnType<typeof idleExecutor>): Promise<number> {
  const loop = new Loop(executor as unknown as Executor, { now: () => 1, date: () => 1 })
  const running = loop.run()
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve))
  const { turns } = executor
  loop.stop()
  await running
  return turns
}

test('after work it stays awake for a moment', async () => {
  expect(await turnsOf(idleExecutor(false))).toBeGreaterThan(10)
})

test('while calls are under way it sleeps until it is woken: it would be in the way of what they wait for', async () => {
  expect(await turnsOf(idleExecutor(true))).toBe(2)
})
