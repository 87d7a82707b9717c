/** What a topology with receivers has besides the coordinator and the batch bolt, and what those have more. */
import { join } from 'node:path'
import { SquallError } from '../../errors.ts'
import { defineSpout } from '../../topology/component.ts'
import type { ManualOutput, TaskContext, Tuple } from '../../topology/component.ts'
import type { BoltDeclarer, ComponentHandle, TopologyBuilder } from '../../topology/builder.ts'
import type { StreamGraph } from '../dstream/graph.ts'
import type { FileSystem } from '../log/file-system.ts'
import { StreamRate } from '../rate-control.ts'
import { BlockDriver } from './block-driver.ts'
import { BlockShelf } from './block-shelf.ts'
import { ReceivedBlockTracker } from './block-tracker.ts'
import { BlockKeeper } from './block-keeper.ts'
import type { BlockKeeperOptions } from './block-keeper.ts'
import { ReceiverTask } from './receiver-task.ts'
import { ReceivedSchema, ReplicaSchema, ReportSchema, StateSchema, WatchSchema } from './streams.ts'
import type { KeeperStreams, ReceivedTuple, ReplicaTuple, ReportTuple, StateTuple, WatchTuple } from './streams.ts'

export const keeperInputs = {
  received: ReceivedSchema,
  replica: ReplicaSchema,
  report: ReportSchema,
  state: StateSchema,
  watch: WatchSchema,
}
export const keeperOutputs = { replica: { schema: ReplicaSchema, direct: true }, report: { schema: ReportSchema, direct: true } }
/** How often the timeouts of what is held are begun anew. */
export const keeperTick = '1s'

type InputTuples = {
  readonly received: ReceivedTuple
  readonly replica: ReplicaTuple
  readonly report: ReportTuple
  readonly state: StateTuple
  readonly watch: WatchTuple
}
type KeeperExecute = {
  readonly [K in keyof InputTuples]: (values: InputTuples[K], out: ManualOutput<KeeperStreams>, tuple: Tuple) => void | Promise<void>
}

export interface BlockKeeping {
  readonly keeper: BlockKeeper
  readonly execute: KeeperExecute
}

/** The part of a task of the batch bolt. The driver has the state directory by now. */
export async function openBlockKeeper(
  graph: StreamGraph,
  context: TaskContext,
  stateFolder: string | undefined,
  files: FileSystem,
): Promise<BlockKeeping> {
  const { topology, component, taskIndex: index, taskCount: count } = context
  for (const [stream, { writeAheadLog }] of graph.received)
    if (writeAheadLog === true && stateFolder === undefined)
      throw new SquallError('receiver-log', { stream }, { topology, component, stream })
  const folder = stateFolder === undefined ? undefined : join(stateFolder, 'received')
  const streams = [...graph.received.keys()]
  const driver =
    index === 0
      ? new BlockDriver(await ReceivedBlockTracker.open({ streams, clock: context, folder, files }), context.tasksOf('receivers').length)
      : undefined
  const options: BlockKeeperOptions = {
    streams: graph.received,
    rateOf: (stream) => new StreamRate(graph.rates.get(stream) ?? {}, graph.intervalMs, context.now()).rate,
    rememberMs: graph.rememberMs,
    hasStateFolder: folder !== undefined,
    driver,
    openShelf: () => BlockShelf.open({ index, count, clock: context, files, folder }),
  }
  const keeper = new BlockKeeper(options, context)
  return {
    keeper,
    execute: {
      received: (block, out, tuple) => keeper.take(block, out, tuple),
      replica: (part, out, tuple) => keeper.takeCopy(part, out, tuple),
      report: (report, out, tuple) => keeper.report(report, out, tuple),
      state: (state, out, tuple) => driver?.state(state, out, tuple),
      watch: (watch, out, tuple) => driver?.watch(watch, out, tuple),
    },
  }
}

/** The spout of the receivers, and what the batch bolt reads more. */
export function wireReceivers(
  t: TopologyBuilder,
  graph: StreamGraph,
  orders: ComponentHandle<{ readonly watch: WatchTuple }>,
  batch: BoltDeclarer<InputTuples, KeeperStreams>,
): void {
  const spout = defineSpout({
    outputs: { received: { schema: ReceivedSchema, direct: true }, state: { schema: StateSchema, direct: true } },
    open: (context) => new ReceiverTask(graph.received, context),
  })
  const receivers = t.spout('receivers', spout, { parallelism: 'executors' })
  batch
    .input('received')
    .direct(receivers.stream('received'))
    .input('replica')
    .direct(t.later('batch', ReplicaSchema, 'replica'))
    .input('report')
    .direct(t.later('batch', ReportSchema, 'report'))
    .input('state')
    .direct(receivers.stream('state'))
    .input('watch')
    .direct(orders.stream('watch'))
}
