/**
 * A site: the executors of a run that are in one process, as the crew commands them. In local mode there is one, in this process; on a
 * cluster one a worker, and the crew reaches those of other workers over links.
 */
import type { Word } from './thread.ts'
import type { SharedWords } from './thread-messages.ts'

export interface Site {
  /** Their numbers, among those of the whole run. */
  readonly executors: readonly number[]
  /** These and no others are here from now on: they start when they are told to, after `renew`; those that leave were dropped. */
  adopt(executors: readonly number[]): Promise<void>
  /** Closes these, which go elsewhere. */
  drop(executors: readonly number[]): Promise<void>
  /** What is there already: when the one who led the run is gone and another leads it, the others may run. */
  meet(): Promise<SiteState>
  /** Starts those that do not run yet; rejects with `executor-died` when one dies meanwhile. */
  start(executors: readonly number[]): Promise<void>
  setActive(isActive: boolean): Promise<void>
  /** Runs the `finish` of a component's tasks. */
  finish(component: number): Promise<void>
  /** Executors are started anew, here or elsewhere: they and those here that work get fresh lanes to each other, the `number`th of the run. */
  renew(executors: readonly number[], number: number): Promise<void>
  /** Everyone has fresh lanes to them: the trees that they may have had a part in have failed. */
  lose(executors: readonly number[]): Promise<void>
  close(): Promise<void>
  /** Lets go of everything at once. */
  end(): Promise<void>
  kill(executor: number): void
  /** executors that have not answered what they were asked */
  readonly silent: readonly number[]
}

export interface SiteState {
  readonly running: readonly number[]
  /** the number of the last lanes */
  readonly lanes: number
}

/** What a site tells without being asked. */
export interface SiteEars {
  said(word: Word): void
  /** `of` what: of their own thread each, or of their process, which is another's to look after. */
  died(executors: readonly number[], reason: string, of: 'thread' | 'process'): void
}

/** The words of a run with so many executors; `relay`, one more to wake than there are executors, is whoever moves frames to other processes. */
export function sharedWords(executors: number): SharedWords {
  const words = (count: number): Int32Array => new Int32Array(new SharedArrayBuffer(count * 4))
  return {
    wake: words(executors + 1),
    pressure: words(executors),
    heldUp: words(executors * 2),
    quiet: { generation: words(executors), sent: words(executors * executors), received: words(executors * executors) },
  }
}
