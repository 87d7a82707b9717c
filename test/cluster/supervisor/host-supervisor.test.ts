/** All of a host under virtual time, but for its API, which is real. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { MemoryCluster } from '../../../lib/cluster/coordination/memory.ts'
import type { MemoryCoordinator } from '../../../lib/cluster/coordination/memory.ts'
import { digestOf } from '../../../lib/cluster/blobstore/blobs.ts'
import { SupervisorRecord, keys } from '../../../lib/cluster/records.ts'
import type { WorkerRecord } from '../../../lib/cluster/records.ts'
import { HostSupervisor } from '../../../lib/cluster/supervisor/host-supervisor.ts'
import type { HostSupervisorOptions } from '../../../lib/cluster/supervisor/host-supervisor.ts'
import { VirtualSchedule } from '../../../lib/std/schedule.ts'
import { passing } from '../coordination/virtual.ts'
import { FakeProcesses } from './fake-processes.ts'
import { assignmentOf, topologyOf } from './scenes.ts'

const code = Buffer.from('export default 1\n')
const sha256 = digestOf(code)

let folder: string
let schedule: VirtualSchedule
let cluster: MemoryCluster
let client: MemoryCoordinator
let processes: FakeProcesses
let reports: string[]
let trouble: string | undefined
const hosts: HostSupervisor[] = []

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'squall-host-'))
  schedule = new VirtualSchedule()
  cluster = new MemoryCluster(schedule)
  client = cluster.client()
  processes = new FakeProcesses(schedule)
  reports = []
  trouble = undefined
})

afterEach(async () => {
  for (const one of hosts.splice(0)) await passing(schedule, one.stop())
  rmSync(folder, { recursive: true, force: true })
})

function host(options: Partial<HostSupervisorOptions> = {}): HostSupervisor {
  const one = new HostSupervisor({
    coordinator: client,
    blob: () => Promise.resolve(code),
    folder,
    host: '127.0.0.1',
    port: 0,
    token: 'secret',
    slots: 4,
    version: '9.9.9',
    report: (message) => void reports.push(message),
    schedule,
    processes,
    health: () => Promise.resolve(trouble),
    ...options,
  })
  hosts.push(one)
  return one
}

const hostRecords = (): SupervisorRecord[] =>
  cluster.store.list('supervisors/').entries.map(({ value }) => SupervisorRecord.parse(JSON.parse(value)))

function deploy(supervisor: string): void {
  const writes = [
    { key: keys.topology('words'), value: JSON.stringify(topologyOf('words', { bundle: sha256 })) },
    { key: keys.assignment('words'), value: JSON.stringify(assignmentOf('words', [{ worker: 0, supervisor }], { bundle: sha256 })) },
  ]
  cluster.commit([], writes)
}

function worker(): WorkerRecord {
  return JSON.parse(cluster.store.get(keys.worker('words', 0))?.value ?? 'null') as WorkerRecord
}

async function ask(one: HostSupervisor, path: string, token = 'secret', method = 'GET'): Promise<{ status: number; body: unknown }> {
  const response = await fetch(`${one.url}${path}`, { method, headers: { authorization: `Bearer ${token}` } })
  return { status: response.status, body: await response.json() }
}

test('a host is known for as long as its supervisor lives, by the same name each time', async () => {
  const one = host()
  await one.start()
  await one.start()
  await schedule.advance(100)
  const [record] = hostRecords()
  expect(record).toMatchObject({ host: '127.0.0.1', url: one.url, slots: 4, version: '9.9.9' })
  expect(record?.id).toBe(readFileSync(join(folder, 'id'), 'utf8').trim())
  await schedule.advance(60_000)
  expect(hostRecords()).toEqual([record])
  await passing(schedule, one.stop({ andWorkers: true }))
  await one.stop()
  expect(hostRecords()).toEqual([])
  await host().start()
  await schedule.advance(100)
  expect(hostRecords().map(({ id }) => id)).toEqual([record?.id])
})

test('a lease that is lost is replaced at once', async () => {
  const one = host()
  await one.start()
  await schedule.advance(100)
  cluster.revoke('1')
  expect(hostRecords()).toEqual([])
  await schedule.advance(3_000) // until it is renewed, and that fails
  expect(hostRecords()).toHaveLength(1)
  await schedule.advance(60_000)
  expect(hostRecords()).toHaveLength(1)
})

test('while the coordinator is away, what runs goes on; the host is known again when it is back', async () => {
  await host().start()
  await schedule.advance(100)
  deploy(hostRecords()[0]?.id ?? '')
  await schedule.advance(1_000)
  expect(processes.alive).toHaveLength(1)
  client.cut()
  await schedule.advance(120_000)
  expect(hostRecords()).toEqual([])
  expect(processes.alive).toHaveLength(1)
  client.mend()
  await schedule.advance(16_000)
  expect(hostRecords()).toHaveLength(1)
  expect(processes.all).toHaveLength(1)
  expect(reports).toHaveLength(2)
})

test('a supervisor that comes while the coordinator is away takes over what runs, and the rest follows', async () => {
  const first = host()
  await first.start()
  await schedule.advance(100)
  deploy(hostRecords()[0]?.id ?? '')
  await schedule.advance(1_000)
  await passing(schedule, first.stop())
  await schedule.advance(100)
  const before = worker()
  client.cut()
  await host().start()
  await schedule.advance(30_000)
  processes.last.hangs = true
  await schedule.advance(12_000) // nobody knows what to start in its place
  expect(processes.all.map(({ signals }) => signals)).toEqual([['SIGKILL']])
  client.mend()
  await schedule.advance(60_000)
  expect(processes.alive).toHaveLength(1)
  expect(worker()).toMatchObject({ state: 'running', restarts: before.restarts + 1, log: before.log })
})

test('a folder has one supervisor', async () => {
  await host().start()
  const second = host()
  await expect(second.start()).rejects.toMatchObject({ code: 'state-in-use' })
  await second.stop()
})

test('a supervisor that is stopped before it has started does nothing', async () => {
  const one = host()
  await one.stop()
  await one.start()
  await schedule.advance(10_000)
  expect(hostRecords()).toEqual([])
})

test('a host that is not well says so, and when it is again', async () => {
  trouble = 'its disk is nearly full'
  await host().start()
  await schedule.advance(100)
  expect(hostRecords()).toMatchObject([{ unhealthy: 'its disk is nearly full' }])
  trouble = undefined
  await schedule.advance(31_000)
  expect(hostRecords()).toHaveLength(1)
  expect(hostRecords()[0]).not.toHaveProperty('unhealthy')
})

test('a check that takes long does not keep a host from being known again, as well as it was before', async () => {
  const one = host()
  await one.start()
  await schedule.advance(100)
  deploy(hostRecords()[0]?.id ?? '')
  trouble = 'its fan is off'
  await schedule.advance(31_000)
  await passing(schedule, one.stop())
  let checked: (reason?: string) => void = () => undefined
  const starting = host({ health: () => new Promise((resolve) => (checked = resolve)) }).start()
  // its lease goes on for six seconds
  await passing(schedule, starting)
  await schedule.advance(9_000)
  expect(hostRecords()).toMatchObject([{ unhealthy: 'its fan is off' }])
  checked()
  await schedule.advance(100)
  expect(hostRecords()).toHaveLength(1)
  expect(hostRecords()[0]).not.toHaveProperty('unhealthy')
})

test('code is fetched once, and written with the library that runs here', async () => {
  const text = Buffer.from('import { topology } from "squall-library:index"\n')
  let fetched = 0
  const blob = (): Promise<Uint8Array> => Promise.resolve(++fetched === 1 ? Buffer.from('damaged') : text)
  await host({ blob }).start()
  await schedule.advance(100)
  const digest = digestOf(text)
  const supervisor = hostRecords()[0]?.id ?? ''
  cluster.commit(
    [],
    [
      { key: keys.topology('words'), value: JSON.stringify(topologyOf('words', { bundle: digest })) },
      {
        key: keys.assignment('words'),
        value: JSON.stringify(
          assignmentOf(
            'words',
            [
              { worker: 0, supervisor },
              { worker: 1, supervisor },
            ],
            { bundle: digest },
          ),
        ),
      },
    ],
  )
  await schedule.advance(5_000)
  expect(fetched).toBe(2)
  expect(processes.alive).toHaveLength(2)
  const { module } = processes.last.launch
  expect(module).toBe(join(folder, 'bundles', `${digest}.mjs`))
  expect(readFileSync(module, 'utf8')).toMatch(/^import \{ topology \} from "file:\/\/.*\/lib\/index\.ts"\n$/)
  processes.last.end('SIGKILL')
  await schedule.advance(5_000)
  expect(fetched).toBe(2)
})

test('it says how it is, what workers printed, and what they say, to whoever knows the token', async () => {
  const one = host()
  await one.start()
  await schedule.advance(100)
  const id = hostRecords()[0]?.id ?? ''
  deploy(id)
  await schedule.advance(1_000)
  expect(await ask(one, '/v1/health')).toEqual({ status: 200, body: { id, isKnown: true, workers: 1 } })
  const { log = '' } = worker()
  writeFileSync(join(folder, 'workers', 'words-1-w0-i1', 'worker.log'), 'größer\nals\n')
  expect(await ask(one, `/v1/logs/${log}`)).toEqual({ status: 200, body: { from: 0, next: 13, size: 13, text: 'größer\nals\n' } })
  // the part ends within a character: it comes whole with the next
  expect((await ask(one, `/v1/logs/${log}?from=0&max=3`)).body).toEqual({ from: 0, next: 2, size: 13, text: 'gr' })
  expect((await ask(one, `/v1/logs/${log}?from=2&max=3`)).body).toMatchObject({ next: 4, text: 'ö' })
  expect((await ask(one, `/v1/logs/${log}?max=4`)).body).toMatchObject({ from: 9, next: 13, text: 'als\n' })
  expect((await ask(one, `/v1/logs/${log}?from=99`)).body).toMatchObject({ from: 0, next: 13 })
  expect(await ask(one, `/v1/workers/${log}/snapshot`)).toEqual({ status: 200, body: { from: 'here' } })
  processes.last.snapshot = null
  expect(await ask(one, `/v1/workers/${log}/snapshot`)).toEqual({ status: 200, body: null })
  processes.onStart = () => Promise.reject(new Error('no'))
  processes.last.end('SIGKILL')
  await schedule.advance(60_000)
  expect(await ask(one, `/v1/workers/${log}/snapshot`)).toMatchObject({ status: 504, body: { code: 'worker-silent' } })
})

test('and to nobody else, and nothing else', async () => {
  const one = host()
  await one.start()
  const refused = async (path: string, token?: string, method?: string): Promise<unknown> => {
    const { status, body } = await ask(one, path, token, method)
    return [status, (body as { code: string }).code]
  }
  expect(await refused('/v1/health', 'wrong')).toEqual([401, 'api-token'])
  expect(await refused('/v1/logs/words-1-w0-i1')).toEqual([404, 'unknown-log'])
  expect(await refused('/v1/logs/..%2F..%2Fid')).toEqual([404, 'unknown-log'])
  expect(await refused('/v1/logs/x?from=-1')).toEqual([400, 'api-request'])
  expect(await refused('/v1/workers/x/snapshot')).toEqual([404, 'unknown-log'])
  expect(await refused('/v1/elsewhere')).toEqual([404, 'api-request'])
  expect(await refused('/v1/health', 'secret', 'POST')).toEqual([404, 'api-request'])
})
