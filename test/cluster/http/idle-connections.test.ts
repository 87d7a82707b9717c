/** Ten thousand connections that say nothing, to a server in a process of its own: they are bounded, they end, and then others get in again. */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { HttpClient } from '../../../lib/cluster/http/client.ts'
import { dial } from '../../../lib/cluster/worker/sockets.ts'
import { upgradeHead } from '../hostile.ts'
import { builtUrl } from '../../fixtures/built.ts'

const token = 'secret'
const connectionsMax = 1_024
const wanted = 10_000
/** Of both ends, and what a test needs besides. */
const filesNeeded = wanted + connectionsMax + 500
const times = { beginMs: 2_000, idleMs: 500, checkMs: 100 }

const built = (path: string): string => JSON.stringify(builtUrl(path))
const servers = {
  api: `
    import { apiOf, serve } from ${built('cluster/http/server.js')}
    const api = apiOf({ title: '', version: '', routes: [], report: () => undefined })
    const { port } = await serve(api, options)`,
  links: `
    import { listen } from ${built('cluster/worker/sockets.js')}
    import { Peers } from ${built('cluster/worker/peers.js')}
    const peers = new Peers({ topology: 't', worker: 0, incarnation: 1, session: 's', token: 'secret', report: () => undefined })
    const { port } = await listen(options, (connection) => peers.accept(connection))`,
}

interface Server {
  readonly port: number
  readonly child: ChildProcess
  readonly said: string[]
  /** of memory, in MB */
  rssMb(): Promise<number>
}

async function start(kind: keyof typeof servers, filesMax?: number): Promise<Server> {
  const options = { host: '127.0.0.1', port: 0, token, connectionsMax, connectionTimes: times }
  const script = `
    const options = { ...${JSON.stringify(options)}, report: (text) => process.send({ text }) }
    ${servers[kind]}
    process.on('message', () => process.send({ rssMb: Math.round(process.memoryUsage.rss() / (1 << 20)) }))
    process.send({ port })`
  const args = ['--input-type=module', '-e', script]
  const stdio = ['ignore', 'inherit', 'inherit', 'ipc'] as const
  const child =
    filesMax === undefined
      ? spawn(process.execPath, args, { stdio: [...stdio] })
      : spawn('sh', ['-c', `ulimit -n ${filesMax} && exec "$@"`, 'sh', process.execPath, ...args], { stdio: [...stdio] })
  onTestFinished(() => void child.kill('SIGKILL'))
  const said: string[] = []
  const next = async <T>(key: string): Promise<T> =>
    await new Promise((resolve, reject) => {
      child.once('exit', (code, signal) => reject(new Error(`the server ended: ${code ?? signal}`)))
      child.on('message', (message: Record<string, unknown>) => key in message && resolve(message[key] as T))
    })
  child.on('message', ({ text }: { text?: string }) => text !== undefined && said.push(text))
  const port = await next<number>('port')
  return {
    port,
    child,
    said,
    rssMb: async () => {
      const answer = next<number>('rssMb')
      child.send('rss')
      return await answer
    },
  }
}

class Crowd {
  readonly sockets: Socket[] = []
  closed = 0
  #look = (): void => undefined

  constructor() {
    onTestFinished(() => this.end())
  }

  /** Connects so many, a few hundred at a time, each of which says this. */
  async come(port: number, count: number, text: string): Promise<void> {
    for (let at = 0; at < count; at += 250)
      await Promise.all(Array.from({ length: Math.min(250, count - at) }, async () => await this.#one(port, text)))
  }

  async untilClosed(count: number): Promise<void> {
    while (this.closed < count) await new Promise<void>((resolve) => (this.#look = resolve))
  }

  end(): void {
    for (const socket of this.sockets) socket.destroy()
  }

  async #one(port: number, text: string): Promise<void> {
    const socket = connect(port, '127.0.0.1')
    this.sockets.push(socket)
    // what is not read would hide the end
    socket.on('error', () => undefined).resume()
    socket.once('close', () => {
      this.closed++
      this.#look()
    })
    await new Promise<void>((resolve) => socket.once('connect', resolve).once('close', () => resolve()))
    socket.write(text)
  }
}

function filesThereAre(): number {
  const { userLimits } = process.report.getReport() as unknown as { userLimits?: { open_files?: { soft: number | 'unlimited' } } }
  const soft = userLimits?.open_files?.soft ?? 0
  return soft === 'unlimited' ? Infinity : soft
}

/** As many as the machine lets this process open; in CI it must let it open all. */
function connectionsPossible(): number {
  const there = filesThereAre()
  if (there >= filesNeeded) return wanted
  const fewer = Math.max(connectionsMax * 2, there - connectionsMax - 500)
  const reason = `this process may open ${there} files; ${filesNeeded} are needed for ${wanted} connections: ulimit -n ${filesNeeded}`
  if (process.env['CI'] !== undefined) throw new Error(reason)
  process.stderr.write(`\n*** FEWER IDLE CONNECTIONS ARE TESTED, ${fewer}: ${reason}\n\n`)
  return fewer
}

const ask = async (port: number): Promise<unknown> =>
  await new HttpClient({ urls: [`http://127.0.0.1:${port}`], token }).json('/openapi.json')

const knock = async (port: number): Promise<void> => (await dial(`ws://127.0.0.1:${port}/link`, { token })).close()

test.each([
  ['an API', 'api', '', ask],
  ['an API, each with half a request', 'api', 'GET /openapi.json HTTP/1.1\r\nhost: x\r\n', ask],
  ['a worker', 'links', '', knock],
  ['a worker, each with the token, a WebSocket and no hello', 'links', upgradeHead('/link', token), knock],
] as const)('%s: 10,000 idle connections', async (_, kind, text, legitimate) => {
  const server = await start(kind)
  await legitimate(server.port)
  const before = await server.rssMb()
  const count = connectionsPossible()
  const crowd = new Crowd()
  await crowd.come(server.port, count, text)
  // those that there is no room for are closed at once
  await crowd.untilClosed(count - connectionsMax)
  const after = await server.rssMb()
  expect(after - before).toBeLessThan(200)
  // and the rest when their time is over
  await crowd.untilClosed(count)
  await legitimate(server.port)
  expect(server.child.exitCode).toBeNull()
})

test('a server that may open no more files lives on, and takes connections again when there are fewer', async () => {
  const server = await start('api', 200)
  const crowd = new Crowd()
  await crowd.come(server.port, 600, '')
  await crowd.untilClosed(300)
  crowd.end()
  await crowd.untilClosed(600)
  // its own ends close a moment later
  await expect.poll(async () => await ask(server.port).catch(() => undefined)).toBeDefined()
  expect(server.said.filter((line) => !line.startsWith('connections cannot be taken: '))).toEqual([])
  expect(server.said.length).toBeLessThanOrEqual(1) // most systems refuse connections without a word
})
