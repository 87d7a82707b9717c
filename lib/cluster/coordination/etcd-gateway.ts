/**
 * Talks to the JSON gateway of etcd's servers: one request over a kept connection, with the next server tried when one does not answer.
 *
 * Whether a request that got no answer was done is for the caller to find out (`Unsure`); one that changes nothing, or nothing twice, is sent again.
 */
import { Agent, request as httpRequest } from 'node:http'
import type { ClientRequest, IncomingMessage } from 'node:http'
import { Agent as TlsAgent, request as httpsRequest } from 'node:https'
import { z } from 'zod'
import { SquallError, reasonOf } from '../../errors.ts'
import type { Schedule } from '../../std/schedule.ts'
import { answerMs, requestsMax } from './coordinator.ts'

export interface EtcdOptions {
  /** `HOST:PORT` of each server */
  readonly hosts: readonly string[]
  readonly tls?: TlsOptions | undefined
  readonly user?: string | undefined
  readonly password?: string | undefined
  /** is told when no server answers, and, with nothing, when one does again */
  readonly report?: ((trouble: SquallError | undefined) => void) | undefined
}

/** PEM texts: who signs the servers' certificates (those that Node trusts), and a certificate of one's own. */
export interface TlsOptions {
  readonly ca?: string | undefined
  readonly cert?: string | undefined
  readonly key?: string | undefined
}

/** The codes of gRPC that mean something here. */
const grpc = { notFound: 5, denied: 7, outOfRange: 11, unauthenticated: 16 } as const
/** A server may get over these: cancelled, unknown, deadline, aborted, internal, unavailable. */
const passing = [1, 2, 4, 10, 13, 14] as const

/** How long one server is waited for, and between rounds in which none answered. */
const attemptMsMax = 3_000
const attemptMsMin = 300
/** A request is sent with so many new tokens. */
const tokensMax = 3
const backOffMs = { first: 50, max: 1_000 }
const socketsMax = 64
const responseBytesMax = 400 << 20

/** No answer came: it was done, or not, or may yet be. */
export class Unsure extends Error {}

/** A server's own words. */
export class Refusal extends Error {
  readonly code: number

  constructor(code: number, message: string) {
    super(message)
    this.code = code
  }

  /** A watch that a server has ended, with no code. */
  static ofWatch(reason: string): Refusal {
    return new Refusal(/permission denied/.test(reason) ? grpc.denied : passing[0], reason)
  }

  get isLeaseGone(): boolean {
    return this.code === grpc.notFound
  }

  get isCompacted(): boolean {
    return this.code === grpc.outOfRange
  }

  /** The token that was sent is too old, or unknown to a server that has started anew. */
  get isToken(): boolean {
    return this.code === grpc.unauthenticated || /auth: revision in header is old|invalid auth token/.test(this.message)
  }

  get isPassing(): boolean {
    return passing.some((code) => code === this.code) || /too many requests/.test(this.message)
  }
}

const Fault = z.object({
  error: z.union([z.string(), z.object({ message: z.string(), grpc_code: z.int().default(2) })]),
  code: z.int().default(2),
})
const Token = z.object({ token: z.string() })

export interface CallOptions {
  /** in which it is answered or given up (10 s) */
  readonly withinMs?: number
  /** it must not be done twice: throws `Unsure` when that cannot be ruled out */
  readonly once?: boolean
  /** ask this server and no other */
  readonly host?: string
}

export interface Stream {
  /** Rejects when the connection ends, or the server says something that is no line. */
  readonly ended: Promise<never>
  stop(): void
}

export class EtcdGateway {
  readonly address: string
  readonly #options: EtcdOptions
  readonly #schedule: Schedule
  readonly #agent: Agent
  readonly #underWay = new Set<ClientRequest>()
  #current = 0
  #token: Promise<string> | undefined
  #isAway = false
  /** it has answered before */
  #wasThere = false
  #isClosed = false

  constructor(options: EtcdOptions, schedule: Schedule) {
    this.address = `${options.tls === undefined ? 'etcd' : 'etcds'}://${options.hosts.join(',')}`
    this.#options = options
    this.#schedule = schedule
    const kept = { keepAlive: true, maxSockets: socketsMax }
    this.#agent = options.tls === undefined ? new Agent(kept) : new TlsAgent({ ...kept, ...present(options.tls) })
  }

  /** The server that answers, as far as is known. */
  get host(): string {
    return this.#options.hosts[this.#current] as string
  }

  /** Errors: `Refusal` for what no other server would answer otherwise, `Unsure`, `coordinator-away`, `coordinator-refused`, `coordinator-closed`. */
  async call<T>(path: string, body: object, answer: z.ZodType<T>, options: CallOptions = {}): Promise<T> {
    const { withinMs = answerMs, once = false } = options
    const untilMs = this.#schedule.now() + withinMs
    const attemptMs = options.host === undefined ? Math.min(attemptMsMax, Math.max(attemptMsMin, withinMs / 3)) : withinMs
    let tokens = 0
    for (let attempt = 1; ; attempt++) {
      this.checkOpen()
      const host = options.host ?? this.host
      try {
        const text = await this.#post(host, path, body, Math.min(attemptMs, untilMs - this.#schedule.now()))
        this.#isBack()
        return answer.parse(JSON.parse(text))
      } catch (error) {
        this.checkOpen()
        if (error instanceof SquallError) throw error
        if (error instanceof Refusal && !error.isPassing) {
          if (!error.isToken || ++tokens > tokensMax) throw this.#refused(error)
          this.#token = undefined
        } else {
          this.leave(host)
          if (once && !isNeverSent(error)) throw new Unsure(reasonOf(error), { cause: error })
        }
        const waitMs = attempt < this.#options.hosts.length ? 0 : Math.min(backOffMs.max, backOffMs.first * 2 ** (attempt - 1))
        if (options.host !== undefined) throw error
        if (this.#schedule.now() + waitMs >= untilMs)
          throw isOfCertificates(error) ? this.#refused(error) : this.away(reasonOf(error), error)
        await this.#wait(waitMs)
      }
    }
  }

  /** Opens a stream of JSON lines from one server. */
  async stream(host: string, path: string, body: object, onLine: (line: unknown) => void): Promise<Stream> {
    const sent = await this.#send(host, path, body, { 'grpc-metadata-hasleader': 'true' })
    const ended = new Promise<never>((_, reject) => {
      sent.once('error', reject)
      sent.once('response', (response: IncomingMessage) => {
        readLines(response, onLine).then(() => reject(new Error('the stream has ended')), reject)
      })
    })
    ended.catch(() => undefined)
    return { ended, stop: () => sent.destroy() }
  }

  /** This server does not answer: the next one is asked from now on. */
  leave(host: string): void {
    if (host === this.host) this.#current = (this.#current + 1) % this.#options.hosts.length
  }

  away(reason: string, cause?: unknown): SquallError {
    // so does a server with TLS answer who comes without
    const isCut = this.#options.tls === undefined && !this.#wasThere && (cause as NodeJS.ErrnoException | undefined)?.code === 'ECONNRESET'
    const more = isCut ? '; with TLS it would be etcds://' : ''
    const error = new SquallError('coordinator-away', { address: this.address, reason: reason + more }, {}, { cause })
    if (!this.#isAway) this.#options.report?.(error)
    this.#isAway = true
    return error
  }

  /** What a server says is not what is understood here, or what it was asked for: a person should know. */
  tell(error: unknown): void {
    this.#options.report?.(error instanceof SquallError ? error : this.#refusal(error))
  }

  checkOpen(): void {
    if (this.#isClosed) throw this.closedError()
  }

  closedError(): SquallError {
    return new SquallError('coordinator-closed', { address: this.address })
  }

  close(): void {
    this.#isClosed = true
    for (const request of this.#underWay) request.destroy(new Error('closed'))
    this.#agent.destroy()
  }

  #isBack(): void {
    if (this.#isAway) this.#options.report?.(undefined)
    this.#isAway = false
    this.#wasThere = true
  }

  /** What a caller can do something about stays a refusal. */
  #refused(error: unknown): Error {
    if (error instanceof Refusal && (error.isLeaseGone || error.isCompacted)) return error
    return this.#refusal(error)
  }

  #refusal(error: unknown): SquallError {
    return new SquallError('coordinator-refused', { address: this.address, reason: reasonOf(error) }, {}, { cause: error })
  }

  async #post(host: string, path: string, body: object, withinMs: number): Promise<string> {
    const sent = await this.#send(host, path, body)
    const stopWaiting = this.#schedule.after(Math.max(1, withinMs), () => {
      sent.destroy(new Error(`${host} did not answer within ${Math.round(withinMs)} ms`))
    })
    try {
      const response = await new Promise<IncomingMessage>((resolve, reject) => sent.once('response', resolve).once('error', reject))
      const text = await readAll(response)
      const fault = response.statusCode === 200 ? faultIn(text) : (faultIn(text) ?? new Refusal(14, `HTTP status ${response.statusCode}`))
      if (fault !== undefined) throw fault
      return text
    } finally {
      stopWaiting()
    }
  }

  async #send(host: string, path: string, body: object, headers: Readonly<Record<string, string>> = {}): Promise<ClientRequest> {
    if (this.#underWay.size >= requestsMax) throw new SquallError('coordinator-busy', { address: this.address, max: requestsMax })
    const token = path === 'auth/authenticate' ? undefined : await this.#authenticate()
    this.checkOpen()
    const text = JSON.stringify(body)
    const isTls = this.#options.tls !== undefined
    const url = `${isTls ? 'https' : 'http'}://${host}/v3/${path}`
    const sent = (isTls ? httpsRequest : httpRequest)(url, {
      method: 'POST',
      agent: this.#agent,
      headers: {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(text),
        ...(token === undefined ? {} : { authorization: token }),
        ...headers,
      },
    })
    this.#underWay.add(sent)
    sent.once('close', () => this.#underWay.delete(sent))
    sent.end(text)
    return sent
  }

  /** A token for the user, asked for once; `undefined` when there is none. */
  async #authenticate(): Promise<string | undefined> {
    const { user, password = '' } = this.#options
    if (user === undefined) return undefined
    if (this.#token === undefined) {
      const asked = this.call('auth/authenticate', { name: user, password }, Token).then(({ token }) => token)
      asked.catch(() => (this.#token = undefined))
      this.#token = asked
    }
    return await this.#token
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => this.#schedule.after(ms, resolve))
  }
}

/** The connection was never made. */
function isNeverSent(error: unknown): boolean {
  const { syscall } = error as NodeJS.ErrnoException
  return syscall === 'connect' || syscall === 'getaddrinfo' || isOfCertificates(error)
}

/** One of the two does not take the other's certificate. */
function isOfCertificates(error: unknown): boolean {
  return /CERT|SIGNATURE|ERR_TLS|ERR_SSL|EPROTO/.test((error as NodeJS.ErrnoException).code ?? '')
}

function faultIn(text: string): Refusal | undefined {
  if (!text.startsWith('{"error"')) return undefined
  try {
    const { error, code } = Fault.parse(JSON.parse(text))
    return typeof error === 'string' ? new Refusal(code, error) : new Refusal(error.grpc_code, error.message)
  } catch {
    return new Refusal(14, text.slice(0, 200))
  }
}

async function readAll(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > responseBytesMax) throw new Error(`an answer of more than ${responseBytesMax} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

/** Resolves when there are no more. What is left without a line feed is not told: it may be the half of something. */
async function readLines(response: IncomingMessage, onLine: (line: unknown) => void): Promise<void> {
  let parts: Buffer[] = []
  let bytes = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    let from = 0
    for (let feed = chunk.indexOf(10); feed !== -1; feed = chunk.indexOf(10, from)) {
      const text = Buffer.concat([...parts, chunk.subarray(from, feed)]).toString()
      const fault = faultIn(text)
      if (fault !== undefined) throw fault
      onLine(JSON.parse(text))
      parts = []
      bytes = 0
      from = feed + 1
    }
    parts.push(chunk.subarray(from))
    bytes += chunk.length - from
    if (bytes > responseBytesMax) throw new Error(`a line of more than ${responseBytesMax} bytes`)
  }
  const fault = faultIn(Buffer.concat(parts).toString())
  if (fault !== undefined) throw fault
}

function present(options: TlsOptions): object {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
}
