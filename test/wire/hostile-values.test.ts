/** Values of others, as bytes: whatever they are, nothing in them is run, and the process goes on. */
import fc from 'fast-check'
import { Packr } from 'msgpackr'
import { afterEach, describe, expect, test } from 'vitest'
import { packed, unpacked } from '../../lib/batch/packed.ts'
import { putAny, takeAny } from '../../lib/wire/any.ts'
import { limitsWith, wireLimits } from '../../lib/wire/limits.ts'
import { WordReader, WordWriter, putBytes } from '../../lib/wire/words.ts'

const traces = globalThis as { hacked?: unknown }
afterEach(() => {
  delete traces.hacked
})

const packr = new Packr({ useRecords: false })
const run = 'globalThis.hacked = 1'

/** An extension of msgpackr, and the value that follows it. */
const extension = (type: number, value: unknown): Buffer => Buffer.concat([Buffer.from([0xd4, type, 0]), packr.pack(value)])

const hostile: readonly (readonly [string, Buffer])[] = [
  ...['Function', 'eval', 'constructor', '__proto__', 'toString', 'setTimeout', 'Error'].map(
    (name) => [`an error of the name ${name}`, extension(0x65, [name, run, run])] as const,
  ),
  ['a regular expression that takes for ever', extension(0x78, ['(a+)+$', ''])],
  ['a pointer to nowhere', Buffer.from([0xd6, 0x70, 0, 0, 0, 9])],
  ['a value within itself', Buffer.from([0xd6, 0x69, 0, 0, 0, 1, 0x91, 0xd6, 0x70, 0, 0, 0, 1])],
  // a record: fields of the names that follow
  [
    'a record with code for a name',
    Buffer.concat([
      Buffer.from([0xd4, 0x72, 0x40]),
      packr.pack([`x:(${run})`, `a]:1,b(){${run}}`, "'+process.exit()+'"]),
      packr.pack(1),
      packr.pack(2),
      packr.pack(3),
    ]),
  ],
  [
    'a record with a prototype',
    Buffer.concat([
      Buffer.from([0xd4, 0x72, 0x40]),
      packr.pack(['__proto__', 'constructor']),
      packr.pack({ hacked: 1 }),
      packr.pack({ hacked: 1 }),
    ]),
  ],
  ['an object with a prototype', Buffer.from([0x81, 0xa9, ...Buffer.from('__proto__'), 0x81, 0xa6, ...Buffer.from('hacked'), 1])],
  ['more items than bytes', Buffer.from([0xdd, 0xff, 0xff, 0xff, 0xff])],
  ['a text longer than the bytes', Buffer.from([0xdb, 0xff, 0xff, 0xff, 0xff, 1])],
  ['a depth of 100,000', Buffer.alloc(100_000, 0x91)],
  ['a typed array of a strange kind', Buffer.from([0xc7, 2, 0x74, 99, 0])],
]

function anyFrom(bytes: Uint8Array): unknown {
  const out = new WordWriter(limitsWith({}), 1)
  const end = putBytes(out, 0, bytes)
  const source = new WordReader(wireLimits)
  source.load(new Uint8Array(out.words.buffer.slice(0, end * 4)))
  return takeAny(source)
}

const readers = { 'a value without a type, of a tuple': anyFrom, 'a block of a micro-batch': unpacked } as const

describe.each(Object.keys(readers) as (keyof typeof readers)[])('%s', (name) => {
  const read = readers[name]
  /** What it is read as, or the error. */
  const outcome = (bytes: Uint8Array): unknown => {
    try {
      return read(bytes)
    } catch (error) {
      return error
    }
  }

  test.each(hostile)('%s', (_, bytes) => {
    // more than once: msgpackr makes functions of shapes that it has seen some times
    const found = Array.from({ length: 20 }, () => outcome(bytes))
    expect(found.filter((one) => typeof one === 'function')).toEqual([])
    expect(traces.hacked).toBeUndefined()
    expect(({} as { hacked?: unknown }).hacked).toBeUndefined()
  })

  test('any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(typeof outcome(bytes)).not.toBe('function')
      }),
      { numRuns: 2_000 },
    )
    expect(Object.keys(Object.prototype)).toEqual([])
  })
})

test('the reader of tuples refuses what only msgpackr knows', () => {
  for (const [what, bytes] of hostile) expect(() => anyFrom(bytes), what).toThrow(/bundle|value without a type/)
})

test('what is right is read after all that', () => {
  const value = { a: [1, 'two', new Date(3)], b: new Set([4n]) }
  const out = new WordWriter(limitsWith({}), 1)
  const end = putAny(out, 0, value)
  const source = new WordReader(wireLimits)
  source.load(new Uint8Array(out.words.buffer.slice(0, end * 4)))
  expect(takeAny(source)).toEqual(value)
  expect(unpacked(packed(value))).toEqual(value)
})
