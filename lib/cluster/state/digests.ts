/** Digests of the first bytes of files, which are read once while nothing changes them. */

export interface DigestsOptions {
  readonly digest: (path: string, size: number) => Promise<string>
  /** of the change that came last; none while one is under way */
  readonly turn: (path: string) => number | undefined
}

const digestsMax = 10_000

export class Digests {
  readonly #options: DigestsOptions
  /** by path and size */
  readonly #known = new Map<string, string>()

  constructor(options: DigestsOptions) {
    this.#options = options
  }

  async get(path: string, size: number): Promise<string> {
    const name = `${path}\n${size}`
    const known = this.#known.get(name)
    if (known !== undefined) return known
    const turn = this.#options.turn(path)
    const digest = await this.#options.digest(path, size)
    // of a file that changes meanwhile it says nothing
    if (turn === undefined || turn !== this.#options.turn(path)) return digest
    if (this.#known.size >= digestsMax) this.#known.clear()
    this.#known.set(name, digest)
    return digest
  }

  /** A file, or all in a folder. */
  forget(path: string): void {
    for (const name of this.#known.keys()) if (name.startsWith(`${path}\n`) || name.startsWith(`${path}/`)) this.#known.delete(name)
  }

  clear(): void {
    this.#known.clear()
  }
}
