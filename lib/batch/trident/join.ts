/** Streams together, within a batch: joins, and reductions of one's own over several streams. */
import { DStream } from '../dstream/dstream.ts'
import { partitionerOf } from '../dstream/state-rdd.ts'
import { SquallError } from '../../errors.ts'
import type { RDD } from '../rdd/rdd.ts'
import type { Scope } from '../dstream/scope.ts'
import { collector } from './aggregates.ts'
import type { Emit, Row } from './aggregates.ts'
import type { GroupedTridentStream } from './grouped.ts'
import { keyRow } from './fields.ts'
import type { Fields } from './fields.ts'
import { perTask } from './routes.ts'
import type { TridentStream } from './stream.ts'
import type { TupleView } from './tuple-view.ts'

export interface JoinOptions {
  /** whose tuples are there without a partner ('inner': none) */
  readonly type?: 'inner' | 'left' | 'right' | 'full'
  /** the keys once and then the rest of both, or all of both ('compact') */
  readonly output?: 'compact' | 'preserve'
}

/** One of the streams of a join. */
export interface JoinSide {
  readonly stream: TridentStream
  readonly keys: readonly string[]
  /** the others' tuples are there also when this one has none for their key (false) */
  readonly isOptional?: boolean
}

/**
 * Tuples of several streams whose keys are equal, each with each, within a batch. The result has the keys once, then the other fields of
 * all (`output: 'preserve'`: all fields of all); `null` stands for what an optional side does not have.
 *
 * ```ts
 * tridentJoin([{ stream: orders, keys: ['id'] }, { stream: paid, keys: ['order'] }, { stream: notes, keys: ['of'], isOptional: true }],
 *   ['id', 'amount', 'paid', 'note'])
 * ```
 */
export function tridentJoin<N extends string>(
  sides: readonly [JoinSide, JoinSide, ...JoinSide[]],
  newFields: readonly N[],
  { output }: Pick<JoinOptions, 'output'> = {},
): TridentStream<N> {
  return sides[0].stream.derived<N>(...joined(sides, newFields, output))
}

/** Two streams: which of them is optional. */
export function sidesOf(a: JoinSide, b: JoinSide, type: JoinOptions['type'] = 'inner'): [JoinSide, JoinSide] {
  return [
    { ...a, isOptional: type === 'right' || type === 'full' },
    { ...b, isOptional: type === 'left' || type === 'full' },
  ]
}

export function joined(
  sides: readonly [JoinSide, ...JoinSide[]],
  newFields: readonly string[],
  output: JoinOptions['output'] = 'compact',
): [DStream<Row>, Fields] {
  const [{ stream: first, keys }] = sides
  const selected = sides.map(({ stream, keys: used, isOptional = false }) => {
    const fields: readonly string[] = output === 'preserve' ? stream.fields : stream.fields.filter((field) => !used.includes(field))
    return { width: fields.length, select: stream.layout.selector('join', fields), isOptional }
  })
  const count = selected.reduce((sum, { width }) => sum + width, output === 'compact' ? keys.length : 0)
  for (const { keys: others } of sides)
    if (others.length !== keys.length)
      first.layout.fault('join', `${keys.length} keys cannot be equal to ${others.length}`, 'name as many key fields on all sides')
  if (newFields.length !== count)
    first.layout.fault(
      'join',
      `its tuples have ${count} values and ${newFields.length} names`,
      `name ${count} fields: the keys, then those of all sides`,
    )
  const headOf = output === 'compact' ? keyRow(keys.length) : (): Row => []
  const made = byKey('join', sides, (key, rows) => {
    const parts = selected.map(({ width, select, isOptional }, i): readonly Row[] => {
      const own = rows[i] as readonly Row[]
      return own.length === 0 && isOptional ? [new Array<null>(width).fill(null)] : own.map(select)
    })
    return parts.reduce<readonly Row[]>((all, part) => all.flatMap((left) => part.map((right) => [...left, ...right])), [headOf(key)])
  })
  return [made, first.layout.replace('join', newFields)]
}

/** What is made of the tuples of several streams. `reduce` returns the state to go on with. */
export interface MultiReducer<S = unknown> {
  /** `group`: of groups, the values of their fields; otherwise empty */
  init(emit: Emit, group: Row): S
  /** A tuple of the stream at `index` in the list. */
  reduce(state: S, index: number, tuple: TupleView, emit: Emit): S
  complete(state: S, emit: Emit): void
}

/**
 * Reduces the tuples of several streams together, within a batch: what each task has of them, or each group of them; of groups the result
 * has their fields, and the new ones. A state sees the tuples of the first stream, then those of the second, and so on.
 *
 * ```ts
 * multiReduce([clicks.groupBy(['user']), views.groupBy(['user'])], rates, ['rate'])
 * ```
 */
export function multiReduce<S, N extends string>(
  streams: readonly TridentStream[],
  reducer: MultiReducer<S>,
  newFields: readonly N[],
): TridentStream<N>
export function multiReduce<S, G extends string, N extends string>(
  streams: readonly GroupedTridentStream<string, G>[],
  reducer: MultiReducer<S>,
  newFields: readonly N[],
): TridentStream<G | N>
export function multiReduce<S>(
  streams: readonly TridentStream[] | readonly GroupedTridentStream<string, string>[],
  reducer: MultiReducer<S>,
  newFields: readonly string[],
): TridentStream {
  const sides = streams.map((of): JoinSide =>
    'groupFields' in of ? { stream: of.source, keys: of.groupFields } : { stream: of, keys: [] },
  )
  const [side, ...others] = sides
  if (side === undefined)
    throw new SquallError('trident-operator', { operator: 'multiReduce', problem: 'there are no streams', hint: 'name one or more' })
  const { stream: first, keys } = side
  if (others.some(({ keys: theirs }) => theirs.length !== keys.length))
    first.layout.fault('multiReduce', 'the groups have different numbers of fields', 'group all streams by as many fields')
  const views = sides.map(({ stream }) => stream.layout.view('multiReduce', stream.fields))
  const run = (group: Row, rows: readonly (readonly Row[])[]): Row[] => {
    const results: Row[] = []
    const emit = collector(newFields, (values) => results.push([...group, ...values]))
    let state = reducer.init(emit, group)
    for (const [i, own] of rows.entries())
      for (const row of own) state = reducer.reduce(state, i, (views[i] as (row: Row) => TupleView)(row), emit)
    reducer.complete(state, emit)
    return results
  }
  const rowOf = keyRow(keys.length)
  const made =
    keys.length > 0
      ? byKey('multiReduce', [side, ...others], (key, rows) => run(rowOf(key), rows))
      : together('multiReduce', [side, ...others], (all) =>
          perTask(all, 'multiReduce').mapPartitions((rows) => run([], divided(rows, sides.length))),
        )
  return first.derived(made, first.layout.replace('multiReduce', [...keys, ...newFields]))
}

/** A row, and which stream it is of. */
type Of = readonly [index: number, row: Row]

/** What `f` makes of the rows of several streams with each key. */
function byKey(
  name: string,
  sides: readonly [JoinSide, ...JoinSide[]],
  f: (key: unknown, rows: readonly (readonly Row[])[]) => readonly Row[],
): DStream<Row> {
  const keyOfs = sides.map(({ stream, keys }) => stream.layout.key(name, keys))
  return together(name, sides, (all, scope) =>
    all
      .map((of) => [keyOfs[of[0]]?.(of[1]), of] as const)
      .groupByKey(partitionerOf(scope))
      .flatMap(([key, rows]) => f(key, divided(rows, sides.length))),
  )
}

/** Streams as one, of rows that say which of them they are of. */
function together(name: string, sides: readonly [JoinSide, ...JoinSide[]], f: (all: RDD<Of>, scope: Scope) => RDD<Row>): DStream<Row> {
  const parents = sides.map(({ stream }) => stream.stream)
  return new DStream<Row>(sides[0].stream.stream.graph, { name, parents }, (scope) => {
    const all = parents.flatMap((parent, index) => scope.of(parent)?.map((row): Of => [index, row]) ?? [])
    return all.length < parents.length ? undefined : f(scope.sc.union(all), scope)
  })
}

function divided(rows: readonly Of[], streams: number): readonly (readonly Row[])[] {
  const all = Array.from({ length: streams }, (): Row[] => [])
  for (const [index, row] of rows) all[index]?.push(row)
  return all
}
