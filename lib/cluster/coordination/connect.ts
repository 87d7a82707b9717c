/** From an address to a coordinator. */
import { SquallError } from '../../errors.ts'
import { Random, anySeed } from '../../std/random.ts'
import { realSchedule } from '../../std/schedule.ts'
import type { Schedule } from '../../std/schedule.ts'
import { checkKey } from './coordinator.ts'
import type { Coordinator } from './coordinator.ts'
import { EmbeddedCoordinator } from './embedded.ts'
import { EtcdCoordinator } from './etcd.ts'
import type { TlsOptions } from './etcd-gateway.ts'
import { MemoryCluster } from './memory.ts'

export interface ConnectOptions {
  /** with `etcds://` */
  readonly tls?: TlsOptions
  readonly user?: string
  readonly password?: string
  /** is told what a person should know; of an etcd that does not answer, once, and when it does again */
  readonly report?: (message: string) => void
  /** the same, of what is wrong */
  readonly warn?: (message: string) => void
  readonly schedule?: Schedule
}

const forms = {
  memory: /^memory:$/,
  embedded: /^embedded:(?<folder>.+)$/,
  etcd: /^(?<scheme>etcds?):\/\/(?<hosts>[^/@]+)(?:\/(?<root>.*))?$/,
}
const host = /^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):(?<port>\d{1,5})$/

/**
 * The coordinator at an address: `memory:` (a new one), `embedded:FOLDER`, `etcd://HOST:PORT,HOST:PORT` or `etcds://...` with TLS; etcd's may end with
 * `/ROOT`, under which all keys are (`squall`).
 *
 * Errors: `coordinator-address`, `coordinator-away`, `coordinator-refused`; `state-in-use`, `log-corrupt` and the like for a folder.
 *
 * ```ts
 * const coordinator = await connect('etcds://a:2379,b:2379,c:2379', { tls: { ca: readFileSync('ca.pem', 'utf8') } })
 * ```
 */
export async function connect(address: string, options: ConnectOptions = {}): Promise<Coordinator> {
  const { schedule = realSchedule, report } = options
  if (forms.memory.test(address)) return new MemoryCluster(schedule).client()
  const folder = forms.embedded.exec(address)?.groups?.['folder']
  if (folder !== undefined) return await EmbeddedCoordinator.open(folder, report === undefined ? {} : { report })
  const coordinator = etcdAt(address, options)
  try {
    await coordinator.get('connected') // whoever cannot be reached, or refuses us, is told now
    return coordinator
  } catch (error) {
    await coordinator.close()
    throw error
  }
}

/** The same for several hosts, with nothing asked yet: a service begins also while etcd is away. Errors: `coordinator-address`. */
export function etcdAt(address: string, options: ConnectOptions = {}): EtcdCoordinator {
  const { schedule = realSchedule, report, warn = report } = options
  const { scheme, root = '' } = partsOf(address)
  return new EtcdCoordinator(
    {
      // so that clients do not all ask the same one
      hosts: new Random(anySeed()).shuffle([...etcdHosts(address)]),
      tls: scheme === 'etcds' ? (options.tls ?? {}) : undefined,
      user: options.user,
      password: options.password,
      report: (trouble) => (trouble === undefined ? report?.(`the coordinator ${address} answers again`) : warn?.(trouble.message)),
    },
    root === '' ? undefined : rootOf(address, root),
    schedule,
  )
}

/** The servers that an address of etcd names, as HOST:PORT. Errors: `coordinator-address`. */
export function etcdHosts(address: string): readonly string[] {
  const hosts = partsOf(address).hosts.split(',')
  for (const one of hosts) {
    const port = Number(host.exec(one)?.groups?.['port'] ?? 0)
    if (port < 1 || port > 65_535) throw badAddress(address, `${JSON.stringify(one)} is no HOST:PORT`)
  }
  return hosts
}

function partsOf(address: string): { readonly scheme: string; readonly hosts: string; readonly root?: string } {
  const { scheme, hosts, root } = forms.etcd.exec(address)?.groups ?? {}
  if (scheme === undefined || hosts === undefined) throw badAddress(address, 'its form is none of these')
  return { scheme, hosts, ...(root !== undefined && { root }) }
}

function rootOf(address: string, root: string): string {
  try {
    checkKey(root)
    return root
  } catch (error) {
    throw badAddress(address, `${JSON.stringify(root)} cannot be a root of keys`, error)
  }
}

function badAddress(address: string, reason: string, cause?: unknown): SquallError {
  return new SquallError('coordinator-address', { address: JSON.stringify(address), reason }, {}, { cause })
}
