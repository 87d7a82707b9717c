/** A plan as a picture made of text: for a terminal, and Mermaid for a README. Pure functions; the SVG is in `graph-svg.ts`. */
import type { Grouping } from './grouping.ts'
import type { Plan } from './plan.ts'

export interface Graph {
  readonly topology: string
  readonly components: readonly GraphComponent[]
  readonly edges: readonly GraphEdge[]
}

export interface GraphComponent {
  readonly id: string
  readonly kind: 'spout' | 'bolt'
  readonly tasks: number
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
    components: plan.components.map(({ id, definition, taskCount, streams }) => ({
      id,
      kind: definition.kind,
      tasks: taskCount,
      streams: Object.fromEntries(
        Object.entries(streams)
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
  }
}

// ------------------------------------------------------------------------------------------------ text

/** A list of the components, each with the arrows to its readers. */
export function graphText(plan: Plan, options: { readonly ascii?: boolean } = {}): string {
  const { topology, components, edges } = graphOf(plan)
  const [branch, last, line, head, times] = options.ascii === true ? ['|-', '`-', '-', '->', 'x'] : ['├─', '└─', '─', '─▶', '×']
  const labels = new Map(edges.map((edge) => [edge, labelOf(edge)]))
  const width = Math.max(0, ...[...labels.values()].map((label) => label.length))
  const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`
  const spouts = components.filter(({ kind }) => kind === 'spout').length
  const rows = components.flatMap(({ id, kind, tasks, streams }) => {
    const own = edges.filter(({ from }) => from === id)
    const fields = Object.entries(streams).map(([name, names]) => `${name === 'default' ? '' : `${name} `}{${names.join(', ')}}`)
    return [
      `${kind.padEnd(5)} ${id} ${times}${tasks}${fields.length === 0 ? '' : `  ${fields.join('  ')}`}`,
      ...own.map((edge, i) => {
        const label = labels.get(edge) ?? ''
        const target = edge.input === 'default' ? edge.to : `${edge.to}.${edge.input}`
        return `  ${i === own.length - 1 ? last : branch} ${label} ${line.repeat(width - label.length)}${head} ${target}${edge.feedback ? ' (feedback)' : ''}`
      }),
    ]
  })
  const tasks = components.reduce((sum, component) => sum + component.tasks, 0)
  return `${topology}: ${count(spouts, 'spout')}, ${count(components.length - spouts, 'bolt')}, ${count(tasks, 'task')}\n\n${rows.join('\n')}\n`
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
  const { components, edges } = graphOf(plan)
  const names = new Map(components.map(({ id }, i) => [id, `c${i}`]))
  const quoted = (text: string): string => `"${text.replaceAll('#', '#35;').replaceAll('"', '#quot;')}"`
  return [
    'flowchart LR',
    ...components.map(({ id, kind, tasks }) => {
      const [open, close] = kind === 'spout' ? ['([', '])'] : ['[', ']']
      return `  ${names.get(id)}${open}${quoted(`${id} ×${tasks}`)}${close}:::${kind}`
    }),
    ...edges.map((edge) => {
      const label = edge.input === 'default' ? labelOf(edge) : `${labelOf(edge)} → ${edge.input}`
      return `  ${names.get(edge.from)} ${edge.feedback ? '-.->' : '-->'}|${quoted(label)}| ${names.get(edge.to)}`
    }),
    '  classDef spout fill:#d8f3ee,stroke:#12806a,color:#0b3d33',
    '  classDef bolt fill:#e6e9fb,stroke:#4453c4,color:#1c2355',
    '',
  ].join('\n')
}
