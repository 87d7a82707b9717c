/**
 * What a stream carries: a zod object, seen as a list of named, typed fields.
 *
 * `fieldsOf` turns a zod schema into plain frozen data (`Field[]`) once, when the plan is built. The codec between
 * executors, the check at emit and the plan's comparison of streams all work from that data and never from zod.
 */
import { z } from 'zod'

export type FieldType =
  | { readonly kind: 'string' | 'int' | 'number' | 'boolean' | 'bigint' | 'date' | 'bytes' | 'any' }
  | { readonly kind: 'array'; readonly of: FieldType }
  | { readonly kind: 'object'; readonly fields: readonly Field[] }
  /** the value, or `null` */
  | { readonly kind: 'nullable'; readonly of: FieldType }
  /** the value, or `undefined` */
  | { readonly kind: 'optional'; readonly of: FieldType }

export interface Field {
  readonly name: string
  readonly type: FieldType
}

/** The fields of a stream's schema, in declaration order. Anything without a fixed type is `any` (msgpack on the wire). */
export function fieldsOf(schema: z.ZodType): readonly Field[] {
  const known = fieldsBySchema.get(schema)
  if (known !== undefined) return known
  const type = new Reader().typeOf(schema)
  const fields = type.kind === 'object' ? type.fields : []
  fieldsBySchema.set(schema, fields)
  return fields
}

/** Many streams share one schema. */
const fieldsBySchema = new WeakMap<z.ZodType, readonly Field[]>()

/** Whether tuples of `schema` have fields. */
export function isTupleSchema(schema: unknown): schema is z.ZodType {
  return schema instanceof z.ZodObject || (schema instanceof z.ZodReadonly && isTupleSchema(schema.unwrap()))
}

/** Fields that JavaScript does not let be fields: `__proto__`, at any depth. */
export function badFieldsOf(schema: z.ZodType): readonly string[] {
  const within = (type: FieldType, path: string): readonly string[] => {
    if (type.kind === 'object')
      return type.fields.flatMap((field) => [
        ...(field.name === '__proto__' ? [path + field.name] : []),
        ...within(field.type, `${path}${field.name}.`),
      ])
    return 'of' in type ? within(type.of, path) : []
  }
  return within({ kind: 'object', fields: fieldsOf(schema) }, '')
}

/** A schema may contain itself, by getters even without end: what is inside of itself, or too deep or too much, is `any`. */
const depthMax = 32
const typesMax = 10_000

class Reader {
  readonly #open = new Set<unknown>()
  #types = 0

  typeOf(schema: unknown): FieldType {
    if (this.#open.has(schema) || this.#open.size >= depthMax || ++this.#types > typesMax) return frozen({ kind: 'any' })
    this.#open.add(schema)
    const type = this.#read(schema)
    this.#open.delete(schema)
    return type
  }

  #read(schema: unknown): FieldType {
    if (schema instanceof z.ZodObject)
      return frozen({
        kind: 'object',
        fields: Object.entries(schema.shape as Record<string, unknown>).map(([name, of]) => frozen({ name, type: this.typeOf(of) })),
      })
    if (schema instanceof z.ZodOptional) return frozen({ kind: 'optional', of: this.typeOf(schema.unwrap()) })
    if (schema instanceof z.ZodNullable) return frozen({ kind: 'nullable', of: this.typeOf(schema.unwrap()) })
    if (schema instanceof z.ZodReadonly) return this.typeOf(schema.unwrap())
    if (schema instanceof z.ZodArray) return frozen({ kind: 'array', of: this.typeOf(schema.element) })
    return plainTypeOf(schema)
  }
}

function plainTypeOf(schema: unknown): FieldType {
  if (schema instanceof z.ZodBoolean) return frozen({ kind: 'boolean' })
  if (schema instanceof z.ZodBigInt) return frozen({ kind: 'bigint' })
  if (schema instanceof z.ZodDate) return frozen({ kind: 'date' })
  if (schema instanceof z.ZodString || schema instanceof z.ZodStringFormat) return frozen({ kind: 'string' })
  if (schema instanceof z.ZodEnum)
    return Object.values(schema.enum).every((value) => typeof value === 'string') ? frozen({ kind: 'string' }) : frozen({ kind: 'any' })
  if (schema instanceof z.ZodNumber) return frozen({ kind: schema.format?.includes('int') === true ? 'int' : 'number' })
  if (
    schema instanceof z.ZodCustom &&
    schema.def.type === 'custom' &&
    schema.safeParse(new Uint8Array()).success &&
    !schema.safeParse('').success
  )
    return frozen({ kind: 'bytes' })
  return frozen({ kind: 'any' })
}

function frozen<T>(value: T): Readonly<T> {
  return Object.freeze(value)
}

/** Why tuples with the fields `given` do not fit `wanted`, or `undefined` if they do. More fields than wanted are fine. */
export function mismatch(given: readonly Field[], wanted: readonly Field[], path = ''): string | undefined {
  for (const { name, type } of wanted) {
    const source = given.find((field) => field.name === name)
    if (source === undefined) {
      if (type.kind === 'optional' || type.kind === 'any') continue
      return `the field ${path}${name} is missing`
    }
    const reason = typeMismatch(source.type, type, path + name)
    if (reason !== undefined) return reason
  }
  return undefined
}

function typeMismatch(given: FieldType, wanted: FieldType, path: string): string | undefined {
  if (wanted.kind === 'any' || given.kind === 'any') return undefined
  if (wanted.kind === 'optional' || wanted.kind === 'nullable')
    return typeMismatch(given.kind === wanted.kind ? given.of : given, wanted.of, path)
  if (given.kind === 'int' && wanted.kind === 'number') return undefined
  if (given.kind !== wanted.kind) return `the field ${path} is ${given.kind}, not ${wanted.kind}`
  if (given.kind === 'array' && wanted.kind === 'array') return typeMismatch(given.of, wanted.of, `${path}[]`)
  if (given.kind === 'object' && wanted.kind === 'object') return mismatch(given.fields, wanted.fields, `${path}.`)
  return undefined
}
