/**
 * The coordinator of one machine: its records in a folder, for one process at a time, with nothing to install.
 *
 *     DIR/lock                       the process that has it
 *     DIR/records-00000003.log       a snapshot, then a frame a commit, each durable before it is answered or seen
 *
 * When the log has grown to several times what it holds, it goes on in a new file that begins with a snapshot, and the old one is removed.
 *
 * All leases are held by this process itself. So they hold until they are ended, and what hangs on them when the process dies is removed when the
 * folder is opened again.
 */
import { z } from 'zod'
import { SquallError, reasonOf } from '../../errors.ts'
import { nodeFileSystem } from '../../batch/log/file-system.ts'
import type { FileSystem } from '../../batch/log/file-system.ts'
import { cutReport } from '../../batch/log/framed-log.ts'
import { RollingLog } from '../../batch/log/rolling-log.ts'
import { lockFolder } from '../../batch/state/lock.ts'
import type { FolderLock } from '../../batch/state/lock.ts'
import { checkCommit, checkKey, checkPrefix, requestsMax } from './coordinator.ts'
import type { Coordinator, Entry, Guard, Lease, Listener, Listing, Outcome, Watch, Write } from './coordinator.ts'
import { Store } from './store.ts'
import type { Revision, Snapshot } from './store.ts'
import { StoreWatch } from './store-watch.ts'

export interface EmbeddedOptions {
  /** the disk (this machine's) */
  readonly files?: FileSystem
  /** how the folder is kept from other processes (a file in it) */
  readonly lock?: (folder: string) => FolderLock
  /** is told what a person should know: an end of the log that a crash had cut short, a snapshot that could not be written */
  readonly report?: (message: string) => void
  /** the log is not written anew before it is as large as this (4 MiB) */
  readonly logBytesMin?: number
  /** changes of so many revisions can be watched from the past (10,000) */
  readonly historyMax?: number
}

const format = 1
const name = 'records'
/** The log is written anew when it is so many times as large as the last snapshot. */
const growthMax = 4

const SnapshotLine = z.object({
  format: z.literal(format),
  revision: z.int(),
  entries: z.array(z.object({ key: z.string(), value: z.string(), version: z.int(), created: z.int(), lease: z.string().optional() })),
})
const CommitLine = z.object({
  revision: z.int(),
  steps: z.array(z.object({ key: z.string(), value: z.string().optional(), lease: z.string().optional() })),
})
const Line = z.union([SnapshotLine, CommitLine])
const AnySnapshot = z.looseObject({ format: z.number() })

export class EmbeddedCoordinator implements Coordinator {
  readonly #folder: string
  readonly #options: EmbeddedOptions
  readonly #lock: FolderLock
  readonly #store: Store
  readonly #log: RollingLog
  readonly #watches = new Set<StoreWatch>()
  readonly #leases = new Set<Lease>()
  /** leases that are over, whose records the disk did not let go yet */
  readonly #ending = new Set<string>()
  #leaseCount = 0
  #waiting = 0
  #last: Promise<unknown> = Promise.resolve()
  /** the size at which the log is written anew */
  #renewAtBytes = 0
  #closed: Promise<void> | undefined

  private constructor(folder: string, options: EmbeddedOptions, lock: FolderLock, store: Store, log: RollingLog) {
    this.#folder = folder
    this.#options = options
    this.#lock = lock
    this.#store = store
    this.#log = log
    this.#renewAtBytes = this.#sizeToRenew(Buffer.byteLength(JSON.stringify(store.snapshot())))
  }

  /**
   * Opens the folder, which is made when it is not there.
   *
   * Errors: `state-in-use` when a process has it, `log-corrupt`, `state-format`, `file-unwritable`, `disk-full`.
   */
  static async open(folder: string, options: EmbeddedOptions = {}): Promise<EmbeddedCoordinator> {
    const { files = nodeFileSystem, lock = lockOf, report } = options
    await files.makeFolder(folder)
    const held = lock(folder)
    let log: RollingLog | undefined
    try {
      const store = new Store(options.historyMax)
      log = await RollingLog.open(files, folder, name, (record) => replay(folder, store, record))
      if (log.cut !== undefined) report?.(cutReport(log.cut))
      const coordinator = new EmbeddedCoordinator(folder, options, held, store, log)
      if (log.sizeBytes === 0) await coordinator.#append(store.snapshot())
      await coordinator.#do({ revision: store.revision + 1, steps: store.leasedKeys.map((key) => ({ key })) })
      return coordinator
    } catch (error) {
      await log?.close()
      held.release()
      throw error
    }
  }

  async get(key: string): Promise<Entry | undefined> {
    checkKey(key)
    this.#checkOpen()
    return this.#store.get(key)
  }

  async list(prefix: string): Promise<Listing> {
    checkPrefix(prefix)
    this.#checkOpen()
    return this.#store.list(prefix)
  }

  /** More errors: `disk-full`, `file-unwritable`. */
  async commit(guards: readonly Guard[], writes: readonly Write[]): Promise<Outcome> {
    checkCommit(guards, writes)
    this.#checkOpen()
    return await this.#inTurn(async () => {
      for (const id of this.#ending) await this.#endLease(id)
      const decided = this.#store.decide(guards, writes)
      if (decided === undefined) return { ok: false }
      await this.#do(decided)
      return { ok: true, revision: decided.revision }
    })
  }

  watch(prefix: string, revision: number, listener: Listener): Watch {
    checkPrefix(prefix)
    this.#checkOpen()
    const watch = new StoreWatch({ store: this.#store, prefix, revision, listener, later: queueMicrotask })
    this.#watches.add(watch)
    return {
      close: () => {
        watch.close()
        this.#watches.delete(watch)
      },
    }
  }

  async lease(): Promise<Lease> {
    this.#checkOpen()
    const id = String(++this.#leaseCount)
    this.#store.startLease(id)
    let untilMs = Infinity
    let tell!: () => void
    const lost = new Promise<void>((resolve) => (tell = resolve))
    const lease: Lease = {
      id,
      get untilMs() {
        return untilMs
      },
      lost,
      end: async () => {
        if (!this.#leases.delete(lease)) return
        untilMs = -Infinity
        tell()
        this.#ending.add(id)
        await this.#inTurn(() => this.#endLease(id)).catch(() => undefined) // the next commit tries again
      },
    }
    this.#leases.add(lease)
    return lease
  }

  /** Ends the leases, waits for what is under way, and lets other processes have the folder. */
  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    for (const watch of this.#watches) watch.close()
    await Promise.all([...this.#leases].map((lease) => lease.end()))
    await this.#last
    await this.#log.close()
    this.#lock.release()
  }

  #checkOpen(): void {
    if (this.#closed !== undefined) throw new SquallError('coordinator-closed', { address: `embedded:${this.#folder}` })
  }

  /** One after the other: each is decided on what the one before made durable. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#waiting >= requestsMax) {
      const address = `embedded:${this.#folder}`
      return Promise.reject(new SquallError('coordinator-busy', { address, max: requestsMax }))
    }
    this.#waiting++
    const done = this.#last.then(work).finally(() => this.#waiting--)
    this.#last = done.catch(() => undefined)
    return done
  }

  async #endLease(id: string): Promise<void> {
    await this.#do(this.#store.decideEnd(id))
    this.#store.endLease(id)
    this.#ending.delete(id)
  }

  /** Durable first, then seen. */
  async #do(revision: Revision): Promise<void> {
    if (revision.steps.length === 0) return
    await this.#append(revision)
    this.#store.apply(revision)
    for (const watch of this.#watches) watch.wake()
    if (this.#log.sizeBytes >= this.#renewAtBytes) await this.#renew()
  }

  async #append(line: Snapshot | Revision): Promise<void> {
    await this.#log.append([Buffer.from(JSON.stringify('steps' in line ? line : { format, ...line }))])
  }

  /** Goes on in a new file. What cannot be written now is tried again when the log has grown as much again. */
  async #renew(): Promise<void> {
    try {
      const number = await this.#log.roll()
      await this.#append(this.#store.snapshot())
      await this.#log.removeBefore(number)
    } catch (error) {
      this.#options.report?.(`the log of ${this.#folder} could not be written anew: ${reasonOf(error)}`)
    }
    this.#renewAtBytes = this.#sizeToRenew(this.#log.sizeBytes)
  }

  #sizeToRenew(sizeBytes: number): number {
    return Math.max(this.#options.logBytesMin ?? 4 << 20, growthMax * sizeBytes)
  }
}

function replay(folder: string, store: Store, record: Buffer): void {
  const json: unknown = JSON.parse(record.toString())
  const line = Line.safeParse(json)
  if (!line.success) {
    const found = AnySnapshot.safeParse(json)
    throw new SquallError('state-format', { folder, found: found.success ? found.data.format : 'of another kind', known: format })
  }
  if ('steps' in line.data) store.apply(line.data)
  else store.restore(line.data)
}

let opened = 0

/** Not twice in this process either. */
function lockOf(folder: string): FolderLock {
  return lockFolder(folder, `coordinator-${++opened}`)
}
