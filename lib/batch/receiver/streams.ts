/**
 * How the parts of a topology that receives speak with each other: one spout more, and some streams to the batch bolt.
 *
 *     receivers (spout,      ── received ──▶ batch, the task      ── replica ──▶ another task ── report ──▶ batch, the driver
 *     a task an executor)       (direct)     of its executor         (direct)    keeps a copy    (direct)   keeps the tracker
 *                            ── state ─────────────────────────────────────────────────────────────────▶ who still receives
 *     batches (coordinator)  ── watch ─────────────────────────────────────────────────────────────────▶ acked when there is news
 *
 * A block is one tree of tuples: it is acked when it is kept where it should be and the tracker knows of it; only then is its
 * source told. A spout takes no tuples, so the coordinator hears by acks: it has a `watch` under way, and that is acked
 * when blocks wait for a batch, or when nothing will come any more.
 */
import { z } from 'zod'

export const ReceivedSchema = z.object({
  blockId: z.string(),
  stream: z.string(),
  records: z.int(),
  /** JSON */
  metadata: z.any(),
  /** from task to task of one executor, so they are handed over and not encoded */
  items: z.any(),
})
export type ReceivedTuple = Omit<z.infer<typeof ReceivedSchema>, 'items'> & { readonly items: readonly unknown[] }

export const ReportSchema = z.object({ blockId: z.string(), stream: z.string(), records: z.int(), metadata: z.any() })
export type ReportTuple = z.infer<typeof ReportSchema>

export const ReplicaSchema = ReportSchema.extend({ part: z.int(), parts: z.int(), bytes: z.instanceof(Uint8Array) })
export type ReplicaTuple = Omit<z.infer<typeof ReplicaSchema>, 'bytes'> & { readonly bytes: Uint8Array }

/**
 * `starting` is acked at once: the driver has the state directory. The others are held until there is other news of the task, or of all: `paused` may
 * receive again, `stopped` does not.
 */
export const StateSchema = z.object({ task: z.int(), state: z.enum(['starting', 'receiving', 'paused', 'stopped']) })
export type StateTuple = z.infer<typeof StateSchema>

/**
 * `data`: acked when blocks wait. `end`: when all receivers have stopped and all they stored is in batches that are committed; `over` are the tasks
 * whose receivers have stopped for good, of which a driver that is new does not hear any more.
 */
export const WatchSchema = z.object({ for: z.enum(['data', 'end']), over: z.array(z.int()) })
export type WatchTuple = z.infer<typeof WatchSchema>

/** What a batch takes of a stream that is received: the blocks that are allocated to it. */
export interface ReceivedRange {
  readonly batch: number
  /** records a second that are taken in from then on; absent = no limit */
  readonly rate?: number
}

export type KeeperStreams = { readonly replica: ReplicaTuple; readonly report: ReportTuple }
export type ReceiverStreams = { readonly received: ReceivedTuple; readonly state: StateTuple }
