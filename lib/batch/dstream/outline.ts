/** A graph of streams as people see it: operators that run as one loop are a stage, and what only changes the form of records is left out. */
import type { OutlineNode, StreamOutline } from '../../topology/outline.ts'
import type { StreamGraph, StreamNode } from './graph.ts'

/** Operators, Trident's too, before which tasks trade records, unless they lie as they must already. What a `transform` does is not known. */
const exchanging: ReadonlySet<string> = new Set(
  [
    'repartition reduceByKey groupByKey combineByKey count cogroup join leftOuterJoin rightOuterJoin fullOuterJoin',
    'updateStateByKey mapWithState aggregate dropDuplicates',
    'partitionBy partition shuffle global batchGlobal broadcast persistentAggregate stateQuery multiReduce',
  ].flatMap((names) => names.split(' ')),
)

type Stage = { -readonly [K in keyof OutlineNode]: OutlineNode[K] } & { operators: string[] }

export function outlineOf(graph: StreamGraph, components: readonly string[]): StreamOutline {
  const needed = graph.needed
  const drawn = graph.streams.filter((stream) => needed.has(stream) && !graph.inner.has(stream))
  /** the streams that are drawn in place of one: itself, or where it comes from */
  const shownFor = (stream: StreamNode<unknown>): readonly StreamNode<unknown>[] =>
    graph.inner.has(stream) ? [...new Set(stream.parents.flatMap(shownFor))] : [stream]
  const parentsOf = new Map(drawn.map((stream) => [stream, [...new Set(stream.parents.flatMap(shownFor))]]))
  const outputs = graph.outputs.filter(({ isInner }) => isInner !== true)
  const readers = new Map<StreamNode<unknown>, number>()
  for (const parent of [...[...parentsOf.values()].flat(), ...outputs.flatMap(({ stream }) => shownFor(stream))])
    readers.set(parent, (readers.get(parent) ?? 0) + 1)

  const stages = new Map<StreamNode<unknown>, Stage>()
  const nodes: Stage[] = []
  for (const stream of drawn) {
    const parents = parentsOf.get(stream) as readonly StreamNode<unknown>[]
    const before = parents.map((parent) => stages.get(parent) as Stage)
    const isExchange = exchanging.has(stream.name)
    const [first] = before
    const goesOn =
      first?.kind === 'stage' &&
      parents.length === 1 &&
      readers.get(parents[0] as StreamNode<unknown>) === 1 &&
      !isExchange &&
      !stream.isStateful
    if (goesOn) {
      first.operators.push(stream.label)
      stages.set(stream, first)
      continue
    }
    const kind = parents.length === 0 ? 'source' : 'stage'
    const id = kind === 'source' ? `source ${stream.name}` : `stage ${nodes.filter((node) => node.kind === 'stage').length + 1}`
    const from = [...new Set(before)].map((stage) => ({ id: stage.id, isExchange }))
    const source = kind === 'source' ? graph.sources.get(stream.name) : undefined
    const stage: Stage = {
      id,
      kind,
      operators: [stream.label],
      ...(source !== undefined && { guarantee: source.kind }),
      ...(stream.state !== undefined && { state: stream.state }),
      from,
    }
    nodes.push(stage)
    stages.set(stream, stage)
  }
  for (const [i, { name, stream }] of outputs.entries())
    nodes.push({
      id: `output ${i + 1}`,
      kind: 'output',
      operators: [name],
      from: [...new Set(shownFor(stream).map((one) => (stages.get(one) as Stage).id))].map((id) => ({ id, isExchange: false })),
    })
  return { components, intervalMs: graph.intervalMs, nodes, states: graph.states }
}
