/** Lets many in at once, or one alone, in the order in which they come. */
export class Gate {
  #inside = 0
  #isClosed = false
  readonly #waiting: { readonly alone: boolean; readonly enter: () => void }[] = []

  async shared<T>(work: () => Promise<T>): Promise<T> {
    return await this.#within(false, work)
  }

  async alone<T>(work: () => Promise<T>): Promise<T> {
    return await this.#within(true, work)
  }

  async #within<T>(alone: boolean, work: () => Promise<T>): Promise<T> {
    await new Promise<void>((enter) => {
      this.#waiting.push({ alone, enter })
      this.#admit()
    })
    try {
      return await work()
    } finally {
      this.#inside--
      this.#isClosed = false
      this.#admit()
    }
  }

  #admit(): void {
    for (let next = this.#waiting[0]; next !== undefined && !this.#isClosed && !(next.alone && this.#inside > 0); next = this.#waiting[0]) {
      this.#waiting.shift()
      this.#inside++
      this.#isClosed = next.alone
      next.enter()
    }
  }
}
