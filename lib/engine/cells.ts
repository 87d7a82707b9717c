/**
 * Where a run counts: one block of numbers a task, in memory that threads may share. A task's executor writes, anyone
 * reads at any time; nothing is sampled and no message is sent.
 */
import { Histogram, histogramSize } from '../metrics/histogram.ts'
import type { ComponentSnapshot, Snapshot, TaskSnapshot, Totals } from '../metrics/snapshot.ts'
import type { Plan, PlannedComponent } from '../topology/plan.ts'

/** The numbers at the head of a task's block. */
export const cell = {
  acked: 0,
  failed: 1,
  expired: 2,
  replayed: 3,
  deadLettered: 4,
  pending: 5,
  errors: 6,
  busyMs: 7,
  /** trees started (spouts) */
  roots: 8,
  /** where a spout would go on (`savePosition`); NaN = nowhere said */
  position: 9,
  /** trees that failed for good and that no one replays or takes care of */
  lost: 10,
  /** the hook that is under way (`Hook`), 0 = none */
  hook: 11,
  /** not 0: a spout has ended and may only replay */
  ended: 12,
  heads: 13,
} as const

const hooks = ['open', 'prepare', 'activate', 'deactivate', 'finish', 'close', 'cleanup', 'execute', 'nextTuple'] as const

/** What a component does besides its tuples; each may take long. */
export type Hook = (typeof hooks)[number]

export function hookNumber(hook: Hook): number {
  return hooks.indexOf(hook) + 1
}

/** Where each task's numbers are. The same plan gives the same layout in every thread. */
export class CellLayout {
  readonly size: number
  readonly #plan: Plan
  readonly #offsets: readonly number[]

  constructor(plan: Plan) {
    this.#plan = plan
    let size = 0
    this.#offsets = plan.tasks.map(({ component }) => {
      const { streams, inputs } = plan.components[component] as PlannedComponent
      const offset = size
      size += cell.heads + histogramSize + Object.keys(streams).length + inputs.length
      return offset
    })
    this.size = size
  }

  /** Memory for all of it, shared between threads or not. */
  allocate(shared: boolean): Float64Array {
    const bytes = this.size * Float64Array.BYTES_PER_ELEMENT
    const cells = new Float64Array(shared ? new SharedArrayBuffer(bytes) : new ArrayBuffer(bytes))
    for (const offset of this.#offsets) cells[offset + cell.position] = NaN
    return cells
  }

  head(task: number): number {
    return this.#offsets[task] as number
  }

  /** Where the next task's numbers begin. */
  end(task: number): number {
    return this.#offsets[task + 1] ?? this.size
  }

  latency(task: number): number {
    return this.head(task) + cell.heads
  }

  emitted(task: number, place: number): number {
    return this.latency(task) + histogramSize + place
  }

  executed(task: number, input: number): number {
    const { streams } = this.#component(task)
    return this.emitted(task, Object.keys(streams).length) + input
  }

  #component(task: number): PlannedComponent {
    return this.#plan.components[this.#plan.tasks[task]?.component as number] as PlannedComponent
  }

  /** The hooks under way, by task. */
  hooks(cells: Float64Array): ReadonlyMap<number, Hook> {
    return new Map(
      this.#plan.tasks.flatMap(({ task }) => {
        const hook = hooks[(cells[this.head(task) + cell.hook] as number) - 1]
        return hook === undefined ? [] : [[task, hook] as const]
      }),
    )
  }

  totals(cells: Float64Array): Totals {
    const sum = (head: number): number =>
      this.#plan.tasks.reduce(
        (total, { task }) => total + (this.#component(task).definition.kind === 'spout' ? (cells[this.head(task) + head] as number) : 0),
        0,
      )
    return {
      emitted: sum(cell.roots),
      acked: sum(cell.acked),
      failed: sum(cell.failed),
      expired: sum(cell.expired),
      replayed: sum(cell.replayed),
      deadLettered: sum(cell.deadLettered),
    }
  }

  /** Latency from emit to done over all spouts, so far. */
  completeLatency(cells: Float64Array): Histogram {
    const all = new Histogram()
    for (const { task } of this.#plan.tasks) if (this.#component(task).definition.kind === 'spout') all.add(cells, this.latency(task))
    return all
  }

  snapshot(
    cells: Float64Array,
    run: {
      uptimeMs: number
      executorRestarts: number
      placement: readonly number[]
      counters: ReadonlyMap<number, Readonly<Record<string, number>>>
    },
  ): Snapshot {
    const components = this.#plan.components.map((component): ComponentSnapshot => {
      const tasks = Array.from({ length: component.taskCount }, (_, i) => this.#task(cells, component, component.firstTask + i, run))
      const latency = new Histogram()
      for (const { task } of tasks) latency.add(cells, this.latency(task))
      return { id: component.id, kind: component.definition.kind, latencyMs: latency.summary(), tasks }
    })
    const pending = components
      .filter(({ kind }) => kind === 'spout')
      .flatMap(({ tasks }) => tasks)
      .reduce((sum, task) => sum + task.pending, 0)
    return {
      topology: this.#plan.name,
      uptimeMs: run.uptimeMs,
      totals: this.totals(cells),
      pending,
      latencyMs: this.completeLatency(cells).summary(),
      components,
      executorRestarts: run.executorRestarts,
    }
  }

  #task(
    cells: Float64Array,
    component: PlannedComponent,
    task: number,
    run: { placement: readonly number[]; counters: ReadonlyMap<number, Readonly<Record<string, number>>> },
  ): TaskSnapshot {
    const head = this.head(task)
    const at = (place: number): number => cells[head + place] as number
    const emitted = Object.fromEntries(
      Object.keys(component.streams).map((stream, place) => [stream, cells[this.emitted(task, place)] as number]),
    )
    const executed: Record<string, number> = {}
    component.inputs.forEach(({ stream }, input) => {
      const { component: source, name } = this.#plan.streams[stream] as Plan['streams'][number]
      const key = `${source}.${name}`
      executed[key] = (executed[key] ?? 0) + (cells[this.executed(task, input)] as number)
    })
    return {
      task,
      executor: run.placement[task] as number,
      emitted,
      executed,
      acked: at(cell.acked),
      failed: at(cell.failed),
      expired: at(cell.expired),
      replayed: at(cell.replayed),
      deadLettered: at(cell.deadLettered),
      pending: at(cell.pending),
      errors: at(cell.errors),
      busyMs: at(cell.busyMs),
      latencyMs: new Histogram().add(cells, this.latency(task)).summary(),
      counters: { ...run.counters.get(task) }, // a snapshot does not go on counting
    }
  }
}
