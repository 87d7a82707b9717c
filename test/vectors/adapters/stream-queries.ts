/** Queries over event time, from the texts of operations such as `dropDuplicates(str,num) . groupBy(str).sum(num)`. */
import { aggregators, sessionWindow, slidingWindow, tumblingWindow } from '../../../lib/index.ts'
import type { DStream, EventStream, OutputMode, StatefulStream, TimeWindow } from '../../../lib/index.ts'
import type { VectorCase } from '../vectors.ts'
import { evaluate, parse } from './rdd/language.ts'
import { dayMs, isOfDays } from './stream-steps.ts'
import type { Build, Built } from './stream-steps.ts'

/** A row by columns; `eventTime` in ms where there is one. `any`: columns are what a case says. */
// oxlint-disable-next-line typescript/no-explicit-any
type Columns = Readonly<Record<string, any>>

/** How to build what a case says; `undefined`: not understood. */
export function queryOf(one: VectorCase): Build | undefined {
  const { operation } = one
  if (/sessionWindow/i.test(operation)) return sessionQuery(one)
  if ((operation.match(/withWatermark/g) ?? []).length > 1 || /\b(redefin|overrid)\w+/i.test(operation)) return watermarkTwice()
  if (/\bunion\b/i.test(operation) && /dropDuplicates/.test(operation)) return unionWithDistinct(one)
  if (/^union of/i.test(operation)) return unionQuery(one)
  if (/join static/i.test(operation)) return staticJoin(one)
  return chain(one)
}

// ------------------------------------------------------------------------------------------------ steps one behind the other

/** What has been built of a chain. */
type Flow =
  { readonly kind: 'rows'; readonly stream: DStream<Columns> } | { readonly kind: 'events'; readonly stream: EventStream<Columns> }

function chain(one: VectorCase): Build | undefined {
  const { operation, params } = one
  const [, columnList, rest = operation] = /^\[([\w, ]+)\]\s*(.*)$/s.exec(operation) ?? []
  const [body, output] = splitOutput(inOneForm(rest))
  const steps = body.split(/\s+\.\s+/).map((step) => step.trim())
  if (!steps.every((step) => known.some((pattern) => pattern.test(step)))) return undefined
  const names = columnList?.split(',').map((name) => name.trim()) ?? namesIn(steps)
  return (built) => {
    let flow: Flow = { kind: 'rows', stream: withColumns(built.stream(), names) }
    const delay = params['watermarkDelay'] ?? undefined
    const mode = params['mode'] as OutputMode | undefined
    let last: string[] | undefined
    // what goes before the watermark goes by the records alone
    for (const [i, step] of steps.entries()) {
      if (flow.kind === 'rows' && !/^(flatMap|map|coalesce|explode)\b/.test(step) && delay !== undefined)
        flow = { kind: 'events', stream: flow.stream.withWatermark('eventTime', delay as string) }
      const isLastGroup = !steps.slice(i + 1).some((later) => /groupBy|window\(/.test(later))
      const next = applied(flow, step, built, { mode, isLastGroup, params })
      flow = next.flow
      last = next.columns ?? last
    }
    const columns = output ?? last
    const stream = flow.kind === 'rows' ? flow.stream : flow.stream.records
    // columns that go by other names are those of the same places
    const others = output !== undefined && last?.length === output.length ? last : undefined
    return stream.map((row) => shownAs(row, columns, others))
  }
}

/** `groupByKey(k).agg(typed.sumLong(v))`, `size(collect_set(v))`, `global count` in the form of the others: `groupBy(k) -> sum(v)`. */
function inOneForm(text: string): string {
  const [, exploded] = /\(explode\((\w+)\)\)/.exec(text) ?? []
  const flat = exploded === undefined ? text : `explode(${exploded}) . ${text.replace(`explode(${exploded})`, 'value')}`
  return flat
    .replace(/\)\s*\.\s*(count|sum|avg|min|max|last|first|list|distinct)\b/g, ') -> $1')
    .replace(/\bexplode\s*\(?(\w+)\)?( as \w+)?\s*[,.]\s*(?=groupBy)/, 'explode($1)$2 . ')
    .replace(/groupByKey\(/g, 'groupBy(')
    .replace(/\b(?:typed[ .])?sumLong\(/g, 'sum(')
    .replace(/\btyped[ .](?=\w+\()/g, '')
    .replace(
      /\bsize(?: of |\()collect_set\((\w+)\)\)?|\bcount ?distinct\((\w+)\)|\bcount of distinct (?:values of )?(\w+)/gi,
      (...found) => {
        const field = found.slice(1, 4).find((one) => typeof one === 'string') as string
        return `distinct(${field})`
      },
    )
    .replace(/\bcollect_list\(/g, 'list(')
    .replace(/\s*\.\s*agg\((\w+\(\w+\))\)/g, ' -> $1')
    .replace(
      /(^|\.\s+)(?:global (?:aggregate )?|agg\(|aggregate\()?((?:last|first|sum|min|max|avg)\(\w+\))\)?(?:, complete(?: mode)?)?$/,
      '$1groupBy() -> $2',
    )
    .replace(/(^|\.\s+)(?:global )?count(?=$|,)/, '$1groupBy() -> count')
    .replace(/, \w+ ?= ?\d+( then \d+)?.*$/, '')
}

const known = [
  /^flatMap\(x\s*->\s*\[x,\s*x\+1\]\)$/,
  /^map throws once when value==\d+$/,
  /^coalesce\(\w+\)$/,
  /^explode\(\w+\)( as \w+)?$/,
  /^dropDuplicates(WithinWatermark)?\([\w, ]*\)( to a file sink)?(, (a third column|binary).*)?$/,
  /^dropDuplicatesWithinWatermark without a watermark$/,
  /^(groupBy|window)\((?!.*groupBy)[\w, %.+*-]*\)( -> (count|sum|avg|min|max|last|first|list|distinct)(\(\w+\))?)?$/,
  /^orderBy\(\w+( (asc|desc))?\)$/,
  /^where\((?:date\()?\w+\)? ?>= ?(now|today|current_?date|currentDay)(?:\(\))? ?- ?\d+( days?)?\)$/i,
]

function splitOutput(text: string): [string, string[] | undefined] {
  const said = /,?\s*output\s*\[([^\]]*)\](.*)$/s.exec(text)
  if (said !== null) {
    const after = (said[2] as string).replace(/through an alias.*|, n=.*$/s, '').trim()
    return [`${text.slice(0, said.index)}${after === '' ? '' : ` ${after}`}`, (said[1] as string).split(',').map((name) => name.trim())]
  }
  const arrow = /\s*->\s*(\[[\w, ]+\]|(?!(?:count|sum|avg|min|max|last|first|list|distinct)\b)\w+)\s*$/.exec(text)
  if (arrow !== null)
    return [
      text.slice(0, arrow.index),
      (arrow[1] as string)
        .replace(/[[\]]/g, '')
        .split(',')
        .map((name) => name.trim()),
    ]
  return [text.replace(/, (n=|a third column).*$/s, ''), undefined]
}

/** The names that stand for columns by their place, in the order in which they are first said. */
function namesIn(steps: readonly string[]): string[] {
  const said = steps.flatMap((step) =>
    [...step.matchAll(/(?:dropDuplicates|groupBy|sum|avg|min|max)\w*\(([\w, ]+)\)/g)].flatMap(([, list = '']) => list.split(',')),
  )
  return [
    ...new Set(said.map((name) => name.trim()).filter((name) => /^\w+$/.test(name) && !/^(value|eventTime|_\d+|a|group)$/.test(name))),
  ]
}

/** Rows by name and by place; a number alone is a value and a time in seconds. */
function withColumns(stream: DStream<unknown>, names: readonly string[]): DStream<Columns> {
  const at = Math.max(
    1,
    names.findIndex((name) => /time/i.test(name)),
  )
  return stream.map((row): Columns => {
    if (!Array.isArray(row))
      return {
        value: row,
        a: row,
        group: row,
        _1: row,
        ...(names[0] !== undefined && { [names[0]]: row }),
        ...(typeof row === 'number' && { eventTime: row * 1000 }),
        row,
      }
    const columns: Record<string, unknown> = { row }
    row.forEach((value, i) => {
      columns[`_${i + 1}`] = value
      if (names[i] !== undefined) columns[names[i]] = value
    })
    const time = row[at] as unknown
    return typeof time === 'number' ? { ...columns, eventTime: time * 1000 } : columns
  })
}

interface Around {
  readonly mode: OutputMode | undefined
  readonly isLastGroup: boolean
  readonly params: VectorCase['params']
}

function applied(flow: Flow, step: string, { step: at, starts }: Built, around: Around): { flow: Flow; columns?: string[] } {
  const { params } = around
  const [, list = ''] = /\(([^)]*)\)/.exec(step) ?? []
  const names = list.split(',').flatMap((name) => name.trim() || [])
  if (flow.kind === 'rows') {
    const { stream } = flow
    if (step.startsWith('flatMap'))
      return {
        flow: {
          kind: 'rows',
          stream: stream.flatMap((row) => [Number(row['value']), Number(row['value']) + 1].map((value) => ({ value }))),
        },
      }
    if (step.startsWith('map throws')) {
      const bad = Number(/==(\d+)/.exec(step)?.[1])
      const mapped = stream.map((row) => {
        if (starts === 0 && row['value'] === bad) throw new Error('as the case wants it')
        return row
      })
      return { flow: { kind: 'rows', stream: mapped } }
    }
    if (step.startsWith('explode')) {
      const alias = / as (\w+)$/.exec(step)?.[1] ?? 'value'
      return {
        flow: {
          kind: 'rows',
          stream: stream.flatMap((row) =>
            (row[names[0] as string] as unknown[]).map((value): Columns => ({ ...row, [names[0] as string]: value, [alias]: value })),
          ),
        },
      }
    }
    if (step.startsWith('coalesce')) {
      const n = Number(at['coalesce'] ?? (/^\d+$/.test(list) ? list : 1))
      return { flow: { kind: 'rows', stream: stream.transform((rdd) => rdd.coalesce(n)) } }
    }
  }
  if (step.startsWith('dropDuplicates')) {
    // the column of the time is the event time
    const said = names.map((name) => (params['watermarkDelay'] !== undefined && /^time$/i.test(name) ? 'eventTime' : name))
    const fields = names.length > 0 ? said : params['watermarkDelay'] === undefined ? ['row'] : ['row', 'eventTime']
    if (!step.startsWith('dropDuplicatesWithin')) return { flow: { kind: 'events', stream: flow.stream.dropDuplicates(...fields) } }
    const events = flow.kind === 'rows' ? flow.stream.withEventTime('eventTime') : flow.stream
    return { flow: { kind: 'events', stream: events.dropDuplicatesWithinWatermark(...fields) } }
  }
  if (step.startsWith('where')) {
    const [, name = '', now = '', seconds, days] = /\((\w+)\)? ?>= ?(\w+)(?:\(\))? ?- ?(\d+)( days?)?/.exec(step.replace('date(', '')) ?? []
    const unitMs = isOfDays(params) ? dayMs : days === undefined && /^now$/i.test(now) ? 1_000 : 86_400_000
    const rows = flow.kind === 'rows' ? flow.stream : flow.stream.records
    const recent = rows.transform((rdd, { timeMs }) => rdd.filter((row) => row[name] >= Math.floor(timeMs / unitMs) - Number(seconds)))
    return { flow: { kind: 'rows', stream: recent } }
  }
  if (step.startsWith('orderBy')) {
    const [name = '', direction] = list.split(/\s+/)
    const ordered = (flow.stream as unknown as StatefulStream<Columns, Columns>).orderBy(name, direction === 'desc' ? 'desc' : 'asc')
    return { flow: { kind: 'rows', stream: ordered } }
  }
  return groupedBy(flow, step, names, around)
}

function groupedBy(
  flow: Flow,
  step: string,
  names: readonly string[],
  { mode, isLastGroup, params }: Around,
): { flow: Flow; columns: string[] } {
  const [, what = 'count', field = ''] = /->\s*(\w+)(?:\((\w+)\))?$/.exec(step) ?? []
  const given = /^(last|first)$/.test(what) && flow.kind === 'rows' ? { ...flow, stream: withPlaces(flow.stream) } : flow
  const computed = names.filter((name) => /^\w+ ?[+*-] ?\d+$/.test(name))
  const before = given.kind === 'rows' ? given.stream.withEventTime('eventTime') : given.stream
  const events = computed.length === 0 ? before : before.map((row) => ({ ...row, ...expressions(row, computed) }))
  const [, modulus] = /(\d+)\s*$/.exec(names.find((name) => name.includes('%')) ?? '') ?? []
  const isWindow = step.startsWith('window')
  const fields = isWindow ? [] : modulus === undefined ? names : ['key']
  const keyed = modulus === undefined ? events : events.map((row): Columns => ({ ...row, key: Number(row['a']) % Number(modulus) }))
  const groups = isWindow ? keyed.groupBy(windowOf(step, params)) : keyed.groupBy(...fields)
  const options = { ...(mode !== undefined && { mode: isLastGroup ? mode : ('append' as const) }) }
  const of = {
    count: aggregators.count(),
    sum: aggregators.sum((row: Columns) => row[field] as number),
    avg: aggregators.avg((row: Columns) => row[field] as number),
    min: aggregators.min((row: Columns) => row[field] as number),
    max: aggregators.max((row: Columns) => row[field] as number),
    last: outermost(field, 1),
    first: outermost(field, -1),
    list: aggregators.collect((row: Columns) => row[field] as unknown),
    distinct: distinctValues(field),
  }[what as 'count']
  const stream = groups.aggregate({ [what]: of }, options) as EventStream<Columns>
  return { flow: { kind: 'events', stream }, columns: [...(isWindow ? ['windowStart'] : fields), what] }
}

/** Columns such as `value+1`, by their texts. */
function expressions(row: Columns, texts: readonly string[]): Columns {
  return Object.fromEntries(texts.map((text) => [text, evaluate(parse(text), row)]))
}

/** Rows that know where in all of the stream they stand: a batch is dealt out in slices, one behind the other. */
function withPlaces(rows: DStream<Columns>): DStream<Columns> {
  return rows.transform((rdd, { timeMs }) =>
    rdd.mapPartitionsWithIndex((partition, list) => list.map((row, i) => ({ ...row, place: [timeMs, partition, i] }))),
  )
}

/** The value of the row that stands last, or first. */
function outermost(field: string, sign: 1 | -1): aggregators.Aggregator<Columns, Columns | null, unknown> {
  const isBehind = (a: Columns, b: Columns): boolean => {
    const [x, y] = [a['place'] as number[], b['place'] as number[]]
    const differing = x.findIndex((n, i) => n !== y[i])
    return ((x[differing] ?? 0) - (y[differing] ?? 0)) * sign > 0
  }
  const of = (a: Columns | null, b: Columns | null): Columns | null => (a === null ? b : b === null || isBehind(a, b) ? a : b)
  return { zero: () => null, add: of, merge: of, finish: (row) => row?.[field] as unknown }
}

/** How many different values there are; a list is its values. */
function distinctValues(field: string): aggregators.Aggregator<Columns, readonly unknown[], number> {
  const of = (a: readonly unknown[], b: readonly unknown[]): readonly unknown[] => [...new Set([...a, ...b])]
  return { zero: () => [], add: (state, row) => of(state, [row[field] as unknown].flat()), merge: of, finish: (all) => all.length }
}

/** `window(eventTime,10s,5s)`. */
function windowOf(step: string, params: VectorCase['params']): ReturnType<typeof tumblingWindow> {
  const said = step.slice(step.indexOf('(') + 1, step.indexOf(')')).split(',')
  const size = said[1]?.trim() ?? `${String(params['windowSec'])} seconds`
  const slide = said[2]?.trim() ?? size
  return slide === size ? tumblingWindow(size) : slidingWindow(size, slide)
}

/** A row as cases show it: a list of columns, one column by itself, or as it came. Times are seconds. */
function shownAs(row: Columns, columns: readonly string[] | undefined, others?: readonly string[]): unknown {
  if (columns === undefined) return row['row']
  const values = columns.map(
    (column, i) => columnOf(row, column) ?? (others === undefined ? undefined : columnOf(row, others[i] as string)),
  )
  return values.length === 1 ? values[0] : values
}

function columnOf(row: Columns, column: string): unknown {
  const window = row['window'] as TimeWindow | undefined
  switch (column) {
    case 'windowStart':
    case 'start':
      return (window?.start ?? Number.NaN) / 1000
    case 'windowEnd':
    case 'end':
      return (window?.end ?? Number.NaN) / 1000
    case 'eventTime':
      return Number(row['eventTime']) / 1000
    default:
      return row[column]
  }
}

// ------------------------------------------------------------------------------------------------ several inputs

function unionQuery({ params, operation }: VectorCase): Build | undefined {
  const delays = Object.entries((params['delays'] ?? {}) as Record<string, string>)
  if (delays.length === 0) return undefined
  return ({ stream }) => {
    const inputs = delays.map(([name, delay]) => withColumns(stream(name), []).withWatermark('eventTime', delay))
    const [first, ...others] = inputs as [EventStream<Columns>, ...EventStream<Columns>[]]
    const events = first.union(...others)
    if (/sum/.test(operation)) return events.groupBy().sum((row) => row['value'] as number, { mode: 'complete' }).records
    return events.records.map((row) => columnOf(row, 'eventTime'))
  }
}

/** Two watermarks on the way to an operator with state. */
function watermarkTwice(): Build {
  return ({ stream }) =>
    stream()
      .map((row): Columns => {
        const [first, second] = row as [number, number]
        return { first: first * 1000, second: second * 1000 }
      })
      .withWatermark('first', '1 minute')
      .records.withWatermark('second', '2 minutes')
      .groupBy(tumblingWindow('1 minute'))
      .count({ mode: 'append' }).records
}

/** A stream as it is, and another without duplicates; `partitions` of the first may change with a restart. */
function unionWithDistinct({ input, params }: VectorCase): Build | undefined {
  const [step = {}] = (Array.isArray(input) ? input : []) as Readonly<Record<string, unknown>>[]
  const [plain, distinct] = Object.keys(step).filter((name) => Array.isArray(step[name]))
  if (plain === undefined || distinct === undefined) return undefined
  const counts = Object.values(params).find((value) => Array.isArray(value) || (typeof value === 'object' && value !== null))
  const numbers = JSON.stringify(counts ?? []).match(/\d+/g) ?? ['2', '3']
  return ({ stream, starts }) =>
    stream(plain)
      .repartition(Number(numbers[Math.min(starts, numbers.length - 1)]))
      .union(
        withColumns(stream(distinct), [])
          .dropDuplicates('value')
          .records.map(({ value }) => value as unknown),
      )
}

function staticJoin({ params }: VectorCase): Build | undefined {
  const numbers = params['static']
  if (!Array.isArray(numbers)) return undefined
  return ({ stream }) =>
    stream().transform((rdd) => {
      const counts = rdd.context
        .parallelize((numbers as number[]).map((n) => [n % 2, 1] as const))
        .reduceByKey((a: number, b: number) => a + b)
      return rdd
        .map((value) => [Number(value), value] as const)
        .join(counts)
        .map(([parity, [value, n]]) => [value, parity, n])
    })
}

// ------------------------------------------------------------------------------------------------ sessions

function sessionQuery({ operation, params }: VectorCase): Build | undefined {
  const mode = params['mode'] as OutputMode
  const delay = (params['watermarkDelay'] as string | undefined) ?? '10 seconds'
  if (/without another key/.test(operation))
    return ({ stream }) => withColumns(stream(), []).withWatermark('eventTime', delay).groupBy(sessionWindow('5s')).count({ mode }).records
  const columns = /output \[([^\]]*)\]/
    .exec(operation)?.[1]
    ?.split(',')
    .map((name) => name.trim())
  if (columns === undefined) return undefined
  const gaps = new Map([...operation.matchAll(/(\w+) (-?\d+)s\b/g)].map(([, word = '', seconds]) => [word, Number(seconds) * 1000]))
  const others = gaps.get('others')
  const fixed = (params['gap'] as string | undefined) ?? '10 seconds'
  const window = sessionWindow(({ word }: { word: string }) => gaps.get(word) ?? others ?? fixed)
  const isTruncated = /truncated/.test(operation)
  return ({ stream }) =>
    stream()
      .flatMap((row) => {
        const [line, seconds] = row as [string, number]
        return line.split(' ').map((word) => ({ word, at: seconds * 1000, seconds }))
      })
      .withWatermark('at', delay)
      .groupBy('word', params['gap'] === undefined && gaps.size > 0 ? window : sessionWindow<{ word: string }>(fixed))
      .aggregate({ seconds: aggregators.collect((row: { readonly seconds: number }) => row.seconds) }, { mode })
      .records.map(({ word, window: { start, end }, seconds }) => {
        const results: Record<string, unknown> = {
          ...statistics(seconds, isTruncated),
          ...extremes(seconds),
          start: start / 1000,
          end: end / 1000,
          'end-start': (end - start) / 1000,
        }
        return columns.flatMap((name) => (name === 'word' ? keysOf(operation, word) : [results[name.replace(/[ _]|\(.*/g, '')]]))
      })
}

/** The key as the operation has it: the word, nested pairs of it, two columns. */
function keysOf(operation: string, word: string): unknown[] {
  if (/two key columns/.test(operation)) return [[word, word], word]
  const [, shape = 'word'] = /sessionId = (\(.*?\)+|word)(?=[);]|\s)/.exec(operation) ?? []
  const json = shape.replace(/\(/g, '[').replace(/\)/g, ']').replace(/word/g, JSON.stringify(word))
  const open = json.split('[').length - json.split(']').length
  return [JSON.parse(open < 0 ? json.slice(0, open) : json)]
}

/** The first and the last of times, as they are called. */
function extremes(times: readonly number[]): Record<string, number> {
  const [least, most] = [Math.min(...times), Math.max(...times)]
  return { minTime: least, maxTime: most, minby: least, maxby: most }
}

/** As Spark has them; the variance is that of a sample. */
function statistics(values: readonly number[], isTruncated: boolean): Record<string, number> {
  const n = values.length
  const sorted = [...values].sort((a, b) => a - b)
  const sum = values.reduce((a, b) => a + b, 0)
  const mean = sum / n
  const variance = values.reduce((a, b) => a + (b - mean) ** 2, 0) / (n - 1)
  const median = ((sorted[Math.floor((n - 1) / 2)] as number) + (sorted[Math.floor(n / 2)] as number)) / 2
  const all = {
    count: n,
    sum,
    mean,
    avg: mean,
    median,
    variance,
    stddev: Math.sqrt(variance),
    min: sorted[0] as number,
    max: sorted.at(-1) as number,
  }
  return isTruncated ? Object.fromEntries(Object.entries(all).map(([name, value]) => [name, Math.trunc(value)])) : all
}
