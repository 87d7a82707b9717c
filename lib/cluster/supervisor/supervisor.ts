/**
 * The supervisor of a host: makes what runs here match what the assignments say.
 *
 * It reads records and writes records, and is called by nobody. When it ends, its workers go on; the next supervisor of the host finds them by their
 * folders and takes them over. A worker whose assignment is gone, or has a newer incarnation, is ended; one that is assigned and not there is started.
 *
 *     FOLDER/id                      who this host is
 *     FOLDER/bundles/SHA256.mjs      code, fetched once
 *     FOLDER/workers/KEY/            launch.json, worker.json, worker.log
 */
import { randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { SquallError } from '../../errors.ts'
import type { Schedule } from '../../std/schedule.ts'
import type { Coordinator, Guard, Write } from '../coordination/coordinator.ts'
import { keys } from '../records.ts'
import type { AssignmentRecord, PositionsRecord, ResultRecord, TopologyRecord, WorkerRecord } from '../records.ts'
import type { Assignment, Launch, Outcome, Positions } from '../worker/assignment.ts'
import type { SocketsOptions } from '../worker/sockets.ts'
import type { Processes, WorkerSpec } from './processes.ts'
import { stepsTo, wantedOn } from './sync.ts'
import type { Wanted } from './sync.ts'
import { WorkerLife } from './worker-life.ts'

/** What the supervisor knows of the records: kept up to date by a mirror. */
export interface KnownRecords {
  readonly topologies: ReadonlyMap<string, TopologyRecord>
  readonly assignments: ReadonlyMap<string, AssignmentRecord>
  /** by topology and worker: `NAME/K` */
  readonly workers: ReadonlyMap<string, WorkerRecord>
  readonly positions: ReadonlyMap<string, PositionsRecord>
  /** the versions of assignments: what is written here is guarded by them */
  readonly versions: ReadonlyMap<string, number>
}

export interface SupervisorOptions extends SocketsOptions {
  readonly id: string
  readonly folder: string
  /** where its workers listen */
  readonly host: string
  readonly coordinator: Coordinator
  readonly schedule: Schedule
  readonly processes: Processes
  /** where the bundle with this digest lies on this host; fetched when it is not there */
  readonly bundle: (sha256: string) => Promise<string>
  readonly heapMb?: number | undefined
  /** what topologies keep is below: a folder for each */
  readonly stateFolder: string
  readonly report: (message: string) => void
}

/** Positions are written no more often, all of this host at once. */
const positionsMs = 1_000
/** How long a worker whose assignment is gone has for what is under way. */
const drainMs = 2_000
const writeRetryMs = 500

export class Supervisor {
  readonly #options: SupervisorOptions
  readonly #lives = new Map<string, WorkerLife>()
  readonly #logs = new Map<string, string>()
  #known: KnownRecords | undefined
  /** keys of worker records to be written */
  readonly #dirty = new Set<string>()
  #isWriting = false
  #writtenPositions = new Map<string, string>()
  #isOver = false
  #cancelPositions: () => void = () => undefined

  constructor(options: SupervisorOptions) {
    this.#options = options
    mkdirSync(this.#workersFolder, { recursive: true, mode: 0o700 })
    this.#positionsLater()
  }

  /** Takes over what an earlier supervisor of this host has left running. Before the first `sync`. */
  async adopt(): Promise<void> {
    const { processes, token } = this.#options
    for (const key of readdirSync(this.#workersFolder)) {
      const folder = join(this.#workersFolder, key)
      const ears = { life: undefined as WorkerLife | undefined }
      const adopted = await processes.adopt(folder, token, {
        said: (words) => ears.life?.said(words),
        ended: (reason) => ears.life?.ended(reason),
      })
      if (adopted === undefined) {
        rmSync(folder, { recursive: true, force: true })
        continue
      }
      const { launch, worker } = adopted
      const place = { worker: launch.worker, supervisor: this.#options.id, incarnation: launch.incarnation, executors: [] }
      const life = this.#newLife(key, { name: launch.topology, id: launch.id, place })
      ears.life = life
      life.takeOver(worker)
    }
  }

  /** The records have changed. */
  sync(known: KnownRecords): void {
    if (this.#isOver) return
    this.#known = known
    const wanted = wantedOn(this.#options.id, [...known.assignments.values()])
    const { start, tell, stop } = stepsTo(wanted, new Set(this.#lives.keys()))
    for (const key of stop) this.#stop(key)
    for (const one of start) {
      const { assignment, place } = one
      const life = this.#newLife(one.key, { name: assignment.name, id: assignment.id, place })
      life.begin()
      life.assign(this.#assignmentOf(one))
    }
    for (const one of tell) this.#lives.get(one.key)?.assign(this.#assignmentOf(one))
  }

  /** The file of a log, by the name that a worker record gives it. */
  logFile(log: string): string | undefined {
    return this.#logs.get(log)
  }

  life(log: string): WorkerLife | undefined {
    return [...this.#lives.values()].find(({ record }) => record.log === log)
  }

  /** Ends; `andWorkers`: they end too, otherwise they go on. */
  async stop(andWorkers: boolean): Promise<void> {
    this.#isOver = true
    this.#cancelPositions()
    const lives = [...this.#lives.values()]
    if (!andWorkers) for (const life of lives) life.release()
    else {
      await this.#writePositions()
      await Promise.all(lives.map((life) => life.stop(drainMs)))
    }
  }

  get #workersFolder(): string {
    return join(this.#options.folder, 'workers')
  }

  #newLife(key: string, of: { name: string; id: string; place: Wanted['place'] }): WorkerLife {
    const { schedule, processes, host, id: supervisor } = this.#options
    const log = randomBytes(12).toString('hex')
    const folder = join(this.#workersFolder, key)
    this.#logs.set(log, join(folder, 'worker.log'))
    const life = new WorkerLife({
      ...of,
      supervisor,
      host,
      log,
      schedule,
      processes,
      spec: () => this.#spec(folder, of),
      positions: () => this.#positionsOf(of.name, of.id),
      changed: () => this.#changed(key),
      over: (outcome) => void this.#writeResult(of.name, of.id, outcome),
    })
    this.#lives.set(key, life)
    return life
  }

  async #spec(folder: string, { name, id, place }: { name: string; id: string; place: Wanted['place'] }): Promise<WorkerSpec> {
    const topology = this.#known?.topologies.get(name)
    if (topology === undefined || topology.id !== id) throw new SquallError('worker-ended', { reason: `the topology ${name} is gone` })
    const { host, token, tls, heapMb, bundle, stateFolder } = this.#options
    const module = await bundle(topology.bundle)
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    const config = { ...topology.config, stateDir: join(stateFolder, name) }
    const launch: Launch = {
      topology: name,
      id,
      worker: place.worker,
      incarnation: place.incarnation,
      module,
      params: topology.params,
      config,
      host,
      port: 0,
      token,
      ...(tls !== undefined && { tls }),
    }
    return { launch, folder, logFile: join(folder, 'worker.log'), heapMb }
  }

  #stop(key: string): void {
    const life = this.#lives.get(key)
    if (life === undefined || life.state === 'stopping') return
    void life.stop(drainMs).then(() => {
      this.#lives.delete(key)
      rmSync(join(this.#workersFolder, key), { recursive: true, force: true })
      this.#logs.delete(life.record.log ?? '')
      // its place may be wanted again, with another incarnation
      if (this.#known !== undefined) this.sync(this.#known)
    })
  }

  #assignmentOf({ assignment }: Wanted): Assignment {
    const workers = assignment.workers.map(({ worker, incarnation, executors }) => {
      const record = this.#known?.workers.get(`${assignment.name}/${worker}`)
      const url = record?.id === assignment.id && record.incarnation === incarnation ? record.url : undefined
      return { worker, incarnation, executors, ...(url !== undefined && { url }) }
    })
    return { epoch: assignment.epoch, executors: assignment.executors, workers, isActive: assignment.isActive }
  }

  /** Of all workers of a topology: a task may have been another worker's. */
  #positionsOf(name: string, id: string): Positions {
    const written = [...(this.#known?.positions ?? [])].flatMap(([key, record]) =>
      key.startsWith(`${name}/`) && record.id === id ? [record.positions] : [],
    )
    const here = [...this.#lives.values()].filter((life) => life.id === id).map(({ positions }) => positions)
    return Object.assign({}, ...written, ...here) as Positions
  }

  #changed(key: string): void {
    this.#dirty.add(key)
    void this.#write()
  }

  /** Writes the records of workers that have changed, one commit each, until none has. */
  async #write(): Promise<void> {
    if (this.#isWriting) return
    this.#isWriting = true
    while (this.#dirty.size > 0) {
      const [key = ''] = this.#dirty
      this.#dirty.delete(key)
      const record = this.#lives.get(key)?.record
      if (record === undefined) continue
      try {
        await this.#commit(
          record.name,
          record.id,
          [{ key: keys.worker(record.name, record.worker), value: JSON.stringify(record) }],
          record.incarnation,
        )
      } catch (error) {
        this.#options.report(`the record of a worker could not be written: ${(error as Error).message}`)
        this.#dirty.add(key)
        await new Promise<void>((resolve) => this.#options.schedule.after(writeRetryMs, resolve))
      }
    }
    this.#isWriting = false
  }

  /** Writes for a deployment while its assignment is what it is known to be, and has not placed the worker elsewhere; says whether it did. */
  async #commit(name: string, id: string, writes: readonly Write[], incarnation?: number): Promise<boolean> {
    const { coordinator } = this.#options
    const entry = await coordinator.get(keys.assignment(name))
    const assignment = entry === undefined ? undefined : (JSON.parse(entry.value) as AssignmentRecord)
    const isOurs =
      assignment?.id === id &&
      (incarnation === undefined ||
        assignment.workers.some((place) => place.supervisor === this.#options.id && place.incarnation === incarnation))
    if (entry === undefined || !isOurs) return false
    const guards: readonly Guard[] = [{ key: entry.key, version: entry.version }]
    const { ok } = await coordinator.commit(guards, writes)
    // somebody changed the assignment meanwhile: look again
    return ok || (await this.#commit(name, id, writes, incarnation))
  }

  async #writeResult(name: string, id: string, outcome: Outcome): Promise<void> {
    const record: ResultRecord = { id, ...outcome, atMs: this.#options.schedule.date() }
    await this.#commit(name, id, [{ key: keys.result(name), value: JSON.stringify(record) }]).catch((error: unknown) => {
      this.#options.report(`the result of ${name} could not be written: ${(error as Error).message}`)
      this.#options.schedule.after(writeRetryMs, () => void this.#writeResult(name, id, outcome))
    })
  }

  #positionsLater(): void {
    this.#cancelPositions = this.#options.schedule.after(positionsMs, () => {
      void this.#writePositions().finally(() => {
        if (!this.#isOver) this.#positionsLater()
      })
    })
  }

  async #writePositions(): Promise<void> {
    for (const life of this.#lives.values()) {
      const { name, id, worker } = life.record
      const value = JSON.stringify({ id, positions: life.positions } satisfies PositionsRecord)
      const key = keys.positions(name, worker)
      if (Object.keys(life.positions).length === 0 || this.#writtenPositions.get(key) === value) continue
      const isWritten = await this.#commit(name, id, [{ key, value }], life.place.incarnation).catch(() => false)
      if (isWritten) this.#writtenPositions.set(key, value)
    }
  }
}
