/** A supervisor, its records in a coordinator in memory, its workers no processes, all under virtual time. */
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { MemoryCluster } from '../../../lib/cluster/coordination/memory.ts'
import type { MemoryCoordinator } from '../../../lib/cluster/coordination/memory.ts'
import { keys } from '../../../lib/cluster/records.ts'
import type { AssignmentRecord, TopologyRecord, WorkerRecord } from '../../../lib/cluster/records.ts'
import { LiveRecords } from '../../../lib/cluster/supervisor/known-records.ts'
import { Supervisor } from '../../../lib/cluster/supervisor/supervisor.ts'
import type { SupervisorOptions } from '../../../lib/cluster/supervisor/supervisor.ts'
import { foldersBelow } from '../../../lib/cluster/supervisor/worker-folders.ts'
import { VirtualSchedule } from '../../../lib/std/schedule.ts'
import { passing } from '../coordination/virtual.ts'
import { FakeProcesses } from './fake-processes.ts'
import type { FakeProcess } from './fake-processes.ts'
import { assignmentOf, bundle, topologyOf } from './scenes.ts'

let folder: string
let schedule: VirtualSchedule
let cluster: MemoryCluster
let processes: FakeProcesses
let reports: string[]

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'squall-supervisor-'))
  schedule = new VirtualSchedule()
  cluster = new MemoryCluster(schedule)
  processes = new FakeProcesses(schedule)
  reports = []
})

afterEach(() => rmSync(folder, { recursive: true, force: true }))

interface Host {
  readonly supervisor: Supervisor
  readonly client: MemoryCoordinator
  readonly kept: string[][]
  /** As when its process is gone: nothing is written or heard any more. */
  leave(): Promise<void>
}

async function host(options: Partial<SupervisorOptions> = {}): Promise<Host> {
  const client = cluster.client()
  const kept: string[][] = []
  const report = (message: string): void => void reports.push(message)
  const supervisor = new Supervisor({
    id: 'here',
    folders: foldersBelow(join(folder, 'workers')),
    host: 'host',
    homeFile: '/folder/url',
    token: 'secret',
    coordinator: client,
    schedule,
    processes,
    bundles: { module: (sha256) => Promise.resolve(`/bundles/${sha256}.mjs`), keep: (used) => void kept.push([...used]) },
    stateFolder: '/state',
    report,
    ...options,
  })
  supervisor.adopt()
  let sync = (): void => undefined
  const opened = await passing(
    schedule,
    LiveRecords.open(client, () => sync(), report),
  )
  sync = () => supervisor.sync(opened.known)
  sync()
  return {
    supervisor,
    client,
    kept,
    leave: async () => {
      await supervisor.stop(false)
      opened.close()
    },
  }
}

function put(key: string, value: object | string): void {
  cluster.commit([], [{ key, value: typeof value === 'string' ? value : JSON.stringify(value) }])
}

function deploy(topology: TopologyRecord, assignment: AssignmentRecord): void {
  put(keys.topology(topology.name), topology)
  put(keys.assignment(topology.name), assignment)
}

function read<T>(key: string): T | undefined {
  const entry = cluster.store.get(key)
  return entry && (JSON.parse(entry.value) as T)
}

function worker(name: string, number: number): WorkerRecord | undefined {
  return read<WorkerRecord>(keys.worker(name, number))
}

const folders = (): string[] => readdirSync(join(folder, 'workers')).sort()
const keyOf = ({ launch }: FakeProcess): string => `${launch.id}-w${launch.worker}-i${launch.incarnation}`

describe('what is assigned to a host', () => {
  test('runs there, and its record says how it is', async () => {
    deploy(
      topologyOf('words', { params: { n: 3 }, config: { messageTimeoutMs: 5 } }),
      assignmentOf('words', [{ worker: 0 }, { worker: 1, supervisor: 'there' }]),
    )
    const { supervisor, kept } = await host()
    await schedule.advance(500)
    expect(processes.all.map(keyOf)).toEqual(['words-1-w0-i1'])
    expect(processes.last.launch).toMatchObject({
      topology: 'words',
      module: `/bundles/${bundle}.mjs`,
      params: { n: 3 },
      config: { messageTimeoutMs: 5, stateDir: '/state/words' },
      token: 'secret',
    })
    const record = worker('words', 0)
    expect(record).toMatchObject({ state: 'running', pid: 1, url: 'ws://host:1', supervisor: 'here', restarts: 0 })
    expect(supervisor.life(record?.log ?? '')?.record).toEqual(record)
    expect(kept).toEqual([[bundle]])
    expect(folders()).toEqual(['words-1-w0-i1'])
    expect(statSync(join(folder, 'workers', 'words-1-w0-i1')).mode & 0o777).toBe(0o700)
    expect(statSync(join(folder, 'workers', 'words-1-w0-i1', 'record.json')).mode & 0o777).toBe(0o600)
  })

  test('is told where the others are: those here at once, those elsewhere by their records', async () => {
    deploy(topologyOf('words'), assignmentOf('words', [{ worker: 0 }, { worker: 1 }, { worker: 2, supervisor: 'there' }]))
    const { client } = await host()
    await schedule.advance(500)
    const [first, second] = processes.all
    const urls = (one: FakeProcess | undefined): unknown => one?.assignment?.workers.map(({ url }) => url)
    expect(urls(first)).toEqual(['ws://host:1', 'ws://host:2', undefined])
    put(keys.worker('words', 2), { ...worker('words', 1), worker: 2, supervisor: 'there', url: 'ws://there:9', incarnation: 1 })
    await schedule.advance(10)
    expect(urls(second)).toEqual(['ws://host:1', 'ws://host:2', 'ws://there:9'])
    client.cut()
    first?.end('SIGKILL')
    await schedule.advance(500)
    expect(urls(second)).toEqual(['ws://host:3', 'ws://host:2', 'ws://there:9'])
  })

  test('is ended when it is assigned no more, and nothing of it is left', async () => {
    deploy(topologyOf('words'), assignmentOf('words', [{ worker: 0 }, { worker: 1 }]))
    const { supervisor, kept } = await host()
    await schedule.advance(500)
    const log = worker('words', 1)?.log ?? ''
    put(keys.assignment('words'), assignmentOf('words', [{ worker: 0, executors: [0, 1] }], { epoch: 2 }))
    await schedule.advance(500)
    expect(processes.alive.map(keyOf)).toEqual(['words-1-w0-i1'])
    expect(processes.all[0]?.assignment).toMatchObject({ epoch: 2, workers: [{ executors: [0, 1] }] })
    expect(folders()).toEqual(['words-1-w0-i1'])
    expect(supervisor.logs.read(log)).toBeUndefined()
    cluster.commit(
      [],
      [
        { key: keys.assignment('words'), delete: true },
        { key: keys.topology('words'), delete: true },
        { key: keys.worker('words', 0), delete: true },
      ],
    )
    await schedule.advance(5_000)
    expect(processes.alive).toEqual([])
    expect(folders()).toEqual([])
    expect(kept.at(-1)).toEqual([])
    expect(worker('words', 0)).toBeUndefined() // nobody writes of what is gone
  })

  test('when its run is over its log stays, also for the next supervisor, until the topology is killed', async () => {
    const topology = topologyOf('words')
    deploy(topology, assignmentOf('words', [{ worker: 0 }]))
    const first = await host()
    await schedule.advance(500)
    const log = worker('words', 0)?.log ?? ''
    writeFileSync(join(folder, 'workers', 'words-1-w0-i1', 'worker.log'), 'what it said\n')
    cluster.commit([], [{ key: keys.assignment('words'), delete: true }])
    await schedule.advance(5_000)
    expect(processes.alive).toEqual([])
    expect(first.supervisor.workers).toBe(0)
    expect(first.supervisor.logs.read(log)?.text).toBe('what it said\n')
    await first.leave()
    const { supervisor } = await host()
    await schedule.advance(500)
    expect(supervisor.logs.read(log)?.text).toBe('what it said\n')
    put(keys.topology('words'), { ...topology, wanted: 'killed' })
    await schedule.advance(500)
    expect(supervisor.logs.read(log)).toBeUndefined()
    expect(folders()).toEqual([])
  })

  test('of workers that have ended, the last 32 logs are kept', async () => {
    const names = Array.from({ length: 34 }, (_, i) => `t${String(i).padStart(2, '0')}`)
    for (const name of names) deploy(topologyOf(name), assignmentOf(name, [{ worker: 0 }]))
    await host()
    await schedule.advance(500)
    for (const name of names) {
      cluster.commit([], [{ key: keys.assignment(name), delete: true }])
      await schedule.advance(5_000)
    }
    expect(folders()).toEqual(names.slice(2).map((name) => `${name}-1-w0-i1`))
  })

  test('waits when its disk is full, says why, and holds up no other', async () => {
    let isFull = true
    const real = foldersBelow(join(folder, 'workers'))
    const make = (key: string): void => {
      if (isFull && key.startsWith('one')) throw new Error('ENOSPC: no space left on device')
      real.make(key)
    }
    deploy(topologyOf('one'), assignmentOf('one', [{ worker: 0 }]))
    deploy(topologyOf('two'), assignmentOf('two', [{ worker: 0 }]))
    await host({ folders: { ...real, make } })
    await schedule.advance(20_000)
    expect(processes.all.map(keyOf)).toEqual(['two-1-w0-i1'])
    expect(worker('one', 0)).toMatchObject({ state: 'waiting', error: { message: 'ENOSPC: no space left on device' } })
    isFull = false
    await schedule.advance(30_000)
    expect(processes.alive.map(keyOf)).toEqual(['two-1-w0-i1', 'one-1-w0-i1'])
  })

  test('code that cannot be removed is tried again when something changes, and holds up nothing', async () => {
    let tries = 0
    const keep = (): void => {
      if (++tries === 1) throw new Error('EACCES: permission denied')
    }
    deploy(topologyOf('one'), assignmentOf('one', [{ worker: 0 }]))
    await host({ bundles: { module: (sha256) => Promise.resolve(`/bundles/${sha256}.mjs`), keep } })
    await schedule.advance(1_000)
    expect(processes.alive).toHaveLength(1)
    expect(reports).toEqual(['bundles that are not needed cannot be removed: EACCES: permission denied'])
    expect(tries).toBe(2)
  })

  test('code that nobody needs is not kept: what an earlier supervisor left, and what came too late', async () => {
    let come: (module: string) => void = () => undefined
    const late = new Promise<string>((resolve) => (come = resolve))
    const kept: string[][] = []
    await host({ bundles: { module: () => late, keep: (used) => void kept.push([...used]) } })
    await schedule.advance(100)
    expect(kept).toEqual([[]])
    deploy(topologyOf('words'), assignmentOf('words', [{ worker: 0 }]))
    await schedule.advance(100)
    put(keys.assignment('words'), assignmentOf('words', [], { epoch: 2 }))
    await schedule.advance(100)
    expect(kept).toEqual([[], [bundle], []])
    come('/bundles/late.mjs')
    await schedule.advance(100)
    expect(kept).toEqual([[], [bundle], [], []])
  })

  test('with a newer incarnation takes the place of the older one once that has ended', async () => {
    deploy(topologyOf('words'), assignmentOf('words', [{ worker: 0 }]))
    await host()
    await schedule.advance(500)
    processes.last.isDeaf = true
    put(keys.assignment('words'), assignmentOf('words', [{ worker: 0, incarnation: 2 }], { epoch: 2 }))
    await schedule.advance(7_000)
    expect(processes.alive.map(keyOf)).toEqual(['words-1-w0-i1'])
    expect(worker('words', 0)).toMatchObject({ incarnation: 1, state: 'running' }) // an old one has nothing to say any more
    await schedule.advance(2_000)
    expect(processes.alive.map(keyOf)).toEqual(['words-1-w0-i2'])
    expect(worker('words', 0)).toMatchObject({ incarnation: 2, state: 'running' })
  })

  test('and taken away again before it has started does not stay', async () => {
    deploy(topologyOf('words'), assignmentOf('words', [{ worker: 0 }]))
    let arrive: () => void = () => undefined
    processes.onStart = () => new Promise((resolve) => (arrive = resolve))
    await host()
    put(keys.assignment('words'), assignmentOf('words', [], { epoch: 2 }))
    await schedule.advance(1_000)
    processes.onStart = () => undefined
    put(keys.assignment('words'), assignmentOf('words', [{ worker: 0, incarnation: 3 }], { epoch: 3 }))
    await schedule.advance(1_000)
    expect(processes.all).toHaveLength(1)
    arrive()
    await schedule.advance(1_000)
    expect(processes.alive.map(keyOf)).toEqual(['words-1-w0-i3'])
    expect(folders()).toEqual(['words-1-w0-i3'])
  })

  test('is not started with code that it was not placed for', async () => {
    deploy(topologyOf('words', { changes: 2 }), assignmentOf('words', [{ worker: 0 }], { changes: 1 }))
    await host()
    await schedule.advance(3_000)
    expect(processes.all).toEqual([])
    expect(worker('words', 0)).toMatchObject({
      state: 'waiting',
      error: { message: expect.stringContaining('is being changed') as string },
    })
    put(keys.assignment('words'), assignmentOf('words', [{ worker: 0, incarnation: 2 }], { changes: 2, epoch: 2, bundle: 'c'.repeat(64) }))
    await schedule.advance(3_000)
    expect(processes.last.launch.module).toBe(`/bundles/${'c'.repeat(64)}.mjs`)
  })

  test('by a record of another version is left as it is', async () => {
    deploy(topologyOf('words'), assignmentOf('words', [{ worker: 0 }]))
    await host()
    await schedule.advance(500)
    put(keys.assignment('words'), '{"version":9}')
    await schedule.advance(20_000)
    expect(processes.alive.map(keyOf)).toEqual(['words-1-w0-i1'])
    expect(reports.filter((report) => report.includes('assignments/words'))).toHaveLength(1)
    put(keys.assignment('words'), assignmentOf('words', [], { epoch: 3 }))
    await schedule.advance(5_000)
    expect(processes.alive).toEqual([])
  })
})

describe('positions', () => {
  const positions = (number: number): unknown => read(keys.positions('words', number))

  test('are written when they have changed, once a second, and a new process goes on from them', async () => {
    deploy(topologyOf('words'), assignmentOf('words', [{ worker: 0 }]))
    await host()
    await schedule.advance(500)
    processes.last.positions = { 0: 10, 1: 4 }
    await schedule.advance(2_100)
    expect(positions(0)).toEqual({ id: 'words-1', positions: { 0: [10, 1], 1: [4, 1] } })
    const { version } = cluster.store.get(keys.positions('words', 0)) ?? {}
    await schedule.advance(10_000)
    expect(cluster.store.get(keys.positions('words', 0))?.version).toBe(version)
    processes.last.positions = { 0: 12, 1: 4 }
    await schedule.advance(1_000)
    processes.last.end('SIGKILL')
    await schedule.advance(5_000)
    expect(processes.last.from).toEqual({ 0: 12, 1: 4 })
    expect(positions(0)).toEqual({ id: 'words-1', positions: { 0: [12, 1], 1: [4, 1] } })
  })

  test('of a task are those that were said last, whoever said them', async () => {
    put(keys.positions('words', 3), { id: 'words-1', positions: { 0: [5, 1], 1: [5, 1], 2: [5, 1] } })
    put(keys.positions('words', 1), { id: 'words-1', positions: { 1: [3, 1] } })
    put(keys.positions('words', 2), { id: 'words-0', positions: { 0: [99, 1] } })
    put(keys.positions('words', 4), { id: 'words-1', positions: { 2: [7, 1] } })
    put(keys.positions('words-and', 0), { id: 'words-1', positions: { 0: [98, 1] } })
    deploy(topologyOf('words'), assignmentOf('words', [{ worker: 4 }, { worker: 5 }]))
    await host()
    await schedule.advance(500)
    expect(processes.all.map(({ from }) => from)).toEqual([
      { 0: 5, 1: 3, 2: 7 },
      { 0: 5, 1: 3, 2: 7 },
    ])
    const [four, five] = processes.all
    if (four !== undefined) four.positions = { 2: 20 }
    await schedule.advance(1_000)
    // the task moves to worker 5, and worker 4 does not know that it is dead
    four?.end('SIGKILL')
    processes.onStart = (process) => void (process.state = 'starting')
    if (five !== undefined) five.positions = { 2: 30 }
    await schedule.advance(1_100)
    five?.end('SIGKILL')
    await schedule.advance(500)
    expect(processes.last.launch.worker).toBe(5)
    expect(processes.last.from).toEqual({ 0: 5, 1: 3, 2: 30 })
  })

  test('of a task that moved to a worker that has not said anything yet stay, and go when it has', async () => {
    const two = [
      { worker: 0, executors: [0] },
      { worker: 1, executors: [1], incarnation: 2, supervisor: 'there' },
    ]
    deploy(topologyOf('words'), assignmentOf('words', [{ worker: 0, executors: [0, 1] }]))
    await host()
    await schedule.advance(500)
    processes.last.positions = { 0: 10, 1: 20 }
    await schedule.advance(2_100)
    put(keys.assignment('words'), assignmentOf('words', two, { epoch: 2 }))
    processes.last.epoch = 2
    processes.last.positions = { 0: 11 }
    await schedule.advance(2_100)
    expect(positions(0)).toEqual({ id: 'words-1', positions: { 0: [11, 2], 1: [20, 1] } })
    put(keys.positions('words', 1), { id: 'words-1', positions: { 1: [21, 2] } })
    await schedule.advance(2_100)
    expect(positions(0)).toEqual({ id: 'words-1', positions: { 0: [11, 2] } })
    // what an older owner wrote late counts less
    put(keys.positions('words', 2), { id: 'words-1', positions: { 1: [19, 1] } })
    put(keys.assignment('words'), assignmentOf('words', [{ worker: 3, executors: [0, 1], incarnation: 3 }], { epoch: 3 }))
    await schedule.advance(8_000)
    expect(processes.last.from).toEqual({ 0: 11, 1: 21 })
  })

  test('of what was placed elsewhere meanwhile are not written', async () => {
    deploy(topologyOf('words'), assignmentOf('words', [{ worker: 0 }]))
    const { client } = await host()
    await schedule.advance(1_500)
    client.watchDelayMs = () => 60_000 // it does not hear of it
    put(keys.assignment('words'), assignmentOf('words', [{ worker: 0, supervisor: 'there', incarnation: 2 }], { epoch: 2 }))
    put(keys.positions('words', 0), { id: 'words-1', positions: { 0: [50, 1] } })
    processes.last.positions = { 0: 10 }
    await schedule.advance(5_000)
    expect(positions(0)).toEqual({ id: 'words-1', positions: { 0: [50, 1] } })
  })
})

describe('the result of a run', () => {
  test('is written once, however often it is told', async () => {
    deploy(topologyOf('words'), assignmentOf('words', [{ worker: 0 }]))
    await host()
    await schedule.advance(500)
    processes.last.over({ acked: 5 })
    await schedule.advance(100)
    expect(read(keys.result('words'))).toMatchObject({ id: 'words-1', state: 'finished', acked: 5 })
    const { version } = cluster.store.get(keys.result('words')) ?? {}
    processes.last.over({ acked: 6 })
    await schedule.advance(10_000)
    expect(cluster.store.get(keys.result('words'))?.version).toBe(version)
  })

  test('takes the place of one of an earlier deployment, and of none that is current', async () => {
    put(keys.result('words'), { ...result, id: 'words-0' })
    deploy(topologyOf('words'), assignmentOf('words', [{ worker: 0 }]))
    await host()
    await schedule.advance(500)
    processes.last.over()
    await schedule.advance(100)
    expect(read(keys.result('words'))).toMatchObject({ id: 'words-1' })
  })

  test('of a worker that was replaced is nothing', async () => {
    deploy(topologyOf('words'), assignmentOf('words', [{ worker: 0 }]))
    const { client } = await host()
    await schedule.advance(500)
    client.watchDelayMs = () => 60_000
    put(keys.assignment('words'), assignmentOf('words', [{ worker: 0, supervisor: 'there', incarnation: 2 }], { epoch: 2 }))
    processes.last.over()
    await schedule.advance(5_000)
    expect(read(keys.result('words'))).toBeUndefined()
  })

  test('comes through when the coordinator was away, or its answer was lost', async () => {
    deploy(topologyOf('words'), assignmentOf('words', [{ worker: 0 }]))
    const { client } = await host()
    await schedule.advance(500)
    client.cut()
    processes.last.over({ acked: 5 })
    await schedule.advance(30_000)
    expect(reports).toHaveLength(1) // told once
    client.mend()
    let requests = 0
    client.fate = () => (++requests === 3 ? { lost: 'answer' } : {})
    await schedule.advance(60_000)
    expect(read(keys.result('words'))).toMatchObject({ acked: 5 })
    expect(requests).toBeGreaterThan(3)
  })
})

describe('a coordinator that is away', () => {
  test('ends nothing; what died is started again, and the records are made good when it is back', async () => {
    deploy(topologyOf('words'), assignmentOf('words', [{ worker: 0 }, { worker: 1 }]))
    const { client } = await host()
    await schedule.advance(500)
    client.cut()
    processes.all[1]?.end('SIGKILL')
    await schedule.advance(60_000)
    expect(processes.alive.map(keyOf)).toEqual(['words-1-w0-i1', 'words-1-w1-i1'])
    expect(worker('words', 1)).toMatchObject({ pid: 2, restarts: 0 })
    put(keys.assignment('words'), assignmentOf('words', [{ worker: 1 }], { epoch: 2 }))
    client.mend()
    await schedule.advance(60_000)
    expect(worker('words', 1)).toMatchObject({ pid: 3, restarts: 1, state: 'running' })
    expect(processes.alive.map(keyOf)).toEqual(['words-1-w1-i1'])
  })

  test('and an assignment that changes while a record is being written: the record is written all the same', async () => {
    deploy(topologyOf('words'), assignmentOf('words', [{ worker: 0 }]))
    const { client } = await host()
    await schedule.advance(500)
    client.fate = () => ({ requestMs: 20, answerMs: 20 })
    processes.last.end('SIGKILL')
    for (let epoch = 2; epoch < 6; epoch++) {
      await schedule.advance(30)
      put(keys.assignment('words'), assignmentOf('words', [{ worker: 0 }], { epoch }))
    }
    await schedule.advance(1_000)
    expect(worker('words', 0)).toMatchObject({ pid: 2, restarts: 1, state: 'running' })
  })
})

describe('the next supervisor of a host', () => {
  test('takes over what runs, under the same names, and goes on with it', async () => {
    deploy(topologyOf('words'), assignmentOf('words', [{ worker: 0 }, { worker: 1 }]))
    const first = await host()
    await schedule.advance(500)
    processes.all[0]?.end('SIGKILL')
    await schedule.advance(500)
    const before = [worker('words', 0), worker('words', 1)]
    await first.leave()
    const { supervisor } = await host()
    await schedule.advance(2_000)
    expect(processes.all).toHaveLength(3)
    expect([worker('words', 0), worker('words', 1)]).toEqual(before)
    expect(before[0]).toMatchObject({ restarts: 1, error: { code: 'worker-ended' } })
    expect(supervisor.life(before[1]?.log ?? '')?.record.worker).toBe(1)
    put(keys.assignment('words'), assignmentOf('words', [{ worker: 0, executors: [0, 1] }], { epoch: 2 }))
    await schedule.advance(5_000)
    expect(processes.alive.map(keyOf)).toEqual(['words-1-w0-i1'])
    expect(processes.alive[0]?.assignment).toMatchObject({ epoch: 2, workers: [{ executors: [0, 1] }] })
  })

  test('starts what has died meanwhile, with its log; ends what is assigned no more; removes what is left of the rest', async () => {
    deploy(topologyOf('words'), assignmentOf('words', [{ worker: 0 }, { worker: 1 }, { worker: 2 }]))
    const first = await host()
    await schedule.advance(500)
    const log = worker('words', 0)?.log ?? ''
    writeFileSync(join(folder, 'workers', 'words-1-w0-i1', 'worker.log'), 'what it said\n')
    await first.leave()
    processes.all[0]?.end('SIGKILL')
    processes.all[1]?.end('SIGKILL')
    put(keys.assignment('words'), assignmentOf('words', [{ worker: 0 }], { epoch: 2 }))
    const { supervisor } = await host()
    await schedule.advance(5_000)
    expect(processes.alive.map(keyOf)).toEqual(['words-1-w0-i1'])
    expect(worker('words', 0)).toMatchObject({ pid: 4, restarts: 1, state: 'running' })
    expect(supervisor.logs.read(log)?.text).toBe('what it said\n')
    expect(folders()).toEqual(['words-1-w0-i1'])
  })

  test('has no use for workers that do not know its token', async () => {
    deploy(topologyOf('words'), assignmentOf('words', [{ worker: 0 }]))
    const first = await host()
    await schedule.advance(500)
    await first.leave()
    await host({ token: 'another' })
    await schedule.advance(2_000)
    expect(processes.all.map(({ isAlive }) => isAlive)).toEqual([false, true])
    expect(processes.last.launch.token).toBe('another')
  })

  test('finds nothing when the last one has ended its workers too', async () => {
    deploy(topologyOf('words'), assignmentOf('words', [{ worker: 0 }]))
    const { supervisor } = await host()
    await schedule.advance(500)
    processes.last.positions = { 0: 8 }
    await schedule.advance(1_000)
    processes.last.positions = { 0: 9 }
    processes.last.beat()
    await passing(schedule, supervisor.stop(true))
    await supervisor.stop(true)
    expect(processes.alive).toEqual([])
    expect(read(keys.positions('words', 0))).toEqual({ id: 'words-1', positions: { 0: [9, 1] } })
  })
})

test('a log that has become large is put aside, and the worker goes on with it', async () => {
  deploy(topologyOf('words'), assignmentOf('words', [{ worker: 0 }]))
  const { supervisor } = await host({ logBytesMax: 1_000 })
  await schedule.advance(500)
  const file = join(folder, 'workers', 'words-1-w0-i1', 'worker.log')
  writeFileSync(file, 'x'.repeat(1_000))
  await schedule.advance(10_000)
  await supervisor.logs.cut()
  const log = worker('words', 0)?.log ?? ''
  const aside = (): string[] => readdirSync(join(folder, 'workers', 'words-1-w0-i1')).filter((name) => name.startsWith('worker.log.'))
  expect(aside()).toEqual([])
  writeFileSync(file, 'y'.repeat(1_001))
  await schedule.advance(10_000)
  await supervisor.logs.cut()
  writeFileSync(file, 'z\n', { flag: 'a' })
  expect(aside()).toEqual(['worker.log.0'])
  // whoever follows it goes on where it was, and what was put aside can be read
  expect(supervisor.logs.read(log, 1_001)).toEqual({ from: 1_001, next: 1_003, size: 1_003, text: 'z\n' })
  expect(supervisor.logs.read(log, 999)).toEqual({ from: 999, next: 1_003, size: 1_003, text: 'yyz\n' })
  expect(supervisor.logs.read(log, 0, 10)).toEqual({ from: 0, next: 10, size: 1_003, text: 'y'.repeat(10) })
  expect(supervisor.logs.read(log, undefined, 4)).toMatchObject({ from: 999, text: 'yyz\n' })
  writeFileSync(file, 'é'.repeat(600), { flag: 'a' })
  await schedule.advance(10_000)
  await supervisor.logs.cut()
  expect(aside()).toEqual(['worker.log.1001'])
  expect(supervisor.logs.read(log, 0, 4)).toEqual({ from: 1_001, next: 1_005, size: 2_203, text: 'z\né' })
  expect(supervisor.logs.read(log, undefined, 5)).toMatchObject({ from: 2_199, text: 'éé' })
  expect(supervisor.logs.read(log, 2_203)).toMatchObject({ from: 2_203, next: 2_203, text: '' })
  writeFileSync(file, 'on\n', { flag: 'a' })
  expect(supervisor.logs.read(log, 2_201)).toMatchObject({ next: 2_206, text: 'éon\n' })
})

const result = { state: 'finished', seconds: 1, emitted: 1, acked: 1, failed: 0, expired: 0, replayed: 0, deadLettered: 0, atMs: 1 }
