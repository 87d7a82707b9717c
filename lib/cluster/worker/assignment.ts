/** What a worker is told: once, as it is launched, and again whenever the assignment of its topology has changed. */
import { z } from 'zod'
import { workersMax } from '../../config.ts'
import type { ConfigInput } from '../../config.ts'
import { ResultRecord } from '../records.ts'
import { garbled, wordsOf } from './frames.ts'
import { Ports } from './ports.ts'

const WorkerPlace = z.object({
  worker: z.int().min(0).max(9_999),
  /** grows each time the worker is placed anew */
  incarnation: z.int().min(1),
  executors: z.array(z.int().min(0)).max(4_096),
  /** where its links are, once that is known */
  url: z.string().max(1_000).optional(),
})
export type WorkerPlace = z.infer<typeof WorkerPlace>

/** Who runs what of a topology. */
export const Assignment = z.object({
  /** grows with every change */
  epoch: z.int().min(1),
  /** grows as well, over all deployments of the name */
  fence: z.int().min(0),
  executors: z.int().min(1).max(4_096),
  workers: z.array(WorkerPlace).min(1).max(workersMax),
  isActive: z.boolean(),
})
export type Assignment = z.infer<typeof Assignment>

const TlsFiles = z.object({ cert: z.string(), key: z.string(), ca: z.string() })

/** How a worker's process begins; a file that only its user can read. */
export const Launch = z.object({
  topology: z.string(),
  /** of this deployment of the topology */
  id: z.string(),
  worker: z.int().min(0),
  incarnation: z.int().min(1),
  /** the bundle, an ES module */
  module: z.string(),
  params: z.record(z.string(), z.unknown()),
  config: z.custom<ConfigInput>((value) => typeof value === 'object' && value !== null),
  host: z.string(),
  /** where its links may listen (any that is free) */
  ports: Ports.optional(),
  token: z.string().min(1),
  tls: TlsFiles.optional(),
  /** holds the address of the supervisor's API, another one after it was started again; without it, state stays on this host's disk */
  homeFile: z.string().optional(),
})
export type Launch = z.infer<typeof Launch>

const Positions = z.record(z.string(), z.number())
export type Positions = Readonly<z.infer<typeof Positions>>

/** What supervisor and worker say to each other. */
const ToWorker = z.discriminatedUnion('kind', [
  /** `positions`: where each spout task would go on, by the name of the task */
  z.object({ kind: z.literal('assignment'), assignment: Assignment, positions: Positions }),
  z.object({ kind: z.literal('stop'), drainMs: z.number().min(0) }),
  z.object({ kind: z.literal('snapshot'), id: z.int() }),
])
export type ToWorker = z.infer<typeof ToWorker>

/** How a run has ended, in words that travel. */
export const Outcome = ResultRecord.omit({ id: true, atMs: true })
export type Outcome = z.infer<typeof Outcome>

const FromWorker = z.discriminatedUnion('kind', [
  /** every second, and when something changes */
  z.object({
    kind: z.literal('beat'),
    pid: z.int(),
    epoch: z.int(),
    state: z.enum(['starting', 'running', 'stopping']),
    positions: Positions,
    rssBytes: z.number(),
    /** how many executors have died in this process, and of what the last one */
    executors: z
      .object({
        deaths: z.int().min(0),
        last: z.object({ code: z.string().max(100), message: z.string().max(4_000), atMs: z.number() }).optional(),
      })
      .optional(),
  }),
  z.object({ kind: z.literal('over'), outcome: Outcome }),
  z.object({ kind: z.literal('snapshot'), id: z.int(), snapshot: z.unknown() }),
])
export type FromWorker = z.infer<typeof FromWorker>

/** @throws SquallError `link-garbled` */
export function toWorkerFrom(message: Uint8Array): ToWorker {
  return checked(ToWorker, message)
}

/** @throws SquallError `link-garbled` */
export function fromWorkerFrom(message: Uint8Array): FromWorker {
  return checked(FromWorker, message)
}

function checked<T extends z.ZodType>(schema: T, message: Uint8Array): z.infer<T> {
  const parsed = schema.safeParse(wordsOf(message))
  if (!parsed.success) throw garbled(z.prettifyError(parsed.error))
  return parsed.data
}
