/**
 * Storm's StateTest: the value kinds of Trident's states, and maps of them over a store in memory.
 *
 * The operation names what is built (`opaque value {txid:8, curr:"v1", prev:"v0"}`, `transactional map, combiner = sum`); the input is a list of
 * calls of its methods.
 */
import {
  CachedMap,
  MemoryMapState,
  NonTransactionalMap,
  OpaqueMap,
  OpaqueValue,
  SnapshottableMap,
  SquallError,
  TransactionalMap,
} from '../../../lib/index.ts'
import type { BackingMap, MapState, RemovableMapState, ValueUpdater } from '../../../lib/index.ts'
import { all, isRecord, same } from '../vectors.ts'
import type { Adapter, Verdict } from '../vectors.ts'

export const tridentState: Adapter = {
  isFor: ({ suite, file, sources }) => /(^|[\s/])StateTest(\.java|\b)/.test([suite, file, ...sources].join(' ')),
  async run({ operation, params, input, expected }) {
    if (!Array.isArray(input) || !Array.isArray(expected) || expected.length !== input.length || !input.every(Array.isArray))
      return undefined
    const calls = input as readonly (readonly unknown[])[]
    const target = targetOf(operation, params, calls)
    if (target === undefined) return undefined
    const verdicts: Verdict[] = []
    for (const [i, [name, ...args]] of calls.entries()) verdicts.push(await verdictOf(target, String(name), args, expected[i], i))
    return verdicts.includes(undefined) ? undefined : all(verdicts)
  },
}

/** One call; `undefined` when there is no such method. */
type Target = (name: string, args: readonly unknown[]) => { readonly result: unknown } | undefined

/** Calls whose result is nothing: `null` is no expectation of them. */
const isSilent = (name: string): boolean => /^(beginCommit|commit|(multi)?put|(multi)?remove|set)$/i.test(name)

async function verdictOf(target: Target, name: string, args: readonly unknown[], expected: unknown, i: number): Promise<Verdict> {
  const what = `call ${i + 1}, ${name}(${args.map((arg) => JSON.stringify(arg)).join(', ')})`
  const mustThrow = isRecord(expected) && expected['throws'] !== undefined && expected['throws'] !== false
  try {
    const call = target(name, args)
    if (call === undefined) return undefined
    const result = (await call.result) ?? null
    if (mustThrow) return `${what}: no error, but ${JSON.stringify(result)}`
    if (expected === null && isSilent(name)) return true
    if (isRecord(expected) && isRecord(result))
      return all(Object.entries(expected).map(([key, value]) => same(`${what}.${key}`, result[key] ?? null, value)))
    return same(what, result, expected)
  } catch (error) {
    if (error instanceof SquallError && mustThrow) return true
    throw error
  }
}

function targetOf(
  operation: string,
  params: Readonly<Record<string, unknown>>,
  calls: readonly (readonly unknown[])[],
): Target | undefined {
  if (/\bopaque value\b/i.test(operation)) {
    const fields = { ...params, ...fieldsOf(operation) }
    return 'txid' in fields || 'currTxid' in fields ? opaqueValue(fields) : undefined
  }
  const combine = combinerOf(operation, params)
  if (combine === undefined) return undefined
  const isRemoving = calls.some(([name]) => /remove/i.test(String(name)))
  const state = mapOf(operation, isRemoving)
  return state === undefined ? undefined : mapTarget(state, combine)
}

/** `{txid:8, curr:"v1"}` of a text, as a record. */
function fieldsOf(text: string): Record<string, unknown> {
  const [braces] = /\{.*\}/s.exec(text) ?? []
  if (braces === undefined) return {}
  return JSON.parse(braces.replace(/([{,]\s*)(\w+)\s*:/g, '$1"$2":').replaceAll("'", '"')) as Record<string, unknown>
}

function opaqueValue(fields: Readonly<Record<string, unknown>>): Target {
  const value = new OpaqueValue<unknown>((fields['txid'] ?? fields['currTxid']) as number, fields['curr'] ?? null, fields['prev'] ?? null)
  return (name, [txid, next]) => {
    switch (name) {
      case 'get':
        return { result: value.get((txid ?? null) as number | null) }
      case 'getCurr':
      case 'curr':
        return { result: value.curr }
      case 'getPrev':
      case 'prev':
        return { result: value.prev }
      case 'getCurrTxid':
      case 'txid':
        return { result: value.txid }
      case 'update':
        return { result: { ...value.update((txid ?? null) as number | null, next) } }
      default:
        return undefined
    }
  }
}

type Combiner = (a: unknown, b: unknown) => unknown

function combinerOf(operation: string, params: Readonly<Record<string, unknown>>): Combiner | undefined {
  const [, named = params['combiner'] ?? 'sum'] = /combiner\s*[=:]\s*([\w/ ]+)/i.exec(operation) ?? []
  if (/sum|count|add/i.test(String(named)))
    return (a, b) => (typeof a === 'number' && typeof b === 'number' ? a + b : String(a) + String(b))
  if (/max/i.test(String(named))) return (a, b) => Math.max(Number(a), Number(b))
  if (/min/i.test(String(named))) return (a, b) => Math.min(Number(a), Number(b))
  if (/replace|last/i.test(String(named))) return (_, b) => b
  return undefined
}

function mapOf(operation: string, isRemoving: boolean): MapState<unknown, unknown> | undefined {
  if (/memory/i.test(operation) || isRemoving) return new MemoryMapState()
  if (/non-?\s?transactional/i.test(operation)) return new NonTransactionalMap(backing(operation))
  if (/transactional/i.test(operation)) return new TransactionalMap(backing(operation))
  return /opaque/i.test(operation) ? new OpaqueMap(backing(operation)) : undefined
}

function backing<V>(operation: string): BackingMap<unknown, V> {
  const values = new Map<string, V>()
  const map: BackingMap<unknown, V> = {
    multiGet: (keys) => keys.map((key) => values.get(JSON.stringify(key))),
    multiPut: (keys, some) => keys.forEach((key, i) => values.set(JSON.stringify(key), some[i] as V)),
  }
  return /cached map|lru/i.test(operation) ? new CachedMap(map, 2) : map
}

function mapTarget(state: MapState<unknown, unknown>, combine: Combiner): Target {
  const one = new SnapshottableMap(state, 'the one value')
  const updater =
    (value: unknown): ValueUpdater<unknown> =>
    (stored) =>
      stored === null ? value : combine(stored, value)
  const first = async (values: Promise<readonly unknown[]>): Promise<unknown> => (await values)[0]
  const many = (keys: unknown): readonly unknown[] => keys as readonly unknown[]
  return (name, args) => {
    const [key, value] = args
    switch (name) {
      case 'beginCommit':
        return { result: state.beginCommit((key ?? null) as number | null) }
      case 'commit':
        return { result: state.commit((key ?? null) as number | null) }
      case 'get':
        return { result: args.length === 0 ? one.get() : first(Promise.resolve(state.multiGet([key]))) }
      case 'update':
        return { result: args.length === 1 ? one.update(updater(key)) : first(Promise.resolve(state.multiUpdate([key], [updater(value)]))) }
      case 'put':
        return { result: state.multiPut([key], [value]) }
      case 'set':
        return { result: args.length === 1 ? one.set(key) : state.multiPut([key], [value]) }
      case 'remove':
        return { result: (state as RemovableMapState<unknown, unknown>).multiRemove([key]) }
      case 'multiGet':
        return { result: state.multiGet(many(key)) }
      case 'multiPut':
        return { result: state.multiPut(many(key), many(value)) }
      case 'multiUpdate':
        return { result: state.multiUpdate(many(key), many(value).map(updater)) }
      case 'multiRemove':
        return { result: (state as RemovableMapState<unknown, unknown>).multiRemove(many(key)) }
      default:
        return undefined
    }
  }
}
