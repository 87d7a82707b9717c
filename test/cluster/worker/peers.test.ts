/** Who connects to whom, over real sockets. */
import { afterEach, expect, test, vi } from 'vitest'
import type { WorkerPlace } from '../../../lib/cluster/worker/assignment.ts'
import { wordsMessage, wordsOf } from '../../../lib/cluster/worker/frames.ts'
import { Peers } from '../../../lib/cluster/worker/peers.ts'
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
