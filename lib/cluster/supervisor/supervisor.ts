/**
 * The supervisor of a host: makes what runs here match what the assignments say.
 *
 * It reads records and writes records, and is called by nobody. When it ends, its workers go on; the next supervisor of the host finds them by their
 * folders and takes them over. A worker whose assignment is gone, or has a newer incarnation, is ended; one that is assigned and not there is started.
 */
import { basename, join } from 'node:path'
import { SquallError, reasonOf } from '../../errors.ts'
import type { Schedule } from '../../std/schedule.ts'
import type { Coordinator } from '../coordination/coordinator.ts'
import type { AssignmentRecord, PositionsRecord } from '../records.ts'
import type { Assignment, Launch, Positions } from '../worker/assignment.ts'
import type { Ports } from '../worker/ports.ts'
import type { SocketsOptions } from '../worker/sockets.ts'
import type { KnownRecords, Read } from './known-records.ts'
import { Logs } from './logs.ts'
import { latest, toWrite } from './positions.ts'
import type { Processes, WorkerSpec } from './processes.ts'
import { RecordWriter } from './record-writer.ts'
import type { PositionsOf } from './record-writer.ts'
import { stepsTo, wantedOn, workerKey } from './sync.ts'
import type { Here, Placed, Wanted } from './sync.ts'
import { WorkerLife } from './worker-life.ts'
import type { LifeTimes } from './worker-life.ts'
import type { WorkerFolders } from './worker-folders.ts'

export interface SupervisorOptions extends SocketsOptions {
  readonly id: string
  readonly folders: WorkerFolders
  /** where its workers listen */
  readonly host: string
  readonly coordinator: Coordinator
  readonly schedule: Schedule
  readonly processes: Processes
  readonly bundles: {
    /** where the module of a bundle lies on this host; fetched when it is not there */
    module(sha256: string): Promise<string>
    /** the others are not needed */
    keep(used: ReadonlySet<string>): void
  }
  /** where they listen (any that are free) */
  readonly ports?: Ports | undefined
  /** of an executor, in JavaScript's heap */
  readonly heapMb?: number | undefined
  /** of a worker, all in all; one that has more is killed and started again */
  readonly rssMaxMb?: number | undefined
  /** names of variables of the environment that workers get, besides those that every program needs */
  readonly environment?: readonly string[] | undefined
  /** what topologies keep is below: a folder for each */
  readonly stateFolder: string
  /** holds the address of what answers here, for copies of state on other hosts; without it state stays on this host */
  readonly homeFile?: string | undefined
  readonly logBytesMax?: number | undefined
  readonly times?: Partial<LifeTimes> | undefined
  readonly report: (message: string) => void
}

/** Positions are written no more often, all of this host at once. */
const positionsMs = 1_000
/** How often it is looked how large logs are. */
const logsMs = 10_000
/** How long one that ends waits for the coordinator to take its last records. */
const lastWritesMs = 2_000
/** How long a worker whose assignment is gone has for what is under way. */
const drainMs = 2_000

/** Logs of workers that have ended, each as large as two files of a log. */
const endedMax = 32

interface Resident extends Here {
  readonly life: WorkerLife
  readonly key: string
  readonly incarnation: number
  /** the digest of its code, once it has any */
  bundle: string | undefined
}

export class Supervisor {
  readonly logs: Logs
  readonly #options: SupervisorOptions
  readonly #writer: RecordWriter
  readonly #residents = new Map<string, Resident>()
  /** folders of workers that had ended when this supervisor came */
  readonly #leftovers = new Set<string>()
  /** workers that ended when their run had, oldest first: their logs can be read */
  readonly #ended = new Map<string, Pick<Resident, 'name' | 'id'>>()
  #known: KnownRecords | undefined
  #keptBundles: string | undefined
  #isOver = false
  readonly #cancels = new Map<string, () => void>()

  constructor(options: SupervisorOptions) {
    const { token, report, logBytesMax } = options
    this.#options = options
    this.logs = new Logs(token, report, logBytesMax)
    this.#writer = new RecordWriter({ ...options, supervisor: options.id })
    this.#every('positions', positionsMs, () => this.#writePositions())
    this.#every('logs', logsMs, () => this.logs.cut())
  }

  /** Takes over what an earlier supervisor of this host has left running. Before the first `sync`. */
  adopt(): void {
    const { processes, folders, token, id: supervisor } = this.#options
    for (const key of folders.list()) {
      const found = processes.find(folders.pathOf(key), token)
      if (found === undefined) {
        this.#leftovers.add(key)
        continue
      }
      const { topology: name, id, worker, incarnation, module } = found.launch
      const resident = this.#settle({ name, id, place: { worker, incarnation, supervisor, executors: [] } })
      resident.bundle = basename(module).replace(/\..*$/, '')
      resident.life.takeOver(found)
    }
  }

  /** The records have changed. */
  sync(known: KnownRecords): void {
    if (this.#isOver) return
    this.#known = known
    const wanted = wantedOn(
      this.#options.id,
      [...known.assignments.values()].map(({ record }) => record),
    )
    const { start, tell, stop } = stepsTo(wanted, this.#residents, known.unreadable)
    for (const key of this.#leftovers) if (!wanted.has(key)) this.#leave(key, this.#options.folders.record(key))
    this.#leftovers.clear()
    for (const [key, of] of this.#ended) if (!this.#isToBeRead(of)) this.#forget(key)
    for (const key of stop) void this.#stop(key)
    for (const one of start) {
      const { name, id } = one.assignment
      const { life } = this.#settle({ name, id, place: one.place })
      life.assign(this.#assignmentOf(one))
      life.begin()
    }
    for (const one of tell) this.#residents.get(one.key)?.life.assign(this.#assignmentOf(one))
    this.#keepBundles()
  }

  /** The worker that has this log. */
  life(log: string): WorkerLife | undefined {
    return [...this.#residents.values()].find(({ life }) => life.log === log)?.life
  }

  get workers(): number {
    return this.#residents.size
  }

  /** Ends; `andWorkers`: they end too, otherwise they go on. */
  async stop(andWorkers: boolean): Promise<void> {
    if (this.#isOver) return
    this.#isOver = true
    for (const cancel of this.#cancels.values()) cancel()
    const lives = [...this.#residents.values()].map(({ life }) => life)
    if (andWorkers) await this.#writePositions()
    await Promise.all(lives.map((life) => (andWorkers ? life.stop(drainMs) : life.release())))
    if (andWorkers) await this.#writeLast()
    this.#writer.stop()
  }

  #every(what: string, ms: number, work: () => Promise<void>): void {
    const { schedule } = this.#options
    this.#cancels.set(
      what,
      schedule.after(ms, () => {
        void work().finally(() => {
          if (!this.#isOver) this.#every(what, ms, work)
        })
      }),
    )
  }

  /** A worker gets a place here: its log, its life. */
  #settle(of: { name: string; id: string; place: Placed }): Resident {
    const { name, id, place } = of
    const { schedule, processes, folders, host, id: supervisor, rssMaxMb, times, report } = this.#options
    const key = workerKey(id, place)
    const author = { name, id, worker: place.worker, incarnation: place.incarnation }
    const life = new WorkerLife({
      ...of,
      supervisor,
      host,
      log: this.logs.add(key, this.#logFile(key)),
      before: folders.record(key),
      schedule,
      processes,
      spec: () => this.#spec(resident),
      positions: () => this.#positionsOf(name, id),
      rssMaxMb,
      times,
      changed: () => this.#changed(key),
      report,
      finished: (outcome) => this.#writer.result(author, { id, ...outcome, atMs: schedule.date() }),
    })
    const resident: Resident = { ...author, life, key, bundle: undefined }
    this.#residents.set(key, resident)
    return resident
  }

  async #spec(resident: Resident): Promise<WorkerSpec> {
    const { name, id, worker, incarnation, key } = resident
    // a disk that is full holds up this worker only, and until it has room again
    this.#options.folders.make(key)
    const topology = this.#known?.topologies.get(name)?.record
    const assignment = this.#known?.assignments.get(name)?.record
    if (topology?.id !== id || assignment?.id !== id) throw new SquallError('worker-ended', { reason: `the topology ${name} is gone` })
    if (topology.changes !== assignment.changes)
      throw new SquallError('worker-ended', { reason: `the topology ${name} is being changed, and not placed again yet` })
    const { host, token, tls, ports, heapMb, bundles, folders, stateFolder, homeFile, environment = [] } = this.#options
    resident.bundle = assignment.bundle
    const module = await bundles.module(assignment.bundle)
    // nobody may want it any more
    if (this.#residents.get(key) !== resident) this.#keepBundlesAnew()
    const { stateGenerations } = topology
    const config = { ...topology.config, stateDir: join(stateFolder, name), ...(stateGenerations !== undefined && { stateGenerations }) }
    const { params } = topology
    const folder = folders.pathOf(key)
    const launch: Launch = { topology: name, id, worker, incarnation, module, params, config, host, token }
    return {
      launch: {
        ...launch,
        ...(ports !== undefined && { ports }),
        ...(tls !== undefined && { tls }),
        ...(homeFile !== undefined && { homeFile }),
      },
      folder,
      logFile: this.#logFile(key),
      startFolder: topology.folder,
      heapMb,
      environment,
    }
  }

  async #stop(key: string): Promise<void> {
    const resident = this.#residents.get(key)
    // whoever began to stop it goes on when it is gone
    if (resident === undefined || resident.life.state === 'stopping') return
    await resident.life.stop(drainMs)
    if (this.#isOver) return
    this.#residents.delete(key)
    this.#leave(key, resident)
    // its place may be wanted again, with another incarnation
    if (this.#known !== undefined) this.sync(this.#known)
  }

  /** What a worker has printed stays after a run that has ended by itself, until the topology is killed. */
  #leave(key: string, of: Pick<Resident, 'name' | 'id'> | undefined): void {
    if (of === undefined || !this.#isToBeRead(of)) return this.#forget(key)
    this.#ended.set(key, { name: of.name, id: of.id })
    this.logs.add(key, this.#logFile(key))
    const [oldest] = this.#ended.keys()
    if (this.#ended.size > endedMax && oldest !== undefined) this.#forget(oldest)
  }

  /** Nobody has assigned it any more, and nobody has killed it. */
  #isToBeRead({ name, id }: Pick<Resident, 'name' | 'id'>): boolean {
    const topology = this.#known?.topologies.get(name)?.record
    return topology?.id === id && topology.wanted !== 'killed' && this.#known?.assignments.has(name) === false
  }

  #logFile(key: string): string {
    return join(this.#options.folders.pathOf(key), 'worker.log')
  }

  #forget(key: string): void {
    this.#ended.delete(key)
    this.logs.remove(key)
    try {
      this.#options.folders.remove(key)
    } catch (error) {
      this.#options.report(`the folder of a worker cannot be removed: ${reasonOf(error)}`)
    }
  }

  #keepBundlesAnew(): void {
    this.#keptBundles = undefined
    this.#keepBundles()
  }

  #keepBundles(): void {
    const assignments = [...(this.#known?.assignments.values() ?? [])].map(({ record }) => record)
    const used = new Set([...wantedOn(this.#options.id, assignments).values()].map(({ assignment }) => assignment.bundle))
    for (const { bundle } of this.#residents.values()) if (bundle !== undefined) used.add(bundle)
    const names = [...used].sort().join(' ')
    if (names === this.#keptBundles) return
    try {
      this.#options.bundles.keep(used)
      this.#keptBundles = names
    } catch (error) {
      this.#options.report(`bundles that are not needed cannot be removed: ${reasonOf(error)}`)
    }
  }

  #assignmentOf({ assignment }: Wanted): Assignment {
    const workers = assignment.workers.map(({ worker, incarnation, executors }) => {
      const url = this.#urlOf(assignment, worker, incarnation)
      return { worker, incarnation, executors, ...(url !== undefined && { url }) }
    })
    const { name, epoch, executors, isActive } = assignment
    // the one that is known is this one
    const fence = this.#known?.assignments.get(name)?.version ?? 0
    return { epoch, fence, executors, workers, isActive }
  }

  /** Where a worker is: of those here one knows it before the coordinator does. */
  #urlOf({ name, id }: AssignmentRecord, worker: number, incarnation: number): string | undefined {
    const here = this.#residents.get(workerKey(id, { worker, incarnation }))
    if (here !== undefined) return here.life.url
    const record = this.#known?.workers.get(`${name}/${worker}`)?.record
    return record?.id === id && record.incarnation === incarnation ? record.url : undefined
  }

  #positionsOf(name: string, id: string): Positions {
    const unwritten = this.#residentsOf(name, id).flatMap((resident) => {
      const said = resident.life.positions
      return said === undefined || this.#isWritten(resident) ? [] : [said]
    })
    return latest([...this.#writtenPositions(name, id).values()], unwritten)
  }

  #isWritten(resident: Resident): boolean {
    const { name, id, worker } = resident
    const written = this.#writtenPositions(name, id).get(worker)?.record
    return JSON.stringify(this.#positionsRecord(resident)) === JSON.stringify(written)
  }

  #positionsRecord({ name, id, worker, life }: Resident): PositionsRecord | undefined {
    const said = life.positions
    if (said === undefined) return undefined
    const written = this.#writtenPositions(name, id)
    const others = [...written].flatMap(([other, { record }]) => (other === worker ? [] : [record]))
    return toWrite(id, said, written.get(worker)?.record, others)
  }

  /** By worker. */
  #writtenPositions(name: string, id: string): ReadonlyMap<number, Read<PositionsRecord>> {
    const all = [...(this.#known?.positions ?? [])].filter(([key, { record }]) => key.startsWith(`${name}/`) && record.id === id)
    return new Map(all.map(([key, read]) => [Number(key.slice(name.length + 1)), read]))
  }

  #residentsOf(name: string, id: string): readonly Resident[] {
    return [...this.#residents.values()].filter((resident) => resident.name === name && resident.id === id)
  }

  #changed(key: string): void {
    const resident = this.#residents.get(key)
    if (resident === undefined || this.#isOver) return
    this.#keepRecord(resident)
    this.#writer.worker(key, () => this.#residents.get(key)?.life.record)
    this.#tellOthers(resident)
  }

  /** Else workers would be said to run until the next supervisor of this host says otherwise. */
  async #writeLast(): Promise<void> {
    for (const [key, { life }] of this.#residents) this.#writer.worker(key, () => life.record)
    await this.#writer.written(lastWritesMs)
  }

  /** For the next supervisor of this host. */
  #keepRecord({ key, life }: Resident): void {
    const { folders, report } = this.#options
    try {
      folders.keep(key, life.record)
    } catch (error) {
      report(`the record of a worker cannot be kept in ${folders.pathOf(key)}: ${reasonOf(error)}`)
    }
  }

  /** Workers here learn at once where another one of here is. */
  #tellOthers({ name, id }: Resident): void {
    const assignment = this.#known?.assignments.get(name)?.record
    if (assignment?.id !== id) return
    for (const [key, { life }] of this.#residents)
      for (const place of assignment.workers) if (key === workerKey(id, place)) life.assign(this.#assignmentOf({ key, assignment, place }))
  }

  async #writePositions(): Promise<void> {
    const known = this.#known
    if (known === undefined) return
    const changed = [...known.assignments].flatMap(
      ([
        name,
        {
          version,
          record: { id, workers },
        },
      ]) =>
        workers.flatMap((place): PositionsOf[] => {
          const resident = this.#residents.get(workerKey(id, place))
          const record = resident && this.#positionsRecord(resident)
          if (resident === undefined || record === undefined || this.#isWritten(resident)) return []
          return [{ name, version, worker: place.worker, record }]
        }),
    )
    await this.#writer.positions(changed)
  }
}
