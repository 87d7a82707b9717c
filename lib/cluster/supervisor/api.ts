/**
 * What a supervisor answers, to whoever knows the token of the cluster; it changes nothing.
 *
 *     GET /v1/health                   {id, unhealthy?, isKnown, workers}
 *     GET /v1/logs/LOG?from=&max=      {from, next, size, text}; without `from` the end of it
 *     GET /v1/workers/LOG/snapshot     {snapshot}: what the worker says of its run; null where it does not lead it
 *
 * LOG is the name that the record of a worker gives its log.
 */
import { createServer as createHttpServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { SquallError, reasonOf } from '../../errors.ts'
import { isToken } from '../http/token.ts'
import type { SocketsOptions } from '../worker/sockets.ts'
import type { LogPart } from './logs.ts'

const connectionsMax = 128
const requestMs = 10_000
const headerBytesMax = 8 << 10

/** What is asked; as the supervisor of a host has it. */
export interface ApiSources {
  health(): object
  log(name: string, from: number | undefined, max: number | undefined): LogPart | undefined
  /** `undefined`: no worker has such a log. Errors: `worker-silent`. */
  snapshot(log: string): Promise<{ readonly snapshot: unknown } | undefined>
}

export interface Api {
  readonly port: number
  close(): Promise<void>
}

/** Errors: `listen-failed`. */
export async function openApi(
  { host, port, token, tls }: SocketsOptions & { readonly host: string; readonly port: number },
  sources: ApiSources,
): Promise<Api> {
  const limits = { maxHeaderSize: headerBytesMax, headersTimeout: requestMs, requestTimeout: requestMs, keepAliveTimeout: 1_000 }
  const server: Server =
    tls === undefined ? createHttpServer(limits) : createTlsServer({ ...limits, ...tls, requestCert: true, rejectUnauthorized: true })
  server.maxConnections = connectionsMax
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    void answer(request, token, sources).then(({ status, body }) => {
      const text = JSON.stringify(body)
      const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text), 'cache-control': 'no-store' }
      // whatever somebody sends is not read
      response.writeHead(status, request.method === 'GET' ? headers : { ...headers, connection: 'close' }).end(text)
    })
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(new SquallError('listen-failed', { host, port, reason: error.message }, {}, { cause: error })))
    server.listen(port, host, resolve)
  })
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      await closed
    },
  }
}

interface Answer {
  readonly status: number
  readonly body: unknown
}

async function answer({ method, url = '/', headers }: IncomingMessage, token: string, sources: ApiSources): Promise<Answer> {
  try {
    if (!isToken(headers.authorization, token)) return refusal(401, new SquallError('api-token'))
    if (method !== 'GET') return refusal(405, new SquallError('api-request', { reason: `${String(method)} is not answered, only GET` }))
    const [path = '', query = ''] = url.split('?', 2)
    const [, kind, name = '', what] = /^\/v1\/(health|logs|workers)(?:\/(\w+))?(?:\/(snapshot))?$/.exec(path) ?? []
    if (kind === 'health' && name === '') return { status: 200, body: sources.health() }
    if (kind === 'logs' && name !== '' && what === undefined) {
      const params = new URLSearchParams(query)
      return found(name, sources.log(name, numberOf(params, 'from'), numberOf(params, 'max')))
    }
    if (kind === 'workers' && name !== '' && what === 'snapshot') return found(name, await sources.snapshot(name))
    return refusal(404, new SquallError('api-request', { reason: 'there is nothing at this path' }))
  } catch (error) {
    if (!(error instanceof SquallError)) return refusal(500, new SquallError('api-refused', { reason: reasonOf(error) }))
    return refusal(error.code === 'worker-silent' ? 504 : 400, error)
  }
}

function found(log: string, body: unknown): Answer {
  return body === undefined
    ? refusal(404, new SquallError('unknown-log', { log: JSON.stringify(log.slice(0, 80)) }))
    : { status: 200, body }
}

function refusal(status: number, { code, what, help, where }: SquallError): Answer {
  return { status, body: { code, what, help, where } }
}

function numberOf(params: URLSearchParams, name: string): number | undefined {
  const text = params.get(name)
  if (text === null) return undefined
  if (/^\d{1,15}$/.test(text)) return Number(text)
  throw new SquallError('api-request', { reason: `${name} must be a number, 0 or greater` })
}
