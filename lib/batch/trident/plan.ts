/**
 * What Trident adds to a graph of streams when all is declared: streams that nobody reads run for what their functions do, the last
 * stream behind a DRPC function gives its answers, and what several read is computed once.
 */
import { SquallError } from '../../errors.ts'
import type { DStream } from '../dstream/dstream.ts'
import { eachPartition, foreachRdd } from '../dstream/outputs.ts'
import type { StreamGraph, StreamNode } from '../dstream/graph.ts'
import type { Range } from '../source.ts'
import type { Row } from './aggregates.ts'

/** Takes the answer to the request that a batch took. */
type Answer = (request: Range, rows: readonly Row[]) => void

class Plan {
  readonly #graph: StreamGraph
  readonly #streams = new Set<DStream<Row>>()
  readonly #functions: { readonly root: StreamNode<unknown>; readonly name: string; readonly source: string; readonly answer: Answer }[] =
    []

  constructor(graph: StreamGraph) {
    this.#graph = graph
  }

  add(stream: DStream<Row>): void {
    this.#streams.add(stream)
  }

  /** `root` is a stream of the function's calls, which come from `source`. */
  addFunction(root: StreamNode<unknown>, name: string, source: string, answer: Answer): void {
    this.#functions.push({ root, name, source, answer })
  }

  finish(): void {
    const graph = this.#graph
    const read = new Map<StreamNode<unknown>, number>()
    for (const parent of [...graph.streams.flatMap(({ parents }) => parents), ...graph.outputs.map(({ stream }) => stream)])
      read.set(parent, (read.get(parent) ?? 0) + 1)
    const leaves = graph.streams.filter((stream) => !graph.streams.some(({ parents }) => parents.includes(stream)))
    for (const stream of this.#streams) {
      if ((read.get(stream) ?? 0) > 1 && !stream.isStateful) stream.persist()
      if (!read.has(stream)) graph.addOutput({ ...eachPartition(stream, () => undefined), isInner: true })
    }
    for (const { root, name, source, answer } of this.#functions) {
      const results = leaves.filter((leaf) => leaf !== root && comesFrom(leaf, root))
      if (results.length === 1) this.#answerWith(results[0] as StreamNode<Row>, source, answer)
      else
        graph.fault(
          new SquallError(
            'trident-operator',
            {
              operator: `the function ${name}`,
              problem: results.length === 0 ? 'nothing is done with its calls' : `${results.length} streams could be its answer`,
              hint: 'let everything behind newDRPCStream end in one stream, with merge or join for example',
            },
            graph.where(source),
          ),
        )
    }
  }

  #answerWith(stream: StreamNode<Row>, source: string, answer: Answer): void {
    this.#graph.addOutput({
      name: 'drpc',
      stream,
      run: (rdd, scope) =>
        foreachRdd(stream, async (all) => {
          const request = scope.ranges[source]
          if (request !== undefined) answer(request, await all.collect())
        }).run(rdd, scope),
    })
  }
}

const plans = new WeakMap<StreamGraph, Plan>()

export function planOf(graph: StreamGraph): Plan {
  let plan = plans.get(graph)
  if (plan === undefined) {
    const made = new Plan(graph)
    plans.set(graph, (plan = made))
    graph.finishers.push(() => made.finish())
  }
  return plan
}

function comesFrom(stream: StreamNode<unknown>, root: StreamNode<unknown>): boolean {
  return stream === root || stream.parents.some((parent) => comesFrom(parent, root))
}
