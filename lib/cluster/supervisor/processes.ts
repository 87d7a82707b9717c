/** Workers as processes, as a port: on this host they are real ones, in a simulation they are not. */
import type { FromWorker, Launch, ToWorker } from '../worker/assignment.ts'

export interface WorkerSpec {
  /** what the worker is for */
  readonly launch: Launch
  /** of this worker alone, and there already: its launch file, and what finds it again */
  readonly folder: string
  /** where its process starts, if this host has it; in the worker's own folder otherwise */
  readonly startFolder?: string | undefined
  /** what it prints goes to the end of this file */
  readonly logFile: string
  /** what its executors may have of the heap of JavaScript, each */
  readonly heapMb: number | undefined
  /** names of variables of our environment that it gets, besides those that every program needs */
  readonly environment: readonly string[]
}

/** A worker that listens. */
export interface RunningWorker {
  readonly pid: number
  /** where its links are */
  readonly url: string
  /** Over the connection to it. The last assignment, and that it shall stop, are told again over each new connection; a question is lost without one. */
  tell(words: ToWorker): void
  signal(signal: 'SIGTERM' | 'SIGKILL'): void
  /** Lets go of it: it lives on, and nothing is heard of it any more. */
  release(): void
}

export interface WorkerEars {
  said(words: FromWorker): void
  /** It is gone. Said once. */
  ended(reason: string): void
}

/** A worker that an earlier supervisor of this host has started, and that lives. */
export interface FoundWorker {
  readonly launch: Launch
  take(ears: WorkerEars): RunningWorker
}

export interface Processes {
  /** Resolves when it listens; rejects when it ended before. */
  start(spec: WorkerSpec, ears: WorkerEars): Promise<RunningWorker>
  /** The worker that was started from this folder, if it lives; one that does not know this token, or never came to listen, is ended. */
  find(folder: string, token: string): FoundWorker | undefined
}
