/** `squall nimbus` and `squall supervisor`, as several hosts run them: real processes, a real etcd. */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { main } from '../../../lib/cli/main.ts'
import type { Tls } from '../../../lib/cluster/http/token.ts'
import type { TopologyDescription } from '../../../lib/cluster/nimbus/views.ts'
import { isAlive, startOf } from '../../../lib/std/processes.ts'
import { EtcdServers, hasEtcd } from '../../cluster/coordination/etcd-servers.ts'
import { Authority, hasOpenssl } from '../../fixtures/certificates.ts'
import { folderOf } from '../../fixtures/files.ts'
import { bin, squall } from '../command.ts'
import { fakeIo } from '../fake.ts'

const patience = { timeout: 60_000, interval: 100 }

const endless = `
import { defineBolt, defineSpout, topology, z } from 'squall'
const N = z.object({ n: z.int() })
const numbers = defineSpout({ output: N, open() { let n = 0; return (out) => { if (n < 1000) out.emit({ n }, n++) } } })
const drop = defineBolt({ input: N, execute: () => undefined })
export default topology('endless', (t) => void t.bolt('drop', drop).shuffle(t.spout('numbers', numbers)))
`

class Host {
  readonly code: Promise<number | null>
  readonly #child: ChildProcess
  #stdout = ''
  stderr = ''

  constructor(argv: readonly string[]) {
    this.#child = spawn(process.execPath, [bin, ...argv, '--json'], { stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child.stdout?.on('data', (text: Buffer) => void (this.#stdout += text.toString()))
    this.#child.stderr?.on('data', (text: Buffer) => void (this.stderr += text.toString()))
    this.code = new Promise((resolve) => this.#child.on('close', resolve))
    onTestFinished(() => void this.#child.kill('SIGKILL'))
  }

  async ready(): Promise<string> {
    const line = await vi.waitUntil(() => /^.*\n/.exec(this.#stdout)?.[0], patience)
    const { kind, url } = JSON.parse(line) as { kind: string; url: string }
    return kind === 'ready' ? url : kind
  }

  async end(signal: NodeJS.Signals): Promise<number | null> {
    this.#child.kill(signal)
    return await this.code
  }
}

function tokenFile(): string {
  const file = join(folderOf({ token: 'sesame\n' }), 'token')
  chmodSync(file, 0o600)
  return file
}

async function etcd(...more: Parameters<typeof EtcdServers.start>): Promise<EtcdServers> {
  const servers = await EtcdServers.start(...more)
  onTestFinished(() => servers.stop())
  return servers
}

// a checkout builds itself before its first command
beforeAll(async () => {
  await squall(['--version'])
}, 120_000)

describe.runIf(hasEtcd())('several hosts', () => {
  test('another nimbus takes over, another supervisor adopts, a host that ends its workers is replaced', { timeout: 180_000 }, async () => {
    const servers = await etcd(1)
    const token = tokenFile()
    const common = ['--coordinator', `etcd://${servers.hosts.join()}`, '--port', '0', '--token-file', token]
    const nimbusIn = (folder: string): Host => new Host(['nimbus', '--dir', folder, ...common])
    const supervisorIn = (folder: string, ...more: string[]): Host =>
      new Host(['supervisor', '--dir', folder, '--slots', '1', ...common, ...more])
    const a = folderOf({})
    const b = folderOf({})

    const nimbus = nimbusIn(a)
    const urls = [await nimbus.ready()]
    const standby = nimbusIn(b)
    urls.push(await standby.ready())
    let supervisor = supervisorIn(a)
    await supervisor.ready()

    const asking = ['--url', urls.join(), '--token-file', token]
    const cwd = folderOf({ 'endless.ts': endless })
    expect(await squall(['deploy', 'endless.ts', ...asking], { cwd })).toMatchObject({ code: 0, stderr: '' })
    const described = async (): Promise<TopologyDescription> => {
      const io = fakeIo()
      const code = await main(['describe', 'endless', '--json', ...asking], io)
      if (code !== 0) throw new Error(io.stderr)
      return JSON.parse(io.stdout) as TopologyDescription
    }
    const worker = async (): Promise<{ pid: number; started: string; supervisor: string }> => {
      const { workers, state } = await described()
      expect([state, workers.length]).toEqual(['active', 1])
      const pid = workers[0]?.pid ?? 0
      return { pid, started: startOf(pid), supervisor: workers[0]?.supervisor ?? '' }
    }
    const first = await worker()

    // with another token nobody comes in
    const wrong = join(folderOf({ token: 'poppy\n' }), 'token')
    for (const verb of ['nimbus', 'supervisor']) {
      const stranger = new Host([verb, '--dir', folderOf({}), ...common, '--token-file', wrong])
      expect(await stranger.code).toBe(1)
      expect(stranger.stderr).toMatch(/^error\[other-token\]: the token in \S+ is not the one of the cluster at etcd:/m)
    }

    // its supervisor ends, and the next one takes it over
    expect(await supervisor.end('SIGTERM')).toBe(130)
    expect(isAlive(first)).toBe(true)
    // nobody takes the host for lost meanwhile
    const { supervisors } = JSON.parse((await squall(['hosts', '--json', ...asking])).stdout) as { supervisors: unknown[] }
    expect(supervisors).toHaveLength(1)
    supervisor = supervisorIn(a, '--end-workers')
    await supervisor.ready()
    await vi.waitFor(async () => expect(await worker()).toEqual(first), patience)

    // the leader is killed: who asks meanwhile waits until the other one leads, and goes on with what there is
    await nimbus.end('SIGKILL')
    expect(await worker()).toEqual(first)

    // a host that ends its workers is left at once
    const other = supervisorIn(b, '--end-workers')
    await other.ready()
    expect(await supervisor.end('SIGINT')).toBe(130)
    expect(isAlive(first)).toBe(false)
    await vi.waitFor(async () => expect((await worker()).supervisor).not.toBe(first.supervisor), patience)
    const second = await worker()
    expect(await other.end('SIGINT')).toBe(130)
    expect(isAlive(second)).toBe(false)
    expect(await standby.end('SIGINT')).toBe(130)
  })

  test('while etcd is away a host waits and says so; Ctrl-C ends the waiting', { timeout: 60_000 }, async () => {
    const servers = await etcd(1)
    await servers.kill(0)
    const common = ['--dir', folderOf({}), '--coordinator', `etcd://${servers.hosts.join()}`, '--port', '0', '--token-file', tokenFile()]
    const supervisor = new Host(['supervisor', ...common])
    const nimbus = new Host(['nimbus', ...common])
    for (const host of [supervisor, nimbus])
      await vi.waitFor(() => expect(host.stderr).toMatch(/waiting for the coordinator etcd:\S+: it does not answer yet/), patience)
    expect(await nimbus.end('SIGINT')).toBe(130)
    servers.run(0)
    await supervisor.ready()
    expect(await supervisor.end('SIGINT')).toBe(130)
  })

  test.runIf(hasOpenssl())('with certificates from end to end', { timeout: 120_000 }, async () => {
    const authority = new Authority()
    const folder = (tls: Tls): string => folderOf({ 'ca.pem': tls.ca, 'cert.pem': tls.cert, 'key.pem': tls.key })
    const ofEtcd = folder(authority.sign('etcd'))
    const file = (name: string): string => join(ofEtcd, `${name}.pem`)
    const more = ['--cert-file', file('cert'), '--key-file', file('key'), '--client-cert-auth', '--trusted-ca-file', file('ca')]
    const servers = await etcd(1, more, 'https')
    const token = tokenFile()
    const home = folderOf({})
    const coordinator = `etcds://${servers.hosts.join()}`
    const common = (tls: Tls): string[] =>
      Object.entries({ dir: home, coordinator, port: '0', 'token-file': token, tls: folder(tls) }).flatMap(([key, value]) => [
        `--${key}`,
        value,
      ])
    const nimbus = new Host(['nimbus', ...common(authority.sign('host'))])
    const url = await nimbus.ready()
    expect(url).toMatch(/^https:/)
    const supervisor = new Host(['supervisor', '--end-workers', ...common(authority.sign('host'))])
    await supervisor.ready()
    const asking = ['--url', url, '--token-file', token, '--tls', folder(authority.sign('person'))]
    const cwd = folderOf({ 'endless.ts': endless })
    expect(await squall(['deploy', 'endless.ts', '--workers', '2', '--executors', '2', ...asking], { cwd })).toMatchObject({ code: 0 })

    // of whom the authority knows nothing
    const stranger = new Authority().sign('host')
    const refused = await squall(['list', '--url', url, '--token-file', token, '--tls', folder(stranger)])
    expect(refused.stderr).toMatch(/^error\[api-away\]: .*certificate/)
    const turnedAway = new Host(['supervisor', ...common(stranger), '--dir', folderOf({})])
    expect(await turnedAway.code).toBe(1)
    expect(turnedAway.stderr).toMatch(/^error\[coordinator-refused\]: /m)

    expect(await supervisor.end('SIGINT')).toBe(130)
    expect(await nimbus.end('SIGINT')).toBe(130)
  })
})

test('an address that this host does not have is no matter of the port', async () => {
  const io = fakeIo()
  await main(['supervisor', '--coordinator', 'etcd://127.0.0.1:1', '--host', '192.0.2.1', '--insecure', '--dir', folderOf({}), '--token-file', tokenFile(), '--log-level', 'silent'], io) // prettier-ignore
  expect(io.stderr).toMatch(/^error\[listen-failed\]: .*\nhelp: this host has no such address: /)
})

describe('a host that cannot be', () => {
  const here = ['--coordinator', 'etcd://127.0.0.1:1', '--port', '0']
  const halfTls = (): string => folderOf({ 'ca.pem': 'no certificate' })

  test.each([
    ['nimbus', [], 2, 'usage'],
    ['nimbus', ['--coordinator', 'etcd://somewhere'], 1, 'coordinator-address'],
    ['nimbus', ['--coordinator', 'embedded:x'], 1, 'coordinator-address'],
    ['nimbus', ['--coordinator', 'etcd://10.0.0.1:2379'], 1, 'coordinator-open'],
    ['nimbus', [...here, '--host', '10.0.0.1'], 1, 'listen-open'],
    ['supervisor', [...here, '--host', '10.0.0.1'], 1, 'listen-open'],
    ['supervisor', [...here, '--host', '0.0.0.0', '--insecure'], 1, 'listen-anywhere'],
    ['supervisor', [...here, '--host', '192.0.2.1', '--insecure'], 1, 'listen-failed'],
    ['supervisor', [...here, '--slots', '0'], 2, 'usage'],
    ['supervisor', [...here, '--port', '70000'], 2, 'usage'],
    ['supervisor', [...here, '--worker-ports', '40000'], 2, 'usage'],
    ['supervisor', [...here, '--worker-ports', '40000-70000'], 2, 'usage'],
    ['supervisor', [...here, '--worker-ports', '40000-40003', '--slots', '5'], 2, 'usage'],
    ['supervisor', [...here, '--memory', 'much'], 2, 'usage'],
    ['supervisor', [...here, '--tls', ''], 2, 'usage'],
    ['supervisor', [...here, '--tls', 'no-such-folder'], 1, 'file-unreadable'],
    ['supervisor', [...here, '--etcd-login', 'no-such-file'], 1, 'file-unreadable'],
    ['supervisor', [...here, '--dir', '/proc/squall'], 1, 'file-unwritable'],
  ] as const)('%s %j', async (verb, argv, exit, error) => {
    const io = fakeIo()
    const code = await main([verb, '--dir', folderOf({}), '--token-file', tokenFile(), '--log-level', 'silent', ...argv], io)
    expect([code, io.stdout]).toEqual([exit, ''])
    expect(io.stderr).toMatch(new RegExp(`^error\\[${error}\\]: .*\nhelp: .*\n$`))
  })

  test('without a token, or with certificates that are none', async () => {
    const io = fakeIo()
    expect(await main(['nimbus', ...here, '--dir', folderOf({})], io)).toBe(1)
    expect(io.stderr).toMatch(/^error\[token-missing\]: .*\nhelp: .*openssl rand -hex 32/)
    const tls = halfTls()
    for (const name of ['cert.pem', 'key.pem']) writeFileSync(join(tls, name), 'nothing')
    expect(await main(['nimbus', ...here, '--token-file', tokenFile(), '--tls', tls], io)).toBe(1)
    expect(io.stderr).toContain('error[tls-files]: ')
  })

  test('two of them in one folder', async () => {
    const folder = folderOf({})
    mkdirSync(join(folder, 'nimbus'))
    const first = new Host(['nimbus', '--dir', folder, '--token-file', tokenFile(), ...here])
    await vi.waitFor(() => expect(first.stderr).toContain('waiting for'), patience)
    const second = new Host(['nimbus', '--dir', folder, '--token-file', tokenFile(), ...here])
    expect(await second.code).toBe(1)
    expect(second.stderr).toContain('error[state-in-use]')
    expect(await first.end('SIGTERM')).toBe(130)
  })
})
