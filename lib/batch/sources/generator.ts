/** A source that makes its records: for tests, benches and examples. */
import { SquallError } from '../../errors.ts'
import { Random } from '../../std/random.ts'
import type { BatchSource, Planner, Reader } from '../source.ts'

export interface GeneratorOptions {
  /** records in all (without end) */
  readonly count?: number
  /** records a second, by the run's clock from its very first start on (as fast as batches take them) */
  readonly rate?: number
  /** partitions of a batch; record `i` is of partition `i % partitions` (one for each task) */
  readonly partitions?: number
  /** what is random in record `i` follows from this and `i` (0) */
  readonly seed?: number
}

/** The records `from` up to and without `to`. */
interface Numbers {
  readonly from: number
  readonly to: number
  /** when the topology was started for the first time */
  readonly startMs: number
  readonly partitions: number
}

/**
 * A transactional source of the records `make(0)`, `make(1)`, ... `make` is called again when a batch runs again: it must go by its
 * arguments alone.
 *
 * ```ts
 * const clicks = t.stream('clicks', generatorSource((i, random) => ({ user: random.below(100), at: 1_000 * i }), { rate: 5_000 }))
 * ```
 */
export function generatorSource<T>(make: (i: number, random: Random) => T, options: GeneratorOptions = {}): BatchSource<T> {
  const { count = Infinity, rate = Infinity, seed = 0 } = options
  check('count', count, count >= 0 && (count === Infinity || Number.isSafeInteger(count)), 'a whole number')
  check('rate', rate, rate > 0, 'a number of more than 0')
  const { partitions: given } = options
  check('partitions', given ?? 1, given === undefined || (Number.isSafeInteger(given) && given > 0), 'a whole number from 1')
  check('seed', seed, Number.isSafeInteger(seed), 'a whole number')
  return {
    kind: 'transactional',
    planner({ tasks, date }): Planner {
      const startedMs = date()
      let taken = 0
      return {
        next(last, recordsMax, partitionMax = Infinity) {
          const {
            to: from,
            startMs,
            partitions,
          } = (last as Numbers | undefined) ?? { to: 0, startMs: startedMs, partitions: given ?? tasks }
          const due = rate === Infinity ? Infinity : Math.floor(((date() - startMs) * rate) / 1_000)
          taken = Math.max(from, Math.min(count, due, from + recordsMax, from + partitionMax * partitions))
          return taken > from ? { from, to: taken, startMs, partitions } : undefined
        },
        get hasEnded() {
          return taken >= count
        },
      }
    },
    reader(): Reader<T> {
      return {
        partitions: (range) => (range as Numbers).partitions,
        read(range, partition, push) {
          const { from, to, partitions } = range as Numbers
          const first = from + ((partition - (from % partitions) + partitions) % partitions)
          for (let i = first; i < to; i += partitions) push(make(i, new Random(Math.imul(seed, 0x9e3779b1) ^ Math.imul(i + 1, 0x85ebca6b))))
        },
      }
    },
  }
}

function check(option: string, value: number, isRight: boolean, expected: string): void {
  if (!isRight) throw new SquallError('bad-option', { option, of: 'generatorSource', value, expected })
}
