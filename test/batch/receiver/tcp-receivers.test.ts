import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { LineSplitter } from '../../../lib/batch/receiver/line-splitter.ts'
import { socketLines, tcpLines } from '../../../lib/index.ts'
import type { TcpLinesOptions } from '../../../lib/index.ts'
import { Recorder } from './recorder.ts'

async function listen(options: Partial<TcpLinesOptions> = {}) {
  const output = new Recorder<string>()
  let port = 0
  const receiver = tcpLines({ port: 0, onListening: (found) => (port = found), ...options })
  await receiver.onStart(output)
  return { output, port, receiver }
}

async function dial(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  return socket
}

describe('lines of bytes', () => {
  test('are the same however the bytes are cut', () => {
    const text = fc.array(fc.string({ unit: fc.constantFrom('a', 'é', '漢', '\r', ' ') }), { maxLength: 8 })
    fc.assert(
      fc.property(text, fc.array(fc.nat({ max: 40 }), { maxLength: 6 }), (lines, cuts) => {
        const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''))
        const splitter = new LineSplitter(1_000)
        const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]
        const found = places.slice(1).flatMap((to, i) => splitter.push(bytes.subarray(places[i], to)) ?? [])
        expect(found).toEqual(lines.map((line) => line.replace(/\r$/, '')))
        expect(splitter.end()).toBeUndefined()
      }),
    )
  })

  test('are bounded, with or without their end', () => {
    expect(new LineSplitter(3).push(Buffer.from('abc\r\nabc\n'))).toEqual(['abc', 'abc'])
    expect(new LineSplitter(3).push(Buffer.from('ab\nabcd\n'))).toBeUndefined()
    expect(new LineSplitter(3).push(Buffer.from('abcde'))).toBeUndefined()
    const cut = new LineSplitter(3)
    expect(cut.push(Buffer.from('a\nabcd'))).toEqual(['a'])
    expect(cut.end()).toBeUndefined()
  })

  test('the last one needs no end', () => {
    const splitter = new LineSplitter(10)
    expect(splitter.push(Buffer.from('a\nb'))).toEqual(['a'])
    expect(splitter.end()).toBe('b')
  })
})

describe('lines from whoever connects', () => {
  test('are stored, of several connections, the last without a line end too', async () => {
    const { output, port, receiver } = await listen()
    const [one, other] = [await dial(port), await dial(port)]
    one.end('to be\r\nor not\n')
    other.end('that is the question')
    await output.until(() => output.items.length === 3)
    expect([...output.items].sort()).toEqual(['or not', 'that is the question', 'to be'])
    await receiver.onStop()
  })

  test('come in order, and a connection waits while its line does', async () => {
    const { output, port, receiver } = await listen()
    let release = (): void => undefined
    output.hold = new Promise((resolve) => (release = resolve))
    const socket = await dial(port)
    socket.end('1\n2\n3\n')
    await output.until(() => output.items.length === 1)
    expect(output.items).toEqual(['1'])
    output.hold = undefined
    release()
    await output.until(() => output.items.length === 3)
    expect(output.items).toEqual(['1', '2', '3'])
    await receiver.onStop()
  })

  test('a line that is too long closes its connection, and no other', async () => {
    const { output, port, receiver } = await listen({ lineBytesMax: 5 })
    const [bad, good] = [await dial(port), await dial(port)]
    const closed = once(bad, 'close')
    bad.write('much too long')
    bad.on('error', () => undefined)
    await closed
    good.end('short\n')
    await output.until(() => output.items.length === 1)
    expect(output.told).toHaveLength(1)
    expect(output.told[0]).toMatch(/a line of the receiver of stream s is larger than 5 bytes/)
    await receiver.onStop()
  })

  test('there are not more connections than allowed', async () => {
    const { output, port, receiver } = await listen({ connectionsMax: 1 })
    const first = await dial(port)
    const second = connect(port, '127.0.0.1')
    second.on('error', () => undefined)
    await once(second, 'close')
    await output.until(() => output.told.length === 1)
    first.end('still here\n')
    await output.until(() => output.items.length === 1)
    expect(output.told[0]).toMatch(/the number of connections of the receiver of stream s is larger than 1/)
    await receiver.onStop()
  })

  test('a port that is taken is an error; only this machine can connect, unless it is said', async () => {
    const { port, receiver } = await listen()
    await expect(Promise.resolve(tcpLines({ port }).onStart(new Recorder()))).rejects.toThrow(/EADDRINUSE.*127\.0\.0\.1/)
    await receiver.onStop()
  })

  test('stopping closes what is open, may be done twice and before the start', async () => {
    const { port, receiver, output } = await listen()
    const socket = await dial(port)
    socket.write('a\n')
    await output.until(() => output.items.length === 1)
    const closed = once(socket, 'close')
    await receiver.onStop()
    await closed
    await receiver.onStop()
    await tcpLines({ port: 0 }).onStop()
    expect(output.told).toEqual([])
  })
})

describe('lines from a server', () => {
  test('are stored; when it ends or is not there, the receiver is restarted', async () => {
    const server = createServer((socket) => socket.end('a\nb\n'))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const output = new Recorder<string>()
    const receiver = socketLines({ host: '127.0.0.1', port })
    void receiver.onStart(output)
    await output.until(() => output.told.length === 1)
    expect([output.items, output.told]).toEqual([['a', 'b'], [`restart: 127.0.0.1:${port} has no more data`]])
    await receiver.onStop()
    server.close()
    await once(server, 'close')
    void receiver.onStart(output)
    await output.until(() => output.told.length === 2)
    expect(output.told[1]).toMatch(/ECONNREFUSED/)
    await receiver.onStop()
  })

  test('a stop is no reason to connect again', async () => {
    const sockets: Socket[] = []
    const server = createServer((socket) => sockets.push(socket.on('error', () => undefined)))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const output = new Recorder<string>()
    const receiver = socketLines({ host: '127.0.0.1', port: (server.address() as AddressInfo).port })
    void receiver.onStart(output)
    await once(server, 'connection')
    sockets[0]?.write('a\n')
    await output.until(() => output.items.length === 1)
    await receiver.onStop()
    expect(output.told).toEqual([])
    server.close()
  })
})
