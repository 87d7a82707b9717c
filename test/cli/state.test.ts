import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openStateDirectory } from '../../lib/batch/state/directory.ts'
import { main } from '../../lib/cli/main.ts'
import { fakeIo } from './fake.ts'

let folder: string

async function squall(...argv: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const io = fakeIo()
  return { code: await main(argv, io), stdout: io.stdout, stderr: io.stderr }
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'squall-cli-state-'))
  const directory = await openStateDirectory({
    folder,
    topology: 'exact-count',
    store: 'log',
    tasks: 1,
    operators: { counts: 1 },
    run: 'r',
  })
  const store = await directory.open(0)
  store.begin(3)
  for (const [key, value] of [
    ['b', 2],
    ['B', 1],
    ['ä', 3],
    ['a b', 4],
    ['x\ty', 'l\nm'],
    [['p', 1], { n: 5n }],
    [7, new Set([1])],
  ] as const)
    store.table('counts').put(key, value)
  store.table('sums').put('all', 9)
  await store.commit(3)
  await store.close()
  directory.release()
})

afterAll(() => rm(folder, { recursive: true }))

test('list', async () => {
  const { code, stdout } = await squall('state', 'list', 'exact-count', '--state-dir', folder)
  expect(code).toBe(0)
  expect(stdout).toMatch(/^exact-count: batch 3, store log, 1 task, 128 key groups, \d+ bytes\noperator {2}keys\ncounts {4}7\nsums {6}1\n$/)
  const json = JSON.parse((await squall('state', 'list', 'exact-count', '--state-dir', folder, '--json')).stdout) as object
  expect(json).toMatchObject({ kind: 'state', topology: 'exact-count', txid: 3, store: 'log', tasks: 1, keyGroups: 128 })
  expect(json).toMatchObject({
    operators: [
      { operator: 'counts', keys: 7 },
      { operator: 'sums', keys: 1 },
    ],
  })
})

test('dump: by the code units of the keys', async () => {
  expect(await squall('state', 'dump', 'exact-count', 'counts', '--state-dir', folder)).toEqual({
    code: 0,
    stdout: '7\t[1]\nB\t1\n["p",1]\t{"n":"5"}\na b\t4\nb\t2\n"x\\ty"\t"l\\nm"\nä\t3\n',
    stderr: '',
  })
  expect((await squall('state', 'dump', 'exact-count', '--state-dir', folder)).stdout).toContain('counts\tä\t3\nsums\tall\t9\n')
  const lines = (await squall('state', 'dump', 'exact-count', 'counts', '--state-dir', folder, '--json')).stdout.trim().split('\n')
  expect(lines.map((line) => JSON.parse(line) as unknown)[2]).toEqual({ operator: 'counts', key: ['p', 1], value: { n: '5' } })
})

test('get: text, or JSON', async () => {
  const get = async (...argv: string[]): Promise<string> =>
    (await squall('state', 'get', 'exact-count', 'counts', ...argv, '--state-dir', folder)).stdout
  expect(await get('b')).toBe('2\n')
  expect(await get('["p",1]')).toBe('{"n":"5"}\n')
  expect(await get('7')).toBe('[1]\n')
  expect(JSON.parse(await get('ä', '--json'))).toEqual({ key: 'ä', value: 3 })
})

test.each([
  [['state', 'get', 'exact-count', 'counts', 'none'], 1, 'error[state-missing]: the state counts has no key none'],
  [['state', 'dump', 'exact-count', 'other'], 1, 'error[state-missing]: there is no state other'],
  [['state', 'dump', 'exact-count', 'other'], 1, 'the topology keeps: counts, sums'],
  [['state', 'list', 'other'], 1, 'holds the state of the topology exact-count, not of other'],
  [['state', 'lst', 'exact-count'], 2, "error[usage]: unknown command 'lst'"],
  [['state', 'lst', 'exact-count'], 2, 'did you mean state list? (see squall state --help)'],
])('%j is refused', async (argv, expected, text) => {
  const { code, stdout, stderr } = await squall(...argv, '--state-dir', folder)
  expect([code, stdout]).toEqual([expected, ''])
  expect(stderr).toContain(text)
})

test('the directory must be given, and be one', async () => {
  for (const argv of [
    ['state', 'list', 'exact-count'],
    ['run', 'topologies/exact-count.ts'],
  ])
    expect(await squall(...argv, '--state-dir', '')).toMatchObject({ code: 2, stdout: '' })
  expect(await squall('state', 'list', 'exact-count')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('--state-dir DIR') as string,
  })
  const { code, stderr } = await squall('state', 'list', 'exact-count', '--state-dir', join(folder, 'none'))
  expect([code, stderr]).toEqual([1, expect.stringContaining('error[state-missing]: there is no state in')])
})

test('help', async () => {
  expect(await squall('state', 'dump', '--help')).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('Example:\n  squall state dump') as string,
  })
  expect((await squall('state', '--help')).stdout).toContain('list')
  expect((await squall('help', 'state', 'get')).stdout).toContain('squall state get [options] <topology> <operator> <key>')
})
