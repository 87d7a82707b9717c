/** Whoever asks a cluster, while its leader changes. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { HttpClient } from '../../../lib/cluster/http/client.ts'
import { deploy, update } from '../../../lib/cluster/nimbus/deployments.ts'
import { SquallError } from '../../../lib/errors.ts'
import { VirtualSchedule } from '../../../lib/std/schedule.ts'
import { rejection } from '../../fixtures/files.ts'
import { TestCluster, deploymentOf } from './cluster.ts'

type Say = (() => { readonly status: number; readonly body: object }) | 'hangs up'

/** Answers each request with the next of what it is to say; the last one from then on. */
async function server(...says: Say[]): Promise<{ readonly url: string; asked: number }> {
  const state = { url: '', asked: 0 }
  const listening = createServer((request, response) => {
    state.asked++
    const say = says.length > 1 ? says.shift() : says[0]
    if (say === undefined || say === 'hangs up') return void request.socket.destroy()
    const { status, body } = say()
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  })
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void listening.close())
  state.url = `http://127.0.0.1:${(listening.address() as AddressInfo).port}`
  return state
}

function noLeader(): { readonly status: number; readonly body: object } {
  const { code, what, help } = new SquallError('no-leader')
  return { status: 503, body: { code, what, help } }
}

function pointsTo(leader: () => string): Say {
  const { code, what, help } = new SquallError('not-leader', { leader: 'elsewhere' })
  return () => ({ status: 421, body: { code, what, help, leader: leader() } })
}

const fine: Say = () => ({ status: 200, body: { fine: true } })

describe('a client that waits for a leader', () => {
  const open = (urls: readonly string[]): { schedule: VirtualSchedule; client: HttpClient; waits: string[] } => {
    const schedule = new VirtualSchedule()
    const waits: string[] = []
    return {
      schedule,
      waits,
      // answers come in real time
      client: new HttpClient({ urls, token: 't', schedule, withinMs: 1e9, patienceMs: 60_000, waiting: () => waits.push('waits') }),
    }
  }

  test('gets its answer once somebody leads', async () => {
    const nimbus = await server(noLeader, noLeader, fine)
    const { schedule, client, waits } = open([nimbus.url])
    const answer = client.post('/v1/x', {})
    await vi.waitFor(() => expect(nimbus.asked).toBe(1))
    await vi.waitFor(() => schedule.advance(250).then(() => expect(nimbus.asked).toBe(2)))
    await vi.waitFor(() => schedule.advance(250).then(() => expect(nimbus.asked).toBe(3)))
    expect((await answer).body.toString()).toBe('{"fine":true}')
    expect(waits).toEqual(['waits'])
  })

  test('does not wait for ever, nor where nobody is at all', async () => {
    const nimbus = await server(noLeader)
    const { schedule, client, waits } = open([nimbus.url])
    const refused = rejection(client.json('/v1/x'))
    await vi.waitFor(() => expect(waits).toEqual(['waits']))
    await schedule.advance(250)
    await vi.waitFor(() => expect(nimbus.asked).toBe(2))
    await schedule.advance(60_000)
    expect(await refused).toMatchObject({ code: 'no-leader' })
    const gone = open(['http://127.0.0.1:1'])
    await expect(gone.client.json('/v1/x')).rejects.toMatchObject({ code: 'api-away' })
    expect(gone.waits).toEqual([])
  })

  test('a request that a leader has taken into its grave is sent to the next one', async () => {
    const dying = await server('hangs up')
    const next = await server(
      pointsTo(() => dying.url),
      fine,
    )
    const { schedule, client } = open([dying.url, next.url])
    const answer = client.post('/v1/x', {})
    await vi.waitFor(() => schedule.advance(250).then(() => expect(next.asked).toBe(2)))
    expect((await answer).body.toString()).toBe('{"fine":true}')
  })
})

test('a deployment or an update that is sent twice is done once', async () => {
  const cluster = new TestCluster()
  const { nimbus } = await cluster.stand('n1')
  const wish = deploymentOf({ name: 't', request: 'r1' })
  for (const times of [1, 2]) {
    await cluster.done(nimbus.change((known) => deploy(known, wish, times)))
    expect(nimbus.known.topologies.get('t')?.record).toMatchObject({ id: 't-1', deployedAtMs: 1 })
  }
  const { bundle, file, params, config, components } = wish
  const code = { bundle, file, params, config, components, request: 'r2' }
  for (const _ of [1, 2]) {
    await cluster.done(nimbus.change((known) => update(known, 't', code)))
    expect(nimbus.known.topologies.get('t')?.record).toMatchObject({ changes: 1 })
  }
  expect(() => deploy(nimbus.known, { ...wish, request: 'r3' }, 0)).toThrow(expect.objectContaining({ code: 'name-in-use' }) as Error)
})
