/** `squall hosts`: the nimbuses and supervisors of the cluster. */
import type { ClusterSummary } from '../cluster/nimbus/views.ts'
import { printable } from '../std/printable.ts'
import { columnLines } from './columns.ts'
import { exitCodes } from './exit.ts'
import type { Io } from './io.ts'
import { withRemote } from './remote.ts'
import type { RemoteFlags } from './remote.ts'
import { clock, count } from './table.ts'

/** With `--json` one line: `ClusterSummary` in lib/cluster/nimbus/views.ts. */
export async function hosts(flags: RemoteFlags, io: Io): Promise<number> {
  return await withRemote(flags, io, async (client) => {
    const cluster = await client.cluster()
    io.out(flags.json === true ? `${JSON.stringify(cluster)}\n` : `${printable(lines(cluster).join('\n'))}\n`)
    return exitCodes.fine
  })
}

function lines({ nimbuses, supervisors }: ClusterSummary): readonly string[] {
  return [
    ...columnLines(
      [
        { title: 'nimbus', cell: ({ url }) => url },
        { title: '', cell: ({ isLeading }) => (isLeading ? 'leads' : 'stands by') },
      ],
      nimbuses.toSorted((a, b) => (a.url < b.url ? -1 : 1)),
    ),
    ...(nimbuses.some(({ isLeading }) => isLeading) ? [] : ['no nimbus leads at this moment']),
    '',
    ...columnLines<ClusterSummary['supervisors'][number]>(
      [
        { title: 'host', cell: ({ host }) => host },
        { title: 'slots', isNumber: true, cell: ({ slots }) => count(slots) },
        { title: 'used', isNumber: true, cell: ({ usedSlots }) => count(usedSlots) },
        { title: 'cores', isNumber: true, cell: ({ cores }) => String(cores) },
        { title: 'MB', isNumber: true, cell: ({ memoryMb }) => count(memoryMb) },
        { title: 'uptime', isNumber: true, cell: ({ uptimeS }) => clock(uptimeS * 1_000) },
        { title: 'version', cell: ({ version }) => version },
        { title: '', cell: stateOf },
      ],
      supervisors.toSorted((a, b) => (a.host < b.host ? -1 : 1)),
    ),
  ].map((line) => line.trimEnd())
}

function stateOf({ unhealthy, isAvoided }: ClusterSummary['supervisors'][number]): string {
  if (unhealthy !== undefined) return `takes no workers: ${unhealthy}`
  return isAvoided ? 'workers of several topologies fail there' : ''
}
