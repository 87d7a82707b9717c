/** A plan as a picture made of text: for a terminal, and Mermaid for a README. Pure functions; the SVG is in `graph-svg.ts`. */
import { shortDuration } from '../std/clock.ts'
import type { Grouping } from './grouping.ts'
import { componentsOf, hintsText } from './hints.ts'
import type { Hints } from './hints.ts'
import type { OutlineNode, StreamOutline } from './outline.ts'
import type { Plan } from './plan.ts'

export interface Graph {
  readonly topology: string
  readonly components: readonly GraphComponent[]
  readonly edges: readonly GraphEdge[]
  /** its streams of batches; two of the components run them */
  readonly streams?: StreamOutline
}

export interface GraphComponent {
  readonly id: string
  readonly kind: 'spout' | 'bolt'
  readonly tasks: number
  /** what each task asks of a cluster, if anything */
  readonly hints?: Hints
  /** the field names of each output stream; those of the system left out */
  readonly streams: Readonly<Record<string, readonly string[]>>
}

export interface GraphEdge {
  readonly from: string
  readonly to: string
  readonly stream: string
  readonly input: string
  readonly grouping: Grouping['type']
  /** of a fields or partial-key grouping */
  readonly fields?: readonly string[]
  /** closes a cycle */
  readonly feedback: boolean
}

/** The plan as nodes and edges; the shape of `squall graph --json`. */
export function graphOf(plan: Plan): Graph {
  const indexOf = new Map(plan.components.map(({ id, index }) => [id, index]))
  return {
    topology: plan.name,
    components: componentsOf(plan).map((component, i) => ({
      ...component,
      streams: Object.fromEntries(
        Object.entries(plan.components[i]?.streams ?? {})
          .filter(([name]) => !name.startsWith('__'))
          .map(([name, index]) => [name, (plan.streams[index]?.fields ?? []).map((field) => field.name)]),
      ),
    })),
    edges: plan.components.flatMap(({ id, index, inputs }) =>
      inputs.flatMap(({ name, stream, grouping }): GraphEdge[] => {
        const source = plan.streams[stream]
        if (source === undefined) return []
        const feedback = (indexOf.get(source.component) ?? 0) >= index
        return [
          {
            from: source.component,
            to: id,
            stream: source.name,
            input: name,
            grouping: grouping.type,
            ...('fields' in grouping && { fields: grouping.fields }),
            feedback,
          },
        ]
      }),
    ),
    ...(plan.outline !== undefined && { streams: plan.outline }),
  }
}

// ------------------------------------------------------------------------------------------------ what is drawn

export interface DrawnNode {
  readonly id: string
  readonly kind: 'spout' | 'bolt' | OutlineNode['kind']
  readonly title: string
  readonly note: string
  /** there is more than one of it */
  readonly isMany: boolean
}

export interface DrawnEdge {
  readonly from: string
  readonly to: string
  /** may be empty */
  readonly label: string
  /** closes a cycle */
  readonly feedback: boolean
}

export interface Drawn {
  readonly topology: string
  /** sources before their readers */
  readonly nodes: readonly DrawnNode[]
  readonly edges: readonly DrawnEdge[]
}

/** The nodes and edges of a picture: streams of batches stand in place of the components that run them. */
export function drawnOf(plan: Plan): Drawn {
  const { topology, components, edges, streams } = graphOf(plan)
  const hidden = new Set(streams?.components)
  const tasks = Math.max(1, ...components.filter(({ id }) => hidden.has(id)).map((component) => component.tasks))
  const outlined = streams?.nodes ?? []
  return {
    topology,
    nodes: [
      ...components.flatMap(({ id, kind, tasks: n }): DrawnNode[] =>
        hidden.has(id) ? [] : [{ id, kind, title: id, note: `${kind} × ${n}`, isMany: n > 1 }],
      ),
      ...outlined.map((node): DrawnNode => {
        const { id, kind, operators, guarantee, state } = node
        const what = state !== undefined ? `state ${state}` : guarantee === undefined ? kind : `${guarantee} source`
        return {
          id,
          kind,
          title: operators.join(' · '),
          note: kind === 'stage' && tasks > 1 ? `${what} × ${tasks}` : what,
          isMany: kind === 'stage' && tasks > 1,
        }
      }),
    ],
    edges: [
      ...edges.flatMap((edge): DrawnEdge[] => {
        const { from, to, input, feedback } = edge
        if (hidden.has(from) || hidden.has(to)) return []
        return [{ from, to, label: input === 'default' ? labelOf(edge) : `${labelOf(edge)} → ${input}`, feedback }]
      }),
      ...outlined.flatMap(({ id: to, from }) =>
        from.map(({ id, isExchange }): DrawnEdge => ({ from: id, to, label: isExchange ? 'exchange' : '', feedback: false })),
      ),
    ],
  }
}

// ------------------------------------------------------------------------------------------------ text

/** A list of the components, each with the arrows to its readers; then of the streams of batches, if there are any. */
export function graphText(plan: Plan, options: { readonly ascii?: boolean } = {}): string {
  const { topology, components, edges, streams } = graphOf(plan)
  const marks = options.ascii === true ? asciiMarks : boxMarks
  const spouts = components.filter(({ kind }) => kind === 'spout').length
  const tasks = components.reduce((sum, component) => sum + component.tasks, 0)
  const counts = `${topology}: ${count(spouts, 'spout')}, ${count(components.length - spouts, 'bolt')}, ${count(tasks, 'task')}`
  if (streams !== undefined) return `${streamsText(plan, streams, marks)}\nruns as ${counts.slice(topology.length + 2)}\n`
  return `${counts}\n\n${componentsText(components, edges, marks).join('\n')}\n`
}

interface Marks {
  readonly branch: string
  readonly last: string
  readonly line: string
  readonly head: string
  readonly times: string
  readonly dot: string
}

const boxMarks: Marks = { branch: '├─', last: '└─', line: '─', head: '─▶', times: '×', dot: '·' }
const asciiMarks: Marks = { branch: '|-', last: '`-', line: '-', head: '->', times: 'x', dot: '.' }

function componentsText(components: readonly GraphComponent[], edges: readonly GraphEdge[], marks: Marks): readonly string[] {
  const labels = new Map(edges.map((edge) => [edge, labelOf(edge)]))
  const width = Math.max(0, ...[...labels.values()].map((label) => label.length))
  return components.flatMap(({ id, kind, tasks, hints, streams }) => {
    const asks = hints === undefined ? '' : `  asks for ${hintsText(hints)}${tasks > 1 ? ' each' : ''}`
    const fields = Object.entries(streams).map(([name, names]) => `${name === 'default' ? '' : `${name} `}{${names.join(', ')}}`)
    const arrows = edges
      .filter(({ from }) => from === id)
      .map((edge) => {
        const target = edge.input === 'default' ? edge.to : `${edge.to}.${edge.input}`
        return [labels.get(edge) ?? '', `${target}${edge.feedback ? ' (feedback)' : ''}`] as const
      })
    return [
      `${kind.padEnd(5)} ${id} ${marks.times}${tasks}${fields.length === 0 ? '' : `  ${fields.join('  ')}`}${asks}`,
      ...drawn(arrows, width, marks),
    ]
  })
}

/** Stages have a number, by which arrows name them; the components of spouts and bolts come first. */
function streamsText(plan: Plan, { intervalMs, nodes, components: hidden }: StreamOutline, marks: Marks): string {
  const { topology, components, edges } = graphOf(plan)
  const isShown = (id: string): boolean => !hidden.includes(id)
  const own = componentsText(
    components.filter(({ id }) => isShown(id)),
    edges.filter(({ from, to }) => isShown(from) && isShown(to)),
    marks,
  )
  const of = (kind: OutlineNode['kind']): number => nodes.filter((node) => node.kind === kind).length
  const when = intervalMs === 0 ? 'a batch as soon as there is data' : `a batch every ${shortDuration(intervalMs)}`
  const rows = nodes.flatMap(({ id, kind, operators, guarantee, state }) => {
    // arrows name outputs, and none leave them
    if (kind === 'output') return []
    const title = kind === 'source' ? id : `${id}  ${operators.join(` ${marks.dot} `)}`
    const arrows = nodes.flatMap(({ id: to, operators: names, kind: what, from }) =>
      from
        .filter((edge) => edge.id === id)
        .map(({ isExchange }) => [isExchange ? 'exchange' : '', what === 'output' ? `${to} ${names.join()}` : to] as const),
    )
    const more = state !== undefined ? `state ${state}` : guarantee
    return [`${title}${more === undefined ? '' : `  [${more}]`}`, ...drawn(arrows, 'exchange'.length, marks)]
  })
  const counts = [count(of('source'), 'source'), count(of('stage'), 'stage'), count(of('output'), 'output'), when].join(', ')
  return [`${topology}: ${counts}`, '', ...own, ...rows, ''].join('\n')
}

/** Arrows below their source. */
function drawn(arrows: readonly (readonly [label: string, target: string])[], width: number, marks: Marks): readonly string[] {
  const { branch, last, line, head } = marks
  return arrows.map(([label, target], i) => {
    const start = label === '' ? line.repeat(2) : ` ${label} `
    return `  ${i === arrows.length - 1 ? last : branch}${start}${line.repeat(width - label.length)}${head} ${target}`
  })
}

function count(n: number, what: string): string {
  return `${n} ${what}${n === 1 ? '' : 's'}`
}

/** `late: fields(word)`: the stream, unless it is the default one, and the grouping. */
export function labelOf({ stream, grouping, fields }: GraphEdge): string {
  return `${stream === 'default' ? '' : `${stream}: `}${groupingNames[grouping]}${fields === undefined ? '' : `(${fields.join(', ')})`}`
}

const groupingNames: Readonly<Record<Grouping['type'], string>> = {
  shuffle: 'shuffle',
  localOrShuffle: 'local or shuffle',
  fields: 'fields',
  partialKey: 'partial key',
  all: 'all',
  global: 'global',
  none: 'none',
  direct: 'direct',
  custom: 'custom',
}

// ------------------------------------------------------------------------------------------------ Mermaid

/** A Mermaid flowchart, which GitHub and many editors draw. */
export function graphMermaid(plan: Plan): string {
  const { nodes, edges } = drawnOf(plan)
  const names = new Map(nodes.map(({ id }, i) => [id, `c${i}`]))
  const quoted = (text: string): string => `"${text.replaceAll('#', '#35;').replaceAll('"', '#quot;')}"`
  const kinds = new Set(nodes.map(({ kind }) => kind))
  return [
    'flowchart LR',
    ...nodes.map(({ id, kind, title, note }) => {
      const [open, close] = mermaidShapes[kind]
      const text = kind === 'spout' || kind === 'bolt' ? `${title} ×${note.slice(note.lastIndexOf(' ') + 1)}` : `${title}<br>${note}`
      return `  ${names.get(id)}${open}${quoted(text)}${close}:::${kind}`
    }),
    ...edges.map(({ from, to, label, feedback }) => {
      const arrow = feedback ? '-.->' : '-->'
      return `  ${names.get(from)} ${arrow}${label === '' ? '' : `|${quoted(label)}|`} ${names.get(to)}`
    }),
    ...Object.entries(mermaidColours)
      .filter(([kind]) => kinds.has(kind as DrawnNode['kind']))
      .map(([kind, colours]) => `  classDef ${kind} ${colours}`),
    '',
  ].join('\n')
}

const mermaidShapes: Readonly<Record<DrawnNode['kind'], readonly [open: string, close: string]>> = {
  spout: ['([', '])'],
  bolt: ['[', ']'],
  source: ['([', '])'],
  stage: ['[', ']'],
  output: ['[/', '/]'],
}

const mermaidColours: Readonly<Record<DrawnNode['kind'], string>> = {
  spout: 'fill:#d8f3ee,stroke:#12806a,color:#0b3d33',
  bolt: 'fill:#e6e9fb,stroke:#4453c4,color:#1c2355',
  source: 'fill:#d8f3ee,stroke:#12806a,color:#0b3d33',
  stage: 'fill:#e6e9fb,stroke:#4453c4,color:#1c2355',
  output: 'fill:#fdf0d9,stroke:#a8761c,color:#4d3509',
}
