/**
 * Recovery: from the start of a run on a state of `--keys` to its first commit, in this process, next to the same with a state of one
 * key: what is left is reading the state.
 */
import { runBatches, withFolder } from './batch-run.ts'
import type { BatchRun, Store } from './batch-run.ts'
import { describeMachine, peakRssMb } from './machine.ts'
import type { Machine } from './machine.ts'
import definition from './scenarios/key-count.ts'
import { sharedClock } from './scenarios/probe.ts'
import { spread } from './start.ts'
import type { Spread } from './start.ts'

export const recoveryName = 'Recovery'

export interface RecoveryOptions {
  readonly executors: number
  readonly store: Store
  readonly keys: number | undefined
  readonly runs: number
}

export interface RecoveryMeasurement {
  readonly scenario: typeof recoveryName
  readonly executors: number
  readonly store: Store
  readonly keys: number
  readonly runs: number
  readonly recoveryMs: Spread
  /** with one key */
  readonly startMs: Spread
  readonly rssMb: number
  readonly node: string
  readonly machine: Machine
}

const nowMs = sharedClock()

export async function measureRecovery({ executors, store, runs, keys = 1_000_000 }: RecoveryOptions): Promise<RecoveryMeasurement> {
  const firstCommits = (size: number): Promise<Spread> =>
    withFolder(async (folder) => {
      const params = { keys: size, records: 1, intervalMs: 0, seconds: 60 }
      const once = (batchesMax: number): Promise<BatchRun> =>
        runBatches({ definition, file: 'key-count', params: { ...params, batchesMax }, executors, store, folder, warmUp: 0 })
      await once(0)
      const took: number[] = []
      for (let i = 0; i < runs; i++) {
        const fromMs = nowMs()
        const { all } = await once(1)
        took.push((all[0]?.committedMs ?? NaN) - fromMs)
      }
      return spread(took)
    })
  const startMs = await firstCommits(1)
  return {
    scenario: recoveryName,
    executors,
    store,
    keys,
    runs,
    recoveryMs: await firstCommits(keys),
    startMs,
    rssMb: Number(peakRssMb().toFixed(1)),
    node: process.version,
    machine: describeMachine(),
  }
}
