/** Three hosts of a cluster on a network of their own: etcd and a supervisor on each, nimbus on two. And a fourth, from which it is used. */
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { bin } from '../cli/command.ts'
import { etcdBinary } from '../cluster/coordination/etcd-servers.ts'
import type { TopologyDescription } from '../../lib/cluster/nimbus/views.ts'
import { kill, makeLan } from './lan.ts'
import type { Host, Lan } from './lan.ts'
import { Service } from './service.ts'

const nimbusPort = 6688
const etcdPort = 2379
const peerPort = 2380

interface Outcome {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** A worker of a topology, as its supervisor's folder says. */
export interface WorkerProcess {
  readonly host: Host
  /** TOPOLOGY-ID, worker, incarnation */
  readonly key: string
  readonly pid: number
}

export interface StateCopy {
  readonly host: string
  readonly txid: number
  readonly values: ReadonlyMap<string, number>
}

export class Hosts {
  readonly all: readonly Host[]
  readonly etcd: readonly Service[]
  readonly nimbus: readonly Service[]
  readonly supervisors: readonly Service[]
  readonly lan: Lan
  readonly #client: Host
  readonly #folder: string
  readonly #tokenFile: string

  private constructor(lan: Lan, folder: string) {
    this.lan = lan
    this.#folder = folder
    this.#tokenFile = join(folder, 'token')
    const [a, b, c, client] = lan.hosts as [Host, Host, Host, Host]
    this.#client = client
    this.all = [a, b, c]
    const etcd = etcdBinary()
    const members = this.all.map(({ name, address }) => `${name}=http://${address}:${peerPort}`).join(',')
    this.etcd = this.all.map(({ name, address }) =>
      this.#service('etcd', name, [
        etcd,
        `--name=${name}`,
        `--data-dir=${join(folder, name, 'etcd')}`,
        `--initial-cluster=${members}`,
        `--listen-client-urls=http://${address}:${etcdPort}`,
        `--advertise-client-urls=http://${address}:${etcdPort}`,
        `--listen-peer-urls=http://${address}:${peerPort}`,
        `--initial-advertise-peer-urls=http://${address}:${peerPort}`,
        '--log-level=error',
      ]),
    )
    this.nimbus = [a, b].map(({ name }) => this.#squallService('nimbus', name))
    this.supervisors = this.all.map(({ name }) => this.#squallService('supervisor', name, '--slots=3'))
  }

  static start(folder: string, say: (line: string) => void): Hosts {
    const lan = makeLan(['a', 'b', 'c', 'client'], say)
    const hosts = new Hosts(lan, folder)
    writeFileSync(hosts.#tokenFile, 'c0ffee'.repeat(10), { mode: 0o600 })
    for (const service of hosts.services()) service.start()
    return hosts
  }

  /** Those of one host, or all. */
  services(host?: Host): readonly Service[] {
    const all = [...this.etcd, ...this.nimbus, ...this.supervisors]
    return host === undefined ? all : all.filter((service) => service.host === host)
  }

  stop(): void {
    for (const service of this.services()) service.stop()
    for (const host of this.all) for (const pid of this.processes(host)) kill(pid, 'SIGKILL')
    this.lan.remove()
  }

  /** All processes of a host: each was told of a folder of the host. */
  processes({ name }: Host): readonly number[] {
    const mark = `${join(this.#folder, name)}/`
    return namesIn('/proc')
      .map(Number)
      .filter((pid) => pid > 0 && textOf(`/proc/${pid}/cmdline`).includes(mark))
  }

  /** The workers that live on all hosts. */
  workers(): readonly WorkerProcess[] {
    return this.all.flatMap((host) => {
      const living = new Set(this.processes(host))
      const folder = join(this.#folder, host.name, 'squall', 'supervisor', 'workers')
      return namesIn(folder).flatMap((key) => {
        const pid = pidIn(join(folder, key, 'worker.json'))
        return pid !== undefined && living.has(pid) ? [{ host, key, pid }] : []
      })
    })
  }

  /** What the copies of a state hold, once its topology is finished: those that know the last batch. */
  async copies(topology: string, operator: string): Promise<readonly StateCopy[]> {
    const all = await Promise.all(
      this.all.map(async ({ name }) => {
        const where = ['--state-dir', join(this.#folder, name, 'squall', 'state', topology), '--json']
        const { code, stdout } = await this.#ran([process.execPath, bin, 'state', 'list', topology, ...where])
        if (code !== 0) return []
        const { txid } = JSON.parse(stdout) as { txid: number | null }
        const dump = await this.#ran([process.execPath, bin, 'state', 'dump', topology, operator, ...where])
        const entries = dump.stdout
          .split('\n')
          .filter(Boolean)
          .map((line) => JSON.parse(line) as { key: string; value: number })
        return [{ host: name, txid: txid ?? 0, values: new Map(entries.map(({ key, value }) => [key, value])) }]
      }),
    )
    const last = Math.max(...all.flat().map(({ txid }) => txid))
    return all.flat().filter(({ txid }) => txid === last)
  }

  /** A verb of the command line, from the fourth host. */
  squall(...argv: readonly string[]): Promise<Outcome> {
    const urls = this.nimbus.map(({ host }) => `http://${host.address}:${nimbusPort}`).join(',')
    return this.#ran([process.execPath, bin, ...argv, '--url', urls, '--token-file', this.#tokenFile, '--json'])
  }

  async describe(name: string): Promise<TopologyDescription | undefined> {
    const { code, stdout } = await this.squall('describe', name)
    return code === 0 ? (JSON.parse(stdout) as TopologyDescription) : undefined
  }

  #ran(command: readonly string[]): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      const child = this.lan.spawn(this.#client, command, { stdio: ['ignore', 'pipe', 'pipe'] })
      let [stdout, stderr] = ['', '']
      child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text))
      child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text))
      child.once('error', reject).once('close', (code) => resolve({ code, stdout, stderr }))
    })
  }

  #squallService(verb: string, name: string, ...more: readonly string[]): Service {
    const { address } = this.#hostOf(name)
    const servers = this.all.map((host) => `${host.address}:${etcdPort}`).join(',')
    return this.#service(verb, name, [
      process.execPath,
      bin,
      verb,
      `--coordinator=etcd://${servers}`,
      `--dir=${join(this.#folder, name, 'squall')}`,
      `--host=${address}`,
      `--token-file=${this.#tokenFile}`,
      '--insecure',
      ...more,
    ])
  }

  #service(what: string, name: string, command: readonly string[]): Service {
    const logs = join(this.#folder, name, 'logs')
    mkdirSync(logs, { recursive: true })
    return new Service(this.lan, this.#hostOf(name), what, command, join(logs, `${what}.log`))
  }

  #hostOf(name: string): Host {
    return this.all.find((host) => host.name === name) as Host
  }
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

function pidIn(file: string): number | undefined {
  try {
    return (JSON.parse(readFileSync(file, 'utf8')) as { pid: number }).pid
  } catch {
    // it is just being started, or gone
    return undefined
  }
}
