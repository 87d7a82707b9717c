/** The parameters of a topology: what was given, what it asks for, and the faults in between. */
import { SquallError } from '../errors.ts'
import type { Place } from '../errors.ts'
import { hintFor, meantBy } from '../std/words.ts'

export class Params {
  readonly given: Readonly<Record<string, unknown>>
  readonly #asked = new Set<string>()
  readonly #missing = new Map<string, SquallError>()

  constructor(given: Readonly<Record<string, unknown>>) {
    this.given = given
  }

  get asked(): readonly string[] {
    return [...this.#asked]
  }

  /** The value of `name`, or `undefined`. */
  ask(name: string): unknown {
    this.#asked.add(name)
    return Object.hasOwn(this.given, name) ? this.given[name] : undefined
  }

  /** `name` is needed and was not given; one fault tells it however often it is asked for. */
  miss(name: string, fault: SquallError): void {
    if (!this.#missing.has(name)) this.#missing.set(name, fault)
  }

  get misses(): readonly SquallError[] {
    return [...this.#missing.values()]
  }

  /** What is missing and what nobody asked for. A name that is nearly one of the missing is one mistake, told once. */
  faults(topology: string, where: Place): readonly SquallError[] {
    const missing = new Map(this.#missing)
    const unknown = Object.keys(this.given)
      .filter((name) => !this.#asked.has(name))
      .map((name) => {
        const meant = meantBy(name, missing.keys())
        const asker = meant === undefined ? undefined : missing.get(meant)
        if (meant !== undefined) missing.delete(meant)
        return new SquallError(
          'unknown-param',
          {
            topology,
            name,
            hint:
              asker === undefined
                ? hintFor(name, this.asked)
                : `did you mean ${meant}? It is asked for here and not set: one of the two is misspelt`,
          },
          asker?.where ?? where,
        )
      })
    return [...missing.values(), ...unknown]
  }
}
