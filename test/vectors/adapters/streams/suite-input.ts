/** Spark's InputStreamsSuite: queues, and files that come into folders. */
import { mkdirSync, mkdtempSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { binaryFolder, memorySource, received, socketLines, textFolder, topology } from '../../../../lib/index.ts'
import type { Receiver, TopologyDefinition } from '../../../../lib/index.ts'
import { LocalCluster } from '../../../../lib/testing/index.ts'
import { Unknown, all, isRecord, same } from '../../vectors.ts'
import type { Adapter, Verdict, VectorCase } from '../../vectors.ts'
import { dataOf } from '../rdd/chain.ts'
import { compared, known, numberOf } from './stream-case.ts'

export const inputStreams: Adapter = {
  isFor: ({ suite, file, sources }) => [suite, file, ...sources].some((name) => /(^|\W)InputStreamsSuite(\W|$)/.test(name)),
  run: (one) =>
    known(() => {
      if (/^queueStream\b/.test(one.operation)) return queue(one)
      if (/\bsocket/i.test(one.operation)) return socket(one)
      if (/\breceiver/i.test(one.operation) && /\bcount\b/.test(one.operation)) return producers(one)
      if (/^(textFileStream|fileStream|binaryRecordsStream)\b/.test(one.operation)) return folder(one)
      return undefined
    }),
}

/** Whether an option is on: by its name in the operation or the settings. */
function isOn(one: VectorCase, name: string, byDefault: boolean): boolean {
  const said = new RegExp(`${name}\\s*[=:]\\s*(true|false)`).exec(one.operation)?.[1] ?? one.params[name]
  return said === undefined ? byDefault : said === true || said === 'true'
}

function resultIs(one: VectorCase, batches: readonly (readonly unknown[])[]): Verdict {
  const expected = dataOf(one.expected)
  if (expected === undefined) return undefined
  const isByBatch = expected.some((batch) => Array.isArray(batch))
  // where a case has empty batches they count
  const isFiltered = !expected.some((batch) => Array.isArray(batch) && batch.length === 0)
  const got = isByBatch ? batches.filter((batch) => !isFiltered || batch.length > 0) : batches.flat()
  return compared(one.operation, got, expected, one.compare === 'list' || isByBatch ? 'list' : 'multiset')
}

// ------------------------------------------------------------------------------------------------ queues

async function queue(one: VectorCase): Promise<Verdict> {
  const records = dataOf(one.input)
  if (records === undefined) return undefined
  const otherwise = dataOf(one.params['default'] ?? one.params['defaultRDD'])
  const source = memorySource<unknown>({ partitions: 2, oneAtATime: isOn(one, 'oneAtATime', true), ...(otherwise && { otherwise }) })
  const sizes = sizesOf(one, records.length)
  const batches: unknown[][] = []
  const batchMs = numberOf(one, 'batchMs') ?? 1_000
  const graph = topology('queue', (t) => {
    t.stream('queue', source, { batchInterval: batchMs }).foreachRDD(async (rdd) => void batches.push(await rdd.collect()))
  })
  await using cluster = await LocalCluster.start({ seed: 1, executors: 2 })
  const running = await cluster.submit(graph)
  let at = 0
  // the queue is read when a batch begins
  for (let tick = 0; at < records.length; tick++) {
    const size = Number(sizes[Math.min(tick, sizes.length - 1)])
    // each entry of the queue is an RDD of its own
    for (const record of records.slice(at, at + size)) source.add(...(Array.isArray(record) ? (record as unknown[]) : [record]))
    at += size
    await running.advance(batchMs)
  }
  const expected = dataOf(one.expected)?.length ?? 0
  await running.advance((Math.max(records.length, expected) - batches.length) * batchMs)
  await running.advance(batchMs / 2)
  return resultIs(one, batches)
}

/** How many are enqueued at each tick; the last number holds for those that follow. */
function sizesOf({ params, notes }: VectorCase, all: number): readonly number[] {
  const lists = Object.values(params).filter((value) => Array.isArray(value) && value.length > 0) as unknown[][]
  const [list] = lists
  if (list?.every((one) => typeof one === 'number') === true) return list
  if (list?.every(Array.isArray) === true) return list.map((one) => (one as unknown[]).length)
  const perTick = params['enqueuePerTick'] ?? params['perTick'] ?? params['enqueue']
  if (typeof perTick === 'number') return [perTick]
  const first = Object.entries(params).find(([name, value]) => /first/i.test(name) && typeof value === 'number')?.[1]
  const inWords: Readonly<Record<string, number>> = { one: 1, two: 2, three: 3, four: 4, five: 5 }
  const [, said] = /\bfirst (\d+|one|two|three|four|five)\b|\b(?:^|:)(three|two) RDDs?/i.exec(notes) ?? []
  const n = typeof first === 'number' ? first : said === undefined ? undefined : (inWords[said.toLowerCase()] ?? Number(said))
  return n === undefined ? [1] : [n, Math.max(1, all - n)]
}

// ------------------------------------------------------------------------------------------------ receivers

/** Lines from a server that the stream connects to: what arrives is asserted, not in which batch. */
async function socket(one: VectorCase): Promise<Verdict> {
  const lines = (dataOf(one.input) ?? []).flat().map(String)
  const { expected } = one
  const clients: Socket[] = []
  const server = createServer((client) => {
    // whoever connects again gets nothing again
    if (clients.push(client) === 1) client.write(lines.map((line) => `${line}\n`).join(''))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  try {
    const records = await receivedBy([socketLines({ host: '127.0.0.1', port })], lines.length)
    if (!isRecord(expected)) return compared(one.operation, records, (dataOf(expected) ?? []).flat(), 'list')
    return all(
      Object.entries(expected).map(([aspect, wanted]): Verdict => {
        if (Array.isArray(wanted)) return compared(aspect, records, wanted.flat(), 'list')
        if (typeof wanted === 'number') return same(aspect, records.length, wanted)
        // without a state directory there is no log, and no block of one
        return /wal|writeAhead/i.test(aspect) ? same(aspect, false, wanted) : undefined
      }),
    )
  } finally {
    for (const client of clients) client.destroy()
    server.close()
  }
}

/** A receiver that stores from many places at once: nothing gets lost. */
async function producers(one: VectorCase): Promise<Verdict> {
  const given = { ...one.params, ...(isRecord(one.input) ? one.input : {}) }
  const [, many, each] = /(\d+) \w+(?: x|,| store| with)? (\d+)/.exec(one.operation) ?? []
  const threads = Number(given['threads'] ?? given['numThreads'] ?? many)
  const records = Number(given['recordsPerThread'] ?? given['numRecordsPerThread'] ?? given['records'] ?? each)
  if (!(threads > 0 && records > 0)) return undefined
  const receiver: Receiver<unknown> = {
    onStart(output) {
      const produce = async (thread: number): Promise<void> => {
        for (let i = 0; i < records; i++) await output.store(thread * records + i)
      }
      for (let thread = 0; thread < threads; thread++) void produce(thread)
    },
    onStop: () => undefined,
  }
  const found = await receivedBy([receiver], threads * records)
  const wanted = isRecord(one.expected) ? Object.values(one.expected)[0] : [one.expected].flat(2)[0]
  return same('received', new Set(found).size, wanted)
}

/** What a stream of receivers gets, until it is as much as wanted; the world outside has a time of its own. */
async function receivedBy(receivers: readonly Receiver<unknown>[], wanted: number): Promise<unknown[]> {
  const found: unknown[] = []
  const graph = topology('received', (t) => {
    t.stream('received', received(receivers), { batchInterval: 1_000 }).foreachRDD(async (rdd) => void found.push(...(await rdd.collect())))
  })
  await using cluster = await LocalCluster.start({ seed: 1, executors: 2 })
  const running = await cluster.submit(graph)
  const triesMax = 500
  for (let i = 0; i < triesMax && (found.length < wanted || i === 0); i++) {
    await running.advance(1_500)
    await setTimeout(5)
  }
  await running.advance(2_000)
  if (running.errors[0] !== undefined) throw new Error(running.errors[0].message)
  return found
}

// ------------------------------------------------------------------------------------------------ files

interface File {
  readonly path: string
  readonly text: string
  readonly isBeforeStart: boolean
  /** it comes with its folder */
  readonly isMovedIn: boolean
}

/** The run starts late enough for what is older than all that is remembered. */
const startMs = 600_000

async function folder(one: VectorCase): Promise<Verdict> {
  const root = mkdtempSync(join(tmpdir(), 'squall-files-'))
  try {
    return resultIs(one, await batchesOfFiles(one, root))
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}

async function batchesOfFiles(one: VectorCase, root: string): Promise<unknown[][]> {
  const batchMs = numberOf(one, 'batchMs') ?? 1_000
  const pattern = (/"([^"]*)"/.exec(one.operation)?.[1] ?? '<dir>').replace('<dir>', join(root, 'in'))
  const isBinary = one.operation.startsWith('binaryRecordsStream')
  const [, length] = /,\s*(?:recordLength\s*=\s*)?(\d+)\)/.exec(one.operation) ?? []
  const newFilesOnly = isOn(one, 'newFilesOnly', true)
  const batches: unknown[][] = []
  const graph: TopologyDefinition = topology('files', (t) => {
    const options = { batchInterval: batchMs }
    if (isBinary) {
      const records = t.stream('files', binaryFolder(pattern, Number(one.params['recordLength'] ?? length ?? 1), { newFilesOnly }), options)
      records.foreachRDD(
        async (rdd) => void batches.push((await rdd.collect()).map((bytes) => (bytes.length === 1 ? bytes[0] : [...bytes]))),
      )
    } else
      t.stream('files', textFolder(pattern, { newFilesOnly }), options).foreachRDD(async (rdd) => void batches.push(await rdd.collect()))
  })
  const files = filesOf(one, join(root, 'in'), pattern, isBinary)
  for (const file of files) mkdirSync(dirname(file.path), { recursive: true })
  mkdirSync(join(root, 'in'), { recursive: true })
  const put = (file: File, atMs: number): void => {
    const aside = join(root, 'aside', basename(dirname(file.path)))
    const at = file.isMovedIn ? join(aside, basename(file.path)) : file.path
    mkdirSync(dirname(at), { recursive: true })
    writeFileSync(at, isBinary ? Uint8Array.from(file.text.split(',').map(Number)) : `${file.text}\n`)
    utimesSync(at, atMs / 1_000, atMs / 1_000)
    if (!file.isMovedIn) return
    rmSync(dirname(file.path), { recursive: true, force: true })
    renameSync(aside, dirname(file.path))
  }
  for (const file of files.filter(({ isBeforeStart }) => isBeforeStart)) put(file, startMs - batchMs)
  await using cluster = await LocalCluster.start({ seed: 1, executors: 2 })
  const running = await cluster.submit(graph, { inactive: true })
  await running.advance(startMs)
  await running.activate()
  await running.advance(batchMs + batchMs / 2)
  for (const file of files.filter(({ isBeforeStart }) => !isBeforeStart)) {
    put(file, running.nowMs)
    await running.advance(batchMs)
  }
  await running.advance(2 * batchMs)
  if (running.errors[0] !== undefined) throw new Error(running.errors[0].message)
  return batches
}

function filesOf(one: VectorCase, folder: string, pattern: string, isBinary: boolean): File[] {
  const existing = one.params['existingFileBeforeStart'] ?? one.params['existingFile']
  const before: File[] =
    existing === undefined ? [] : [{ path: join(folder, 'existing'), text: textOf(existing), isBeforeStart: true, isMovedIn: false }]
  // `sub*` and `*` are places for folders of any such name
  const place = (name: string): string => {
    const [first = ''] = pattern.slice(folder.length + 1).split('/')
    return first.includes('*') ? join(folder, first.replace('*', name)) : folder
  }
  if (isBinary) return [...before, ...binaryFilesOf(one, folder)]
  if (isRecord(one.input))
    return [
      ...before,
      ...Object.entries(one.input).flatMap(([name, values]) =>
        (dataOf(values) ?? []).map((value) => plain(join(place(name), `file-${String(value)}`), value)),
      ),
    ]
  const list = dataOf(one.input)
  if (list === undefined) throw new Unknown('files')
  const files = list.map((value, i): File => {
    if (!isRecord(value)) return plain(join(place('0'), isBinary ? String(value) : `file-${i}`), value)
    const name = textOf(value['file'] ?? value['name'] ?? i)
    const isBeforeStart = /before|old/i.test(textOf(value['mtime'] ?? ''))
    return {
      path: join(place(String(i)), name),
      text: textOf(value['content'] ?? value['text'] ?? name.replace(/\.\w+$/, '')),
      isBeforeStart,
      isMovedIn: value['directoryRenamedIn'] === true,
    }
  })
  return [...before, ...files]
}

/** A list is a file of its bytes; `copies` are files whose bytes are one more each time. */
function binaryFilesOf(one: VectorCase, folder: string): File[] {
  const list = dataOf(one.input) ?? (isRecord(one.input) ? Object.values(one.input) : [])
  const copies = numberOf(one, 'copies', 'numCopies', 'files')
  const bytes = list.every((item) => typeof item === 'number') ? (list as number[]) : undefined
  if (bytes !== undefined && copies !== undefined)
    return Array.from({ length: copies }, (_, i) => plain(join(folder, String(i)), bytes.map((byte) => byte + i).join(',')))
  return list.map((item, i) => plain(join(folder, String(i)), String(item)))
}

function plain(path: string, value: unknown): File {
  return { path, text: String(value), isBeforeStart: false, isMovedIn: false }
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}
