/**
 * What the APIs of nimbus and supervisors refuse. The cases are made from what each says of itself (`/openapi.json`), so that a new route is covered as
 * soon as it is there. `docs/SECURITY.md` has the bounds, and where else they are tested.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { join } from 'node:path'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { FolderBlobs } from '../../../lib/cluster/blobstore/folder-blobs.ts'
import { MemoryCluster } from '../../../lib/cluster/coordination/memory.ts'
import { HttpClient } from '../../../lib/cluster/http/client.ts'
import { listen } from '../../../lib/cluster/http/listen.ts'
import type { ConnectionTimes } from '../../../lib/cluster/http/listen.ts'
import { apiOf, serve } from '../../../lib/cluster/http/server.ts'
import { nimbusApi } from '../../../lib/cluster/nimbus/api.ts'
import { keys } from '../../../lib/cluster/records.ts'
import { HostSupervisor } from '../../../lib/cluster/supervisor/host-supervisor.ts'
import { SquallError } from '../../../lib/errors.ts'
import { VirtualSchedule } from '../../../lib/std/schedule.ts'
import { folderOf } from '../../fixtures/files.ts'
import { passing } from '../coordination/virtual.ts'
import { RawSocket, upgradeHead } from '../hostile.ts'
import { TestCluster, deploymentOf } from '../nimbus/cluster.ts'
import { FakeProcesses } from '../supervisor/fake-processes.ts'
import { assignmentOf, topologyOf } from '../supervisor/scenes.ts'

const token = 'a token that nobody else knows'
const canary = 'what is in a file that nobody may read'

interface Target {
  readonly url: string
  readonly port: number
  /** what it says of its own mistakes */
  readonly said: string[]
}

const targets = { nimbus, supervisor } as const
type Name = keyof typeof targets
const names = Object.keys(targets) as Name[]

/** One that leads, with a topology, a worker and a blob. */
async function nimbus(): Promise<Target> {
  const said: string[] = []
  const folder = folderOf({ 'secret.txt': canary })
  const blobs = await FolderBlobs.open(join(folder, 'blobs'))
  const cluster = new TestCluster()
  const standing = await cluster.stand('n1')
  await cluster.host('a')
  const bundle = await blobs.put(Buffer.from('code'))
  await cluster.deploy(standing, deploymentOf({ name: 't', bundle }))
  await cluster.say('t', 0, 'running', { log: 'log0' })
  const api = nimbusApi({
    nimbus: standing.nimbus,
    blobs,
    version: '1',
    schedule: new VirtualSchedule(),
    clientOf: (url) => new HttpClient({ urls: [url], token: 'x', withinMs: 10 }),
    report: (message) => said.push(message),
  })
  const served = await serve(api, { host: '127.0.0.1', port: 0, token })
  onTestFinished(() => served.close())
  return { url: `http://127.0.0.1:${served.port}`, port: served.port, said }
}

/** One with a worker that has printed something. */
async function supervisor(): Promise<Target> {
  const said: string[] = []
  const folder = folderOf({ 'secret.txt': canary })
  const schedule = new VirtualSchedule()
  const cluster = new MemoryCluster(schedule)
  const one = new HostSupervisor({
    coordinator: cluster.client(),
    blob: () => Promise.resolve(Buffer.from('export default 1\n')),
    folder: join(folder, 'host'),
    host: '127.0.0.1',
    port: 0,
    token,
    slots: 1,
    version: '1',
    report: (message) => void said.push(message),
    schedule,
    processes: new FakeProcesses(schedule),
    health: () => Promise.resolve(undefined),
  })
  onTestFinished(() => passing(schedule, one.stop()))
  await one.start()
  await schedule.advance(100)
  const [host] = cluster.store.list('supervisors/').entries
  const { id } = JSON.parse(host?.value ?? '') as { id: string }
  const assignment = assignmentOf('words', [{ worker: 0, supervisor: id }])
  const writes = [
    { key: keys.topology('words'), value: JSON.stringify(topologyOf('words')) },
    { key: keys.assignment('words'), value: JSON.stringify(assignment) },
  ]
  cluster.commit([], writes)
  await schedule.advance(1_000)
  mkdirSync(join(folder, 'host', 'workers', 'words-1-w0-i1'), { recursive: true })
  writeFileSync(join(folder, 'host', 'workers', 'words-1-w0-i1', 'worker.log'), 'printed\n')
  said.length = 0
  return { url: one.url, port: Number(new URL(one.url).port), said }
}

interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
}

const { code, what, help, where } = new SquallError('api-token')
const refused = JSON.stringify({ code, what, help, where })
const bearer = { authorization: `Bearer ${token}` }

async function ask(
  target: Target,
  method: string,
  path: string,
  body?: string | Uint8Array,
  headers: Record<string, string> = bearer,
): Promise<Answer> {
  return await new Promise((resolve, reject) => {
    const request = httpRequest({ host: '127.0.0.1', port: target.port, method, path, headers, agent: false }, (response) => {
      let text = ''
      response.on('data', (bytes: Buffer) => (text += bytes.toString('latin1')))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }))
    })
    request.on('error', reject)
    request.end(body)
  })
}

interface Known {
  readonly method: string
  readonly path: string
  readonly query: readonly string[]
  /** `json`, `bytes` or none */
  readonly body: string | undefined
}

const Document = z.object({
  paths: z.record(
    z.string(),
    z.record(
      z.string(),
      z.object({
        parameters: z.array(z.object({ name: z.string(), in: z.string() })),
        requestBody: z.object({ content: z.record(z.string(), z.unknown()) }).optional(),
      }),
    ),
  ),
})

async function routesOf(target: Target): Promise<readonly Known[]> {
  const { paths } = Document.parse(JSON.parse((await ask(target, 'GET', '/openapi.json')).text))
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { parameters, requestBody }]) => {
      const [type] = Object.keys(requestBody?.content ?? {})
      const query = parameters.filter((one) => one.in === 'query').map(({ name }) => name)
      return { method: method.toUpperCase(), path, query, body: type === undefined ? undefined : type.includes('json') ? 'json' : 'bytes' }
    }),
  )
}

/** Bodies that come as far as the name of what they are for; of other routes an empty one is enough for that, or is refused. */
const bodies: Readonly<Record<string, unknown>> = {
  '/v1/topologies/{name}/update': {
    bundle: '5694d08a2e53ffcae0c3103e5ad6f6076abd960eb1f8a56577040bc1028f702b',
    file: 'f',
    params: {},
    config: {},
    components: [],
  },
}

const sampleOf = ({ body, path }: Known): string | undefined =>
  body === 'json' ? JSON.stringify(bodies[path] ?? {}) : body === 'bytes' ? 'code' : undefined

const hostileNames = [
  '..',
  '%2e%2e',
  '.%2e',
  '..%2f..%2fsecret.txt',
  '..%2F..%2F..%2F..%2F..%2Fetc%2Fpasswd',
  '..%5c..%5csecret.txt',
  '%252e%252e%252fsecret.txt',
  '%00',
  't%00',
  'secret.txt%00log0',
  '%ff%fe',
  '%',
  '%c0%ae%c0%ae',
  'C:%5CWindows%5Cwin.ini',
  'CON',
  '~root',
  '-rf',
  '$(id)',
  '%60id%60',
  '%7Bname%7D',
  '*',
  '__proto__',
  'constructor',
  'toString',
  '%E2%80%AE',
  'T',
  't%20',
  'ｔ'.normalize('NFC').replace('ｔ', '%EF%BD%94'),
  '%0d%0ax-injected:%201',
  '%0a',
  'x'.repeat(8_000),
  '9'.repeat(400),
]

/** Refused: a status that blames the client, a code, and not a word about the inside. */
function expectRefused(target: Target, { status, headers, text }: Answer, what: string): void {
  expect(status, `${what}: ${text.slice(0, 300)}`).toBeGreaterThanOrEqual(400)
  expect(status, `${what}: ${text.slice(0, 300)}`).toBeLessThan(500)
  expect(text, what).not.toMatch(new RegExp(`${canary}|root:|\\.ts|node:internal|${token}|/tmp/`))
  expect(headers, what).not.toHaveProperty('x-injected')
  expect(target.said, what).toEqual([])
}

describe.each(names)('the API of a %s', (name) => {
  let target: Target
  beforeEach(async () => {
    target = await targets[name]()
  })

  test('answers to nobody without the token, wherever else it is, and says nothing of what there is', async () => {
    const attempts: readonly (readonly [string, Record<string, string>])[] = [
      ['', {}],
      ['', { authorization: 'Bearer ' }],
      ['', { authorization: `Basic ${Buffer.from(`:${token}`).toString('base64')}` }],
      ['', { authorization: token }],
      ['', { authorization: `Bearer ${token} x` }],
      ['', { cookie: `token=${token}; authorization=Bearer ${token}`, 'x-token': token, 'proxy-authorization': `Bearer ${token}` }],
      [`?token=${encodeURIComponent(token)}&access_token=${encodeURIComponent(token)}`, {}],
    ]
    for (const route of [
      ...(await routesOf(target)),
      { method: 'GET', path: '/nothing' },
      { method: 'OPTIONS', path: '/v1/x' },
      { method: 'HEAD', path: '/openapi.json' },
    ])
      for (const [query, headers] of attempts) {
        const answer = await ask(target, route.method, `${route.path}${query}`, undefined, headers)
        expect(answer.status, `${route.method} ${route.path}`).toBe(401)
        expect(answer.text).toBe(route.method === 'HEAD' ? '' : refused)
      }
    expect(target.said).toEqual([])
  })

  test('refuses names that are paths, bytes, code or too long', async () => {
    const routes = (await routesOf(target)).filter(({ path }) => path.includes('{'))
    expect(routes.length).toBeGreaterThan(1)
    for (const route of routes)
      for (const hostile of hostileNames) {
        const path = route.path.replace(/\{\w+\}/g, hostile)
        expectRefused(target, await ask(target, route.method, path, sampleOf(route)), `${route.method} ${path.slice(0, 200)}`)
      }
  })

  test('refuses what is no value of a query', async () => {
    const routes = (await routesOf(target)).filter(({ query }) => query.length > 0)
    expect(routes.map(({ path }) => path)).toContain('/v1/logs/{log}')
    for (const route of routes)
      for (const key of route.query)
        for (const value of ['-1', '1.5', '1e400', 'NaN', '0x10', '%00', '..', '9'.repeat(30), '%5B%5D'])
          expectRefused(target, await ask(target, route.method, `${route.path}?${key}=${value}`), `${route.path} ${key}=${value}`)
  })

  test('changes nothing by GET, and knows no other methods; HEAD is GET without a body', async () => {
    const routes = await routesOf(target)
    for (const { path } of routes) {
      const own = routes.filter((route) => route.path === path).map(({ method }) => method)
      for (const method of ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE'])
        if (!own.includes(method)) expectRefused(target, await ask(target, method, path), `${method} ${path}`)
      const [get, head] = [await ask(target, 'GET', path), await ask(target, 'HEAD', path)]
      expect([head.status, head.text], path).toEqual([get.status, ''])
    }
  })

  test('lets no page of another site read or send anything, by whatever name it calls this machine', async () => {
    for (const origin of ['http://evil.example', 'null', target.url])
      for (const host of ['evil.example', 'localhost', '127.0.0.1', `169.254.169.254:${target.port}`]) {
        const headers = { host, origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization' }
        for (const method of ['OPTIONS', 'GET', 'POST']) {
          const answer = await ask(target, method, '/v1/topologies', undefined, headers)
          expect(answer.status).toBe(401)
          expect(Object.keys(answer.headers).filter((one) => one.startsWith('access-control-'))).toEqual([])
        }
      }
  })

  test('takes bodies that are no bodies for none', async () => {
    const deep = `${'['.repeat(50_000)}${']'.repeat(50_000)}`
    const hostile: readonly (readonly [string, string])[] = [
      ['no JSON', '{"a":'],
      ['another encoding', '\u00ff\u00fe{\u0000}\u0000'],
      ['deep', deep],
      ['deep within', `{"params":${deep},"config":{}}`],
      ['a number', '7'],
      ['null', 'null'],
      ['a list', '[]'],
      [
        'prototypes',
        '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},"params":{"__proto__":{"polluted":1}},"waitMs":"x","bundle":"x","workers":-1}',
      ],
    ]
    for (const route of (await routesOf(target)).filter(({ body }) => body === 'json'))
      for (const [what, body] of hostile)
        for (const type of ['application/json', 'text/plain', 'multipart/form-data', 'application/x-www-form-urlencoded']) {
          const path = route.path.replace(/\{\w+\}/g, 'nobody')
          expectRefused(
            target,
            await ask(target, route.method, path, body, { ...bearer, 'content-type': type }),
            `${what} for ${route.path}`,
          )
        }
    expect((Object.prototype as unknown as { polluted: unknown }).polluted).toBeUndefined()
  })

  test('refuses a body that says how large it is at once, and another as soon as it is', async () => {
    const megabyte = Buffer.alloc(1 << 20, 0x20)
    for (const route of (await routesOf(target)).filter(({ body }) => body !== undefined)) {
      const path = route.path.replace(/\{\w+\}/g, '0'.repeat(64))
      const socket = new RawSocket(target.port)
      socket.write(`${route.method} ${path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\ncontent-length: ${1e12}\r\n\r\n`)
      await socket.until('\r\n\r\n')
      expect(socket.text, path).toMatch(/^HTTP\/1\.1 413 /)
      // bundles may be large: to say so takes a while
      if (route.body === 'bytes') continue
      const endless = new RawSocket(target.port)
      endless.write(`${route.method} ${path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\ntransfer-encoding: chunked\r\n\r\n`)
      for (let chunk = 0; chunk < 5; chunk++) endless.write('100000\r\n').write(megabyte).write('\r\n')
      await endless.until('\r\n\r\n')
      expect(endless.text, path).toMatch(/^HTTP\/1\.1 413 /)
    }
    expect((await ask(target, 'GET', '/openapi.json')).status).toBe(200)
  })

  test.each([
    ['no HTTP', 'GET\r\n\r\n', 400],
    ['bytes', '\u0000\u0001\u0002\r\n\r\n', 400],
    ['a certificate where there is none', '\u0016\u0003\u0001\u0002\u0000\u0001', 400],
    ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400],
    ['no host', `GET / HTTP/1.1\r\nauthorization: Bearer ${token}\r\n\r\n`, 400],
    ['a host that is a path', `GET /openapi.json HTTP/1.1\r\nhost: a/../b?c\r\nauthorization: Bearer ${token}\r\n\r\n`, 400],
    ['two lengths', `POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab`, 400],
    ['a length and chunks', `POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`, 400],
    ['a header of 20 kB', `GET / HTTP/1.1\r\nhost: x\r\nx: ${'x'.repeat(20_000)}\r\n\r\n`, 431],
    ['3,000 headers', `GET / HTTP/1.1\r\nhost: x\r\n${'x: yyyyyyyy\r\n'.repeat(3_000)}\r\n`, 431],
    ['another server', `GET http://evil.example/openapi.json HTTP/1.1\r\nhost: evil.example\r\n\r\n`, 401],
  ])('%s', async (_, text, status) => {
    const socket = new RawSocket(target.port)
    socket.socket.write(text, 'latin1')
    await socket.until('\r\n\r\n')
    expect(socket.text).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
    expect((await ask(target, 'GET', '/openapi.json')).status).toBe(200)
    expect(target.said).toEqual([])
  })

  test('no other protocol is spoken, however it is asked for', async () => {
    for (const [said, status] of [
      [token, 404],
      [undefined, 401],
    ] as const) {
      const socket = new RawSocket(target.port).write(upgradeHead('/v1/nothing', said, ['http2-settings: AAMAAABkAAQAAP__']))
      await socket.until('\r\n\r\n')
      expect(socket.text).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
    }
  })

  test('a tunnel is none', async () => {
    const socket = new RawSocket(target.port).write(
      `CONNECT evil.example:443 HTTP/1.1\r\nhost: evil.example\r\nauthorization: Bearer ${token}\r\n\r\n`,
    )
    await socket.gone
    expect(socket.text).toBe('')
  })

  test('a chunk without a size ends the connection', async () => {
    const socket = new RawSocket(target.port)
    socket.write(`POST /v1/x HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n\r\n`)
    await socket.gone
    expect((await ask(target, 'GET', '/openapi.json')).status).toBe(200)
  })
})

test('what is nested too deep is refused before it becomes a record', async () => {
  const target = await nimbus()
  const deployment = deploymentOf({ name: 'deep' })
  const nested = (depth: number): string =>
    JSON.stringify({ ...deployment, params: { a: 'HERE' } }).replace('"HERE"', '['.repeat(depth) + ']'.repeat(depth))
  expect((await ask(target, 'POST', '/v1/topologies', nested(90))).text).toContain('blob-missing')
  for (const depth of [101, 10_000, 1_000_000]) {
    const answer = await ask(target, 'POST', '/v1/topologies', nested(depth))
    expect(answer.status).toBe(400)
    expect(answer.text).toContain('nested deeper than 100')
  }
})

describe('whoever is slow is closed after a while', () => {
  const times: ConnectionTimes = { beginMs: 300, requestMs: 600, idleMs: 300, checkMs: 50 }
  const open = async (): Promise<number> => {
    const api = apiOf({
      title: '',
      version: '',
      report: () => undefined,
      routes: [
        { method: 'POST', path: '/v1/take', summary: '', body: z.object({}), answer: z.string(), handle: () => Promise.resolve('taken') },
      ],
    })
    const served = await serve(api, { host: '127.0.0.1', port: 0, token, connectionTimes: times })
    onTestFinished(() => served.close())
    return served.port
  }
  const post = `POST /v1/take HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\n`

  test.each<readonly [string, string]>([
    ['nothing', ''],
    ['half a head', 'GET / HTTP/1.1\r\nhost: x\r\n'],
    ['half a body', `${post}content-length: 100\r\n\r\n{`],
    ['half a chunk', `${post}transfer-encoding: chunked\r\n\r\n100\r\n{`],
    ['half a body without the token', 'POST /v1/take HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{'],
    ['half a second request', `${post}content-length: 2\r\n\r\n{}POST /v1`],
    ['nothing after a request', `${post}content-length: 2\r\n\r\n{}`],
  ])('%s', async (_, text) => {
    const socket = new RawSocket(await open()).write(text)
    await socket.gone
    expect(socket.socket.destroyed || socket.isClosed).toBe(true)
  })

  test('a head, or a body, that comes byte by byte without end', async () => {
    const port = await open()
    for (const begin of ['GET / HTTP/1.1\r\nx: ', `${post}transfer-encoding: chunked\r\n\r\n`]) {
      const socket = new RawSocket(port).write(begin)
      const drip = setInterval(() => socket.write(begin.startsWith('GET') ? 'x' : '1\r\n \r\n'), 20)
      await socket.gone
      clearInterval(drip)
      expect(socket.isClosed).toBe(true)
    }
  })
})

test('a leader that another protocol leads to is not asked: the token is not shown to it', async () => {
  const asked: string[] = []
  const at = async (leader: string): Promise<string> => {
    const listening = await listen(
      { host: '127.0.0.1', port: 0, token },
      {
        request: (request, response) => {
          asked.push(String(request.url))
          response
            .writeHead(421, { 'content-type': 'application/json' })
            .end(JSON.stringify({ code: 'not-leader', what: 'w', help: 'h', leader }))
        },
      },
    )
    onTestFinished(() => listening.close())
    return `http://127.0.0.1:${listening.port}`
  }
  for (const leader of ['https://127.0.0.1:1', 'file:///etc/passwd', 'no address', ''])
    await expect(new HttpClient({ urls: [await at(leader)], token }).json('/v1/x')).rejects.toMatchObject({ code: 'not-leader' })
  const second = await at('')
  await expect(new HttpClient({ urls: [await at(second)], token }).json('/v1/x')).rejects.toMatchObject({ code: 'not-leader' })
  expect(asked).toHaveLength(6)
})
