/** A process and a run that tests hold in their hands. */
import { EventEmitter } from 'node:events'
import type { Io } from '../../lib/cli/io.ts'
import type { ComponentError, Run, RunOptions, RunResult, Runnable } from '../../lib/engine/run-types.ts'
import type { Snapshot } from '../../lib/metrics/snapshot.ts'
import { planTopology } from '../../lib/topology/plan.ts'

export interface FakeIo extends Io {
  stdout: string
  stderr: string
  exited: number | undefined
  readonly signals: EventEmitter
  /** what others print while it is captured */
  print(text: string): void
}

export function fakeIo(more: Partial<Io> = {}): FakeIo {
  const signals = new EventEmitter()
  const on = <T>(event: string, listener: (value: T) => void): (() => void) => {
    signals.on(event, listener)
    return () => signals.off(event, listener)
  }
  let take: ((text: string) => void) | undefined
  const io: FakeIo = {
    stdout: '',
    stderr: '',
    exited: undefined,
    signals,
    out: (text) => void (io.stdout += text),
    err: (text) => void (io.stderr += text),
    isTerminal: false,
    hasColour: false,
    columns: () => 80,
    rows: () => 24,
    capture(to) {
      take = to
      return () => (take = undefined)
    },
    print: (text) => (take === undefined ? io.out(text) : take(text)),
    onStop: (stop) => on('stop', stop),
    onKey: (pressed) => on('key', pressed),
    onUncaught: (caught) => on('uncaught', caught),
    onExit: () => () => undefined,
    exitSoon: () => undefined,
    exit: (code) => void (io.exited = code),
    ...more,
  }
  return io
}

export const noTotals = { emitted: 0, acked: 0, failed: 0, expired: 0, replayed: 0, deadLettered: 0 }
export const noLatency = { count: 0, mean: 0, p50: 0, p99: 0, p999: 0, max: 0 }

/** A run that ends when it is told to. `started` says with what it was started. */
export class FakeRun implements Run {
  readonly started: { runnable: Runnable; options: RunOptions }[] = []
  readonly done: Promise<RunResult>
  snapshots: Snapshot[] = [
    { topology: 'tiny', uptimeMs: 2_000, totals: noTotals, pending: 0, latencyMs: noLatency, components: [], executorRestarts: 0 },
  ]
  stops = 0
  readonly #waiting: Promise<void>
  #isStarted: () => void = () => undefined
  #end: (result: RunResult) => void = () => undefined

  constructor() {
    this.done = new Promise((end) => (this.#end = end))
    this.#waiting = new Promise((started) => (this.#isStarted = started))
  }

  start = (runnable: Runnable, options: RunOptions = {}): Promise<Run> =>
    // as the engine does: faults of the plan reject, with nothing started
    Promise.resolve().then(() => {
      planTopology(runnable.definition.draft(options.params ?? {}), options.config)
      this.started.push({ runnable, options })
      options.signal?.addEventListener('abort', () => void this.stop())
      this.#isStarted()
      return this
    })

  /** Settles when the command has started it. */
  async whenStarted(): Promise<RunOptions> {
    await this.#waiting
    return this.started[0]?.options ?? {}
  }

  finish(result: Partial<RunResult> = {}): void {
    this.#end({ state: 'finished', seconds: 2, ...noTotals, ...result })
  }

  stop(): Promise<RunResult> {
    this.stops++
    return this.done
  }

  snapshot(): Snapshot {
    return this.snapshots.at(-1) as Snapshot
  }

  readonly failure = undefined

  errors(): readonly ComponentError[] {
    return []
  }

  activate(): Promise<void> {
    return Promise.resolve()
  }

  deactivate(): Promise<void> {
    return Promise.resolve()
  }

  killExecutor(): void {}
}
