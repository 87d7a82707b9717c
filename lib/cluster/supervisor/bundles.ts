/**
 * Code of topologies on this host: fetched once by its digest, and written as a module that imports the library that runs here.
 *
 *     FOLDER/SHA256        as it was deployed, the same on every host
 *     FOLDER/SHA256.mjs    with the URL of the library
 */
import { mkdirSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { withLibrary } from '../../topology/load/bundle.ts'
import { checkBytes, checkDigest, digestOf } from '../blobstore/blobs.ts'
import { replaceWhole } from './files.ts'

export class Bundles {
  readonly #folder: string
  readonly #fetch: (sha256: string) => Promise<Uint8Array>
  /** modules that are being made, or looked over */
  readonly #modules = new Map<string, Promise<string>>()

  /** `fetch`: a blob by its digest, such as `get` of a blob store. */
  constructor(folder: string, fetch: (sha256: string) => Promise<Uint8Array>) {
    this.#folder = folder
    this.#fetch = fetch
    mkdirSync(folder, { recursive: true, mode: 0o700 })
  }

  /**
   * Where the module lies. It is looked over each time: what was damaged or removed meanwhile is made good.
   *
   * Errors: `blob-name`, `blob-corrupt`, and what fetching says.
   */
  async module(sha256: string): Promise<string> {
    const known = this.#modules.get(sha256)
    if (known !== undefined) return await known
    const module = this.#make(sha256).finally(() => this.#modules.delete(sha256))
    this.#modules.set(sha256, module)
    return await module
  }

  /** Removes all others. */
  keep(used: ReadonlySet<string>): void {
    for (const name of readdirSync(this.#folder)) {
      const sha256 = name.replace(/\..*$/, '')
      if (used.has(sha256)) continue
      rmSync(join(this.#folder, name), { force: true })
    }
  }

  async #make(sha256: string): Promise<string> {
    checkDigest(sha256)
    const path = join(this.#folder, sha256)
    let bytes = this.#kept(path, sha256)
    if (bytes === undefined) {
      bytes = await this.#fetch(sha256)
      checkBytes(sha256, bytes, 'as it was fetched')
      replaceWhole(path, bytes)
    }
    // the library may be elsewhere than it was for the last supervisor
    const code = Buffer.from(withLibrary(Buffer.from(bytes).toString()))
    if (contentOf(`${path}.mjs`)?.equals(code) !== true) replaceWhole(`${path}.mjs`, code)
    return `${path}.mjs`
  }

  #kept(path: string, sha256: string): Uint8Array | undefined {
    const bytes = contentOf(path)
    return bytes !== undefined && digestOf(bytes) === sha256 ? bytes : undefined
  }
}

function contentOf(path: string): Buffer | undefined {
  try {
    return readFileSync(path)
  } catch {
    return undefined
  }
}
