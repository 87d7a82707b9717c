/** A part of a worker's log, as supervisors and nimbus give it. */
import { z } from 'zod'

export const LogPart = z.object({
  /** where the text begins; elsewhere than was asked for when the file was cut meanwhile */
  from: z.number(),
  /** where to go on */
  next: z.number(),
  size: z.number(),
  text: z.string(),
})
export type LogPart = z.infer<typeof LogPart>
