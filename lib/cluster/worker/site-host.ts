/** The executors of this worker, commanded by the lead of the run over a link: the other end of a `RemoteSite`. */
import { errorData } from '../../errors.ts'
import { CellLayout } from '../../engine/cells.ts'
import { executorFailed } from '../../engine/strays.ts'
import type { Site, SiteEars, SiteState } from '../../engine/site.ts'
import type { SharedWords } from '../../engine/thread-messages.ts'
import type { Plan } from '../../topology/plan.ts'
import { cellsMessage, garbled, wordsMessage } from './frames.ts'
import { cellsOfTasks, putCellsOfTasks, tasksOf } from './site-cells.ts'
import type { Command, Rest, Words } from './words.ts'

/** How often the lead hears whether executors rest. */
const restsMs = 5
/** How often it hears what they have counted. */
const cellsMs = 250

export interface SiteHostOptions {
  readonly executors: readonly number[]
  readonly plan: Plan
  readonly placement: readonly number[]
  readonly cells: Float64Array
  readonly words: SharedWords
  readonly site: (ears: SiteEars) => Site
  /** the executors of the run are in these workers now */
  readonly placed: (workers: readonly number[]) => void
  /** the executors here are these now */
  readonly have: (executors: readonly number[]) => void
  /** to the lead, whenever it is there */
  readonly send: (message: Uint8Array) => void
  /** to the lead, if it is there now: what matters only as it is, or in a small number */
  readonly tell: (message: Uint8Array) => boolean
}

export class SiteHost {
  readonly #options: SiteHostOptions
  readonly #site: Site
  readonly #layout: CellLayout
  #tasks: readonly number[]
  readonly #timers: NodeJS.Timeout[] = []
  /** commands that are done: the lead wants to hear anew after each */
  #done = 0
  /** which process the lead is */
  #life = 0
  #lastRests = ''
  /** what the lead knew of the tasks here, for those that start for the first time in this process */
  #known: Float64Array | undefined
  readonly #started = new Set<number>()
  #tellEnded: () => void = () => undefined
  /** Settles when the lead has ended the executors here. */
  readonly ended = new Promise<void>((resolve) => (this.#tellEnded = resolve))

  constructor(options: SiteHostOptions) {
    this.#options = options
    this.#layout = new CellLayout(options.plan)
    this.#tasks = tasksOf(options.placement, options.executors)
    const tell = (words: Words): boolean => options.tell(wordsMessage(words))
    this.#site = options.site({
      said: (word) => {
        if (word.kind === 'fatal') options.send(wordsMessage(word))
        else if (word.kind === 'error') tell(word)
        else tell({ kind: 'counters', counters: [...word.counters].map(([task, counts]) => [task, { ...counts }]) })
      },
      died: (executors, reason) => options.send(wordsMessage({ kind: 'died', executors: [...executors], reason })),
    })
    this.#timers.push(
      setInterval(() => this.#tellRests(), restsMs),
      setInterval(() => options.tell(this.#cells()), cellsMs),
    )
  }

  /** The lead is another process than before: it begins with `meet`. */
  renewed(): void {
    this.#life++
    this.#lastRests = ''
  }

  hear(words: Words): void {
    if (words.kind !== 'command') throw garbled(`a ${words.kind} is not for a site`)
    const { id, command } = words
    const life = this.#life
    const answer = (more: { state?: SiteState | void; error?: unknown }): void => {
      if (life !== this.#life) return
      this.#done++
      const { state, error } = more
      // whoever asked for the end looks at them next
      this.#options.send(this.#cells())
      this.#options.send(
        wordsMessage({
          kind: 'did',
          id,
          ...(state !== undefined && { state }),
          ...(error !== undefined && { error: errorData(executorFailed(error)) }),
        }),
      )
    }
    this.#do(command).then(
      (state) => answer({ state }),
      (error: unknown) => answer({ error }),
    )
  }

  heardCells(cells: Float64Array): void {
    this.#known = cells
  }

  /** Ends what is left of the executors here. */
  async end(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer)
    await this.#site.end()
  }

  async #do(command: Command): Promise<SiteState | void> {
    const site = this.#site
    switch (command.do) {
      case 'meet':
        return await site.meet()
      case 'adopt':
        this.#options.placed(command.workers)
        await site.adopt(command.executors)
        return this.#have(site.executors)
      case 'drop':
        await site.drop(command.executors)
        return this.#have(site.executors)
      case 'start':
        this.#takeOver(command.executors)
        return await site.start(command.executors)
      case 'setActive':
        return await site.setActive(command.isActive)
      case 'finish':
        return await site.finish(command.component)
      case 'renew':
        return await site.renew(command.executors, command.number)
      case 'lose':
        return await site.lose(command.executors)
      case 'close':
        return await site.close()
      case 'end':
        await site.end()
        return this.#tellEnded()
      case 'kill':
        return site.kill(command.executor)
    }
  }

  #have(executors: readonly number[]): void {
    this.#tasks = tasksOf(this.#options.placement, executors)
    for (const executor of this.#started) if (!executors.includes(executor)) this.#started.delete(executor)
    this.#options.have(executors)
  }

  /** Executors that are new to this process go on from where the lead knew their tasks to be. */
  #takeOver(executors: readonly number[]): void {
    const { placement, cells } = this.#options
    const fresh = executors.filter((executor) => !this.#started.has(executor))
    for (const executor of fresh) this.#started.add(executor)
    if (this.#known === undefined || fresh.length === 0) return
    const mine = cells.slice()
    putCellsOfTasks(this.#layout, mine, this.#tasks, this.#known)
    for (const task of tasksOf(placement, fresh))
      cells.set(mine.subarray(this.#layout.head(task), this.#layout.end(task)), this.#layout.head(task))
  }

  #cells(): Uint8Array {
    return cellsMessage(cellsOfTasks(this.#layout, this.#options.cells, this.#tasks))
  }

  #tellRests(): void {
    const sign = this.#restsSign()
    if (sign === this.#lastRests) return
    const rests = this.#site.executors.map((executor) => this.#restOf(executor))
    const words: Words = { kind: 'rests', rests }
    if (this.#options.tell(wordsMessage(words))) this.#lastRests = sign
  }

  /** The same as long as there is nothing new to tell: what an executor has written down does not change under one generation. */
  #restsSign(): string {
    const { quiet, heldUp } = this.#options.words
    let sign = String(this.#done)
    for (const executor of this.#site.executors) {
      const generation = Atomics.load(quiet.generation, executor)
      const isQuiet = (generation & 1) === 1
      sign += ` ${executor} ${isQuiet ? generation : 0} ${Atomics.load(heldUp, executor * 2)} ${Atomics.load(heldUp, executor * 2 + 1)}`
    }
    return sign
  }

  /** As it was written down together, or as what does not hold. */
  #restOf(executor: number): Rest {
    const { quiet, heldUp } = this.#options.words
    const n = quiet.generation.length
    const row = (all: Int32Array): number[] => Array.from({ length: n }, (_, other) => Atomics.load(all, executor * n + other))
    const generation = Atomics.load(quiet.generation, executor)
    const [sent, received] = [row(quiet.sent), row(quiet.received)]
    const isQuiet = (generation & 1) === 1 && Atomics.load(quiet.generation, executor) === generation
    const held = [Atomics.load(heldUp, executor * 2), Atomics.load(heldUp, executor * 2 + 1)] as const
    return { executor, isQuiet, sent: isQuiet ? sent : [], received: isQuiet ? received : [], heldUp: [...held] }
  }
}
