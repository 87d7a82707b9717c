/** What the coordinator remembers of batches: in memory, or in the two logs of a state directory. */
import { join } from 'node:path'
import { watermarkPolicy } from '../event-time.ts'
import type { WatermarkPolicy } from '../event-time.ts'
import type { FileSystem } from '../log/file-system.ts'
import { checkBegun, MetadataLog } from './metadata-log.ts'
import { commitFormat, offsetFormat, pinnedConf } from './metadata.ts'
import type { OffsetEntry } from './metadata.ts'
import type { Range } from '../source.ts'

/** What a batch is. */
export interface BatchRecord {
  readonly txid: number
  readonly timeMs: number
  /** what it takes, by stream; a stream that gives nothing is left out */
  readonly ranges: Readonly<Record<string, Range>>
}

/** What is written with a batch of those around it. */
export interface Around {
  /** what batches before it took last of each source, for when those are forgotten */
  readonly positions: Readonly<Record<string, Range>>
  /** up to here batches were ordered before, perhaps: what was written of those is void, but they were given blocks of receivers */
  readonly orderedTxid: number
}

export interface KnownBatch extends BatchRecord, Around {
  readonly isCommitted: boolean
}

/** The coordinator's side: what batches consist of. */
export interface BatchLog {
  /** what the results of the batches depend on: as they began, `undefined` where nothing is kept */
  readonly watermarkPolicy: WatermarkPolicy | undefined
  /** The batches that are known, oldest first: those that may be needed again, and those that are not committed. */
  read(): Promise<readonly KnownBatch[]>
  /** Durable when it resolves. */
  planned(batch: BatchRecord, around: Around): Promise<void>
  /** In the place of what was written down of this batch; what was of later ones is forgotten. */
  plannedAgain(batch: BatchRecord, around: Around): Promise<void>
  isCommitted(txid: number): Promise<boolean>
  /** Batches before this one are not needed any more. */
  forget(txid: number): Promise<void>
  close(): Promise<void>
}

/** For a topology without a state directory: a coordinator that starts anew knows nothing. */
export const noBatchLog: BatchLog = Object.freeze({
  watermarkPolicy: undefined,
  read: () => Promise.resolve([]),
  planned: () => Promise.resolve(),
  plannedAgain: () => Promise.resolve(),
  isCommitted: () => Promise.resolve(false),
  forget: () => Promise.resolve(),
  close: () => Promise.resolve(),
})

/** `asked`: the policy of a topology that begins; one that goes on keeps its own, and `warn` is told when that is another. */
export async function openBatchLog(
  folder: string,
  files: FileSystem,
  asked: WatermarkPolicy,
  warn: (message: string) => void,
): Promise<BatchLog> {
  const offsets = await MetadataLog.open({ folder: logFolder(folder), format: offsetFormat, files, report: warn })
  const conf = pinnedConf(offsets.latest?.entry.conf ?? {}, { watermarkPolicy: asked })
  const policy = watermarkPolicy(conf['watermarkPolicy'] ?? asked)
  if (policy !== asked)
    warn(`the watermark policy stays '${policy}', as the topology began; '${asked}' would make other results of what is kept`)
  return {
    watermarkPolicy: policy,
    async read() {
      const committed = await committedTxid(folder, files)
      // a batch that is planned anew and taken for committed would leave out what it takes
      if (committed > 0) checkBegun(committed, offsets.latest?.batch, { file: logFolder(folder) })
      return offsets.batches().map((txid) => {
        const entry = offsets.get(txid)
        const { batchTimestampMs: timeMs = 0, offsets: ranges = {}, conf: { positions = '{}', ordered = txid } = {} } = entry ?? {}
        return {
          txid,
          timeMs,
          ranges: ranges as Readonly<Record<string, Range>>,
          isCommitted: txid <= committed,
          positions: JSON.parse(positions) as Around['positions'],
          orderedTxid: Number(ordered),
        }
      })
    },
    async planned(batch, around) {
      await offsets.add(batch.txid, entryOf(batch, around, policy))
    },
    plannedAgain: (batch, around) => offsets.replace(batch.txid, entryOf(batch, around, policy)),
    isCommitted: async (txid) => (await committedTxid(folder, files)) >= txid,
    forget: (txid) => offsets.purge(txid),
    close: () => offsets.close(),
  }
}

/** The batch that is committed last, 0 for none. The driver writes it, perhaps in another thread or process. */
export async function committedTxid(folder: string, files: FileSystem): Promise<number> {
  const commits = await MetadataLog.read({ folder: logFolder(folder), format: commitFormat, files })
  return Math.max(0, ...commits.map(({ batch }) => batch))
}

/** What is known of the batches that are committed. */
export interface Committed {
  /** the last that is committed, 0 when there is none; `undefined`: nothing is kept */
  readonly txid: number | undefined
  readonly watermarkMs: number
  /** the watermark that the last one has used */
  readonly lateMs: number
}

function entryOf({ txid, timeMs, ranges }: BatchRecord, { positions, orderedTxid }: Around, policy: WatermarkPolicy): OffsetEntry {
  const conf = {
    watermarkPolicy: policy,
    ...(Object.keys(positions).length > 0 && { positions: JSON.stringify(positions) }),
    ...(orderedTxid > txid && { ordered: String(orderedTxid) }),
  }
  return { batchWatermarkMs: 0, batchTimestampMs: timeMs, conf, offsets: ranges }
}

/** The driver's side: which batches are committed, and the watermark for the next. */
export interface CommitLog {
  readonly last: Committed
  committed(txid: number, nextWatermarkMs: number): Promise<void>
  close(): Promise<void>
}

export const noCommitLog: CommitLog = Object.freeze({
  last: { txid: undefined, watermarkMs: 0, lateMs: 0 },
  committed: () => Promise.resolve(),
  close: () => Promise.resolve(),
})

/** Commits that are kept behind the last one. */
const commitsKept = 100

export async function openCommitLog(folder: string, files: FileSystem, report: (message: string) => void): Promise<CommitLog> {
  const commits = await MetadataLog.open({ folder: logFolder(folder), format: commitFormat, files, report })
  const watermarkAfter = (txid: number): number => commits.get(txid)?.nextBatchWatermarkMs ?? 0
  return {
    get last() {
      const txid = commits.latest?.batch ?? 0
      return { txid, watermarkMs: watermarkAfter(txid), lateMs: watermarkAfter(txid - 1) }
    },
    async committed(txid, nextBatchWatermarkMs) {
      await commits.add(txid, { nextBatchWatermarkMs })
      if (txid % commitsKept === 0) await commits.purge(txid - commitsKept)
    },
    close: () => commits.close(),
  }
}

function logFolder(folder: string): string {
  return join(folder, 'batches')
}
