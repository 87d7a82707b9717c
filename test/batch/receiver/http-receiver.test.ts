import { once } from 'node:events'
import { request } from 'node:http'
import { connect } from 'node:net'
import { describe, expect, test } from 'vitest'
import { LoggedBlocks, ReceivedBlockTracker, ReceiverSupervisor, httpJson, httpLines, realSchedule } from '../../../lib/index.ts'
import type { HttpReceiverOptions, Receiver } from '../../../lib/index.ts'
import { Random } from '../../../lib/std/random.ts'
import { FaultDisk } from '../fault-disk.ts'
import { Recorder } from './recorder.ts'

async function listen<T>(make: (options: HttpReceiverOptions) => Receiver<T>, options: Partial<HttpReceiverOptions> = {}) {
  const output = new Recorder<T>()
  let port = 0
  const receiver = make({ port: 0, onListening: (found) => (port = found), ...options })
  await receiver.onStart(output)
  const post = async (body: string | Uint8Array, init: RequestInit = {}, path = '/'): Promise<[number, unknown]> => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { method: 'POST', body, ...init })
    return [response.status, await response.json()]
  }
  return { output, receiver, port, post }
}

describe('records over HTTP', () => {
  test('lines are stored before they are answered', async () => {
    const { output, receiver, post } = await listen(httpLines)
    expect(await post('to be\r\nor not\n\nto be\n')).toEqual([200, { records: 4 }])
    expect(output.items).toEqual(['to be', 'or not', '', 'to be'])
    expect(await post('')).toEqual([200, { records: 0 }])
    await receiver.onStop()
  })

  test('JSON comes as an array or a value a line', async () => {
    const { output, receiver, post } = await listen(httpJson)
    expect(await post(' [{"n":1}, 2]')).toEqual([200, { records: 2 }])
    expect(await post('{"n":3}\n\n"four"\n')).toEqual([200, { records: 2 }])
    expect(output.items).toEqual([{ n: 1 }, 2, { n: 3 }, 'four'])
    const [status, body] = await post('{"n":5}\n{"n":')
    expect([status, (body as { error: string }).error]).toEqual([400, expect.stringMatching(/^line 2 is no JSON/)])
    expect((await post('[1'))[0]).toBe(400)
    expect(output.items).toHaveLength(4)
    await receiver.onStop()
  })

  test('what cannot be stored is to be sent again', async () => {
    const { output, receiver, post } = await listen(httpLines)
    output.storeMany = () => Promise.reject(new Error('disk full'))
    expect(await post('a')).toEqual([503, { error: 'not stored, try again' }])
    expect(output.told).toEqual(['error: 1 records were not stored: disk full'])
    await receiver.onStop()
  })

  test('what is not in the form that is wanted is refused, and nothing of it is stored', async () => {
    const { output, receiver, port, post } = await listen(httpLines, { path: '/in', bodyBytesMax: 10 })
    expect((await post('a', {}, '/out'))[0]).toBe(404)
    expect((await post('a', { headers: { origin: 'https://example.com' } }, '/in'))[0]).toBe(403)
    expect((await post('a', { headers: { 'content-encoding': 'gzip' } }, '/in'))[0]).toBe(415)
    expect((await post('a', { method: 'PUT' }, '/in'))[0]).toBe(405)
    expect((await post('12345678901', {}, '/in'))[0]).toBe(413)
    expect((await post(new Uint8Array([0xff]), {}, '/in'))[0]).toBe(400)
    const chunked = request({ port, host: '127.0.0.1', method: 'POST', path: '/in', agent: false })
    chunked.on('error', () => undefined)
    chunked.write('123456')
    chunked.write('789012')
    const [response] = (await once(chunked, 'response')) as [{ statusCode: number }]
    expect(response.statusCode).toBe(413)
    chunked.destroy()
    expect(output.items).toEqual([])
    expect((await post('1234567890', {}, '/in?from=test'))[0]).toBe(200)
    await receiver.onStop()
  })

  test('a stop waits for what is being stored, and cuts off what has not arrived', async () => {
    const { output, receiver, port, post } = await listen(httpLines)
    let release = (): void => undefined
    let asked = (): void => undefined
    const isStoring = new Promise<void>((resolve) => (asked = resolve))
    const store = output.storeMany.bind(output)
    output.storeMany = (items) => {
      asked()
      return store(items)
    }
    output.hold = new Promise((resolve) => (release = resolve))
    const posted = post('a')
    await isStoring
    const half = connect(port, '127.0.0.1')
    half.on('error', () => undefined)
    half.write('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nhalf')
    await once(half, 'connect')
    const stopped = receiver.onStop()
    release()
    expect(await posted).toEqual([200, { records: 1 }])
    await stopped
    await receiver.onStop()
    expect(output.items).toEqual(['a'])
  })

  /** All of it together: what was answered is found by the next process. */
  test('what was answered is there after a power cut', async () => {
    const disk = new FaultDisk(new Random(3))
    const open = async (files: FaultDisk) => ({
      tracker: await ReceivedBlockTracker.open({ streams: ['s'], clock: realSchedule, folder: '/tracker', files }),
      blocks: await LoggedBlocks.open({ folder: '/blocks', clock: realSchedule, files }),
    })
    const { tracker, blocks } = await open(disk)
    let port = 0
    const supervisor = new ReceiverSupervisor({
      stream: 's',
      receiver: httpLines({ port: 0, onListening: (found) => (port = found) }),
      schedule: realSchedule,
      blocks,
      report: (block) => tracker.addBlock(block),
    })
    await supervisor.start()
    const answered: string[] = []
    disk.crashAt = disk.step + 15
    for (let i = 0; i < 20; i++) {
      const response = await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body: `line ${i}` })
      if (response.ok) answered.push(`line ${i}`)
      await response.arrayBuffer()
    }
    await supervisor.stop()
    const again = await open(disk.powerLost())
    await again.tracker.allocateBlocksToBatch(1)
    const found = await Promise.all(again.tracker.blocksOfBatchAndStream(1, 's').map(({ blockId }) => again.blocks.read(blockId)))
    expect(found.flat()).toEqual(expect.arrayContaining(answered))
    expect(answered.length).toBeGreaterThan(0)
    expect(answered.length).toBeLessThan(20)
  })
})
