/** Every adapter there is. A suite that none of them is for is unsupported. */
import { fileState } from './adapters/file-state.ts'
import { partialKeyGrouping } from './adapters/partial-key-grouping.ts'
import { rollingTopWords } from './adapters/rolling-top-words.ts'
import { tridentState } from './adapters/trident-state.ts'
import type { Adapter } from './vectors.ts'

export const adapters: readonly Adapter[] = [fileState, partialKeyGrouping, rollingTopWords, tridentState]
