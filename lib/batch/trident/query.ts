/** Questions to a state about the tuples of a batch. */
import { SquallError } from '../../errors.ts'
import { DStream } from '../dstream/dstream.ts'
import { collector } from './aggregates.ts'
import type { Emit, Row } from './aggregates.ts'
import type { Fields } from './fields.ts'
import { inTask, oneKey } from './persist.ts'
import type { StateHandle } from './persist.ts'
import { byKeyOf } from './routes.ts'
import type { Awaitable } from './state/state.ts'
import type { TridentStream } from './stream.ts'
import type { TupleView } from './tuple-view.ts'

/** What is asked of a state: for all tuples of a batch in one trip, then for each tuple with its result. */
export interface QueryFunction<S = unknown, R = unknown> {
  /** it asks by key: the values of the input fields are the key, and tuples are sent to where it lies */
  readonly isByKey?: boolean
  batchRetrieve(state: S, tuples: readonly TupleView[]): Awaitable<readonly R[]>
  execute(tuple: TupleView, result: R, emit: Emit): void
}

export function asked<S, R>(
  { layout: input, stream }: TridentStream,
  from: StateHandle<S>,
  fields: readonly string[],
  query: QueryFunction<S, R>,
  newFields: readonly string[],
): [DStream<Row>, Fields] {
  const view = input.view('stateQuery', fields)
  const keyOf = input.key('stateQuery', fields)
  const parents = from.updates === undefined ? [stream] : [stream, from.updates]
  const isRouted = from.kind === 'one' || (from.kind === 'map' && query.isByKey === true)
  const made = new DStream<Row>(stream.graph, { name: 'stateQuery', parents, isStateful: true }, (scope) => {
    const rdd = scope.of(stream)
    const updated = from.updates && scope.of(from.updates)
    if (rdd === undefined) return undefined
    const placed = isRouted ? byKeyOf(rdd, 'stateQuery', from.kind === 'one' ? () => oneKey : keyOf) : rdd
    const work = async (rows: readonly Row[]): Promise<Row[]> => {
      const tuples = rows.map(view)
      const results = tuples.length === 0 ? [] : await retrieved(query, await from.open(scope), tuples)
      const found: Row[] = []
      for (const [i, row] of rows.entries()) {
        const emit = collector(newFields, (values) => found.push([...row, ...values]))
        query.execute(tuples[i] as TupleView, results[i] as R, emit)
      }
      return found
    }
    return inTask(placed, 'stateQuery', work, updated === undefined ? [] : [updated.node])
  })
  return [made, input.append('stateQuery', newFields)]
}

/** A result for each tuple, or else the query is at fault. */
async function retrieved<S, R>(query: QueryFunction<S, R>, of: S, tuples: readonly TupleView[]): Promise<readonly R[]> {
  const results = await query.batchRetrieve(of, tuples)
  if (results.length !== tuples.length)
    throw new SquallError('trident-operator', {
      operator: 'stateQuery',
      problem: `batchRetrieve gave ${results.length} results for ${tuples.length} tuples`,
      hint: 'return a result for each tuple, in their order; null where there is none',
    })
  return results
}
