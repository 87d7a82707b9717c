/** `squall states`: what topologies keep, where its copies are, and the end of it. */
import type { ClusterClient } from '../cluster/client.ts'
import type { StateCopies, StateSummary } from '../cluster/nimbus/states.ts'
import { SquallError } from '../errors.ts'
import { printable } from '../std/printable.ts'
import { columnLines } from './columns.ts'
import { exitCodes } from './exit.ts'
import type { Io } from './io.ts'
import { withRemote } from './remote.ts'
import type { RemoteFlags } from './remote.ts'

export interface StatesFlags extends RemoteFlags {
  readonly remove?: string
}

/** With `--json` one line: a list of `StateSummary` in lib/cluster/nimbus/states.ts, or `{"kind":"removed","name","copies"}` with the copies that there were. */
export async function states(flags: StatesFlags, io: Io): Promise<number> {
  const { remove: name } = flags
  if (name === '')
    throw new SquallError('usage', { problem: '--remove is empty', hint: 'name a topology; squall states shows what is kept' })
  return await withRemote(flags, io, async (cluster) => {
    if (name !== undefined) await remove(cluster, name, flags, io)
    else {
      const all = await cluster.states()
      io.out(flags.json === true ? `${JSON.stringify(all)}\n` : `${printable(lines(all).join('\n'))}\n`)
    }
    return exitCodes.fine
  })
}

async function remove(cluster: ClusterClient, name: string, { json }: StatesFlags, io: Io): Promise<void> {
  const copies = (await cluster.states()).find((one) => one.name === name)?.copies ?? []
  await cluster.removeState(name)
  if (json === true) return io.out(`${JSON.stringify({ kind: 'removed', name, copies })}\n`)
  const away = copies.filter(({ isThere }) => !isThere).map(({ host }) => host)
  const later = away.length === 0 ? '' : `; on ${away.join(', ')}, away now, as soon as it is back`
  io.out(`${printable(`what ${name} has kept is removed${later}`)}\n`)
}

function lines(all: readonly StateSummary[]): readonly string[] {
  if (all.length === 0) return ['nothing is kept that has copies']
  return columnLines<StateSummary>(
    [
      { title: 'state', cell: ({ name }) => name },
      { title: 'topology', cell: ({ topology }) => topology ?? 'killed' },
      { title: 'copies', cell: copiesText },
    ],
    all.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
  )
}

/** `a.example, b.example (away), soon c.example` */
export function copiesText({ copies, joining }: StateCopies): string {
  const hosts = copies.map(({ host, isThere }) => (isThere ? host : `${host} (away)`))
  return [...hosts, ...(joining === undefined ? [] : [`soon ${joining.host}`])].join(', ')
}
