/** The spout and the bolt that a graph of streams becomes. */
import { z } from 'zod'
import { SquallError } from '../../errors.ts'
import { defineBolt, defineSpout } from '../../topology/component.ts'
import type { ManualOutput, Streams, TaskContext, Tuple } from '../../topology/component.ts'
import type { Groupings, TopologyBuilder } from '../../topology/builder.ts'
import { noBatchLog, noCommitLog, openBatchLog, openCommitLog } from './batch-log.ts'
import { BatchReads } from './batch-stats.ts'
import { BatchTask } from './batch-task.ts'
import type { BatchStreams } from './batch-task.ts'
import { checkCommittedState } from './committed-state.ts'
import { Coordinator } from './coordinator.ts'
import type { ProcessOrder } from './orders.ts'
import type { StreamGraph } from '../dstream/graph.ts'
import { nodeFileSystem } from '../log/file-system.ts'
import type { FileSystem } from '../log/file-system.ts'
import { stateFiles } from '../log/state-files.ts'
import type { StateFiles } from '../log/state-files.ts'
import { keeperInputs, keeperOutputs, keeperTick, openBlockKeeper, wireReceivers } from '../receiver/components.ts'
import type { BlockKeeping } from '../receiver/components.ts'
import { WatchSchema } from '../receiver/streams.ts'
import { openStateDirectory, openStateStore } from '../state/directory.ts'
import type { StateDirectoryOptions } from '../state/directory.ts'
import { MemoryStore } from '../state/memory-store.ts'
import type { StateStore } from '../state/store.ts'
import { BlockPartSchema } from './stream-exchange.ts'

const CommitSchema = z.object({ txid: z.int(), attempt: z.int() })
const CommitStepSchema = CommitSchema.extend({ step: z.enum(['all', 'state', 'log']) })
/** ranges are whatever sources say: JSON */
const ProcessSchema = CommitSchema.extend({
  timeMs: z.number(),
  ranges: z.any(),
  oldest: z.int(),
  isAnew: z.boolean(),
  watermarkPolicy: z.enum(['min', 'max']),
  history: z.any(),
})
/** what the tuples of a stream are is for the compiler: its records are of that type */
const AnyTuple = z.object({})
const BlockSchema = BlockPartSchema.extend(CommitSchema.shape)

const orderOutputs = { process: ProcessSchema, commit: CommitStepSchema }
const watchOutputs = { watch: { schema: WatchSchema, direct: true } }
const batchInputs = { process: ProcessSchema, commit: CommitStepSchema, blocks: BlockSchema }
const batchOutputs = { blocks: { schema: BlockSchema, direct: true } }

/** `disk`: of the state directory and of the outputs, if it is another one than this machine's. */
export function addBatchComponents(t: TopologyBuilder, graph: StreamGraph, disk?: FileSystem): void {
  const reads = new BatchReads()
  const receives = graph.received.size > 0
  const coordinator = defineSpout({
    outputs: (receives ? { ...orderOutputs, ...watchOutputs } : orderOutputs) as typeof orderOutputs & typeof watchOutputs,
    async open(context) {
      const { batchesPendingMax, batchAttemptsMax, batchRecordsMax } = context.config
      const folder = stateFolder(context)
      const { watermarkPolicy: asked } = graph
      const warn = (message: string): void => context.log.warn(message)
      const log = folder === undefined ? noBatchLog : await openBatchLog(folder, disk ?? stateFiles().files, asked, warn)
      return await Coordinator.open(
        {
          sources: graph.sources,
          received: [...graph.received.keys()],
          givesTuples: graph.tuples.size > 0,
          intervalMs: graph.intervalMs,
          pendingMax: batchesPendingMax,
          attemptsMax: batchAttemptsMax,
          recordsMax: batchRecordsMax,
          noDataBatches: graph.noDataBatches,
          watermarkPolicy: log.watermarkPolicy ?? asked,
          rates: graph.rates,
          reads,
          listeners: graph.batchListeners,
          rememberMs: graph.rememberMs,
          log,
        },
        context,
      )
    },
  })
  // what the graph adds no type here knows
  const given: Record<never, never> = Object.fromEntries(graph.tuples)
  const intakes: Record<never, never> = Object.fromEntries([...graph.intakes.keys()].map((stream) => [inputOf(stream), AnyTuple]))
  const batch = defineBolt({
    // the streams that only topologies with receivers have are there for the compiler all the same
    inputs: { ...((receives ? { ...batchInputs, ...keeperInputs } : batchInputs) as typeof batchInputs & typeof keeperInputs), ...intakes },
    outputs: {
      ...((receives ? { ...batchOutputs, ...keeperOutputs } : batchOutputs) as typeof batchOutputs & typeof keeperOutputs),
      ...given,
    },
    ack: 'manual',
    // orders wait for each other by themselves; blocks for one must get through while it is under way
    concurrency: 1 << 20,
    ...(receives && { tick: keeperTick }),
    async prepare(context) {
      checkIntakes(graph, context)
      const kept = disk === undefined ? stateFiles() : { files: disk }
      const { files } = kept
      const place = statePlace(graph, context, kept)
      // the driver prepares the directory; the others open their stores when it says that it has
      const directory = place !== undefined && context.taskIndex === 0 ? await openStateDirectory(place) : undefined
      const commits =
        place !== undefined && directory !== undefined
          ? await openCommitLog(place.folder, files, (message) => context.log.warn(message))
          : noCommitLog
      const openState = (): Promise<StateStore> =>
        place === undefined ? Promise.resolve(new MemoryStore()) : openStateStore(place, context.taskIndex)
      const checkState = async (): Promise<void> => {
        if (place !== undefined) await checkCommittedState(place.folder, place.topology, files)
      }
      const receiving = receives ? await openBlockKeeper(graph, context, place?.folder, files) : undefined
      const task = new BatchTask(
        { graph, openState, checkState, commits, reads, files: disk ?? nodeFileSystem, keeper: receiving?.keeper },
        context,
      )
      return {
        execute: {
          process: (order, out, tuple) => task.process(order as ProcessOrder, out as ManualOutput<BatchStreams>, tuple),
          commit: (order, out, tuple) => task.commit(order, out as ManualOutput<BatchStreams>, tuple),
          blocks: (block, out, tuple) => {
            task.block(block)
            out.ack(tuple)
          },
          ...Object.fromEntries(
            [...graph.intakes.keys()].map((stream) => [
              inputOf(stream),
              (values: object, out: ManualOutput<Streams>, tuple: Tuple) => task.tuple(stream, values, out, tuple),
            ]),
          ),
          ...(receiving?.execute as BlockKeeping['execute']),
        },
        onTick: () => receiving?.keeper.tick(),
        finish: () => task.finish(),
        async cleanup() {
          await task.close()
          directory?.release()
        },
      }
    },
  })
  const orders = t.spout('batches', coordinator)
  const declared = t.bolt('batch', batch, { parallelism: 'executors' })
  declared
    .input('process')
    .all(orders.stream('process'))
    .input('commit')
    .all(orders.stream('commit'))
    .input('blocks')
    .direct(t.later('batch', BlockSchema, 'blocks'))
  if (receives) wireReceivers(t, graph, orders, declared)
  // its type does not know the inputs that the graph adds
  const more = declared as unknown as { input(name: string): Groupings<object, unknown> }
  for (const [stream, from] of graph.intakes) more.input(inputOf(stream)).localOrShuffle(from)
}

/** The input of the batch bolt for a stream that is made of tuples. */
function inputOf(stream: string): string {
  return `tuples-${stream}`
}

/** Tuples are held until their batch is committed: without acks nothing would bound them, and with a long interval they would expire. */
function checkIntakes(graph: StreamGraph, { config, topology, component }: TaskContext): void {
  const [stream] = graph.intakes.keys()
  if (stream === undefined) return
  const { ack, messageTimeouts, messageTimeoutMs } = config
  if (!ack) throw new SquallError('intake-unbounded', { stream }, { topology, component, stream })
  if (messageTimeouts && graph.intervalMs * 2 > messageTimeoutMs)
    throw new SquallError(
      'intake-expires',
      { stream, interval: graph.intervalMs, timeout: messageTimeoutMs },
      { topology, component, stream },
    )
}

/** Where a topology keeps what must outlive its process, if anywhere. */
function stateFolder({ config }: TaskContext): string | undefined {
  const folder = config['stateDir']
  return typeof folder === 'string' ? folder : undefined
}

function statePlace(graph: StreamGraph, context: TaskContext, kept: StateFiles): StateDirectoryOptions | undefined {
  const folder = stateFolder(context)
  if (folder === undefined) return undefined
  const { topology, taskCount: tasks, config, log } = context
  return {
    folder,
    topology,
    tasks,
    store: config.stateStore,
    operators: Object.fromEntries(graph.stateNames.map((name) => [name, 1])),
    generations: (config['stateGenerations'] ?? {}) as Readonly<Record<string, number>>,
    run: `${process.pid}`,
    ...kept,
    check: config.check,
    report: (message) => log.warn(message),
  }
}
