/** Workers as processes, as a port: on this host they are real ones, in a simulation they are not. */
import type { FromWorker, Launch, ToWorker } from '../worker/assignment.ts'

export interface WorkerSpec {
  /** what the worker is for; its port is chosen by the system */
  readonly launch: Launch
  /** of this worker alone: its launch file, and what finds it again */
  readonly folder: string
  /** what it prints goes to the end of this file */
  readonly logFile: string
  /** what its executors may have of the heap of JavaScript, each */
  readonly heapMb: number | undefined
}

/** A worker that listens. */
export interface RunningWorker {
  readonly pid: number
  /** where its links are */
  readonly url: string
  /** Over the connection to it, or the next one when there is none now. */
  tell(words: ToWorker): void
  signal(signal: 'SIGTERM' | 'SIGKILL'): void
  /** Lets go of it: it lives on, and nothing is heard of it any more. */
  release(): void
}

export interface WorkerEars {
  said(words: FromWorker): void
  /** It is gone. */
  ended(reason: string): void
}

export interface Processes {
  /** Resolves when it listens; rejects when it ended before. */
  start(spec: WorkerSpec, ears: WorkerEars): Promise<RunningWorker>
  /** The worker that was started from this folder by an earlier process, if it lives. */
  adopt(folder: string, token: string, ears: WorkerEars): Promise<{ worker: RunningWorker; launch: Launch } | undefined>
}
