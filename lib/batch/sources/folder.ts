/**
 * New files of folders as a transactional source (after Spark's `FileInputDStream`). A batch takes the files that have come since
 * the last one; each is read once, as it was when it was taken, whatever fails and restarts.
 *
 *     modified     ... start - remember ......... start .................. now
 *     is taken           if all files are             yes, once                  later
 *
 * Files must be put there whole: written elsewhere on the same disk and moved in. A file is new by its time of modification; one that
 * turns up with a time more than `remember` ago is not taken, for nobody remembers any more whether it was.
 *
 * What is in the offset log: the files of a batch, and those that were taken in the time that is remembered.
 */
import { closeSync, openSync, readSync, readdirSync, statSync } from 'node:fs'
import type { Stats } from 'node:fs'
import { join, normalize, sep } from 'node:path'
import type { z } from 'zod'
import { SquallError } from '../../errors.ts'
import { durationMs } from '../../std/clock.ts'
import type { Duration } from '../../std/clock.ts'
import { shortened, unreadable } from '../rdd/text.ts'
import type { BatchSource, Planner, Reader, SourceContext } from '../source.ts'
import { csvFormat, jsonFormat, textFormat } from './formats.ts'
import type { CsvOptions, FileFormat, JsonOptions } from './formats.ts'

export interface FolderOptions {
  /** only files that were modified after the topology's start; otherwise also those of the time that is remembered before it (true) */
  readonly newFilesOnly?: boolean
  /** how long it is remembered which files were taken ('60s') */
  readonly remember?: Duration
  /** which files count, by their names (those that do not begin with a dot or an underscore) */
  readonly accepts?: (name: string) => boolean
}

/** A file as it was when it was taken. */
interface Taken {
  readonly path: string
  readonly bytes: number
  readonly modifiedMs: number
}

interface Files {
  readonly files: readonly Taken[]
  /** what was taken and might be found again, with its time */
  readonly recent: Readonly<Record<string, number>>
  /** files up to here do not count */
  readonly startMs: number
  readonly atMs: number
}

/**
 * The lines of the new text files of a folder; with `*` in it, of all folders that match. Each file is a partition.
 *
 * ```ts
 * const lines = t.stream('lines', textFolder('/data/incoming'), { batchInterval: '5s' })
 * ```
 */
export function textFolder(folder: string, options: FolderOptions = {}): BatchSource<string> {
  return source('textFolder', folder, options, whole(textFormat))
}

/** The JSON values, one a line, of the new files of a folder; otherwise as `jsonLines` and `textFolder`. */
export function jsonFolder<T, B = never>(
  folder: string,
  schema: z.ZodType<T>,
  options: FolderOptions & JsonOptions<B> = {},
): BatchSource<T | B> {
  return source('jsonFolder', folder, options, whole(jsonFormat(schema, options)))
}

/** The records of the new CSV files of a folder, each of which begins with the names of its fields; otherwise as `csvRecords` and `textFolder`. */
export function csvFolder<T, B = never>(
  folder: string,
  schema: z.ZodType<T>,
  options: FolderOptions & CsvOptions<B> = {},
): BatchSource<T | B> {
  return source('csvFolder', folder, options, whole(csvFormat('csvFolder', schema, options)))
}

function whole<T>(format: FileFormat<T>): (file: Taken, push: (record: T) => void) => number {
  return (taken, push) => {
    check(taken)
    return format.read({ file: taken.path, from: 0, to: taken.bytes }, push)
  }
}

/** The records of `recordBytes` bytes of the new files of a folder. A file of another length than a multiple is the error `source-changed`. */
export function binaryFolder(folder: string, recordBytes: number, options: FolderOptions = {}): BatchSource<Uint8Array> {
  if (!Number.isSafeInteger(recordBytes) || recordBytes < 1)
    throw new SquallError('bad-option', {
      option: 'recordBytes',
      of: 'binaryFolder',
      value: recordBytes,
      expected: 'a whole number from 1',
    })
  return source('binaryFolder', folder, options, (taken, push) => {
    const { path, bytes } = taken
    check(taken)
    if (bytes % recordBytes !== 0)
      throw new SquallError('source-changed', { source: path, reason: `its ${bytes} bytes are no records of ${recordBytes}` })
    const fd = openSync(path, 'r')
    try {
      for (let at = 0; at < bytes; at += recordBytes) {
        const record = new Uint8Array(recordBytes)
        readSync(fd, record, 0, recordBytes, at)
        push(record)
      }
    } finally {
      closeSync(fd)
    }
  })
}

function source<T>(
  of: string,
  folder: string,
  { newFilesOnly = true, remember = '60s', accepts = isPlainName }: FolderOptions,
  read: (file: Taken, push: (record: T) => void) => number | void,
): BatchSource<T> {
  const rememberMs = durationMs(remember)
  if (rememberMs === undefined || rememberMs <= 0)
    throw new SquallError('bad-option', { option: 'remember', of, value: String(remember), expected: "a duration such as '60s'" })
  return {
    kind: 'transactional',
    planner: (context) => new FolderPlanner(folder, rememberMs, newFilesOnly, accepts, context),
    reader: (): Reader<T> => ({
      partitions: (range) => (range as Files).files.length,
      read: (range, partition, push) => read((range as Files).files[partition] as Taken, push),
    }),
  }
}

class FolderPlanner implements Planner {
  readonly hasEnded = false
  readonly #folder: string
  readonly #rememberMs: number
  readonly #newFilesOnly: boolean
  readonly #accepts: (name: string) => boolean
  readonly #context: SourceContext
  readonly #startedMs: number
  /** the last look, which may have found nothing */
  #lookedMs: number | undefined

  constructor(folder: string, rememberMs: number, newFilesOnly: boolean, accepts: (name: string) => boolean, context: SourceContext) {
    this.#folder = folder
    this.#rememberMs = rememberMs
    this.#newFilesOnly = newFilesOnly
    this.#accepts = accepts
    this.#context = context
    this.#startedMs = context.date()
  }

  /** The first range has no files perhaps: it says when the topology was started for the first time. */
  next(last: unknown): Files | undefined {
    const nowMs = this.#context.date()
    const first: Files = {
      files: [],
      recent: {},
      startMs: this.#newFilesOnly ? this.#startedMs : this.#startedMs - this.#rememberMs,
      atMs: this.#startedMs,
    }
    const { startMs, recent, atMs } = (last as Files | undefined) ?? first
    // after a restart it is as if the last look had been the last that found something
    const afterMs = Math.max(startMs, (this.#lookedMs ?? atMs) - this.#rememberMs)
    this.#lookedMs = nowMs
    const files = this.#found().filter(({ path, modifiedMs }) => modifiedMs > afterMs && modifiedMs <= nowMs && recent[path] === undefined)
    if (files.length === 0 && last !== undefined) return undefined
    const kept = Object.entries(recent).filter(([, modifiedMs]) => modifiedMs > nowMs - this.#rememberMs)
    const taken = files.map(({ path, modifiedMs }) => [path, modifiedMs] as const)
    return { files, recent: Object.fromEntries([...kept, ...taken]), startMs, atMs: nowMs }
  }

  /** The files of the folders, the oldest first. */
  #found(): Taken[] {
    const found: Taken[] = []
    for (const folder of foldersOf(this.#folder))
      for (const name of namesIn(folder)) {
        const path = join(folder, name)
        const stat = this.#accepts(name) ? statSync(path, { throwIfNoEntry: false }) : undefined
        if (stat?.isFile() === true) found.push({ path, bytes: stat.size, modifiedMs: stat.mtimeMs })
      }
    return found.sort((a, b) => a.modifiedMs - b.modifiedMs || (a.path < b.path ? -1 : 1))
  }
}

/** The folders that a path with wildcards (`*` and `?`, within a name) stands for, as they are now. */
function foldersOf(pattern: string): readonly string[] {
  const [root = '', ...names] = normalize(pattern)
    .split(sep)
    .filter((name, i) => i === 0 || name !== '')
  let found = [/[*?]/.test(root) ? '.' : root === '' ? sep : root]
  for (const name of /[*?]/.test(root) ? [root, ...names] : names) {
    const wanted = /[*?]/.test(name) ? matcher(name) : undefined
    found = found.flatMap((folder) =>
      wanted === undefined
        ? [join(folder, name)]
        : namesIn(folder)
            .filter((one) => wanted.test(one))
            .map((one) => join(folder, one)),
    )
  }
  return found
}

function matcher(name: string): RegExp {
  const text = name
    .replace(/[\\^$+.()|[\]{}]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.')
  return new RegExp(`^(?!\\.)${text}$`)
}

/** Nothing, where there is no folder (yet). */
function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return []
    throw unreadable(folder, error)
  }
}

function isPlainName(name: string): boolean {
  return !/^[._]/.test(name)
}

/** A file is as it was when it was taken. */
function check({ path, bytes, modifiedMs }: Taken): void {
  let found: Stats
  try {
    found = statSync(path)
  } catch (error) {
    throw unreadable(path, error)
  }
  if (found.size !== bytes) throw shortened(path, bytes, found.size)
  if (found.mtimeMs !== modifiedMs)
    throw new SquallError('source-changed', { source: path, reason: 'it was written to after a batch had taken it' })
}
