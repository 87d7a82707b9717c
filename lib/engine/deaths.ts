/**
 * What a run makes of executors that die, wherever they are: how many it bears, what it forgets of them, and what their tasks had
 * counted. How another takes the place of the dead one is the crew's own.
 */
import { SquallError } from '../errors.ts'
import type { Plan } from '../topology/plan.ts'
import { CellLayout, cell } from './cells.ts'
import type { CrewOptions } from './run.ts'

/** One that dies is started anew at once, but not again and again: after 1, 2, 4 ... 30 s when it has died before within this time. */
const diedWithinMs = 60_000
const rest = { firstMs: 1_000, maxMs: 30_000 }
const timesMax = 10

type Counters = Readonly<Record<string, number>>

export class Deaths {
  /** executors started anew */
  restarts = 0
  /** bolts finish, or have finished: what an executor started anew would emit again comes too late for them */
  isFinishing = false
  /** of the components' own, by task, over all lives of its executor */
  readonly counters = new Map<number, Counters>()
  readonly #countedBefore = new Map<number, Counters>()
  readonly #options: CrewOptions
  readonly #areBorne: boolean
  /** by executor, when its thread died of late */
  readonly #times = new Map<number, readonly number[]>()

  /** `areBorne`: however many die, and whenever, the run goes on. */
  constructor(options: CrewOptions, areBorne = false) {
    this.#options = options
    this.#areBorne = areBorne
  }

  /** An executor died, and is reported. An error when none can take its place: it ends the run. */
  note(index: number, reason: string): SquallError | undefined {
    const { plan, clock, onError } = this.#options
    if (this.isFinishing && !this.#areBorne) return new SquallError('executor-died', { executor: index, reason }, { topology: plan.name })
    this.restarts++
    if (!this.#areBorne && this.restarts > plan.config.executorRestartsMax)
      return new SquallError('executor-lost', { executor: index, times: this.restarts, reason })
    onError({
      component: 'executor',
      task: index,
      executor: index,
      atMs: clock.now(),
      message: `died (${reason}) and is started anew`,
      stack: '',
      tuple: undefined,
    })
    return undefined
  }

  /** The thread of an executor died: how long it is to wait before it is started anew, where as many as it takes are. */
  restMs(index: number): number {
    if (!this.#areBorne) return 0
    const now = this.#options.clock.now()
    const before = (this.#times.get(index) ?? []).filter((ms) => now - ms < diedWithinMs)
    this.#times.set(index, [...before, now].slice(-timesMax))
    return before.length === 0 ? 0 : Math.min(rest.maxMs, rest.firstMs * 2 ** (before.length - 1))
  }

  /** What the dead executor said of itself no longer holds. */
  forget(index: number): void {
    const { plan, placement, cells } = this.#options
    forgetTasks(plan, placement, cells, index)
    for (const { task } of plan.tasks) if (placement[task] === index) this.#countedBefore.set(task, this.counters.get(task) ?? {})
  }

  /** Tasks have counted so much in the present life of their executor. */
  count(counted: Iterable<readonly [number, Counters]>): void {
    for (const [task, counters] of counted) this.counters.set(task, sumOf(this.#countedBefore.get(task), counters))
  }
}

/** The cells of a dead executor's tasks. Its spouts' trees under way will be emitted again: they count as replayed. */
export function forgetTasks(plan: Plan, placement: readonly number[], cells: Float64Array, executor: number): void {
  const layout = new CellLayout(plan)
  for (const { task, component } of plan.tasks) {
    if (placement[task] !== executor) continue
    const head = layout.head(task)
    cells[head + cell.hook] = 0
    if (plan.components[component]?.definition.kind !== 'spout') continue
    const started = cells[head + cell.roots] as number
    const ended = (cells[head + cell.acked] as number) + (cells[head + cell.deadLettered] as number) + (cells[head + cell.lost] as number)
    cells[head + cell.replayed]! += Math.max(0, started - ended)
    cells[head + cell.roots] = ended
    cells[head + cell.ended] = 0
    cells[head + cell.pending] = 0
  }
}

function sumOf(before: Counters = {}, since: Counters): Counters {
  const sum = Object.assign(Object.create(null) as Record<string, number>, before) // counters may have the names that every object has
  for (const [name, n] of Object.entries(since)) sum[name] = (sum[name] ?? 0) + n
  return sum
}
