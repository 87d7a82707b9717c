/**
 * Real processes, killed while they count: `squall run topologies/exact-count.ts` again and again on one state directory, with SIGKILL some
 * random time after it was seen to commit. What is counted and what is given out must equal a count of our own.
 *
 * A few kills by default. The long way, 50 kills of each kind over 1,000,000 lines, takes some minutes:
 *
 *     SQUALL_KILLS=50 SQUALL_KILL_LINES=1000000 npx vitest run test/batch/kill.test.ts
 */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Random } from '../../lib/std/random.ts'
import { bin, squall } from '../cli/command.ts'
import { repository } from '../house/repository.ts'

const killsWanted = Number(process.env['SQUALL_KILLS'] ?? 4)
const lines = Number(process.env['SQUALL_KILL_LINES'] ?? 20_000)
/** So many batches that a run is still at work when it is to be killed. */
const batches = 60 * killsWanted
const killWithinMs = 80

const random = new Random(20)
let folder: string
let input: string
let bytes: number
let expected: string

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'squall-exact-'))
  input = join(folder, 'text.txt')
  const counts = new Map<string, number>()
  const text: string[] = []
  for (let i = 0; i < lines; i++) {
    const words = Array.from({ length: 6 }, () => `w${Math.min(random.below(2_000), random.below(2_000))}`)
    for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1)
    text.push(words.join(' '))
  }
  const all = `${text.join('\n')}\n`
  bytes = all.length
  expected = table(counts)
  writeFileSync(input, all)
})

afterAll(() => rmSync(folder, { recursive: true }))

test.each([
  ['the store log', ['log']],
  ['the store lmdb', ['lmdb']],
  ['both stores in turn', ['log', 'log', 'lmdb', 'lmdb']],
] as const)(
  'killed at random, on one and two executors in turn, with %s',
  async (_, stores) => {
    for (let kills = 0, round = 1; kills < killsWanted; round++) {
      const place = join(folder, `${stores.length}-${stores[0]}-${round}`)
      const output = join(place, 'out')
      for (let isDone = false; !isDone;) {
        const args = ['--executors', String((kills % 2) + 1), '--set', `store=${stores[kills % stores.length] as string}`]
        const isLast = kills >= killsWanted
        const killed = await run([...args, '--set', `output=${output}`, '--state-dir', place], place, isLast)
        if (killed) kills++
        isDone = !killed
      }
      const dump = await squall(['state', 'dump', 'exact-count', 'counts', '--state-dir', place])
      expect(dump).toEqual({ code: 0, stdout: expected, stderr: '' })
      expect(given(output)).toBe(expected)
    }
  },
  30_000 * Math.max(4, killsWanted),
)

/** Runs the topology to its end, or until it is killed some time after a commit. True when it was killed. */
async function run(args: readonly string[], place: string, isLast: boolean): Promise<boolean> {
  const batchBytes = Math.ceil(bytes / batches)
  const topology = join(repository, 'topologies', 'exact-count.ts')
  const child = spawn(process.execPath, [bin, 'run', topology, '--set', `input=${input}`, '--set', `batchBytes=${batchBytes}`, ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
  if (!isLast) {
    const before = committedBytes(place)
    const waitMs = random.below(killWithinMs)
    while (isRunning(child) && committedBytes(place) === before) await sleep(2)
    await Promise.race([ended, sleep(waitMs)])
    child.kill('SIGKILL')
  }
  await ended
  if (child.signalCode === 'SIGKILL') return true
  expect(child.exitCode, stderr).toBe(0)
  return false
}

function isRunning({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode === null && signalCode === null
}

/** Grows with every commit. */
function committedBytes(place: string): number {
  try {
    const folderOfLogs = join(place, 'batches')
    const names = readdirSync(folderOfLogs).filter((name) => name.startsWith('commits'))
    return names.reduce((sum, name) => sum + statSync(join(folderOfLogs, name)).size, 0)
  } catch {
    return 0 // not there yet
  }
}

/** The last count of each word in the files of the batches, in their order; a word's count may only grow. */
function given(output: string): string {
  const numberOf = (name: string): number => Number(/^batch-(\d+)\.part-\d+$/.exec(name)?.[1])
  const names = readdirSync(output).filter((name) => !name.endsWith('.new'))
  const last = new Map<string, number>()
  for (const name of names.sort((a, b) => numberOf(a) - numberOf(b)))
    for (const line of readFileSync(join(output, name), 'utf8').trimEnd().split('\n')) {
      const [word, count] = line.split('\t') as [string, string]
      expect(Number(count), `${word} in ${name}`).toBeGreaterThan(last.get(word) ?? 0)
      last.set(word, Number(count))
    }
  return table(last)
}

function table(counts: ReadonlyMap<string, number>): string {
  const rows = [...counts].sort(([a], [b]) => (a < b ? -1 : 1))
  return rows.map(([word, count]) => `${word}\t${count}\n`).join('')
}
