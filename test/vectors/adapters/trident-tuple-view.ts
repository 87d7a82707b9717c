/** Storm's TridentTupleViewTest: layouts are appended to and projected, and tuples follow them. */
import { TupleLayout } from '../../../lib/index.ts'
import type { TupleView } from '../../../lib/index.ts'
import { all, isRecord, same } from '../vectors.ts'
import type { Adapter, Verdict } from '../vectors.ts'

export const tridentTupleView: Adapter = {
  isFor: ({ suite, file, sources }) => /\bTridentTupleViewTest\b/.test([suite, file, ...sources].join(' ')),
  run({ operation, params, input, expected }) {
    const { fields } = params
    if (!Array.isArray(fields) || !Array.isArray(input)) return undefined
    const steps = stepsOf(operation)
    if (steps.length === 0 && !/create|fresh|tuple/i.test(operation)) return undefined
    const root = TupleLayout.of(fields.map(String))
    const lists = (Array.isArray(input[0]) ? input : [input]) as readonly (readonly unknown[] | null)[]
    const isOneTuple = steps.some(({ kind }) => kind === 'append') || lists.length === 1 || lists.includes(null)
    // several lists and nothing to append: as many tuples
    if (!isOneTuple)
      return several(
        lists.map((list) => viewsOf(root, steps, [list])?.at(-1)),
        expected,
      )
    const views = viewsOf(root, steps, lists)
    return views === undefined ? undefined : one(views, expected)
  },
}

interface Step {
  readonly kind: 'append' | 'project'
  readonly fields: readonly string[]
}

/** `append d, append (e,f), project (a,f,b)`, `append (d,e) then (f)`: a step without a word is one like that before it. */
function stepsOf(operation: string): readonly Step[] {
  const steps: Step[] = []
  const name = String.raw`(?!append|project|then\b|and\b)\w+`
  const list = String.raw`[([]([^)\]]*)[)\]]`
  const step = new RegExp(
    String.raw`\b(append|project)\w*\s*(?:to\s+)?(?:${list}|(${name}(?:\s*,\s*${name})*))|\b(?:then|and)\s+${list}`,
    'gi',
  )
  for (const [, word, listed, bare, more] of operation.matchAll(step)) {
    const kind = (word?.toLowerCase() ?? steps.at(-1)?.kind) as Step['kind'] | undefined
    const names = (listed ?? bare ?? more ?? '').split(/[\s,]+/).filter((name) => name !== '')
    if (kind !== undefined && names.length > 0) steps.push({ kind, fields: names })
  }
  return steps
}

/** The tuple at the start and after each step; a projection takes no values, but may have a `null` in their list. */
function viewsOf(
  root: TupleLayout,
  steps: readonly Step[],
  lists: readonly (readonly unknown[] | null)[],
): readonly TupleView[] | undefined {
  const [first, ...others] = lists
  if (first === null || first === undefined) return undefined
  const views = [root.create(first)]
  for (const { kind, fields } of steps) {
    const before = views.at(-1) as TupleView
    if (kind === 'project') {
      if (others[0] === null) others.shift()
      views.push(before.layout.project(fields).view(before))
    } else {
      const values = others.shift()
      if (values === null || values === undefined) return undefined
      views.push(before.layout.append(fields).extend(before, values))
    }
  }
  return others.length === 0 ? views : undefined
}

/** `expected`: of the last tuple what it holds, its values, or the values after each step. */
function one(views: readonly TupleView[], expected: unknown): Verdict {
  const last = views.at(-1) as TupleView
  if (isRecord(expected)) return all(Object.entries(expected).map(([what, value]) => read(what, last, views, value)))
  if (!Array.isArray(expected)) return undefined
  if (!expected.some(Array.isArray)) return same('values', last.values(), expected)
  return same(
    'values after each step',
    views.slice(-expected.length).map((view) => view.values()),
    expected,
  )
}

function several(views: readonly (TupleView | undefined)[], expected: unknown): Verdict {
  const tuples = views.filter((view): view is TupleView => view !== undefined)
  if (tuples.length !== views.length) return undefined
  if (Array.isArray(expected)) {
    if (expected.length !== tuples.length) return `${tuples.length} tuples, expected ${expected.length}`
    return all(tuples.map((view, i) => one([view], expected[i] as unknown)))
  }
  if (!isRecord(expected)) return undefined
  return all(
    Object.entries(expected).map(([what, value]) =>
      all(tuples.map((view, i) => read(what, view, [view], ofTuple(value, i, tuples.length)))),
    ),
  )
}

/** Of a list of what each tuple has, or of such lists by field, what one has. */
function ofTuple(value: unknown, i: number, count: number): unknown {
  if (Array.isArray(value) && value.length === count) return value[i]
  if (isRecord(value)) return Object.fromEntries(Object.entries(value).map(([field, values]) => [field, ofTuple(values, i, count)]))
  return value
}

function read(what: string, view: TupleView, views: readonly TupleView[], value: unknown): Verdict {
  // `contains(a)`: of one argument
  const [, method, argument] = /^(\w+)\s*\((.*)\)$/.exec(what) ?? []
  if (method !== undefined) return read(method, view, views, { [(argument as string).replace(/["'\s()[\]]/g, '')]: value })
  switch (what) {
    case 'values':
      return Array.isArray(value) && value.some(Array.isArray) && views.length > 1 ? one(views, value) : same(what, view.values(), value)
    case 'byField':
      return isRecord(value)
        ? all(Object.entries(value).map(([field, wanted]) => same(`the field ${field}`, view.has(field) ? view.get(field) : null, wanted)))
        : undefined
    case 'select':
      return isRecord(value)
        ? all(
            Object.entries(value).map(([list, wanted]) =>
              same(`select ${list}`, view.select(list.split(/[\s,]+/).filter((name) => name !== '')), wanted),
            ),
          )
        : undefined
    case 'getValueByField':
    case 'valueByField':
      return read('byField', view, views, value)
    case 'fields':
      return same(what, view.fields, value)
    case 'size':
    case 'length':
      return same(what, view.length, value)
    case 'contains':
      return isRecord(value)
        ? all(Object.entries(value).map(([field, wanted]) => same(`has ${field}`, view.has(field), wanted)))
        : undefined
    case 'fieldIndex':
    case 'indexOf':
      return isRecord(value)
        ? all(Object.entries(value).map(([field, wanted]) => same(`place of ${field}`, view.layout.indexOf(field), wanted)))
        : undefined
    case 'byIndex':
      return isRecord(value) ? all(Object.entries(value).map(([i, wanted]) => same(`place ${i}`, view.at(Number(i)), wanted))) : undefined
    default:
      return undefined
  }
}
