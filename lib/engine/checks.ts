/** What every emitted tuple passes: the kinds of its values, and with the setting `check` its whole schema and whether it could travel. */
import type { z } from 'zod'
import { SquallError } from '../errors.ts'
import type { Plan } from '../topology/plan.ts'
import type { Field } from '../topology/schema.ts'
import { compileCheck, compileCodec } from '../wire/codec.ts'
import type { Values } from '../wire/codec.ts'
import { tupleHeadWords } from '../wire/bundle.ts'
import { limitsWith, wireLimits } from '../wire/limits.ts'
import { WordWriter, tooLarge } from '../wire/words.ts'

const { tupleBytesMax } = wireLimits

/** Gives back what is to be delivered. Throws `value-mismatch` or `value-refused` for a tuple that its stream cannot hold. */
export type Check = (values: Values) => Values

/** The check of each stream of a plan, by stream number. */
export function checksOf({ streams, config }: Plan): readonly Check[] {
  return streams.map(({ fields, schema }) => (config.check ? fullCheck(schema, fields) : compileCheck(fields)))
}

/** The whole schema, refinements and all; and values without a type as another executor would get them, though there may be none. */
function fullCheck(schema: z.ZodType, fields: readonly Field[]): Check {
  const kinds = compileCheck(fields)
  const codec = compileCodec(fields)
  const isShadowing = fields.some(({ name }) => name in Object.prototype)
  const scratch = new WordWriter(limitsWith({}), 64)
  return (values) => {
    kinds(values)
    const bytes = (tupleHeadWords + codec.encode(scratch, 0, values)) * 4
    if (bytes > tupleBytesMax) throw tooLarge('a tuple', bytes, 'tupleBytesMax', tupleBytesMax)
    const parsed = schema.safeParse(isShadowing ? bare(values) : values)
    if (parsed.success) return declared(values, fields)
    const issue = parsed.error.issues[0]
    const field = issue?.path.join('.') ?? ''
    throw new SquallError('value-refused', { field, reason: issue?.message ?? 'invalid' }, { field })
  }
}

/** A copy that has no more than its own: a field may be named like what every object has. */
function bare(values: Values): Values {
  return Object.assign(Object.create(null) as object, values)
}

/** The tuple with the fields of its schema and no others, as another executor would get it, though there may be none. */
function declared(values: Values, fields: readonly Field[]): Values {
  const isDeclared = (name: string): boolean => fields.some((field) => field.name === name)
  const names = Object.keys(values)
  return names.every(isDeclared) ? values : Object.fromEntries(names.filter(isDeclared).map((name) => [name, values[name]]))
}
