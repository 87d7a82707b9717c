/** The fields of a stream's tuples while a topology is built. What is wrong with them becomes a fault of the plan, and building goes on. */
import { SquallError } from '../../errors.ts'
import type { Place } from '../../errors.ts'
import type { StreamGraph } from '../dstream/graph.ts'
import type { Row } from './aggregates.ts'
import { TupleLayout, TupleView } from './tuple-view.ts'

export class Fields {
  readonly #graph: StreamGraph
  readonly #stream: string
  readonly #layout: TupleLayout

  private constructor(graph: StreamGraph, stream: string, layout: TupleLayout) {
    this.#graph = graph
    this.#stream = stream
    this.#layout = layout
  }

  static of(graph: StreamGraph, stream: string, names: readonly string[]): Fields {
    return new Fields(graph, stream, TupleLayout.of([])).append('trident', names)
  }

  get names(): readonly string[] {
    return this.#layout.fields
  }

  /** These fields and new ones. */
  append(operator: string, names: readonly string[]): Fields {
    return this.#with(operator, [...this.names, ...names])
  }

  /** Only new ones. */
  replace(operator: string, names: readonly string[]): Fields {
    return this.#with(operator, names)
  }

  /** Where the fields that an operator names are in a row. */
  places(operator: string, names: readonly string[]): readonly number[] {
    const known = names.filter((field) => {
      if (this.#layout.has(field)) return true
      this.#add(new SquallError('unknown-tuple-field', { field, known: this.names.join(', ') }, this.#where(operator)))
      return false
    })
    return known.map((field) => this.#layout.indexOf(field))
  }

  /** A row as an operator sees it: the fields that it names. */
  view(operator: string, names: readonly string[]): (row: Row) => TupleView {
    const known = this.places(operator, names).map((place) => this.names[place] as string)
    const layout = this.#layout.project(known.filter((field, i) => known.indexOf(field) === i))
    return (row) => new TupleView(layout, [row])
  }

  selector(operator: string, names: readonly string[]): (row: Row) => Row {
    const places = this.places(operator, names)
    return (row) => places.map((place) => row[place])
  }

  /** The key that fields make: the value of one, a list of the values of several. */
  key(operator: string, names: readonly string[]): (row: Row) => unknown {
    const places = this.places(operator, names)
    const [only] = places
    if (places.length === 1) return (row) => row[only as number]
    return (row) => places.map((place) => row[place])
  }

  fault(operator: string, problem: string, hint: string): void {
    this.#add(new SquallError('trident-operator', { operator, problem, hint }, this.#where(operator)))
  }

  #with(operator: string, names: readonly string[]): Fields {
    const own = names.filter((field, i) => {
      if (names.indexOf(field) === i) return true
      this.#add(new SquallError('duplicate-tuple-field', { field, known: names.join(', ') }, this.#where(operator)))
      return false
    })
    return new Fields(this.#graph, this.#stream, TupleLayout.of(own))
  }

  #add(error: SquallError): void {
    this.#graph.fault(error)
  }

  #where(operator: string): Place {
    return this.#graph.where(`${this.#stream}.${operator}`)
  }
}

/** The values of the fields that a key was made of. */
export function keyRow(fields: number): (key: unknown) => Row {
  return fields === 1 ? (key) => [key] : (key) => key as Row
}
