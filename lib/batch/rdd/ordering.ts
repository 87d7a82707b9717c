/** The natural order of values, for what sorts without being told how. */
import { SquallError } from '../../errors.ts'

/** Below 0 when `a` comes first, above 0 when `b` does. */
export type Compare<T> = (a: T, b: T) => number

/**
 * Numbers by value (NaN last), strings by code units, booleans false first, bigints, dates; arrays item by item. Null and
 * undefined come before everything. What has no order is the error `no-order`.
 */
export function natural(a: unknown, b: unknown): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b || (a === b ? 0 : Number(a !== a) - Number(b !== b) || (a < b ? -1 : 1))
  if (typeof a === 'string' && typeof b === 'string') return a < b ? -1 : a > b ? 1 : 0
  if (a === b) return 0
  const [emptyA, emptyB] = [a === null || a === undefined, b === null || b === undefined]
  if (emptyA || emptyB) return Number(emptyB) - Number(emptyA)
  if (Array.isArray(a) && Array.isArray(b)) return naturalArrays(a, b)
  if (a instanceof Date && b instanceof Date) return natural(a.getTime(), b.getTime())
  if (isScalar(a) && isScalar(b) && (typeof a === typeof b || (typeof a !== 'boolean' && typeof b !== 'boolean')))
    return a < b ? -1 : a > b ? 1 : 0
  throw new SquallError('no-order', { a: kindOf(a), b: kindOf(b) })
}

function naturalArrays(a: readonly unknown[], b: readonly unknown[]): number {
  for (let i = 0; i < a.length && i < b.length; i++) {
    const order = natural(a[i], b[i])
    if (order !== 0) return order
  }
  return a.length - b.length
}

/** Numbers and bigints compare with each other. */
function isScalar(value: unknown): value is number | bigint | boolean {
  return typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean'
}

function kindOf(value: unknown): string {
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'an array' : `a ${value.constructor.name}`
  return `a ${typeof value}`
}
