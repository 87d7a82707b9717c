/** Files and folders as sources: what a batch takes of them, bad records, and files that go or change while a topology runs. */
import { execFileSync } from 'node:child_process'
import { appendFileSync, mkdirSync, mkdtempSync, renameSync, rmSync, truncateSync, unlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { csvFolder, csvRecords, jsonFolder, jsonLines, rdd, textFolder, textLines, topology, z } from '../../../lib/index.ts'
import type { BadRecord, BatchSource } from '../../../lib/index.ts'
import { splitCsv } from '../../../lib/batch/sources/csv.ts'
import { LocalCluster } from '../../../lib/testing/index.ts'

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'squall-sources-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

let files = 0
function fileOf(content: string): string {
  const path = join(folder, `input-${files++}`)
  writeFileSync(path, content)
  return path
}

interface RunOptions {
  readonly executors?: number
  readonly config?: Readonly<Record<string, unknown>>
  /** is called when a batch is given out, before it is committed */
  readonly onBatch?: (txid: number) => void
}

/** What the batches of a source hold, those without records left out. */
async function batchesOf<T>(source: BatchSource<T>, { executors = 1, config = {}, onBatch }: RunOptions = {}): Promise<T[][]> {
  const batches: T[][] = []
  const graph = topology('sources', (t) => {
    t.stream('in', source).foreachRDD(async (rdd, { txid }) => {
      const records = await rdd.collect()
      if (records.length > 0) batches.push(records)
      onBatch?.(txid)
    })
  })
  await using cluster = await LocalCluster.start({ seed: 1, executors })
  await cluster.complete(graph, { config })
  return batches
}

const Sale = z.object({ shop: z.string(), cents: z.coerce.number().int() })

describe('JSON lines', () => {
  const Point = z.object({ x: z.number() })

  test.each([1, 2, 3])('are records as the schema says, on %i executors', async (executors) => {
    const points = Array.from({ length: 50 }, (_, x) => ({ x }))
    const path = fileOf(`${points.map((point) => JSON.stringify({ ...point, left: 'out' })).join('\r\n')}\n\n`)
    expect((await batchesOf(jsonLines(path, Point, { batchBytes: 100 }), { executors })).flat()).toEqual(points)
  })

  test.each([1, 2])('a bad one fails the run at once, with its place: %i executors', async (executors) => {
    const path = fileOf('{"x":1}\n\n{"x":2}\n{"x":"3"}\n')
    await expect(batchesOf(jsonLines(path, Point), { executors })).rejects.toMatchObject({
      code: 'bad-record',
      where: { file: path, line: 4, stream: 'in', topology: 'sources' },
      what: expect.stringContaining('x: ') as string,
    })
    await expect(batchesOf(jsonLines(fileOf('{'), Point))).rejects.toMatchObject({ code: 'bad-record', where: { line: 1 } })
    const long = fileOf(`{"x":"${'long'.repeat(100)}"}`)
    await expect(batchesOf(jsonLines(long, Point))).rejects.toThrow(/x: .*number.*: "\{\\"x\\":\\"longlong.{80,120}\.\.\.\n/)
  })

  test('bad ones are left out, or become what a function makes of them', async () => {
    const path = fileOf('{"x":1}\nno\n{"x":null}\n{"x":4}')
    expect(await batchesOf(jsonLines(path, Point, { onBadRecord: 'skip' }))).toEqual([[{ x: 1 }, { x: 4 }]])
    const lines: number[] = []
    const onBadRecord = ({ line, text }: BadRecord): string | undefined => (lines.push(line), text === 'no' ? text : undefined)
    expect(await batchesOf(jsonLines(path, Point, { onBadRecord }))).toEqual([[{ x: 1 }, 'no', { x: 4 }]])
    expect(lines).toEqual([2, 3])
  })
})

describe('CSV', () => {
  const header = 'shop,cents\r\n'
  const sales = Array.from({ length: 40 }, (_, i) => ({ shop: i % 3 === 0 ? `a "${i}",\nb` : `shop ${i}`, cents: i }))
  const line = ({ shop, cents }: { shop: string; cents: number }): string => `"${shop.replaceAll('"', '""')}",${cents}\r\n`
  const text = header + sales.map(line).join('')

  test.each([1, 2, 3])('records hold separators, quotes and line ends, wherever batches are cut: %i executors', async (executors) => {
    for (const [batchBytes, batches] of [
      [1, 40],
      [100_000, 1],
    ] as const) {
      const found = await batchesOf(csvRecords(fileOf(text), Sale, { batchBytes }), { executors })
      expect(found.flat()).toEqual(sales)
      expect(found.length).toBe(batches)
    }
  })

  test("a byte order mark, names of one's own, another separator, no last line end", async () => {
    expect(await batchesOf(csvRecords(fileOf(`\uFEFF${header}a,1`), Sale))).toEqual([[{ shop: 'a', cents: 1 }]])
    const options = { header: ['shop', 'cents'], separator: ';' }
    expect(await batchesOf(csvRecords(fileOf('"a;b";1\n\nc;2\n'), Sale, options))).toEqual([
      [
        { shop: 'a;b', cents: 1 },
        { shop: 'c', cents: 2 },
      ],
    ])
    expect(() => csvRecords('x', Sale, { separator: ';;' })).toThrow('one ASCII character')
  })

  test.each([
    ['a,1,2', 'it has 3 fields, not 2'],
    ['"a"b,1', 'behind a closing quote'],
    ['a"b",1', 'quote within a field'],
    ['"a,1', 'never closed'],
    ['a,b', 'cents: '],
  ])('a bad record: %s', async (bad, reason) => {
    const path = fileOf(`${header}x,1\n${bad}\n`)
    await expect(batchesOf(csvRecords(path, Sale))).rejects.toMatchObject({
      code: 'bad-record',
      where: { file: path, line: 3 },
      what: expect.stringContaining(reason) as string,
    })
    expect(await batchesOf(csvRecords(path, Sale, { onBadRecord: 'skip' }))).toEqual([[{ shop: 'x', cents: 1 }]])
  })

  test('what is written by the rules is read back', () => {
    const field = fc.string({ unit: fc.constantFrom('a', '"', ',', '\n', '\r', ' ', 'ü') })
    fc.assert(
      fc.property(
        fc.array(fc.array(field, { minLength: 1, maxLength: 4 }), { maxLength: 5 }),
        fc.constantFrom('\n', '\r\n'),
        (rows, end) => {
          const written = rows.map((row) => row.map((one) => `"${one.replaceAll('"', '""')}"`).join(',') + end).join('')
          const read: (readonly string[])[] = []
          splitCsv(written, ',', (fields, problem) => {
            expect(problem).toBeUndefined()
            read.push(fields)
          })
          expect(read).toEqual(rows)
        },
      ),
    )
  })

  test('whatever a text holds, the same records come out wherever batches are cut', async () => {
    const letters = fc.string({ unit: fc.constantFrom('a', '"', ',', '\n', '\r'), maxLength: 40 })
    const read = (path: string, batchBytes: number): Promise<unknown[][]> => {
      const onBadRecord = ({ text: bad }: BadRecord): string => bad
      return batchesOf(csvRecords(path, z.object({ a: z.string() }), { header: ['a'], onBadRecord, batchBytes }))
    }
    await fc.assert(
      fc.asyncProperty(letters, fc.integer({ min: 1, max: 10 }), async (content, batchBytes) => {
        const path = fileOf(content)
        expect((await read(path, batchBytes)).flat()).toEqual((await read(path, 1_000)).flat())
      }),
      { numRuns: 40 },
    )
  })
})

describe('a folder', () => {
  test.each([
    ['text', textFolder, 'shop,cents\n"a",1\n', ['shop,cents', '"a",1']],
    ['CSV', (path: string) => csvFolder(path, Sale), 'shop,cents\n"a",1\n', [{ shop: 'a', cents: 1 }]],
    ['JSON', (path: string) => jsonFolder(path, Sale), '{"shop":"a","cents":1}\n', [{ shop: 'a', cents: 1 }]],
  ] as const)('of %s', async (_, source, content, expected) => {
    const inputs = mkdtempSync(join(folder, 'in-'))
    const found: unknown[] = []
    const graph = topology('folder', (t) => {
      const stream = t.stream<unknown>('in', (source as (path: string) => BatchSource<unknown>)(inputs), { batchInterval: '1s' })
      stream.foreachRDD(async (rdd) => void found.push(...(await rdd.collect())))
    })
    await using cluster = await LocalCluster.start({ seed: 1 })
    const running = await cluster.submit(graph)
    const put = (name: string, seconds: number): void => {
      writeFileSync(join(inputs, name), content)
      utimesSync(join(inputs, name), seconds, seconds)
    }
    put('one', 0.5)
    await running.advance('2s')
    expect(found).toEqual(expected)
    rmSync(inputs, { recursive: true })
    await running.advance('2s')
    // it is back: what is new is taken
    mkdirSync(inputs)
    put('two', 4.5)
    await running.advance('2s')
    expect(found).toEqual([...expected, ...expected])
  })
})

describe('a file that grows', () => {
  test.each(['text', 'CSV'])('%s: whole records are taken as they come', async (kind) => {
    const path = fileOf('shop,cents\n')
    const found: unknown[] = []
    const graph = topology('tail', (t) => {
      const source: BatchSource<unknown> = kind === 'CSV' ? csvRecords(path, Sale, { follow: true }) : textLines(path, { follow: true })
      t.stream('in', source).foreachRDD(async (rdd) => void found.push(...(await rdd.collect())))
    })
    await using cluster = await LocalCluster.start({ seed: 1, executors: 2 })
    const running = await cluster.submit(graph)
    await running.advance('1s')
    appendFileSync(path, 'a,1\n"b')
    await running.advance('1s')
    appendFileSync(path, '",2\nc,')
    await running.advance('1s')
    const asText = ['shop,cents', 'a,1', '"b",2']
    expect(found).toEqual(
      kind === 'CSV'
        ? [
            { shop: 'a', cents: 1 },
            { shop: 'b', cents: 2 },
          ]
        : asText,
    )
  })
})

describe('a file that goes or changes while it is read', () => {
  const text = 'one\ntwo\nthree\nfour\n'

  test.each([
    ['deleted', 'file-not-found', unlinkSync],
    ['shortened', 'source-changed', (path: string) => truncateSync(path, 5)],
    ['replaced', 'source-changed', (path: string) => renameSync(fileOf(text), path)],
  ] as const)('%s between two batches', async (_, code, change) => {
    const path = fileOf(text)
    const run = batchesOf(textLines(path, { batchBytes: 1 }), { onBatch: (txid) => txid === 2 && change(path) })
    await expect(run).rejects.toMatchObject({ code, where: { stream: 'in', topology: 'sources' } })
  })

  test('shortened after a batch had taken it: no batch is half of what it was', async () => {
    const path = fileOf(text)
    const given: string[][] = []
    const graph = topology('half', (t) => {
      const lines = t.stream('in', textLines(path))
      t.stream('first', {
        kind: 'transactional',
        planner: () => ({ next: () => (truncateSync(path, 5), undefined), hasEnded: true }),
        reader: () => ({ partitions: () => 0, read: () => undefined }),
      })
      lines.foreachRDD(async (rdd) => void given.push(await rdd.collect()))
    })
    await using cluster = await LocalCluster.start({ seed: 1 })
    await expect(cluster.complete(graph)).rejects.toMatchObject({ code: 'source-changed', where: { stream: 'in' } })
    expect(given).toEqual([])
  })
})

test('a last line without an end that is added to after a run has taken it is refused, not left out', async () => {
  const path = fileOf('one\ntwo')
  const config = { stateDir: join(folder, 'added-to') }
  expect(await batchesOf(textLines(path), { config })).toEqual([['one', 'two']])
  expect(await batchesOf(textLines(path), { config })).toEqual([])
  appendFileSync(path, '\nthree\n')
  await expect(batchesOf(textLines(path), { config })).rejects.toMatchObject({ code: 'source-changed', where: { stream: 'in' } })

  const whole = fileOf('one\ntwo\n')
  const other = { stateDir: join(folder, 'continued') }
  expect(await batchesOf(textLines(whole), { config: other })).toEqual([['one', 'two']])
  appendFileSync(whole, 'three\n')
  expect(await batchesOf(textLines(whole), { config: other })).toEqual([['three']])
})

test.skipIf(process.platform === 'win32')('a pipe is refused, and not waited for', async () => {
  const path = join(folder, 'pipe')
  execFileSync('mkfifo', [path])
  await expect(batchesOf(textLines(path))).rejects.toMatchObject({ code: 'file-unreadable', where: { stream: 'in' } })
  expect(() => rdd.textFile(path).partitions).toThrow(expect.objectContaining({ code: 'file-unreadable' }))
})

describe('what never ends', () => {
  /** A file of zeros, which takes no room on the disk. */
  function zeros(bytes: number): string {
    const path = fileOf('')
    truncateSync(path, bytes)
    return path
  }

  test.each([1, 2])('a line is refused when it is longer than texts may be, on %i executors', async (executors) => {
    const path = zeros((256 << 20) + 1)
    appendFileSync(path, '\nnext\n')
    await expect(batchesOf(textLines(path), { executors })).rejects.toMatchObject({ code: 'bad-record', where: { file: path } })
  })

  test('so are names of fields', async () => {
    const path = zeros((64 << 20) + 1)
    await expect(batchesOf(csvRecords(path, Sale))).rejects.toMatchObject({ code: 'bad-record', where: { file: path } })
  })
})

test('names of fields that are no record of CSV are told, and not taken for none', async () => {
  const path = fileOf('shop,"cen"ts\na,1\n')
  await expect(batchesOf(csvRecords(path, Sale))).rejects.toMatchObject({ code: 'bad-record', where: { file: path, line: 1 } })
})

test('a batch takes at most so many lines', async () => {
  const lines = Array.from({ length: 25 }, (_, i) => `line ${i}`)
  const batches = await batchesOf(textLines(fileOf(lines.join('\n'))), { config: { batchRecordsMax: 10 } })
  expect(batches.map(({ length }) => length)).toEqual([10, 10, 5])
  expect(batches.flat()).toEqual(lines)
})
