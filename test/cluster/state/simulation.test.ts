/**
 * Hundreds of seeded simulations (`simulated.ts`). A seed that fails is told, and runs by itself with
 *
 *     SQUALL_SEED=4711 npx vitest run test/cluster/state/simulation.test.ts
 *
 * and more of them with `SQUALL_SEEDS=10000`, of which this runs half.
 */
import { expect, test } from 'vitest'
import { simulate } from './simulated.ts'

const { SQUALL_SEED, SQUALL_SEEDS = '400' } = process.env
const count = Math.ceil(Number(SQUALL_SEEDS) / 2)
const seeds = SQUALL_SEED === undefined ? Array.from({ length: count }, (_, i) => i + 1) : [Number(SQUALL_SEED)]

test(
  'whatever fails, what was acknowledged is there for the next writer, and nothing else',
  { timeout: 1_000 * seeds.length + 60_000 },
  async () => {
    const sum = { opened: 0, acked: 0, crashes: 0, versions: 0, removed: 0 }
    const failed: string[] = []
    for (const seed of seeds) {
      try {
        const outcome = await simulate(seed)
        for (const what of Object.keys(sum) as (keyof typeof sum)[]) sum[what] += outcome[what]
        if (SQUALL_SEED !== undefined) process.stdout.write(`${outcome.trace.join('\n')}\n`)
      } catch (error) {
        failed.push(`SQUALL_SEED=${seed}: ${error instanceof Error ? error.stack : String(error)}`)
        process.stdout.write(`SQUALL_SEED=${seed} fails\n`)
      }
    }
    if (count > 100) process.stdout.write(`${JSON.stringify({ ...sum, failed: failed.length })}\n`)
    expect(failed.slice(0, 3).join('\n'), `${failed.length} of ${seeds.length} seeds`).toBe('')
    // it would say nothing if nothing happened
    expect(Math.min(sum.opened, sum.acked, sum.versions)).toBeGreaterThan(seeds.length)
    expect(sum.removed).toBeGreaterThan(SQUALL_SEED === undefined ? count / 10 : -1)
  },
)

test('one seed is one run, to the last word', async () => {
  for (const seed of [1, 2, 3]) expect((await simulate(seed)).trace).toEqual((await simulate(seed)).trace)
})
