/** Words for messages: what a mistyped word was probably meant to be, lists that stay readable, values as text. */
import { inspect } from 'node:util'

/** The known word that `word` was probably meant to be: a third of its letters may be wrong, two swapped ones count as one. */
export function meantBy(word: string, known: Iterable<string>, editsMax = Math.max(1, Math.floor(word.length / 3))): string | undefined {
  let best: string | undefined
  let edits = editsMax
  for (const one of known) {
    if (Math.abs(one.length - word.length) > edits) continue
    const needed = distance(word.toLowerCase(), one.toLowerCase())
    if (needed > edits || (needed === edits && best !== undefined)) continue
    best = one
    edits = needed
  }
  return best
}

/** The known word that was probably meant, or else all of them: for the remedy of an error. */
export function hintFor(word: string, known: readonly string[]): string {
  const meant = meantBy(word, known)
  return meant === undefined ? `known: ${listed(known)}` : `did you mean ${meant}?`
}

/** `1 worker`, `2 workers` */
export function numbered(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`
}

const namesMax = 30

/** Names in a row; of very many only the first. */
export function listed(names: readonly string[]): string {
  if (names.length === 0) return 'none'
  const rest = names.length - namesMax
  return rest > 0 ? `${names.slice(0, namesMax).join(', ')} and ${rest} more` : names.join(', ')
}

/** What a value is, short: texts in quotes, numbers as they are, the rest by its kind. */
export function shown(value: unknown): string {
  if (typeof value === 'string') return value.length > 100 ? `${JSON.stringify(value.slice(0, 100))}...` : JSON.stringify(value)
  if (Array.isArray(value)) return 'a list'
  if (value instanceof Promise) return 'a promise'
  if (typeof value === 'function') return `a ${/^class\b/.test(Function.prototype.toString.call(value)) ? 'class' : 'function'}`
  if (typeof value === 'object' && value !== null) return 'an object'
  return typeof value === 'bigint' ? `${value}n` : String(value)
}

/** A value on one line, as `console.log` shows it. */
export function onOneLine(value: unknown): string {
  return typeof value === 'string' ? value : inspect(value, { breakLength: Infinity, compact: true, depth: 8 })
}

/** JSON, and what JSON lacks as the nearest it has: a set is a list, a map one of pairs, bytes are base64. */
export function jsonText(value: unknown): string {
  return JSON.stringify(value, (_, item: unknown) => {
    if (typeof item === 'bigint') return String(item)
    if (item instanceof Set) return [...(item as Set<unknown>)]
    if (item instanceof Map) return [...(item as Map<unknown, unknown>)]
    if (item instanceof Uint8Array) return Buffer.from(item).toString('base64')
    return typeof item === 'number' && !Number.isFinite(item) ? String(item) : item
  })
}

/** A value as a line of a text file: objects as JSON, a list (a pair, say) as its fields in a row, the rest as text. */
export function lineOf(value: unknown, separator = '\t'): string {
  if (!Array.isArray(value)) return textOf(value)
  return value.map((field: unknown) => (field === undefined || field === null ? '' : textOf(field))).join(separator)
}

/** What is text in JSON (a date, a decimal of some library) is that text. */
function textOf(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value)
  const text = jsonText(value)
  return text.startsWith('"') ? (JSON.parse(text) as string) : text
}

/** Edits between two words, two swapped letters counting as one. */
function distance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, i) => i)]
  const at = (i: number, j: number): number => rows[i]?.[j] ?? 0
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    rows.push(row)
    for (let j = 1; j <= b.length; j++) {
      row[j] = Math.min(at(i - 1, j) + 1, at(i, j - 1) + 1, at(i - 1, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1))
      if (a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] && i > 1 && j > 1) row[j] = Math.min(at(i, j), at(i - 2, j - 2) + 1)
    }
  }
  return at(a.length, b.length)
}
