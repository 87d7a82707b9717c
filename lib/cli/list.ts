/** `squall list`: the topologies of the cluster. */
import { printable } from '../std/printable.ts'
import { exitCodes } from './exit.ts'
import { noTopologies, summaryLines } from './figures.ts'
import type { Io } from './io.ts'
import { withRemote } from './remote.ts'
import type { RemoteFlags } from './remote.ts'

/** With `--json` one line: `[{"name","state","workers","uptimeS","executors","tasks"}]`, and `"problem"` where something is lacking. */
export async function list(flags: RemoteFlags, io: Io): Promise<number> {
  return await withRemote(flags, io, async (cluster) => {
    const topologies = await cluster.list()
    if (flags.json === true) io.out(`${JSON.stringify(topologies)}\n`)
    else
      io.out(
        topologies.length === 0
          ? `${noTopologies}\n`
          : `${printable(summaryLines(topologies, io.isTerminal ? io.columns() - 1 : Infinity).join('\n'))}\n`,
      )
    return exitCodes.fine
  })
}
