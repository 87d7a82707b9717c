/**
 * A plan as an SVG picture, with its own layered layout, left to right: a component stands one layer after the last of
 * its sources; long edges pass through empty places of the layers between; the order in a layer follows the neighbours
 * (barycentres); edges that close a cycle run back below the rest.
 */
import { drawnOf } from './graph.ts'
import type { Drawn, DrawnEdge, DrawnNode } from './graph.ts'
import type { Plan } from './plan.ts'

const nodeHeight = 54
const rowGap = 34
const margin = 28
const titleHeight = 40
const labelHeight = 17
const charWidth = 7.4
const smallCharWidth = 6.3

/** A self-contained SVG, light or dark as the reader's system is. */
export function graphSvg(plan: Plan): string {
  const graph = drawnOf(plan)
  const layout = layOut(graph)
  const paths = layout.edges.map(
    ({ path, feedback }) => `<path class="edge${feedback ? ' back' : ''}" d="${path}" marker-end="url(#head)"/>`,
  )
  const labels = layout.edges.flatMap(({ lines, x, y }) =>
    lines.map((line, i) => {
      const middle = y + (i - (lines.length - 1) / 2) * labelHeight
      const width = line.length * smallCharWidth - 4
      // the edge must not show between the letters
      const ground = `<rect class="ground" x="${round(x - width / 2)}" y="${round(middle - 7)}" width="${round(width)}" height="14" rx="4"/>`
      return `${ground}<text class="label" x="${round(x)}" y="${round(middle + 4)}">${escape(line)}</text>`
    }),
  )
  const nodes = layout.nodes.map(({ component: { kind, title, note, isMany }, x, y, width }) => {
    const middle = round(x + width / 2)
    const radius = kind === 'spout' || kind === 'source' ? nodeHeight / 2 : kind === 'output' ? 2 : 8
    // two outlines behind say at a glance that there are more of it
    const more = isMany
      ? `<rect class="${kind} behind" x="${round(x + 5)}" y="${round(y - 5)}" width="${round(width)}" height="${nodeHeight}" rx="${radius}"/>`
      : ''
    return [
      `<g>${more}<rect class="${kind}" x="${round(x)}" y="${round(y)}" width="${round(width)}" height="${nodeHeight}" rx="${radius}"/>`,
      `<text class="id" x="${middle}" y="${round(y + 24)}">${escape(title)}</text>`,
      `<text class="kind" x="${middle}" y="${round(y + 42)}">${escape(note)}</text></g>`,
    ].join('')
  })
  const width = Math.max(layout.width, graph.topology.length * 10 + 2 * margin)
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${round(width)} ${round(layout.height)}" width="${round(width)}" height="${round(layout.height)}" role="img" aria-label="topology ${escape(graph.topology)}">
<style>${style}</style>
<defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto"><path class="head" d="M0 0.8 L10 5 L0 9.2 z"/></marker></defs>
<rect class="ground" width="100%" height="100%"/>
<text class="title" x="${margin}" y="${margin + 8}">${escape(graph.topology)}</text>
${[...paths, ...nodes, ...labels].join('\n')}
</svg>
`
}

const style = [
  'text{font-family:system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;text-anchor:middle}',
  '.title{font-size:17px;font-weight:600;text-anchor:start;fill:#1f2430}',
  '.ground{fill:#fff}',
  '.id{font-size:13px;font-weight:600;fill:#1f2430}',
  '.kind{font-size:11px;fill:#5b6275}',
  '.spout,.source{fill:#d8f3ee;stroke:#12806a;stroke-width:1.5}',
  '.bolt,.stage{fill:#e6e9fb;stroke:#4453c4;stroke-width:1.5}',
  '.output{fill:#fdf0d9;stroke:#a8761c;stroke-width:1.5}',
  '.behind{opacity:.55}',
  '.edge{fill:none;stroke:#8a91a5;stroke-width:1.5}',
  '.back{stroke-dasharray:5 4}',
  '.head{fill:#8a91a5}',
  '.label{font-size:11px;fill:#3d4456;paint-order:stroke;stroke:#fff;stroke-width:5px;stroke-linejoin:round}',
  '@media (prefers-color-scheme:dark){.ground{fill:#14171f}.title,.id{fill:#e8ebf4}.kind{fill:#a3abc0}.spout,.source{fill:#123b34;stroke:#38b59a}.bolt,.stage{fill:#242a52;stroke:#8592f2}.output{fill:#40300f;stroke:#d9a441}',
  '.edge{stroke:#767e95}.head{fill:#767e95}.label{fill:#c5cbdb;stroke:#14171f}}',
].join('')

interface PlacedNode {
  readonly component: DrawnNode
  readonly x: number
  readonly y: number
  readonly width: number
}

interface PlacedEdge {
  readonly path: string
  readonly lines: readonly string[]
  readonly x: number
  readonly y: number
  readonly feedback: boolean
}

/** A place in a layer: a component, or the point where a long edge passes. */
interface Place {
  readonly component: DrawnNode | undefined
  readonly layer: number
  readonly before: Place[]
  readonly after: Place[]
  /** the middle */
  y: number
}

/** All streams from one component to another are one drawn edge. */
interface Bunch {
  readonly from: Place
  readonly to: Place
  readonly via: readonly Place[]
  readonly lines: readonly string[]
}

function layOut(graph: Drawn): { nodes: readonly PlacedNode[]; edges: readonly PlacedEdge[]; width: number; height: number } {
  const layers: Place[][] = []
  const places = putInLayers(graph, layers)
  const forward = bunches(
    graph.edges.filter(({ feedback }) => !feedback),
    places,
    layers,
  )
  const back = bunches(
    graph.edges.filter(({ feedback }) => feedback),
    places,
    undefined,
  )
  let top = margin + titleHeight
  for (const part of connectedParts(layers)) {
    orderLayers(part)
    spread(part)
    const ys = part.flat().map(({ y }) => y)
    const down = top + nodeHeight / 2 - Math.min(...ys)
    for (const place of part.flat()) place.y += down
    top = Math.max(...ys) + down + nodeHeight / 2 + rowGap
  }
  const columns = columnsOf(layers, forward, back)
  const bottom = Math.max(...layers.flat().map(({ y }) => y)) + nodeHeight / 2
  const nodes = [...places.values()].flatMap(({ component, layer, y }): PlacedNode[] => {
    const column = columns[layer]
    return component === undefined || column === undefined
      ? []
      : [{ component, x: column.x + (column.width - widthOf(component)) / 2, y: y - nodeHeight / 2, width: widthOf(component) }]
  })
  const byId = new Map(nodes.map((node) => [node.component.id, node]))
  const backEdges = back.map((bunch, i) => drawBack(bunch, byId, bottom + 26 + i * 34))
  const end = columns.at(-1)
  const right = (end?.x ?? 0) + (end?.width ?? 0) + margin + (back.length > 0 ? 20 : 0)
  const height = (back.length === 0 ? bottom : bottom + 26 + (back.length - 1) * 34 + labelHeight) + margin
  return { nodes, edges: [...drawForward(forward, byId, columns), ...backEdges], width: right, height }
}

function widthOf({ title, note }: DrawnNode): number {
  return Math.max(112, title.length * (charWidth + 0.6) + 36, note.length * smallCharWidth + 36)
}

/** The layer of a component is one more than that of its last source. Components come sources first. */
function putInLayers({ nodes, edges }: Drawn, layers: Place[][]): Map<string, Place> {
  const places = new Map<string, Place>()
  for (const component of nodes) {
    const sources = edges.filter(({ to, feedback }) => to === component.id && !feedback).map(({ from }) => places.get(from)?.layer ?? 0)
    const layer = sources.length === 0 ? 0 : Math.max(...sources) + 1
    const place: Place = { component, layer, before: [], after: [], y: 0 }
    places.set(component.id, place)
    ;(layers[layer] ??= []).push(place)
  }
  return places
}

/** One bunch for each pair; with `layers`, long ones get points to pass through. */
function bunches(edges: readonly DrawnEdge[], places: ReadonlyMap<string, Place>, layers: Place[][] | undefined): readonly Bunch[] {
  return [...byPair(edges).values()].flatMap((pair): Bunch[] => {
    const [first] = pair
    const from = places.get(first?.from ?? '')
    const to = places.get(first?.to ?? '')
    if (from === undefined || to === undefined) return []
    const via: Place[] = []
    if (layers !== undefined) {
      let before = from
      for (let layer = from.layer + 1; layer < to.layer; layer++) {
        const point: Place = { component: undefined, layer, before: [], after: [], y: 0 }
        layers[layer]?.push(point)
        via.push(point)
        join(before, point)
        before = point
      }
      join(before, to)
    }
    return [{ from, to, via, lines: pair.flatMap(({ label }) => (label === '' ? [] : [label])) }]
  })
}

function byPair(edges: readonly DrawnEdge[]): ReadonlyMap<string, readonly DrawnEdge[]> {
  const pairs = new Map<string, DrawnEdge[]>()
  for (const edge of edges) {
    const key = `${edge.from}\n${edge.to}`
    const pair = pairs.get(key)
    if (pair === undefined) pairs.set(key, [edge])
    else pair.push(edge)
  }
  return pairs
}

function join(before: Place, after: Place): void {
  before.after.push(after)
  after.before.push(before)
}

/** The layers of each part that no edge joins to another: they stand one below the other, and do not push each other about. */
function connectedParts(layers: readonly (readonly Place[])[]): readonly Place[][][] {
  const partOf = new Map<Place, number>()
  let parts = 0
  for (const start of layers.flat()) {
    if (partOf.has(start)) continue
    const found = [start]
    for (const place of found) {
      if (partOf.has(place)) continue
      partOf.set(place, parts)
      found.push(...place.before, ...place.after)
    }
    parts++
  }
  return Array.from({ length: parts }, (_, part) => layers.map((layer) => layer.filter((place) => partOf.get(place) === part)))
}

/** Sweeps forth and back, each layer ordered by the mean position of the neighbours in the one before it. */
function orderLayers(layers: Place[][]): void {
  const sweep = (order: readonly Place[][], neighbours: 'before' | 'after'): void => {
    for (const layer of order) {
      const mean = new Map(layer.map((place, i) => [place, average(place[neighbours].map((other) => other.y)) ?? i]))
      layer.sort((a, b) => (mean.get(a) ?? 0) - (mean.get(b) ?? 0))
      layer.forEach((place, i) => (place.y = i))
    }
  }
  for (const layer of layers) layer.forEach((place, i) => (place.y = i))
  for (let i = 0; i < 6; i++) {
    sweep(layers, 'before')
    sweep([...layers].reverse(), 'after')
  }
  sweep(layers, 'before')
}

/** Heights: each place near its neighbours, in the order of its layer, with room between. */
function spread(layers: readonly (readonly Place[])[]): void {
  for (const layer of layers) {
    let y = 0
    for (const place of layer) {
      place.y = y
      y += nodeHeight + rowGap
    }
    const middle = (y - nodeHeight - rowGap) / 2
    for (const place of layer) place.y -= middle
  }
  for (let i = 0; i < 8; i++) {
    for (const layer of layers) settle(layer, (place) => average(place.before.map(({ y }) => y)))
    for (const layer of [...layers].reverse()) settle(layer, (place) => average(place.after.map(({ y }) => y)))
  }
}

/** Moves a layer towards the wishes, then apart; what moving apart added on one side is shared by both. */
function settle(layer: readonly Place[], wish: (place: Place) => number | undefined): void {
  const wished = layer.map((place) => wish(place) ?? place.y)
  const ys = [...wished]
  for (let i = 1; i < ys.length; i++) ys[i] = Math.max(ys[i] as number, (ys[i - 1] as number) + roomBetween(layer[i - 1], layer[i]))
  const drift = average(ys.map((y, i) => y - (wished[i] as number))) ?? 0
  layer.forEach((place, i) => (place.y = (ys[i] as number) - drift))
}

function roomBetween(a: Place | undefined, b: Place | undefined): number {
  const half = (place: Place | undefined): number => (place?.component === undefined ? 10 : nodeHeight / 2)
  return half(a) + half(b) + rowGap
}

interface Column {
  readonly x: number
  readonly width: number
}

/** Between two layers there is room for the longest label that stands there. */
function columnsOf(layers: readonly (readonly Place[])[], forward: readonly Bunch[], back: readonly Bunch[]): readonly Column[] {
  const columns: Column[] = []
  let x = margin + (back.length > 0 ? 20 : 0)
  for (const [i, layer] of layers.entries()) {
    const width = Math.max(40, ...layer.map(({ component }) => (component === undefined ? 0 : widthOf(component))))
    columns.push({ x, width })
    const labels = forward.filter(({ from }) => from.layer === i).flatMap(({ lines }) => lines.map((line) => line.length * smallCharWidth))
    x += width + Math.max(80, ...labels.map((label) => label + 56))
  }
  return columns
}

type Point = readonly [number, number]

function drawForward(all: readonly Bunch[], nodes: ReadonlyMap<string, PlacedNode>, columns: readonly Column[]): readonly PlacedEdge[] {
  const taken: { x: number; y: number; width: number; height: number }[] = []
  return all.map(({ from, to, via, lines }) => {
    const source = nodes.get(from.component?.id ?? '') as PlacedNode
    const target = nodes.get(to.component?.id ?? '') as PlacedNode
    const leaving = all.filter((other) => other.from === from).sort((a, b) => (a.via[0] ?? a.to).y - (b.via[0] ?? b.to).y)
    const arriving = all.filter((other) => other.to === to).sort((a, b) => (a.via.at(-1) ?? a.from).y - (b.via.at(-1) ?? b.from).y)
    const mine = (other: Bunch): boolean => other.from === from && other.to === to
    const points: Point[] = [[source.x + source.width, from.y + port(leaving.findIndex(mine), leaving.length)]]
    for (const point of via) {
      const column = columns[point.layer] as Column
      points.push([column.x, point.y], [column.x + column.width, point.y])
    }
    points.push([target.x - 1, to.y + port(arriving.findIndex(mine), arriving.length)])
    const label = freePlace(points, lines, taken)
    return { path: smooth(points), lines, ...label, feedback: false }
  })
}

/** Where on a side the edge `i` of `n` begins or ends, from the middle. */
function port(i: number, n: number): number {
  const step = Math.min(14, (nodeHeight - 18) / Math.max(1, n - 1))
  return (i - (n - 1) / 2) * step
}

/** Curves that are level at every point. */
function smooth([start, ...rest]: readonly Point[]): string {
  let [x, y] = start as Point
  let path = `M${round(x)} ${round(y)}`
  for (const [toX, toY] of rest) {
    const bend = (toX - x) / 2
    path +=
      y === toY
        ? ` L${round(toX)} ${round(toY)}`
        : ` C${round(x + bend)} ${round(y)} ${round(toX - bend)} ${round(toY)} ${round(toX)} ${round(toY)}`
    ;[x, y] = [toX, toY]
  }
  return path
}

/** A place on the first curve where no other label is. */
function freePlace(
  [start, next]: readonly Point[],
  lines: readonly string[],
  taken: { x: number; y: number; width: number; height: number }[],
): { x: number; y: number } {
  const [x0, y0] = start as Point
  const [x1, y1] = next as Point
  const width = Math.max(...lines.map((line) => line.length)) * smallCharWidth + 8
  const height = lines.length * labelHeight
  // the curve of `smooth`
  const at = (t: number): { x: number; y: number } => ({
    x: x0 + (x1 - x0) * (1.5 * t - 1.5 * t * t + t * t * t),
    y: y0 + (y1 - y0) * (3 * t * t - 2 * t * t * t),
  })
  const collides = ({ x, y }: { x: number; y: number }): boolean =>
    taken.some((other) => Math.abs(other.x - x) < (other.width + width) / 2 && Math.abs(other.y - y) < (other.height + height) / 2)
  const free = [0.5, 0.42, 0.58, 0.35, 0.65, 0.72, 0.28].map(at).find((place) => !collides(place)) ?? at(0.5)
  taken.push({ ...free, width, height })
  return free
}

/** Back to an earlier component: out at the right, along below everything, in at the left. */
function drawBack({ from, to, lines }: Bunch, nodes: ReadonlyMap<string, PlacedNode>, y: number): PlacedEdge {
  const source = nodes.get(from.component?.id ?? '') as PlacedNode
  const target = nodes.get(to.component?.id ?? '') as PlacedNode
  const [right, left] = [source.x + source.width, target.x]
  const [startY, endY] = [source.y + nodeHeight - 12, target.y + nodeHeight - 12]
  const r = 10
  const path = [
    `M${round(right)} ${round(startY)} h${r} q${r} 0 ${r} ${r} V${round(y - r)} q0 ${r} ${-r} ${r}`,
    `H${round(left - r)} q${-r} 0 ${-r} ${-r} V${round(endY + r)} q0 ${-r} ${r} ${-r} H${round(left - 1)}`,
  ].join(' ')
  return { path, lines, x: (right + left) / 2, y, feedback: true }
}

function average(values: readonly number[]): number | undefined {
  return values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0) / values.length
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}
