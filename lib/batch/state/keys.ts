/**
 * Keys of a state by content, and the key groups they fall into.
 *
 * A key may be null, a boolean, a number (-0 is 0), a bigint, a string, a date, bytes, or an array or plain object of these (the order of
 * an object's keys does not count). In memory a key is a value that a `Map` compares by content: scalars are themselves, the others a
 * text that begins with NUL and can be turned back. A string that begins with NUL is such a text itself.
 *
 * Budget: a string key costs a look at its first character.
 */
import { SquallError } from '../../errors.ts'
import { floorMod, hashValue } from '../../std/hash.ts'

/** A key as a `Map` and a file hold it. */
export type MapKey = string | number | bigint | boolean | null

/** The number of key groups unless said otherwise; fixed for the life of a state. */
export const keyGroupsDefault = 128

export function mapKeyOf(key: unknown): MapKey {
  switch (typeof key) {
    case 'string':
      return key.charCodeAt(0) === 0 ? escaped(key) : key
    case 'number':
    case 'bigint':
    case 'boolean':
      return key
    default:
      return key === null ? null : `\0c${JSON.stringify(plainOf(key))}`
  }
}

export function keyOf(key: MapKey): unknown {
  if (typeof key !== 'string' || key.charCodeAt(0) !== 0) return key
  return valueOf(JSON.parse(key.slice(2)))
}

/** The form of a key that UTF-8 can hold: a lone surrogate is escaped. */
export function writtenKey(key: MapKey): MapKey {
  return typeof key === 'string' && !key.isWellFormed() ? escaped(key) : key
}

/** Undoes `writtenKey`. */
export function readKey(key: MapKey): MapKey {
  return typeof key === 'string' && key.startsWith('\0s') ? mapKeyOf(JSON.parse(key.slice(2))) : key
}

/** The key group of a key, the same in every process. */
export function keyGroupOf(key: unknown, keyGroups: number): number {
  return floorMod(hashValue(key), keyGroups)
}

/** The task, of so many, that a key group belongs to. */
export function taskOfKeyGroup(keyGroup: number, keyGroups: number, tasks: number): number {
  return Math.floor((keyGroup * tasks) / keyGroups)
}

/** The key groups of a task, from `first` up to but without `end`. */
export function keyGroupsOfTask(task: number, keyGroups: number, tasks: number): { readonly first: number; readonly end: number } {
  return { first: Math.ceil((task * keyGroups) / tasks), end: Math.ceil(((task + 1) * keyGroups) / tasks) }
}

function escaped(key: string): string {
  return `\0s${JSON.stringify(key)}`
}

/** As JSON: what JSON knows is itself, anything else an object with one field that names its kind. */
function plainOf(value: unknown): unknown {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value
    case 'number':
      return Number.isFinite(value) ? value : { f: String(value) }
    case 'bigint':
      return { i: String(value) }
    case 'undefined':
      return { u: 0 }
    case 'object':
      return value === null ? null : plainObject(value)
    default:
      throw new SquallError('state-key', { what: `a ${typeof value}` })
  }
}

function plainObject(value: object): unknown {
  if (Array.isArray(value)) return value.map(plainOf)
  if (value instanceof Date) return { d: value.getTime() }
  if (value instanceof Uint8Array) return { b: Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64') }
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null)
    throw new SquallError('state-key', { what: `an instance of ${value.constructor.name}` })
  const fields = Object.entries(value).filter(([, item]) => item !== undefined) // absent and undefined are the same, as in hashValue
  fields.sort(([a], [b]) => (a < b ? -1 : 1))
  return { o: fields.map(([name, item]) => [name, plainOf(item)]) }
}

function valueOf(plain: unknown): unknown {
  if (typeof plain !== 'object' || plain === null) return plain
  if (Array.isArray(plain)) return plain.map(valueOf)
  const [[kind, value]] = Object.entries(plain) as [[string, unknown]]
  switch (kind) {
    case 'f':
      return Number(value)
    case 'i':
      return BigInt(value as string)
    case 'u':
      return undefined
    case 'd':
      return new Date((value as number | null) ?? NaN) // JSON has null for NaN
    case 'b':
      return new Uint8Array(Buffer.from(value as string, 'base64'))
    default:
      return Object.fromEntries((value as [string, unknown][]).map(([name, item]) => [name, valueOf(item)]))
  }
}
