/** `squall kill NAME`: ends a topology, and resolves once it is gone. */
import { killWaitMaxMs } from '../cluster/records.ts'
import { SquallError } from '../errors.ts'
import { durationMs } from '../std/clock.ts'
import { exitCodes } from './exit.ts'
import type { Io } from './io.ts'
import { found, unlessGone, withRemote } from './remote.ts'
import type { RemoteFlags } from './remote.ts'
import { watching } from './watching.ts'

export interface KillFlags extends RemoteFlags {
  readonly wait?: string
}

const lookMs = 200

/** With `--json` one line: `{"kind":"killed","name"}`. */
export async function kill(name: string, flags: KillFlags, io: Io): Promise<number> {
  const waitMs = flags.wait === undefined ? 0 : durationMs(flags.wait)
  if (waitMs === undefined || waitMs > killWaitMaxMs)
    throw new SquallError('usage', {
      problem: `--wait is ${JSON.stringify(flags.wait)}`,
      hint: 'give it a duration, such as 30s, up to a day',
    })
  return await withRemote(flags, io, async (cluster) => {
    const { id } = await cluster.describe(name)
    // it may have been sent twice, and be gone already
    await cluster.kill(name, { waitMs }).catch(unlessGone)
    const isGone = await watching(io, lookMs, async () => ((await found(cluster, name))?.id === id ? undefined : true))
    if (isGone === undefined) return exitCodes.stopped
    io.out(flags.json === true ? `${JSON.stringify({ kind: 'killed', name })}\n` : `${name} is gone\n`)
    return exitCodes.fine
  })
}
