/** What a component is told and can ask for while it runs. */
import type { Logger } from 'pino'
import type { Random } from '../std/random.ts'
import type { SpoutContext, TaskContext } from '../topology/component.ts'
import type { PlannedComponent } from '../topology/plan.ts'
import { cell } from './cells.ts'
import type { Executor, ExecutorOptions } from './executor.ts'

export function taskContext(
  executor: Executor,
  { clock, log }: ExecutorOptions,
  component: PlannedComponent,
  task: number,
  random: Random,
): TaskContext {
  const { id, firstTask, taskCount, config } = component
  let logger: Logger | undefined
  return {
    topology: executor.plan.name,
    component: id,
    task,
    taskIndex: task - firstTask,
    taskCount,
    config,
    get log() {
      return (logger ??= log.child({ component: id, task }))
    },
    random,
    now: () => clock.now(),
    date: () => clock.date(),
    sleep: (ms) =>
      new Promise((resolve) => {
        executor.sleeping++
        executor.timers.add(clock.now() + ms, () => {
          executor.sleeping--
          resolve()
        })
        executor.wake()
      }),
    tasksOf: (name) => {
      const of = executor.plan.components.find((other) => other.id === name)
      return of === undefined ? [] : Array.from({ length: of.taskCount }, (_, i) => of.firstTask + i)
    },
    reportError: (error) => executor.reportError(component, task, error, undefined),
    count: (name, by = 1) => {
      const counters = executor.counters.get(task) ?? {}
      counters[name] = (counters[name] ?? 0) + by
      executor.counters.set(task, counters)
    },
  }
}

export function spoutContext(
  executor: Executor,
  options: ExecutorOptions,
  component: PlannedComponent,
  task: number,
  random: Random,
): SpoutContext {
  const { cells } = executor
  const at = executor.layout.head(task) + cell.position
  const saved = cells[at] as number
  const position = Number.isNaN(saved) ? undefined : saved
  const savePosition = (next: number): void => {
    cells[at] = next
  }
  // the context has a getter that a spread would call
  return Object.assign(taskContext(executor, options, component, task, random), { position, savePosition })
}
