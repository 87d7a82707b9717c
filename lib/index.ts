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
