/** Certificates between all that talk to each other in a cluster: good, strange, expired, of another host, of nobody, and none. */
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { EtcdGateway } from '../../../lib/cluster/coordination/etcd-gateway.ts'
import { AnyAnswer } from '../../../lib/cluster/coordination/etcd-words.ts'
import { HttpClient } from '../../../lib/cluster/http/client.ts'
import { apiOf, serve } from '../../../lib/cluster/http/server.ts'
import type { Tls } from '../../../lib/cluster/http/token.ts'
import { dial, listen } from '../../../lib/cluster/worker/sockets.ts'
import { reasonOf } from '../../../lib/errors.ts'
import { realSchedule } from '../../../lib/std/schedule.ts'
import { Authority, hasOpenssl } from '../../fixtures/certificates.ts'
import { rejection } from '../../fixtures/files.ts'
import { RawSocket } from '../hostile.ts'

const token = 'token'
const times = { beginMs: 1_000, checkMs: 50 }

interface Surface {
  /** Listens on 127.0.0.1, and wants a certificate. */
  listen(tls: Tls): Promise<number>
  /** Resolves when it is let in, and has trusted whom it asked. */
  ask(host: string, port: number, tls: Tls | undefined, isPlain?: boolean): Promise<void>
}

const where = { host: '127.0.0.1', port: 0, token, connectionTimes: times }

const surfaces: Readonly<Record<string, Surface>> = {
  'the API of nimbus, or of a supervisor': {
    async listen(tls) {
      const routes = [
        { method: 'GET', path: '/v1/hello', summary: '', answer: z.string(), handle: () => Promise.resolve('hello') },
      ] as const
      const served = await serve(apiOf({ title: '', version: '', routes, report: () => undefined }), { ...where, tls })
      onTestFinished(() => served.close())
      return served.port
    },
    async ask(host, port, tls, isPlain = false) {
      await new HttpClient({ urls: [`${isPlain ? 'http' : 'https'}://${host}:${port}`], token, tls }).json('/v1/hello')
    },
  },
  'links and the control of a worker': {
    async listen(tls) {
      const sockets = await listen({ ...where, tls }, (connection) => connection.close())
      onTestFinished(() => sockets.close())
      return sockets.port
    },
    async ask(host, port, tls, isPlain = false) {
      const connection = await dial(`${isPlain ? 'ws' : 'wss'}://${host}:${port}/link`, { token, tls })
      connection.close()
    },
  },
  'a server of etcd': {
    async listen(tls) {
      const server = createServer({ ...tls, requestCert: true, rejectUnauthorized: true }, (_, response) => response.end('{}'))
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      onTestFinished(() => {
        server.closeAllConnections()
        server.close()
      })
      return (server.address() as AddressInfo).port
    },
    async ask(host, port, tls, isPlain = false) {
      const gateway = new EtcdGateway({ hosts: [`${host}:${port}`], tls: isPlain ? undefined : (tls ?? {}) }, realSchedule)
      onTestFinished(() => gateway.close())
      // of one server, so that it is asked once
      await gateway.call('kv/range', {}, AnyAnswer, { host: `${host}:${port}` })
    },
  },
}

describe.runIf(hasOpenssl()).each(Object.keys(surfaces))('%s', (name) => {
  const surface = surfaces[name] as Surface
  const made: { authority: Authority; stranger: Authority; good: Tls; mine: Tls } = {} as typeof made

  beforeEach(() => {
    const [authority, stranger] = [new Authority(), new Authority()]
    Object.assign(made, { authority, stranger, good: authority.sign('server'), mine: authority.sign('client') })
  })

  test('lets in whom the authority has signed', async () => {
    expect(await surface.ask('127.0.0.1', await surface.listen(made.good), made.mine)).toBeUndefined()
  })

  test.each<readonly [string, () => Tls | undefined]>([
    ['another authority has signed', () => ({ ...made.stranger.sign('client'), ca: made.mine.ca })],
    ['nobody has signed', () => ({ ...made.stranger.itself, ca: made.mine.ca })],
    ['has expired', () => made.authority.sign('old-client', -1)],
    ['there is none of', () => ({ ca: made.mine.ca }) as Tls],
  ])('refuses a client whose certificate %s', async (_, tls) => {
    const port = await surface.listen(made.good)
    expect(await rejection(surface.ask('127.0.0.1', port, tls()))).toBeInstanceOf(Error)
    expect(await surface.ask('127.0.0.1', port, made.mine)).toBeUndefined()
  })

  test.each<readonly [string, () => Tls, string, RegExp]>([
    [
      'another authority has signed',
      () => ({ ...made.stranger.sign('server'), ca: made.good.ca }),
      '127.0.0.1',
      /verify|self.signed|issuer/,
    ],
    ['nobody has signed', () => ({ ...made.stranger.itself, ca: made.good.ca }), '127.0.0.1', /self.signed|verify/],
    ['has expired', () => made.authority.sign('old-server', -1), '127.0.0.1', /expired/],
    ['is that of another host', () => made.good, 'localhost', /altnames|localhost/],
  ])('is not trusted when its certificate %s, and the client says why', async (_, tls, host, reason) => {
    const port = await surface.listen(tls())
    expect(reasonOf(await rejection(surface.ask(host, port, made.mine)))).toMatch(reason)
  })

  test('a client that does not know the authority trusts nobody', async () => {
    const port = await surface.listen(made.good)
    await expect(surface.ask('127.0.0.1', port, undefined)).rejects.toThrow(/verify|self.signed|issuer/)
  })

  test('nothing is said without TLS', async () => {
    const port = await surface.listen(made.good)
    expect(await rejection(surface.ask('127.0.0.1', port, undefined, true))).toBeInstanceOf(Error)
    const socket = new RawSocket(port).write(`GET / HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\n\r\n`)
    await socket.gone
    expect(socket.text).not.toContain('HTTP/1.1 2')
  })
})

test.runIf(hasOpenssl())('who comes without TLS, or with the wrong name, is told what would help', async () => {
  const authority = new Authority()
  const port = await (surfaces['the API of nimbus, or of a supervisor'] as Surface).listen(authority.sign('server'))
  const client = (url: string): HttpClient => new HttpClient({ urls: [`${url}:${port}`], token, tls: authority.sign('client') })
  await expect(client('http://127.0.0.1').json('/v1/hello')).rejects.toMatchObject({
    code: 'api-away',
    help: expect.stringContaining('https://') as string,
  })
  await expect(client('https://localhost').json('/v1/hello')).rejects.toMatchObject({
    code: 'api-away',
    help: expect.stringMatching(/^use a name that its certificate has/) as string,
  })
  const gateway = new EtcdGateway({ hosts: [`127.0.0.1:${port}`] }, realSchedule)
  onTestFinished(() => gateway.close())
  await expect(gateway.call('kv/range', {}, AnyAnswer, { withinMs: 400 })).rejects.toMatchObject({
    code: 'coordinator-away',
    what: expect.stringContaining('with TLS it would be etcds://') as string,
  })
})

describe.runIf(hasOpenssl())('whoever begins to show certificates and does not go on', () => {
  test.each(Object.keys(surfaces).slice(0, 2))('%s closes it', async (name) => {
    const surface = surfaces[name] as Surface
    const port = await surface.listen(new Authority().sign('server'))
    // the head of a record with 512 bytes, of which there are few
    for (const bytes of [Buffer.alloc(0), Buffer.from([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc])]) {
      const socket = new RawSocket(port).write(bytes)
      await socket.gone
      expect(socket.isClosed).toBe(true)
    }
  })
})
