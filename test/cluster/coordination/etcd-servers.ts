/** Real servers of etcd, for tests: three on loopback, with data of their own, that can be killed, frozen, and started again. */
import { execFileSync, spawn } from 'node:child_process'
import type { ChildProcess, ChildProcessByStdio } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, realpathSync, renameSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import type { Writable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { repository } from '../../house/repository.ts'

/** Where Debian's package is unpacked: not installed, so that no service of the machine is started. */
const unpacked = join(repository, 'node_modules', '.cache', 'etcd')

/** Ends the servers with these numbers, and removes their folder, when its input ends: also when the process with the tests is killed. */
const guard = `
while read number; do numbers="$numbers $number"; done
for number in $numbers; do grep -q "$0" "/proc/$number/cmdline" 2>/dev/null && kill -9 "$number"; done
rm -rf "$0"`

export class EtcdServers {
  readonly clientUrls: readonly string[]
  readonly #binary: string
  readonly #folder: string
  readonly #args: readonly (readonly string[])[]
  readonly #processes: (ChildProcess | undefined)[] = []
  readonly #guard: ChildProcessByStdio<Writable, null, null>

  private constructor(binary: string, folder: string, ports: readonly number[], more: readonly string[], scheme: string) {
    this.#binary = binary
    this.#folder = folder
    // in a group of its own: an interrupt is not for it
    this.#guard = spawn('sh', ['-c', guard, folder], { stdio: ['pipe', 'ignore', 'ignore'], detached: true })
    const half = ports.length / 2
    const peer = (i: number): string => `http://127.0.0.1:${ports[half + i]}`
    this.clientUrls = ports.slice(0, half).map((port) => `${scheme}://127.0.0.1:${port}`)
    const all = this.clientUrls.map((_, i) => `s${i}=${peer(i)}`).join(',')
    this.#args = this.clientUrls.map((url, i) =>
      [
        ['--name', `s${i}`, '--data-dir', join(folder, `s${i}`), '--logger', 'zap', '--log-level', 'error'],
        ['--listen-client-urls', url, '--advertise-client-urls', url],
        ['--listen-peer-urls', peer(i), '--initial-advertise-peer-urls', peer(i)],
        ['--initial-cluster', all, '--initial-cluster-token', folder],
        more,
      ].flat(),
    )
  }

  /** Starts them and waits until each answers. */
  static async start(count = 3, more: readonly string[] = [], scheme = 'http'): Promise<EtcdServers> {
    const folder = mkdtempSync(join(realpathSync(tmpdir()), 'squall-etcd-'))
    const servers = new EtcdServers(etcdBinary(), folder, await freePorts(2 * count), more, scheme)
    for (let i = 0; i < count; i++) servers.run(i)
    try {
      if (scheme === 'http') await servers.ready()
      return servers
    } catch (error) {
      await servers.stop()
      throw error
    }
  }

  /** `HOST:PORT` of each, for clients. */
  get hosts(): readonly string[] {
    return this.clientUrls.map((url) => url.replace(/.*\/\//, ''))
  }

  /** The certificate that a server with `--auto-tls` made for itself. */
  certificate(i: number): string {
    return readFileSync(join(this.#folder, `s${i}`, 'fixtures', 'client', 'cert.pem'), 'utf8')
  }

  /** Waits until each of them answers, as one of the majority. */
  async ready(): Promise<void> {
    for (const url of this.clientUrls)
      for (let tries = 0; ; tries++) {
        try {
          await post(`${url}/v3/kv/range`, { key: 'AA==' })
          break
        } catch (error) {
          if (tries > 600) throw error
          await sleep(100)
        }
      }
  }

  run(i: number): void {
    // what it says is lost: nobody reads it
    const child = spawn(this.#binary, this.#args[i] as string[], { stdio: 'ignore', cwd: this.#folder })
    this.#processes[i] = child
    this.#guard.stdin.write(`${child.pid}\n`)
  }

  /** Takes the data of one that was killed: it begins anew. */
  wipe(i: number): void {
    rmSync(join(this.#folder, `s${i}`), { recursive: true })
  }

  freeze(i: number): void {
    this.#processes[i]?.kill('SIGSTOP')
  }

  thaw(i: number): void {
    this.#processes[i]?.kill('SIGCONT')
  }

  async kill(i: number): Promise<void> {
    const child = this.#processes[i]
    this.#processes[i] = undefined
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const gone = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGKILL')
    await gone
  }

  async stop(): Promise<void> {
    await Promise.all(this.#processes.map((_, i) => this.kill(i)))
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

/** Whether the tests of etcd can be run: in CI they must be. */
export function hasEtcd(): boolean {
  const isThere = findEtcd() !== undefined
  if (!isThere && process.env['CI'] !== undefined)
    throw new Error('there is no etcd, and it cannot be fetched: install the package etcd-server')
  return isThere
}

/** `etcd` of this machine; where there is none, that of Debian's package, fetched with apt-get. */
function findEtcd(): string | undefined {
  const places = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/bin', join(unpacked, 'usr', 'bin')]
  const found = (): string | undefined => places.map((place) => join(place, 'etcd')).find((file) => existsSync(file))
  if (found() === undefined) {
    try {
      unpack()
    } catch (error) {
      process.stderr.write(`\n*** THE TESTS OF ETCD CANNOT RUN: there is no etcd here, and apt-get cannot fetch it: ${String(error)}\n\n`)
    }
  }
  return found()
}

/** The program, which has to be there. */
export function etcdBinary(): string {
  const binary = findEtcd()
  if (binary === undefined) throw new Error('there is no etcd: install the package etcd-server')
  return binary
}

function unpack(): void {
  mkdirSync(join(repository, 'node_modules', '.cache'), { recursive: true })
  const aside = mkdtempSync(`${unpacked}-`)
  try {
    const run = (command: string, ...args: string[]): void =>
      void execFileSync(command, args, { cwd: aside, stdio: ['ignore', 'ignore', 'pipe'] })
    const isKnown = readdirSync('/var/lib/apt/lists').some((name) => name.endsWith('_Packages') || name.includes('_Packages.'))
    if (!isKnown) run('apt-get', '-qq', 'update')
    run('apt-get', '-qq', 'download', 'etcd-server')
    const [archive] = readdirSync(aside).filter((name) => name.endsWith('.deb'))
    run('dpkg-deb', '-x', archive as string, '.')
    if (!existsSync(unpacked)) renameSync(aside, unpacked)
  } finally {
    rmSync(aside, { recursive: true, force: true })
  }
}

/** Lets the servers forget all changes up to now. */
export async function compactAll({ clientUrls }: EtcdServers): Promise<void> {
  const { header } = (await post(`${clientUrls[0]}/v3/kv/range`, { key: 'AA==' })) as { header: { revision: string } }
  for (const url of clientUrls) await post(`${url}/v3/kv/range`, { key: 'AA==' }) // all are there
  await post(`${clientUrls[0]}/v3/kv/compaction`, { revision: header.revision, physical: true })
}

async function post(url: string, body: object): Promise<unknown> {
  const answer = await fetch(url, { method: 'POST', body: JSON.stringify(body), signal: AbortSignal.timeout(5_000) })
  if (!answer.ok) throw new Error(await answer.text())
  return await answer.json()
}

/** Ports that nobody listens on now. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer()
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      return server
    }),
  )
  const ports = servers.map((server) => (server.address() as AddressInfo).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}
