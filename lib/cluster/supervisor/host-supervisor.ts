/**
 * All that a host of a cluster runs besides its workers: what goes by the records (`host.ts`), the code of topologies, and what it answers.
 *
 *     FOLDER/id                      who this host is
 *     FOLDER/lock                    one supervisor a folder
 *     FOLDER/bundles/                code
 *     FOLDER/workers/                a folder for each worker
 *     FOLDER/url                     where its API is
 *     FOLDER/state/NAME/             what a topology keeps, unless somebody says where; .copies/NAME/: what is known of this copy
 */
import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync } from 'node:fs'
import { availableParallelism, totalmem } from 'node:os'
import { join } from 'node:path'
import { SquallError, reasonOf } from '../../errors.ts'
import { lockFolder } from '../../batch/state/lock.ts'
import type { FolderLock } from '../../batch/state/lock.ts'
import { realSchedule } from '../../std/schedule.ts'
import type { Schedule } from '../../std/schedule.ts'
import type { Coordinator } from '../coordination/coordinator.ts'
import { SupervisorRecord } from '../records.ts'
import type { Listening } from '../http/listen.ts'
import type { SocketsOptions } from '../worker/sockets.ts'
import { openApi } from './api.ts'
import { Bundles } from './bundles.ts'
import { HostCopies } from './copies.ts'
import { replaceWhole } from './files.ts'
import { checkHealth } from './health.ts'
import type { HealthOptions } from './health.ts'
import { Host } from './host.ts'
import { nodeProcesses } from './node-processes.ts'
import type { Processes } from './processes.ts'
import type { SupervisorOptions } from './supervisor.ts'
import { foldersBelow } from './worker-folders.ts'

type OfWorkers = Pick<SupervisorOptions, 'ports' | 'heapMb' | 'rssMaxMb' | 'environment' | 'logBytesMax' | 'times'>

export interface HostSupervisorOptions extends SocketsOptions, OfWorkers, Omit<HealthOptions, 'folder'> {
  readonly coordinator: Coordinator
  /** a blob by its digest, such as `get` of a blob store */
  readonly blob: (sha256: string) => Promise<Uint8Array>
  readonly folder: string
  /** where it and its workers listen, and what others know it by */
  readonly host: string
  /** of its API; 0: any */
  readonly port: number
  /** how many workers it takes */
  readonly slots: number
  /** of Squall */
  readonly version: string
  /** what it has to give (all of the machine) */
  readonly cores?: number | undefined
  readonly memoryMb?: number | undefined
  /** below which topologies keep state (`FOLDER/state`) */
  readonly stateFolder?: string | undefined
  readonly report: (message: string) => void
  readonly schedule?: Schedule | undefined
  readonly processes?: Processes | undefined
  /** why the host is not well (its disk, and `command`) */
  readonly health?: (() => Promise<string | undefined>) | undefined
}

interface Parts {
  readonly lock: FolderLock
  readonly host: Host
  readonly api: Listening
  readonly copies: HostCopies
}

/**
 * ```ts
 * const host = new HostSupervisor({ coordinator, blob: (sha256) => blobs.get(sha256), folder: '/var/lib/squall', host: 'a.example', ... })
 * await host.start()
 * ```
 */
export class HostSupervisor {
  readonly #options: HostSupervisorOptions
  readonly #schedule: Schedule
  #starting: Promise<void> | undefined
  #stopping: Promise<void> | undefined
  #parts: Parts | undefined
  #isOver = false

  constructor(options: HostSupervisorOptions) {
    this.#options = options
    this.#schedule = options.schedule ?? realSchedule
  }

  /**
   * Resolves when the workers of the last supervisor of this folder are taken over and the API answers, whether the coordinator does or not.
   *
   * Errors: `state-in-use` when another supervisor has the folder, `file-unwritable`, `listen-failed`.
   */
  async start(): Promise<void> {
    if (!this.#isOver) await (this.#starting ??= this.#start())
  }

  /**
   * Ends; `andWorkers`: they end too, and the host is gone at once. Otherwise they go on, and wait for the next supervisor of this folder; nimbus places
   * them elsewhere unless it comes within some seconds. The coordinator is whoever's it is to close.
   */
  async stop({ andWorkers = false }: { readonly andWorkers?: boolean } = {}): Promise<void> {
    await (this.#stopping ??= this.#stop(andWorkers))
  }

  /** Whether the coordinator knows of this host, and this host of the records. */
  get isReady(): boolean {
    return this.#parts?.host.isReady === true
  }

  /** Where its API is, once it has started. */
  get url(): string {
    return this.#urlOf(this.#parts?.api.port ?? 0)
  }

  async #start(): Promise<void> {
    const { folder, blob, processes = nodeProcesses, stateFolder = join(folder, 'state') } = this.#options
    const lock = this.#lock()
    try {
      const id = idIn(folder)
      const folders = foldersBelow(join(folder, 'workers'))
      const bundles = new Bundles(join(folder, 'bundles'), blob)
      const copies = new HostCopies({ ...this.#options, id, folder: stateFolder, schedule: this.#schedule })
      const api = await this.#open(id, copies)
      const homeFile = join(folder, 'url')
      writeWhole(homeFile, this.#urlOf(api.port))
      const host = new Host({
        ...this.#options,
        record: this.#record(id, this.#urlOf(api.port)),
        check: this.#options.health ?? (() => checkHealth(this.#options)),
        schedule: this.#schedule,
        processes,
        stateFolder,
        homeFile,
        folders,
        bundles,
        saw: (known) => copies.saw(known),
      })
      this.#parts = { lock, host, api, copies }
      await host.start()
    } catch (error) {
      lock.release()
      throw error
    }
  }

  async #stop(andWorkers: boolean): Promise<void> {
    this.#isOver = true
    await this.#starting?.catch(() => undefined)
    if (this.#parts === undefined) return
    const { lock, host, api, copies } = this.#parts
    await host.stop(andWorkers)
    copies.stop()
    await api.close()
    lock.release()
  }

  #urlOf(port: number): string {
    const { host, tls } = this.#options
    return `${tls === undefined ? 'http' : 'https'}://${host.includes(':') ? `[${host}]` : host}:${port}`
  }

  #lock(): FolderLock {
    const { folder } = this.#options
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 })
    } catch (error) {
      throw new SquallError('file-unwritable', { file: folder, reason: reasonOf(error) }, {}, { cause: error })
    }
    return lockFolder(folder, randomBytes(8).toString('hex'))
  }

  #record(id: string, url: string): SupervisorRecord {
    const { host, slots, version, cores = availableParallelism(), memoryMb = Math.floor(totalmem() / (1 << 20)) } = this.#options
    return SupervisorRecord.parse({ id, host, url, slots, cores, memoryMb, version, startedAtMs: this.#schedule.date() })
  }

  async #open(id: string, copies: HostCopies): Promise<Listening> {
    const host = (): Host | undefined => this.#parts?.host
    return await openApi(this.#options, {
      health: () => {
        const unhealthy = host()?.unhealthy
        return {
          id,
          ...(unhealthy !== undefined && { unhealthy }),
          isKnown: host()?.isKnown === true,
          workers: host()?.supervisor.workers ?? 0,
        }
      },
      log: (name, from, max) => host()?.supervisor.logs.read(name, from, max),
      snapshot: async (log) => await host()?.supervisor.life(log)?.snapshot(),
      state: (words, bytes) => copies.ask(words, bytes),
    })
  }
}

/** Who this host is: said once for a folder. */
function idIn(folder: string): string {
  const path = join(folder, 'id')
  try {
    const id = readFileSync(path, 'utf8').trim()
    if (/^[\w.$-]{1,100}$/.test(id)) return id
  } catch {
    // it is the first time
  }
  const id = randomBytes(8).toString('hex')
  writeWhole(path, id)
  return id
}

function writeWhole(path: string, text: string): void {
  try {
    replaceWhole(path, `${text}\n`)
  } catch (error) {
    throw new SquallError('file-unwritable', { file: path, reason: reasonOf(error) }, {}, { cause: error })
  }
}
