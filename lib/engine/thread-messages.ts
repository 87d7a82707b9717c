/** What the main thread and an executor's thread say to each other. Tuples and acks never go this way. */
import type { ConfigInput } from '../config.ts'
import type { ErrorData } from '../errors.ts'
import type { LogOptions } from '../std/log.ts'
import type { executorThread } from '../std/threads.ts'
import type { QuietWords } from './quiet.ts'
import type { ComponentError } from './run-types.ts'

/** The two rings of one direction. */
export interface Rings {
  readonly data: SharedArrayBuffer
  readonly system: SharedArrayBuffer
}

/** A module that is begun in a thread before its topology is imported: `begin(data, executor)`. */
export interface Prelude {
  readonly module: string
  readonly data: unknown
}

export interface ThreadData {
  readonly thread: typeof executorThread
  readonly module: string
  readonly name: string | undefined
  readonly params: Readonly<Record<string, unknown>>
  readonly config: ConfigInput
  readonly log: LogOptions
  readonly index: number
  readonly prelude: Prelude | undefined
  /** the executor of each task */
  readonly placement: readonly number[]
  readonly seed: number
  readonly cells: Float64Array
  readonly shared: SharedWords
  /** by executor: the word that wakes whoever reads the rings to it */
  readonly wakes: readonly number[]
  /** rings to each other executor, and from it */
  readonly to: readonly (Rings | undefined)[]
  readonly from: readonly (Rings | undefined)[]
}

/** Small numbers that every thread sees. */
export interface SharedWords {
  /** by executor, and one more: counted up to wake it */
  readonly wake: Int32Array
  /** by executor: not 0 while it has parked frames */
  readonly pressure: Int32Array
  readonly quiet: QuietWords
  /** two by executor, as of when it last rested: `heldUpNumber`, and the promises of its components that have settled */
  readonly heldUp: Int32Array
}

/** Whether anything but promises of components is left to do. */
export const heldUpNumber = { other: 0, none: 1, some: 2 } as const

export type ToThread =
  | { readonly kind: 'start' }
  | { readonly kind: 'activate' | 'deactivate' }
  | { readonly kind: 'finish'; readonly component: number }
  /** executor `other` was started anew, here or elsewhere: these are the rings to it and from it, and the word that wakes whoever reads them */
  | { readonly kind: 'reconnect'; readonly other: number; readonly to: Rings; readonly from: Rings; readonly wake: number }
  /** everyone has new rings to it: what is under way may have had a part in the old ones */
  | { readonly kind: 'lost'; readonly other: number }
  | { readonly kind: 'close' }

export type FromThread =
  /** the answer to each of `ToThread`; with `error` it could not be done */
  | { readonly kind: 'did'; readonly what: ToThread['kind']; readonly error?: ErrorData }
  | { readonly kind: 'error'; readonly error: ComponentError }
  | { readonly kind: 'fatal'; readonly error: ErrorData }
  | { readonly kind: 'counters'; readonly counters: ReadonlyMap<number, Readonly<Record<string, number>>> }
