/** A host with real workers, which are killed, stopped and left alone. */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Coordinator } from '../../../lib/cluster/coordination/coordinator.ts'
import { connect } from '../../../lib/cluster/coordination/connect.ts'
import { Mirror } from '../../../lib/cluster/coordination/mirror.ts'
import { digestOf } from '../../../lib/cluster/blobstore/blobs.ts'
import { keys } from '../../../lib/cluster/records.ts'
import type { ResultRecord, SupervisorRecord, WorkerRecord } from '../../../lib/cluster/records.ts'
import type { HostSupervisor } from '../../../lib/cluster/supervisor/host-supervisor.ts'
import type { LifeTimes } from '../../../lib/cluster/supervisor/worker-life.ts'
import { freePort } from '../../cli/cluster/fake-api.ts'
import { assignmentOf, topologyOf } from './scenes.ts'
import { built, builtUrl } from '../../fixtures/built.ts'

const hostModule = 'cluster/supervisor/host-supervisor.js'
const { HostSupervisor: BuiltHost } = await built<typeof import('../../../lib/cluster/supervisor/host-supervisor.ts')>(hostModule)
const { loadTopology } = await built<typeof import('../../../lib/topology/load/load.ts')>('topology/load/load.js')

const lines = 40_000
let folder: string
let bundle: Buffer
let coordinator: Coordinator | undefined
let host: HostSupervisor | undefined
let child: ChildProcess | undefined

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'squall-real-'))
  write(lines)
  const loaded = await loadTopology('topologies/word-count.ts')
  bundle = Buffer.from(loaded.text)
  writeFileSync(join(folder, 'bundle'), bundle)
  loaded.dispose()
})

function write(count: number): void {
  writeFileSync(join(folder, 'text.txt'), 'so it was said and so it was done\n'.repeat(count))
}

afterEach(async () => {
  child?.kill('SIGKILL')
  await host?.stop({ andWorkers: true })
  await coordinator?.close()
  host = coordinator = child = undefined
  rmSync(folder, { recursive: true, force: true })
})

const optionsOf = (at: string): object => ({
  folder: join(at, 'host'),
  host: '127.0.0.1',
  port: 0,
  token: 'secret',
  slots: 4,
  version: '1',
  diskFreeMinMb: 1,
})

async function start(times: Partial<LifeTimes> = {}, more: Partial<ConstructorParameters<typeof BuiltHost>[0]> = {}): Promise<Coordinator> {
  coordinator ??= await connect('memory:')
  const options = { ...(optionsOf(folder) as ConstructorParameters<typeof BuiltHost>[0]), times, coordinator }
  host = new BuiltHost({ ...options, blob: () => Promise.resolve(bundle), report: () => undefined, ...more })
  await host.start()
  return coordinator
}

/** The first record with this prefix that fits. */
async function until<T>(on: Coordinator, prefix: string, fits: (record: T) => boolean): Promise<T> {
  const live: { mirror?: Mirror; look: () => void } = { look: () => undefined }
  const found = new Promise<T>((resolve) => {
    live.look = () => {
      const fitting = live.mirror
        ?.entries()
        .map(({ value }) => JSON.parse(value) as T)
        .find(fits)
      if (fitting !== undefined) resolve(fitting)
    }
  })
  live.mirror = await Mirror.open(on, prefix, () => live.look())
  live.look()
  const record = await found
  live.mirror.close()
  return record
}

async function deploy(on: Coordinator, workers: number): Promise<void> {
  const { id: supervisor } = await until<SupervisorRecord>(on, 'supervisors/', () => true)
  const params = { input: join(folder, 'text.txt') }
  const places = Array.from({ length: workers }, (_, worker) => ({ worker, supervisor, executors: [worker] }))
  await on.commit(
    [],
    [
      {
        key: keys.topology('words'),
        value: JSON.stringify(topologyOf('words', { bundle: digestOf(bundle), params, workers, executors: workers })),
      },
      {
        key: keys.assignment('words'),
        value: JSON.stringify(assignmentOf('words', places, { bundle: digestOf(bundle), executors: workers })),
      },
    ],
  )
}

const running = (on: Coordinator, worker: number, restarts = 0): Promise<WorkerRecord> =>
  until<WorkerRecord>(on, 'workers/', (one) => one.worker === worker && one.state === 'running' && one.restarts >= restarts)
/** As soon as it has a process: its run has hardly begun. */
const pidOf = async (on: Coordinator, worker: number): Promise<number> =>
  (await until<WorkerRecord>(on, 'workers/', (one) => one.worker === worker && one.pid !== undefined)).pid ?? 0
const result = (on: Coordinator): Promise<ResultRecord> => until<ResultRecord>(on, 'results/', () => true)

test('a topology on two workers runs to its end, and its result is there', async () => {
  const on = await start()
  await deploy(on, 2)
  expect(await result(on)).toMatchObject({ id: 'words-1', state: 'finished', emitted: lines, acked: lines, failed: 0, replayed: 0 })
  await on.commit([], [{ key: keys.assignment('words'), delete: true }])
})

test('a worker that is killed is started again, says why, and the run comes to its end', async () => {
  write(5 * lines)
  const on = await start()
  await deploy(on, 2)
  const pid = await pidOf(on, 1)
  process.kill(pid, 'SIGKILL')
  const again = await running(on, 1, 1)
  expect(again.pid).not.toBe(pid)
  expect(again.error).toMatchObject({ code: 'worker-ended', message: 'a worker ended: SIGKILL' })
  expect(await result(on)).toMatchObject({ state: 'finished', deadLettered: 0 })
})

test('workers listen on the ports that they may; one that finds none free does not start, and says so', async () => {
  write(50 * lines)
  const port = await freePort()
  const on = await start({}, { ports: [port, port] })
  await deploy(on, 2)
  const records = (fits: (one: WorkerRecord) => boolean): Promise<WorkerRecord> => until<WorkerRecord>(on, 'workers/', fits)
  const { worker, url } = await records((one) => one.url !== undefined)
  expect(url).toBe(`ws://127.0.0.1:${port}`)
  const failed = await records((one) => one.error !== undefined)
  expect(failed.worker).toBe(1 - worker)
  expect(failed.error?.message).toContain(`no port from ${port} to ${port} is free on 127.0.0.1`)
})

test('a worker that hangs is killed and started again', async () => {
  write(50 * lines) // it cannot have finished before it is stopped
  const on = await start({ beatTimeoutMs: 3_000 })
  await deploy(on, 1)
  const pid = await pidOf(on, 0)
  process.kill(pid, 'SIGSTOP')
  const again = await running(on, 0, 1)
  expect(again.error?.message).toContain('said nothing for 3000 ms')
})

test('a worker that says something wrong and ends leaves its last words', async () => {
  bundle = Buffer.from('console.error("first\\nthe cat is on the mat"); process.exit(7)\n')
  const on = await start({ backOffMs: [0] })
  await deploy(on, 1)
  const { error } = await until<WorkerRecord>(on, 'workers/', (one) => one.state === 'failing')
  expect(error?.message).toBe('a worker ended: exit code 7; its last words:\nfirst\nthe cat is on the mat')
})

const faulty = (inOpen: string, inNext: string): string => `
import { defineBolt, defineSpout, topology, z } from 'squall'
const N = z.object({ n: z.int() })
const boom = () => { throw new Error('no database') }
const ticks = defineSpout({ output: N, open() { ${inOpen}; let n = 0; return (out) => { if (++n === 9) ${inNext}; if (n < 9) out.emit({ n }) } } })
const print = defineBolt({ input: N, execute({ n }) { if (n === 4) throw new Error('unlucky') } })
export default topology('words', (t) => { t.param('input', z.string()); t.bolt('print', print).shuffle(t.spout('ticks', ticks)) })
`

test.each([
  ['cannot start', faulty('boom()', ''), 'component-start', 'ticks could not start: no database', '\n    at Object.open (FILE:5:'],
  [
    'throws',
    faulty('', 'boom()'),
    'spout-threw',
    'the spout ticks threw: no database',
    ' print[1]: unlucky\n    tuple {"n":4}\n    at Object.execute (FILE:6:',
  ],
])('a spout that %s: the worker says it where it was written, and its log has the trace', async (_, source, code, what, more) => {
  const file = join(folder, 'faulty.ts')
  writeFileSync(file, source)
  const loaded = await loadTopology(file)
  bundle = Buffer.from(loaded.text)
  loaded.dispose()
  const on = await start({ backOffMs: [60_000] })
  await deploy(on, 1)
  const { error } = await until<WorkerRecord>(on, 'workers/', (one) => one.state === 'waiting')
  expect(error).toMatchObject({ code, message: `${what} (${file}:4:28, component ticks task 0)` })
  const name = readdirSync(join(folder, 'host'), { recursive: true, encoding: 'utf8' }).find((one) => one.endsWith('worker.log')) ?? ''
  const text = readFileSync(join(folder, 'host', name), 'utf8').replaceAll(/^\d\d:\d\d:\d\d /gm, '')
  expect(text).toContain(`FATAL [${code}] ${what}\n      at ${file}:4:28, component ticks task 0\n    help: `)
  expect(text).toContain(`\n    at boom (${file}:4:28)\n    at Object.`)
  expect(text).toContain(more.replace('FILE', file))
  expect(text).not.toContain('\n\n')
})

test('a supervisor that is killed leaves its workers to the next one, also the result of what ended meanwhile', async () => {
  const address = `embedded:${join(folder, 'records')}`
  const script = `
    import { readFileSync } from 'node:fs'
    import { HostSupervisor } from ${JSON.stringify(builtUrl(hostModule))}
    import { connect } from ${JSON.stringify(builtUrl('cluster/coordination/connect.js'))}
    const coordinator = await connect(${JSON.stringify(address)})
    const more = { coordinator, blob: () => readFileSync(${JSON.stringify(join(folder, 'bundle'))}), report: console.error }
    await new HostSupervisor({ ...${JSON.stringify(optionsOf(folder))}, ...more }).start()
    process.send('started')
    process.once('message', (writes) => coordinator.commit([], writes))
    const look = async () => {
      const { entries } = await coordinator.list('')
      process.send(entries.map(({ key, value }) => [key, JSON.parse(value)]))
      setTimeout(look, 50)
    }
    look()`
  const first = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  child = first
  const seen = (fits: (key: string, record: WorkerRecord & SupervisorRecord) => boolean): Promise<WorkerRecord & SupervisorRecord> =>
    new Promise((resolve) =>
      first.on('message', (message) => {
        if (!Array.isArray(message)) return
        const entry = (message as [string, WorkerRecord & SupervisorRecord][]).find(([key, record]) => fits(key, record))
        if (entry !== undefined) resolve(entry[1])
      }),
    )
  const { id: supervisor } = await seen((key) => key.startsWith('supervisors/'))
  const params = { input: join(folder, 'text.txt') }
  const topology = topologyOf('words', { bundle: digestOf(bundle), params, executors: 1 })
  const assignment = assignmentOf('words', [{ worker: 0, supervisor }], { bundle: digestOf(bundle), executors: 1 })
  first.send([
    { key: keys.topology('words'), value: JSON.stringify(topology) },
    { key: keys.assignment('words'), value: JSON.stringify(assignment) },
  ])
  const before = await seen((_, { state }) => state === 'running')
  const gone = new Promise((resolve) => first.once('exit', resolve))
  first.kill('SIGKILL')
  await gone
  coordinator = await connect(address)
  const on = await start()
  expect(await result(on)).toMatchObject({ state: 'finished', acked: lines, failed: 0 })
  // the same process, and nothing was done twice
  expect(await running(on, 0)).toMatchObject({ pid: before.pid, restarts: 0, log: before.log, startedAtMs: before.startedAtMs })
})
