/**
 * What a tuple costs between two executors: encode and decode, ns per tuple for both sides together, on one thread.
 *
 *     npm run build && node dist/bench/micro/codec.js [--json] [shape ...]
 *
 * `word` is the word count's tuple: one word of a Zipf text of 10,000, with its root and edge ids. `word + count` adds
 * the receiver's `Map.get` and `Map.set`, whose cost depends on what kind of string arrives. `loop` is the same reading, and
 * counting, of the same tuples without any wire: the floor. Medians of interleaved runs; read ratios.
 */
import { BundleReader, BundleWriter, type BundleSink } from '../../lib/wire/bundle.ts'
import { compileCheck, compileCodec, type Values } from '../../lib/wire/codec.ts'
import { createRing, RingReader, RingWriter } from '../../lib/wire/ring.ts'
import { Random } from '../../lib/std/random.ts'
import type { Field } from '../../lib/topology/schema.ts'

interface Shape {
  readonly name: string
  readonly fields: readonly Field[]
  readonly values: readonly Values[]
  readonly anchored: boolean
  readonly counting: boolean
}

const tuplesPerShape = 16_384 // a power of two: the loops mask
const random = new Random(7)

const string = { kind: 'string' } as const
const int = { kind: 'int' } as const
const float = { kind: 'number' } as const

const word: Field[] = [{ name: 'word', type: string }]
const small: Field[] = [...word, { name: 'n', type: int }]
const big: Field[] = [
  { name: 'id', type: int },
  { name: 'user', type: string },
  { name: 'url', type: string },
  { name: 'agent', type: string },
  { name: 'at', type: float },
  { name: 'price', type: float },
  { name: 'ok', type: { kind: 'boolean' } },
  { name: 'tags', type: { kind: 'array', of: string } },
]

/** Words of three to nine letters. */
function vocabulary(count: number): string[] {
  return Array.from({ length: count }, (_, i) => {
    const letters = 3 + random.below(7)
    return (i.toString(36) + Array.from({ length: letters }, () => String.fromCharCode(97 + random.below(26))).join('')).slice(
      0,
      letters + 1,
    )
  })
}

function zipf(words: readonly string[]): () => string {
  const weights: number[] = []
  let total = 0
  for (let i = 0; i < words.length; i++) weights.push((total += 1 / (i + 1)))
  return () => {
    const x = random.unit() * total
    let low = 0
    let high = weights.length - 1
    while (low < high) {
      const middle = (low + high) >> 1
      if ((weights[middle] as number) < x) low = middle + 1
      else high = middle
    }
    return words[low] as string
  }
}

/** The same text in a string of its own, as a splitter makes it: not interned, its hash not known. */
function fresh(text: string): string {
  return ` ${text}`.slice(1)
}

function shapes(): Shape[] {
  const pick = zipf(vocabulary(10_000))
  const many = <T>(make: (i: number) => T): T[] => Array.from({ length: tuplesPerShape }, (_, i) => make(i))
  const words = many(() => ({ word: fresh(pick()) }))
  const unique = many((i) => ({ word: fresh(`k${(i * 7919) % 1_000_003}xyz`.slice(0, 8)) }))
  return [
    { name: 'small', fields: small, values: many((i) => ({ word: fresh(pick()), n: i })), anchored: false, counting: false },
    { name: 'word', fields: word, values: words, anchored: true, counting: false },
    { name: 'word + count', fields: word, values: words, anchored: true, counting: true },
    { name: 'unique word', fields: word, values: unique, anchored: true, counting: false },
    {
      name: 'big',
      fields: big,
      values: many((i) => ({
        id: i * 1_000_003,
        user: fresh(`user-${i % 5000}`),
        url: fresh(`https://example.org/shop/item/${i}/view`),
        agent: fresh('Mozilla/5.0 (X11; Linux x86_64)'),
        at: 1.7e12 + i + 0.5,
        price: i / 100,
        ok: i % 2 === 0,
        tags: ['new', fresh(`t${i % 100}`)],
      })),
      anchored: true,
      counting: false,
    },
  ]
}

/** ns per tuple of one pass over all tuples, `k` a bundle. */
function pass(shape: Shape, k: number, ring: boolean): { ns: number; bytes: number } {
  const codecs = [compileCodec(shape.fields)]
  const writer = new BundleWriter(codecs)
  const reader = new BundleReader(codecs)
  const shared = createRing(4 * 1_048_576)
  const to = new RingWriter(shared)
  const from = new RingReader(shared)
  const counts = new Map<string, number>()
  const counting = shape.counting
  let sum = 0
  const sink: BundleSink = {
    tuple(_codec, source, target, _rootA, _rootB, _edgeA, edgeB, values) {
      sum = (sum + source + target + edgeB) | 0
      if (counting) {
        const text = values['word'] as string
        counts.set(text, (counts.get(text) ?? 0) + 1)
      } else if (values === null) sum++
    },
    tupleAnchored() {},
    ack() {},
    fail() {},
    resetTimeout() {},
  }
  const { values, anchored } = shape
  let bytes = 0
  const run = (tuples: number): void => {
    for (let i = 0; i < tuples;) {
      for (let j = 0; j < k; j++, i++)
        writer.tuple(0, 3, 7, anchored ? i | 1 : 0, anchored ? 99 : 0, i, i * 3, values[i & (tuplesPerShape - 1)] as Values)
      const frame = writer.finish()
      bytes = frame.length
      if (ring) {
        to.tryWrite(frame)
        reader.read(from.read() as Uint8Array, sink)
        from.release()
      } else reader.read(frame, sink)
      writer.reset()
    }
  }
  run(200_000)
  const total = 400_000
  const start = process.hrtime.bigint()
  run(total)
  const ns = Number(process.hrtime.bigint() - start) / total
  if (sum === 0.5) throw new Error('never')
  return { ns, bytes: bytes / k }
}

/** The same tuples read and counted without a wire: what remains when the wire is free. */
function loop(shape: Shape): number {
  const counts = new Map<string, number>()
  let sum = 0
  const run = (tuples: number): void => {
    for (let i = 0; i < tuples; i++) {
      const tuple = shape.values[i & (tuplesPerShape - 1)] as Values
      if (shape.counting) {
        const text = tuple['word'] as string
        counts.set(text, (counts.get(text) ?? 0) + 1)
      } else if (tuple === null) sum++
    }
  }
  run(200_000)
  const total = 400_000
  const start = process.hrtime.bigint()
  run(total)
  if (sum === 0.5) throw new Error('never')
  return Number(process.hrtime.bigint() - start) / total
}

/** ns per tuple of the compiled check. */
function check(shape: Shape): number {
  const compiled = compileCheck(shape.fields)
  const run = (tuples: number): void => {
    for (let i = 0; i < tuples; i++) compiled(shape.values[i & (tuplesPerShape - 1)] as Values)
  }
  run(500_000)
  const total = 1_000_000
  const start = process.hrtime.bigint()
  run(total)
  return Number(process.hrtime.bigint() - start) / total
}

function median(numbers: number[]): number {
  return numbers.sort((a, b) => a - b)[numbers.length >> 1] as number
}

const runs = 5
const sizes = [1, 10, 100, 1000]

function main(): void {
  const wanted = process.argv.slice(2).filter((argument) => !argument.startsWith('--'))
  const all = shapes().filter((shape) => wanted.length === 0 || wanted.includes(shape.name))
  const samples = new Map<string, number[]>()
  const sample = (key: string, value: number): void => void (samples.get(key) ?? samples.set(key, []).get(key))?.push(value)
  for (let i = 0; i < runs; i++)
    for (const shape of all) {
      sample(`${shape.name}|check`, check(shape))
      sample(`${shape.name}|loop`, loop(shape))
      for (const k of sizes)
        for (const ring of [false, true]) {
          const { ns, bytes } = pass(shape, k, ring)
          sample(`${shape.name}|${k}${ring ? ' ring' : ''}`, ns)
          sample(`${shape.name}|bytes`, bytes)
        }
    }
  const columns = ['bytes', 'check', 'loop', ...sizes.flatMap((k) => [`${k}`, `${k} ring`])]
  const rows = all.map((shape) => ({
    shape: shape.name,
    ...Object.fromEntries(
      columns.map((column) => [column, Math.round(median(samples.get(`${shape.name}|${column}`) as number[]) * 10) / 10]),
    ),
  }))
  if (process.argv.includes('--json')) process.stdout.write(`${JSON.stringify({ unit: 'ns per tuple', rows })}\n`)
  else console.table(Object.fromEntries(rows.map(({ shape, ...columns }) => [shape, columns])))
}

main()
