import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { SquallError } from '../../lib/errors.ts'
import { BundleReader, BundleWriter, readBundle, type BundleSink } from '../../lib/wire/bundle.ts'
import { compileCodec } from '../../lib/wire/codec.ts'
import { wireLimits, type WireLimits } from '../../lib/wire/limits.ts'
import type { Field } from '../../lib/topology/schema.ts'
import { hexWords } from './hex-words.ts'

const word: Field[] = [{ name: 'word', type: { kind: 'string' } }]
const everything: Field[] = [
  { name: 's', type: { kind: 'string' } },
  { name: 'i', type: { kind: 'int' } },
  { name: 'f', type: { kind: 'number' } },
  { name: 'b', type: { kind: 'boolean' } },
  { name: 'g', type: { kind: 'bigint' } },
  { name: 'd', type: { kind: 'date' } },
  { name: 'u', type: { kind: 'bytes' } },
  { name: 'y', type: { kind: 'any' } },
  {
    name: 'l',
    type: { kind: 'array', of: { kind: 'object', fields: [{ name: 'n', type: { kind: 'nullable', of: { kind: 'string' } } }] } },
  },
  { name: 'e', type: { kind: 'array', of: { kind: 'object', fields: [] } } },
  { name: 'o', type: { kind: 'optional', of: { kind: 'int' } } },
]
const codecs = [compileCodec(word), compileCodec(everything), compileCodec([])]

const full = {
  s: 'a longer string than fifteen, and € too',
  i: -(2 ** 40),
  f: 0.1,
  b: true,
  g: 2n ** 100n,
  d: new Date(1.7e12),
  u: Uint8Array.of(1, 2, 3),
  y: { a: [1, 'two', null, new Date(5), new Set([1]), { deep: [[]] }] },
  l: [{ n: null }, { n: 'word' }],
  e: [{}, {}],
  o: undefined,
}

type Entry = readonly unknown[]

/** Everything a sink is told, as plain data. */
function recorder(): { sink: BundleSink; entries: Entry[] } {
  const entries: Entry[] = []
  const sink: BundleSink = {
    tuple: (...entry) => void entries.push(['tuple', ...entry]),
    tupleAnchored: (codec, source, target, anchors, count, values) =>
      void entries.push(['tupleAnchored', codec, source, target, [...anchors], count, values]),
    ack: (...entry) => void entries.push(['ack', ...entry]),
    fail: (...entry) => void entries.push(['fail', ...entry]),
    resetTimeout: (...entry) => void entries.push(['resetTimeout', ...entry]),
  }
  return { sink, entries }
}

function write(writer: BundleWriter, entries: readonly Entry[]): Uint8Array {
  for (const [method, ...parameters] of entries)
    (writer as unknown as Record<string, (...parameters: unknown[]) => void>)[method as string]?.(...parameters)
  return writer.finish()
}

function read(bytes: Uint8Array, limits: Partial<WireLimits> = {}): Entry[] {
  const { sink, entries } = recorder()
  expect(readBundle(bytes, codecs, limits, sink)).toBe(entries.length)
  return entries
}

function codeOf(act: () => unknown): string {
  try {
    act()
  } catch (error) {
    if (error instanceof SquallError) return error.code
    throw error
  }
  return 'none'
}

const allKinds: Entry[] = [
  ['tuple', 0, 1, 2, 0, 0, 0, 0, { word: 'squall' }],
  ['tuple', 0, 65_535, 65_535, -1, 2 ** 31 - 1, -(2 ** 31), 5, { word: '' }],
  ['tupleAnchored', 1, 3, 4, [1, 2, 3, 4, 5, 6, 7, 8], 2, full],
  ['tuple', 2, 0, 0, 0, 1, 0, 0, {}],
  ['ack', 1, -2, 3, -4],
  ['fail', 1, 2, 77, 'the disk is full: a reason of some length', 9],
  ['resetTimeout', -5, 6],
]

describe('a bundle', () => {
  test('of one anchored word', () => {
    const writer = new BundleWriter(codecs)
    writer.tuple(0, 3, 7, 1, 2, -1, 4, { word: 'squall' })
    expect(hexWords(writer.finish())).toBe('53510100 01000000 02000000 03000700 01000000 02000000 ffffffff 04000000 06737175 616c6c00')
    expect([writer.tuples, writer.bytes]).toEqual([1, 40])
  })

  test('of an unanchored word carries no ids', () => {
    const writer = new BundleWriter(codecs)
    writer.tuple(0, 3, 7, 0, 0, 9, 9, { word: 'abc' })
    expect(hexWords(writer.finish())).toBe('53510100 01000000 01000000 03000700 03616263')
    expect(read(writer.finish())).toEqual([['tuple', 0, 3, 7, 0, 0, 0, 0, { word: 'abc' }]])
  })

  test('of acks', () => {
    const writer = new BundleWriter([])
    writer.ack(1, 2, 3, 4)
    writer.fail(1, 2, 5, 'no', 8)
    writer.resetTimeout(1, 2)
    expect(hexWords(writer.finish())).toBe(
      '53510100 03000000 04000000 01000000 02000000 03000000 04000000 05080000 01000000 02000000 05000000 026e6f00 06000000 01000000 02000000',
    )
  })

  test('of nothing', () => {
    const writer = new BundleWriter(codecs)
    expect(read(writer.finish())).toEqual([])
    expect([writer.tuples, writer.bytes]).toEqual([0, 8])
  })

  test('of everything arrives in order, and the writer can be used again', () => {
    const writer = new BundleWriter(codecs)
    for (let i = 0; i < 3; i++) {
      expect(read(write(writer, allKinds))).toEqual(allKinds)
      expect(writer.tuples).toBe(allKinds.length)
      writer.reset()
    }
    expect(writer.tuples).toBe(0)
  })

  test('reads the same from any place in memory', () => {
    const bytes = write(new BundleWriter(codecs), allKinds)
    for (let shift = 0; shift < 4; shift++) {
      const shared = new Uint8Array(new SharedArrayBuffer(bytes.length + 8), shift, bytes.length)
      shared.set(bytes)
      expect(read(shared)).toEqual(allKinds)
    }
  })

  test('of any tuples', () => {
    const id = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
    const task = fc.nat({ max: 65_535 })
    const values = fc.record({ word: fc.string({ unit: 'binary', maxLength: 30 }) })
    const entry: fc.Arbitrary<Entry> = fc.oneof(
      fc.tuple(fc.constant('tuple'), fc.constant(0), task, task, id.map((n) => n || 1), id, id, id, values), // prettier-ignore
      fc.tuple(fc.constant('tuple'), fc.constant(0), task, task, fc.constant(0), fc.constant(0), fc.constant(0), fc.constant(0), values),
      fc
        .tuple(task, task, fc.integer({ min: 2, max: 5 }), fc.array(id, { minLength: 20, maxLength: 20 }), values)
        .map(([source, target, count, ids, v]): Entry => ['tupleAnchored', 0, source, target, ids.slice(0, 4 * count), count, v]),
      fc.tuple(fc.constant('ack'), id, id, id, id),
      fc.tuple(fc.constant('fail'), id, id, task, fc.string({ maxLength: 50 }), fc.nat({ max: 255 })),
      fc.tuple(fc.constant('resetTimeout'), id, id),
    )
    const writer = new BundleWriter(codecs)
    const reader = new BundleReader(codecs)
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 200 }), (entries) => {
        writer.reset()
        const { sink, entries: got } = recorder()
        reader.read(write(writer, entries), sink)
        expect(got).toEqual(entries)
      }),
    )
  })

  test('grows to its limit and not beyond', () => {
    const writer = new BundleWriter(codecs)
    const values = { word: 'x'.repeat(1_000_000) }
    writer.tuple(0, 0, 0, 0, 0, 0, 0, values)
    writer.tuple(0, 0, 0, 0, 0, 0, 0, values)
    expect(codeOf(() => writer.tuple(0, 0, 0, 0, 0, 0, 0, values))).toBe('wire-limit')
    expect(read(writer.finish())).toHaveLength(2)
  })

  test('refuses a task id that has more than 16 bits: our mistake', () => {
    const writer = new BundleWriter(codecs)
    expect(() => writer.tuple(0, 65_536, 0, 0, 0, 0, 0, { word: 'a' })).toThrow('assertion failed')
    expect(() => writer.tupleAnchored(0, 0, -1, [1, 2, 3, 4], 1, { word: 'a' })).toThrow('assertion failed')
    expect(writer.tuples).toBe(0)
  })

  test('cuts a reason that is too long', () => {
    const writer = new BundleWriter(codecs)
    writer.fail(0, 1, 0, 'x'.repeat(5000), 0)
    expect((read(writer.finish())[0] as string[])[4]).toHaveLength(1000)
  })
})

describe('an entry that throws was never there', () => {
  test.each<[string, string, Entry]>([
    ['a value that does not fit', 'value-mismatch', ['tuple', 1, 0, 0, 1, 2, 3, 4, { ...full, o: 'x' }]],
    ['a value inside', 'value-mismatch', ['tuple', 1, 0, 0, 0, 0, 0, 0, { ...full, l: [{ n: 'x'.repeat(100_000) }, { n: 1 }] }]],
    ['no tuple', 'value-mismatch', ['tupleAnchored', 0, 0, 0, [1, 2, 3, 4], 1, null]],
    [
      'a large tuple',
      'wire-limit',
      ['tuple', 1, 0, 0, 0, 0, 0, 0, { ...full, l: Array.from({ length: 200_000 }, () => ({ n: 'abcdefgh' })) }],
    ],
    ['a large string', 'wire-limit', ['tuple', 0, 0, 0, 0, 0, 0, 0, { word: 'x'.repeat(2_000_000) }]],
    ['too many anchors', 'wire-limit', ['tupleAnchored', 0, 0, 0, Array.from({ length: 5000 }, () => 1), 1250, { word: 'a' }]],
  ])('%s', (_name, code, entry) => {
    const writer = new BundleWriter(codecs)
    write(writer, allKinds)
    const before = [writer.tuples, writer.bytes, hexWords(writer.finish())]
    expect(codeOf(() => write(writer, [entry]))).toBe(code)
    expect([writer.tuples, writer.bytes, hexWords(writer.finish())]).toEqual(before)
    expect(read(write(writer, allKinds))).toEqual([...allKinds, ...allKinds])
  })
})

describe('hostile bytes', () => {
  const good = write(new BundleWriter(codecs), allKinds).slice()
  const reader = new BundleReader(codecs)
  const { sink } = recorder()

  /** Reads, or is refused with one of our codes; anything else is thrown on. */
  const attempt = (bytes: Uint8Array): string => codeOf(() => reader.read(bytes, sink))

  test('cut at each place', () => {
    for (let size = 0; size < good.length; size++) expect(attempt(good.subarray(0, size))).toBe('bundle-corrupt')
  })

  test('with something after', () => {
    expect(attempt(Uint8Array.of(...good, 0, 0, 0, 0))).toBe('bundle-corrupt')
  })

  test('every byte replaced by some others', () => {
    for (let at = 0; at < good.length; at++)
      for (const value of [0, 1, 0x7f, 0x80, 0xfe, 0xff]) {
        const bad = good.slice()
        bad[at] = value
        expect(['none', 'bundle-corrupt', 'bundle-version', 'wire-limit']).toContain(attempt(bad))
      }
  })

  test('every bit flipped', () => {
    for (let bit = 0; bit < good.length * 8; bit++) {
      const bad = good.slice()
      bad[bit >> 3] = (bad[bit >> 3] as number) ^ (1 << (bit & 7))
      expect(['none', 'bundle-corrupt', 'bundle-version', 'wire-limit']).toContain(attempt(bad))
    }
  })

  test('many at once', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat({ max: good.length - 9 }), fc.nat({ max: 255 })), { maxLength: 12 }), (changes) => {
        const bad = good.slice()
        for (const [at, value] of changes) bad[at + 8] = value
        expect(['none', 'bundle-corrupt', 'wire-limit']).toContain(attempt(bad))
      }),
      { numRuns: 2000 },
    )
  })

  test('random msgpack behind a type of any', () => {
    const any = new BundleReader([compileCodec([{ name: 'y', type: { kind: 'any' } }])])
    // bytes that are mostly heads of msgpack tokens
    const byte = fc.oneof(
      fc.nat({ max: 255 }),
      fc.integer({ min: 0x80, max: 0xff }),
      fc.constantFrom(0x72, 0x73, 0x74, 0x42, 0xff, 0x65, 0x78, 0x69, 0x70, 0x62),
    )
    fc.assert(
      fc.property(fc.array(byte, { maxLength: 40 }), (payload) => {
        const words = new Int32Array(5 + ((payload.length + 3) >> 2))
        words.set([0x5153 | (1 << 16), 1, 1, 0, payload.length])
        const bytes = new Uint8Array(words.buffer)
        bytes.set(payload, 20)
        expect(['none', 'bundle-corrupt', 'wire-limit']).toContain(codeOf(() => any.read(bytes, sink)))
      }),
      { numRuns: 5000 },
    )
  })

  test('a record definition, which msgpackr would compile, is refused', () => {
    const any = new BundleReader([compileCodec([{ name: 'y', type: { kind: 'any' } }])])
    const words = new Int32Array(7)
    words.set([0x5153 | (1 << 16), 1, 1, 0, 7])
    new Uint8Array(words.buffer).set([0xd4, 0x72, 0x40, 0x91, 0xa1, 0x61, 0x01], 20)
    expect(codeOf(() => any.read(new Uint8Array(words.buffer), sink))).toBe('bundle-corrupt')
  })

  const bundle = (...words: number[]): Uint8Array => new Uint8Array(Int32Array.of(0x5153 | (1 << 16), 1, ...words).buffer)
  test.each<[string, string, Uint8Array]>([
    ['another version', 'bundle-version', new Uint8Array(Int32Array.of(0x5153 | (2 << 16), 0).buffer)],
    ['another kind of file', 'bundle-corrupt', new Uint8Array(Int32Array.of(0x4b50, 0).buffer)],
    ['a codec that is not there', 'bundle-corrupt', bundle(1 | (3 << 8), 0, 0)],
    ['an entry that is not there', 'bundle-corrupt', bundle(7, 0, 0)],
    ['an entry 0', 'bundle-corrupt', bundle(0, 0, 0)],
    ['no anchors', 'bundle-corrupt', bundle(3, 0, 0, 0)],
    ['many anchors', 'bundle-corrupt', bundle(3, 0, 1000, 0)],
    ['a negative number of anchors', 'bundle-corrupt', bundle(3, 0, -1, 0)],
    ['a string length that is not there', 'bundle-corrupt', bundle(1, 0, 0x10)],
    ['a string of 16 MiB', 'wire-limit', bundle(1, 0, (0xffffff << 8) | 0xff)],
    ['a string of UTF-16 beyond the end', 'bundle-corrupt', bundle(1, 0, (100 << 8) | 0xfe)],
    ['a task that fails and is not there', 'bundle-corrupt', bundle(5, 0, 0, 65_536, 0)],
    ['four thousand million entries', 'bundle-corrupt', new Uint8Array(Int32Array.of(0x5153 | (1 << 16), -1).buffer)],
  ])('%s', (_name, code, bytes) => {
    expect(attempt(bytes)).toBe(code)
  })

  test('a task beyond those of the topology', () => {
    const writer = new BundleWriter(codecs)
    writer.tuple(0, 1, 8, 0, 0, 0, 0, { word: 'a' })
    expect(codeOf(() => read(writer.finish(), { tasksMax: 8 }))).toBe('bundle-corrupt')
    expect(read(writer.finish(), { tasksMax: 9 })).toHaveLength(1)
  })

  test('arrays that promise more than there is', () => {
    const array = [compileCodec([{ name: 'x', type: { kind: 'array', of: { kind: 'array', of: { kind: 'object', fields: [] } } } }])]
    expect(codeOf(() => readBundle(bundle(1, 0, -1), array, {}, sink))).toBe('wire-limit')
    expect(codeOf(() => readBundle(bundle(1, 0, 262_144), array, {}, sink))).toBe('bundle-corrupt')
    expect(codeOf(() => readBundle(bundle(1, 0, 2, 3, 0, 0), array, {}, sink))).toBe('bundle-corrupt')
  })

  test('a bundle, or a tuple in one, that is too large', () => {
    expect(attempt(new Uint8Array(wireLimits.bundleBytesMax + 4))).toBe('wire-limit')
    const writer = new BundleWriter(codecs)
    writer.tuple(0, 0, 0, 0, 0, 0, 0, { word: 'x'.repeat(500) })
    expect(codeOf(() => readBundle(writer.finish(), codecs, { tupleBytesMax: 400, stringBytesMax: 400, arrayItemsMax: 100 }, sink))).toBe(
      'wire-limit',
    )
  })

  test('a reader goes on after a fault', () => {
    attempt(good.subarray(0, 44))
    const { sink: next, entries } = recorder()
    reader.read(good, next)
    expect(entries).toEqual(allKinds)
  })
})
