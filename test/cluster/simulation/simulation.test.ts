/**
 * Seeded simulations of a cluster (`simulate.ts`), more than a thousand in `.ci/run`. A seed that fails is told, and runs by itself, with all that
 * happens, with
 *
 *     SQUALL_SEED=4711 npx vitest run test/cluster/simulation
 *
 * and more of them with `SQUALL_SEEDS=100000`, of which this takes a quarter.
 */
import { expect, test } from 'vitest'
import { simulate } from './simulate.ts'

const { SQUALL_SEED, SQUALL_SEEDS = '200' } = process.env
const count = Math.ceil(Number(SQUALL_SEEDS) / 4)
const seeds = SQUALL_SEED === undefined ? Array.from({ length: count }, (_, i) => i + 1) : [Number(SQUALL_SEED)]

test('whatever fails, nothing runs twice, and in the end all runs that should', { timeout: 1_000 * seeds.length + 60_000 }, async () => {
  const sum: Record<string, number> = { runs: 0, seconds: 0 }
  const failed: string[] = []
  const tell = SQUALL_SEED === undefined ? undefined : (line: string) => void process.stdout.write(`${line}\n`)
  for (const seed of seeds) {
    try {
      const { counts, seconds } = await simulate(seed, tell)
      for (const [what, count] of Object.entries({ ...counts, runs: 1, seconds })) sum[what] = (sum[what] ?? 0) + count
    } catch (error) {
      failed.push(`SQUALL_SEED=${seed}: ${error instanceof Error ? error.message : String(error)}`)
      process.stdout.write(`SQUALL_SEED=${seed} fails\n`)
    }
  }
  const told = Object.entries(sum).map(([what, count]) => `${what} ${Math.round(count)}`)
  process.stdout.write(`simulated clusters: ${told.join(', ')}, failed ${failed.length}\n`)
  expect(failed.slice(0, 3).join('\n'), `${failed.length} of ${seeds.length} seeds`).toBe('')
})

test('one seed is one run, to the last word', async () => {
  for (const seed of [1, 2, 3]) expect((await simulate(seed)).digest).toBe((await simulate(seed)).digest)
})
