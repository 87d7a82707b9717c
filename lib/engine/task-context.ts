/** What a component is told and can ask for while it runs. */
import type { Logger } from 'pino'
import { SquallError } from '../errors.ts'
import type { Random } from '../std/random.ts'
import type { SpoutContext, TaskContext } from '../topology/component.ts'
import type { PlannedComponent } from '../topology/plan.ts'
import { cell } from './cells.ts'
import type { ExecutorOptions, TaskHost } from './host.ts'
import { found } from './faults.ts'

export function taskContext(
  host: TaskHost,
  { clock, log }: ExecutorOptions,
  component: PlannedComponent,
  task: number,
  random: Random,
): TaskContext {
  const { id, firstTask, taskCount, config } = component
  let logger: Logger | undefined
  return {
    topology: host.plan.name,
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
        const due = clock.now() + Math.max(0, finite('sleep', 'ms', ms))
        host.sleeping++
        host.timers.add(due, () => {
          host.sleeping--
          resolve()
        })
        host.wake()
      }),
    after: (ms, fire) => {
      const timer = host.timers.add(clock.now() + Math.max(0, finite('after', 'ms', ms)), () => {
        try {
          fire()
        } catch (error) {
          host.reportError(component, task, error, undefined)
        }
      })
      host.wake()
      return () => void (timer.cancelled = true)
    },
    tasksOf: (name) => {
      const of = host.plan.components.find((other) => other.id === name)
      return of === undefined ? [] : Array.from({ length: of.taskCount }, (_, i) => of.firstTask + i)
    },
    reportError: (error) => host.reportError(component, task, error, undefined),
    count: (name, by = 1) => {
      // a counter may have any name, even one that every object has
      const counters = host.counters.get(task) ?? (Object.create(null) as Record<string, number>)
      counters[name] = (counters[name] ?? 0) + finite('count', 'by', by)
      host.counters.set(task, counters)
    },
  }
}

export function spoutContext(
  host: TaskHost,
  options: ExecutorOptions,
  component: PlannedComponent,
  task: number,
  random: Random,
): SpoutContext {
  const { cells, layout, plan } = host
  const at = host.layout.head(task) + cell.position
  const saved = cells[at] as number
  const position = Number.isNaN(saved) ? undefined : saved
  const savePosition = (next: number): void => {
    cells[at] = finite('savePosition', 'position', next)
  }
  const others = plan.tasks
    .filter((other) => other.component !== component.index && plan.components[other.component]?.definition.kind === 'spout')
    .map((other) => other.task)
  const hasEnded = (other: number): boolean => {
    const head = layout.head(other)
    return cells[head + cell.ended] === 1 && cells[head + cell.pending] === 0
  }
  const haveOthersEnded = (): boolean => others.every(hasEnded)
  // the context has a getter that a spread would call
  return Object.assign(taskContext(host, options, component, task, random), { position, savePosition, haveOthersEnded, hasEnded })
}

/** A sum, a time or a place that is not a number would spoil all that is reckoned from it. */
function finite(call: string, option: string, value: unknown): number {
  if (typeof value === 'number' && Number.isFinite(value)) return value
  throw new SquallError('bad-option', { option, of: `context.${call}`, value: found(value), expected: 'a finite number' })
}
