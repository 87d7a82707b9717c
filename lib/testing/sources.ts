/** Sources for tests: what replaces a spout in `complete`, and a spout that a test feeds by hand. */
import type { z } from 'zod'
import { SquallError } from '../errors.ts'
import { hintFor } from '../std/words.ts'
import { defineSpout, deadLetterStream } from '../topology/component.ts'
import type { Failure, SpoutDefinition, TupleSchema } from '../topology/component.ts'
import type { DraftComponent, TopologyDefinition, TopologyDraft } from '../topology/draft.ts'

/** The tuples of a mocked spout: of its default stream, or of its streams by name. */
export type MockedSource = readonly object[] | Readonly<Record<string, readonly object[]>>

/** `definition` with some of its spouts replaced by fixed tuples, spread evenly over the spout's tasks. */
export function withSources(definition: TopologyDefinition, sources: Readonly<Record<string, MockedSource>>): TopologyDefinition {
  return {
    ...definition,
    draft(params): TopologyDraft {
      const draft = definition.draft(params)
      const spouts = draft.components.filter(({ definition: { kind } }) => kind === 'spout').map(({ id }) => id)
      const faults = Object.keys(sources)
        .filter((id) => !spouts.includes(id))
        .map((component) => new SquallError('unknown-source', { component, hint: hintFor(component, spouts) }, { topology: draft.name }))
      return {
        ...draft,
        faults: [...draft.faults, ...faults],
        components: draft.components.map((component) => mocked(component, sources[component.id])),
      }
    },
  }
}

function mocked(component: DraftComponent, source: MockedSource | undefined): DraftComponent {
  const { definition } = component
  if (source === undefined || definition.kind !== 'spout') return component
  const { [deadLetterStream]: _, ...outputs } = definition.outputs
  const streams = (Array.isArray(source) ? { default: source } : source) as Readonly<Record<string, readonly object[]>>
  const tuples = Object.entries(streams).flatMap(([stream, all]) => all.map((values) => ({ stream, values })))
  const mock = defineSpout({
    outputs: outputs as unknown as Record<string, TupleSchema>, // any declarations will do here
    replay: definition.replay,
    tracked: definition.tracked,
    config: definition.config,
    open: ({ taskIndex, taskCount }) => inTurn(tuples, taskIndex, taskCount) as never, // as declared
  })
  return { ...component, definition: mock }
}

/** A task's share of fixed tuples, one a call, and then the end. */
function inTurn(tuples: readonly { readonly stream: string; readonly values: object }[], taskIndex: number, taskCount: number) {
  let next = taskIndex
  return (out: { emitTo(stream: string, values: object): void; end(): void }): void => {
    const tuple = tuples[next]
    next += taskCount
    if (tuple === undefined) out.end()
    else out.emitTo(tuple.stream, tuple.values)
  }
}

/**
 * A spout of fixed tuples, spread evenly over its tasks; each is emitted again when it fails. For a test of a bolt, or of a
 * part of a topology, that has no spout of its own. To replace the spout of a whole topology, name it in `sources`.
 *
 * ```ts
 * const words = fixedSpout(z.object({ word: z.string() }), [{ word: 'a' }, { word: 'b' }])
 * const done = await cluster.complete(topology('t', (t) => void t.bolt('count', count).shuffle(t.spout('words', words))))
 * expect(done.tuples('count')).toEqual([{ word: 'a', count: 1 }, { word: 'b', count: 1 }])
 * ```
 */
export function fixedSpout<S extends TupleSchema>(
  schema: S,
  tuples: readonly z.infer<S>[],
): SpoutDefinition<{ readonly default: z.infer<S> }> {
  const all = tuples.map((values) => ({ stream: 'default', values: values as object }))
  const spout = defineSpout({
    output: schema,
    replay: true,
    open: ({ taskIndex, taskCount }) => inTurn(all, taskIndex, taskCount) as never,
  })
  return spout as unknown as SpoutDefinition<{ readonly default: z.infer<S> }>
}

/**
 * A spout that emits what a test feeds it, and an ack tracker: it tells which trees were done, and which failed, why and
 * where. One feeder is for one topology at a time.
 */
export interface Feeder<T extends object> {
  /** Use it in a topology, with one task. */
  readonly spout: SpoutDefinition<{ readonly default: T }>
  /** Emits `values` at the next chance; `id` (a number counted up from 0 unless given) comes back in `acked` or `failed`. */
  feed(values: T, id?: unknown): void
  /** No more will be fed: the topology may finish. */
  end(): void
  /** ids of the trees that were done, in that order */
  readonly acked: readonly unknown[]
  readonly failed: readonly { readonly id: unknown; readonly failure: Failure }[]
  /** the number of trees done since the last call */
  takeAcked(): number
}

/**
 * A feeder of tuples of `schema`.
 *
 * ```ts
 * const words = feeder(z.object({ word: z.string() }))
 * const local = await cluster.submit(topology('t', (t) => t.bolt('count', count).fields(t.spout('words', words.spout), ['word'])))
 * words.feed({ word: 'a' })
 * await local.settle()
 * expect(words.takeAcked()).toBe(1)
 * ```
 */
export function feeder<S extends TupleSchema>(schema: S): Feeder<z.infer<S>> {
  const queue: { values: object; id: unknown }[] = []
  const acked: unknown[] = []
  const failed: { id: unknown; failure: Failure }[] = []
  let fed = 0
  let hasEnded = false
  let told = 0
  const spout = defineSpout({
    output: schema,
    open: () => ({
      nextTuple(out) {
        const next = queue.shift()
        if (next !== undefined) out.emit(next.values as never, next.id)
        else if (hasEnded) out.end()
      },
      ack: (id) => void acked.push(id),
      fail: (id, failure) => void failed.push({ id, failure }),
    }),
  })
  return {
    spout: spout as unknown as SpoutDefinition<{ readonly default: z.infer<S> }>,
    feed: (values, id) => void queue.push({ values, id: id ?? fed++ }),
    end: () => void (hasEnded = true),
    acked,
    failed,
    takeAcked() {
      const before = told
      told = acked.length
      return told - before
    },
  }
}
