/**
 * Spark's DataFrameTimeWindowingSuite: rows are put into windows of event time, and counted or listed by window.
 *
 * This runs on the windows themselves, but for several windows in one step, which only a stream can refuse.
 */
import { memorySource, slidingWindow, topology, tumblingWindow, windowTime } from '../../../lib/index.ts'
import type { TimeWindow, TimeWindows } from '../../../lib/index.ts'
import { LocalCluster } from '../../../lib/testing/index.ts'
import { sameRows, textOf, timeOf } from '../rows.ts'
import { isRecord } from '../vectors.ts'
import type { Adapter, Verdict, VectorCase } from '../vectors.ts'

export const dataFrameTimeWindowing: Adapter = {
  isFor: ({ suite, file, sources }) => /\bDataFrameTimeWindowingSuite\b/.test([suite, file, ...sources].join(' ')),
  run: (one) => (Array.isArray(one.params['sizes']) ? together(one.params['sizes'].map(String)) : windowed(one)),
}

/** A stream grouped by windows of several sizes at once; whether it is refused is for whoever asked. */
async function together(sizes: readonly string[]): Promise<Verdict> {
  const graph = topology('case', (t) => {
    const rows = t.stream('rows', memorySource<{ time: number; value: number }>()).withWatermark('time', '10s')
    // the types allow one window
    const by = sizes.map((size) => tumblingWindow(size)) as unknown as [ReturnType<typeof tumblingWindow>]
    rows.groupBy(...by).count()
  })
  await using cluster = await LocalCluster.start({ seed: 1 })
  await cluster.submit(graph)
  return true
}

type Row = readonly unknown[]

/** A row in one of its windows. */
interface Placed {
  readonly row: Row
  readonly window: TimeWindow
}

function windowed(one: VectorCase): Verdict {
  const { operation, params, input, expected } = one
  const windows = windowsOf(one)
  if (windows === undefined || !Array.isArray(expected)) return undefined
  const columns = columnsOf(operation, expected)
  if (columns === undefined) return undefined
  const isOrdered = /order(ed)? by/i.test(operation)
  if (/join/i.test(operation)) {
    if (!isRecord(input)) return undefined
    return joined(
      Object.values(input).map((rows) => placed(rows as Row[], windows)),
      expected,
      isOrdered,
    )
  }
  if (!Array.isArray(input)) return undefined
  let rows = placed(input as Row[], windows)
  if (/explode/i.test(operation))
    rows = rows.flatMap(({ row, window }) => [row.at(-1)].flat().map((id) => ({ row: [...row.slice(0, -1), id], window })))
  const groups = /group ?by|count|sum/i.test(operation)
    ? grouped(rows, /group ?by\s*\(([^)]*)\)/i.exec(operation)?.[1] ?? 'window')
    : rows.map((row) => [row])
  const result = ordered(groups, operation).map((group) => columns.map((column) => valueOf(column, group, params)))
  if (result.some((row) => row.includes(undefined))) return undefined
  // one column may stand without the list around it
  const isBare = columns.length === 1 && expected.length > 0 && !expected.some(Array.isArray)
  return sameRows('rows', isBare ? result.flat() : result, expected, isOrdered)
}

/** Of the settings, else of what the operation says: `window(time, "10 seconds", "3 seconds", "-5 seconds")`. */
function windowsOf({ operation, params }: VectorCase): TimeWindows | undefined {
  const said = [...(/window\s*\(([^)]*)\)/i.exec(operation)?.[1] ?? '').matchAll(/"([^"]*)"|(\d+ microseconds|\b\d{4,}\b)/g)].map(
    ([, text, micros]) => text ?? Number.parseInt(micros as string, 10) / 1000,
  )
  const [size = said[0], slide = said[1] ?? size, startTime = said[2] ?? 0] = [params['size'], params['slide'], params['startTime']] as (
    string | number | undefined
  )[]
  if (size === undefined || slide === undefined) return undefined
  return slide === size ? tumblingWindow(size, { startTime }) : slidingWindow(size, slide, { startTime })
}

/** `-> [start,end,count]`, else what as many columns usually are. */
function columnsOf(operation: string, expected: readonly unknown[]): readonly string[] | undefined {
  const said = /->\s*\[([^\]]*)\]/.exec(operation)?.[1]
  if (said !== undefined) return said.split(',').map((column) => column.trim())
  const what = /count/i.test(operation) ? 'count' : 'value'
  const width = Array.isArray(expected[0]) ? expected[0].length : 0
  return width === 1 ? [what] : width === 2 ? ['start', 'end'] : width === 3 ? ['start', 'end', what] : undefined
}

function placed(rows: readonly Row[], windows: TimeWindows): Placed[] {
  return rows.flatMap((row) => windows.of(timeOf(row[0])).map((window) => ({ row, window })))
}

/** `by`: `window`, `window,id`. */
function grouped(rows: readonly Placed[], by: string): Placed[][] {
  const groups = new Map<string, Placed[]>()
  for (const one of rows) {
    const key = JSON.stringify([one.window.start, /\bid\b/.test(by) ? one.row[2] : null, /\bvalue\b/.test(by) ? one.row[1] : null])
    groups.set(key, [...(groups.get(key) ?? []), one])
  }
  return [...groups.values()]
}

/** `ordered by start, value desc`. */
function ordered(groups: readonly Placed[][], operation: string): Placed[][] {
  const [, list = ''] = /order(?:ed)? by (.*)$/i.exec(operation) ?? []
  const keys = list.split(/,| then /).map((key) => ({ column: key.trim().split(/\s+/)[0] as string, isDown: /\bdesc/i.test(key) }))
  return [...groups].sort((a, b) => {
    for (const { column, isDown } of keys) {
      const [left, right] = [valueOf(column, a, {}) ?? '', valueOf(column, b, {}) ?? ''] as (string | number)[]
      if (left !== right) return (left as string) < (right as string) === isDown ? 1 : -1
    }
    return 0
  })
}

function valueOf(column: string, group: readonly Placed[], params: Readonly<Record<string, unknown>>): unknown {
  const [{ row, window }] = group as [Placed]
  const name = column.replace(/^.*\./, '').replace(/\(.*\)$/, '')
  switch (name) {
    case 'start':
    case 'windowStart':
      return textOf(window.start)
    case 'end':
    case 'windowEnd':
      return textOf(window.end)
    case 'window_time':
    case 'windowTime':
      return textOf(windowTime(window))
    case 'window':
      return [textOf(window.start), textOf(window.end)]
    case 'count':
    case 'counts':
      return group.length
    case 'sum':
    case 'total':
      return group.reduce((sum, one) => sum + Number(one.row[1]), 0)
    case 'time':
      return row[0]
    case 'value':
      return row[1]
    case 'id':
    case 'ids':
      return row[2]
    default:
      return params[name]
  }
}

/** Rows of both sides that share a window, and of each window the sum of what they hold. */
function joined(sides: readonly Placed[][], expected: readonly unknown[], isOrdered: boolean): Verdict {
  const [left, right] = sides
  if (left === undefined || right === undefined) return undefined
  const totals = new Map<number, number>()
  for (const { row, window } of left)
    for (const other of right)
      if (other.window.start === window.start && other.window.end === window.end)
        totals.set(window.start, (totals.get(window.start) ?? 0) + Number(row[1]) + Number(other.row[1]))
  return sameRows(
    'totals',
    [...totals].sort(([a], [b]) => a - b).map(([, total]) => [total]),
    expected,
    isOrdered,
  )
}
