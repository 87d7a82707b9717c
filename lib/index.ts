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
export { topology } from './topology/builder.ts'
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
} from './batch/time-windows.ts'
export type { TimeWindow, TimeWindowOptions } from './batch/time-windows.ts'
export { PidRateEstimator, TokenBucket, partitionLimits } from './batch/rate.ts'
export type { PartitionLimitsOptions, PidOptions, TokenBucketOptions } from './batch/rate.ts'
export { TupleLayout, TupleView } from './batch/trident/tuple-view.ts'
