/**
 * The port to the store of blobs: bundles of code, parts of states; each under the digest of what it holds, so that nothing in it ever changes and
 * nobody can be given anything else. `test/cluster/blobstore/conformance.ts` holds all implementations to it.
 */
import { createHash } from 'node:crypto'
import { SquallError } from '../../errors.ts'

export interface Blobs {
  /** Durable when it resolves. Gives its name: the SHA-256 of the bytes, in hexadecimal. Errors: `blob-too-large`. */
  put(bytes: Uint8Array): Promise<string>
  /** Errors: `blob-missing`, `blob-corrupt`, `blob-name`. */
  get(digest: string): Promise<Uint8Array>
  has(digest: string): Promise<boolean>
  /** All names, sorted. */
  list(): Promise<readonly string[]>
  /** Nothing happens when it is not there. */
  delete(digest: string): Promise<void>
}

/** The largest blob, unless somebody says another: a bundle is a few MB, a part of a state may be more. */
export const blobBytesMax: number = 256 << 20

export function digestOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

export function isDigest(digest: string): boolean {
  return /^[0-9a-f]{64}$/.test(digest)
}

export function checkDigest(digest: string): void {
  if (!isDigest(digest)) throw new SquallError('blob-name', { digest: JSON.stringify(digest.slice(0, 80)) })
}

export function checkSize(bytes: Uint8Array, max: number): void {
  if (bytes.length > max) throw new SquallError('blob-too-large', { size: bytes.length, max })
}

/** Throws `blob-corrupt` for what is not what its name says. */
export function checkBytes(digest: string, bytes: Uint8Array, where: string): void {
  const found = digestOf(bytes)
  if (found !== digest) throw new SquallError('blob-corrupt', { digest, found, where })
}
