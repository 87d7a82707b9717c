/** Random choices: the same for the same seed, in whatever task a partition is computed. */
import { SquallError } from '../../errors.ts'
import { Random } from '../../std/random.ts'
import { over } from './narrow.ts'
import type { Node, Push } from './node.ts'

/** The generator of one partition. */
export function randomOf(seed: number, partition: number): Random {
  return new Random(Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(partition + 1, 0xc2b2ae35))
}

/** Says how often each value of a partition is taken, one after the other. */
export type Sampler = (partition: number) => () => number

/** Each value with probability `fraction`; with replacement, `fraction` times on average. */
export function samplerOf(withReplacement: boolean, fraction: number, seed: number): Sampler {
  checkFraction(withReplacement, fraction)
  return (partition) => {
    const random = randomOf(seed, partition)
    return withReplacement ? () => poisson(random, fraction) : () => (random.unit() < fraction ? 1 : 0)
  }
}

/** The values whose random number is in [from, to); every call with the same seed has the same numbers. */
export function cellOf(from: number, to: number, seed: number): Sampler {
  return (partition) => {
    const random = randomOf(seed, partition)
    return () => {
      const at = random.unit()
      return at >= from && at < to ? 1 : 0
    }
  }
}

/** Passes on what a sampler takes. */
export function taken<T>(sampler: Sampler, partition: number, push: Push<T>): Push<T> {
  const timesOf = sampler(partition)
  return (value) => {
    for (let times = timesOf(); times > 0; times--) push(value)
  }
}

export function sampled<T>(parent: Node<T>, name: string, sampler: Sampler): Node<T> {
  return over<T, T>(parent, name, (partition, push) => parent.read(partition, taken(sampler, partition, push)), { keepsPartitioner: true })
}

/** Each value with a probability of its own; with replacement, so often on average. */
export function stratified<T>(parent: Node<T>, withReplacement: boolean, fractionOf: (value: T) => number, seed: number): Node<T> {
  const compute = (partition: number, push: Push<T>): void => {
    const random = randomOf(seed, partition)
    parent.read(partition, (value) => {
      const fraction = fractionOf(value)
      for (let times = withReplacement ? poisson(random, fraction) : Number(random.unit() < fraction); times > 0; times--) push(value)
    })
  }
  return over<T, T>(parent, 'sampleByKey', compute, { keepsPartitioner: true })
}

function checkFraction(withReplacement: boolean, fraction: number): void {
  if (fraction >= 0 && (withReplacement || fraction <= 1) && Number.isFinite(fraction)) return
  const expected = withReplacement ? 'a number from 0' : 'a number from 0 to 1'
  throw new SquallError('bad-option', { option: 'fraction', of: 'sample', value: fraction, expected })
}

/** A number of Poisson's distribution (Knuth; in steps, so that the exponential of a large mean does not vanish). */
function poisson(random: Random, mean: number): number {
  let count = 0
  let left = mean
  let product = 1
  for (;;) {
    product *= random.unit()
    while (product < 1 && left > 0) {
      const step = Math.min(left, 500)
      product *= Math.exp(step)
      left -= step
    }
    if (product <= 1) return count
    count++
  }
}

/** The fraction to sample so that, all but surely, there are at least `num` of `total` values (as in Spark). */
export function fractionFor(num: number, total: number, withReplacement: boolean): number {
  const fraction = num / total
  if (withReplacement) return Math.max(fraction + (num < 12 ? 9 : 5) * Math.sqrt(fraction / total), 1e-10)
  const gamma = -Math.log(1e-4) / total
  return Math.min(1, Math.max(1e-10, fraction + gamma + Math.sqrt(gamma * gamma + 2 * gamma * fraction)))
}
