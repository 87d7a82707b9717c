/** The cells of some tasks, as they travel between a site and the lead: their blocks, one after the other. */
import { cell } from '../../engine/cells.ts'
import type { CellLayout } from '../../engine/cells.ts'
import { taskName } from '../../topology/plan.ts'
import type { Plan } from '../../topology/plan.ts'
import { garbled } from './frames.ts'

/** The tasks of some executors, in order. */
export function tasksOf(placement: readonly number[], executors: readonly number[]): readonly number[] {
  return placement.flatMap((executor, task) => (executors.includes(executor) ? [task] : []))
}

/** Each block with its task's number before it. */
export function cellsOfTasks(layout: CellLayout, cells: Float64Array, tasks: readonly number[]): Float64Array {
  const blocks = tasks.map((task) => cells.subarray(layout.head(task), layout.end(task)))
  const all = new Float64Array(blocks.reduce((size, block) => size + 1 + block.length, 0))
  let at = 0
  blocks.forEach((block, place) => {
    all[at] = tasks[place] as number
    all.set(block, at + 1)
    at += 1 + block.length
  })
  return all
}

/** Puts the blocks of those tasks among `tasks` into `cells`; what others say of tasks that are not theirs any more is nothing. */
export function putCellsOfTasks(layout: CellLayout, cells: Float64Array, tasks: readonly number[], blocks: Float64Array): void {
  for (let at = 0; at < blocks.length;) {
    const task = blocks[at] as number
    const [from, to] = [layout.head(task), layout.end(task)]
    if (from === undefined || !(at + 1 + to - from <= blocks.length)) throw garbled('cells that no task has')
    if (tasks.includes(task)) cells.set(blocks.subarray(at + 1, at + 1 + to - from), from)
    at += 1 + to - from
  }
}

/** Where the spouts among some tasks would go on, by the name of the task: what runs next may have other tasks. */
export function positionsOf(
  plan: Plan,
  layout: CellLayout,
  cells: Float64Array,
  tasks: readonly number[],
): Readonly<Record<string, number>> {
  return Object.fromEntries(
    tasks.flatMap((task) => {
      const position = cells[layout.head(task) + cell.position] as number
      return Number.isNaN(position) ? [] : [[taskName(plan, task), position]]
    }),
  )
}
