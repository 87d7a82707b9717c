/** The functions of operators with state, as the suites put them in words. */
import type { KeyState } from '../../../../lib/index.ts'
import { Unknown } from '../../vectors.ts'

type Update = (values: readonly unknown[], state: unknown, key: unknown, timeMs: number) => unknown

interface Lifecycle {
  readonly counter: number
  readonly idle: number
}

/** What `updateStateByKey` does, and how a state is shown where it is more than a value. */
export function updateOf(said: string): { readonly f: Update; readonly shown?: (state: unknown) => unknown } {
  // what the parameters are called says nothing
  const text = said.replace(/^\([^)]*\)\s*(?:->|=>)\s*/, '')
  if (/expire|life ?cycle|idle|twice|boot|drop|remov|in a row|consecutive|\bobject\b/i.test(text)) {
    const inWords = text
      .replace(/\btwo\b/g, '2')
      .replace(/\bthree\b/g, '3')
      .replace(/\bone\b/g, '1')
    const times = Number(/(?:after|==?|for) (\d+)|(\d+) (?:idle|empty|consecutive|batches)/.exec(inWords)?.slice(1).find(Boolean) ?? 2)
    const f: Update = (values, state) => {
      const { counter, idle } = (state as Lifecycle | undefined) ?? { counter: 0, idle: 0 }
      const sum = sumOf(values)
      const next: Lifecycle = sum === 0 ? { counter, idle: idle + 1 } : { counter: counter + sum, idle: 0 }
      return next.idle >= times ? undefined : next
    }
    return { f, shown: (state) => (state as Lifecycle).counter }
  }
  if (/\btime(stamp|Ms|\.milliseconds)?s?\b/i.test(text)) {
    const isSum = /\bstate\b|\badd|\bsum\b|\baccumulat|\+/i.test(text)
    if (!isSum) return { f: (_values, _state, _key, timeMs) => timeMs }
    // the time counts only for keys that have values in the batch
    return { f: (values, state, _key, timeMs) => ((state as number | undefined) ?? 0) + (values.length > 0 ? timeMs : 0) }
  }
  return { f: (values, state) => ((state as number | undefined) ?? 0) + sumOf(values) }
}

function sumOf(values: readonly unknown[]): number {
  return values.reduce<number>((sum, value) => sum + (value as number), 0)
}

type Mapping = (key: unknown, value: unknown, state: KeyState<unknown>, timeMs: number) => unknown

/** What `mapWithState` does: `update running sum; return key+key`, `if value defined state.update(1); return state.isTimingOut ? key : none`. */
export function mappingOf(text: string): Mapping {
  const body = text.replace(/^\([^)]*\)\s*(?:->|=>)\s*/, '')
  const removes = /\bexists\b[^;]*\bremove/i.test(body)
  const [, fixed] = /update\((\d+)\)/.exec(body) ?? []
  const sums = /sum|count/i.test(body)
  const updates = fixed !== undefined || sums || /update/i.test(body)
  const result = resultOf(body)
  return (key, value, state) => {
    const before = { existed: state.exists, isTimingOut: state.isTimingOut }
    if (!state.isTimingOut) {
      if (removes && state.exists) state.remove()
      else if (fixed !== undefined) {
        if (value !== undefined) state.update(Number(fixed))
      } else if (sums && !removes) state.update(((state.getOption() as number | undefined) ?? 0) + ((value as number | undefined) ?? 0))
      else if (updates || removes) state.update(value)
    }
    return result(key, value, state, before)
  }
}

type Result = (
  key: unknown,
  value: unknown,
  state: KeyState<unknown>,
  before: { readonly existed: boolean; readonly isTimingOut: boolean },
) => unknown

function resultOf(body: string): Result {
  const returned = [...body.matchAll(/return(?:s|ing)? ((?:(?!\breturn)[^;}])+)/gi)].map(([, what = '']) => what.trim())
  const last = returned.at(-1)
  if (last === undefined) return () => undefined
  const [, condition, yes = '', no = ''] = /^(.+?) \? (.+?) : (.+)$/.exec(last) ?? []
  if (condition !== undefined) {
    const [a, b] = [simple(yes), simple(no)]
    return (key, value, state, before) =>
      (/timingout/i.test(condition) ? before.isTimingOut : before.existed) ? a(key, value, state, before) : b(key, value, state, before)
  }
  // `if state exists remove it and return key; else update, return none`
  if (/exists/i.test(body) && returned.length > 1) {
    const [a, b] = [simple((returned[0] as string).replace(/\s*(,|\)|else|otherwise).*$/i, '')), simple(last)]
    return (key, value, state, before) => (before.existed ? a : b)(key, value, state, before)
  }
  if (/exists/i.test(body) && /remove/i.test(body)) {
    const a = simple(last.replace(/\s*(,|else|otherwise).*$/i, ''))
    return (key, value, state, before) => (before.existed ? a(key, value, state, before) : undefined)
  }
  return simple(last)
}

function simple(text: string): Result {
  const [, pairKey, pairValue] = /^[[(](\w+), ?(.+?)[\])]$/.exec(text) ?? []
  if (pairKey !== undefined && pairValue !== undefined) {
    const [a, b] = [simple(pairKey), simple(pairValue)]
    return (...args) => [a(...args), b(...args)]
  }
  const [, first, second] = /^(?:the )?pair (?:of )?(\w+) and (.+)$/.exec(text) ?? []
  if (first !== undefined && second !== undefined) return simple(`[${first}, ${second}]`)
  if (/^(none|nothing|null|undefined|None)\b/i.test(text)) return () => undefined
  if (/^key ?\+ ?key$/.test(text)) return (key) => `${String(key)}${String(key)}`
  if (/^key\b/.test(text)) return (key) => key
  if (/^(value)\b/.test(text)) return (_, value) => value
  if (/^it\b|^(the )?(new |updated |running )?(sum|count|total|state(\.get(\(\))?)?)\b/i.test(text))
    return (_key, _value, state) => state.getOption()
  throw new Unknown(text)
}
