/** What is done with a name, one after the other; with several names at once, after all that is under way with any of them. */
export class Chains {
  readonly #last = new Map<string, Promise<void>>()

  has(name: string): boolean {
    return this.#last.has(name)
  }

  async run<T>(names: readonly string[], work: () => Promise<T>): Promise<T> {
    const before = names.map((name) => this.#last.get(name) ?? Promise.resolve())
    const mine = Promise.all(before).then(work)
    const settled = mine.then(
      () => undefined,
      () => undefined,
    )
    for (const name of names) this.#last.set(name, settled)
    try {
      return await mine
    } finally {
      for (const name of names) if (this.#last.get(name) === settled) this.#last.delete(name)
    }
  }
}
