/**
 * Windows over batches: what came in the last `length`, every `slide`. Both are multiples of the time between the batches of the
 * stream that is looked at; windows end at multiples of `slide` since 1970.
 *
 *     batches of a second      1   2   3   4   5   6
 *     length 3 s, slide 2 s    [.. 1   2]
 *                                  [2  3   4]
 *                                          [4  5   6]
 */
import { SquallError } from '../../errors.ts'
import { durationMs, shortDuration } from '../../std/clock.ts'
import type { Duration } from '../../std/clock.ts'
import type { RDD } from '../rdd/rdd.ts'
import type { DStream, Pair, Planned } from './dstream.ts'
import { Past, partitionerOf, updated } from './state-rdd.ts'

/** A value that enters a window, or leaves it. */
type Change<V> = readonly [isEntering: boolean, value: V]

/** The values of several batches of a stream together. */
export function windowOf<T>(stream: DStream<T>, length: Duration, slide: Duration): Planned<T> {
  const lengthMs = wholeSlides(stream, 'the length', length)
  const slideMs = wholeSlides(stream, 'the slide', slide)
  stream.persist(stream.level)
  return {
    shape: { name: 'window', label: labelOf(lengthMs, slideMs), parents: [stream], slideMs, lookBackMs: lengthMs },
    make(scope) {
      const [first, ...rest] = batchesOf(stream, scope.timeMs - lengthMs, scope.timeMs).flatMap((time) => scope.of(stream, time) ?? [])
      return first?.union(...rest)
    },
  }
}

export interface Inverse<K, V> {
  readonly f: (a: V, b: V) => V
  readonly inverse: (a: V, b: V) => V
  readonly isKept: ((key: K, value: V) => boolean) | undefined
  readonly name: string | undefined
  /** for the name of its state */
  readonly operator: string
  /** the stream that the operator was called on */
  readonly of: string
}

/** Each window from the one before: `slices` are the batches, each reduced by itself and kept. */
export function inverseWindow<K, V>(
  slices: DStream<Pair<K, V>>,
  length: Duration,
  slide: Duration,
  { f, inverse, isKept, name, operator, of }: Inverse<K, V>,
): Planned<Pair<K, V>> {
  const lengthMs = wholeSlides(slices, 'the length', length)
  const slideMs = wholeSlides(slices, 'the slide', slide)
  // the state of a window is of no use to another: with another length or slide it begins anew
  const windows = `${lengthMs}.${slideMs}`
  const stateName = slices.graph.stateName(name && `${name}.${windows}`, `${operator}.${windows}`, of)
  const past = new Past<Pair<K, V>>(stateName)
  slices.persist(slices.level)
  return {
    shape: {
      name: 'window',
      label: labelOf(lengthMs, slideMs),
      parents: [slices],
      slideMs,
      lookBackMs: lengthMs + slideMs,
      state: stateName,
      past,
    },
    make(scope) {
      const { timeMs } = scope
      const between = (afterMs: number, untilMs: number, isEntering: boolean): RDD<Pair<K, Change<V>>>[] =>
        batchesOf(slices, afterMs, untilMs).flatMap(
          (time) => scope.of(slices, time)?.mapValues((value): Change<V> => [isEntering, value]) ?? [],
        )
      // what leaves comes first
      const leaving = between(timeMs - slideMs - lengthMs, Math.min(timeMs - lengthMs, timeMs - slideMs), false)
      const entering = between(Math.max(timeMs - slideMs, timeMs - lengthMs), timeMs, true)
      const changes = scope.sc.union([...leaving, ...entering]).partitionBy(partitionerOf(scope))
      return updated<K, Change<V>, Pair<K, V>>(
        changes,
        'window',
        (read, push) => {
          const table = scope.state.table<K, V>(stateName)
          read(([key, [isEntering, value]]) => {
            const before = table.get(key)
            if (isEntering) table.put(key, before === undefined ? value : f(before, value))
            else if (before !== undefined) table.put(key, inverse(before, value))
          })
          for (const [key, value] of Array.from(table.entries())) {
            if (isKept === undefined || isKept(key, value)) push([key, value])
            else table.delete(key)
          }
        },
        true,
        (results) => past.keep(scope, results),
      )
    },
  }
}

function labelOf(lengthMs: number, slideMs: number): string {
  return lengthMs === slideMs ? `window(${shortDuration(lengthMs)})` : `window(${shortDuration(lengthMs)} every ${shortDuration(slideMs)})`
}

/** The times of a stream's batches after one time, up to another. */
function batchesOf({ slideMs }: DStream<unknown>, afterMs: number, untilMs: number): number[] {
  const times: number[] = []
  for (let timeMs = afterMs + slideMs; timeMs <= untilMs; timeMs += slideMs) times.push(timeMs)
  return times
}

/** A duration that must be a multiple of a stream's slide. */
export function wholeSlides({ slideMs, graph, name }: DStream<unknown>, what: string, duration: Duration): number {
  const ms = durationMs(duration)
  if (ms !== undefined && ms > 0 && slideMs > 0 && ms % slideMs === 0) return ms
  graph.fault(new SquallError('bad-window', { what, duration: String(duration), slideMs }, graph.where(name)))
  return Math.max(slideMs, 1)
}
