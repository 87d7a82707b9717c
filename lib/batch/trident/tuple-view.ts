/**
 * Trident's tuples: named values that grow by what operators append and shrink by projections, without copying a value
 * (Storm's `TridentTupleView`). Operators decide at assembly which list of values each field is in (`TupleLayout`); a tuple is
 * only the lists it was made of, in a row, and its layout.
 *
 *     layout (a b c)            [[1, 2, 3]]
 *     append (d)                [[1, 2, 3], [4]]             a b c d
 *     project (d a)             [[1, 2, 3], [4]]             d a          the same lists, another layout
 *     append (b)                [[1, 2, 3], [4], [9]]        d a b        b may be used again: it was projected away
 */
import { SquallError } from '../../errors.ts'
import { assert } from '../../std/assert.ts'

interface Cell {
  readonly part: number
  readonly index: number
}

/** Where each field of a tuple is found. Made once, at assembly. */
export class TupleLayout {
  readonly fields: readonly string[]
  /** how many lists of values its tuples have */
  readonly #parts: number
  readonly #cells: readonly Cell[]
  readonly #indexes: ReadonlyMap<string, number>
  /** the fields of the last list: what whoever makes a tuple gives */
  readonly #own: readonly string[]

  private constructor(fields: readonly string[], cells: readonly Cell[], parts: number) {
    const indexes = new Map<string, number>()
    for (const [i, field] of fields.entries()) {
      if (indexes.has(field)) throw new SquallError('duplicate-tuple-field', { field, known: fields.join(', ') })
      indexes.set(field, i)
    }
    this.fields = Object.freeze([...fields])
    this.#cells = cells
    this.#parts = parts
    this.#indexes = indexes
    this.#own = fields.filter((_, i) => cells[i]?.part === parts - 1)
  }

  /** The layout of tuples that come from outside. Throws `duplicate-tuple-field`. */
  static of(fields: readonly string[]): TupleLayout {
    return new TupleLayout(fields, cellsOf(0, fields), 1)
  }

  /** The layout after `fields` were appended. Throws `duplicate-tuple-field`. */
  append(fields: readonly string[]): TupleLayout {
    return new TupleLayout([...this.fields, ...fields], [...this.#cells, ...cellsOf(this.#parts, fields)], this.#parts + 1)
  }

  /** The layout of only these fields, in this order. Throws `unknown-tuple-field`, `duplicate-tuple-field`. */
  project(fields: readonly string[]): TupleLayout {
    return new TupleLayout(
      fields,
      fields.map((field) => this.#cells[this.indexOf(field)] as Cell),
      this.#parts,
    )
  }

  has(field: string): boolean {
    return this.#indexes.has(field)
  }

  /** Throws `unknown-tuple-field`. */
  indexOf(field: string): number {
    const index = this.#indexes.get(field)
    if (index === undefined) throw new SquallError('unknown-tuple-field', { field, known: this.fields.join(', ') })
    return index
  }

  /** A tuple of a layout made by `of`. Throws `tuple-size`. */
  create(values: readonly unknown[]): TupleView {
    assert(this.#parts === 1, 'a tuple of a layout with appended fields is made by extend')
    return this.#checked([values])
  }

  /** A tuple of a layout made by `append`, from one of the layout before. Throws `tuple-size`. */
  extend(tuple: TupleView, values: readonly unknown[]): TupleView {
    return this.#checked([...tuple.parts, values])
  }

  /** A tuple of a layout made by `project`, from one of the layout before. */
  view(tuple: TupleView): TupleView {
    assert(tuple.parts.length === this.#parts, 'a projected tuple is one of the layout it projects')
    return new TupleView(this, tuple.parts)
  }

  /** For `TupleView`: the value at a place. */
  valueAt(parts: readonly (readonly unknown[])[], index: number): unknown {
    const { part, index: at } = this.#cells[index] as Cell
    return (parts[part] as readonly unknown[])[at]
  }

  /** The last list of values was given by someone else: it must fill its fields. */
  #checked(parts: readonly (readonly unknown[])[]): TupleView {
    assert(parts.length === this.#parts, 'a tuple is extended from one of the layout before')
    const given = (parts.at(-1) as readonly unknown[]).length
    const own = this.#own
    if (given !== own.length) throw new SquallError('tuple-size', { given, count: own.length, fields: own.join(', ') })
    return new TupleView(this, parts)
  }
}

/** A tuple: read by place or by field; a list of its values when spread. */
export class TupleView implements Iterable<unknown> {
  readonly layout: TupleLayout
  readonly parts: readonly (readonly unknown[])[]

  /** Tuples are made by layouts: `layout.create(values)`. */
  constructor(layout: TupleLayout, parts: readonly (readonly unknown[])[]) {
    this.layout = layout
    this.parts = parts
  }

  get fields(): readonly string[] {
    return this.layout.fields
  }

  get length(): number {
    return this.layout.fields.length
  }

  /** The value at a place; negative places count from the end. */
  at(index: number): unknown {
    const place = index < 0 ? this.length + index : index
    return place in this.layout.fields ? this.layout.valueAt(this.parts, place) : undefined
  }

  /** Throws `unknown-tuple-field`. */
  get(field: string): unknown {
    return this.layout.valueAt(this.parts, this.layout.indexOf(field))
  }

  has(field: string): boolean {
    return this.layout.has(field)
  }

  /** The values of these fields. Throws `unknown-tuple-field`. */
  select(fields: readonly string[]): unknown[] {
    return fields.map((field) => this.get(field))
  }

  /** All values, in order. */
  values(): unknown[] {
    return this.fields.map((_, i) => this.layout.valueAt(this.parts, i))
  }

  [Symbol.iterator](): Iterator<unknown> {
    return this.values()[Symbol.iterator]()
  }

  /** As a plain object, by field. */
  toObject(): Record<string, unknown> {
    return Object.fromEntries(this.fields.map((field, i) => [field, this.layout.valueAt(this.parts, i)]))
  }
}

function cellsOf(part: number, fields: readonly string[]): Cell[] {
  return fields.map((_, index) => ({ part, index }))
}
