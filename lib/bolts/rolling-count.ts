/** A bolt that counts items over a sliding window of processing time, driven by ticks. */
import { z } from 'zod'
import { SquallError } from '../errors.ts'
import { durationMs } from '../std/clock.ts'
import type { Duration } from '../std/clock.ts'
import { defineBolt } from '../topology/component.ts'
import type { BoltDefinition, BoltOutput } from '../topology/component.ts'
import { SlidingWindowCounter } from './counters.ts'

export interface RollingCountOptions<F extends string = string> {
  /** the length of the window, a multiple of `every` and at least twice as long (5 min) */
  readonly window?: Duration
  /** how often the counts are emitted and the window moves on (1 min) */
  readonly every?: Duration
  /** the field of the input that holds the item (`item`) */
  readonly field?: F
}

export type RollingCountBolt<F extends string> = BoltDefinition<
  { readonly default: Record<F, string> },
  { readonly default: Record<F, string> & { count: number; windowMs: number } }
>

/**
 * Counts items (tuples `{ [field]: string }`) over the last `window` and emits `{ [field], count, windowMs }` for each of
 * them with each tick and at the end. A count that came down to 0 is emitted once. `windowMs` is the time really covered: shorter than the
 * window at the start, and longer when ticks came late. Group it by the item.
 *
 * ```ts
 * const counts = t.bolt('count', rollingCount({ window: '9s', every: '3s', field: 'word' })).fields(words, ['word'])
 * ```
 */
export function rollingCount<const F extends string = 'item'>(options: RollingCountOptions<F> = {}): RollingCountBolt<F> {
  const { window = '5m', every = '1m', field = 'item' } = options
  const [windowMs, everyMs] = [durationMs(window), durationMs(every)]
  if (everyMs === undefined || everyMs === 0) throw bad('every', every, "a duration such as '3s'")
  if (windowMs === undefined || windowMs % everyMs !== 0 || windowMs < 2 * everyMs)
    throw bad('window', window, `a multiple of the option every (${every}), at least twice as long`)
  const slots = windowMs / everyMs
  const bolt = defineBolt({
    input: z.object({ [field]: z.string() }),
    output: z.object({ [field]: z.string(), count: z.int(), windowMs: z.number() }),
    tick: every,
    prepare(context) {
      const counter = new SlidingWindowCounter<string>(slots)
      /** when each slot of the window began, oldest first */
      const began = [context.now()]
      const emitCounts = (out: BoltOutput<{ readonly default: Record<string, string | number> }>): void => {
        const now = context.now()
        const covered = now - (began[0] as number)
        began.push(now)
        if (began.length > slots) began.shift()
        for (const [item, count] of counter.countsThenAdvance()) out.emit({ [field]: item, count, windowMs: covered })
      }
      return { execute: (values) => counter.increment(values[field] as string), onTick: emitCounts, finish: emitCounts }
    },
  })
  // the compiler cannot know a field by a computed name
  return bolt as unknown as RollingCountBolt<F>
}

function bad(option: string, value: Duration, expected: string): SquallError {
  return new SquallError('bad-option', { option, of: 'rollingCount', value, expected })
}
