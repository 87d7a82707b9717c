/** What bolts emit through, and the tuples they hold on to. */
import { SquallError } from '../errors.ts'
import type { EmitOptions, ManualOutput, Streams, Tuple } from '../topology/component.ts'
import type { Values } from '../wire/codec.ts'
import type { BoltTask } from './bolt-task.ts'
import { badTask, emitOutside, misused, undeclared } from './faults.ts'
import type { Anchor, EdgeSum, Outlet } from './outlet.ts'

export const none: readonly HeldTuple[] = []

/** A tuple that a bolt holds until it acks or fails it. */
export class HeldTuple implements Tuple, Anchor {
  readonly values: object
  readonly component: string
  readonly stream: string
  readonly task: number
  readonly anchors: readonly number[]
  xorA = 0
  xorB = 0
  holder = -1
  isSettled = false

  constructor(values: object, component: string, stream: string, task: number, anchors: readonly number[]) {
    this.values = values
    this.component = component
    this.stream = stream
    this.task = task
    this.anchors = anchors
  }
}

/** What a bolt emits through. It also carries the tree of the tuple at hand, so that nothing is allocated per call. */
export class Output implements ManualOutput<Streams>, EdgeSum {
  rootA = 0
  rootB = 0
  xorA = 0
  xorB = 0
  holder = -1
  /** the tuple at hand, when it belongs to several trees */
  held: readonly HeldTuple[] = none
  /** the call this belongs to goes on (automatic acking) */
  isOpen: boolean
  isOver = false
  hasFailed = false
  /** what was given to a call that goes on by itself */
  values: object | undefined
  /** emits that wait for their turn (`ordered`) */
  buffer: (() => void)[] | undefined = undefined
  readonly #task: BoltTask
  /** of the default stream, for emits within a turn: those between two turns have to wake the executor as well */
  #inTurn: Outlet | undefined

  constructor(task: BoltTask) {
    this.#task = task
    this.#inTurn = task.manual ? undefined : task.outlets.get('default')
    this.isOpen = task.manual
  }

  /** From now on it may be used at any time. */
  outliveTurn(): void {
    this.#inTurn = undefined
  }

  emit(values: object, options?: EmitOptions): void {
    const outlet = this.#inTurn
    // the plain case first: automatic acking, one tree or none
    if (outlet !== undefined && this.isOpen && options === undefined && this.held === none && this.buffer === undefined)
      outlet.deliver(values as Values, this.rootA, this.rootB, this)
    else this.#send('default', -1, values as Values, options)
  }

  emitTo(stream: string, values: object, options?: EmitOptions): void {
    this.#send(stream, -1, values as Values, options)
  }

  emitDirect(task: number, stream: string, values: object, options?: EmitOptions): void {
    if (!(task >= 0)) throw badTask(this.#task.component.id, this.#task.task, stream, task)
    this.#send(stream, task, values as Values, options)
  }

  ack(tuple: Tuple): void {
    this.#task.ack(this.#heldOne(tuple))
  }

  fail(tuple: Tuple, error?: unknown): void {
    this.#task.fail(this.#heldOne(tuple), error)
  }

  resetTimeout(tuple: Tuple): void {
    this.#task.resetTimeout(this.#heldOne(tuple))
  }

  #anchorsOf(given: Tuple | readonly Tuple[]): readonly HeldTuple[] {
    if (!this.#task.manual) return [this.#heldOne(undefined)]
    return (Array.isArray(given) ? (given as readonly Tuple[]) : [given]).map((tuple) => {
      const held = this.#heldOne(tuple)
      if (held.isSettled) throw this.#task.settled('anchored to')
      return held
    })
  }

  #heldOne(tuple: unknown): HeldTuple {
    if (tuple instanceof HeldTuple) return tuple
    const { component, task } = this.#task
    throw new SquallError('not-a-tuple', { component: component.id }, { component: component.id, task })
  }

  releaseBuffer(): void {
    const waiting = this.buffer
    this.buffer = undefined
    for (const emit of waiting ?? []) emit()
  }

  #send(stream: string, task: number, values: Values, options: EmitOptions | undefined): void {
    const { component, task: from, outlets } = this.#task
    if (!this.isOpen) throw emitOutside(component.id, from, stream, 'its execute had returned')
    if (this.#task.isOver) throw emitOutside(component.id, from, stream, 'every bolt had finished')
    const outlet = outlets.get(stream)
    if (outlet === undefined) throw undeclared(component.id, from, stream)
    if (outlet.stream.direct !== task >= 0) throw misused(component.id, from, stream, task)
    const anchors = options?.anchors === undefined ? this.held : this.#anchorsOf(options.anchors)
    if (this.buffer !== undefined) {
      outlet.check(values)
      this.buffer.push(() => this.#deliver(outlet, task, values, anchors))
    } else this.#deliver(outlet, task, values, anchors)
    this.#task.host.wake()
  }

  #deliver(outlet: Outlet, task: number, values: Values, anchors: readonly HeldTuple[]): void {
    if (anchors.length > 0) {
      if (outlet.deliverAnchored(values, anchors, task)) return
    } else if (task >= 0) {
      if (outlet.deliverTo(task, values, this.rootA, this.rootB, this)) return
    } else {
      outlet.deliver(values, this.rootA, this.rootB, this)
      return
    }
    throw badTask(this.#task.component.id, this.#task.task, outlet.stream.name, task)
  }
}
