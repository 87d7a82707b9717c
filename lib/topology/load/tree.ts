/**
 * A YAML document as plain data that knows where each part was written. It travels inside the bundle as JSON; nothing
 * here needs the YAML library.
 */
import { SquallError } from '../../errors.ts'
import type { Place } from '../../errors.ts'
import { hintFor, meantBy, shown } from '../../std/words.ts'

/** file, line, column */
export type At = readonly [string, number, number]

export type Tree = Scalar | List | Mapping

export interface Scalar {
  readonly kind: 'scalar'
  readonly at: At
  readonly value: string | number | boolean | null
  /** not quoted: after a substitution the text is read again, so that `${n}` can be a number */
  readonly plain: boolean
  /** something in it could not be replaced, which is a fault already: nothing is said of the value */
  readonly isUnknown?: boolean
}

export interface List {
  readonly kind: 'list'
  readonly at: At
  readonly items: readonly Tree[]
}

export interface Mapping {
  readonly kind: 'map'
  readonly at: At
  readonly entries: readonly MapEntry[]
}

export interface MapEntry {
  readonly key: string
  readonly at: At
  readonly value: Tree
}

/** One definition file; `folder` is relative to the folder of the file that was asked for. */
export interface SourceDocument {
  readonly file: string
  readonly folder: string
  readonly root: Tree
  /** what its `includes` led to, by the name written there */
  readonly included: Readonly<Record<string, SourceDocument>>
}

export function placeAt([file, line, column]: At, more: Place = {}): Place {
  return { file, line, column, ...more }
}

/** The value that a tree stands for. */
export function valueOf(tree: Tree): unknown {
  switch (tree.kind) {
    case 'scalar':
      return tree.value
    case 'list':
      return tree.items.map(valueOf)
    case 'map':
      // from entries, so that a key named __proto__ is a key like any other
      return Object.fromEntries(tree.entries.map(({ key, value }) => [key, valueOf(value)]))
  }
}

/** A value as a tree, every part of it at one place. */
export function treeOf(value: unknown, at: At): Tree {
  if (Array.isArray(value)) return { kind: 'list', at, items: value.map((item) => treeOf(item, at)) }
  if (typeof value === 'object' && value !== null)
    return { kind: 'map', at, entries: Object.entries(value).map(([key, item]) => ({ key, at, value: treeOf(item, at) })) }
  return { kind: 'scalar', at, value: value as Scalar['value'], plain: false }
}

/** What a tree looks like in a message. */
export function showTree(tree: Tree): string {
  if (tree.kind === 'list') return 'a list'
  if (tree.kind === 'map') return 'a map'
  return tree.value === null ? 'empty' : shown(tree.value)
}

/**
 * Reads a mapping whose keys are known: faults for what is unknown, missing or of the wrong kind. A key that is nearly one of
 * them is a fault, and then taken for the one that was meant: its absence is not told as well.
 */
export class MapReader {
  readonly at: At
  readonly #what: string
  readonly #entries: ReadonlyMap<string, MapEntry>
  readonly #faults: SquallError[]

  private constructor(tree: Mapping, what: string, keys: readonly string[], faults: SquallError[]) {
    this.at = tree.at
    this.#what = what
    this.#faults = faults
    const entries = new Map(tree.entries.map((entry) => [entry.key, entry]))
    for (const entry of tree.entries) {
      const { key, at } = entry
      if (keys.includes(key)) continue
      faults.push(new SquallError('unknown-key', { place: what, key: JSON.stringify(key), hint: hintFor(key, keys) }, placeAt(at)))
      const meant = meantBy(key, keys)
      if (meant !== undefined && !entries.has(meant)) entries.set(meant, entry)
    }
    this.#entries = entries
  }

  /** `undefined` (and a fault) when `tree` is no mapping. */
  static read(tree: Tree, what: string, keys: readonly string[], faults: SquallError[]): MapReader | undefined {
    if (tree.kind === 'map') return new MapReader(tree, what, keys, faults)
    if (isUnknown(tree)) return undefined
    faults.push(
      new SquallError('bad-value', { what, value: showTree(tree), expected: `a map with the keys ${keys.join(', ')}` }, placeAt(tree.at)),
    )
    return undefined
  }

  has(key: string): boolean {
    return this.get(key) !== undefined
  }

  /** The value at `key`; a key with nothing behind it counts as absent. */
  get(key: string): Tree | undefined {
    const value = this.#entries.get(key)?.value
    return value?.kind === 'scalar' && value.value === null ? undefined : value
  }

  /** The value at `key` even if it is null. */
  raw(key: string): Tree | undefined {
    return this.#entries.get(key)?.value
  }

  text(key: string, example?: string): { readonly text: string; readonly at: At } | undefined {
    const tree = this.#required(key, example)
    if (tree === undefined) return undefined
    if (tree.kind === 'scalar' && tree.isUnknown !== true && tree.value !== null && tree.value !== '')
      return { text: String(tree.value), at: tree.at }
    return this.#wrong(key, tree, 'a text')
  }

  flag(key: string): boolean {
    const tree = this.get(key)
    if (tree === undefined) return false
    if (tree.kind === 'scalar' && (tree.value === true || tree.value === 'true')) return true
    if (tree.kind === 'scalar' && (tree.value === false || tree.value === 'false')) return false
    return this.#wrong(key, tree, 'true or false') ?? false
  }

  /** A number, or whatever else stands there for someone further on to judge. */
  count(key: string): { readonly value: number; readonly at: At } | undefined {
    const tree = this.get(key)
    if (tree === undefined) return undefined
    const value =
      tree.kind === 'scalar' && typeof tree.value === 'string' && tree.value.trim() !== ''
        ? Number(tree.value)
        : tree.kind === 'scalar'
          ? tree.value
          : NaN
    if (typeof value === 'number' && !Number.isNaN(value)) return { value, at: tree.at }
    return this.#wrong(key, tree, 'a number')
  }

  list(key: string): readonly Tree[] {
    const tree = this.get(key)
    if (tree === undefined) return []
    return tree.kind === 'list' ? tree.items : (this.#wrong(key, tree, 'a list') ?? [])
  }

  map(key: string): readonly MapEntry[] {
    const tree = this.get(key)
    if (tree === undefined) return []
    return tree.kind === 'map' ? tree.entries : (this.#wrong(key, tree, 'a map') ?? [])
  }

  #required(key: string, example: string | undefined): Tree | undefined {
    const tree = this.get(key)
    if (tree === undefined && example !== undefined)
      this.#faults.push(new SquallError('missing-key', { place: this.#what, key, example }, placeAt(this.at)))
    return tree
  }

  #wrong(key: string, tree: Tree, expected: string): undefined {
    if (isUnknown(tree)) return undefined
    this.#faults.push(new SquallError('bad-value', { what: `${key} of ${this.#what}`, value: showTree(tree), expected }, placeAt(tree.at)))
    return undefined
  }
}

/** Whether a part of `tree` could not be replaced. */
export function isUnknown(tree: Tree): boolean {
  if (tree.kind === 'list') return tree.items.some(isUnknown)
  return tree.kind === 'map' ? tree.entries.some(({ value }) => isUnknown(value)) : tree.isUnknown === true
}
