/** `squall activate NAME` and `squall deactivate NAME`: the spouts of a topology work, or rest. */
import { exitCodes } from './exit.ts'
import type { Io } from './io.ts'
import { withRemote } from './remote.ts'
import type { RemoteFlags } from './remote.ts'

/** With `--json` one line: `{"kind":"activated","name"}` or `{"kind":"deactivated","name"}`. */
export async function activate(name: string, isActive: boolean, flags: RemoteFlags, io: Io): Promise<number> {
  return await withRemote(flags, io, async (cluster) => {
    await (isActive ? cluster.activate(name) : cluster.deactivate(name))
    const kind = isActive ? 'activated' : 'deactivated'
    io.out(flags.json === true ? `${JSON.stringify({ kind, name })}\n` : `${name} is ${kind}\n`)
    return exitCodes.fine
  })
}
