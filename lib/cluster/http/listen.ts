/**
 * What listens in a cluster, and what all of it has in common: nothing is heard of whoever does not show the token, connections are bounded in their
 * number and in what they may take to come to the point, and a server lives on when the machine has no room for more of them.
 */
import { createServer as createHttpServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { SquallError, reasonOf } from '../../errors.ts'
import { sparingly } from '../../std/sparingly.ts'
import { isToken } from './token.ts'
import type { Tls } from './token.ts'

export interface ListenOptions {
  readonly host: string
  /** 0: any that is free */
  readonly port: number
  readonly token: string
  readonly tls?: Tls | undefined
  /** connections at once; more are closed (1,024) */
  readonly connectionsMax?: number
  readonly connectionTimes?: Partial<ConnectionTimes> | undefined
  /** is told when no more connections can be taken */
  readonly report?: (message: string) => void
}

export interface Listening {
  readonly port: number
  close(): Promise<void>
}

/** What is done with requests that have the token. */
export interface Handlers {
  request(request: IncomingMessage, response: ServerResponse): void
  /** without it, a request for another protocol is one like any other */
  upgrade?(request: IncomingMessage, socket: Duplex, head: Buffer): void
}

const connectionsMaxDefault = 1_024
/** How long a connection may take, in milliseconds. */
export interface ConnectionTimes {
  /** for certificates, and then for the head of a request */
  readonly beginMs: number
  /** for a whole request, body and all */
  readonly requestMs: number
  /** between two requests */
  readonly idleMs: number
  /** how often it is looked for those that take longer */
  readonly checkMs: number
}

const connectionTimes: ConnectionTimes = { beginMs: 10_000, requestMs: 120_000, idleMs: 5_000, checkMs: 2_000 }
/** What somebody without the token sends after that is thrown away; for so long, so that they can read why. */
const refusedMs = 2_000

const hints: Readonly<Record<string, string>> = {
  EADDRINUSE: 'choose another --port, or end what listens there: another squall, perhaps',
  EADDRNOTAVAIL: 'this host has no such address: give --host one that it has',
  ENOTFOUND: 'no address is known for this name: give --host an address of this host, or a name that has one',
  EACCES: 'this user may not listen there: choose a --port from 1024',
}

/** Errors: `listen-failed`. */
export async function listen(options: ListenOptions, handlers: Handlers): Promise<Listening> {
  const { host, port, token, tls, connectionsMax = connectionsMaxDefault, report } = options
  const request = (incoming: IncomingMessage, response: ServerResponse): void => {
    if (isToken(incoming.headers.authorization, token)) handlers.request(incoming, response)
    else refuse(incoming, response)
  }
  const { beginMs, requestMs, idleMs, checkMs } = { ...connectionTimes, ...options.connectionTimes }
  const times = { headersTimeout: beginMs, requestTimeout: requestMs, keepAliveTimeout: idleMs, connectionsCheckingInterval: checkMs }
  const server: Server =
    tls === undefined
      ? createHttpServer(times, request)
      : createTlsServer({ ...times, ...tls, handshakeTimeout: beginMs, requestCert: true, rejectUnauthorized: true }, request)
  server.maxConnections = connectionsMax
  if (handlers.upgrade !== undefined)
    server.on('upgrade', (incoming: IncomingMessage, socket: Duplex, head: Buffer) => {
      if (isToken(incoming.headers.authorization, token)) handlers.upgrade?.(incoming, socket, head)
      else refuseUpgrade(socket)
    })
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      const hint = hints[(error as NodeJS.ErrnoException).code ?? ''] ?? 'choose another --host or --port'
      reject(new SquallError('listen-failed', { host, port, reason: error.message, hint }, {}, { cause: error }))
    })
    server.listen(port, host, resolve)
  })
  server.removeAllListeners('error')
  // no file is left for another connection: that is over when others have ended, and no reason to end
  const tell = sparingly(report ?? (() => undefined))
  server.on('error', (error) => tell(`connections cannot be taken: ${reasonOf(error)}`))
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      await closed
    },
  }
}

function refuse(request: IncomingMessage, response: ServerResponse): void {
  const { code, what, help, where } = new SquallError('api-token')
  const answer = Buffer.from(JSON.stringify({ code, what, help, where }))
  const headers = { 'content-type': 'application/json', 'content-length': answer.length, 'www-authenticate': 'Bearer', connection: 'close' }
  response.writeHead(401, headers).write(answer)
  // the connection closes with the end of the answer: whoever still sends would not get to read it
  const timer = setTimeout(() => response.end(), refusedMs)
  response.once('close', () => clearTimeout(timer))
  request.once('end', () => response.end()).resume()
}

/** An error of a socket that nobody hears would end the process, and one that is only half closed would stay. */
function refuseUpgrade(socket: Duplex): void {
  socket.on('error', () => socket.destroy())
  socket.once('finish', () => socket.destroy())
  socket.end('HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Bearer\r\nconnection: close\r\n\r\n')
}
