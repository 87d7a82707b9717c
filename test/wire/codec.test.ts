import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { SquallError } from '../../lib/errors.ts'
import { compileCheck, compileCodec, type Values } from '../../lib/wire/codec.ts'
import { limitsWith, wireLimits, type WireLimits } from '../../lib/wire/limits.ts'
import { WordReader, WordWriter } from '../../lib/wire/words.ts'
import type { Field, FieldType } from '../../lib/topology/schema.ts'
import { hexWords } from './hex-words.ts'

function bytesOf(fields: readonly Field[], values: Values, limits: Partial<WireLimits> = {}): Uint8Array {
  const out = new WordWriter(limitsWith(limits), 1)
  const end = compileCodec(fields).encode(out, 0, values)
  return new Uint8Array(out.words.buffer.slice(0, end * 4))
}

function valuesOf(fields: readonly Field[], bytes: Uint8Array): Values {
  const source = new WordReader(wireLimits)
  source.load(bytes)
  const values = compileCodec(fields).decode(source)
  expect(source.position).toBe(source.end)
  return values
}

function hexOf(type: FieldType, value: unknown): string {
  return hexWords(bytesOf([{ name: 'x', type }], { x: value }))
}

function roundTrip(type: FieldType, value: unknown): unknown {
  const fields = [{ name: 'x', type }]
  return valuesOf(fields, bytesOf(fields, { x: value }))['x']
}

function thrownBy(act: () => unknown): SquallError {
  try {
    act()
  } catch (error) {
    if (error instanceof SquallError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

const of = (kind: Exclude<FieldType['kind'], 'array' | 'object' | 'nullable' | 'optional'>): FieldType => ({ kind })

describe('values on the wire', () => {
  test.each<[string, FieldType, unknown, string]>([
    ['an empty string', of('string'), '', '00000000'],
    ['three characters', of('string'), 'abc', '03616263'],
    ['four characters', of('string'), 'abcd', '04616263 64000000'],
    ['latin-1', of('string'), 'é', '01e90000'],
    ['15 characters', of('string'), 'abcdefghijklmno', '0f616263 64656667 68696a6b 6c6d6e6f'],
    ['16 characters', of('string'), 'abcdefghijklmnop', 'ff100000 61626364 65666768 696a6b6c 6d6e6f70'],
    ['beyond latin-1', of('string'), '€', 'fe010000 ac200000'],
    ['a lone surrogate', of('string'), '\ud800', 'fe010000 00d80000'],
    ['0', of('int'), 0, '00000000'],
    ['1', of('int'), 1, '02000000'],
    ['-1', of('int'), -1, 'feffffff'],
    ['the largest of 31 bits', of('int'), 2 ** 30 - 1, 'feffff7f'],
    ['the first beyond 31 bits', of('int'), 2 ** 30, '01000000 00000040'],
    ['-2^53 + 1', of('int'), -(2 ** 53) + 1, '0100c0ff 01000000'],
    ['1.5', of('number'), 1.5, '00000000 0000f83f'],
    ['-0', of('number'), -0, '00000000 00000080'],
    ['true', of('boolean'), true, '01000000'],
    ['a bigint', of('bigint'), -255n, '032d6666'],
    ['a date', of('date'), new Date(1), '00000000 0000f03f'],
    ['bytes', of('bytes'), Uint8Array.of(1, 2, 3, 4, 5), '05000000 01020304 05000000'],
    ['any', of('any'), { a: [1, null] }, '08000000 de0001a1 619201c0'],
    ['an array', { kind: 'array', of: of('int') }, [1, 2], '02000000 02000000 04000000'],
    ['null', { kind: 'nullable', of: of('int') }, null, '00000000'],
    ['not null', { kind: 'nullable', of: of('int') }, 1, '01000000 02000000'],
    ['undefined', { kind: 'optional', of: of('int') }, undefined, '00000000'],
    ['an object without fields', { kind: 'object', fields: [] }, {}, '00000000'],
  ])('%s', (_name, type, value, hex) => {
    expect(hexOf(type, value)).toBe(hex)
    expect(roundTrip(type, value)).toEqual(value)
  })
})

const kinds: Record<string, { type: FieldType; value: fc.Arbitrary<unknown> }> = {
  'strings of any code units': {
    type: of('string'),
    value: fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map((c) => String.fromCharCode(c)), maxLength: 40 }),
  },
  'strings of latin-1': {
    type: of('string'),
    value: fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((c) => String.fromCharCode(c)), maxLength: 40 }),
  },
  'strings of ASCII, short and long': { type: of('string'), value: fc.string({ unit: 'binary-ascii', maxLength: 5000 }) },
  'strings of whole characters': { type: of('string'), value: fc.string({ unit: 'binary' }) },
  'safe integers': { type: of('int'), value: fc.maxSafeInteger() },
  'integers around 31 and 32 bits': {
    type: of('int'),
    value: fc
      .tuple(
        fc.constantFrom(2 ** 30, 2 ** 31, 2 ** 32, 2 ** 52, -(2 ** 30), -(2 ** 31), -(2 ** 32), -(2 ** 52)),
        fc.integer({ min: -2, max: 2 }),
      )
      .map(([a, b]) => a + b),
  },
  'floats, NaN and -0 among them': { type: of('number'), value: fc.double() },
  booleans: { type: of('boolean'), value: fc.boolean() },
  bigints: { type: of('bigint'), value: fc.bigInt({ min: -(2n ** 2000n), max: 2n ** 2000n }) },
  'dates, invalid ones too': { type: of('date'), value: fc.date({ noInvalidDate: false }) },
  bytes: { type: of('bytes'), value: fc.uint8Array({ maxLength: 300 }) },
  'values without a type': {
    type: of('any'),
    value: fc.anything({
      key: fc.string({ unit: 'grapheme-ascii' }).filter((key) => key !== '__proto__' && key !== 'toJSON'),
      values: [
        fc.integer(),
        fc.double().filter((x) => !Object.is(x, -0)),
        fc.string({ unit: 'binary' }),
        fc.boolean(),
        fc.constantFrom(null, undefined, 2n ** 70n, -1n * 2n ** 63n - 1n),
        fc.date({ noInvalidDate: true }),
        fc.uint8Array({ maxLength: 8 }),
      ],
    }),
  },
  arrays: { type: { kind: 'array', of: of('string') }, value: fc.array(fc.string({ unit: 'binary', maxLength: 20 })) },
  'arrays of arrays': { type: { kind: 'array', of: { kind: 'array', of: of('int') } }, value: fc.array(fc.array(fc.maxSafeInteger())) },
  nullable: { type: { kind: 'nullable', of: of('string') }, value: fc.option(fc.string()) },
  optional: { type: { kind: 'optional', of: of('bigint') }, value: fc.option(fc.bigInt(), { nil: undefined }) },
}

describe('what is sent arrives', () => {
  test.each(Object.entries(kinds))('%s', (_name, { type, value }) => {
    fc.assert(
      fc.property(value, (sent) => {
        const got = roundTrip(type, sent)
        expect(got).toEqual(sent)
        // and once more: what the string table returns the second time is the same
        expect(roundTrip(type, sent)).toEqual(sent)
      }),
      { numRuns: 300 },
    )
  })

  test('any schema, nested', () => {
    fc.assert(
      fc.property(typedValue(), ({ type, value }) => {
        const fields = [
          { name: 'first', type: of('int') },
          { name: 'x y"\n', type },
          { name: 'last', type: of('string') },
        ]
        const sent = { first: 1, 'x y"\n': value, last: 'end' }
        expect(valuesOf(fields, bytesOf(fields, sent))).toEqual(sent)
        compileCheck(fields)(sent)
      }),
      { numRuns: 500 },
    )
  })

  test('strings that share a slot of the string table are not mistaken', () => {
    const mistaken: string[] = []
    // many more strings than slots, twice over
    for (let i = 0; i < 60_000; i++) {
      const text = `k${(i * 7919) % 30_011}`.padEnd(3 + (i % 12), 'z')
      if (roundTripString(text) !== text) mistaken.push(text)
    }
    expect(mistaken).toEqual([])
  })

  test('the string of a repeated word is the same object to a Map as a fresh one', () => {
    const counts = new Map<string, number>()
    for (const word of ['storm', 'squall', 'storm', 'gale', 'storm']) {
      const text = roundTripString(word)
      counts.set(text, (counts.get(text) ?? 0) + 1)
    }
    expect([...counts]).toEqual([['storm', 3], ['squall', 1], ['gale', 1]]) // prettier-ignore
  })

  test('fields that the schema does not have stay behind', () => {
    const fields = [{ name: 'a', type: of('int') }]
    expect(valuesOf(fields, bytesOf(fields, { a: 1, b: 2 }))).toStrictEqual({ a: 1 })
  })

  test('names that look like code are only names', () => {
    const names = ['constructor', 'toString', '"]; throw 1; //', '\u2028', '${p}', 'a\\', 'values', '']
    const fields = names.map((name) => ({ name, type: of('string') }))
    const sent = Object.fromEntries(names.map((name) => [name, `value of ${name}`]))
    expect(valuesOf(fields, bytesOf(fields, sent))).toStrictEqual(sent)
  })

  test('bytes that arrive are a copy of their own', () => {
    const got = roundTrip(of('bytes'), Buffer.from('abc')) as Uint8Array
    expect(got.constructor).toBe(Uint8Array)
    expect(got.buffer.byteLength).toBe(3)
  })

  test('-0 as an int is 0; sets and typed arrays travel as any', () => {
    expect(roundTrip(of('int'), -0)).toBe(0)
    expect(roundTrip(of('any'), new Set([1, 'a']))).toEqual(new Set([1, 'a']))
    expect(roundTrip(of('any'), Float64Array.of(0.5))).toEqual(Float64Array.of(0.5))
  })
})

function roundTripString(text: string): string {
  return valuesOf(stringFields, bytesOf(stringFields, { x: text }))['x'] as string
}
const stringFields = [{ name: 'x', type: of('string') }]

/** A type and a value that fits it. */
function typedValue(): fc.Arbitrary<{ type: FieldType; value: unknown }> {
  const leaves = Object.values(kinds)
    .filter(({ type }) => !['any', 'array', 'nullable', 'optional'].includes(type.kind))
    .map(({ type, value }) => value.map((v) => ({ type, value: v })))
  return fc.letrec<{ node: { type: FieldType; value: unknown } }>((tie) => ({
    node: fc.oneof(
      { maxDepth: 4 },
      ...leaves,
      tie('node').map(({ type, value }) => ({ type: { kind: 'array' as const, of: type }, value: [value, value] })),
      tie('node').map(({ type }) => ({ type: { kind: 'array' as const, of: type }, value: [] })),
      tie('node').map(({ type, value }) => ({ type: { kind: 'nullable' as const, of: type }, value })),
      tie('node').map(({ type }) => ({ type: { kind: 'nullable' as const, of: type }, value: null })),
      tie('node').map(({ type, value }) => ({ type: { kind: 'optional' as const, of: type }, value })),
      fc
        .uniqueArray(
          fc.tuple(
            fc.string().filter((name) => name !== '__proto__'),
            tie('node'),
          ),
          { selector: ([name]) => name, maxLength: 4 },
        )
        .map((members) => ({
          type: { kind: 'object' as const, fields: members.map(([name, { type }]) => ({ name, type })) },
          value: Object.fromEntries(members.map(([name, { value }]) => [name, value])),
        })),
    ),
  })).node
}

describe('what does not fit its schema', () => {
  const cases: [string, FieldType, unknown, string, string][] = [
    ['a number for a string', of('string'), 1, 'x', '1'],
    ['nothing for a string', of('string'), undefined, 'x', 'undefined'],
    ['a String object', of('string'), new String('a'), 'x', 'an object (String)'],
    ['a fraction for an int', of('int'), 1.5, 'x', '1.5'],
    ['an unsafe integer', of('int'), 2 ** 53, 'x', '9007199254740992'],
    ['NaN for an int', of('int'), NaN, 'x', 'NaN'],
    ['a string for an int', of('int'), '5', 'x', '"5"'],
    ['a bigint for an int', of('int'), 5n, 'x', 'a bigint'],
    ['true for an int', of('int'), true, 'x', 'true'],
    ['an array for an int', of('int'), [1], 'x', 'an array'],
    ['a string for a number', of('number'), '1', 'x', '"1"'],
    ['1 for a boolean', of('boolean'), 1, 'x', '1'],
    ['a number for a bigint', of('bigint'), 1, 'x', '1'],
    ['a number for a date', of('date'), 1, 'x', '1'],
    ['an array for bytes', of('bytes'), [1], 'x', 'an array'],
    ['an object for an array', { kind: 'array', of: of('int') }, {}, 'x', 'an object (Object)'],
    [
      'an item',
      { kind: 'array', of: { kind: 'object', fields: [{ name: 'n', type: of('int') }] } },
      [{ n: 1 }, { n: 'a' }],
      'x[1].n',
      '"a"',
    ],
    ['null for an object', { kind: 'object', fields: [] }, null, 'x', 'null'],
    ['a field of an object', { kind: 'object', fields: [{ name: 'y', type: of('string') }] }, {}, 'x.y', 'undefined'],
    ['undefined for a nullable', { kind: 'nullable', of: of('int') }, undefined, 'x', 'undefined'],
    ['null for an optional', { kind: 'optional', of: of('int') }, null, 'x', 'null'],
  ]
  test.each(cases)('%s', (_name, type, value, path, shown) => {
    const fields = [{ name: 'x', type }]
    for (const act of [() => bytesOf(fields, { x: value }), () => compileCheck(fields)({ x: value })]) {
      const error = thrownBy(act)
      expect(error.code).toBe('value-mismatch')
      expect(error.message).toContain(`the value of ${path} is ${shown}, `)
      expect(error.where.field).toBe(path)
    }
  })

  test.each([[null], [undefined], [1], ['tuple']])('%s for a tuple', (values) => {
    const fields = [{ name: 'x', type: of('int') }]
    expect(thrownBy(() => bytesOf(fields, values as never)).message).toContain('the value of the tuple is ')
    expect(thrownBy(() => compileCheck(fields)(values as never)).code).toBe('value-mismatch')
  })

  test('the encoder and the check agree on any value', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...Object.values(kinds).filter(({ type }) => type.kind !== 'any')),
        fc.anything({ withBigInt: true, withDate: true, withTypedArray: true }),
        ({ type }, value) => {
          const fields = [{ name: 'x', type }]
          const codes = [() => bytesOf(fields, { x: value }), () => compileCheck(fields)({ x: value })].map((act) => {
            try {
              act()
              return 'fits'
            } catch (error) {
              return (error as SquallError).code
            }
          })
          expect(codes[0]).toBe(codes[1])
        },
      ),
      { numRuns: 500 },
    )
  })

  const cyclic: unknown[] = []
  cyclic.push(cyclic)
  let deep: unknown = 1
  for (let i = 0; i < 1000; i++) deep = [deep]
  test.each([
    ['a function', { f() {} }],
    ['a regular expression', /a/],
    ['an error', new Error('a')],
    ['a symbol', Symbol('a')],
    ['a cycle', cyclic],
    ['too deep', deep],
    ['a field named __proto__', JSON.parse('[{"__proto__": 1}]') as unknown],
  ])('%s as any', (_name, value) => {
    expect(thrownBy(() => bytesOf([{ name: 'x', type: of('any') }], { x: value })).code).toBe('value-mismatch')
    expect(hexOf(of('any'), 1)).toBe('01000000 01000000')
  })
})

describe('limits', () => {
  test.each<[string, FieldType, unknown, string]>([
    ['long ASCII', of('string'), 'a'.repeat(101), 'stringBytesMax'],
    ['long UTF-16', of('string'), '€'.repeat(51), 'stringBytesMax'],
    ['bytes', of('bytes'), new Uint8Array(101), 'stringBytesMax'],
    ['any', of('any'), 'a'.repeat(101), 'stringBytesMax'],
    ['a bigint', of('bigint'), 1n << 404n, 'stringBytesMax'],
    ['an array', { kind: 'array', of: of('int') }, Array.from({ length: 11 }, () => 0), 'arrayItemsMax'],
  ])('%s', (_name, type, value, limit) => {
    const error = thrownBy(() => bytesOf([{ name: 'x', type }], { x: value }, { stringBytesMax: 100, arrayItemsMax: 10 }))
    expect(error.code).toBe('wire-limit')
    expect(error.message).toContain(limit)
  })

  test('a schema that is too deep, and one with a field that cannot be', () => {
    let type: FieldType = of('int')
    for (let i = 0; i < 100; i++) type = { kind: 'array', of: type }
    expect(thrownBy(() => compileCodec([{ name: 'x', type }])).code).toBe('wire-limit')
    expect(thrownBy(() => compileCodec([{ name: '__proto__', type: of('int') }])).code).toBe('bad-name')
    expect(
      thrownBy(() => compileCheck([{ name: 'x', type: { kind: 'object', fields: [{ name: '__proto__', type: of('int') }] } }])).code,
    ).toBe('bad-name')
  })

  test('limits that cannot work together are a mistake of ours', () => {
    expect(() => limitsWith({ tupleBytesMax: 4 * 1_048_576 })).toThrow('assertion failed')
  })
})
