/** Who connects to whom, over real sockets. */
import { afterEach, expect, test, vi } from 'vitest'
import type { Connection, Greeting } from '../../../lib/cluster/worker/link.ts'
import type { WorkerPlace } from '../../../lib/cluster/worker/assignment.ts'
import { wordsMessage, wordsOf } from '../../../lib/cluster/worker/frames.ts'
import { Peer, Peers } from '../../../lib/cluster/worker/peers.ts'
import { pipe } from './connections.ts'
import type { Pipe } from './connections.ts'
import { listen } from '../../../lib/cluster/worker/sockets.ts'

afterEach(() => {
  vi.useRealTimers()
})

test('a worker is dialed as soon as it is known where it is', async () => {
  // nothing that waits for a time ever goes on
  vi.useFakeTimers({ toFake: ['setTimeout'] })
  const peersOf = (worker: number): Peers =>
    new Peers({ topology: 't', worker, incarnation: 1, session: `s${worker}`, token: 'secret', report: () => undefined })
  const [lower, higher] = [peersOf(0), peersOf(1)]
  const sockets = await listen({ host: '127.0.0.1', port: 0, token: 'secret' }, (connection) => lower.accept(connection))
  const places = [0, 1].map((worker) => ({ worker, incarnation: 1, executors: [worker] }))
  lower.assign(places)
  higher.assign(places)
  const heard = new Promise((resolve) => {
    lower.peer(1).ears = { message: (message) => resolve(wordsOf(message)), renewed: () => undefined }
  })
  higher.peer(0).send(wordsMessage('here I am'))
  await new Promise((resolve) => setImmediate(resolve)) // it has found no address, and waits
  higher.assign(places.map((place) => ({ ...place, ...(place.worker === 0 && { url: `ws://127.0.0.1:${sockets.port}` }) })))
  expect(await heard).toBe('here I am')
  for (const peers of [lower, higher]) peers.close()
  await sockets.close()
})

test('what is for all workers goes to none that was taken away', () => {
  const peers = new Peers({ topology: 't', worker: 0, incarnation: 1, session: 's', token: 'secret', report: () => undefined })
  const place = (worker: number): WorkerPlace => ({ worker, incarnation: 1, executors: [worker] })
  const present = (): readonly number[] => [...peers.present].map(({ worker }) => worker)
  peers.assign([0, 1, 2].map(place))
  expect(present()).toEqual([1, 2])
  peers.assign([0, 2].map(place))
  expect(present()).toEqual([2])
  peers.close()
})

test('what is for a worker that is placed anew goes to the new one only', async () => {
  const peersOf = (worker: number, incarnation: number, session: string): Peers =>
    new Peers({ topology: 't', worker, incarnation, session, token: 'secret', report: () => undefined })
  const [lead, old] = [peersOf(0, 1, 'lead'), peersOf(1, 1, 'old')]
  const places = (incarnation: number, url?: string): WorkerPlace[] => [
    { worker: 0, incarnation: 1, executors: [0], ...(url !== undefined && { url }) },
    { worker: 1, incarnation, executors: [1] },
  ]
  const sockets = await listen({ host: '127.0.0.1', port: 0, token: 'secret' }, (connection) => lead.accept(connection))
  const url = `ws://127.0.0.1:${sockets.port}`
  const heardBy = (peers: Peers): Promise<unknown> =>
    new Promise((resolve) => {
      peers.peer(0).ears = { message: (message) => resolve(wordsOf(message)), renewed: () => undefined }
    })
  let renewals = 0
  lead.peer(1).ears = { message: () => undefined, renewed: () => renewals++ }
  lead.assign(places(1))
  expect(renewals).toBe(0)
  const heard = heardBy(old)
  old.assign(places(1, url))
  lead.peer(1).send(wordsMessage('for the old one'))
  expect(await heard).toBe('for the old one')
  lead.peer(1).send(wordsMessage('for nobody'))
  lead.assign(places(2))
  expect(renewals).toBe(1)
  lead.peer(1).send(wordsMessage('for the new one'))
  const fresh = peersOf(1, 2, 'fresh')
  const first = heardBy(fresh)
  fresh.assign(places(2, url))
  expect(await first).toBe('for the new one')
  expect(renewals).toBe(1)
  for (const peers of [lead, old, fresh]) peers.close()
  await sockets.close()
})

test('of what only matters as it is no more waits than there is, and the last of it arrives when there is room', () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  const peers = [new Peer(1, 'a', () => undefined), new Peer(0, 'b', () => undefined)] as const
  const heard: unknown[] = []
  peers[0].ears = { message: () => undefined, renewed: () => undefined }
  peers[1].ears = { message: (message) => void heard.push(wordsOf(message)), renewed: () => undefined }
  const connect = (): Pipe => {
    const between = pipe()
    const greetings = peers.map(({ link }) => link.greet())
    peers.forEach(({ link }, at) => link.attach(between.ends[at] as Connection, greetings[1 - at] as Greeting))
    return between
  }
  const change = (): void => {
    for (let n = 0; n <= 10_000; n++) for (const of of [0, 1]) peers[0].state(of, wordsMessage(`${of} is ${n}`))
  }
  const drain = (between: Pipe): void => {
    while (between.step(0) || between.step(1));
  }
  change()
  expect(peers[0].link.unacknowledged).toBe(0)
  const between = connect()
  drain(between)
  expect(heard.splice(0)).toEqual(['0 is 10000', '1 is 10000'])
  // connected, and the other side says nothing for a while
  change()
  expect(peers[0].link.unacknowledged).toBe(1_000)
  drain(between)
  vi.advanceTimersByTime(1_000)
  drain(between)
  expect(heard.slice(-2)).toEqual(['0 is 10000', '1 is 10000'])
  for (const { link } of peers) link.close()
})
