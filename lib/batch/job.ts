/**
 * `job(name, build)`: an RDD program as a topology, so that `squall run` runs it in all executors.
 *
 *     start (spout, one task) --run, to all--> program (bolt, a task in each executor) --blocks, direct--> program
 *
 * Every task runs the same program with a context of its own; contexts trade over the stream `blocks`. The program is done when it has
 * resolved in all tasks. When an executor dies, it begins again in all of them: what was traded lives as long as a run of it.
 */
import { z } from 'zod'
import { SquallError } from '../errors.ts'
import { shown } from '../std/words.ts'
import { topology as topologyOfBolts } from '../topology/builder.ts'
import type { TopologyBuilder } from '../topology/builder.ts'
import { defineBolt, defineSpout } from '../topology/component.ts'
import type { Failure, ManualOutput, SpoutContext, SpoutOutput } from '../topology/component.ts'
import type { TopologyDefinition } from '../topology/draft.ts'
import { JobTask } from './run/job-task.ts'
import type { JobProgram, JobStreams, RunOrder } from './run/job-task.ts'
import { BlockPartSchema } from './run/stream-exchange.ts'

/** What a job is declared with. */
export type JobBuilder = Pick<TopologyBuilder, 'param' | 'config'>

const RunSchema = z.object({ attempt: z.int(), seed: z.int() })
const BlockSchema = BlockPartSchema.extend({ attempt: z.int() })

/**
 * A program of RDDs that runs in all executors of `squall run`: what its file exports by default. `build` reads parameters and returns the
 * program, which every executor runs with its own `RddContext`; actions give all of them the same result. What is to happen once
 * is for `sc.isDriver` or `sc.once`.
 *
 * Errors: `job-threw`, `tasks-differ`, and those of RDDs.
 *
 * ```ts
 * export default job('top-words', (t) => {
 *   const input = t.param('input', z.string())
 *   return async (sc) => {
 *     const words = sc.textFile(input).flatMap((line) => line.split(' '))
 *     const top = await words.map((word) => [word, 1]).reduceByKey((a, b) => a + b).top(10, ([, a], [, b]) => a - b)
 *     if (sc.isDriver) console.log(top)
 *   }
 * })
 * ```
 */
export function job(name: string, build: (t: JobBuilder) => JobProgram): TopologyDefinition {
  return topologyOfBolts(name, (t) => {
    if (typeof build !== 'function') throw misbuilt('the second argument', build, "a function: job('name', (t) => async (sc) => { ... })")
    // a program that is still under way when trees would expire is no fault
    t.config({ messageTimeouts: false })
    const program: unknown = build({ param: t.param.bind(t), config: t.config.bind(t) })
    if (typeof program !== 'function')
      throw misbuilt('what the second argument returns', program, 'the program, a function: async (sc) => { ... }')
    addComponents(t, program as JobProgram)
  })
}

function misbuilt(what: string, value: unknown, expected: string): SquallError {
  return new SquallError('bad-definition', { what, component: 'job(name, build)', value: shown(value), expected })
}

function addComponents(t: TopologyBuilder, program: JobProgram): void {
  const start = defineSpout({ outputs: { run: RunSchema }, open: (context) => new Start(context) })
  const bolt = defineBolt({
    inputs: { run: RunSchema, blocks: BlockSchema },
    outputs: { blocks: { schema: BlockSchema, direct: true } },
    ack: 'manual',
    // blocks must get through while the program is under way
    concurrency: 1 << 20,
    prepare(context) {
      const task = new JobTask(program, context)
      return {
        execute: {
          run: (order, out, tuple) => task.run(order, out as ManualOutput<JobStreams>, tuple),
          blocks: (block, out, tuple) => {
            task.block(block)
            out.ack(tuple)
          },
        },
        cleanup: () => task.close(),
      }
    },
  })
  t.bolt('program', bolt, { parallelism: 'executors' })
    .input('run')
    .all(t.spout('start', start).stream('run'))
    .input('blocks')
    .direct(t.later('program', BlockSchema, 'blocks'))
}

/** Orders the program to be run, and again after an executor has died; how often that may be is a setting of the engine. */
class Start {
  readonly #context: SpoutContext
  readonly #seed: number
  #attempt: number
  #isUnderWay = false

  constructor(context: SpoutContext) {
    this.#context = context
    this.#seed = context.random.below(1 << 30)
    this.#attempt = context.position ?? 0
  }

  nextTuple(out: SpoutOutput<{ readonly run: RunOrder }>): void {
    if (this.#isUnderWay) return
    this.#isUnderWay = true
    this.#attempt++
    // this task's own executor may be the one that dies
    this.#context.savePosition(this.#attempt)
    out.emitTo('run', { attempt: this.#attempt, seed: this.#seed }, this.#attempt)
    out.end()
  }

  fail(_: unknown, { kind }: Failure): void {
    // what a task has failed by itself has ended the topology by its error
    this.#isUnderWay = kind === 'failed'
  }
}
