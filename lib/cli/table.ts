/** The figures of a run as lines of text: the live table, the progress line, the summary. Pure functions. */
import { styleText } from 'node:util'
import type { RunResult } from '../engine/run-types.ts'
import type { Latency } from '../metrics/histogram.ts'
import type { ComponentSnapshot, Snapshot } from '../metrics/snapshot.ts'

/** What a run does in a second: trees done, and tuples by component. */
export interface Rates {
  readonly acked: number
  /** records of the streams of batches */
  readonly records: number
  readonly byComponent: ReadonlyMap<string, number>
}

/** Rates over the last second or so, from the snapshots as they come. */
export class RateMeter {
  readonly #window: Snapshot[] = []

  add(snapshot: Snapshot): Rates {
    this.#window.push(snapshot)
    while (this.#window.length > 2 && snapshot.uptimeMs - (this.#window[1] as Snapshot).uptimeMs >= 1_000) this.#window.shift()
    const [first = snapshot] = this.#window
    return ratesBetween(first === snapshot ? undefined : first, snapshot)
  }
}

export function ratesBetween(before: Snapshot | undefined, after: Snapshot): Rates {
  const seconds = Math.max(after.uptimeMs - (before?.uptimeMs ?? 0), 1) / 1_000
  const earlier = new Map(before?.components.map((component) => [component.id, tuplesOf(component)]))
  return {
    acked: (after.totals.acked - (before?.totals.acked ?? 0)) / seconds,
    records: ((batchesOf(after)?.records ?? 0) - ((before && batchesOf(before)?.records) ?? 0)) / seconds,
    byComponent: new Map(
      after.components.map((component) => [component.id, (tuplesOf(component) - (earlier.get(component.id) ?? 0)) / seconds]),
    ),
  }
}

/** What a spout has emitted or a bolt executed; what the system sends is not counted. */
function tuplesOf({ kind, tasks }: ComponentSnapshot): number {
  return sum(
    tasks.flatMap((task) =>
      Object.entries(kind === 'spout' ? task.emitted : task.executed).flatMap(([name, n]) => (/(^|\.)__/.test(name) ? [] : [n])),
    ),
  )
}

/** Of a topology with streams of batches: what their coordinator counts. */
interface Batches {
  readonly batches: number
  readonly records: number
  /** from the start of a batch, or the end of the one before, to its commit */
  readonly batchP50Ms: number
  readonly batchP99Ms: number
  /** how long after its time the last one began */
  readonly delayMs: number
}

export function batchesOf({ components }: Pick<Snapshot, 'components'>): Batches | undefined {
  const counters = components.find(({ id }) => id === 'batches')?.tasks[0]?.counters
  if (counters?.['batchP99Ms'] === undefined) return undefined
  return { batches: 0, records: 0, batchP50Ms: 0, batchP99Ms: 0, delayMs: 0, ...counters }
}

/** What runs streams of batches, and what runs a job: their tuples are orders, which tell a user nothing. */
const componentsOfStreams = new Set(['batches', 'receivers', 'batch'])
const componentsOfJob = new Set(['start', 'program'])

/** The components that a topology was written with, and whether it has trees of tuples of its own. */
function ownOf(snapshot: Pick<Snapshot, 'components'>): { readonly components: readonly ComponentSnapshot[]; readonly hasTrees: boolean } {
  const { components } = snapshot
  const isJob = components.some(({ id, tasks }) => id === 'program' && tasks[0]?.counters['jobAttempts'] !== undefined)
  const system = batchesOf(snapshot) !== undefined ? componentsOfStreams : isJob ? componentsOfJob : undefined
  if (system === undefined) return { components, hasTrees: true }
  const own = components.filter(({ id }) => !system.has(id))
  return { components: own, hasTrees: own.some(({ kind }) => kind === 'spout') }
}

function batchFacts({ batches, records, batchP50Ms, batchP99Ms, delayMs }: Batches, rates: Rates): readonly string[] {
  return [
    `batches ${count(batches)}`,
    `records ${count(records)}`,
    `${count(rates.records)} records/s`,
    ...(batches > 0 ? [`batch p50 ${ms(batchP50Ms)} ms`, `p99 ${ms(batchP99Ms)} ms`, `delay ${ms(delayMs)} ms`] : ['batch p50 -', 'p99 -']),
  ]
}

export interface TableOptions {
  readonly columns: number
  readonly rows: number
  readonly colour: boolean
  readonly state?: string
}

/** The live table; no line is longer than `columns`, and there are fewer than `rows`. */
export function tableLines(
  snapshot: Snapshot,
  rates: Rates,
  { columns, rows, colour, state = 'running' }: TableOptions,
): readonly string[] {
  const { topology, uptimeMs, totals, pending, latencyMs, executorRestarts } = snapshot
  const own = ownOf(snapshot)
  const { hasTrees } = own
  const components = own.components.length > 0 ? snapshot.components : []
  const paint = (style: Parameters<typeof styleText>[0], text: string): string =>
    colour ? styleText(style, text, { validateStream: false }) : text
  const alarm = (n: number, text: string): string => (n > 0 ? paint('red', text) : text)
  const troubles = [
    [totals.failed, 'failed'],
    [totals.expired, 'expired'],
  ] as const
  const facts: readonly (readonly [string, string])[] = [
    ...(hasTrees ? [`emitted ${count(totals.emitted)}`, `acked ${count(totals.acked)}`].map((text) => [text, text] as const) : []),
    ...troubles.filter(([n]) => hasTrees || n > 0).map(([n, what]) => [`${what} ${count(n)}`, alarm(n, `${what} ${count(n)}`)] as const),
    ...(hasTrees
      ? ([
          [`replayed ${count(totals.replayed)}`, `replayed ${count(totals.replayed)}`],
          [`pending ${count(pending)}`, `pending ${count(pending)}`],
          [`${count(rates.acked)}/s`, paint('bold', `${count(rates.acked)}/s`)],
          [latencyFact(latencyMs, 'p50'), latencyFact(latencyMs, 'p50')],
          [latencyFact(latencyMs, 'p99'), latencyFact(latencyMs, 'p99')],
        ] as const)
      : []),
    ...(totals.deadLettered > 0
      ? [[`dead letters ${count(totals.deadLettered)}`, paint('red', `dead letters ${count(totals.deadLettered)}`)] as const]
      : []),
    ...(executorRestarts > 0
      ? [[`restarts ${count(executorRestarts)}`, paint('red', `restarts ${count(executorRestarts)}`)] as const]
      : []),
  ]
  const head = `${cut(topology, columns - 24)}  ${state} ${clock(uptimeMs)}`
  const batches = batchesOf(snapshot)
  const ofBatches = batches === undefined ? [] : batchFacts(batches, rates).map((text) => [text, paint('bold', text)] as const)
  const head2 = hasTrees ? [...wrap(ofBatches, columns), ...wrap(facts, columns)] : wrap([...ofBatches, ...facts], columns)
  const room = Math.max(1, rows - head2.length - 5)
  const shown = components.slice(0, components.length > room ? room - 1 : room)
  const hidden = components.length - shown.length
  return [
    head.length > columns
      ? cut(head, columns)
      : `${paint('bold', cut(topology, columns - 24))}  ${paint('dim', `${state} ${clock(uptimeMs)}`)}`,
    ...head2,
    ...(shown.length > 0 ? ['', ...componentRows(shown, rates, columns, paint)] : []),
    ...(hidden > 0 ? [paint('dim', cut(`... and ${hidden} more`, columns))] : []),
  ]
}

type Paint = (style: Parameters<typeof styleText>[0], text: string) => string

interface TableColumn {
  readonly title: string
  readonly cell: (component: ComponentSnapshot) => string
  /** the first to go where the terminal is narrow */
  readonly rank: number
  readonly alarms?: boolean
}

function componentRows(components: readonly ComponentSnapshot[], rates: Rates, columns: number, paint: Paint): readonly string[] {
  const all: readonly TableColumn[] = [
    { title: 'tasks', rank: 6, cell: ({ tasks }) => count(tasks.length) },
    { title: 'tuples', rank: 1, cell: (component) => count(tuplesOf(component)) },
    { title: 'per s', rank: 2, cell: ({ id }) => count(rates.byComponent.get(id) ?? 0) },
    { title: 'p50 ms', rank: 8, cell: (component) => latency(component, 'p50') },
    { title: 'p99 ms', rank: 5, cell: (component) => latency(component, 'p99') },
    { title: 'pending', rank: 4, cell: ({ tasks }) => count(sum(tasks.map(({ pending }) => pending))) },
    { title: 'failed', rank: 3, alarms: true, cell: ({ tasks }) => count(sum(tasks.map(({ failed }) => failed))) },
    { title: 'errors', rank: 7, alarms: true, cell: ({ tasks }) => count(sum(tasks.map(({ errors }) => errors))) },
  ]
  const cells = new Map(all.map((column) => [column, components.map(column.cell)]))
  const widthOf = (column: TableColumn): number =>
    Math.max(column.title.length, ...(cells.get(column) ?? []).map((cell) => cell.length), 7) + 2
  const wanted = Math.max('component'.length, ...components.map(({ id, kind }) => id.length + kind.length + 3))
  let kept = all
  const used = (): number => sum(kept.map(widthOf))
  while (kept.length > 0 && used() + Math.min(wanted, 16) > columns)
    kept = kept.filter(({ rank }) => rank !== Math.max(...kept.map((one) => one.rank)))
  const nameWidth = Math.max(1, Math.min(wanted, columns - used()))
  const name = ({ id, kind }: ComponentSnapshot): string => {
    const text = cut(id, nameWidth)
    return text.length + kind.length + 3 <= nameWidth
      ? `${text} ${paint('dim', `(${kind})`)}${' '.repeat(nameWidth - text.length - kind.length - 3)}`
      : text.padEnd(nameWidth)
  }
  return [
    paint('dim', cut('component', nameWidth).padEnd(nameWidth) + kept.map((column) => column.title.padStart(widthOf(column))).join('')),
    ...components.map(
      (component, i) =>
        name(component) +
        kept
          .map((column) => {
            const cell = cells.get(column)?.[i] ?? ''
            const padded = cell.padStart(widthOf(column))
            return column.alarms === true && cell !== '0' ? paint('red', padded) : padded
          })
          .join(''),
    ),
  ]
}

function latency({ latencyMs }: ComponentSnapshot, which: 'p50' | 'p99'): string {
  return latencyMs.count === 0 ? '-' : ms(latencyMs[which])
}

/** Of all spouts; nothing where nothing was measured. */
function latencyFact(latencyMs: Latency, which: 'p50' | 'p99'): string {
  return latencyMs.count > 0 ? `${which} ${ms(latencyMs[which])} ms` : `${which} -`
}

/** One line of progress, for logs and pipes. */
export function progressLine(snapshot: Snapshot, rates: Rates): string {
  const { uptimeMs, totals, pending, latencyMs } = snapshot
  const batches = batchesOf(snapshot)
  const { emitted, acked, failed, expired, replayed } = totals
  const trouble = [
    `failed ${count(failed)}`,
    ...(expired > 0 ? [`expired ${count(expired)}`] : []),
    ...(replayed > 0 ? [`replayed ${count(replayed)}`] : []),
  ].join('  ')
  if (batches !== undefined) return `${clock(uptimeMs)}  ${batchFacts(batches, rates).join('  ')}  ${trouble}`
  if (!ownOf(snapshot).hasTrees) return `${clock(uptimeMs)}  running${totals.failed > 0 ? `  ${trouble}` : ''}`
  return `${clock(uptimeMs)}  emitted ${count(emitted)}  acked ${count(acked)}  ${trouble}  pending ${count(pending)}  ${count(rates.acked)}/s  ${latencyFact(latencyMs, 'p50')}  ${latencyFact(latencyMs, 'p99')}`
}

/** What tells which figures of a run are of interest. */
type RunFigures = Pick<Snapshot, 'topology' | 'components'>

/** The last line of a run. */
export function summaryLine(
  snapshot: RunFigures,
  { state, seconds, emitted, acked, failed, expired, replayed, deadLettered }: Omit<RunResult, 'error'>,
): string {
  const rate = (n: number): string => (seconds > 0 ? ` (${count(n / seconds)}/s)` : '')
  const batches = batchesOf(snapshot)
  const nothingNew = state === 'finished' && batches?.batches === 0 ? ': there was nothing new' : ''
  const figures = [
    ...(batches === undefined
      ? []
      : [`batches ${count(batches.batches)}`, `records ${count(batches.records)}${rate(batches.records)}${nothingNew}`]),
    ...(ownOf(snapshot).hasTrees
      ? [
          `emitted ${count(emitted)}`,
          `acked ${count(acked)}${rate(acked)}`,
          `failed ${count(failed)}`,
          `expired ${count(expired)}`,
          `replayed ${count(replayed)}`,
          `dead letters ${count(deadLettered)}`,
        ]
      : [...(failed > 0 ? [`failed ${count(failed)}`] : []), ...(expired > 0 ? [`expired ${count(expired)}`] : [])]),
  ]
  const givenUp =
    deadLettered === 0
      ? ''
      : `\n${deadLettered === 1 ? '1 tuple was given up after all its replays: it is a dead letter' : `${count(deadLettered)} tuples were given up after all their replays: they are dead letters`}`
  return `${snapshot.topology} ${state} after ${seconds.toFixed(2)} s${figures.length > 0 ? `: ${figures.join(', ')}` : ''}${givenUp}`
}

function wrap(parts: readonly (readonly [string, string])[], columns: number): readonly string[] {
  const lines: { plain: string; painted: string }[] = []
  for (const [plain, painted] of parts) {
    const last = lines.at(-1)
    if (last !== undefined && last.plain.length + 2 + plain.length <= columns) {
      last.plain += `  ${plain}`
      last.painted += `  ${painted}`
    } else lines.push(plain.length > columns ? { plain: cut(plain, columns), painted: cut(plain, columns) } : { plain, painted })
  }
  return lines.map(({ painted }) => painted)
}

export function cut(text: string, width: number): string {
  return text.length <= width ? text : width < 2 ? text.slice(0, Math.max(0, width)) : `${text.slice(0, width - 1)}…`
}

export function count(n: number): string {
  return Math.round(n)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, ',')
}

export function ms(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(value >= 1 ? 2 : 3)
}

export function clock(uptimeMs: number): string {
  const seconds = Math.floor(uptimeMs / 1_000)
  const two = (n: number): string => String(n).padStart(2, '0')
  const hours = Math.floor(seconds / 3_600)
  return `${hours > 0 ? `${hours}:` : ''}${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
