/** Spark's OffsetSeqLogSuite and CommitLogSuite: entries as text, and logs of them in a folder of the test's own. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MetadataLog, commitFormat, decodeEntry, encodeEntry, offsetFormat, parseBatchMetadata } from '../../../lib/index.ts'
import type { CommitEntry, EntryFormat, OffsetEntry } from '../../../lib/index.ts'
import { all, isRecord, same } from '../vectors.ts'
import type { Adapter, Verdict, VectorCase } from '../vectors.ts'

export const metadataLogs: Adapter = {
  isFor: ({ suite, file, sources }) => /\b(OffsetSeqLogSuite|CommitLogSuite|MetadataLogSuites)\b/.test([suite, file, ...sources].join(' ')),
  async run(one) {
    const { operation, input } = one
    if (/parse .*metadata/i.test(operation)) return metadata(one)
    if (/restart/i.test(operation)) return await restarted(one)
    if (/^(read|parse|deserialize)\b/i.test(operation)) return entriesRead(one)
    if (isCalls(input)) return await calls(one, input)
    if (/entry|ser(ialization|de)/i.test(operation)) return roundTrip(one)
    return undefined
  },
}

/** `input`: lines of metadata; `expected`: `[batchWatermarkMs, batchTimestampMs, conf]` of each. */
function metadata({ input, expected }: VectorCase): Verdict {
  if (!Array.isArray(input) || (!Array.isArray(expected) && expected !== undefined)) return undefined
  return all(
    input.map((line, i) => {
      const { batchWatermarkMs, batchTimestampMs, conf } = parseBatchMetadata(String(line))
      return expected === undefined || same(`line ${i + 1}`, [batchWatermarkMs, batchTimestampMs, conf], expected[i])
    }),
  )
}

/** `input`: texts of entries; `expected`: of each what it holds, with the keys that matter. */
function entriesRead({ operation, params, input, expected, notes }: VectorCase): Verdict {
  if (!Array.isArray(input)) return undefined
  const version = Number(params['readerVersion'] ?? params['version'] ?? /reader .*v(\d+)/.exec(operation)?.[1]) || undefined
  const isCommit = /commit/i.test(`${operation} ${notes}`) || input.some((text) => String(text).includes('nextBatchWatermarkMs'))
  const read = input.map((text) =>
    isCommit ? decodeEntry(commitFormat, String(text), version) : plain(decodeEntry(offsetFormat, String(text), version)),
  )
  if (!Array.isArray(expected)) return isRecord(expected) && read.length === 1 ? part(read[0], expected) : undefined
  return all(expected.map((wanted, i) => (isRecord(wanted) ? part(read[i], wanted) : same(`entry ${i + 1}`, valuesOf(read[i]), wanted))))
}

/** Only what is expected is compared. */
function part(entry: unknown, wanted: Readonly<Record<string, unknown>>): Verdict {
  if (!isRecord(entry)) return 'there is no entry'
  return all(Object.entries(wanted).map(([key, value]) => (Object.hasOwn(entry, key) ? same(key, entry[key], value) : undefined)))
}

/** An offset entry as a case would write it: its sources by place, its metadata also as a list. */
function plain(entry: OffsetEntry): Record<string, unknown> {
  const { batchWatermarkMs, batchTimestampMs, conf } = entry
  return { ...entry, offsets: Object.values(entry.offsets), metadata: [batchWatermarkMs, batchTimestampMs, conf] }
}

function valuesOf(entry: unknown): unknown {
  return isRecord(entry) && Array.isArray(entry['offsets']) ? entry['offsets'] : entry
}

/** `input`: one entry or several; each is written in the version and read back. */
function roundTrip({ operation, params, input, expected }: VectorCase): Verdict {
  const version = Number(params['version'] ?? /version (\d+)|v(\d+)/i.exec(operation)?.slice(1).join('')) || undefined
  const entries = Array.isArray(input) ? input : [input]
  if (!entries.every(isRecord)) return undefined
  const read = entries.map((entry) => {
    if ('nextBatchWatermarkMs' in entry || /commit/i.test(operation))
      return roundTripped(commitFormat, entry as unknown as CommitEntry, version)
    const whole = {
      batchWatermarkMs: 0,
      batchTimestampMs: 0,
      conf: {},
      ...(entry as Partial<OffsetEntry>),
      offsets: { ...(entry['offsets'] as object) },
    }
    return plain(roundTripped(offsetFormat, whole, version))
  })
  if (isRecord(expected)) return part(read[0], expected)
  return Array.isArray(expected) ? all(expected.map((wanted, i) => (isRecord(wanted) ? part(read[i], wanted) : undefined))) : undefined
}

function roundTripped<T>(format: EntryFormat<T>, entry: T, version = 1): T {
  return decodeEntry(format, encodeEntry(format, entry, version), version)
}

/** `params`: the versions that are configured at the start and at the restart; `input`: what each run adds. */
async function restarted({ params, input, expected, operation }: VectorCase): Promise<Verdict> {
  const [start, restart] = [Number(params['start']), Number(params['restart'])]
  if (!(start > 0) || !(restart > 0) || !isRecord(expected)) return undefined
  const runs = Array.isArray(input) ? (input as readonly unknown[]) : [[], []]
  return await withFolder(async (folder) => {
    let version = 0
    let batch = 0
    for (const [run, configured] of [start, restart].entries()) {
      const isCommit = /commit/i.test(operation)
      const log = isCommit
        ? await MetadataLog.open({ folder, format: commitFormat, version: configured })
        : await MetadataLog.open({ folder, format: offsetFormat, version: configured })
      for (const value of [runs[run]].flat())
        await (isCommit
          ? (log as MetadataLog<CommitEntry>).add(batch++, { nextBatchWatermarkMs: 0 })
          : (log as MetadataLog<OffsetEntry>).add(batch++, { batchWatermarkMs: 0, batchTimestampMs: 0, conf: {}, offsets: { 0: value } }))
      version = log.version
      await log.close()
    }
    return all(Object.entries(expected).map(([what, value]) => (/format|version/i.test(what) ? same(what, version, value) : undefined)))
  })
}

type Call = readonly [name: string, ...args: unknown[]]

function isCalls(input: unknown): input is readonly Call[] {
  return Array.isArray(input) && input.length > 0 && input.every((call) => Array.isArray(call) && typeof call[0] === 'string')
}

/** `input`: calls to a log, e.g. `["add", 0, [1, 2]]`, `["get", 0]`, `["getLatest"]`; `expected`: what each gave. */
async function calls({ params, expected }: VectorCase, input: readonly Call[]): Promise<Verdict> {
  if (!Array.isArray(expected)) return undefined
  return await withFolder(async (folder) => {
    const version = Number(params['version'] ?? 1)
    let log = await MetadataLog.open({ folder, format: offsetFormat, version })
    const offsetsOf = (batch: unknown): unknown => {
      const entry = log.get(Number(batch))
      return entry === undefined ? null : Object.values(entry.offsets)
    }
    const verdicts: Verdict[] = []
    for (const [i, [name, ...args]] of input.entries()) {
      let result: unknown
      if (name === 'add') {
        const offsets = Object.fromEntries([args[1]].flat().map((offset, place) => [place, offset]))
        result = await log.add(Number(args[0]), { batchWatermarkMs: 0, batchTimestampMs: 0, conf: {}, offsets })
      } else if (/^(get)?latest$/i.test(name)) result = log.latest === undefined ? null : [log.latest.batch, offsetsOf(log.latest.batch)]
      else if (/range|^get$/i.test(name) && args.length === 2)
        result = log.batches(bound(args[0], -Infinity), bound(args[1], Infinity)).map((batch) => [batch, offsetsOf(batch)])
      else if (name === 'get') result = offsetsOf(args[0])
      else if (name === 'purge') {
        await log.purge(Number(args[0]))
        result = null
      } else if (/^(restart|reopen|recover)$/.test(name)) {
        await log.close()
        log = await MetadataLog.open({ folder, format: offsetFormat, version })
        result = null
      } else return undefined
      verdicts.push(expected[i] === null || same(`${i + 1}. ${name}`, result, expected[i]))
    }
    await log.close()
    return all(verdicts)
  })
}

function bound(value: unknown, otherwise: number): number {
  return value === null || value === undefined ? otherwise : Number(value)
}

async function withFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'squall-metadata-'))
  try {
    return await work(folder)
  } finally {
    await rm(folder, { recursive: true })
  }
}
