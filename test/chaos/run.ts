/**
 * Things happen to a cluster of three hosts while it works: processes are killed and frozen, cables pulled, hosts lost. What was sent must arrive, and what was
 * counted be exact.
 *
 *     npm run chaos                                                    ten minutes, seed 1
 *     SQUALL_CHAOS_MINUTES=2 SQUALL_CHAOS_SEED=7 npm run chaos
 *
 * Hosts are network namespaces, which takes root; without them no cables are pulled. `SQUALL_CHAOS_FIRST=12,3` begins with these kinds of faults (`faults.ts`).
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { squall } from '../cli/command.ts'
import { chaos } from './chaos.ts'

const { SQUALL_CHAOS_MINUTES: minutes = '10', SQUALL_CHAOS_SEED: seed = '1', SQUALL_CHAOS_FIRST: kinds = '0,12,4,10' } = process.env
const forMs = Number(minutes) * 60_000
/** a worker killed, a host lost, a nimbus killed, a link cut */
const first = kinds.split(',').map(Number)

function spread(ms: readonly number[]): string {
  const sorted = ms.toSorted((a, b) => a - b)
  const at = (share: number): string => (sorted[Math.floor(share * (sorted.length - 1))] as number).toLocaleString('en')
  return sorted.length === 0 ? 'it did not happen' : `${at(0)} to ${at(1)} ms, middle ${at(0.5)}, of ${sorted.length}`
}

describe('chaos', () => {
  // a checkout builds itself before its first command
  beforeAll(async () => void (await squall(['--version'])), 120_000)

  test('every number arrives and every count is exact, whatever is killed, frozen or cut', { timeout: forMs + 900_000 }, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'squall-chaos-'))
    const say = (line: string): void => void process.stderr.write(`${line}\n`)
    const { recoveriesMs, faults, ...result } = await chaos({ folder, forMs, seed: Number(seed), first, say })
    say(
      `${faults} faults; ${result.numbers.arrivals} arrivals of ${result.numbers.sent} numbers; ${result.counts.copies} copies of the counts`,
    )
    say(`works again after a worker was killed: ${spread(recoveriesMs.worker)} (goal: 5,000 at most)`)
    say(`works again after a host was lost: ${spread(recoveriesMs.host)} (goal: 15,000 at most)`)
    say(`the same, while something else happened too: ${spread(recoveriesMs.together)}`)
    expect(result).toMatchObject({ numbers: { missing: [] }, counts: { wrong: [] }, troubles: [] })
    // what its processes said is kept where something went wrong
    rmSync(folder, { recursive: true })
  })
})
