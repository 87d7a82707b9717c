/**
 * A file of lines whose content is exactly-once: a batch that comes again replaces what it wrote before.
 *
 * Beside the file stands an index, `.NAME.index`: the batch written last, and where it began. When that batch comes again, the file is cut
 * back to there. So the file follows the batches as long as they come in order, which committing in order sees to.
 */
import { basename, dirname, join } from 'node:path'
import { SquallError } from '../../../errors.ts'
import { assert } from '../../../std/assert.ts'
import { nodeFileSystem } from '../../log/file-system.ts'
import type { FileSystem, OpenFile } from '../../log/file-system.ts'
import { readWholeFile, replaceFile } from '../../log/whole-file.ts'
import type { State } from './state.ts'

export interface FileStateOptions<T> {
  /** the file; it and its folder are made when they are not there */
  readonly file: string
  /** a value as text, without its line end (a string as it is, anything else as JSON) */
  readonly format?: (value: T) => string
}

interface Index {
  readonly txid: number
  readonly offset: number
}

/**
 * Errors: `state-ahead` when the file holds a later batch than the one that begins, `file-unreadable` when somebody has shortened it,
 * `disk-full`, `file-unwritable`.
 *
 * ```ts
 * const lines = new FileState<string>({ file: 'out/words.txt' })
 * await lines.beginCommit(1)
 * await lines.update(['a', 'b'])
 * await lines.commit(1)
 * ```
 */
export class FileState<T = unknown> implements State {
  readonly #path: string
  readonly #indexPath: string
  readonly #format: (value: T) => string
  readonly #files: FileSystem
  #file: OpenFile | undefined

  constructor({ file, format = textOf }: FileStateOptions<T>, files: FileSystem = nodeFileSystem) {
    this.#path = file
    this.#indexPath = join(dirname(file), `.${basename(file)}.index`)
    this.#format = format
    this.#files = files
  }

  /** Opens the file now, and not with the first batch: what is wrong with it shows at once. */
  async open(): Promise<void> {
    await this.#opened()
  }

  async beginCommit(txid: number | null): Promise<void> {
    if (txid === null) throw new SquallError('state-file-txid', { file: this.#path })
    const file = await this.#opened()
    const index = await this.#index()
    const size = await file.size()
    if (index !== undefined && txid < index.txid) throw new SquallError('state-ahead', { txid, found: index.txid }, { file: this.#path })
    if (index !== undefined && size < index.offset)
      throw new SquallError('file-unreadable', { file: this.#path, reason: `it has ${size} bytes, its index says ${index.offset} or more` })
    if (txid === index?.txid) return await file.truncate(index.offset)
    await replaceFile(this.#files, this.#indexPath, Buffer.from(`${JSON.stringify({ txid, offset: size })}\n`))
  }

  /** Adds a line for each value. */
  async update(values: readonly T[]): Promise<void> {
    assert(this.#file !== undefined, 'a file state is updated after beginCommit')
    if (values.length > 0) await this.#file.append(Buffer.from(values.map((value) => `${this.#format(value)}\n`).join('')))
  }

  /** The lines are durable when the promise resolves. */
  async commit(_txid: number | null): Promise<void> {
    await this.#file?.sync()
  }

  async close(): Promise<void> {
    await this.#file?.close()
    this.#file = undefined
  }

  async #opened(): Promise<OpenFile> {
    if (this.#file !== undefined) return this.#file
    await this.#files.makeFolder(dirname(this.#path))
    this.#file = await this.#files.open(this.#path, 'append')
    await this.#files.syncFolder(dirname(this.#path))
    return this.#file
  }

  async #index(): Promise<Index | undefined> {
    const bytes = await readWholeFile(this.#files, this.#indexPath)
    if (bytes === undefined) return undefined
    try {
      return JSON.parse(bytes.toString()) as Index
    } catch (cause) {
      throw new SquallError('file-unreadable', { file: this.#indexPath, reason: 'it is no index of a file state' }, {}, { cause })
    }
  }
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}
