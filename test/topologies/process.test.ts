/** The example topologies as users run them: by the built command, in a process, on threads. */
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'squall-examples-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

interface Outcome {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

function node(...argv: readonly string[]): Promise<Outcome> {
  return new Promise((done, failed) => {
    const child = spawn(process.execPath, argv, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
    let [stdout, stderr] = ['', '']
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    // a source that was saved meanwhile makes the command build first, and say so
    child.once('error', failed).once('close', (code) => done({ code, stdout, stderr: stderr.replace(/^building\.\.\.\n/, '') }))
  })
}

const squall = (...argv: readonly string[]): Promise<Outcome> => node('bin/squall.js', ...argv)

function lastLine({ stdout }: Outcome): unknown {
  return JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '')
}

// a checkout builds itself before its first command
beforeAll(async () => {
  await squall('--version')
}, 120_000)

describe('each example runs from the command line and ends by itself', () => {
  test.each([
    ['join.ts', ['orders=300', 'rate=1500'], '270 orders paid', { emitted: 570, acked: 570, failed: 0 }],
    ['rolling-top-words.ts', ['seconds=0.6', 'window=200ms', 'every=100ms'], 'storm', { emitted: 1200, acked: 1200, failed: 0 }],
    [
      'flaky.ts',
      ['jobs=200'],
      '198 jobs done, 178 of them at the first attempt; 2 dead letters',
      { emitted: 200, failed: 48, replayed: 46, deadLettered: 2 },
    ],
    ['enrich.ts', ['events=500', 'serviceMs=1'], '0 of a user came out of order', { emitted: 500, acked: 500, failed: 0 }],
    ['word-count.yaml', [], '14426  the', { acked: 22_923, failed: 0 }],
    ['top-words.ts', ['top=1'], '  14426  the\n', { emitted: 1, acked: 1, failed: 0 }],
  ])(
    '%s',
    async (file, params, printed, result) => {
      const sets = params.flatMap((param) => ['--set', param])
      const outcome = await squall('run', `topologies/${file}`, ...sets, '--executors', '2', '--json')
      expect(outcome.stderr).toContain(printed)
      expect(lastLine(outcome)).toMatchObject({ kind: 'result', state: 'finished', expired: 0, ...result })
      expect(outcome.code).toBe(0)
    },
    60_000,
  )
})

test('word count gives the same file on 1, 2 and 4 executors', async () => {
  const input = join(folder, 'input.txt')
  const novel = readFileSync(join(root, 'topologies/data/moby-dick.txt'), 'utf8')
  writeFileSync(input, novel.slice(0, 400_000).replaceAll('ae', 'æ'))
  const outputs = await Promise.all(
    [1, 2, 4].map(async (executors) => {
      const output = join(folder, `counts-${executors}.tsv`)
      const outcome = await squall(
        'run',
        'topologies/word-count.ts',
        '--set',
        `input=${input}`,
        '--set',
        `output=${output}`,
        '--executors',
        `${executors}`,
      )
      expect(outcome).toMatchObject({ code: 0, stderr: '' })
      return readFileSync(output, 'utf8')
    }),
  )
  expect(new Set(outputs).size).toBe(1)
  expect(outputs[0]).toMatch(/^the\t\d+$/m)
}, 60_000)

test('a missing input is one error, and nothing starts', async () => {
  const outcome = await squall('run', 'topologies/word-count.ts', '--set', 'input=no-such-file.txt')
  expect(outcome.code).not.toBe(0)
  expect(outcome.stderr).toMatch(/^error\[file-not-found\]: cannot find the file no-such-file.txt\n {2}at .*component lines.*\nhelp: .+\n$/)
})

test('the vectors command tells each case and the sum, and fails on a case that does', async () => {
  const passed = await node('dist/test/vectors/main.js', '--json')
  const lines = passed.stdout.trimEnd().split('\n')
  const cases = lines.slice(0, -1).map((line) => JSON.parse(line) as Record<string, unknown>)
  const count = (ok: boolean | null) => cases.filter((one) => one.ok === ok).length
  expect(lastLine(passed)).toEqual({ kind: 'result', passed: count(true), failed: 0, unsupported: count(null) })
  expect(count(true)).toBeGreaterThan(200)
  expect(passed).toMatchObject({ code: 0, stderr: '' })

  const one = { name: 'one', operation: 'rankings', params: {}, input: [['a', 1]], expected: [['a', 2]] }
  writeFileSync(join(folder, 'wrong.json'), JSON.stringify({ suite: 'RankingsTest', source: {}, cases: [one] }))
  const failed = await node('dist/test/vectors/main.js', folder, '--json')
  expect(lastLine(failed)).toEqual({ kind: 'result', passed: 0, failed: 1, unsupported: 0 })
  expect(failed.code).toBe(1)

  const missing = await node('dist/test/vectors/main.js', 'no/such/folder')
  expect(missing).toMatchObject({ code: 2, stdout: '', stderr: expect.stringMatching(/^error\[file-not-found\]/) as string })
})
