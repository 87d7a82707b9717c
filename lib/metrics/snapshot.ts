/** What a run has done so far, for people and for `--json`: full counts, nothing sampled. */
import type { Latency } from './histogram.ts'

export interface ComponentSnapshot {
  readonly id: string
  readonly kind: 'spout' | 'bolt'
  /** of all its tasks together */
  readonly latencyMs: Latency
  readonly tasks: readonly TaskSnapshot[]
}

export interface TaskSnapshot {
  readonly task: number
  readonly executor: number
  /** tuples emitted, by stream; a tuple to three tasks counts once */
  readonly emitted: Readonly<Record<string, number>>
  /** tuples executed, by `component.stream` (bolts) */
  readonly executed: Readonly<Record<string, number>>
  /** spouts: trees done; bolts: tuples acked */
  readonly acked: number
  /** spouts: trees that failed; bolts: tuples failed */
  readonly failed: number
  readonly expired: number
  readonly replayed: number
  readonly deadLettered: number
  /** spouts: trees under way; bolts: tuples waiting or being executed */
  readonly pending: number
  readonly errors: number
  /** milliseconds spent in the component's own code */
  readonly busyMs: number
  /** spouts: from emit to done; bolts: one execution (very short ones are timed by runs) */
  readonly latencyMs: Latency
  /** the component's own counters */
  readonly counters: Readonly<Record<string, number>>
}

export interface Totals {
  /** trees started by spouts, replays not counted */
  readonly emitted: number
  readonly acked: number
  readonly failed: number
  readonly expired: number
  readonly replayed: number
  readonly deadLettered: number
}

export interface Snapshot {
  readonly topology: string
  readonly uptimeMs: number
  readonly totals: Totals
  readonly pending: number
  /** from emit to done, over all spouts */
  readonly latencyMs: Latency
  readonly components: readonly ComponentSnapshot[]
  readonly executorRestarts: number
}
