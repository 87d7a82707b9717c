/** A receiver's output that keeps what it gets, and lets a test wait for it. */
import { VirtualSchedule } from '../../../lib/testing/index.ts'
import type { ReceiverOutput } from '../../../lib/index.ts'

export class Recorder<T> implements ReceiverOutput<T> {
  readonly stream = 's'
  readonly schedule = new VirtualSchedule()
  readonly isStopped = false
  readonly items: T[] = []
  readonly told: string[] = []
  /** what storing waits for, when a test holds it back */
  hold: Promise<void> | undefined
  #changed: () => void = () => undefined

  store(item: T): Promise<void> | undefined {
    this.items.push(item)
    this.#changed()
    return this.hold
  }

  async storeMany(items: readonly T[]): Promise<void> {
    await this.hold
    this.items.push(...items)
    this.#changed()
  }

  reportError(message: string, error?: Error): void {
    this.#tell('error', message, error)
  }

  restart(message: string, error?: Error): void {
    this.#tell('restart', message, error)
  }

  stop(message: string, error?: Error): void {
    this.#tell('stop', message, error)
  }

  /** After this is true of what was heard so far. */
  async until(isTrue: () => boolean): Promise<void> {
    while (!isTrue()) await new Promise<void>((resolve) => (this.#changed = resolve))
  }

  #tell(kind: string, message: string, error: Error | undefined): void {
    this.told.push(`${kind}: ${message}${error === undefined ? '' : `: ${error.message}`}`)
    this.#changed()
  }
}
