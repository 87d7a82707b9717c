/** Rows of cases: times as texts, columns by name, order. */
import { same } from './vectors.ts'
import type { Verdict } from './vectors.ts'

/** The milliseconds of `2016-03-27 19:39:30.25`, taken as UTC. */
export function timeOf(text: unknown): number | null {
  if (typeof text !== 'string') return null
  const [, whole, fraction = ''] = /^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(\.\d+)?$/.exec(text) ?? []
  return whole === undefined ? null : Date.parse(`${whole.replace(' ', 'T')}Z`) + Number(`0${fraction}`) * 1000
}

/** The text of a time, with microseconds and without trailing zeros. */
export function textOf(ms: number): string {
  const seconds = Math.floor(ms / 1000)
  const micros = Math.round((ms - seconds * 1000) * 1000)
  const fraction = micros === 0 ? '' : `.${String(micros).padStart(6, '0').replace(/0+$/, '')}`
  return new Date(seconds * 1000).toISOString().slice(0, 19).replace('T', ' ') + fraction
}

/** Rows in their order, or in any. */
export function sameRows(what: string, got: readonly unknown[], expected: readonly unknown[], isOrdered: boolean): Verdict {
  const sorted = (rows: readonly unknown[]): unknown[] => [...rows].sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
  return isOrdered ? same(what, got, expected) : same(what, sorted(got), sorted(expected))
}
