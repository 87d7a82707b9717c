/** What a stream is made from when it is received: one receiver or several, and how safe their blocks are kept. */
import { SquallError } from '../../errors.ts'
import { durationMs } from '../../std/clock.ts'
import type { Duration } from '../../std/clock.ts'
import type { Receiver } from './receiver.ts'

export interface ReceivedOptions {
  /** blocks are durable before anyone is told that they arrived; needs a state directory (`true` when there is one) */
  readonly writeAheadLog?: boolean
  /** how many executors have each block in memory: 1 or 2 (2 without the log, 1 with it); no more than there are */
  readonly replication?: 1 | 2
  /** how often a block is cut of what is stored one by one ('200ms') */
  readonly blockInterval?: Duration
  /** how many blocks of a receiver may wait to be stored (10) */
  readonly blockQueueMax?: number
  /** how long a receiver that restarts waits, unless it says so itself ('2s') */
  readonly restartDelay?: Duration
}

/** Declared data: the receivers run in the executors, see `ReceiverTask`. */
export class ReceivedSource<T = unknown> {
  readonly receivers: readonly Receiver<T>[]
  readonly writeAheadLog: boolean | undefined
  readonly replication: 1 | 2 | undefined
  readonly blockIntervalMs: number
  readonly blockQueueMax: number
  readonly restartDelayMs: number

  constructor(receivers: readonly Receiver<T>[], options: ReceivedOptions) {
    const { writeAheadLog, replication, blockInterval = 200, blockQueueMax = 10, restartDelay = 2_000 } = options
    this.receivers = receivers
    this.writeAheadLog = writeAheadLog
    this.replication = replication
    this.blockIntervalMs = durationMs(blockInterval) ?? NaN
    this.blockQueueMax = blockQueueMax
    this.restartDelayMs = durationMs(restartDelay) ?? NaN
    check('receivers', receivers.length, receivers.length >= 1, 'one receiver or several')
    check('replication', String(replication), replication === undefined || replication === 1 || replication === 2, '1 or 2')
    check('blockInterval', String(blockInterval), this.blockIntervalMs >= 1, "a duration of at least 1 ms such as '200ms'")
    check('blockQueueMax', blockQueueMax, Number.isInteger(blockQueueMax) && blockQueueMax >= 1, 'a whole number of at least 1')
    check('restartDelay', String(restartDelay), this.restartDelayMs >= 0, "a duration such as '2s'")
  }
}

/** A receiver of a topology, with its number. */
export interface NumberedReceiver {
  readonly stream: string
  readonly source: ReceivedSource
  readonly receiver: Receiver
  readonly number: number
}

/** The receivers of a topology that run in a task: they are dealt out in turn. */
export function receiversOf(streams: ReadonlyMap<string, ReceivedSource>, task: number, tasks: number): readonly NumberedReceiver[] {
  const all = [...streams].flatMap(([stream, source]) => source.receivers.map((receiver) => ({ stream, source, receiver })))
  return all.map((one, number) => ({ ...one, number })).filter(({ number }) => number % tasks === task)
}

/**
 * A stream of what receivers get. Each runs in one executor: the first in the first, the second in the second, and so on.
 *
 * Throws `bad-option`.
 *
 * ```ts
 * t.stream('words', received(httpLines({ port: 8080 }))).countByValue().print()
 * ```
 */
export function received<T>(receivers: Receiver<T> | readonly Receiver<T>[], options: ReceivedOptions = {}): ReceivedSource<T> {
  return new ReceivedSource<T>(Array.isArray(receivers) ? (receivers as readonly Receiver<T>[]) : [receivers as Receiver<T>], options)
}

function check(option: string, value: unknown, isRight: boolean, expected: string): void {
  if (!isRight) throw new SquallError('bad-option', { option, of: 'received', value: String(value), expected })
}
