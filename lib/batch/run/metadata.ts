/**
 * What the coordinator writes down of each batch: in the offset log, before it runs, what it consists of; in the commit log,
 * after it is done, that it is (Spark's `OffsetSeqLog` and `CommitLog`). An entry is text:
 *
 *     v2
 *     {"batchWatermarkMs":5000,"batchTimestampMs":1760000000000,"conf":{"watermarkPolicy":"min"}}
 *     ["clicks",{"0":1200,"1":1180}]
 *     ["views",null]
 *
 * The first line is the version of its form; one that is not known yet is refused.
 *
 *     offsets v1    the sources by place, one line of JSON each, `-` for one that gives nothing
 *     offsets v2    the sources by name
 *     commits v1    {"nextBatchWatermarkMs":5000}
 *     commits v2    the same, and which version of each state belongs to the batch: {..., "stateUniqueIds":{"0":[["a","b"]]}}
 */
import { SquallError, reasonOf } from '../../errors.ts'

/** What is fixed about a batch before it runs, and is the same when it runs again. */
export interface BatchMetadata {
  /** the watermark that the batch uses */
  readonly batchWatermarkMs: number
  /** the time that the batch takes as now */
  readonly batchTimestampMs: number
  /** the settings that its results depend on */
  readonly conf: Readonly<Record<string, string>>
}

/** An entry of the offset log. */
export interface OffsetEntry extends BatchMetadata {
  /** up to where the batch reads each source, as JSON, by the source's name; `null`: nothing of it */
  readonly offsets: Readonly<Record<string, unknown>>
}

/** An entry of the commit log. */
export interface CommitEntry {
  readonly nextBatchWatermarkMs: number
  /** by operator, for each partition the ids of its stores' versions (v2) */
  readonly stateUniqueIds?: Readonly<Record<string, readonly (readonly string[])[]>>
}

/** How a log writes its entries. */
export interface EntryFormat<T> {
  /** of the log, for files and errors */
  readonly name: string
  readonly versionMax: number
  /** the lines after the version */
  readonly encode: (entry: T, version: number) => string
  readonly decode: (lines: string, version: number) => T
}

export const offsetFormat: EntryFormat<OffsetEntry> = {
  name: 'offsets',
  versionMax: 2,
  encode({ batchWatermarkMs, batchTimestampMs, conf, offsets }, version) {
    const sources = Object.entries(offsets)
    if (version === 1 && sources.some(([name], place) => name !== String(place)))
      throw unwritable('offsets', 'version 1 knows sources by their place only, as 0, 1, 2, ...')
    const lines = sources.map(([name, offset]) =>
      version === 1 ? (offset === null ? '-' : JSON.stringify(offset)) : JSON.stringify([name, offset]),
    )
    return [JSON.stringify({ batchWatermarkMs, batchTimestampMs, conf }), ...lines].join('\n')
  },
  decode(text, version) {
    const [metadata = '', ...lines] = text.split('\n')
    const sources = lines.map((line, place): readonly [string, unknown] => {
      if (version === 1) return [String(place), line === '-' ? null : parsed('offsets', line)]
      const source = parsed('offsets', line)
      if (!Array.isArray(source) || source.length !== 2) throw broken('offsets', `${line} is no source with its offset`)
      return [String(source[0]), source[1]]
    })
    return { ...parseBatchMetadata(metadata), offsets: Object.fromEntries(sources) }
  },
}

export const commitFormat: EntryFormat<CommitEntry> = {
  name: 'commits',
  versionMax: 2,
  encode({ nextBatchWatermarkMs, stateUniqueIds }, version) {
    if (version === 1 && stateUniqueIds !== undefined) throw unwritable('commits', 'version 1 has no ids of states')
    return JSON.stringify({ nextBatchWatermarkMs, stateUniqueIds })
  },
  decode(text, version) {
    const { nextBatchWatermarkMs = 0, stateUniqueIds } = objectOf('commits', text === '' ? '{}' : text)
    const entry = { nextBatchWatermarkMs: Number(nextBatchWatermarkMs) }
    return version === 1 || stateUniqueIds === undefined ? entry : { ...entry, stateUniqueIds: stateUniqueIds as StateIds }
  },
}

type StateIds = NonNullable<CommitEntry['stateUniqueIds']>

/** The text of an entry: its version, then its lines. Throws `metadata-unwritable`. */
export function encodeEntry<T>(format: EntryFormat<T>, entry: T, version: number = format.versionMax): string {
  try {
    return `v${version}\n${format.encode(entry, version)}`
  } catch (error) {
    throw error instanceof SquallError ? error : unwritable(format.name, reasonOf(error), error)
  }
}

/**
 * Reads an entry. Without `version` any one up to the latest is read. Throws `metadata-version` for one that this Squall does not know
 * yet, or that is not the one asked for; `metadata-broken` for what is none.
 */
export function decodeEntry<T>(format: EntryFormat<T>, text: string, version?: number): T {
  const lineEnd = text.indexOf('\n')
  const found = versionOf(format, lineEnd === -1 ? text : text.slice(0, lineEnd))
  if (version !== undefined && found !== version) {
    const reason = `here the only supported log version is v${version}`
    throw new SquallError('metadata-version', { log: format.name, version: found, reason })
  }
  return format.decode(lineEnd === -1 ? '' : text.slice(lineEnd + 1), found)
}

/** The version that the first line of an entry says. */
export function versionOf({ name, versionMax }: Pick<EntryFormat<unknown>, 'name' | 'versionMax'>, line: string): number {
  const version = Number(/^v([1-9]\d*)$/.exec(line)?.[1])
  if (Number.isNaN(version)) throw broken(name, `it begins with ${JSON.stringify(line.slice(0, 40))}, which is no version`)
  if (version > versionMax) {
    const reason = `the maximum supported log version is v${versionMax}; it was produced by a newer version of Squall and cannot be read by this version`
    throw new SquallError('metadata-version', { log: name, version, reason })
  }
  return version
}

/** Reads the line of metadata of an offset entry. What is missing is 0 or empty; what is not known, within or after it, is left out. */
export function parseBatchMetadata(json: string): BatchMetadata {
  const { batchWatermarkMs = 0, batchTimestampMs = 0, conf = {} } = objectOf('offsets', firstObject(json))
  return {
    batchWatermarkMs: Number(batchWatermarkMs),
    batchTimestampMs: Number(batchTimestampMs),
    conf: Object.fromEntries(Object.entries(conf as object).map(([key, value]) => [key, String(value)])),
  }
}

/**
 * The settings to run with: those that the log has pinned, as they are there; `whenAbsent` for those that a log from before
 * they existed lacks; the current ones otherwise.
 */
export function pinnedConf(
  saved: Readonly<Record<string, string>>,
  current: Readonly<Record<string, string>>,
  whenAbsent: Readonly<Record<string, string>> = {},
): Record<string, string> {
  return { ...current, ...whenAbsent, ...saved }
}

/** The first object of a text, whatever comes behind it. */
function firstObject(text: string): string {
  let depth = 0
  for (const { 0: token, index } of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}]/g)) {
    if (token === '{') depth++
    else if (token === '}' && --depth === 0) return text.slice(0, index + 1)
  }
  return text
}

function objectOf(log: string, json: string): Record<string, unknown> {
  const value = parsed(log, json)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw broken(log, `${json} is no object`)
  return value as Record<string, unknown>
}

function parsed(log: string, json: string): unknown {
  try {
    return JSON.parse(json)
  } catch (error) {
    throw new SquallError('metadata-broken', { log, reason: reasonOf(error) }, {}, { cause: error })
  }
}

function unwritable(log: string, reason: string, cause?: unknown): SquallError {
  return new SquallError('metadata-unwritable', { log, reason }, {}, { cause })
}

function broken(log: string, reason: string): SquallError {
  return new SquallError('metadata-broken', { log, reason })
}
