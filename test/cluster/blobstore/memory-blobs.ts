import { digestOf } from '../../../lib/cluster/blobstore/blobs.ts'
import type { Blobs } from '../../../lib/cluster/blobstore/blobs.ts'
import { SquallError } from '../../../lib/errors.ts'

export class MemoryBlobs implements Blobs {
  readonly #blobs = new Map<string, Uint8Array>()
  async put(bytes: Uint8Array): Promise<string> {
    this.#blobs.set(digestOf(bytes), bytes)
    return digestOf(bytes)
  }
  async get(digest: string): Promise<Uint8Array> {
    const bytes = this.#blobs.get(digest)
    if (bytes === undefined) throw new SquallError('blob-missing', { digest })
    return bytes
  }
  async has(digest: string): Promise<boolean> {
    return this.#blobs.has(digest)
  }
  async list(): Promise<readonly string[]> {
    return [...this.#blobs.keys()].sort()
  }
  async delete(digest: string): Promise<void> {
    this.#blobs.delete(digest)
  }
}
