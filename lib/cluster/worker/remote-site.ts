/** The executors of another worker, as the lead of the run commands them: a `Site` over a link. `SiteHost` is its other end. */
import { errorFrom, SquallError } from '../../errors.ts'
import { CellLayout } from '../../engine/cells.ts'
import { QuietSign } from '../../engine/quiet.ts'
import type { Site, SiteEars, SiteState } from '../../engine/site.ts'
import type { SharedWords } from '../../engine/thread-messages.ts'
import { heldUpNumber } from '../../engine/thread-messages.ts'
import type { Plan } from '../../topology/plan.ts'
import { cellsMessage, garbled, wordsMessage } from './frames.ts'
import { cellsOfTasks, putCellsOfTasks, tasksOf } from './site-cells.ts'
import type { Command, Rest, Words } from './words.ts'

export interface RemoteSiteOptions {
  readonly worker: number
  readonly executors: readonly number[]
  readonly plan: Plan
  readonly placement: readonly number[]
  readonly cells: Float64Array
  readonly words: SharedWords
  readonly ears: SiteEars
  /** the worker that an executor of the run is in */
  readonly workerOf: (executor: number) => number
  readonly send: (message: Uint8Array) => void
}

/** How long a worker that is to end may yet answer: somewhat longer than it takes to. */
const leaveMs = 4_000

interface Asked {
  readonly resolve: (state: SiteState | undefined) => void
  readonly reject: (error: unknown) => void
}

export class RemoteSite implements Site {
  executors: readonly number[] = []
  readonly #options: RemoteSiteOptions
  readonly #layout: CellLayout
  readonly #signs = new Map<number, QuietSign>()
  #tasks: readonly number[] = []
  readonly #asked = new Map<number, Asked>()
  #ids = 0
  #leaving: 'no' | 'yes' | 'done' = 'no'

  constructor(options: RemoteSiteOptions) {
    this.#options = options
    this.#layout = new CellLayout(options.plan)
    this.#have(options.executors)
  }

  #have(executors: readonly number[]): void {
    this.executors = executors
    this.#tasks = tasksOf(this.#options.placement, executors)
    this.#signs.clear()
    for (const executor of executors) this.#signs.set(executor, new QuietSign(this.#options.words.quiet, executor))
  }

  async meet(): Promise<SiteState> {
    return (await this.#ask({ do: 'meet' })) ?? { running: [], lanes: 1 }
  }

  async adopt(executors: readonly number[]): Promise<void> {
    this.#have(executors)
    await this.#ask(this.#adoption)
  }

  async drop(executors: readonly number[]): Promise<void> {
    await this.#ask({ do: 'drop', executors: [...executors] })
    this.#have(this.executors.filter((executor) => !executors.includes(executor)))
  }

  async start(executors: readonly number[]): Promise<void> {
    // one that is new to its process goes on where this one last knew it to be
    this.#options.send(cellsMessage(cellsOfTasks(this.#layout, this.#options.cells, this.#tasks)))
    await this.#ask({ do: 'start', executors: [...executors] })
  }

  async setActive(isActive: boolean): Promise<void> {
    await this.#ask({ do: 'setActive', isActive })
  }

  async finish(component: number): Promise<void> {
    await this.#ask({ do: 'finish', component })
  }

  async renew(executors: readonly number[], number: number): Promise<void> {
    const { words } = this.#options
    for (const executor of executors) {
      if (!this.executors.includes(executor)) continue
      Atomics.store(words.pressure, executor, 0)
      Atomics.store(words.heldUp, executor * 2, heldUpNumber.other)
    }
    await this.#ask({ do: 'renew', executors: [...executors], number })
  }

  async lose(executors: readonly number[]): Promise<void> {
    await this.#ask({ do: 'lose', executors: [...executors] })
  }

  async close(): Promise<void> {
    await this.#ask({ do: 'close' })
  }

  async end(): Promise<void> {
    await this.#ask({ do: 'end' })
  }

  kill(executor: number): void {
    void this.#ask({ do: 'kill', executor }).catch(() => undefined)
  }

  get silent(): readonly number[] {
    return this.#asked.size > 0 ? this.executors : []
  }

  /** The worker is another process than before. One that was placed anew is of the site that comes after this one. */
  renewed(): void {
    if (this.isLeaving) {
      this.#left()
      return
    }
    const reason = `worker ${this.#options.worker} is another process`
    this.#rejectAll(reason)
    // it may have been told of an older assignment than this one has
    void this.#ask(this.#adoption).catch(() => undefined)
    this.#options.ears.died(this.executors, reason, 'process')
  }

  /** The worker is placed nowhere any more, and ends: what it has not answered after a while it never will. */
  leave(): void {
    if (this.isLeaving) return
    this.#leaving = 'yes'
    setTimeout(() => this.#left(), leaveMs).unref()
  }

  /** What is placed in this worker from now on is another's. */
  get isLeaving(): boolean {
    return this.#leaving !== 'no'
  }

  #left(): void {
    this.#leaving = 'done'
    this.#rejectAll(`worker ${this.#options.worker} was taken away`)
  }

  get #adoption(): Command {
    const { words, workerOf } = this.#options
    return { do: 'adopt', executors: [...this.executors], workers: Array.from(words.pressure, (_, executor) => workerOf(executor)) }
  }

  hear(words: Words): void {
    if (this.#leaving === 'done') return
    switch (words.kind) {
      case 'did':
        this.#answered(words)
        break
      case 'error':
      case 'fatal':
        this.#options.ears.said(words)
        break
      case 'counters':
        this.#options.ears.said({ kind: 'counters', counters: new Map(words.counters) })
        break
      case 'died':
        this.#options.ears.died(words.executors, words.reason, 'thread')
        break
      case 'rests':
        // what it said before it did what it was told last may no longer hold: after that is what comes after its answer
        if (this.#asked.size === 0) for (const rest of words.rests) this.#rests(rest)
        break
      case 'command':
      case 'pressure':
        throw garbled(`a ${words.kind} is not for a lead`)
    }
  }

  heardCells(cells: Float64Array): void {
    if (this.#leaving !== 'done') putCellsOfTasks(this.#layout, this.#options.cells, this.#tasks, cells)
  }

  #ask(command: Command): Promise<SiteState | undefined> {
    this.#retract()
    const id = ++this.#ids
    const answer = new Promise<SiteState | undefined>((resolve, reject) => this.#asked.set(id, { resolve, reject }))
    if (this.#leaving === 'done') this.#left()
    else this.#options.send(wordsMessage({ kind: 'command', id, command } satisfies Words))
    return answer
  }

  #rejectAll(reason: string): void {
    const asked = [...this.#asked.values()]
    this.#asked.clear()
    for (const { reject } of asked)
      reject(new SquallError('executor-died', { executor: this.executors[0] ?? 0, reason }, { topology: this.#options.plan.name }))
  }

  #answered({ id, error, state }: Extract<Words, { kind: 'did' }>): void {
    const asked = this.#asked.get(id)
    this.#asked.delete(id)
    if (error === undefined) asked?.resolve(state)
    else asked?.reject(errorFrom(error))
  }

  #rests({ executor, isQuiet, sent, received, heldUp }: Rest): void {
    const sign = this.#signs.get(executor)
    if (sign === undefined) throw garbled(`executor ${executor} is not of worker ${this.#options.worker}`)
    const { length } = this.#options.words.quiet.generation
    if (isQuiet && !(sent.length === length && received.length === length)) throw garbled(`counts of ${sent.length} of ${length} lanes`)
    if (isQuiet) sign.publish(sent, received)
    else sign.retract()
    Atomics.store(this.#options.words.heldUp, executor * 2, heldUp[0])
    Atomics.store(this.#options.words.heldUp, executor * 2 + 1, heldUp[1])
  }

  #retract(): void {
    for (const sign of this.#signs.values()) sign.retract()
  }
}
