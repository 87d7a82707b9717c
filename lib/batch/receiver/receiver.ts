/** What a receiver is: it gets data from somewhere that cannot be asked again, and stores it. */
import type { Schedule } from '../../std/schedule.ts'

/**
 * Receives from the outside. Write one as an object or a class.
 *
 * *Reliable* is a receiver that tells its source that data has arrived only after `storeMany` has resolved: then the data is as safe
 * as the block store makes it, and the coordinator knows of it. With `store` it is *unreliable*: what is being gathered is lost
 * with the process.
 *
 * ```ts
 * const queue: Receiver<string> = {
 *   onStart(output) {
 *     client.on('message', (message) => {
 *       output.storeMany([message.text]).then(() => message.ack(), (error) => message.reject(error))
 *     })
 *     client.on('error', (error) => output.restart('connection lost', error))
 *   },
 *   onStop: () => client.close(),
 * }
 * ```
 */
export interface Receiver<T = unknown> {
  /** Starts receiving, and returns: what goes on goes on by itself. Called again after a restart. */
  onStart(output: ReceiverOutput<T>): void | Promise<void>
  /** Stops receiving and lets go of everything. Storing what arrived before it returns is still allowed. */
  onStop(): void | Promise<void>
}

/** What a receiver can do with what it got. */
export interface ReceiverOutput<T = unknown> {
  readonly stream: string
  readonly schedule: Schedule
  /**
   * Adds one item to the block that is being gathered. A promise is to be awaited before more is stored: there is no room,
   * or the rate does not allow it yet. Throws or rejects with `receiver-state` when the receiver is stopped.
   */
  store(item: T, metadata?: unknown): Promise<void> | undefined
  /** Stores items as one block. Resolves when it is stored and reported; only then the source may be told that it has arrived. */
  storeMany(items: readonly T[], metadata?: unknown): Promise<void>
  /** Says that something went wrong; receiving goes on. */
  reportError(message: string, error?: Error): void
  /** Stops the receiver, and starts it again after a while (2000 ms). Returns at once. */
  restart(message: string, error?: Error, delayMs?: number): void
  /** Stops the receiver for good. Returns at once. */
  stop(message: string, error?: Error): void
  readonly isStopped: boolean
}
