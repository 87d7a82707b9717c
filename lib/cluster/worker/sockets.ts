/**
 * WebSockets between the processes of a cluster: a server that lets in who knows the token, and connections out. Messages are binary and
 * whole; a side that says nothing for some seconds is taken for gone.
 */
import { createServer as createHttpServer } from 'node:http'
import type { IncomingMessage, Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { WebSocket, WebSocketServer } from 'ws'
import { SquallError } from '../../errors.ts'
import { isToken } from '../http/token.ts'
import type { Tls } from '../http/token.ts'
import { messageBytesMax } from './frames.ts'
import type { Connection } from './link.ts'

/** A side says at least this often that it is there. */
const pingMs = 1_000
/** Silence for so long: the connection is closed. */
const silenceMs = 5_000
/** How long the beginning of a connection may take. */
const openMs = 5_000
/** Connections of one server. */
const connectionsMax = 1_024

export interface SocketsOptions {
  readonly token: string
  readonly tls?: Tls | undefined
}

export interface Sockets {
  readonly port: number
  close(): Promise<void>
}

/** Listens; `open` gets every connection whose request had the token, with the path it asked for. */
export async function listen(
  options: SocketsOptions & { readonly host: string; readonly port: number },
  open: (connection: Connection, path: string) => void,
): Promise<Sockets> {
  const { tls, host, port, token } = options
  const server: Server = tls === undefined ? createHttpServer() : createTlsServer({ ...tls, requestCert: true, rejectUnauthorized: true })
  server.maxConnections = connectionsMax
  server.headersTimeout = openMs
  server.requestTimeout = openMs
  const upgrades = new WebSocketServer({ noServer: true, maxPayload: messageBytesMax, perMessageDeflate: false, clientTracking: true })
  server.on('request', (_, response) => {
    response.statusCode = 404
    response.end()
  })
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    if (!isToken(request.headers.authorization, token)) {
      socket.end('HTTP/1.1 401 Unauthorized\r\nConnection: close\r\n\r\n')
      return
    }
    upgrades.handleUpgrade(request, socket, head, (web) => open(connectionOf(web), request.url ?? '/'))
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(new SquallError('listen-failed', { host, port, reason: error.message }, {}, { cause: error })))
    server.listen(port, host, resolve)
  })
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      for (const web of upgrades.clients) web.terminate()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** Connects; rejects when nobody is there, or it does not let us in. */
export async function dial(url: string, { token, tls }: SocketsOptions): Promise<Connection> {
  const web = new WebSocket(url, {
    headers: { authorization: `Bearer ${token}` },
    handshakeTimeout: openMs,
    maxPayload: messageBytesMax,
    perMessageDeflate: false,
    // a mask of zeros is one that need not be applied; the connection is ours from end to end
    generateMask: () => undefined,
    ...(tls !== undefined && { ...tls, rejectUnauthorized: true }),
  })
  return await new Promise((resolve, reject) => {
    web.once('error', reject)
    web.once('open', () => {
      web.off('error', reject)
      resolve(connectionOf(web))
    })
  })
}

function connectionOf(web: WebSocket): Connection {
  web.binaryType = 'nodebuffer'
  let heardMs = performance.now()
  const heard = (): void => void (heardMs = performance.now())
  const beat = setInterval(() => {
    if (performance.now() - heardMs > silenceMs) web.terminate()
    else if (web.readyState === WebSocket.OPEN) web.ping()
  }, pingMs)
  const connection: Connection = {
    send: (message) => {
      if (web.readyState === WebSocket.OPEN) web.send(message)
    },
    close: () => web.close(),
    onMessage: () => undefined,
    onClose: () => undefined,
  }
  web.on('message', (message: Buffer) => {
    heard()
    connection.onMessage(message)
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
