/** The cells of some tasks, as they travel between a site and the lead: their blocks, one after the other. */
import { cell } from '../../engine/cells.ts'
import type { CellLayout } from '../../engine/cells.ts'
import { garbled } from './frames.ts'

/** The tasks of some executors, in order. */
export function tasksOf(placement: readonly number[], executors: readonly number[]): readonly number[] {
  return placement.flatMap((executor, task) => (executors.includes(executor) ? [task] : []))
}

export function cellsOfTasks(layout: CellLayout, cells: Float64Array, tasks: readonly number[]): Float64Array {
  const blocks = tasks.map((task) => cells.subarray(layout.head(task), layout.end(task)))
  const all = new Float64Array(blocks.reduce((size, block) => size + block.length, 0))
  let at = 0
  for (const block of blocks) {
    all.set(block, at)
    at += block.length
  }
  return all
}

export function putCellsOfTasks(layout: CellLayout, cells: Float64Array, tasks: readonly number[], blocks: Float64Array): void {
  let at = 0
  for (const task of tasks) {
    const [from, to] = [layout.head(task), layout.end(task)]
    if (at + to - from > blocks.length) throw garbled('cells of fewer tasks than there are')
    cells.set(blocks.subarray(at, at + to - from), from)
    at += to - from
  }
}

/** Where the spouts among some tasks would go on, by task. */
export function positionsOf(layout: CellLayout, cells: Float64Array, tasks: readonly number[]): Readonly<Record<string, number>> {
  return Object.fromEntries(
    tasks.flatMap((task) => {
      const position = cells[layout.head(task) + cell.position] as number
      return Number.isNaN(position) ? [] : [[task, position]]
    }),
  )
}
