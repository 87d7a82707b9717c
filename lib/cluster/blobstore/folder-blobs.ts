/** Blobs as files of a folder, named after their digests. */
import { join } from 'node:path'
import { SquallError } from '../../errors.ts'
import { nodeFileSystem } from '../../batch/log/file-system.ts'
import type { FileSystem } from '../../batch/log/file-system.ts'
import { readWholeFile, replaceFile } from '../../batch/log/whole-file.ts'
import { blobBytesMax, checkBytes, checkDigest, checkSize, digestOf, isDigest } from './blobs.ts'
import type { Blobs } from './blobs.ts'

export class FolderBlobs implements Blobs {
  readonly #folder: string
  readonly #files: FileSystem
  readonly #bytesMax: number
  /** puts under way, by digest: two of the same would write to one file */
  readonly #puts = new Map<string, Promise<void>>()

  private constructor(folder: string, files: FileSystem, bytesMax: number) {
    this.#folder = folder
    this.#files = files
    this.#bytesMax = bytesMax
  }

  static async open(folder: string, files: FileSystem = nodeFileSystem, bytesMax: number = blobBytesMax): Promise<FolderBlobs> {
    await files.makeFolder(folder)
    // written aside by a process that died before it was whole
    for (const name of await files.list(folder)) if (!isDigest(name)) await files.remove(join(folder, name))
    return new FolderBlobs(folder, files, bytesMax)
  }

  async put(bytes: Uint8Array): Promise<string> {
    checkSize(bytes, this.#bytesMax)
    const digest = digestOf(bytes)
    const before = this.#puts.get(digest)
    if (before !== undefined) await before
    else {
      const put = this.#put(digest, bytes).finally(() => this.#puts.delete(digest))
      this.#puts.set(digest, put)
      await put
    }
    return digest
  }

  async get(digest: string): Promise<Uint8Array> {
    checkDigest(digest)
    const bytes = await readWholeFile(this.#files, this.#path(digest))
    if (bytes === undefined) throw new SquallError('blob-missing', { digest })
    checkBytes(digest, bytes, this.#path(digest))
    return bytes
  }

  async has(digest: string): Promise<boolean> {
    checkDigest(digest)
    const file = await this.#files.open(this.#path(digest), 'read')
    await file?.close()
    return file !== undefined
  }

  async list(): Promise<readonly string[]> {
    return (await this.#files.list(this.#folder)).filter(isDigest)
  }

  async delete(digest: string): Promise<void> {
    checkDigest(digest)
    await this.#files.remove(this.#path(digest))
    await this.#files.syncFolder(this.#folder)
  }

  /** One that is there and whole stays; one that was damaged is made good. */
  async #put(digest: string, bytes: Uint8Array): Promise<void> {
    const before = await readWholeFile(this.#files, this.#path(digest))
    if (before === undefined || digestOf(before) !== digest) await replaceFile(this.#files, this.#path(digest), bytes)
    // whoever put it there may have died before its name was durable
    else await this.#files.syncFolder(this.#folder)
  }

  #path(digest: string): string {
    return join(this.#folder, digest)
  }
}
