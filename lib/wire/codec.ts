/**
 * Compiled codecs: the fields of a stream become one function that writes a tuple's values as words and one that reads
 * them back, generated once when the plan is built.
 *
 * The source text comes from our own schema and from nothing that arrived: names are quoted by `JSON.stringify`, and no
 * value and no byte of the wire is ever part of it. Decoded tuples are object literals with every field in place, so
 * all tuples of a stream share one hidden class; a field of an optional type that was absent arrives as `undefined`.
 *
 * Values on the wire, in 32-bit words (strings: `words.ts`, any: `any.ts`):
 *
 *     int       value << 1 when it fits 31 bits; else high half << 1 | 1, low half
 *     number    two words: a float64, every bit of it
 *     boolean   0 or 1
 *     bigint    a hexadecimal string
 *     date      as number: milliseconds; an invalid date stays one
 *     bytes     size, bytes padded to a word; they arrive as a Uint8Array of their own
 *     array     count, items
 *     object    its fields (a 0 if it has none)
 *     nullable, optional   0, or 1 and the value
 *
 * Every value takes at least one word: what a decoder allocates is bounded by the size of what it was given.
 */
import { SquallError } from '../errors.ts'
import type { Field, FieldType } from '../topology/schema.ts'
import { putAny, takeAny } from './any.ts'
import { limitsWith, type WireLimits } from './limits.ts'
import {
  corrupt,
  putBigInt,
  putBytes,
  putFloat,
  putString,
  putWideInt,
  takeBigInt,
  takeBytes,
  takeCount,
  takeFlag,
  takeFloat,
  takeInt,
  takeString,
  tooLarge,
  type WordReader,
  type WordWriter,
} from './words.ts'

/** A tuple's values by field. */
export type Values = Readonly<Record<string, unknown>>

/** What a schema compiles to. Both functions are free of state: one codec serves any number of bundles. */
export interface TupleCodec {
  readonly fields: readonly Field[]
  /**
   * Writes `values` at word `p` of `out` and returns the word after them; `out.position` stays. Fields that the schema
   * does not have are left out.
   * @throws SquallError `value-mismatch`, `wire-limit`
   */
  encode(out: WordWriter, p: number, values: Values): number
  /**
   * Reads the values at `source.position` and moves it past them. The caller checks that it did not pass `source.end`.
   * @throws SquallError `bundle-corrupt`, `wire-limit`
   */
  decode(source: WordReader): Values
}

/**
 * Compiles the codec of a stream.
 *
 *     const codec = compileCodec([{ name: 'word', type: { kind: 'string' } }, { name: 'n', type: { kind: 'int' } }])
 *
 * @throws SquallError `bad-name` for a field called `__proto__`, `wire-limit` for a schema nested deeper than `depthMax`
 */
export function compileCodec(fields: readonly Field[], limits: Partial<WireLimits> = {}): TupleCodec {
  checkSchema(fields, limitsWith(limits).depthMax)
  return { fields, encode: compileEncoder(fields), decode: compileDecoder(fields) }
}

/**
 * Compiles a check of values by kind alone, for tuples that never leave their thread: the same values pass that an
 * encoder takes, except that sizes and the inside of an `any` are not looked at. A few ns a field.
 * The check gives back what it was given, or throws SquallError `value-mismatch`.
 */
export function compileCheck(fields: readonly Field[]): (values: Values) => Values {
  checkSchema(fields, limitsWith({}).depthMax)
  const names = new Names()
  const body = checkObject('values', pathOf(), fields, names)
  return generate(`return function check(values) {\n${refuseNonTuple}${body}return values\n}`) as (values: Values) => Values
}

function checkSchema(fields: readonly Field[], depthMax: number): void {
  const depth = depthOf({ kind: 'object', fields })
  if (depth > depthMax)
    throw new SquallError('wire-limit', { what: 'the nesting of a schema', size: depth, limit: 'depthMax', max: depthMax })
}

function depthOf(type: FieldType): number {
  if (type.kind === 'array' || type.kind === 'nullable' || type.kind === 'optional') return 1 + depthOf(type.of)
  if (type.kind !== 'object') return 1
  return 1 + Math.max(0, ...type.fields.map((field) => (assertName(field.name), depthOf(field.type))))
}

/** `__proto__` in an object literal is not a field. */
function assertName(name: string): void {
  if (name === '__proto__') throw new SquallError('bad-name', { name, what: 'field' })
}

// -- generating

/** Names for the variables of generated code. */
class Names {
  #count = 0

  next(): string {
    return `v${this.#count++}`
  }
}

/** A JavaScript expression for the path of a value, evaluated only when that value is refused. */
type PathExpression = string

function pathOf(): PathExpression {
  return '""'
}

function memberPath(path: PathExpression, name: string): PathExpression {
  return path === pathOf() ? JSON.stringify(name) : `${path} + ${JSON.stringify(`.${name}`)}`
}

function itemPath(path: PathExpression, index: string): PathExpression {
  return `${path} + "[" + ${index} + "]"`
}

const refuseNonTuple = 'if (typeof values !== "object" || values === null) throw mismatch("the tuple", "object", values)\n'

const runtime = {
  corrupt,
  mismatch,
  putAnyAt,
  putBigInt,
  putBytes,
  putFloat,
  putString,
  putWideInt,
  takeAny,
  takeBigInt,
  takeBytes,
  takeCount,
  takeFlag,
  takeFloat,
  takeInt,
  takeString,
  tooManyItems,
}

function generate(source: string): unknown {
  // oxlint-disable-next-line typescript/no-implied-eval -- generated from our own schema, never from the wire
  const build = new Function(...Object.keys(runtime), `'use strict'\n${source}`) as (...parts: unknown[]) => unknown
  return build(...Object.values(runtime))
}

/** The error for a value that does not fit its kind. */
function mismatch(path: string, kind: string, value: unknown): SquallError {
  const wanted = kind === 'date' ? 'date: new Date(milliseconds)' : kind
  return new SquallError('value-mismatch', { field: path, value: preview(value), kind: wanted }, { field: path })
}

function tooManyItems(out: WordWriter, path: string, count: number): SquallError {
  return tooLarge(`the array ${path}`, count, 'arrayItemsMax', out.limits.arrayItemsMax)
}

function preview(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}...` : value)
  if (typeof value === 'bigint') return 'a bigint'
  if (typeof value === 'function') return 'a function'
  if (typeof value !== 'object' || value === null) return String(value)
  return Array.isArray(value) ? 'an array' : `an object (${Object.prototype.toString.call(value).slice(8, -1)})`
}

/** `putAny`, whose refusal becomes a refusal of this field. */
function putAnyAt(out: WordWriter, p: number, path: string, value: unknown): number {
  try {
    return putAny(out, p, value)
  } catch (cause) {
    if (cause instanceof SquallError && cause.code === 'wire-limit') throw cause
    throw new SquallError(
      'value-mismatch',
      { field: path, value: preview(value), kind: 'any: what msgpack can hold' },
      { field: path },
      { cause },
    )
  }
}

/** An expression for a field of an object; one named like what every object has, such as `constructor`, has to be its own. */
function member(object: string, name: string): string {
  const key = JSON.stringify(name)
  return name in Object.prototype ? `(Object.hasOwn(${object}, ${key}) ? ${object}[${key}] : undefined)` : `${object}[${key}]`
}

// -- the check: `value` is an expression without side effects

/** A JavaScript condition that holds when `value` is not of `kind`. */
function refusal(value: string, kind: FieldType['kind']): string {
  switch (kind) {
    case 'int':
      return `!Number.isSafeInteger(${value})`
    case 'date':
      return `!(${value} instanceof Date)`
    case 'bytes':
      return `!(${value} instanceof Uint8Array)`
    case 'array':
      return `!Array.isArray(${value})`
    case 'object':
      return `typeof ${value} !== "object" || ${value} === null`
    default:
      return `typeof ${value} !== ${JSON.stringify(kind)}`
  }
}

function refuse(value: string, path: PathExpression, kind: FieldType['kind']): string {
  return `if (${refusal(value, kind)}) throw mismatch(${path}, ${JSON.stringify(kind)}, ${value})\n`
}

function checkObject(object: string, path: PathExpression, fields: readonly Field[], names: Names): string {
  return fields
    .map(({ name, type }) => {
      const value = names.next()
      return `const ${value} = ${member(object, name)}\n${checkValue(value, memberPath(path, name), type, names)}`
    })
    .join('')
}

function checkValue(value: string, path: PathExpression, type: FieldType, names: Names): string {
  switch (type.kind) {
    case 'any':
      return ''
    case 'nullable':
      return `if (${value} !== null) {\n${checkValue(value, path, type.of, names)}}\n`
    case 'optional':
      return `if (${value} !== undefined) {\n${checkValue(value, path, type.of, names)}}\n`
    case 'array': {
      const index = names.next()
      const item = names.next()
      const each = checkValue(item, itemPath(path, index), type.of, names)
      return `${refuse(value, path, 'array')}for (let ${index} = 0; ${index} < ${value}.length; ${index}++) {\nconst ${item} = ${value}[${index}]\n${each}}\n`
    }
    case 'object':
      return refuse(value, path, 'object') + checkObject(value, path, type.fields, names)
    default:
      return refuse(value, path, type.kind)
  }
}

// -- the encoder: `out`, `p` and `w` (the words of `out`, read again after whatever may have grown them)

function compileEncoder(fields: readonly Field[]): TupleCodec['encode'] {
  const body = encodeObject('values', pathOf(), fields, new Names())
  return generate(
    `return function encode(out, p, values) {\n${refuseNonTuple}let w = out.grow(p, ${roomOf({ kind: 'object', fields })})\n${body}return p\n}`,
  ) as TupleCodec['encode']
}

/** Words to make room for before a value is written; what holds others, or may be long, makes the rest itself. */
function roomOf(type: FieldType): number {
  switch (type.kind) {
    case 'object':
      return Math.max(
        1,
        type.fields.reduce((sum, field) => sum + roomOf(field.type), 0),
      )
    case 'nullable':
    case 'optional':
      return 1 + roomOf(type.of)
    case 'string':
    case 'bigint':
      return 4
    case 'int':
    case 'number':
    case 'date':
      return 2
    default:
      return 1
  }
}

/** Whether writing a value of `type` may replace the words. */
function mayGrow(type: FieldType): boolean {
  return !['int', 'number', 'date', 'boolean'].includes(type.kind)
}

function encodeObject(object: string, path: PathExpression, fields: readonly Field[], names: Names): string {
  if (fields.length === 0) return 'w[p++] = 0\n'
  return fields
    .map(({ name, type }, i) => {
      const value = names.next()
      // room for this field and the fixed part of those after it
      const rest = roomOf({ kind: 'object', fields: fields.slice(i + 1) })
      const again = mayGrow(type) && i < fields.length - 1 ? `w = out.grow(p, ${rest})\n` : ''
      return `const ${value} = ${member(object, name)}\n${encodeValue(value, memberPath(path, name), type, names)}${again}`
    })
    .join('')
}

function encodeValue(value: string, path: PathExpression, type: FieldType, names: Names): string {
  switch (type.kind) {
    case 'string':
      return `${refuse(value, path, 'string')}p = putString(out, p, ${value})\n`
    case 'int':
      return (
        `if (typeof ${value} === "number" && (${value} << 1 >> 1) === ${value}) w[p++] = ${value} << 1\n` +
        `else {\n${refuse(value, path, 'int')}p = putWideInt(w, p, ${value})\n}\n`
      )
    case 'number':
      return `${refuse(value, path, 'number')}p = putFloat(w, p, ${value})\n`
    case 'boolean':
      return `${refuse(value, path, 'boolean')}w[p++] = ${value} ? 1 : 0\n`
    case 'bigint':
      return `${refuse(value, path, 'bigint')}p = putBigInt(out, p, ${value})\n`
    case 'date':
      return `${refuse(value, path, 'date')}p = putFloat(w, p, ${value}.getTime())\n`
    case 'bytes':
      return `${refuse(value, path, 'bytes')}p = putBytes(out, p, ${value})\n`
    case 'any':
      return `p = putAnyAt(out, p, ${path}, ${value})\n`
    case 'nullable':
      return encodePresence(value, 'null', path, type.of, names)
    case 'optional':
      return encodePresence(value, 'undefined', path, type.of, names)
    case 'object':
      return refuse(value, path, 'object') + encodeObject(value, path, type.fields, names)
    case 'array': {
      const index = names.next()
      const count = names.next()
      const item = names.next()
      const each = encodeValue(item, itemPath(path, index), type.of, names)
      return (
        `${refuse(value, path, 'array')}const ${count} = ${value}.length\nif (${count} > out.limits.arrayItemsMax) throw tooManyItems(out, ${path}, ${count})\nw[p++] = ${count}\n` +
        `for (let ${index} = 0; ${index} < ${count}; ${index}++) {\nw = out.grow(p, ${roomOf(type.of)})\nconst ${item} = ${value}[${index}]\n${each}}\n`
      )
    }
  }
}

function encodePresence(value: string, absent: string, path: PathExpression, of: FieldType, names: Names): string {
  return `if (${value} === ${absent}) w[p++] = 0\nelse {\nw[p++] = 1\n${encodeValue(value, path, of, names)}}\n`
}

// -- the decoder: one expression, evaluated from left to right

function compileDecoder(fields: readonly Field[]): TupleCodec['decode'] {
  const lines: string[] = []
  const result = decodeObject(fields, new Names(), lines)
  return generate(`return function decode(source) {\n${lines.join('')}return ${result}\n}`) as TupleCodec['decode']
}

/** Adds to `lines` what reads a value and returns the expression that stands for it. */
function decodeValue(type: FieldType, names: Names, lines: string[]): string {
  if (type.kind === 'object') return decodeObject(type.fields, names, lines)
  const value = names.next()
  switch (type.kind) {
    case 'nullable':
    case 'optional': {
      const inner: string[] = []
      const result = decodeValue(type.of, names, inner)
      lines.push(
        `let ${value} = ${type.kind === 'nullable' ? 'null' : 'undefined'}\nif (takeFlag(source)) {\n${inner.join('')}${value} = ${result}\n}\n`,
      )
      break
    }
    case 'array': {
      const count = names.next()
      const index = names.next()
      const inner: string[] = []
      const result = decodeValue(type.of, names, inner)
      lines.push(
        `const ${count} = takeCount(source)\nconst ${value} = []\n` +
          `for (let ${index} = 0; ${index} < ${count}; ${index}++) {\n${inner.join('')}${value}.push(${result})\n}\n`,
      )
      break
    }
    default:
      lines.push(`const ${value} = ${takeExpressions[type.kind]}\n`)
  }
  return value
}

const takeExpressions: Readonly<Record<Exclude<FieldType['kind'], 'array' | 'object' | 'nullable' | 'optional'>, string>> = {
  string: 'takeString(source)',
  int: 'takeInt(source)',
  number: 'takeFloat(source)',
  boolean: 'takeFlag(source)',
  bigint: 'takeBigInt(source)',
  date: 'new Date(takeFloat(source))',
  bytes: 'takeBytes(source)',
  any: 'takeAny(source)',
}

function decodeObject(fields: readonly Field[], names: Names, lines: string[]): string {
  if (fields.length === 0) lines.push('source.position++\n')
  const members = fields.map(({ name, type }) => `${JSON.stringify(name)}: ${decodeValue(type, names, lines)}`)
  return `{ ${members.join(', ')} }`
}
