/** Joins of two streams within a batch. */
import { DStream } from '../dstream/dstream.ts'
import { partitionerOf } from '../dstream/state-rdd.ts'
import type { Row } from './aggregates.ts'
import { keyRow } from './fields.ts'
import type { Fields } from './fields.ts'
import type { TridentStream } from './stream.ts'

export interface JoinOptions {
  /** whose tuples are there without a partner ('inner': none) */
  readonly type?: 'inner' | 'left' | 'right' | 'full'
  /** the keys once and then the rest of both, or all of both ('compact') */
  readonly output?: 'compact' | 'preserve'
}

type Side = readonly [stream: TridentStream, keys: readonly string[]]

export function joined([a, aKeys]: Side, [b, bKeys]: Side, newFields: readonly string[], options: JoinOptions): [DStream<Row>, Fields] {
  const { type = 'inner', output = 'compact' } = options
  const aKeyOf = a.layout.key('join', aKeys)
  const bKeyOf = b.layout.key('join', bKeys)
  const keys = aKeys.length
  const rowOf = keyRow(keys)
  const rest = ({ fields }: TridentStream, used: readonly string[]): readonly string[] =>
    output === 'preserve' ? fields : fields.filter((field) => !used.includes(field))
  const [aRest, bRest] = [rest(a, aKeys), rest(b, bKeys)]
  const [aSelect, bSelect] = [a.layout.selector('join', aRest), b.layout.selector('join', bRest)]
  const count = aRest.length + bRest.length + (output === 'compact' ? keys : 0)
  if (aKeys.length !== bKeys.length)
    a.layout.fault('join', `${aKeys.length} keys cannot be equal to ${bKeys.length}`, 'name as many key fields on both sides')
  if (newFields.length !== count)
    a.layout.fault(
      'join',
      `its tuples have ${count} values and ${newFields.length} names`,
      `name ${count} fields: the keys, then those of both sides`,
    )
  const [aNone, bNone] = [aRest.map(() => null), bRest.map(() => null)]
  const stream = new DStream<Row>(a.stream.graph, { name: 'join', parents: [a.stream, b.stream] }, (scope) => {
    const left = scope.of(a.stream)?.map((row) => [aKeyOf(row), row] as const)
    const right = scope.of(b.stream)?.map((row) => [bKeyOf(row), row] as const)
    return (
      left &&
      right &&
      left.cogroup(right, partitionerOf(scope)).flatMap(([key, [lefts, rights]]) => {
        const ls = lefts.length === 0 && (type === 'right' || type === 'full') ? [aNone] : lefts.map(aSelect)
        const rs = rights.length === 0 && (type === 'left' || type === 'full') ? [bNone] : rights.map(bSelect)
        const head = output === 'compact' ? rowOf(key) : []
        return ls.flatMap((l) => rs.map((r): Row => [...head, ...l, ...r]))
      })
    )
  })
  return [stream, a.layout.replace('join', newFields)]
}
