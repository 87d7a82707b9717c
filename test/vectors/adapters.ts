/** Every adapter there is. A suite that none of them is for is unsupported. */
import { fileState } from './adapters/file-state.ts'
import { partialKeyGrouping } from './adapters/partial-key-grouping.ts'
import { pairRddFunctions } from './adapters/rdd/suite-pairs.ts'
import { partitioning } from './adapters/rdd/suite-partitioning.ts'
import { rddSuite } from './adapters/rdd/suite-rdd.ts'
import { rollingTopWords } from './adapters/rolling-top-words.ts'
import { basicOperations, checkpoints, windowOperations } from './adapters/streams/suite-basic.ts'
import { inputStreams } from './adapters/streams/suite-input.ts'
import { mapWithState, mapWithStateRdd } from './adapters/streams/suite-map-with-state.ts'
import { tridentState } from './adapters/trident-state.ts'
import type { Adapter } from './vectors.ts'

export const adapters: readonly Adapter[] = [
  fileState,
  partialKeyGrouping,
  rollingTopWords,
  rddSuite,
  pairRddFunctions,
  partitioning,
  tridentState,
  basicOperations,
  windowOperations,
  checkpoints,
  mapWithState,
  mapWithStateRdd,
  inputStreams,
]
