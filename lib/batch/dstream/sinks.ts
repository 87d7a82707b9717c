/** Outputs that are told which batch and partition they write, so that what they write counts once: of users, and a file that grows. */
import { lineOf } from '../../std/words.ts'
import { nodeFileSystem } from '../log/file-system.ts'
import type { FileSystem } from '../log/file-system.ts'
import { prepare } from '../rdd/job.ts'
import type { StateStore } from '../state/store.ts'
import { FileState } from '../trident/state/file-state.ts'
import type { Output, StreamNode } from './graph.ts'
import { gathered, infoOf, together } from './outputs.ts'
import type { PartitionInfo } from './outputs.ts'
import type { BatchInfo } from './scope.ts'

/** Where the batches of a stream go, as one task sees it. */
export interface Sink<T> {
  /** What a partition of a batch has; partitions without values as well. Again, with the same txid, when the batch runs again. */
  write(values: readonly T[], info: PartitionInfo): void | Promise<void>
  /** All partitions of the batch are written, in all tasks. The batch may still run again. */
  commit?(info: BatchInfo): void | Promise<void>
  close?(): void | Promise<void>
}

export interface SinkContext {
  readonly topology: string
  /** this task's number among those that write, from 0 */
  readonly taskIndex: number
  readonly taskCount: number
}

export type OpenSink<T> = (context: SinkContext) => Sink<T> | Promise<Sink<T>>

export function toSink<T>(stream: StreamNode<T>, open: OpenSink<T>): Output<T> {
  /** by task, with the state that it has: a task that begins anew has another, and opens its sink again */
  const sinks = new Map<number, { readonly state: StateStore; readonly sink: Sink<T> }>()
  return {
    name: 'saveTo',
    stream,
    async run(rdd, scope) {
      const { sc, state, topology } = scope
      await prepare(rdd.node)
      await together(scope, 'saveTo', async () => {
        const { index: taskIndex, count: taskCount } = sc
        if (sinks.get(taskIndex)?.state !== state) sinks.set(taskIndex, { state, sink: await open({ topology, taskIndex, taskCount }) })
        const { sink } = sinks.get(taskIndex) as { sink: Sink<T> }
        for (let partition = 0; partition < rdd.partitions; partition++)
          if (rdd.node.owner(partition) === taskIndex) await sink.write(rdd.node.gather(partition), { ...infoOf(scope), partition })
      })
      return () => sinks.get(sc.index)?.sink.commit?.(infoOf(scope))
    },
    async close(task) {
      await sinks.get(task)?.sink.close?.()
      sinks.delete(task)
    },
  }
}

/** All batches in one file, written by the driver; what a failed attempt has left of a batch is cut off first. */
export function growingFile<T>(stream: StreamNode<T>, file: string, files: FileSystem = nodeFileSystem): Output<T> {
  return {
    name: 'appendOnce',
    stream,
    async run(rdd, scope) {
      await prepare(rdd.node)
      const { partitions } = await gathered(rdd, 'appendOnce', () => null)
      return async () => {
        if (scope.sc.index !== 0) return
        const state = new FileState<T>({ file, format: lineOf }, files)
        try {
          await state.beginCommit(scope.txid)
          for (const values of partitions) await state.update(values)
          await state.commit(scope.txid)
        } finally {
          await state.close()
        }
      }
    },
  }
}
