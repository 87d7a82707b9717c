/** Actions of more than one step. Each is one job, whatever rounds it takes. */
import { SquallError } from '../../errors.ts'
import { asCallback, failed, guarded, tried, untilEnough } from './attempts.ts'
import { gathered } from './exchanges.ts'
import { inOrder, prepare, runJob } from './job.ts'
import type { Node, Push } from './node.ts'
import type { Compare } from './ordering.ts'
import { fractionFor, randomOf, samplerOf, taken } from './sampling.ts'
import { computed, share } from './trade.ts'

/** The first values that `read` gives, at most `max`; the rest is not computed. */
export function firstOf<T>(read: (push: Push<T>) => void, max: number): T[] {
  const values: T[] = []
  if (max <= 0) return values
  untilEnough((stop) =>
    read((value) => {
      values.push(value)
      if (values.length === max) stop()
    }),
  )
  return values
}

/** How many more partitions are tried when those so far had too little. */
const scaleUp = 4

/** The first `num` values, from as few partitions as may be: one, then more and more. */
export function take<T>(node: Node<T>, num: number, name = 'take'): Promise<T[]> {
  checkCount(num, name)
  return inOrder(node.context, name, async () => {
    const values: T[] = []
    if (num === 0) return values
    await prepare(node)
    for (let seen = 0; seen < node.partitions && values.length < num;) {
      const left = num - values.length
      // as many as should do by what was found so far, half as many again to be sure
      const guess = values.length === 0 ? seen * scaleUp : Math.ceil((1.5 * num * seen) / values.length) - seen
      const count = seen === 0 ? 1 : Math.min(Math.max(1, guess), seen * scaleUp, node.partitions - seen)
      const round = Array.from({ length: count }, (_, i) => seen + i)
      for (const found of await computed(node, `${name} of ${node.title}`, round, (read) => firstOf(read, left)))
        for (let i = 0; i < found.length && values.length < num; i++) values.push(found[i] as T)
      seen += count
    }
    return values
  })
}

/** The `num` values that come first in the order of `compare`, in that order. */
export function takeOrdered<T>(node: Node<T>, num: number, compare: Compare<T>, name: string): Promise<T[]> {
  checkCount(num, name)
  if (num === 0) return runJob(node, name, () => undefined, []).then(() => [])
  return runJob(node, name, (read) => least(read, num, compare)).then((parts) =>
    guarded(() => least<T>((push) => parts.forEach((part) => part.forEach(push)), num, compare)),
  )
}

/** Sorts when there are twice as many as wanted: no more than about twice `num` are ever kept. */
function least<T>(read: (push: Push<T>) => void, num: number, compare: Compare<T>): T[] {
  let kept: T[] = []
  const limit = Math.max(1024, 2 * num)
  read((value) => {
    kept.push(value)
    if (kept.length >= limit) kept = kept.sort(compare).slice(0, num)
  })
  return kept.sort(compare).slice(0, num)
}

/** A zero value for each who asks: what a function makes, or a copy, so that nobody changes another's. */
export function zeroOf<U>(zero: U | (() => U)): U {
  if (typeof zero === 'function') return (zero as () => U)()
  return typeof zero === 'object' && zero !== null ? structuredClone(zero) : zero
}

/** Some values, as many as asked if there are so many, in random order. */
export function takeSample<T>(node: Node<T>, withReplacement: boolean, num: number, seed: number): Promise<T[]> {
  checkCount(num, 'takeSample')
  return inOrder(node.context, 'takeSample', async () => {
    if (num === 0) return []
    await prepare(node)
    const all = Array.from({ length: node.partitions }, (_, partition) => partition)
    const counts = await computed(node, `count of ${node.title}`, all, countOf)
    const total = counts.reduce((sum, count) => sum + count, 0)
    if (total === 0) return []
    const random = randomOf(seed, -1)
    if (!withReplacement && num >= total) {
      const parts = await computed(node, `takeSample of ${node.title}`, all, gathered)
      return random.shuffle(parts.flat())
    }
    const fraction = fractionFor(num, total, withReplacement)
    for (;;) {
      const sampler = samplerOf(withReplacement, fraction, random.int32())
      const parts = await computed(node, `takeSample of ${node.title}`, all, (read, partition) =>
        gathered<T>((push) => read(taken(sampler, partition, push))),
      )
      const values = parts.flat()
      if (values.length >= num) return random.shuffle(values).slice(0, num)
    }
  })
}

/** The values of all partitions, in order. */
export function concatenated<T>(parts: readonly (readonly T[])[]): T[] {
  const values: T[] = []
  for (const part of parts) for (let i = 0; i < part.length; i++) values.push(part[i] as T)
  return values
}

export function countOf(read: (push: Push<unknown>) => void): number {
  let count = 0
  read(() => void count++)
  return count
}

/** Runs an asynchronous function for each partition, in the task that owns it, one after the other. */
export function foreachPartition<T>(node: Node<T>, f: (values: readonly T[], partition: number) => void | Promise<void>): Promise<void> {
  const { context } = node
  return inOrder(context, 'foreachPartition', async () => {
    await prepare(node)
    let fault: Error | undefined
    for (let partition = 0; partition < node.partitions && fault === undefined; partition++) {
      if (node.owner(partition) !== context.index) continue
      try {
        const values = tried(node, partition, () => node.gather(partition))
        await asCallback(context, () => f(values, partition))
      } catch (error) {
        fault = error instanceof SquallError ? error : failed(node, partition, error, 1)
      }
    }
    await share(context, `foreachPartition of ${node.title}`, () => {
      if (fault !== undefined) throw fault
    })
  })
}

function checkCount(value: number, of: string): void {
  if (!Number.isSafeInteger(value) || value < 0)
    throw new SquallError('bad-option', { option: 'num', of, value, expected: 'a whole number from 0' })
}
