/** Every adapter there is. A suite that none of them is for is unsupported. */
import { dataFrameTimeWindowing } from './adapters/data-frame-time-windowing.ts'
import { eventTimeWatermark } from './adapters/event-time-watermark.ts'
import { fileState } from './adapters/file-state.ts'
import { flinkWindowAssigners } from './adapters/flink-window-assigners.ts'
import { metadataLogs } from './adapters/metadata-logs.ts'
import { partialKeyGrouping } from './adapters/partial-key-grouping.ts'
import { pairRddFunctions } from './adapters/rdd/suite-pairs.ts'
import { partitioning } from './adapters/rdd/suite-partitioning.ts'
import { rddSuite } from './adapters/rdd/suite-rdd.ts'
import { pidRateEstimator } from './adapters/pid-rate-estimator.ts'
import { receivedBlockTracker } from './adapters/received-block-tracker.ts'
import { rollingTopWords } from './adapters/rolling-top-words.ts'
import { tridentState } from './adapters/trident-state.ts'
import { tridentTupleView } from './adapters/trident-tuple-view.ts'
import type { Adapter } from './vectors.ts'
import { basicOperations, checkpoints, windowOperations } from './adapters/streams/suite-basic.ts'
import { inputStreams } from './adapters/streams/suite-input.ts'
import { mapWithState, mapWithStateRdd } from './adapters/streams/suite-map-with-state.ts'
import { eventStreamSuites } from './adapters/event-streams.ts'
import { tridentIntegration } from './adapters/trident-integration.ts'

export const adapters: readonly Adapter[] = [
  partialKeyGrouping,
  rollingTopWords,
  rddSuite,
  pairRddFunctions,
  partitioning,
  fileState,
  tridentState,
  dataFrameTimeWindowing,
  eventTimeWatermark,
  flinkWindowAssigners,
  metadataLogs,
  pidRateEstimator,
  receivedBlockTracker,
  tridentTupleView,
  basicOperations,
  windowOperations,
  checkpoints,
  mapWithState,
  mapWithStateRdd,
  inputStreams,
  ...eventStreamSuites,
  tridentIntegration,
]
