/**
 * One task of a bolt: takes tuples from its inbox, runs the user's `execute`, and settles what it ran.
 *
 * The synchronous path makes no object and no promise per tuple: one `Output` serves all calls, and only when `execute`
 * returned a promise does that call keep the `Output` for itself while the task gets a new one.
 */
import { SquallError } from '../errors.ts'
import type { Bolt, ManualOutput, Streams, Tuple } from '../topology/component.ts'
import type { PlannedComponent, PlannedStream } from '../topology/plan.ts'
import { HeldTuple, Output, none } from './bolt-output.ts'
import { cell } from './cells.ts'
import { cannotStart, checkHooks, followHook, found, isPromise, messageOf, wrapped } from './faults.ts'
import type { TaskHost } from './host.ts'
import { severalRoots } from './inbox.ts'
import type { Inbox } from './inbox.ts'
import type { Tap } from './run-types.ts'
import type { Outlet } from './outlet.ts'
import type { Trees } from './trees.ts'

/** Tuples a task may run in a row: few enough that the others do not wait long, see `executor.ts`. */
const runTuplesMax = 256
/** Where runs are this short, executions are long enough to read the clock after each, so that latencies are exact. */
const slowRun = 16

/** stands for the tuple that bolts with automatic acking do not see */
const nothing = undefined as unknown as Tuple

type Call = (values: object, out: ManualOutput<Streams>, tuple: Tuple) => unknown

export class BoltTask {
  readonly inbox: Inbox
  readonly task: number
  readonly component: PlannedComponent
  readonly host: TaskHost
  readonly outlets: ReadonlyMap<string, Outlet>
  readonly manual: boolean
  /** calls of an async `execute` that have not settled */
  inFlight = 0
  instance: Bolt = { execute: () => undefined }
  readonly #trees: Trees
  #out: Output
  readonly #head: number
  readonly #executedCell: number
  readonly #concurrency: number
  readonly #ordered: boolean
  /** async calls in the order of their inputs, with `ordered` */
  readonly #calls: Output[] = []
  #calledByInput: readonly Call[] | undefined
  #runMax = 16
  #hasFinished = false

  constructor(host: TaskHost, trees: Trees, component: PlannedComponent, task: number, inbox: Inbox, outlets: ReadonlyMap<string, Outlet>) {
    const { definition } = component
    if (definition.kind !== 'bolt') throw new TypeError('a bolt task runs a bolt')
    this.host = host
    this.#trees = trees
    this.component = component
    this.task = task
    this.inbox = inbox
    this.outlets = outlets
    this.manual = definition.manual
    this.#concurrency = definition.concurrency
    this.#ordered = definition.ordered && definition.concurrency > 1
    this.#head = host.layout.head(task)
    this.#executedCell = host.layout.executed(task, 0)
    this.#out = new Output(this)
  }

  /** Takes the instance that `prepare` made. */
  begin(instance: Bolt, tap?: Tap): void {
    const { id, inputs } = this.component
    const execute: unknown = instance.execute
    if (typeof execute === 'object' && execute !== null)
      this.#calledByInput = inputs.map(({ name }) => this.#callFor(name, execute as Readonly<Record<string, unknown>>))
    else if (typeof execute !== 'function')
      throw cannotStart(id, this.task, `prepare has to return execute, or an object that has it; execute is ${found(execute)}`)
    checkHooks(instance, ['onTick', 'finish', 'cleanup'], id, this.task)
    const { definition } = this.component
    if (definition.kind === 'bolt' && definition.tick !== undefined && instance.onTick === undefined)
      throw cannotStart(id, this.task, 'it has a tick, but what its prepare returned has no onTick')
    this.instance = instance
    if (tap !== undefined) this.#calledByInput = this.component.inputs.map((_, input) => this.#tapped(input, tap))
  }

  #callFor(input: string, execute: Readonly<Record<string, unknown>>): Call {
    const call = execute[input]
    if (typeof call === 'function') return call as Call
    throw cannotStart(this.component.id, this.task, `its execute is ${found(execute)}, which has no function for the input ${input}`)
  }

  /** The call for an input, seen by a tap. */
  #tapped(input: number, tap: Tap): Call {
    const { id, inputs, firstTask } = this.component
    const { name } = inputs[input] as PlannedComponent['inputs'][number]
    const call = this.#calledByInput?.[input] ?? (this.instance.execute as Call).bind(this.instance)
    return (values, out, tuple) => {
      tap.executed({ component: id, task: this.task, taskIndex: this.task - firstTask, input: name, values })
      return call(values, out, tuple)
    }
  }

  /** It has had its last word, and the run closes. One that is stopped instead may drop what is emitted: it is not done. */
  get isOver(): boolean {
    return this.host.isDead || (this.#hasFinished && this.host.isClosing)
  }

  get canRun(): boolean {
    return this.inbox.size > 0 && this.inFlight < this.#concurrency
  }

  /** Tuples waiting here or being executed. */
  get pending(): number {
    return this.inbox.size + this.inFlight
  }

  /** Executes a run of waiting tuples; returns how many. */
  run(): number {
    return this.manual ? this.#runManual() : this.#runAuto()
  }

  /** After a run of `ran` tuples that took `ms`: the next may take about 0.2 ms. */
  pace(ran: number, ms: number): void {
    if (ms > 0.4) this.#runMax = Math.max(1, Math.floor((ran * 0.2) / ms))
    else if (ran === this.#runMax && this.#runMax < runTuplesMax) this.#runMax *= 2
  }

  #runAuto(): number {
    const { inbox, instance, host } = this
    const { cells } = host
    const trees = this.#trees
    const byInput = this.#calledByInput
    const execute = instance.execute as Call
    const plain = byInput === undefined
    const max = this.#runMax
    const isSlow = max <= slowRun
    // tuples of one tree mostly follow one another: their acks go out as one
    let treeA = 0
    let treeB = 0
    let doneA = 0
    let doneB = 0
    let holder = -1
    let ran = 0
    // calls that failed, or that go on and are counted when they are over
    let others = 0
    while (ran < max && inbox.size > 0 && this.inFlight < this.#concurrency) {
      ran++
      const values = inbox.take() as object
      const { rootA, rootB } = inbox
      const out = this.#out
      out.rootA = rootA
      out.rootB = rootB
      out.xorA = inbox.edgeA
      out.xorB = inbox.edgeB
      out.holder = -1
      out.isOpen = true
      if (rootA === severalRoots) out.held = [this.#hold(values)]
      const executed = this.#executedCell + inbox.input
      cells[executed] = (cells[executed] as number) + 1
      if (this.#ordered && this.#calls.length > 0) out.buffer = []
      let result: unknown
      try {
        result = plain ? execute.call(instance, values, out, nothing) : (byInput[inbox.input] as Call)(values, out, nothing)
      } catch (error) {
        others++
        if (isSlow) host.readClock()
        this.#failed(out, values, error)
        continue
      }
      if (isSlow) host.readClock()
      if (out.buffer !== undefined || (result !== undefined && isPromise(result))) {
        others++
        this.#detach(out, values, result)
      } else if (rootA > 0 && isSlow) {
        // the next may take long, and so would this one's ack
        trees.ack(rootA, rootB, out.xorA, out.xorB, out.holder)
      } else if (rootA > 0) {
        if (rootA !== treeA || rootB !== treeB) {
          if (treeA > 0) trees.ack(treeA, treeB, doneA, doneB, holder)
          treeA = rootA
          treeB = rootB
          doneA = 0
          doneB = 0
          holder = -1
        }
        doneA ^= out.xorA
        doneB ^= out.xorB
        if (out.holder >= 0) holder = out.holder
      } else if (rootA === severalRoots) this.#settle(out)
    }
    if (treeA > 0) trees.ack(treeA, treeB, doneA, doneB, holder)
    this.#out.isOpen = false
    const acked = this.#head + cell.acked
    cells[acked] = (cells[acked] as number) + ran - others
    return ran
  }

  #runManual(): number {
    const { inbox, instance, host } = this
    const { cells } = host
    const byInput = this.#calledByInput
    const execute = instance.execute as Call
    const max = this.#runMax
    const out = this.#out
    let ran = 0
    while (ran < max && inbox.size > 0 && this.inFlight < this.#concurrency) {
      ran++
      const values = inbox.take() as object
      const tuple = this.#hold(values)
      const executed = this.#executedCell + inbox.input
      cells[executed] = (cells[executed] as number) + 1
      let result: unknown
      try {
        result = byInput === undefined ? execute.call(instance, values, out, tuple) : (byInput[inbox.input] as Call)(values, out, tuple)
      } catch (error) {
        this.#threw(error, values)
        if (!tuple.isSettled) this.fail(tuple, error)
        continue
      }
      if (result !== undefined && isPromise(result)) this.#follow(tuple, result)
    }
    return ran
  }

  // ---------------------------------------------------------------------------------------------- settling

  /** A tuple with its trees, to be held; the inbox has just given it. */
  #hold(values: object): HeldTuple {
    const { inbox } = this
    const { stream } = this.component.inputs[inbox.input] as PlannedComponent['inputs'][number]
    const { component, name } = this.host.plan.streams[stream] as PlannedStream
    const { rootA, rootB, edgeA, edgeB } = inbox
    const anchors = rootA === severalRoots ? inbox.takeAnchors() : rootA === 0 ? [] : [rootA, rootB, edgeA, edgeB]
    return new HeldTuple(values, component, name, inbox.source, anchors)
  }

  ack(tuple: HeldTuple): void {
    this.#once(tuple)
    const acked = this.#head + cell.acked
    this.host.cells[acked] = (this.host.cells[acked] as number) + 1
    this.#ackHeld(tuple)
  }

  fail(tuple: HeldTuple, error: unknown): void {
    this.#once(tuple)
    const failed = this.#head + cell.failed
    this.host.cells[failed] = (this.host.cells[failed] as number) + 1
    const { anchors } = tuple
    for (let i = 0; i < anchors.length; i += 4)
      this.#trees.fail(anchors[i] as number, anchors[i + 1] as number, this.task, messageOf(error))
    this.host.wake()
  }

  resetTimeout(tuple: HeldTuple): void {
    const { anchors } = tuple
    for (let i = 0; i < anchors.length; i += 4) this.#trees.resetTimeout(anchors[i] as number, anchors[i + 1] as number)
    this.host.wake()
  }

  #ackHeld({ anchors, xorA, xorB, holder }: HeldTuple): void {
    for (let i = 0; i < anchors.length; i += 4)
      this.#trees.ack(
        anchors[i] as number,
        anchors[i + 1] as number,
        (anchors[i + 2] as number) ^ xorA,
        (anchors[i + 3] as number) ^ xorB,
        holder,
      )
    this.host.wake()
  }

  #once(tuple: HeldTuple): void {
    if (tuple.isSettled) throw this.settled('acked or failed')
    tuple.isSettled = true
    if (this.#runMax <= slowRun) this.host.readClock()
  }

  /** The error for what was done with a tuple that had been acked or failed. */
  settled(done: 'acked or failed' | 'anchored to'): SquallError {
    const component = this.component.id
    return new SquallError('already-settled', { component, done }, { component, task: this.task })
  }

  /** Settles a call of automatic acking that is over. */
  #settle(out: Output): void {
    if (out.rootA > 0) this.#trees.ack(out.rootA, out.rootB, out.xorA, out.xorB, out.holder)
    else for (const held of out.held) this.#ackHeld(held)
    out.held = none
  }

  #failed(out: Output, values: object, error: unknown): void {
    this.#threw(error, values)
    if (out.hasFailed) return
    const { cells } = this.host
    const trees = this.#trees
    cells[this.#head + cell.failed]! += 1
    const message = messageOf(error)
    if (out.rootA > 0) trees.fail(out.rootA, out.rootB, this.task, message)
    for (const { anchors } of out.held)
      for (let i = 0; i < anchors.length; i += 4) trees.fail(anchors[i] as number, anchors[i + 1] as number, this.task, message)
    out.held = none
    out.buffer = undefined
  }

  #threw(error: unknown, values: object | undefined): void {
    this.host.reportError(this.component, this.task, error, values)
  }

  // ---------------------------------------------------------------------------------------------- async calls

  /** This call goes on by itself, or what it emitted has to wait for its turn: it keeps its output, the next gets a new one. */
  #detach(out: Output, values: object, result: unknown): void {
    this.#out = new Output(this)
    this.inFlight++
    out.values = values
    out.outliveTurn()
    if (this.#ordered) this.#calls.push(out)
    if (!isPromise(result)) this.#callOver(out)
    else
      Promise.resolve(result).then(
        () => this.#callOver(out),
        (error: unknown) => {
          this.#callFailed(out, error)
          this.#callOver(out)
        },
      )
  }

  #callOver(out: Output): void {
    if (this.host.isDead) return
    out.isOver = true
    out.isOpen = false
    if (this.#ordered) this.#releaseCalls()
    else this.#callDone(out)
    this.host.wake()
  }

  /** Calls end in the order of their inputs: the first one emits at once, the others when it is their turn. */
  #releaseCalls(): void {
    for (let first = this.#calls[0]; first !== undefined; first = this.#calls[0]) {
      try {
        first.releaseBuffer()
      } catch (error) {
        this.#callFailed(first, error)
      }
      if (!first.isOver) return
      this.#calls.shift()
      this.#callDone(first)
    }
  }

  #callFailed(out: Output, error: unknown): void {
    this.#failed(out, out.values as object, error)
    out.hasFailed = true
  }

  #callDone(out: Output): void {
    this.inFlight--
    this.host.callsOver++
    if (out.hasFailed) return
    this.host.cells[this.#head + cell.acked]! += 1
    this.#settle(out)
  }

  /** An async `execute` with manual acking: only its failure is ours. */
  #follow(tuple: HeldTuple, promise: PromiseLike<unknown>): void {
    this.inFlight++
    const over = (): void => {
      this.inFlight--
      this.host.callsOver++
      this.host.wake()
    }
    Promise.resolve(promise).then(over, (error: unknown) => {
      this.#threw(error, tuple.values)
      if (!tuple.isSettled) this.fail(tuple, error)
      over()
    })
  }

  // ---------------------------------------------------------------------------------------------- hooks

  tick(): void {
    if (this.#hasFinished) return // its readers may have finished too
    const out = this.#hookOutput()
    const report = (error: unknown): void => this.#threw(error, undefined)
    try {
      followHook(this.instance.onTick?.(out), report)
    } catch (error) {
      report(error)
    }
    out.isOpen = this.manual
  }

  /** The sources have ended: a last word of the bolt. Throws `finish-threw`. */
  async finish(): Promise<void> {
    this.#hasFinished = true
    if (this.instance.finish === undefined) return
    const out = this.#hookOutput()
    try {
      await this.instance.finish(out)
    } catch (error) {
      throw wrapped('finish-threw', error, this.component.id, this.task)
    }
    out.isOpen = this.manual
  }

  async close(): Promise<void> {
    try {
      await this.instance.cleanup?.()
    } catch (error) {
      throw wrapped('finish-threw', error, this.component.id, this.task)
    }
  }

  #hookOutput(): Output {
    const out = new Output(this)
    out.isOpen = true
    out.outliveTurn()
    return out
  }
}
