/**
 * WebSockets between the processes of a cluster: a server that lets in who knows the token, and connections out. Messages are binary and
 * whole; a side that says nothing for some seconds is taken for gone.
 */
import type { Duplex } from 'node:stream'
import { WebSocket, WebSocketServer } from 'ws'
import { listen as listenTo } from '../http/listen.ts'
import type { ListenOptions, Listening } from '../http/listen.ts'
import type { Tls } from '../http/token.ts'
import { messageBytesMax } from './frames.ts'
import type { Connection } from './link.ts'

/** A side says at least this often that it is there. */
const pingMs = 1_000
/** Silence for so long: the connection is closed. */
const silenceMs = 5_000
/** How long the beginning of a connection may take. */
const openMs = 5_000
/** How long its end may take: then it is cut. */
const closeMs = 2_000

export interface SocketsOptions {
  readonly token: string
  readonly tls?: Tls | undefined
}

/** https://www.rfc-editor.org/rfc/rfc6455#section-7.4.1 */
const notBinary = 1003
const bounds = { maxPayload: messageBytesMax, perMessageDeflate: false, closeTimeout: closeMs }

/** Listens; `open` gets every connection whose request had the token, with the path it asked for. Errors: `listen-failed`. */
export async function listen(options: ListenOptions, open: (connection: Connection, path: string) => void): Promise<Listening> {
  const upgrades = new WebSocketServer({ noServer: true, ...bounds })
  const listening = await listenTo(options, {
    request: (_, response) => void response.writeHead(404, { connection: 'close' }).end(),
    upgrade: (request, socket, head) =>
      upgrades.handleUpgrade(request, socket, head, (web) => open(connectionOf(web, socket), request.url ?? '/')),
  })
  return {
    port: listening.port,
    close: async () => {
      for (const web of upgrades.clients) web.terminate()
      await listening.close()
    },
  }
}

/** Connects; rejects when nobody is there, or it does not let us in. */
export async function dial(url: string, { token, tls }: SocketsOptions): Promise<Connection> {
  const web = new WebSocket(url, {
    headers: { authorization: `Bearer ${token}` },
    ...bounds,
    handshakeTimeout: openMs,
    // a mask of zeros is one that need not be applied; the connection is ours from end to end
    generateMask: () => undefined,
    ...(tls !== undefined && { ...tls, rejectUnauthorized: true }),
  })
  return await new Promise((resolve, reject) => {
    let socket: Duplex | undefined
    web.once('upgrade', (response) => (socket = response.socket))
    web.once('error', reject)
    web.once('open', () => {
      web.off('error', reject)
      // what has come with the answer must not be told before whoever dialed can listen
      web.pause()
      setImmediate(() => web.resume())
      resolve(connectionOf(web, socket as Duplex))
    })
  })
}

function connectionOf(web: WebSocket, socket: Duplex): Connection {
  web.binaryType = 'nodebuffer'
  let isGathering = false
  /** What is sent in one turn of the event loop goes to the system in one write. */
  const gather = (): void => {
    if (isGathering) return
    isGathering = true
    socket.cork()
    process.nextTick(() => {
      isGathering = false
      socket.uncork()
    })
  }
  let heardMs = performance.now()
  const heard = (): void => void (heardMs = performance.now())
  const beat = setInterval(() => {
    if (performance.now() - heardMs > silenceMs) web.terminate()
    else if (web.readyState === WebSocket.OPEN) web.ping()
  }, pingMs)
  const connection: Connection = {
    send: (message) => {
      if (web.readyState !== WebSocket.OPEN) return
      gather()
      web.send(message)
    },
    close: () => web.close(),
    onMessage: () => undefined,
    onClose: () => undefined,
  }
  web.on('message', (message: Buffer, isBinary) => {
    heard()
    if (isBinary) connection.onMessage(message)
    else web.close(notBinary, 'messages are binary')
  })
  web.on('pong', heard)
  web.on('ping', heard)
  web.on('error', () => web.terminate())
  web.on('close', () => {
    clearInterval(beat)
    connection.onClose()
  })
  return connection
}
