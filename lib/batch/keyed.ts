/**
 * Keys by content. A JavaScript `Map` compares arrays and objects by identity; keys here are equal when their content is,
 * as they are after a trip to another executor.
 *
 * Keys may be null, undefined, booleans, numbers (-0 is 0, NaN is NaN), bigints, strings, dates, bytes, and arrays and plain
 * objects of these (the order of an object's keys does not count). Anything else is the error `bad-key`: a function or an
 * instance of a class has no content to go by.
 *
 * Budget: a plain key is itself the key of a `Map`, one look-up, no allocation; a composite key costs its canonical text.
 */
import { SquallError } from '../errors.ts'

/** The place of one key; the value is changed in place, which saves the second look-up of an update. */
export interface Cell<K, V> {
  readonly key: K
  value: V
}

export class KeyMap<K, V> {
  readonly #plain = new Map<unknown, Cell<K, V>>()
  #composite: Map<string, Cell<K, V>> | undefined

  get size(): number {
    return this.#plain.size + (this.#composite?.size ?? 0)
  }

  find(key: K): Cell<K, V> | undefined {
    return isPlain(key) ? this.#plain.get(key) : this.#composite?.get(canonical(key))
  }

  get(key: K): V | undefined {
    return this.find(key)?.value
  }

  has(key: K): boolean {
    return this.find(key) !== undefined
  }

  set(key: K, value: V): void {
    const cell = this.find(key)
    if (cell === undefined) this.add(key, value)
    else cell.value = value
  }

  /** Adds a key that is known to be absent. */
  add(key: K, value: V): Cell<K, V> {
    const cell: Cell<K, V> = { key, value }
    this.addCell(cell)
    return cell
  }

  /** Adds the cell of another map; its key is known to be absent. */
  addCell(cell: Cell<K, V>): void {
    if (isPlain(cell.key)) this.#plain.set(cell.key, cell)
    else (this.#composite ??= new Map()).set(canonical(cell.key), cell)
  }

  delete(key: K): boolean {
    return isPlain(key) ? this.#plain.delete(key) : (this.#composite?.delete(canonical(key)) ?? false)
  }

  /** Plain keys in the order they came, then the composite ones. */
  *cells(): IterableIterator<Cell<K, V>> {
    yield* this.#plain.values()
    if (this.#composite !== undefined) yield* this.#composite.values()
  }

  forEach(visit: (cell: Cell<K, V>) => void): void {
    this.#plain.forEach(visit)
    this.#composite?.forEach(visit)
  }
}

/** Whether two keys are the same one. */
export function isSameKey(a: unknown, b: unknown): boolean {
  if (isPlain(a) || isPlain(b)) return a === b || (a !== a && b !== b)
  return canonical(a) === canonical(b)
}

function isPlain(key: unknown): boolean {
  const type = typeof key
  return type === 'string' || type === 'number' || !((type === 'object' && key !== null) || type === 'function' || type === 'symbol')
}

/** A text that two composite keys share exactly when they are equal. */
export function canonical(key: unknown): string {
  switch (typeof key) {
    case 'string':
      return `${key.length}'${key}`
    case 'number':
      return `n${key === 0 ? 0 : key}`
    case 'bigint':
      return `i${key}`
    case 'boolean':
      return key ? 't' : 'f'
    case 'undefined':
      return 'u'
    case 'object':
      return key === null ? '0' : canonicalObject(key)
    default:
      throw new SquallError('bad-key', { what: `a ${typeof key}` })
  }
}

function canonicalObject(key: object): string {
  if (Array.isArray(key)) return `[${key.map(canonical).join(',')}]`
  if (key instanceof Date) return `d${key.getTime()}`
  if (key instanceof Uint8Array) return `b${Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('base64')}`
  const prototype: unknown = Object.getPrototypeOf(key)
  if (prototype !== Object.prototype && prototype !== null)
    throw new SquallError('bad-key', { what: `an instance of ${key.constructor.name}` })
  const fields = Object.entries(key).filter(([, value]) => value !== undefined) // absent and undefined are the same, as in hashValue
  fields.sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${fields.map(([name, value]) => `${name.length}'${name}${canonical(value)}`).join(',')}}`
}
