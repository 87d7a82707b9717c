/** Topologies of a cluster as lines of text: what they are, what they do in a second. Pure functions. */
import type { Counts } from '../cluster/counts.ts'
import type { TopologyDescription, TopologySummary } from '../cluster/nimbus/views.ts'
import { columnLines } from './columns.ts'
import type { TextColumn } from './columns.ts'
import { clock, count } from './table.ts'

/** Where there is none. */
export const noTopologies = 'no topologies; squall deploy FILE brings one'

/** What topologies had done when somebody looked. */
export interface Look {
  readonly atMs: number
  readonly topologies: readonly TopologyDescription[]
}

export function headLine({ name, state, uptimeS, executors, tasks, ...rest }: TopologyDescription): string {
  return `${name}  ${state} ${clock(uptimeS * 1_000)}  ${some(rest.workers.filter((worker) => worker.state !== 'ended').length, 'worker')}, ${some(executors, 'executor')}, ${some(tasks, 'task')}`
}

/** What a person should know of executors without a task, if there are any: each is a thread. */
export function idleExecutors(executors: number, tasks: number): string | undefined {
  if (executors <= tasks) return undefined
  return `${some(executors, 'executor')} for ${some(tasks, 'task')}: ${executors - tasks} of them have nothing to do`
}

/** Of a topology of whose run nothing is known. */
export function componentLines({ components }: TopologyDescription): readonly string[] {
  return columnLines<TopologyDescription['components'][number]>(
    [
      { title: 'component', cell: ({ id, kind }) => `${id} (${kind})` },
      { title: 'tasks', isNumber: true, cell: ({ tasks }) => count(tasks) },
    ],
    components,
  )
}

export function summaryLines(topologies: readonly TopologySummary[], widthMax: number): readonly string[] {
  return [...columnLines(summaryColumns, topologies, widthMax), ...problemLines(topologies)]
}

const summaryColumns: readonly TextColumn<TopologySummary>[] = [
  { title: 'topology', cell: ({ name }) => name },
  { title: 'state', cell: ({ state }) => state },
  { title: 'workers', isNumber: true, cell: ({ workers }) => count(workers) },
  { title: 'executors', isNumber: true, cell: ({ executors }) => count(executors) },
  { title: 'tasks', isNumber: true, cell: ({ tasks }) => count(tasks) },
  { title: 'uptime', isNumber: true, cell: ({ uptimeS }) => clock(uptimeS * 1_000) },
]

/** What topologies do, one a line; rates since the look before. */
export function activityLines({ atMs, topologies }: Look, before: Look | undefined, widthMax: number): readonly string[] {
  const seconds = (atMs - (before?.atMs ?? atMs)) / 1_000
  const figure = (title: string, of: (counts: Counts) => number): TextColumn<TopologyDescription> => ({
    title,
    isNumber: true,
    cell: (topology) => shown(overSpouts(topology, of)),
  })
  const rate = (title: string, of: (counts: Counts) => number): TextColumn<TopologyDescription> => ({
    title,
    isNumber: true,
    cell: (topology) => {
      const earlier = before?.topologies.find(({ id }) => id === topology.id)
      const [now, then] = [overSpouts(topology, of), earlier && overSpouts(earlier, of)]
      // a run that was started anew counts from 0 again
      return now === undefined || then === undefined || seconds === 0 ? '-' : count(Math.max(0, now - then) / seconds)
    },
  })
  const lines = columnLines<TopologyDescription>(
    [
      { title: 'topology', cell: ({ name }) => name },
      { title: 'state', cell: ({ state }) => state },
      { title: 'workers', isNumber: true, cell: ({ workers }) => count(workers.length) },
      { title: 'uptime', isNumber: true, cell: ({ uptimeS }) => clock(uptimeS * 1_000) },
      rate('emitted/s', ({ emitted }) => emitted),
      rate('acked/s', ({ acked }) => acked),
      figure('acked', ({ acked }) => acked),
      figure('failed', ({ failed }) => failed),
      figure('pending', ({ pending }) => pending),
    ],
    topologies,
    widthMax,
  )
  return [...lines, ...problemLines(topologies)]
}

function problemLines(topologies: readonly { readonly name: string; readonly problem?: string | undefined }[]): readonly string[] {
  const lines = topologies.flatMap(({ name, problem }) => (problem === undefined ? [] : [`${name}: ${problem}`]))
  return lines.length === 0 ? [] : ['', ...lines]
}

/** Its spouts count trees; nothing where nobody could be asked. */
function overSpouts({ components }: TopologyDescription, of: (counts: Counts) => number): number | undefined {
  const spouts = components.flatMap(({ kind, counts }) => (kind === 'spout' && counts !== undefined ? [counts] : []))
  return spouts.length === 0 ? undefined : spouts.reduce((sum, counts) => sum + of(counts), 0)
}

function shown(n: number | undefined): string {
  return n === undefined ? '-' : count(n)
}

export function some(n: number, what: string): string {
  return `${count(n)} ${what}${n === 1 ? '' : 's'}`
}
