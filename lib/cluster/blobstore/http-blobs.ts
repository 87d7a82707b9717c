/** Blobs that a nimbus keeps, over its API. */
import { z } from 'zod'
import { SquallError, reasonOf } from '../../errors.ts'
import type { HttpClient } from '../http/client.ts'
import { blobBytesMax, checkBytes, checkDigest, checkSize, digestOf } from './blobs.ts'
import type { Blobs } from './blobs.ts'

/** As long as a server lets a request take: 256 MiB in this are 18 Mbit a second. */
const blobMs = 120_000

export class HttpBlobs implements Blobs {
  readonly #client: HttpClient
  readonly #bytesMax: number

  constructor(client: HttpClient, bytesMax: number = blobBytesMax) {
    this.#client = client
    this.#bytesMax = bytesMax
  }

  async put(bytes: Uint8Array): Promise<string> {
    checkSize(bytes, this.#bytesMax)
    const digest = digestOf(bytes)
    await this.#client.post(`/v1/blobs/${digest}`, bytes, blobMs)
    return digest
  }

  async get(digest: string): Promise<Uint8Array> {
    checkDigest(digest)
    const { body } = await this.#client.get(`/v1/blobs/${digest}`, this.#bytesMax, blobMs)
    checkBytes(digest, body, this.#client.url)
    return body
  }

  async has(digest: string): Promise<boolean> {
    checkDigest(digest)
    return z.object({ has: z.boolean() }).parse(await this.#client.json(`/v1/blobs/${digest}/has`)).has
  }

  async list(): Promise<readonly string[]> {
    return z.object({ blobs: z.array(z.string()) }).parse(await this.#client.json('/v1/blobs')).blobs
  }

  async delete(digest: string): Promise<void> {
    checkDigest(digest)
    await this.#client.post(`/v1/blobs/${digest}/delete`)
  }
}

/** From the first that can give it. Errors: `blob-missing`. */
export async function blobFrom(
  sources: Iterable<{ readonly url: string; readonly blobs: Pick<Blobs, 'get'> }>,
  digest: string,
  report: (message: string) => void,
): Promise<Uint8Array> {
  for (const { url, blobs } of sources)
    try {
      return await blobs.get(digest)
    } catch (error) {
      report(`the bundle ${digest} cannot be had from ${url}: ${reasonOf(error)}`)
    }
  throw new SquallError('blob-missing', { digest })
}
