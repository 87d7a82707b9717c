/** The scenarios by name: what each runs, and with what settings. */
import type { ConfigInput } from '../lib/config.ts'
import type { TopologyDefinition } from '../lib/index.ts'
import type { Snapshot } from '../lib/metrics/snapshot.ts'
import { readText, sampleText } from './text.ts'

export interface Scenario {
  readonly name: string
  readonly what: string
  readonly module: string
  load(): Promise<{ readonly default: TopologyDefinition }>
  /** roots a second of all spouts, where they are not at full speed */
  readonly rate?: number
  readonly readsText?: boolean
  /** where the components count latencies themselves, from when a tuple was due */
  readonly latency: 'from-due' | 'from-emit'
  /** parameters besides `probe` */
  params(options: ScenarioOptions): Readonly<Record<string, unknown>>
  config?(options: ScenarioOptions): ConfigInput
  /** Roots that the last bolt has executed, between two snapshots; this counts where nothing is acked. */
  executedRoots(count: Count): number
}

export interface ScenarioOptions {
  readonly ack: boolean
  readonly executors: number
  readonly rate: number
  readonly text: string | undefined
}

/** How many tuples a component has emitted or executed between two snapshots. */
export interface Count {
  emitted(component: string): number
  executed(component: string): number
}

export function countBetween(before: Snapshot, after: Snapshot): Count {
  const of = (snapshot: Snapshot, id: string, what: 'emitted' | 'executed'): number => {
    let sum = 0
    for (const component of snapshot.components)
      if (component.id === id) for (const task of component.tasks) for (const n of Object.values(task[what])) sum += n
    return sum
  }
  return {
    emitted: (id) => of(after, id, 'emitted') - of(before, id, 'emitted'),
    executed: (id) => of(after, id, 'executed') - of(before, id, 'executed'),
  }
}

/** A scenario's module where it is now: the sources, or the build. */
function moduleOf(file: string): string {
  return new URL(`./scenarios/${file}${import.meta.url.slice(-3)}`, import.meta.url).href
}

/** Lines of the text that is made where none is given. */
const sampleLines = 200_000

const constant = (name: string, what: string, hops: number): Scenario => ({
  name,
  what,
  module: moduleOf('const'),
  load: () => import('./scenarios/const.ts'),
  latency: 'from-emit',
  params: ({ executors }) => ({ executors, hops }),
  executedRoots: (count) => (hops === 0 ? count.emitted('spout') : count.executed('null')),
})

const wordCount = (name: string, what: string, latency: Scenario['latency'], rate?: number): Scenario => ({
  name,
  what,
  module: moduleOf('word-count'),
  load: () => import('./scenarios/word-count.ts'),
  ...(rate !== undefined && { rate }),
  readsText: true,
  latency,
  params: ({ ack, executors, text, rate: asked }) => ({
    executors,
    rate: asked,
    timed: !ack && latency === 'from-due',
    text: text === undefined ? sampleText(sampleLines) : readText(text),
  }),
  executedRoots: (count) => (count.executed('count') * count.executed('split')) / Math.max(1, count.emitted('split')),
})

/** Trees under way a spout: more than may wait in an executor (`inboxTuplesMax`), so that it is that bound which holds. */
const backPressurePending = 16_384
const busyMs = 0.1

const all: readonly Scenario[] = [
  constant('ConstSpoutOnly', 'a spout that no one reads: emitting, and starting and ending trees', 0),
  constant('ConstSpoutNullBolt', 'spout to bolt: one hop', 1),
  constant('ConstSpoutIdBoltNullBolt', 'spout to bolt to bolt: two hops', 2),
  wordCount('FileReadWordCount', 'lines of a text in memory, split and counted by word', 'from-emit'),
  {
    name: 'LowThroughput',
    what: 'a lone tuple every 10 ms; with two executors it crosses threads',
    module: moduleOf('low-throughput'),
    load: () => import('./scenarios/low-throughput.ts'),
    rate: 100,
    latency: 'from-due',
    params: ({ rate, ack }) => ({ rate, acked: ack }),
    executedRoots: (count) => count.executed('arrived'),
  },
  {
    name: 'BackPressure',
    what: 'a spout at full speed before a bolt that needs 0.1 ms a tuple: memory flat, nothing lost',
    module: moduleOf('back-pressure'),
    load: () => import('./scenarios/back-pressure.ts'),
    latency: 'from-emit',
    params: ({ executors }) => ({ executors, busyMs }),
    config: () => ({ spoutPendingMax: backPressurePending }),
    executedRoots: (count) => count.executed('slow'),
  },
  wordCount('ThroughputVsLatency', 'the word count at a fixed rate; latency from when a line should have left', 'from-due', 20_000),
]

export const scenarios: ReadonlyMap<string, Scenario> = new Map(all.map((scenario) => [scenario.name, scenario]))
