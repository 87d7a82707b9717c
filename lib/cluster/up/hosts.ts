/**
 * A nimbus, or a supervisor, as one of several hosts that agree through etcd. Each begins whether etcd answers or not, and is ready once it does.
 *
 *     DIR/nimbus/      the nimbus': bundles, by their digest
 *     DIR/supervisor/  the supervisor's: workers and their logs
 *     DIR/state/       what topologies keep
 */
import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import { lockFolder } from '../../batch/state/lock.ts'
import { SquallError, reasonOf } from '../../errors.ts'
import { makeFolders } from '../../std/folders.ts'
import { realSchedule } from '../../std/schedule.ts'
import { HttpBlobs, blobFrom } from '../blobstore/http-blobs.ts'
import { etcdAt, etcdHosts } from '../coordination/connect.ts'
import type { ConnectOptions } from '../coordination/connect.ts'
import type { Coordinator } from '../coordination/coordinator.ts'
import type { EtcdCoordinator } from '../coordination/etcd.ts'
import { HttpClient } from '../http/client.ts'
import type { Tls } from '../http/token.ts'
import { startNimbus } from '../nimbus/start.ts'
import { NimbusRecord, keys } from '../records.ts'
import { HostSupervisor } from '../supervisor/host-supervisor.ts'
import type { HostSupervisorOptions } from '../supervisor/host-supervisor.ts'
import { admit } from './admission.ts'
import { becomes } from './becomes.ts'
import { isLoopback } from './loopback.ts'

export interface HostOptions {
  readonly folder: string
  /** the address of etcd */
  readonly coordinator: string
  readonly etcd: Pick<ConnectOptions, 'tls' | 'user' | 'password'>
  /** where it listens, and how the other hosts reach this one */
  readonly host: string
  readonly port: number
  readonly token: string
  /** where that is from, for people */
  readonly tokenFile: string
  readonly tls?: Tls | undefined
  /** it may do without TLS in a network */
  readonly isInsecure: boolean
  readonly version: string
  readonly report: (message: string) => void
  /** of what is wrong */
  readonly warn: (message: string) => void
}

export interface SupervisorHostOptions
  extends
    HostOptions,
    Pick<HostSupervisorOptions, 'slots' | 'cores' | 'memoryMb' | 'ports' | 'heapMb' | 'rssMaxMb' | 'environment' | 'command'> {
  /** When it stops, its workers end as well. */
  readonly endsWorkers: boolean
}

export interface HostService {
  readonly url: string
  /** Resolves, with what it is, when it is a part of the cluster; rejects when etcd refuses it. */
  readonly ready: Promise<string>
  stop(): Promise<void>
}

/** So long nothing is said of an etcd that does not answer. */
const patienceMs = 2_000
const bundleMs = 30_000
/** Bundles are asked for at so many nimbuses. */
const nimbusesMax = 16

/** Errors: `listen-open`, `coordinator-open`, `coordinator-address`, `state-in-use`, `listen-failed`, `file-unwritable`; of `ready`: `other-token`. */
export async function startNimbusHost(options: HostOptions): Promise<HostService> {
  check(options)
  const folder = made(join(options.folder, 'nimbus'))
  const lock = lockFolder(folder, 'nimbus')
  const coordinator = coordinatorOf(options)
  try {
    const admitted = admission(coordinator, options)
    const started = await startNimbus({ ...options, folder, coordinator, schedule: realSchedule, admitted })
    const { nimbus, url } = started
    return {
      url,
      ready: admitted.then(async () => {
        await becomes(() => nimbus.isOver || nimbus.isLeading || nimbus.known.leader !== undefined)
        return nimbus.isLeading ? 'it leads' : `${nimbus.known.leader?.record.url} leads`
      }),
      stop: async () => {
        await started.stop()
        await coordinator.close()
        lock.release()
      },
    }
  } catch (error) {
    await coordinator.close()
    lock.release()
    throw error
  }
}

/** Errors: the same, all of them. */
export async function startSupervisorHost(options: SupervisorHostOptions): Promise<HostService> {
  check(options)
  const coordinator = coordinatorOf(options)
  const supervisor = new HostSupervisor({
    ...options,
    coordinator,
    folder: join(made(options.folder), 'supervisor'),
    stateFolder: join(options.folder, 'state'),
    blob: (sha256) => bundleOf(sha256, coordinator, options),
  })
  let isOver = false
  try {
    const admitted = admission(coordinator, options)
    // one of another cluster must not take workers over; but while etcd is away, they are not to wait for it
    await withPatience(admitted)
    await supervisor.start()
    return {
      url: supervisor.url,
      ready: admitted.then(async () => {
        await becomes(() => isOver || supervisor.isReady)
        return `${options.slots} slots`
      }),
      stop: async () => {
        isOver = true
        await supervisor.stop({ andWorkers: options.endsWorkers })
        // its workers go on: the host is there for some seconds more, in which the next one may come
        if (options.endsWorkers) await coordinator.close()
        else coordinator.leave()
      },
    }
  } catch (error) {
    await coordinator.close()
    throw error
  }
}

/** What would show secrets to a network is refused; what cannot work is, too. */
function check({ host, coordinator, tls, isInsecure, report }: HostOptions): void {
  const far = etcdHosts(coordinator).filter((one) => !isLoopback(one.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1')))
  if (host === '0.0.0.0' || host === '::') throw new SquallError('listen-anywhere', { host })
  if (!isInsecure && tls === undefined && !isLoopback(host)) throw new SquallError('listen-open', { host })
  if (!isInsecure && coordinator.startsWith('etcd:') && far.length > 0) throw new SquallError('coordinator-open', { address: coordinator })
  if (isLoopback(host) && far.length > 0) report(`other hosts cannot reach this one at ${host}: say how they do, --host ADDRESS`)
}

/** A folder for its owner alone. Errors: `file-unwritable`. */
function made(folder: string): string {
  try {
    for (const one of makeFolders(folder)) chmodSync(one, 0o700)
    return folder
  } catch (error) {
    throw new SquallError('file-unwritable', { file: folder, reason: reasonOf(error) }, {}, { cause: error })
  }
}

function coordinatorOf({ coordinator, etcd, report, warn }: HostOptions): EtcdCoordinator {
  return etcdAt(coordinator, { ...etcd, report, warn })
}

/** Resolves when etcd answers, however long it is away, and this one has the token. Errors: `other-token`, and those of the coordinator. */
function admission(coordinator: Coordinator, options: HostOptions): Promise<void> {
  const { coordinator: address, warn } = options
  const cancel = realSchedule.after(patienceMs, () => warn(`waiting for the coordinator ${address}: it does not answer yet`))
  const admitted = async (): Promise<void> => {
    for (;;)
      try {
        await admit(coordinator, options)
        return
      } catch (error) {
        if (!(error instanceof SquallError) || error.code !== 'coordinator-away') throw error
      }
  }
  const admitting = admitted().finally(cancel)
  admitting.catch(() => undefined) // of one that is not started for another reason
  return admitting
}

/** Until it is settled, or a moment has passed. */
async function withPatience(admitted: Promise<void>): Promise<void> {
  let cancel = (): void => undefined
  const patience = new Promise<void>((resolve) => (cancel = realSchedule.after(patienceMs, resolve)))
  try {
    await Promise.race([admitted, patience])
  } finally {
    cancel()
  }
}

/** From whichever nimbus has it; the one that leads has it in any case. */
async function bundleOf(sha256: string, coordinator: Coordinator, { token, tls, report }: HostOptions): Promise<Uint8Array> {
  const { entries } = await coordinator.list('nimbus/')
  const leading = entries.filter(({ key }) => key === keys.leader)
  const members = entries.filter(({ key }) => key.startsWith(keys.nimbus('')))
  const urls = new Set([...leading, ...members].map(({ value }) => NimbusRecord.parse(JSON.parse(value)).url))
  const clients = [...urls].slice(0, nimbusesMax).map((url) => new HttpClient({ urls: [url], token, tls, withinMs: bundleMs }))
  try {
    return await blobFrom(
      clients.map((client) => ({ url: client.url, blobs: new HttpBlobs(client) })),
      sha256,
      report,
    )
  } finally {
    for (const client of clients) client.close()
  }
}
