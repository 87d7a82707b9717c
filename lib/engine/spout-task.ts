/**
 * One task of a spout: asks it for tuples while there is room, starts a tree for each, and tells it how they ended.
 * With `replay` it keeps what was emitted and emits it again after a failure; after the limit it becomes a dead letter.
 */
import { SquallError } from '../errors.ts'
import { record } from '../metrics/histogram.ts'
import { deadLetterStream } from '../topology/component.ts'
import type { Failure, Spout, SpoutOutput, Streams } from '../topology/component.ts'
import type { PlannedComponent } from '../topology/plan.ts'
import { cell } from './cells.ts'
import type { Executor } from './executor.ts'
import { isPromise, messageOf, wrapped } from './faults.ts'
import type { EdgeSum, Outlet, Values } from './outlet.ts'

/** Calls of `nextTuple` in a row, before what they emitted is executed. */
const askMax = 128

export class SpoutTask implements SpoutOutput<Streams>, EdgeSum {
  readonly task: number
  readonly component: PlannedComponent
  /** trees under way and replays that wait */
  pending = 0
  hasEnded = false
  isActive = false
  xorA = 0
  xorB = 0
  holder = -1
  readonly #executor: Executor
  readonly #outlets: readonly Outlet[]
  readonly #byName: ReadonlyMap<string, number>
  readonly #default: number
  readonly #deadLetters: number
  readonly #replays: boolean
  readonly #tracks: boolean
  readonly #place: number
  readonly #head: number
  readonly #latency: number
  readonly #pendingMax: number
  #spout: Spout = { nextTuple: () => undefined }
  /** a `nextTuple` that returned a promise has not settled */
  #isAsking = false
  /** the source is an async iterable */
  #isPulled = false
  #emits = 0
  /** an async iterable waits here until there is room */
  #roomMade: (() => void) | undefined
  /** what it gave since it was last let */
  #pulled = 0
  /** it was asked for its next and has not answered */
  #isPulling = false

  constructor(executor: Executor, component: PlannedComponent, task: number, place: number, outlets: ReadonlyMap<string, Outlet>) {
    const { definition, config } = component
    if (definition.kind !== 'spout') throw new TypeError('a spout task runs a spout')
    this.#executor = executor
    this.component = component
    this.task = task
    this.#place = place
    const names = [...outlets.keys()]
    this.#outlets = [...outlets.values()]
    this.#byName = new Map(names.map((name, i) => [name, i]))
    this.#default = names.indexOf('default')
    this.#deadLetters = names.indexOf(deadLetterStream)
    this.#replays = definition.replay
    this.#tracks = definition.tracked && executor.plan.config.ack
    this.#head = executor.layout.head(task)
    this.#latency = executor.layout.latency(task)
    this.#pendingMax = config.spoutPendingMax
  }

  /** Takes the instance that `open` made. */
  begin(instance: Spout | AsyncIterable<object>): void {
    if ('nextTuple' in instance) this.#spout = instance
    else void this.#pull(instance)
  }

  /** It may have something any moment and has to be asked. */
  get isPolled(): boolean {
    // an async iterable is asked for nothing, but one that waits for room has to be let go on when pressure elsewhere ends
    const isAsked = !this.#isPulled || this.#roomMade !== undefined
    return this.isActive && !this.hasEnded && !this.#isAsking && isAsked && this.pending < this.#pendingMax
  }

  /** A promise of its own may settle. */
  get isWaiting(): boolean {
    return this.#isAsking || (this.#isPulled && !this.hasEnded && this.#roomMade === undefined)
  }

  /** Nothing is left to emit and no tree is under way. */
  get isDone(): boolean {
    return this.hasEnded && this.pending === 0 && !this.#isAsking
  }

  setActive(isActive: boolean): void {
    if (this.isActive === isActive) return
    this.isActive = isActive
    try {
      if (isActive) this.#spout.activate?.()
      else this.#spout.deactivate?.()
    } catch (error) {
      this.#executor.reportError(this.component, this.task, error, undefined)
    }
    this.#makeRoom()
  }

  /** Asks for tuples while there is room; true if any came. */
  pump(): boolean {
    if (!this.isActive || this.hasEnded || this.#isAsking) return false
    if (this.#isPulled) {
      this.#pulled = 0
      if (this.pending < this.#pendingMax) this.#makeRoom()
      return false
    }
    const spout = this.#spout
    const before = this.#emits
    for (let i = 0; i < askMax && this.pending < this.#pendingMax && this.#emits - before < askMax * 2 && !this.hasEnded; i++) {
      const emits = this.#emits
      let result: unknown
      try {
        result = spout.nextTuple(this)
      } catch (error) {
        this.#threw(error)
        return true
      }
      if (result !== undefined && isPromise(result)) {
        this.#await(result)
        break
      }
      if (this.#emits === emits) break
    }
    return this.#emits !== before
  }

  async close(): Promise<void> {
    this.isActive = false
    this.#makeRoom()
    try {
      await this.#spout.close?.()
    } catch (error) {
      throw wrapped('finish-threw', error, this.component.id, this.task)
    }
  }

  // ---------------------------------------------------------------------------------------------- emitting

  emit(values: object, id?: unknown): void {
    if (this.#default < 0) this.#unknown('default')
    this.#start(this.#default, -1, values as Values, id, 0)
  }

  emitTo(stream: string, values: object, id?: unknown): void {
    this.#start(this.#byName.get(stream) ?? this.#unknown(stream), -1, values as Values, id, 0)
  }

  emitDirect(task: number, stream: string, values: object, id?: unknown): void {
    this.#start(this.#byName.get(stream) ?? this.#unknown(stream), task, values as Values, id, 0)
  }

  end(): void {
    this.hasEnded = true
  }

  /** Starts a tree; `attempt` counts from 0. */
  #start(stream: number, task: number, values: Values, id: unknown, attempt: number): void {
    this.#emits++
    const { cells, ledger } = this.#executor
    if (stream !== this.#deadLetters) cells[this.#head + (attempt === 0 ? cell.roots : cell.replayed)]! += 1
    if (!this.#tracks) {
      this.#hand(stream, task, values, 0, 0)
      cells[this.#head + cell.acked]! += 1
      this.#tell(id, undefined)
      return
    }
    // a promise of the source has settled between two turns: the time of the last one is stale
    if (this.#isAsking || this.#isPulled) this.#executor.readClock()
    const slot = ledger.open(this.#place, this.#executor.nowMs)
    ledger.ids[slot] = id
    ledger.stream[slot] = stream
    if (this.#replays) {
      ledger.values[slot] = values
      ledger.target[slot] = task
      ledger.attempt[slot] = attempt
    }
    this.pending++
    this.xorA = 0
    this.xorB = 0
    try {
      this.#hand(stream, task, values, ledger.rootA(slot), ledger.rootB(slot))
    } catch (error) {
      this.pending--
      ledger.release(slot)
      throw error
    }
    ledger.holder[slot] = this.holder
    ledger.init(slot, this.xorA, this.xorB)
  }

  #hand(stream: number, task: number, values: Values, rootA: number, rootB: number): void {
    const outlet = this.#outlets[stream] as Outlet
    if (outlet.stream.direct !== task >= 0) this.#misused(outlet.stream.name, task)
    if (task < 0) outlet.deliver(values, rootA, rootB, this)
    else if (!outlet.deliverTo(task, values, rootA, rootB, this))
      throw new SquallError(
        'bad-task',
        { task, known: 'see context.tasksOf(component)' },
        { component: this.component.id, stream: outlet.stream.name },
      )
  }

  #unknown(stream: string): never {
    const { id } = this.component
    throw new SquallError('bad-emit', { component: id, stream, problem: 'it has not declared' }, { component: id, task: this.task, stream })
  }

  #misused(stream: string, task: number): never {
    const { id } = this.component
    const problem = task >= 0 ? 'is not a direct stream' : 'is a direct stream'
    throw new SquallError('bad-emit', { component: id, stream, problem }, { component: id, task: this.task, stream })
  }

  // ---------------------------------------------------------------------------------------------- how trees end

  /** The tree in `slot` is done. */
  done(slot: number): void {
    const { ledger, cells, nowMs } = this.#executor
    this.pending--
    if (ledger.stream[slot] === this.#deadLetters) return
    cells[this.#head + cell.acked]! += 1
    record(cells, this.#latency, nowMs - (ledger.startMs[slot] as number))
    if (this.#spout.ack !== undefined) this.#tell(ledger.ids[slot], undefined)
  }

  /** The tree in `slot` will not be done. */
  failed(slot: number, failure: Failure): void {
    const { ledger, cells, timers, nowMs } = this.#executor
    const id = ledger.ids[slot]
    const stream = ledger.stream[slot] as number
    const target = ledger.target[slot] as number
    const values = ledger.values[slot] as Values
    const attempt = ledger.attempt[slot] as number
    ledger.release(slot)
    if (stream !== this.#deadLetters) cells[this.#head + (failure.kind === 'expired' ? cell.expired : cell.failed)]! += 1
    const { replayLimit, replayBackoffMs, replayBackoffMaxMs } = this.component.config
    if (this.#replays && attempt < replayLimit) {
      const waitMs = Math.min(replayBackoffMs * 2 ** attempt, replayBackoffMaxMs)
      timers.add(nowMs + waitMs, () => {
        this.pending--
        this.#again(stream, target, values, id, attempt + 1)
      })
      return
    }
    this.pending--
    if (this.#replays && stream !== this.#deadLetters) this.#giveUp(stream, values, attempt + 1, failure)
    else if (stream === this.#deadLetters || this.#spout.fail === undefined) cells[this.#head + cell.lost]! += 1
    if (stream !== this.#deadLetters) this.#tell(id, failure)
  }

  #again(stream: number, task: number, values: Values, id: unknown, attempt: number): void {
    try {
      this.#start(stream, task, values, id, attempt)
    } catch (error) {
      this.#threw(error)
    }
  }

  #giveUp(stream: number, values: Values, attempts: number, { kind, component, task, message }: Failure): void {
    this.#executor.cells[this.#head + cell.deadLettered]! += 1
    const outlet = this.#outlets[this.#deadLetters] as Outlet
    const name = (this.#outlets[stream] as Outlet).stream.name
    if (outlet.hasReaders)
      this.#again(this.#deadLetters, -1, { values, stream: name, attempts, kind, component, task, message }, undefined, 0)
    else
      this.#executor.reportError(
        this.component,
        this.task,
        new Error(
          `a tuple was given up after ${attempts} attempts (${kind} in ${component}: ${message}) and nothing reads the stream ${deadLetterStream}`,
        ),
        values,
      )
  }

  /** Tells the spout how a tree ended. A spout that hears of a failure may have something to emit again. */
  #tell(id: unknown, failure: Failure | undefined): void {
    try {
      if (failure === undefined) this.#spout.ack?.(id)
      else if (this.#spout.fail !== undefined) {
        this.#spout.fail(id, failure)
        if (!this.#replays) this.hasEnded = false
      }
    } catch (error) {
      this.#executor.reportError(this.component, this.task, error, undefined)
    }
  }

  // ---------------------------------------------------------------------------------------------- async sources

  #await(asked: PromiseLike<unknown>): void {
    this.#isAsking = true
    const over = (): void => {
      this.#isAsking = false
      this.#executor.wake()
    }
    asked.then(over, (error: unknown) => {
      this.#threw(error)
      over()
    })
  }

  /** Emits what an async iterable gives, no more at a time than may be pending. */
  async #pull(source: AsyncIterable<object>): Promise<void> {
    this.#isPulled = true
    const iterator = source[Symbol.asyncIterator]()
    this.#spout = { nextTuple: () => undefined, close: () => this.#release(iterator) }
    try {
      for (;;) {
        while (!this.isActive || this.pending >= this.#pendingMax || this.#pulled >= askMax || this.#executor.isUnderPressure) {
          if (this.#executor.isClosing) return
          this.#executor.wake()
          await new Promise<void>((resolve) => (this.#roomMade = resolve))
        }
        this.#isPulling = true
        const next = await iterator.next()
        this.#isPulling = false
        if (this.#executor.isClosing) return
        if (next.done === true) break
        this.#pulled++
        this.emit(next.value)
        this.#executor.wake()
      }
      this.end()
      this.#executor.wake()
    } catch (error) {
      this.#threw(error)
    }
  }

  #makeRoom(): void {
    const made = this.#roomMade
    this.#roomMade = undefined
    made?.()
  }

  /** Lets an iterable close what it has open. One that waits hears of it only when it goes on, so no one waits for it. */
  async #release(iterator: AsyncIterator<object>): Promise<void> {
    const released = iterator.return?.()
    if (!this.#isPulling) await released
    else released?.catch(() => undefined)
  }

  #threw(error: unknown): void {
    this.hasEnded = true
    this.#executor.fatal(wrapped('spout-threw', error, this.component.id, this.task))
  }

  /** For `fail` with a message from elsewhere. */
  static failure(kind: Failure['kind'], component: string, task: number, error: unknown): Failure {
    return { kind, component, task, message: typeof error === 'string' ? error : messageOf(error) }
  }
}
