/** What every emitted tuple passes: the kinds of its values, and with the setting `check` its whole schema and whether it could travel. */
import type { z } from 'zod'
import { SquallError, placed } from '../errors.ts'
import type { Plan } from '../topology/plan.ts'
import type { Field } from '../topology/schema.ts'
import { compileCheck, compileCodec } from '../wire/codec.ts'
import { limitsWith } from '../wire/limits.ts'
import { WordWriter } from '../wire/words.ts'
import type { Values } from './outlet.ts'

/** Throws `value-mismatch` or `value-refused` for a tuple that its stream cannot hold. */
export type Check = (values: Values) => void

/** The check of each stream of a plan, by stream number. */
export function checksOf({ streams, config }: Plan): readonly Check[] {
  return streams.map(({ fields, schema, component, name }) => {
    const check = compileCheck(fields)
    return withPlace(config.check ? fullCheck(check, schema, fields) : check, component, name)
  })
}

function withPlace(check: Check, component: string, stream: string): Check {
  return (values) => {
    try {
      check(values)
    } catch (error) {
      if (!(error instanceof SquallError)) throw error
      throw placed(error, { component, stream })
    }
  }
}

/** The whole schema, refinements and all; and values without a type as another executor would get them, though there may be none. */
function fullCheck(kinds: Check, schema: z.ZodType, fields: readonly Field[]): Check {
  const codec = compileCodec(fields)
  const scratch = new WordWriter(limitsWith({}), 64)
  return (values) => {
    kinds(values)
    codec.encode(scratch, 0, values)
    const parsed = schema.safeParse(values)
    if (parsed.success) return
    const issue = parsed.error.issues[0]
    const field = issue?.path.join('.') ?? ''
    throw new SquallError('value-refused', { field, reason: issue?.message ?? 'invalid' }, { field })
  }
}
