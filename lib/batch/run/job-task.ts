/** One task of a job: runs the program in its executor, one attempt after the other. */
import { join } from 'node:path'
import { SquallError, placed, reasonOf } from '../../errors.ts'
import { displayPath, frameOf } from '../../std/stack.ts'
import type { ManualOutput, TaskContext, Tuple } from '../../topology/component.ts'
import { RddContext } from '../context.ts'
import type { Exchange } from '../exchange.ts'
import { inOrder } from '../rdd/job.ts'
import { trade } from '../rdd/trade.ts'
import { StreamExchange } from './stream-exchange.ts'
import type { BlockPart } from './stream-exchange.ts'

/** What runs in every task. */
export type JobProgram = (sc: RddContext) => void | Promise<void>

/** An order to run the program. */
export interface RunOrder {
  readonly attempt: number
  readonly seed: number
}

/** A part of a block, and the attempt that it belongs to. */
type BlockTuple = BlockPart & { readonly attempt: number }

export type JobStreams = { readonly blocks: BlockTuple }

export class JobTask {
  readonly #program: JobProgram
  readonly #context: TaskContext
  readonly #peers: readonly number[]
  /** the newest attempt that has begun here */
  #attempt = 0
  #isClosed = false
  /** of attempts from the newest on: blocks may come before their attempt begins here */
  readonly #exchanges = new Map<number, StreamExchange>()

  constructor(program: JobProgram, context: TaskContext) {
    this.#program = program
    this.#context = context
    // it tells a job from spouts and bolts
    context.count('jobAttempts', 0)
    this.#peers = context.tasksOf(context.component)
  }

  /** Runs the program; the tuple is acked when it is done in all tasks. */
  async run({ attempt, seed }: RunOrder, out: ManualOutput<JobStreams>, tuple: Tuple): Promise<void> {
    if (attempt < this.#attempt) return out.fail(tuple, this.#superseded(attempt))
    this.#abandonUpTo(attempt - 1)
    this.#attempt = attempt
    this.#context.count('jobAttempts')
    const exchange = this.#exchangeOf(attempt)
    exchange.begin((to, block) => out.emitDirect(this.#peers[to] as number, 'blocks', { attempt, ...block }, { anchors: tuple }))
    const { taskIndex: index, taskCount: count, config } = this.#context
    const folder = config['stateDir']
    const sc = new RddContext({
      index,
      count,
      exchange: checked(exchange, index),
      seed,
      ...(typeof folder === 'string' && { checkpointFolder: join(folder, 'checkpoints') }),
    })
    try {
      await this.#program(sc)
      // after all actions, also those that nobody awaits; a task that is still at one is told that this one is not
      await inOrder(sc, 'the end of the program', () => trade(sc, 'the end of the program', () => new Array<null>(count).fill(null)))
      out.ack(tuple)
    } catch (error) {
      if (attempt === this.#attempt && !this.#isClosed) this.#context.reportError(this.#coded(error))
      out.fail(tuple, error)
    } finally {
      this.#abandon(attempt)
      await sc.stop()
    }
  }

  /** A part of a block has come; it may be for an attempt that has not begun here. */
  block(block: BlockTuple): void {
    if (block.attempt >= this.#attempt && !this.#isClosed) this.#exchangeOf(block.attempt).take(block)
  }

  close(): void {
    this.#isClosed = true
    this.#abandonUpTo(Infinity)
  }

  #exchangeOf(attempt: number): StreamExchange {
    let exchange = this.#exchanges.get(attempt)
    if (exchange === undefined) {
      exchange = new StreamExchange(this.#context.taskIndex, this.#context.taskCount)
      this.#exchanges.set(attempt, exchange)
    }
    return exchange
  }

  #abandonUpTo(last: number): void {
    for (const attempt of this.#exchanges.keys()) if (attempt <= last) this.#abandon(attempt)
  }

  #abandon(attempt: number): void {
    this.#exchanges.get(attempt)?.abandon(() => this.#superseded(attempt))
    this.#exchanges.delete(attempt)
  }

  #superseded(attempt: number): SquallError {
    return new SquallError('job-superseded', { attempt })
  }

  #coded(error: unknown): SquallError {
    const frame = frameOf(error)
    const where = frame === undefined ? {} : { file: displayPath(frame.file), line: frame.line, column: frame.column }
    if (error instanceof SquallError) return error.where.line === undefined ? placed(error, where) : error
    return new SquallError('job-threw', { job: this.#context.topology, reason: reasonOf(error) }, where, { cause: error })
  }
}

/**
 * Tasks whose programs part ways (an action in only some of them, RDDs that chance or the time decide on) would trade what does not
 * belong together, or wait for ever: each says with its blocks where it is.
 */
function checked(exchange: Exchange, index: number): Exchange {
  return {
    async all(blocks, place) {
      const got = await exchange.all(
        blocks.map((block) => [place, block]),
        place,
      )
      return got.map((one, from) => {
        const [theirs, block] = one as readonly [string, unknown]
        if (theirs !== place) throw new SquallError('tasks-differ', { a: index, mine: place, b: from, theirs })
        return block
      })
    },
  }
}
