import { connect } from 'node:net'
import { request as httpRequest } from 'node:http'
import { describe, expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { digestOf } from '../../../lib/cluster/blobstore/blobs.ts'
import { FolderBlobs } from '../../../lib/cluster/blobstore/folder-blobs.ts'
import type { Blobs } from '../../../lib/cluster/blobstore/blobs.ts'
import { HttpBlobs } from '../../../lib/cluster/blobstore/http-blobs.ts'
import { ClusterClient } from '../../../lib/cluster/client.ts'
import { HttpClient } from '../../../lib/cluster/http/client.ts'
import { apiOf, serve } from '../../../lib/cluster/http/server.ts'
import type { Fetch } from '../../../lib/cluster/http/server.ts'
import { nimbusApi } from '../../../lib/cluster/nimbus/api.ts'
import { keys } from '../../../lib/cluster/records.ts'
import { nodeFileSystem } from '../../../lib/batch/log/file-system.ts'
import { folderOf } from '../../fixtures/files.ts'
import { repository } from '../../house/repository.ts'
import { keepsBlobs } from '../blobstore/conformance.ts'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { TestCluster, deploymentOf } from './cluster.ts'
import type { Standing } from './cluster.ts'

const token = 'the token of this cluster'

async function listening(fetch: Fetch, connectionsMax = 100): Promise<string> {
  const served = await serve(fetch, { host: '127.0.0.1', port: 0, token, connectionsMax })
  onTestFinished(() => served.close())
  return `http://127.0.0.1:${served.port}`
}

function clientOf(url: string, said = token): HttpClient {
  return new HttpClient({ urls: [url], token: said })
}

interface Site {
  readonly cluster: TestCluster
  readonly standing: Standing
  readonly url: string
  readonly client: ClusterClient
  readonly said: string[]
}

async function open(id = 'n1', cluster = new TestCluster(), blobs?: Blobs): Promise<Site> {
  const said: string[] = []
  const standing = await cluster.stand(id)
  const api = nimbusApi({
    nimbus: standing.nimbus,
    blobs: blobs ?? standing.blobs,
    version: '1.2.3',
    schedule: cluster.schedule,
    clientOf,
    report: (message) => said.push(message),
  })
  const url = await listening(api)
  return { cluster, standing, url, client: new ClusterClient({ urls: [url], token }), said }
}

async function deployed(site: Site, name: string): Promise<void> {
  const bundle = await site.client.blobs.put(Buffer.from(name))
  expect(await site.client.deploy(deploymentOf({ name, bundle }))).toEqual({ name, id: `${name}-1` })
}

/** A supervisor's API, as far as nimbus asks. */
async function supervisorApi(): Promise<string> {
  const tasks = [0, 1].map((task) => ({
    task,
    emitted: { default: 10 },
    executed: {},
    acked: 4,
    failed: 1,
    expired: 0,
    replayed: 0,
    deadLettered: 0,
    pending: 2,
    errors: 0,
  }))
  return await listening(
    apiOf({
      title: 'supervisor',
      version: '1',
      report: () => undefined,
      routes: [
        {
          method: 'GET',
          path: '/v1/logs/{log}',
          summary: 'a log',
          query: z.object({ from: z.string().default('5'), max: z.string().optional() }),
          answer: z.object({}),
          handle: async ({ params, query }) => {
            const { from } = query as { from: string }
            return { from: Number(from), next: 9, size: 9, text: `the log ${params['log']}` }
          },
        },
        {
          method: 'GET',
          path: '/v1/workers/{log}/snapshot',
          summary: 'a snapshot',
          answer: z.object({}),
          handle: async () => ({ topology: 't', components: [{ id: 'source', tasks }] }),
        },
      ],
    }),
  )
}

describe('the API of nimbus', () => {
  test('deploys, lists and describes a topology', async () => {
    const site = await open()
    const { cluster, client } = site
    await cluster.host('a', { url: await supervisorApi(), host: 'a.example' })
    await deployed(site, 't')
    await cluster.passing(0)
    expect(await client.list()).toEqual([{ name: 't', state: 'starting', workers: 2, uptimeS: 0, executors: 2, tasks: 4 }])
    await cluster.say('t', 0, 'running', { pid: 11, log: 'log0', host: 'a.example' })
    await cluster.say('t', 1, 'running', { pid: 12, log: 'log1', host: 'a.example' })
    await cluster.passing(5_000)
    expect(await client.list()).toMatchObject([{ state: 'active', uptimeS: 5 }])
    expect(await client.describe('t')).toMatchObject({
      name: 't',
      id: 't-1',
      state: 'active',
      executors: 2,
      workersWanted: 2,
      epoch: 1,
      workers: [
        { id: 0, supervisor: 'a', host: 'a.example', pid: 11, executors: [0], state: 'running', log: 'log0' },
        { id: 1, pid: 12, executors: [1] },
      ],
      components: [
        { id: 'source', kind: 'spout', tasks: 2, counts: { emitted: 20, acked: 8, failed: 2, pending: 4 } },
        { id: 'sink', kind: 'bolt', tasks: 2 },
      ],
    })
    expect(await client.snapshot('t')).toMatchObject({ topology: 't' })
    expect(await client.log('log1', 3, 100)).toEqual({ from: 3, next: 9, size: 9, text: 'the log log1' })
    expect(await client.log('log0')).toEqual({ from: 5, next: 9, size: 9, text: 'the log log0' })
    await expect(client.log('log2', 0, 100)).rejects.toMatchObject({ code: 'unknown-log' })
    expect(await client.cluster()).toMatchObject({
      version: '1.2.3',
      leader: { id: 'n1' },
      nimbuses: [{ id: 'n1', isLeading: true }],
      supervisors: [{ id: 'a', slots: 4, usedSlots: 2, isAvoided: false }],
      slots: 4,
      usedSlots: 2,
      topologies: 1,
    })
  })

  test('changes and kills it; one that waits says why, one that is over shows its result', async () => {
    const site = await open()
    const { cluster, client } = site
    await deployed(site, 't')
    expect(await client.list()).toMatchObject([{ state: 'waiting', workers: 0 }])
    await cluster.passing(0)
    expect(await client.list()).toMatchObject([{ problem: 'no supervisor is there to take workers' }])
    await cluster.host('a')
    await client.deactivate('t')
    await cluster.passing(0)
    expect(cluster.assignment('t')?.isActive).toBe(false)
    await client.activate('t')
    await client.rebalance('t', { workers: 1 })
    const bundle = await client.blobs.put(Buffer.from('new code'))
    await client.update('t', { bundle, file: 'new.ts', params: {}, config: {}, components: [{ id: 'source', kind: 'spout', tasks: 1 }] })
    await cluster.passing(0)
    expect(cluster.assignment('t')).toMatchObject({ bundle, isActive: true, workers: [{ worker: 0, executors: [0, 1] }] })
    await cluster.say('t', 0, 'running', { log: 'aa' })
    const counts = { emitted: 9, executed: 0, acked: 9, failed: 0, expired: 0, replayed: 0, deadLettered: 0, pending: 0, errors: 0 }
    await cluster.finish('t', 'finished', [{ id: 'source', counts }])
    await cluster.passing(10_000)
    expect(await client.list()).toMatchObject([{ state: 'finished', workers: 0 }])
    expect(await client.describe('t')).toMatchObject({
      state: 'finished',
      uptimeS: 0,
      workers: [{ id: 0, state: 'ended', log: 'aa', executors: [] }],
      components: [{ id: 'source', counts }],
      result: { state: 'finished', acked: 9 },
    })
    await client.kill('t')
    await cluster.passing(0)
    expect(await client.list()).toEqual([])
    await expect(client.kill('t')).rejects.toMatchObject({ code: 'unknown-topology' })
  })

  test('what topologies keep is told and removed, but not under a topology', async () => {
    const site = await open()
    const { cluster, client } = site
    await cluster.host('a', { host: 'a.example' })
    await deployed(site, 't')
    const key = keys.state('t')
    expect(await client.states()).toEqual([])
    await cluster.put(key, JSON.stringify({ members: ['a', 'b'], copies: 2 }))
    const copies = [
      { supervisor: 'a', host: 'a.example', isThere: true },
      { supervisor: 'b', host: 'b', isThere: false },
    ]
    expect(await client.states()).toEqual([{ name: 't', topology: 'starting', copies, copiesWanted: 2 }])
    expect((await client.describe('t')).keeps).toEqual({ copies, copiesWanted: 2 })
    await expect(client.removeState('t')).rejects.toMatchObject({ code: 'state-used' })
    await client.kill('t', { waitMs: 0 })
    await cluster.passing(1_000)
    // the one that does not come back is left out meanwhile, as ever
    await cluster.put(key, JSON.stringify({ members: ['a'], copies: 2, joining: 'b', removed: 1 }))
    await expect(client.removeState('s')).rejects.toMatchObject({ code: 'state-missing' })
    await client.removeState('t')
    expect(await client.states()).toEqual([])
    // for hosts that are away
    expect(cluster.read(key)).toEqual({ members: [], copies: 2 })
    // it may be sent twice
    await client.removeState('t')
    await cluster.passing(10_000)
    expect(cluster.read(key)).toEqual({ members: [], copies: 2 })
  })

  test('one whose hosts are all away waits', async () => {
    const site = await open()
    const { cluster, client } = site
    await cluster.host('a')
    await deployed(site, 't')
    await cluster.passing(0)
    for (const worker of [0, 1]) await cluster.say('t', worker, 'running')
    await cluster.lose('a')
    await cluster.passing(10_000)
    expect(await client.list()).toMatchObject([{ state: 'waiting', problem: 'no supervisor is there to take workers' }])
  })

  test('one whose worker ends again and again says with what, until it runs', async () => {
    const site = await open()
    const { cluster, client } = site
    await cluster.host('a')
    await deployed(site, 't')
    await cluster.passing(0)
    const error = { code: 'spout-threw', message: 'the spout s threw: boom (s.ts:3:4)\nmore', atMs: 5 }
    await cluster.say('t', 0, 'waiting', { restarts: 1, error: { ...error, message: 'an older one', atMs: 4 } })
    await cluster.say('t', 1, 'waiting', { restarts: 3, error })
    expect(await client.list()).toMatchObject([{ problem: 'worker 1 on a ended: the spout s threw: boom (s.ts:3:4)' }])
    for (const worker of [0, 1]) await cluster.say('t', worker, 'running', { restarts: 4, error })
    expect((await client.list())[0]).not.toHaveProperty('problem')
  })

  test('a deployment whose code is not there is refused', async () => {
    const { client } = await open()
    await expect(client.deploy(deploymentOf({ name: 't' }))).rejects.toMatchObject({ code: 'blob-missing' })
  })

  test('code that is put again just before its time is up can be deployed', async () => {
    const { cluster, client, standing } = await open()
    const code = Buffer.from('t')
    const bundle = await client.blobs.put(code)
    await cluster.passing(640_000)
    await client.blobs.put(code)
    await cluster.passing(30_000)
    const { name } = await client.deploy(deploymentOf({ name: 't', bundle }))
    await cluster.passing(600_000)
    expect([name, await standing.blobs.list()]).toEqual(['t', [bundle]])
  })

  test('a nimbus that does not lead sends to the one that does, and the client goes there', async () => {
    const cluster = new TestCluster()
    const first = await open('n1', cluster)
    await cluster.put(keys.leader, JSON.stringify({ id: 'n1', url: first.url })) // where it really listens
    const second = await open('n2', cluster)
    const answer = await raw(second.url, 'GET', '/v1/topologies')
    expect(answer.status).toBe(421)
    expect(answer.json).toMatchObject({ code: 'not-leader', leader: first.url, help: `ask the one that does: ${first.url}` })
    const client = new ClusterClient({ urls: [second.url], token })
    expect(await client.list()).toEqual([])
    const digest = await client.blobs.put(Buffer.from('code'))
    expect([await first.standing.blobs.has(digest), await second.standing.blobs.has(digest)]).toEqual([true, false])
  })

  test('a client asks the next address when one does not answer', async () => {
    const { url } = await open()
    const client = new ClusterClient({ urls: ['http://127.0.0.1:1', url], token })
    expect(await client.list()).toEqual([])
    await expect(new ClusterClient({ urls: ['http://127.0.0.1:1'], token }).list()).rejects.toMatchObject({ code: 'api-away' })
  })

  test('a host that is away or speaks another language: its logs say so, its figures are left out, and others come', async () => {
    const site = await open()
    const { cluster, client, said } = site
    await cluster.host('a', { url: await supervisorApi(), host: 'a.example', slots: 1 })
    await cluster.host('b', { url: 'http://127.0.0.1:1', host: 'b.example', slots: 1 })
    await cluster.host('c', { url: await listening(() => Response.json({ other: 1 })), host: 'c.example', slots: 1 })
    for (const name of ['ta', 'tb', 'tc']) {
      const bundle = await client.blobs.put(Buffer.from(name))
      await client.deploy(deploymentOf({ name, bundle, workers: 1 }))
      await cluster.passing(0)
      await cluster.say(name, 0, 'running', { log: `log-${name}`, host: `${cluster.assignment(name)?.workers[0]?.supervisor}.example` })
    }
    const topologyOn = (host: string): string =>
      ['ta', 'tb', 'tc'].find((name) => cluster.assignment(name)?.workers[0]?.supervisor === host) as string
    expect((await client.log(`log-${topologyOn('a')}`)).text).toContain('the log')
    await expect(client.log(`log-${topologyOn('b')}`)).rejects.toMatchObject({
      code: 'worker-silent',
      what: expect.stringContaining('its host b.example gives no answer from http://127.0.0.1:1') as string,
    })
    await expect(client.log(`log-${topologyOn('c')}`)).rejects.toMatchObject({
      code: 'api-refused',
      what: expect.stringContaining('cannot be understood') as string,
    })
    const { text } = await raw(site.url, 'GET', '/metrics')
    expect(text.match(/^squall_component_acked_total.*/gm)).toHaveLength(1)
    expect(said).toEqual([expect.stringContaining(`the figures of the topology ${topologyOn('c')} cannot be had: `)])
    await cluster.lose('b')
    await expect(client.log(`log-${topologyOn('b')}`)).rejects.toMatchObject({
      what: 'the worker does not answer: its host b.example is away',
    })
  })

  test('figures do not wait for a host that hangs', async () => {
    const site = await open()
    let asked = (): void => undefined
    const isAsked = new Promise<void>((resolve) => (asked = resolve))
    const hangs = (): Promise<Response> => {
      asked()
      return new Promise(() => undefined)
    }
    await site.cluster.host('a', { url: await listening(hangs) })
    await deployed(site, 't')
    await site.cluster.passing(0)
    for (const worker of [0, 1]) await site.cluster.say('t', worker, 'running', { log: `log${worker}` })
    const figures = raw(site.url, 'GET', '/metrics')
    await isAsked
    await site.cluster.passing(5_000)
    const { text } = await figures
    expect(text).toContain('squall_topology_state{topology="t",state="active"} 1\n')
    expect(text).not.toContain('component="source"')
  })

  test('describes itself', async () => {
    const { url } = await open()
    const { json } = await raw(url, 'GET', '/openapi.json')
    const document = json as { openapi: string; paths: Record<string, Record<string, { requestBody?: unknown; parameters: unknown[] }>> }
    expect(document.openapi).toBe('3.1.1')
    expect(Object.keys(document.paths)).toEqual([
      '/v1/cluster',
      '/v1/topologies',
      '/v1/topologies/{name}',
      '/v1/topologies/{name}/snapshot',
      '/v1/topologies/{name}/activate',
      '/v1/topologies/{name}/deactivate',
      '/v1/topologies/{name}/rebalance',
      '/v1/topologies/{name}/update',
      '/v1/topologies/{name}/kill',
      '/v1/states',
      '/v1/states/{name}/remove',
      '/v1/logs/{log}',
      '/v1/blobs',
      '/v1/blobs/{digest}',
      '/v1/blobs/{digest}/has',
      '/v1/blobs/{digest}/delete',
      '/metrics',
    ])
    expect(document.paths['/v1/topologies/{name}/kill']).toMatchObject({
      post: {
        operationId: 'postV1TopologiesNameKill',
        parameters: [{ name: 'name', in: 'path', required: true }],
        requestBody: { content: { 'application/json': { schema: { properties: { waitMs: { type: 'number', minimum: 0 } } } } } },
      },
    })
  })

  test('takes what the lines of the documentation send, and says so', async () => {
    const { url, cluster, client } = await open()
    const page = readFileSync(join(repository, 'docs', 'COMMANDS.md'), 'utf8')
    const lines = [...page.matchAll(/^curl -H "\$AUTH"(?: -d '(.+)')? http:\/\/127\.0\.0\.1:6688(\S+)$/gm)]
    expect(lines.length).toBeGreaterThan(5)
    await cluster.host('a')
    const bundle = await client.blobs.put(Buffer.from('code'))
    await client.deploy(deploymentOf({ name: 'word-count', bundle }))
    await cluster.passing(0)
    for (const [line, body, path = ''] of lines)
      expect([line, (await raw(url, body === undefined ? 'GET' : 'POST', path, body)).status]).toEqual([line, 200])
    await cluster.passing(29_000)
    expect(await client.list()).toMatchObject([{ state: 'killing' }])
    await client.kill('word-count')
    await cluster.passing(0)
    expect(await client.list()).toEqual([])
  })

  test.each([
    ['POST', 'activate', { x: 1 }, 'body: Unrecognized key: "x"'],
    ['POST', 'rebalance', { worker: 2 }, 'body: Unrecognized key: "worker"'],
    ['POST', 'kill', { wait: 2 }, 'body: Unrecognized key: "wait"'],
  ])('%s %s with a word that nobody knows is refused by it', async (method, verb, body, reason) => {
    const { url } = await open()
    const answer = await raw(url, method, `/v1/topologies/t/${verb}`, JSON.stringify(body))
    expect([answer.status, answer.json]).toEqual([400, expect.objectContaining({ what: expect.stringContaining(reason) as string })])
  })

  test('what is no number, and a missing token, are told with the remedy', async () => {
    const { url } = await open()
    expect((await raw(url, 'GET', '/v1/logs/aa?max=x')).json).toMatchObject({
      what: expect.stringMatching(/query.max: it is no whole number$/) as string,
    })
    const refused = (await (await fetch(`${url}/v1/cluster`)).json()) as { help: string }
    expect(refused.help).toContain('Authorization: Bearer TOKEN')
  })

  test('what stands in the way of a deployment is told with what helps', async () => {
    const site = await open()
    await expect(site.client.kill('t')).rejects.toMatchObject({ help: 'none is deployed: squall deploy FILE brings one' })
    await site.cluster.host('a')
    await deployed(site, 't')
    const bundle = await site.client.blobs.put(Buffer.from('t'))
    const again = site.client.deploy(deploymentOf({ name: 't', bundle, request: 'another' }))
    await expect(again).rejects.toMatchObject({ code: 'name-in-use', help: expect.stringContaining('deploy --update') as string })
    await site.cluster.passing(0)
    await site.cluster.finish('t')
    await site.cluster.passing(0)
    const over = site.client.deploy(deploymentOf({ name: 't', bundle, request: 'third' }))
    await expect(over).rejects.toMatchObject({
      code: 'name-in-use',
      help: expect.stringMatching(/^squall kill t ends and forgets it/) as string,
    })
    await expect(site.client.activate('t')).rejects.toMatchObject({ help: expect.stringMatching(/^squall kill t forgets it/) as string })
  })

  test('nobody leads where the coordinator does not answer, whatever was known last', async () => {
    const cluster = new TestCluster()
    const first = await open('n1', cluster)
    const second = await open('n2', cluster)
    const leaderIn = async (site: Site): Promise<unknown> => {
      const { leader, nimbuses } = await site.client.cluster()
      return [leader?.id, nimbuses.filter(({ isLeading }) => isLeading).length]
    }
    expect([await leaderIn(first), await leaderIn(second)]).toEqual([
      ['n1', 1],
      ['n1', 1],
    ])
    for (const { standing } of [first, second]) standing.coordinator.cut()
    await cluster.passing(10_000)
    expect([await leaderIn(first), await leaderIn(second)]).toEqual([
      [undefined, 0],
      [undefined, 0],
    ])
  })

  test('a standby gives no figures but its own: whoever adds up has them once', async () => {
    const cluster = new TestCluster()
    const first = await open('n1', cluster)
    await cluster.host('a')
    await deployed(first, 't')
    const second = await open('n2', cluster)
    await cluster.passing(0)
    await cluster.say('t', 0, 'running', { restarts: 3 })
    const [leader, standby] = [await raw(first.url, 'GET', '/metrics'), await raw(second.url, 'GET', '/metrics')]
    expect(leader.text).toContain('squall_worker_restarts_total{topology="t",worker="0"} 3\n')
    expect(standby.text).toContain('squall_nimbus_leading 0\n')
    expect(standby.text).not.toMatch(/squall_(?!nimbus)/)
  })

  test('has figures for Prometheus', async () => {
    const site = await open()
    await site.cluster.host('a', { url: await supervisorApi() })
    await deployed(site, 't')
    await site.cluster.passing(0)
    for (const worker of [0, 1])
      await site.cluster.say('t', worker, 'running', { log: `log${worker}`, ...(worker === 1 && { executorRestarts: 3 }) })
    const { text } = await raw(site.url, 'GET', '/metrics')
    expect(text).toContain('# TYPE squall_nimbus_leading gauge\nsquall_nimbus_leading 1\n')
    expect(text).toContain('squall_supervisor_slots_used{supervisor="a",host="a"} 2\n')
    expect(text).toContain('squall_topology_state{topology="t",state="active"} 1\n')
    expect(text).toContain('squall_worker_restarts_total{topology="t",worker="0"} 0\n')
    expect(text).toContain('squall_worker_executor_restarts_total{topology="t",worker="1"} 3\n')
    expect(text).toContain('squall_component_acked_total{topology="t",component="source"} 8\n')
    // each line is a comment or a sample
    expect(
      text.split('\n').filter((line) => !/^(?:# (?:HELP|TYPE) \w+ .+|\w+(?:\{\w+="[^"\n]*"(?:,\w+="[^"\n]*")*\})? [\d.e+-]+|)$/.test(line)),
    ).toEqual([])
  })
})

describe('what is refused', () => {
  test.each([undefined, '', 'Bearer', 'Bearer wrong', `Bearer ${token}x`, `bearer ${token}`, token])(
    'without the token: %j',
    async (authorization) => {
      const { url } = await open()
      for (const path of ['/v1/topologies', '/openapi.json', '/metrics', '/nothing'])
        expect(await raw(url, 'GET', path, undefined, authorization === undefined ? {} : { authorization })).toMatchObject({
          status: 401,
          json: { code: 'api-token' },
        })
    },
  )

  test('what there is not, and what a GET must not do', async () => {
    const { url } = await open()
    for (const [method, path] of [
      ['GET', '/nothing'],
      ['GET', '/v1/topologies/t/kill'],
      ['DELETE', '/v1/topologies/t'],
      ['PUT', `/v1/blobs/${'0'.repeat(64)}`],
    ] as const)
      expect(await raw(url, method, path)).toMatchObject({ status: 404, json: { code: 'api-request' } })
  })

  test.each([
    ['no JSON', '{"name":'],
    ['of another shape', '{"name":"t"}'],
    ['a name that is a path', JSON.stringify({ ...deploymentOf({ name: 't' }), name: '../../t' })],
    ['too many workers', JSON.stringify({ ...deploymentOf({ name: 't' }), workers: 1e9 })],
    ['a digest that is none', JSON.stringify({ ...deploymentOf({ name: 't' }), bundle: '../x' })],
  ])('a body that is %s', async (_, body) => {
    const { url, said } = await open()
    const { status, json } = await raw(url, 'POST', '/v1/topologies', body)
    expect([status, (json as { code: string }).code]).toEqual([400, 'api-request'])
    expect(said).toEqual([])
  })

  test('a body that is too large, said or not', async () => {
    const { url } = await open()
    const large = 'x'.repeat((4 << 20) + 1)
    expect(await raw(url, 'POST', '/v1/topologies', large)).toMatchObject({ status: 413, json: { code: 'api-too-large' } })
    expect(await raw(url, 'POST', '/v1/topologies', large, { ...bearer, 'transfer-encoding': 'chunked' })).toMatchObject({ status: 413 })
  })

  test('a blob that is not what its digest says, and paths for digests', async () => {
    const { url, standing } = await open()
    expect(await raw(url, 'POST', `/v1/blobs/${digestOf(Buffer.from('a'))}`, 'b')).toMatchObject({
      status: 400,
      json: { code: 'blob-corrupt' },
    })
    for (const path of ['..%2f..%2fetc%2fpasswd', '%2e%2e', 'A'.repeat(64)])
      expect((await raw(url, 'GET', `/v1/blobs/${path}`)).status).toBeGreaterThanOrEqual(400)
    expect(await standing.blobs.list()).toEqual([])
  })

  test('what goes wrong inside is not told to those outside', async () => {
    const broken: Blobs = {
      put: async () => Promise.reject(new Error('secret')),
      get: async () => Promise.reject(new Error('secret')),
      has: async () => Promise.reject(new Error('secret')),
      list: async () => Promise.reject(new Error('secret')),
      delete: async () => Promise.reject(new Error('secret')),
    }
    const { url, said } = await open('n1', new TestCluster(), broken)
    const { status, text } = await raw(url, 'GET', '/v1/blobs')
    expect(status).toBe(500)
    expect(text).not.toContain('secret')
    expect(text).not.toContain('.ts')
    expect(said.join()).toContain('secret')
  })

  test('more connections than there may be, idle ones too', async () => {
    const url = await listening(apiOf({ title: '', version: '', routes: [], report: () => undefined }), 3)
    const idle = Array.from({ length: 10 }, () => connect(Number(new URL(url).port), '127.0.0.1'))
    const closed = new Set<number>()
    await new Promise<void>((resolve) => {
      for (const [i, socket] of idle.entries())
        socket
          .on('error', () => undefined)
          .on('close', () => {
            closed.add(i)
            if (closed.size === 7) resolve()
          })
    })
    await expect(raw(url, 'GET', '/openapi.json')).rejects.toMatchObject({ code: expect.stringMatching(/ECONNRESET|EPIPE/) as string })
    const gone = idle.filter((_, i) => !closed.has(i))
    await Promise.all(gone.map((socket) => new Promise((resolve) => socket.on('close', resolve).end())))
    expect((await raw(url, 'GET', '/openapi.json')).status).toBe(200)
  })

  test('garbage instead of HTTP', async () => {
    const { url } = await open()
    const socket = connect(Number(new URL(url).port), '127.0.0.1')
    const closed = new Promise<string>((resolve) => {
      let heard = ''
      socket.on('data', (bytes) => (heard += bytes.toString()))
      socket.on('close', () => resolve(heard))
    })
    socket.write(Buffer.from([0, 1, 2, 255, 13, 10, 13, 10]))
    expect(await closed).toContain('400 Bad Request')
    expect((await raw(url, 'GET', '/v1/topologies')).status).toBe(200)
  })
})

describe('blobs over the API', () => {
  keepsBlobs(async () => {
    const folder = folderOf({})
    const { url } = await open('n1', new TestCluster(), await FolderBlobs.open(folder, nodeFileSystem, 1_000))
    return {
      blobs: new HttpBlobs(clientOf(url)),
      damage: async (digest) => writeFileSync(join(folder, digest), 'something else'),
    }
  })
})

const bearer = { authorization: `Bearer ${token}` }

interface RawAnswer {
  readonly status: number
  readonly text: string
  readonly json: unknown
}

async function raw(url: string, method: string, path: string, body?: string, headers: Record<string, string> = bearer): Promise<RawAnswer> {
  return await new Promise((resolve, reject) => {
    const request = httpRequest(`${url}${path}`, { method, headers }, (response) => {
      let text = ''
      response.on('data', (bytes: Buffer) => (text += bytes.toString()))
      response.on('end', () => {
        let json: unknown
        try {
          json = JSON.parse(text)
        } catch {
          json = undefined
        }
        resolve({ status: response.statusCode ?? 0, text, json })
      })
    })
    request.on('error', reject)
    request.end(body)
  })
}
