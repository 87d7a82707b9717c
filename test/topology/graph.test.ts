import { describe, expect, test } from 'vitest'
import { defineBolt, defineSpout, topology, z } from '../../lib/index.ts'
import { graphSvg } from '../../lib/topology/graph-svg.ts'
import { graphMermaid, graphOf, graphText } from '../../lib/topology/graph.ts'
import { planTopology } from '../../lib/topology/plan.ts'

const Word = z.object({ word: z.string() })
const Late = z.object({ word: z.string(), '<w>': z.string() })
const words = defineSpout({ output: Word, outputs: { late: Late }, open: () => (out) => out.end() })
const bolt = defineBolt({ input: Word, output: Word, outputs: { errors: Word }, execute: () => undefined })
const join = defineBolt({ inputs: { left: Word, right: Word }, output: Word, execute: { left: () => undefined, right: () => undefined } })

const plan = planTopology(
  topology('orders', (t) => {
    const orders = t.spout('orders', words, { parallelism: 2 })
    const again = t.later('clean', Word, 'errors')
    const clean = t.bolt('clean', bolt, { parallelism: 4 }).shuffle(orders).shuffle(again)
    const joined = t.bolt('join', join).input('left').fields(clean, ['word']).input('right').partialKey(orders.stream('late'), ['<w>'])
    t.bolt('report', bolt).global(joined).all(clean.stream('errors')).localOrShuffle(orders)
  }).draft({}),
)

test('text', () => {
  expect(graphText(plan)).toMatchInlineSnapshot(`
    "orders: 1 spout, 3 bolts, 8 tasks

    spout orders ×2  {word}  late {word, <w>}
      ├─ shuffle ────────────────▶ clean
      ├─ late: partial key(<w>) ─▶ join.right
      └─ local or shuffle ───────▶ report
    bolt  clean ×4  {word}  errors {word}
      ├─ errors: shuffle ────────▶ clean (feedback)
      ├─ fields(word) ───────────▶ join.left
      └─ errors: all ────────────▶ report
    bolt  join ×1  {word}
      └─ global ─────────────────▶ report
    bolt  report ×1  {word}  errors {word}
    "
  `)
  expect(graphText(plan, { ascii: true })).toMatch(/^[\x20-\x7e\n]*$/)
})

test('Mermaid', () => {
  expect(graphMermaid(plan)).toMatchInlineSnapshot(`
    "flowchart LR
      c0(["orders ×2"]):::spout
      c1["clean ×4"]:::bolt
      c2["join ×1"]:::bolt
      c3["report ×1"]:::bolt
      c0 -->|"shuffle"| c1
      c1 -.->|"errors: shuffle"| c1
      c1 -->|"fields(word) → left"| c2
      c0 -->|"late: partial key(<w>) → right"| c2
      c2 -->|"global"| c3
      c1 -->|"errors: all"| c3
      c0 -->|"local or shuffle"| c3
      classDef spout fill:#d8f3ee,stroke:#12806a,color:#0b3d33
      classDef bolt fill:#e6e9fb,stroke:#4453c4,color:#1c2355
    "
  `)
})

test('the graph as data', () => {
  expect(graphOf(plan).components[1]).toEqual({ id: 'clean', kind: 'bolt', tasks: 4, streams: { default: ['word'], errors: ['word'] } })
  expect(graphOf(plan).edges[1]).toEqual({
    from: 'clean',
    to: 'clean',
    stream: 'errors',
    input: 'default',
    grouping: 'shuffle',
    feedback: true,
  })
})

describe('SVG', () => {
  const svg = graphSvg(plan)

  test('is well formed, self-contained, and shows everything', () => {
    const open: string[] = []
    const unmatched: string[] = []
    for (const [, close, name = '', empty] of svg.matchAll(/<(\/?)([a-z]+)[^>]*?(\/?)>/g)) {
      if (close === '/' && open.pop() !== name) unmatched.push(name)
      if (close !== '/' && empty !== '/') open.push(name)
    }
    expect(unmatched).toEqual([])
    expect(open).toEqual([])
    expect(svg).not.toMatch(/href|url\((?!#)|<script|undefined|NaN|null/)
    expect(svg).toContain('late: partial key(&lt;w&gt;) → right')
    for (const { id } of plan.components) expect(svg).toContain(`>${id}</text>`)
    expect(svg.match(/class="edge/g)).toHaveLength(7)
    expect(svg.match(/class="edge back/g)).toHaveLength(1)
  })

  test('boxes do not overlap and lie inside', () => {
    const boxes = [...svg.matchAll(/<rect class="(?:spout|bolt)" x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)"/g)].map(
      (match) => match.slice(1).map(Number) as [number, number, number, number],
    )
    expect(boxes).toHaveLength(4)
    const [width = 0, height = 0] = /<svg[^>]* viewBox="0 0 ([\d.]+) ([\d.]+)"/.exec(svg)?.slice(1).map(Number) ?? []
    for (const [i, [x, y, w, h]] of boxes.entries()) {
      expect([x >= 0, y >= 0, x + w <= width, y + h <= height]).toEqual([true, true, true, true])
      for (const [x2, y2, w2, h2] of boxes.slice(i + 1)) expect(x + w <= x2 || x2 + w2 <= x || y + h <= y2 || y2 + h2 <= y).toBe(true)
    }
  })

  test('labels lie on the curves of their edges', () => {
    const Any = z.object({ w: z.string() })
    const source = defineSpout({ output: Any, open: () => (out) => out.end() })
    const sink = defineBolt({ input: Any, execute: () => undefined })
    // two edges cross in their middle, so one label must go elsewhere
    const crowded = topology('crowded', (t) => {
      const [one, other] = [t.spout('one', source), t.spout('other', source)]
      t.bolt('left', sink).shuffle(one).fields(other, ['w'])
      t.bolt('right', sink).shuffle(other).fields(one, ['w'])
    })
    const drawn = graphSvg(planTopology(crowded.draft({})))
    const numbers = (text: string): number[] => text.match(/-?[\d.]+/g)?.map(Number) ?? []
    const curves = [...drawn.matchAll(/<path class="edge" d="([^"]+)"/g)].flatMap(([, d = '']) => {
      const points = d.split(/(?=[MLC])/).map(numbers)
      return points
        .slice(1)
        .map((to, i) => [
          ...(points[i] as number[]).slice(-2),
          ...(to.length === 2 ? [...(points[i] as number[]).slice(-2), ...to, ...to] : to),
        ])
    })
    const labels = [...drawn.matchAll(/class="label" x="([\d.]+)" y="([\d.]+)"/g)].map(([, x, y]) => [Number(x), Number(y) - 4] as const)
    expect(labels).toHaveLength(4)
    const bezier = (t: number, [a, b, c, d]: readonly number[]): number =>
      (a as number) * (1 - t) ** 3 + 3 * (b as number) * t * (1 - t) ** 2 + 3 * (c as number) * t * t * (1 - t) + (d as number) * t ** 3
    for (const [x, y] of labels) {
      const nearest = curves.flatMap(([x0, y0, x1, y1, x2, y2, x3, y3]) =>
        Array.from({ length: 401 }, (_, i) =>
          Math.hypot(bezier(i / 400, [x0, x1, x2, x3] as number[]) - x, bezier(i / 400, [y0, y1, y2, y3] as number[]) - y),
        ),
      )
      expect(Math.min(...nearest)).toBeLessThan(0.6)
    }
  })

  test('parts that nothing joins stand close together, one below the other', () => {
    const parts = topology('parts', (t) => {
      for (const part of ['a', 'b', 'c']) {
        const source = t.spout(part, words)
        const [left, right] = [t.bolt(`${part}-left`, bolt).shuffle(source), t.bolt(`${part}-right`, bolt).shuffle(source)]
        if (part !== 'b') t.bolt(`${part}-end`, bolt).shuffle(left).shuffle(right)
      }
    })
    const drawn = graphSvg(planTopology(parts.draft({})))
    const ys = new Set([...drawn.matchAll(/<rect class="(?:spout|bolt)" x="[\d.]+" y="([\d.]+)"/g)].map(([, y]) => Number(y)))
    const steps = [...ys].sort((a, b) => a - b).map((y, i, all) => y - (all[i - 1] ?? y))
    expect(steps.length).toBeGreaterThan(6)
    expect(Math.max(...steps)).toBeLessThanOrEqual(54 + 34)
  })

  test('a single spout has a picture too', () => {
    expect(graphSvg(planTopology(topology('one', (t) => void t.spout('only', words)).draft({})))).toContain('>only</text>')
  })
})
