/** Trades within a job: what all tasks of the run do together. */
import { SquallError, errorData, errorFrom } from '../../errors.ts'
import type { ErrorData } from '../../errors.ts'
import type { RddContext } from '../context.ts'
import { asCallback, tried } from './attempts.ts'
import type { Node, Push } from './node.ts'

/** What an action does with a partition: `read` gives its values. */
export type PartitionBody<T, R> = (read: (push: Push<T>) => void, partition: number) => R

/** The results of all tasks for these partitions. To be called within a job, by all tasks. */
export async function computed<T, R>(node: Node<T>, place: string, partitions: readonly number[], body: PartitionBody<T, R>): Promise<R[]> {
  const { index } = node.context
  const shared = await share(node.context, place, () =>
    partitions
      .filter((partition) => node.owner(partition) === index)
      .map((partition) => tried(node, partition, () => body((push) => node.read(partition, push), partition))),
  )
  // each task's results are in the order of its partitions
  const next = shared.map((results) => results.values())
  return partitions.map((partition) => next[node.owner(partition)]?.next().value as R)
}

/** Gives what `make` returns to all tasks; a fault of one is a fault of all. */
export async function share<R>(context: RddContext, place: string, make: () => R): Promise<R[]> {
  return (await trade(context, place, () => new Array<R>(context.count).fill(make()))) as R[]
}

/** What `f` returns in the first task, which alone runs it; a fault of it is a fault of all. */
export async function fromDriver<R>(context: RddContext, place: string, f: () => R | Promise<R>): Promise<R> {
  let make = (): R | null => null
  if (context.index === 0)
    try {
      const result = await asCallback(context, f)
      make = () => result
    } catch (error) {
      make = () => {
        throw error
      }
    }
  return (await share(context, place, make))[0] as R
}

/**
 * Gives each task its part of what `make` returns, and returns what the tasks gave this one. When `make` throws in any task,
 * all of them throw its error: nobody waits for what does not come.
 */
export async function trade(context: RddContext, place: string, make: () => readonly unknown[]): Promise<unknown[]> {
  const outcome = attempted(make)
  const { fault } = outcome
  if (context.count === 1) {
    if (fault !== undefined) throw fault
    return [...outcome.blocks]
  }
  const sent =
    fault === undefined
      ? outcome.blocks.map((block) => [null, block])
      : new Array<unknown>(context.count).fill([errorData(codedFault(fault))])
  const received = (await context.exchange.all(sent, place)) as readonly (readonly [ErrorData | null, unknown])[]
  if (fault !== undefined) throw fault
  return received.map(([error, block]) => {
    if (error !== null) throw errorFrom(error)
    return block
  })
}

function attempted(
  make: () => readonly unknown[],
): { blocks: readonly unknown[]; fault?: undefined } | { blocks?: undefined; fault: Error } {
  try {
    return { blocks: make() }
  } catch (error) {
    return { fault: error as Error }
  }
}

function codedFault(fault: Error): SquallError {
  return fault instanceof SquallError ? fault : new SquallError('internal', { reason: fault.message }, {}, { cause: fault })
}
