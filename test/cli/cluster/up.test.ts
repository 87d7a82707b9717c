/** `squall up` and what is deployed on it, as users have them: real processes, ended and killed. */
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { main } from '../../../lib/cli/main.ts'
import type { TopologyDescription } from '../../../lib/cluster/nimbus/views.ts'
import { isAlive, startOf } from '../../../lib/std/processes.ts'
import { folderOf } from '../../fixtures/files.ts'
import { squall } from '../command.ts'
import { fakeIo } from '../fake.ts'
import { up } from './running.ts'

const patience = { timeout: 60_000, interval: 100 }

const counting = `
import { defineBolt, files, topology, z } from 'squall'
const Line = z.object({ line: z.string() })
const count = defineBolt({ input: Line, prepare() { let n = 0; return { execute: () => void n++, finish: () => console.log('lines: ' + n) } } })
export default topology('counting', (t) => void t.bolt('count', count).global(t.spout('lines', files.lines(t.param('input', z.string())))))
`

const endless = `
import { defineBolt, defineSpout, topology, z } from 'squall'
const N = z.object({ n: z.int() })
const numbers = defineSpout({ output: N, open() { let n = 0; return (out) => { if (n < 1000) out.emit({ n }, n++) } } })
const log = defineBolt({ input: N, execute: ({ n }) => void (n === 7 && console.log('seven')) })
export default topology('endless', (t) => void t.bolt('log', log).shuffle(t.spout('numbers', numbers)))
`

// a checkout builds itself before its first command
beforeAll(async () => {
  await squall(['--version'])
}, 120_000)

test('a cluster of one machine: what is deployed comes back after Ctrl-C, and lives on through kill -9', { timeout: 180_000 }, async () => {
  const cwd = folderOf({ 'counting.ts': counting, 'endless.ts': endless, 'three.txt': 'a\nb\nc\n' })
  const folder = join(folderOf({}), 'home')
  const env = { SQUALL_DIR: folder }
  const ask = async (...argv: readonly string[]): Promise<string> => {
    const io = fakeIo()
    const code = await main([...argv, '--url', running.url, '--token-file', join(folder, 'token')], io)
    if (code !== 0) throw new Error(io.stderr)
    return io.stdout
  }
  const described = async (name: string): Promise<TopologyDescription> =>
    JSON.parse(await ask('describe', name, '--json')) as TopologyDescription
  const workerOf = async (name: string): Promise<{ pid: number; started: string }> => {
    const { workers } = await described(name)
    const pid = workers[0]?.pid ?? 0
    return { pid, started: startOf(pid) }
  }
  const active = async (): Promise<void> => {
    expect(await described('endless')).toMatchObject({ state: 'active', workers: [{ state: 'running' }] })
  }

  let running = await up(folder)
  // a path is meant from where it was deployed
  const deployed = await squall(['deploy', 'counting.ts', '--set', 'input=three.txt', '--json'], { cwd, env })
  expect(deployed).toMatchObject({ code: 0, stderr: '' })
  expect(JSON.parse(deployed.stdout)).toMatchObject({ kind: 'deployed', name: 'counting', tasks: 2 })
  await vi.waitFor(async () => expect(await described('counting')).toMatchObject({ state: 'finished', result: { acked: 3 } }), patience)
  expect((await described('counting')).workers).toMatchObject([{ state: 'ended' }])
  expect(await ask('logs', 'counting')).toBe('lines: 3\n')

  expect((await squall(['deploy', 'endless.ts'], { cwd, env })).stdout).toContain('endless is active: 1 worker, 1 executor, 2 tasks\n')
  await vi.waitFor(async () => expect((await described('endless')).components[1]).toMatchObject({ counts: { acked: 1_000 } }), patience)
  expect(await ask('logs', 'endless')).toBe('seven\n')
  expect(JSON.parse(await ask('list', '--json'))).toMatchObject([
    { name: 'counting', state: 'finished', workers: 0 },
    { name: 'endless', state: 'active', workers: 1, executors: 1, tasks: 2 },
  ])

  const first = await workerOf('endless')
  running.child.kill('SIGINT')
  expect(await running.code).toBe(130)
  expect(isAlive(first)).toBe(false)
  expect((await squall(['list'], { env })).stderr).toMatch(/^error\[api-away\]: .*\nhelp: start one here with squall up/)

  running = await up(folder)
  await vi.waitFor(active, patience)
  const second = await workerOf('endless')
  expect(isAlive(second)).toBe(true)

  running.child.kill('SIGKILL')
  await running.code
  expect(isAlive(second)).toBe(true)
  running = await up(folder)
  await vi.waitFor(active, patience)
  expect(await workerOf('endless')).toEqual(second)
  expect(await ask('logs', 'counting')).toBe('lines: 3\n')

  expect(await ask('rebalance', 'endless', '--executors', '2', '--workers', '2')).toBe('endless gets 2 workers, 2 executors, 2 tasks\n')
  const spread = { state: 'active', executors: 2, workers: [{ executors: [0] }, { executors: [1] }] }
  await vi.waitFor(async () => expect(await described('endless')).toMatchObject(spread), patience)
  expect(isAlive(second)).toBe(false)
  await vi.waitFor(async () => expect((await described('endless')).components[1]).toMatchObject({ counts: { acked: 1_000 } }), patience)
  const third = await workerOf('endless')

  expect(await ask('kill', 'endless')).toBe('endless is gone\n')
  await vi.waitFor(() => expect(isAlive(third)).toBe(false), patience)
  expect(JSON.parse(await ask('list', '--json'))).toMatchObject([{ name: 'counting', state: 'finished' }])
  running.child.kill('SIGTERM')
  expect(await running.code).toBe(130)
})

describe('up that cannot be', () => {
  test('a port in use', async () => {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    const { port } = server.address() as AddressInfo
    const { code, stdout, stderr } = await squall(['up', '--dir', folderOf({}), '--port', String(port)])
    expect([code, stdout]).toEqual([1, ''])
    expect(stderr).toMatch(/error\[listen-failed\]: cannot listen on 127.0.0.1:\d+: .*EADDRINUSE.*\nhelp: .*\n$/)
  })

  test('a folder in use', async () => {
    const folder = folderOf({})
    const { child, code } = await up(folder)
    const second = await squall(['up', '--dir', folder, '--port', '0'])
    expect([second.code, second.stdout]).toEqual([1, ''])
    expect(second.stderr).toContain(`error[state-in-use]: the folder ${folder} is in use by the process ${child.pid}\n`)
    child.kill('SIGINT')
    expect(await code).toBe(130)
  })

  test.each([
    [['--host', '0.0.0.0'], 1, 'listen-open'],
    [['--port', '70000'], 2, 'usage'],
    [['--port', 'x'], 2, 'usage'],
    [['--slots', '0'], 2, 'usage'],
    [['--dir', ''], 2, 'usage'],
    [['--dir', '/proc/squall'], 1, 'file-unwritable'],
  ])('%j', async (argv, exit, error) => {
    const io = fakeIo()
    const code = await main(['up', '--dir', folderOf({}), '--port', '0', ...argv], io)
    expect([code, io.stdout]).toEqual([exit, ''])
    expect(io.stderr).toMatch(new RegExp(`^error\\[${error}\\]: .*\nhelp: .*\n$`))
  })
})
