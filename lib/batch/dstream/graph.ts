/**
 * The graph of a topology's streams: what was declared, the same in every task. Nothing here holds data; the RDDs of each
 * batch are in a task's `StreamRuns` (`runs.ts`).
 */
import type { z } from 'zod'
import { SquallError } from '../../errors.ts'
import type { Place } from '../../errors.ts'
import type { Duration } from '../../std/clock.ts'
import { calledFrom } from '../../std/stack.ts'
import type { StorageLevel } from '../blocks.ts'
import type { RddContext } from '../context.ts'
import type { WatermarkPolicy } from '../event-time.ts'
import type { RDD } from '../rdd/rdd.ts'
import type { BatchStats } from '../run/batch-stats.ts'
import type { RateOptions } from '../rate-control.ts'
import type { ReceivedSource } from '../receiver/received.ts'
import type { StreamHandle } from '../../topology/builder.ts'
import type { OutlineState } from '../../topology/outline.ts'
import type { BatchSource } from '../source.ts'
import type { Scope } from './scope.ts'

/** What a graph knows of a stream. */
export interface StreamNode<T> {
  /** dense, in order of declaration: the same in every task */
  readonly number: number
  /** how people know it: its id or its operator */
  readonly name: string
  readonly parents: readonly StreamNode<unknown>[]
  readonly slideMs: number
  /** what it needs of its parents beyond the batch at hand */
  readonly lookBackMs: number
  /** its batches change state: they are made one after the other, when they are committed */
  readonly isStateful: boolean
  /** what its state is called in the store */
  readonly state: string | undefined
  /** how its operator is drawn */
  readonly label: string
  /** how long its RDDs are kept at least; grows while the graph is declared */
  rememberMs: number
  /** how far back windows reach to it; known when the graph is finished */
  reachMs: number
  persists: boolean
  readonly level: StorageLevel
  /** the state is written down whole so often, besides when its store wants to */
  readonly snapshotMs: number | undefined
  /** Its RDD of the batch of a scope. */
  make(scope: Scope): RDD<T> | undefined
  /** Of a stream with state: its RDD of a batch that was committed, when it is not in memory any more. */
  makeAgain?(scope: Scope): RDD<T>
}

/** A part of an output in one task. */
export type Act = () => void | Promise<void>

/** What is done with each batch of a stream. */
export interface Output<T = unknown> {
  readonly name: string
  readonly stream: StreamNode<T>
  /** it does nothing, and is there to let its stream run */
  readonly isInner?: boolean
  /**
   * Runs in every task, one output after the other. What comes last of it, if its outcome is to be known in all tasks, it may return: that
   * is run then, and told with what they trade next.
   */
  readonly run: (rdd: RDD<T>, scope: Scope) => Promise<Act | undefined>
  /** The task ends. */
  readonly close?: (task: number) => Promise<void>
}

export class StreamGraph {
  readonly topology: string
  readonly streams: StreamNode<unknown>[] = []
  readonly outputs: Output[] = []
  readonly sources = new Map<string, BatchSource<unknown>>()
  /** how much batches take of sources, where something is said of that */
  readonly rates = new Map<string, RateOptions>()
  /** are told of each batch that is committed */
  readonly batchListeners: ((stats: BatchStats) => void)[] = []
  /** sources that are streams of tuples: where each comes from */
  readonly intakes = new Map<string, StreamHandle<object>>()
  /** streams of tuples that batches give, by name */
  readonly tuples = new Map<string, z.ZodType>()
  /** the streams that receivers make */
  readonly received = new Map<string, ReceivedSource>()
  readonly faults: SquallError[] = []
  /** what layers above streams add when all is declared */
  readonly finishers: (() => void)[] = []
  /** RDD programs that all tasks run before their first batch */
  readonly preparations: ((sc: RddContext) => Promise<void>)[] = []
  /** what is done once, when all batches are committed and no more will come */
  readonly endings: (() => void | Promise<void>)[] = []
  /** operators by the names of their states */
  readonly #states = new Map<string, string>()
  /** the delays of the inputs with a watermark */
  readonly watermarks = new Map<string, Duration>()
  watermarkPolicy: WatermarkPolicy = 'min'
  /** streams that only prepare what others read: they are not drawn */
  readonly inner = new Set<StreamNode<unknown>>()
  /** streams that see event times for the watermark */
  readonly watermarked = new Set<StreamNode<unknown>>()
  /** there are operators over event time */
  hasEventTime = false
  /** without an interval: a batch without data follows one with data */
  noDataBatches = true
  /** how long the streams with an output are remembered at least */
  rememberOutputsMs = 0
  readonly intervalMs: number
  #stateful: readonly StreamNode<unknown>[] = []
  /** where the first stream is declared */
  #begins: Place | undefined

  constructor(topology: string, intervalMs: number) {
    this.topology = topology
    this.intervalMs = intervalMs
  }

  add(stream: StreamNode<unknown>): void {
    for (const { number, name } of stream.parents.filter((parent) => this.streams[parent.number] !== parent))
      this.fault(new SquallError('foreign-stream', { stream: `${name} (${number + 1})`, topology: this.topology }, this.where(stream.name)))
    this.#begins ??= this.where(stream.name)
    this.streams.push(stream)
  }

  /** What the state of an operator is called in the store. It must be stable, so a name that is taken is a fault and not changed. */
  stateName(given: string | undefined, operator: string, input: string): string {
    const name = given ?? `${input}.${operator}`
    if (this.#states.has(name)) this.fault(new SquallError('state-name', { name }, this.where(input)))
    this.#states.set(name, operator)
    return name
  }

  get stateNames(): readonly string[] {
    return [...this.#states.keys()]
  }

  /** All that is kept from one run to the next. */
  get states(): readonly OutlineState[] {
    const sources = [...this.sources.keys()].map((id) => ({ name: `source ${id}`, operator: 'source' }))
    return [...[...this.#states].map(([name, operator]) => ({ name, operator })), ...sources]
  }

  addOutput<T>(output: Output<T>): void {
    this.outputs.push(output as unknown as Output)
  }

  /** The streams that outputs depend on. */
  get needed(): ReadonlySet<StreamNode<unknown>> {
    const needed = new Set(this.outputs.map(({ stream }) => stream))
    // children were declared after their parents
    for (const stream of this.streams.toReversed()) if (needed.has(stream)) for (const parent of stream.parents) needed.add(parent)
    return needed
  }

  fault(error: SquallError): void {
    this.faults.push(error)
  }

  /** Where an error of a stream is: in the user's code while the topology is declared. */
  where(stream: string): Place {
    return Object.assign(calledFrom(), { topology: this.topology, stream })
  }

  /** The streams with state that outputs depend on, parents first. Each is evaluated at every batch of its own, whoever looks at it then. */
  get stateful(): readonly StreamNode<unknown>[] {
    return this.#stateful
  }

  /** How far back streams reach, ms. */
  get rememberMs(): number {
    return Math.max(0, ...this.streams.map(({ rememberMs }) => rememberMs))
  }

  /** Whether the state is to be written down whole after the batch of this time. */
  isSnapshotDue(timeMs: number): boolean {
    return this.#stateful.some(({ snapshotMs }) => snapshotMs !== undefined && timeMs % snapshotMs === 0)
  }

  /** What was declared is whole: how long each stream's RDDs are needed. Faults go to the plan. */
  finish(): void {
    for (const finisher of this.finishers) finisher()
    if (this.streams.length > 0 && this.outputs.length === 0)
      this.fault(new SquallError('no-output', { topology: this.topology }, this.#begins))
    for (const { stream } of this.outputs) stream.rememberMs = Math.max(stream.rememberMs, this.rememberOutputsMs)
    // children were declared after their parents
    for (const stream of this.streams.toReversed())
      for (const parent of stream.parents) {
        parent.rememberMs = Math.max(parent.rememberMs, stream.rememberMs + stream.lookBackMs)
        parent.reachMs = Math.max(parent.reachMs, stream.reachMs + stream.lookBackMs)
      }
    const needed = this.needed
    this.#stateful = this.streams.filter((stream) => stream.isStateful && needed.has(stream))
  }
}
