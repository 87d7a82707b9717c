/** etcd with TLS and users; and what is no etcd at all. */
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { request } from 'node:https'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { connect } from '../../../lib/cluster/coordination/connect.ts'
import type { Coordinator, News } from '../../../lib/cluster/coordination/coordinator.ts'
import { EtcdCoordinator } from '../../../lib/cluster/coordination/etcd.ts'
import { EtcdGateway } from '../../../lib/cluster/coordination/etcd-gateway.ts'
import { AnyAnswer } from '../../../lib/cluster/coordination/etcd-words.ts'
import { realSchedule } from '../../../lib/std/schedule.ts'
import { rejection } from '../../fixtures/files.ts'
import { revisionOf, until } from './conformance.ts'
import { EtcdServers, hasEtcd } from './etcd-servers.ts'

describe.runIf(hasEtcd())('a server of etcd with a certificate and users', () => {
  let server: EtcdServers
  let ca: string
  let address: string
  const base64 = (text: string): string => Buffer.from(text).toString('base64')

  beforeAll(async () => {
    server = await EtcdServers.start(1, ['--auto-tls'], 'https')
    address = `etcds://${server.hosts.join()}`
    await until(() => {
      try {
        ca = server.certificate(0)
        return ca.includes('END')
      } catch {
        return false
      }
    })
    await (await connect(address, { tls: { ca } })).close()
    const range = { key: base64('/squall/'), range_end: base64('/squall0') }
    await admin('auth/user/add', { name: 'root', password: 'r' })
    await admin('auth/role/add', { name: 'root' })
    await admin('auth/user/grant', { user: 'root', role: 'root' })
    await admin('auth/user/add', { name: 'squall', password: 's' })
    await admin('auth/role/add', { name: 'squall' })
    await admin('auth/role/grant', { name: 'squall', perm: { permType: 'READWRITE', ...range } })
    await admin('auth/user/grant', { user: 'squall', role: 'squall' })
    await admin('auth/enable', {})
  })
  afterAll(() => server.stop())

  const admin = (path: string, body: object): Promise<void> =>
    new Promise((resolve, reject) => {
      const sent = request(`${server.clientUrls[0]}/v3/${path}`, { method: 'POST', ca }, (response) => {
        response
          .resume()
          .once('end', () => (response.statusCode === 200 ? resolve() : reject(new Error(`${path}: ${response.statusCode}`))))
      })
      sent.once('error', reject)
      sent.end(JSON.stringify(body))
    })

  test.each([
    ['no user', {}, 'user name is empty'],
    ['a wrong password', { user: 'squall', password: 'x' }, 'invalid user ID or password'],
    ['an unknown user', { user: 'nobody', password: 's' }, 'invalid user ID or password'],
  ])('refuses %s', async (_, who, reason) => {
    const error = await rejection(connect(address, { tls: { ca }, ...who }))
    expect(error).toMatchObject({ code: 'coordinator-refused', what: expect.stringContaining(reason) as string })
  })

  test('refuses keys that are not the user’s', async () => {
    const error = await rejection(connect(`${address}/elsewhere`, { tls: { ca }, user: 'squall', password: 's' }))
    expect(error).toMatchObject({ code: 'coordinator-refused', what: expect.stringContaining('permission denied') as string })
  })

  test('is refused when nobody known has signed its certificate', async () => {
    const error = await rejection(connect(address, { user: 'squall', password: 's' }))
    expect(error).toMatchObject({ code: 'coordinator-refused', what: expect.stringContaining('certificate') as string })
  })

  test('goes on with a client that it has forgotten the token of', async () => {
    const client = await connect(address, { tls: { ca }, user: 'squall', password: 's' })
    onTestFinished(() => client.close())
    const lease = await client.lease(60_000)
    const made = revisionOf(await client.commit([], [{ key: 'a', value: '1', lease }]))
    const news: News[] = []
    client.watch('', made, (one) => news.push(one))
    await server.kill(0)
    server.run(0)
    revisionOf(await client.commit([{ key: 'a', version: made }], [{ key: 'a', value: '2' }]))
    await until(() => news.length > 0)
    expect(news.map(({ kind }) => kind)).toEqual(['changes'])
  })
})

/** Something else that listens where etcd should. */
async function impostor(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  const server = createServer(answer)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

const impostors: readonly (readonly [string, (request: IncomingMessage, response: ServerResponse) => void])[] = [
  ['no JSON', (_, response) => response.end('<html>')],
  ['JSON of another kind', (_, response) => response.end('[]')],
  ['an error of a proxy', (_, response) => response.writeHead(502).end('Bad gateway')],
  ['an error that is none', (_, response) => response.writeHead(500).end('{"error":7}')],
  ['nothing, and hangs up', (request) => request.socket.destroy()],
  ['nothing', () => undefined],
  ['half of something', (_, response) => response.write('{"header":{')],
]

test.each(impostors)('what answers with %s is as good as away', async (_, answer) => {
  const gateway = new EtcdGateway({ hosts: [await impostor(answer)] }, realSchedule)
  onTestFinished(() => gateway.close())
  const error = await rejection(gateway.call('kv/range', {}, AnyAnswer, { withinMs: 400 }))
  expect(error).toMatchObject({ code: 'coordinator-away' })
})

test('all that is under way ends when a client is closed', async () => {
  const client: Coordinator = new EtcdCoordinator({ hosts: [await impostor(() => undefined)] })
  const watch = client.watch('', 0, () => undefined)
  const asked = [client.get('a'), client.list(''), client.commit([], [{ key: 'a', value: '1' }]), client.lease(2_000)]
  const ended = Promise.allSettled(asked)
  await client.close()
  const codes = (await ended).map((one) => (one.status === 'rejected' ? (one.reason as { code: string }).code : 'answered'))
  expect(codes).toEqual(asked.map(() => 'coordinator-closed'))
  watch.close()
})
