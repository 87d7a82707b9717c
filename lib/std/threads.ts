/** What a thread knows of itself. */
import { workerData } from 'node:worker_threads'

/** What executors' threads are started with says so, whatever module asks. */
export const executorThread = 'squall executor'

/** Whether this is the thread of an executor, and not the one that started the run. */
export function isExecutorThread(): boolean {
  const data: unknown = workerData
  return typeof data === 'object' && data !== null && 'thread' in data && data.thread === executorThread
}
