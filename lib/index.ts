/** Squall's public API, name by name. */
export { z } from 'zod'
export { defineBolt, defineSpout } from './topology/component.ts'
export type {
  Bolt,
  BoltClass,
  BoltDefinition,
  BoltOutput,
  DeadLetter,
  EmitOptions,
  Failure,
  InputsOfClass,
  ManualOutput,
  OutputsOfClass,
  Spout,
  SpoutClass,
  SpoutContext,
  SpoutDefinition,
  SpoutOutput,
  SpoutOutputsOfClass,
  StreamDeclaration,
  Streams,
  TaskContext,
  TupleSchema,
  TuplesOf,
  Tuple,
} from './topology/component.ts'
export type { BoltDeclarer, ComponentHandle, Groupings, StreamHandle, TopologyBuilder } from './topology/builder.ts'
export type { ComponentOptions, TopologyDefinition } from './topology/draft.ts'
export type { CustomGrouping, GroupingContext } from './topology/grouping.ts'
export type { Config, ConfigInput } from './config.ts'
export { SquallError } from './errors.ts'
export { files } from './connectors/files.ts'
export type { LinesOptions, LinesSpout } from './connectors/files.ts'
export { SlidingWindowCounter, SlotBasedCounter } from './bolts/counters.ts'
export { Rankings, intermediateRankings, totalRankings } from './bolts/rankings.ts'
export type { Ranked, RankingsOptions, RankingsTuple } from './bolts/rankings.ts'
export { rollingCount } from './bolts/rolling-count.ts'
export type { RollingCountBolt, RollingCountOptions } from './bolts/rolling-count.ts'
export { RddContext, rdd } from './batch/context.ts'
export type { RddContextOptions, SourceOptions } from './batch/context.ts'
export { BlockStore } from './batch/blocks.ts'
export type { BlockStoreOptions, StorageLevel } from './batch/blocks.ts'
export type { Exchange } from './batch/exchange.ts'
export { RDD } from './batch/rdd/rdd.ts'
export type { RddDependency, SortOptions, Zero } from './batch/rdd/rdd.ts'
export { HashPartitioner } from './batch/rdd/partitioners.ts'
export type { Partitioner } from './batch/rdd/partitioners.ts'
export { RangePartitioner } from './batch/rdd/range-partitioner.ts'
export type { RangeOptions } from './batch/rdd/range-partitioner.ts'
export type { Attempt } from './batch/rdd/attempts.ts'
export type { Partitions } from './batch/rdd/by-key.ts'
export type { Compare } from './batch/rdd/ordering.ts'
export type { Stats } from './batch/rdd/stats.ts'
export { EventTimeStats, WatermarkTracker, watermarkDelayMs, watermarkPolicy } from './batch/event-time.ts'
export type { WatermarkOptions, WatermarkPolicy } from './batch/event-time.ts'
export {
  SessionWindows,
  TimeWindows,
  mergeSessions,
  sessionWindow,
  slidingWindow,
  tumblingWindow,
  windowTime,
} from './batch/event/time-windows.ts'
export type { TimeWindow, TimeWindowOptions } from './batch/event/time-windows.ts'
export type { BatchStats, StreamRead, StreamStats } from './batch/run/batch-stats.ts'
export type { BackpressureOptions, RateOptions } from './batch/rate-control.ts'
export { PidRateEstimator, TokenBucket, partitionLimits } from './batch/rate.ts'
export type { PartitionLimitsOptions, PidOptions, TokenBucketOptions } from './batch/rate.ts'
export { TupleLayout, TupleView } from './batch/trident/tuple-view.ts'
export { trident, TridentStream } from './batch/trident/stream.ts'
export type { CompareValues, StateUpdater, TridentFilter, TridentFunction, TridentState } from './batch/trident/stream.ts'
export type { WindowOptions, WindowSize } from './batch/trident/windows.ts'
export type { GroupedTridentStream } from './batch/trident/grouped.ts'
export { multiReduce, tridentJoin } from './batch/trident/join.ts'
export type { JoinOptions, JoinSide, MultiReducer } from './batch/trident/join.ts'
export type {
  Aggregator as TridentAggregator,
  AnyAggregator,
  CombinerAggregator,
  Emit,
  ReducerAggregator,
  Row,
} from './batch/trident/aggregates.ts'
export { newStream } from './batch/trident/spouts.ts'
export type {
  BatchEmitter,
  BatchSpout,
  OpaqueEmitter,
  OpaqueSpout,
  SpoutCoordinator,
  TransactionalCoordinator,
  TransactionalEmitter,
  TransactionalSpout,
  TridentSpout,
} from './batch/trident/spouts.ts'
export { builtIns } from './batch/trident/built-ins.ts'
export { LocalDrpc } from './batch/trident/drpc.ts'
export { newStaticState, state } from './batch/trident/persist.ts'
export type { QueryFunction } from './batch/trident/query.ts'
export type { StateContext, StateFactory, StateHandle, StateSource, StoredState } from './batch/trident/persist.ts'
export { MetadataLog, resumption } from './batch/run/metadata-log.ts'
export type { MetadataLogOptions, Resumption } from './batch/run/metadata-log.ts'
export { commitFormat, decodeEntry, encodeEntry, offsetFormat, parseBatchMetadata, pinnedConf } from './batch/run/metadata.ts'
export type { BatchMetadata, CommitEntry, EntryFormat, OffsetEntry } from './batch/run/metadata.ts'
export { BlockGenerator } from './batch/receiver/block-generator.ts'
export type { BlockGeneratorListener, BlockGeneratorOptions } from './batch/receiver/block-generator.ts'
export { ReceivedBlockTracker } from './batch/receiver/block-tracker.ts'
export type { BlocksByStream, ReceivedBlockTrackerOptions, TrackerRecord } from './batch/receiver/block-tracker.ts'
export { LoggedBlocks, MemoryBlocks, ReplicatedBlocks } from './batch/receiver/block-stores.ts'
export type { LoggedBlocksOptions } from './batch/receiver/block-stores.ts'
export type { BlockInfo, BlockStore as ReceivedBlockStore } from './batch/receiver/block.ts'
export { ReceiverSupervisor } from './batch/receiver/supervisor.ts'
export type { ReceiverEvent, ReceiverSupervisorOptions } from './batch/receiver/supervisor.ts'
export type { Receiver, ReceiverOutput } from './batch/receiver/receiver.ts'
export { received } from './batch/receiver/received.ts'
export type { ReceivedOptions, ReceivedSource } from './batch/receiver/received.ts'
export { realSchedule } from './std/schedule.ts'
export type { Schedule } from './std/schedule.ts'
export { nodeFileSystem } from './batch/log/file-system.ts'
export type { FileSystem, OpenFile } from './batch/log/file-system.ts'
export type { Clock, Duration } from './std/clock.ts'
export { httpJson, httpLines } from './batch/receiver/http-receiver.ts'
export type { HttpReceiverOptions } from './batch/receiver/http-receiver.ts'
export { socketLines, tcpLines } from './batch/receiver/tcp-receivers.ts'
export type { SocketLinesOptions, TcpLinesOptions } from './batch/receiver/tcp-receivers.ts'
export { CachedBatchReadsMap, CachedMap, SplitMap } from './batch/trident/state/caches.ts'
export type { BatchRead, SplitMapOptions } from './batch/trident/state/caches.ts'
export { FileState } from './batch/trident/state/file-state.ts'
export type { FileStateOptions } from './batch/trident/state/file-state.ts'
export { NonTransactionalMap, OpaqueMap, SnapshottableMap, TransactionalMap } from './batch/trident/state/maps.ts'
export { MemoryMapState } from './batch/trident/state/memory-map-state.ts'
export type {
  Awaitable,
  BackingMap,
  MapState,
  ReadOnlyMapState,
  ReadOnlySnapshottable,
  ReadOnlyState,
  RemovableMapState,
  Snapshottable,
  State,
  ValueUpdater,
} from './batch/trident/state/state.ts'
export { jsonSerializers, OpaqueValue, TransactionalValue } from './batch/trident/state/values.ts'
export type { Serializer } from './batch/trident/state/values.ts'
export { topology } from './batch/builder.ts'
export type { StreamOptions, StreamTopologyBuilder } from './batch/builder.ts'
export { job } from './batch/job.ts'
export type { JobBuilder } from './batch/job.ts'
export type { JobProgram } from './batch/run/job-task.ts'
export { DStream } from './batch/dstream/dstream.ts'
export { KeyState, stateSpec } from './batch/dstream/state-spec.ts'
export type { StateSpec } from './batch/dstream/state-spec.ts'
export { memorySource } from './batch/sources/memory.ts'
export { csvRecords, jsonLines, textLines } from './batch/sources/file.ts'
export type { FileOptions } from './batch/sources/file.ts'
export type { BadRecord, CsvOptions, JsonOptions, OnBadRecord } from './batch/sources/formats.ts'
export type { BatchSource, Planner, Range, Reader, SourceContext, SourceKind } from './batch/source.ts'
export type { InitialState, KeyedInverseOptions, MapWithStateStream, StateOptions } from './batch/dstream/dstream.ts'
export type { BatchInfo, TransformInfo, BatchReport, StateMetrics } from './batch/dstream/scope.ts'
export type { PartitionInfo } from './batch/dstream/outputs.ts'
export type { OpenSink, Sink, SinkContext } from './batch/dstream/sinks.ts'
export type { KeyWithState, UpdateStates } from './batch/dstream/stateful.ts'
export type { MemorySource, MemorySourceOptions } from './batch/sources/memory.ts'
export { generatorSource } from './batch/sources/generator.ts'
export type { GeneratorOptions } from './batch/sources/generator.ts'
export { LogWriter, openLog } from './batch/sources/log.ts'
export type { AppendOptions, LogOptions, LogPlace } from './batch/sources/log.ts'
export { logSource } from './batch/sources/log-source.ts'
export type { LogSourceOptions } from './batch/sources/log-source.ts'
export { binaryFolder, csvFolder, jsonFolder, textFolder } from './batch/sources/folder.ts'
export type { FolderOptions } from './batch/sources/folder.ts'
export { EventStream, Groups, StatefulStream } from './batch/event/event-stream.ts'
export type { GroupOptions } from './batch/event/event-stream.ts'
export type { OutputMode } from './batch/event/group-state.ts'
export type { Time, TimeOf } from './batch/event/rows.ts'
export * as aggregators from './batch/event/aggregators.ts'
export type { Aggregator, Aggregators } from './batch/event/aggregators.ts'
