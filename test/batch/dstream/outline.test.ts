/** Streams of batches as `squall graph` draws them. */
import { expect, test } from 'vitest'
import {
  builtIns,
  defineBolt,
  defineSpout,
  memorySource,
  sessionWindow,
  state,
  topology,
  trident,
  tumblingWindow,
  z,
} from '../../../lib/index.ts'
import type { DStream, StreamTopologyBuilder } from '../../../lib/index.ts'
import { LocalCluster } from '../../../lib/testing/index.ts'
import { graphSvg } from '../../../lib/topology/graph-svg.ts'
import { graphMermaid, graphOf, graphText } from '../../../lib/topology/graph.ts'
import { planTopology } from '../../../lib/topology/plan.ts'
import type { Plan } from '../../../lib/topology/plan.ts'

const planned = (build: (t: StreamTopologyBuilder) => void): Plan => planTopology(topology('drawn', build).draft({}), {}, 2)

interface Click {
  readonly user: string
  readonly at: number
}

const plan = planned((t) => {
  const clicks = t.stream('clicks', memorySource<Click>(), { batchInterval: '500ms' }).filter(({ user }) => user !== '')
  const sessions = clicks.withWatermark('at', '1m').groupBy('user', sessionWindow('30m')).count({ name: 'sessions' })
  sessions.print()
  sessions.late().saveOnce('late')
  const pairs = clicks.map(({ user }) => [user, 1])
  pairs.reduceByKeyAndWindow((a, b) => a + b, '1m', '1s', { inverse: (a, b) => a - b, name: 'recent' }).foreachRDD(() => undefined)
  clicks.map(() => 'nobody wants it')
})

test('text: operators that run as one loop are a stage; what no output needs is left out', () => {
  expect(graphText(plan)).toMatchInlineSnapshot(`
    "drawn: 1 source, 7 stages, 3 outputs, a batch every 500ms

    source clicks  [transactional]
      └────────────▶ stage 1
    stage 1  filter
      ├────────────▶ stage 2
      └────────────▶ stage 5
    stage 2  withWatermark(at)
      └─ exchange ─▶ stage 3
    stage 3  groupBy(user, sessions)  [state sessions]
      ├────────────▶ stage 4
      └────────────▶ output 1 print
    stage 4  late
      └────────────▶ output 2 saveOnce
    stage 5  map
      └─ exchange ─▶ stage 6
    stage 6  reduceByKey
      └────────────▶ stage 7
    stage 7  window(1m every 1s)  [state recent.60000.1000]
      └────────────▶ output 3 foreachRDD

    runs as 1 spout, 1 bolt, 3 tasks
    "
  `)
  expect(graphText(plan, { ascii: true })).toMatch(/^[\x20-\x7e\n]*$/)
})

test('Mermaid', () => {
  expect(graphMermaid(plan)).toMatchInlineSnapshot(`
    "flowchart LR
      c0(["clicks<br>transactional source"]):::source
      c1["filter<br>stage × 2"]:::stage
      c2["withWatermark(at)<br>stage × 2"]:::stage
      c3["groupBy(user, sessions)<br>state sessions × 2"]:::stage
      c4["late<br>stage × 2"]:::stage
      c5["map<br>stage × 2"]:::stage
      c6["reduceByKey<br>stage × 2"]:::stage
      c7["window(1m every 1s)<br>state recent.60000.1000 × 2"]:::stage
      c8[/"print<br>output"/]:::output
      c9[/"saveOnce<br>output"/]:::output
      c10[/"foreachRDD<br>output"/]:::output
      c0 --> c1
      c1 --> c2
      c2 -->|"exchange"| c3
      c3 --> c4
      c1 --> c5
      c5 -->|"exchange"| c6
      c6 --> c7
      c3 --> c8
      c4 --> c9
      c7 --> c10
      classDef source fill:#d8f3ee,stroke:#12806a,color:#0b3d33
      classDef stage fill:#e6e9fb,stroke:#4453c4,color:#1c2355
      classDef output fill:#fdf0d9,stroke:#a8761c,color:#4d3509
    "
  `)
})

test('SVG', () => {
  const svg = graphSvg(plan)
  expect(svg).not.toMatch(/undefined|NaN|null|Infinity/)
  expect(svg).toContain('>groupBy(user, sessions)</text>')
  expect(svg).toContain('>state sessions × 2</text>')
  expect(svg.match(/class="edge"/g)).toHaveLength(10)
  // the components that run the streams are not what one wants to see
  expect(svg).not.toContain('>batches<')
})

test('the graph as data has both: the components that run, and the streams', () => {
  const { components, streams } = graphOf(plan)
  expect(components.map(({ id }) => id)).toEqual(['batches', 'batch'])
  expect(streams).toMatchObject({ components: ['batches', 'batch'], intervalMs: 500 })
  expect(streams?.nodes.slice(0, 2)).toEqual([
    { id: 'source clicks', kind: 'source', operators: ['clicks'], guarantee: 'transactional', from: [] },
    { id: 'stage 1', kind: 'stage', operators: ['filter'], from: [{ id: 'source clicks', isExchange: false }] },
  ])
})

test('spouts and bolts stand beside streams', () => {
  const Word = z.object({ word: z.string() })
  const both = planned((t) => {
    const words = t.spout('words', defineSpout({ output: Word, open: () => (out) => out.end() }))
    t.bolt('sink', defineBolt({ input: Word, execute: () => undefined })).shuffle(words)
    t.stream('lines', memorySource<string>()).print()
  })
  expect(graphText(both)).toMatchInlineSnapshot(`
    "drawn: 1 source, 0 stages, 1 output, a batch as soon as there is data

    spout words ×1  {word}
      └─ shuffle ─▶ sink
    bolt  sink ×1
    source lines  [transactional]
      └────────────▶ output 1 print

    runs as 2 spouts, 2 bolts, 5 tasks
    "
  `)
  expect(graphMermaid(both)).toContain('c0(["words ×1"]):::spout')
})

test("Trident's operators", () => {
  const words = planned((t) => {
    trident(t.stream('words', memorySource<string>()), ['word'])
      .filter(() => true)
      .groupBy(['word'])
      .persistentAggregate(state('counts'), builtIns.count(), ['count'])
  })
  expect(graphText(words)).toMatchInlineSnapshot(`
    "drawn: 1 source, 2 stages, 0 outputs, a batch as soon as there is data

    source words  [transactional]
      └────────────▶ stage 1
    stage 1  each
      └─ exchange ─▶ stage 2
    stage 2  persistentAggregate  [state counts]

    runs as 1 spout, 1 bolt, 3 tasks
    "
  `)
})

type Numbers = DStream<readonly [number, number]>

const operators: readonly (readonly [string, (s: Numbers) => DStream<unknown>])[] = [
  ['map', (s) => s.map(([a]) => a)],
  ['flatMap', (s) => s.flatMap((a) => a)],
  ['filter', (s) => s.filter(() => true)],
  ['glom', (s) => s.glom()],
  ['mapValues', (s) => s.mapValues((b) => b)],
  ['mapPartitions', (s) => s.mapPartitions((all) => all)],
  ['union', (s) => s.union(s)],
  ['window', (s) => s.window('2s')],
  ['repartition', (s) => s.repartition(3)],
  ['count', (s) => s.count()],
  ['reduceByKey', (s) => s.reduceByKey((a) => a)],
  ['groupByKey', (s) => s.groupByKey()],
  ['cogroup', (s) => s.cogroup(s)],
  ['join', (s) => s.join(s)],
  ['fullOuterJoin', (s) => s.fullOuterJoin(s)],
]

test.each(operators)('%s is drawn with an exchange if its RDDs have one', async (name, operator) => {
  const lineages: string[] = []
  const source = memorySource<readonly [number, number]>({ partitions: 2 })
  source.add([1, 2], [2, 3])
  const graph = topology('test', (t) => {
    const made = operator(t.stream('source', source, { batchInterval: '1s' }).map(([a, b]) => [a, b]))
    made.foreachRDD(() => undefined)
    made.transform((rdd) => (lineages.push(rdd.toDebugString()), rdd)).foreachRDD(() => undefined)
  })
  await using cluster = await LocalCluster.start({ seed: 7 })
  await (await cluster.submit(graph)).advance(1_500)
  const { streams } = graphOf(planTopology(graph.draft({})))
  const stage = streams?.nodes.find(({ kind, operators: [first] }) => kind === 'stage' && first?.replace(/\(.*/, '') === name)
  const into = stage?.from ?? streams?.nodes.find(({ id }) => id === 'stage 1')?.from
  expect(into?.some(({ isExchange }) => isExchange)).toBe(lineages[0]?.includes('+-'))
})

test('a window that slides by its own length is drawn with one length; of one task, the number says nothing', () => {
  const tumbling = (t: StreamTopologyBuilder): void => {
    const clicks = t.stream('clicks', memorySource<Click>(), { batchInterval: '1s' })
    clicks.withWatermark('at', '1m').groupBy('user', tumblingWindow('10s')).count().print()
    clicks.window('2s', '2s').print()
  }
  const drawn = graphMermaid(planTopology(topology('tumbling', tumbling).draft({}), {}, 1))
  expect(drawn).toContain('"groupBy(user, 10s)<br>state clicks.groupBy"')
  expect(drawn).toContain('"window(2s)<br>stage"')
})
