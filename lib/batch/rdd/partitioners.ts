/** Which partition a key belongs to. */
import { SquallError } from '../../errors.ts'
import { floorMod, hashValue } from '../../std/hash.ts'
import { canonical } from '../keyed.ts'

export interface Partitioner {
  /** how many partitions there are */
  readonly partitions: number
  /** a whole number from 0, below `partitions`; equal keys give the same */
  partitionOf(key: unknown): number
  /** Whether `other` sends every key to the same partition as this one. Operations then trade nothing between the two. */
  equals(other: Partitioner): boolean
}

/** Divides keys by the hash of their content. Two of them with as many partitions are equal. */
export class HashPartitioner implements Partitioner {
  readonly partitions: number

  constructor(partitions: number) {
    checkPartitions(partitions, 'HashPartitioner', 0)
    this.partitions = partitions
  }

  partitionOf(key: unknown): number {
    checkKey(key)
    return floorMod(hashValue(key), this.partitions)
  }

  equals(other: Partitioner): boolean {
    return other instanceof HashPartitioner && other.partitions === this.partitions
  }
}

/** Refuses a key that has no content to go by. */
export function checkKey(key: unknown): void {
  if (typeof key !== 'string' && typeof key !== 'number' && typeof key !== 'boolean') canonical(key)
}

export function isSamePartitioner(a: Partitioner | undefined, b: Partitioner | undefined): boolean {
  return a !== undefined && b !== undefined && (a === b || a.equals(b))
}

/** The partition of a key, checked: a partitioner of the user's may be wrong. */
export function partitionOf(partitioner: Partitioner, key: unknown): number {
  const partition = partitioner.partitionOf(key)
  if (Number.isInteger(partition) && partition >= 0 && partition < partitioner.partitions) return partition
  throw new SquallError('bad-partition', { partition, key: String(key), max: partitioner.partitions - 1 })
}

/** Partitions of an RDD, asked for or however many it is made from: each costs a place in every exchange. */
export const partitionsMax = 1 << 20

export function checkPartitions(partitions: number, of: string, min = 1): void {
  if (Number.isSafeInteger(partitions) && partitions >= min && partitions <= partitionsMax) return
  const expected = `a whole number from ${min} to ${partitionsMax}`
  throw new SquallError('bad-option', { option: 'partitions', of, value: partitions, expected })
}
