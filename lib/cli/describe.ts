/** `squall describe NAME`: one topology, with its components, its workers and what went wrong. */
import type { TopologyDescription } from '../cluster/nimbus/views.ts'
import type { Snapshot } from '../metrics/snapshot.ts'
import { printable } from '../std/printable.ts'
import { hintsOfAll, hintsText } from '../topology/hints.ts'
import { columnLines } from './columns.ts'
import { exitCodes } from './exit.ts'
import { componentLines, headLine, some } from './figures.ts'
import type { Io } from './io.ts'
import { withRemote } from './remote.ts'
import type { RemoteFlags } from './remote.ts'
import { copiesText } from './states.ts'
import { ratesBetween, summaryLine, tableLines } from './table.ts'

/** With `--json` one line: `TopologyDescription` in lib/cluster/nimbus/views.ts. */
export async function describe(name: string, flags: RemoteFlags, io: Io): Promise<number> {
  return await withRemote(flags, io, async (cluster) => {
    const topology = await cluster.describe(name)
    if (flags.json === true) io.out(`${JSON.stringify(topology)}\n`)
    else io.out(`${printable(lines(topology, (await cluster.snapshot(name)) as Snapshot | null).join('\n'))}\n`)
    return exitCodes.fine
  })
}

function lines(topology: TopologyDescription, snapshot: Snapshot | null): readonly string[] {
  const { name, state, file, workers, problem, keeps, result } = topology
  const hints = hintsOfAll(topology.components)
  const wishes = [
    ...(hints === undefined ? [] : [hintsText(hints)]),
    ...(topology.isolatedHosts === 0 ? [] : [`${some(topology.isolatedHosts, 'host')} to itself`]),
  ]
  const isToldBelow = workers.some(({ error }) => error !== undefined && problem?.includes(error.message.split('\n', 1)[0] ?? ''))
  const options = { columns: 120, rows: 10_000, colour: false, state }
  return [
    headLine(topology),
    `deployed from ${file}, ${new Date(topology.deployedAtMs).toISOString()}`,
    ...(wishes.length === 0 ? [] : [`it asks for ${wishes.join(', and ')}`]),
    ...(keeps === undefined ? [] : [`copies of what it keeps: ${copiesText(keeps)}`]),
    ...(problem === undefined || isToldBelow ? [] : [problem]),
    '',
    ...(snapshot === null
      ? componentLines(topology)
      : tableLines({ ...snapshot, topology: name }, ratesBetween(undefined, snapshot), options)
          .slice(1) // what it is says the first line already
          .map((line) => line.trimEnd())),
    ...(workers.length === 0 ? [] : ['', ...workerLines(topology)]),
    ...(result === undefined ? [] : ['', summaryLine({ topology: name, components: snapshot?.components ?? [] }, result)]),
    ...(result?.error === undefined ? [] : [`[${result.error.code}] ${result.error.message}`]),
    ...workers.flatMap(({ id, executorRestarts: deaths }) =>
      deaths === 0 ? [] : ['', `worker ${id}: executors of it died and were started anew ${deaths === 1 ? 'once' : `${deaths} times`}`],
    ),
    ...workers.flatMap(({ id, error }) =>
      error === undefined ? [] : ['', `worker ${id}, ${new Date(error.atMs).toISOString()}: [${error.code}] ${error.message}`],
    ),
  ]
}

function workerLines({ workers }: TopologyDescription): readonly string[] {
  return columnLines(
    [
      { title: 'worker', isNumber: true, cell: ({ id }) => String(id) },
      { title: 'host', cell: ({ host }) => host },
      { title: 'pid', isNumber: true, cell: ({ pid }) => String(pid ?? '-') },
      { title: 'state', cell: ({ state }) => state },
      { title: 'restarts', isNumber: true, cell: ({ restarts }) => String(restarts) },
      { title: 'executors', cell: ({ executors }) => ranges(executors) },
    ],
    workers,
  )
}

/** `0-3, 7` */
function ranges(numbers: readonly number[]): string {
  const parts: [number, number][] = []
  for (const n of numbers.toSorted((a, b) => a - b)) {
    const last = parts.at(-1)
    if (last !== undefined && last[1] === n - 1) last[1] = n
    else parts.push([n, n])
  }
  return parts.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(', ')
}
