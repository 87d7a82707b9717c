/**
 * One task of the spout `receivers`: runs the receivers of its executor, and gives each block of theirs to the task of the batch bolt
 * beside it. A block whose tree is acked is stored and known; one whose tree is lost is sent again under the same name.
 *
 *     idle ── nextTuple ──▶ starting ── acked ──▶ receiving ── all receivers have stopped ──▶ stopped ── acked ──▶ over
 *       ▲                                             └────────── deactivated, likewise ──▶ paused
 *       └───────────────────────────── activated again ──────────────────────────────────────┘
 */
import { SquallError } from '../../errors.ts'
import type { Failure, Spout, SpoutContext, SpoutOutput } from '../../topology/component.ts'
import type { BlockInfo } from './block.ts'
import { receiversOf } from './received.ts'
import type { NumberedReceiver, ReceivedSource } from './received.ts'
import type { ReceivedTuple, ReceiverStreams, StateTuple } from './streams.ts'
import { ReceiverSupervisor } from './supervisor.ts'
import type { ReceiverEvent } from './supervisor.ts'

/** How often a block is sent whose tree was lost or has expired. */
const triesMax = 5

/** The position of a task that is over, also when its executor has died since. */
const over = 1

/** A block under way: the message id of its tree. */
class Sending {
  readonly tuple: ReceivedTuple
  readonly resolve: () => void
  readonly reject: (error: Error) => void
  tries = 1

  constructor(tuple: ReceivedTuple, resolve: () => void, reject: (error: Error) => void) {
    this.tuple = tuple
    this.resolve = resolve
    this.reject = reject
  }
}

export class ReceiverTask implements Spout<ReceiverStreams> {
  readonly #context: SpoutContext
  readonly #mine: readonly NumberedReceiver[]
  readonly #local: number
  readonly #driver: number
  #out: SpoutOutput<ReceiverStreams> | undefined
  #phase: StateTuple['state'] | 'idle' | 'over' = 'idle'
  #isWanted = true
  #isClosed = false
  #supervisors: ReceiverSupervisor[] = []
  readonly #sending = new Set<Sending>()

  constructor(streams: ReadonlyMap<string, ReceivedSource>, context: SpoutContext) {
    this.#context = context
    const { taskIndex, taskCount, tasksOf } = context
    this.#mine = receiversOf(streams, taskIndex, taskCount)
    const tasks = tasksOf('batch')
    this.#local = tasks[taskIndex] as number
    this.#driver = tasks[0] as number
    if (context.position === over) this.#phase = 'over'
  }

  nextTuple(out: SpoutOutput<ReceiverStreams>): void {
    this.#out = out
    if (this.#phase === 'idle') this.#enter('starting')
    else if (this.#phase === 'over') out.end()
  }

  ack(id: unknown): void {
    if (id instanceof Sending) {
      this.#sending.delete(id)
      id.resolve()
    } else if (id === 'starting' && this.#phase === 'starting') void this.#receive()
    else if (id === 'stopped' && this.#phase === 'stopped') {
      this.#phase = 'over'
      // the run may be about to end: nobody would hear what is received from here on
      this.#context.savePosition(over)
    }
  }

  fail(id: unknown, failure: Failure): void {
    if (!(id instanceof Sending)) {
      // the driver has died, or is slow
      if (id === this.#phase) this.#tell(id as StateTuple['state'])
    } else if (failure.kind !== 'failed' && id.tries < triesMax && !this.#isClosed) {
      id.tries++
      this.#emit(id)
    } else this.#reject(id, new Error(failure.message))
  }

  activate(): void {
    this.#isWanted = true
    if (this.#phase === 'paused') this.#phase = 'idle'
  }

  /** The run is to end, or pauses: what was stored is still reported. */
  deactivate(): void {
    this.#isWanted = false
    for (const supervisor of this.#supervisors) void supervisor.stop()
  }

  /** Blocks that are under way now are not acked any more. */
  async close(): Promise<void> {
    this.#isClosed = true
    for (const sending of this.#sending) this.#reject(sending, new Error('the run has ended'))
    await Promise.all(this.#supervisors.map((supervisor) => supervisor.stop()))
  }

  #enter(phase: StateTuple['state']): void {
    this.#phase = phase
    this.#tell(phase)
  }

  #tell(state: StateTuple['state']): void {
    this.#out?.emitDirect(this.#driver, 'state', { task: this.#context.taskIndex, state }, state)
  }

  async #receive(): Promise<void> {
    this.#enter('receiving')
    const mine = this.#isWanted ? this.#mine : []
    await Promise.all(mine.map((one) => new Promise<void>((ended) => this.#supervise(one, ended))))
    this.#supervisors = []
    if (!this.#isClosed) this.#enter(this.#isWanted ? 'stopped' : 'paused')
  }

  /** Runs a receiver; `ended` is called when it has stopped and all it stored is reported. */
  #supervise({ stream, receiver, source, number }: NumberedReceiver, ended: () => void): void {
    const { blockIntervalMs, blockQueueMax, restartDelayMs } = source
    const stored = new Map<string, readonly unknown[]>()
    const supervisor = new ReceiverSupervisor({
      stream,
      receiver,
      schedule: this.#context,
      // one tree does both: the block goes on its way when it is to be reported
      blocks: {
        store: (blockId, items) => Promise.resolve(void stored.set(blockId, items)),
        read: () => Promise.resolve(undefined),
        remove: () => Promise.resolve(),
        close: () => Promise.resolve(),
      },
      report: (block) => {
        const items = stored.get(block.blockId) ?? []
        stored.delete(block.blockId)
        return this.#send(block, items, number)
      },
      onEvent: (event) => {
        this.#heard(event)
        if (event.kind === 'stopped') ended()
      },
      blockIntervalMs,
      blockQueueMax,
      restartDelayMs,
    })
    this.#supervisors.push(supervisor)
    supervisor.start().catch(() => undefined) // told by its stop
  }

  #send({ blockId, stream, records, metadata = null }: BlockInfo, items: readonly unknown[], number: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const sending = new Sending({ blockId: `${number}.${blockId}`, stream, records, metadata, items }, resolve, reject)
      if (this.#isClosed) reject(new Error('the run has ended'))
      else this.#emit(sending)
    })
  }

  #emit(sending: Sending): void {
    this.#sending.add(sending)
    try {
      this.#out?.emitDirect(this.#local, 'received', sending.tuple, sending)
    } catch (error) {
      this.#reject(sending, error as Error)
    }
  }

  #reject(sending: Sending, error: Error): void {
    this.#sending.delete(sending)
    sending.reject(error)
  }

  #heard(event: ReceiverEvent): void {
    const { kind, stream, message, error } = event
    const { log, reportError } = this.#context
    const text = error === undefined ? message : `${message}: ${error.message}`
    if (kind === 'restarting') log.warn({ stream }, `receiver restarts: ${text}`)
    else if (error === undefined && kind !== 'error') log.info({ stream }, `receiver: ${text}`)
    // one that does not start ends the run; else a coded error is of one connection or one record
    else reportError(kind === 'stopped' && error instanceof SquallError ? error : `receiver of stream ${stream}: ${text}`)
  }
}
