/**
 * One task of a spout: asks it for tuples while there is room, starts a tree for each, and tells it how they ended.
 * With `replay` it keeps what was emitted and emits it again after a failure; after the limit it becomes a dead letter.
 */
import { SquallError } from '../errors.ts'
import { record } from '../metrics/histogram.ts'
import { deadLetterStream } from '../topology/component.ts'
import type { Failure, Spout, SpoutOutput, Streams } from '../topology/component.ts'
import type { PlannedComponent } from '../topology/plan.ts'
import type { Values } from '../wire/codec.ts'
import { cell } from './cells.ts'
import { badTask, cannotStart, checkHooks, emitOutside, followHook, found, isPromise, misused, undeclared, wrapped } from './faults.ts'
import type { TaskHost } from './host.ts'
import type { EdgeSum, Outlet } from './outlet.ts'
import type { TreeOwner, Trees } from './trees.ts'

/** Calls of `nextTuple` in a row, before what they emitted is executed. */
const askMax = 128
/** Tuples that a spout may emit without waiting to be asked again: all of a small source at once is fine, a loop without an end is not. */
const emitsAtOnceMax = 1_000_000

export class SpoutTask implements SpoutOutput<Streams>, EdgeSum, TreeOwner {
  readonly task: number
  readonly component: PlannedComponent
  /** trees under way and replays that wait */
  pending = 0
  hasEnded = false
  isActive = false
  xorA = 0
  xorB = 0
  holder = -1
  readonly #host: TaskHost
  readonly #trees: Trees
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
  /** a call that took its time had nothing at this moment: it is not asked again before time has gone on, or that would never be */
  #hadNothingMs = -1
  /** the source is an async iterable */
  #isPulled = false
  #emits = 0
  /** emits since there last was room */
  #emitsAtOnce = 0
  /** it has said `end` before: asked again after a failure, it has ended once more when it emits nothing */
  #hasEndedBefore = false
  /** it has heard of a failure since it was last asked */
  #mayRepeat = false
  /** its `ack` or `fail` is running */
  #isTold = false
  /** an async iterable waits here until there is room */
  #roomMade: (() => void) | undefined
  /** what it gave since it was last let */
  #pulled = 0
  /** it was asked for its next and has not answered */
  #isPulling = false

  constructor(
    host: TaskHost,
    trees: Trees,
    component: PlannedComponent,
    task: number,
    place: number,
    outlets: ReadonlyMap<string, Outlet>,
  ) {
    const { definition, config } = component
    if (definition.kind !== 'spout') throw new TypeError('a spout task runs a spout')
    this.#host = host
    this.#trees = trees
    this.component = component
    this.task = task
    this.#place = place
    const names = [...outlets.keys()]
    this.#outlets = [...outlets.values()]
    this.#byName = new Map(names.map((name, i) => [name, i]))
    this.#default = names.indexOf('default')
    this.#deadLetters = names.indexOf(deadLetterStream)
    this.#replays = definition.replay
    this.#tracks = definition.tracked && host.plan.config.ack
    this.#head = host.layout.head(task)
    this.#latency = host.layout.latency(task)
    this.#pendingMax = config.spoutPendingMax
  }

  /** Takes the instance that `open` made. */
  begin(made: unknown): void {
    const { id } = this.component
    if (typeof made === 'object' && made !== null) {
      const source = made as Partial<Spout & AsyncIterable<object> & Iterable<object>>
      if (typeof source.nextTuple === 'function') {
        checkHooks(made, ['ack', 'fail', 'activate', 'deactivate', 'close'], id, this.task)
        this.#spout = source as Spout
        return
      }
      if (typeof source[Symbol.asyncIterator] === 'function') {
        void this.#pull((source as AsyncIterable<object>)[Symbol.asyncIterator]())
        return
      }
      if (typeof source[Symbol.iterator] === 'function') {
        this.#spout = overAll((source as Iterable<object>)[Symbol.iterator]())
        return
      }
    }
    throw cannotStart(id, this.task, `open has to return nextTuple, an object with nextTuple, or an iterable; it returned ${found(made)}`)
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

  /** It has ended, and no one waits for more: the run may be over. Not so in `nextTuple`, nor while it hears how a tree ended. */
  get #isOver(): boolean {
    const { isInTurn, isClosing } = this.#host
    return !isInTurn && !this.#isTold && (this.isDone || isClosing)
  }

  setActive(isActive: boolean): void {
    if (this.isActive === isActive) return
    this.isActive = isActive
    try {
      followHook(isActive ? this.#spout.activate?.() : this.#spout.deactivate?.(), this.#report)
    } catch (error) {
      this.#report(error)
    }
    this.#makeRoom()
  }

  /** Asks for tuples while there is room; true if any came. */
  pump(): boolean {
    if (this.pending < this.#pendingMax) this.#emitsAtOnce = 0
    if (!this.isActive || this.hasEnded || this.#isAsking || this.#host.nowMs === this.#hadNothingMs) return false
    if (this.#isPulled) {
      this.#pulled = 0
      if (this.pending < this.#pendingMax) this.#makeRoom()
      return false
    }
    const spout = this.#spout
    const before = this.#emits
    for (let i = 0; i < askMax && this.pending < this.#pendingMax && this.#emits - before < askMax * 2 && !this.hasEnded; i++) {
      const emits = this.#emits
      this.#mayRepeat = false
      let result: unknown
      try {
        result = spout.nextTuple(this)
      } catch (error) {
        this.#threw(error)
        return true
      }
      if (result !== undefined && isPromise(result)) {
        this.#await(result, emits)
        break
      }
      if (this.#emits === emits) {
        this.#hadNothing()
        break
      }
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
    this.#first(this.#default, -1, values as Values, id)
  }

  emitTo(stream: string, values: object, id?: unknown): void {
    this.#first(this.#byName.get(stream) ?? this.#unknown(stream), -1, values as Values, id)
  }

  emitDirect(task: number, stream: string, values: object, id?: unknown): void {
    const at = this.#byName.get(stream) ?? this.#unknown(stream)
    if (!(task >= 0)) throw badTask(this.component.id, this.task, stream, task)
    this.#first(at, task, values as Values, id)
  }

  end(): void {
    this.hasEnded = true
    this.#hasEndedBefore = true
  }

  /** What the spout itself emits. */
  #first(stream: number, task: number, values: Values, id: unknown): void {
    if (++this.#emitsAtOnce > emitsAtOnceMax) this.#flooded()
    if (this.hasEnded && this.#isOver)
      throw emitOutside(this.component.id, this.task, (this.#outlets[stream] as Outlet).stream.name, 'out.end()')
    this.#start(stream, task, values, id, 0)
    this.#emits++
  }

  #flooded(): never {
    const { id } = this.component
    const error = new SquallError('too-many-emits', { component: id, max: emitsAtOnceMax }, { component: id, task: this.task })
    this.#threw(error) // it may come from a callback that no one catches
    throw error
  }

  /** Starts a tree; `attempt` counts from 0. */
  #start(stream: number, task: number, values: Values, id: unknown, attempt: number): void {
    const host = this.#host
    const { cells } = host
    const { ledger } = this.#trees
    if (!host.isInTurn) {
      // a promise or a callback of the source's own: the time of the last turn is stale, and the next has to come
      host.readClock()
      host.wake()
    }
    if (!this.#tracks) {
      this.#hand(stream, task, values, 0, 0)
      this.#count(stream, attempt)
      cells[this.#head + cell.acked]! += 1
      this.#tell(id, undefined)
      return
    }
    const slot = ledger.open(this.#place, host.nowMs)
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
    this.#count(stream, attempt)
    ledger.holder[slot] = this.holder
    ledger.init(slot, this.xorA, this.xorB)
  }

  #count(stream: number, attempt: number): void {
    if (stream !== this.#deadLetters) this.#host.cells[this.#head + (attempt === 0 ? cell.roots : cell.replayed)]! += 1
  }

  #hand(stream: number, task: number, values: Values, rootA: number, rootB: number): void {
    const outlet = this.#outlets[stream] as Outlet
    if (outlet.stream.direct !== task >= 0) throw misused(this.component.id, this.task, outlet.stream.name, task)
    if (task < 0) outlet.deliver(values, rootA, rootB, this)
    else if (!outlet.deliverTo(task, values, rootA, rootB, this)) throw badTask(this.component.id, this.task, outlet.stream.name, task)
  }

  #unknown(stream: string): never {
    throw undeclared(this.component.id, this.task, stream)
  }

  // ---------------------------------------------------------------------------------------------- how trees end

  /** The tree in `slot` is done. */
  done(slot: number): void {
    const { cells, nowMs } = this.#host
    const { ledger } = this.#trees
    this.pending--
    if (ledger.stream[slot] === this.#deadLetters) return
    cells[this.#head + cell.acked]! += 1
    record(cells, this.#latency, nowMs - (ledger.startMs[slot] as number))
    if (this.#spout.ack !== undefined) this.#tell(ledger.ids[slot], undefined)
  }

  /** The tree in `slot` will not be done. */
  failed(slot: number, failure: Failure): void {
    const { cells, timers, nowMs } = this.#host
    const { ledger } = this.#trees
    const id = ledger.ids[slot]
    const stream = ledger.stream[slot] as number
    const target = ledger.target[slot] as number
    const values = ledger.values[slot] as Values
    const attempt = ledger.attempt[slot] as number
    ledger.release(slot)
    if (stream !== this.#deadLetters) cells[this.#head + (failure.kind === 'expired' ? cell.expired : cell.failed)]! += 1
    const { replayLimit, replayBackoffMs, replayBackoffMaxMs } = this.component.config
    if (this.#replays && attempt < replayLimit) {
      const waitMs = Math.min(replayBackoffMs * 2 ** Math.min(attempt, 30), replayBackoffMaxMs)
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
    this.#host.cells[this.#head + cell.deadLettered]! += 1
    const name = (this.#outlets[stream] as Outlet).stream.name
    // also where nobody reads it: it counts, and a test sees it
    this.#again(this.#deadLetters, -1, { values, stream: name, attempts, kind, component, task, message }, undefined, 0)
    if ((this.#outlets[this.#deadLetters] as Outlet).hasReaders) return
    const reason = `a tuple was given up after ${attempts} attempt${attempts === 1 ? '' : 's'} (${kind} in ${component}: ${message})`
    // a text, for where it was made says nothing
    this.#host.reportError(this.component, this.task, `${reason} and nothing reads the stream ${deadLetterStream}`, values)
  }

  /** Tells the spout how a tree ended. A spout that hears of a failure may have something to emit again. */
  #tell(id: unknown, failure: Failure | undefined): void {
    this.#isTold = true
    try {
      const told: unknown = failure === undefined ? this.#spout.ack?.(id) : this.#spout.fail?.(id, failure)
      if (told !== undefined) followHook(told, this.#report)
    } catch (error) {
      this.#report(error)
    }
    this.#isTold = false
    if (failure === undefined || this.#replays || this.#spout.fail === undefined) return
    this.hasEnded = false
    this.#mayRepeat = true
  }

  readonly #report = (error: unknown): void => this.#host.reportError(this.component, this.task, error, undefined)

  /** It was asked and emitted nothing. */
  #hadNothing(): void {
    if (this.#hasEndedBefore && !this.#mayRepeat) this.hasEnded = true
  }

  // ---------------------------------------------------------------------------------------------- async sources

  #await(asked: PromiseLike<unknown>, emits: number): void {
    this.#isAsking = true
    const over = (): void => {
      this.#isAsking = false
      this.#host.callsOver++
      if (this.#emits === emits) {
        this.#hadNothing()
        this.#hadNothingMs = this.#host.nowMs
      }
      this.#host.wake()
    }
    Promise.resolve(asked).then(over, (error: unknown) => {
      this.#threw(error)
      over()
    })
  }

  /** Emits what an async iterable gives, no more at a time than may be pending. */
  async #pull(iterator: AsyncIterator<object>): Promise<void> {
    this.#isPulled = true
    this.#spout = { nextTuple: () => undefined, close: () => this.#release(iterator) }
    try {
      for (;;) {
        while (!this.isActive || this.pending >= this.#pendingMax || this.#pulled >= askMax || this.#host.isUnderPressure) {
          if (this.#host.isClosing) return
          this.#host.wake()
          await new Promise<void>((resolve) => (this.#roomMade = resolve))
        }
        this.#isPulling = true
        const next = await iterator.next()
        this.#isPulling = false
        if (this.#host.isClosing) return
        if (next.done === true) break
        this.#pulled++
        this.emit(next.value)
      }
      this.end()
      this.#host.wake()
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
    const released = Promise.resolve(iterator.return?.())
    if (!this.#isPulling) await released
    else released.catch(() => undefined)
  }

  #threw(error: unknown): void {
    this.hasEnded = true
    this.#host.fatal(wrapped('spout-threw', error, this.component.id, this.task))
  }
}

/** A source that is an iterable, as a spout. */
function overAll(iterator: Iterator<object>): Spout {
  return {
    nextTuple(out: SpoutOutput<Streams>) {
      const next = iterator.next()
      if (next.done === true) out.end()
      else out.emit(next.value as never)
    },
    close: () => void iterator.return?.(),
  }
}
