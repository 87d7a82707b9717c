/** Trending hashtags against a count of our own over the whole file, which knows only where batches end and what a watermark is. */
import type { ChildProcess } from 'node:child_process'
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeEach, expect, test, vi } from 'vitest'
import { z } from 'zod'
import { LocalCluster } from '../../lib/testing/index.ts'
import trending from '../../topologies/trending-hashtags.ts'
import { squall } from '../cli/command.ts'
import { repository } from '../house/repository.ts'

const input = join(repository, 'topologies/data/tweets.jsonl')
const text = readFileSync(input, 'utf8')
const folder = mkdtempSync(join(tmpdir(), 'squall-trending-'))
afterAll(() => rmSync(folder, { recursive: true }))

let printed: string[] = []
beforeEach(() => {
  printed = []
  const log = vi.spyOn(console, 'log').mockImplementation((line: string) => void printed.push(line))
  return () => log.mockRestore()
})

const minuteMs = 60_000
const [windowMs, delayMs, top] = [10 * minuteMs, minuteMs, 10]

interface Tag {
  readonly tag: string
  readonly atMs: number
  readonly isLate: boolean
}

/** The lines that the topology is to write, and its last words. */
function expectedOf(everyMs: number, batchBytes: number): { readonly lines: string; readonly words: string } {
  const batches = batchesOf(batchBytes)
  /** the watermark when so many batches are done */
  const watermarks = [0]
  for (const batch of batches)
    watermarks.push(Math.max(watermarks.at(-1) as number, batch.reduce((max, { atMs }) => Math.max(max, atMs), 0) - delayMs))
  const first = Math.min(...batches.flat().map(({ atMs }) => atMs)) - windowMs
  const lines: string[] = []
  const counted = new Set<Tag>()
  for (let start = Math.ceil(first / everyMs) * everyMs; start + windowMs <= (watermarks.at(-1) as number); start += everyMs) {
    const counts = new Map<string, number>()
    for (const [i, batch] of batches.entries()) {
      // what has passed when the batch before begins takes nothing more
      if (i > 0 && start + windowMs <= (watermarks[i - 1] as number)) continue
      for (const one of batch.filter(({ atMs }) => start <= atMs && atMs < start + windowMs)) {
        counts.set(one.tag, (counts.get(one.tag) ?? 0) + 1)
        counted.add(one)
      }
    }
    const order = [...counts].sort(([a, n], [b, m]) => (n === m ? (a < b ? -1 : 1) : m - n))
    const end = new Date(start + windowMs).toISOString()
    for (const [i, [tag, count]] of order.slice(0, top).entries()) lines.push(`${end}\t${i + 1}\t${tag}\t${count}\n`)
  }
  const isOpen = (atMs: number): boolean => Math.floor(atMs / everyMs) * everyMs + windowMs > (watermarks.at(-1) as number)
  const all = batches.flat()
  const late = all.filter(({ isLate }) => isLate).length
  const leftOut = all.filter((one) => !counted.has(one) && !isOpen(one.atMs)).length
  const words = `\n${all.length} hashtags; ${late} of them came more than 1m late: ${late - leftOut} were counted in the windows that were still open, ${leftOut} came too late for all of theirs`
  return { lines: lines.join(''), words }
}

/** What a source of lines gives: a batch ends with the line that reaches its number of bytes. */
function batchesOf(batchBytes: number): Tag[][] {
  const batches: Tag[][] = []
  let bytes = Infinity
  for (const line of text.trimEnd().split('\n')) {
    if (bytes >= batchBytes) {
      batches.push([])
      bytes = 0
    }
    bytes += Buffer.byteLength(line) + 1
    const { at, received, text: words } = z.object({ at: z.string(), received: z.string(), text: z.string() }).parse(JSON.parse(line))
    const tags = new Set(words.split(' ').filter((word) => word.startsWith('#')))
    const isLate = Date.parse(received) > Date.parse(at) + delayMs
    for (const tag of new Set([...tags].map((one) => one.toLowerCase()))) batches.at(-1)?.push({ tag, atMs: Date.parse(at), isLate })
  }
  return batches
}

function written(output: string): string {
  const numberOf = (name: string): number => Number(/^batch-(\d+)\.part-0$/.exec(name)?.[1])
  const names = readdirSync(output).sort((a, b) => numberOf(a) - numberOf(b))
  return names.map((name) => readFileSync(join(output, name), 'utf8')).join('')
}

test.each([
  { executors: 1, every: '1m', everyMs: minuteMs, batchBytes: 16_384 },
  { executors: 2, every: '1m', everyMs: minuteMs, batchBytes: 50_000 },
  { executors: 2, every: '10s', everyMs: 10_000, batchBytes: 100_000 },
])('counts as a naive count does: $every, $batchBytes bytes a batch, $executors executors', async ({ executors, everyMs, ...params }) => {
  const output = join(folder, `${executors}-${everyMs}`)
  await using local = await LocalCluster.start({ seed: 7, executors })
  await local.complete(trending, { params: { output, ...params } })
  const { lines, words } = expectedOf(everyMs, params.batchBytes)
  expect(written(output)).toBe(lines)
  expect(printed.at(-1)).toBe(words)
})

test('late tweets are told apart', () => {
  const [, all, late, counted, leftOut] =
    /^(\d+) hashtags; (\d+) .* late: (\d+) .* open, (\d+) /.exec(expectedOf(minuteMs, 16_384).words.trim())?.map(Number) ?? []
  expect(all).toBeGreaterThan(7_000)
  for (const some of [late, counted, leftOut]) expect(some).toBeGreaterThan(40)
})

test('boards say what has changed', async () => {
  await using local = await LocalCluster.start({ seed: 7 })
  await local.complete(trending, { params: { top: 3, boards: '30m' } })
  const boards = printed.slice(0, -1).map((board) => board.trim().split('\n'))
  expect(boards.map(([head]) => head)).toEqual(['2026-03-14 18:30', '2026-03-14 19:00', '2026-03-14 19:30', '2026-03-14 20:00'])
  const rows = boards.slice(0, 2).map(([, ...lines]) => lines.map((line) => line.replace(/ *█+$/, '').replaceAll(/ +/g, ' ').trim()))
  expect(rows).toMatchInlineSnapshot(`
    [
      [
        "1 #eclipse 187",
        "2 #newalbum 105",
        "3 #coffee 44",
      ],
      [
        "1 new #cupfinal 133",
        "2 ▲1 #coffee 59",
        "3 ▼1 #newalbum 49",
      ],
    ]
  `)
})

/** By the built command, with a state directory. */
function args(name: string, executors: number, batchBytes: number): string[] {
  const place = join(folder, name)
  const command = `run topologies/trending-hashtags.ts --executors ${executors} --set batchBytes=${batchBytes}`.split(' ')
  return command.concat('--set', `output=${place}`, '--state-dir', `${place}-state`)
}

test.each([1, 2, 4])(
  'as a command on %d executors',
  async (executors) => {
    const { lines, words } = expectedOf(minuteMs, 100_000)
    const { code, stdout } = await squall(args(`on-${executors}`, executors, 100_000), { cwd: repository })
    expect(code).toBe(0)
    expect(stdout).toContain(words)
    expect(written(join(folder, `on-${executors}`))).toBe(lines)
  },
  60_000,
)

test('killed again and again, it goes on', async () => {
  const { lines, words } = expectedOf(minuteMs, 16_384)
  for (const executors of [1, 2, 1]) {
    const onOut = (out: string, child: ChildProcess): void => void (out.includes('█') && child.kill('SIGKILL'))
    const killed = await squall(args('killed', executors, 16_384), { cwd: repository, onOut })
    expect(killed.code).toBe(null)
  }
  const { code, stdout } = await squall(args('killed', 2, 16_384), { cwd: repository })
  expect(code).toBe(0)
  expect(stdout).toContain(words)
  expect(written(join(folder, 'killed'))).toBe(lines)
}, 90_000)
