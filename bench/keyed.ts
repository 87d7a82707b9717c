/**
 * What batches cost by themselves, and by the size of the state: counts by key of made-up records.
 *
 *     EmptyBatch      batches without records, one after the other
 *     SmallBatches    100 records every 10 ms
 *     KeyedCount      a state of `--keys`; 100,000 records of random keys a batch and executor
 */
import { viewState } from '../lib/batch/state/inspect.ts'
import { figuresOf, runBatches, sum, withFolder } from './batch-run.ts'
import type { BatchFigures, BatchRun, Store } from './batch-run.ts'
import definition, { fillRecords } from './scenarios/key-count.ts'

export interface KeyedOptions {
  readonly executors: number
  readonly store: Store
  readonly seconds: number
  readonly warmUp: number
  readonly keys: number | undefined
}

export interface KeyedMeasurement extends BatchFigures {
  readonly scenario: string
  readonly keys: number
  readonly recordsPerSecond: number
  /** with an interval: all batches were committed before the next was due */
  readonly sustained?: boolean
}

export interface KeyedScenario {
  readonly name: string
  readonly what: string
  /** where none is asked for */
  readonly store: Store
  readonly keys: number
  readonly records: number
  readonly intervalMs: number
}

export const keyedScenarios: ReadonlyMap<string, KeyedScenario> = new Map(
  [
    {
      name: 'EmptyBatch',
      what: 'a batch without records, from its plan to its commit',
      store: 'memory',
      keys: 0,
      records: 0,
      intervalMs: 0,
    },
    { name: 'SmallBatches', what: 'a batch of 100 records every 10 ms', store: 'log', keys: 10_000, records: 100, intervalMs: 10 },
    {
      name: 'KeyedCount',
      what: 'counts by random keys into a state of a million',
      store: 'log',
      keys: 1_000_000,
      records: 100_000,
      intervalMs: 0,
    },
  ].map((one) => [one.name, one as KeyedScenario]),
)

export async function measureKeyed(scenario: KeyedScenario, options: KeyedOptions): Promise<KeyedMeasurement> {
  const { name, intervalMs } = scenario
  const { executors, store, seconds, warmUp, keys = scenario.keys } = options
  return withFolder(async (folder) => {
    const records = name === 'KeyedCount' ? scenario.records * executors : scenario.records
    const run = await runBatches({
      definition,
      file: 'key-count',
      params: { keys, records, intervalMs, seconds: warmUp + seconds, batchesMax: 1e9 },
      executors,
      store,
      folder,
      warmUp,
      skip: Math.ceil(keys / fillRecords),
    })
    if (store !== 'memory' && keys > 0) await check(folder, keys, run)
    const figures = figuresOf(run, options)
    return {
      scenario: name,
      keys,
      recordsPerSecond: Math.round(sum(run.counted.map(({ amount }) => amount)) / run.seconds),
      ...(intervalMs > 0 && { sustained: figures.batchesPerSecond >= (0.99 * 1_000) / intervalMs }),
      ...figures,
    }
  })
}

/** Throws unless the state has every key, and counts as many records as were given. */
async function check(folder: string, keys: number, { all }: BatchRun): Promise<void> {
  const view = await viewState(folder, definition.name)
  try {
    let [size, counted] = [0, 0]
    for (const [, count] of view.entries('counts')) {
      size++
      counted += count as number
    }
    const given = sum(all.map(({ amount }) => amount))
    if (size !== keys || counted !== given)
      throw new Error(`the state has ${counted} records of ${size} keys, given were ${given} of ${keys}`)
  } finally {
    await view.close()
  }
}
