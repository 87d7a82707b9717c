/**
 * Calls from outside that a topology answers (Storm's `LocalDRPC`): within one process. Each call is a batch of its own function's stream; the
 * last stream behind it is the answer.
 *
 * A call travels in what its batch takes, so every task can read it. The answer is given where the driver runs. All tasks are in the thread that
 * calls, or else the run is refused: one executor of a run, or any number of a `LocalCluster`.
 */
import { randomUUID } from 'node:crypto'
import { SquallError } from '../../errors.ts'
import { isExecutorThread } from '../../std/threads.ts'
import type { StreamOptions, StreamTopologyBuilder } from '../builder.ts'
import type { BatchSource } from '../source.ts'
import type { Row } from './aggregates.ts'
import { planOf } from './plan.ts'
import { trident } from './stream.ts'
import type { TridentStream } from './stream.ts'

/** What a batch takes: plain JSON. */
interface Request {
  readonly id: string
  readonly args: string
}

interface Waiting {
  readonly name: string
  readonly resolve: (rows: readonly Row[]) => void
  readonly reject: (error: SquallError) => void
}

/**
 * ```ts
 * const drpc = new LocalDrpc()
 * export default topology('words', (t) => {
 *   drpc.newDRPCStream(t, 'length').map((call) => [String(call.get('args')).length], ['length'])
 * })
 * await drpc.execute('length', 'four') // [[4]]
 * ```
 */
export class LocalDrpc {
  /** a run that starts again must not answer what an earlier one was asked */
  readonly #run = randomUUID()
  readonly #queues = new Map<string, Request[]>()
  readonly #waiting = new Map<string, Waiting>()
  #calls = 0
  #hasEnded = false

  /** The calls of a function: a stream with the field `args`. What everything behind it comes to is the answer. */
  newDRPCStream(t: StreamTopologyBuilder, name: string, options?: StreamOptions): TridentStream<'args'> {
    if (!this.#queues.has(name)) this.#queues.set(name, [])
    const source = `drpc:${name}`
    const stream = trident(t.stream(source, this.#source(name), options), ['args'])
    planOf(stream.stream.graph).addFunction(stream.stream, name, source, (request, rows) => this.#answer((request as Request).id, rows))
    return stream
  }

  /** Calls a function; resolves with the rows of its answer. Errors: `drpc-unknown`, `drpc-stopped`. */
  execute(name: string, args: string): Promise<readonly Row[]> {
    const queue = this.#queues.get(name)
    if (queue === undefined)
      return Promise.reject(
        new SquallError('drpc-unknown', { function: name, known: this.#queues.size === 0 ? 'none' : [...this.#queues.keys()].join(', ') }),
      )
    if (this.#hasEnded) return Promise.reject(new SquallError('drpc-stopped', { function: name }))
    const id = `${this.#run}.${++this.#calls}`
    queue.push({ id, args })
    return new Promise((resolve, reject) => this.#waiting.set(id, { name, resolve, reject }))
  }

  /** No more calls: a topology whose other sources have ended too ends when all are answered. */
  end(): void {
    this.#hasEnded = true
  }

  #answer(id: string, rows: readonly Row[]): void {
    this.#waiting.get(id)?.resolve(rows)
    this.#waiting.delete(id)
  }

  #stop(name: string): void {
    this.#queues.set(name, [])
    for (const [id, waiting] of this.#waiting) {
      if (waiting.name !== name) continue
      this.#waiting.delete(id)
      waiting.reject(new SquallError('drpc-stopped', { function: name }))
    }
  }

  #source(name: string): BatchSource<string> {
    const queue = (): Request[] => this.#queues.get(name) as Request[]
    const hasEnded = (): boolean => this.#hasEnded && queue().length === 0
    return {
      kind: 'transactional',
      planner: ({ topology, stream }) => {
        // whoever calls is in another thread, with a queue of its own that nobody looks at
        if (isExecutorThread()) throw new SquallError('drpc-threads', { function: name }, { topology, stream })
        return {
          next: () => queue().shift(),
          get hasEnded() {
            return hasEnded()
          },
          close: () => this.#stop(name),
        }
      },
      reader: () => ({ partitions: () => 1, read: (request, _, push) => push((request as Request).args) }),
    }
  }
}
