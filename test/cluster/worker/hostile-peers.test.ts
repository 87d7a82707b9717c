/** Clients of a worker that mean no good, or are broken: each is refused within a bounded time, and told of in one line; the links of others go on. */
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import type { Connection } from '../../../lib/cluster/worker/link.ts'
import { messageKinds, receivedMessage, wordsMessage, wordsOf } from '../../../lib/cluster/worker/frames.ts'
import { printableLine } from '../../../lib/std/printable.ts'
import { Peers } from '../../../lib/cluster/worker/peers.ts'
import { dial, listen } from '../../../lib/cluster/worker/sockets.ts'
import { RawSocket, opcodes, upgradeHead, webFrame } from '../hostile.ts'

const token = 'secret'
const hello = { topology: 't', from: 1, to: 0, incarnation: 2, session: 's1', received: 0 }

/** Worker 0, with a link to worker 1 that goes on; worker 2 is whoever the test is. */
class Scene {
  readonly said: string[]
  readonly heard: unknown[] = []
  readonly port: number
  readonly peers: Peers
  readonly other: Peers
  #look: () => void = () => undefined

  private constructor(port: number, peers: Peers, other: Peers, said: string[]) {
    this.port = port
    this.peers = peers
    this.other = other
    this.said = said
  }

  static async open(): Promise<Scene> {
    const said: string[] = []
    const peersOf = (worker: number): Peers =>
      new Peers({
        topology: 't',
        worker,
        incarnation: 2,
        session: `s${worker}`,
        token,
        report: (message) => worker === 0 && said.push(message),
      })
    const peers = peersOf(0)
    const sockets = await listen({ host: '127.0.0.1', port: 0, token }, (connection) => peers.accept(connection))
    const scene = new Scene(sockets.port, peers, peersOf(1), said)
    const places = [0, 1, 2].map((worker) => ({ worker, incarnation: 2, executors: [worker] }))
    peers.assign(places)
    peers.peer(1).ears = { message: (message) => scene.#hear(wordsOf(message)), renewed: () => scene.#hear('renewed') }
    scene.other.assign(places.map((place) => ({ ...place, ...(place.worker === 0 && { url: `ws://127.0.0.1:${sockets.port}` }) })))
    onTestFinished(async () => {
      for (const one of [peers, scene.other]) one.close()
      await sockets.close()
    })
    await scene.goesOn()
    return scene
  }

  #hear(words: unknown): void {
    this.heard.push(words)
    this.#look()
  }

  /** What worker 1 says arrives, and nothing was lost. */
  async goesOn(): Promise<boolean> {
    const words = `still here ${this.heard.length}`
    this.other.peer(0).send(wordsMessage(words))
    while (this.heard.at(-1) !== words) await new Promise<void>((resolve) => (this.#look = resolve))
    return !this.heard.includes('renewed')
  }

  /** A socket that has come as far as a WebSocket. */
  async attacker(path = '/link', more: readonly string[] = []): Promise<RawSocket> {
    const socket = new RawSocket(this.port).write(upgradeHead(path, token, more))
    await socket.until('101 Switching Protocols')
    return socket
  }
}

const greeting = (more: object): Buffer => webFrame(wordsMessage({ ...hello, from: 2, session: 's2', ...more }))

describe('a connection that begins wrong is closed at once', () => {
  test.each<readonly [string, (socket: RawSocket) => void, readonly RegExp[]]>([
    ['random bytes', (socket) => socket.write(Buffer.from('\u0000\u0001garbage\u007f'.repeat(50))), []],
    ['a text message', (socket) => socket.write(webFrame(wordsMessage(hello), { opcode: opcodes.text })), []],
    ['a frame without a mask', (socket) => socket.write(webFrame(wordsMessage(hello), { isMasked: false })), []],
    ['a compressed frame', (socket) => socket.write(webFrame(wordsMessage(hello), { reserved: 4 })), []],
    ['a length of 2^40', (socket) => socket.write(webFrame(Buffer.alloc(10), { length: 2 ** 40 })), []],
    ['a length of 2^63', (socket) => socket.write(Buffer.concat([Buffer.from([0x82, 0xff]), Buffer.alloc(8, 0xff), Buffer.alloc(40)])), []],
    ['a continuation of nothing', (socket) => socket.write(webFrame(Buffer.alloc(10), { opcode: opcodes.continuation })), []],
    ['a ping in two parts', (socket) => socket.write(webFrame(Buffer.alloc(10), { opcode: opcodes.ping, isLast: false })), []],
    [
      'more parts of a message than there may be',
      (socket) => {
        socket.write(webFrame(Buffer.alloc(1), { isLast: false }))
        const part = webFrame(Buffer.alloc(1), { opcode: opcodes.continuation, isLast: false })
        socket.write(Buffer.concat(Array.from({ length: 20_000 }, () => part)))
      },
      [],
    ],
    ['an empty message', (socket) => socket.write(webFrame(Buffer.alloc(0))), [/another kind/]],
    ['bytes that are no words', (socket) => socket.write(webFrame(Buffer.from([messageKinds.words, 0x7b, 0x7b]))), [/no JSON/]],
    ['a frame of an executor', (socket) => socket.write(webFrame(Buffer.alloc(40, messageKinds.tuples))), [/another kind/]],
    ['words of another shape', (socket) => socket.write(webFrame(wordsMessage({ hello: 1 }))), [/no hello/]],
    ['a session as a prototype', (socket) => socket.write(greeting({ session: { ['__proto__']: 's' } })), [/no hello/]],
    ['another topology', (socket) => socket.write(greeting({ topology: 'u' })), [/worker 2 \(2\) of u is not expected/]],
    ['an older incarnation', (socket) => socket.write(greeting({ incarnation: 1 })), [/worker 2 \(1\) of t is not expected/]],
    ['another worker than this', (socket) => socket.write(greeting({ to: 5 })), [/not expected/]],
    ['our own number', (socket) => socket.write(greeting({ from: 0 })), [/not expected/]],
    ['more received than was sent', (socket) => socket.write(greeting({ received: 7, of: 's0' })), [/7 messages received of 0/]],
    ['half a message received', (socket) => socket.write(greeting({ received: 0.5, of: 's0' })), [/no hello/]],
    ['what would be two lines of a log', (socket) => socket.write(greeting({ topology: 'a\nb\u001b[2J' })), [/a\\nb\\u001b\[2J/]],
  ])('%s', async (_, attack, complaints) => {
    const scene = await Scene.open()
    const socket = await scene.attacker()
    attack(socket)
    await socket.closed
    expect(await scene.goesOn()).toBe(true)
    expect(scene.said).toEqual(complaints.map((one) => expect.stringMatching(one) as string))
    expect(scene.said.filter((line) => printableLine(line) !== line)).toEqual([])
  })

  test('one that does not close its side is cut', async () => {
    const scene = await Scene.open()
    const socket = await scene.attacker()
    socket.write(greeting({ topology: 'u' }))
    await socket.gone
    expect(await scene.goesOn()).toBe(true)
  })

  test('a worker that was placed after what this one knows is not told of: it comes again', async () => {
    const scene = await Scene.open()
    const socket = await scene.attacker()
    socket.write(greeting({ incarnation: 3 }))
    await socket.closed
    expect(scene.said).toEqual([])
  })
})

describe('a link whose other side says what cannot be is closed, and made again', () => {
  test.each<readonly [string, Uint8Array]>([
    ['an acknowledgement of what was never sent', receivedMessage(9)],
    ['an acknowledgement of less than none', receivedMessage(-1)],
    ['a kind of message that there is not', Buffer.from([250, 1, 2, 3])],
    ['words that are none', Buffer.from([messageKinds.words, 0x5b])],
  ])('%s', async (_, message) => {
    const scene = await Scene.open()
    const heard: unknown[] = []
    scene.peers.peer(2).ears = { message: (one) => heard.push(wordsOf(one)), renewed: () => heard.push('renewed') }
    const first = await scene.attacker()
    first
      .write(greeting({}))
      .write(webFrame(wordsMessage('one')))
      .write(webFrame(message))
      .write(webFrame(wordsMessage('late')))
    await first.closed
    expect(heard).toEqual(['one'])
    expect(scene.said).toEqual([expect.stringMatching(/^the link to worker 2 was closed: another worker sent what cannot be/)])
    expect(await scene.goesOn()).toBe(true)
    const second = await scene.attacker()
    second.write(greeting({})).write(webFrame(wordsMessage('two')))
    await expect.poll(() => heard).toEqual(['one', 'two'])
  })

  test('one thing that is said again and again is told once', async () => {
    const scene = await Scene.open()
    for (let time = 0; time < 10; time++) {
      const socket = await scene.attacker()
      socket.write(greeting({ topology: 'u' }))
      await socket.closed
    }
    expect(scene.said).toHaveLength(1)
  })

  test('a session that changes in the middle: what the old one had under way is gone, and what it still says reaches nobody', async () => {
    const scene = await Scene.open()
    const heard: unknown[] = []
    scene.peers.peer(2).ears = { message: (one) => heard.push(wordsOf(one)), renewed: () => heard.push('renewed') }
    const old = await scene.attacker()
    old.write(greeting({})).write(webFrame(wordsMessage('of the old one')))
    await expect.poll(() => heard).toEqual(['of the old one'])
    const young = await scene.attacker()
    young.write(greeting({ session: 's2 again' }))
    await old.closed
    old.write(webFrame(wordsMessage('late')))
    young.write(webFrame(wordsMessage('of the new one')))
    await expect.poll(() => heard).toEqual(['of the old one', 'renewed', 'of the new one'])
  })
})

describe('without the token', () => {
  test.each([
    ['none', undefined],
    ['another', 'guess'],
    ['a longer one', `${token}x`],
    ['nothing', ''],
  ])('%s: no WebSocket', async (_, guess) => {
    const scene = await Scene.open()
    const socket = new RawSocket(scene.port).write(upgradeHead('/link', guess))
    await socket.closed
    expect(socket.text).toMatch(/^HTTP\/1\.1 401 Unauthorized\r\n/)
    expect(await scene.goesOn()).toBe(true)
  })

  test('who is refused and stays half open takes no place of others', async () => {
    const sockets = await listen({ host: '127.0.0.1', port: 0, token, connectionsMax: 3 }, (connection) => connection.close())
    onTestFinished(() => sockets.close())
    for (let time = 0; time < 6; time++) {
      const socket = new RawSocket(sockets.port).write(upgradeHead('/link'))
      await socket.gone
      expect(socket.text).toMatch(/ 401 /)
    }
    // the last of them may be on its way out
    const isIn = async (): Promise<boolean> =>
      await dial(`ws://127.0.0.1:${sockets.port}/link`, { token }).then(
        (connection) => {
          connection.close()
          return true
        },
        () => false,
      )
    await expect.poll(isIn, { timeout: 60_000 }).toBe(true)
  })

  test('in the path or a cookie it is none', async () => {
    const scene = await Scene.open()
    const socket = new RawSocket(scene.port).write(
      upgradeHead(`/link?token=${token}&authorization=Bearer%20${token}`, undefined, [`cookie: token=${token}`]),
    )
    await socket.closed
    expect(socket.text).toMatch(/^HTTP\/1\.1 401 /)
  })

  test('a socket that is reset while it is refused harms nobody', async () => {
    const scene = await Scene.open()
    for (let time = 0; time < 20; time++) {
      const socket = new RawSocket(scene.port)
      await socket.connected
      await new Promise<void>((resolve) => socket.socket.write(upgradeHead('/link'), () => resolve()))
      socket.socket.resetAndDestroy()
      await socket.closed
    }
    expect(await scene.goesOn()).toBe(true)
  })
})

describe('whoever never comes to the point is closed after a while', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'] }))
  afterEach(() => void vi.useRealTimers())

  /** Lets time pass, and the other links say that they are there as it does. */
  async function passing(scene: Scene, ms: number): Promise<void> {
    for (let at = 0; at < ms; at += 500) {
      vi.advanceTimersByTime(500)
      expect(await scene.goesOn()).toBe(true)
    }
  }

  test.each<readonly [string, (socket: RawSocket) => void]>([
    ['no hello', () => undefined],
    ['half a frame', (socket) => socket.write(greeting({}).subarray(0, 20))],
    ['half a message', (socket) => socket.write(webFrame(Buffer.alloc(10), { isLast: false }))],
    ['the head of a large one', (socket) => socket.write(webFrame(Buffer.alloc(10), { length: 1 << 26 }))],
  ])('%s', async (_, attack) => {
    const scene = await Scene.open()
    const socket = await scene.attacker()
    attack(socket)
    await scene.goesOn() // what was written before has been read
    await passing(scene, 4_000)
    expect(socket.isClosed).toBe(false)
    await passing(scene, 5_000)
    await socket.gone
    expect(await scene.goesOn()).toBe(true)
  })

  test('no hello, and yet an answer to each ping', async () => {
    const scene = await Scene.open()
    const socket = await scene.attacker()
    for (let at = 0; at < 9_000 && !socket.isClosed; at += 500) {
      socket.write(webFrame(Buffer.alloc(0), { opcode: opcodes.pong }))
      await passing(scene, 500)
    }
    await socket.closed
    expect(scene.said).toEqual(['a connection was closed: no hello within 5000 ms'])
  })

  test('a peer that has said hello, and then nothing', async () => {
    const scene = await Scene.open()
    const socket = await scene.attacker()
    socket.write(greeting({}))
    await socket.until('s0')
    await passing(scene, 7_000)
    await socket.closed
    expect(scene.peers.peer(2).link.isConnected).toBe(false)
  })

  test('pings that nobody reads the answers of: no more of them are kept than a few', async () => {
    const scene = await Scene.open()
    const socket = await scene.attacker()
    socket.socket.pause()
    const pings = Buffer.concat(Array.from({ length: 10_000 }, () => webFrame(Buffer.alloc(125), { opcode: opcodes.ping })))
    // until the answers fill the buffers of the system; then the server keeps what it cannot send
    let written = 0
    while (!socket.socket.destroyed && written < 200) {
      written++
      await new Promise<void>((resolve) => {
        socket.socket.write(pings, () => resolve())
        socket.socket.once('close', () => resolve())
      })
    }
    expect(socket.socket.destroyed).toBe(true)
    expect(await scene.goesOn()).toBe(true)
  })
})

test('a dialer hangs up on what does not say hello, and goes on trying', async () => {
  const said: string[] = []
  const connections: Connection[] = []
  let look = (): void => undefined
  const sockets = await listen({ host: '127.0.0.1', port: 0, token }, (connection) => {
    connections.push(connection)
    connection.onMessage = () => connection.send(wordsMessage('hello yourself'))
    connection.onClose = () => look()
  })
  const dialer = new Peers({ topology: 't', worker: 1, incarnation: 1, session: 's', token, report: (message) => said.push(message) })
  onTestFinished(async () => {
    dialer.close()
    await sockets.close()
  })
  dialer.assign([0, 1].map((worker) => ({ worker, incarnation: 1, executors: [worker], url: `ws://127.0.0.1:${sockets.port}` })))
  while (connections.length < 3) await new Promise<void>((resolve) => (look = resolve))
  expect(said).toEqual([expect.stringContaining('no hello')])
})

test('a client goes away from a server without an answer, and from one that does not let it in', async () => {
  const sockets = await listen({ host: '127.0.0.1', port: 0, token }, () => undefined)
  onTestFinished(() => sockets.close())
  await expect(dial(`ws://127.0.0.1:${sockets.port}/link`, { token: 'guess' })).rejects.toThrow(/401/)
})
