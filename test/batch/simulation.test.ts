/**
 * Thousands of seeded simulations (`simulated.ts`). A seed that fails is told, and runs by itself with
 *
 *     SQUALL_SEED=4711 npx vitest run test/batch/simulation.test.ts
 *
 * and more of them with `SQUALL_SEEDS=100000`.
 */
import { expect, test } from 'vitest'
import { simulate } from './simulated.ts'

const { SQUALL_SEED, SQUALL_SEEDS = '300' } = process.env
const seeds = SQUALL_SEED === undefined ? Array.from({ length: Number(SQUALL_SEEDS) }, (_, i) => i + 1) : [Number(SQUALL_SEED)]

test('whatever fails, every batch counts once and comes to what it should', { timeout: 100 * seeds.length + 60_000 }, async () => {
  const sum = { runs: 0, deaths: 0, crashes: 0 }
  const failed: string[] = []
  for (const seed of seeds) {
    try {
      const outcome = await simulate(seed)
      for (const what of ['runs', 'deaths', 'crashes'] as const) sum[what] += outcome[what]
      if (SQUALL_SEED !== undefined) process.stdout.write(`${outcome.trace.join('\n')}\n`)
    } catch (error) {
      failed.push(`SQUALL_SEED=${seed}: ${String(error)}`)
      process.stdout.write(`SQUALL_SEED=${seed} fails\n`)
    }
  }
  if (SQUALL_SEEDS !== '300') process.stdout.write(`${JSON.stringify({ ...sum, failed: failed.length })}\n`)
  expect(failed.slice(0, 3).join('\n'), `${failed.length} of ${seeds.length} seeds`).toBe('')
})

test('one seed is one run, to the last word', async () => {
  for (const seed of [1, 2, 3, 4, 5]) expect((await simulate(seed)).trace).toEqual((await simulate(seed)).trace)
})
