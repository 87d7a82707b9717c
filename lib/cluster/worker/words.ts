/** What the lead of a run and the sites of other workers say to each other, as JSON over their link. Commands are answered in any order. */
import { z } from 'zod'
import type { ErrorData } from '../../errors.ts'
import type { ComponentError } from '../../engine/run-types.ts'
import { garbled, wordsOf } from './frames.ts'

const Executors = z.array(z.int().min(0)).max(4_096)
const Counts = z.record(z.string(), z.number())
/** faults and errors are shown to people, and used for nothing else */
const Fault = z.custom<ErrorData>((value) => typeof value === 'object' && value !== null && 'code' in value)
const Failure = z.custom<ComponentError>((value) => typeof value === 'object' && value !== null && 'component' in value)

export const Command = z.discriminatedUnion('do', [
  z.object({ do: z.literal('meet') }),
  z.object({ do: z.literal('adopt'), executors: Executors }),
  z.object({ do: z.literal('drop'), executors: Executors }),
  z.object({ do: z.literal('start'), executors: Executors }),
  z.object({ do: z.literal('setActive'), isActive: z.boolean() }),
  z.object({ do: z.literal('finish'), component: z.int() }),
  /** `workers`: where each of them is now */
  z.object({ do: z.literal('renew'), executors: Executors, workers: Executors, number: z.int() }),
  z.object({ do: z.literal('lose'), executors: Executors }),
  z.object({ do: z.literal('close') }),
  z.object({ do: z.literal('end') }),
  z.object({ do: z.literal('kill'), executor: z.int() }),
])
export type Command = z.infer<typeof Command>

const State = z.object({ running: Executors, lanes: z.int() })

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
  /** `after`: commands that were done before */
  z.object({ kind: z.literal('rests'), after: z.int(), rests: z.array(Rest).max(4_096) }),
  z.object({ kind: z.literal('pressure'), executor: z.int().min(0), parked: z.int() }),
])
export type Words = z.infer<typeof Words>

/** @throws SquallError `link-garbled` */
export function wordsFrom(message: Uint8Array): Words {
  const parsed = Words.safeParse(wordsOf(message))
  if (!parsed.success) throw garbled(z.prettifyError(parsed.error))
  return parsed.data
}
