/** Running what users gave: tried again when it fails, told apart from our own faults, and kept from starting jobs of its own. */
import { AsyncLocalStorage } from 'node:async_hooks'
import { SquallError } from '../../errors.ts'
import { AssertionError } from '../../std/assert.ts'
import { displayPath, frameOf } from '../../std/stack.ts'
import type { RddContext } from '../context.ts'
import type { Node } from './node.ts'

/** A partition is tried so often before its job fails. */
export const attemptsMax = 4

/** One try of a partition, for tests that make it fail and for who counts. */
export interface Attempt {
  /** `name[id]` of the last RDD of the stage */
  readonly rdd: string
  readonly partition: number
  /** from 1 */
  readonly attempt: number
}

let computing = 0

/** Whether a partition is computed right now, further up the stack. */
export function isComputing(): boolean {
  return computing > 0
}

/** The contexts that await the function at hand. */
const callbacks = new AsyncLocalStorage<readonly RddContext[]>()

/** Whether this is called from an asynchronous function that an action of `context` awaits: an action in there would wait for itself. */
export function isInCallback(context: RddContext): boolean {
  return callbacks.getStore()?.includes(context) === true
}

/** Runs an asynchronous function of the user's within an action. */
export function asCallback<R>(context: RddContext, run: () => R): R {
  return callbacks.run([...(callbacks.getStore() ?? []), context], run)
}

/** Thrown through a chain of pushes by who has seen enough. */
const enough = Symbol('enough')

/** Runs `read` until it ends or calls the `stop` it is given. */
export function untilEnough(read: (stop: () => never) => void): void {
  try {
    read(() => {
      throw enough as unknown
    })
  } catch (error) {
    if (error !== enough) throw error
  }
}

/**
 * What `once` returns, tried up to `attemptsMax` times. `once` starts from nothing each time. Fails with `rdd-failed`, or with
 * the coded error that was thrown.
 */
export function tried<R>(node: Node<unknown>, partition: number, once: () => R): R {
  let result: { readonly is: R } | undefined
  triedTogether(node, [partition], () => () => (result = { is: once() }))
  return (result as unknown as { readonly is: R }).is
}

/**
 * Runs a function for each of the partitions, in order. When one of them fails all begin again: `start` begins anew what they
 * add to together, and returns the function.
 */
export function triedTogether(node: Node<unknown>, partitions: readonly number[], start: () => (partition: number) => unknown): void {
  const failures = new Map<number, number>()
  for (;;) {
    let current = -1
    try {
      const each = start()
      for (const partition of partitions) {
        current = partition
        guarded(() => {
          node.context.onAttempt?.({ rdd: node.title, partition, attempt: (failures.get(partition) ?? 0) + 1 })
          each(partition)
        })
      }
      return
    } catch (error) {
      if (error instanceof SquallError || error instanceof AssertionError) throw error
      if (error instanceof RangeError && error.message.includes('call stack')) checkDepth(node, error)
      const times = (failures.get(current) ?? 0) + 1
      if (times === attemptsMax) throw failed(node, current, error)
      failures.set(current, times)
    }
  }
}

/** As many operations fit on any stack; a function of the user's may fill it by itself. */
const safeDepth = 1_000

function checkDepth(node: Node<unknown>, cause: RangeError): void {
  const depth = depthOf(node)
  if (depth > safeDepth) throw new SquallError('lineage-deep', { rdd: node.title, depth }, {}, { cause })
}

/** How many operations a partition of a node goes through, at most. */
function depthOf(node: Node<unknown>): number {
  let depth = 0
  for (let level = new Set([node]); level.size > 0; depth++) {
    const parents = [...level].flatMap(({ dependencies }) => dependencies.filter(({ kind }) => kind === 'narrow'))
    level = new Set(parents.map((parent) => parent.node))
  }
  return depth
}

/** Runs what must start no job and make no RDD. */
export function guarded<R>(run: () => R): R {
  computing++
  try {
    return run()
  } finally {
    computing--
  }
}

export function failed(node: Node<unknown>, partition: number, cause: unknown, times: number = attemptsMax): SquallError {
  const reason = cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause)
  const frame = frameOf(cause)
  const where = frame === undefined ? {} : { file: displayPath(frame.file), line: frame.line, column: frame.column }
  return new SquallError('rdd-failed', { rdd: node.title, partition, times, reason }, where, { cause })
}
