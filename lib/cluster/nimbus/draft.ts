/** A topology while its schedule is made. */
import { placeTasks } from '../../topology/plan.ts'
import type { AssignmentRecord, TopologyRecord } from '../records.ts'
import { noDemand, sumOf } from './hosts.ts'
import type { Demand } from './hosts.ts'

export type Place = AssignmentRecord['workers'][number]

export interface Draft {
  readonly topology: TopologyRecord
  readonly name: string
  readonly previous: AssignmentRecord | undefined
  readonly wanted: number
  /** by executor, where components ask for anything */
  readonly demands: readonly Demand[] | undefined
  /** workers that stay */
  kept: Place[]
  /** workers that cannot: the lead first */
  lost: Place[]
  /** slots that it may take */
  grant: number
  /** hosts that it has for itself, where it wants some */
  own: number
}

export function draftOf(topology: TopologyRecord, assignment: AssignmentRecord | undefined): Draft {
  return {
    topology,
    name: topology.name,
    previous: assignment?.id === topology.id ? assignment : undefined,
    wanted: Math.min(topology.workers, topology.executors),
    demands: demandsOf(topology),
    kept: [],
    lost: [],
    grant: 0,
    own: 0,
  }
}

function demandsOf({ components, executors }: TopologyRecord): readonly Demand[] | undefined {
  if (components.every(({ hints }) => hints === undefined)) return undefined
  const byExecutor = Array.from({ length: executors }, () => ({ cpu: 0, memoryMb: 0 }))
  const placement = placeTasks({ components: components.map(({ tasks }) => ({ taskCount: tasks })) }, executors)
  let task = 0
  for (const { tasks, hints } of components) {
    for (let i = 0; i < tasks; i++) {
      const demand = byExecutor[placement[task++] as number] as { cpu: number; memoryMb: number }
      demand.cpu += hints?.cpu ?? 0
      demand.memoryMb += hints?.memoryMb ?? 0
    }
  }
  return byExecutor
}

export function demandOf({ demands }: Draft, executors: readonly number[]): Demand {
  return demands === undefined ? noDemand : sumOf(executors.map((executor) => demands[executor] ?? noDemand))
}

export function isLead({ executors }: Place): boolean {
  return executors.includes(0)
}

export function leadFirst(places: readonly Place[]): readonly Place[] {
  return places.toSorted((a, b) => Number(isLead(b)) - Number(isLead(a)) || a.worker - b.worker)
}

/** One placing of one worker. */
export function placeKey({ name, id, worker, incarnation }: { name: string; id: string; worker: number; incarnation: number }): string {
  return `${name}/${id}/${worker}/${incarnation}`
}

/** By code units: the same everywhere. */
export function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
