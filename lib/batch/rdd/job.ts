/**
 * Jobs: what an action starts. All tasks of the run start the same jobs in the same order, one at a time; each computes the
 * partitions that it owns, and all get all results, so that the program goes on the same everywhere.
 */
import { SquallError } from '../../errors.ts'
import type { RddContext } from '../context.ts'
import { isComputing, isInCallback } from './attempts.ts'
import { writeCheckpoints } from './checkpoint.ts'
import { Node } from './node.ts'
import type { Dependency, Stage } from './node.ts'
import { computed } from './trade.ts'
import type { PartitionBody } from './trade.ts'

/** Runs `body` on the partitions of `node` (all of them, or those `wanted`); the results are in the order of the partitions. */
export function runJob<T, R>(node: Node<T>, name: string, body: PartitionBody<T, R>, wanted?: readonly number[]): Promise<R[]> {
  return inOrder(node.context, name, async () => {
    await prepare(node)
    const partitions = wanted ?? Array.from({ length: node.partitions }, (_, partition) => partition)
    const results = await computed(node, name, partitions, body)
    await writeCheckpoints(node)
    return results
  })
}

/**
 * Queues a job of a context behind those that were started before it. An action of several rounds is one job all the same, so
 * that rounds of two actions cannot mix in another order in another task.
 *
 * Throws at once, and not by its promise, where no action may be: nobody there would await it.
 */
export function inOrder<R>(context: RddContext, name: string, job: () => Promise<R>): Promise<R> {
  if (isComputing() || isInCallback(context)) throw new SquallError('rdd-nested', { what: `the action ${name}` })
  context.checkRuns(name)
  return context.enqueue(job)
}

/**
 * Does everything that must be done by all tasks before partitions of `node` can be computed. What is done is skipped.
 *
 * Without recursion: a lineage may be thousands of RDDs deep.
 */
export async function prepare(node: Node<unknown>): Promise<void> {
  const seen = new Set<Node<unknown>>()
  const todo: (Node<unknown> | Stage)[] = [node]
  for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
    if (!(next instanceof Node)) {
      if (!next.isDone) await next.run()
    } else if (!seen.has(next)) {
      seen.add(next)
      for (const one of next.dependencies.flatMap(whatIsBelow).reverse()) todo.push(one)
    }
  }
}

/** What has to be done for a dependency, in order. */
function whatIsBelow({ node, stage }: Dependency): readonly (Node<unknown> | Stage)[] {
  if (stage === undefined) return [node]
  return stage.isDone ? [] : [...stage.inputs, stage]
}
