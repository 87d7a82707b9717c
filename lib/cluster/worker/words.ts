/** What the lead of a run and the sites of other workers say to each other, as JSON over their link. Commands are answered in any order. */
import { z } from 'zod'
import { errorTable } from '../../errors.ts'
import type { ErrorCode, ErrorData } from '../../errors.ts'
import { garbled, wordsOf } from './frames.ts'

const Executors = z.array(z.int().min(0)).max(4_096)
/** what the head of a frame has room for */
const LaneNumber = z.int().min(0).max(0xffff_ffff)
const Counts = z.record(z.string(), z.number())
const Code = z.custom<ErrorCode>((value) => typeof value === 'string' && Object.hasOwn(errorTable, value), 'no code of an error')
/** shown to people, and used for nothing else */
const Fault: z.ZodType<ErrorData> = z.object({
  code: Code,
  what: z.string(),
  help: z.string(),
  where: z.record(z.string(), z.union([z.string(), z.number()])),
  stack: z.string(),
  faults: z.array(z.lazy(() => Fault)).max(1_000),
})
const Failure = z.object({
  component: z.string(),
  task: z.int(),
  executor: z.int(),
  atMs: z.number(),
  message: z.string(),
  stack: z.string(),
  // a field that is undefined is none in JSON
  tuple: z
    .string()
    .optional()
    .transform((tuple) => tuple),
})

export const Command = z.discriminatedUnion('do', [
  z.object({ do: z.literal('meet') }),
  /** `workers`: where each executor of the run is now */
  z.object({ do: z.literal('adopt'), executors: Executors, workers: Executors }),
  z.object({ do: z.literal('drop'), executors: Executors }),
  z.object({ do: z.literal('start'), executors: Executors }),
  z.object({ do: z.literal('setActive'), isActive: z.boolean() }),
  z.object({ do: z.literal('finish'), component: z.int() }),
  z.object({ do: z.literal('renew'), executors: Executors, number: LaneNumber }),
  z.object({ do: z.literal('lose'), executors: Executors }),
  z.object({ do: z.literal('close') }),
  z.object({ do: z.literal('end') }),
  z.object({ do: z.literal('kill'), executor: z.int() }),
])
export type Command = z.infer<typeof Command>

const State = z.object({ running: Executors, lanes: LaneNumber })

/** What an executor says of itself when it rests. */
const Rest = z.object({
  executor: z.int(),
  isQuiet: z.boolean(),
  sent: z.array(z.int()).max(4_096),
  received: z.array(z.int()).max(4_096),
  heldUp: z.tuple([z.int(), z.int()]),
})
export type Rest = z.infer<typeof Rest>

export const Words = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('command'), id: z.int(), command: Command }),
  z.object({ kind: z.literal('did'), id: z.int(), error: Fault.optional(), state: State.optional() }),
  z.object({ kind: z.literal('error'), error: Failure }),
  z.object({ kind: z.literal('fatal'), error: Fault }),
  z.object({ kind: z.literal('counters'), counters: z.array(z.tuple([z.int(), Counts])) }),
  z.object({ kind: z.literal('died'), executors: Executors, reason: z.string() }),
  z.object({ kind: z.literal('rests'), rests: z.array(Rest).max(4_096) }),
  z.object({ kind: z.literal('pressure'), executor: z.int().min(0), parked: z.int() }),
])
export type Words = z.infer<typeof Words>

/** @throws SquallError `link-garbled` */
export function wordsFrom(message: Uint8Array): Words {
  const parsed = Words.safeParse(wordsOf(message))
  if (!parsed.success) throw garbled(z.prettifyError(parsed.error))
  return parsed.data
}
