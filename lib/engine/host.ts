/**
 * What an executor is to its tasks: the plan, the time of the turn, timers, counters, the way to wake it, and where errors go. The
 * executor itself (`executor.ts`) adds the loop that runs them.
 */
import type { Logger } from 'pino'
import { placed } from '../errors.ts'
import type { SquallError } from '../errors.ts'
import type { Clock } from '../std/clock.ts'
import { Timers } from '../std/timers.ts'
import type { Plan, PlannedComponent } from '../topology/plan.ts'
import { CellLayout, cell } from './cells.ts'
import { isCoded, messageOf, shortened, stackOf } from './faults.ts'
import type { LaneEnds, Lanes } from './link.ts'
import type { ComponentError, Tap } from './run-types.ts'

/** Everything an executor needs from outside. */
export interface ExecutorOptions {
  readonly plan: Plan
  readonly index: number
  /** the executor of each task */
  readonly placement: readonly number[]
  readonly seed: number
  readonly clock: Clock
  readonly cells: Float64Array
  /** by executor; none for itself */
  readonly lanes: readonly (Lanes | undefined)[]
  readonly ends: readonly (LaneEnds | undefined)[]
  /** a number an executor: not 0 while it has parked frames; shared */
  readonly pressure: Int32Array
  /** that number of this executor has changed */
  readonly onPressure?: () => void
  readonly log: Logger
  readonly tap?: Tap | undefined
  readonly onError: (error: ComponentError) => void
  /** the topology cannot go on */
  readonly onFatal: (error: SquallError) => void
}

export class TaskHost {
  readonly plan: Plan
  readonly index: number
  readonly layout: CellLayout
  cells: Float64Array
  readonly timers = new Timers()
  /** the time at the start of the turn, or after the last run in it */
  nowMs: number
  /** a turn is going on: what is done now it will see */
  isInTurn = false
  isUnderPressure = false
  isClosing = false
  /** as if its thread had died, under simulation */
  isDead = false
  /** components that wait for the run's clock (`context.sleep`) */
  sleeping = 0
  /** promises of components that have settled */
  callsOver = 0
  /** counters of the components' own, by task */
  readonly counters = new Map<number, Record<string, number>>()
  /** called when something outside a turn needs the loop */
  onWake: () => void = () => undefined

  readonly #options: ExecutorOptions

  constructor(options: ExecutorOptions) {
    const { plan, index, cells, clock } = options
    this.#options = options
    this.plan = plan
    this.index = index
    this.cells = cells
    this.layout = new CellLayout(plan)
    this.nowMs = clock.now()
  }

  /** Looks at the clock; `nowMs` holds until the next look. */
  readClock(): number {
    return (this.nowMs = this.#options.clock.now())
  }

  /** Something outside a turn happened (a promise settled, an emit from elsewhere): the loop must not sleep on it. */
  wake(): void {
    if (!this.isInTurn) this.onWake()
  }

  /** Stops the whole topology. */
  fatal(error: SquallError): void {
    this.#options.onFatal(error)
  }

  /** Notes an error of a component. A coded one (a tuple its schema cannot hold, say) is a mistake that would only repeat: it stops the topology. */
  reportError(component: PlannedComponent, task: number, error: unknown, values: object | undefined): void {
    this.cells[this.layout.head(task) + cell.errors]! += 1
    if (isCoded(error)) {
      this.fatal(placed(error, { component: component.id, task }))
      return
    }
    this.#options.onError({
      component: component.id,
      task,
      executor: this.index,
      atMs: this.#options.clock.now(),
      message: messageOf(error),
      stack: stackOf(error),
      tuple: values === undefined ? undefined : shortened(values),
    })
  }
}
