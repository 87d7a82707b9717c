/** Which port of a range a worker listens on. */
import { expect, test } from 'vitest'
import type { Listening } from '../../../lib/cluster/http/listen.ts'
import { listenWithin } from '../../../lib/cluster/worker/ports.ts'
import { SquallError } from '../../../lib/errors.ts'
import { rejection } from '../../fixtures/files.ts'

/** Of a machine on which what `fault` says of a port goes wrong. */
function machine(fault: (port: number) => string | undefined): { listen: (port: number) => Promise<Listening>; asked: number[] } {
  const asked: number[] = []
  const listen = (port: number): Promise<Listening> => {
    asked.push(port)
    const code = fault(port)
    if (code === undefined) return Promise.resolve({ port, close: () => Promise.resolve() })
    const cause = Object.assign(new Error(code), { code })
    return Promise.reject(new SquallError('listen-failed', { host: 'a', port, reason: code }, {}, { cause }))
  }
  return { listen, asked }
}

test('the first that nobody has', async () => {
  const { listen } = machine((port) => (port < 7_002 ? 'EADDRINUSE' : undefined))
  expect((await listenWithin([7_000, 7_009], 'a', listen)).port).toBe(7_002)
})

test('when none is free, and what else goes wrong, is told', async () => {
  const taken = machine(() => 'EADDRINUSE')
  expect(await rejection(listenWithin([7_000, 7_002], 'a', taken.listen))).toMatchObject({
    code: 'ports-taken',
    message: expect.stringContaining('no port from 7000 to 7002 is free on a') as unknown,
  })
  expect(taken.asked).toEqual([7_000, 7_001, 7_002])
  const away = machine(() => 'EADDRNOTAVAIL')
  expect(await rejection(listenWithin([7_000, 7_002], 'a', away.listen))).toMatchObject({ code: 'listen-failed' })
  expect(away.asked).toEqual([7_000])
})
